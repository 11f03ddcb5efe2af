/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Calls that wait for a bus: at their limit and one above. With a daemon: http/test_outcomes.py, http/test_turns.py. */

#include "unit/expect.h"

#include <systemd/sd-event.h>

#include "client/client-async.h"

static void on_answer(const ClientAnswer *answer, void *userdata)
{
        fail();
}

static int call(ClientAsync *client, ClientCall **ret)
{
        return client_async_call(client, &(ClientRequest){ .member = "StartRun", .text = "bank" }, on_answer, NULL, ret);
}

static void test_so_many_calls_wait(void **state)
{
        ClientCall *first, *last;
        ClientAsync *client;
        sd_event *event;

        expect_ok(sd_event_new(&event));
        expect_ok(client_async_new(event, &(ClientAsyncCallbacks){}, &client));
        expect_ok(call(client, &first));
        for (unsigned i = 1; i < CLIENT_CALLS_MAX; i++)
                expect_ok(call(client, &last));
        expect_errno(call(client, NULL), -ENOBUFS);
        /* Nobody has heard of them. */
        assert_false(client_call_may_be_done(first) || client_call_may_be_done(last));
        (void) client_call_cancel(first);
        expect_ok(call(client, NULL));
        expect_errno(call(client, NULL), -ENOBUFS);
        client_async_free(client);
        sd_event_unref(event);
}

/* Of each share so many: none takes another's places. */
static void test_so_many_of_a_share_wait(void **state)
{
        ClientRequest request = { .member = "StartRun", .text = "bank" };
        ClientShare *shares[2] = { client_share_new(), client_share_new() };
        ClientAsync *client;
        sd_event *event;

        expect_ok(sd_event_new(&event));
        expect_ok(client_async_new(event, &(ClientAsyncCallbacks){}, &client));
        request.share = shares[0];
        for (unsigned i = 0; i < CLIENT_CALLS_MAX; i++)
                expect_ok(client_async_call(client, &request, on_answer, NULL, NULL));
        expect_errno(client_async_call(client, &request, on_answer, NULL, NULL), -ENOBUFS);
        request.share = shares[1];
        expect_ok(client_async_call(client, &request, on_answer, NULL, NULL));
        expect_ok(call(client, NULL));
        request.share = shares[0];
        request.asks_alone = true;
        expect_ok(client_async_call(client, &request, on_answer, NULL, NULL));
        client_async_free(client);
        for (unsigned i = 0; i < ELEMENTSOF(shares); i++)
                assert_null(client_share_unref(shares[i]));
        sd_event_unref(event);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_so_many_calls_wait),
                cmocka_unit_test(test_so_many_of_a_share_wait),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
