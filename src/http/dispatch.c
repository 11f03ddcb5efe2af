/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The way of a request to its route: what it asks for, who asks, how often, and whether the key allows it. In this
 * order it is refused: 400, 404 (no such path), 405, 401, 429, 403. */

#include "http/dispatch.h"

#include <limits.h>
#include <microhttpd.h>

#include "base/buffer.h"
#include "base/log.h"
#include "base/string-util.h"
#include "base/time-util.h"
#include "http/app.h"
#include "http/auth.h"
#include "http/metrics.h"
#include "http/respond.h"
#include "http/route.h"
#include "http/server.h"
#include "http/surface.h"

#define CHALLENGE "Bearer realm=\"syncrun\""

static bool is_api(const Request *request)
{
        return request->target.n_segments > 0 && streq(request->target.segments[0], "api");
}

static void refuse_target(Request *request)
{
        if (request->target_error == -E2BIG)
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

/* ---- Who asks */

static void refuse_missing(Request *request)
{
        request_add_header(request, MHD_HTTP_HEADER_WWW_AUTHENTICATE, CHALLENGE);
        surface_refuse(request, MHD_HTTP_UNAUTHORIZED, "%s",
                       is_api(request) ? "Authentication required: provide JWT token or API key"
                                       : "Authentication required");
}

static void refuse_unknown(Request *request)
{
        request_add_header(request, MHD_HTTP_HEADER_WWW_AUTHENTICATE, CHALLENGE ", error=\"invalid_token\"");
        surface_refuse(request, MHD_HTTP_UNAUTHORIZED, "Invalid or missing API key");
}

/* Takes from the key's bucket, and tells the client how it stands. */
static bool within_rate(Request *request)
{
        unsigned limit = request->app->settings.requests_per_minute;
        TokenBucket *bucket = &request->principal->bucket;
        usec_t now = now_usec(CLOCK_MONOTONIC);
        char text[TIMESTAMP_TEXT_MAX];
        usec_t reset;
        bool taken;

        if (limit == UINT_MAX)
                return true;
        taken = token_bucket_take(bucket, limit, now);
        reset = now_usec(CLOCK_REALTIME) / USEC_PER_SEC + token_bucket_full_sec(bucket, limit, now);
        request_add_header(request, "X-RateLimit-Limit", "%u", limit);
        request_add_header(request, "X-RateLimit-Remaining", "%u", token_bucket_left(bucket, limit, now));
        request_add_header(request, "X-RateLimit-Reset", "%s",
                           strempty(timestamp_format_iso(text, sizeof(text), reset * USEC_PER_SEC)));
        if (!taken)
                surface_refuse_rate(request, limit, token_bucket_next_sec(bucket, limit, now));
        return taken;
}

static void on_authenticated(Request *request, AuthResult result)
{
        ApiScope scope = request->route->scope;

        if (result == AUTH_MISSING)
                refuse_missing(request);
        else if (result == AUTH_UNKNOWN)
                refuse_unknown(request);
        else if (result == AUTH_TOO_MANY)
                surface_refuse_rate(request, request->app->settings.failures_per_minute,
                                    auth_retry_sec(request->app->auth, request));
        else if (!within_rate(request))
                log_info("The key '%s' asks too often.", request->principal->name);
        else if (!principal_may(request->principal, scope)) {
                log_info("The key '%s' may not do %s.", request->principal->name, request->route->pattern);
                surface_refuse(request, MHD_HTTP_FORBIDDEN, "API key not allowed to perform '%s' action",
                               api_scope_to_string(scope));
        } else
                request->route->handle(request);
}

/* ---- All of it */

void dispatch_refuse_stopping(Request *request)
{
        request_add_header(request, MHD_HTTP_HEADER_RETRY_AFTER, RETRY_AFTER_SEC);
        request_add_header(request, MHD_HTTP_HEADER_CONNECTION, "close");
        surface_refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "Service is stopping");
}

void dispatch_request(Request *request, void *userdata)
{
        unsigned methods;
        int r;

        request->app = userdata;
        if (request->app->stopping) {
                dispatch_refuse_stopping(request);
                return;
        }
        if (request->target_error < 0) {
                refuse_target(request);
                return;
        }
        r = route_find(request, &request->route, &methods);
        if (r < 0)
                surface_refuse(request, MHD_HTTP_NOT_FOUND, "Not Found");
        else if (r == 0)
                answer_method(request, methods);
        else if (request->route->scope < 0 || (request->route->is_open && request->route->is_open(request->app)))
                request->route->handle(request);
        else
                auth_check(request->app->auth, request, on_authenticated);
}

void dispatch_done(Request *request, void *userdata)
{
        App *app = userdata;

        metrics_count(app->metrics, request);
        principal_unref(request->principal);
}
