/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The service itself: whether it is well, what it counts, what it can be asked. */

#include <microhttpd.h>

#include "base/names.h"
#include "base/string-util.h"
#include "http/app.h"
#include "http/auth.h"
#include "http/backend.h"
#include "http/health.h"
#include "http/metrics.h"
#include "http/openapi.h"
#include "http/route.h"
#include "http/surface.h"

#define PROPERTIES "org.freedesktop.DBus.Properties"
#define GAUGES_MAX 16U

/* ---- Health */

static void get_health(Request *request)
{
        health_answer(request->app->health, request);
}

/* ---- Metrics */

/* One {sv}: a number is kept, all else passed over. Return: 1 a number; 0; negative errno. */
static int read_property(sd_bus_message *m, MetricsGauge *ret)
{
        const char *content;
        uint32_t u;
        int r;

        r = sd_bus_message_read(m, "s", &ret->property);
        if (r >= 0)
                r = sd_bus_message_peek_type(m, NULL, &content);
        if (r < 0)
                return r;
        if (streq(content, "t"))
                r = sd_bus_message_read(m, "v", "t", &ret->value);
        else if (streq(content, "u")) {
                r = sd_bus_message_read(m, "v", "u", &u);
                ret->value = u;
        } else
                return MIN(sd_bus_message_skip(m, "v"), 0);
        return r < 0 ? r : 1;
}

static size_t read_gauges(sd_bus_message *m, MetricsGauge gauges[static GAUGES_MAX])
{
        size_t n = 0;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        while (r >= 0 && n < GAUGES_MAX && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = read_property(m, &gauges[n]);
                if (r < 0)
                        break;
                n += (size_t) r;
                r = sd_bus_message_exit_container(m);
        }
        return n;
}

static void on_properties(Request *request, const ClientAnswer *answer)
{
        MetricsGauge gauges[GAUGES_MAX];
        size_t n = answer->error == 0 ? read_gauges(answer->reply, gauges) : 0;
        Buffer text = {};
        char *body;

        metrics_write(request->app->metrics, request->app, gauges, n, &text);
        request_answer(request, MHD_HTTP_OK, METRICS_TYPE, buffer_take(&text, &body) < 0 ? NULL : body);
}

static bool metrics_are_open(const App *app)
{
        return app->settings.metrics_without_key;
}

static void get_metrics(Request *request)
{
        /* They tell of everybody. */
        if (!metrics_are_open(request->app) && request->principal->user_id[0]) {
                surface_refuse(request, MHD_HTTP_FORBIDDEN, "The key is bound to a user");
                return;
        }
        backend_call(request,
                     &(ClientRequest){
                                     .interface = PROPERTIES,
                                     .member = "GetAll",
                                     .text = SYNCRUN_IFACE_MANAGER,
                                     .repeatable = true,
                     },
                     on_properties);
}

/* ---- What there is */

static void get_openapi(Request *request)
{
        request_answer_static(request, MHD_HTTP_OK, TYPE_JSON, openapi_json, openapi_json_size);
}

const Route service_routes[] = {
        { HTTP_GET, "/healthz", NO_KEY, get_health },
        { HTTP_GET, "/metrics", API_SCOPE_ADMIN, get_metrics, .is_open = metrics_are_open },
        { HTTP_GET, "/openapi.json", NO_KEY, get_openapi },
        {},
};
