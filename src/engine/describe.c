/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "engine/describe.h"

#include <stdlib.h>

#include "engine/engine-internal.h"
#include "model/view.h"

/* ---- Runs */

int engine_describe_runs(Engine *engine, const RunFilter *filter, char **ret_json)
{
        _cleanup_buffer_ Buffer buffer = {};
        JsonWriter w = JSON_WRITER_INIT(&buffer);
        _cleanup_free_ char *next = NULL;
        char advice[ATTENTION_ADVICE_MAX];
        Run **runs;
        size_t n;
        int r;

        r = store_list_runs(engine->store, filter, &runs, &n, &next);
        if (r < 0)
                return r;
        json_open_object(&w, NULL);
        json_open_array(&w, "runs");
        for (size_t i = 0; i < n; i++)
                view_run(&w, NULL, runs[i], engine_run_advice(engine, runs[i], advice), filter->with_accounts);
        json_close_array(&w);
        json_write_string(&w, "next", next);
        json_close_object(&w);
        runs_free(runs, n);
        return buffer_take(&buffer, ret_json);
}

const char *engine_run_advice(Engine *engine, const Run *run, char buf[static ATTENTION_ADVICE_MAX])
{
        const Connector *connector = run->connector ? engine_find_connector(engine, run->connector) : NULL;

        return attention_advice_for(buf, run->category,
                                    connector && connector->definition->connection ? NULL : run->connector);
}

int engine_describe_run(Engine *engine, const char *run_id, char **ret_json)
{
        _cleanup_buffer_ Buffer buffer = {};
        JsonWriter w = JSON_WRITER_INIT(&buffer);
        _cleanup_(run_freep) Run *run = NULL;
        char advice[ATTENTION_ADVICE_MAX];
        int r;

        r = store_get_run(engine->store, run_id, true, &run);
        if (r < 0)
                return r;
        view_run(&w, NULL, run, engine_run_advice(engine, run, advice), true);
        return buffer_take(&buffer, ret_json);
}

/* ---- Events */

int engine_keep_young(Engine *engine, EventFilter *filter, uint64_t *ret_first)
{
        usec_t max_age = engine->settings->events_max_age_usec, since = 0;
        uint64_t first;
        int r;

        if (max_age != USEC_INFINITY)
                since = usec_sub(engine_now(engine, CLOCK_REALTIME), max_age);
        r = store_first_seq_since(engine->store, since, &first);
        if (r < 0)
                return r;
        filter->since_usec = MAX(filter->since_usec, since);
        filter->after_seq = MAX(filter->after_seq, first - 1);
        *ret_first = first;
        return 0;
}

static void write_events(JsonWriter *w, const StoredEvent *events, size_t n)
{
        json_open_array(w, "events");
        for (size_t i = 0; i < n; i++) {
                json_open_object(w, NULL);
                json_write_uint(w, "seq", events[i].seq);
                json_write_raw(w, "event", events[i].json);
                json_close_object(w);
        }
        json_close_array(w);
}

int engine_describe_events(Engine *engine, const EventFilter *filter, char **ret_json)
{
        _cleanup_buffer_ Buffer buffer = {};
        JsonWriter w = JSON_WRITER_INIT(&buffer);
        _cleanup_event_page_ EventPage page = {};
        EventFilter young = *filter;
        uint64_t first;
        int r;

        r = engine_keep_young(engine, &young, &first);
        if (r >= 0)
                r = store_list_events(engine->store, &young, &page);
        if (r < 0)
                return r;
        json_open_object(&w, NULL);
        write_events(&w, page.events, page.n);
        json_write_uint(&w, "first", first);
        json_write_uint(&w, "last", engine->published_seq);
        if (page.next > 0)
                json_write_uint(&w, "next", page.next);
        else
                json_write_null(&w, "next");
        json_close_object(&w);
        return buffer_take(&buffer, ret_json);
}

/* ---- Connectors */

static void write_definition(JsonWriter *w, const ConnectorDefinition *d)
{
        json_write_string(w, "description", d->description);
        json_write_string(w, "provider", d->provider);
        json_write_string(w, "source", run_source_to_string(d->source));
        json_write_string(w, "user_id", d->user_id);
        json_write_string(w, "connection", d->connection);
        json_write_string(w, "load_state", load_state_to_string(d->load_state));
        json_write_string(w, "load_error", d->load_error);
        json_write_string(w, "path", d->path);
        json_write_string(w, "destination", destination_type_to_string(d->destination));
        json_open_array(w, "calendar");
        for (size_t i = 0; i < d->n_calendars; i++)
                json_write_string(w, NULL, d->calendars[i].text);
        json_close_array(w);
        if (d->every_usec > 0)
                json_write_uint(w, "every_usec", d->every_usec);
        else
                json_write_null(w, "every_usec");
        json_write_bool(w, "persistent", d->persistent);
        json_write_string(w, "overlap", overlap_policy_to_string(d->overlap));
}

/* What comes after the active run, and what is owed. */
static void write_follow_up(JsonWriter *w, const Connector *c)
{
        const char *accounts;
        NextRun next;

        json_write_bool(w, "full_resync_pending", connector_owes_resync(c, &accounts));
        json_write_raw(w, "full_resync_accounts", accounts);
        if (!connector_follow_up(c, &next)) {
                json_write_null(w, "follow_up");
                return;
        }
        json_open_object(w, "follow_up");
        json_write_string(w, "trigger", run_trigger_to_string(next.trigger));
        json_write_bool(w, "full_resync", next.full_resync);
        json_write_raw(w, "accounts", next.accounts);
        json_write_string(w, "requested_by", next.requested_by);
        json_write_string(w, "reason", next.reason);
        json_close_object(w);
}

static void write_record(JsonWriter *w, const Connector *c)
{
        const ConnectorRecord *record = &c->record;

        json_write_timestamp(w, "first_seen_at", record->first_seen_usec);
        json_write_string(w, "last_run_id", record->last_run_id);
        json_write_string(w, "last_outcome", run_outcome_to_string(record->last_outcome));
        json_write_timestamp(w, "last_finished_at", record->last_finished_usec);
        json_write_uint(w, "consecutive_failures", record->consecutive_failures);
        if (record->retry_at_usec > 0) {
                json_open_object(w, "retry");
                json_write_timestamp(w, "at", record->retry_at_usec);
                json_write_uint(w, "attempt", record->retry_attempt);
                json_write_string(w, "of", record->retry_of);
                json_write_raw(w, "accounts", record->retry_accounts);
                json_close_object(w);
        } else
                json_write_null(w, "retry");
        write_follow_up(w, c);
        view_attention(w, "attention", &record->attention, c->definition->connection ? NULL : record->name);
}

/* @user_id: whose active run is told of; NULL: anybody's. */
static void write_connector(const Engine *engine, JsonWriter *w, const Connector *c, const char *user_id)
{
        _cleanup_free_ char *state_directory = launcher_state_directory(engine->launcher, c->record.name);
        char advice[ATTENTION_ADVICE_MAX];

        json_open_object(w, NULL);
        json_write_string(w, "name", c->record.name);
        json_write_string(w, "id", c->record.id);
        write_definition(w, c->definition);
        json_write_string(w, "state_directory", state_directory);
        json_write_bool(w, "active", c->active);
        json_write_bool(w, "deleting_items", c->record.deleting);
        json_write_timestamp(w, "next_elapse", c->next_elapse_usec);
        if (c->run && (!user_id || streq_null(c->run->user_id, user_id)))
                view_run(w, "active_run", c->run, engine_run_advice(c->engine, c->run, advice), false);
        else
                json_write_null(w, "active_run");
        write_record(w, c);
        json_close_object(w);
}

static bool connector_matches(const Connector *c, const ConnectorFilter *filter)
{
        return (!filter->name || streq(filter->name, c->record.name) || streq(filter->name, c->record.id)) &&
               (!filter->user_id || streq_null(filter->user_id, c->definition->user_id)) &&
               (!filter->provider || streq(filter->provider, c->definition->provider)) &&
               (!filter->connection || streq_null(filter->connection, c->definition->connection)) &&
               (filter->attention < 0 || (filter->attention > 0) == (c->record.attention.category >= 0)) &&
               (!filter->page || strcmp(c->record.name, filter->page) > 0);
}

static int compare_connectors(const void *a, const void *b)
{
        const Connector *const *x = a, *const *y = b;

        return strcmp((*x)->record.name, (*y)->record.name);
}

int engine_describe_connectors(Engine *engine, const ConnectorFilter *filter, char **ret_json)
{
        _cleanup_buffer_ Buffer buffer = {};
        JsonWriter w = JSON_WRITER_INIT(&buffer);
        _cleanup_page_select_ PageSelect select = {};
        const Connector *last = NULL;
        Connector *c = NULL;
        size_t n, i;
        int r;

        r = page_select_init(&select, filter->limit, compare_connectors);
        if (r < 0)
                return r;
        while ((c = engine_next_connector(engine, c)))
                if (connector_matches(c, filter))
                        page_select_add(&select, c);
        n = page_select_end(&select);
        json_open_object(&w, NULL);
        json_open_array(&w, "connectors");
        for (i = 0; i < MIN(n, filter->limit) && buffer.size < DESCRIBE_PAGE_BYTES; i++) {
                last = select.items[i];
                write_connector(engine, &w, last, filter->user_id);
        }
        json_close_array(&w);
        json_write_string(&w, "next", last && i < n ? last->record.name : NULL);
        json_close_object(&w);
        return buffer_take(&buffer, ret_json);
}

int engine_describe_connector(Engine *engine, const char *name, char **ret_json)
{
        _cleanup_buffer_ Buffer buffer = {};
        JsonWriter w = JSON_WRITER_INIT(&buffer);
        const Connector *c = engine_find_connector(engine, name);

        if (!c)
                return -ENXIO;
        write_connector(engine, &w, c, NULL);
        return buffer_take(&buffer, ret_json);
}

/* ---- Connections */

bool connection_matches(Engine *engine, const char *name, const ConnectionFilter *filter)
{
        const Connector *c = NULL;
        Connection connection;

        if (filter->name && !streq(filter->name, name))
                return false;
        if (engine_find_connection_of(engine, name, filter->user_id, &connection) < 0)
                return false;
        if (!filter->provider)
                return true;
        if (connection.definition && streq(connection.definition->provider, filter->provider))
                return true;
        while ((c = engine_next_of_connection(engine, name, c)))
                if (streq(filter->provider, c->definition->provider) &&
                    (!filter->user_id || streq_null(filter->user_id, c->definition->user_id)))
                        return true;
        return false;
}

static void write_connection_definition(JsonWriter *w, const ConnectionDefinition *d)
{
        json_write_string(w, "description", d ? d->description : NULL);
        json_write_string(w, "provider", d ? d->provider : NULL);
        json_write_string(w, "user_id", d ? d->user_id : NULL);
        json_write_string(w, "load_state", d ? load_state_to_string(d->load_state) : NULL);
        json_write_string(w, "load_error", d ? d->load_error : NULL);
        json_write_string(w, "path", d ? d->path : NULL);
        json_open_array(w, "accounts");
        STRV_FOREACH(account, d ? d->accounts : NULL)
                json_write_string(w, NULL, *account);
        json_close_array(w);
        json_write_bool(w, "has_program", d && d->exec_reconnect);
}

static void write_reconnect(JsonWriter *w, const ConnectionRecord *record)
{
        if (!record || record->reconnect_begun_usec == 0) {
                json_write_null(w, "reconnect");
                return;
        }
        json_open_object(w, "reconnect");
        json_write_timestamp(w, "begun", record->reconnect_begun_usec);
        json_write_timestamp(w, "ended", record->reconnect_ended_usec);
        json_write_string(w, "requested_by", record->reconnect_requested_by);
        json_write_string(w, "result", reconnect_result_to_string(record->reconnect_result));
        json_write_string(w, "message", record->reconnect_message);
        json_close_object(w);
}

static void write_connection(JsonWriter *w, Engine *engine, const char *name, const char *user_id)
{
        const Connector *c = NULL;
        Connection connection;

        if (engine_find_connection_of(engine, name, user_id, &connection) < 0)
                return;
        json_open_object(w, NULL);
        json_write_string(w, "name", name);
        write_connection_definition(w, connection.definition);
        json_write_string(w, "state", connection_state_to_string(connection.state));
        json_write_string(w, "reason", connection.reason);
        json_write_timestamp(w, "since", connection.since_usec);
        json_write_string(w, "run_id", connection.record ? connection.record->run_id : NULL);
        json_write_timestamp(w, "consent_expires",
                             connection.consent_expires_usec == USEC_INFINITY ? 0 : connection.consent_expires_usec);
        json_write_bool(w, "reconnecting", connection_is_reconnecting(&connection));
        write_reconnect(w, connection.record);
        json_open_array(w, "connectors");
        while ((c = engine_next_of_connection(engine, name, c)))
                if (!user_id || streq_null(c->definition->user_id, user_id))
                        json_write_string(w, NULL, c->record.name);
        json_close_array(w);
        json_close_object(w);
}

int connections_select(Engine *engine, const ConnectionFilter *filter, PageSelect *ret)
{
        const char *name = NULL;
        int r;

        r = page_select_init(ret, filter->limit, page_compare_names);
        if (r < 0)
                return r;
        while ((name = engine_next_connection(engine, name)))
                if ((!filter->page || strcmp(name, filter->page) > 0) && connection_matches(engine, name, filter))
                        page_select_add(ret, name);
        (void) page_select_end(ret);
        return 0;
}

int engine_describe_connections(Engine *engine, const ConnectionFilter *filter, char **ret_json)
{
        _cleanup_buffer_ Buffer buffer = {};
        JsonWriter w = JSON_WRITER_INIT(&buffer);
        _cleanup_page_select_ PageSelect select = {};
        size_t n, i;
        int r;

        r = connections_select(engine, filter, &select);
        if (r < 0)
                return r;
        n = select.n;
        json_open_object(&w, NULL);
        json_open_array(&w, "connections");
        for (i = 0; i < MIN(n, filter->limit) && buffer.size < DESCRIBE_PAGE_BYTES; i++)
                write_connection(&w, engine, select.items[i], filter->user_id);
        json_close_array(&w);
        json_write_string(&w, "next", i < n ? select.items[i - 1] : NULL);
        json_close_object(&w);
        return buffer_take(&buffer, ret_json);
}

int engine_describe_connection(Engine *engine, const char *name, char **ret_json)
{
        _cleanup_buffer_ Buffer buffer = {};
        JsonWriter w = JSON_WRITER_INIT(&buffer);
        Connection connection;
        int r;

        r = engine_find_connection(engine, name, &connection);
        if (r < 0)
                return r;
        write_connection(&w, engine, name, NULL);
        return buffer_take(&buffer, ret_json);
}

/* ---- Users */

int engine_describe_users(Engine *engine, const char *after_id, unsigned limit, char **ret_json)
{
        _cleanup_buffer_ Buffer buffer = {};
        JsonWriter w = JSON_WRITER_INIT(&buffer);
        UserRecord *users;
        size_t n;
        int r;

        r = store_list_users(engine->store, after_id, limit, &users, &n);
        if (r < 0)
                return r;
        json_open_object(&w, NULL);
        json_open_array(&w, "users");
        for (size_t i = 0; i < n; i++) {
                json_open_object(&w, NULL);
                json_write_string(&w, "id", users[i].id);
                json_write_timestamp(&w, "first_seen_at", users[i].first_seen_usec);
                json_write_uint(&w, "runs", users[i].n_runs);
                json_write_timestamp(&w, "last_run_at", users[i].last_run_usec);
                json_close_object(&w);
        }
        json_close_array(&w);
        json_write_string(&w, "next", n > 0 && n == limit ? users[n - 1].id : NULL);
        json_close_object(&w);
        user_records_free(users, n);
        return buffer_take(&buffer, ret_json);
}
