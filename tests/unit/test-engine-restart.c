/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The daemon is restarted, killed, or cannot write: no run is lost, doubled or stuck. */

#include "unit/expect.h"

#include "unit/engine-fixture.h"

#include <sqlite3.h>

#include "engine/engine-internal.h"
#include "unit/fault-vfs.h"

static void open_bank(EngineFixture *f)
{
        fixture_write_connector(f, "bank", CONNECTOR());
        fixture_open(f);
        fixture_forget(f);
}

static void reopen(EngineFixture *f)
{
        fixture_kill(f);
        fixture_forget(f);
        fixture_open(f);
}

static void test_identity_is_kept(void **state)
{
        EngineFixture *f = *state;
        _cleanup_free_ char *id = NULL;
        usec_t first_seen;

        open_bank(f);
        id = strdup(fixture_connector(f, "bank")->record.id);
        first_seen = fixture_connector(f, "bank")->record.first_seen_usec;
        assert_true(uuid_is_valid(id));
        assert_ptr_equal(engine_find_connector_by_id(f->engine, id), fixture_connector(f, "bank"));
        fixture_load_connector(f, "bank", NULL);
        assert_null(engine_find_connector(f->engine, "bank"));
        reopen(f);
        fixture_load_connector(f, "bank", CONNECTOR());
        assert_string_equal(fixture_connector(f, "bank")->record.id, id);
        assert_int_equal(fixture_connector(f, "bank")->record.first_seen_usec, first_seen);
}

static void test_queued(void **state)
{
        EngineFixture *f = *state;
        Answer a;

        f->settings.max_concurrent_runs = 1;
        fixture_write_connector(f, "other", CONNECTOR());
        open_bank(f);
        expect_ok(fixture_start(f, "other", false).error);
        a = fixture_start(f, "bank", false);
        reopen(f);
        assert_true(fixture_has(f->calls, "adopt other"));
        assert_false(fixture_has(f->calls, "adopt bank"));
        assert_int_equal(fixture_run(f, a.run_id)->state, RUN_QUEUED);
        assert_true(fixture_has(f->news, "run+ bank queued"));
        fixture_worker_ends(f, "other", "the worker was killed by signal KILL");
        fixture_run_until(f, fixture_has(f->calls, "start bank"));
        assert_int_equal(fixture_run(f, a.run_id)->state, RUN_STARTING);
}

/* The worker goes on without us, and is heard again. */
static void test_running(void **state)
{
        EngineFixture *f = *state;
        RunReport report = report_success();
        _cleanup_(run_freep) Run *run = NULL;
        Answer a;

        open_bank(f);
        expect_ok(fixture_start(f, "bank", false).error);
        a = fixture_attach(f, "bank");
        expect_ok(fixture_save_cursor(f, "bank", a.run_id, 1, "\"one\""));
        reopen(f);
        assert_true(fixture_has(f->calls, "adopt bank"));
        assert_false(fixture_has(f->calls, "start bank"));
        assert_false(fixture_has(f->news, "event"));
        assert_int_equal(fixture_run(f, a.run_id)->state, RUN_RUNNING);
        assert_ptr_equal(fixture_connector(f, "bank")->run, fixture_run(f, a.run_id));
        expect_ok(fixture_save_cursor(f, "bank", a.run_id, 1, "\"again\"")); /* its answer was lost */
        expect_ok(fixture_finish(f, "bank", a.run_id, 2, &report));
        reopen(f);
        expect_ok(fixture_finish(f, "bank", a.run_id, 2, &report));
        fixture_worker_ends(f, "bank", NULL);
        run = fixture_stored(f, a.run_id);
        assert_int_equal(run->outcome, RUN_SUCCEEDED);
        assert_int_equal(run->counts.added, 3);
        assert_int_equal(fixture_count(f->news, "event completed success"), 1);
        assert_int_equal(fixture_sql(f, "SELECT count(*) FROM events"), 3);
        assert_int_equal(fixture_sql(f, "SELECT count(*) FROM cursors WHERE cursor = '\"one\"'"), 1);
}

/* What was not committed when the daemon was killed is repeated by the worker. */
static void test_report_is_lost(void **state)
{
        EngineFixture *f = *state;
        RunReport report = report_success();
        Answer a, lost = {};

        open_bank(f);
        expect_ok(fixture_start(f, "bank", false).error);
        a = fixture_attach(f, "bank");
        expect_ok(engine_worker_finish(f->engine, "bank", a.run_id, 1, &report, on_answer, &lost));
        reopen(f);
        assert_int_equal(lost.n, 1);
        assert_int_equal(lost.error, -ESHUTDOWN);
        assert_int_equal(fixture_run(f, a.run_id)->state, RUN_RUNNING);
        assert_int_equal(fixture_attach(f, "bank").sequence, 0);
        expect_ok(fixture_finish(f, "bank", a.run_id, 1, &report));
        fixture_worker_ends(f, "bank", NULL);
        assert_int_equal(fixture_run(f, a.run_id)->outcome, RUN_SUCCEEDED);
}

/* Its start was committed, but not yet asked for. */
static void test_never_launched(void **state)
{
        EngineFixture *f = *state;
        Answer a;

        open_bank(f);
        f->start_slowly = true;
        a = fixture_start(f, "bank", false);
        fixture_settle(f);
        fixture_worker_vanishes(f, "bank");
        f->start_slowly = false;
        reopen(f);
        fixture_expect_order(f->calls, "adopt bank", "start bank");
        assert_int_equal(fixture_run(f, a.run_id)->state, RUN_STARTING);
        assert_true(fixture_worker_alive(f, "bank"));
}

static void test_gone(void **state)
{
        EngineFixture *f = *state;
        Answer a;

        open_bank(f);
        a = fixture_start(f, "bank", false);
        expect_ok(fixture_attach(f, "bank").error);
        fixture_worker_vanishes(f, "bank");
        reopen(f);
        assert_int_equal(fixture_run(f, a.run_id)->outcome, RUN_FAILED);
        assert_string_equal(fixture_run(f, a.run_id)->error,
                            "The run was lost: its worker ended while nobody could see how");
        assert_int_equal(fixture_count(f->news, "event failed failed"), 1);
        assert_true(fixture_connector(f, "bank")->record.retry_at_usec > 0);
        assert_null(fixture_connector(f, "bank")->run);
}

static void test_machine_went_down(void **state)
{
        EngineFixture *f = *state;
        Answer a;

        open_bank(f);
        a = fixture_start(f, "bank", false);
        expect_ok(fixture_attach(f, "bank").error);
        fixture_worker_vanishes(f, "bank");
        fixture_close(f);
        (void) fixture_sql(f, "UPDATE runs SET clock_boot_id = 'another'");
        fixture_open(f);
        assert_string_equal(fixture_run(f, a.run_id)->error,
                            "The run was lost: the machine went down while it was active");
}

/* How it went was committed, its end was not seen. */
static void test_gone_after_finish(void **state)
{
        EngineFixture *f = *state;
        RunReport report = report_failure("HTTP 503", true);
        Answer a;

        open_bank(f);
        a = fixture_start(f, "bank", false);
        expect_ok(fixture_attach(f, "bank").error);
        report.retry_at_usec = fixture_now(CLOCK_REALTIME) + USEC_PER_DAY;
        expect_ok(fixture_finish(f, "bank", a.run_id, 1, &report));
        fixture_worker_vanishes(f, "bank");
        reopen(f);
        assert_int_equal(fixture_run(f, a.run_id)->state, RUN_FINISHED);
        assert_string_equal(fixture_run(f, a.run_id)->error, "HTTP 503");
        assert_int_equal(fixture_connector(f, "bank")->record.retry_at_usec, report.retry_at_usec);
}

/* The stop was committed, but not yet asked for. */
static void test_cancelled_not_stopped(void **state)
{
        EngineFixture *f = *state;
        Answer a;

        open_bank(f);
        a = fixture_start(f, "bank", false);
        expect_ok(fixture_attach(f, "bank").error);
        expect_ok(fixture_cancel(f, a.run_id));
        reopen(f);
        fixture_run_until(f, fixture_has(f->calls, "stop bank"));
        fixture_worker_ends(f, "bank", NULL);
        assert_int_equal(fixture_run(f, a.run_id)->outcome, RUN_CANCELLED);
}

/* An orderly end leaves the workers alone. */
static void test_orderly_end(void **state)
{
        EngineFixture *f = *state;
        Answer a;

        open_bank(f);
        a = fixture_start(f, "bank", false);
        expect_ok(fixture_attach(f, "bank").error);
        fixture_forget(f);
        fixture_close(f);
        assert_null(f->calls);
        assert_true(fixture_worker_alive(f, "bank"));
        fixture_open(f);
        assert_int_equal(fixture_run(f, a.run_id)->state, RUN_RUNNING);
}

/* Numbers of events go on where they were. */
static void test_sequence_goes_on(void **state)
{
        EngineFixture *f = *state;
        uint64_t last;

        open_bank(f);
        expect_ok(fixture_start(f, "bank", false).error);
        expect_ok(fixture_attach(f, "bank").error);
        fixture_settle(f);
        last = f->last_seq;
        assert_int_equal(last, 2);
        reopen(f);
        fixture_worker_ends(f, "bank", "the worker was killed by signal KILL");
        assert_int_equal(f->last_seq, last + 1);
}

/* ---- The disk */

static void test_disk_is_full(void **state)
{
        EngineFixture *f = *state;
        RunReport report = report_success();
        EngineStatus status;
        Answer a, refused;

        fixture_write_connector(f, "other", CONNECTOR());
        open_bank(f);
        expect_ok(fixture_start(f, "bank", false).error);
        a = fixture_attach(f, "bank");
        fixture_forget(f);

        fault_vfs_arm(1, SQLITE_FULL);
        refused = fixture_start(f, "other", false);
        assert_int_equal(refused.error, -EROFS);
        engine_status(f->engine, &status);
        assert_int_equal(status.storage_error, -ENOSPC);
        assert_true(fixture_has(f->news, "status"));
        /* Refused at once from now on; reading goes on. */
        expect_errno(fixture_finish(f, "bank", a.run_id, 1, &report), -EROFS);
        assert_int_equal(fixture_start(f, "other", false).error, -EROFS);
        expect_errno(fixture_cancel(f, a.run_id), -EROFS);
        assert_int_equal(fixture_run(f, a.run_id)->state, RUN_RUNNING);
        assert_null(f->calls);
        assert_false(fixture_has(f->news, "event"));
        assert_false(fixture_has(f->news, "run"));

        (void) fault_vfs_disarm();
        fixture_run_until(f, f->engine->broken == 0);
        fixture_settle(f);
        engine_status(f->engine, &status);
        assert_int_equal(status.storage_error, 0);
        assert_true(fixture_has(f->calls, "adopt bank"));
        assert_null(fixture_connector(f, "other")->run);
        expect_ok(fixture_finish(f, "bank", a.run_id, 1, &report));
        fixture_worker_ends(f, "bank", NULL);
        expect_ok(fixture_start(f, "other", false).error);
        fixture_settle(f);
        assert_true(fixture_worker_alive(f, "other"));
        assert_int_equal(fixture_sql(f, "SELECT count(*) FROM runs"), 2);
        assert_int_equal(fixture_count(f->news, "event completed success"), 1);
        engine_status(f->engine, &status);
        assert_int_equal(status.n_active_runs, 1);
        assert_int_equal(status.n_queued_runs, 0);
}

/* Files that were read, but not recorded any more, and others that are changed while nothing can be written. */
static void test_reload_while_disk_is_full(void **state)
{
        EngineFixture *f = *state;
        _cleanup_free_ char *id = NULL;

        open_bank(f);
        fault_vfs_arm(1, SQLITE_FULL);
        fixture_write_connector(f, "young",
                                CONNECTOR("[Connector]\nUser=6f1ed002-ab5d-4f2b-9c3b-000000000001\n"));
        expect_ok(engine_reload(f->engine, &f->settings));
        fixture_run_until(f, f->engine->broken < 0);
        fixture_write_connector(f, "late", CONNECTOR());
        fixture_write_connector(f, "bank", CONNECTOR("[Connector]\nDescription=edited\n"));
        expect_ok(engine_reload(f->engine, &f->settings));
        expect_errno(engine_sync(f->engine, on_answer, &(Answer){}), -EROFS);
        assert_null(engine_find_connector(f->engine, "late"));

        (void) fault_vfs_disarm();
        fixture_run_until(f, f->engine->broken == 0);
        fixture_settle(f);
        assert_string_equal(fixture_connector(f, "bank")->definition->description, "edited");
        assert_non_null(engine_find_connector(f->engine, "late"));
        assert_int_equal(fixture_sql(f, "SELECT count(*) FROM connectors"), 3);
        assert_int_equal(fixture_sql(f, "SELECT count(*) FROM users"), 1);
        id = strdup(fixture_connector(f, "young")->record.id);
        reopen(f);
        assert_string_equal(fixture_connector(f, "young")->record.id, id);
}

/* The worker ends while nothing can be written: seen when the disk is back. */
static void test_end_while_disk_is_full(void **state)
{
        EngineFixture *f = *state;
        Answer a;

        fixture_write_connector(f, "other", CONNECTOR());
        open_bank(f);
        a = fixture_start(f, "bank", false);
        expect_ok(fixture_attach(f, "bank").error);
        fault_vfs_arm(1, SQLITE_IOERR_WRITE);
        assert_int_equal(fixture_start(f, "other", false).error, -EROFS);
        fixture_worker_ends(f, "bank", "the worker was killed by signal KILL");
        assert_int_equal(fixture_run(f, a.run_id)->state, RUN_RUNNING);
        (void) fault_vfs_disarm();
        fixture_run_until(f, f->engine->broken == 0);
        fixture_settle(f);
        assert_int_equal(fixture_run(f, a.run_id)->outcome, RUN_FAILED);
        assert_null(fixture_connector(f, "bank")->run);
        assert_int_equal(fixture_count(f->news, "event failed failed"), 1);
}

/* Each write of a run's life may be the one that fails; worker and caller try again, and everything is there once. */
static void test_each_write_may_fail(void **state)
{
        EngineFixture *f = *state;
        RunReport report = report_success();
        Answer a;

        open_bank(f);
        for (unsigned n = 1; n < 40; n++) {
                int k;

                fault_vfs_arm(n, SQLITE_FULL);
                while ((a = fixture_start(f, "bank", false)).error < 0) {
                        (void) fault_vfs_disarm();
                        fixture_run_until(f, f->engine->broken == 0);
                }
                while (!fixture_worker_alive(f, "bank")) {
                        fixture_turn(f);
                        if (f->engine->broken < 0)
                                (void) fault_vfs_disarm();
                }
                while (fixture_attach(f, "bank").error < 0) {
                        (void) fault_vfs_disarm();
                        fixture_run_until(f, f->engine->broken == 0);
                }
                while ((k = fixture_finish(f, "bank", a.run_id, 1, &report)) < 0) {
                        expect_errno(k, -EROFS);
                        (void) fault_vfs_disarm();
                        fixture_run_until(f, f->engine->broken == 0);
                }
                fixture_worker_ends(f, "bank", NULL);
                while (!engine_find_run(f->engine, a.run_id) || fixture_connector(f, "bank")->run) {
                        if (f->engine->broken < 0)
                                (void) fault_vfs_disarm();
                        fixture_turn(f);
                }
                (void) fault_vfs_disarm();
                assert_int_equal(fixture_run(f, a.run_id)->outcome, RUN_SUCCEEDED);
                assert_int_equal(fixture_count(f->news, "event completed success"), 1);
                assert_int_equal(fixture_count(f->news, "event started"), 1);
                fixture_forget(f);
        }
        assert_int_equal(fixture_sql(f, "SELECT count(*) FROM runs WHERE outcome = 'succeeded'"), 39);
        assert_int_equal(fixture_sql(f, "SELECT count(*) FROM runs WHERE outcome <> 'succeeded'"), 0);
}

/* ---- A write that cannot even be put: those beside it do not come to the disk either */

static void break_and_mend(EngineFixture *f)
{
        engine_break(f->engine, -ENOMEM);
        fixture_run_until(f, f->engine->recover_timer);
        fixture_settle(f);
        expect_ok(sd_event_source_set_time(f->engine->recover_timer, 0));
        fixture_run_until(f, f->engine->broken == 0);
        fixture_settle(f);
}

static void test_start_is_torn(void **state)
{
        EngineFixture *f = *state;
        const StartOptions options = { .trigger = RUN_TRIGGER_MANUAL };
        Answer a = {};

        open_bank(f);
        expect_ok(engine_start_run(f->engine, "bank", &options, on_start_answer, &a));
        break_and_mend(f);
        assert_int_equal(a.n, 1);
        assert_int_equal(a.error, -EROFS);
        /* Nothing of it is there, and it can be asked for again. */
        assert_null(fixture_connector(f, "bank")->run);
        assert_int_equal(fixture_sql(f, "SELECT count(*) FROM runs"), 0);
        assert_false(fixture_has(f->news, "event"));
        assert_false(fixture_start(f, "bank", false).start.already_active);
        fixture_run_until(f, fixture_has(f->calls, "start bank"));
        assert_int_equal(fixture_count(f->news, "event queued"), 1);
}

static void test_end_is_torn(void **state)
{
        EngineFixture *f = *state;
        RunReport report = report_success();
        Answer a;

        open_bank(f);
        expect_ok(fixture_start(f, "bank", false).error);
        a = fixture_attach(f, "bank");
        expect_ok(fixture_finish(f, "bank", a.run_id, 1, &report));
        fixture_forget(f);
        fixture_worker_vanishes(f, "bank");
        f->launcher.callbacks.ended("bank", &(WorkerExit) { .clean = true }, f->launcher.userdata);
        break_and_mend(f);
        assert_int_equal(fixture_run(f, a.run_id)->state, RUN_FINISHED);
        assert_null(fixture_connector(f, "bank")->run);
        assert_int_equal(fixture_count(f->news, "run bank finished"), 1);
        assert_int_equal(fixture_count(f->news, "event completed success"), 1);
        assert_int_equal(fixture_connector(f, "bank")->record.last_outcome, RUN_SUCCEEDED);
        assert_int_equal(fixture_sql(f, "SELECT count(*) FROM events"), 3);
        expect_ok(fixture_start(f, "bank", false).error);
}

static void test_cancel_is_torn(void **state)
{
        EngineFixture *f = *state;
        Answer a, cancelled = {};

        open_bank(f);
        a = fixture_start(f, "bank", false);
        expect_ok(fixture_attach(f, "bank").error);
        expect_ok(engine_cancel_run(f->engine, a.run_id, NULL, on_answer, &cancelled));
        break_and_mend(f);
        assert_int_equal(cancelled.error, -EROFS);
        assert_int_equal(fixture_run(f, a.run_id)->outcome, _RUN_OUTCOME_INVALID);
        expect_ok(fixture_cancel(f, a.run_id));
        fixture_run_until(f, fixture_has(f->calls, "stop bank"));
        assert_int_equal(fixture_run(f, a.run_id)->outcome, RUN_CANCELLED);
}

static int register_vfs(void **state)
{
        fault_vfs_register();
        return 0;
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                ENGINE_TEST(test_identity_is_kept),
                ENGINE_TEST(test_queued),
                ENGINE_TEST(test_running),
                ENGINE_TEST(test_report_is_lost),
                ENGINE_TEST(test_never_launched),
                ENGINE_TEST(test_gone),
                ENGINE_TEST(test_machine_went_down),
                ENGINE_TEST(test_gone_after_finish),
                ENGINE_TEST(test_cancelled_not_stopped),
                ENGINE_TEST(test_orderly_end),
                ENGINE_TEST(test_sequence_goes_on),
                ENGINE_TEST(test_disk_is_full),
                ENGINE_TEST(test_reload_while_disk_is_full),
                ENGINE_TEST(test_end_while_disk_is_full),
                ENGINE_TEST(test_each_write_may_fail),
                ENGINE_TEST(test_start_is_torn),
                ENGINE_TEST(test_end_is_torn),
                ENGINE_TEST(test_cancel_is_torn),
        };

        return cmocka_run_group_tests(tests, register_vfs, NULL);
}
