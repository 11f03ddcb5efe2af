/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Reading JSON by json-c, strictly: RFC 8259, well-formed UTF-8, bounded depth. Writing: base/json-writer.h. */

#include <json-c/json.h>

#include "base/macros.h"

#define JSON_DEPTH_MAX 64

DEFINE_TRIVIAL_CLEANUP_FUNC(struct json_object *, json_object_put);
#define _cleanup_json_ _cleanup_(json_object_putp)

/**
 * json_parse() - one JSON value, all of the text
 * @ret: set on success only; the caller's reference; a JSON null gives a NULL object
 *
 * Return: 0; -EBADMSG (not JSON, not UTF-8, too deep, something after it); -ENOMEM.
 */
int json_parse(const char *text, size_t n, struct json_object **ret) _must_check_;

/* The value as compact text that a bus carries, see json_append_portable(); freed by the caller; NULL when out of
 * memory. */
char *json_to_text(struct json_object *value) _must_check_;

/* Whether objects and arrays are nested deeper than so many levels; 0 allows none, 1 those that hold none. */
bool json_is_deeper(struct json_object *value, unsigned depth_max);

/* Whether a whole number in it is not as it was written: json-c makes what is beyond 64 bits the most extreme one. So
 * these two, -2^63 and 2^64-1, count as well. */
bool json_has_cut_number(struct json_object *value);

/* Members by key; each leaves *ret alone where the key is absent or null.
 * Return: 1 set; 0 absent or null; -EINVAL of another type or out of range (-ENOMEM for strings). */
/* Borrowed from the object; no NUL inside. */
int json_get_string(struct json_object *object, const char *key, const char **ret);
int json_get_uint(struct json_object *object, const char *key, uint64_t *ret);
int json_get_double(struct json_object *object, const char *key, double *ret);
int json_get_bool(struct json_object *object, const char *key, bool *ret);
int json_get_object(struct json_object *object, const char *key, struct json_object **ret); /* borrowed */
int json_get_array(struct json_object *object, const char *key, struct json_object **ret);  /* borrowed */
