/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Connections: what happened to them. Nothing here is ever deleted. */

#include <stdlib.h>

#include "base/string-util.h"
#include "store/store-private.h"

#define CONNECTION_COLUMNS(P, W)                                                                                     \
        W(state, state, connection_state)                                                                            \
        W(shown, shown, connection_state)                                                                            \
        P(reason, reason, TEXT)                                                                                      \
        P(since_usec, since_usec, USEC)                                                                              \
        P(run_id, run_id, TEXT)                                                                                      \
        P(consent_expires_usec, consent_expires_usec, USEC)                                                          \
        P(reconnected_usec, reconnected_usec, USEC)                                                                  \
        P(renewed_usec, renewed_usec, USEC)                                                                          \
        P(withdrawn, withdrawn, BOOL)                                                                                \
        P(reconnect_begun_usec, reconnect_begun_usec, USEC)                                                          \
        P(reconnect_ended_usec, reconnect_ended_usec, USEC)                                                          \
        P(reconnect_requested_by, reconnect_requested_by, TEXT)                                                      \
        W(reconnect_result, reconnect_result, reconnect_result)                                                      \
        P(reconnect_message, reconnect_message, TEXT)

#define COLUMNS_OF ConnectionRecord
static const Column identity[] = { COLUMN_PLAIN(name, name, TEXT) };
static const Column columns[] = { CONNECTION_COLUMNS(COLUMN_PLAIN, COLUMN_WORDS) };
#undef COLUMNS_OF

typedef struct ConnectionWrite {
        Write write;
        ConnectionRecord record;
} ConnectionWrite;

/* Every owned string of a record. */
static const size_t strings[] = {
        offsetof(ConnectionRecord, name),
        offsetof(ConnectionRecord, reason),
        offsetof(ConnectionRecord, run_id),
        offsetof(ConnectionRecord, reconnect_requested_by),
        offsetof(ConnectionRecord, reconnect_message),
};

static char **record_string(ConnectionRecord *record, size_t i)
{
        return (char **) ((char *) record + strings[i]);
}

void connection_record_done(ConnectionRecord *record)
{
        for (size_t i = 0; i < ELEMENTSOF(strings); i++)
                free(*record_string(record, i));
        *record = (ConnectionRecord) CONNECTION_RECORD_INIT;
}

int connection_record_copy(const ConnectionRecord *record, ConnectionRecord *ret)
{
        ConnectionRecord copy = *record;
        bool complete = true;

        for (size_t i = 0; i < ELEMENTSOF(strings); i++) {
                char **s = record_string(&copy, i), *original = *s;

                *s = original ? strdup(original) : NULL;
                complete = complete && (*s || !original);
        }
        if (!complete) {
                connection_record_done(&copy);
                return -ENOMEM;
        }
        *ret = copy;
        return 0;
}

static int apply_connection(Write *write, Db *db, Retention *retention)
{
        static const char sql[] = "INSERT OR REPLACE INTO connections (name" CONNECTION_COLUMNS(
                        SQL_COMMA_NAME, SQL_COMMA_NAME) ") VALUES (?" CONNECTION_COLUMNS(SQL_COMMA_VALUE,
                                                                                         SQL_COMMA_VALUE) ")";
        const ConnectionRecord *record = &container_of(write, ConnectionWrite, write)->record;
        _cleanup_query_ Query query = query_begin(db, sql);

        query_bind_text(&query, record->name);
        query_bind_columns(&query, columns, ELEMENTSOF(columns), record);
        return MIN(query_run(&query), 0);
}

static void free_connection(Write *write)
{
        connection_record_done(&container_of(write, ConnectionWrite, write)->record);
}

int store_put_connection(Store *store, const ConnectionRecord *record)
{
        static const WriteType type = { apply_connection, free_connection };
        ConnectionWrite *w;
        int r;

        if (!record->name)
                return -EINVAL;
        r = store_may_put(store);
        if (r < 0)
                return r;
        w = store_write_new(ConnectionWrite, &type);
        if (!w)
                return -ENOMEM;
        r = connection_record_copy(record, &w->record);
        if (r < 0) {
                store_write_free(&w->write);
                return r;
        }
        return store_put(store, &w->write);
}

void connection_records_free(ConnectionRecord *records, size_t n)
{
        for (size_t i = 0; i < n; i++)
                connection_record_done(&records[i]);
        free(records);
}

int store_load_connections(Store *store, ConnectionRecord **ret, size_t *ret_n)
{
        static const char sql[] = "SELECT name" CONNECTION_COLUMNS(SQL_COMMA_NAME, SQL_COMMA_NAME)
                                  " FROM connections ORDER BY name";
        _cleanup_query_ Query query = query_begin(store->reader, sql);
        ConnectionRecord *records = NULL;
        size_t allocated = 0, n = 0;
        int r;

        while ((r = query_step(&query)) > 0) {
                r = store_array_grow((void **) &records, &allocated, n, sizeof(ConnectionRecord));
                if (r < 0)
                        break;
                records[n] = (ConnectionRecord) CONNECTION_RECORD_INIT;
                query_get_columns(&query, identity, ELEMENTSOF(identity), &records[n]);
                query_get_columns(&query, columns, ELEMENTSOF(columns), &records[n++]);
                r = query_error(&query);
                if (r < 0)
                        break;
        }
        if (r < 0) {
                connection_records_free(records, n);
                return r;
        }
        *ret = records;
        *ret_n = n;
        return 0;
}
