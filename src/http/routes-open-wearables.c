/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The surface of Open Wearables: a user's events and runs (C1 to C35). */

#include <microhttpd.h>

#include "base/json-util.h"
#include "base/json-writer.h"
#include "base/string-util.h"
#include "http/answers.h"
#include "http/auth.h"
#include "http/backend.h"
#include "http/route.h"
#include "http/sse-open.h"
#include "http/surface.h"
#include "model/outside-event.h"
#include "model/run.h"

#define VIEW          "open-wearables"
#define LIMIT_MAX     200U
#define ALL_LIMIT_MAX 10000U
#define REPORT_MAX    1000U /* events of one request, as of the daemon's call */

/* ---- What the routes check alike */

/* The user of the path, in lower case. */
static bool path_user(Request *request, char ret[static UUID_TEXT_MAX])
{
        return surface_uuid(request, "user_id", request->arguments[0], ret);
}

/* What filters of runs say; borrowed from the request. */
typedef struct RunsQuery {
        const char *provider;
        const char *status;
        const char *source;
        uint64_t limit; /* 0: not given */
} RunsQuery;

static bool read_runs_query(Request *request, uint64_t limit_max, RunsQuery *ret)
{
        const char *statuses[_SYNC_STATUS_MAX + 1] = {}, *sources[_RUN_SOURCE_MAX + 1] = {};

        for (int i = 0; i < _SYNC_STATUS_MAX; i++)
                statuses[i] = sync_status_to_string(i);
        for (int i = 0; i < _RUN_SOURCE_MAX; i++)
                sources[i] = run_source_to_string(i);
        *ret = (RunsQuery){ .provider = target_get(&request->target, "provider") };
        return surface_number(request, "limit", 1, limit_max, &ret->limit) &&
               surface_word(request, "status", statuses, &ret->status) &&
               surface_word(request, "source", sources, &ret->source);
}

static void describe_runs(Request *request, const RunsQuery *query, const char *user_id, bool check_user)
{
        ClientOption options[7];
        size_t n = 0;

        options[n++] = (ClientOption){ .name = "view", .type = 's', .s = VIEW };
        options[n++] = (ClientOption){ .name = "user", .type = 's', .s = user_id };
        options[n++] = (ClientOption){ .name = "check_user", .type = 'b', .b = check_user };
        options[n++] = (ClientOption){ .name = "provider", .type = 's', .s = query->provider };
        options[n++] = (ClientOption){ .name = "status", .type = 's', .s = query->status };
        options[n++] = (ClientOption){ .name = "source", .type = 's', .s = query->source };
        if (query->limit > 0)
                options[n++] = (ClientOption){ .name = "limit", .type = 'u', .u = (uint32_t) query->limit };
        backend_describe_list(request, "DescribeRuns", options, n, query->limit > LARGE_EVENTS);
}

/* ---- Reading */

static void get_recent(Request *request)
{
        char user_id[UUID_TEXT_MAX];
        uint64_t limit = 50;

        if (!path_user(request, user_id) || !surface_number(request, "limit", 1, LIMIT_MAX, &limit) ||
            !surface_user(request, user_id))
                return;
        answers_describe(request, "DescribeEvents",
                         (ClientOption[]){
                                         { .name = "view", .type = 's', .s = VIEW },
                                         { .name = "user", .type = 's', .s = user_id },
                                         { .name = "limit", .type = 'u', .u = (uint32_t) limit },
                         },
                         3, limit > LARGE_EVENTS);
}

static void get_user_runs(Request *request)
{
        char user_id[UUID_TEXT_MAX];
        RunsQuery query;

        if (path_user(request, user_id) && read_runs_query(request, LIMIT_MAX, &query) &&
            surface_user(request, user_id))
                describe_runs(request, &query, user_id, true);
}

static void get_all_runs(Request *request)
{
        const char *bound = request->principal->user_id, *asked = target_get(&request->target, "user_id");
        char user_id[UUID_TEXT_MAX] = "";
        RunsQuery query;

        if (!surface_uuid(request, "user_id", asked, user_id) || !read_runs_query(request, ALL_LIMIT_MAX, &query))
                return;
        /* C4: a user that is not there, or not to be seen, has no runs. */
        if (asked && !principal_sees(request->principal, user_id))
                request_answer_static(request, MHD_HTTP_OK, TYPE_JSON, "[]", 2);
        else
                describe_runs(request, &query, asked ? user_id : bound[0] ? bound : NULL, false);
}

/* ---- Streams */

static void stream_user(Request *request)
{
        char user_id[UUID_TEXT_MAX];

        if (path_user(request, user_id))
                sse_open(request, &(SseFilter){ .user_id = user_id });
}

static void stream_all(Request *request)
{
        const char *asked = target_get(&request->target, "user_id"), *bound = request->principal->user_id;
        char user_id[UUID_TEXT_MAX] = "";
        SseFilter filter = {
                .provider = target_get(&request->target, "provider"),
                .connector = target_get(&request->target, "connector"),
        };

        if (!surface_uuid(request, "user_id", asked, user_id))
                return;
        filter.user_id = asked ? user_id : bound[0] ? bound : NULL;
        sse_open(request, &filter);
}

/* ---- Reporting */

static void on_reported(Request *request, const ClientAnswer *answer)
{
        _cleanup_buffer_ Buffer json = {};
        JsonWriter w = JSON_WRITER_INIT(&json);
        const uint64_t *n = request->state;
        char *text;

        if (answer->error < 0) {
                backend_refuse(request, answer);
                return;
        }
        json_open_object(&w, NULL);
        json_write_uint(&w, "recorded", *n);
        json_close_object(&w);
        request_answer(request, MHD_HTTP_CREATED, TYPE_JSON, buffer_take(&json, &text) < 0 ? NULL : text);
}

/* Events are of the user of the path, whom they need not name. */
static bool set_user(Request *request, struct json_object *events, const char *user_id)
{
        size_t n = json_object_array_length(events);

        for (size_t i = 0; i < n; i++) {
                struct json_object *event = json_object_array_get_idx(events, i);
                const char *named = NULL;
                int r;

                if (!json_object_is_type(event, json_type_object)) {
                        surface_refuse(request, MHD_HTTP_UNPROCESSABLE_CONTENT, "Event %zu: should be an object", i);
                        return false;
                }
                r = json_get_string(event, "user_id", &named);
                if (r < 0 || (r > 0 && strcasecmp(named, user_id) != 0)) {
                        surface_refuse(request, MHD_HTTP_UNPROCESSABLE_CONTENT,
                                       "Event %zu: user_id is not that of the path", i);
                        return false;
                }
                if (r == 0 && json_object_object_add(event, "user_id", json_object_new_string(user_id)) < 0) {
                        backend_refuse(request, &(ClientAnswer){ .error = -ENOMEM });
                        return false;
                }
        }
        return true;
}

/* One event, or an array of them: the array. */
static bool read_events(Request *request, struct json_object **ret)
{
        _cleanup_json_ struct json_object *one = NULL, *array = NULL;
        size_t n;

        if (request->body.size > 0 && request->body.data[strspn(request->body.data, WHITESPACE)] == '[') {
                if (!surface_body(request, json_type_array, &array))
                        return false;
        } else {
                if (!surface_body(request, json_type_object, &one))
                        return false;
                array = json_object_new_array();
                if (!array || json_object_array_add(array, one) < 0) {
                        backend_refuse(request, &(ClientAnswer){ .error = -ENOMEM });
                        return false;
                }
                TAKE_PTR(one);
        }
        n = json_object_array_length(array);
        if (n > REPORT_MAX) {
                surface_refuse(request, MHD_HTTP_CONTENT_TOO_LARGE, "At most %u events at a time", REPORT_MAX);
                return false;
        }
        *ret = TAKE_PTR(array);
        return true;
}

/* What the daemon would refuse is refused here, where it is not asked: 422 comes before 404. */
static bool check_events(Request *request, struct json_object *events)
{
        size_t n = json_object_array_length(events);

        for (size_t i = 0; i < n; i++) {
                _cleanup_free_ char *why = NULL;
                OutsideEvent event;
                int r;

                r = outside_event_parse(json_object_array_get_idx(events, i), &event, &why);
                if (r >= 0)
                        outside_event_done(&event);
                else if (!why)
                        backend_refuse(request, &(ClientAnswer){ .error = r });
                else if (n > 1)
                        surface_refuse(request, refusal_by_errno(r)->http_status, "Event %zu: %s", i, why);
                else
                        surface_refuse(request, refusal_by_errno(r)->http_status, "%s", why);
                if (r < 0)
                        return false;
        }
        return true;
}

static void post_events(Request *request)
{
        const Principal *principal = request->principal;
        const ClientOption options[] = {
                { .name = "on_behalf_of", .type = 's', .s = principal->name },
                { .name = "user", .type = 's', .s = principal->user_id[0] ? principal->user_id : NULL },
        };
        _cleanup_json_ struct json_object *events = NULL;
        char user_id[UUID_TEXT_MAX];
        _cleanup_free_ char *text = NULL;
        uint64_t *n;

        if (!path_user(request, user_id) || !read_events(request, &events) || !set_user(request, events, user_id))
                return;
        if (!principal_sees(request->principal, user_id) && !check_events(request, events))
                return;
        if (!surface_user(request, user_id))
                return;
        text = json_to_text(events);
        request->state = n = malloc(sizeof(*n));
        if (!text || !n) {
                backend_refuse(request, &(ClientAnswer){ .error = -ENOMEM });
                return;
        }
        *n = json_object_array_length(events);
        backend_call(request,
                     &(ClientRequest){
                                     .member = "ReportEventsWithOptions",
                                     .text = text,
                                     .dictionary = true,
                                     .options = options,
                                     .n_options = ELEMENTSOF(options),
                                     .is_large = *n > LARGE_EVENTS,
                     },
                     on_reported);
}

const Route open_wearables_routes[] = {
        { HTTP_GET, "/api/v1/users/{user_id}/sync/stream", API_SCOPE_READ, stream_user },
        { HTTP_GET, "/api/v1/users/{user_id}/sync/recent", API_SCOPE_READ, get_recent },
        { HTTP_GET, "/api/v1/users/{user_id}/sync/runs", API_SCOPE_READ, get_user_runs },
        { HTTP_POST, "/api/v1/users/{user_id}/sync/events", API_SCOPE_WRITE, post_events },
        { HTTP_GET, "/api/v1/sync/runs", API_SCOPE_READ, get_all_runs },
        { HTTP_GET, "/api/v1/sync/stream", API_SCOPE_ADMIN, stream_all },
        {},
};
