/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Webhook messages and their way to each endpoint. A delivery is of its run's lane, and of its connector's where it
 * tells of attention. At most one of a lane is pending: the schema's triggers let the next one go when it ends. */

#include <stdlib.h>

#include "base/string-util.h"
#include "store/store-private.h"
#include "store/webhook-store.h"

/* ---- A message */

typedef struct MessageWrite {
        Write write;
        WebhookMessage message;
        char *endpoint_id;
        usec_t due_usec;
} MessageWrite;

/* Return: its key; 0 its run has made one of this type already; negative errno. */
static int64_t insert_message(Db *db, const WebhookMessage *message)
{
        static const char sql[] = "INSERT INTO webhook_messages (id, type, user_id, run_id, run_created_usec,"
                                  "  connector, created_usec, body)"
                                  " VALUES (?1, ?2, ?3, ?4, ?5, ifnull((SELECT connector FROM runs WHERE id = ?4),"
                                  "   (SELECT key FROM connectors WHERE name = ?8)), ?6, ?7)"
                                  " ON CONFLICT (run_id, run_created_usec, type) DO NOTHING RETURNING key";
        _cleanup_query_ Query query = query_begin(db, sql);
        int64_t key;
        int r;

        query_bind_text(&query, message->id);
        query_bind_text(&query, webhook_type_to_string(message->type));
        query_bind_text(&query, message->user_id);
        query_bind_text(&query, message->run_id);
        query_bind_uint(&query, message->run_created_usec);
        query_bind_uint(&query, message->created_usec);
        query_bind_text(&query, message->body);
        query_bind_text(&query, message->connector);
        r = query_step(&query);
        if (r <= 0)
                return r;
        key = query_get_int(&query);
        r = query_step(&query);
        return r < 0 ? r : key;
}

/* Of the message m. */
#define ATTENTION_LANE "CASE WHEN m.type IN ('sync.needs_attention', 'sync.recovered') THEN m.connector END"

#define IS_ON_ITS_WAY "state IN ('waiting', 'pending')"

/* Something of its lanes is to be sent again, and its step has not come yet: that lets this one go when it does. */
#define RECOVERED_SOON(tables, of)                                                                   \
        "EXISTS (SELECT 1 FROM " tables " WHERE d2.message = m2.key AND d2.endpoint = e.key AND " of \
        "        AND d2.message > recover_after AND m2.created_usec >= recover_since_usec"           \
        "        AND d2.state IN ('failed', 'held'))"
#define IS_RECOVERED_SOON                                                                                     \
        RECOVERED_SOON("webhook_messages AS m2 CROSS JOIN webhook_deliveries AS d2", "m2.run_id = ?2")        \
        " OR " RECOVERED_SOON("webhook_deliveries AS d2 INDEXED BY webhook_deliveries_kept_by_attention_lane" \
                              " CROSS JOIN webhook_messages AS m2",                                           \
                              "d2.attention_lane = " ATTENTION_LANE)

/* ?1 message, ?2 lane, ?3 due */
#define DELIVER_SQL(where)                                                                                \
        "INSERT INTO webhook_deliveries (message, endpoint, lane, attention_lane, state, due_usec)"       \
        " SELECT ?1, endpoint, ?2, attention_lane, state, CASE state WHEN 'pending' THEN ?3 END FROM"     \
        "  (SELECT e.key AS endpoint, " ATTENTION_LANE " AS attention_lane,"                              \
        "   CASE WHEN disabled IS NOT NULL THEN 'held'"                                                   \
        "        WHEN EXISTS (SELECT 1 FROM webhook_deliveries AS other WHERE other.endpoint = e.key"     \
        "                     AND other.lane = ?2 AND other." IS_ON_ITS_WAY ") THEN 'waiting'"            \
        "        WHEN EXISTS (SELECT 1 FROM webhook_deliveries AS other WHERE other.endpoint = e.key"     \
        "                     AND other.attention_lane = " ATTENTION_LANE " AND other." IS_ON_ITS_WAY ")" \
        "          THEN 'waiting'"                                                                        \
        "        WHEN recover_after IS NOT NULL AND (" IS_RECOVERED_SOON ") THEN 'waiting'"               \
        "        ELSE 'pending' END AS state"                                                             \
        "   FROM webhook_messages AS m, webhook_endpoints AS e WHERE m.key = ?1 AND e.removed = 0 AND " where ")"

const char *message_deliver_sql(bool to_one)
{
        static const char all_sql[] =
                        DELIVER_SQL("(types = '' OR instr(' ' || types || ' ', ' ' || m.type || ' ') > 0)"
                                    " AND (e.user_id IS NULL OR e.user_id = m.user_id)");
        static const char one_sql[] = DELIVER_SQL("e.id = ?4");

        return to_one ? one_sql : all_sql;
}

static int insert_deliveries(Db *db, int64_t key, const MessageWrite *m)
{
        _cleanup_query_ Query query = query_begin(db, message_deliver_sql(m->endpoint_id));

        query_bind_int(&query, key);
        query_bind_text(&query, m->message.run_id);
        query_bind_uint(&query, m->due_usec);
        if (m->endpoint_id)
                query_bind_text(&query, m->endpoint_id);
        return query_run(&query);
}

static int apply_message(Write *write, Db *db, Retention *retention)
{
        MessageWrite *m = container_of(write, MessageWrite, write);
        int64_t key;

        key = insert_message(db, &m->message);
        return key <= 0 ? (int) key : insert_deliveries(db, key, m);
}

static void free_message(Write *write)
{
        MessageWrite *m = container_of(write, MessageWrite, write);

        webhook_message_done(&m->message);
        free(m->endpoint_id);
}

static const WriteType message_write = { apply_message, free_message, .keeps_runs = true };

static int copy_message(const WebhookMessage *message, WebhookMessage *ret)
{
        ret->type = message->type;
        ret->run_created_usec = message->run_created_usec;
        ret->created_usec = message->created_usec;
        return free_and_strdup(&ret->id, message->id) < 0 || free_and_strdup(&ret->user_id, message->user_id) < 0 ||
                                               free_and_strdup(&ret->run_id, message->run_id) < 0 ||
                                               free_and_strdup(&ret->connector, message->connector) < 0 ||
                                               free_and_strdup(&ret->body, message->body) < 0
                               ? -ENOMEM
                               : 0;
}

int store_put_webhook_message(Store *store, const WebhookMessage *message, const char *endpoint_id, usec_t due_usec)
{
        MessageWrite *m;
        int r;

        r = store_may_put(store);
        if (r < 0)
                return r;
        m = store_write_new(MessageWrite, &message_write);
        if (!m)
                return -ENOMEM;
        m->due_usec = due_usec;
        r = copy_message(message, &m->message);
        if (r >= 0)
                r = free_and_strdup(&m->endpoint_id, endpoint_id);
        if (r < 0) {
                store_write_free(&m->write);
                return r;
        }
        return store_put(store, &m->write);
}

int store_webhook_message_exists(Store *store, const char *message_id)
{
        static const char sql[] = "SELECT key FROM webhook_messages WHERE id = ?";
        int64_t key = store_find_key(store->reader, sql, message_id);

        return key < 0 ? (int) key : key > 0;
}

/* ---- Changes */

typedef struct ChangeWrite {
        Write write;
        char *endpoint_id;
        char *message_id;
        usec_t now_usec;
        int64_t step_usec;
        usec_t latest_usec;
} ChangeWrite;

static int apply_resend(Write *write, Db *db, Retention *retention)
{
        static const char sql[] = "INSERT INTO webhook_deliveries (message, endpoint, lane, attention_lane, state, "
                                  "due_usec, manual)"
                                  " SELECT m.key, e.key, m.run_id, " ATTENTION_LANE ", 'pending', ?3, 1"
                                  " FROM webhook_messages AS m, webhook_endpoints AS e WHERE e.id = ?1 AND e.removed "
                                  "= 0 AND m.id = ?2"
                                  " ON CONFLICT (message, endpoint) DO UPDATE SET state = 'pending', due_usec = "
                                  "excluded.due_usec,"
                                  "  n_attempts = 0, manual = 1, generation = generation + 1";
        ChangeWrite *c = container_of(write, ChangeWrite, write);
        _cleanup_query_ Query query = query_begin(db, sql);

        query_bind_text(&query, c->endpoint_id);
        query_bind_text(&query, c->message_id);
        query_bind_uint(&query, c->now_usec);
        return query_run(&query);
}

static int apply_clock_step(Write *write, Db *db, Retention *retention)
{
        static const char due_sql[] =
                        "UPDATE webhook_deliveries SET due_usec = iif(due_usec + ?1 > ?2, ?3, max(due_usec + ?1, 1))"
                        " WHERE state = 'pending' AND (?1 <> 0 OR due_usec > ?2)";
        ChangeWrite *c = container_of(write, ChangeWrite, write);
        _cleanup_query_ Query query = query_begin(db, due_sql);

        query_bind_int(&query, c->step_usec);
        query_bind_uint(&query, c->latest_usec);
        query_bind_uint(&query, c->now_usec);
        return query_run(&query);
}

static void free_change(Write *write)
{
        ChangeWrite *c = container_of(write, ChangeWrite, write);

        free(c->endpoint_id);
        free(c->message_id);
}

static const WriteType resend_write = { apply_resend, free_change };
static const WriteType clock_step_write = { apply_clock_step, free_change };

/* @change is copied with its strings. */
static int put_change(Store *store, const WriteType *type, const ChangeWrite *change)
{
        ChangeWrite *c;
        int r;

        r = store_may_put(store);
        if (r < 0)
                return r;
        c = store_write_new(ChangeWrite, type);
        if (!c)
                return -ENOMEM;
        c->now_usec = change->now_usec;
        c->step_usec = change->step_usec;
        c->latest_usec = change->latest_usec;
        if (free_and_strdup(&c->endpoint_id, change->endpoint_id) < 0 ||
            free_and_strdup(&c->message_id, change->message_id) < 0) {
                store_write_free(&c->write);
                return -ENOMEM;
        }
        return store_put(store, &c->write);
}

int store_put_webhook_resend(Store *store, const char *endpoint_id, const char *message_id, usec_t now_usec)
{
        return put_change(store, &resend_write,
                          &(ChangeWrite){ .endpoint_id = (char *) endpoint_id,
                                          .message_id = (char *) message_id,
                                          .now_usec = now_usec });
}

int store_put_webhook_clock_step(Store *store, int64_t step_usec, usec_t latest_usec, usec_t instead_usec)
{
        return put_change(store, &clock_step_write,
                          &(ChangeWrite){ .step_usec = step_usec,
                                          .latest_usec = latest_usec,
                                          .now_usec = instead_usec });
}
