/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The daemon behind a request: what it is asked, and what its answers become in HTTP. */

#include "http/request.h"

/**
 * backend_call() - ask the daemon on behalf of a request
 * @next: given its answer, good or bad, unless the client goes away before
 *
 * Where the call cannot be made, the request is answered.
 */
void backend_call(Request *request, const ClientRequest *call,
                  void (*next)(Request *request, const ClientAnswer *answer));

/* Answers with the text of a reply of type s, or as backend_refuse(). For backend_call(). */
void backend_pass(Request *request, const ClientAnswer *answer);

/* Answers that what the daemon said cannot be read. */
void backend_refuse_reply(Request *request);

/* Answers with what the daemon refused, in the words of the request's surface. */
void backend_refuse(Request *request, const ClientAnswer *answer);

/* One of the Describe...() methods, its answer passed on. */
void backend_describe(Request *request, const char *member, const ClientOption *options, size_t n);
