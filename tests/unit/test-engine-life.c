/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A connector's run from its beginning to its end: order, commits, starts, cancellation, time limits. */

#include "unit/expect.h"

#include "unit/engine-fixture.h"

#define BANK "[Connector]\nProvider=acme\n[Pipeline]\nExecPull=/bin/true\n"

static RunReport success(void)
{
        RunReport report = RUN_REPORT_INIT;

        report.outcome = RUN_SUCCEEDED;
        report.counts = (Counts) { .discovered = 10, .added = 3, .updated = 2, .deduped = 5 };
        report.cpu_usec = 77;
        report.memory_peak_bytes = 4096;
        return report;
}

static void test_success(void **state)
{
        EngineFixture *f = *state;
        const RunReport report = success();
        Answer started, attached;
        const Run *run;

        fixture_write_connector(f, "bank", BANK);
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
        assert_int_equal(run->memory_peak_bytes, 4096);
        assert_int_equal(fixture_count(f->news, "event completed"), 0);

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

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_success, engine_fixture_setup, engine_fixture_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
