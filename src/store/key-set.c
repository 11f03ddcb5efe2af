/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "store/key-set.h"

#include <stdlib.h>

#define uthash_nonfatal_oom(element) (element)->kept = false
#include <uthash.h>

#define BEFORE_ALL (-1) /* keys begin at 0 */

struct Key {
        int64_t key;
        bool kept;
        UT_hash_handle hh;
};

void key_set_clear(KeySet *set)
{
        Key *key, *next;

        HASH_ITER(hh, set->keys, key, next) {
                HASH_DEL(set->keys, key);
                free(key);
        }
        *set = (KeySet){ .all = true, .position = BEFORE_ALL };
}

void key_set_add(KeySet *set, int64_t value)
{
        Key *key;

        HASH_FIND(hh, set->keys, &value, sizeof(value), key);
        if (key)
                return;
        key = malloc(sizeof(Key));
        if (key) {
                *key = (Key){ .key = value, .kept = true };
                HASH_ADD(hh, set->keys, key, sizeof(key->key), key);
        }
        if (!key || !key->kept) {
                free(key);
                set->all = true;
                set->position = BEFORE_ALL;
        }
}

int key_set_peek(KeySet *set, Db *db, const char *next_sql, int64_t *ret)
{
        if (set->all) {
                _cleanup_query_ Query query = query_begin(db, next_sql);
                int r;

                query_bind_int(&query, set->position);
                r = query_step(&query);
                if (r > 0)
                        *ret = query_get_int(&query);
                if (r != 0)
                        return r;
                set->all = false;
                set->position = BEFORE_ALL;
        }
        if (!set->keys)
                return 0;
        *ret = set->keys->key;
        return 1;
}

void key_set_pop(KeySet *set, int64_t value)
{
        Key *key;

        if (set->all)
                set->position = value;
        HASH_FIND(hh, set->keys, &value, sizeof(value), key);
        if (key) {
                HASH_DEL(set->keys, key);
                free(key);
        }
}
