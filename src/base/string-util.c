/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "base/string-util.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

bool endswith(const char *s, const char *suffix)
{
        size_t n = strlen(s), m = strlen(suffix);

        return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

int free_and_strdup(char **p, const char *s)
{
        char *copy = NULL;

        if (streq_null(*p, s))
                return 0;
        if (s) {
                copy = strdup(s);
                if (!copy)
                        return -ENOMEM;
        }
        free(*p);
        *p = copy;
        return 1;
}

char *asprintf_or_null(const char *format, ...)
{
        va_list ap;
        char *s = NULL;
        int r;

        va_start(ap, format);
        r = vasprintf(&s, format, ap);
        va_end(ap);
        return r < 0 ? NULL : s;
}

char *strstrip(char *s)
{
        size_t n;

        s += strspn(s, WHITESPACE);
        n = strlen(s);
        while (n > 0 && strchr(WHITESPACE, s[n - 1]))
                n--;
        s[n] = '\0';
        return s;
}

int parse_boolean(const char *s)
{
        static const char *const yes[] = { "1", "yes", "y", "true", "t", "on" };
        static const char *const no[] = { "0", "no", "n", "false", "f", "off" };

        if (!s)
                return -EINVAL;
        for (size_t i = 0; i < ELEMENTSOF(yes); i++) {
                if (strcasecmp(s, yes[i]) == 0)
                        return 1;
                if (strcasecmp(s, no[i]) == 0)
                        return 0;
        }
        return -EINVAL;
}

int parse_uint64(const char *s, uint64_t *ret)
{
        char *end = NULL;
        unsigned long long value;

        if (isempty(s) || s[strspn(s, "0123456789")] != '\0')
                return -EINVAL;
        errno = 0;
        value = strtoull(s, &end, 10);
        if (errno > 0)
                return -errno;
        *ret = value;
        return 0;
}

/* Length of the well-formed UTF-8 character at @s, 0 if there is none. */
static size_t utf8_character(const unsigned char *s, size_t n, uint32_t *ret_code)
{
        uint32_t c;
        size_t length;

        *ret_code = s[0];

        if (s[0] < 0x80)
                return s[0] != 0;
        if (s[0] >= 0xc2 && s[0] <= 0xdf)
                length = 2, c = s[0] & 0x1fU;
        else if ((s[0] & 0xf0) == 0xe0)
                length = 3, c = s[0] & 0x0fU;
        else if (s[0] >= 0xf0 && s[0] <= 0xf4)
                length = 4, c = s[0] & 0x07U;
        else
                return 0;
        if (length > n)
                return 0;
        for (size_t i = 1; i < length; i++) {
                if ((s[i] & 0xc0) != 0x80)
                        return 0;
                c = c << 6 | (s[i] & 0x3fU);
        }
        if ((length == 3 && c < 0x800) || (length == 4 && (c < 0x10000 || c > 0x10ffff)) ||
            (c >= 0xd800 && c <= 0xdfff))
                return 0;
        *ret_code = c;
        return length;
}

/* As Unicode has them and sd-bus refuses them: the last two of each plane, and a range of 32. */
static bool is_noncharacter(uint32_t c)
{
        return (c & 0xfffe) == 0xfffe || (c >= 0xfdd0 && c <= 0xfdef);
}

size_t utf8_noncharacter(const char *s, size_t n, uint32_t *ret_code)
{
        uint32_t code;
        size_t length = utf8_character((const unsigned char *) s, n, &code);

        if (length == 0 || !is_noncharacter(code))
                return 0;
        *ret_code = code;
        return length;
}

/* C0 but tab and newline, DEL, and C1, which terminals obey too. */
static bool utf8_is_control(const unsigned char *s, size_t length)
{
        if (length == 1)
                return iscntrl(s[0]) && s[0] != '\t' && s[0] != '\n';
        return length == 2 && s[0] == 0xc2 && s[1] < 0xa0;
}

static bool utf8_check(const char *s, size_t n, bool with_noncharacters)
{
        for (size_t i = 0; i < n;) {
                uint32_t code;
                size_t length = utf8_character((const unsigned char *) s + i, n - i, &code);

                if (length == 0 || (is_noncharacter(code) && !with_noncharacters))
                        return false;
                i += length;
        }
        return true;
}

bool utf8_is_valid(const char *s, size_t n)
{
        return utf8_check(s, n, false);
}

bool utf8_is_well_formed(const char *s, size_t n)
{
        return utf8_check(s, n, true);
}

const char *utf8_mended(const char *s, char **ret_copy)
{
        size_t n = strlen(s);

        *ret_copy = NULL;
        if (utf8_check(s, n, false))
                return s;
        *ret_copy = utf8_sanitize(s, n, n * 3);
        return *ret_copy;
}

char *utf8_sanitize(const char *s, size_t n, size_t limit_bytes)
{
        static const char replacement[] = "\xef\xbf\xbd", ellipsis[] = "\xe2\x80\xa6";
        size_t room = limit_bytes > sizeof(ellipsis) - 1 ? limit_bytes - (sizeof(ellipsis) - 1) : 0;
        size_t used = 0, fits = 0;
        char *copy;

        copy = malloc(MIN(n * 3, limit_bytes) + sizeof(ellipsis) + 1);
        if (!copy)
                return NULL;
        for (size_t i = 0; i < n;) {
                const unsigned char *character = (const unsigned char *) s + i;
                uint32_t code;
                size_t length = utf8_character(character, n - i, &code);
                bool good = length > 0 && !utf8_is_control(character, length) && !is_noncharacter(code);
                const char *from = good ? s + i : replacement;
                size_t width = good ? length : sizeof(replacement) - 1;

                if (used + width > limit_bytes) {
                        memcpy(copy + fits, ellipsis, sizeof(ellipsis) - 1);
                        used = limit_bytes < sizeof(ellipsis) - 1 ? 0 : fits + sizeof(ellipsis) - 1;
                        break;
                }
                memcpy(copy + used, from, width);
                used += width;
                if (used <= room)
                        fits = used;
                i += length > 0 ? length : 1;
        }
        copy[used] = '\0';
        return copy;
}

static bool slug_is_valid(const char *s, size_t max)
{
        size_t n;

        if (!s)
                return false;
        n = strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_-");
        return n > 0 && n <= max && s[n] == '\0';
}

bool connector_name_is_valid(const char *s)
{
        return slug_is_valid(s, CONNECTOR_NAME_MAX) && s[0] >= 'a' && s[0] <= 'z';
}

bool provider_slug_is_valid(const char *s)
{
        return slug_is_valid(s, PROVIDER_SLUG_MAX);
}

char **strv_free(char **l)
{
        for (char **s = l; s && *s; s++)
                free(*s);
        free(l);
        return NULL;
}

size_t strv_length(char *const *l)
{
        size_t n = 0;

        STRV_FOREACH(s, l)
                n++;
        return n;
}

int strv_consume(char ***l, char *s)
{
        size_t n = strv_length(*l);
        char **longer;

        if (!s)
                return -ENOMEM;
        longer = reallocarray(*l, n + 2, sizeof(char *));
        if (!longer) {
                free(s);
                return -ENOMEM;
        }
        longer[n] = s;
        longer[n + 1] = NULL;
        *l = longer;
        return 0;
}

int strv_extend(char ***l, const char *s)
{
        return strv_consume(l, strdup(s));
}

int strv_copy(char *const *l, char ***ret)
{
        _cleanup_strv_free_ char **copy = NULL;
        int r;

        STRV_FOREACH(s, l) {
                r = strv_extend(&copy, *s);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(copy);
        return 0;
}

bool strv_contains(char *const *l, const char *s)
{
        STRV_FOREACH(i, l)
                if (streq(*i, s))
                        return true;
        return false;
}

char *strv_join(char *const *l, const char *separator)
{
        size_t size = 1, m = strlen(separator);
        char *joined, *p;

        STRV_FOREACH(s, l)
                size += strlen(*s) + m;
        joined = malloc(size);
        if (!joined)
                return NULL;
        p = joined;
        STRV_FOREACH(s, l) {
                if (s != l)
                        p = mempcpy(p, separator, m);
                p = stpcpy(p, *s);
        }
        *p = '\0';
        return joined;
}

int strv_split(const char *s, const char *separators, char ***ret)
{
        _cleanup_strv_free_ char **l = NULL;
        int r;

        for (const char *p = s + strspn(s, separators); *p; p += strspn(p, separators)) {
                size_t n = strcspn(p, separators);

                r = strv_consume(&l, strndup(p, n));
                if (r < 0)
                        return r;
                p += n;
        }
        *ret = TAKE_PTR(l);
        return 0;
}
