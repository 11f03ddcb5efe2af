/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "base/json-util.h"

#include <limits.h>
#include <math.h>
#include <string.h>

#include "base/string-util.h"

DEFINE_TRIVIAL_CLEANUP_FUNC(struct json_tokener *, json_tokener_free);

int json_parse(const char *text, size_t n, struct json_object **ret)
{
        _cleanup_(json_tokener_freep) struct json_tokener *tokener = NULL;
        _cleanup_json_ struct json_object *object = NULL;
        enum json_tokener_error error;

        if (n >= INT_MAX)
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
        } else if (error == json_tokener_success) {
                size_t end = json_tokener_get_parse_end(tokener);

                if (end + strspn(text + end, WHITESPACE) < n)
                        return -EBADMSG;
        }
        if (error != json_tokener_success)
                return -EBADMSG;
        *ret = TAKE_PTR(object);
        return 0;
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
