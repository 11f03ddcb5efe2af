/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Runs of a connection that is reconnected, or is another, while they wait or are active. */

#include "unit/expect.h"

#include <stdlib.h>

#include "engine/engine-internal.h"
#include "unit/connection-fixture.h"

static AttentionCategory attention_of(EngineFixture *f, const char *name)
{
        return fixture_connector(f, name)->record.attention.category;
}

static void end_run(EngineFixture *f, const char *name, const char *run_id, const RunReport *report)
{
        expect_ok(fixture_finish(f, name, run_id, 1, report));
        fixture_worker_ends(f, name, NULL);
        fixture_settle(f);
}

/* What has not begun is what is wanted, whoever asked for it. */
static void test_what_waits_is_not_followed(void **state)
{
        static const char *const names[] = { "card", "bank", "mail" };
        RunReport success = report_success(), failure = report_category(ATTENTION_CONNECTION_LOST);
        EngineFixture *f = *state;

        fixture_write_connector(f, "card", SHARED);
        f->settings.max_concurrent_runs = 1;
        fixture_open_two(f);
        fixture_fail_run(f, "bank", ATTENTION_CONNECTION_LOST);
        fixture_fail_run(f, "mail", ATTENTION_CONNECTION_LOST);
        fixture_fail_run(f, "card", ATTENTION_CONNECTION_LOST);
        fixture_forget(f);
        expect_ok(fixture_start(f, "card", false).error); /* by itself, and it has begun */
        fixture_reconnect(f);
        fixture_reconnect(f);
        assert_int_equal(fixture_connector(f, "bank")->run->state, RUN_QUEUED);
        assert_false(fixture_connector(f, "bank")->record.follow_up.wanted);
        assert_false(fixture_connector(f, "mail")->record.follow_up.wanted);
        assert_true(fixture_connector(f, "card")->record.follow_up.wanted);
        for (size_t n = 0; n < ELEMENTSOF(names); n++) {
                const Connector *c = fixture_connector(f, names[n]);

                expect_state(f, "active");
                assert_non_null(c->run);
                expect_ok(fixture_attach(f, names[n]).error);
                end_run(f, names[n], c->run->id, n < ELEMENTSOF(names) - 1 ? &success : &failure);
        }
        expect_state(f, "lost"); /* it had not begun before, and is believed */
        assert_int_equal(fixture_count(f->calls, "start bank"), 1);
        assert_int_equal(fixture_count(f->calls, "start mail"), 1);
        assert_int_equal(fixture_count(f->calls, "start card"), 1); /* and it went well */
        assert_null(fixture_connector(f, "mail")->run);
}

/* ... unless it is of some accounts only. */
static void test_what_waits_for_some_accounts(void **state)
{
        EngineFixture *f = *state;

        f->settings.max_concurrent_runs = 1;
        fixture_open_two(f);
        fixture_fail_run(f, "bank", ATTENTION_CONNECTION_LOST);
        expect_ok(fixture_start(f, "mail", false).error);
        expect_ok(fixture_start_of(f, "bank", false, "one", NULL).error);
        fixture_reconnect(f);
        assert_true(fixture_connector(f, "bank")->record.follow_up.wanted);
}

/* bank has lost the connection; a run of mail is active, whose id is returned; then it is reconnected. */
static char *reconnect_during_run(EngineFixture *f)
{
        char *run_id;

        fixture_open_two(f);
        fixture_fail_run(f, "bank", ATTENTION_CONNECTION_LOST);
        expect_ok(fixture_start(f, "mail", false).error);
        run_id = strdup(fixture_attach(f, "mail").run_id);
        assert_non_null(run_id);
        fixture_advance_clock(USEC_PER_MINUTE);
        fixture_reconnect(f);
        expect_state(f, "active");
        assert_false(fixture_connector(f, "mail")->record.follow_up.wanted);
        fixture_forget(f);
        return run_id;
}

/* What a run says that began before is about the consent of before: its connector runs once more, by itself. */
static void check_run_of_before(EngineFixture *f, const char *run_id, const RunReport *report)
{
        end_run(f, "mail", run_id, report);
        expect_state(f, "active");
        assert_int_equal(attention_of(f, "mail"), _ATTENTION_INVALID);
        assert_int_equal(fixture_count(f->calls, "start mail"), 1);
        assert_int_equal(fixture_connector(f, "mail")->run->trigger, RUN_TRIGGER_RECONNECT);
        /* What the next one says is believed, and not followed. */
        expect_ok(fixture_attach(f, "mail").error);
        end_run(f, "mail", fixture_connector(f, "mail")->run->id, report);
        expect_state(f, "expired");
        assert_int_equal(attention_of(f, "mail"), ATTENTION_CONSENT_EXPIRED);
        assert_int_equal(fixture_count(f->calls, "start mail"), 1);
        assert_null(fixture_connector(f, "mail")->run);
}

static void test_run_of_before(void **state)
{
        RunReport report = report_category(ATTENTION_CONSENT_EXPIRED);
        EngineFixture *f = *state;
        _cleanup_free_ char *run_id = reconnect_during_run(f);

        check_run_of_before(f, run_id, &report);
}

static void test_run_of_before_over_a_restart(void **state)
{
        RunReport report = report_category(ATTENTION_CONSENT_EXPIRED);
        EngineFixture *f = *state;
        _cleanup_free_ char *run_id = reconnect_during_run(f);

        fixture_kill(f);
        fixture_open(f);
        check_run_of_before(f, run_id, &report);
}

/* One that says nothing of it is a failure as ever, and one that succeeds is followed by none. */
static void check_no_run_follows(EngineFixture *f, const RunReport *report)
{
        _cleanup_free_ char *run_id = reconnect_during_run(f);

        end_run(f, "mail", run_id, report);
        expect_state(f, "active");
        assert_false(fixture_has(f->calls, "start mail"));
}

static void test_run_of_before_that_fails(void **state)
{
        RunReport report = report_category(ATTENTION_DATA_ERROR);

        check_no_run_follows(*state, &report);
        assert_int_equal(attention_of(*state, "mail"), ATTENTION_DATA_ERROR);
}

static void test_run_of_before_that_succeeds(void **state)
{
        RunReport report = report_success();

        check_no_run_follows(*state, &report);
        assert_int_equal(attention_of(*state, "mail"), _ATTENTION_INVALID);
}

/* Under another connection than its connector has by now, it moves neither the one nor the other. */
static void test_run_of_another_connection(void **state)
{
        RunReport failure = report_category(ATTENTION_CONSENT_EXPIRED), success = report_success();
        EngineFixture *f = *state;
        Answer a;

        fixture_open_two(f);
        fixture_load_connector(f, "bank", CONNECTOR("[Connector]\nConnection=other\n"));
        expect_ok(fixture_start(f, "bank", false).error);
        a = fixture_attach(f, "bank");
        fixture_load_connector(f, "bank", SHARED);
        fixture_forget(f);
        end_run(f, "bank", a.run_id, &failure);
        expect_state(f, "active");
        assert_int_equal(attention_of(f, "bank"), _ATTENTION_INVALID);
        assert_int_equal(fixture_count(f->calls, "start bank"), 1); /* with the connection that it has now */
        assert_int_equal(fixture_connector(f, "bank")->record.last_outcome, RUN_FAILED);

        expect_ok(fixture_attach(f, "bank").error);
        end_run(f, "bank", fixture_connector(f, "bank")->run->id, &success);

        /* Nor does its success: the connection that it has by now is lost still. */
        fixture_fail_run(f, "mail", ATTENTION_CONNECTION_LOST);
        fixture_load_connector(f, "bank", CONNECTOR("[Connector]\nConnection=other\n"));
        fixture_advance_clock(USEC_PER_MINUTE);
        expect_ok(fixture_start(f, "bank", false).error);
        a = fixture_attach(f, "bank");
        fixture_load_connector(f, "bank", SHARED);
        end_run(f, "bank", a.run_id, &success);
        expect_state(f, "lost");
}

/* An end that has passed is none that somebody means: refused, and of a program's word the file's holds. */
static void test_consent_that_is_over(void **state)
{
        ReconnectWish wish = { .requested_by = "uid:7", .done = true, .consent_expires_usec = NOON };
        EngineFixture *f = *state;
        Answer a = {};

        fixture_open_two(f);
        fixture_load_connection(f, "[Connection]\nConsentExpires=2028-01-01T00:00:00Z\n"
                                   "[Reconnect]\nExecReconnect=/bin/renew\n");
        fixture_stop_clock(NOON);
        expect_errno(engine_reconnect(f->engine, "acme", &wish, on_reconnect_answer, &a), -EINVAL);
        wish.consent_expires_usec++;
        expect_ok(engine_reconnect(f->engine, "acme", &wish, on_reconnect_answer, &a));
        fixture_run_until(f, a.n > 0);
        assert_true(fixture_acme(f).consent_expires_usec == NOON + 1);
        fixture_stop_clock(NOON + 2);
        expect_ok(fixture_ask_reconnect(f, "acme", &a));
        fixture_settle(f);
        fixture_task_ends(f, TASK_RECONNECT, "acme", RECONNECT_SUCCESS,
                          "{\"result\":\"success\",\"consent_expires\":1580000000000000}");
        expect_state(f, "active");
        assert_true(fixture_acme(f).consent_expires_usec == UINT64_C(1830297600000000));
}

/* ---- What a run that goes well makes needless */

/* Both are lost, and run again beside each other: the first to end says that it works, the second has run. */
static void test_siblings_run_once(void **state)
{
        RunReport success = report_success();
        EngineFixture *f = *state;
        Answer bank, mail;

        fixture_open_two(f);
        fixture_fail_run(f, "bank", ATTENTION_CONNECTION_LOST);
        fixture_fail_run(f, "mail", ATTENTION_CONNECTION_LOST);
        fixture_advance_clock(USEC_PER_MINUTE);
        expect_ok(fixture_start(f, "bank", false).error);
        expect_ok(fixture_start(f, "mail", false).error);
        bank = fixture_attach(f, "bank");
        mail = fixture_attach(f, "mail");
        end_run(f, "bank", bank.run_id, &success);
        expect_state(f, "active");
        assert_true(fixture_connector(f, "mail")->record.follow_up.wanted);
        end_run(f, "mail", mail.run_id, &success);
        assert_false(fixture_connector(f, "mail")->record.follow_up.wanted);
        assert_int_equal(fixture_count(f->calls, "start mail"), 2);
        assert_null(fixture_connector(f, "mail")->run);
}

/* bank, which has lost it, is active when it is reconnected; then @options asks for it. */
static void ask_behind(EngineFixture *f, const StartOptions *options, bool first)
{
        RunReport success = report_success();
        char id[RUN_ID_MAX + 1];
        Answer a = {};

        fixture_open_two(f);
        fixture_fail_run(f, "bank", ATTENTION_CONNECTION_LOST);
        expect_ok(fixture_start(f, "bank", false).error);
        a = fixture_attach(f, "bank");
        (void) memcpy(id, a.run_id, sizeof(id));
        expect_ok(fixture_finish(f, "bank", id, 1, &success));
        if (!first)
                fixture_reconnect(f);
        a = (Answer){};
        expect_ok(engine_start_run(f->engine, "bank", options, on_start_answer, &a));
        fixture_run_until(f, a.n > 0);
        assert_true(a.start.follow_up_pending);
        if (first)
                fixture_reconnect(f);
        fixture_forget(f);
        fixture_worker_ends(f, "bank", NULL);
        fixture_settle(f);
        assert_int_equal(fixture_count(f->calls, "start bank"), 1);
        assert_int_equal(fixture_connector(f, "bank")->run->trigger, options->trigger);
}

/* What somebody else asks for, too, comes all the same, whoever was first. */
static void test_what_is_asked_for_besides(void **state)
{
        const StartOptions options = { .trigger = RUN_TRIGGER_MANUAL };

        ask_behind(*state, &options, true);
}

static void test_what_is_asked_for_afterwards(void **state)
{
        const StartOptions options = { .trigger = RUN_TRIGGER_MANUAL };

        ask_behind(*state, &options, false);
}

/* A run of some accounts that goes well does not make it needless. */
static void test_some_accounts_are_not_all(void **state)
{
        RunReport success = report_success();
        EngineFixture *f = *state;
        Answer a;

        fixture_open_two(f);
        fixture_fail_run(f, "bank", ATTENTION_CONNECTION_LOST);
        expect_ok(fixture_start_of(f, "bank", false, "one", NULL).error);
        a = fixture_attach(f, "bank");
        fixture_reconnect(f);
        fixture_forget(f);
        end_run(f, "bank", a.run_id, &success);
        assert_int_equal(fixture_count(f->calls, "start bank"), 1);
}

/* A run that said nothing of the connection, and began before: no word about that either if it is the last of many. */
static void test_run_of_before_that_fails_again(void **state)
{
        RunReport failure = report_failure("no answer", false);
        EngineFixture *f = *state;
        Answer a;

        fixture_set_clock(NOON);
        fixture_write_connector(f, "mail", SHARED "[Run]\nNotifyAfter=1\n");
        fixture_open(f);
        fixture_load_connector(f, "bank", SHARED);
        fixture_fail_run(f, "bank", ATTENTION_CONNECTION_LOST);
        expect_ok(fixture_start(f, "mail", false).error);
        a = fixture_attach(f, "mail");
        fixture_reconnect(f);
        end_run(f, "mail", a.run_id, &failure);
        assert_int_equal(attention_of(f, "mail"), _ATTENTION_INVALID);
        expect_state(f, "active");
        expect_ok(fixture_start(f, "mail", false).error);
        a = fixture_attach(f, "mail");
        end_run(f, "mail", a.run_id, &failure);
        assert_int_equal(attention_of(f, "mail"), ATTENTION_CONNECTION_LOST);
        expect_state(f, "lost");
}

/* ---- The consent's end */

/* One that is to come stands until another is said; one that has passed was that of before. */
static void test_end_stands(void **state)
{
        ReconnectWish wish = { .requested_by = "uid:7", .consent_expires_usec = NOON + USEC_PER_DAY };
        EngineFixture *f = *state;
        Answer a = {};

        fixture_open_two(f);
        expect_ok(engine_reconnect(f->engine, "acme", &wish, on_reconnect_answer, &a));
        fixture_run_until(f, a.n > 0);
        fixture_fail_run(f, "bank", ATTENTION_CONNECTION_LOST);
        fixture_reconnect(f);
        assert_true(fixture_acme(f).consent_expires_usec == NOON + USEC_PER_DAY);
        expect_state(f, "expiring");
        fixture_step_to(f, NOON + 2 * USEC_PER_DAY);
        expect_state(f, "expired");
        fixture_reconnect(f);
        expect_state(f, "active");
        assert_true(fixture_acme(f).consent_expires_usec == USEC_INFINITY);
}

/* A wrong line is no new consent. */
static void test_wrong_file_is_no_consent(void **state)
{
        EngineFixture *f = *state;

        fixture_open_two(f);
        fixture_load_connection(f, ENDED);
        fixture_load_connection(f, "[Connection]\nConsentExpires=2028-13-01\n");
        assert_int_equal(fixture_acme(f).definition->load_state, LOAD_BAD_SETTING);
        expect_state(f, "expired");
        fixture_load_connection(f, "[Connection]\nUser=nobody\n");
        expect_state(f, "expired");
        assert_false(fixture_has(f->calls, "start"));
        fixture_load_connection(f, NOT_ENDED);
        expect_state(f, "active");
        assert_int_equal(fixture_count(f->calls, "start"), 2);
}

/* ... over a restart, too; also where another line of it is wrong. */
static void check_wrong_file_over_a_restart(EngineFixture *f, const char *text)
{
        fixture_open_two(f);
        fixture_load_connection(f, ENDED);
        fixture_close(f);
        fixture_write_connection(f, text);
        for (int i = 0; i < 2; i++) {
                fixture_forget(f);
                fixture_open(f);
                fixture_settle(f);
                expect_state(f, "expired");
                assert_int_equal(fixture_acme(f).consent_expires_usec, NOON - USEC_PER_HOUR);
                assert_false(fixture_has(f->calls, "start") || fixture_has(f->news, "attention"));
                if (i == 0)
                        fixture_close(f);
        }
        fixture_load_connection(f, NOT_ENDED);
        expect_state(f, "active");
        assert_int_equal(fixture_count(f->calls, "start"), 2);
}

static void test_wrong_file_over_a_restart(void **state)
{
        check_wrong_file_over_a_restart(*state, "[Connection]\nConsentExpires=2028-13-01\n");
}

static void test_wrong_user_over_a_restart(void **state)
{
        check_wrong_file_over_a_restart(*state, NOT_ENDED "User=nobody\n");
}

static void reconnect_until(EngineFixture *f, usec_t usec)
{
        ReconnectWish wish = { .requested_by = "uid:7", .done = true, .consent_expires_usec = usec };
        Answer a = {};

        expect_ok(engine_reconnect(f->engine, "acme", &wish, on_reconnect_answer, &a));
        fixture_run_until(f, a.n > 0);
        fixture_settle(f);
        assert_int_equal(fixture_acme(f).consent_expires_usec, usec);
}

/* Where nobody needs it, the end is not known any more; a reconnection counts as ever. */
static void test_wrong_file_of_nobody(void **state)
{
        EngineFixture *f = *state;

        fixture_set_clock(NOON);
        fixture_write_connection(f, ENDED);
        fixture_open(f);
        fixture_settle(f);
        fixture_close(f);
        fixture_write_connection(f, "[Connection]\nConsentExpires=2028-13-01\n");
        fixture_open(f);
        fixture_settle(f);
        expect_state(f, "expired");
        fixture_advance_clock(USEC_PER_MINUTE);
        reconnect_until(f, NOON + 99 * USEC_PER_DAY);
        expect_state(f, "active");
}

#define TOMORROW (NOON + USEC_PER_DAY)
#define FILE_OF(year) "[Connection]\nConsentExpires=" year "-01-01T12:00:00Z\n"

/* The end that a reconnection said stands until the file is changed to another: that is the newer word. */
static void test_file_says_another_end(void **state)
{
        EngineFixture *f = *state;

        fixture_open_two(f);
        fixture_load_connection(f, FILE_OF("2028"));
        reconnect_until(f, TOMORROW);
        /* None of these says another: not so far, not any more, not one that can be read, or one of before. */
        fixture_load_connection(f, FILE_OF("2028") "Description=mine\n");
        fixture_load_connection(f, "[Connection]\nConsentExpires=2028-13-01\n");
        fixture_load_connection(f, FILE_OF("2028"));
        fixture_load_connection(f, NULL);
        fixture_load_connection(f, FILE_OF("2028"));
        fixture_load_connection(f, FILE_OF("2026"));
        fixture_load_connection(f, "[Connection]\n");
        assert_int_equal(fixture_acme(f).consent_expires_usec, TOMORROW);
        fixture_step_to(f, TOMORROW + USEC_PER_MINUTE);
        expect_state(f, "expired");
        fixture_forget(f);
        fixture_load_connection(f, FILE_OF("2029"));
        expect_state(f, "active");
        assert_int_equal(fixture_count(f->calls, "start"), 2);
        fixture_kill(f);
        fixture_open(f);
        fixture_settle(f);
        expect_state(f, "active");
}

/* The same of an end to come, an earlier one, too; and of a first file. */
static void test_file_says_an_end_to_come(void **state)
{
        EngineFixture *f = *state;
        usec_t end;

        fixture_open_two(f);
        reconnect_until(f, TOMORROW);
        fixture_load_connection(f, FILE_OF("2029"));
        expect_state(f, "active");
        end = fixture_acme(f).consent_expires_usec;
        reconnect_until(f, end + USEC_PER_DAY);
        fixture_kill(f);
        fixture_open(f);
        assert_int_equal(fixture_acme(f).consent_expires_usec, end + USEC_PER_DAY);
        fixture_load_connection(f, FILE_OF("2028"));
        assert_true(fixture_acme(f).consent_expires_usec < end);
}

typedef enum Restart {
        RESTART_NONE,
        RESTART_AFTERWARDS,
        RESTART_MEANWHILE,
} Restart;

/* A file's new consent: what a run says that began before it is about the old one. */
static void check_run_of_before_the_file(EngineFixture *f, Restart restart)
{
        RunReport report = report_category(ATTENTION_CONSENT_EXPIRED);
        _cleanup_free_ char *run_id = NULL;

        fixture_open_two(f);
        fixture_load_connection(f, ENDED);
        expect_ok(fixture_start(f, "bank", false).error);
        run_id = strdup(fixture_attach(f, "bank").run_id);
        assert_non_null(run_id);
        fixture_advance_clock(USEC_PER_MINUTE);
        if (restart == RESTART_MEANWHILE) {
                fixture_kill(f);
                fixture_write_connection(f, NOT_ENDED);
        } else
                fixture_load_connection(f, NOT_ENDED);
        if (restart == RESTART_AFTERWARDS)
                fixture_kill(f);
        if (restart != RESTART_NONE)
                fixture_open(f);
        fixture_forget(f);
        end_run(f, "bank", run_id, &report);
        expect_state(f, "active");
        assert_int_equal(attention_of(f, "bank"), _ATTENTION_INVALID);
        assert_int_equal(fixture_count(f->calls, "start bank"), 1);
        assert_false(fixture_has(f->news, "attention"));
}

static void test_run_of_before_the_file(void **state)
{
        check_run_of_before_the_file(*state, RESTART_NONE);
}

static void test_run_of_before_the_file_over_a_restart(void **state)
{
        check_run_of_before_the_file(*state, RESTART_AFTERWARDS);
}

static void test_run_of_before_the_file_behind_a_restart(void **state)
{
        check_run_of_before_the_file(*state, RESTART_MEANWHILE);
}

/* Lost, and then the consent ended: when that is there again it is lost still, and all that waited for it run. */
static void test_lost_behind_the_consent(void **state)
{
        RunReport success = report_success();
        EngineFixture *f = *state;

        fixture_open_two(f);
        fixture_fail_run(f, "bank", ATTENTION_CONNECTION_LOST);
        fixture_load_connection(f, ENDED);
        expect_state(f, "expired");
        fixture_forget(f);
        fixture_load_connection(f, NOT_ENDED);
        expect_state(f, "lost");
        assert_int_equal(fixture_count(f->calls, "start bank"), 1);
        assert_int_equal(fixture_count(f->calls, "start mail"), 1);
        fixture_advance_clock(USEC_PER_MINUTE);
        fixture_run_to_end(f, "bank", &success);
        expect_state(f, "active");
        fixture_run_to_end(f, "mail", &success);
        fixture_settle(f);
        assert_int_equal(fixture_count(f->calls, "start"), 2);
}

/* What a run has needed else since does not end the loss; nor does it when files are read. */
static void test_lost_behind_another_need(void **state)
{
        EngineFixture *f = *state;

        fixture_open_two(f);
        fixture_fail_run(f, "bank", ATTENTION_CONNECTION_LOST);
        fixture_fail_run(f, "bank", ATTENTION_DATA_ERROR);
        expect_state(f, "lost");
        fixture_load_connector(f, "other", SHARED);
        expect_state(f, "lost");
        fixture_close(f);
        fixture_open(f);
        expect_state(f, "lost");
        fixture_load_connector(f, "bank", NULL);
        expect_state(f, "active"); /* nobody says so any more */
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                ENGINE_TEST(test_what_waits_is_not_followed),
                ENGINE_TEST(test_what_waits_for_some_accounts),
                ENGINE_TEST(test_run_of_before),
                ENGINE_TEST(test_run_of_before_over_a_restart),
                ENGINE_TEST(test_run_of_before_that_fails),
                ENGINE_TEST(test_run_of_before_that_succeeds),
                ENGINE_TEST(test_run_of_another_connection),
                ENGINE_TEST(test_consent_that_is_over),
                ENGINE_TEST(test_siblings_run_once),
                ENGINE_TEST(test_what_is_asked_for_besides),
                ENGINE_TEST(test_what_is_asked_for_afterwards),
                ENGINE_TEST(test_some_accounts_are_not_all),
                ENGINE_TEST(test_run_of_before_that_fails_again),
                ENGINE_TEST(test_end_stands),
                ENGINE_TEST(test_wrong_file_is_no_consent),
                ENGINE_TEST(test_wrong_file_over_a_restart),
                ENGINE_TEST(test_wrong_user_over_a_restart),
                ENGINE_TEST(test_wrong_file_of_nobody),
                ENGINE_TEST(test_file_says_another_end),
                ENGINE_TEST(test_file_says_an_end_to_come),
                ENGINE_TEST(test_run_of_before_the_file),
                ENGINE_TEST(test_run_of_before_the_file_over_a_restart),
                ENGINE_TEST(test_run_of_before_the_file_behind_a_restart),
                ENGINE_TEST(test_lost_behind_the_consent),
                ENGINE_TEST(test_lost_behind_another_need),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
