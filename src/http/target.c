/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "http/target.h"

#include <stdlib.h>
#include <string.h>

#include "base/string-util.h"

static int hex_digit(char c)
{
        return c >= '0' && c <= '9'   ? c - '0'
               : c >= 'a' && c <= 'f' ? c - 'a' + 10
               : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                      : -EINVAL;
}

/* A decoded copy of @n bytes. */
static int decode(const char *s, size_t n, bool plus_is_blank, char **ret)
{
        _cleanup_free_ char *text = malloc(n + 1);
        size_t used = 0;

        if (!text)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                unsigned char c = (unsigned char) s[i];

                if (c == '%') {
                        int high = i + 2 < n ? hex_digit(s[i + 1]) : -EINVAL;
                        int low = high >= 0 ? hex_digit(s[i + 2]) : -EINVAL;

                        if (low < 0)
                                return -EINVAL;
                        c = (unsigned char) (high * 16 + low);
                        i += 2;
                } else if (c == '+' && plus_is_blank)
                        c = ' ';
                if (c < ' ' || c == 0x7f)
                        return -EINVAL;
                text[used++] = (char) c;
        }
        if (!utf8_is_valid(text, used))
                return -EINVAL;
        text[used] = '\0';
        *ret = TAKE_PTR(text);
        return 0;
}

void target_done(Target *target)
{
        for (size_t i = 0; i < target->n_segments; i++)
                free(target->segments[i]);
        for (size_t i = 0; i < target->n_parameters; i++) {
                free(target->parameters[i].name);
                free(target->parameters[i].value);
        }
        free(target->parameters);
        *target = (Target){};
}

static int parse_path(const char *path, size_t n, Target *target)
{
        int r;

        if (n == 0 || path[0] != '/')
                return -EINVAL;
        if (n == 1)
                return 0;
        for (size_t begin = 1, end; begin <= n; begin = end + 1) {
                for (end = begin; end < n && path[end] != '/'; end++)
                        ;
                if (target->n_segments == TARGET_SEGMENTS_MAX)
                        return -E2BIG;
                r = decode(path + begin, end - begin, false, &target->segments[target->n_segments]);
                if (r < 0)
                        return r;
                target->n_segments++;
        }
        return 0;
}

static int parse_parameter(const char *s, size_t n, Target *target)
{
        TargetParameter *p = &target->parameters[target->n_parameters];
        const char *equals = memchr(s, '=', n);
        size_t name_size = equals ? (size_t) (equals - s) : n;
        int r;

        target->n_parameters++;
        r = decode(s, name_size, true, &p->name);
        if (r < 0)
                return r;
        return decode(s + name_size + (equals != NULL), n - name_size - (equals != NULL), true, &p->value);
}

static int parse_query(const char *query, Target *target)
{
        int r;

        target->parameters = calloc(TARGET_PARAMETERS_MAX, sizeof(TargetParameter));
        if (!target->parameters)
                return -ENOMEM;
        while (*query) {
                size_t n = strcspn(query, "&");

                if (n > 0 && target->n_parameters == TARGET_PARAMETERS_MAX)
                        return -E2BIG;
                if (n > 0) {
                        r = parse_parameter(query, n, target);
                        if (r < 0)
                                return r;
                }
                query += n + (query[n] == '&');
        }
        return 0;
}

int target_parse(const char *text, Target *ret)
{
        _cleanup_target_ Target target = {};
        const char *query;
        size_t n;
        int r;

        if (strpbrk(text, " \t"))
                return -EINVAL;
        if (streq(text, "*")) {
                *ret = (Target){ .is_server = true };
                return 0;
        }
        /* What proxies are sent, servers must take, too. */
        if (strncasecmp(text, "http://", strlen("http://")) == 0) {
                text += strlen("http://");
                text += strcspn(text, "/?");
        }
        n = strcspn(text, "?#");
        query = text[n] == '?' ? text + n + 1 : "";
        r = parse_path(text, n, &target);
        if (r >= 0 && *query)
                r = parse_query(query, &target);
        if (r < 0)
                return r;
        *ret = target;
        target = (Target){};
        return 0;
}

const char *target_get(const Target *target, const char *name)
{
        for (size_t i = target->n_parameters; i > 0; i--)
                if (streq(target->parameters[i - 1].name, name))
                        return target->parameters[i - 1].value;
        return NULL;
}
