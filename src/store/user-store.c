/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Users: each UUID that a run, a connector or an API key named. */

#include <stdlib.h>
#include <string.h>

#include "base/string-util.h"
#include "store/event-loss.h"
#include "store/store-private.h"

typedef struct UserWrite {
        Write write;
        char id[UUID_TEXT_MAX];
        usec_t first_seen_usec;
} UserWrite;

int user_ensure(Db *db, const char *id, usec_t first_seen_usec)
{
        static const char sql[] = "INSERT INTO users (id, first_seen_usec) VALUES (?, ?) ON CONFLICT DO NOTHING";
        _cleanup_query_ Query query = query_begin(db, sql);

        query_bind_text(&query, id);
        query_bind_uint(&query, first_seen_usec);
        return MIN(query_run(&query), 0);
}

static int apply_user(Write *write, Db *db, Retention *retention)
{
        UserWrite *u = container_of(write, UserWrite, write);

        return user_ensure(db, u->id, u->first_seen_usec);
}

static void free_user(Write *write)
{
}

static const WriteType user_write = { apply_user, free_user, .keeps_runs = true };

int store_put_user(Store *store, const char *user_id, usec_t now_usec)
{
        UserWrite *u;
        int r;

        r = store_may_put(store);
        if (r < 0)
                return r;
        u = store_write_new(UserWrite, &user_write);
        if (!u)
                return -ENOMEM;
        r = uuid_normalize(user_id, u->id);
        if (r < 0) {
                store_write_free(&u->write);
                return r;
        }
        u->first_seen_usec = now_usec;
        return store_put(store, &u->write);
}

int store_user_exists(Store *store, const char *user_id)
{
        static const char sql[] = "SELECT key FROM users WHERE id = ?";
        int64_t key;

        key = store_find_key(store->reader, sql, user_id);
        return key < 0 ? (int) key : key > 0;
}

int store_count_users(Store *store, uint64_t *ret)
{
        static const char sql[] = "SELECT value FROM meta WHERE name = 'users'";

        return query_number(store->reader, sql, ret);
}

/* ---- The writer's thread */

const char *user_idle_sql(void)
{
        return "SELECT 1 FROM users WHERE key = ? AND n_runs = 0"
               " AND NOT EXISTS (SELECT 1 FROM events INDEXED BY events_by_user WHERE events.user = users.key)"
               " AND NOT EXISTS (SELECT 1 FROM api_keys INDEXED BY api_keys_by_user WHERE api_keys.user = users.key)"
               " AND NOT EXISTS (SELECT 1 FROM connectors INDEXED BY connectors_by_user"
               "                 WHERE connectors.user_id = users.id)"
               " AND NOT EXISTS (SELECT 1 FROM webhook_endpoints INDEXED BY webhook_endpoints_by_user"
               "                 WHERE webhook_endpoints.user_id = users.id)";
}

int user_forget_idle(Db *db, int64_t key, size_t limit, size_t *ret_n)
{
        static const char delete_sql[] = "DELETE FROM users WHERE key = ?";
        _cleanup_query_ Query idle = query_begin(db, user_idle_sql()), query = {};
        size_t n;
        int r;

        query_bind_int(&idle, key);
        r = query_step(&idle);
        if (r <= 0) {
                *ret_n = 0;
                return r;
        }
        query_end(&idle);
        /* Whoever gets the number next has lost nothing. */
        r = event_loss_forget_user(db, key, limit, &n);
        if (r < 0)
                return r;
        if (n < limit) {
                query = query_begin(db, delete_sql);
                query_bind_int(&query, key);
                r = query_run(&query);
                if (r < 0)
                        return r;
                n++;
        }
        *ret_n = n;
        return 0;
}

/* ---- Lists */

void user_records_free(UserRecord *users, size_t n)
{
        for (size_t i = 0; i < n; i++)
                free(users[i].id);
        free(users);
}

static int read_users(Query *query, UserRecord **users, size_t *n)
{
        size_t allocated = 0;
        int r;

        while ((r = query_step(query)) > 0) {
                UserRecord *user;

                r = store_array_grow((void **) users, &allocated, *n, sizeof(UserRecord));
                if (r < 0)
                        return r;
                user = &(*users)[(*n)++];
                user->id = query_get_text(query);
                user->first_seen_usec = query_get_uint(query);
                user->n_runs = query_get_uint(query);
                user->last_run_usec = query_get_uint(query);
                if (query_error(query) < 0)
                        return query_error(query);
        }
        return r;
}

int store_list_users(Store *store, const char *after_id, unsigned limit, UserRecord **ret, size_t *ret_n)
{
        static const char sql[] = "SELECT id, first_seen_usec, n_runs, last_run_usec FROM users WHERE id > ?"
                                  " ORDER BY id LIMIT ?";
        _cleanup_query_ Query query = {};
        UserRecord *users = NULL;
        size_t n = 0;
        int r;

        if (limit == 0 || limit > USERS_PAGE_MAX)
                return -EINVAL;
        query = query_begin(store->reader, sql);
        query_bind_text(&query, strempty(after_id));
        query_bind_uint(&query, limit);
        r = read_users(&query, &users, &n);
        if (r < 0) {
                user_records_free(users, n);
                return r;
        }
        *ret = users;
        *ret_n = n;
        return 0;
}
