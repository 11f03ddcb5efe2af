/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The surface of Redbark: connectors with what they need, their activity, and connections (A1 to A12). */

#include <microhttpd.h>

#include "base/string-util.h"
#include "http/auth.h"
#include "http/backend.h"
#include "http/route.h"
#include "http/start.h"
#include "http/surface.h"

#define VIEW "redbark"

/* The only user that the key may see; NULL: all. */
static const char *bound_user(const Request *request)
{
        return request->principal->user_id[0] ? request->principal->user_id : NULL;
}

static void describe(Request *request, const char *member, const char *key)
{
        const ClientOption options[] = {
                { .name = "view", .type = 's', .s = VIEW },
                { .name = "user", .type = 's', .s = bound_user(request) },
                { .name = key, .type = 's', .s = request->arguments[0] },
        };

        backend_describe(request, member, options, ELEMENTSOF(options));
}

static void list_connectors(Request *request)
{
        describe(request, "DescribeConnectors", "name");
}

static void get_connector(Request *request)
{
        describe(request, "DescribeConnectors", "name");
}

static void get_activity(Request *request)
{
        describe(request, "DescribeRuns", "connector");
}

static void sync_now(Request *request)
{
        start_run(request, request->arguments[0], false);
}

static void list_connections(Request *request)
{
        describe(request, "DescribeConnections", "name");
}

/* ---- Reconnect */

static void on_reconnected(Request *request, const ClientAnswer *answer)
{
        if (answer->error < 0)
                backend_refuse(request, answer);
        else
                request_answer_empty(request, MHD_HTTP_NO_CONTENT);
}

static void on_connection_seen(Request *request, const ClientAnswer *answer)
{
        const ClientOption options[] = { { .name = "on_behalf_of", .type = 's', .s = request->principal->name } };

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
        const ClientOption options[] = {
                { .name = "view", .type = 's', .s = VIEW },
                { .name = "user", .type = 's', .s = bound_user(request) },
                { .name = "name", .type = 's', .s = request->arguments[0] },
        };

        backend_call(request,
                     &(ClientRequest){
                                     .member = "DescribeConnections",
                                     .dictionary = true,
                                     .options = options,
                                     .n_options = ELEMENTSOF(options),
                                     .repeatable = true,
                     },
                     on_connection_seen);
}

const Route redbark_routes[] = {
        { HTTP_GET, "/v1/connectors", API_SCOPE_READ, list_connectors },
        { HTTP_GET, "/v1/connectors/{name}", API_SCOPE_READ, get_connector },
        { HTTP_GET, "/v1/connectors/{name}/activity", API_SCOPE_READ, get_activity },
        { HTTP_POST, "/v1/connectors/{name}/sync-now", API_SCOPE_WRITE, sync_now },
        { HTTP_GET, "/v1/connections", API_SCOPE_READ, list_connections },
        { HTTP_POST, "/v1/connections/{name}/reconnect", API_SCOPE_WRITE, reconnect },
        {},
};
