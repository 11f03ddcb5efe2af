/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Webhooks in the history: who is told, and what is held and sent again. The order is test-store-lanes.c's. */

#include "unit/expect.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/string-util.h"
#include "unit/webhook-fixture.h"

static void test_endpoints(void **state)
{
        StoreFixture *f = *state;
        WebhookEndpoint *endpoints, changed = {};
        size_t n;

        put_endpoint(f, "ep_1", 0, NULL, false);
        put_endpoint(f, "ep_2", 1U << WEBHOOK_SYNC_FAILED | 1U << WEBHOOK_SYNC_RECOVERED, USER_1, true);
        store_fixture_commit(f);
        expect_ok(store_load_webhook_endpoints(f->store, &endpoints, &n));
        assert_int_equal(n, 2);
        assert_string_equal(endpoints[0].id, "ep_1");
        assert_int_equal(endpoints[0].types, 0);
        assert_null(endpoints[0].user_id);
        assert_true(endpoints[0].disabled < 0);
        assert_true(endpoints[0].created_usec == A_TIME);
        assert_int_equal(endpoints[0].n_secrets, 1);
        assert_int_equal(endpoints[1].types, 1U << WEBHOOK_SYNC_FAILED | 1U << WEBHOOK_SYNC_RECOVERED);
        assert_string_equal(endpoints[1].user_id, USER_1);
        assert_int_equal(endpoints[1].disabled, WEBHOOK_DISABLED_BY_HAND);

        expect_ok(webhook_endpoint_copy(&endpoints[0], &changed));
        changed.url = (free(changed.url), copy_text("https://example.org/"));
        changed.disabled = WEBHOOK_DISABLED_GONE;
        changed.disabled_usec = A_TIME + 1;
        changed.failing_usec = A_TIME + 2;
        expect_ok(webhook_endpoint_rotate(&changed, A_TIME, A_TIME + 3));
        expect_ok(store_put_webhook_endpoint(f->store, &changed, false));
        webhook_endpoints_free(endpoints, n);
        store_fixture_commit(f);
        expect_ok(store_load_webhook_endpoints(f->store, &endpoints, &n));
        assert_string_equal(endpoints[0].url, "https://example.org/");
        assert_int_equal(endpoints[0].disabled, WEBHOOK_DISABLED_GONE);
        assert_true(endpoints[0].disabled_usec == A_TIME + 1 && endpoints[0].failing_usec == A_TIME + 2);
        assert_int_equal(endpoints[0].n_secrets, 1); /* without secrets */
        webhook_endpoints_free(endpoints, n);

        expect_ok(store_put_webhook_endpoint(f->store, &changed, true));
        expect_ok(store_delete_webhook_endpoint(f->store, "ep_2"));
        store_fixture_commit(f);
        expect_ok(store_load_webhook_endpoints(f->store, &endpoints, &n));
        assert_int_equal(n, 1);
        assert_int_equal(endpoints[0].n_secrets, 2);
        assert_string_equal(endpoints[0].secrets[0].text, changed.secrets[0].text);
        assert_true(endpoints[0].secrets[0].expires_usec == 0);
        assert_true(endpoints[0].secrets[1].expires_usec == A_TIME + 3);
        assert_int_equal(store_fixture_sql(f->path, "SELECT count(*) FROM webhook_secrets"), 2);
        webhook_endpoints_free(endpoints, n);
        webhook_endpoint_done(&changed);
}

static void test_who_is_told(void **state)
{
        StoreFixture *f = *state;

        put_endpoint(f, "ep_all", 0, NULL, false);
        put_endpoint(f, "ep_failed", 1U << WEBHOOK_SYNC_FAILED, NULL, false);
        put_endpoint(f, "ep_user", 0, USER_1, false);
        put_endpoint(f, "ep_off", 0, NULL, true);
        put_message(f, "msg_1", WEBHOOK_SYNC_STARTED, USER_1, "r1", A_TIME);
        put_message(f, "msg_2", WEBHOOK_SYNC_FAILED, USER_2, "r2", A_TIME + 1);
        put_message(f, "msg_3", WEBHOOK_SYNC_FAILED, NULL, "r3", A_TIME + 2);
        put_message(f, "msg_again", WEBHOOK_SYNC_FAILED, NULL, "r3", A_TIME + 3); /* of the same type and run */
        check_due(f, "ep_all", "msg_1 msg_2 msg_3");
        check_due(f, "ep_failed", "msg_2 msg_3");
        check_due(f, "ep_user", "msg_1");
        check_due(f, "ep_off", "");
        check_due(f, "ep_none", "");
        assert_int_equal(store_webhook_message_exists(f->store, "msg_3"), 1);
        assert_int_equal(store_webhook_message_exists(f->store, "msg_again"), 0);
        assert_int_equal(store_fixture_sql(f->path, "SELECT count(*) FROM webhook_deliveries WHERE state = 'held'"),
                         3);
}

static void test_to_one(void **state)
{
        StoreFixture *f = *state;
        WebhookMessage message = {};

        put_endpoint(f, "ep_1", 1U << WEBHOOK_SYNC_FAILED, USER_1, false);
        put_endpoint(f, "ep_2", 0, NULL, false);
        expect_ok(webhook_message_of_test("ep_1", A_TIME, &message));
        expect_ok(store_put_webhook_message(f->store, &message, "ep_1", A_TIME));
        check_due(f, "ep_1", message.id);
        check_due(f, "ep_2", "");
        webhook_message_done(&message);
}

static void test_hold_and_recovery(void **state)
{
        StoreFixture *f = *state;

        put_endpoint(f, "ep_1", 0, NULL, false);
        put_endpoint(f, "ep_2", 0, NULL, false);
        put_message(f, "msg_1", WEBHOOK_SYNC_STARTED, NULL, "r1", A_TIME);
        put_message(f, "msg_2", WEBHOOK_SYNC_FAILED, NULL, "r1", A_TIME + 10);
        put_message(f, "msg_3", WEBHOOK_SYNC_STARTED, NULL, "r2", A_TIME + 20);
        put_message(f, "msg_4", WEBHOOK_SYNC_COMPLETED, NULL, "r2", A_TIME + 30);
        attempt(f, "ep_1", "atmpt_1", DELIVERY_SUCCEEDED, 0);
        attempt(f, "ep_1", "atmpt_2", DELIVERY_FAILED, 0);
        expect_ok(store_put_webhook_hold(f->store, "ep_1"));
        check_due(f, "ep_1", "");
        check_due(f, "ep_2", "msg_1 msg_3");

        /* Not those before that time, and not what was taken. */
        expect_ok(store_put_webhook_recovery(f->store, "ep_1", A_TIME + 20, A_TIME + 50));
        check_due(f, "ep_1", "msg_3");
        expect_ok(store_put_webhook_recovery(f->store, "ep_1", 0, A_TIME + 60));
        check_due(f, "ep_1", "msg_3 msg_2");
        attempt(f, "ep_1", "atmpt_3", DELIVERY_SUCCEEDED, 0);
        check_due(f, "ep_1", "msg_4 msg_2");
        check_due(f, "ep_2", "msg_1 msg_3");
}

static void test_resend(void **state)
{
        StoreFixture *f = *state;
        DueDelivery *due;
        size_t n;

        put_endpoint(f, "ep_1", 0, NULL, false);
        put_endpoint(f, "ep_2", 1U << WEBHOOK_SYNC_FAILED, NULL, false);
        put_message(f, "msg_1", WEBHOOK_SYNC_STARTED, NULL, "r1", A_TIME);
        attempt(f, "ep_1", "atmpt_1", DELIVERY_PENDING, A_TIME + 5);
        attempt(f, "ep_1", "atmpt_2", DELIVERY_SUCCEEDED, 0);
        expect_ok(store_put_webhook_resend(f->store, "ep_1", "msg_1", A_TIME + 10));
        expect_ok(store_put_webhook_resend(f->store, "ep_2", "msg_1", A_TIME + 10)); /* did not want it */
        expect_ok(store_put_webhook_resend(f->store, "ep_2", "msg_none", A_TIME + 10));
        store_fixture_commit(f);
        for (int i = 1; i <= 2; i++) {
                expect_ok(store_list_due_deliveries(f->store, i == 1 ? "ep_1" : "ep_2", 9, &due, &n));
                assert_int_equal(n, 1);
                assert_string_equal(due[0].message_id, "msg_1");
                assert_string_equal(due[0].body, "{\"id\":\"msg_1\"}");
                assert_true(due[0].due_usec == A_TIME + 10);
                assert_true(due[0].manual);
                assert_int_equal(due[0].n_attempts, 0);
                due_deliveries_free(due, n);
        }
        attempt(f, "ep_1", "atmpt_3", DELIVERY_PENDING, A_TIME + 20);
        store_fixture_commit(f);
        expect_ok(store_list_due_deliveries(f->store, "ep_1", 9, &due, &n));
        assert_false(due[0].manual); /* what comes by the schedule is not */
        assert_int_equal(due[0].n_attempts, 1);
        due_deliveries_free(due, n);
}

/* What comes of a request that was under way when somebody asked for it once more. */
static void test_resend_during_its_attempt(void **state)
{
        WebhookAttempt a = { .id = (char *) "atmpt_1",
                             .url = (char *) "https://example.com/hook",
                             .succeeded = true,
                             .http_status = 200,
                             .started_usec = A_TIME };
        StoreFixture *f = *state;
        DueDelivery *due;
        size_t n;

        put_endpoint(f, "ep_1", 0, NULL, false);
        put_message(f, "msg_1", WEBHOOK_SYNC_STARTED, NULL, "r1", A_TIME);
        store_fixture_commit(f);
        expect_ok(store_list_due_deliveries(f->store, "ep_1", 1, &due, &n));
        expect_ok(store_put_webhook_resend(f->store, "ep_1", "msg_1", A_TIME + 10));
        expect_ok(store_put_webhook_attempt(f->store, &due[0], &a, DELIVERY_SUCCEEDED, 0));
        due_deliveries_free(due, n);
        check_due(f, "ep_1", "msg_1");
        assert_int_equal(store_fixture_sql(f->path, "SELECT manual FROM webhook_deliveries"), 1);
        assert_int_equal(store_fixture_sql(f->path, "SELECT count(*) FROM webhook_attempts"), 1);
        attempt(f, "ep_1", "atmpt_2", DELIVERY_SUCCEEDED, 0);
        check_due(f, "ep_1", "");
}

/* ... when its endpoint was disabled: what was taken is neither held nor sent again; what was not is both. */
static void test_hold_during_its_attempt(void **state)
{
        WebhookAttempt a = { .url = (char *) "https://example.com/hook", .started_usec = A_TIME };
        static const DeliveryState states[] = { DELIVERY_SUCCEEDED, DELIVERY_FAILED, DELIVERY_PENDING };
        StoreFixture *f = *state;
        DueDelivery *due;
        size_t n;

        put_endpoint(f, "ep_1", 0, NULL, false);
        put_message(f, "msg_1", WEBHOOK_SYNC_STARTED, NULL, "r1", A_TIME);
        put_message(f, "msg_2", WEBHOOK_SYNC_STARTED, NULL, "r2", A_TIME + 1);
        put_message(f, "msg_3", WEBHOOK_SYNC_STARTED, NULL, "r3", A_TIME + 2);
        store_fixture_commit(f);
        expect_ok(store_list_due_deliveries(f->store, "ep_1", 3, &due, &n));
        assert_int_equal(n, ELEMENTSOF(states));
        expect_ok(store_put_webhook_hold(f->store, "ep_1"));
        for (size_t i = 0; i < n; i++) {
                a.id = due[i].message_id;
                a.succeeded = states[i] == DELIVERY_SUCCEEDED;
                expect_ok(store_put_webhook_attempt(f->store, &due[i], &a, states[i], A_TIME + 9));
        }
        store_fixture_commit(f);
        due_deliveries_free(due, n);
        assert_int_equal(store_fixture_sql(f->path, "SELECT group_concat(state) = 'succeeded,held,held'"
                                                    " FROM webhook_deliveries"),
                         1);
        expect_ok(store_put_webhook_recovery(f->store, "ep_1", 0, A_TIME + 50));
        check_due(f, "ep_1", "msg_2 msg_3");
}

/* Keys are never given twice, so that what is told late finds nobody else. */
static void test_keys_are_never_given_twice(void **state)
{
        StoreFixture *f = *state;

        put_endpoint(f, "ep_1", 0, NULL, false);
        put_message(f, "msg_1", WEBHOOK_SYNC_STARTED, NULL, "r1", A_TIME);
        expect_ok(store_delete_webhook_endpoint(f->store, "ep_1"));
        put_endpoint(f, "ep_2", 0, NULL, false);
        put_message(f, "msg_2", WEBHOOK_SYNC_STARTED, NULL, "r2", A_TIME);
        store_fixture_commit(f);
        assert_int_equal(store_fixture_sql(f->path, "SELECT min(key) FROM webhook_deliveries"), 2);
}

/* Ids of runs from outside come again, when the run that had one is forgotten. */
static void test_run_ids_that_come_again(void **state)
{
        WebhookMessage message = { .type = WEBHOOK_SYNC_COMPLETED,
                                   .run_id = (char *) "sdk_1",
                                   .created_usec = A_TIME,
                                   .body = (char *) "{}" };
        static const char *const ids[] = { "msg_1", "msg_2", "msg_3" };
        StoreFixture *f = *state;

        put_endpoint(f, "ep_1", 0, NULL, false);
        for (size_t i = 0; i < ELEMENTSOF(ids); i++) {
                message.id = (char *) ids[i];
                message.run_created_usec = A_TIME + (i > 0); /* the last two are of one run */
                expect_ok(store_put_webhook_message(f->store, &message, NULL, A_TIME));
        }
        store_fixture_commit(f);
        assert_int_equal(store_webhook_message_exists(f->store, "msg_2"), 1);
        assert_int_equal(store_webhook_message_exists(f->store, "msg_3"), 0);
}

/* ---- In steps */

#define MANY (2 * WEBHOOK_STEP_ROWS + 7)

static int64_t count_states(StoreFixture *f, const char *state)
{
        _cleanup_free_ char *sql =
                        asprintf_or_null("SELECT count(*) FROM webhook_deliveries WHERE state = '%s'", state);

        assert_non_null(sql);
        return store_fixture_sql(f->path, sql);
}

/* Of each run two messages, of which one waits for the other. */
static void put_many(StoreFixture *f)
{
        char id[32], run[32];

        for (unsigned i = 0; i < MANY; i++) {
                (void) snprintf(id, sizeof(id), "msg_%05u", i);
                (void) snprintf(run, sizeof(run), "r%u", i / 2);
                put_message(f, id, i % 2 ? WEBHOOK_SYNC_COMPLETED : WEBHOOK_SYNC_STARTED, NULL, run, A_TIME + i);
        }
        store_fixture_commit(f);
}

/* Return: how many there were. */
static unsigned make_steps(StoreFixture *f)
{
        unsigned n = 0;

        store_fixture_commit(f);
        while (store_webhook_steps_left(f->store) > 0) {
                expect_ok(store_put_webhook_step(f->store, A_TIME + 2000));
                store_fixture_commit(f);
                n++;
        }
        return n;
}

static void test_hold_and_recovery_in_steps(void **state)
{
        StoreFixture *f = *state;
        DueDelivery *due;
        size_t n;

        put_endpoint(f, "ep_1", 0, NULL, false);
        put_many(f);
        expect_ok(store_put_webhook_hold(f->store, "ep_1"));
        check_due(f, "ep_1", ""); /* also those that are not held yet */
        assert_int_equal(count_states(f, "held"), WEBHOOK_STEP_ROWS);
        put_message(f, "msg_later", WEBHOOK_SYNC_STARTED, NULL, "later", A_TIME + MANY);
        assert_in_range(make_steps(f), 2, 3);
        assert_int_equal(count_states(f, "held"), MANY);
        check_due(f, "ep_1", "msg_later");

        expect_ok(store_put_webhook_recovery(f->store, "ep_1", A_TIME + 3, A_TIME + 2000));
        store_fixture_commit(f);
        assert_int_equal(count_states(f, "held"), MANY - WEBHOOK_STEP_ROWS + 3);
        assert_in_range(make_steps(f), 2, 3);
        assert_int_equal(count_states(f, "held"), 3);
        /* In order: of a run the first that is sent again, and before that what was due anyway. */
        expect_ok(store_list_due_deliveries(f->store, "ep_1", 4, &due, &n));
        assert_int_equal(n, 4);
        assert_string_equal(due[0].message_id, "msg_later");
        assert_string_equal(due[1].message_id, "msg_00003");
        assert_string_equal(due[2].message_id, "msg_00004");
        assert_string_equal(due[3].message_id, "msg_00006");
        due_deliveries_free(due, n);
        assert_int_equal(count_states(f, "waiting"), (MANY - 4) / 2);
}

/* Whichever was asked for first, and whatever of it was done before the other came. */
static void test_two_recoveries_at_once(void **state)
{
        static const unsigned since[][2] = { { 3, MANY - 2 }, { MANY - 2, 3 }, { 3, WEBHOOK_STEP_ROWS / 2 } };
        StoreFixture *f = *state;

        put_endpoint(f, "ep_1", 0, NULL, false);
        put_many(f);
        for (size_t i = 0; i < ELEMENTSOF(since); i++) {
                expect_ok(store_put_webhook_hold(f->store, "ep_1"));
                make_steps(f);
                assert_int_equal(count_states(f, "held"), MANY);
                for (size_t j = 0; j < ELEMENTSOF(since[0]); j++) {
                        expect_ok(store_put_webhook_recovery(f->store, "ep_1", A_TIME + since[i][j], A_TIME + 2000));
                        store_fixture_commit(f);
                }
                assert_true(count_states(f, "held") > 3);
                make_steps(f);
                assert_int_equal(count_states(f, "held"), 3);
        }
}

static void test_removal_in_steps(void **state)
{
        StoreFixture *f = *state;
        WebhookEndpoint *endpoints;
        size_t n;

        put_endpoint(f, "ep_1", 0, NULL, false);
        put_endpoint(f, "ep_2", 0, NULL, true);
        put_many(f);
        attempt(f, "ep_1", "atmpt_1", DELIVERY_PENDING, A_TIME);
        expect_ok(store_delete_webhook_endpoint(f->store, "ep_1"));
        store_fixture_commit(f);
        /* Seen by nobody from the first moment on. */
        expect_ok(store_load_webhook_endpoints(f->store, &endpoints, &n));
        assert_int_equal(n, 1);
        assert_string_equal(endpoints[0].id, "ep_2");
        webhook_endpoints_free(endpoints, n);
        assert_int_equal(store_fixture_sql(f->path, "SELECT count(*) FROM webhook_secrets"), 1);
        put_message(f, "msg_later", WEBHOOK_SYNC_STARTED, NULL, "later", A_TIME);
        store_fixture_commit(f);
        assert_int_equal(store_fixture_sql(f->path, "SELECT count(*) FROM webhook_deliveries"),
                         2 * MANY - WEBHOOK_STEP_ROWS + 1);
        assert_in_range(make_steps(f), 2, 3);
        assert_int_equal(store_fixture_sql(f->path, "SELECT count(*) FROM webhook_deliveries"), MANY + 1);
        assert_int_equal(store_fixture_sql(f->path, "SELECT count(*) FROM webhook_attempts"), 0);
        assert_int_equal(store_fixture_sql(f->path, "SELECT count(*) FROM webhook_endpoints"), 1);
}

static void test_clock_step(void **state)
{
        StoreFixture *f = *state;
        static const char sql[] = "SELECT due_usec FROM webhook_deliveries";

        put_endpoint(f, "ep_1", 0, NULL, false);
        put_message(f, "msg_1", WEBHOOK_SYNC_STARTED, NULL, "r1", A_TIME);
        expect_ok(store_put_webhook_clock_step(f->store, -1000, A_TIME, 7));
        store_fixture_commit(f);
        assert_true((usec_t) store_fixture_sql(f->path, sql) == A_TIME - 1000);
        expect_ok(store_put_webhook_clock_step(f->store, 0, A_TIME - 2000, A_TIME - 3000));
        store_fixture_commit(f);
        assert_true((usec_t) store_fixture_sql(f->path, sql) == A_TIME - 3000);
        expect_ok(store_put_webhook_clock_step(f->store, INT64_MIN / 2, A_TIME, 7));
        store_fixture_commit(f);
        assert_true(store_fixture_sql(f->path, sql) == 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                STORE_TEST(test_endpoints),
                STORE_TEST(test_who_is_told),
                STORE_TEST(test_to_one),
                STORE_TEST(test_hold_and_recovery),
                STORE_TEST(test_resend),
                STORE_TEST(test_resend_during_its_attempt),
                STORE_TEST(test_hold_during_its_attempt),
                STORE_TEST(test_keys_are_never_given_twice),
                STORE_TEST(test_run_ids_that_come_again),
                STORE_TEST(test_hold_and_recovery_in_steps),
                STORE_TEST(test_two_recoveries_at_once),
                STORE_TEST(test_removal_in_steps),
                STORE_TEST(test_clock_step),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
