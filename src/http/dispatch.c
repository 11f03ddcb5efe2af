/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The way of a request to its route: what it asks for, who asks, how often, and whether the key allows it. In this
 * order it is refused: 400, 404 (no such path), 405, 401, 429, 403. */

#include "http/dispatch.h"

#include <microhttpd.h>

#include "base/buffer.h"
#include "base/log.h"
#include "base/string-util.h"
#include "http/admission.h"
#include "http/app.h"
#include "http/auth.h"
#include "http/backend.h"
#include "http/health.h"
#include "http/metrics.h"
#include "http/respond.h"
#include "http/route.h"
#include "http/server.h"
#include "http/surface.h"

static void refuse_target(Request *request)
{
        if (request->target_error == -ENOMEM)
                backend_refuse(request, &(ClientAnswer){ .error = -ENOMEM });
        else if (request->target_error == -E2BIG)
                surface_refuse(request, MHD_HTTP_URI_TOO_LONG, "The request's target has too many parts");
        else
                surface_refuse(request, MHD_HTTP_BAD_REQUEST, "The request's target is malformed");
}

/* ---- Methods */

static char *list_methods(unsigned methods)
{
        Buffer text = {};
        char *ret;

        for (HttpMethod method = 0; method < _HTTP_METHOD_MAX; method++)
                if (methods & 1U << method)
                        buffer_append_format(&text, "%s%s", text.size > 0 ? ", " : "", http_method_to_string(method));
        return buffer_take(&text, &ret) < 0 ? NULL : ret;
}

static void answer_method(Request *request, unsigned methods)
{
        _cleanup_free_ char *allow = list_methods(methods);

        request_add_header(request, MHD_HTTP_HEADER_ALLOW, "%s", strempty(allow));
        if (request->method != HTTP_OPTIONS) {
                surface_refuse(request, MHD_HTTP_METHOD_NOT_ALLOWED, "Method Not Allowed");
                return;
        }
        if (respond_preflight(request, server_settings(request->server), strempty(allow)) < 0)
                log_debug("OPTIONS that is no preflight.");
        request_answer_empty(request, MHD_HTTP_NO_CONTENT);
}

/* ---- All of it */

void dispatch_refuse_stopping(Request *request)
{
        request_add_header(request, MHD_HTTP_HEADER_RETRY_AFTER, RETRY_AFTER_SEC);
        request_add_header(request, MHD_HTTP_HEADER_CONNECTION, "close");
        surface_refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "Service is stopping");
}

static bool is_open(const Request *request)
{
        const Route *route = request->route;

        return route->scope == NO_KEY || (route->is_open && route->is_open(request->app));
}

/* OPTIONS * asks for what the server takes at all; nothing else has such a target. */
static void answer_server(Request *request)
{
        if (request->method == HTTP_OPTIONS)
                answer_method(request, (1U << _HTTP_METHOD_MAX) - 1);
        else
                refuse_target(request);
}

static void find_route(Request *request)
{
        unsigned methods;
        int r;

        r = route_find(request, &request->route, &methods);
        if (r < 0)
                surface_refuse(request, MHD_HTTP_NOT_FOUND, "Not Found");
        else if (r == 0)
                answer_method(request, methods);
        else if (!is_open(request))
                auth_check(request->app->auth, request, admission_enter);
        else if (request->is_large) /* which nobody answers for */
                surface_refuse(request, MHD_HTTP_CONTENT_TOO_LARGE, "Content Too Large");
        else
                request->route->handle(request);
}

void dispatch_head(Request *request, void *userdata)
{
        request->app = userdata;
        if (request->app->stopping)
                dispatch_refuse_stopping(request);
        else if (request->target_error < 0)
                refuse_target(request);
        else if (request->target.is_server)
                answer_server(request);
        else
                find_route(request);
}

void dispatch_request(Request *request, void *userdata)
{
        if (!request->admitted)
                dispatch_head(request, userdata);
        else if (request->app->stopping)
                dispatch_refuse_stopping(request);
        else
                admission_enter_again(request);
}

void dispatch_done(Request *request, void *userdata)
{
        App *app = userdata;

        metrics_count(app->metrics, request);
        health_forget(app->health, request);
        principal_unref(request->principal);
}
