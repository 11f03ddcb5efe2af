/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Webhook endpoints and their secrets. */

#include <stdlib.h>

#include "store/store-private.h"
#include "store/webhook-store.h"

#define ENDPOINT_COLUMNS(P, W)                                                                                       \
        P(url, url, TEXT)                                                                                            \
        P(description, description, TEXT)                                                                            \
        P(user_id, user_id, TEXT)                                                                                    \
        W(disabled, disabled, webhook_disabled)                                                                      \
        P(disabled_usec, disabled_usec, USEC)                                                                        \
        P(failing_usec, failing_usec, USEC)                                                                          \
        P(failed_usec, failed_usec, USEC)                                                                            \
        P(updated_usec, updated_usec, USEC)

#define COLUMNS_OF WebhookEndpoint
static const Column columns[] = { ENDPOINT_COLUMNS(COLUMN_PLAIN, COLUMN_WORDS) };
#undef COLUMNS_OF

static const char find_sql[] = "SELECT key FROM webhook_endpoints WHERE id = ?";

/* ---- Writing */

typedef struct EndpointWrite {
        Write write;
        WebhookEndpoint endpoint;
        bool with_secrets;
} EndpointWrite;

#define SQL_COMMA_EXCLUDED(column, ...) ", " #column " = excluded." #column

static int write_endpoint(Db *db, const WebhookEndpoint *endpoint)
{
        static const char sql[] =
                "INSERT INTO webhook_endpoints (id, types, created_usec"
                ENDPOINT_COLUMNS(SQL_COMMA_NAME, SQL_COMMA_NAME) ") VALUES (?, ?, ?"
                ENDPOINT_COLUMNS(SQL_COMMA_VALUE, SQL_COMMA_VALUE) ")"
                " ON CONFLICT (id) DO UPDATE SET types = excluded.types"
                ENDPOINT_COLUMNS(SQL_COMMA_EXCLUDED, SQL_COMMA_EXCLUDED);
        _cleanup_query_ Query query = query_begin(db, sql);
        _cleanup_free_ char *types = NULL;
        int r;

        r = webhook_types_to_text(endpoint->types, &types);
        if (r < 0)
                return r;
        query_bind_text(&query, endpoint->id);
        query_bind_text(&query, types);
        query_bind_uint(&query, endpoint->created_usec);
        query_bind_columns(&query, columns, ELEMENTSOF(columns), endpoint);
        return MIN(query_run(&query), 0);
}

static int write_secrets(Db *db, const WebhookEndpoint *endpoint)
{
        static const char delete_sql[] = "DELETE FROM webhook_secrets WHERE endpoint = ?";
        static const char insert_sql[] = "INSERT INTO webhook_secrets (endpoint, secret, expires_usec)"
                                         " VALUES (?, ?, nullif(?, 0))";
        _cleanup_query_ Query delete = query_begin(db, delete_sql), insert = query_begin(db, insert_sql);
        int64_t key = store_find_key(db, find_sql, endpoint->id);
        int r;

        if (key <= 0)
                return key < 0 ? (int) key : -ENOENT;
        query_bind_int(&delete, key);
        r = query_run(&delete);
        for (size_t i = 0; i < endpoint->n_secrets && r >= 0; i++) {
                query_again(&insert);
                query_bind_int(&insert, key);
                query_bind_text(&insert, endpoint->secrets[i].text);
                query_bind_uint(&insert, endpoint->secrets[i].expires_usec);
                r = query_run(&insert);
        }
        return MIN(r, 0);
}

static int apply_endpoint(Write *write, Db *db, Retention *retention)
{
        EndpointWrite *e = container_of(write, EndpointWrite, write);
        int r;

        r = write_endpoint(db, &e->endpoint);
        return r < 0 || !e->with_secrets ? r : write_secrets(db, &e->endpoint);
}

static void free_endpoint(Write *write)
{
        webhook_endpoint_done(&container_of(write, EndpointWrite, write)->endpoint);
}

static const WriteType endpoint_write = { apply_endpoint, free_endpoint };

int store_put_webhook_endpoint(Store *store, const WebhookEndpoint *endpoint, bool with_secrets)
{
        EndpointWrite *e;
        int r;

        r = store_may_put(store);
        if (r < 0)
                return r;
        e = store_write_new(EndpointWrite, &endpoint_write);
        if (!e)
                return -ENOMEM;
        e->with_secrets = with_secrets;
        r = webhook_endpoint_copy(endpoint, &e->endpoint);
        if (r < 0) {
                store_write_free(&e->write);
                return r;
        }
        return store_put(store, &e->write);
}

/* ---- Reading */

static int read_secrets(Store *store, WebhookEndpoint *endpoint)
{
        static const char sql[] = "SELECT secret, ifnull(expires_usec, 0) FROM webhook_secrets"
                                  " WHERE endpoint = (SELECT key FROM webhook_endpoints WHERE id = ?) ORDER BY key";
        _cleanup_query_ Query query = query_begin(store->reader, sql);
        int r;

        query_bind_text(&query, endpoint->id);
        while ((r = query_step(&query)) > 0 && endpoint->n_secrets < WEBHOOK_SECRETS_MAX) {
                WebhookSecret *secret = &endpoint->secrets[endpoint->n_secrets++];

                secret->text = query_get_text(&query);
                secret->expires_usec = query_get_uint(&query);
                if (!secret->text)
                        return -ENOMEM;
        }
        return MIN(r, 0);
}

static int read_endpoint(Query *query, WebhookEndpoint *endpoint)
{
        const char *types;
        int r;

        endpoint->id = query_get_text(query);
        types = query_get_borrowed(query);
        r = query_error(query);
        if (r >= 0)
                r = webhook_types_from_text(types, &endpoint->types);
        if (r < 0)
                return r == -EINVAL ? -EUCLEAN : r;
        endpoint->created_usec = query_get_uint(query);
        query_get_columns(query, columns, ELEMENTSOF(columns), endpoint);
        return query_error(query);
}

static int read_endpoints(Store *store, WebhookEndpoint **endpoints, size_t *n)
{
        static const char sql[] = "SELECT id, types, created_usec" ENDPOINT_COLUMNS(SQL_COMMA_NAME, SQL_COMMA_NAME)
                                  " FROM webhook_endpoints WHERE removed = 0 ORDER BY key";
        _cleanup_query_ Query query = query_begin(store->reader, sql);
        size_t allocated = 0;
        int r;

        while ((r = query_step(&query)) > 0) {
                WebhookEndpoint *endpoint;

                r = store_array_grow((void **) endpoints, &allocated, *n, sizeof(WebhookEndpoint));
                if (r < 0)
                        return r;
                endpoint = &(*endpoints)[(*n)++];
                *endpoint = (WebhookEndpoint) { .disabled = _WEBHOOK_DISABLED_INVALID };
                r = read_endpoint(&query, endpoint);
                if (r >= 0)
                        r = read_secrets(store, endpoint);
                if (r < 0)
                        return r;
        }
        return r;
}

void webhook_endpoints_free(WebhookEndpoint *endpoints, size_t n)
{
        for (size_t i = 0; i < n; i++)
                webhook_endpoint_done(&endpoints[i]);
        free(endpoints);
}

int store_load_webhook_endpoints(Store *store, WebhookEndpoint **ret, size_t *ret_n)
{
        WebhookEndpoint *endpoints = NULL;
        size_t n = 0;
        int r;

        r = read_endpoints(store, &endpoints, &n);
        if (r < 0) {
                webhook_endpoints_free(endpoints, n);
                return r;
        }
        *ret = endpoints;
        *ret_n = n;
        return 0;
}
