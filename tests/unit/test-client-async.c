/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Calls that wait for a bus: at their limit and one above, and whose turn it is. With a daemon: http/test_outcomes.py,
 * http/test_turns.py. */

#include "unit/expect.h"

#include <systemd/sd-event.h>

#include "client/client-async.h"
#include "client/client-queue.h"

static void on_answer(const ClientAnswer *answer, void *userdata)
{
        fail();
}

static int call(ClientAsync *client, ClientCall **ret)
{
        return client_async_call(client, &(ClientRequest){ .member = "StartRun", .text = "bank" }, on_answer, NULL,
                                 ret);
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

#define NOW_USEC (100 * USEC_PER_SEC)

/* Calls of one share that wait in this order, each a bit longer than the next. */
typedef struct Line {
        ClientQueue queue;
        ClientShare *share;
        ClientCall *calls[4];
} Line;

static Line line_begin(usec_t oldest_usec, unsigned large)
{
        Line line = { .share = client_share_new() };

        for (unsigned i = 0; i < ELEMENTSOF(line.calls); i++) {
                const ClientRequest request = { .member = "StartRun", .is_large = large & 1U << i };

                expect_ok(client_call_new(&request, line.share, &line.calls[i]));
                line.calls[i]->begun_usec = NOW_USEC - oldest_usec + i * 100 * USEC_PER_MSEC;
        }
        return line;
}

static void line_enter(Line *line)
{
        for (unsigned i = 0; i < ELEMENTSOF(line->calls); i++)
                client_queue_enter(&line->queue, line->calls[i]);
}

static void expect_turns(Line *line, const unsigned turns[static 4])
{
        for (unsigned i = 0; i < ELEMENTSOF(line->calls); i++) {
                ClientCall *call = client_queue_next(&line->queue, NOW_USEC);

                assert_ptr_equal(call, line->calls[turns[i]]);
                client_queue_sent(&line->queue, call);
                client_queue_unsent(&line->queue, call);
        }
        assert_null(client_queue_next(&line->queue, NOW_USEC));
        for (unsigned i = 0; i < ELEMENTSOF(line->calls); i++)
                client_call_free(line->calls[i]);
        client_share_unref(line->share);
}

/* Every other turn is the newest's where the oldest has waited too long, and as long as it has. */
static void test_newest_in_turn_where_one_waits_long(void **state)
{
        Line line = line_begin(CLIENT_PATIENCE_USEC - 1, 0);

        line_enter(&line);
        assert_ptr_equal(client_queue_oldest(&line.queue, line.calls[2]), line.calls[0]);
        expect_turns(&line, (unsigned[]){ 0, 1, 2, 3 });
        line = line_begin(CLIENT_PATIENCE_USEC + USEC_PER_SEC, 0);
        line_enter(&line);
        expect_turns(&line, (unsigned[]){ 0, 3, 1, 2 });
        /* The oldest has gone: no other has waited for so long. */
        line = line_begin(CLIENT_PATIENCE_USEC, 0);
        line_enter(&line);
        client_queue_sent(&line.queue, line.calls[0]);
        client_queue_unsent(&line.queue, line.calls[0]);
        assert_ptr_equal(client_queue_next(&line.queue, NOW_USEC), line.calls[1]);
        client_queue_enter(&line.queue, line.calls[0]);
        expect_turns(&line, (unsigned[]){ 1, 2, 3, 0 });
}

/* Neither line of a share keeps the other from its turn, also where new calls come without end. */
static void test_large_and_small_in_turn(void **state)
{
        Line line = line_begin(USEC_PER_SEC, 0xc);

        line_enter(&line);
        expect_turns(&line, (unsigned[]){ 0, 2, 1, 3 });
        line = line_begin(CLIENT_PATIENCE_USEC + USEC_PER_SEC, 0x8);
        line_enter(&line);
        expect_turns(&line, (unsigned[]){ 0, 3, 2, 1 });
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_so_many_calls_wait),
                cmocka_unit_test(test_so_many_of_a_share_wait),
                cmocka_unit_test(test_newest_in_turn_where_one_waits_long),
                cmocka_unit_test(test_large_and_small_in_turn),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
