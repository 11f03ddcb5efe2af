/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The daemon behind a request: what it is asked, and what its answers become in HTTP. */

#include "http/request.h"

/**
 * backend_call() - ask the daemon on behalf of a request
 * @next: given its answer, good or bad, unless the client goes away before
 *
 * It is of the share of whose request it is, and not sent where it had to wait and nobody wants it any more. Where the
 * call cannot be made, the request is answered.
 */
void backend_call(Request *request, const ClientRequest *call,
                  void (*next)(Request *request, const ClientAnswer *answer));

/* The text of a reply: of type s, or as bytes that end with a 0. Borrowed. Return: 0 or more; negative errno. */
int backend_read_text(sd_bus_message *reply, const char **ret) _must_check_;

/* Answers with that text, or as backend_refuse(). For backend_call(). */
void backend_pass(Request *request, const ClientAnswer *answer);

/* Answers that what the daemon said cannot be read. */
void backend_refuse_reply(Request *request);

/* Whether what the request is to change may be changed, although the daemon has not answered. */
bool backend_may_be_done(const Request *request);

/* Answers that nobody knows. */
void backend_refuse_unsure(Request *request);

/* Answers with what the daemon refused, in the words of the request's surface. */
void backend_refuse(Request *request, const ClientAnswer *answer);

/* The call of one of the Describe...() methods. All is borrowed. */
ClientRequest backend_describes(const char *member, const ClientOption *options, size_t n);

/* The same, and its answer passed on. */
void backend_describe(Request *request, const char *member, const ClientOption *options, size_t n);

/* What has more rows, or events or runs that may have 16 KiB each, keeps the daemon for long: ClientRequest.is_large.
 */
#define LARGE_ROWS   200U
#define LARGE_EVENTS 50U

/* backend_describe() for what may be large. */
void backend_describe_list(Request *request, const char *member, const ClientOption *options, size_t n, bool is_large);
