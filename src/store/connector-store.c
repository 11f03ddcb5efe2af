/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Connectors: what happened to them, and their cursors. Nothing here is ever deleted but a cursor that its owner
 * discards. */

#include <stdlib.h>
#include <string.h>

#include "base/string-util.h"
#include "store/store-private.h"

#define CONNECTOR_COLUMNS(P, W)                                                                                      \
        P(active_override, active_override, INT)                                                                     \
        P(user_id, user_id, TEXT)                                                                                    \
        P(last_elapse_usec, last_elapse_usec, USEC)                                                                  \
        P(last_finished_usec, last_finished_usec, USEC)                                                              \
        P(last_run_id, last_run_id, TEXT)                                                                            \
        W(last_outcome, last_outcome, run_outcome)                                                                   \
        P(consecutive_failures, consecutive_failures, UNSIGNED)                                                      \
        P(failing_accounts, failing_accounts, TEXT)                                                                  \
        P(destination_failures, destination_failures, UNSIGNED)                                                      \
        P(disabled_by_service, disabled_by_service, BOOL)                                                            \
        P(retry_at_usec, retry_at_usec, USEC)                                                                        \
        P(retry_is_absolute, retry_is_absolute, BOOL)                                                                \
        P(retry_attempt, retry_attempt, UNSIGNED)                                                                    \
        P(retry_of, retry_of, TEXT)                                                                                  \
        P(retry_accounts, retry_accounts, TEXT)                                                                      \
        W(lasting, lasting, attention_category)                                                                      \
        P(lost_with_machine, lost_with_machine, BOOL)                                                                \
        P(pending, follow_up.wanted, BOOL)                                                                           \
        W(pending_trigger, follow_up.trigger, run_trigger)                                                           \
        P(pending_requested_by, follow_up.requested_by, TEXT)                                                        \
        P(pending_reason, follow_up.reason, TEXT)                                                                    \
        P(pending_accounts, follow_up.accounts, TEXT)                                                                \
        P(resync_pending, resync.wanted, BOOL)                                                                       \
        W(resync_trigger, resync.trigger, run_trigger)                                                               \
        P(resync_requested_by, resync.requested_by, TEXT)                                                            \
        P(resync_reason, resync.reason, TEXT)                                                                        \
        P(resync_accounts, resync.accounts, TEXT)                                                                    \
        P(owes_resync, owes_resync, BOOL)                                                                            \
        P(owed_accounts, owed_accounts, TEXT)                                                                        \
        P(deleting, deleting, BOOL)                                                                                  \
        P(resyncing, resyncing, BOOL)                                                                                \
        P(planned_elapse_usec, planned.elapse_usec, USEC)                                                            \
        P(planned_due_usec, planned.due_usec, USEC)                                                                  \
        P(planned_missed, planned.missed, BOOL)                                                                      \
        W(attention_category, attention.category, attention_category)                                                \
        P(attention_message, attention.message, TEXT)                                                                \
        P(attention_since_usec, attention.since_usec, USEC)                                                          \
        P(attention_run_id, attention.run_id, TEXT)                                                                  \
        P(attention_accounts, attention.accounts, TEXT)

#define COLUMNS_OF ConnectorRecord
static const Column identity[] = {
        COLUMN_PLAIN(name, name, TEXT)
        COLUMN_PLAIN(id, id, TEXT)
        COLUMN_PLAIN(first_seen_usec, first_seen_usec, USEC)
};
static const Column columns[] = { CONNECTOR_COLUMNS(COLUMN_PLAIN, COLUMN_WORDS) };
#undef COLUMNS_OF

typedef struct ConnectorWrite {
        Write write;
        ConnectorRecord record;
} ConnectorWrite;

typedef struct CursorWrite {
        Write write;
        char *connector;
        char *cursor;
} CursorWrite;

/* Every owned string of a record, for copying and freeing. */
static const size_t strings[] = {
        offsetof(ConnectorRecord, name),
        offsetof(ConnectorRecord, id),
        offsetof(ConnectorRecord, user_id),
        offsetof(ConnectorRecord, last_run_id),
        offsetof(ConnectorRecord, failing_accounts),
        offsetof(ConnectorRecord, retry_of),
        offsetof(ConnectorRecord, retry_accounts),
        offsetof(ConnectorRecord, follow_up.requested_by),
        offsetof(ConnectorRecord, follow_up.reason),
        offsetof(ConnectorRecord, follow_up.accounts),
        offsetof(ConnectorRecord, resync.requested_by),
        offsetof(ConnectorRecord, resync.reason),
        offsetof(ConnectorRecord, resync.accounts),
        offsetof(ConnectorRecord, owed_accounts),
        offsetof(ConnectorRecord, attention.message),
        offsetof(ConnectorRecord, attention.run_id),
        offsetof(ConnectorRecord, attention.accounts),
};

static char **record_string(ConnectorRecord *record, size_t i)
{
        return (char **) ((char *) record + strings[i]);
}

void connector_record_done(ConnectorRecord *record)
{
        for (size_t i = 0; i < ELEMENTSOF(strings); i++)
                free(*record_string(record, i));
        *record = (ConnectorRecord) CONNECTOR_RECORD_INIT;
}

int connector_record_copy(const ConnectorRecord *record, ConnectorRecord *ret)
{
        ConnectorRecord copy = *record;
        bool complete = true;

        for (size_t i = 0; i < ELEMENTSOF(strings); i++) {
                char **s = record_string(&copy, i), *original = *s;

                *s = original ? strdup(original) : NULL;
                complete = complete && (*s || !original);
        }
        if (!complete) {
                connector_record_done(&copy);
                return -ENOMEM;
        }
        *ret = copy;
        return 0;
}

int connector_ensure(Db *db, const char *name, const char *id, usec_t first_seen_usec)
{
        static const char sql[] = "INSERT INTO connectors (name, id, first_seen_usec) VALUES (?, ?, ?)"
                                  " ON CONFLICT (name) DO NOTHING";
        _cleanup_query_ Query query = query_begin(db, sql);

        query_bind_text(&query, name);
        query_bind_text(&query, id);
        query_bind_uint(&query, first_seen_usec);
        return MIN(query_run(&query), 0);
}

/* The id stays what it was at first sight of the name. */
static int apply_connector(Write *write, Db *db, Retention *retention)
{
        static const char sql[] = "UPDATE connectors SET pending = pending"
                                  CONNECTOR_COLUMNS(SQL_COMMA_SET, SQL_COMMA_SET) " WHERE name = ?";
        ConnectorRecord *record = &container_of(write, ConnectorWrite, write)->record;
        _cleanup_query_ Query query = {};
        int r;

        r = connector_ensure(db, record->name, record->id, record->first_seen_usec);
        if (r < 0)
                return r;
        query = query_begin(db, sql);
        query_bind_columns(&query, columns, ELEMENTSOF(columns), record);
        query_bind_text(&query, record->name);
        return query_run(&query);
}

static void free_connector(Write *write)
{
        connector_record_done(&container_of(write, ConnectorWrite, write)->record);
}

static const WriteType connector_write = { apply_connector, free_connector, .keeps_runs = true };

int store_put_connector(Store *store, const ConnectorRecord *record)
{
        ConnectorWrite *c;
        int r;

        if (!record->name || !record->id)
                return -EINVAL;
        r = store_may_put(store);
        if (r < 0)
                return r;
        c = store_write_new(ConnectorWrite, &connector_write);
        if (!c)
                return -ENOMEM;
        r = connector_record_copy(record, &c->record);
        if (r < 0) {
                store_write_free(&c->write);
                return r;
        }
        return store_put(store, &c->write);
}

void connector_records_free(ConnectorRecord *records, size_t n)
{
        for (size_t i = 0; i < n; i++)
                connector_record_done(&records[i]);
        free(records);
}

static int read_connectors(Query *query, ConnectorRecord **records, size_t *n)
{
        size_t allocated = 0;
        int r;

        while ((r = query_step(query)) > 0) {
                ConnectorRecord *record;

                r = store_array_grow((void **) records, &allocated, *n, sizeof(ConnectorRecord));
                if (r < 0)
                        return r;
                record = &(*records)[(*n)++];
                *record = (ConnectorRecord) CONNECTOR_RECORD_INIT;
                query_get_columns(query, identity, ELEMENTSOF(identity), record);
                query_get_columns(query, columns, ELEMENTSOF(columns), record);
                if (query_error(query) < 0)
                        return query_error(query);
        }
        return r;
}

int store_load_connectors(Store *store, ConnectorRecord **ret, size_t *ret_n)
{
        static const char sql[] = "SELECT name, id, first_seen_usec" CONNECTOR_COLUMNS(SQL_COMMA_NAME, SQL_COMMA_NAME)
                                  " FROM connectors ORDER BY name";
        _cleanup_query_ Query query = query_begin(store->reader, sql);
        ConnectorRecord *records = NULL;
        size_t n = 0;
        int r;

        r = read_connectors(&query, &records, &n);
        if (r < 0) {
                connector_records_free(records, n);
                return r;
        }
        *ret = records;
        *ret_n = n;
        return 0;
}

static int apply_cursor(Write *write, Db *db, Retention *retention)
{
        static const char delete_sql[] = "DELETE FROM cursors WHERE connector ="
                                         " (SELECT key FROM connectors WHERE name = ?)";
        static const char put_sql[] = "INSERT INTO cursors (connector, cursor)"
                                      " SELECT key, ?1 FROM connectors WHERE name = ?2"
                                      " ON CONFLICT (connector) DO UPDATE SET cursor = excluded.cursor";
        CursorWrite *c = container_of(write, CursorWrite, write);
        _cleanup_query_ Query query = query_begin(db, c->cursor ? put_sql : delete_sql);
        int r;

        if (c->cursor)
                query_bind_text(&query, c->cursor);
        query_bind_text(&query, c->connector);
        r = query_run(&query);
        return r == 0 && c->cursor ? -ENOENT : r;
}

static void free_cursor(Write *write)
{
        CursorWrite *c = container_of(write, CursorWrite, write);

        free(c->connector);
        free(c->cursor);
}

static const WriteType cursor_write = { apply_cursor, free_cursor, .keeps_runs = true };

int store_put_cursor(Store *store, const char *connector, const char *cursor)
{
        CursorWrite *c;
        int r;

        if (cursor && strlen(cursor) > CURSOR_MAX)
                return -E2BIG;
        r = store_may_put(store);
        if (r < 0)
                return r;
        c = store_write_new(CursorWrite, &cursor_write);
        if (!c)
                return -ENOMEM;
        if (free_and_strdup(&c->connector, connector) < 0 || free_and_strdup(&c->cursor, cursor) < 0) {
                store_write_free(&c->write);
                return -ENOMEM;
        }
        return store_put(store, &c->write);
}

int store_get_cursor(Store *store, const char *connector, char **ret)
{
        static const char sql[] = "SELECT cursor FROM cursors WHERE connector ="
                                  " (SELECT key FROM connectors WHERE name = ?)";
        _cleanup_query_ Query query = query_begin(store->reader, sql);
        char *cursor;
        int r;

        query_bind_text(&query, connector);
        r = query_step(&query);
        if (r <= 0)
                return r;
        cursor = query_get_text(&query);
        if (!cursor)
                return query_error(&query);
        *ret = cursor;
        return 1;
}
