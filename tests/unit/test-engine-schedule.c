/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* When runs begin by themselves: schedules, missed times, overlaps, reconnections, and a clock that is set. */

#include "unit/expect.h"

#include "unit/engine-fixture.h"

#include "engine/engine-internal.h"

#define DAILY CONNECTOR("[Schedule]\nOnCalendar=*-*-* 09:00\n")
/* 2026-05-30 */
#define MIDNIGHT (UINT64_C(1780099200) * USEC_PER_SEC)
#define NINE     (MIDNIGHT + 9 * USEC_PER_HOUR)
#define EIGHT    (MIDNIGHT + 8 * USEC_PER_HOUR)

static void write_bank_and_open(EngineFixture *f, const char *text)
{
        fixture_write_connector(f, "bank", text);
        fixture_open(f);
        fixture_forget(f);
}

static void open_bank(EngineFixture *f, const char *text, usec_t now)
{
        fixture_set_clock(now);
        write_bank_and_open(f, text);
}

/* The clock stands. */
static void open_bank_at(EngineFixture *f, const char *text, usec_t now)
{
        fixture_stop_clock(now);
        write_bank_and_open(f, text);
}

static const Run *active_run(EngineFixture *f)
{
        const Run *run = fixture_connector(f, "bank")->run;

        assert_non_null(run);
        return run;
}

static const ConnectorRecord *record(EngineFixture *f)
{
        return &fixture_connector(f, "bank")->record;
}

static int64_t count_runs(EngineFixture *f, const char *trigger)
{
        _cleanup_free_ char *sql = asprintf_or_null("SELECT count(*) FROM runs WHERE trigger = '%s'", trigger);

        return fixture_sql(f, sql);
}

static void test_calendar(void **state)
{
        EngineFixture *f = *state;
        RunReport report = report_success();

        open_bank(f, DAILY, EIGHT);
        assert_int_equal(fixture_connector(f, "bank")->next_elapse_usec, NINE);
        assert_null(fixture_connector(f, "bank")->run);
        fixture_come_near(f, NINE);
        fixture_run_until(f, fixture_has(f->calls, "start bank"));
        assert_int_equal(active_run(f)->trigger, RUN_TRIGGER_SCHEDULE);
        assert_null(active_run(f)->requested_by);
        /* What was acted on is in the same commit as the run. */
        assert_true(record(f)->last_elapse_usec >= NINE);
        assert_int_equal(fixture_connector(f, "bank")->next_elapse_usec, NINE + USEC_PER_DAY);
        fixture_run_to_end(f, "bank", &report);
        fixture_close(f);
        fixture_open(f);
        assert_int_equal(count_runs(f, "schedule") + count_runs(f, "catch-up"), 1);
}

static void test_every(void **state)
{
        EngineFixture *f = *state;
        RunReport report = report_success();

        open_bank(f, CONNECTOR("[Schedule]\nEvery=1s\n"), MIDNIGHT);
        fixture_run_until(f, fixture_has(f->calls, "start bank"));
        /* Counts from the end of the run. */
        assert_int_equal(fixture_connector(f, "bank")->next_elapse_usec, USEC_INFINITY);
        fixture_run_to_end(f, "bank", &report);
        assert_int_equal(fixture_connector(f, "bank")->next_elapse_usec, record(f)->last_finished_usec + USEC_PER_SEC);
        fixture_forget(f);
        fixture_run_until(f, fixture_has(f->calls, "start bank"));
}

/* However much was missed: one run, and only where it is wanted. */
static void test_catch_up(void **state)
{
        EngineFixture *f = *state;
        RunReport report = report_success();

        open_bank(f, DAILY, NINE - USEC_PER_HOUR);
        fixture_write_connector(f, "shop", CONNECTOR("[Schedule]\nOnCalendar=*-*-* 09:00\nPersistent=no\n"));
        fixture_write_connector(f, "often", CONNECTOR("[Schedule]\nEvery=1h\n"));
        expect_ok(engine_reload(f->engine, &f->settings));
        fixture_settle(f);
        fixture_close(f);
        fixture_advance_clock(5 * USEC_PER_DAY);
        fixture_open(f);
        fixture_run_until(f, fixture_has(f->calls, "start bank") && fixture_has(f->calls, "start often"));
        assert_int_equal(active_run(f)->trigger, RUN_TRIGGER_CATCH_UP);
        fixture_run_to_end(f, "bank", &report);
        fixture_run_to_end(f, "often", &report);
        assert_int_equal(fixture_connector(f, "bank")->next_elapse_usec, NINE + 5 * USEC_PER_DAY);
        fixture_close(f);
        fixture_open(f);
        assert_int_equal(count_runs(f, "catch-up"), 2);
        assert_int_equal(fixture_sql(f, "SELECT count(*) FROM runs"), 2);
        assert_int_equal(fixture_connector(f, "shop")->next_elapse_usec, NINE + 5 * USEC_PER_DAY);
}

/* The run that was active when the machine went down does not make the missed time a skipped one. */
static void test_catch_up_behind_a_lost_run(void **state)
{
        EngineFixture *f = *state;

        open_bank(f, CONNECTOR("[Schedule]\nOnCalendar=*-*-* 09:00\n[Run]\nRetryMax=0\n"), EIGHT);
        expect_ok(fixture_start(f, "bank", false).error);
        expect_ok(fixture_attach(f, "bank").error);
        fixture_worker_vanishes(f, "bank");
        fixture_close(f);
        fixture_forget(f);
        fixture_advance_clock(USEC_PER_DAY);
        f->hold_adopt = true;
        fixture_open(f);
        assert_true(fixture_connector(f, "bank")->next_elapse_usec <= fixture_now(CLOCK_REALTIME));
        for (int i = 0; i < 3; i++) /* its timer, again and again */
                fixture_turn(f);
        assert_false(fixture_has(f->news, "event"));
        fixture_answer_adopt(f, "bank");
        fixture_run_until(f, fixture_has(f->calls, "start bank"));
        assert_int_equal(active_run(f)->trigger, RUN_TRIGGER_CATCH_UP);
        fixture_expect_order(f->news, "event failed failed", "event queued in_progress");
        assert_int_equal(fixture_sql(f, "SELECT count(*) FROM runs WHERE outcome = 'skipped'"), 0);
}

/* A time that has come and waits for its random delay is not forgotten when a run begins or ends meanwhile. */
static void test_random_delay(void **state)
{
        EngineFixture *f = *state;
        RunReport report = report_success();
        char id[RUN_ID_MAX + 1];
        ConnectorEntry *c;
        usec_t due;

        open_bank_at(f, CONNECTOR("[Schedule]\nOnCalendar=*-*-* 09:00\nRandomizedDelaySec=10min\n"), NINE - USEC_PER_SEC);
        c = f->engine->connectors;
        c->random_fraction = 0.5;
        engine_clock_changed(f->engine);
        due = NINE + 5 * USEC_PER_MINUTE;
        fixture_settle(f);
        assert_int_equal(fixture_connector(f, "bank")->next_elapse_usec, due);
        fixture_stop_clock(NINE + USEC_PER_MINUTE);
        fixture_whole_run(f, "bank", &report, id);
        assert_int_equal(fixture_connector(f, "bank")->next_elapse_usec, due);
        expect_ok(fixture_set_active(f, "bank", true)); /* is already */
        fixture_load_connector(f, "bank",
                               CONNECTOR("[Connector]\nDescription=x\n"
                                         "[Schedule]\nOnCalendar=*-*-* 09:00\nRandomizedDelaySec=10min\n"));
        assert_string_equal(fixture_connector(f, "bank")->definition->description, "x");
        assert_int_equal(fixture_connector(f, "bank")->next_elapse_usec, due);
        assert_int_equal(count_runs(f, "schedule"), 0);
}

/* What a step of the clock, or only of the time zone, makes of a connector that waits for its random delay. */
typedef struct DelayCase {
        const char *schedule;
        usec_t come_usec;  /* its time has come, and it is seen a minute later */
        bool catch_up;     /* it was missed while the daemon was down */
        int64_t step_usec; /* then the clock is set by that */
        int64_t due_usec;  /* after the step: when it is due, from come_usec */
} DelayCase;

/* Nobody sets the clock. */
static void time_goes_by(EngineFixture *f, usec_t to_usec)
{
        fixture_stop_clock(to_usec);
        f->engine->clock_offset_usec = (int64_t) (fixture_now(CLOCK_REALTIME) - fixture_now(CLOCK_BOOTTIME));
        engine_clock_changed(f->engine);
}

static void check_delay(EngineFixture *f, const DelayCase *test)
{
        usec_t seen = test->come_usec + USEC_PER_MINUTE, now, next;
        _cleanup_free_ char *text = asprintf_or_null(CONNECTOR("[Schedule]\nRandomizedDelaySec=10min\n%s\n"),
                                                     test->schedule);
        ConnectorEntry *c;

        open_bank_at(f, text, test->catch_up ? test->come_usec - USEC_PER_HOUR : test->come_usec - USEC_PER_SEC);
        if (test->catch_up) {
                fixture_close(f);
                fixture_stop_clock(seen);
                fixture_open(f);
        }
        HASH_FIND_STR(f->engine->connectors, "bank", c);
        c->random_fraction = 0.5;
        c->schedule = (ScheduleNext) { .elapse_usec = USEC_INFINITY, .due_usec = USEC_INFINITY };
        engine_clock_changed(f->engine);
        time_goes_by(f, seen);

        fixture_advance_clock((usec_t) test->step_usec);
        for (int i = 0; i < 3; i++) {
                engine_clock_changed(f->engine);
                fixture_settle(f);
        }
        now = test->come_usec + (usec_t) test->due_usec;
        next = fixture_connector(f, "bank")->next_elapse_usec;
        assert_in_range(next, now - USEC_PER_SEC, now + USEC_PER_SEC);
        time_goes_by(f, next);
        fixture_run_until(f, fixture_has(f->calls, "start bank"));
        fixture_settle(f);
        assert_int_equal(active_run(f)->trigger, test->catch_up ? RUN_TRIGGER_CATCH_UP : RUN_TRIGGER_SCHEDULE);
        fixture_close(f);
}

#define MINUTES(n) ((n) * (int64_t) USEC_PER_MINUTE)

static void test_delay_and_time_zone(void **state)
{
        check_delay(*state, &(DelayCase) { "OnCalendar=*-*-* 09:00\nPersistent=no", NINE, false, 0, MINUTES(5) });
}

static void test_delay_and_persistent(void **state)
{
        check_delay(*state, &(DelayCase) { "OnCalendar=*-*-* 09:00", NINE, false, 0, MINUTES(5) });
}

static void test_delay_and_clock_set_on(void **state)
{
        check_delay(*state,
                    &(DelayCase) { "OnCalendar=*-*-* 09:00\nPersistent=no", NINE, false, MINUTES(2), MINUTES(5) });
}

/* Nine lies ahead again. */
static void test_delay_and_clock_set_back(void **state)
{
        check_delay(*state,
                    &(DelayCase) { "OnCalendar=*-*-* 09:00\nPersistent=no", NINE, false, -MINUTES(30), MINUTES(5) });
}

/* A run that makes up for missed ones, and one of Every=, wait for a span. */
static void test_delayed_catch_up_and_clock(void **state)
{
        check_delay(*state, &(DelayCase) { "OnCalendar=*-*-* 09:00", NINE, true, MINUTES(60), MINUTES(66) });
}

static void test_delayed_catch_up_and_clock_set_back(void **state)
{
        check_delay(*state, &(DelayCase) { "OnCalendar=*-*-* 09:00", NINE, true, -MINUTES(30), MINUTES(-24) });
}

static void test_delayed_every_and_clock(void **state)
{
        check_delay(*state, &(DelayCase) { "Every=1s\nPersistent=no", MIDNIGHT, false, MINUTES(60), MINUTES(65) });
}

/* ---- Overlaps */

static void test_overlap_skip(void **state)
{
        EngineFixture *f = *state;
        RunReport report = report_success();
        Answer a;

        open_bank(f, DAILY, EIGHT);
        a = fixture_start(f, "bank", false);
        expect_ok(fixture_attach(f, "bank").error);
        fixture_come_near(f, NINE);
        fixture_run_until(f, fixture_has(f->news, "event completed skipped"));
        assert_int_equal(fixture_sql(f, "SELECT count(*) FROM runs WHERE outcome = 'skipped' AND trigger = 'schedule'"
                                        " AND message LIKE 'Skipped: run % was still running'"),
                         1);
        assert_string_equal(active_run(f)->id, a.run_id);
        assert_int_equal(record(f)->last_outcome, _RUN_OUTCOME_INVALID);
        assert_int_equal(fixture_connector(f, "bank")->next_elapse_usec, NINE + USEC_PER_DAY);
        assert_int_equal(fixture_count(f->news, "run+ bank finished"), 1);
        expect_ok(fixture_finish(f, "bank", a.run_id, 1, &report));
        fixture_worker_ends(f, "bank", NULL);
        assert_null(fixture_connector(f, "bank")->run);
}

static void test_overlap_queue(void **state)
{
        EngineFixture *f = *state;
        RunReport report = report_success();
        Answer a;

        open_bank(f, CONNECTOR("[Schedule]\nOnCalendar=*-*-* 09:00\nOverlap=queue\n"), EIGHT);
        a = fixture_start(f, "bank", false);
        fixture_come_near(f, NINE);
        fixture_run_until(f, record(f)->follow_up.wanted);
        assert_string_equal(active_run(f)->id, a.run_id);
        assert_int_equal(fixture_sql(f, "SELECT count(*) FROM runs"), 1);
        fixture_close(f); /* remembered */
        fixture_open(f);
        fixture_run_to_end(f, "bank", &report);
        assert_string_not_equal(active_run(f)->id, a.run_id);
        assert_int_equal(active_run(f)->trigger, RUN_TRIGGER_SCHEDULE);
        assert_false(record(f)->follow_up.wanted);
        fixture_run_to_end(f, "bank", &report);
        assert_null(fixture_connector(f, "bank")->run);
}

static void test_queue_is_full(void **state)
{
        EngineFixture *f = *state;

        f->settings.max_concurrent_runs = 1;
        f->settings.max_queued_runs = 0; /* what starts at once does not wait */
        fixture_write_connector(f, "other", CONNECTOR());
        open_bank(f, DAILY, EIGHT);
        expect_ok(fixture_start(f, "other", false).error);
        fixture_come_near(f, NINE);
        fixture_run_until(f, fixture_has(f->news, "event completed skipped"));
        assert_int_equal(fixture_sql(f, "SELECT count(*) FROM runs WHERE message LIKE 'Skipped: too many%'"), 1);
}

/* An inactive connector does nothing by itself; made active, it does not make up for what it was not to do. */
static void test_inactive(void **state)
{
        EngineFixture *f = *state;

        open_bank(f, DAILY, NINE - USEC_PER_HOUR);
        expect_ok(fixture_set_active(f, "bank", false));
        assert_false(fixture_connector(f, "bank")->active);
        assert_int_equal(fixture_connector(f, "bank")->next_elapse_usec, USEC_INFINITY);
        fixture_close(f);
        fixture_advance_clock(3 * USEC_PER_DAY);
        fixture_open(f);
        assert_false(fixture_connector(f, "bank")->active);
        expect_ok(fixture_set_active(f, "bank", true));
        assert_true(fixture_connector(f, "bank")->active);
        assert_int_equal(record(f)->active_override, -1); /* what the file says anyway */
        assert_int_equal(fixture_connector(f, "bank")->next_elapse_usec, NINE + 3 * USEC_PER_DAY);
        expect_errno(fixture_set_active(f, "none", true), -ENXIO);
        fixture_close(f); /* nor after a restart */
        fixture_open(f);
        assert_int_equal(fixture_connector(f, "bank")->next_elapse_usec, NINE + 3 * USEC_PER_DAY);
        assert_int_equal(fixture_sql(f, "SELECT count(*) FROM runs"), 0);
}

/* ---- The clock */

static void test_clock_set(void **state)
{
        EngineFixture *f = *state;
        RunReport report = report_failure("HTTP 503", true);
        char id[RUN_ID_MAX + 1];
        usec_t at;

        open_bank(f, CONNECTOR("[Schedule]\nOnCalendar=*-*-* 09:00\n[Run]\nRetrySec=1h\nRetryMaxSec=1h\n"), MIDNIGHT);
        fixture_whole_run(f, "bank", &report, id);
        at = record(f)->retry_at_usec;

        /* Back by a year: the retry is as far away as before. */
        fixture_set_clock(MIDNIGHT - 365 * USEC_PER_DAY);
        engine_clock_changed(f->engine);
        fixture_settle(f);
        assert_in_range(record(f)->retry_at_usec, at - 365 * USEC_PER_DAY - USEC_PER_MINUTE,
                        at - 365 * USEC_PER_DAY + USEC_PER_MINUTE);
        at = record(f)->retry_at_usec;
        assert_int_equal(fixture_connector(f, "bank")->next_elapse_usec, at);

        /* On, over the schedule: made up for at once, and once. */
        fixture_set_clock(NINE + 2 * USEC_PER_DAY + USEC_PER_HOUR);
        engine_clock_changed(f->engine);
        fixture_run_until(f, fixture_has(f->calls, "start bank") && fixture_worker_alive(f, "bank"));
        assert_int_equal(active_run(f)->trigger, RUN_TRIGGER_CATCH_UP);
        assert_int_equal(fixture_connector(f, "bank")->next_elapse_usec, NINE + 3 * USEC_PER_DAY);
}

/* ---- Reconnecting (A12) */

static void expect_reconnected(const Answer *a, const char *before, const char *run_id)
{
        char text[128];

        (void) snprintf(text, sizeof(text), "%s%s;", before, run_id);
        assert_string_equal(a->reconnected, text);
}

static void test_reconnect(void **state)
{
        EngineFixture *f = *state;
        RunReport lost = report_category(ATTENTION_CONNECTION_LOST), success = report_success();
        char id[RUN_ID_MAX + 1];
        Connection connection;
        Answer a = {};

        fixture_write_connector(f, "other", CONNECTOR("[Connector]\nConnection=acme\n"));
        open_bank(f, CONNECTOR("[Connector]\nConnection=acme\n"), MIDNIGHT);
        expect_errno(fixture_ask_reconnect(f, "none", &a), -ENOLINK);
        expect_errno(engine_find_connection(f->engine, "none", &connection), -ENOLINK);
        expect_ok(engine_find_connection(f->engine, "acme", &connection));
        assert_int_equal(connection.state, CONNECTION_ACTIVE);
        fixture_whole_run(f, "bank", &lost, id);
        expect_ok(engine_find_connection(f->engine, "acme", &connection));
        assert_int_equal(connection.state, CONNECTION_LOST);
        assert_string_equal(connection.reason, "the bank wants to see you");
        assert_true(connection.since_usec > 0);

        fixture_forget(f);
        expect_ok(fixture_ask_reconnect(f, "acme", &a));
        fixture_run_until(f, a.n > 0);
        expect_ok(a.error);
        fixture_settle(f);
        assert_true(fixture_has(f->calls, "start bank"));
        assert_false(fixture_has(f->calls, "start other"));
        assert_int_equal(active_run(f)->trigger, RUN_TRIGGER_RECONNECT);
        assert_string_equal(active_run(f)->requested_by, "uid:7");
        expect_reconnected(&a, "bank ", active_run(f)->id);
        fixture_run_to_end(f, "bank", &success);
        expect_ok(engine_find_connection(f->engine, "acme", &connection));
        assert_int_equal(connection.state, CONNECTION_ACTIVE);
        assert_string_equal(engine_next_connection(f->engine, NULL), "acme");
        assert_null(engine_next_connection(f->engine, "acme"));
        fixture_load_connector(f, "bank", CONNECTOR());
        fixture_load_connector(f, "other", NULL);
        assert_null(engine_next_connection(f->engine, NULL));
}

static Answer reconnect(EngineFixture *f)
{
        Answer a = {};

        expect_ok(fixture_ask_reconnect(f, "acme", &a));
        fixture_run_until(f, a.n > 0);
        expect_ok(a.error);
        return a;
}

/* The active run may fail by the connection that was lost when it began: one more follows, over a restart too. */
static void test_reconnect_while_active(void **state)
{
        EngineFixture *f = *state;
        RunReport lost = report_category(ATTENTION_CONNECTION_LOST), success = report_success();
        char id[RUN_ID_MAX + 1];
        Answer a;

        open_bank(f, CONNECTOR("[Connector]\nConnection=acme\n"), MIDNIGHT);
        fixture_whole_run(f, "bank", &lost, id);
        expect_ok(fixture_start(f, "bank", false).error);
        (void) fixture_attach(f, "bank");
        a = reconnect(f);
        expect_reconnected(&a, "bank after ", active_run(f)->id);
        fixture_close(f);
        fixture_open(f);
        fixture_forget(f);
        fixture_run_to_end(f, "bank", &lost);
        assert_true(fixture_has(f->calls, "start bank"));
        assert_int_equal(active_run(f)->trigger, RUN_TRIGGER_RECONNECT);
        assert_string_equal(active_run(f)->requested_by, "uid:7");
        fixture_run_to_end(f, "bank", &success);
        assert_null(fixture_connector(f, "bank")->run);
}

/* The need is known, but the run that tells of it has not ended. */
static void test_reconnect_before_attention(void **state)
{
        EngineFixture *f = *state;
        RunReport lost = report_category(ATTENTION_CONNECTION_LOST);
        Answer a;

        open_bank(f, CONNECTOR("[Connector]\nConnection=acme\n"), MIDNIGHT);
        expect_ok(fixture_start(f, "bank", false).error);
        a = fixture_attach(f, "bank");
        assert_string_equal(reconnect(f).reconnected, "");
        assert_false(record(f)->follow_up.wanted); /* nothing is the matter */
        expect_ok(fixture_finish(f, "bank", a.run_id, 1, &lost));
        (void) reconnect(f);
        fixture_forget(f);
        fixture_worker_ends(f, "bank", NULL);
        assert_true(fixture_has(f->calls, "start bank"));
        assert_int_equal(active_run(f)->trigger, RUN_TRIGGER_RECONNECT);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                ENGINE_TEST(test_calendar),      ENGINE_TEST(test_every),
                ENGINE_TEST(test_catch_up),      ENGINE_TEST(test_catch_up_behind_a_lost_run),
                ENGINE_TEST(test_random_delay),  ENGINE_TEST(test_overlap_skip),
                ENGINE_TEST(test_delay_and_time_zone),
                ENGINE_TEST(test_delay_and_persistent),
                ENGINE_TEST(test_delay_and_clock_set_on),
                ENGINE_TEST(test_delay_and_clock_set_back),
                ENGINE_TEST(test_delayed_catch_up_and_clock),
                ENGINE_TEST(test_delayed_catch_up_and_clock_set_back),
                ENGINE_TEST(test_delayed_every_and_clock),
                ENGINE_TEST(test_overlap_queue), ENGINE_TEST(test_queue_is_full),
                ENGINE_TEST(test_inactive),      ENGINE_TEST(test_clock_set),
                ENGINE_TEST(test_reconnect),
                ENGINE_TEST(test_reconnect_while_active),
                ENGINE_TEST(test_reconnect_before_attention),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
