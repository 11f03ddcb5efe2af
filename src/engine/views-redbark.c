/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "engine/views-redbark.h"

#include <stdlib.h>

#include "engine/engine-internal.h"
#include "model/name-cursor.h"
#include "model/view-redbark.h"

/* ---- Connectors */

/* What of it belongs to a user: a run that began before User= was changed is not that user's. NULL: all. */
static bool is_of_user(const Run *run, const char *user_id)
{
        return run && (!user_id || streq_null(run->user_id, user_id));
}

static RedbarkSync sync_of(const Connector *c, const char *user_id)
{
        bool active = is_of_user(c->run, user_id);
        NextRun next;

        return (RedbarkSync){
                .definition = c->definition,
                .id = c->record.id,
                .active = c->active,
                .active_run_id = active ? c->run->id : NULL,
                .follow_up = active && connector_follow_up(c, &next) ? next.trigger : _RUN_TRIGGER_INVALID,
                .next_usec = c->active ? c->next_elapse_usec : USEC_INFINITY,
                .last_run_id = c->record.last_run_id,
                .last_outcome = c->record.last_outcome,
                .last_finished_usec = c->record.last_finished_usec,
                .consecutive_failures = c->record.consecutive_failures,
                .destination_failures = c->record.destination_failures,
                .disabled_by_service = c->record.disabled_by_service,
                .attention = &c->record.attention,
        };
}

static bool connector_matches(const Connector *c, const RedbarkFilter *filter)
{
        const ConnectorFilter *f = &filter->connectors;
        RedbarkSync sync = sync_of(c, f->user_id);

        return (!filter->page || strcmp(c->record.name, filter->page) > 0) &&
               (!f->user_id || streq_null(f->user_id, c->definition->user_id)) &&
               (!f->provider || streq(f->provider, c->definition->provider)) &&
               (!f->connection || streq_null(f->connection, c->definition->connection)) &&
               (f->attention < 0 || (f->attention > 0) == redbark_sync_needs_attention(&sync));
}

static int compare_connectors(const void *a, const void *b)
{
        const Connector *const *x = a, *const *y = b;

        return strcmp((*x)->record.name, (*y)->record.name);
}

/* Fills in the strip of outcomes. */
static int write_sync(JsonWriter *w, Engine *engine, const Connector *c, const RedbarkFilter *filter, bool detail)
{
        const char *user_id = filter->connectors.user_id;
        RedbarkSync sync = sync_of(c, user_id);
        RedbarkMark *marks = NULL;
        int r;

        sync.without_paths = filter->without_paths;
        if (filter->n_outcomes > 0) {
                r = store_list_marks(engine->store, c->record.name, user_id, filter->n_outcomes, &marks,
                                     &sync.n_marks);
                if (r < 0)
                        return r;
                sync.marks = marks;
                sync.with_marks = true;
        }
        view_redbark_sync(w, &sync);
        if (detail)
                view_redbark_sync_detail(w, &sync);
        redbark_marks_free(marks, sync.n_marks);
        return 0;
}

int engine_view_redbark_connectors(Engine *engine, const RedbarkFilter *filter, char **ret_json)
{
        _cleanup_page_select_ PageSelect select = {};
        _cleanup_buffer_ Buffer buffer = {};
        JsonWriter w = JSON_WRITER_INIT(&buffer);
        char cursor[NAME_CURSOR_TEXT_MAX];
        const Connector *c = NULL;
        size_t n;
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
        for (size_t i = 0; i < n && i < filter->limit; i++) {
                json_open_object(&w, NULL);
                c = select.items[i];
                r = write_sync(&w, engine, c, filter, false);
                if (r < 0)
                        return r;
                json_close_object(&w);
        }
        json_close_array(&w);
        json_write_string(&w, "nextCursor",
                          n > filter->limit ? name_cursor_format(cursor, NAME_CURSOR_CONNECTORS, c->record.name)
                                            : NULL);
        json_close_object(&w);
        return buffer_take(&buffer, ret_json);
}

/* ---- Connections */

/* With those of its connectors that fit. Return: 1; 0 (it does not fit); -ENOMEM. */
static int connection_of(Engine *engine, const char *name, const ConnectionFilter *filter, RedbarkConnection *ret)
{
        _cleanup_free_ const char **names = NULL;
        RedbarkConnection found = {};
        const Connector *c = NULL;
        Connection connection;
        size_t n = 0;

        if (!connection_matches(engine, name, filter) ||
            engine_find_connection_of(engine, name, filter->user_id, &connection) < 0)
                return 0;
        while ((c = engine_next_of_connection(engine, name, c)))
                n++;
        names = calloc(n + 1, sizeof(*names));
        if (!names)
                return -ENOMEM;
        while ((c = engine_next_of_connection(engine, name, c)))
                if ((!filter->provider || streq(filter->provider, c->definition->provider)) &&
                    (!filter->user_id || streq_null(filter->user_id, c->definition->user_id)))
                        names[found.n_connectors++] = c->record.name;
        qsort(names, found.n_connectors, sizeof(*names), page_compare_names);
        found.name = name;
        found.state = connection.state;
        found.reason = connection.reason;
        found.since_usec = connection.since_usec;
        found.consent_expires_usec = connection.consent_expires_usec;
        found.reconnecting = connection_is_reconnecting(&connection);
        found.reconnect_result = _RECONNECT_RESULT_INVALID;
        if (connection.record) {
                found.reconnect_result = connection.record->reconnect_result;
                found.reconnect_message = connection.record->reconnect_message;
                found.reconnect_finished_usec = connection.record->reconnect_ended_usec;
        }
        if (connection.definition) {
                found.provider = connection.definition->provider;
                found.description = connection.definition->description;
                found.accounts = connection.definition->accounts;
        }
        found.connectors = TAKE_PTR(names);
        *ret = found;
        return 1;
}

/* Return: as connection_of(). */
static int write_connection(JsonWriter *w, const char *key, Engine *engine, const char *name,
                            const ConnectionFilter *filter)
{
        RedbarkConnection connection;
        int r;

        r = connection_of(engine, name, filter, &connection);
        if (r > 0) {
                view_redbark_connection(w, key, &connection);
                free((void *) connection.connectors);
        }
        return r;
}

static int write_connections(JsonWriter *w, Engine *engine, const ConnectionFilter *filter)
{
        _cleanup_page_select_ PageSelect select = {};
        char cursor[NAME_CURSOR_TEXT_MAX];
        size_t i = 0;
        int r;

        r = connections_select(engine, filter, &select);
        if (r < 0)
                return r;
        json_open_array(w, "connections");
        for (; r >= 0 && i < MIN(select.n, filter->limit) && w->out->size < DESCRIBE_PAGE_BYTES; i++)
                r = write_connection(w, NULL, engine, select.items[i], filter);
        json_close_array(w);
        json_write_string(w, "nextCursor",
                          i < select.n ? name_cursor_format(cursor, NAME_CURSOR_CONNECTIONS, select.items[i - 1])
                                       : NULL);
        return r;
}

int engine_view_redbark_connections(Engine *engine, const ConnectionFilter *filter, char **ret_json)
{
        _cleanup_buffer_ Buffer buffer = {};
        JsonWriter w = JSON_WRITER_INIT(&buffer);
        int r;

        json_open_object(&w, NULL);
        r = filter->name ? write_connection(&w, "connection", engine, filter->name, filter)
                         : write_connections(&w, engine, filter);
        json_close_object(&w);
        if (r < 0 || (r == 0 && filter->name))
                return r < 0 ? r : -ENOLINK;
        return buffer_take(&buffer, ret_json);
}

/* ---- One connector */

int engine_view_redbark_connector(Engine *engine, const Connector *connector, const RedbarkFilter *filter,
                                  char **ret_json)
{
        const ConnectionFilter own = { .user_id = connector->definition->user_id };
        _cleanup_buffer_ Buffer buffer = {};
        JsonWriter w = JSON_WRITER_INIT(&buffer);
        int r;

        json_open_object(&w, NULL);
        json_open_object(&w, "connector");
        r = write_sync(&w, engine, connector, filter, true);
        json_open_array(&w, "connections");
        if (r >= 0 && connector->definition->connection)
                r = write_connection(&w, NULL, engine, connector->definition->connection, &own);
        json_close_array(&w);
        json_close_object(&w);
        json_close_object(&w);
        return r < 0 ? r : buffer_take(&buffer, ret_json);
}

/* ---- The activity feed */

unsigned engine_activity_max(const Engine *engine)
{
        return MIN(engine->settings->activity_max_runs, RUNS_PAGE_MAX);
}

/* Return: 1; 0 (its rows are more than are left); negative errno. */
static int write_entry(JsonWriter *w, Engine *engine, Run *run, bool newest, size_t *left)
{
        size_t n_shown;
        int r;

        r = store_read_accounts(engine->store, run);
        if (r < 0)
                return r;
        if (run->n_accounts > *left && !newest)
                return 0;
        n_shown = MIN(run->n_accounts, *left);
        view_redbark_run(w, run, n_shown, run->n_accounts - n_shown);
        *left -= n_shown;
        return 1;
}

int engine_view_redbark_activity(Engine *engine, const Connector *connector, const char *user_id, unsigned limit,
                                 char **ret_json)
{
        size_t left = engine->settings->activity_max_account_rows, n;
        _cleanup_buffer_ Buffer buffer = {};
        JsonWriter w = JSON_WRITER_INIT(&buffer);
        RunFilter filter = RUN_FILTER_INIT;
        Run **runs;
        int r;

        filter.connector = connector->record.name;
        filter.user_id = user_id;
        filter.limit = limit;
        filter.brief = true;
        r = store_list_runs(engine->store, &filter, &runs, &n, NULL);
        if (r < 0)
                return r;
        json_open_object(&w, NULL);
        json_open_array(&w, "activity");
        r = 1;
        for (size_t i = 0; r > 0 && i < n; i++)
                r = write_entry(&w, engine, runs[i], i == 0, &left);
        json_close_array(&w);
        json_close_object(&w);
        runs_free(runs, n);
        return r < 0 ? r : buffer_take(&buffer, ret_json);
}
