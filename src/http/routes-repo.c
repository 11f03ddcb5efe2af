/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The surface of Repo: sync runs (B1 to B13). */

#include <microhttpd.h>

#include "base/json-util.h"
#include "base/string-util.h"
#include "http/answers.h"
#include "http/auth.h"
#include "http/backend.h"
#include "http/route.h"
#include "http/start.h"
#include "http/surface.h"

#define VIEW      "repo"
#define LIMIT_MAX 200U

/* The only user that the key may see; NULL: all. */
static const char *bound_user(const Request *request)
{
        return request->principal->user_id[0] ? request->principal->user_id : NULL;
}

static void list_runs(Request *request)
{
        static const char *const statuses[] = { "queued", "running", "succeeded", "failed", NULL };
        const char *status = NULL, *connector = target_get(&request->target, "connectorId");
        char connector_id[UUID_TEXT_MAX];
        usec_t since_usec = 0;
        uint64_t limit = 0;
        ClientOption options[7];
        size_t n = 0;

        if (!surface_uuid(request, "connectorId", connector, connector_id) ||
            !surface_word(request, "status", statuses, &status) || !surface_time(request, "since", &since_usec) ||
            !surface_number(request, "limit", 1, LIMIT_MAX, &limit))
                return;
        options[n++] = (ClientOption){ .name = "view", .type = 's', .s = VIEW };
        options[n++] = (ClientOption){ .name = "user", .type = 's', .s = bound_user(request) };
        options[n++] = (ClientOption){ .name = "connector", .type = 's', .s = connector ? connector_id : NULL };
        options[n++] = (ClientOption){ .name = "status", .type = 's', .s = status };
        options[n++] = (ClientOption){ .name = "page", .type = 's', .s = target_get(&request->target, "cursor") };
        if (since_usec > 0)
                options[n++] = (ClientOption){ .name = "since", .type = 't', .t = since_usec };
        if (limit > 0)
                options[n++] = (ClientOption){ .name = "limit", .type = 'u', .u = (uint32_t) limit };
        answers_describe(request, "DescribeRuns", options, n, false);
}

static void describe_run(Request *request, void (*next)(Request *request, const ClientAnswer *answer))
{
        const ClientOption options[] = {
                { .name = "view", .type = 's', .s = VIEW },
                { .name = "id", .type = 's', .s = request->arguments[0] },
                { .name = "user", .type = 's', .s = bound_user(request) },
        };
        const ClientRequest call = backend_describes("DescribeRuns", options, ELEMENTSOF(options));

        backend_call(request, &call, next);
}

static void get_run(Request *request)
{
        describe_run(request, backend_pass);
}

static void post_run(Request *request)
{
        _cleanup_json_ struct json_object *body = NULL;
        const char *connector = NULL;
        char id[UUID_TEXT_MAX];
        bool full_resync = false;

        if (!surface_body(request, json_type_object, &body))
                return;
        if (json_get_string(body, "connectorId", &connector) <= 0) {
                surface_refuse(request, MHD_HTTP_UNPROCESSABLE_CONTENT, "connectorId is required and must be a UUID");
                return;
        }
        if (json_get_bool(body, "fullResync", &full_resync) < 0) {
                surface_refuse(request, MHD_HTTP_UNPROCESSABLE_CONTENT, "fullResync must be a boolean");
                return;
        }
        if (surface_uuid(request, "connectorId", connector, id))
                start_run(request, id, full_resync);
}

/* ---- Cancel: the run as it is afterwards */

static void on_cancelled(Request *request, const ClientAnswer *answer)
{
        if (answer->error < 0)
                backend_refuse(request, answer);
        else
                describe_run(request, backend_pass);
}

static void on_run_seen(Request *request, const ClientAnswer *answer)
{
        const ClientOption options[] = { { .name = "on_behalf_of", .type = 's', .s = request->principal->name } };

        if (answer->error < 0) {
                backend_refuse(request, answer);
                return;
        }
        backend_call(request,
                     &(ClientRequest){
                                     .member = "CancelRunWithOptions",
                                     .text = request->arguments[0],
                                     .dictionary = true,
                                     .options = options,
                                     .n_options = ELEMENTSOF(options),
                     },
                     on_cancelled);
}

static void cancel_run(Request *request)
{
        describe_run(request, on_run_seen);
}

/* ---- The log */

#define LOG_LINES_DEFAULT 100U
#define LOG_LINES_MAX     500U

static void get_log(Request *request)
{
        uint64_t lines = LOG_LINES_DEFAULT;
        ClientOption options[3];

        if (!surface_number(request, "lines", 1, LOG_LINES_MAX, &lines))
                return;
        options[0] = (ClientOption){ .name = "on_behalf_of", .type = 's', .s = request->principal->name };
        options[1] = (ClientOption){ .name = "user", .type = 's', .s = bound_user(request) };
        options[2] = (ClientOption){ .name = "lines", .type = 'u', .u = (uint32_t) lines };
        backend_call(request,
                     &(ClientRequest){
                                     .member = "DescribeLog",
                                     .text = request->arguments[0],
                                     .dictionary = true,
                                     .options = options,
                                     .n_options = ELEMENTSOF(options),
                                     .repeatable = true,
                     },
                     backend_pass);
}

const Route repo_routes[] = {
        { HTTP_GET, "/v1/sync-runs", API_SCOPE_READ, list_runs },
        { HTTP_POST, "/v1/sync-runs", API_SCOPE_WRITE, post_run },
        { HTTP_GET, "/v1/sync-runs/{id}", API_SCOPE_READ, get_run },
        { HTTP_GET, "/v1/sync-runs/{id}/log", API_SCOPE_READ, get_log },
        { HTTP_POST, "/v1/sync-runs/{id}/cancel", API_SCOPE_WRITE, cancel_run },
        {},
};
