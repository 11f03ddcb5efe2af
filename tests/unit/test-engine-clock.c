/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A clock that is set back and forth, by hours and by years, while the daemon runs and while it does not: no time is
 * missed for ever, none is run twice but where the clock says it twice, and what makes up for missed times says so. */

#include "unit/expect.h"

#include "unit/engine-fixture.h"

#include <inttypes.h>

#include <sqlite3.h>

#include "engine/engine-internal.h"
#include "engine/run-end.h"
#include "engine/run-record.h"
#include "engine/webhook-table.h"
#include "unit/fault-vfs.h"

/* 2026-05-30, 08:30 */
#define BEGIN (UINT64_C(1780129800) * USEC_PER_SEC)
#define H     USEC_PER_HOUR
#define STEPS 40U

static void open_all(EngineFixture *f, usec_t now)
{
        f->settings.max_concurrent_runs = f->settings.max_concurrent_runs_per_provider = 10;
        fixture_stop_clock(now);
        fixture_write_connector(f, "hourly", CONNECTOR("[Schedule]\nOnCalendar=hourly\n"));
        fixture_write_connector(f, "fleeting", CONNECTOR("[Schedule]\nOnCalendar=hourly\nPersistent=no\n"));
        fixture_write_connector(f, "every", CONNECTOR("[Schedule]\nEvery=1h\n"));
        fixture_open(f);
        fixture_settle(f);
}

static usec_t next_of(EngineFixture *f, const char *name)
{
        return fixture_connector(f, name)->next_elapse_usec;
}

static int64_t count_of(EngineFixture *f, const char *name, const char *trigger)
{
        _cleanup_free_ char *sql = asprintf_or_null("SELECT count(*) FROM runs WHERE trigger LIKE '%s' AND connector ="
                                                    " (SELECT key FROM connectors WHERE name = '%s')",
                                                    trigger, name);

        return fixture_sql(f, sql);
}

/* Everything that is due now runs and ends. */
static void run_what_is_due(EngineFixture *f)
{
        static const char *const names[] = { "hourly", "fleeting", "every" };
        const RunReport report = report_success();

        fixture_settle(f);
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                fixture_run_until(f, next_of(f, names[i]) > fixture_now(CLOCK_REALTIME) ||
                                                     fixture_connector(f, names[i])->run);
                if (!fixture_connector(f, names[i])->run)
                        continue;
                fixture_run_until(f, fixture_worker_alive(f, names[i]));
                fixture_run_to_end(f, names[i], &report);
        }
        fixture_settle(f);
}

/* The clock is seen to be set, or the daemon is away meanwhile. */
static void set_clock(EngineFixture *f, usec_t now, bool away)
{
        if (away)
                fixture_close(f);
        fixture_stop_clock(now);
        if (away)
                fixture_open(f);
        else
                engine_clock_changed(f->engine);
        run_what_is_due(f);
}

static uint64_t draw(uint64_t *seed, uint64_t n)
{
        *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        return (*seed >> 33) % n;
}

static usec_t step_of(uint64_t *seed)
{
        static const usec_t sizes[] = { USEC_PER_SEC, USEC_PER_MINUTE, H, USEC_PER_DAY, 365 * USEC_PER_DAY };

        return draw(seed, 3 * sizes[draw(seed, ELEMENTSOF(sizes))] / USEC_PER_SEC) * USEC_PER_SEC + USEC_PER_SEC;
}

/* The next run is never further away than the schedule says (twice, where the time that comes once more was acted on),
 * and each step makes at most one run. */
static void check_step(EngineFixture *f, usec_t now, bool away)
{
        usec_t before = fixture_now(CLOCK_REALTIME), hour = now / H * H;
        int64_t n = count_of(f, "hourly", "%"), caught_up = count_of(f, "hourly", "catch-up"),
                fleeting = count_of(f, "fleeting", "%"), every = count_of(f, "every", "%");
        bool on = now >= before, passed = on && hour > before;

        set_clock(f, now, away);
        now = fixture_now(CLOCK_REALTIME);
        assert_in_range(next_of(f, "hourly"), now, now + 2 * H);
        assert_in_range(next_of(f, "fleeting"), now, now + 2 * H);
        assert_in_range(next_of(f, "every"), now, now + H + USEC_PER_SEC);
        n = count_of(f, "hourly", "%") - n;
        caught_up = count_of(f, "hourly", "catch-up") - caught_up;
        assert_in_range(n, 0, 1);
        assert_int_equal(n, caught_up); /* it says why */
        if (passed && fixture_connector(f, "hourly")->record.last_elapse_usec < hour)
                fail_msg("a time was missed: %" PRIu64 " s after the start, from %" PRId64 " s before, last acted on %" PRId64
                         " s before%s",
                         (now - BEGIN) / USEC_PER_SEC, (int64_t) (now - before) / (int64_t) USEC_PER_SEC,
                         (int64_t) (now - fixture_connector(f, "hourly")->record.last_elapse_usec) /
                                         (int64_t) USEC_PER_SEC,
                         away ? ", away" : "");
        if (on && !passed)
                assert_int_equal(n, 0);
        if (!on && !away)
                assert_int_equal(n, 0); /* somebody looked on: nothing was missed */
        assert_int_equal(count_of(f, "fleeting", "%"), fleeting);
        assert_in_range(count_of(f, "every", "%") - every, 0, 1);
}

static void go_back_and_forth(EngineFixture *f, uint64_t seed)
{
        usec_t now;

        open_all(f, BEGIN);
        for (unsigned i = 0; i < STEPS; i++) {
                usec_t step = step_of(&seed);
                bool back = draw(&seed, 2) == 0, away = draw(&seed, 3) == 0;

                now = fixture_now(CLOCK_REALTIME);
                /* Within what a clock may say, and not just after a time, which then would be late. */
                if (now + step > BEGIN + 20 * 365 * USEC_PER_DAY)
                        back = true;
                if (now < step + 20 * 365 * USEC_PER_DAY)
                        back = false;
                now = back ? now - step : now + step;
                check_step(f, now / H * H + CLAMP(now % H, 2 * SCHEDULE_LATE_MAX_USEC, H - 10 * USEC_PER_SEC), away);
        }
}

static void test_back_and_forth(void **state)
{
        go_back_and_forth(*state, 20261122);
}

static void test_back_and_forth_otherwise(void **state)
{
        go_back_and_forth(*state, 7);
}

/* Before it ever ran: it was first seen ahead. */
static void test_back_at_first(void **state)
{
        go_back_and_forth(*state, 1);
}

/* All times of a night in which the clocks of a time zone change: as many runs as the calendar has times, whether the
 * daemon looks on or not. */
static void check_night(EngineFixture *f, const char *calendar, usec_t begin)
{
        _cleanup_free_ char *text = asprintf_or_null(CONNECTOR("[Schedule]\nOnCalendar=%s\n"), calendar);
        usec_t end = begin + 12 * H, elapse = begin, now = begin;
        int64_t n = 0;

        open_all(f, begin);
        fixture_load_connector(f, "hourly", text);
        fixture_settle(f);
        while (calendar_spec_next(fixture_connector(f, "hourly")->definition->calendars[0].spec, elapse, &elapse) >= 0 &&
               elapse < end)
                n++;
        for (unsigned i = 1; now < end; i++) {
                now = begin + i * 7 * USEC_PER_MINUTE;
                set_clock(f, MIN(now, end - USEC_PER_SEC), i % 3 == 0);
        }
        assert_int_equal(count_of(f, "hourly", "%"), n);
}

#define SPRING (UINT64_C(1774728000) * USEC_PER_SEC) /* 2026-03-28 20:00 UTC */
#define AUTUMN (UINT64_C(1792872000) * USEC_PER_SEC) /* 2026-10-24 20:00 UTC */

static void test_summer_time_begins(void **state)
{
        check_night(*state, "*-*-* *:20 Europe/Berlin", SPRING);
}

static void test_summer_time_begins_at_a_time(void **state)
{
        check_night(*state, "*-*-* 02:30 Europe/Berlin", SPRING);
}

static void test_summer_time_ends(void **state)
{
        check_night(*state, "*-*-* *:20 Europe/Berlin", AUTUMN);
}

static void test_summer_time_ends_at_a_time(void **state)
{
        check_night(*state, "*-*-* 02:30 Europe/Berlin", AUTUMN);
}

/* The last second of a day comes twice: what was due behind it has run already. */
static void test_leap_second(void **state)
{
        const usec_t midnight = BEGIN / (24 * H) * 24 * H + 24 * H;
        EngineFixture *f = *state;

        open_all(f, midnight - 10 * USEC_PER_MINUTE);
        set_clock(f, midnight + 300 * USEC_PER_MSEC, false);
        assert_int_equal(count_of(f, "hourly", "%"), 1);
        set_clock(f, midnight - 700 * USEC_PER_MSEC, false);
        assert_in_range(next_of(f, "hourly"), midnight + H, midnight + H);
        set_clock(f, midnight + 10 * USEC_PER_MINUTE, false);
        set_clock(f, midnight + 11 * USEC_PER_MINUTE, true);
        assert_int_equal(count_of(f, "hourly", "%"), 1);
}

/* Of what comes twice, or is passed over, nothing is lost and nothing runs twice: Persistent=no, too. */
static void test_a_second_more_or_less(void **state)
{
        const usec_t midnight = BEGIN / (24 * H) * 24 * H + 24 * H;
        EngineFixture *f = *state;

        open_all(f, midnight - 10 * USEC_PER_MINUTE);
        set_clock(f, midnight - 500 * USEC_PER_MSEC, false);
        set_clock(f, midnight + 500 * USEC_PER_MSEC, false); /* without the last second of the day */
        set_clock(f, midnight - 500 * USEC_PER_MSEC, false); /* and with two of them */
        set_clock(f, midnight + 500 * USEC_PER_MSEC, false);
        assert_int_equal(count_of(f, "hourly", "schedule"), 1);
        assert_int_equal(count_of(f, "fleeting", "schedule"), 1);
        assert_int_equal(count_of(f, "hourly", "%") + count_of(f, "fleeting", "%"), 2);
}

/* What is late for so long is late; after that it is missed. */
static void test_late_and_missed(void **state)
{
        EngineFixture *f = *state;
        const usec_t nine = BEGIN + H / 2;

        open_all(f, BEGIN);
        set_clock(f, nine + SCHEDULE_LATE_MAX_USEC - 1, false);
        assert_int_equal(count_of(f, "hourly", "schedule"), 1);
        assert_int_equal(count_of(f, "fleeting", "schedule"), 1);
        set_clock(f, nine + H + SCHEDULE_LATE_MAX_USEC, false);
        assert_int_equal(count_of(f, "hourly", "schedule"), 1);
        assert_int_equal(count_of(f, "hourly", "catch-up"), 1);
        assert_int_equal(count_of(f, "fleeting", "%"), 1);
}

/* ---- Sleep */

/* The timers, which go on while the machine sleeps, or jump as the clock is set, may come before whoever tells of it. */
static void wake_up(EngineFixture *f, bool told_first)
{
        if (told_first)
                engine_clock_changed(f->engine);
        else
                expect_ok(sd_event_source_set_time(f->engine->due_timer, 1));
        run_what_is_due(f);
        engine_clock_changed(f->engine);
        run_what_is_due(f);
}

/* Three times of each: one run makes up for them, where they are made up for, and says so. */
static void check_missed(EngineFixture *f, bool sleeps, bool told_first)
{
        open_all(f, BEGIN);
        if (sleeps)
                fixture_sleep(3 * H);
        else
                fixture_advance_clock(3 * H);
        wake_up(f, told_first);
        assert_int_equal(count_of(f, "hourly", "catch-up"), 1);
        assert_int_equal(count_of(f, "hourly", "%"), 1);
        assert_int_equal(count_of(f, "fleeting", "%"), 0);
        assert_int_equal(count_of(f, "every", "catch-up"), 1);
        assert_int_equal(count_of(f, "every", "%"), 1);
        assert_in_range(next_of(f, "fleeting"), BEGIN + 3 * H + H / 2, BEGIN + 3 * H + H / 2);

        /* The next one is as any other. */
        set_clock(f, BEGIN + 3 * H + H / 2, false);
        assert_int_equal(count_of(f, "hourly", "schedule"), 1);
        assert_int_equal(count_of(f, "fleeting", "schedule"), 1);
}

static void test_sleep(void **state)
{
        check_missed(*state, true, true);
}

static void test_sleep_and_the_timer_comes_first(void **state)
{
        check_missed(*state, true, false);
}

static void test_set_on(void **state)
{
        check_missed(*state, false, true);
}

static void test_set_on_and_the_timer_comes_first(void **state)
{
        check_missed(*state, false, false);
}

/* The same while nothing could be written. */
static void check_outage(EngineFixture *f, usec_t usec, int64_t n_late, int64_t n_missed)
{
        open_all(f, BEGIN + H / 2 - USEC_PER_SEC);
        fault_vfs_arm(1, SQLITE_FULL);
        assert_int_equal(fixture_set_active(f, "every", false), -EROFS);
        fixture_let_pass(usec);
        (void) fault_vfs_disarm();
        fixture_run_until(f, f->engine->broken == 0);
        run_what_is_due(f);
        assert_int_equal(count_of(f, "hourly", "schedule"), n_late);
        assert_int_equal(count_of(f, "fleeting", "schedule"), n_late);
        assert_int_equal(count_of(f, "hourly", "catch-up"), n_missed);
        assert_int_equal(count_of(f, "fleeting", "catch-up"), 0);
}

static void test_short_outage(void **state)
{
        check_outage(*state, SCHEDULE_LATE_MAX_USEC / 2, 1, 0);
}

static void test_outage(void **state)
{
        check_outage(*state, 3 * H, 0, 1);
}

/* Woken up just after a time: that one is late. */
static void test_short_sleep(void **state)
{
        EngineFixture *f = *state;

        open_all(f, BEGIN + H / 2 - USEC_PER_SEC);
        fixture_sleep(2 * USEC_PER_SEC);
        wake_up(f, true);
        assert_int_equal(count_of(f, "hourly", "schedule"), 1);
        assert_int_equal(count_of(f, "fleeting", "schedule"), 1);
}

/* A run that slept, too, has its time still, and is heard of in time. */
static void test_sleep_in_a_run(void **state)
{
        EngineFixture *f = *state;
        Answer a;

        open_all(f, BEGIN);
        fixture_load_connector(f, "bank", CONNECTOR("[Run]\nTimeoutSec=1h\nStallTimeoutSec=10min\n"));
        a = fixture_start(f, "bank", false);
        expect_ok(fixture_attach(f, "bank").error);
        fixture_sleep(8 * H);
        engine_clock_changed(f->engine);
        fixture_settle(f);
        assert_int_equal(fixture_run(f, a.run_id)->state, RUN_RUNNING);
        assert_true(engine_run_find(f->engine, a.run_id)->deadline_usec > fixture_now(CLOCK_MONOTONIC) + H / 2);
        fixture_worker_ends(f, "bank", NULL);
}

/* The clock was years ahead, and is put right; what is missed after that is missed, and is seen to be. */
static void test_missed_after_a_clock_that_was_ahead(void **state)
{
        EngineFixture *f = *state;

        open_all(f, BEGIN);
        set_clock(f, BEGIN + 3650 * USEC_PER_DAY, false);
        set_clock(f, BEGIN, false);
        set_clock(f, BEGIN + 3 * H, true);
        assert_int_equal(count_of(f, "hourly", "catch-up"), 2);
        assert_int_equal(count_of(f, "fleeting", "%"), 0);
        /* Nobody saw it put right: what was missed is not known. */
        set_clock(f, BEGIN + 3650 * USEC_PER_DAY, false);
        set_clock(f, BEGIN + 4 * H, true);
        assert_int_equal(count_of(f, "hourly", "catch-up"), 4);
        set_clock(f, BEGIN + 4 * H + USEC_PER_MINUTE, true);
        assert_int_equal(count_of(f, "hourly", "catch-up"), 4);
}

/* Every= does not begin anew with each restart because the last run lies ahead. */
static void test_every_after_a_clock_that_was_ahead(void **state)
{
        EngineFixture *f = *state;

        open_all(f, BEGIN);
        set_clock(f, BEGIN + 3650 * USEC_PER_DAY, false);
        assert_int_equal(count_of(f, "every", "%"), 1);
        set_clock(f, BEGIN, false);
        for (unsigned i = 1; i < 4; i++)
                set_clock(f, BEGIN + i * 10 * USEC_PER_MINUTE, true);
        assert_in_range(next_of(f, "every"), BEGIN + H - USEC_PER_MINUTE, BEGIN + H + USEC_PER_MINUTE);
        set_clock(f, BEGIN + 70 * USEC_PER_MINUTE, true);
        assert_int_equal(count_of(f, "every", "%"), 2);
}

/* When the provider's quota is there again is its own clock's to say. */
static void test_the_providers_word_stays(void **state)
{
        static const int64_t steps[] = { 90 * USEC_PER_MINUTE, -30 * (int64_t) USEC_PER_MINUTE,
                                         -20 * (int64_t) USEC_PER_DAY };
        EngineFixture *f = *state;
        RunReport report = report_failure("HTTP 429", true);
        const ConnectorRecord *record;
        usec_t now = BEGIN, word;
        char id[RUN_ID_MAX + 1];

        fixture_set_clock(now);
        fixture_open(f);
        fixture_load_connector(f, "bank", CONNECTOR("[Run]\nRetrySec=1s\n"));
        report.retry_at_usec = word = now + 2 * USEC_PER_HOUR;
        fixture_whole_run(f, "bank", &report, id);
        record = &fixture_connector(f, "bank")->record;
        assert_true(record->retry_is_absolute && record->retry_at_usec == word);
        for (size_t i = 0; i < ELEMENTSOF(steps); i++) {
                fixture_set_clock(now += (usec_t) steps[i]);
                engine_clock_changed(f->engine);
                fixture_settle(f);
                assert_int_equal(record->retry_at_usec, word);
        }
        fixture_close(f);
        fixture_open(f);
        record = &fixture_connector(f, "bank")->record;
        assert_true(record->retry_is_absolute && record->retry_at_usec == word);

        /* But not further ahead than a provider may put a retry off. */
        fixture_set_clock(now -= 365 * USEC_PER_DAY);
        engine_clock_changed(f->engine);
        fixture_settle(f);
        assert_in_range(record->retry_at_usec, now + RETRY_AHEAD_MAX_USEC,
                        now + RETRY_AHEAD_MAX_USEC + USEC_PER_MINUTE);

        /* And when its time is past it comes. */
        fixture_forget(f);
        fixture_set_clock(word + USEC_PER_SEC);
        engine_clock_changed(f->engine);
        fixture_run_until(f, fixture_has(f->calls, "start bank"));
        assert_false(fixture_connector(f, "bank")->record.retry_is_absolute);
}

/* A run's time limit is a span, which begins with the run: whatever the clock is set to, and whether the daemon is
 * there. */
static void check_time_limit(EngineFixture *f, int64_t step_usec)
{
        usec_t begin, deadline;
        Answer a;

        open_all(f, BEGIN);
        fixture_load_connector(f, "bank", CONNECTOR("[Run]\nTimeoutSec=1h\nStallTimeoutSec=2h\n"));
        begin = fixture_now(CLOCK_MONOTONIC);
        a = fixture_start(f, "bank", false);
        expect_ok(fixture_attach(f, "bank").error);
        fixture_let_pass(20 * USEC_PER_MINUTE);
        fixture_close(f);
        fixture_set_clock(BEGIN + (usec_t) step_usec);
        fixture_let_pass(20 * USEC_PER_MINUTE);
        fixture_open(f);
        assert_int_equal(fixture_run(f, a.run_id)->state, RUN_RUNNING);
        deadline = engine_run_find(f->engine, a.run_id)->deadline_usec;
        assert_in_range(deadline, begin + H, begin + H + 10 * USEC_PER_MINUTE);
        fixture_close(f);
        fixture_let_pass(20 * USEC_PER_MINUTE);
        fixture_open(f);
        fixture_run_until(f, fixture_run(f, a.run_id)->state == RUN_STOPPING);
        assert_string_equal(fixture_run(f, a.run_id)->error, "The run had not ended after 1h (TimeoutSec=)");
        fixture_worker_ends(f, "bank", NULL);
        assert_int_equal(fixture_sql(f, "SELECT count(*) FROM runs WHERE state = 'finished' AND"
                                        " (clock_boot_id IS NOT NULL OR clock_usec IS NOT NULL)"),
                         0);
}

static void test_time_limit_over_a_clock_that_is_set_on(void **state)
{
        check_time_limit(*state, 365 * USEC_PER_DAY);
}

static void test_time_limit_over_a_clock_that_is_set_back(void **state)
{
        check_time_limit(*state, -(int64_t) (365 * USEC_PER_DAY));
}

/* Likewise the silence of a run from outside. */
static void test_silence_over_a_clock_that_is_set(void **state)
{
        EngineFixture *f = *state;
        OutsideEvent event = {
                .run_id = (char *) "run_1",
                .user_id = (char *) "11111111-1111-4111-8111-111111111111",
                .provider = (char *) "acme",
                .source = RUN_SOURCE_SDK,
                .stage = SYNC_STAGE_STARTED,
                .status = SYNC_STATUS_IN_PROGRESS,
                .progress = PROGRESS_UNKNOWN,
                .items_processed = COUNT_UNKNOWN,
                .items_total = COUNT_UNKNOWN,
        };
        usec_t heard;

        f->settings.silence_timeout_usec = H;
        open_all(f, BEGIN);
        expect_ok(fixture_outside(f, &event, 1));
        heard = engine_run_find(f->engine, "run_1")->heard_usec;
        fixture_close(f);
        fixture_set_clock(BEGIN + 365 * USEC_PER_DAY);
        fixture_let_pass(10 * USEC_PER_MINUTE);
        fixture_open(f);
        assert_int_equal(fixture_run(f, "run_1")->state, RUN_RUNNING);
        assert_in_range(engine_run_find(f->engine, "run_1")->heard_usec, heard, heard);
}

/* Set while nothing can be written: what waits for a span moves with the clock as soon as it can, and not with the next
 * change of the clock or never. */
static void test_set_while_nothing_can_be_written(void **state)
{
        EngineFixture *f = *state;
        const RunReport failure = report_failure("no", true);
        char id[RUN_ID_MAX + 1];
        usec_t wait, now;

        open_all(f, BEGIN);
        fixture_load_connector(f, "bank", CONNECTOR("[Run]\nRetrySec=10h\nRetryMaxSec=10h\n"));
        fixture_whole_run(f, "bank", &failure, id);
        wait = fixture_connector(f, "bank")->record.retry_at_usec - fixture_now(CLOCK_REALTIME);
        fault_vfs_arm(1, SQLITE_FULL);
        assert_int_equal(fixture_set_active(f, "bank", false), -EROFS);
        fixture_set_clock(BEGIN + 365 * USEC_PER_DAY);
        engine_clock_changed(f->engine);
        (void) fault_vfs_disarm();
        fixture_run_until(f, f->engine->broken == 0);
        fixture_settle(f);
        now = fixture_now(CLOCK_REALTIME);
        assert_in_range(fixture_connector(f, "bank")->record.retry_at_usec, now + wait - USEC_PER_MINUTE, now + wait);
        assert_false(webhooks_clock_has_stepped(f->engine));
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                ENGINE_TEST(test_back_and_forth),
                ENGINE_TEST(test_back_and_forth_otherwise),
                ENGINE_TEST(test_back_at_first),
                ENGINE_TEST(test_summer_time_begins),
                ENGINE_TEST(test_summer_time_begins_at_a_time),
                ENGINE_TEST(test_summer_time_ends),
                ENGINE_TEST(test_summer_time_ends_at_a_time),
                ENGINE_TEST(test_leap_second),
                ENGINE_TEST(test_a_second_more_or_less),
                ENGINE_TEST(test_late_and_missed),
                ENGINE_TEST(test_sleep),
                ENGINE_TEST(test_sleep_and_the_timer_comes_first),
                ENGINE_TEST(test_set_on),
                ENGINE_TEST(test_set_on_and_the_timer_comes_first),
                ENGINE_TEST(test_short_outage),
                ENGINE_TEST(test_outage),
                ENGINE_TEST(test_short_sleep),
                ENGINE_TEST(test_sleep_in_a_run),
                ENGINE_TEST(test_missed_after_a_clock_that_was_ahead),
                ENGINE_TEST(test_every_after_a_clock_that_was_ahead),
                ENGINE_TEST(test_the_providers_word_stays),
                ENGINE_TEST(test_time_limit_over_a_clock_that_is_set_on),
                ENGINE_TEST(test_time_limit_over_a_clock_that_is_set_back),
                ENGINE_TEST(test_silence_over_a_clock_that_is_set),
                ENGINE_TEST(test_set_while_nothing_can_be_written),
        };

        fault_vfs_register();

        return cmocka_run_group_tests(tests, NULL, NULL);
}
