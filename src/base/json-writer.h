/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Writes JSON straight into a Buffer: compact, keys in the order written, UTF-8 unescaped (C17), commas by itself.
 * A key of NULL writes an array's element. Text that is not UTF-8 is mended with U+FFFD; noncharacters are escaped, so
 * that a bus carries all that is written here. Out of memory is remembered in the buffer and found by buffer_take().
 * Reading is json-c's: see base/json-util.h. */

#include "base/buffer.h"

typedef struct JsonWriter {
        Buffer *out; /* borrowed */
        bool comma;  /* a value was written at this level */
} JsonWriter;

#define JSON_WRITER_INIT(buffer) { .out = (buffer) }

void json_open_object(JsonWriter *w, const char *key);
void json_close_object(JsonWriter *w);
void json_open_array(JsonWriter *w, const char *key);
void json_close_array(JsonWriter *w);
void json_write_string(JsonWriter *w, const char *key, const char *value); /* NULL writes null */
void json_write_string_n(JsonWriter *w, const char *key, const char *value, size_t n);
void json_write_uint(JsonWriter *w, const char *key, uint64_t value);
void json_write_int(JsonWriter *w, const char *key, int64_t value);
void json_write_bool(JsonWriter *w, const char *key, bool value);
void json_write_null(JsonWriter *w, const char *key);

/* A fraction as Python writes a float: the shortest that reads back the same, always with a point or exponent
 * (C15). */
void json_write_double(JsonWriter *w, const char *key, double value);

/* An ISO timestamp (C16), null for USEC_INFINITY or 0. */
void json_write_timestamp(JsonWriter *w, const char *key, usec_t value);

/* Appends JSON text with each noncharacter as its escape: the same value, and utf8_is_valid(). */
void json_append_portable(Buffer *out, const char *json, size_t n);

/* Text that is already JSON, by json_append_portable(); NULL or "" writes null. */
void json_write_raw(JsonWriter *w, const char *key, const char *json);
