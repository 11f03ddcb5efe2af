/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "base/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buffer_done(Buffer *buffer)
{
        free(buffer->data);
        *buffer = (Buffer) {};
}

void buffer_reset(Buffer *buffer)
{
        buffer->size = 0;
        buffer->failed = false;
        if (buffer->data)
                buffer->data[0] = '\0';
}

int buffer_reserve(Buffer *buffer, size_t n)
{
        size_t need, allocate;
        char *data;

        if (buffer->failed || n > SIZE_MAX / 2 - buffer->size) {
                buffer->failed = true;
                return -ENOMEM;
        }
        need = buffer->size + n + 1;
        if (need <= buffer->allocated)
                return 0;
        allocate = MAX(need, MAX((size_t) 64, buffer->allocated + buffer->allocated / 2));
        data = realloc(buffer->data, allocate);
        if (!data) {
                buffer->failed = true;
                return -ENOMEM;
        }
        buffer->data = data;
        buffer->allocated = allocate;
        return 0;
}

void buffer_append(Buffer *buffer, const void *data, size_t n)
{
        if (buffer_reserve(buffer, n) < 0)
                return;
        if (n > 0)
                memcpy(buffer->data + buffer->size, data, n);
        buffer->size += n;
        buffer->data[buffer->size] = '\0';
}

void buffer_append_string(Buffer *buffer, const char *s)
{
        buffer_append(buffer, s, strlen(s));
}

void buffer_append_char(Buffer *buffer, char c)
{
        buffer_append(buffer, &c, 1);
}

void buffer_append_uint(Buffer *buffer, uint64_t value)
{
        char text[20], *p = text + sizeof(text); /* UINT64_MAX has so many digits */

        do
                *--p = (char) ('0' + value % 10);
        while ((value /= 10) > 0);
        buffer_append(buffer, p, (size_t) (text + sizeof(text) - p));
}

void buffer_append_format(Buffer *buffer, const char *format, ...)
{
        va_list ap;
        int n;

        va_start(ap, format);
        n = vsnprintf(NULL, 0, format, ap);
        va_end(ap);
        if (n < 0 || buffer_reserve(buffer, (size_t) n) < 0) {
                buffer->failed = true;
                return;
        }
        va_start(ap, format);
        (void) vsnprintf(buffer->data + buffer->size, (size_t) n + 1, format, ap);
        va_end(ap);
        buffer->size += (size_t) n;
}

int buffer_take(Buffer *buffer, char **ret_text)
{
        if (buffer_reserve(buffer, 0) < 0) {
                buffer_done(buffer);
                return -ENOMEM;
        }
        buffer->data[buffer->size] = '\0';
        *ret_text = TAKE_PTR(buffer->data);
        *buffer = (Buffer) {};
        return 0;
}
