/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A growing run of bytes, always closed by a NUL that does not count. A failed append is remembered and later appends
 * do nothing, so that a writer checks once, at the end. */

#include "base/macros.h"

typedef struct Buffer {
        char *data;
        size_t size;
        size_t allocated;
        bool failed; /* an append found no memory; data is incomplete */
} Buffer;

void buffer_done(Buffer *buffer);
#define _cleanup_buffer_ _cleanup_(buffer_done)

/* Empties it and forgets a failure; the memory is kept for the next use. */
void buffer_reset(Buffer *buffer);

/* Makes room for @n more bytes. Return: 0 or -ENOMEM. */
int buffer_reserve(Buffer *buffer, size_t n);

void buffer_append(Buffer *buffer, const void *data, size_t n);
void buffer_append_string(Buffer *buffer, const char *s);
void buffer_append_uint(Buffer *buffer, uint64_t value); /* in decimal digits */
void buffer_append_char(Buffer *buffer, char c);
void buffer_append_format(Buffer *buffer, const char *format, ...) _printf_(2, 3);

/**
 * buffer_take() - the text, from now on the caller's to free; the buffer is empty again
 * @ret_text: set on success only; "" for an empty buffer, never NULL
 *
 * Return: 0; -ENOMEM if any append had failed.
 */
int buffer_take(Buffer *buffer, char **ret_text) _must_check_;
