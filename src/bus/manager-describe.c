/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Bulk reads of the manager but DescribeRuns(): a filter in, one JSON text out. How a thing looks as JSON is the
 * business of engine/describe and engine/views. Reading is open to everyone on the bus: nothing here is secret. */

#include "bus/manager-describe.h"

#include "base/string-util.h"
#include "bus/bus-error.h"
#include "bus/describe-filter.h"
#include "bus/reads.h"
#include "engine/describe.h"
#include "engine/statistics.h"
#include "engine/views-redbark.h"
#include "engine/views.h"
#include "model/name-cursor.h"
#include "model/view-open-wearables.h"

#define DEFAULT_PAGE       50U
#define DEFAULT_USERS_PAGE 1000U

#define DESCRIBE_BYTES "DescribeBytes"

/* With the byte that ends it: readers take it as text where it lies. */
static int reply_bytes(sd_bus_message *m, const char *text)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_append_array(reply, 'y', text, strlen(text) + 1);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        return r < 0 ? r : 1;
}

int reply_json(sd_bus_message *m, int r, char *json, sd_bus_error *error)
{
        _cleanup_free_ char *text = json;

        if (r < 0)
                return bus_refuse(error, r);
        if (strlen(text) > DESCRIBE_BYTES_MAX)
                return bus_refuse_text(error, -E2BIG,
                                       "The answer has %zu bytes, more than %llu: ask for less at a time.",
                                       strlen(text), DESCRIBE_BYTES_MAX);
        if (streq(sd_bus_message_get_member(m), DESCRIBE_BYTES))
                return reply_bytes(m, text);
        return sd_bus_reply_method_return(m, "s", text);
}

int method_describe_bytes(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        static const struct {
                const char *name;
                sd_bus_message_handler_t handler;
        } methods[] = {
                { "DescribeRuns", method_describe_runs },
                { "DescribeEvents", method_describe_events },
                { "DescribeConnectors", method_describe_connectors },
                { "DescribeConnections", method_describe_connections },
        };
        const char *name;
        int r;

        r = sd_bus_message_read(m, "s", &name);
        if (r < 0)
                return bus_refuse(error, r);
        for (size_t i = 0; i < ELEMENTSOF(methods); i++)
                if (streq(name, methods[i].name))
                        return methods[i].handler(m, userdata, error);
        return bus_refuse_text(error, -EINVAL,
                               "method: DescribeRuns, DescribeEvents, DescribeConnectors or "
                               "DescribeConnections, not '%s'.",
                               name);
}

/* ---- Events */

typedef struct EventsRequest {
        EventFilter filter;
        View view;
        const char *view_word;
        char user[UUID_TEXT_MAX];
} EventsRequest;

#define FILTER_OF EventsRequest
#define EVENTS_OPTIONS(ROW)                                                        \
        ROW("view", STRING, view_word, IN_ALL)                                     \
        ROW("user", STRING, filter.user_id, IN_SYNCRUN | IN_OPEN_WEARABLES)        \
        ROW("run", STRING, filter.run_id, IN_SYNCRUN | IN_OPEN_WEARABLES)          \
        ROW("connector", STRING, filter.connector, IN_SYNCRUN | IN_OPEN_WEARABLES) \
        ROW("provider", STRING, filter.provider, IN_SYNCRUN | IN_OPEN_WEARABLES)   \
        ROW("after", UINT64, filter.after_seq, IN_SYNCRUN | IN_OPEN_WEARABLES)     \
        ROW("before", UINT64, filter.before_seq, IN_SYNCRUN)                       \
        ROW("since", UINT64, filter.since_usec, IN_SYNCRUN | IN_OPEN_WEARABLES)    \
        ROW("newest_first", BOOL, filter.newest_first, IN_SYNCRUN)                 \
        ROW("limit", UNSIGNED, filter.limit, IN_SYNCRUN | IN_OPEN_WEARABLES)

static const OptionRow events_options[] = { EVENTS_OPTIONS(FILTER_ROW){ 0 } };
static const uint8_t events_option_views[] = { EVENTS_OPTIONS(FILTER_VIEWS) };
#undef FILTER_OF

int method_describe_events(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        static const LimitRange limits[_VIEW_MAX] = {
                [VIEW_SYNCRUN] = { DEFAULT_PAGE, EVENTS_PAGE_MAX },
                [VIEW_OPEN_WEARABLES] = { WEARABLES_EVENTS_DEFAULT, WEARABLES_EVENTS_MAX },
        };
        EventsRequest request = { .filter.limit = LIMIT_USUAL };
        EventFilter *filter = &request.filter;
        Bus *bus = userdata;
        char *json = NULL;
        int r;

        r = filter_read(m, events_options, events_option_views, &request, &request.view_word, &request.view, error);
        if (r >= 0)
                r = filter_view(request.view, IN_SYNCRUN | IN_OPEN_WEARABLES, error);
        if (r >= 0)
                r = filter_user(&filter->user_id, request.user, error);
        if (r >= 0)
                r = filter_limit("limit", &filter->limit, &limits[request.view], error);
        if (r >= 0 && request.view == VIEW_OPEN_WEARABLES && filter->user_id)
                r = filter_user_is_known(bus, filter->user_id, error);
        if (r >= 0 && filter->limit > READ_LARGE_EVENTS)
                r = read_waits(bus, m, error);
        if (r != 0)
                return r;
        if (request.view == VIEW_SYNCRUN)
                r = engine_describe_events(bus->engine, filter, &json);
        else {
                filter->newest_first = true;
                r = engine_view_wearables_events(bus->engine, filter, &json);
        }
        return reply_json(m, r, json, error);
}

/* ---- Whether it still holds */

int method_watch_changes(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Bus *bus = userdata;
        const Changes *changes = store_changes(engine_store(bus->engine));

        return sd_bus_reply_method_return(m, "hh", changes_page_fd(changes), changes_life_fd(changes));
}

/* ---- Connectors and connections */

/* Where a page goes on: a name, which may be of what is no more, or what Redbark's view gave for it. Becomes the name.
 */
static int filter_page(const char **page, View view, NameCursor kind, char buf[static CONNECTOR_NAME_MAX + 1],
                       sd_bus_error *error)
{
        if (!*page)
                return 0;
        if (view != VIEW_REDBARK)
                return connector_name_is_valid(*page) ? 0 : filter_refuse_page(view, error);
        if (name_cursor_parse(*page, kind, buf) < 0)
                return filter_refuse_page(view, error);
        *page = buf;
        return 0;
}

typedef struct ConnectorsRequest {
        ConnectorFilter filter;
        RedbarkFilter redbark;
        View view;
        const char *view_word;
        char user[UUID_TEXT_MAX];
        char page[CONNECTOR_NAME_MAX + 1];
} ConnectorsRequest;

#define FILTER_OF ConnectorsRequest
#define CONNECTORS_OPTIONS(ROW)                                               \
        ROW("view", STRING, view_word, IN_ALL)                                \
        ROW("name", STRING, filter.name, IN_SYNCRUN | IN_REDBARK)             \
        ROW("user", STRING, filter.user_id, IN_SYNCRUN | IN_REDBARK)          \
        ROW("provider", STRING, filter.provider, IN_SYNCRUN | IN_REDBARK)     \
        ROW("connection", STRING, filter.connection, IN_SYNCRUN | IN_REDBARK) \
        ROW("attention", TRISTATE, filter.attention, IN_SYNCRUN | IN_REDBARK) \
        ROW("outcomes", UNSIGNED, redbark.n_outcomes, IN_REDBARK)             \
        ROW("limit", UNSIGNED, redbark.limit, IN_SYNCRUN | IN_REDBARK)        \
        ROW("page", STRING, redbark.page, IN_SYNCRUN | IN_REDBARK)            \
        ROW("without_paths", BOOL, redbark.without_paths, IN_REDBARK)

static const OptionRow connectors_options[] = { CONNECTORS_OPTIONS(FILTER_ROW){ 0 } };
static const uint8_t connectors_option_views[] = { CONNECTORS_OPTIONS(FILTER_VIEWS) };
#undef FILTER_OF

static int connectors_request_check(ConnectorsRequest *request, sd_bus_error *error)
{
        static const LimitRange limits[_VIEW_MAX] = {
                [VIEW_SYNCRUN] = { CONNECTORS_PAGE_MAX, CONNECTORS_PAGE_MAX },
                [VIEW_REDBARK] = { REDBARK_CONNECTORS_DEFAULT, REDBARK_CONNECTORS_MAX },
        };
        RedbarkFilter *filter = &request->redbark;
        int r;

        filter->connectors = request->filter;
        if (filter->n_outcomes > REDBARK_OUTCOMES_MAX)
                return bus_refuse_text(error, -EINVAL, "outcomes: 0 to %u, not %u.", REDBARK_OUTCOMES_MAX,
                                       filter->n_outcomes);
        r = filter_page(&filter->page, request->view, NAME_CURSOR_CONNECTORS, request->page, error);
        if (r >= 0)
                r = filter_limit("limit", &filter->limit, &limits[request->view], error);
        request->filter.page = filter->page;
        request->filter.limit = filter->limit;
        return r;
}

static int describe_redbark_connectors(Bus *bus, const ConnectorsRequest *request, char **ret_json)
{
        const ConnectorFilter *filter = &request->filter;
        const Connector *connector;

        if (!filter->name)
                return engine_view_redbark_connectors(bus->engine, &request->redbark, ret_json);
        connector = describe_find_connector(bus, filter->name, filter->user_id);
        if (!connector)
                return -ENXIO;
        return engine_view_redbark_connector(bus->engine, connector, &request->redbark, ret_json);
}

int method_describe_connectors(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        ConnectorsRequest request = { .filter = CONNECTOR_FILTER_INIT, .redbark.limit = LIMIT_USUAL };
        Bus *bus = userdata;
        char *json = NULL;
        int r;

        r = filter_read(m, connectors_options, connectors_option_views, &request, &request.view_word, &request.view,
                        error);
        if (r >= 0)
                r = filter_view(request.view, IN_SYNCRUN | IN_REDBARK, error);
        if (r >= 0)
                r = filter_user(&request.filter.user_id, request.user, error);
        if (r >= 0)
                r = connectors_request_check(&request, error);
        if (r >= 0 && !request.filter.name && request.filter.limit > READ_LARGE_ROWS)
                r = read_waits(bus, m, error);
        if (r != 0)
                return r;
        r = request.view == VIEW_REDBARK ? describe_redbark_connectors(bus, &request, &json)
                                         : engine_describe_connectors(bus->engine, &request.filter, &json);
        return reply_json(m, r, json, error);
}

typedef struct ConnectionsRequest {
        ConnectionFilter filter;
        View view;
        const char *view_word;
        char user[UUID_TEXT_MAX];
        char page[CONNECTOR_NAME_MAX + 1];
} ConnectionsRequest;

#define FILTER_OF ConnectionsRequest
#define CONNECTIONS_OPTIONS(ROW)                                          \
        ROW("view", STRING, view_word, IN_ALL)                            \
        ROW("name", STRING, filter.name, IN_SYNCRUN | IN_REDBARK)         \
        ROW("user", STRING, filter.user_id, IN_SYNCRUN | IN_REDBARK)      \
        ROW("provider", STRING, filter.provider, IN_SYNCRUN | IN_REDBARK) \
        ROW("limit", UNSIGNED, filter.limit, IN_SYNCRUN | IN_REDBARK)     \
        ROW("page", STRING, filter.page, IN_SYNCRUN | IN_REDBARK)

static const OptionRow connections_options[] = { CONNECTIONS_OPTIONS(FILTER_ROW){ 0 } };
static const uint8_t connections_option_views[] = { CONNECTIONS_OPTIONS(FILTER_VIEWS) };
#undef FILTER_OF

int method_describe_connections(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        static const LimitRange limits = { CONNECTORS_PAGE_MAX, CONNECTORS_PAGE_MAX };
        ConnectionsRequest request = { .filter.limit = LIMIT_USUAL };
        Bus *bus = userdata;
        char *json = NULL;
        int r;

        r = filter_read(m, connections_options, connections_option_views, &request, &request.view_word, &request.view,
                        error);
        if (r >= 0)
                r = filter_view(request.view, IN_SYNCRUN | IN_REDBARK, error);
        if (r >= 0)
                r = filter_user(&request.filter.user_id, request.user, error);
        if (r >= 0)
                r = filter_page(&request.filter.page, request.view, NAME_CURSOR_CONNECTIONS, request.page, error);
        if (r >= 0)
                r = filter_limit("limit", &request.filter.limit, &limits, error);
        if (r >= 0 && !request.filter.name && request.filter.limit > READ_LARGE_ROWS)
                r = read_waits(bus, m, error);
        if (r != 0)
                return r;
        r = request.view == VIEW_REDBARK ? engine_view_redbark_connections(bus->engine, &request.filter, &json)
                                         : engine_describe_connections(bus->engine, &request.filter, &json);
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

int method_describe_statistics(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Bus *bus = userdata;
        char *json = NULL;
        int r;

        r = engine_describe_statistics(bus->engine, &json);
        return reply_json(m, r, json, error);
}

int method_describe_users(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        static const LimitRange limits = { DEFAULT_USERS_PAGE, USERS_PAGE_MAX };
        UsersRequest request = { .limit = LIMIT_USUAL };
        Bus *bus = userdata;
        char *json = NULL;
        int r;

        r = options_read(m, users_options, &request, NULL, error);
        if (r >= 0)
                r = filter_limit("limit", &request.limit, &limits, error);
        if (r >= 0 && request.limit > READ_LARGE_ROWS)
                r = read_waits(bus, m, error);
        if (r != 0)
                return r;
        r = engine_describe_users(bus->engine, request.after, request.limit, &json);
        return reply_json(m, r, json, error);
}
