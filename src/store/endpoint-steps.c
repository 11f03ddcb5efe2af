/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What touches all deliveries of a webhook endpoint, of which there may be a hundred thousand: it is noted beside the
 * endpoint, and done in steps, each a transaction of its own, so that nobody waits for more than one of them. The
 * first step is done with the note, which for most endpoints is all. After a restart the notes are still there. */

#include <stdlib.h>

#include "base/string-util.h"
#include "store/store-private.h"
#include "store/webhook-store.h"

#define IS_ON_ITS_WAY "state IN ('waiting', 'pending')"

typedef struct EndpointWork {
        int64_t key;
        bool removed;
        int64_t hold_upto;     /* 0: nothing is to be held */
        int64_t recover_after; /* -1: nothing is to be sent again */
        usec_t recover_since_usec;
} EndpointWork;

/* Return: 1; 0 (there is no work); negative errno. */
static int find_work(Db *db, EndpointWork *ret)
{
        static const char sql[] = "SELECT key, removed, ifnull(hold_upto, 0), ifnull(recover_after, -1),"
                                  " ifnull(recover_since_usec, 0) FROM webhook_endpoints"
                                  " WHERE removed OR hold_upto IS NOT NULL OR recover_after IS NOT NULL"
                                  " ORDER BY key LIMIT 1";
        _cleanup_query_ Query query = query_begin(db, sql);
        int r;

        r = query_step(&query);
        if (r <= 0)
                return r;
        ret->key = query_get_int(&query);
        ret->removed = query_get_int(&query) != 0;
        ret->hold_upto = query_get_int(&query);
        ret->recover_after = query_get_int(&query);
        ret->recover_since_usec = query_get_uint(&query);
        return query_error(&query) < 0 ? query_error(&query) : 1;
}

/* Runs a statement with an endpoint and another number. Return: rows it changed; negative errno. */
static int run(Db *db, const char *sql, int64_t key, int64_t number)
{
        _cleanup_query_ Query query = query_begin(db, sql);

        query_bind_int(&query, key);
        query_bind_int(&query, number);
        return query_run(&query);
}

static int step_removal(Db *db, const EndpointWork *work)
{
        static const char some_sql[] = "DELETE FROM webhook_deliveries WHERE key IN"
                                       " (SELECT key FROM webhook_deliveries INDEXED BY webhook_deliveries_by_endpoint"
                                       "  WHERE endpoint = ?1 LIMIT ?2)";
        static const char rest_sql[] = "DELETE FROM webhook_endpoints WHERE key = ?1 AND ?2";
        int r;

        r = run(db, some_sql, work->key, WEBHOOK_STEP_ROWS);
        return r < 0 || r == (int) WEBHOOK_STEP_ROWS ? r : run(db, rest_sql, work->key, 1);
}

/* Those that are pending last: none of the others is let go, see the schema's triggers. */
static int step_hold(Db *db, const EndpointWork *work)
{
#define HOLD_SQL(of, more)                                                                                           \
        "UPDATE webhook_deliveries SET state = 'held'" more " WHERE key IN (SELECT key FROM webhook_deliveries"       \
        " WHERE endpoint = ?1 AND state = '" of "' AND " IS_ON_ITS_WAY " AND key <= ?2 LIMIT ?3)"
        static const char *const sqls[] = { HOLD_SQL("waiting", ""), HOLD_SQL("pending", ", due_usec = NULL") };
        static const char end_sql[] = "UPDATE webhook_endpoints SET hold_upto = NULL WHERE key = ?1 AND ?2";
        int left = (int) WEBHOOK_STEP_ROWS;

        for (size_t i = 0; i < ELEMENTSOF(sqls) && left > 0; i++) {
                _cleanup_query_ Query query = query_begin(db, sqls[i]);
                int r;

                query_bind_int(&query, work->key);
                query_bind_int(&query, work->hold_upto);
                query_bind_int(&query, left);
                r = query_run(&query);
                if (r < 0)
                        return r;
                left -= r;
        }
        return left > 0 ? run(db, end_sql, work->key, 1) : 0;
}

/* The last of the next messages to look at; 0: there are no more. */
static int64_t end_of_range(Db *db, const EndpointWork *work)
{
        static const char sql[] = "SELECT ifnull(max(message), 0) FROM (SELECT message FROM webhook_deliveries"
                                  " INDEXED BY webhook_deliveries_by_endpoint WHERE endpoint = ?1 AND message > ?2"
                                  " ORDER BY message LIMIT ?3)";
        _cleanup_query_ Query query = query_begin(db, sql);
        int r;

        query_bind_int(&query, work->key);
        query_bind_int(&query, work->recover_after);
        query_bind_uint(&query, WEBHOOK_STEP_ROWS);
        r = query_step(&query);
        return r <= 0 ? r : query_get_int(&query);
}

static int step_recovery(Db *db, const EndpointWork *work, usec_t now_usec)
{
        static const char wait_sql[] = "UPDATE webhook_deliveries SET state = 'waiting', n_attempts = 0,"
                                       " generation = generation + 1 WHERE endpoint = ?1 AND message > ?2"
                                       " AND message <= ?3 AND state IN ('failed', 'held') AND"
                                       " (SELECT created_usec FROM webhook_messages AS m WHERE m.key = message) >= ?4";
        static const char go_sql[] = "UPDATE webhook_deliveries AS d SET state = 'pending', due_usec = ?4"
                                     " WHERE endpoint = ?1 AND message > ?2 AND message <= ?3 AND state = 'waiting'"
                                     " AND NOT EXISTS (SELECT 1 FROM webhook_deliveries AS other"
                                     "                 WHERE other.endpoint = d.endpoint AND other.lane = d.lane"
                                     "                   AND other." IS_ON_ITS_WAY " AND (other.key < d.key OR"
                                     "                       other.state = 'pending'))"
                                     " AND NOT EXISTS (SELECT 1 FROM webhook_deliveries AS other"
                                     "                 WHERE other.endpoint = d.endpoint"
                                     "                   AND other.attention_lane = d.attention_lane"
                                     "                   AND other." IS_ON_ITS_WAY " AND other.state = 'pending')"
                                     " AND NOT EXISTS (SELECT 1 FROM webhook_deliveries AS other"
                                     "                 WHERE other.endpoint = d.endpoint"
                                     "                   AND other.attention_lane = d.attention_lane"
                                     "                   AND other." IS_ON_ITS_WAY " AND other.state = 'waiting'"
                                     "                   AND other.key < d.key)";
        static const char end_sql[] = "UPDATE webhook_endpoints SET recover_after = NULLIF(?2, 0),"
                                      " recover_since_usec = CASE ?2 WHEN 0 THEN NULL ELSE recover_since_usec END"
                                      " WHERE key = ?1";
        _cleanup_query_ Query wait = query_begin(db, wait_sql), go = query_begin(db, go_sql);
        Query *queries[] = { &wait, &go };
        int64_t last = end_of_range(db, work);
        int r;

        for (size_t i = 0; last > 0 && i < ELEMENTSOF(queries); i++) {
                query_bind_int(queries[i], work->key);
                query_bind_int(queries[i], work->recover_after);
                query_bind_int(queries[i], last);
                query_bind_uint(queries[i], i == 0 ? work->recover_since_usec : now_usec);
                r = query_run(queries[i]);
                if (r < 0)
                        return r;
        }
        return last < 0 ? (int) last : run(db, end_sql, work->key, last);
}

/* @now_usec: 0: not known; then what needs it is left to the next one. */
static int step(Db *db, usec_t now_usec)
{
        EndpointWork work = {};
        int r;

        r = find_work(db, &work);
        if (r <= 0)
                return r;
        if (work.removed)
                return step_removal(db, &work);
        if (work.hold_upto > 0)
                return step_hold(db, &work);
        return now_usec > 0 ? step_recovery(db, &work, now_usec) : 0;
}

/* ---- Notes */

typedef enum StepNote {
        NOTE_NONE, /* a step alone */
        NOTE_HOLD,
        NOTE_RECOVERY,
        NOTE_REMOVAL,
} StepNote;

typedef struct StepWrite {
        Write write;
        StepNote note;
        char *endpoint_id;
        usec_t since_usec, now_usec;
} StepWrite;

static int note_work(Db *db, const StepWrite *w)
{
        /* What was being sent again is held with the rest. */
        static const char hold_sql[] = "UPDATE webhook_endpoints SET recover_after = NULL, recover_since_usec = NULL,"
                                       " hold_upto = (SELECT max(d.key) FROM webhook_deliveries AS d"
                                       "  WHERE d.endpoint = webhook_endpoints.key AND d." IS_ON_ITS_WAY ")"
                                       " WHERE id = ?1 AND ?2 IS NOT NULL";
        /* One that is not done yet is done along with it: from the start, and of both what was asked for. */
        static const char recovery_sql[] = "UPDATE webhook_endpoints SET recover_after = 0,"
                                           " recover_since_usec = min(ifnull(recover_since_usec, ?2), ?2)"
                                           " WHERE id = ?1";
        static const char removal_sql[] = "UPDATE webhook_endpoints SET removed = 1 WHERE id = ?1 AND ?2 IS NOT NULL";
        static const char secrets_sql[] = "DELETE FROM webhook_secrets WHERE ?2 IS NOT NULL AND endpoint ="
                                          " (SELECT key FROM webhook_endpoints WHERE id = ?1)";
        static const char *const sqls[][2] = {
                [NOTE_HOLD] = { hold_sql },
                [NOTE_RECOVERY] = { recovery_sql },
                [NOTE_REMOVAL] = { removal_sql, secrets_sql },
        };

        for (size_t i = 0; w->note != NOTE_NONE && i < ELEMENTSOF(sqls[0]) && sqls[w->note][i]; i++) {
                _cleanup_query_ Query query = query_begin(db, sqls[w->note][i]);
                int r;

                query_bind_text(&query, w->endpoint_id);
                query_bind_uint(&query, w->since_usec);
                r = query_run(&query);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int apply_step(Write *write, Db *db, Retention *retention)
{
        const StepWrite *w = container_of(write, StepWrite, write);
        int r;

        r = note_work(db, w);
        return r < 0 ? r : MIN(step(db, w->now_usec), 0);
}

static void free_step(Write *write)
{
        free(container_of(write, StepWrite, write)->endpoint_id);
}

static const WriteType step_write = { apply_step, free_step };

static int put_step(Store *store, StepNote note, const char *endpoint_id, usec_t since_usec, usec_t now_usec)
{
        StepWrite *w;
        int r;

        r = store_may_put(store);
        if (r < 0)
                return r;
        w = store_write_new(StepWrite, &step_write);
        if (!w)
                return -ENOMEM;
        w->note = note;
        w->since_usec = since_usec;
        w->now_usec = now_usec;
        if (free_and_strdup(&w->endpoint_id, endpoint_id) < 0) {
                store_write_free(&w->write);
                return -ENOMEM;
        }
        return store_put(store, &w->write);
}

int store_put_webhook_hold(Store *store, const char *endpoint_id)
{
        return put_step(store, NOTE_HOLD, endpoint_id, 0, 0);
}

int store_put_webhook_recovery(Store *store, const char *endpoint_id, usec_t since_usec, usec_t now_usec)
{
        return put_step(store, NOTE_RECOVERY, endpoint_id, since_usec, now_usec);
}

int store_delete_webhook_endpoint(Store *store, const char *endpoint_id)
{
        return put_step(store, NOTE_REMOVAL, endpoint_id, 0, 0);
}

int store_put_webhook_step(Store *store, usec_t now_usec)
{
        return put_step(store, NOTE_NONE, NULL, 0, now_usec);
}

int store_webhook_steps_left(Store *store)
{
        static const char sql[] = "SELECT count(*) FROM webhook_endpoints"
                                  " WHERE removed OR hold_upto IS NOT NULL OR recover_after IS NOT NULL";
        _cleanup_query_ Query query = query_begin(store->reader, sql);
        int r;

        r = query_step(&query);
        return r <= 0 ? r : query_get_int(&query) > 0;
}
