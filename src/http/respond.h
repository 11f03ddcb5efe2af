/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* An answer as libmicrohttpd sends it: conditional, compressed where it pays, with the headers that every answer has.
 * What is answered is not decided here. */

#include "http/request.h"

struct MHD_Response;

/**
 * respond_make() - make the response of a request that is answered
 * @settings:   for CORS
 * @ret_status: set on success only: the answer's, or 304
 *
 * Return: the response, with the data of the answer; NULL when out of memory.
 */
struct MHD_Response *respond_make(Request *request, const HttpSettings *settings, unsigned *ret_status) _must_check_;

/* What is kept in memory for the answer until it is sent, but for what is there in any case. */
size_t respond_held_bytes(const Request *request);

#define HTTP_DATE_TEXT_MAX 64U

/* Now, as heads of answers have it. Return: @buf. */
const char *respond_date(char buf[static HTTP_DATE_TEXT_MAX]);

/* The entity tag of such data: of its SHA-256. Return: 0; negative errno. */
int respond_tag(const char *data, size_t size, char buf[static ETAG_TEXT_MAX]) _must_check_;

/* Headers of the answer to a preflight; -EINVAL where the request is none, or its origin may not. */
int respond_preflight(Request *request, const HttpSettings *settings, const char *methods) _must_check_;

/**
 * respond_write() - the same as text, of an answer that ends the connection
 *
 * Return: 0; -ENOMEM.
 */
int respond_write(const Request *request, const HttpSettings *settings, Buffer *out) _must_check_;

/* What CORS puts into the head of an answer: "" or whole lines. For who writes the head himself; freed by the caller.
 */
char *respond_cors_lines(const Request *request, const HttpSettings *settings) _must_check_;
