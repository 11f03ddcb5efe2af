/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A connector's run from its beginning to its end: what waits for which commit, who is refused, and how it ends if it
 * does not end by itself. */

#include "unit/expect.h"

#include "unit/engine-fixture.h"

#include "engine/lifecycle.h"
#include "engine/run-end.h"
#include "engine/run-record.h"

static void open_bank(EngineFixture *f, const char *text)
{
        fixture_write_connector(f, "bank", text);
        fixture_open(f);
        fixture_forget(f);
}

static void test_success(void **state)
{
        EngineFixture *f = *state;
        const RunReport report = report_success();
        Answer started, attached;
        const Run *run;

        fixture_write_connector(f, "bank", CONNECTOR());
        fixture_open(f);
        assert_true(fixture_has(f->news, "connector+ bank"));
        fixture_forget(f);

        started = fixture_start(f, "bank", false);
        expect_ok(started.error);
        fixture_settle(f);
        assert_true(fixture_has(f->calls, "start bank"));
        run = fixture_run(f, started.run_id);
        assert_int_equal(run->state, RUN_STARTING);
        assert_int_equal(run->trigger, RUN_TRIGGER_MANUAL);
        assert_string_equal(run->requested_by, "uid:0");
        assert_string_equal(run->invocation_id, "00000000000000000000000000000001");
        assert_ptr_equal(fixture_connector(f, "bank")->run, run);

        attached = fixture_attach(f, "bank");
        expect_ok(attached.error);
        assert_string_equal(attached.run_id, started.run_id);
        assert_string_equal(attached.cursor, "");
        assert_string_equal(attached.settings, "Provider=acme;ExecPull=/bin/true;");
        assert_int_equal(attached.sequence, 0);
        assert_int_equal(fixture_run(f, started.run_id)->state, RUN_RUNNING);

        expect_ok(fixture_finish(f, "bank", started.run_id, 1, &report));
        run = fixture_run(f, started.run_id);
        assert_int_equal(run->state, RUN_STOPPING);
        assert_int_equal(run->outcome, RUN_SUCCEEDED);
        assert_int_equal(run->cpu_usec, 1234);
        assert_int_equal(run->io_read_bytes, 5678);
        assert_int_equal(run->memory_peak_bytes, 4096);
        assert_false(fixture_has(f->news, "event completed"));

        fixture_worker_ends(f, "bank", NULL);
        run = fixture_run(f, started.run_id);
        assert_int_equal(run->state, RUN_FINISHED);
        assert_int_equal(run->counts.added, 3);
        assert_string_equal(run->message, "Sync completed · 3 new, 2 updated");
        assert_null(fixture_connector(f, "bank")->run);
        assert_int_equal(fixture_connector(f, "bank")->record.last_outcome, RUN_SUCCEEDED);
        assert_string_equal(fixture_connector(f, "bank")->record.last_run_id, started.run_id);

        fixture_expect_order(f->news, "event queued in_progress", "event started in_progress");
        fixture_expect_order(f->news, "event started in_progress", "event completed success");
        assert_int_equal(fixture_count(f->news, "event"), 3);
        fixture_expect_order(f->news, "run+ bank", "run bank running S");
        fixture_expect_order(f->news, "run bank stopping S", "run bank finished S");
}

/* Of the unit where PID 1 tells it, which the worker cannot. */
static void test_memory_of_the_unit(void **state)
{
        EngineFixture *f = *state;
        const RunReport report = report_success();
        Answer started;

        f->unit_tells_memory = true;
        open_bank(f, CONNECTOR());
        started = fixture_start(f, "bank", false);
        (void) fixture_attach(f, "bank");
        expect_ok(fixture_finish(f, "bank", started.run_id, 1, &report));
        assert_int_equal(fixture_run(f, started.run_id)->memory_peak_bytes, 9999);
}

/* Nothing is told, and no worker is launched, before the disk has it. */
static void test_nothing_before_the_commit(void **state)
{
        EngineFixture *f = *state;
        const StartOptions options = { .trigger = RUN_TRIGGER_MANUAL };
        Answer a = {};

        open_bank(f, CONNECTOR());
        expect_ok(engine_start_run(f->engine, "bank", &options, on_start_answer, &a));
        assert_int_equal(a.n, 0);
        assert_null(f->news);
        assert_null(f->calls);
        assert_null(engine_next_run(f->engine, NULL));
        fixture_run_until(f, a.n > 0);
        assert_int_equal(fixture_sql(f, "SELECT count(*) FROM runs WHERE state = 'starting'"), 1);
        fixture_settle(f);
        assert_true(fixture_has(f->calls, "start bank"));
        assert_int_equal(f->n_events_calls, 1);
}

/* B9, B10: another start gives the active run, in each of its states; what comes when it has said how it went is the
 * next run's. */
static void test_already_active(void **state)
{
        EngineFixture *f = *state;
        const RunReport report = report_success();
        Answer first, again;

        f->start_slowly = true;
        open_bank(f, CONNECTOR());
        first = fixture_start(f, "bank", false);
        for (int i = 0; i < 3; i++) {
                again = fixture_start(f, "bank", false);
                expect_ok(again.error);
                assert_true(again.start.already_active);
                assert_false(again.start.full_resync_pending);
                assert_int_equal(again.start.follow_up_pending, i == 2);
                assert_string_equal(again.run_id, first.run_id);
                if (i == 0)
                        expect_ok(fixture_attach(f, "bank").error);
                else if (i == 1)
                        expect_ok(fixture_finish(f, "bank", first.run_id, 1, &report));
        }
        assert_int_equal(fixture_run(f, first.run_id)->state, RUN_STOPPING);
        fixture_worker_ends(f, "bank", NULL);
        again = fixture_start(f, "bank", false);
        assert_true(again.start.already_active);
        assert_string_not_equal(again.run_id, first.run_id);
        assert_int_equal(fixture_sql(f, "SELECT count(*) FROM runs"), 2);
}

static void test_refusals(void **state)
{
        EngineFixture *f = *state;

        fixture_write_connector(f, "bad", "[Connector]\nProvider=acme\n");
        fixture_write_connector(f, "hook", "[Connector]\nProvider=acme\nSource=webhook\n");
        fixture_write_connector(f, "off", CONNECTOR("[Connector]\nEnabled=no\n"));
        fixture_write_connector(f, "Wrong", CONNECTOR());
        fixture_open(f);
        assert_int_equal(fixture_start(f, "none", false).error, -ENXIO);
        assert_int_equal(fixture_start(f, "Wrong", false).error, -ENXIO);
        assert_int_equal(fixture_start(f, "bad", false).error, -ENOEXEC);
        assert_int_equal(fixture_start(f, "hook", false).error, -EOPNOTSUPP);
        assert_int_equal(fixture_start(f, "off", false).error, -EHOSTDOWN);
        assert_int_equal(fixture_connector(f, "bad")->definition->load_state, LOAD_BAD_SETTING);
        expect_errno(fixture_cancel(f, "0190"), -ESRCH);
        assert_int_equal(fixture_attach(f, "off").error, -ESRCH);
        assert_int_equal(fixture_sql(f, "SELECT count(*) FROM runs"), 0);
}

static void test_accounts_wish(void **state)
{
        EngineFixture *f = *state;
        char *accounts[] = { (char *) "a \"b\"", (char *) "c", NULL }, *many[ACCOUNTS_PER_RUN_MAX + 2];
        StartOptions options = { .trigger = RUN_TRIGGER_REMOTE, .accounts = accounts, .reason = "why\x01not" };
        Answer a = {};

        open_bank(f, CONNECTOR());
        for (size_t i = 0; i < ELEMENTSOF(many); i++)
                many[i] = (char *) "x";
        many[ELEMENTSOF(many) - 1] = NULL;
        options.accounts = many;
        expect_errno(engine_start_run(f->engine, "bank", &options, on_start_answer, &a), -E2BIG);
        assert_null(fixture_connector(f, "bank")->run);
        many[ELEMENTSOF(many) - 2] = NULL;
        expect_ok(engine_start_run(f->engine, "bank", &options, on_start_answer, &a));
        fixture_run_until(f, a.n > 0);
        expect_ok(fixture_cancel(f, a.run_id));
        fixture_worker_ends(f, "bank", NULL);
        options.accounts = accounts;
        expect_ok(engine_start_run(f->engine, "bank", &options, on_start_answer, &a));
        fixture_run_until(f, a.n > 1);
        assert_string_equal(fixture_run(f, a.run_id)->only_accounts, "[\"a \\\"b\\\"\",\"c\"]");
        assert_string_equal(fixture_run(f, a.run_id)->reason, "why�not");
        assert_int_equal(fixture_run(f, a.run_id)->trigger, RUN_TRIGGER_REMOTE);
}

/* ---- Cancelling */

static void test_cancel_running(void **state)
{
        EngineFixture *f = *state;
        RunReport report = report_success();
        Answer a;

        open_bank(f, CONNECTOR());
        a = fixture_start(f, "bank", false);
        expect_ok(fixture_attach(f, "bank").error);
        expect_ok(fixture_cancel(f, a.run_id));
        assert_int_equal(fixture_run(f, a.run_id)->state, RUN_STOPPING);
        assert_int_equal(fixture_run(f, a.run_id)->outcome, RUN_CANCELLED);
        fixture_settle(f);
        assert_int_equal(fixture_count(f->calls, "stop bank"), 1);
        expect_ok(fixture_cancel(f, a.run_id)); /* asked for already */
        fixture_settle(f);
        assert_int_equal(fixture_count(f->calls, "stop bank"), 1);

        /* What the worker still says counts, but not as outcome. */
        expect_ok(fixture_finish(f, "bank", a.run_id, 1, &report));
        fixture_worker_ends(f, "bank", "the worker was killed by signal TERM");
        assert_int_equal(fixture_run(f, a.run_id)->outcome, RUN_CANCELLED);
        assert_int_equal(fixture_run(f, a.run_id)->counts.added, 3);
        assert_string_equal(fixture_run(f, a.run_id)->message, "Cancelled by uid:0");
        assert_int_equal(fixture_count(f->news, "event cancelled cancelled"), 1);
        expect_errno(fixture_cancel(f, a.run_id), -EALREADY);
        assert_int_equal(fixture_connector(f, "bank")->record.consecutive_failures, 0);
        assert_int_equal(fixture_connector(f, "bank")->record.retry_at_usec, 0);
}

/* What cannot be asked now is asked again soon, whatever the worker says meanwhile. */
static void test_cancel_that_cannot_be_asked(void **state)
{
        EngineFixture *f = *state;
        RunReport report = report_success();
        size_t n = 0;
        Answer a;

        fixture_write_connector(f, "bank", CONNECTOR());
        fixture_open(f);
        expect_ok(fixture_start(f, "bank", false).error);
        a = fixture_attach(f, "bank");
        f->stop_error = -ENOBUFS;
        expect_ok(fixture_cancel(f, a.run_id));
        report.outcome = _RUN_OUTCOME_INVALID;
        for (uint64_t i = 1; n < 3; i++) {
                fixture_turn(f);
                if (fixture_count(f->calls, "stop bank") == n)
                        continue;
                n++;
                expect_ok(fixture_report(f, "bank", a.run_id, i, &report));
        }
        f->stop_error = 0;
        fixture_run_until(f, fixture_count(f->calls, "stop bank") > 3);
        fixture_worker_ends(f, "bank", NULL);
        assert_int_equal(fixture_run(f, a.run_id)->outcome, RUN_CANCELLED);
}

static void look_at(EngineFixture *f, const char *run_id)
{
        run_set_timer(engine_run_find(f->engine, run_id));
}

/* A worker that goes on reporting is asked again all the same, and killed in the end. */
static void test_cancel_that_is_not_heeded(void **state)
{
        EngineFixture *f = *state;
        RunReport report = report_success();
        Answer a;

        fixture_write_connector(f, "bank", CONNECTOR());
        fixture_open(f);
        expect_ok(fixture_start(f, "bank", false).error);
        a = fixture_attach(f, "bank");
        expect_ok(fixture_cancel(f, a.run_id));
        report.outcome = _RUN_OUTCOME_INVALID;
        for (uint64_t i = 1; i < 10; i++) {
                assert_int_equal(fixture_count(f->calls, "stop bank"), i);
                fixture_let_pass(50 * USEC_PER_SEC);
                expect_ok(fixture_report(f, "bank", a.run_id, i, &report));
                fixture_let_pass(11 * USEC_PER_SEC);
                look_at(f, a.run_id);
                fixture_run_until(f, fixture_count(f->calls, "stop bank") > i);
        }
        assert_false(fixture_has(f->calls, "kill"));
        fixture_let_pass(61 * USEC_PER_SEC);
        look_at(f, a.run_id);
        fixture_run_until(f, fixture_has(f->calls, "kill bank"));
        fixture_worker_ends(f, "bank", "the worker was killed by signal KILL");
        assert_int_equal(fixture_run(f, a.run_id)->outcome, RUN_CANCELLED);
}

static void test_cancel_queued(void **state)
{
        EngineFixture *f = *state;
        Answer a;

        f->settings.max_concurrent_runs = 1;
        fixture_write_connector(f, "other", CONNECTOR());
        open_bank(f, CONNECTOR());
        expect_ok(fixture_start(f, "other", false).error);
        a = fixture_start(f, "bank", false);
        fixture_settle(f);
        assert_int_equal(fixture_run(f, a.run_id)->state, RUN_QUEUED);
        expect_ok(fixture_set_active(f, "bank", false)); /* also while it is inactive */
        expect_ok(fixture_cancel(f, a.run_id));
        assert_int_equal(fixture_run(f, a.run_id)->state, RUN_FINISHED);
        assert_int_equal(fixture_run(f, a.run_id)->outcome, RUN_CANCELLED);
        fixture_worker_ends(f, "other", NULL);
        assert_false(fixture_has(f->calls, "start bank"));
        assert_false(fixture_has(f->calls, "stop bank"));
}

/* Started and cancelled in one turn of the loop: there never is a worker. */
static void test_cancel_before_launch(void **state)
{
        EngineFixture *f = *state;
        const StartOptions options = { .trigger = RUN_TRIGGER_MANUAL };
        Answer started = {}, cancelled = {};

        open_bank(f, CONNECTOR());
        expect_ok(engine_start_run(f->engine, "bank", &options, on_start_answer, &started));
        expect_ok(engine_cancel_run(f->engine, f->engine->runs->id, NULL, on_answer, &cancelled));
        fixture_run_until(f, cancelled.n > 0);
        fixture_settle(f);
        assert_int_equal(started.n, 1);
        assert_false(fixture_has(f->calls, "start bank"));
        assert_int_equal(fixture_run(f, started.run_id)->state, RUN_FINISHED);
        assert_int_equal(fixture_run(f, started.run_id)->outcome, RUN_CANCELLED);
        assert_string_equal(fixture_run(f, started.run_id)->message, "Sync cancelled");
}

static void test_cancel_after_finish(void **state)
{
        EngineFixture *f = *state;
        RunReport report = report_success();
        Answer a;

        open_bank(f, CONNECTOR());
        a = fixture_start(f, "bank", false);
        expect_ok(fixture_attach(f, "bank").error);
        expect_ok(fixture_finish(f, "bank", a.run_id, 1, &report));
        expect_errno(fixture_cancel(f, a.run_id), -EALREADY);
        fixture_worker_ends(f, "bank", NULL);
        assert_int_equal(fixture_run(f, a.run_id)->outcome, RUN_SUCCEEDED);
}

/* systemctl stop */
static void test_unit_stopped(void **state)
{
        EngineFixture *f = *state;
        Answer a;

        open_bank(f, CONNECTOR());
        a = fixture_start(f, "bank", false);
        expect_ok(fixture_attach(f, "bank").error);
        fixture_worker_stopping(f, "bank");
        assert_int_equal(fixture_run(f, a.run_id)->state, RUN_STOPPING);
        assert_int_equal(fixture_run(f, a.run_id)->outcome, RUN_CANCELLED);
        fixture_worker_ends(f, "bank", NULL);
        assert_int_equal(fixture_run(f, a.run_id)->state, RUN_FINISHED);
        assert_false(fixture_has(f->calls, "stop bank"));
}

/* The machine goes down, and comes up again: lost, not cancelled, and made up for. PID 1 may say so first, or the
 * worker that it was stopped, or that may not be told any more. */
static void check_shutdown(EngineFixture *f, bool told, bool says, bool holds)
{
        RunReport cancelled = { .outcome = RUN_CANCELLED, .attention = _ATTENTION_INVALID };
        Answer a, unused = {};

        open_bank(f, CONNECTOR("[Run]\nRetrySec=1us\n"));
        f->shutdown = true;
        a = fixture_start(f, "bank", true);
        expect_ok(fixture_attach(f, "bank").error);
        if (told)
                fixture_worker_stopping(f, "bank");
        f->hold_usage = holds;
        if (says && !holds)
                expect_ok(fixture_finish(f, "bank", a.run_id, 1, &cancelled));
        else if (says)
                expect_ok(engine_worker_finish(f->engine, "bank", a.run_id, 1, &cancelled, on_answer, &unused));
        fixture_forget(f);
        fixture_worker_ends(f, "bank", NULL);
        if (holds)
                fixture_answer_usage(f);
        f->hold_usage = false;
        f->shutdown = false;
        assert_int_equal(fixture_run(f, a.run_id)->outcome, RUN_FAILED);
        assert_string_equal(fixture_run(f, a.run_id)->error, "The run was lost: the machine was shut down");
        assert_true(fixture_connector(f, "bank")->record.attention.category < 0);
        fixture_close(f);
        fixture_open(f);
        fixture_run_until(f, fixture_connector(f, "bank")->run);
        assert_int_equal(fixture_connector(f, "bank")->run->trigger, RUN_TRIGGER_RETRY);
        assert_true(fixture_connector(f, "bank")->run->full_resync);
}

static void test_shutdown(void **state)
{
        check_shutdown(*state, true, false, false);
}

static void test_shutdown_said_by_the_worker(void **state)
{
        check_shutdown(*state, false, true, false);
}

static void test_shutdown_while_the_worker_says_it(void **state)
{
        check_shutdown(*state, false, true, true);
}

/* ---- Runs that do not end by themselves */

static void test_start_fails(void **state)
{
        EngineFixture *f = *state;
        Answer a;

        open_bank(f, CONNECTOR("[Run]\nRetryMax=0\n"));
        f->start_error = -EACCES;
        a = fixture_start(f, "bank", false);
        fixture_settle(f);
        assert_int_equal(fixture_run(f, a.run_id)->state, RUN_FINISHED);
        assert_int_equal(fixture_run(f, a.run_id)->outcome, RUN_FAILED);
        assert_string_equal(fixture_run(f, a.run_id)->error, "The worker could not be started: Permission denied");

        f->start_error = 0;
        f->start_slowly = true;
        a = fixture_start(f, "bank", false);
        fixture_settle(f);
        fixture_worker_start_failed(f, "bank", "syncrun@bank.service is masked.");
        assert_int_equal(fixture_run(f, a.run_id)->outcome, RUN_FAILED);
        assert_string_equal(fixture_run(f, a.run_id)->error, "syncrun@bank.service is masked.");
        assert_int_equal(fixture_count(f->news, "event failed failed"), 2);
        assert_false(fixture_has(f->news, "event started"));
}

static void test_worker_dies(void **state)
{
        EngineFixture *f = *state;
        RunReport report = report_success();
        Account account = { .name = (char *) "checking", .status = ACCOUNT_RUNNING, .category = _ATTENTION_INVALID };
        _cleanup_(run_freep) Run *stored = NULL;
        Answer a;

        open_bank(f, CONNECTOR());
        a = fixture_start(f, "bank", false);
        expect_ok(fixture_attach(f, "bank").error);
        report.outcome = _RUN_OUTCOME_INVALID;
        report.accounts = &account;
        report.n_accounts = 1;
        expect_ok(fixture_report(f, "bank", a.run_id, 1, &report));
        fixture_worker_ends(f, "bank", "the worker was killed by signal KILL");
        stored = fixture_stored(f, a.run_id);
        assert_int_equal(stored->outcome, RUN_FAILED);
        assert_string_equal(stored->error, "The run was lost: the worker was killed by signal KILL");
        assert_int_equal(stored->counts.added, 3);
        assert_int_equal(stored->cpu_usec, 99);
        assert_int_equal(stored->memory_peak_bytes, 98);
        assert_int_equal(stored->n_accounts, 1);
        assert_int_equal(stored->accounts[0].status, ACCOUNT_FAILED);
        assert_true(stored->accounts[0].finished_usec > 0);
        assert_true(fixture_connector(f, "bank")->record.retry_at_usec > 0);
}

static void test_worker_leaves_without_a_word(void **state)
{
        EngineFixture *f = *state;
        Answer a;

        open_bank(f, CONNECTOR());
        a = fixture_start(f, "bank", false);
        expect_ok(fixture_attach(f, "bank").error);
        fixture_worker_ends(f, "bank", NULL);
        assert_int_equal(fixture_run(f, a.run_id)->outcome, RUN_FAILED);
        assert_string_equal(fixture_run(f, a.run_id)->error, "The run was lost: the worker ended with exit status 0");
}

static void test_time_limit(void **state)
{
        EngineFixture *f = *state;
        RunReport report = RUN_REPORT_INIT;
        Answer a;
        uint64_t sequence = 0;

        fixture_stop_clock(fixture_now(CLOCK_REALTIME));
        open_bank(f, CONNECTOR("[Run]\nTimeoutSec=200ms\nStallTimeoutSec=1h\n"));
        a = fixture_start(f, "bank", false);
        expect_ok(fixture_attach(f, "bank").error);
        fixture_let_pass(199 * USEC_PER_MSEC);
        expect_ok(fixture_report(f, "bank", a.run_id, ++sequence, &report));
        fixture_let_pass(USEC_PER_MSEC);
        while (!fixture_has(f->calls, "stop bank")) /* it is not silent */
                if (fixture_report(f, "bank", a.run_id, ++sequence, &report) < 0)
                        break;
        assert_int_equal(fixture_run(f, a.run_id)->state, RUN_STOPPING);
        assert_int_equal(fixture_run(f, a.run_id)->outcome, RUN_FAILED);
        assert_string_equal(fixture_run(f, a.run_id)->error, "The run had not ended after 200ms (TimeoutSec=)");
        report = report_success();
        report.outcome = RUN_CANCELLED;
        expect_ok(fixture_finish(f, "bank", a.run_id, sequence + 1, &report));
        fixture_worker_ends(f, "bank", "the worker was killed by signal TERM");
        assert_int_equal(fixture_run(f, a.run_id)->outcome, RUN_FAILED);
        assert_int_equal(fixture_run(f, a.run_id)->counts.added, 3);
        assert_true(fixture_connector(f, "bank")->record.retry_at_usec > 0);
}

/* A provider puts the retry off by a month at most; the clock runs on a little between both looks at it. */
static void test_far_retry(void **state)
{
        EngineFixture *f = *state;
        RunReport report = report_failure("HTTP 429", true);
        char id[RUN_ID_MAX + 1];
        usec_t now;

        open_bank(f, CONNECTOR("[Run]\nRetrySec=1h\nRetryMaxSec=1h\nRetryMax=3\n"));
        report.retry_at_usec = fixture_now(CLOCK_REALTIME) + RETRY_AHEAD_MAX_USEC;
        fixture_whole_run(f, "bank", &report, id);
        assert_int_equal(fixture_connector(f, "bank")->record.retry_at_usec, report.retry_at_usec);
        now = fixture_now(CLOCK_REALTIME);
        report.retry_at_usec = now + RETRY_AHEAD_MAX_USEC + USEC_PER_HOUR;
        fixture_whole_run(f, "bank", &report, id);
        assert_in_range(fixture_connector(f, "bank")->record.retry_at_usec, now, now + 2 * USEC_PER_HOUR);
        report.retry_at_usec = UINT64_MAX / 2; /* microseconds where the protocol has milliseconds */
        fixture_whole_run(f, "bank", &report, id);
        assert_in_range(fixture_connector(f, "bank")->record.retry_at_usec, now, now + 2 * USEC_PER_HOUR);
}

static void test_stall(void **state)
{
        EngineFixture *f = *state;
        Answer a;

        fixture_stop_clock(fixture_now(CLOCK_REALTIME));
        open_bank(f, CONNECTOR("[Run]\nStallTimeoutSec=100ms\n"));
        a = fixture_start(f, "bank", false);
        expect_ok(fixture_attach(f, "bank").error);
        fixture_let_pass(100 * USEC_PER_MSEC);
        fixture_run_until(f, fixture_has(f->calls, "stop bank"));
        assert_string_equal(fixture_run(f, a.run_id)->error,
                            "Nothing was heard of the connector for 100ms (StallTimeoutSec=)");
        fixture_worker_ends(f, "bank", "the worker was killed by signal KILL");
        assert_int_equal(fixture_run(f, a.run_id)->outcome, RUN_FAILED);
}

/* The worker's end is told of before PID 1 has said what it used. */
static void test_end_overtakes_usage(void **state)
{
        EngineFixture *f = *state;
        RunReport report = report_success();
        Answer a, finished = {}, repeated = {};

        open_bank(f, CONNECTOR());
        a = fixture_start(f, "bank", false);
        expect_ok(fixture_attach(f, "bank").error);
        f->hold_usage = true;
        expect_ok(engine_worker_finish(f->engine, "bank", a.run_id, 1, &report, on_answer, &finished));
        expect_ok(engine_worker_finish(f->engine, "bank", a.run_id, 1, &report, on_answer, &repeated));
        fixture_settle(f);
        assert_int_equal(finished.n, 0);
        expect_errno(fixture_cancel(f, a.run_id), -EALREADY);
        fixture_worker_ends(f, "bank", NULL);
        assert_int_equal(finished.n, 1);
        assert_int_equal(repeated.n, 1);
        expect_ok(finished.error);
        assert_int_equal(fixture_run(f, a.run_id)->outcome, RUN_SUCCEEDED);
        assert_int_equal(fixture_run(f, a.run_id)->cpu_usec, 77);
        fixture_answer_usage(f); /* finds nobody */
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                ENGINE_TEST(test_success),
                ENGINE_TEST(test_nothing_before_the_commit),
                ENGINE_TEST(test_already_active),
                ENGINE_TEST(test_refusals),
                ENGINE_TEST(test_accounts_wish),
                ENGINE_TEST(test_cancel_running),
                ENGINE_TEST(test_cancel_that_cannot_be_asked),
                ENGINE_TEST(test_cancel_that_is_not_heeded),
                ENGINE_TEST(test_cancel_queued),
                ENGINE_TEST(test_cancel_before_launch),
                ENGINE_TEST(test_cancel_after_finish),
                ENGINE_TEST(test_unit_stopped),
                ENGINE_TEST(test_shutdown),
                ENGINE_TEST(test_shutdown_said_by_the_worker),
                ENGINE_TEST(test_shutdown_while_the_worker_says_it),
                ENGINE_TEST(test_start_fails),
                ENGINE_TEST(test_memory_of_the_unit),
                ENGINE_TEST(test_worker_dies),
                ENGINE_TEST(test_worker_leaves_without_a_word),
                ENGINE_TEST(test_time_limit),
                ENGINE_TEST(test_far_retry),
                ENGINE_TEST(test_stall),
                ENGINE_TEST(test_end_overtakes_usage),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
