/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Whatever happens in whatever order (starts, ends, deaths, a full disk, kills, a clock that is set): at most one run
 * of a connector is active, each ends once and for all, nothing comes after its end, and what its worker said is what
 * is recorded. */

#include "unit/expect.h"

#include "unit/engine-fixture.h"

#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/engine-internal.h"
#include "unit/fault-vfs.h"

#define STEPS        150
#define N_CONNECTORS 3U
#define USER         "6f1ed002-ab5d-4f2b-9c3b-000000000001"

/* What a worker of the world outside knows. */
typedef struct Worker {
        unsigned generation;
        bool attached;
        bool finished;
        char run_id[RUN_ID_MAX + 1];
        uint64_t sequence;
        uint64_t added;
} Worker;

typedef struct World {
        EngineFixture *f;
        uint64_t seed;
        Worker workers[N_CONNECTORS];
        unsigned n_finished;       /* Finish() was answered */
        Answer answers[STEPS * 2]; /* of calls that nobody waits for; some die with the daemon */
        size_t n_answers;
        unsigned n_outside;
} World;

static const char *const connectors[N_CONNECTORS] = { "a", "b", "c" };

/* The same steps for the same seed, on every machine. */
static unsigned draw(World *w, unsigned n)
{
        w->seed = w->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        return (unsigned) (w->seed >> 33) % n;
}

static FixtureWorker *fixture_worker(World *w, unsigned i)
{
        for (size_t k = 0; k < w->f->n_workers; k++)
                if (streq(w->f->workers[k].connector, connectors[i]))
                        return w->f->workers[k].alive ? &w->f->workers[k] : NULL;
        return NULL;
}

static void mend_disk(World *w)
{
        (void) fault_vfs_disarm();
        if (w->f->engine->recover_timer)
                expect_ok(sd_event_source_set_time(w->f->engine->recover_timer, 0));
        fixture_settle(w->f);
        fixture_run_until(w->f, w->f->engine->broken == 0);
        fixture_settle(w->f);
}

static void turns(World *w)
{
        for (unsigned n = draw(w, 5); n > 0; n--)
                expect_ok(sd_event_run(w->f->event, 0));
}

static Answer *new_answer(World *w)
{
        assert_true(w->n_answers < ELEMENTSOF(w->answers));
        return &w->answers[w->n_answers++];
}

/* ---- Steps */

static void step_start(World *w)
{
        const StartOptions options = {
                .trigger = RUN_TRIGGER_MANUAL,
                .full_resync = draw(w, 4) == 0,
                .requested_by = "uid:1000",
        };
        Answer *a = new_answer(w);
        int r;

        r = engine_start_run(w->f->engine, connectors[draw(w, N_CONNECTORS)], &options, on_start_answer, a);
        if (r < 0)
                assert_true(r == -EROFS || r == -EHOSTDOWN || r == -ENOBUFS);
}

static void step_cancel(World *w)
{
        const Connector *c = engine_find_connector(w->f->engine, connectors[draw(w, N_CONNECTORS)]);
        int r;

        if (!c->run)
                return;
        r = engine_cancel_run(w->f->engine, c->run->id, NULL, on_answer, new_answer(w));
        if (r < 0)
                assert_true(r == -EROFS || r == -EALREADY);
}

static void worker_attaches(World *w, unsigned i)
{
        Worker *worker = &w->workers[i];
        Answer a = fixture_attach(w->f, connectors[i]);

        if (a.error < 0) {
                expect_errno(a.error, -EROFS);
                return;
        }
        worker->attached = true;
        worker->sequence = a.sequence;
        (void) strcpy(worker->run_id, a.run_id);
}

static void worker_speaks(World *w, unsigned i)
{
        Worker *worker = &w->workers[i];
        RunReport report = RUN_REPORT_INIT;
        char cursor[32];
        int r;

        report.stage = (SyncStage) (SYNC_STAGE_FETCHING + draw(w, 3));
        if (draw(w, 3) == 0) {
                (void) snprintf(cursor, sizeof(cursor), "%" PRIu64, worker->added);
                r = fixture_save_cursor(w->f, connectors[i], worker->run_id, worker->sequence + 1, cursor);
        } else {
                worker->added += draw(w, 10);
                report.counts = (Counts) { .discovered = worker->added, .added = worker->added };
                r = fixture_report(w->f, connectors[i], worker->run_id, worker->sequence + 1, &report);
        }
        if (r < 0)
                expect_errno(r, -EROFS);
        else
                worker->sequence++;
}

static void worker_finishes(World *w, unsigned i)
{
        static const RunOutcome outcomes[] = { RUN_SUCCEEDED, RUN_SUCCEEDED, RUN_PARTIAL, RUN_FAILED, RUN_CANCELLED };
        Worker *worker = &w->workers[i];
        RunReport report = RUN_REPORT_INIT;
        int r;

        report.outcome = outcomes[draw(w, ELEMENTSOF(outcomes))];
        report.retry = draw(w, 2) == 0;
        report.counts = (Counts) { .discovered = worker->added, .added = worker->added };
        r = fixture_finish(w->f, connectors[i], worker->run_id, worker->sequence + 1, &report);
        if (r < 0) {
                expect_errno(r, -EROFS);
                return;
        }
        worker->sequence++;
        worker->finished = true;
        w->n_finished++;
        /* What was answered is on the disk. */
        _cleanup_(run_freep) Run *run = fixture_stored(w->f, worker->run_id);
        assert_int_equal(run->counts.added, worker->added);
        assert_true(run->outcome >= 0);
}

static void step_worker(World *w, unsigned i)
{
        FixtureWorker *theirs = fixture_worker(w, i);
        Worker *worker = &w->workers[i];

        if (!theirs)
                return;
        if (worker->generation != theirs->generation)
                *worker = (Worker) { .generation = theirs->generation };
        if (worker->finished)
                fixture_worker_ends(w->f, connectors[i], NULL);
        else if (theirs->stopping && draw(w, 2) == 0)
                fixture_worker_ends(w->f, connectors[i], "the worker was killed by signal TERM");
        else if (!worker->attached)
                worker_attaches(w, i);
        else if (draw(w, 4) == 0)
                worker_finishes(w, i);
        else
                worker_speaks(w, i);
}

static void step_death(World *w, unsigned i)
{
        if (!fixture_worker(w, i))
                return;
        if (draw(w, 2) == 0)
                fixture_worker_ends(w->f, connectors[i], "the worker was killed by signal KILL");
        else
                fixture_worker_stopping(w->f, connectors[i]);
}

static void step_restart(World *w)
{
        if (draw(w, 3) == 0)
                step_start(w); /* dies with the daemon */
        mend_disk(w);
        if (draw(w, 2) == 0)
                step_start(w);
        if (draw(w, 3) > 0)
                fixture_kill(w->f);
        else
                fixture_close(w->f);
        if (draw(w, 3) == 0 && fixture_worker(w, 0))
                fixture_worker_vanishes(w->f, connectors[0]);
        if (draw(w, 3) == 0)
                fixture_advance_clock(draw(w, 100) * USEC_PER_MINUTE);
        fixture_open(w->f);
}

static void step_clock(World *w)
{
        fixture_advance_clock(draw(w, 40) * USEC_PER_MINUTE);
        engine_clock_changed(w->f->engine);
}

static void step_outside(World *w)
{
        char id[32];
        OutsideEvent event = {
                .run_id = id,
                .user_id = (char *) USER,
                .provider = (char *) "garmin",
                .source = RUN_SOURCE_SDK,
                .stage = SYNC_STAGE_FETCHING,
                .status = SYNC_STATUS_IN_PROGRESS,
                .progress = PROGRESS_UNKNOWN,
                .items_processed = COUNT_UNKNOWN,
                .items_total = COUNT_UNKNOWN,
        };
        int r;

        (void) snprintf(id, sizeof(id), "run_%u", draw(w, ++w->n_outside));
        if (draw(w, 2) == 0) {
                event.stage = SYNC_STAGE_COMPLETED;
                event.status = SYNC_STATUS_SUCCESS;
        }
        r = engine_report_outside(w->f->engine, &event, 1, NULL, on_answer, new_answer(w), NULL);
        if (r < 0)
                assert_true(r == -EROFS || r == -ESTALE);
}

static void step_set_active(World *w)
{
        int r = engine_set_active(w->f->engine, connectors[draw(w, N_CONNECTORS)], draw(w, 3) > 0, on_answer,
                                  new_answer(w));

        if (r < 0)
                expect_errno(r, -EROFS);
}

static void step(World *w)
{
        unsigned i = draw(w, N_CONNECTORS), n = draw(w, 100);

        if (n < 15)
                step_start(w);
        else if (n < 19)
                step_cancel(w);
        else if (n < 64)
                step_worker(w, i);
        else if (n < 69)
                step_death(w, i);
        else if (n < 74)
                step_restart(w);
        else if (n < 78)
                fault_vfs_arm(1 + draw(w, 40), SQLITE_FULL);
        else if (n < 83)
                mend_disk(w);
        else if (n < 87)
                step_clock(w);
        else if (n < 93)
                step_outside(w);
        else if (n < 95)
                step_set_active(w);
        else
                turns(w);
}

/* ---- The end */

static bool is_anything_active(World *w)
{
        for (const Run *run = NULL; (run = engine_next_run(w->f->engine, run));)
                if (run_is_active(run) && run->connector)
                        return true;
        return false;
}

static void end_outside_runs(World *w)
{
        OutsideEvent event = {
                .user_id = (char *) USER,
                .provider = (char *) "garmin",
                .source = RUN_SOURCE_SDK,
                .stage = SYNC_STAGE_CANCELLED,
                .status = SYNC_STATUS_CANCELLED,
                .progress = PROGRESS_UNKNOWN,
                .items_processed = COUNT_UNKNOWN,
                .items_total = COUNT_UNKNOWN,
        };
        EngineRun *r, *next;

        HASH_ITER(hh, w->f->engine->runs, r, next) {
                if (r->connector || !run_is_active(r->run))
                        continue;
                event.run_id = r->id;
                expect_ok(fixture_outside(w->f, &event, 1));
        }
}

static void end_all(World *w)
{
        mend_disk(w);
        for (unsigned i = 0; i < N_CONNECTORS; i++)
                expect_ok(fixture_set_active(w->f, connectors[i], false));
        while (is_anything_active(w)) {
                turns(w);
                for (unsigned i = 0; i < N_CONNECTORS; i++)
                        step_worker(w, i);
        }
        end_outside_runs(w);
        fixture_settle(w->f);
}

static void check(World *w)
{
        EngineStatus status;

        engine_status(w->f->engine, &status);
        assert_int_equal(status.n_active_runs, 0);
        assert_int_equal(status.n_queued_runs, 0);
        assert_int_equal(w->f->engine->n_slots, 0);
        assert_int_equal(w->f->engine->n_waiting, 0);
        assert_int_equal(w->f->engine->n_outside, 0);
        assert_int_equal(w->f->engine->n_replies, 0);
        assert_null(w->f->engine->publications);
        assert_int_equal(fixture_sql(w->f, "SELECT count(*) FROM runs WHERE state <> 'finished'"), 0);
        assert_int_equal(fixture_sql(w->f, "SELECT count(*) FROM runs WHERE error LIKE '%File exists%'"), 0);
        /* Each run has one terminal event, it is the last, and the run's row knows it. */
        assert_int_equal(fixture_sql(w->f, "SELECT count(*) FROM runs WHERE"
                                           " (SELECT count(*) FROM events WHERE run = row"
                                           "  AND json ->> 'status' <> 'in_progress') <> 1"),
                         0);
        assert_int_equal(fixture_sql(w->f, "SELECT count(*) FROM runs WHERE last_seq <>"
                                           " (SELECT max(seq) FROM events WHERE run = row)"),
                         0);
        assert_int_equal(fixture_sql(w->f, "SELECT count(*) FROM events JOIN runs ON run = row WHERE"
                                           " seq < last_seq AND json ->> 'status' <> 'in_progress'"),
                         0);
        /* Nothing was told of that is not there. */
        assert_int_equal(fixture_sql(w->f, "SELECT max(seq) FROM events"), w->f->last_seq);
        /* Nobody was answered twice. */
        for (size_t i = 0; i < w->n_answers; i++)
                assert_true(w->answers[i].n <= 1);
}

static void run_world(EngineFixture *f, uint64_t seed)
{
        World *w = calloc(1, sizeof(World));

        assert_non_null(w);
        w->f = f;
        w->seed = seed;
        f->settings.max_concurrent_runs = 2;
        fixture_set_clock(UINT64_C(1780099200) * USEC_PER_SEC);
        fixture_write_connector(f, "a", CONNECTOR("[Schedule]\nOnCalendar=hourly\n[Run]\nRetrySec=1ms\n"));
        fixture_write_connector(f, "b", CONNECTOR("[Schedule]\nOnCalendar=*:0/20\nOverlap=queue\n"));
        fixture_write_connector(f, "c", CONNECTOR("[Schedule]\nEvery=15min\n"));
        fixture_open(f);
        for (int i = 0; i < STEPS; i++)
                step(w);
        end_all(w);
        check(w);
        fixture_close(f);
        free(w);
}

#define DEFINE_TEST(n)                          \
        static void test_seed_##n(void **state) \
        {                                       \
                run_world(*state, n);           \
        }

#define FOR_EACH_SEED(SEED) SEED(1) SEED(2) SEED(3) SEED(4) SEED(5) SEED(6) SEED(7) SEED(8)

FOR_EACH_SEED(DEFINE_TEST)

static int register_vfs(void **state)
{
        fault_vfs_register();
        return 0;
}

#define UNIT_TEST(n) ENGINE_TEST(test_seed_##n),

int main(void)
{
        static const struct CMUnitTest tests[] = { FOR_EACH_SEED(UNIT_TEST) };

        return cmocka_run_group_tests(tests, register_vfs, NULL);
}
