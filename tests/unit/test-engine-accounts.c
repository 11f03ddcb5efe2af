/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Retries, and runs of only some accounts: what they leave alone of retries, attention, failures in a row and
 * schedules. */

#include "unit/expect.h"

#include "base/time-util.h"
#include "unit/connection-fixture.h"

#define RETRIED CONNECTOR("[Connector]\nConnection=acme\n[Run]\nRetrySec=1h\nRetryMaxSec=1h\nNotifyAfter=3\n")

static const ConnectorRecord *record(EngineFixture *f)
{
        fixture_settle(f);
        return &fixture_connector(f, "bank")->record;
}

/* The clock stands: a retry, which may be due at once, does not come by itself. */
static void open_bank(EngineFixture *f, const char *text)
{
        fixture_stop_clock(NOON);
        fixture_write_connector(f, "bank", text);
        fixture_open(f);
}

/* A run of one or two accounts, or of all, from start to end. */
static void run_of(EngineFixture *f, const char *first, const char *second, const RunReport *report)
{
        expect_ok(fixture_start_of(f, "bank", false, first, second).error);
        fixture_run_to_end(f, "bank", report);
        fixture_settle(f);
}

static void succeed_of(EngineFixture *f, const char *first, const char *second)
{
        RunReport success = report_success();

        run_of(f, first, second, &success);
}

static void fail_of(EngineFixture *f, const char *first, const char *second, bool retry)
{
        RunReport failure = report_failure("HTTP 503", retry);

        run_of(f, first, second, &failure);
}

static void need_of(EngineFixture *f, const char *first, AttentionCategory category)
{
        RunReport needs = report_category(category);

        run_of(f, first, NULL, &needs);
}

/* All clocks go on to when it is due. */
static void reach_retry(EngineFixture *f)
{
        fixture_forget(f);
        fixture_let_pass(record(f)->retry_at_usec - fixture_now(CLOCK_REALTIME));
        engine_clock_changed(f->engine);
        fixture_run_until(f, fixture_has(f->calls, "start bank"));
}

/* ---- Retries */

static void test_retry_of_others_stands(void **state)
{
        RunReport success = report_success();
        EngineFixture *f = *state;
        usec_t at;
        Answer a;

        open_bank(f, RETRIED);
        fail_of(f, "visa", NULL, true);
        at = record(f)->retry_at_usec;
        assert_true(at > 0);
        /* Also over kill -9 in the middle of it. */
        a = fixture_start_of(f, "bank", false, "giro", NULL);
        expect_ok(a.error);
        expect_ok(fixture_attach(f, "bank").error);
        fixture_kill(f);
        fixture_open(f);
        assert_int_equal(record(f)->retry_at_usec, at);
        fixture_run_to_end(f, "bank", &success);
        assert_int_equal(record(f)->retry_at_usec, at);
        fail_of(f, "giro", NULL, false);
        a = fixture_start_of(f, "bank", false, "giro", "visa");
        assert_int_equal(record(f)->retry_at_usec, 0); /* it is tried again by that */
        expect_ok(fixture_cancel(f, a.run_id));
        fixture_worker_ends(f, "bank", NULL);

        fail_of(f, NULL, NULL, true);
        succeed_of(f, "giro", NULL);
        assert_true(record(f)->retry_at_usec > 0);
        a = fixture_start_of(f, "bank", false, "giro", NULL);
        expect_ok(fixture_cancel(f, a.run_id));
        fixture_worker_ends(f, "bank", NULL);
        assert_null(record(f)->retry_accounts);
        assert_true(record(f)->retry_at_usec > 0);
        succeed_of(f, NULL, NULL);
        assert_int_equal(record(f)->retry_at_usec, 0);
}

static void test_retry_is_of_its_accounts(void **state)
{
        EngineFixture *f = *state;
        char first[RUN_ID_MAX + 1];

        open_bank(f, RETRIED);
        fail_of(f, "visa", NULL, true);
        (void) snprintf(first, sizeof(first), "%s", record(f)->last_run_id);
        succeed_of(f, "giro", NULL);
        fixture_kill(f);
        fixture_open(f);
        reach_retry(f);
        assert_int_equal(record(f)->retry_at_usec, 0);
        assert_int_equal(fixture_connector(f, "bank")->run->trigger, RUN_TRIGGER_RETRY);
        assert_int_equal(fixture_connector(f, "bank")->run->attempt, 2);
        assert_string_equal(fixture_connector(f, "bank")->run->only_accounts, "[\"visa\"]");
        assert_string_equal(fixture_connector(f, "bank")->run->retry_of, first);
}

/* Two promises are one, that keeps both: when the earlier is due, but not before a provider will have it. */
static void test_retries_are_joined(void **state)
{
        RunReport failure = report_failure("HTTP 429", true);
        EngineFixture *f = *state;
        usec_t at;

        open_bank(f, RETRIED);
        fail_of(f, "visa", NULL, true);
        at = record(f)->retry_at_usec;
        fail_of(f, "giro", NULL, true);
        assert_true(record(f)->retry_at_usec <= at);
        assert_false(record(f)->retry_is_absolute);
        assert_string_equal(record(f)->retry_accounts, "[\"visa\",\"giro\"]");
        failure.retry_at_usec = NOON + USEC_PER_DAY;
        run_of(f, "cash", NULL, &failure);
        assert_int_equal(record(f)->retry_at_usec, NOON + USEC_PER_DAY);
        assert_true(record(f)->retry_is_absolute);
        fail_of(f, "giro", NULL, true);
        assert_int_equal(record(f)->retry_at_usec, NOON + USEC_PER_DAY);
        assert_string_equal(record(f)->retry_accounts, "[\"visa\",\"giro\",\"cash\"]");
        succeed_of(f, "visa", "giro");
        assert_string_equal(record(f)->retry_accounts, "[\"visa\",\"giro\",\"cash\"]");
        fail_of(f, NULL, NULL, true); /* has taken it */
        assert_null(record(f)->retry_accounts);
        assert_false(record(f)->retry_is_absolute);
}

/* They are handed on in one piece: as many bytes as one call may name, or all. */
static void test_joined_accounts_bytes(void **state)
{
        enum { NAME = 200, NAMES = ACCOUNTS_BYTES_MAX / NAME };
        static char names[NAMES][NAME];
        char *accounts[NAMES + 2] = {}, one_more[] = "visa";
        const StartOptions options = { .trigger = RUN_TRIGGER_MANUAL, .accounts = accounts };
        RunReport failure = report_failure("HTTP 503", true);
        EngineFixture *f = *state;
        Answer a = {};

        static_assert(NAMES * NAME == ACCOUNTS_BYTES_MAX, "the names are of just as many bytes");
        open_bank(f, RETRIED);
        for (int i = 0; i < NAMES; i++) {
                (void) snprintf(names[i], NAME, "%0*d", NAME - 1, i);
                accounts[i] = names[i];
        }
        accounts[NAMES] = one_more;
        expect_errno(engine_start_run(f->engine, "bank", &options, on_start_answer, &a), -E2BIG);
        accounts[NAMES] = NULL;
        expect_ok(engine_start_run(f->engine, "bank", &options, on_start_answer, &a));
        fixture_run_until(f, a.n > 0);
        fixture_run_to_end(f, "bank", &failure);
        assert_non_null(record(f)->retry_accounts);
        fail_of(f, names[0], NULL, true);
        assert_non_null(record(f)->retry_accounts);
        fail_of(f, one_more, NULL, true);
        assert_true(record(f)->retry_at_usec > 0);
        assert_null(record(f)->retry_accounts);
}

#define WITH_RETRIES(settings) CONNECTOR("[Run]\n" settings)

/* A retry that waits follows the connector's file, over a restart, too; it may begin later than that says, never
 * earlier than the provider does. */
static void test_retry_follows_its_file(void **state)
{
        EngineFixture *f = *state;
        RunReport failure = report_failure("HTTP 429", true);
        Answer a;

        failure.retry_at_usec = NOON + USEC_PER_DAY;
        open_bank(f, WITH_RETRIES("RetryMax=2\n"));
        fail_of(f, NULL, NULL, true);
        reach_retry(f);
        fixture_run_to_end(f, "bank", &failure);
        assert_int_equal(record(f)->retry_attempt, 3);
        fixture_load_connector(f, "bank", WITH_RETRIES("RetryMax=2\nRetrySec=1s\n"));
        assert_int_equal(record(f)->retry_at_usec, NOON + USEC_PER_DAY);
        fixture_forget(f);
        fixture_load_connector(f, "bank", WITH_RETRIES("RetryMax=1\n"));
        assert_int_equal(record(f)->retry_at_usec, 0);
        assert_true(fixture_has(f->news, "connector bank"));
        assert_int_equal(fixture_connector(f, "bank")->next_elapse_usec, USEC_INFINITY);
        assert_int_equal(fixture_sql(f, "SELECT count(*) FROM connectors WHERE retry_at_usec IS NULL"), 1);

        /* By our own pauses: no later than the longest of them. */
        fixture_load_connector(f, "bank", WITH_RETRIES("RetrySec=300d\nRetryMaxSec=300d\n"));
        fail_of(f, NULL, NULL, true);
        while (record(f)->retry_at_usec <= fixture_now(CLOCK_REALTIME) + USEC_PER_HOUR) /* drawn from 300 days */
                fail_of(f, NULL, NULL, true);
        fixture_close(f);
        fixture_write_connector(f, "bank", WITH_RETRIES("RetrySec=1h\n"));
        fixture_open(f);
        assert_int_equal(record(f)->retry_at_usec, fixture_now(CLOCK_REALTIME) + USEC_PER_HOUR);
        assert_int_equal(record(f)->retry_attempt, 2);
        fixture_close(f);
        fixture_write_connector(f, "bank", WITH_RETRIES("RetryMax=0\n"));
        fixture_open(f);
        assert_int_equal(record(f)->retry_at_usec, 0);

        /* A run that is active when its file is changed promises what the file says at its end. */
        fixture_load_connector(f, "bank", WITH_RETRIES("RetryMax=3\n"));
        a = fixture_start(f, "bank", false);
        expect_ok(a.error);
        fixture_load_connector(f, "bank", WITH_RETRIES("RetryMax=0\n"));
        fixture_run_to_end(f, "bank", &failure);
        assert_int_equal(record(f)->retry_at_usec, 0);
}

/* Nobody gets fewer attempts because another had some. */
static void test_joined_retry_counts_the_fewer(void **state)
{
        RunReport failure = report_failure("HTTP 503", true);
        EngineFixture *f = *state;
        char first[RUN_ID_MAX + 1];

        open_bank(f, RETRIED);
        fail_of(f, "visa", NULL, true);
        reach_retry(f);
        fixture_run_to_end(f, "bank", &failure);
        assert_int_equal(record(f)->retry_attempt, 3);
        fail_of(f, "giro", NULL, true);
        (void) snprintf(first, sizeof(first), "%s", record(f)->last_run_id);
        assert_int_equal(record(f)->retry_attempt, 2);
        assert_string_equal(record(f)->retry_of, first);
        assert_string_equal(record(f)->retry_accounts, "[\"visa\",\"giro\"]");
}

/* ---- Attention */

static AttentionCategory attention(EngineFixture *f)
{
        return record(f)->attention.category;
}

static void test_success_clears_what_it_covers(void **state)
{
        EngineFixture *f = *state;

        open_bank(f, RETRIED);
        need_of(f, "visa", ATTENTION_CONFIGURATION_ERROR);
        succeed_of(f, "giro", NULL);
        assert_int_equal(attention(f), ATTENTION_CONFIGURATION_ERROR);
        fixture_kill(f);
        fixture_open(f);
        succeed_of(f, "giro", "visa");
        assert_int_equal(attention(f), _ATTENTION_INVALID);

        /* Of all, and of none by its name. */
        need_of(f, NULL, ATTENTION_CONFIGURATION_ERROR);
        succeed_of(f, "giro", "visa");
        assert_int_equal(attention(f), ATTENTION_CONFIGURATION_ERROR);
        succeed_of(f, NULL, NULL);
        assert_int_equal(attention(f), _ATTENTION_INVALID);

        /* Of two, one after the other. */
        need_of(f, "visa", ATTENTION_CONFIGURATION_ERROR);
        need_of(f, "giro", ATTENTION_CONFIGURATION_ERROR);
        succeed_of(f, "giro", NULL);
        assert_int_equal(attention(f), ATTENTION_CONFIGURATION_ERROR);
        succeed_of(f, "visa", NULL);
        assert_int_equal(attention(f), _ATTENTION_INVALID);
        assert_int_equal(fixture_count(f->news, "attention bank -"), 3);
}

/* An account of a run of all names itself. */
static void test_account_in_need_is_asked_alone(void **state)
{
        Account accounts[] = {
                { .name = (char *) "visa", .status = ACCOUNT_FAILED, .category = ATTENTION_DATA_ERROR },
                { .name = (char *) "giro", .status = ACCOUNT_SUCCESS, .category = _ATTENTION_INVALID },
        };
        RunReport partial = RUN_REPORT_INIT;
        EngineFixture *f = *state;

        partial.outcome = RUN_PARTIAL;
        partial.accounts = accounts;
        partial.n_accounts = ELEMENTSOF(accounts);
        open_bank(f, RETRIED);
        run_of(f, NULL, NULL, &partial);
        succeed_of(f, "giro", NULL);
        assert_int_equal(attention(f), ATTENTION_DATA_ERROR);
        succeed_of(f, "visa", NULL);
        assert_int_equal(attention(f), _ATTENTION_INVALID);
}

static void test_failures_in_a_row_of_an_account(void **state)
{
        EngineFixture *f = *state;

        open_bank(f, RETRIED);
        fail_of(f, "visa", NULL, false);
        fail_of(f, "visa", NULL, false);
        succeed_of(f, "giro", NULL);
        assert_int_equal(record(f)->consecutive_failures, 2);
        fixture_kill(f);
        fixture_open(f);
        fail_of(f, "visa", NULL, false);
        assert_int_equal(attention(f), ATTENTION_CONNECTION_LOST);
        succeed_of(f, "giro", NULL);
        assert_int_equal(attention(f), ATTENTION_CONNECTION_LOST);
        succeed_of(f, "visa", NULL);
        assert_int_equal(attention(f), _ATTENTION_INVALID);
        assert_int_equal(record(f)->consecutive_failures, 0);

        fail_of(f, NULL, NULL, false);
        succeed_of(f, "giro", NULL);
        assert_int_equal(record(f)->consecutive_failures, 1);
        fail_of(f, "giro", NULL, false); /* the first, since it was got */
        assert_int_equal(record(f)->consecutive_failures, 1);
        fail_of(f, NULL, NULL, false);
        assert_int_equal(record(f)->consecutive_failures, 2);
        assert_int_equal(attention(f), _ATTENTION_INVALID);
        fail_of(f, "cash", NULL, false); /* the third, with two of all */
        assert_int_equal(attention(f), ATTENTION_CONNECTION_LOST);
        assert_string_equal(record(f)->attention.accounts, "[\"cash\"]");
        succeed_of(f, NULL, NULL);
        assert_int_equal(record(f)->consecutive_failures, 0);
}

/* Different accounts are no row, whichever fails; an account's goes on beside them. */
static void test_failures_of_different_accounts(void **state)
{
        EngineFixture *f = *state;

        open_bank(f, RETRIED);
        fail_of(f, "visa", NULL, false);
        fail_of(f, "giro", NULL, false);
        fail_of(f, "cash", NULL, false);
        assert_int_equal(record(f)->consecutive_failures, 1);
        assert_int_equal(attention(f), _ATTENTION_INVALID);
        fail_of(f, "visa", "giro", false);
        fail_of(f, "cash", NULL, false);
        assert_int_equal(attention(f), _ATTENTION_INVALID);
        fail_of(f, "visa", NULL, false);
        assert_int_equal(attention(f), ATTENTION_CONNECTION_LOST);
        assert_string_equal(record(f)->attention.message, "Failed 3 times in a row: HTTP 503");
        assert_string_equal(record(f)->attention.accounts, "[\"visa\"]");
}

/* The provider's word, when to come again, is of those accounts; others wait for nothing. Where no retry is left, it
 * is no word. */
static void test_put_off_by_the_provider(void **state)
{
        RunReport later = report_failure("HTTP 429", true);
        EngineFixture *f = *state;

        open_bank(f, CONNECTOR("[Run]\nRetryMax=2\nRetrySec=1h\nRetryMaxSec=1h\nNotifyAfter=1\n"));
        later.retry_at_usec = NOON + USEC_PER_DAY;
        run_of(f, "visa", NULL, &later);
        run_of(f, "visa", NULL, &later);
        assert_int_equal(attention(f), _ATTENTION_INVALID);
        assert_int_equal(record(f)->consecutive_failures, 2);
        fail_of(f, "giro", NULL, true);
        assert_string_equal(record(f)->retry_accounts, "[\"visa\",\"giro\"]");
        assert_true(record(f)->retry_is_absolute);
        assert_int_equal(attention(f), ATTENTION_CONNECTION_LOST);
        assert_string_equal(record(f)->attention.message, "HTTP 503");
        assert_string_equal(record(f)->attention.accounts, "[\"giro\"]");
        succeed_of(f, NULL, NULL);
        for (int i = 0; i < 3; i++) {
                assert_int_equal(attention(f), _ATTENTION_INVALID);
                if (i > 0)
                        reach_retry(f);
                later.retry_at_usec = fixture_now(CLOCK_REALTIME) + USEC_PER_DAY;
                if (i > 0)
                        fixture_run_to_end(f, "bank", &later);
                else
                        run_of(f, NULL, NULL, &later);
        }
        assert_int_equal(attention(f), ATTENTION_CONNECTION_LOST);
}

/* The connection of an account that was lost is found again by that account, or by all. */
static void test_connection_of_an_account(void **state)
{
        EngineFixture *f = *state;

        open_bank(f, RETRIED);
        need_of(f, "visa", ATTENTION_CONNECTION_LOST);
        expect_state(f, "lost");
        fixture_advance_clock(USEC_PER_MINUTE);
        succeed_of(f, "giro", NULL);
        expect_state(f, "lost");
        fixture_advance_clock(USEC_PER_MINUTE);
        succeed_of(f, "visa", NULL);
        expect_state(f, "active");
        fixture_advance_clock(USEC_PER_MINUTE);
        need_of(f, NULL, ATTENTION_CONNECTION_LOST);
        fixture_advance_clock(USEC_PER_MINUTE);
        succeed_of(f, "visa", NULL);
        expect_state(f, "lost");
        fixture_advance_clock(USEC_PER_MINUTE);
        succeed_of(f, NULL, NULL);
        expect_state(f, "active");
}

/* ---- The schedule */

/* What the active run leaves out is not skipped, but follows it. */
static void test_schedule_beside_some(void **state)
{
        RunReport success = report_success();
        EngineFixture *f = *state;
        NextRun next;
        Answer a;

        open_bank(f, CONNECTOR("[Schedule]\nOnCalendar=*-*-* 12:30\n"));
        a = fixture_start_of(f, "bank", false, "visa", NULL);
        expect_ok(a.error);
        expect_ok(fixture_attach(f, "bank").error);
        fixture_come_near(f, NOON + 30 * USEC_PER_MINUTE);
        fixture_run_until(f, connector_follow_up(fixture_connector(f, "bank"), &next));
        assert_int_equal(next.trigger, RUN_TRIGGER_SCHEDULE);
        assert_null(next.accounts);
        assert_int_equal(fixture_connector(f, "bank")->next_elapse_usec,
                         NOON + 30 * USEC_PER_MINUTE + USEC_PER_DAY);
        fixture_kill(f);
        fixture_open(f);
        fixture_forget(f);
        expect_ok(fixture_finish(f, "bank", a.run_id, 1, &success));
        fixture_worker_ends(f, "bank", NULL);
        assert_true(fixture_has(f->calls, "start bank"));
        assert_int_equal(fixture_connector(f, "bank")->run->trigger, RUN_TRIGGER_SCHEDULE);
        assert_null(fixture_connector(f, "bank")->run->only_accounts);
        assert_int_equal(fixture_sql(f, "SELECT count(*) FROM runs WHERE outcome = 'skipped'"), 0);
        assert_int_equal(fixture_sql(f, "SELECT count(*) FROM runs"), 2);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                ENGINE_TEST(test_retry_of_others_stands),
                ENGINE_TEST(test_retry_is_of_its_accounts),
                ENGINE_TEST(test_retries_are_joined),
                ENGINE_TEST(test_joined_accounts_bytes),
                ENGINE_TEST(test_retry_follows_its_file),
                ENGINE_TEST(test_joined_retry_counts_the_fewer),
                ENGINE_TEST(test_success_clears_what_it_covers),
                ENGINE_TEST(test_account_in_need_is_asked_alone),
                ENGINE_TEST(test_failures_in_a_row_of_an_account),
                ENGINE_TEST(test_failures_of_different_accounts),
                ENGINE_TEST(test_put_off_by_the_provider),
                ENGINE_TEST(test_connection_of_an_account),
                ENGINE_TEST(test_schedule_beside_some),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
