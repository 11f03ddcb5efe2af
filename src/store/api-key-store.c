/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* API keys: what is kept of each, until it is revoked. */

#include <stdlib.h>

#include "store/store-private.h"

typedef struct ApiKeyWrite {
        Write write;
        ApiKey key;
} ApiKeyWrite;

static void free_api_key(Write *write)
{
        api_key_done(&container_of(write, ApiKeyWrite, write)->key);
}

static int apply_insert(Write *write, Db *db, Retention *retention)
{
        static const char sql[] =
                        "INSERT INTO api_keys (name, hash, user, may_read, may_write, may_admin, created_usec,"
                        " created_by) VALUES (?, ?, (SELECT key FROM users WHERE id = ?), ?, ?, ?, ?, ?)";
        const ApiKey *key = &container_of(write, ApiKeyWrite, write)->key;
        _cleanup_query_ Query query = query_begin(db, sql);
        int r;

        if (key->user_id) {
                r = user_ensure(db, key->user_id, key->created_usec);
                if (r < 0)
                        return r;
        }
        query_bind_text(&query, key->name);
        query_bind_blob(&query, key->hash, sizeof(key->hash));
        query_bind_text(&query, key->user_id);
        for (int scope = 0; scope < _API_SCOPE_MAX; scope++)
                query_bind_int(&query, (key->scopes & API_SCOPE_BIT(scope)) != 0);
        query_bind_uint(&query, key->created_usec);
        query_bind_text(&query, key->created_by);
        return MIN(query_run(&query), 0);
}

static int apply_used(Write *write, Db *db, Retention *retention)
{
        static const char sql[] = "UPDATE api_keys SET last_used_usec = ? WHERE name = ?";
        const ApiKey *key = &container_of(write, ApiKeyWrite, write)->key;
        _cleanup_query_ Query query = query_begin(db, sql);

        query_bind_uint(&query, key->last_used_usec);
        query_bind_text(&query, key->name);
        return MIN(query_run(&query), 0);
}

static int apply_delete(Write *write, Db *db, Retention *retention)
{
        static const char sql[] = "DELETE FROM api_keys WHERE name = ?";
        const ApiKey *key = &container_of(write, ApiKeyWrite, write)->key;
        _cleanup_query_ Query query = query_begin(db, sql);

        query_bind_text(&query, key->name);
        return MIN(query_run(&query), 0);
}

static int put(Store *store, const WriteType *type, const ApiKey *key)
{
        ApiKeyWrite *w;
        int r;

        r = store_may_put(store);
        if (r < 0)
                return r;
        w = store_write_new(ApiKeyWrite, type);
        if (!w)
                return -ENOMEM;
        r = api_key_copy(key, &w->key);
        if (r < 0) {
                store_write_free(&w->write);
                return r;
        }
        return store_put(store, &w->write);
}

int store_put_api_key(Store *store, const ApiKey *key)
{
        static const WriteType type = { apply_insert, free_api_key };

        return put(store, &type, key);
}

int store_put_api_key_use(Store *store, const char *name, usec_t last_used_usec)
{
        static const WriteType type = { apply_used, free_api_key };

        return put(store, &type, &(ApiKey) { .name = (char *) name, .last_used_usec = last_used_usec });
}

int store_delete_api_key(Store *store, const char *name)
{
        static const WriteType type = { apply_delete, free_api_key };

        return put(store, &type, &(ApiKey) { .name = (char *) name });
}

static int read_api_key(Query *query, ApiKey *ret)
{
        ret->name = query_get_text(query);
        query_get_blob(query, ret->hash, sizeof(ret->hash));
        ret->user_id = query_get_text(query);
        for (int scope = 0; scope < _API_SCOPE_MAX; scope++)
                if (query_get_int(query) != 0)
                        ret->scopes |= API_SCOPE_BIT(scope);
        ret->created_usec = query_get_uint(query);
        ret->created_by = query_get_text(query);
        ret->last_used_usec = query_get_uint(query);
        return query_error(query);
}

int store_load_api_keys(Store *store, ApiKey **ret, size_t *ret_n)
{
        static const char sql[] = "SELECT name, hash, id, may_read, may_write, may_admin, created_usec, created_by,"
                                  " last_used_usec FROM api_keys LEFT JOIN users ON users.key = user ORDER BY name";
        _cleanup_query_ Query query = query_begin(store->reader, sql);
        size_t allocated = 0, n = 0;
        ApiKey *keys = NULL;
        int r;

        while ((r = query_step(&query)) > 0) {
                r = store_array_grow((void **) &keys, &allocated, n, sizeof(ApiKey));
                if (r < 0)
                        break;
                keys[n] = (ApiKey) {};
                r = read_api_key(&query, &keys[n++]);
                if (r < 0)
                        break;
        }
        if (r < 0) {
                api_keys_free(keys, n);
                return r;
        }
        *ret = keys;
        *ret_n = n;
        return 0;
}
