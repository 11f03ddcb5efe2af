/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Runs that a reconnection owes to connectors that may not run then. */

#include "unit/expect.h"

#include "engine/engine-internal.h"
#include "unit/connection-fixture.h"

/* One that could not run when the connection was active again runs when it can. */
static void test_admitted_later(void **state)
{
        EngineFixture *f = *state;
        Answer a = {};

        fixture_open_two(f);
        fixture_fail_run(f, "bank", ATTENTION_CONNECTION_LOST);
        fixture_fail_run(f, "mail", ATTENTION_CONNECTION_LOST);
        expect_ok(engine_set_active(f->engine, "bank", false, on_answer, &a));
        fixture_load_connector(f, "mail", "[Connector]\nConnection=acme\n");
        fixture_settle(f);
        fixture_forget(f);
        fixture_reconnect(f);
        assert_false(fixture_has(f->calls, "start"));
        expect_ok(engine_set_active(f->engine, "bank", true, on_answer, &a));
        fixture_load_connector(f, "mail", SHARED);
        fixture_settle(f);
        assert_int_equal(fixture_count(f->calls, "start bank"), 1);
        assert_int_equal(fixture_count(f->calls, "start mail"), 1);
        assert_int_equal(fixture_connector(f, "bank")->run->trigger, RUN_TRIGGER_RECONNECT);
}

static void set_active(EngineFixture *f, const char *name, bool active)
{
        expect_ok(fixture_set_active(f, name, active));
        fixture_settle(f);
}

/* The same where the consent had ended, which they do not need a person for any more; over a restart, too. */
static void test_admitted_later_to_a_consent(void **state)
{
        EngineFixture *f = *state;

        fixture_open_two(f);
        fixture_load_connection(f, ENDED);
        set_active(f, "bank", false);
        fixture_load_connector(f, "mail", "[Connector]\nConnection=acme\n");
        fixture_reconnect(f);
        assert_int_equal(fixture_connector(f, "bank")->record.attention.category, _ATTENTION_INVALID);
        fixture_kill(f);
        fixture_open(f);
        assert_false(fixture_has(f->calls, "start"));
        set_active(f, "bank", true);
        fixture_load_connector(f, "mail", SHARED);
        assert_int_equal(fixture_count(f->calls, "start bank"), 1);
        assert_int_equal(fixture_count(f->calls, "start mail"), 1);
}

/* The file was away, and so was the daemon when it came back. */
static void test_back_after_a_restart(void **state)
{
        RunReport failure = report_category(ATTENTION_CONNECTION_LOST);
        EngineFixture *f = *state;

        fixture_open_two(f);
        fixture_fail_run(f, "bank", ATTENTION_CONNECTION_LOST);
        fixture_fail_run(f, "mail", ATTENTION_CONNECTION_LOST);
        fixture_load_connector(f, "bank", NULL);
        fixture_advance_clock(USEC_PER_MINUTE);
        fixture_reconnect(f);
        fixture_close(f);
        fixture_write_connector(f, "bank", SHARED);
        fixture_forget(f);
        fixture_open(f);
        fixture_settle(f);
        assert_int_equal(fixture_count(f->calls, "start bank"), 1);
        assert_false(fixture_has(f->calls, "start mail")); /* it is active since the reconnection */
        fixture_advance_clock(USEC_PER_MINUTE);
        fixture_run_to_end(f, "bank", &failure);
        fixture_settle(f);
        fixture_close(f);
        fixture_open(f);
        assert_int_equal(fixture_count(f->calls, "start bank"), 1);
}

/* What is being deleted waits for that, and who reconnects is told so. */
static void test_reconnected_while_deleting(void **state)
{
        RunReport success = report_success();
        EngineFixture *f = *state;
        Answer a = {};

        fixture_open_two(f);
        fixture_withdraw(f, true);
        expect_ok(fixture_ask_reconnect(f, "acme", &a));
        fixture_run_until(f, a.n > 0);
        assert_string_equal(a.reconnected, "bank ;mail ;");
        fixture_settle(f);
        assert_false(fixture_has(f->calls, "start"));
        fixture_task_ends(f, TASK_DELETE_ITEMS, "bank", RECONNECT_SUCCESS, "");
        fixture_run_to_end(f, "bank", &success);
        fixture_settle(f);
        assert_int_equal(fixture_count(f->calls, "start bank"), 1);
        assert_null(fixture_connector(f, "bank")->run);
}

/* ... and not while it is lost, or where nothing is wrong with it. */
static void test_admitted_for_nothing(void **state)
{
        EngineFixture *f = *state;
        Answer a = {};

        fixture_open_two(f);
        fixture_fail_run(f, "bank", ATTENTION_CONNECTION_LOST);
        fixture_forget(f);
        for (size_t i = 0; i < 2; i++) {
                const char *const names[] = { "bank", "mail" };

                expect_ok(engine_set_active(f->engine, names[i], false, on_answer, &a));
                expect_ok(engine_set_active(f->engine, names[i], true, on_answer, &a));
        }
        fixture_settle(f);
        assert_false(fixture_has(f->calls, "start"));
}

/* What is owed waits where it is lost once more meanwhile, over a restart, too, for when it is not. */
static void check_lost_again(EngineFixture *f, bool restart)
{
        fixture_open_two(f);
        fixture_fail_run(f, "bank", ATTENTION_CONNECTION_LOST);
        set_active(f, "bank", false);
        fixture_reconnect(f);
        fixture_advance_clock(USEC_PER_MINUTE);
        fixture_fail_run(f, "mail", ATTENTION_CONNECTION_LOST);
        if (restart) {
                fixture_kill(f);
                fixture_open(f);
        }
        fixture_forget(f);
        set_active(f, "bank", true);
        assert_false(fixture_has(f->calls, "start"));
        assert_true(fixture_connector(f, "bank")->record.follow_up.wanted);
}

static void test_lost_again(void **state)
{
        EngineFixture *f = *state;

        check_lost_again(f, false);
        fixture_advance_clock(USEC_PER_MINUTE);
        fixture_reconnect(f);
        assert_int_equal(fixture_count(f->calls, "start bank"), 1);
        assert_int_equal(fixture_count(f->calls, "start mail"), 1);
        assert_false(fixture_connector(f, "bank")->record.follow_up.wanted);
}

static void test_lost_again_over_a_restart(void **state)
{
        EngineFixture *f = *state;

        check_lost_again(f, true);
        fixture_advance_clock(USEC_PER_MINUTE);
        fixture_succeed_run(f, "mail"); /* somebody has started it */
        expect_state(f, "active");
        assert_int_equal(fixture_count(f->calls, "start bank"), 1);
}

/* It waits for that connection no longer. */
static void test_leaves_what_is_lost_again(void **state)
{
        EngineFixture *f = *state;

        check_lost_again(f, false);
        fixture_load_connector(f, "bank", CONNECTOR("[Connector]\nConnection=other\n"));
        fixture_settle(f);
        assert_int_equal(fixture_count(f->calls, "start bank"), 1);
}

static void renew_by_file(EngineFixture *f)
{
        fixture_load_connection(f, NOT_ENDED);
}

static void end_consent(EngineFixture *f)
{
        fixture_load_connection(f, ENDED);
}

static void lose_by_mail(EngineFixture *f)
{
        RunReport failure = report_category(ATTENTION_CONNECTION_LOST);

        fixture_run_to_end(f, "mail", &failure); /* it runs since the consent is there */
        fixture_settle(f);
}

/* The same of a consent: needed for it no more, and owed. */
static void check_over_again(EngineFixture *f, void (*again)(EngineFixture *f), void (*renew)(EngineFixture *f))
{
        fixture_open_two(f);
        fixture_load_connection(f, ENDED);
        set_active(f, "bank", false);
        renew_by_file(f);
        assert_int_equal(fixture_connector(f, "bank")->record.attention.category, _ATTENTION_INVALID);
        assert_true(fixture_connector(f, "bank")->record.follow_up.wanted);
        fixture_advance_clock(USEC_PER_MINUTE);
        again(f);
        fixture_forget(f);
        set_active(f, "bank", true);
        assert_false(fixture_has(f->calls, "start bank"));
        fixture_advance_clock(USEC_PER_MINUTE);
        renew(f);
        assert_int_equal(fixture_count(f->calls, "start bank"), 1);
        assert_false(fixture_connector(f, "bank")->record.follow_up.wanted);
}

static void test_over_again(void **state)
{
        check_over_again(*state, end_consent, renew_by_file);
}

static void test_over_again_and_reconnected(void **state)
{
        check_over_again(*state, end_consent, fixture_reconnect);
}

static void test_lost_behind_what_is_owed(void **state)
{
        check_over_again(*state, lose_by_mail, fixture_reconnect);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                ENGINE_TEST(test_admitted_later),
                ENGINE_TEST(test_admitted_later_to_a_consent),
                ENGINE_TEST(test_back_after_a_restart),
                ENGINE_TEST(test_reconnected_while_deleting),
                ENGINE_TEST(test_admitted_for_nothing),
                ENGINE_TEST(test_lost_again),
                ENGINE_TEST(test_lost_again_over_a_restart),
                ENGINE_TEST(test_leaves_what_is_lost_again),
                ENGINE_TEST(test_over_again),
                ENGINE_TEST(test_over_again_and_reconnected),
                ENGINE_TEST(test_lost_behind_what_is_owed),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
