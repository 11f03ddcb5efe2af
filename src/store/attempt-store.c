/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Webhook deliveries that are due, and what came of their attempts. */

#include <stdlib.h>

#include "base/string-util.h"
#include "store/store-private.h"
#include "store/webhook-store.h"

/* ---- What is due */

void due_delivery_done(DueDelivery *delivery)
{
        free(delivery->message_id);
        free(delivery->user_id);
        free(delivery->body);
        *delivery = (DueDelivery) {};
}

void due_deliveries_free(DueDelivery *deliveries, size_t n)
{
        for (size_t i = 0; i < n; i++)
                due_delivery_done(&deliveries[i]);
        free(deliveries);
}

static int read_due(Query *query, DueDelivery **deliveries, size_t *n)
{
        size_t allocated = 0;
        int r;

        while ((r = query_step(query)) > 0) {
                DueDelivery *d;

                r = store_array_grow((void **) deliveries, &allocated, *n, sizeof(DueDelivery));
                if (r < 0)
                        return r;
                d = &(*deliveries)[(*n)++];
                d->key = query_get_int(query);
                d->message_id = query_get_text(query);
                d->type = webhook_type_from_string(query_get_borrowed(query));
                d->user_id = query_get_text(query);
                d->body = query_get_text(query);
                d->due_usec = query_get_uint(query);
                d->n_attempts = (unsigned) query_get_uint(query);
                d->manual = query_get_int(query) != 0;
                d->generation = query_get_int(query);
                if (query_error(query) < 0)
                        return query_error(query);
        }
        return r;
}

int store_list_due_deliveries(Store *store, const char *endpoint_id, unsigned limit, DueDelivery **ret, size_t *ret_n)
{
        static const char sql[] =
                "SELECT d.key, m.id, m.type, m.user_id, m.body, d.due_usec, d.n_attempts, d.manual, d.generation"
                " FROM webhook_deliveries AS d INDEXED BY webhook_deliveries_due"
                " JOIN webhook_messages AS m ON m.key = d.message"
                " WHERE d.endpoint = (SELECT key FROM webhook_endpoints WHERE id = ? AND hold_upto IS NULL)"
                " AND d.state = 'pending'"
                " ORDER BY d.due_usec, d.key LIMIT ?";
        _cleanup_query_ Query query = query_begin(store->reader, sql);
        DueDelivery *deliveries = NULL;
        size_t n = 0;
        int r;

        query_bind_text(&query, endpoint_id);
        query_bind_uint(&query, limit);
        r = read_due(&query, &deliveries, &n);
        if (r < 0) {
                due_deliveries_free(deliveries, n);
                return r;
        }
        *ret = deliveries;
        *ret_n = n;
        return 0;
}

/* ---- What came of it */

#define ATTEMPT_COLUMNS(P, W)                                                                                        \
        P(id, id, TEXT)                                                                                              \
        P(url, url, TEXT)                                                                                            \
        P(succeeded, succeeded, BOOL)                                                                                \
        P(manual, manual, BOOL)                                                                                      \
        P(http_status, http_status, UNSIGNED)                                                                        \
        P(started_usec, started_usec, UINT)                                                                          \
        P(duration_usec, duration_usec, UINT)                                                                        \
        P(retry, n_before, UNSIGNED)                                                                                 \
        P(error, error, TEXT)                                                                                        \
        P(answer, answer, TEXT)

#define COLUMNS_OF WebhookAttempt
static const Column columns[] = { ATTEMPT_COLUMNS(COLUMN_PLAIN, COLUMN_WORDS) };
#undef COLUMNS_OF

typedef struct AttemptWrite {
        Write write;
        int64_t delivery;
        int64_t generation;
        WebhookAttempt attempt;
        DeliveryState state;
        usec_t due_usec;
} AttemptWrite;

static int insert_attempt(Db *db, const AttemptWrite *a)
{
        /* Nameless parameters follow the highest number. */
        static const char sql[] = "INSERT INTO webhook_attempts (delivery, endpoint, connector"
                                  ATTEMPT_COLUMNS(SQL_COMMA_NAME, SQL_COMMA_NAME)
                                  ") SELECT d.key, d.endpoint, m.connector"
                                  ATTEMPT_COLUMNS(SQL_COMMA_VALUE, SQL_COMMA_VALUE)
                                  " FROM webhook_deliveries AS d JOIN webhook_messages AS m ON m.key = d.message"
                                  " WHERE d.key = ?";
        static const char trim_sql[] = "DELETE FROM webhook_attempts WHERE delivery = ?1 AND key <="
                                       " (SELECT key FROM webhook_attempts WHERE delivery = ?1"
                                       "  ORDER BY key DESC LIMIT 1 OFFSET ?2)";
        _cleanup_query_ Query query = query_begin(db, sql), trim = query_begin(db, trim_sql);
        int r;

        query_bind_columns(&query, columns, ELEMENTSOF(columns), &a->attempt);
        query_bind_int(&query, a->delivery);
        r = query_run(&query);
        if (r <= 0)
                return r;
        query_bind_int(&trim, a->delivery);
        query_bind_uint(&trim, WEBHOOK_ATTEMPTS_PER_DELIVERY_MAX);
        return query_run(&trim);
}

static int apply_attempt(Write *write, Db *db, Retention *retention)
{
        static const char sql[] = "UPDATE webhook_deliveries SET state = ?1,"
                                  " due_usec = CASE ?1 WHEN 'pending' THEN ?2 END, n_attempts = n_attempts + ?5,"
                                  " manual = 0 WHERE key = ?3 AND generation = ?4"
                                  " AND (state = 'pending' OR (state = 'held' AND ?1 = 'succeeded'))";
        AttemptWrite *a = container_of(write, AttemptWrite, write);
        _cleanup_query_ Query query = query_begin(db, sql);
        int r;

        query_bind_text(&query, delivery_state_to_string(a->state));
        query_bind_uint(&query, a->due_usec);
        query_bind_int(&query, a->delivery);
        query_bind_int(&query, a->generation);
        query_bind_int(&query, a->attempt.outdated ? 0 : 1);
        r = query_run(&query);
        return r < 0 ? r : insert_attempt(db, a);
}

static void free_attempt(Write *write)
{
        webhook_attempt_done(&container_of(write, AttemptWrite, write)->attempt);
}

static const WriteType attempt_write = { apply_attempt, free_attempt };

static int copy_attempt(const WebhookAttempt *attempt, WebhookAttempt *ret)
{
        ret->succeeded = attempt->succeeded;
        ret->manual = attempt->manual;
        ret->outdated = attempt->outdated;
        ret->http_status = attempt->http_status;
        ret->started_usec = attempt->started_usec;
        ret->duration_usec = attempt->duration_usec;
        ret->n_before = attempt->n_before;
        return free_and_strdup(&ret->id, attempt->id) < 0 || free_and_strdup(&ret->url, attempt->url) < 0 ||
                               free_and_strdup(&ret->error, attempt->error) < 0 ||
                               free_and_strdup(&ret->answer, attempt->answer) < 0
                       ? -ENOMEM
                       : 0;
}

int store_put_webhook_attempt(Store *store, const DueDelivery *due, const WebhookAttempt *attempt,
                              DeliveryState state, usec_t due_usec)
{
        AttemptWrite *a;
        int r;

        r = store_may_put(store);
        if (r < 0)
                return r;
        a = store_write_new(AttemptWrite, &attempt_write);
        if (!a)
                return -ENOMEM;
        a->delivery = due->key;
        a->generation = due->generation;
        a->state = state;
        a->due_usec = due_usec;
        r = copy_attempt(attempt, &a->attempt);
        if (r < 0) {
                store_write_free(&a->write);
                return r;
        }
        return store_put(store, &a->write);
}

/* ---- Lists of attempts */

/* ?1 before, ?2 after, ?3 limit, ?4 what leads */
#define LIST_SQL(index, where, order)                                                                                \
        "SELECT a.key, a.id, e.id, m.id, a.url, a.succeeded, a.manual, a.http_status, a.started_usec,"               \
        " a.duration_usec, a.retry, a.error, a.answer FROM webhook_attempts AS a " index                     \
        " JOIN webhook_deliveries AS d ON d.key = a.delivery JOIN webhook_messages AS m ON m.key = d.message"        \
        " JOIN webhook_endpoints AS e ON e.key = a.endpoint AND e.removed = 0"                                       \
        " WHERE a.key < ?1 AND a.key > ?2 " where " ORDER BY a.key " order " LIMIT ?3"

#define OF_ENDPOINT " AND a.endpoint = (SELECT key FROM webhook_endpoints WHERE id = ?4)"
#define OF_MESSAGE                                                                                                   \
        " AND a.delivery IN (SELECT key FROM webhook_deliveries WHERE message ="                                     \
        "  (SELECT key FROM webhook_messages WHERE id = ?4))"
#define OF_BOTH                                                                                                      \
        " AND a.delivery = (SELECT key FROM webhook_deliveries WHERE message ="                                      \
        "  (SELECT key FROM webhook_messages WHERE id = ?4) AND endpoint ="                                          \
        "  (SELECT key FROM webhook_endpoints WHERE id = ?5))"

/* [message][endpoint][oldest first] */
static const char *const list_sql[2][2][2] = {
        {
                { LIST_SQL("NOT INDEXED", "", "DESC"), LIST_SQL("NOT INDEXED", "", "ASC") },
                { LIST_SQL("INDEXED BY webhook_attempts_by_endpoint", OF_ENDPOINT, "DESC"),
                  LIST_SQL("INDEXED BY webhook_attempts_by_endpoint", OF_ENDPOINT, "ASC") },
        },
        {
                { LIST_SQL("INDEXED BY webhook_attempts_by_delivery", OF_MESSAGE, "DESC"),
                  LIST_SQL("INDEXED BY webhook_attempts_by_delivery", OF_MESSAGE, "ASC") },
                { LIST_SQL("INDEXED BY webhook_attempts_by_delivery", OF_BOTH, "DESC"),
                  LIST_SQL("INDEXED BY webhook_attempts_by_delivery", OF_BOTH, "ASC") },
        },
};

static void read_attempt(Query *query, StoredWebhookAttempt *stored)
{
        WebhookAttempt *attempt = &stored->attempt;

        stored->key = query_get_int(query);
        attempt->id = query_get_text(query);
        attempt->endpoint_id = query_get_text(query);
        attempt->message_id = query_get_text(query);
        query_get_columns(query, columns + 1, ELEMENTSOF(columns) - 1, attempt);
}

void stored_webhook_attempts_free(StoredWebhookAttempt *attempts, size_t n)
{
        for (size_t i = 0; i < n; i++)
                webhook_attempt_done(&attempts[i].attempt);
        free(attempts);
}

static int read_attempts(Query *query, StoredWebhookAttempt **attempts, size_t *n)
{
        size_t allocated = 0;
        int r;

        while ((r = query_step(query)) > 0) {
                r = store_array_grow((void **) attempts, &allocated, *n, sizeof(StoredWebhookAttempt));
                if (r < 0)
                        return r;
                (*attempts)[*n] = (StoredWebhookAttempt) {};
                read_attempt(query, &(*attempts)[(*n)++]);
                if (query_error(query) < 0)
                        return query_error(query);
        }
        return r;
}

int store_list_webhook_attempts(Store *store, const WebhookListFilter *filter, StoredWebhookAttempt **ret,
                                size_t *ret_n, bool *ret_more)
{
        bool oldest_first = filter->after > 0;
        StoredWebhookAttempt *attempts = NULL;
        _cleanup_query_ Query query = {};
        size_t n = 0;
        int r;

        if (filter->limit == 0 || filter->limit > WEBHOOK_PAGE_MAX)
                return -EINVAL;
        query = query_begin(store->reader, list_sql[!!filter->message_id][!!filter->endpoint_id][oldest_first]);
        query_bind_int(&query, filter->before > 0 ? filter->before : INT64_MAX);
        query_bind_int(&query, filter->after);
        query_bind_uint(&query, filter->limit + 1);
        if (filter->message_id)
                query_bind_text(&query, filter->message_id);
        if (filter->endpoint_id)
                query_bind_text(&query, filter->endpoint_id);
        r = read_attempts(&query, &attempts, &n);
        if (r < 0) {
                stored_webhook_attempts_free(attempts, n);
                return r;
        }
        *ret_more = n > filter->limit;
        if (*ret_more)
                webhook_attempt_done(&attempts[--n].attempt);
        if (oldest_first)
                store_array_reverse(attempts, n, sizeof(StoredWebhookAttempt));
        *ret = attempts;
        *ret_n = n;
        return 0;
}
