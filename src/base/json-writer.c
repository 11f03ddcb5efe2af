/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "base/json-writer.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/string-util.h"
#include "base/time-util.h"

/* Eight bytes at a time: the highest bit of a byte of the sum is set where that byte is wanted; what a borrow might
 * set wrongly only costs the slow way. */
static bool is_plain(const char s[static 8])
{
        const uint64_t ones = UINT64_C(0x0101010101010101), high = ones << 7;
        uint64_t word, quote, backslash;

        memcpy(&word, s, sizeof(word));
        quote = word ^ ones * '"';
        backslash = word ^ ones * '\\';
        return !((word | (word - ones * 0x20) | (quote - ones) | (backslash - ones)) & high);
}

/* Bytes at the beginning of @s that stand in a JSON string as they are and are ASCII. */
static size_t plain_length(const char *s, size_t n)
{
        size_t i = 0;

        while (i + 8 <= n && is_plain(s + i))
                i += 8;
        /* The last ones together with some that were looked at before. */
        if (i > 0 && i + 8 > n && is_plain(s + n - 8))
                return n;
        while (i < n && (unsigned char) s[i] >= 0x20 && (unsigned char) s[i] < 0x80 && s[i] != '"' && s[i] != '\\')
                i++;
        return i;
}

/* One that a bus does not carry, as ASCII. */
static void append_noncharacter(Buffer *out, uint32_t code)
{
        if (code < 0x10000)
                buffer_append_format(out, "\\u%04x", code);
        else
                buffer_append_format(out, "\\u%04x\\u%04x", 0xd800 + ((code - 0x10000) >> 10),
                                     0xdc00 + (code & 0x3ff));
}

void json_append_portable(Buffer *out, const char *json, size_t n)
{
        size_t copied = 0;

        for (size_t i = 0; i < n;) {
                uint32_t code;
                size_t length = (unsigned char) json[i] < 0xef ? 0 : utf8_noncharacter(json + i, n - i, &code);

                if (length == 0) {
                        i++;
                        continue;
                }
                buffer_append(out, json + copied, i - copied);
                append_noncharacter(out, code);
                copied = i += length;
        }
        buffer_append(out, json + copied, n - copied);
}

static void append_escaped(Buffer *out, const char *s, size_t n)
{
        static const char hex[] = "0123456789abcdef";
        size_t plain = 0;

        buffer_append_char(out, '"');
        for (size_t i = 0; i < n; i++) {
                unsigned char c = (unsigned char) s[i];
                char escape[7] = { '\\', 'u', '0', '0', hex[c >> 4], hex[c & 0xf], 0 };

                if (c >= 0x20 && c != '"' && c != '\\')
                        continue;
                json_append_portable(out, s + plain, i - plain);
                plain = i + 1;
                switch (c) {
                case '"': buffer_append_string(out, "\\\""); break;
                case '\\': buffer_append_string(out, "\\\\"); break;
                case '\b': buffer_append_string(out, "\\b"); break;
                case '\f': buffer_append_string(out, "\\f"); break;
                case '\n': buffer_append_string(out, "\\n"); break;
                case '\r': buffer_append_string(out, "\\r"); break;
                case '\t': buffer_append_string(out, "\\t"); break;
                default: buffer_append_string(out, escape);
                }
        }
        json_append_portable(out, s + plain, n - plain);
        buffer_append_char(out, '"');
}

/* What needs no escape, between @head and @tail, where they are not 0. */
static void append_plain(Buffer *out, char head, const char *s, size_t n, char tail)
{
        char *p;

        if (buffer_reserve(out, n + 4) < 0)
                return;
        p = out->data + out->size;
        if (head)
                *p++ = head;
        *p++ = '"';
        if (n > 0)
                p = mempcpy(p, s, n);
        *p++ = '"';
        if (tail)
                *p++ = tail;
        *p = '\0';
        out->size = (size_t) (p - out->data);
}

static void append_quoted(Buffer *out, const char *s, size_t n)
{
        if (plain_length(s, n) < n)
                append_escaped(out, s, n);
        else
                append_plain(out, 0, s, n, 0);
}

static void begin(JsonWriter *w, const char *key)
{
        size_t n = key ? strlen(key) : 0;
        bool comma = w->comma;

        w->comma = true;
        if (key && plain_length(key, n) == n) {
                append_plain(w->out, comma ? ',' : 0, key, n, ':');
                return;
        }
        if (comma)
                buffer_append_char(w->out, ',');
        if (!key)
                return;
        append_escaped(w->out, key, n);
        buffer_append_char(w->out, ':');
}

void json_open_object(JsonWriter *w, const char *key)
{
        begin(w, key);
        buffer_append_char(w->out, '{');
        w->comma = false;
}

void json_close_object(JsonWriter *w)
{
        buffer_append_char(w->out, '}');
        w->comma = true;
}

void json_open_array(JsonWriter *w, const char *key)
{
        begin(w, key);
        buffer_append_char(w->out, '[');
        w->comma = false;
}

void json_close_array(JsonWriter *w)
{
        buffer_append_char(w->out, ']');
        w->comma = true;
}

void json_write_string_n(JsonWriter *w, const char *key, const char *value, size_t n)
{
        begin(w, key);
        if (plain_length(value, n) == n) {
                append_plain(w->out, 0, value, n, 0);
        } else if (utf8_is_well_formed(value, n)) {
                append_escaped(w->out, value, n);
        } else {
                _cleanup_free_ char *mended = utf8_sanitize(value, n, n * 3);

                if (!mended)
                        w->out->failed = true;
                else
                        append_quoted(w->out, mended, strlen(mended));
        }
}

void json_write_string(JsonWriter *w, const char *key, const char *value)
{
        if (value)
                json_write_string_n(w, key, value, strlen(value));
        else
                json_write_null(w, key);
}

void json_write_uint(JsonWriter *w, const char *key, uint64_t value)
{
        begin(w, key);
        buffer_append_uint(w->out, value);
}

void json_write_int(JsonWriter *w, const char *key, int64_t value)
{
        begin(w, key);
        buffer_append_format(w->out, "%" PRIi64, value);
}

void json_write_bool(JsonWriter *w, const char *key, bool value)
{
        begin(w, key);
        buffer_append_string(w->out, value ? "true" : "false");
}

void json_write_null(JsonWriter *w, const char *key)
{
        begin(w, key);
        buffer_append_string(w->out, "null");
}

void json_write_double(JsonWriter *w, const char *key, double value)
{
        char text[32];

        if (!isfinite(value)) {
                json_write_null(w, key);
                return;
        }
        for (int precision = 15; precision <= 17; precision++) {
                (void) snprintf(text, sizeof(text), "%.*g", precision, value);
                if (strtod(text, NULL) == value)
                        break;
        }
        begin(w, key);
        buffer_append_string(w->out, text);
        if (!strpbrk(text, ".e"))
                buffer_append_string(w->out, ".0");
}

void json_write_timestamp(JsonWriter *w, const char *key, usec_t value)
{
        char text[TIMESTAMP_TEXT_MAX];

        if (value == 0 || !timestamp_format_iso(text, sizeof(text), value)) {
                json_write_null(w, key);
                return;
        }
        begin(w, key);
        append_plain(w->out, 0, text, strlen(text), 0);
}

void json_write_raw(JsonWriter *w, const char *key, const char *json)
{
        begin(w, key);
        if (isempty(json))
                json = "null";
        json_append_portable(w->out, json, strlen(json));
}
