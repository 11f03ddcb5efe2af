/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Bulk reads of the manager: a filter in, one JSON text out. How a thing looks as JSON is engine/describe's business.
 * Reading is open to everyone on the bus: nothing here is secret. */

#include "bus/manager-describe.h"

#include "base/json-writer.h"
#include "base/string-util.h"
#include "bus/bus-error.h"
#include "bus/bus-private.h"
#include "bus/option.h"
#include "engine/describe.h"
#include "model/view.h"

#define USERS_PAGE_MAX     10000U
#define DEFAULT_PAGE       50U
#define DEFAULT_USERS_PAGE 1000U

int reply_json(sd_bus_message *m, int r, char *json, sd_bus_error *error)
{
        _cleanup_free_ char *text = json;

        if (r < 0)
                return bus_refuse(error, r);
        if (strlen(text) > DESCRIBE_BYTES_MAX)
                return bus_refuse_text(error, -E2BIG,
                                       "The answer has %zu bytes, more than %llu: ask for less at a time.",
                                       strlen(text), DESCRIBE_BYTES_MAX);
        return sd_bus_reply_method_return(m, "s", text);
}

static int check_limit(unsigned limit, unsigned max, sd_bus_error *error)
{
        if (limit >= 1 && limit <= max)
                return 0;
        return bus_refuse_text(error, -EINVAL, "limit: 1 to %u, not %u.", max, limit);
}

/* @user, if there is one, in its lower-case form. */
static int normalize_user(const char **user, char buf[static UUID_TEXT_MAX], sd_bus_error *error)
{
        if (!*user)
                return 0;
        if (uuid_normalize(*user, buf) < 0)
                return bus_refuse_text(error, -EINVAL, "user: '%s' is not a UUID.", *user);
        *user = buf;
        return 0;
}

/* ---- Runs */

typedef struct RunsRequest {
        RunFilter filter;
        const char *id;
        const char *connector;
        const char *source;
        const char *outcome;
        char user[UUID_TEXT_MAX];
        char connector_id[UUID_TEXT_MAX];
} RunsRequest;

static const OptionRow runs_options[] = {
        { "id", OPTION_STRING, offsetof(RunsRequest, id) },
        { "connector", OPTION_STRING, offsetof(RunsRequest, connector) },
        { "user", OPTION_STRING, offsetof(RunsRequest, filter.user_id) },
        { "provider", OPTION_STRING, offsetof(RunsRequest, filter.provider) },
        { "source", OPTION_STRING, offsetof(RunsRequest, source) },
        { "outcome", OPTION_STRING, offsetof(RunsRequest, outcome) },
        { "active", OPTION_TRISTATE, offsetof(RunsRequest, filter.active) },
        { "since", OPTION_UINT64, offsetof(RunsRequest, filter.since_usec) },
        { "until", OPTION_UINT64, offsetof(RunsRequest, filter.until_usec) },
        { "limit", OPTION_UNSIGNED, offsetof(RunsRequest, filter.limit) },
        { "page", OPTION_STRING, offsetof(RunsRequest, filter.page) },
        { "accounts", OPTION_BOOL, offsetof(RunsRequest, filter.with_accounts) },
        { 0 },
};

/* The words of the request as the store wants them. */
static int runs_request_check(RunsRequest *request, sd_bus_error *error)
{
        RunFilter *filter = &request->filter;
        int r;

        if (request->source) {
                filter->source = run_source_from_string(request->source);
                if (filter->source < 0)
                        return bus_refuse_text(error, -EINVAL, "source: there is no '%s'.", request->source);
        }
        if (request->outcome) {
                filter->outcome = run_outcome_from_string(request->outcome);
                if (filter->outcome < 0)
                        return bus_refuse_text(error, -EINVAL, "outcome: there is no '%s'.", request->outcome);
        }
        if (request->connector && uuid_normalize(request->connector, request->connector_id) >= 0)
                filter->connector_id = request->connector_id;
        else
                filter->connector = request->connector;
        r = normalize_user(&filter->user_id, request->user, error);
        return r < 0 ? r : check_limit(filter->limit, RUNS_PAGE_MAX, error);
}

/* Whether a run found by its id is also all else that the filter wants. */
static bool run_matches(const Run *run, const RunFilter *filter)
{
        return (!filter->connector || streq_null(run->connector, filter->connector)) &&
               (!filter->connector_id || streq_null(run->connector_id, filter->connector_id)) &&
               (!filter->user_id || streq_null(run->user_id, filter->user_id)) &&
               (!filter->provider || streq_null(run->provider, filter->provider)) &&
               (filter->source < 0 || run->source == filter->source) &&
               (filter->outcome < 0 || run->outcome == filter->outcome) &&
               (filter->active < 0 || run_is_active(run) == (filter->active > 0)) &&
               run->created_usec >= filter->since_usec &&
               (filter->until_usec == 0 || run->created_usec < filter->until_usec);
}

/* {"runs":[...],"next":null} with one run or none. */
static int describe_one_run(Bus *bus, const RunsRequest *request, char **ret_json)
{
        _cleanup_buffer_ Buffer json = { 0 };
        JsonWriter w = JSON_WRITER_INIT(&json);
        _cleanup_(run_freep) Run *run = NULL;
        int r;

        r = store_get_run(engine_store(bus->engine), request->id, request->filter.with_accounts, &run);
        if (r < 0 && r != -ESRCH)
                return r;
        json_open_object(&w, NULL);
        json_open_array(&w, "runs");
        if (run && run_matches(run, &request->filter))
                view_run(&w, NULL, run, request->filter.with_accounts);
        json_close_array(&w);
        json_write_null(&w, "next");
        json_close_object(&w);
        return buffer_take(&json, ret_json);
}

int method_describe_runs(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        RunsRequest request = { .filter = RUN_FILTER_INIT };
        Bus *bus = userdata;
        char *json = NULL;
        int r;

        r = options_read(m, runs_options, &request, NULL, error);
        if (r >= 0)
                r = runs_request_check(&request, error);
        if (r < 0)
                return r;
        r = request.id ? describe_one_run(bus, &request, &json)
                       : engine_describe_runs(bus->engine, &request.filter, &json);
        if (r == -EINVAL)
                return bus_refuse_text(error, r, "page: this is not what a page before gave as next.");
        return reply_json(m, r, json, error);
}

/* ---- Events */

static const OptionRow events_options[] = {
        { "user", OPTION_STRING, offsetof(EventFilter, user_id) },
        { "run", OPTION_STRING, offsetof(EventFilter, run_id) },
        { "connector", OPTION_STRING, offsetof(EventFilter, connector) },
        { "provider", OPTION_STRING, offsetof(EventFilter, provider) },
        { "after", OPTION_UINT64, offsetof(EventFilter, after_seq) },
        { "since", OPTION_UINT64, offsetof(EventFilter, since_usec) },
        { "newest_first", OPTION_BOOL, offsetof(EventFilter, newest_first) },
        { "limit", OPTION_UNSIGNED, offsetof(EventFilter, limit) },
        { 0 },
};

int method_describe_events(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        EventFilter filter = { .limit = DEFAULT_PAGE };
        char user[UUID_TEXT_MAX];
        Bus *bus = userdata;
        char *json = NULL;
        int r;

        r = options_read(m, events_options, &filter, NULL, error);
        if (r >= 0)
                r = normalize_user(&filter.user_id, user, error);
        if (r >= 0)
                r = check_limit(filter.limit, EVENTS_PAGE_MAX, error);
        if (r < 0)
                return r;
        r = engine_describe_events(bus->engine, &filter, &json);
        return reply_json(m, r, json, error);
}

/* ---- Connectors and connections */

static const OptionRow connectors_options[] = {
        { "name", OPTION_STRING, offsetof(ConnectorFilter, name) },
        { "user", OPTION_STRING, offsetof(ConnectorFilter, user_id) },
        { "provider", OPTION_STRING, offsetof(ConnectorFilter, provider) },
        { "connection", OPTION_STRING, offsetof(ConnectorFilter, connection) },
        { "attention", OPTION_TRISTATE, offsetof(ConnectorFilter, attention) },
        { 0 },
};

int method_describe_connectors(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        ConnectorFilter filter = CONNECTOR_FILTER_INIT;
        char user[UUID_TEXT_MAX];
        Bus *bus = userdata;
        char *json = NULL;
        int r;

        r = options_read(m, connectors_options, &filter, NULL, error);
        if (r >= 0)
                r = normalize_user(&filter.user_id, user, error);
        if (r < 0)
                return r;
        r = engine_describe_connectors(bus->engine, &filter, &json);
        return reply_json(m, r, json, error);
}

static const OptionRow connections_options[] = {
        { "user", OPTION_STRING, offsetof(ConnectionFilter, user_id) },
        { "provider", OPTION_STRING, offsetof(ConnectionFilter, provider) },
        { 0 },
};

int method_describe_connections(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        ConnectionFilter filter = { 0 };
        char user[UUID_TEXT_MAX];
        Bus *bus = userdata;
        char *json = NULL;
        int r;

        r = options_read(m, connections_options, &filter, NULL, error);
        if (r >= 0)
                r = normalize_user(&filter.user_id, user, error);
        if (r < 0)
                return r;
        r = engine_describe_connections(bus->engine, &filter, &json);
        return reply_json(m, r, json, error);
}

/* ---- Users */

typedef struct UsersRequest {
        const char *after;
        unsigned limit;
} UsersRequest;

static const OptionRow users_options[] = {
        { "after", OPTION_STRING, offsetof(UsersRequest, after) },
        { "limit", OPTION_UNSIGNED, offsetof(UsersRequest, limit) },
        { 0 },
};

int method_describe_users(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        UsersRequest request = { .limit = DEFAULT_USERS_PAGE };
        Bus *bus = userdata;
        char *json = NULL;
        int r;

        r = options_read(m, users_options, &request, NULL, error);
        if (r >= 0)
                r = check_limit(request.limit, USERS_PAGE_MAX, error);
        if (r < 0)
                return r;
        r = engine_describe_users(bus->engine, request.after, request.limit, &json);
        return reply_json(m, r, json, error);
}
