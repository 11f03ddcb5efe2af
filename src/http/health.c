/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "http/health.h"

#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/time-util.h"
#include "http/app.h"
#include "http/backend.h"

struct Health {
        App *app;
        ClientCall *call;
        Request *waiting;
        usec_t until_usec; /* so long it is as was said last; CLOCK_MONOTONIC */
        bool is_well;
};

int health_new(App *app, Health **ret)
{
        Health *health = calloc(1, sizeof(*health));

        if (!health)
                return -ENOMEM;
        health->app = app;
        *ret = health;
        return 0;
}

Health *health_free(Health *health)
{
        if (!health)
                return NULL;
        client_call_cancel(health->call);
        free(health);
        return NULL;
}

static void say(const Health *health, Request *request)
{
        static const char well[] = "{\"status\":\"ok\"}", away[] = "{\"status\":\"unavailable\"}";

        if (health->is_well) {
                request_answer_static(request, MHD_HTTP_OK, TYPE_JSON, well, strlen(well));
                return;
        }
        request_add_header(request, MHD_HTTP_HEADER_RETRY_AFTER, RETRY_AFTER_SEC);
        request_answer_static(request, MHD_HTTP_SERVICE_UNAVAILABLE, TYPE_JSON, away, strlen(away));
}

void health_forget(Health *health, Request *request)
{
        if (!request->waits_for_health)
                return;
        request->waits_for_health = false;
        DL_DELETE2(health->waiting, request, prev_waiting, next_waiting);
}

static void on_ping(const ClientAnswer *answer, void *userdata)
{
        Health *health = userdata;
        Request *request;

        health->call = NULL;
        health->is_well = answer->error == 0;
        health->until_usec = usec_add(now_usec(CLOCK_MONOTONIC), HEALTH_USEC);
        while ((request = health->waiting)) {
                health_forget(health, request);
                say(health, request);
        }
}

void health_answer(Health *health, Request *request)
{
        static const ClientRequest ping = {
                .interface = "org.freedesktop.DBus.Peer",
                .member = "Ping",
                .repeatable = true,
                .asks_alone = true,
        };
        int r;

        if (now_usec(CLOCK_MONOTONIC) < health->until_usec) {
                say(health, request);
                return;
        }
        if (!health->call) {
                r = client_async_call(health->app->client, &ping, on_ping, health, &health->call);
                if (r < 0) {
                        backend_refuse(request, &(ClientAnswer){ .error = r });
                        return;
                }
        }
        request->waits_for_health = true;
        DL_APPEND2(health->waiting, request, prev_waiting, next_waiting);
}

void health_changed(Health *health)
{
        health->until_usec = 0;
}
