/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which runs that failed are tried again, when, and as what. */

#include "unit/expect.h"

#include "unit/engine-fixture.h"

#include "engine/engine-internal.h"

#define MIDNIGHT (UINT64_C(1780099200) * USEC_PER_SEC) /* 2026-05-30 */

static void open_bank(EngineFixture *f, const char *text, usec_t now)
{
        fixture_set_clock(now);
        fixture_write_connector(f, "bank", text);
        fixture_open(f);
        fixture_forget(f);
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

#define RETRY() CONNECTOR("[Run]\nRetrySec=20ms\nRetryMaxSec=40ms\nRetryMax=2\n")

static void test_retries(void **state)
{
        EngineFixture *f = *state;
        RunReport report = report_failure("HTTP 503", true);
        char *accounts[] = { (char *) "savings", NULL };
        const StartOptions options = { .trigger = RUN_TRIGGER_MANUAL, .requested_by = "uid:0", .accounts = accounts };
        char id[RUN_ID_MAX + 1];
        Answer a = {};

        open_bank(f, RETRY(), MIDNIGHT);
        expect_ok(engine_start_run(f->engine, "bank", &options, on_start_answer, &a));
        fixture_run_until(f, a.n > 0);
        (void) strcpy(id, a.run_id);
        fixture_run_to_end(f, "bank", &report);
        for (unsigned attempt = 2; attempt <= 3; attempt++) {
                fixture_run_until(f, fixture_worker_alive(f, "bank"));
                fixture_settle(f);
                assert_int_equal(active_run(f)->trigger, RUN_TRIGGER_RETRY);
                assert_int_equal(active_run(f)->attempt, attempt);
                assert_string_equal(active_run(f)->retry_of, id);
                assert_string_equal(active_run(f)->only_accounts, "[\"savings\"]");
                assert_null(active_run(f)->requested_by);
                assert_int_equal(record(f)->retry_at_usec, 0);
                fixture_run_to_end(f, "bank", &report);
        }
        assert_int_equal(record(f)->retry_at_usec, 0);
        assert_int_equal(record(f)->consecutive_failures, 3);
        assert_int_equal(fixture_connector(f, "bank")->next_elapse_usec, USEC_INFINITY);
        assert_int_equal(count_runs(f, "retry"), 2);
}

/* The time of the next attempt is in the history. */
static void test_retry_survives(void **state)
{
        EngineFixture *f = *state;
        RunReport report = report_failure("HTTP 503", true);
        char id[RUN_ID_MAX + 1];
        usec_t at;

        open_bank(f, CONNECTOR("[Run]\nRetrySec=1h\n"), MIDNIGHT);
        report.retry_at_usec = MIDNIGHT + 2 * USEC_PER_HOUR; /* not before: the provider's quota */
        fixture_whole_run(f, "bank", &report, id);
        assert_int_equal(record(f)->retry_attempt, 2);
        assert_string_equal(record(f)->retry_of, id);
        at = record(f)->retry_at_usec;
        assert_int_equal(at, MIDNIGHT + 2 * USEC_PER_HOUR);
        fixture_kill(f);
        fixture_open(f);
        assert_int_equal(fixture_connector(f, "bank")->next_elapse_usec, at);
        fixture_close(f);
        fixture_forget(f);
        fixture_set_clock(at + USEC_PER_HOUR);
        fixture_open(f);
        fixture_run_until(f, fixture_has(f->calls, "start bank"));
        assert_int_equal(active_run(f)->trigger, RUN_TRIGGER_RETRY);
        assert_string_equal(active_run(f)->retry_of, id);
}

static void test_not_retried(void **state)
{
        EngineFixture *f = *state;
        RunReport report = report_category(ATTENTION_CONSENT_EXPIRED);
        char id[RUN_ID_MAX + 1];

        open_bank(f, CONNECTOR("[Run]\nRetrySec=1h\n"), MIDNIGHT);
        fixture_whole_run(f, "bank", &report, id); /* only the user can mend it */
        assert_int_equal(record(f)->retry_at_usec, 0);
        report = report_failure("exit status 1", false);
        fixture_whole_run(f, "bank", &report, id);
        assert_int_equal(record(f)->retry_at_usec, 0);
        report = report_success();
        report.retry = true;
        fixture_whole_run(f, "bank", &report, id);
        assert_int_equal(record(f)->retry_at_usec, 0);
        report = report_success();
        report.outcome = RUN_PARTIAL; /* rate limited: the rest comes later */
        report.retry = true;
        fixture_whole_run(f, "bank", &report, id);
        assert_true(record(f)->retry_at_usec > 0);
}

/* A run that is asked for replaces the retry that waits, and is a first attempt. */
static void test_manual_replaces_retry(void **state)
{
        EngineFixture *f = *state;
        RunReport report = report_failure("HTTP 503", true);
        char id[RUN_ID_MAX + 1];

        open_bank(f, CONNECTOR("[Run]\nRetrySec=1h\n"), MIDNIGHT);
        fixture_whole_run(f, "bank", &report, id);
        assert_int_equal(record(f)->retry_attempt, 2);
        expect_ok(fixture_start(f, "bank", false).error);
        assert_int_equal(record(f)->retry_at_usec, 0);
        assert_int_equal(active_run(f)->attempt, 1);
        assert_null(active_run(f)->retry_of);
        fixture_run_to_end(f, "bank", &report);
        assert_int_equal(record(f)->retry_attempt, 2);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                ENGINE_TEST(test_retries),
                ENGINE_TEST(test_retry_survives),
                ENGINE_TEST(test_not_retried),
                ENGINE_TEST(test_manual_replaces_retry),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
