/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How the surfaces refuse: {"detail": ...} under /api, {"error": ...} elsewhere; and what they all check of a request.
 * Each of the checks answers the request where it returns false. */

#include <json-c/json.h>

#include "base/uuid.h"
#include "http/request.h"

/* The key of the message in an error of its surface; NULL where it is not known which that is. */
const char *surface_error_key(const Request *request) _pure_;

/* Answers with an error. */
void surface_refuse(Request *request, unsigned status, const char *format, ...) _printf_(3, 4);

/* The same for 429: with Retry-After, and how the limit stands. @limit: a minute. */
void surface_refuse_rate(Request *request, unsigned limit, unsigned retry_sec);

/* A whole number of the query; left alone where it is not given. */
bool surface_number(Request *request, const char *name, uint64_t min, uint64_t max, uint64_t *ret) _must_check_;

/* A UUID in lower case; left alone where @text is NULL. */
bool surface_uuid(Request *request, const char *name, const char *text, char ret[static UUID_TEXT_MAX]) _must_check_;

/* A word of the query that must be one of a table; left alone where it is not given. */
bool surface_word(Request *request, const char *name, const char *const *words, const char **ret) _must_check_;

/* A point in time of the query as RFC 3339; left alone where it is not given. */
bool surface_time(Request *request, const char *name, usec_t *ret) _must_check_;

/* The body as JSON, of the wanted type; the caller's reference. */
bool surface_body(Request *request, enum json_type type, struct json_object **ret) _must_check_;

/* Whether the request's key may know of the user; else there is none (404). @user_id: lower case. */
bool surface_user(Request *request, const char *user_id) _must_check_;
