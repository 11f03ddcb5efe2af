/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Our scanner against json-c on any bytes: what it accepts, json-c accepts and reads alike, member by member; what it
 * refuses, json-c refuses too, but for what JsonFault names. The canonical text is the same value, and its own
 * canonical text. */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json-util.h"
#include "worker/json-canonical.h"

/* Texts and names are compared as C strings by json-c. */
#define NUL_ESCAPE     "\\u0000"
#define DOUBLE_INT_MAX 9007199254740992.0
/* Members that are tried as known values. */
#define KNOWN_MAX      16U

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static JsonIndex json_index;

static bool is_number(struct json_object *value)
{
        return json_object_is_type(value, json_type_int) || json_object_is_type(value, json_type_double);
}

static bool same(struct json_object *a, struct json_object *b);

static bool same_arrays(struct json_object *a, struct json_object *b)
{
        if (json_object_array_length(a) != json_object_array_length(b))
                return false;
        for (size_t i = 0; i < json_object_array_length(a); i++)
                if (!same(json_object_array_get_idx(a, i), json_object_array_get_idx(b, i)))
                        return false;
        return true;
}

static bool same_objects(struct json_object *a, struct json_object *b)
{
        if (json_object_object_length(a) != json_object_object_length(b))
                return false;
        json_object_object_foreach(a, name, value)
        {
                struct json_object *other;

                if (!json_object_object_get_ex(b, name, &other) || !same(value, other))
                        return false;
        }
        return true;
}

/* Equal, where a whole number and a double may be the same one; whole numbers that a double cannot hold pass. */
static bool same(struct json_object *a, struct json_object *b)
{
        if (is_number(a) && is_number(b)) {
                double x = json_object_get_double(a), y = json_object_get_double(b);

                return x == y || fabs(x) >= DOUBLE_INT_MAX || fabs(y) >= DOUBLE_INT_MAX;
        }
        if (json_object_get_type(a) != json_object_get_type(b))
                return false;
        if (json_object_is_type(a, json_type_array))
                return same_arrays(a, b);
        if (json_object_is_type(a, json_type_object))
                return same_objects(a, b);
        return json_object_equal(a, b);
}

static void check_members(struct json_object *object, uint32_t parent)
{
        json_object_object_foreach(object, name, value)
        {
                _cleanup_json_ struct json_object *found = NULL;
                JsonSlice slice, again, around;
                uint32_t member;

                around = parent == JSON_PARENT_NONE ? json_index.text : json_index.members[parent].value;
                if (!json_index_find(&json_index, parent, name, NULL, &slice, &member)) {
                        /* a lone surrogate has become U+FFFD there */
                        if (strstr(name, "\xef\xbf\xbd"))
                                continue;
                        abort();
                }
                if (!json_slice_find(around, name, NULL, &again) || again.data != slice.data ||
                    again.size != slice.size)
                        abort();
                if (json_parse(slice.data, slice.size, &found) < 0 || !json_object_equal(found, value))
                        abort();
                if (json_object_is_type(value, json_type_string)) {
                        char *text = malloc(slice.size + 1);
                        size_t n = json_string_decode(slice, text);

                        if (n != (size_t) json_object_get_string_len(value) ||
                            memcmp(text, json_object_get_string(value), n) != 0)
                                abort();
                        free(text);
                }
                if (member != JSON_PARENT_NONE && parent == JSON_PARENT_NONE &&
                    json_object_is_type(value, json_type_object))
                        check_members(value, member);
        }
}

/* That a value was checked before changes nothing of what is found, but for what is inside it. */
static void check_known(JsonSlice text, JsonSlice known)
{
        static JsonIndex again;
        uint32_t a, b;

        if (json_index.incomplete)
                return;
        again.known = known;
        if (json_scan(text, JSON_DEPTH_MAX, &again, NULL, NULL) < 0)
                abort();
        for (a = json_index.last, b = again.last; a != JSON_PARENT_NONE && b != JSON_PARENT_NONE;
             a = json_index.members[a].previous, b = again.members[b].previous) {
                const JsonMember *x = json_index.members + a, *y = again.members + b;

                if (x->name.data != y->name.data || x->name.size != y->name.size || x->value.data != y->value.data ||
                    x->value.size != y->value.size || x->kind != y->kind || x->escaped != y->escaped)
                        abort();
        }
        if (a != b)
                abort();
}

static void check_canonical(JsonSlice text, struct json_object *expected, bool compare)
{
        _cleanup_json_ struct json_object *read_back = NULL;
        Buffer first = {}, second = {};

        json_canonical_append(&first, text);
        if (json_scan((JsonSlice){ first.data, first.size }, JSON_DEPTH_MAX, NULL, NULL, NULL) < 0)
                abort();
        json_canonical_append(&second, (JsonSlice){ first.data, first.size });
        if (first.size != second.size || memcmp(first.data, second.data, first.size) != 0)
                abort();
        if (compare && (json_parse(first.data, first.size, &read_back) < 0 || !same(expected, read_back)))
                abort();
        buffer_done(&first);
        buffer_done(&second);
}

static bool json_c_is_laxer(JsonFault fault, const char *text, size_t size, size_t offset)
{
        size_t begin = strspn(text, " \t\r\n");

        if (fault == JSON_FAULT_WORD || fault == JSON_FAULT_NUMBER || fault == JSON_FAULT_CONTROL ||
            fault == JSON_FAULT_UTF8)
                return true;
        if (fault == JSON_FAULT_SYNTAX)
                return text[offset] == '\''; /* around names */
        return fault == JSON_FAULT_TRUNCATED && (text[begin] == '-' || (text[begin] >= '0' && text[begin] <= '9'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_json_ struct json_object *object = NULL;
        char *text = malloc(size + 1);
        JsonSlice slice = { text, size };
        JsonFault fault;
        size_t offset;
        int ours, theirs;

        memcpy(text, data, size);
        text[size] = 0;
        ours = json_scan(slice, JSON_DEPTH_MAX, &json_index, &fault, &offset);
        theirs = json_parse(text, size, &object);
        if (ours < 0 && theirs >= 0 && !json_c_is_laxer(fault, text, size, offset))
                abort();
        if (ours >= 0) {
                bool compare = !memmem(text, size, NUL_ESCAPE, strlen(NUL_ESCAPE));

                if (theirs < 0)
                        abort();
                if (compare && json_object_is_type(object, json_type_object))
                        check_members(object, JSON_PARENT_NONE);
                for (uint32_t i = 0; i < json_index.n_members && i < KNOWN_MAX; i++)
                        if (json_index.members[i].kind == JSON_KIND_OBJECT)
                                check_known(slice, json_index.members[i].value);
                /* json-c makes U+FFFD of lone surrogates, which may make two names one */
                check_canonical(slice, object, compare && !strcasestr(text, "\\ud"));
        }
        free(text);
        return 0;
}
