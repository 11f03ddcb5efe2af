/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "engine/connection-table.h"

#include <stdlib.h>

#include "base/log.h"
#include "engine/attention-rules.h"
#include "engine/connection-state.h"
#include "engine/publication.h"
#include "engine/run-log.h"

typedef struct ConnectionPublication {
        Publication publication;
        ConnectionEntry *connection;
        ConnectionRecord record;
        ConnectionNews news;
} ConnectionPublication;

static bool is_seen(const ConnectionEntry *connection)
{
        return connection->definition || connection->members;
}

/* ---- Publishing */

static void on_connection_publication(Engine *engine, Publication *publication, int error)
{
        ConnectionPublication *p = container_of(publication, ConnectionPublication, publication);
        ConnectionEntry *connection = p->connection;
        const EngineObserver *observer = &engine->observer;

        if (error >= 0) {
                connection_record_done(&connection->published);
                connection->published = p->record;
                p->record = (ConnectionRecord) CONNECTION_RECORD_INIT;
                if (p->news & CONNECTION_NEWS_STATE)
                        connection_log_state(engine, connection->name);
                if (observer->connection_changed)
                        observer->connection_changed(connection->name, observer->userdata);
                if (p->news & CONNECTION_NEWS_RECONNECT) {
                        connection_log_reconnect(&connection->published);
                        if (observer->connection_reconnected)
                                observer->connection_reconnected(&connection->published, observer->userdata);
                }
        }
        connection_record_done(&p->record);
        free(p);
}

/* The published copy follows when all that was put so far is committed. */
static void connection_publish(ConnectionEntry *connection, ConnectionNews news)
{
        ConnectionPublication *p;

        if (connection->engine->broken < 0)
                return;
        p = calloc(1, sizeof(ConnectionPublication));
        if (!p || connection_record_copy(&connection->record, &p->record) < 0) {
                free(p);
                engine_break(connection->engine, -ENOMEM);
                return;
        }
        p->connection = connection;
        p->news = news;
        publication_queue(connection->engine, &p->publication, on_connection_publication);
}

void connection_save(ConnectionEntry *connection, ConnectionNews news)
{
        Engine *engine = connection->engine;
        int r;

        if (engine->broken < 0)
                return;
        r = store_put_connection(engine->store, &connection->record);
        if (r < 0) {
                engine_break(engine, r);
                return;
        }
        connection->stored = true;
        connection_publish(connection, news);
}

/* ---- The table */

static ConnectionEntry *find_entry(Engine *engine, const char *name)
{
        ConnectionEntry *connection = NULL;

        HASH_FIND_STR(engine->connections, name, connection);
        return connection;
}

ConnectionEntry *connection_table_find(Engine *engine, const char *name)
{
        ConnectionEntry *connection = find_entry(engine, name);

        return connection && is_seen(connection) ? connection : NULL;
}

static void entry_free(ConnectionEntry *connection)
{
        connection_definition_unref(connection->definition);
        connection_definition_unref(connection->definition_gone);
        connection_record_done(&connection->record);
        connection_record_done(&connection->published);
        free(connection->name);
        free(connection);
}

static int entry_new(Engine *engine, const char *name, ConnectionEntry **ret)
{
        ConnectionEntry *connection = calloc(1, sizeof(ConnectionEntry));

        if (!connection)
                return -ENOMEM;
        connection->engine = engine;
        connection->record = connection->published = (ConnectionRecord) CONNECTION_RECORD_INIT;
        connection->name = strdup(name);
        connection->record.name = strdup(name);
        if (connection->name && connection->record.name)
                HASH_ADD_KEYPTR(hh, engine->connections, connection->name, strlen(connection->name), connection);
        if (!connection->name || !connection->record.name || connection->lost) {
                entry_free(connection);
                return -ENOMEM;
        }
        *ret = connection;
        return 0;
}

void connection_table_free(Engine *engine)
{
        ConnectionEntry *connection, *next;

        sd_event_source_disable_unref(engine->connections_timer);
        HASH_ITER(hh, engine->connections, connection, next) {
                HASH_DEL(engine->connections, connection);
                entry_free(connection);
        }
}

void connection_table_remove(ConnectorEntry *c)
{
        ConnectionEntry *connection = TAKE_PTR(c->connection);

        if (!connection)
                return;
        DL_DELETE(connection->members, c);
        connection_publish(connection, 0);
}

int connection_table_update(ConnectorEntry *c)
{
        const char *name = c->definition->connection;
        ConnectionEntry *connection;
        int r;

        if (c->connection && streq_null(c->connection->name, name))
                return 0;
        connection_table_remove(c);
        if (!name)
                return 0;
        connection = find_entry(c->published.engine, name);
        if (!connection) {
                r = entry_new(c->published.engine, name, &connection);
                if (r < 0)
                        return r;
        }
        DL_APPEND(connection->members, c);
        c->connection = connection;
        return 0;
}

/* The history has none, for all that is known. */
static void forget_record(ConnectionEntry *connection)
{
        char *name = TAKE_PTR(connection->record.name);

        connection_record_done(&connection->record);
        connection->record.name = name;
        connection->stored = false;
}

int connection_table_read_records(Engine *engine)
{
        ConnectionEntry *connection, *next;
        ConnectionRecord *records;
        size_t n;
        int r;

        r = store_load_connections(engine->store, &records, &n);
        if (r < 0)
                return r;
        HASH_ITER(hh, engine->connections, connection, next)
                forget_record(connection);
        for (size_t i = 0; r >= 0 && i < n; i++) {
                connection = find_entry(engine, records[i].name);
                if (!connection)
                        r = entry_new(engine, records[i].name, &connection);
                if (r < 0)
                        break;
                connection->stored = true;
                connection_record_done(&connection->record);
                connection->record = records[i];
                records[i] = (ConnectionRecord) CONNECTION_RECORD_INIT;
        }
        connection_records_free(records, n);
        HASH_ITER(hh, engine->connections, connection, next)
                connection_publish(connection, 0);
        return r;
}

/* ---- Files */

/* The end that the file said before a restart; USEC_INFINITY: it was not over. A reconnection's is in the record. */
static usec_t told_end(const ConnectionEntry *connection)
{
        const ConnectionRecord *record = &connection->record;
        ConnectorEntry *c;

        if (record->shown < CONNECTION_EXPIRED || record->consent_expires_usec > record->reconnected_usec)
                return USEC_INFINITY;
        DL_FOREACH(connection->members, c)
                if (c->record.attention.category == ATTENTION_CONSENT_EXPIRED &&
                    attention_is_of_consent(&c->record.attention))
                        return c->record.attention.since_usec;
        return record->shown == CONNECTION_EXPIRED && record->state < CONNECTION_EXPIRED
                               ? engine_now(connection->engine, CLOCK_REALTIME)
                               : USEC_INFINITY;
}

/* A file with a wrong line is no new consent: the end that was known stands. Return: whether it does. */
static bool keep_consent_end(ConnectionDefinition *definition, const ConnectionEntry *connection)
{
        ConnectionDefinition *before = connection->definition;
        PointInTime known = { .usec = before ? point_in_time_usec(&before->consent_expires) : told_end(connection) };

        if (definition->load_state != LOAD_BAD_SETTING ||
            point_in_time_usec(&definition->consent_expires) <= known.usec)
                return false;
        if (before) {
                known = before->consent_expires;
                before->consent_expires = (PointInTime) POINT_IN_TIME_INIT;
        }
        point_in_time_done(&definition->consent_expires);
        definition->consent_expires = known;
        return true;
}

/* Whether it says another end than it did, which is a newer word than what a reconnection has said of it. */
static bool says_another_end(const ConnectionDefinition *definition, const ConnectionEntry *connection)
{
        const ConnectionDefinition *before = connection->definition ?: connection->definition_gone;
        const ConnectionRecord *record = &connection->record;
        usec_t usec = point_in_time_usec(&definition->consent_expires), was = USEC_INFINITY;

        if (record->consent_expires_usec <= record->reconnected_usec || usec == USEC_INFINITY ||
            usec <= record->reconnected_usec)
                return false;
        if (before)
                was = point_in_time_usec(&before->consent_expires);
        else if (!connection->engine->started || !connection->engine->files_read)
                return false;
        /* What a wrong line was meant to say is not known. */
        return usec != was && !(before && before->load_state == LOAD_BAD_SETTING && was == USEC_INFINITY);
}

static void take_definition(ConnectionEntry *connection, ConnectionDefinition *definition)
{
        bool another = !keep_consent_end(definition, connection) && says_another_end(definition, connection);

        connection_definition_unref(connection->definition);
        connection->definition = definition;
        connection->definition_gone = connection_definition_unref(connection->definition_gone);
        if (!another) {
                connection_publish(connection, 0);
                return;
        }
        connection->record.consent_expires_usec = 0;
        connection_save(connection, 0);
}

static int load_connection(Engine *engine, const char *name)
{
        _cleanup_(connection_definition_unrefp) ConnectionDefinition *definition = NULL;
        ConnectionEntry *connection = find_entry(engine, name);
        bool is_news = (engine->started && engine->files_read) || !connection;
        Diagnostics d = {};
        int r;

        r = connection_definition_load(engine->connection_dirs, name, &d, &definition);
        if (r >= 0 && !connection)
                r = entry_new(engine, name, &connection);
        if (r >= 0) {
                connection->in_files = true;
                if (!connection->definition || !connection_definition_equal(connection->definition, definition)) {
                        connection_log(definition, &d, is_news);
                        take_definition(connection, TAKE_PTR(definition));
                }
        }
        diagnostics_done(&d);
        return r == -ENOENT ? 0 : r; /* masked */
}

static int load_files(Engine *engine)
{
        _cleanup_strv_free_ char **names = NULL;
        size_t n = 0;
        int r;

        r = conf_list_objects(engine->connection_dirs, ".connection", SIZE_MAX, &names);
        STRV_FOREACH(name, names) {
                if (r < 0)
                        break;
                if (!connector_name_is_valid(*name)) {
                        log_warning("%s.connection is not read: a connection's name matches [a-z][a-z0-9_-]{0,27}.",
                                    *name);
                        continue;
                }
                if (n++ == CONNECTIONS_MAX) {
                        log_error("There are more than %u connection files; %s and all behind it are not read.",
                                  CONNECTIONS_MAX, *name);
                        break;
                }
                r = load_connection(engine, *name);
        }
        return r;
}

int connection_table_load(Engine *engine)
{
        ConnectionEntry *connection, *next;
        int r;

        HASH_ITER(hh, engine->connections, connection, next)
                connection->in_files = false;
        r = load_files(engine);
        if (r < 0)
                return r;
        HASH_ITER(hh, engine->connections, connection, next) {
                if (connection->in_files || !connection->definition)
                        continue;
                connection_definition_unref(connection->definition_gone);
                connection->definition_gone = TAKE_PTR(connection->definition);
                connection_publish(connection, 0);
        }
        connection_state_settle_all(engine);
        return 0;
}

/* ---- Looking */

const char *engine_next_connection(Engine *engine, const char *after)
{
        ConnectionEntry *connection = engine->connections;

        if (after) {
                connection = find_entry(engine, after);
                connection = connection ? connection->hh.next : NULL;
        }
        while (connection && !is_seen(connection))
                connection = connection->hh.next;
        return connection ? connection->name : NULL;
}

Connector *engine_next_of_connection(Engine *engine, const char *name, const Connector *after)
{
        ConnectionEntry *connection = find_entry(engine, name);
        ConnectorEntry *c;

        if (!connection)
                return NULL;
        c = after ? container_of(after, ConnectorEntry, published)->next : connection->members;
        while (c && !c->announced)
                c = c->next;
        return c ? &c->published : NULL;
}
