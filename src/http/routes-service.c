/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The service itself: whether it is well, what it counts, what it can be asked. */

#include <microhttpd.h>

#include "base/string-util.h"
#include "http/app.h"
#include "http/auth.h"
#include "http/backend.h"
#include "http/health.h"
#include "http/metrics.h"
#include "http/page.h"
#include "http/route.h"
#include "http/surface.h"

/* ---- Health */

static void get_health(Request *request)
{
        health_answer(request->app->health, request);
}

/* ---- Metrics */

static void on_statistics(Request *request, const ClientAnswer *answer)
{
        const char *statistics = NULL;
        Buffer text = {};
        char *body = NULL;
        int r = 0;

        if (answer->error == 0)
                r = sd_bus_message_read(answer->reply, "s", &statistics);
        if (r >= 0)
                r = metrics_write(request->app->metrics, request->app, statistics, &text);
        if (r >= 0)
                r = buffer_take(&text, &body);
        buffer_done(&text);
        request_answer(request, MHD_HTTP_OK, METRICS_TYPE, r < 0 ? NULL : body);
}

static bool metrics_are_open(const App *app)
{
        return app->settings.metrics_without_key;
}

static void get_metrics(Request *request)
{
        static const ClientRequest ask = { .member = "DescribeStatistics", .repeatable = true, .asks_alone = true };

        /* They tell of everybody. */
        if (!metrics_are_open(request->app) && request->principal->user_id[0]) {
                surface_refuse(request, MHD_HTTP_FORBIDDEN, "The key is bound to a user");
                return;
        }
        backend_call(request, &ask, on_statistics);
}

/* ---- What there is */

static void get_openapi(Request *request)
{
        request_answer_prepared(request, &request->app->page->openapi);
}

const Route service_routes[] = {
        { HTTP_GET, "/healthz", NO_KEY, get_health },
        { HTTP_GET, "/metrics", API_SCOPE_ADMIN, get_metrics, .is_open = metrics_are_open, .asks_alone = true },
        { HTTP_GET, "/openapi.json", NO_KEY, get_openapi },
        {},
};
