/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Each allocation of the HTTP server's parts fails in turn: streams get each event in order or end, and all else says
 * so or does without. */

#include "unit/expect.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd-util.h"
#include "base/string-util.h"
#include "http/app.h"
#include "http/failures.h"
#include "http/health.h"
#include "http/metrics-daemon.h"
#include "http/page.h"
#include "http/peer.h"
#include "http/principal.h"
#include "http/respond.h"
#include "http/sse-hub.h"
#include "http/target.h"
#include "unit/failing-alloc.h"

#define USER   "a11ce000-0000-4000-8000-000000000001"
#define EVENTS 60U

/* ---- Streams */

typedef struct Reader {
        int near, far;   /* the server's end, and the client's */
        uint64_t begins; /* after this event */
        bool is_wide;    /* of all users */
        Buffer received;
} Reader;

static void on_idle_changed(App *app)
{
}

static void open_reader(Reader *reader, bool is_slow)
{
        int ends[2], size = 4096;

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
        reader->near = ends[0];
        reader->far = ends[1];
        if (is_slow)
                assert_int_equal(setsockopt(reader->near, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
}

/* Return: whether the server has ended it. */
static bool receive(Reader *reader)
{
        char data[16384];
        ssize_t n;

        alloc_pause();
        while ((n = recv(reader->far, data, sizeof(data), 0)) > 0)
                buffer_append(&reader->received, data, (size_t) n);
        alloc_resume();
        return n == 0;
}

/* Every event that came is the next one. Return: the last. */
static uint64_t check_order(const Reader *reader)
{
        uint64_t last = reader->begins;
        const char *p = strempty(reader->received.data);

        while ((p = strstr(p, "\nid: "))) {
                p += strlen("\nid: ");
                assert_true(strtoull(p, NULL, 10) == last + 1);
                last++;
        }
        return last;
}

static int add_stream(SseHub *hub, Reader *reader)
{
        _cleanup_(sse_text_unrefp) SseText *head = sse_text_new_raw(), *first = sse_text_new();
        const SseFilter filter = { .user_id = reader->is_wide ? NULL : USER };
        const SseBegin begin = { .position = reader->begins, .in_step = true };
        _cleanup_(principal_unrefp) Principal *principal = NULL;
        int r;

        if (!head || !first)
                return -ENOMEM;
        sse_text_add_comment(first, "connected");
        r = sse_text_finish(first);
        if (r >= 0)
                r = sse_text_finish(head);
        if (r < 0)
                return r;
        principal = principal_new();
        if (!principal || free_and_strdup(&principal->name, "key") < 0)
                return -ENOMEM;
        return sse_hub_add(hub, TAKE_FD(reader->near), true, principal, &filter, head, first, &begin);
}

/* A client that comes while others are being told, one that has no room, one of all users. */
static int tell_readers(App *app, Reader *readers, size_t n)
{
        char json[1500];
        size_t next = 0;

        memset(json, 'x', sizeof(json) - 1);
        json[sizeof(json) - 1] = '\0';
        for (uint64_t seq = 1; seq <= EVENTS; seq++) {
                int r;

                while (next < n && readers[next].begins + 1 <= seq + 3) {
                        r = add_stream(app->hub, &readers[next++]);
                        if (r < 0)
                                return r;
                }
                sse_hub_event(app->hub, seq, USER, json);
                if (seq % 7 == 0) {
                        sse_hub_flush(app->hub);
                        assert_true(sd_event_run(app->event, 0) >= 0);
                }
                if (seq % 20 == 0)
                        for (size_t i = 0; i < n; i++)
                                (void) receive(&readers[i]);
        }
        sse_hub_flush(app->hub);
        return 0;
}

static int tell_streams(void)
{
        Reader readers[] = { { .begins = 0 }, { .begins = 9 }, { .begins = 9, .is_wide = true }, { .begins = 30 } };
        App app = { .idle_changed = on_idle_changed };
        bool has_failed;
        int r;

        alloc_pause();
        http_settings_init(&app.settings);
        app.settings.backlog_max_bytes = UINT32_MAX;
        assert_true(sd_event_new(&app.event) >= 0);
        for (size_t i = 0; i < ELEMENTSOF(readers); i++)
                open_reader(&readers[i], i == 1);
        alloc_resume();
        r = sse_hub_new(&app, &app.hub);
        if (r >= 0)
                r = tell_readers(&app, readers, ELEMENTSOF(readers));
        alloc_pause();
        has_failed = r < 0;
        for (unsigned i = 0; app.hub && i < 100; i++) {
                for (size_t k = 0; k < ELEMENTSOF(readers); k++)
                        (void) receive(&readers[k]);
                assert_true(sd_event_run(app.event, 0) >= 0);
        }
        for (size_t i = 0; i < ELEMENTSOF(readers); i++) {
                bool ended = receive(&readers[i]);

                /* Whoever has not got all is told so, and comes back. */
                assert_true(check_order(&readers[i]) == EVENTS || ended || has_failed);
                has_failed |= ended;
        }
        sse_hub_free(app.hub);
        for (size_t i = 0; i < ELEMENTSOF(readers); i++) {
                (void) safe_close(readers[i].near);
                (void) safe_close(readers[i].far);
                buffer_done(&readers[i].received);
        }
        sd_event_unref(app.event);
        alloc_resume();
        return has_failed ? -ENOMEM : 0;
}

/* ---- All else */

static int parse_target(void)
{
        Target target;
        int r;

        r = target_parse("/v1/sync-runs/a%20b?limit=5&cursor=x+y&status", &target);
        if (r >= 0)
                target_done(&target);
        return r;
}

/* Who cannot be read is the proxy itself. */
static int read_forwarded(void)
{
        char *trusted[] = { (char *) "192.0.2.1", NULL };
        Peer proxy, peer;

        assert_int_equal(peer_from_text("192.0.2.1", &proxy), 0);
        peer_forwarded(&proxy, "198.51.100.7, 203.0.113.9", trusted, &peer);
        assert_true(streq(peer.text, "203.0.113.9") || streq(peer.text, "192.0.2.1"));
        return streq(peer.text, "203.0.113.9") ? 0 : -ENOMEM;
}

static int count_guesses(void)
{
        Failures *failures;
        bool all = true;
        Peer peer;
        int r;

        r = failures_new(2, 1, &failures);
        if (r < 0)
                return r;
        for (unsigned i = 0; i < 5; i++) {
                char text[] = "192.0.2.0";

                text[8] = (char) ('0' + i);
                assert_int_equal(peer_from_text(text, &peer), 0);
                all = failures_add(failures, &peer, 1) && all;
        }
        failures_free(failures);
        return all ? 0 : -ENOMEM;
}

static int write_metrics(void)
{
        static const char statistics[] =
                        "{\"connectors\":1,\"runs\":{\"succeeded\":2},\"durations\":{\"bounds_sec\":[1,5],"
                        "\"runs\":[1,0,1],\"sum_usec\":7000000},\"items\":{\"added\":5},\"events\":9,"
                        "\"deliveries\":{\"records\":{\"delivered\":1}}}";
        _cleanup_buffer_ Buffer out = {};
        _cleanup_free_ char *text = NULL;
        int r;

        r = metrics_write_daemon(statistics, &out);
        if (r >= 0)
                r = buffer_take(&out, &text);
        if (r >= 0)
                assert_non_null(strstr(text, "syncrun_run_seconds_bucket{le=\"+Inf\"} 2\n"));
        return r;
}

static int make_principals(void)
{
        _cleanup_(principal_unrefp) Principal *key = principal_new(), *session = NULL;

        if (!key || free_and_strdup(&key->name, "key") < 0)
                return -ENOMEM;
        session = principal_new_session(key, &(Session){ .expires_usec = USEC_INFINITY });
        return session ? 0 : -ENOMEM;
}

static int make_health(void)
{
        App app = {};
        int r;

        r = health_new(&app, &app.health);
        health_free(app.health);
        return r;
}

static int make_page(void)
{
        _cleanup_(page_freep) Page *page = NULL;
        char tag[ETAG_TEXT_MAX];
        int r;

        r = page_load("/nonexistent", &page);
        if (r < 0)
                return r;
        assert_non_null(page->openapi.gzip);
        alloc_pause();
        expect_ok(respond_tag(page->openapi.data, page->openapi.size, tag));
        alloc_resume();
        assert_string_equal(page->openapi.tag, tag);
        return 0;
}

/* What is heard between one daemon and the next may be of another history, or not be the next. */
static void test_nothing_is_told_while_the_daemon_is_away(void **state)
{
        App app = { .idle_changed = on_idle_changed };
        Reader reader = {};

        http_settings_init(&app.settings);
        assert_true(sd_event_new(&app.event) >= 0);
        expect_ok(client_async_new(app.event, &(ClientAsyncCallbacks){}, &app.client));
        open_reader(&reader, false);
        expect_ok(sse_hub_new(&app, &app.hub));
        expect_ok(add_stream(app.hub, &reader));
        sse_hub_event(app.hub, 1, USER, "{}");
        sse_hub_flush(app.hub);
        sse_hub_daemon_lost(app.hub);
        sse_hub_event(app.hub, 2, USER, "{}");
        sse_hub_event(app.hub, 7, USER, "{}");
        sse_hub_flush(app.hub);
        assert_false(receive(&reader));
        assert_int_equal(check_order(&reader), 1);
        sse_hub_free(app.hub);
        client_async_free(app.client);
        (void) safe_close(reader.far);
        buffer_done(&reader.received);
        sd_event_unref(app.event);
}

static void test_streams(void **state)
{
        fail_allocations("streams", tell_streams, 1);
}

static void test_parts(void **state)
{
        fail_allocations("targets", parse_target, 1);
        fail_allocations("addresses", read_forwarded, 1);
        fail_allocations("guesses", count_guesses, 1);
        fail_allocations("metrics", write_metrics, 1);
        fail_allocations("principals", make_principals, 1);
        fail_allocations("health", make_health, 1);
        fail_allocations("the page", make_page, 1);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_streams),
                cmocka_unit_test(test_parts),
                cmocka_unit_test(test_nothing_is_told_while_the_daemon_is_away),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
