/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The worker's calls where there is no bus: how long they are tried. */

#include "unit/expect.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/time-util.h"
#include "client/worker-proxy.h"

typedef struct Fixture {
        sd_event *event;
        WorkerProxy *proxy;
        unsigned n_replies;
        int r;
} Fixture;

static void on_reply(WorkerMethod method, int r, const char *error, WorkerAttachment *attachment, void *userdata)
{
        Fixture *f = userdata;

        assert_int_equal(method, WORKER_ATTACH);
        assert_non_null(error);
        assert_null(attachment);
        f->n_replies++;
        f->r = r;
}

static void test_a_bus_that_is_gone_for_good(void **state)
{
        Fixture f = {};
        usec_t begun = now_usec(CLOCK_MONOTONIC);

        assert_int_equal(setenv("SYNCRUN_BUS_ADDRESS", "unix:path=/nonexistent/bus", true), 0);
        expect_ok(sd_event_new(&f.event));
        expect_ok(worker_proxy_new(f.event, "bank", on_reply, &f, &f.proxy));
        expect_ok(worker_proxy_call(f.proxy, WORKER_ATTACH, NULL, 0, NULL));
        expect_ok(sd_event_run(f.event, 0));
        assert_true(worker_proxy_is_busy(f.proxy) && worker_proxy_is_away(f.proxy));
        worker_proxy_set_patience(f.proxy, 250 * USEC_PER_MSEC);
        while (f.n_replies == 0)
                expect_ok(sd_event_run(f.event, UINT64_MAX));
        assert_int_equal(f.r, -EHOSTUNREACH);
        assert_false(worker_proxy_is_busy(f.proxy));
        assert_true(now_usec(CLOCK_MONOTONIC) - begun >= 250 * USEC_PER_MSEC);

        /* What is asked for afterwards is told so in the loop's next turn: the caller has to note what it asks first. */
        expect_ok(worker_proxy_call(f.proxy, WORKER_ATTACH, NULL, 0, NULL));
        assert_int_equal(f.n_replies, 1);
        assert_true(worker_proxy_is_busy(f.proxy));
        expect_ok(sd_event_run(f.event, 0));
        assert_int_equal(f.n_replies, 2);
        assert_int_equal(f.r, -EHOSTUNREACH);
        assert_false(worker_proxy_is_busy(f.proxy));
        worker_proxy_free(f.proxy);
        sd_event_unref(f.event);
}

static void on_refusal(WorkerMethod method, int r, const char *error, WorkerAttachment *attachment, void *userdata)
{
        Fixture *f = userdata;

        assert_int_equal(method, WORKER_SETTLE);
        assert_string_equal(error, "the text is not valid UTF-8");
        f->n_replies++;
        f->r = r;
        if (f->n_replies == 1) /* a caller that goes on from within the reply */
                expect_ok(worker_proxy_call(f->proxy, WORKER_SETTLE, "run2", 0, "\xff"));
}

/* A bus that takes connections and says nothing. */
static int listen_silently(void)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), n;
        char text[128];

        assert_true(fd >= 0);
        n = snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "syncrun-test-%d", (int) getpid());
        assert_int_equal(bind(fd, (struct sockaddr *) &address,
                              (socklen_t) (offsetof(struct sockaddr_un, sun_path) + 1 + (size_t) n)),
                         0);
        assert_int_equal(listen(fd, 8), 0);
        (void) snprintf(text, sizeof(text), "unix:abstract=%s", address.sun_path + 1);
        assert_int_equal(setenv("SYNCRUN_BUS_ADDRESS", text, true), 0);
        return fd;
}

/* The caller notes whom it asked about after worker_proxy_call(): no reply may come before. */
static void test_what_cannot_be_sent_is_told_from_the_loop(void **state)
{
        int listener = listen_silently();
        Fixture f = {};

        expect_ok(sd_event_new(&f.event));
        expect_ok(worker_proxy_new(f.event, "bank", on_refusal, &f, &f.proxy));
        expect_ok(worker_proxy_call(f.proxy, WORKER_SETTLE, "run1", 0, "\xff"));
        assert_int_equal(f.n_replies, 0);
        assert_true(worker_proxy_is_busy(f.proxy));
        while (f.n_replies < 2)
                expect_ok(sd_event_run(f.event, UINT64_MAX));
        assert_int_equal(f.r, -EINVAL);
        assert_false(worker_proxy_is_busy(f.proxy));
        worker_proxy_free(f.proxy);
        sd_event_unref(f.event);
        (void) close(listener);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_what_cannot_be_sent_is_told_from_the_loop),
                cmocka_unit_test(test_a_bus_that_is_gone_for_good),
        };

        return cmocka_run_group_tests_name("worker-proxy", tests, NULL, NULL);
}
