/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Full resyncs (B7): what becomes of the cursor, what is owed and of which accounts, and what follows the active run. */

#include "unit/expect.h"

#include "unit/engine-fixture.h"

#include <stdlib.h>

/* A run that is attached; its id. */
static Answer open_running(EngineFixture *f)
{
        Answer a;

        fixture_write_connector(f, "bank", CONNECTOR());
        fixture_open(f);
        expect_ok(fixture_start(f, "bank", false).error);
        a = fixture_attach(f, "bank");
        expect_ok(a.error);
        fixture_forget(f);
        return a;
}

static void save_and_finish(EngineFixture *f, const Answer *a, const char *cursor, const RunReport *report)
{
        if (cursor)
                expect_ok(fixture_save_cursor(f, "bank", a->run_id, a->sequence + 1, cursor));
        expect_ok(fixture_finish(f, "bank", a->run_id, a->sequence + 2, report));
        fixture_worker_ends(f, "bank", NULL);
}

static void test_full_resync(void **state)
{
        EngineFixture *f = *state;
        RunReport report = report_success();
        Answer a = open_running(f);

        save_and_finish(f, &a, "\"old\"", &report);
        assert_true(fixture_start(f, "bank", true).error >= 0);
        a = fixture_attach(f, "bank");
        assert_true(a.full_resync);
        assert_string_equal(a.cursor, "");
        assert_int_equal(fixture_sql(f, "SELECT count(*) FROM cursors"), 0);
        save_and_finish(f, &a, "\"new\"", &report);
        assert_true(fixture_start(f, "bank", false).error >= 0);
        a = fixture_attach(f, "bank");
        assert_false(a.full_resync);
        assert_string_equal(a.cursor, "\"new\"");
}

/* A full resync that failed is gone on with, as one, by whatever run comes next; also after a restart. */
static void test_full_resync_fails(void **state)
{
        EngineFixture *f = *state;
        RunReport success = report_success(), failure = report_failure("no", false);
        Answer a = open_running(f);

        save_and_finish(f, &a, "\"old\"", &success);
        assert_true(fixture_start(f, "bank", true).error >= 0);
        a = fixture_attach(f, "bank");
        save_and_finish(f, &a, "\"part\"", &failure);
        fixture_close(f);
        fixture_open(f);
        assert_true(fixture_start(f, "bank", false).error >= 0);
        a = fixture_attach(f, "bank");
        assert_true(a.full_resync);
        assert_string_equal(a.cursor, "\"part\"");
        save_and_finish(f, &a, "\"more\"", &failure);
        /* Asked for anew: from the beginning. */
        assert_true(fixture_start(f, "bank", true).error >= 0);
        a = fixture_attach(f, "bank");
        assert_true(a.full_resync);
        assert_string_equal(a.cursor, "");
        save_and_finish(f, &a, "\"whole\"", &success);
        assert_true(fixture_start(f, "bank", false).error >= 0);
        assert_false(fixture_attach(f, "bank").full_resync);
}

/* It did not come so far as to discard the cursor: then the next run does. */
static void test_full_resync_does_not_start(void **state)
{
        EngineFixture *f = *state;
        RunReport success = report_success();
        Answer a = open_running(f);

        save_and_finish(f, &a, "\"old\"", &success);
        f->start_error = -EACCES;
        assert_true(fixture_start(f, "bank", true).error >= 0);
        fixture_settle(f);
        f->start_error = 0;
        assert_true(fixture_start(f, "bank", false).error >= 0);
        a = fixture_attach(f, "bank");
        assert_true(a.full_resync);
        assert_string_equal(a.cursor, "");
}

static void test_full_resync_cancelled(void **state)
{
        EngineFixture *f = *state;
        RunReport success = report_success();
        Answer a = open_running(f);

        save_and_finish(f, &a, "\"old\"", &success);
        assert_true(fixture_start(f, "bank", true).error >= 0);
        a = fixture_attach(f, "bank");
        expect_ok(fixture_save_cursor(f, "bank", a.run_id, 1, "\"part\""));
        expect_ok(fixture_cancel(f, a.run_id));
        fixture_worker_ends(f, "bank", NULL);
        assert_true(fixture_start(f, "bank", false).error >= 0);
        a = fixture_attach(f, "bank");
        assert_false(a.full_resync);
        assert_string_equal(a.cursor, "\"part\"");
}

/* Asked for while an incremental run is active: remembered, and the next run, also over a restart. */
static void test_full_resync_pending(void **state)
{
        EngineFixture *f = *state;
        RunReport success = report_success();
        Answer a = open_running(f), start;

        start = fixture_start(f, "bank", true);
        expect_ok(start.error);
        assert_true(start.start.already_active);
        assert_true(start.start.full_resync_pending);
        assert_string_equal(start.run_id, a.run_id);
        fixture_close(f);
        fixture_open(f);
        fixture_forget(f);
        save_and_finish(f, &a, "\"old\"", &success);
        assert_true(fixture_has(f->calls, "start bank"));
        a = fixture_attach(f, "bank");
        assert_true(a.full_resync);
        assert_string_equal(a.cursor, "");
        assert_string_equal(fixture_run(f, a.run_id)->requested_by, "uid:0");
        assert_int_equal(fixture_run(f, a.run_id)->trigger, RUN_TRIGGER_MANUAL);
        start = fixture_start(f, "bank", true); /* is one already */
        assert_true(start.start.already_active);
        assert_false(start.start.full_resync_pending);
        save_and_finish(f, &a, NULL, &success);
        assert_null(fixture_connector(f, "bank")->run);
}

/* Ended in part: an account is still without its items. */
static void test_full_resync_in_part(void **state)
{
        EngineFixture *f = *state;
        RunReport success = report_success(), partial = report_success();
        Answer a = open_running(f);

        partial.outcome = RUN_PARTIAL;
        save_and_finish(f, &a, "\"old\"", &success);
        expect_ok(fixture_start(f, "bank", true).error);
        a = fixture_attach(f, "bank");
        save_and_finish(f, &a, "\"part\"", &partial);
        expect_ok(fixture_start(f, "bank", false).error);
        a = fixture_attach(f, "bank");
        assert_true(a.full_resync);
        assert_string_equal(a.cursor, "\"part\"");
        save_and_finish(f, &a, NULL, &success);
        expect_ok(fixture_start(f, "bank", false).error);
        assert_false(fixture_attach(f, "bank").full_resync);
}

/* The active run is a full resync, but its outcome is known: another is wanted. */
static void test_full_resync_beside_a_doomed_one(void **state)
{
        EngineFixture *f = *state;
        Answer a = open_running(f), again;

        expect_ok(fixture_cancel(f, a.run_id));
        fixture_worker_ends(f, "bank", NULL);
        expect_ok(fixture_start(f, "bank", true).error);
        a = fixture_attach(f, "bank");
        expect_ok(fixture_cancel(f, a.run_id));
        again = fixture_start(f, "bank", true);
        expect_ok(again.error);
        assert_string_equal(again.run_id, a.run_id);
        assert_true(again.start.already_active);
        assert_true(again.start.full_resync_pending);
        fixture_forget(f);
        fixture_worker_ends(f, "bank", NULL);
        assert_true(fixture_has(f->calls, "start bank"));
        again = fixture_attach(f, "bank");
        assert_string_not_equal(again.run_id, a.run_id);
        assert_true(again.full_resync);
        assert_string_equal(again.cursor, "");
}

/* What is being stopped does nothing of what was asked for, whoever has said so: it is done afterwards. */
static void test_start_beside_a_doomed_one(void **state)
{
        EngineFixture *f = *state;
        Answer a = open_running(f), again;

        expect_ok(fixture_cancel(f, a.run_id));
        again = fixture_start(f, "bank", false);
        expect_ok(again.error);
        assert_string_equal(again.run_id, a.run_id);
        assert_true(again.start.already_active && again.start.follow_up_pending && !again.start.full_resync_pending);
        fixture_kill(f);
        fixture_open(f);
        fixture_forget(f);
        fixture_worker_ends(f, "bank", NULL);
        assert_true(fixture_has(f->calls, "start bank"));
        again = fixture_attach(f, "bank");
        assert_string_not_equal(again.run_id, a.run_id);
        assert_false(again.full_resync);
        assert_string_equal(fixture_run(f, again.run_id)->requested_by, "uid:0");

        fixture_load_connector(f, "bank", CONNECTOR("[Run]\nStallTimeoutSec=50ms\nRetrySec=1h\n"));
        expect_ok(fixture_cancel(f, again.run_id));
        fixture_worker_ends(f, "bank", NULL);
        a = fixture_start(f, "bank", false);
        expect_ok(a.error);
        expect_ok(fixture_attach(f, "bank").error);
        fixture_run_until(f, fixture_run(f, a.run_id)->state == RUN_STOPPING); /* nothing was heard */
        again = fixture_start(f, "bank", false);
        assert_true(again.start.already_active && again.start.follow_up_pending);
        fixture_forget(f);
        fixture_worker_ends(f, "bank", "killed by signal TERM");
        assert_true(fixture_has(f->calls, "start bank"));
}

static char visa[] = "visa", giro[] = "giro";

static StartReply start_of(EngineFixture *f, bool full_resync, char *first, char *second)
{
        Answer a = fixture_start_of(f, "bank", full_resync, first, second);

        expect_ok(a.error);
        return a.start;
}

static StartReply start_full_of(EngineFixture *f, char *first, char *second)
{
        return start_of(f, true, first, second);
}

/* Ends the active run. Return: the accounts of the one that follows. */
static const char *accounts_of_next(EngineFixture *f, const Answer *a)
{
        RunReport success = report_success();

        save_and_finish(f, a, NULL, &success);
        return fixture_connector(f, "bank")->run->only_accounts;
}

/* Whose accounts are remembered as well, over a restart; several wishes become one run. */
static void test_full_resync_of_accounts(void **state)
{
        EngineFixture *f = *state;
        Answer a = open_running(f);

        assert_true(start_full_of(f, visa, NULL).full_resync_pending);
        fixture_close(f);
        fixture_open(f);
        assert_string_equal(accounts_of_next(f, &a), "[\"visa\"]");

        a = fixture_attach(f, "bank");
        assert_false(start_full_of(f, visa, NULL).full_resync_pending); /* is that */
        assert_true(start_full_of(f, visa, giro).full_resync_pending);
        assert_true(start_full_of(f, giro, NULL).full_resync_pending);
        assert_string_equal(accounts_of_next(f, &a), "[\"visa\",\"giro\"]");

        a = fixture_attach(f, "bank");
        assert_true(start_full_of(f, visa, NULL).full_resync_pending);
        assert_true(start_full_of(f, NULL, NULL).full_resync_pending); /* all */
        assert_true(start_full_of(f, giro, NULL).full_resync_pending);
        assert_null(accounts_of_next(f, &a));
        a = fixture_attach(f, "bank");
        assert_false(start_full_of(f, giro, NULL).full_resync_pending); /* all, and it as well */
}

/* No full resync, and yet not what the active run does: accounts that it leaves out, or all. */
static void test_start_of_other_accounts(void **state)
{
        EngineFixture *f = *state;
        StartReply reply;
        Answer a = open_running(f);

        assert_false(start_of(f, false, visa, NULL).follow_up_pending); /* all, and it as well */
        assert_true(start_full_of(f, visa, NULL).follow_up_pending);
        assert_string_equal(accounts_of_next(f, &a), "[\"visa\"]");

        a = fixture_attach(f, "bank");
        assert_false(start_of(f, false, visa, NULL).follow_up_pending);
        reply = start_of(f, false, giro, NULL);
        assert_true(reply.already_active && reply.follow_up_pending && !reply.full_resync_pending);
        assert_string_equal(reply.run_id, a.run_id);
        assert_true(start_of(f, false, giro, visa).follow_up_pending);
        fixture_close(f);
        fixture_open(f);
        assert_string_equal(accounts_of_next(f, &a), "[\"giro\",\"visa\"]");
        assert_false(fixture_connector(f, "bank")->run->full_resync);

        a = fixture_attach(f, "bank");
        assert_true(start_of(f, false, NULL, NULL).follow_up_pending);
        assert_null(accounts_of_next(f, &a));
        assert_non_null(fixture_connector(f, "bank")->run);
}

/* More than one call may name is all. */
static void test_follow_up_accounts_limit(void **state)
{
        static char names[ACCOUNTS_PER_RUN_MAX][8];
        char *accounts[ACCOUNTS_PER_RUN_MAX + 1] = {}, one_more[] = "visa";
        StartOptions options = { .full_resync = true, .trigger = RUN_TRIGGER_MANUAL, .accounts = accounts };
        EngineFixture *f = *state;
        Answer a;

        (void) open_running(f);
        for (unsigned i = 0; i < ACCOUNTS_PER_RUN_MAX; i++) {
                (void) snprintf(names[i], sizeof(names[i]), "a%u", i);
                accounts[i] = names[i];
        }
        for (int i = 0; i < 3; i++) {
                a = (Answer) {};
                expect_ok(engine_start_run(f->engine, "bank", &options, on_start_answer, &a));
                fixture_run_until(f, a.n > 0);
                assert_true(a.start.full_resync_pending);
                assert_int_equal(!fixture_connector(f, "bank")->record.resync.accounts, i == 2);
                if (i == 1) {
                        accounts[0] = one_more;
                        accounts[1] = NULL;
                }
        }
}

/* ---- What is owed, and of which accounts */

/* What is owed of a full resync, "all" or the accounts; "" for nothing. */
static const char *owed(EngineFixture *f)
{
        const char *accounts;

        fixture_settle(f);
        if (!connector_owes_resync(fixture_connector(f, "bank"), &accounts))
                return "";
        return accounts ?: "all";
}

/* The active run, "full", "run", and its accounts if it is of some; "" if there is none. */
static const char *active(EngineFixture *f)
{
        static char text[256];
        const Run *run;

        fixture_settle(f);
        run = fixture_connector(f, "bank")->run;
        if (!run)
                return "";
        (void) snprintf(text, sizeof(text), "%s%s%s", run->full_resync ? "full" : "run", run->only_accounts ? " " : "",
                        strempty(run->only_accounts));
        return text;
}

static void end_active(EngineFixture *f, RunOutcome outcome)
{
        RunReport report = outcome == RUN_FAILED ? report_failure("no", false) : report_success();
        Answer a = fixture_attach(f, "bank");

        report.outcome = outcome;
        save_and_finish(f, &a, NULL, &report);
}

/* A full resync that has failed, and that is owed. */
static void fail_full_of(EngineFixture *f, char *first, char *second)
{
        RunReport success = report_success();
        Answer a = open_running(f);

        save_and_finish(f, &a, "\"old\"", &success);
        (void) start_full_of(f, first, second);
        end_active(f, RUN_FAILED);
}

/* It has resynced visa, and nothing else. */
static void test_owed_of_all_is_not_paid_by_some(void **state)
{
        EngineFixture *f = *state;
        StartReply reply;

        fail_full_of(f, NULL, NULL);
        assert_string_equal(owed(f), "all");
        reply = start_of(f, false, visa, NULL);
        assert_true(reply.full_resync && reply.full_resync_owed && !reply.full_resync_pending);
        assert_string_equal(owed(f), "all");
        end_active(f, RUN_SUCCEEDED);
        assert_string_equal(owed(f), "all");
        fixture_close(f);
        fixture_open(f);
        assert_string_equal(owed(f), "all");
        reply = start_of(f, false, NULL, NULL);
        assert_true(reply.full_resync && !reply.full_resync_owed);
        assert_string_equal(owed(f), "");
        end_active(f, RUN_SUCCEEDED);
        assert_string_equal(owed(f), "");
        assert_false(start_of(f, false, NULL, NULL).full_resync);
}

/* Where it had begun to read or not: of visa a full resync is owed, and of nothing else. */
static void test_owed_of_some_is_not_one_of_all(void **state)
{
        EngineFixture *f = *state;
        RunReport success = report_success();
        Answer a = open_running(f);
        StartReply reply;

        save_and_finish(f, &a, "\"old\"", &success);
        f->start_error = -EACCES;
        (void) start_full_of(f, visa, NULL);
        fixture_settle(f);
        f->start_error = 0;
        assert_string_equal(owed(f), "[\"visa\"]");
        fixture_close(f);
        fixture_open(f);
        reply = start_of(f, false, NULL, NULL);
        assert_true(!reply.full_resync && reply.full_resync_owed);
        assert_string_equal(active(f), "run");
        a = fixture_attach(f, "bank");
        assert_string_equal(a.cursor, "\"old\"");
        save_and_finish(f, &a, "\"new\"", &success);
        assert_string_equal(active(f), "full [\"visa\"]"); /* that went well, so it is made up for */
        assert_int_equal(fixture_connector(f, "bank")->run->trigger, RUN_TRIGGER_RETRY);
        assert_string_equal(owed(f), "");
        end_active(f, RUN_FAILED);
        assert_string_equal(active(f), ""); /* and not again and again */
        assert_string_equal(owed(f), "[\"visa\"]");
        (void) start_of(f, false, visa, NULL);
        end_active(f, RUN_SUCCEEDED);
        assert_string_equal(owed(f), "");
}

static void test_owed_account_by_account(void **state)
{
        EngineFixture *f = *state;

        fail_full_of(f, visa, giro);
        assert_string_equal(owed(f), "[\"visa\",\"giro\"]");
        (void) start_of(f, false, giro, NULL);
        assert_string_equal(active(f), "full [\"giro\"]");
        assert_string_equal(owed(f), "[\"visa\",\"giro\"]");
        end_active(f, RUN_SUCCEEDED);
        assert_string_equal(owed(f), "[\"visa\"]");
        (void) start_full_of(f, giro, NULL);
        end_active(f, RUN_PARTIAL);
        assert_string_equal(owed(f), "[\"visa\",\"giro\"]");
        (void) start_of(f, false, visa, NULL);
        expect_ok(fixture_cancel(f, fixture_connector(f, "bank")->run->id));
        fixture_worker_ends(f, "bank", NULL);
        assert_string_equal(owed(f), "[\"giro\"]");
        assert_string_equal(active(f), "");
}

/* Nothing follows what was cancelled or failed; a debt waits for what comes by itself. */
static void test_owed_does_not_follow_a_failure(void **state)
{
        EngineFixture *f = *state;

        fail_full_of(f, visa, NULL);
        (void) start_of(f, false, NULL, NULL);
        end_active(f, RUN_FAILED);
        assert_string_equal(active(f), "");
        (void) start_of(f, false, NULL, NULL);
        expect_ok(fixture_cancel(f, fixture_connector(f, "bank")->run->id));
        fixture_worker_ends(f, "bank", NULL);
        assert_string_equal(active(f), "");
        assert_string_equal(owed(f), "[\"visa\"]");
}

/* More than can be named is all. */
static void test_owed_accounts_limit(void **state)
{
        static char names[ACCOUNTS_PER_RUN_MAX][8];
        char *accounts[ACCOUNTS_PER_RUN_MAX + 1] = {};
        const StartOptions options = { .full_resync = true, .trigger = RUN_TRIGGER_MANUAL, .accounts = accounts };
        EngineFixture *f = *state;
        Answer a = {};

        for (unsigned i = 0; i < ACCOUNTS_PER_RUN_MAX; i++) {
                (void) snprintf(names[i], sizeof(names[i]), "a%u", i);
                accounts[i] = names[i];
        }
        fail_full_of(f, names[0], NULL);
        expect_ok(engine_start_run(f->engine, "bank", &options, on_start_answer, &a));
        fixture_run_until(f, a.n > 0);
        end_active(f, RUN_FAILED);
        assert_string_not_equal(owed(f), "all");
        (void) start_full_of(f, visa, NULL);
        end_active(f, RUN_FAILED);
        assert_string_equal(owed(f), "all");
}

/* A schedule that waits, or a reconnection, makes no full resync of all of one of some. */
static void test_follow_ups_of_two_kinds(void **state)
{
        EngineFixture *f = *state;
        RunReport lost = report_category(ATTENTION_CONNECTION_LOST);
        NextRun next;
        Answer a = {};

        fixture_write_connector(f, "bank", CONNECTOR("[Connector]\nConnection=acme\n"));
        fixture_open(f);
        (void) start_of(f, false, NULL, NULL);
        assert_false(connector_follow_up(fixture_connector(f, "bank"), &next));
        a = fixture_attach(f, "bank");
        expect_ok(fixture_finish(f, "bank", a.run_id, 1, &lost));
        a = (Answer) {};
        expect_ok(fixture_ask_reconnect(f, "acme", &a));
        fixture_run_until(f, a.n > 0);
        assert_true(connector_follow_up(fixture_connector(f, "bank"), &next));
        assert_true(next.trigger == RUN_TRIGGER_RECONNECT && !next.full_resync && !next.accounts);
        assert_string_equal(next.requested_by, "uid:7");
        assert_string_equal(owed(f), "");
        assert_true(start_full_of(f, visa, NULL).full_resync_pending);
        assert_true(connector_follow_up(fixture_connector(f, "bank"), &next));
        assert_true(next.trigger == RUN_TRIGGER_MANUAL && next.full_resync);
        assert_string_equal(next.accounts, "[\"visa\"]");
        assert_string_equal(owed(f), "[\"visa\"]");
        fixture_close(f);
        fixture_open(f);
        fixture_worker_ends(f, "bank", NULL);
        assert_string_equal(active(f), "full [\"visa\"]");
        end_active(f, RUN_SUCCEEDED);
        assert_string_equal(active(f), "run");
        assert_int_equal(fixture_connector(f, "bank")->run->trigger, RUN_TRIGGER_RECONNECT);
        assert_string_equal(fixture_connector(f, "bank")->run->requested_by, "uid:7");
        end_active(f, RUN_SUCCEEDED);
        assert_string_equal(active(f), "");
}

/* What cannot follow any more is forgotten, but a full resync is owed. */
static void test_follow_up_of_what_may_not_run(void **state)
{
        EngineFixture *f = *state;

        (void) open_running(f);
        assert_true(start_full_of(f, visa, NULL).full_resync_pending);
        expect_ok(fixture_set_active(f, "bank", false));
        end_active(f, RUN_SUCCEEDED);
        assert_string_equal(active(f), "");
        assert_string_equal(owed(f), "[\"visa\"]");
        expect_ok(fixture_set_active(f, "bank", true));
        (void) start_of(f, false, visa, NULL);
        assert_string_equal(active(f), "full [\"visa\"]");
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                ENGINE_TEST(test_full_resync),
                ENGINE_TEST(test_full_resync_fails),
                ENGINE_TEST(test_full_resync_does_not_start),
                ENGINE_TEST(test_full_resync_cancelled),
                ENGINE_TEST(test_full_resync_pending),
                ENGINE_TEST(test_full_resync_in_part),
                ENGINE_TEST(test_full_resync_beside_a_doomed_one),
                ENGINE_TEST(test_start_beside_a_doomed_one),
                ENGINE_TEST(test_full_resync_of_accounts),
                ENGINE_TEST(test_start_of_other_accounts),
                ENGINE_TEST(test_follow_up_accounts_limit),
                ENGINE_TEST(test_owed_of_all_is_not_paid_by_some),
                ENGINE_TEST(test_owed_of_some_is_not_one_of_all),
                ENGINE_TEST(test_owed_account_by_account),
                ENGINE_TEST(test_owed_does_not_follow_a_failure),
                ENGINE_TEST(test_owed_accounts_limit),
                ENGINE_TEST(test_follow_ups_of_two_kinds),
                ENGINE_TEST(test_follow_up_of_what_may_not_run),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
