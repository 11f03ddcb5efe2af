/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the programs ask the daemon, with each allocation of the asker failing in turn: it is done, or it says "Out of
 * memory", and the next attempt is good. */

#include "unit/expect.h"

#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-event.h>

#include "base/string-util.h"
#include "client/client-async.h"
#include "client/client.h"
#include "client/worker-proxy.h"
#include "unit/failing-alloc.h"
#include "unit/island.h"

/* ---- Calls that wait */

static Client *client;

static int said(int r, const ClientError *e)
{
        if (r >= 0)
                return 0;
        if (r != -ENOMEM)
                print_error("%s\n", strna(e->message));
        else {
                assert_int_equal(client_error_exit_status(e), refusal_by_errno(ENOMEM)->exit_status);
                assert_string_equal(client_error_text(e), "Out of memory.");
        }
        return r;
}

static int connect_anew(void)
{
        _cleanup_client_error_ ClientError e = {};
        Client *another;
        int r;

        r = said(client_open(NULL, &another, &e), &e);
        if (r >= 0)
                client_free(another);
        return r;
}

static int start_run(void)
{
        const ClientOption options[] = { { "reason", 's', .s = "a test" }, { "full_resync", 'b', .b = true } };
        _cleanup_client_error_ ClientError e = {};
        ClientStarted started;
        int r;

        r = said(client_start_run(client, "bank", options, ELEMENTSOF(options), &started, &e), &e);
        if (r >= 0) {
                assert_true(!isempty(started.run_id) && !isempty(started.path));
                client_started_done(&started);
        }
        return r;
}

static int describe(void)
{
        const ClientOption filter[] = { { "connector", 's', .s = "bank" }, { "limit", 'u', .u = 3 } };
        _cleanup_client_error_ ClientError e = {};
        _cleanup_free_ char *json = NULL;
        int r;

        r = said(client_describe(client, "DescribeRuns", filter, ELEMENTSOF(filter), &json, &e), &e);
        assert_true(r < 0 || startswith(json, "{\"runs\":[{"));
        return r;
}

static int keep_key(void)
{
        static unsigned n;
        char *const scopes[] = { (char *) "sync:read", NULL };
        const ClientOption options[] = { { "scopes", 'a', .as = scopes } };
        _cleanup_client_error_ ClientError e = {};
        ApiKeyText key;
        char name[32];
        int r;

        (void) snprintf(name, sizeof(name), "key-%u", n++);
        r = said(client_add_api_key(client, name, options, ELEMENTSOF(options), &key, &e), &e);
        return r < 0 ? r : said(client_revoke_api_key(client, name, &e), &e);
}

static int find_endpoint(void)
{
        const ClientWebhookCall call = { .member = "DescribeWebhookEndpoints" };
        _cleanup_client_error_ ClientError e = {};
        _cleanup_free_ char *text = NULL;

        return said(client_call_webhook(client, &call, &text, &e), &e);
}

static int get_version(void)
{
        _cleanup_client_error_ ClientError e = {};
        _cleanup_free_ char *text = NULL;

        return said(client_get_text(client, "Version", &text, &e), &e);
}

static void on_watched(uint64_t seq, const char *user_id, const char *run_id, const char *json, void *userdata)
{
}

static int watch(void)
{
        _cleanup_client_error_ ClientError e = {};
        sd_bus_slot *slot;
        int r;

        r = said(client_watch_events(client, on_watched, NULL, &slot, &e), &e);
        if (r >= 0)
                sd_bus_slot_unref(slot);
        return r;
}

static int set_active(void)
{
        _cleanup_client_error_ ClientError e = {};

        return said(client_set_active(client, "bank", true, &e), &e);
}

static void test_calls_that_wait(void **state)
{
        fail_allocations("connecting", connect_anew, 1);
        fail_allocations("StartRun()", start_run, 1);
        fail_allocations("DescribeRuns()", describe, 1);
        fail_allocations("AddApiKey()", keep_key, 1);
        fail_allocations("DescribeWebhookEndpoints()", find_endpoint, 1);
        fail_allocations("Version", get_version, 1);
        fail_allocations("EventsCommitted", watch, 1);
        fail_allocations("SetActive()", set_active, 1);
}

/* ---- A client with a loop */

typedef struct Listener {
        bool up, answered;
        int error;
        unsigned n_events;
} Listener;

static void on_event(uint64_t seq, const char *user_id, const char *run_id, const char *json, void *userdata)
{
        ((Listener *) userdata)->n_events++;
}

static void on_returned(void *userdata)
{
        ((Listener *) userdata)->up = true;
}

static void on_answer(const ClientAnswer *answer, void *userdata)
{
        Listener *l = userdata;

        l->answered = true;
        l->error = answer->error;
}

static void run_until(sd_event *event, const bool *done)
{
        while (!*done)
                expect_ok(sd_event_run(event, UINT64_MAX));
}

static int ask_async(ClientAsync *async, sd_event *event, Listener *l)
{
        const ClientOption options[] = { { "reason", 's', .s = "a test" }, { "accounts", 'a', .as = NULL } };
        const ClientRequest request = { .member = "StartRun",
                                        .text = "bank",
                                        .dictionary = true,
                                        .options = options,
                                        .n_options = ELEMENTSOF(options) };
        int r;

        l->answered = false;
        r = client_async_call(async, &request, on_answer, l, NULL);
        if (r < 0)
                return r;
        run_until(event, &l->answered);
        return l->error;
}

/* One call is refused, the next is not. */
static int follow(void)
{
        Listener l = {};
        const ClientAsyncCallbacks callbacks = { .event = on_event, .returned = on_returned, .userdata = &l };
        ClientAsync *async;
        sd_event *event;
        int r;

        expect_ok(sd_event_new(&event));
        r = client_async_new(event, &callbacks, &async);
        if (r >= 0) {
                run_until(event, &l.up);
                r = ask_async(async, event, &l);
                if (r == -ENOMEM)
                        expect_ok(ask_async(async, event, &l));
                while (l.n_events == 0)
                        expect_ok(sd_event_run(event, UINT64_MAX));
                client_async_free(async);
        }
        sd_event_unref(event);
        return r;
}

static void test_loop(void **state)
{
        fail_allocations("a client with a loop", follow, 1);
}

/* ---- The worker */

typedef struct Speaker {
        bool answered;
        int error;
} Speaker;

static void on_reply(WorkerMethod method, int r, const char *error, WorkerAttachment *attachment, void *userdata)
{
        Speaker *s = userdata;

        s->answered = true;
        s->error = r;
        if (!attachment)
                return;
        assert_string_equal(attachment->cursor, "{\"n\":5}");
        assert_int_equal(attachment->settings.n_items, 2);
        assert_int_equal(strv_length(attachment->accounts), 2);
        assert_string_equal(attachment->rules.ca_file, "/etc/ca.pem");
}

static int speak(sd_event *event, WorkerProxy *proxy, Speaker *s, WorkerMethod method)
{
        int r;

        s->answered = false;
        r = worker_proxy_call(proxy, method, "r1", 1, "{}");
        if (r < 0)
                return r;
        run_until(event, &s->answered);
        return s->error;
}

static int work(void)
{
        static const WorkerMethod methods[] = { WORKER_ATTACH, WORKER_REPORT, WORKER_SAVE_CURSOR,
                                                WORKER_REPORT_DELIVERIES, WORKER_FINISH };
        WorkerProxy *proxy = NULL;
        Speaker s = {};
        sd_event *event;
        int r;

        expect_ok(sd_event_new(&event));
        r = worker_proxy_new(event, ISLAND_PLAYED, on_reply, &s, &proxy);
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(methods); i++) {
                r = speak(event, proxy, &s, methods[i]);
                if (r == -ENOMEM) /* refused, not begun */
                        expect_ok(speak(event, proxy, &s, methods[i]));
        }
        worker_proxy_free(proxy);
        sd_event_unref(event);
        return r;
}

static void test_worker(void **state)
{
        fail_allocations("a worker", work, 1);
}

static int setup(void **state)
{
        _cleanup_client_error_ ClientError e = {};

        island_start();
        return client_open(NULL, &client, &e);
}

static int teardown(void **state)
{
        client_free(client);
        island_stop();
        return 0;
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_calls_that_wait),
                cmocka_unit_test(test_loop),
                cmocka_unit_test(test_worker),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
