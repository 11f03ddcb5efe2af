/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Whole requests, from the socket to the daemon and back, with each allocation of the server failing in turn: each is
 * answered by what was asked for, by a 5xx, or its connection ends; and the next one is answered well. The daemon is
 * the real one, in a thread. */

#include "unit/expect.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/fd-util.h"
#include "base/log.h"
#include "base/string-util.h"
#include "http/answers.h"
#include "http/app.h"
#include "http/auth.h"
#include "http/dispatch.h"
#include "http/health.h"
#include "http/metrics.h"
#include "http/page.h"
#include "http/server.h"
#include "http/sse-hub.h"
#include "unit/failing-alloc.h"
#include "unit/island.h"

#define REQUEST_MAX 2048U

typedef struct Asked {
        const char *what; /* method and target */
        const char *body; /* NULL: none */
        bool varies;      /* two answers need not be the same */
        unsigned status;  /* with memory enough */
} Asked;

static App app;
static ApiKeyText key;
static struct sockaddr_un address = { .sun_family = AF_UNIX };
static const Asked *asked;
static char *expected; /* the body of its answer; NULL: any */

/* ---- The service, as service.c makes it */

static void on_idle(App *unused)
{
}

static void on_connections_idle(void *userdata)
{
}

static void on_event(uint64_t seq, const char *user_id, const char *run_id, const char *json, void *userdata)
{
        sse_hub_event(app.hub, seq, user_id, json);
}

static void on_events_end(void *userdata)
{
        sse_hub_flush(app.hub);
}

static void on_returned(void *userdata)
{
        answers_daemon_returned(app.answers);
        auth_daemon_returned(app.auth);
        sse_hub_daemon_returned(app.hub);
}

static void on_revoked(App *unused)
{
        sse_hub_end_invalid(app.hub);
}

static void serve(char *path)
{
        const ClientAsyncCallbacks news = { .event = on_event, .events_end = on_events_end, .returned = on_returned };
        const ServerCallbacks callbacks = {
                .head = dispatch_head,
                .request = dispatch_request,
                .done = dispatch_done,
                .idle_changed = on_connections_idle,
                .userdata = &app,
        };
        char *addresses[] = { path, NULL };
        Listeners listeners;

        app.idle_changed = on_idle;
        http_settings_init(&app.settings);
        app.settings.requests_per_minute = app.settings.failures_per_minute = UINT32_MAX;
        expect_ok(sd_event_new(&app.event));
        expect_ok(metrics_new(&app.metrics));
        expect_ok(page_load(NULL, &app.page));
        expect_ok(auth_new(&app, on_revoked, &app.auth));
        expect_ok(answers_new(&app, &app.answers));
        expect_ok(sse_hub_new(&app, &app.hub));
        expect_ok(health_new(&app, &app.health));
        expect_ok(client_async_new(app.event, &news, &app.client));
        expect_ok(listeners_open(addresses, &listeners));
        expect_ok(server_new(app.event, &app.settings, &listeners, &callbacks, &app.server));
        while (!client_async_is_up(app.client))
                expect_ok(sd_event_run(app.event, UINT64_MAX));
}

/* ---- A client */

static int connect_client(void)
{
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        assert_true(fd >= 0);
        assert_int_equal(connect(fd, (struct sockaddr *) &address, sizeof(address)), 0);
        return fd;
}

static void send_request(int fd)
{
        char text[REQUEST_MAX];
        int n;

        n = snprintf(text, sizeof(text),
                     "%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer %s\r\n"
                     "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                     asked->what, key.text, strlen(strempty(asked->body)), strempty(asked->body));
        assert_int_equal(send(fd, text, (size_t) n, MSG_NOSIGNAL), n);
}

/* All until the server ends the connection. */
static void receive(int fd, Buffer *answer)
{
        char data[16384];
        ssize_t n;

        for (;;) {
                n = recv(fd, data, sizeof(data), 0);
                if (n > 0) {
                        alloc_pause();
                        buffer_append(answer, data, (size_t) n);
                        alloc_resume();
                } else if (n == 0 || errno != EAGAIN)
                        return;
                else
                        expect_ok(sd_event_run(app.event, UINT64_MAX));
        }
}

static int check(const char *answer)
{
        unsigned status;
        const char *body;

        if (isempty(answer))
                return -ENOMEM;
        assert_int_equal(sscanf(answer, "HTTP/1.1 %u ", &status), 1);
        if (status >= 500)
                return -ENOMEM;
        body = strstr(answer, "\r\n\r\n");
        assert_non_null(body);
        /* Whether a run was active already is told by another 2xx. */
        if (status != asked->status && !(asked->varies && status / 100 == asked->status / 100))
                fail_msg("%s: %s", asked->what, answer);
        if (expected)
                assert_string_equal(body, expected);
        else if (!asked->varies)
                expected = strdup(body);
        return 0;
}

static int request(void)
{
        _cleanup_buffer_ Buffer answer = {};
        int fd = connect_client(), r;

        send_request(fd);
        receive(fd, &answer);
        (void) safe_close(fd);
        alloc_pause();
        r = check(answer.data);
        alloc_resume();
        return r;
}

static void test_requests(void **state)
{
        static const Asked all[] = {
                { "GET /v1/sync-runs?limit=5&provider=acme", .status = 200, .varies = true },
                { "GET /v1/sync-runs/none", .status = 404 },
                { "GET /v1/connectors", .status = 200, .varies = true },
                { "GET /v1/connections", .status = 200, .varies = true },
                { "GET /api/v1/users/" ISLAND_USER "/sync/recent", .status = 200, .varies = true },
                { "GET /v1/nowhere", .status = 404 },
                { "GET /openapi.json", .status = 200 },
                { "GET /healthz", .status = 200 },
                { "GET /metrics", .status = 200, .varies = true },
                { "POST /v1/sync-runs", "{\"connector\":", .status = 400 },
                { "POST /v1/connectors/bank/sync-now", "{}", .status = 202, .varies = true },
                { "GET /api/v1/webhooks/endpoints", .status = 200 },
        };

        for (size_t i = 0; i < ELEMENTSOF(all); i++) {
                asked = &all[i];
                expect_ok(request());
                fail_allocations(asked->what, request, 1);
                free(expected);
                expected = NULL;
        }
}

static int setup(void **state)
{
        char *const scopes[] = { (char *) "sync:read", (char *) "sync:write", (char *) "sync:admin", NULL };
        const ClientOption options[] = { { "scopes", 'a', .as = scopes } };
        _cleanup_client_error_ ClientError e = {};
        _cleanup_(client_freep) Client *client = NULL;
        static char folder[] = "/tmp/syncrun-test-http-XXXXXX";

        log_set_target(LOG_TARGET_NULL);
        assert_non_null(mkdtemp(folder));
        (void) snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", folder);
        island_start();
        expect_ok(client_open(NULL, &client, &e));
        expect_ok(client_add_api_key(client, "test", options, ELEMENTSOF(options), &key, &e));
        serve(address.sun_path);
        return 0;
}

static int teardown(void **state)
{
        server_close_listeners(app.server);
        sse_hub_free(app.hub);
        server_free(app.server);
        auth_free(app.auth);
        answers_free(app.answers);
        health_free(app.health);
        client_async_free(app.client);
        metrics_free(app.metrics);
        page_free(app.page);
        http_settings_done(&app.settings);
        sd_event_unref(app.event);
        island_stop();
        (void) unlink(address.sun_path);
        *strrchr(address.sun_path, '/') = '\0';
        (void) rmdir(address.sun_path);
        return 0;
}

int main(void)
{
        static const struct CMUnitTest tests[] = { cmocka_unit_test(test_requests) };

        return cmocka_run_group_tests(tests, setup, teardown);
}
