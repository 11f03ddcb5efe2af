/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "base/word.h"

#include "base/buffer.h"
#include "base/string-util.h"

static int hex_digit(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;
        return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* @n digits of a base at @s as a number; false where one is missing. */
static bool read_digits(const char *s, size_t n, int base, uint32_t *ret)
{
        uint32_t value = 0;

        for (size_t i = 0; i < n; i++) {
                int digit = hex_digit(s[i]);

                if (digit < 0 || digit >= base)
                        return false;
                value = value * (uint32_t) base + (uint32_t) digit;
        }
        *ret = value;
        return true;
}

static void append_character(Buffer *out, uint32_t c)
{
        if (c >= 0x80) {
                if (c >= 0x10000) {
                        buffer_append_char(out, (char) (0xf0 | c >> 18));
                        buffer_append_char(out, (char) (0x80 | (c >> 12 & 0x3f)));
                } else if (c >= 0x800)
                        buffer_append_char(out, (char) (0xe0 | c >> 12));
                if (c >= 0x800)
                        buffer_append_char(out, (char) (0x80 | (c >> 6 & 0x3f)));
                else
                        buffer_append_char(out, (char) (0xc0 | c >> 6));
                c = 0x80 | (c & 0x3f);
        }
        buffer_append_char(out, (char) c);
}

/* Surrogates and what Unicode says shall never be a character. */
static bool is_no_character(uint32_t c)
{
        return c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff) || (c >= 0xfdd0 && c <= 0xfdef) || (c & 0xfffe) == 0xfffe;
}

/* What stands behind a backslash; returns how many bytes it took, 0 if it is no escape. */
static size_t unescape(const char *s, Buffer *out)
{
        static const char letters[] = "abfnrtv\\\"'s", meanings[] = "\a\b\f\n\r\t\v\\\"' ";
        const char *letter = strchr(letters, s[0]);
        uint32_t c;

        if (s[0] == '\0')
                return 0;
        if (letter) {
                buffer_append_char(out, meanings[letter - letters]);
                return 1;
        }
        switch (s[0]) {
        case 'x':
                if (!read_digits(s + 1, 2, 16, &c) || c == 0)
                        return 0;
                buffer_append_char(out, (char) c);
                return 3;
        case 'u':
                if (!read_digits(s + 1, 4, 16, &c) || c == 0)
                        return 0;
                append_character(out, c);
                return 5;
        case 'U':
                if (!read_digits(s + 1, 8, 16, &c) || c == 0 || is_no_character(c))
                        return 0;
                append_character(out, c);
                return 9;
        default:
                if (!read_digits(s, 3, 8, &c) || c == 0 || c > 0xff)
                        return 0;
                buffer_append_char(out, (char) c);
                return 3;
        }
}

int word_extract(const char **p, char **ret, bool *ret_odd)
{
        _cleanup_buffer_ Buffer word = {};
        const char *s = *p + strspn(*p, WHITESPACE);
        bool odd = false;
        char quote = 0;
        int r;

        if (*s == '\0') {
                *p = s;
                return 0;
        }
        while (*s != '\0' && (quote != 0 || !strchr(WHITESPACE, *s)))
                if (*s == '\\') {
                        size_t n = unescape(s + 1, &word);

                        if (n == 0) {
                                odd = true;
                                buffer_append_char(&word, '\\');
                                if (s[1] != '\0')
                                        buffer_append_char(&word, s[++n]);
                        }
                        s += n + 1;
                } else {
                        if (quote == 0 && (*s == '"' || *s == '\''))
                                quote = *s;
                        else if (quote == *s)
                                quote = 0;
                        else
                                buffer_append_char(&word, *s);
                        s++;
                }
        if (quote != 0)
                return -EINVAL;
        r = buffer_take(&word, ret);
        if (r < 0)
                return r;
        if (odd && ret_odd)
                *ret_odd = true;
        *p = s + strspn(s, WHITESPACE);
        return 1;
}
