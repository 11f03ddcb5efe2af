/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A run from its start to its end with each allocation failing in turn, SQLite's too: calls are refused, the engine
 * reads its state anew, and in the end each run has ended once. */

#include "unit/expect.h"

#include "unit/engine-fixture.h"

#include <inttypes.h>
#include <stdio.h>

#include "engine/engine-internal.h"
#include "unit/failing-alloc.h"

static uint64_t last_seq;

static void on_events(const CommittedEvent *events, size_t n, void *userdata)
{
        for (size_t i = 0; i < n; i++) {
                assert_true(events[i].seq > last_seq);
                last_seq = events[i].seq;
        }
}

static void mend(EngineFixture *f)
{
        (void) alloc_end();
        while (f->engine->broken < 0 || f->engine->store_failed) {
                if (f->engine->recover_timer)
                        expect_ok(sd_event_source_set_time(f->engine->recover_timer, 0));
                fixture_turn(f);
        }
}

/* Return: whether the call was answered well; false: its run has ended. */
#define UNTIL_DONE(f, call)                                                    \
        ({                                                                     \
                int k_;                                                        \
                while ((k_ = (call)) < 0 && k_ != -ESRCH && k_ != -EALREADY) { \
                        assert_true(k_ == -ENOMEM || k_ == -EROFS);            \
                        mend(f);                                               \
                }                                                              \
                k_ >= 0;                                                       \
        })

static bool wait_for_worker(EngineFixture *f)
{
        while (!fixture_worker_alive(f, "bank") && fixture_connector(f, "bank")->run) {
                if (f->engine->broken < 0)
                        mend(f);
                else
                        fixture_turn(f);
        }
        return fixture_worker_alive(f, "bank");
}

static void work(EngineFixture *f, const char *id)
{
        RunReport report = RUN_REPORT_INIT, end = report_success();

        report.stage = SYNC_STAGE_FETCHING;
        report.counts = (Counts){ .discovered = 5, .added = 5 };
        if (UNTIL_DONE(f, fixture_attach(f, "bank").error) &&
            UNTIL_DONE(f, fixture_report(f, "bank", id, 1, &report)) &&
            UNTIL_DONE(f, fixture_save_cursor(f, "bank", id, 2, "{\"n\":5}")))
                (void) UNTIL_DONE(f, fixture_finish(f, "bank", id, 3, &end));
}

/* Return: whether the n-th allocation was come to. */
static bool live(EngineFixture *f, unsigned n)
{
        bool reached;
        Answer a;

        alloc_fail_at(n);
        while ((a = fixture_start(f, "bank", false)).error < 0) {
                assert_true(a.error == -ENOMEM || a.error == -EROFS);
                mend(f);
        }
        if (wait_for_worker(f)) {
                work(f, a.run_id);
                fixture_worker_ends(f, "bank", NULL);
        }
        while (fixture_connector(f, "bank")->run) {
                if (f->engine->broken < 0)
                        mend(f);
                else
                        fixture_turn(f);
        }
        reached = alloc_end();
        mend(f);
        fixture_settle(f);

        _cleanup_(run_freep) Run *run = fixture_stored(f, a.run_id);
        assert_int_equal(run->state, RUN_FINISHED);
        assert_true(run->outcome == RUN_SUCCEEDED || (run->outcome == RUN_FAILED && run->error));
        return reached;
}

static void test_life(void **state)
{
        static const char *const never[] = {
                "SELECT count(*) FROM runs WHERE state <> 'finished'",
                "SELECT count(*) FROM runs WHERE (SELECT count(*) FROM events WHERE run = row AND"
                " json ->> 'status' <> 'in_progress') <> 1",
                "SELECT count(*) FROM runs WHERE last_seq <> (SELECT max(seq) FROM events WHERE run = row)",
        };
        EngineFixture *f = *state;
        unsigned n = 1;

        fixture_write_connector(f, "bank", CONNECTOR("[Run]\nRetryMax=0\n"));
        fixture_open(f);
        f->engine->observer = (EngineObserver){ .events_committed = on_events };
        f->quiet = true;
        while (live(f, n))
                n++;
        assert_true(n > 100);
        for (size_t i = 0; i < ELEMENTSOF(never); i++)
                assert_int_equal(fixture_sql(f, never[i]), 0);
        assert_int_equal(fixture_sql(f, "SELECT max(seq) FROM events"), last_seq);
}

int main(void)
{
        static const struct CMUnitTest tests[] = { ENGINE_TEST(test_life) };

        alloc_include_sqlite();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
