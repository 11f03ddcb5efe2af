/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "base/json-util.h"

#include <ctype.h>
#include <limits.h>
#include <math.h>
#include <string.h>

#include "base/json-writer.h"
#include "base/string-util.h"

DEFINE_TRIVIAL_CLEANUP_FUNC(struct json_tokener *, json_tokener_free);

static void skip_space(const char **p, const char *end)
{
        while (*p < end && strchr(WHITESPACE, **p))
                (*p)++;
}

static bool skip_string(const char **p, const char *end)
{
        for ((*p)++; *p < end; (*p)++) {
                unsigned char c = (unsigned char) **p;

                if (c == '"') {
                        (*p)++;
                        return true;
                }
                if (c < 0x20)
                        return false;
                if (c != '\\')
                        continue;
                (*p)++;
                if (*p < end && **p == 'u') {
                        for (int i = 0; i < 4; i++)
                                if (++*p >= end || !isxdigit((unsigned char) **p))
                                        return false;
                } else if (*p >= end || !strchr("\"\\/bfnrt", **p)) {
                        return false;
                }
        }
        return false;
}

static bool skip_digits(const char **p, const char *end)
{
        const char *begin = *p;

        while (*p < end && **p >= '0' && **p <= '9')
                (*p)++;
        return *p > begin;
}

static bool skip_number(const char **p, const char *end)
{
        if (*p < end && **p == '-')
                (*p)++;
        if (*p < end && **p == '0')
                (*p)++;
        else if (!skip_digits(p, end))
                return false;
        if (*p < end && **p == '.') {
                (*p)++;
                if (!skip_digits(p, end))
                        return false;
        }
        if (*p < end && (**p == 'e' || **p == 'E')) {
                (*p)++;
                if (*p < end && (**p == '+' || **p == '-'))
                        (*p)++;
                return skip_digits(p, end);
        }
        return true;
}

static bool skip_scalar(const char **p, const char *end)
{
        static const char *const words[] = { "true", "false", "null" };

        if (**p == '"')
                return skip_string(p, end);
        for (size_t i = 0; i < ELEMENTSOF(words); i++) {
                size_t n = strlen(words[i]);

                if ((size_t) (end - *p) >= n && memcmp(*p, words[i], n) == 0) {
                        *p += n;
                        return true;
                }
        }
        return skip_number(p, end);
}

/* RFC 8259, to the letter: json-c, strict as it may be, takes NaN, "1.", "00", raw control characters, keys in single
 * quotes, a NUL as the text's end and more, and writes some of it out again. */
static bool is_json(const char *text, size_t n)
{
        enum { VALUE, FIRST_VALUE, KEY, FIRST_KEY, END } next = VALUE;
        const char *p = text, *end = text + n;
        uint64_t objects = 0; /* one bit for each level: is it an object? */
        unsigned depth = 0;

        static_assert(JSON_DEPTH_MAX <= 64, "a bit each");
        if (!utf8_is_well_formed(text, n))
                return false;
        for (;;) {
                skip_space(&p, end);
                if (p == end)
                        return next == END && depth == 0;
                if ((*p == ']' && (next == FIRST_VALUE || (next == END && depth > 0 && !(objects & 1)))) ||
                    (*p == '}' && (next == FIRST_KEY || (next == END && depth > 0 && (objects & 1))))) {
                        objects >>= 1;
                        depth--;
                        next = END;
                        p++;
                } else if (next == END) {
                        if (*p++ != ',' || depth == 0)
                                return false;
                        next = objects & 1 ? KEY : VALUE;
                } else if (next == KEY || next == FIRST_KEY) {
                        if (*p != '"' || !skip_string(&p, end))
                                return false;
                        skip_space(&p, end);
                        if (p == end || *p++ != ':')
                                return false;
                        next = VALUE;
                } else if (*p == '{' || *p == '[') {
                        if (++depth > JSON_DEPTH_MAX)
                                return false;
                        objects = objects << 1 | (*p == '{');
                        next = *p++ == '{' ? FIRST_KEY : FIRST_VALUE;
                } else {
                        if (!skip_scalar(&p, end))
                                return false;
                        next = END;
                }
        }
}

int json_parse(const char *text, size_t n, struct json_object **ret)
{
        _cleanup_(json_tokener_freep) struct json_tokener *tokener = NULL;
        _cleanup_json_ struct json_object *object = NULL;
        enum json_tokener_error error;

        if (n >= INT_MAX || !is_json(text, n))
                return -EBADMSG;
        tokener = json_tokener_new_ex(JSON_DEPTH_MAX);
        if (!tokener)
                return -ENOMEM;
        json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
        object = json_tokener_parse_ex(tokener, text, (int) n);
        error = json_tokener_get_error(tokener);
        if (error == json_tokener_continue) {
                /* A number or literal at the text's end is complete only when something follows it. */
                object = json_tokener_parse_ex(tokener, "\n", 1);
                error = json_tokener_get_error(tokener);
        }
        if (error != json_tokener_success)
                return -EBADMSG;
        *ret = TAKE_PTR(object);
        return 0;
}

char *json_to_text(struct json_object *value)
{
        _cleanup_buffer_ Buffer out = {};
        const char *text;
        char *copy;

        text = json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
        if (!text)
                return NULL;
        json_append_portable(&out, text, strlen(text));
        return buffer_take(&out, &copy) < 0 ? NULL : copy;
}

static struct json_object *member(struct json_object *object, const char *key)
{
        struct json_object *value = NULL;

        if (!json_object_is_type(object, json_type_object) || !json_object_object_get_ex(object, key, &value))
                return NULL;
        return value;
}

int json_get_string(struct json_object *object, const char *key, const char **ret)
{
        struct json_object *value = member(object, key);
        const char *s;

        if (!value)
                return 0;
        if (!json_object_is_type(value, json_type_string))
                return -EINVAL;
        s = json_object_get_string(value);
        if (!s)
                return -ENOMEM;
        if (strlen(s) != (size_t) json_object_get_string_len(value))
                return -EINVAL;
        *ret = s;
        return 1;
}

int json_get_uint(struct json_object *object, const char *key, uint64_t *ret)
{
        struct json_object *value = member(object, key);
        double d;

        if (!value)
                return 0;
        if (json_object_is_type(value, json_type_int)) {
                if (json_object_get_int64(value) < 0)
                        return -EINVAL;
                *ret = json_object_get_uint64(value);
                return 1;
        }
        /* Airbyte counts in doubles: 3.0 is a count, 3.5 is not. */
        if (!json_object_is_type(value, json_type_double))
                return -EINVAL;
        d = json_object_get_double(value);
        if (!(d >= 0 && d <= 9007199254740992.0) || d != floor(d))
                return -EINVAL;
        *ret = (uint64_t) d;
        return 1;
}

int json_get_double(struct json_object *object, const char *key, double *ret)
{
        struct json_object *value = member(object, key);

        if (!value)
                return 0;
        if (!json_object_is_type(value, json_type_double) && !json_object_is_type(value, json_type_int))
                return -EINVAL;
        *ret = json_object_get_double(value);
        return 1;
}

int json_get_bool(struct json_object *object, const char *key, bool *ret)
{
        struct json_object *value = member(object, key);

        if (!value)
                return 0;
        if (!json_object_is_type(value, json_type_boolean))
                return -EINVAL;
        *ret = json_object_get_boolean(value);
        return 1;
}

static int get_typed(struct json_object *object, const char *key, enum json_type type, struct json_object **ret)
{
        struct json_object *value = member(object, key);

        if (!value)
                return 0;
        if (!json_object_is_type(value, type))
                return -EINVAL;
        *ret = value;
        return 1;
}

int json_get_object(struct json_object *object, const char *key, struct json_object **ret)
{
        return get_typed(object, key, json_type_object, ret);
}

int json_get_array(struct json_object *object, const char *key, struct json_object **ret)
{
        return get_typed(object, key, json_type_array, ret);
}

bool json_is_deeper(struct json_object *value, unsigned depth_max)
{
        if (json_object_is_type(value, json_type_object)) {
                if (depth_max == 0)
                        return true;
                json_object_object_foreach(value, key, member_value) {
                        (void) key;
                        if (json_is_deeper(member_value, depth_max - 1))
                                return true;
                }
        } else if (json_object_is_type(value, json_type_array)) {
                if (depth_max == 0)
                        return true;
                for (size_t i = 0; i < json_object_array_length(value); i++)
                        if (json_is_deeper(json_object_array_get_idx(value, i), depth_max - 1))
                                return true;
        }
        return false;
}

bool json_has_cut_number(struct json_object *value)
{
        if (json_object_is_type(value, json_type_object)) {
                json_object_object_foreach(value, key, member_value) {
                        (void) key;
                        if (json_has_cut_number(member_value))
                                return true;
                }
        } else if (json_object_is_type(value, json_type_array)) {
                for (size_t i = 0; i < json_object_array_length(value); i++)
                        if (json_has_cut_number(json_object_array_get_idx(value, i)))
                                return true;
        } else if (json_object_is_type(value, json_type_int)) {
                return json_object_get_uint64(value) == UINT64_MAX || json_object_get_int64(value) == INT64_MIN;
        }
        return false;
}
