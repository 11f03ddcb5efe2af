/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Renewing a connection by its own program, and withdrawing it. */

#include "unit/expect.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/engine-internal.h"
#include "store/delivery-store.h"
#include "unit/connection-fixture.h"

#define WITH_PROGRAM "[Reconnect]\nExecReconnect=/bin/renew\n"

/* Begins the program of a connection that bank, and not mail, waits for. */
static void begin_program(EngineFixture *f)
{
        Answer a = {};

        fixture_open_two(f);
        fixture_load_connection(f, WITH_PROGRAM);
        fixture_fail_run(f, "bank", ATTENTION_CONSENT_EXPIRED);
        fixture_advance_clock(USEC_PER_MINUTE);
        fixture_forget(f);
        expect_ok(fixture_ask_reconnect(f, "acme", &a));
        fixture_run_until(f, a.n > 0);
        fixture_settle(f);
        expect_ok(a.error);
        assert_true(a.reconnecting);
        assert_string_equal(a.reconnected, "");
        assert_true(fixture_has(f->calls, "reconnect acme"));
        assert_false(fixture_has(f->calls, "start"));
        expect_state(f, "expired");
}

static bool reconnecting(EngineFixture *f)
{
        Connection connection = fixture_acme(f);

        return connection_is_reconnecting(&connection);
}

static void test_program_succeeds(void **state)
{
        EngineFixture *f = *state;
        Answer a = {};

        begin_program(f);
        assert_true(reconnecting(f));
        assert_string_equal(fixture_acme(f).record->reconnect_requested_by, "uid:7");
        /* It is joined. */
        expect_ok(fixture_ask_reconnect(f, "acme", &a));
        fixture_run_until(f, a.n > 0);
        assert_true(a.reconnecting);
        assert_int_equal(fixture_count(f->calls, "reconnect acme"), 1);

        fixture_task_ends(f, TASK_RECONNECT, "acme", RECONNECT_SUCCESS,
                          "{\"result\":\"success\",\"message\":\"Thanks\",\"consent_expires\":1830340800000000}");
        expect_state(f, "active");
        assert_false(reconnecting(f));
        assert_int_equal(fixture_acme(f).consent_expires_usec, UINT64_C(1830340800000000));
        assert_string_equal(fixture_acme(f).record->reconnect_message, "Thanks");
        assert_true(fixture_has(f->news, "reconnected acme success"));
        fixture_expect_order(f->news, "connection acme active", "reconnected acme");
        assert_true(fixture_has(f->calls, "start bank"));
        assert_false(fixture_has(f->calls, "start mail"));
        assert_string_equal(fixture_connector(f, "bank")->run->requested_by, "uid:7");
}

static void test_program_fails(void **state)
{
        static const struct {
                ReconnectResult result;
                const char *status;
                const char *word;
                const char *message;
        } cases[] = {
                { RECONNECT_FAILED, "", "failed", "as the launcher says" },
                { RECONNECT_FAILED, "{\"message\":\"Wrong code\"}", "failed", "Wrong code" },
                { RECONNECT_FAILED, "{\"result\":\"timeout\",\"message\":null}", "timeout", "as the launcher says" },
                { RECONNECT_FAILED, "{\"result\":\"success\",\"consent_expires\":9}", "failed",
                  "as the launcher says" },
                { RECONNECT_CANCELLED, "no JSON", "cancelled", "as the launcher says" },
                { RECONNECT_TIMEOUT, "[1]", "timeout", "as the launcher says" },
        };
        EngineFixture *f = *state;
        Answer a = {};

        begin_program(f);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                fixture_forget(f);
                fixture_task_ends(f, TASK_RECONNECT, "acme", cases[i].result, cases[i].status);
                expect_state(f, "expired");
                assert_string_equal(reconnect_result_to_string(fixture_acme(f).record->reconnect_result),
                                    cases[i].word);
                assert_string_equal(fixture_acme(f).record->reconnect_message, cases[i].message);
                assert_true(fixture_has(f->news, "reconnected acme"));
                assert_false(fixture_has(f->calls, "start"));
                a = (Answer){};
                expect_ok(fixture_ask_reconnect(f, "acme", &a));
                fixture_run_until(f, a.n > 0);
                fixture_settle(f);
        }
}

/* What it says is cut at RECONNECT_MESSAGE_MAX, and kept whole up to that. */
static void test_long_message(void **state)
{
        EngineFixture *f = *state;

        begin_program(f);
        for (size_t more = 0; more < 2; more++) {
                char letters[RECONNECT_MESSAGE_MAX + 2] = "", status[RECONNECT_MESSAGE_MAX + 64];
                Answer a = {};

                memset(letters, 'x', RECONNECT_MESSAGE_MAX + more);
                assert_true((size_t) snprintf(status, sizeof(status), "{\"message\":\"%s\"}", letters) <
                            sizeof(status));
                fixture_task_ends(f, TASK_RECONNECT, "acme", RECONNECT_FAILED, status);
                fixture_settle(f);
                assert_int_equal(strlen(fixture_acme(f).record->reconnect_message), RECONNECT_MESSAGE_MAX);
                expect_ok(fixture_ask_reconnect(f, "acme", &a));
                fixture_run_until(f, a.n > 0);
                fixture_settle(f);
        }
}

static void test_program_is_passed_over(void **state)
{
        EngineFixture *f = *state;
        ReconnectWish wish = { .requested_by = "uid:7", .done = true };
        Answer a = {};

        fixture_open_two(f);
        fixture_load_connection(f, WITH_PROGRAM);
        fixture_fail_run(f, "bank", ATTENTION_CONNECTION_LOST);
        expect_ok(engine_reconnect(f->engine, "acme", &wish, on_reconnect_answer, &a));
        fixture_run_until(f, a.n > 0);
        assert_false(a.reconnecting);
        expect_state(f, "active");
        fixture_load_connection(f, "[Connection]\nUser=nobody\n" WITH_PROGRAM);
        expect_errno(fixture_ask_reconnect(f, "acme", &a), -ENOEXEC);
}

static void test_program_is_cancelled(void **state)
{
        EngineFixture *f = *state;
        Answer a = {};

        begin_program(f);
        expect_errno(engine_cancel_reconnect(f->engine, "none", NULL, on_answer, &a), -ENOLINK);
        expect_ok(engine_cancel_reconnect(f->engine, "acme", NULL, on_answer, &a));
        fixture_run_until(f, a.n > 0);
        assert_true(fixture_has(f->calls, "stop-reconnect acme"));
        fixture_task_ends(f, TASK_RECONNECT, "acme", RECONNECT_CANCELLED, "");
        expect_errno(engine_cancel_reconnect(f->engine, "acme", NULL, on_answer, &a), -EALREADY);
}

/* It has an end, whatever becomes of the daemon. */
static void test_program_over_a_restart(void **state)
{
        EngineFixture *f = *state;

        begin_program(f);
        fixture_kill(f);
        f->task_runs = true;
        fixture_open(f);
        assert_true(fixture_has(f->calls, "adopt-reconnect acme"));
        assert_true(reconnecting(f));
        fixture_kill(f);
        f->task_runs = false;
        fixture_open(f);
        fixture_settle(f);
        assert_false(reconnecting(f));
        assert_int_equal(fixture_acme(f).record->reconnect_result, RECONNECT_INTERRUPTED);
        expect_state(f, "expired");
}

/* ---- Withdrawing */

static void test_withdraw(void **state)
{
        EngineFixture *f = *state;
        StartOptions options = { .trigger = RUN_TRIGGER_MANUAL };
        Answer a = {};

        fixture_open_two(f);
        expect_ok(fixture_start(f, "bank", false).error);
        fixture_withdraw(f, false);
        expect_state(f, "withdrawn");
        assert_string_equal(fixture_acme(f).reason, "Withdrawn by uid:7.");
        assert_true(fixture_has(f->calls, "stop bank"));
        fixture_worker_ends(f, "bank", NULL);
        assert_int_equal(fixture_connector(f, "bank")->record.last_outcome, RUN_CANCELLED);
        assert_false(fixture_connector(f, "bank")->active);
        assert_false(fixture_connector(f, "mail")->active);
        expect_errno(engine_start_run(f->engine, "bank", &options, on_start_answer, &a), -EHOSTDOWN);
        assert_false(fixture_has(f->calls, "delete"));
        fixture_close(f);
        fixture_open(f);
        expect_state(f, "withdrawn");
        assert_false(fixture_connector(f, "bank")->active);

        fixture_forget(f);
        fixture_reconnect(f);
        expect_state(f, "active");
        assert_int_equal(fixture_count(f->calls, "start bank"), 1);
        assert_int_equal(fixture_count(f->calls, "start mail"), 1);
        assert_true(fixture_connector(f, "bank")->active);
}

/* Whatever comes of it: what is withdrawn stays so, and the program is stopped. */
static void test_withdrawal_ends_a_program(void **state)
{
        EngineFixture *f = *state;
        Answer a = {};

        begin_program(f);
        fixture_withdraw(f, false);
        expect_state(f, "withdrawn");
        assert_true(fixture_has(f->calls, "stop-reconnect acme"));
        assert_false(reconnecting(f));
        assert_int_equal(fixture_acme(f).record->reconnect_result, RECONNECT_CANCELLED);
        assert_string_equal(fixture_acme(f).record->reconnect_message, "The consent was withdrawn.");
        assert_int_equal(fixture_count(f->news, "reconnected acme cancelled"), 1);
        fixture_task_ends(f, TASK_RECONNECT, "acme", RECONNECT_SUCCESS, "");
        expect_state(f, "withdrawn");
        assert_false(fixture_has(f->calls, "start"));
        assert_false(fixture_connector(f, "bank")->active);
        assert_int_equal(fixture_count(f->news, "reconnected acme"), 1);

        /* One that was asked for since begins when the old one has ended, and counts. */
        fixture_forget(f);
        expect_ok(fixture_ask_reconnect(f, "acme", &a));
        fixture_settle(f);
        fixture_withdraw(f, false);
        expect_ok(fixture_ask_reconnect(f, "acme", &a));
        fixture_settle(f);
        assert_int_equal(fixture_count(f->calls, "reconnect acme"), 1);
        fixture_task_ends(f, TASK_RECONNECT, "acme", RECONNECT_SUCCESS, "");
        expect_state(f, "withdrawn");
        assert_true(reconnecting(f));
        assert_int_equal(fixture_count(f->calls, "reconnect acme"), 2);
        fixture_task_ends(f, TASK_RECONNECT, "acme", RECONNECT_SUCCESS, "");
        expect_state(f, "active");
        assert_int_equal(fixture_count(f->calls, "start bank"), 1);
}

static void test_withdrawal_before_a_program_begins(void **state)
{
        const WithdrawWish wish = { .requested_by = "uid:7" };
        EngineFixture *f = *state;
        Answer a = {};

        fixture_open_two(f);
        fixture_load_connection(f, WITH_PROGRAM);
        expect_ok(fixture_ask_reconnect(f, "acme", &a));
        expect_ok(engine_withdraw_consent(f->engine, "acme", &wish, on_answer, &a));
        fixture_settle(f);
        assert_false(fixture_has(f->calls, "reconnect acme"));
        expect_state(f, "withdrawn");
        assert_false(reconnecting(f));
}

/* The daemon was killed before it could stop it. */
static void test_withdrawal_over_a_restart(void **state)
{
        EngineFixture *f = *state;

        begin_program(f);
        fixture_withdraw(f, false);
        fixture_kill(f);
        fixture_forget(f);
        f->task_runs = true;
        fixture_open(f);
        assert_true(fixture_has(f->calls, "stop-reconnect acme"));
        fixture_task_ends(f, TASK_RECONNECT, "acme", RECONNECT_SUCCESS, "");
        expect_state(f, "withdrawn");
        assert_false(fixture_has(f->calls, "start"));
}

/* Its items are ours as well, and what the receiver has answered may repeat them. */
static void test_delete_items_of_a_webhook(void **state)
{
        DeliveryAttempt attempt = { .id = (char *) "datt_1",
                                    .kind = DELIVERY_RECORDS,
                                    .type = (char *) "items",
                                    .url = (char *) "https://example.com",
                                    .started_usec = NOON,
                                    .answer = (char *) "Dear Jane Doe" };
        EngineFixture *f = *state;

        fixture_open_two(f);
        fixture_load_connector(f, "bank", SHARED "[Destination]\nType=webhook\nUrl=https://example.com/\n");
        fixture_load_connector(f, "mail", SHARED "[Destination]\nType=exec\nExecStore=/bin/store\n");
        expect_ok(store_put_record_attempts(engine_store(f->engine), "bank", "run", &attempt, 1));
        fixture_withdraw(f, true);
        assert_true(fixture_has(f->calls, "delete bank"));
        assert_true(fixture_has(f->calls, "delete mail")); /* what it has stored before it had a program for it */
        assert_true(fixture_connector(f, "bank")->record.deleting);
        fixture_task_ends(f, TASK_DELETE_ITEMS, "bank", RECONNECT_SUCCESS, "");
        assert_false(fixture_connector(f, "bank")->record.deleting);
        assert_int_equal(fixture_sql(f, "SELECT count(*) FROM record_attempts WHERE answer IS NULL"), 1);
}

/* After the run has ended; again after a crash and a failure; and no run before it is done. */
static void test_delete_items(void **state)
{
        EngineFixture *f = *state;
        Answer a;

        fixture_open_two(f);
        expect_ok(fixture_start(f, "bank", false).error);
        a = fixture_attach(f, "bank");
        expect_ok(fixture_save_cursor(f, "bank", a.run_id, 1, "{\"at\":1}"));
        fixture_withdraw(f, true);
        assert_false(fixture_has(f->calls, "delete bank"));
        assert_true(fixture_has(f->calls, "delete mail"));
        fixture_worker_ends(f, "bank", NULL);
        assert_true(fixture_has(f->calls, "delete bank"));
        assert_true(fixture_connector(f, "bank")->record.deleting);
        fixture_kill(f);
        fixture_forget(f);
        fixture_open(f);
        assert_true(fixture_has(f->calls, "delete bank"));
        assert_true(fixture_has(f->calls, "delete mail"));

        fixture_forget(f);
        fixture_reconnect(f);
        assert_false(fixture_has(f->calls, "start"));
        assert_false(fixture_connector(f, "bank")->active);
        fixture_task_ends(f, TASK_DELETE_ITEMS, "bank", RECONNECT_SUCCESS, "");
        assert_false(fixture_connector(f, "bank")->record.deleting);
        assert_int_equal(fixture_sql(f, "SELECT count(*) FROM cursors"), 0);
        assert_int_equal(fixture_count(f->calls, "start bank"), 1);
        assert_false(fixture_has(f->calls, "start mail"));

        fixture_forget(f);
        fixture_task_ends(f, TASK_DELETE_ITEMS, "mail", RECONNECT_FAILED, "");
        assert_true(fixture_connector(f, "mail")->record.deleting);
        assert_false(fixture_has(f->calls, "delete mail"));
        fixture_advance_clock(5 * USEC_PER_MINUTE);
        fixture_close(f);
        fixture_open(f);
        assert_true(fixture_has(f->calls, "delete mail"));
        fixture_task_ends(f, TASK_DELETE_ITEMS, "mail", RECONNECT_SUCCESS, "");
        assert_true(fixture_has(f->calls, "start mail"));
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                ENGINE_TEST(test_program_succeeds),
                ENGINE_TEST(test_program_fails),
                ENGINE_TEST(test_long_message),

                ENGINE_TEST(test_program_is_passed_over),
                ENGINE_TEST(test_program_is_cancelled),
                ENGINE_TEST(test_program_over_a_restart),
                ENGINE_TEST(test_withdraw),
                ENGINE_TEST(test_delete_items),
                ENGINE_TEST(test_withdrawal_ends_a_program),
                ENGINE_TEST(test_withdrawal_over_a_restart),
                ENGINE_TEST(test_withdrawal_before_a_program_begins),
                ENGINE_TEST(test_delete_items_of_a_webhook),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
