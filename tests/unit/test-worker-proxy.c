/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The worker's calls where there is no bus: how long they are tried. */

#include "unit/expect.h"

#include <stdlib.h>

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

        /* What is asked for afterwards is told so at once. */
        expect_ok(worker_proxy_call(f.proxy, WORKER_ATTACH, NULL, 0, NULL));
        assert_int_equal(f.n_replies, 2);
        worker_proxy_free(f.proxy);
        sd_event_unref(f.event);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_bus_that_is_gone_for_good),
        };

        return cmocka_run_group_tests_name("worker-proxy", tests, NULL, NULL);
}
