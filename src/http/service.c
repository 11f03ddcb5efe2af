/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "http/service.h"

#include <microhttpd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "base/diagnostics.h"
#include "base/log.h"
#include "base/names.h"
#include "base/string-util.h"
#include "http/answers.h"
#include "http/app.h"
#include "http/auth.h"
#include "http/backend.h"
#include "http/dispatch.h"
#include "http/health.h"
#include "http/metrics.h"
#include "http/page.h"
#include "http/server.h"
#include "http/sse-hub.h"
#include "model/settings.h"

/* What is still to be sent when the service ends may take so long. */
#define DRAIN_USEC (1 * USEC_PER_SEC)

#define IDLE_ACCURACY_USEC (100 * USEC_PER_MSEC)

typedef struct Service {
        App app;
        Listeners listeners;
        bool activated;
        sd_event_source *idle_timer;
} Service;

/* ---- Idle */

static int on_idle(sd_event_source *source, uint64_t usec, void *userdata)
{
        Service *s = userdata;

        log_debug("Nothing to do: systemd starts this again with the next client.");
        return sd_event_exit(s->app.event, 0);
}

static void on_idle_changed(App *app)
{
        Service *s = container_of(app, Service, app);
        ServerStatus server = {};
        SseStatus sse = {};
        bool idle;
        int r = 0;

        if (!s->idle_timer)
                return;
        if (app->server)
                server_status(app->server, &server);
        if (app->hub)
                sse_hub_status(app->hub, &sse);
        idle = server.n_connections == 0 && sse.n_streams == 0;
        if (idle)
                r = sd_event_source_set_time_relative(s->idle_timer, app->settings.idle_exit_usec);
        if (r >= 0)
                r = sd_event_source_set_enabled(s->idle_timer, idle ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
        if (r < 0)
                (void) log_debug_errno(r, "Cannot wait for being idle: %m");
}

static void on_connections_idle_changed(void *userdata)
{
        on_idle_changed(userdata);
}

static int add_idle_timer(Service *s)
{
        int r;

        /* Where nobody would start it again, it stays. */
        if (!s->activated || s->app.settings.idle_exit_usec == USEC_INFINITY)
                return 0;
        r = sd_event_add_time(s->app.event, &s->idle_timer, CLOCK_MONOTONIC, 0, IDLE_ACCURACY_USEC, on_idle, s);
        /* A client that came while this process had no turn is seen first. */
        if (r >= 0)
                r = sd_event_source_set_priority(s->idle_timer, SD_EVENT_PRIORITY_IDLE);
        if (r >= 0)
                on_idle_changed(&s->app);
        return r;
}

/* ---- News of the daemon */

static void on_event(uint64_t seq, const char *user_id, const char *run_id, const char *json, void *userdata)
{
        App *app = userdata;

        sse_hub_event(app->hub, seq, user_id, json);
}

static void on_events_end(void *userdata)
{
        App *app = userdata;

        sse_hub_flush(app->hub);
}

static void on_key_revoked(const char *name, void *userdata)
{
        App *app = userdata;

        auth_key_revoked(app->auth, name);
}

static void on_connectors_changed(void *userdata)
{
        App *app = userdata;

        sse_hub_connectors_changed(app->hub);
}

static void on_returned(void *userdata)
{
        App *app = userdata;

        log_debug("The sync service is there.");
        health_changed(app->health);
        answers_daemon_returned(app->answers);
        auth_daemon_returned(app->auth);
        sse_hub_daemon_returned(app->hub);
}

static void on_lost(void *userdata)
{
        App *app = userdata;

        log_debug("The sync service is away.");
        health_changed(app->health);
        answers_daemon_lost(app->answers);
        auth_daemon_lost(app->auth);
        sse_hub_daemon_lost(app->hub);
}

static void on_revoked(App *app)
{
        sse_hub_end_invalid(app->hub);
}

/* ---- Beginning and end */

static int load_settings(HttpSettings *ret)
{
        _cleanup_strv_free_ char **dirs = NULL;
        Diagnostics diagnostics = {};
        int r;

        r = settings_dirs(&dirs);
        if (r >= 0)
                r = http_settings_load(dirs, &diagnostics, ret);
        diagnostics_log(&diagnostics);
        diagnostics_done(&diagnostics);
        return r < 0 ? log_oom() : 0;
}

static int add_signals(sd_event *event)
{
        sigset_t mask;
        int r;

        (void) sigemptyset(&mask);
        (void) sigaddset(&mask, SIGTERM);
        (void) sigaddset(&mask, SIGINT);
        if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
                return -errno;
        r = sd_event_add_signal(event, NULL, SIGTERM, NULL, NULL);
        return r < 0 ? r : sd_event_add_signal(event, NULL, SIGINT, NULL, NULL);
}

static int start(Service *s, const HttpArguments *arguments)
{
        App *app = &s->app;
        const ClientAsyncCallbacks news = {
                .event = on_event,
                .events_end = on_events_end,
                .key_revoked = on_key_revoked,
                .connectors_changed = on_connectors_changed,
                .returned = on_returned,
                .lost = on_lost,
                .userdata = app,
        };
        const ServerCallbacks callbacks = {
                .head = dispatch_head,
                .request = dispatch_request,
                .done = dispatch_done,
                .idle_changed = on_connections_idle_changed,
                .userdata = app,
        };
        int r;

        app->idle_changed = on_idle_changed;
        r = sd_event_default(&app->event);
        if (r >= 0)
                r = sd_event_set_watchdog(app->event, true);
        if (r >= 0)
                r = add_signals(app->event);
        if (r >= 0)
                r = metrics_new(&app->metrics);
        if (r >= 0)
                r = page_load(getenv(SYNCRUN_ENV_WEB_DIR), &app->page);
        if (r >= 0)
                r = auth_new(app, on_revoked, &app->auth);
        if (r >= 0)
                r = answers_new(app, &app->answers);
        if (r >= 0)
                r = sse_hub_new(app, &app->hub);
        if (r >= 0)
                r = health_new(app, &app->health);
        if (r >= 0)
                r = client_async_new(app->event, &news, &app->client);
        if (r < 0)
                return log_error_errno(r, "Cannot set up: %m");
        r = listeners_open(arguments->listen, &s->listeners);
        if (r < 0)
                return r;
        s->activated = s->listeners.activated;
        r = server_new(app->event, &app->settings, &s->listeners, &callbacks, &app->server);
        if (r >= 0)
                r = add_idle_timer(s);
        return r < 0 ? log_error_errno(r, "Cannot serve: %m") : 0;
}

static void refuse_waiting(Request *request)
{
        bool may_be_done = backend_may_be_done(request);

        request->call = client_call_cancel(request->call);
        health_forget(request->app->health, request);
        if (may_be_done) {
                request_add_header(request, MHD_HTTP_HEADER_CONNECTION, "close");
                backend_refuse_unsure(request);
        } else
                dispatch_refuse_stopping(request);
}

/* What waits is refused, what is being sent goes on for a moment, and streams are told that they end: their clients
 * connect again. */
static void stop(Service *s)
{
        App *app = &s->app;

        s->idle_timer = sd_event_source_disable_unref(s->idle_timer);
        app->stopping = true;
        if (app->server) {
                server_close_listeners(app->server);
                server_for_each_waiting(app->server, refuse_waiting);
                server_drain(app->server, DRAIN_USEC);
        }
        app->hub = sse_hub_free(app->hub);
        app->server = server_free(app->server);
        auth_free(app->auth);
        answers_free(app->answers);
        health_free(app->health);
        client_async_free(app->client);
        metrics_free(app->metrics);
        page_free(app->page);
        listeners_done(&s->listeners);
        http_settings_done(&app->settings);
        sd_event_unref(app->event);
}

int service_run(const HttpArguments *arguments)
{
        _cleanup_(stop) Service s = {};
        int r;

        http_settings_init(&s.app.settings);
        r = load_settings(&s.app.settings);
        if (r >= 0)
                r = start(&s, arguments);
        if (r < 0)
                return r;
        (void) sd_notify(false, "READY=1\nSTATUS=Serving");
        r = sd_event_loop(s.app.event);
        (void) sd_notify(false, "STOPPING=1");
        return r;
}
