/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See json-canonical.h. A value is written while it is read. An object's members are written in the order that they
 * come in and put into order when it closes, if they were not. */

#include <stdlib.h>
#include <string.h>

#include "worker/json-canonical.h"

/* Integers of up to this many digits are written without exponent. */
#define PLAIN_DIGITS_MAX 21

/* Keys that are content hashes begin so (destination.h); a string that does is quoted. */
#define HASH_PREFIX "sha256:"

typedef struct Chunk {
        size_t offset;    /* in the output */
        size_t name_size; /* with quotes */
        size_t size;      /* NAME:VALUE */
} Chunk;

typedef struct Canonical {
        const char *at;
        const char *end;
        Buffer *out;
        Chunk *chunks; /* members of the objects that are open, innermost last */
        size_t n_chunks;
        size_t allocated;
} Canonical;

static void write_value(Canonical *c);

static void skip_spaces(Canonical *c)
{
        while (*c->at == ' ' || *c->at == '\t' || *c->at == '\n' || *c->at == '\r')
                c->at++;
}

/* Writes a control character, quote or backslash. */
static void write_escaped(Buffer *out, unsigned char byte)
{
        static const char named[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
        const char *found = byte ? strchr(named, byte) : NULL;

        if (found) {
                buffer_append_char(out, '\\');
                buffer_append_char(out, letters[found - named]);
        } else
                buffer_append_format(out, "\\u%04x", byte);
}

static void write_unicode(Canonical *c)
{
        unsigned unit = json_escape_read(c->at + 2);
        char utf8[4];

        c->at += 6;
        if ((unit & 0xf800) != 0xd800) {
                if (unit < 0x20 || unit == '"' || unit == '\\')
                        write_escaped(c->out, (unsigned char) unit);
                else
                        buffer_append(c->out, utf8, json_utf8_write(unit, utf8));
                return;
        }
        if ((unit & 0xfc00) == 0xd800 && c->at[0] == '\\' && c->at[1] == 'u') {
                unsigned low = json_escape_read(c->at + 2);

                if ((low & 0xfc00) == 0xdc00) {
                        c->at += 6;
                        unit = 0x10000 + ((unit & 0x3ff) << 10) + (low & 0x3ff);
                        buffer_append(c->out, utf8, json_utf8_write(unit, utf8));
                        return;
                }
        }
        buffer_append_format(c->out, "\\u%04x", unit);
}

static void write_string(Canonical *c)
{
        static const char letters[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";

        buffer_append_char(c->out, '"');
        c->at++;
        for (;;) {
                size_t run = 0;

                while (c->at[run] != '"' && c->at[run] != '\\')
                        run++;
                buffer_append(c->out, c->at, run);
                c->at += run;
                if (*c->at == '"')
                        break;
                if (c->at[1] == 'u') {
                        write_unicode(c);
                        continue;
                }
                char byte = meant[strchr(letters, c->at[1]) - letters];
                if (byte == '/')
                        buffer_append_char(c->out, byte);
                else
                        write_escaped(c->out, (unsigned char) byte);
                c->at += 2;
        }
        c->at++;
        buffer_append_char(c->out, '"');
}

/* The exponent behind e or E, held within what a line's digits can move it by. */
static int64_t read_exponent(const char *text, size_t size)
{
        int64_t value = 0;
        bool negative = false;

        for (size_t i = 0; i < size; i++) {
                if (text[i] == '-')
                        negative = true;
                else if (text[i] != '+' && value < INT64_MAX / 100)
                        value = value * 10 + (text[i] - '0');
        }
        return negative ? -value : value;
}

/* Behind digits that neither begin nor end with a zero. */
static void write_exponent(Buffer *out, int64_t exponent, size_t digits_at)
{
        size_t n_digits = out->size - digits_at;

        if (exponent >= 0 && n_digits + (uint64_t) exponent <= PLAIN_DIGITS_MAX)
                for (; exponent > 0; exponent--)
                        buffer_append_char(out, '0');
        else if (exponent != 0)
                buffer_append_format(out, "e%lld", (long long) exponent);
}

static void write_number(Canonical *c)
{
        const char *begin = c->at, *end, *exponent_at = NULL;
        bool negative = *begin == '-', fraction = false, leading = true;
        int64_t exponent = 0;
        size_t digits_at, sign_at = c->out->size;

        for (end = begin; end < c->end && strchr("+-.eE0123456789", *end) && *end; end++)
                if (*end == 'e' || *end == 'E')
                        exponent_at = end;
        c->at = end;
        if (exponent_at)
                exponent = read_exponent(exponent_at + 1, end - exponent_at - 1);

        if (negative)
                buffer_append_char(c->out, '-');
        digits_at = c->out->size;
        for (const char *p = begin + negative; p < (exponent_at ?: end); p++) {
                if (*p == '.') {
                        fraction = true;
                        continue;
                }
                if (fraction)
                        exponent--;
                if (leading && *p == '0')
                        continue;
                leading = false;
                buffer_append_char(c->out, *p);
        }
        while (c->out->size > digits_at && c->out->data[c->out->size - 1] == '0') {
                c->out->data[--c->out->size] = 0;
                exponent++;
        }
        if (c->out->size == digits_at && !c->out->failed) {
                c->out->size = sign_at; /* zero has no sign */
                buffer_append_char(c->out, '0');
        } else
                write_exponent(c->out, exponent, digits_at);
}

static int compare_chunks(const void *a, const void *b, void *userdata)
{
        const Chunk *x = a, *y = b;
        const Buffer *out = userdata;
        /* the closing quote is left out, so that "a" sorts before "a!" whatever follows */
        int r = memcmp(out->data + x->offset, out->data + y->offset, MIN(x->name_size, y->name_size) - 1);

        if (r != 0)
                return r;
        if (x->name_size != y->name_size)
                return x->name_size < y->name_size ? -1 : 1;
        return x->offset < y->offset ? -1 : 1;
}

static bool same_name(const Buffer *out, const Chunk *a, const Chunk *b)
{
        return a->name_size == b->name_size && memcmp(out->data + a->offset, out->data + b->offset, a->name_size) == 0;
}

/* Puts the members from @first on, which are the output from @begin on, into order. */
static void sort_members(Canonical *c, size_t first, size_t begin)
{
        Chunk *chunks = c->chunks + first;
        size_t n = c->n_chunks - first, size = c->out->size - begin;
        bool sorted = true;

        for (size_t i = 1; i < n && sorted; i++)
                sorted = compare_chunks(chunks + i - 1, chunks + i, c->out) < 0 &&
                         !same_name(c->out, chunks + i - 1, chunks + i);
        if (sorted)
                return;

        qsort_r(chunks, n, sizeof(*chunks), compare_chunks, c->out);
        char *copy = malloc(size);
        if (!copy) {
                c->out->failed = true;
                return;
        }
        size_t written = 0;
        for (size_t i = 0; i < n; i++) {
                if (i + 1 < n && same_name(c->out, chunks + i, chunks + i + 1))
                        continue;
                if (written > 0)
                        copy[written++] = ',';
                memcpy(copy + written, c->out->data + chunks[i].offset, chunks[i].size);
                written += chunks[i].size;
        }
        memcpy(c->out->data + begin, copy, written);
        c->out->size = begin + written;
        c->out->data[c->out->size] = 0;
        free(copy);
}

static int push_chunk(Canonical *c, Chunk chunk)
{
        if (c->n_chunks == c->allocated) {
                size_t allocated = MAX(c->allocated * 2, (size_t) 64);
                Chunk *larger = reallocarray(c->chunks, allocated, sizeof(*larger));

                if (!larger)
                        return -ENOMEM;
                c->chunks = larger;
                c->allocated = allocated;
        }
        c->chunks[c->n_chunks++] = chunk;
        return 0;
}

static void write_members(Canonical *c)
{
        size_t first = c->n_chunks, begin = c->out->size;

        for (;;) {
                Chunk chunk = { .offset = c->out->size };

                skip_spaces(c);
                write_string(c);
                chunk.name_size = c->out->size - chunk.offset;
                skip_spaces(c);
                c->at++; /* the colon */
                buffer_append_char(c->out, ':');
                write_value(c);
                if (c->out->failed)
                        return;
                chunk.size = c->out->size - chunk.offset;
                if (push_chunk(c, chunk) < 0) {
                        c->out->failed = true;
                        return;
                }
                skip_spaces(c);
                if (*c->at == '}')
                        break;
                c->at++; /* the comma */
                buffer_append_char(c->out, ',');
        }
        sort_members(c, first, begin);
        c->n_chunks = first;
}

static void write_elements(Canonical *c)
{
        for (;;) {
                write_value(c);
                skip_spaces(c);
                if (c->out->failed || *c->at == ']')
                        return;
                c->at++; /* the comma */
                buffer_append_char(c->out, ',');
        }
}

static void write_container(Canonical *c, char close)
{
        buffer_append_char(c->out, *c->at++);
        skip_spaces(c);
        if (*c->at != close) {
                if (close == '}')
                        write_members(c);
                else
                        write_elements(c);
        }
        if (c->out->failed)
                return;
        c->at++;
        buffer_append_char(c->out, close);
}

static void write_value(Canonical *c)
{
        skip_spaces(c);
        switch (*c->at) {
        case '{':
                write_container(c, '}');
                break;
        case '[':
                write_container(c, ']');
                break;
        case '"':
                write_string(c);
                break;
        case 't':
        case 'n':
                buffer_append(c->out, c->at, 4);
                c->at += 4;
                break;
        case 'f':
                buffer_append(c->out, c->at, 5);
                c->at += 5;
                break;
        default:
                write_number(c);
        }
}

void json_canonical_append(Buffer *out, JsonSlice value)
{
        Canonical c = { .at = value.data, .end = value.data + value.size, .out = out };

        write_value(&c);
        free(c.chunks);
}

static bool bare_is(JsonSlice bare, const char *word)
{
        return bare.size == strlen(word) && memcmp(bare.data, word, bare.size) == 0;
}

/* Whether a string without quotes would be read as something else. */
static bool looks_like_a_value(JsonSlice bare)
{
        switch (bare.size > 0 ? bare.data[0] : '{') {
        case '{':
        case '[':
                return true;
        case '-':
        case '0' ... '9':
                return json_scan(bare, 1, NULL, NULL, NULL) >= 0;
        case 't':
        case 'f':
        case 'n':
                return bare_is(bare, "true") || bare_is(bare, "false") || bare_is(bare, "null");
        default:
                return bare.size >= strlen(HASH_PREFIX) && memcmp(bare.data, HASH_PREFIX, strlen(HASH_PREFIX)) == 0;
        }
}

void json_key_append(Buffer *out, JsonSlice value)
{
        size_t begin = out->size;
        JsonSlice bare;

        if (value.data[0] == '"' && !memchr(value.data, '\\', value.size)) {
                bare = (JsonSlice){ value.data + 1, value.size - 2 };
                if (!looks_like_a_value(bare)) {
                        buffer_append(out, bare.data, bare.size);
                        return;
                }
        }
        json_canonical_append(out, value);
        if (out->failed || out->data[begin] != '"')
                return;
        bare = (JsonSlice){ out->data + begin + 1, out->size - begin - 2 };
        if (memchr(bare.data, '\\', bare.size) || looks_like_a_value(bare))
                return;
        memmove(out->data + begin, out->data + begin + 1, bare.size);
        out->size -= 2;
        out->data[out->size] = 0;
}
