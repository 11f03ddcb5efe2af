/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Syncs that run elsewhere: an unknown id begins a run, a terminal status ends it, silence ends it as failed, and
 * nothing comes after the end. */

#include "unit/expect.h"

#include "unit/engine-fixture.h"

#include <stdio.h>

#include "engine/engine-internal.h"

#define USER  "6f1ed002-ab5d-4f2b-9c3b-000000000001"
#define OTHER "6f1ed002-ab5d-4f2b-9c3b-000000000002"

static OutsideEvent event_of(const char *run_id, SyncStage stage, SyncStatus status)
{
        return (OutsideEvent) {
                 .run_id = (char *) run_id,
                 .user_id = (char *) USER,
                 .provider = (char *) "garmin",
                 .source = RUN_SOURCE_WEBHOOK,
                 .stage = stage,
                 .status = status,
                 .progress = PROGRESS_UNKNOWN,
                 .items_processed = COUNT_UNKNOWN,
                 .items_total = COUNT_UNKNOWN,
         };
}

static int report(EngineFixture *f, const OutsideEvent *event)
{
        return fixture_outside(f, event, 1);
}

/* A clock elsewhere may be ahead of ours by so much. */
static void test_times_ahead(void **state)
{
        EngineFixture *f = *state;
        OutsideEvent event = event_of("run_1", SYNC_STAGE_STARTED, SYNC_STATUS_IN_PROGRESS);
        _cleanup_free_ char *why = NULL;
        usec_t now = UINT64_C(1780099200) * USEC_PER_SEC;

        fixture_open(f);
        fixture_set_clock(now);
        event.started_usec = now + OUTSIDE_AHEAD_MAX_USEC + USEC_PER_MINUTE;
        expect_errno(engine_report_outside(f->engine, &event, 1, NULL, on_answer, &(Answer){}, &why), -EINVAL);
        assert_string_equal(why,
                            "started_at: \"2026-05-30T00:06:00Z\" is more than 5min ahead of the clock here, of run "
                            "run_1");
        assert_null(engine_find_run(f->engine, "run_1"));
        event.started_usec = now + OUTSIDE_AHEAD_MAX_USEC;
        expect_ok(report(f, &event));
        event.stage = SYNC_STAGE_COMPLETED;
        event.status = SYNC_STATUS_SUCCESS;
        event.ended_usec = event.started_usec + USEC_PER_MINUTE;
        expect_errno(report(f, &event), -EINVAL);
        event.ended_usec = event.started_usec;
        expect_ok(report(f, &event));
}

static void test_life(void **state)
{
        EngineFixture *f = *state;
        OutsideEvent event = event_of("pull_1", SYNC_STAGE_QUEUED, SYNC_STATUS_IN_PROGRESS);
        _cleanup_(run_freep) Run *stored = NULL;
        const Run *run;
        EngineStatus status;

        fixture_open(f);
        fixture_forget(f);
        expect_ok(report(f, &event));
        run = fixture_run(f, "pull_1");
        assert_int_equal(run->state, RUN_QUEUED);
        assert_int_equal(run->trigger, RUN_TRIGGER_REMOTE);
        assert_string_equal(run->requested_by, "uid:0");
        assert_null(run->connector);

        event = event_of("pull_1", SYNC_STAGE_STARTED, SYNC_STATUS_IN_PROGRESS);
        event.started_usec = 1000;
        expect_ok(report(f, &event));
        assert_int_equal(fixture_run(f, "pull_1")->state, RUN_RUNNING);
        assert_int_equal(fixture_run(f, "pull_1")->started_usec, 1000);
        event = event_of("pull_1", SYNC_STAGE_FETCHING, SYNC_STATUS_IN_PROGRESS);
        event.message = (char *) "page 1";
        event.progress = 0.5;
        event.items_processed = 21;
        event.items_total = 42;
        event.metadata = (char *) "{\"page\":1}";
        expect_ok(report(f, &event));
        run = fixture_run(f, "pull_1");
        assert_int_equal(run->items_total, 42);
        assert_string_equal(run->message, "page 1");
        engine_status(f->engine, &status);
        assert_int_equal(status.n_active_runs, 1);

        event = event_of("pull_1", SYNC_STAGE_COMPLETED, SYNC_STATUS_PARTIAL);
        event.ended_usec = 5000;
        expect_ok(report(f, &event));
        stored = fixture_stored(f, "pull_1");
        assert_int_equal(stored->state, RUN_FINISHED);
        assert_int_equal(stored->outcome, RUN_PARTIAL);
        assert_int_equal(stored->finished_usec, 5000);
        assert_int_equal(stored->items_processed, 21);
        assert_string_equal(stored->metadata, "{\"page\":1}");
        assert_null(stored->message);
        fixture_expect_order(f->news, "event queued in_progress pull_1", "event started in_progress pull_1");
        fixture_expect_order(f->news, "event fetching in_progress", "event completed partial");
        assert_int_equal(fixture_count(f->news, "event"), 4);
        engine_status(f->engine, &status);
        assert_int_equal(status.n_active_runs, 0);
        assert_int_equal(store_user_exists(engine_store(f->engine), USER), 1);
        assert_null(f->calls);
}

/* Begun and ended by one event. */
static void test_one_shot(void **state)
{
        EngineFixture *f = *state;
        OutsideEvent event = event_of("wh_1", SYNC_STAGE_FAILED, SYNC_STATUS_FAILED);

        fixture_open(f);
        event.error = (char *) "HTTP 500";
        expect_ok(report(f, &event));
        assert_int_equal(fixture_run(f, "wh_1")->state, RUN_FINISHED);
        assert_int_equal(fixture_run(f, "wh_1")->outcome, RUN_FAILED);
        assert_string_equal(fixture_run(f, "wh_1")->error, "HTTP 500");
        assert_int_equal(fixture_count(f->news, "event failed failed wh_1"), 1);
        assert_int_equal(f->engine->n_outside, 0);
}

/* Also by a daemon that has forgotten the run. */
static void test_after_the_end(void **state)
{
        EngineFixture *f = *state;
        OutsideEvent event = event_of("run_1", SYNC_STAGE_CANCELLED, SYNC_STATUS_CANCELLED);
        OutsideEvent late = event_of("run_1", SYNC_STAGE_FETCHING, SYNC_STATUS_IN_PROGRESS);
        Answer a = {};

        fixture_open(f);
        expect_ok(engine_report_outside(f->engine, &event, 1, NULL, on_answer, &a, NULL));
        expect_errno(report(f, &late), -ESTALE); /* not even committed yet */
        fixture_run_until(f, a.n > 0);
        expect_errno(report(f, &late), -ESTALE);
        expect_errno(report(f, &event), -ESTALE);
        expect_errno(fixture_cancel(f, "run_1"), -EALREADY);
        fixture_close(f);
        fixture_open(f);
        assert_null(engine_find_run(f->engine, "run_1"));
        expect_errno(report(f, &late), -ESTALE);
        assert_int_equal(fixture_sql(f, "SELECT count(*) FROM events"), 1);
}

static void test_does_not_fit(void **state)
{
        EngineFixture *f = *state;
        OutsideEvent event = event_of("run_1", SYNC_STAGE_STARTED, SYNC_STATUS_IN_PROGRESS), other = event;
        _cleanup_free_ char *why = NULL;
        Answer a = {}, started;

        fixture_write_connector(f, "bank", CONNECTOR());
        fixture_open(f);
        expect_ok(report(f, &event));
        other.user_id = (char *) OTHER;
        expect_errno(engine_report_outside(f->engine, &other, 1, NULL, on_answer, &a, &why), -EINVAL);
        assert_string_equal(why, "user_id: is not that of run run_1");
        other = event;
        other.provider = (char *) "polar";
        expect_errno(report(f, &other), -EINVAL);
        other = event;
        other.source = RUN_SOURCE_SDK;
        free(TAKE_PTR(why));
        expect_errno(engine_report_outside(f->engine, &other, 1, NULL, on_answer, &a, &why), -EINVAL);
        assert_string_equal(why, "source: is not that of run run_1");
        started = fixture_start(f, "bank", false);
        other = event;
        other.run_id = started.run_id;
        expect_errno(report(f, &other), -EINVAL);
        expect_errno(fixture_cancel(f, "run_1"), -EOPNOTSUPP);
        assert_int_equal(a.n, 0);
}

static void check_counts(EngineFixture *f, const Counts *expected)
{
        _cleanup_(run_freep) Run *stored = fixture_stored(f, "run_1");
        const Counts *counts = &stored->counts;

        assert_int_equal(counts->discovered, expected->discovered);
        assert_int_equal(counts->added, expected->added);
        assert_int_equal(counts->updated, expected->updated);
        assert_int_equal(counts->deduped, expected->deduped);
}

/* C29: cumulative; what is not told again stays. */
static void test_counts(void **state)
{
        EngineFixture *f = *state;
        OutsideEvent event = event_of("run_1", SYNC_STAGE_SAVING, SYNC_STATUS_IN_PROGRESS);

        fixture_open(f);
        event.counts = (Counts) { .discovered = COUNT_UNKNOWN, .added = 2, .updated = 1, .deduped = COUNT_UNKNOWN };
        expect_ok(report(f, &event));
        check_counts(f, &(Counts) { .discovered = 3, .added = 2, .updated = 1 });
        event.counts = (Counts) { .discovered = 9, .added = COUNT_UNKNOWN, .updated = 4, .deduped = 1 };
        event.stage = SYNC_STAGE_COMPLETED;
        event.status = SYNC_STATUS_SUCCESS;
        expect_ok(report(f, &event));
        check_counts(f, &(Counts) { .discovered = 9, .added = 2, .updated = 4, .deduped = 1 });
}

/* All or none, and the events of one call are checked against each other. */
static void test_batches(void **state)
{
        EngineFixture *f = *state;
        OutsideEvent events[] = {
                event_of("run_1", SYNC_STAGE_STARTED, SYNC_STATUS_IN_PROGRESS),
                event_of("run_2", SYNC_STAGE_STARTED, SYNC_STATUS_IN_PROGRESS),
                event_of("run_1", SYNC_STAGE_COMPLETED, SYNC_STATUS_SUCCESS),
                event_of("run_1", SYNC_STAGE_FETCHING, SYNC_STATUS_IN_PROGRESS),
        };
        size_t n_calls;

        fixture_open(f);
        expect_errno(fixture_outside(f, events, 4), -ESTALE);
        assert_null(engine_next_run(f->engine, NULL));
        assert_int_equal(fixture_sql(f, "SELECT count(*) FROM runs"), 0);
        n_calls = f->n_events_calls;
        expect_ok(fixture_outside(f, events, 3));
        assert_int_equal(f->n_events_calls, n_calls + 1); /* all events of a commit at once */
        assert_int_equal(fixture_count(f->news, "event"), 3);
        events[0].user_id = (char *) OTHER;
        events[0].run_id = events[1].run_id = (char *) "run_3";
        expect_errno(fixture_outside(f, events, 2), -EINVAL);
        assert_null(engine_find_run(f->engine, "run_3"));
        expect_ok(fixture_outside(f, events, 0));
}

static void test_limits(void **state)
{
        static OutsideEvent events[REPORT_EVENTS_MAX + 1];
        static char ids[REPORT_EVENTS_MAX + 1][16];
        EngineFixture *f = *state;

        f->settings.max_open_runs = 2;
        fixture_open(f);
        for (size_t i = 0; i < ELEMENTSOF(events); i++) {
                (void) snprintf(ids[i], sizeof(ids[i]), "run_%zu", i);
                events[i] = event_of(ids[i], SYNC_STAGE_STARTED, SYNC_STATUS_IN_PROGRESS);
        }
        expect_errno(fixture_outside(f, events, 3), -ENOBUFS);
        expect_ok(fixture_outside(f, events, 2));
        expect_errno(fixture_outside(f, events + 2, 1), -ENOBUFS);
        expect_ok(fixture_outside(f, events, 2)); /* known ones go on */
        events[2] = event_of("run_2", SYNC_STAGE_COMPLETED, SYNC_STATUS_SUCCESS);
        expect_ok(fixture_outside(f, events + 2, 1)); /* one that does not stay open, too */
        for (size_t i = 0; i < ELEMENTSOF(events); i++)
                events[i].run_id = ids[0];
        expect_errno(fixture_outside(f, events, REPORT_EVENTS_MAX + 1), -E2BIG);
        for (size_t i = 0; i < ELEMENTSOF(events); i++)
                events[i] = event_of(ids[0], SYNC_STAGE_FETCHING, SYNC_STATUS_IN_PROGRESS);
        expect_ok(fixture_outside(f, events, REPORT_EVENTS_MAX));
}

/* So many users may be known, also while they are on their way to the disk; who is known goes on. */
static void test_users_limit(void **state)
{
        EngineFixture *f = *state;
        OutsideEvent events[] = {
                event_of("run_1", SYNC_STAGE_COMPLETED, SYNC_STATUS_SUCCESS),
                event_of("run_2", SYNC_STAGE_COMPLETED, SYNC_STATUS_SUCCESS),
                event_of("run_3", SYNC_STAGE_COMPLETED, SYNC_STATUS_SUCCESS),
                event_of("run_4", SYNC_STAGE_COMPLETED, SYNC_STATUS_SUCCESS),
        };
        _cleanup_free_ char *why = NULL;
        Answer answer = {};

        events[1].user_id = (char *) OTHER;
        events[2].user_id = (char *) "6f1ed002-ab5d-4f2b-9c3b-000000000003";
        f->settings.max_users = 2;
        fixture_open(f);
        expect_errno(fixture_outside(f, events, 3), -E2BIG);
        assert_null(engine_find_run(f->engine, "run_1"));
        expect_ok(engine_report_outside(f->engine, &events[0], 1, NULL, on_answer, &answer, NULL));
        expect_ok(engine_report_outside(f->engine, &events[1], 1, NULL, on_answer, &answer, NULL));
        expect_errno(engine_report_outside(f->engine, &events[2], 1, NULL, on_answer, &answer, &why), -E2BIG);
        assert_string_equal(why, "user_id: 6f1ed002-ab5d-4f2b-9c3b-000000000003 is new, and at most 2 users may be "
                                 "known. Raise MaxUsers= in [Reports] of syncrun.conf, or report it again when users "
                                 "without runs have been forgotten.");
        expect_ok(engine_report_outside(f->engine, &events[3], 1, NULL, on_answer, &answer, NULL));
        fixture_run_until(f, answer.n == 3);
        expect_errno(fixture_outside(f, &events[2], 1), -E2BIG);
        fixture_close(f);
        f->settings.max_users = 3;
        fixture_open(f);
        expect_ok(fixture_outside(f, &events[2], 1));
        events[0].run_id = (char *) "run_5";
        events[0].user_id = (char *) "6f1ed002-ab5d-4f2b-9c3b-000000000004";
        expect_errno(fixture_outside(f, events, 1), -E2BIG);
}

/* Finished runs are forgotten when there are too many: the oldest first. */
static void test_finished_limit(void **state)
{
        static OutsideEvent events[FINISHED_RUNS_MAX];
        static char ids[FINISHED_RUNS_MAX][16];
        EngineFixture *f = *state;
        OutsideEvent last = event_of("last", SYNC_STAGE_COMPLETED, SYNC_STATUS_SUCCESS);

        fixture_open(f);
        for (size_t i = 0; i < ELEMENTSOF(events); i++) {
                (void) snprintf(ids[i], sizeof(ids[i]), "run_%zu", i);
                events[i] = event_of(ids[i], SYNC_STAGE_COMPLETED, SYNC_STATUS_SUCCESS);
        }
        expect_ok(fixture_outside(f, events, ELEMENTSOF(events)));
        fixture_forget(f);
        assert_non_null(engine_find_run(f->engine, "run_0"));
        expect_ok(fixture_outside(f, &last, 1));
        fixture_run_until(f, fixture_has(f->news, "run- - run_0"));
        assert_null(engine_find_run(f->engine, "run_0"));
        assert_non_null(engine_find_run(f->engine, "run_1"));
        assert_int_equal(fixture_count(f->news, "run-"), 1);

        /* And when some minutes have passed. */
        fixture_forget(f);
        for (EngineRun *r = f->engine->finished; r; r = r->next)
                r->ended_usec = usec_sub(r->ended_usec, FINISHED_RUN_LINGER_USEC);
        expect_ok(sd_event_source_set_time(f->engine->finished_timer, 0));
        fixture_run_until(f, !f->engine->finished);
        assert_int_equal(fixture_count(f->news, "run-"), FINISHED_RUNS_MAX);
        assert_null(engine_find_run(f->engine, "last"));
}

static void test_silence(void **state)
{
        EngineFixture *f = *state;
        OutsideEvent event = event_of("run_1", SYNC_STAGE_STARTED, SYNC_STATUS_IN_PROGRESS);

        f->settings.silence_timeout_usec = 100 * USEC_PER_MSEC;
        fixture_open(f);
        expect_ok(report(f, &event));
        fixture_run_until(f, fixture_has(f->news, "event failed failed run_1"));
        assert_int_equal(fixture_run(f, "run_1")->outcome, RUN_FAILED);
        assert_string_equal(fixture_run(f, "run_1")->error, "Nothing was heard of it for 100ms");
        expect_errno(report(f, &event), -ESTALE);
}

/* It goes on over a restart, counted from the newest event. */
static void test_silence_over_restart(void **state)
{
        EngineFixture *f = *state;
        OutsideEvent event = event_of("run_1", SYNC_STAGE_STARTED, SYNC_STATUS_IN_PROGRESS);

        f->settings.silence_timeout_usec = USEC_PER_HOUR;
        fixture_open(f);
        expect_ok(report(f, &event));
        fixture_close(f);
        fixture_let_pass(30 * USEC_PER_MINUTE);
        fixture_open(f);
        assert_int_equal(fixture_run(f, "run_1")->state, RUN_RUNNING);
        event = event_of("run_1", SYNC_STAGE_FETCHING, SYNC_STATUS_IN_PROGRESS);
        expect_ok(report(f, &event));
        fixture_close(f);
        fixture_let_pass(61 * USEC_PER_MINUTE);
        fixture_open(f);
        fixture_run_until(f, fixture_has(f->news, "event failed failed run_1"));
        assert_int_equal(f->engine->n_outside, 0);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                ENGINE_TEST(test_times_ahead),
                ENGINE_TEST(test_life),           ENGINE_TEST(test_one_shot), ENGINE_TEST(test_after_the_end),
                ENGINE_TEST(test_does_not_fit),   ENGINE_TEST(test_counts),
                 ENGINE_TEST(test_batches),  ENGINE_TEST(test_limits), ENGINE_TEST(test_users_limit),
                ENGINE_TEST(test_finished_limit), ENGINE_TEST(test_silence),  ENGINE_TEST(test_silence_over_restart),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
