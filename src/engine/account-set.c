/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "engine/account-set.h"

#include "base/json-util.h"
#include "base/json-writer.h"
#include "base/string-util.h"

static bool has_name(struct json_object *set, const char *name)
{
        for (size_t i = 0; i < json_object_array_length(set); i++)
                if (streq(json_object_get_string(json_object_array_get_idx(set, i)), name))
                        return true;
        return false;
}

/* An array of texts; the history may be damaged. */
static int read_set(const char *text, struct json_object **ret)
{
        _cleanup_json_ struct json_object *set = NULL;
        int r;

        r = json_parse(text, strlen(text), &set);
        if (r < 0)
                return r;
        if (!json_object_is_type(set, json_type_array))
                return -EBADMSG;
        for (size_t i = 0; i < json_object_array_length(set); i++)
                if (!json_object_is_type(json_object_array_get_idx(set, i), json_type_string))
                        return -EBADMSG;
        *ret = TAKE_PTR(set);
        return 0;
}

int account_set_names(const char *set, char ***ret)
{
        _cleanup_json_ struct json_object *names = NULL;
        _cleanup_strv_free_ char **list = NULL;
        int r = 0;

        if (set)
                r = read_set(set, &names);
        for (size_t i = 0; r >= 0 && names && i < json_object_array_length(names); i++)
                r = strv_extend(&list, json_object_get_string(json_object_array_get_idx(names, i)));
        if (r < 0)
                return r;
        *ret = TAKE_PTR(list);
        return 0;
}

static int read_sets(const char *a, const char *b, struct json_object **ret_a, struct json_object **ret_b)
{
        int r;

        r = read_set(a, ret_a);
        return r < 0 ? r : read_set(b, ret_b);
}

static int write_set(struct json_object *set, char **ret)
{
        _cleanup_buffer_ Buffer buffer = {};
        JsonWriter w = JSON_WRITER_INIT(&buffer);

        json_open_array(&w, NULL);
        for (size_t i = 0; i < json_object_array_length(set); i++)
                json_write_string(&w, NULL, json_object_get_string(json_object_array_get_idx(set, i)));
        json_close_array(&w);
        return buffer_take(&buffer, ret);
}

int account_set_of(const Run *run, bool (*is_one)(const Account *account), char **ret)
{
        _cleanup_buffer_ Buffer buffer = {};
        JsonWriter w = JSON_WRITER_INIT(&buffer);
        size_t n = 0;
        int r;

        json_open_array(&w, NULL);
        for (size_t i = 0; i < run->n_accounts; i++)
                if (is_one(&run->accounts[i])) {
                        json_write_string(&w, NULL, run->accounts[i].name);
                        n++;
                }
        json_close_array(&w);
        if (n == 0)
                return 0;
        r = buffer_take(&buffer, ret);
        return r < 0 ? r : 1;
}

bool account_set_has(const char *set, const char *name)
{
        _cleanup_json_ struct json_object *names = NULL;

        return !set || (read_set(set, &names) >= 0 && has_name(names, name));
}

int account_set_contains(const char *a, const char *b)
{
        _cleanup_json_ struct json_object *first = NULL, *second = NULL;
        int r;

        if (!a || !b)
                return !a;
        r = read_sets(a, b, &first, &second);
        for (size_t i = 0; r >= 0 && i < json_object_array_length(second); i++)
                if (!has_name(first, json_object_get_string(json_object_array_get_idx(second, i))))
                        return 0;
        return r < 0 ? r : 1;
}

static size_t count_bytes(struct json_object *set)
{
        size_t n = 0;

        for (size_t i = 0; i < json_object_array_length(set); i++)
                n += strlen(json_object_get_string(json_object_array_get_idx(set, i))) + 1;
        return n;
}

/* Those of @b that @a has not are added to it. Return: 1; 0 (too many to be named together); -ENOMEM. */
static int add_all(struct json_object *a, struct json_object *b)
{
        for (size_t i = 0; i < json_object_array_length(b); i++) {
                struct json_object *name = json_object_array_get_idx(b, i);

                if (has_name(a, json_object_get_string(name)))
                        continue;
                if (json_object_array_add(a, json_object_get(name)) < 0) {
                        json_object_put(name);
                        return -ENOMEM;
                }
        }
        return json_object_array_length(a) <= ACCOUNTS_PER_RUN_MAX && count_bytes(a) <= ACCOUNTS_BYTES_MAX;
}

int account_set_join(const char *a, const char *b, char **ret)
{
        _cleanup_json_ struct json_object *first = NULL, *second = NULL;
        int r;

        *ret = NULL;
        if (!a || !b)
                return 0;
        r = read_sets(a, b, &first, &second);
        if (r >= 0)
                r = add_all(first, second);
        return r <= 0 ? r : write_set(first, ret);
}

/* Those of @a that are (@in), or are not, of @b. */
static int keep(const char *a, const char *b, bool in, char **ret)
{
        _cleanup_json_ struct json_object *first = NULL, *second = NULL;
        int r;

        r = read_sets(a, b, &first, &second);
        if (r < 0)
                return r;
        for (size_t i = json_object_array_length(first); i-- > 0;)
                if (has_name(second, json_object_get_string(json_object_array_get_idx(first, i))) != in)
                        (void) json_object_array_del_idx(first, i, 1);
        if (json_object_array_length(first) == 0)
                return 0;
        r = write_set(first, ret);
        return r < 0 ? r : 1;
}

static int copy(const char *set, char **ret)
{
        int r = free_and_strdup(ret, set);

        return r < 0 ? r : 1;
}

int account_set_intersect(const char *a, const char *b, char **ret)
{
        *ret = NULL;
        return !a ? copy(b, ret) : !b ? copy(a, ret) : keep(a, b, true, ret);
}

int account_set_remove(const char *a, const char *b, char **ret)
{
        if (!b)
                return 0;
        if (!a) {
                *ret = NULL;
                return 1;
        }
        return keep(a, b, false, ret);
}
