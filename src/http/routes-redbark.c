/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The surface of Redbark: connectors with what they need, their activity, and connections (A1 to A12). */

#include <microhttpd.h>
#include <stdlib.h>

#include "base/json-util.h"
#include "base/json-writer.h"
#include "base/string-util.h"
#include "base/time-util.h"
#include "client/client-connection.h"
#include "http/auth.h"
#include "http/backend.h"
#include "http/route.h"
#include "http/start.h"
#include "http/surface.h"

#define VIEW               "redbark"
#define CONNECTORS_DEFAULT 100U
#define CONNECTORS_MAX     200U
#define CONNECTIONS_MAX    1000U
#define OUTCOMES_MAX       30U

/* The only user that the key may see; NULL: all. */
static const char *bound_user(const Request *request)
{
        return request->principal->user_id[0] ? request->principal->user_id : NULL;
}

/* Where files are on this machine is for those who manage it. */
static ClientOption paths_option(const Request *request)
{
        bool manages = principal_may(request->principal, API_SCOPE_ADMIN) && !bound_user(request);

        return (ClientOption){ .name = "without_paths", .type = 'b', .b = !manages };
}

/* What every list and every thing is asked for with: the view, whom the key may see, and which one it is. */
static size_t begin_options(const Request *request, const char *key, ClientOption options[static 3])
{
        options[0] = (ClientOption){ .name = "view", .type = 's', .s = VIEW };
        options[1] = (ClientOption){ .name = "user", .type = 's', .s = bound_user(request) };
        options[2] = (ClientOption){ .name = key, .type = 's', .s = request->arguments[0] };
        return 3;
}

static void list_connectors(Request *request)
{
        static const char *const booleans[] = { "true", "false", NULL };
        uint64_t outcomes = 0, limit = CONNECTORS_DEFAULT;
        const char *attention = NULL;
        ClientOption options[10];
        size_t n;

        if (!surface_number(request, "outcomes", 0, OUTCOMES_MAX, &outcomes) ||
            !surface_number(request, "limit", 1, CONNECTORS_MAX, &limit) ||
            !surface_word(request, "attention", booleans, &attention))
                return;
        n = begin_options(request, "name", options);
        options[n++] = (ClientOption){ .name = "provider",
                                       .type = 's',
                                       .s = target_get(&request->target, "provider") };
        options[n++] = (ClientOption){ .name = "connection",
                                       .type = 's',
                                       .s = target_get(&request->target, "connection") };
        options[n++] = (ClientOption){ .name = "page", .type = 's', .s = target_get(&request->target, "cursor") };
        options[n++] = (ClientOption){ .name = "outcomes", .type = 'u', .u = (uint32_t) outcomes };
        options[n++] = (ClientOption){ .name = "limit", .type = 'u', .u = (uint32_t) limit };
        options[n++] = paths_option(request);
        if (attention)
                options[n++] = (ClientOption){ .name = "attention", .type = 'b', .b = streq(attention, "true") };
        backend_describe(request, "DescribeConnectors", options, n);
}

static void get_connector(Request *request)
{
        ClientOption options[5];
        uint64_t outcomes = 0;
        size_t n;

        if (!surface_number(request, "outcomes", 0, OUTCOMES_MAX, &outcomes))
                return;
        n = begin_options(request, "name", options);
        options[n++] = (ClientOption){ .name = "outcomes", .type = 'u', .u = (uint32_t) outcomes };
        options[n++] = paths_option(request);
        backend_describe(request, "DescribeConnectors", options, n);
}

static void get_activity(Request *request)
{
        ClientOption options[4];
        uint64_t limit = 0;
        size_t n;

        if (!surface_number(request, "limit", 1, UINT32_MAX, &limit))
                return;
        n = begin_options(request, "connector", options);
        if (limit > 0)
                options[n++] = (ClientOption){ .name = "limit", .type = 'u', .u = (uint32_t) limit };
        backend_describe(request, "DescribeRuns", options, n);
}

static void get_deliveries(Request *request)
{
        const ClientOption options[] = {
                { .name = "connector", .type = 's', .s = request->arguments[0] },
                { .name = "user", .type = 's', .s = bound_user(request) },
        };

        backend_describe(request, "DescribeDeliveries", options, ELEMENTSOF(options));
}

static void on_accepted(Request *request, const ClientAnswer *answer)
{
        if (answer->error == -ENOMSG)
                surface_refuse(request, MHD_HTTP_NOT_FOUND, "Delivery not found");
        else if (answer->error == -EACCES)
                surface_refuse(request, MHD_HTTP_FORBIDDEN, "News of runs are sent again by who manages webhooks");
        else if (answer->error < 0)
                backend_refuse(request, answer);
        else
                request_answer_empty(request, MHD_HTTP_ACCEPTED);
}

static void resend_delivery(Request *request)
{
        const ClientOption options[] = {
                { .name = "on_behalf_of", .type = 's', .s = request->principal->name },
                { .name = "user", .type = 's', .s = bound_user(request) },
                { .name = "only_records",
                  .type = 'b',
                  .b = bound_user(request) || !principal_may(request->principal, API_SCOPE_ADMIN) },
        };

        backend_call(request,
                     &(ClientRequest){
                                     .member = "ResendDelivery",
                                     .text = request->arguments[0],
                                     .second_text = request->arguments[1],
                                     .dictionary = true,
                                     .options = options,
                                     .n_options = ELEMENTSOF(options),
                     },
                     on_accepted);
}

static void sync_now(Request *request)
{
        start_run(request, request->arguments[0], false);
}

static void list_connections(Request *request)
{
        uint64_t limit = CONNECTIONS_MAX;
        ClientOption options[6];
        size_t n;

        if (!surface_number(request, "limit", 1, CONNECTIONS_MAX, &limit))
                return;
        n = begin_options(request, "name", options);
        options[n++] = (ClientOption){ .name = "provider",
                                       .type = 's',
                                       .s = target_get(&request->target, "provider") };
        options[n++] = (ClientOption){ .name = "page", .type = 's', .s = target_get(&request->target, "cursor") };
        options[n++] = (ClientOption){ .name = "limit", .type = 'u', .u = (uint32_t) limit };
        backend_describe_list(request, "DescribeConnections", options, n, limit > LARGE_ROWS);
}

static void get_connection(Request *request)
{
        ClientOption options[3];

        backend_describe(request, "DescribeConnections", options, begin_options(request, "name", options));
}

/* ---- Reconnect */

static void on_reconnected(Request *request, const ClientAnswer *answer)
{
        _cleanup_buffer_ Buffer json = {};
        JsonWriter w = JSON_WRITER_INIT(&json);
        ClientReconnected run;
        char *text;
        int r;

        if (answer->error < 0) {
                backend_refuse(request, answer);
                return;
        }
        json_open_object(&w, NULL);
        json_open_array(&w, "syncRuns");
        while ((r = client_next_reconnected(answer->reply, &run)) > 0) {
                json_open_object(&w, NULL);
                json_write_string(&w, "connectorName", run.connector);
                json_write_string(&w, "id", isempty(run.run_id) ? NULL : run.run_id);
                json_write_bool(&w, "alreadyActive", run.already_active);
                json_close_object(&w);
        }
        json_close_array(&w);
        if (r >= 0)
                r = client_reconnecting(answer->reply);
        json_write_bool(&w, "reconnecting", r > 0);
        json_close_object(&w);
        if (r < 0)
                surface_refuse(request, MHD_HTTP_BAD_GATEWAY, "The answer cannot be read");
        else
                request_answer(request, MHD_HTTP_ACCEPTED, TYPE_JSON, buffer_take(&json, &text) < 0 ? NULL : text);
}

/* What the body says, which may be left away; a key that is not known is refused, since it may have been meant to keep
 * the program from running. */
typedef struct ReconnectBody {
        bool done;                   /* a person has done it */
        usec_t consent_expires_usec; /* 0: not given */
} ReconnectBody;

/* RFC 3339. The Epoch is refused: on the bus it means that nothing is said. */
static bool read_consent_end(struct json_object *body, usec_t *ret)
{
        const char *text = NULL;
        usec_t usec = 0;
        int r;

        r = json_get_string(body, "consentExpiresAt", &text);
        if (r > 0)
                r = timestamp_parse_iso(text, &usec) < 0 || usec == 0 ? -EINVAL : 0;
        *ret = usec;
        return r >= 0;
}

static bool reconnect_body(Request *request, ReconnectBody *ret)
{
        _cleanup_json_ struct json_object *body = NULL;

        *ret = (ReconnectBody){};
        if (request->body.size == 0)
                return true;
        if (!surface_body(request, json_type_object, &body))
                return false;
        json_object_object_foreach(body, key, value)
        {
                (void) value;
                if (!streq(key, "done") && !streq(key, "consentExpiresAt")) {
                        surface_refuse(request, MHD_HTTP_UNPROCESSABLE_CONTENT,
                                       "A reconnection takes done and consentExpiresAt alone");
                        return false;
                }
        }
        if (json_get_bool(body, "done", &ret->done) < 0)
                surface_refuse(request, MHD_HTTP_UNPROCESSABLE_CONTENT, "done must be a boolean");
        else if (!read_consent_end(body, &ret->consent_expires_usec))
                surface_refuse(request, MHD_HTTP_UNPROCESSABLE_CONTENT,
                               "consentExpiresAt must be a point in time, as RFC 3339 has it");
        else
                return true;
        return false;
}

static void on_connection_seen(Request *request, const ClientAnswer *answer)
{
        const Principal *principal = request->principal;
        ReconnectBody *body = request->state;
        const ClientOption options[] = {
                { .name = "on_behalf_of", .type = 's', .s = principal->name },
                { .name = "user", .type = 's', .s = principal->user_id[0] ? principal->user_id : NULL },
                { .name = "done", .type = 'b', .b = body->done },
                { .name = "consent_expires", .type = 't', .t = body->consent_expires_usec },
        };

        if (answer->error < 0) {
                backend_refuse(request, answer);
                return;
        }
        backend_call(request,
                     &(ClientRequest){
                                     .member = "ReconnectConnection",
                                     .text = request->arguments[0],
                                     .dictionary = true,
                                     .options = options,
                                     .n_options = ELEMENTSOF(options),
                     },
                     on_reconnected);
}

static void reconnect(Request *request)
{
        ClientOption options[3];
        ReconnectBody *body = calloc(1, sizeof(ReconnectBody));

        request->state = body;
        if (!body) {
                backend_refuse(request, &(ClientAnswer){ .error = -ENOMEM });
                return;
        }
        if (!reconnect_body(request, body))
                return;
        backend_call(request,
                     &(ClientRequest){
                                     .member = "DescribeConnections",
                                     .dictionary = true,
                                     .options = options,
                                     .n_options = begin_options(request, "name", options),
                                     .repeatable = true,
                     },
                     on_connection_seen);
}

/* ---- Withdraw */

static void on_withdrawn(Request *request, const ClientAnswer *answer)
{
        if (answer->error < 0)
                backend_refuse(request, answer);
        else
                request_answer_empty(request, MHD_HTTP_NO_CONTENT);
}

static void withdraw(Request *request)
{
        const Principal *principal = request->principal;
        _cleanup_json_ struct json_object *body = NULL;
        bool delete_items = false;
        ClientOption options[3];

        if (!surface_body(request, json_type_object, &body))
                return;
        if (json_get_bool(body, "deleteItems", &delete_items) < 0) {
                surface_refuse(request, MHD_HTTP_UNPROCESSABLE_CONTENT, "deleteItems must be a boolean");
                return;
        }
        options[0] = (ClientOption){ .name = "on_behalf_of", .type = 's', .s = principal->name };
        options[1] = (ClientOption){ .name = "user",
                                     .type = 's',
                                     .s = principal->user_id[0] ? principal->user_id : NULL };
        options[2] = (ClientOption){ .name = "delete_items", .type = 'b', .b = delete_items };
        backend_call(request,
                     &(ClientRequest){
                                     .member = "WithdrawConsent",
                                     .text = request->arguments[0],
                                     .dictionary = true,
                                     .options = options,
                                     .n_options = ELEMENTSOF(options),
                     },
                     on_withdrawn);
}

const Route redbark_routes[] = {
        { HTTP_GET, "/v1/connectors", API_SCOPE_READ, list_connectors },
        { HTTP_GET, "/v1/connectors/{name}", API_SCOPE_READ, get_connector },
        { HTTP_GET, "/v1/connectors/{name}/activity", API_SCOPE_READ, get_activity },
        { HTTP_GET, "/v1/connectors/{name}/deliveries", API_SCOPE_READ, get_deliveries },
        { HTTP_POST, "/v1/connectors/{name}/deliveries/{id}/resend", API_SCOPE_WRITE, resend_delivery },
        { HTTP_POST, "/v1/connectors/{name}/sync-now", API_SCOPE_WRITE, sync_now },
        { HTTP_GET, "/v1/connections", API_SCOPE_READ, list_connections },
        { HTTP_GET, "/v1/connections/{name}", API_SCOPE_READ, get_connection },
        { HTTP_POST, "/v1/connections/{name}/reconnect", API_SCOPE_WRITE, reconnect },
        { HTTP_POST, "/v1/connections/{name}/withdraw", API_SCOPE_ADMIN, withdraw },
        {},
};
