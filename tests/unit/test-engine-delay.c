/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* RandomizedDelaySec= over the end of the daemon: a run that waits for its delay is neither lost, nor run twice, nor
 * put off for ever. */

#include "unit/expect.h"

#include "unit/engine-fixture.h"

#include "engine/engine-internal.h"

/* 2026-05-30, 09:00 */
#define NINE       (UINT64_C(1780131600) * USEC_PER_SEC)
#define MINUTES(n) ((n) * USEC_PER_MINUTE)

static void open_bank(EngineFixture *f, const char *schedule, usec_t now)
{
        _cleanup_free_ char *text = asprintf_or_null(CONNECTOR("[Schedule]\nRandomizedDelaySec=30min\n%s\n"),
                                                     schedule);

        fixture_set_clock(now);
        fixture_write_connector(f, "bank", text);
        fixture_open(f);
        fixture_settle(f);
        fixture_forget(f);
}

static usec_t next(EngineFixture *f)
{
        fixture_settle(f);
        return fixture_connector(f, "bank")->next_elapse_usec;
}

/* The delay that is drawn next, as part of half an hour; computed anew. */
static void set_fraction(EngineFixture *f, double fraction)
{
        f->engine->connectors->random_fraction = fraction;
        engine_clock_changed(f->engine);
        fixture_settle(f);
}

static void restart(EngineFixture *f, usec_t now)
{
        fixture_close(f);
        fixture_set_clock(now);
        fixture_open(f);
        fixture_settle(f);
}

static int64_t count_runs(EngineFixture *f, const char *trigger)
{
        _cleanup_free_ char *sql = asprintf_or_null("SELECT count(*) FROM runs WHERE trigger = '%s'", trigger);

        fixture_settle(f);
        return fixture_sql(f, sql);
}

/* Until it begins, at @due and not before. */
static void expect_run(EngineFixture *f, usec_t due, RunTrigger trigger)
{
        const RunReport report = report_success();

        assert_int_equal(next(f), due);
        assert_null(fixture_connector(f, "bank")->run);
        fixture_come_near(f, due);
        fixture_run_until(f, fixture_connector(f, "bank")->run);
        assert_int_equal(fixture_connector(f, "bank")->run->trigger, trigger);
        fixture_settle(f);
        fixture_run_to_end(f, "bank", &report);
}

/* Its time has come, its delay has not passed: it waits on, over any number of restarts, and runs once. */
static void check_waiting(EngineFixture *f, const char *schedule)
{
        open_bank(f, schedule, NINE - MINUTES(10));
        set_fraction(f, 0.5);
        assert_int_equal(next(f), NINE + MINUTES(15));
        for (unsigned i = 0; i < 5; i++) {
                restart(f, NINE + MINUTES(1 + i));
                assert_int_equal(next(f), NINE + MINUTES(15));
                assert_int_equal(count_runs(f, "schedule") + count_runs(f, "catch-up"), 0);
        }
        expect_run(f, NINE + MINUTES(15), RUN_TRIGGER_SCHEDULE);
        restart(f, NINE + MINUTES(20));
        assert_true(next(f) >= NINE + USEC_PER_DAY);
        assert_int_equal(count_runs(f, "schedule"), 1);
}

static void test_waiting(void **state)
{
        check_waiting(*state, "OnCalendar=*-*-* 09:00");
}

static void test_waiting_without_persistent(void **state)
{
        check_waiting(*state, "OnCalendar=*-*-* 09:00\nPersistent=no");
}

/* The daemon is killed: what was said of the next time is in the history. */
static void test_waiting_over_a_crash(void **state)
{
        EngineFixture *f = *state;

        open_bank(f, "OnCalendar=*-*-* 09:00\nPersistent=no", NINE - MINUTES(10));
        set_fraction(f, 0.5);
        fixture_kill(f);
        fixture_set_clock(NINE + MINUTES(5));
        fixture_open(f);
        expect_run(f, NINE + MINUTES(15), RUN_TRIGGER_SCHEDULE);
}

/* A time that lies ahead keeps its delay, too. */
static void test_ahead(void **state)
{
        EngineFixture *f = *state;

        open_bank(f, "OnCalendar=*-*-* 09:00", NINE - MINUTES(10));
        set_fraction(f, 0.9);
        restart(f, NINE - MINUTES(5));
        assert_int_equal(next(f), NINE + MINUTES(27));
}

/* Every= counts from the end of the run before. */
static void test_waiting_of_every(void **state)
{
        EngineFixture *f = *state;
        usec_t due;

        open_bank(f, "Every=1h", NINE);
        set_fraction(f, 0.5);
        due = next(f);
        assert_in_range(due, NINE + MINUTES(75), NINE + MINUTES(76));
        restart(f, NINE + MINUTES(65));
        assert_int_equal(next(f), due);
        restart(f, due - USEC_PER_SEC);
        fixture_run_until(f, fixture_connector(f, "bank")->run);
        assert_int_equal(fixture_connector(f, "bank")->run->trigger, RUN_TRIGGER_SCHEDULE);
        assert_true(fixture_now(CLOCK_REALTIME) >= due);
}

/* Both passed while nobody looked: one run makes up for it, with a delay once, however often the machine is switched
 * off meanwhile. */
static void test_missed(void **state)
{
        EngineFixture *f = *state;
        usec_t due, later = NINE + 3 * USEC_PER_DAY + MINUTES(60);

        open_bank(f, "OnCalendar=*-*-* 09:00", NINE - MINUTES(10));
        set_fraction(f, 0.5);
        restart(f, later);
        due = next(f);
        assert_in_range(due, later, later + MINUTES(31));
        restart(f, later + MINUTES(1));
        if (due > later + MINUTES(2))
                assert_int_equal(next(f), due);
        restart(f, NINE + 4 * USEC_PER_DAY - MINUTES(60)); /* its delay has passed, too */
        fixture_run_until(f, fixture_connector(f, "bank")->run);
        assert_int_equal(fixture_connector(f, "bank")->run->trigger, RUN_TRIGGER_CATCH_UP);
        assert_int_equal(count_runs(f, "catch-up"), 1);
        assert_int_equal(count_runs(f, "schedule"), 0);
}

static void test_missed_without_persistent(void **state)
{
        EngineFixture *f = *state;

        open_bank(f, "OnCalendar=*-*-* 09:00\nPersistent=no", NINE - MINUTES(10));
        set_fraction(f, 0.5);
        restart(f, NINE + MINUTES(20));
        assert_true(next(f) >= NINE + USEC_PER_DAY);
        assert_int_equal(count_runs(f, "catch-up") + count_runs(f, "schedule"), 0);
}

/* A delay that the file does not know any more holds nothing up. */
static void test_shorter_delay(void **state)
{
        EngineFixture *f = *state;

        open_bank(f, "OnCalendar=*-*-* 09:00", NINE - MINUTES(10));
        set_fraction(f, 0.9);
        fixture_close(f);
        fixture_write_connector(f, "bank", CONNECTOR("[Schedule]\nOnCalendar=*-*-* 09:00\n"));
        fixture_set_clock(NINE + MINUTES(1));
        fixture_open(f);
        fixture_run_until(f, fixture_connector(f, "bank")->run);
        assert_int_equal(fixture_connector(f, "bank")->run->trigger, RUN_TRIGGER_CATCH_UP);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                ENGINE_TEST(test_waiting),
                ENGINE_TEST(test_waiting_without_persistent),
                ENGINE_TEST(test_waiting_over_a_crash),
                ENGINE_TEST(test_ahead),
                ENGINE_TEST(test_waiting_of_every),
                ENGINE_TEST(test_missed),
                ENGINE_TEST(test_missed_without_persistent),
                ENGINE_TEST(test_shorter_delay),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
