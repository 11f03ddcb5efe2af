/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "store/delivery-store.h"

#include <stdlib.h>

#include "base/string-util.h"
#include "store/store-private.h"

/* ---- What workers tell */

typedef struct RecordAttemptsWrite {
        Write write;
        char *connector;
        char *run_id;
        DeliveryAttempt *attempts;
        size_t n;
} RecordAttemptsWrite;

static int insert_attempt(Db *db, const RecordAttemptsWrite *w, const DeliveryAttempt *a)
{
        static const char sql[] = "INSERT INTO record_attempts (id, connector, run_id, type, url, succeeded,"
                                  "  http_status, started_usec, duration_usec, retry, records, error, answer)"
                                  " SELECT ?1, key, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13 FROM connectors"
                                  " WHERE name = ?2 ON CONFLICT (id) DO NOTHING";
        _cleanup_query_ Query query = query_begin(db, sql);

        query_bind_text(&query, a->id);
        query_bind_text(&query, w->connector);
        query_bind_text(&query, w->run_id);
        query_bind_text(&query, a->type);
        query_bind_text(&query, a->url);
        query_bind_int(&query, a->succeeded);
        query_bind_uint(&query, a->http_status);
        query_bind_uint(&query, a->started_usec);
        query_bind_uint(&query, a->duration_usec);
        query_bind_uint(&query, a->n_before);
        query_bind_uint(&query, a->n_records);
        query_bind_text(&query, a->error);
        query_bind_text(&query, a->answer);
        return MIN(query_run(&query), 0);
}

static int apply_attempts(Write *write, Db *db, Retention *retention)
{
        static const char trim_sql[] =
                        "DELETE FROM record_attempts WHERE connector = (SELECT key FROM connectors WHERE name = ?1)"
                        " AND key <= (SELECT key FROM record_attempts WHERE connector ="
                        "  (SELECT key FROM connectors WHERE name = ?1) ORDER BY key DESC LIMIT 1 OFFSET ?2)";
        RecordAttemptsWrite *w = container_of(write, RecordAttemptsWrite, write);
        _cleanup_query_ Query trim = query_begin(db, trim_sql);
        int r = 0;

        for (size_t i = 0; r >= 0 && i < w->n; i++)
                r = insert_attempt(db, w, &w->attempts[i]);
        if (r < 0)
                return r;
        query_bind_text(&trim, w->connector);
        query_bind_uint(&trim, RECORD_ATTEMPTS_PER_CONNECTOR_MAX);
        return MIN(query_run(&trim), 0);
}

static void free_attempts(Write *write)
{
        RecordAttemptsWrite *w = container_of(write, RecordAttemptsWrite, write);

        free(w->connector);
        free(w->run_id);
        delivery_attempts_free(w->attempts, w->n);
}

static const WriteType attempts_write = { apply_attempts, free_attempts };

static int copy_attempts(RecordAttemptsWrite *w, const char *connector, const char *run_id,
                         const DeliveryAttempt *attempts, size_t n)
{
        int r;

        w->attempts = calloc(MAX(n, (size_t) 1), sizeof(DeliveryAttempt));
        if (!w->attempts || free_and_strdup(&w->connector, connector) < 0 || free_and_strdup(&w->run_id, run_id) < 0)
                return -ENOMEM;
        for (; w->n < n; w->n++) {
                r = delivery_attempt_copy(&attempts[w->n], &w->attempts[w->n]);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* ---- Forgetting */

static int apply_forget_answers(Write *write, Db *db, Retention *retention)
{
        static const char sql[] = "UPDATE record_attempts SET answer = NULL"
                                  " WHERE connector = (SELECT key FROM connectors WHERE name = ?)";
        _cleanup_query_ Query query = query_begin(db, sql);

        query_bind_text(&query, container_of(write, RecordAttemptsWrite, write)->connector);
        return MIN(query_run(&query), 0);
}

static const WriteType forget_answers_write = { apply_forget_answers, free_attempts };

/* ---- Putting */

static int put_attempts(Store *store, const WriteType *type, const char *connector, const char *run_id,
                        const DeliveryAttempt *attempts, size_t n)
{
        RecordAttemptsWrite *w;
        int r;

        r = store_may_put(store);
        if (r < 0)
                return r;
        w = store_write_new(RecordAttemptsWrite, type);
        if (!w)
                return -ENOMEM;
        r = copy_attempts(w, connector, run_id, attempts, n);
        if (r < 0) {
                store_write_free(&w->write);
                return r;
        }
        return store_put(store, &w->write);
}

int store_put_record_attempts(Store *store, const char *connector, const char *run_id,
                              const DeliveryAttempt *attempts, size_t n)
{
        return put_attempts(store, &attempts_write, connector, run_id, attempts, n);
}

int store_put_forget_answers(Store *store, const char *connector)
{
        return put_attempts(store, &forget_answers_write, connector, NULL, NULL, 0);
}

/* ---- Lists */

/* ?1 connector, ?2 user or NULL, ?3 limit */
static const char records_sql[] =
                "SELECT a.id, a.run_id, a.type, a.url, a.succeeded, a.http_status, a.started_usec, a.duration_usec,"
                " a.retry, a.records, a.error, a.answer"
                " FROM record_attempts AS a INDEXED BY record_attempts_by_connector"
                " WHERE a.connector = (SELECT key FROM connectors WHERE name = ?1) AND (?2 IS NULL OR EXISTS"
                "  (SELECT 1 FROM runs AS r JOIN users AS u ON u.key = r.user WHERE r.id = a.run_id AND u.id = ?2))"
                " ORDER BY a.key DESC LIMIT ?3";
static const char lifecycle_sql[] =
                "SELECT a.id, m.run_id, m.type, a.url, a.succeeded, a.http_status, a.started_usec, a.duration_usec,"
                " a.retry, 0, a.error, a.answer"
                " FROM webhook_attempts AS a INDEXED BY webhook_attempts_by_connector"
                " JOIN webhook_deliveries AS d ON d.key = a.delivery JOIN webhook_messages AS m ON m.key = d.message"
                " JOIN webhook_endpoints AS e ON e.key = a.endpoint AND e.removed = 0"
                " WHERE a.connector = (SELECT key FROM connectors WHERE name = ?1)"
                " AND (?2 IS NULL OR m.user_id = ?2) ORDER BY a.key DESC LIMIT ?3";

static void read_attempt(Query *query, DeliveryKind kind, DeliveryAttempt *a)
{
        a->kind = kind;
        a->id = query_get_text(query);
        a->run_id = query_get_text(query);
        a->type = query_get_text(query);
        a->url = query_get_text(query);
        a->succeeded = query_get_int(query) != 0;
        a->http_status = (unsigned) query_get_uint(query);
        a->started_usec = query_get_uint(query);
        a->duration_usec = query_get_uint(query);
        a->n_before = (unsigned) query_get_uint(query);
        a->n_records = query_get_uint(query);
        a->error = query_get_text(query);
        a->answer = query_get_text(query);
}

/* Of endpoints the history has the whole URL, of which the path may be a secret. */
static int hide_path(DeliveryAttempt *a)
{
        char *origin = url_origin(a->url);

        if (!origin)
                return -ENOMEM; /* a URL without scheme, or with a password, was never taken */
        free(a->url);
        a->url = origin;
        return 0;
}

/* Appends those of one kind. */
static int read_kind(Store *store, DeliveryKind kind, const char *connector, const char *user_id, unsigned limit,
                     DeliveryAttempt *attempts, size_t *n)
{
        _cleanup_query_ Query query = query_begin(store->reader,
                                                  kind == DELIVERY_RECORDS ? records_sql : lifecycle_sql);
        int r;

        query_bind_text(&query, connector);
        query_bind_text(&query, user_id);
        query_bind_uint(&query, limit);
        while ((r = query_step(&query)) > 0) {
                DeliveryAttempt *a = &attempts[(*n)++];

                read_attempt(&query, kind, a);
                r = query_error(&query);
                if (r >= 0 && kind == DELIVERY_LIFECYCLE)
                        r = hide_path(a);
                if (r < 0)
                        return r;
        }
        return r;
}

static int compare_attempts(const void *a, const void *b)
{
        const DeliveryAttempt *x = a, *y = b;

        if (x->started_usec != y->started_usec)
                return x->started_usec > y->started_usec ? -1 : 1;
        return strcmp(y->id, x->id);
}

int store_list_deliveries(Store *store, const char *connector, const char *user_id, unsigned limit,
                          DeliveryAttempt **ret, size_t *ret_n)
{
        DeliveryAttempt *attempts;
        size_t n = 0, kept;
        int r;

        if (limit == 0 || limit > DELIVERIES_PAGE_MAX)
                return -EINVAL;
        attempts = calloc(2 * (size_t) limit, sizeof(DeliveryAttempt));
        if (!attempts)
                return -ENOMEM;
        r = read_kind(store, DELIVERY_RECORDS, connector, user_id, limit, attempts, &n);
        if (r >= 0)
                r = read_kind(store, DELIVERY_LIFECYCLE, connector, user_id, limit, attempts, &n);
        if (r < 0) {
                delivery_attempts_free(attempts, n);
                return r;
        }
        qsort(attempts, n, sizeof(DeliveryAttempt), compare_attempts);
        kept = MIN(n, (size_t) limit);
        while (n > kept)
                delivery_attempt_done(&attempts[--n]);
        *ret = attempts;
        *ret_n = n;
        return 0;
}

/* ---- One */

void found_delivery_done(FoundDelivery *found)
{
        free(found->endpoint_id);
        free(found->message_id);
        *found = (FoundDelivery) {};
}

int store_find_delivery(Store *store, const char *connector, const char *user_id, const char *id, FoundDelivery *ret)
{
        static const char sql[] =
                        "SELECT 0, a.succeeded, NULL, NULL FROM record_attempts AS a"
                        " WHERE a.id = ?1 AND a.connector = (SELECT key FROM connectors WHERE name = ?2)"
                        " AND (?3 IS NULL OR EXISTS (SELECT 1 FROM runs AS r JOIN users AS u ON u.key = r.user"
                        "  WHERE r.id = a.run_id AND u.id = ?3))"
                        " UNION ALL SELECT 1, a.succeeded, e.id, m.id FROM webhook_attempts AS a"
                        " JOIN webhook_deliveries AS d ON d.key = a.delivery"
                        " JOIN webhook_messages AS m ON m.key = d.message"
                        " JOIN webhook_endpoints AS e ON e.key = a.endpoint AND e.removed = 0"
                        " WHERE a.id = ?1 AND a.connector = (SELECT key FROM connectors WHERE name = ?2)"
                        " AND (?3 IS NULL OR m.user_id = ?3)";
        _cleanup_query_ Query query = query_begin(store->reader, sql);
        FoundDelivery found = {};
        int r;

        query_bind_text(&query, id);
        query_bind_text(&query, connector);
        query_bind_text(&query, user_id);
        r = query_step(&query);
        if (r <= 0)
                return r;
        found.kind = query_get_int(&query) != 0 ? DELIVERY_LIFECYCLE : DELIVERY_RECORDS;
        found.succeeded = query_get_int(&query) != 0;
        found.endpoint_id = query_get_text(&query);
        found.message_id = query_get_text(&query);
        r = query_error(&query);
        if (r < 0) {
                found_delivery_done(&found);
                return r;
        }
        *ret = found;
        return 1;
}
