/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* When a connector needs a person (A8, A9). */

#include "unit/expect.h"

#include "unit/engine-fixture.h"

#include "engine/attention-rules.h"

/* ---- The rules by themselves */

static Run ended(RunOutcome outcome, AttentionCategory category)
{
        return (Run){ .id = (char *) "run",
                      .outcome = outcome,
                      .category = category,
                      .finished_usec = 7,
                      .error = (char *) "no" };
}

static void test_rules(void **state)
{
        static const struct {
                RunOutcome outcome;
                AttentionCategory category;
                int changed;
                AttentionCategory attention;
                unsigned failures;
        } steps[] = {
                /* NotifyAfter=2 */
                { RUN_FAILED, _ATTENTION_INVALID, 0, _ATTENTION_INVALID, 1 },
                { RUN_SUCCEEDED, _ATTENTION_INVALID, 0, _ATTENTION_INVALID, 0 },
                { RUN_FAILED, _ATTENTION_INVALID, 0, _ATTENTION_INVALID, 1 },
                { RUN_CANCELLED, _ATTENTION_INVALID, 0, _ATTENTION_INVALID, 1 },
                { RUN_FAILED, _ATTENTION_INVALID, ATTENTION_CHANGED, ATTENTION_CONNECTION_LOST, 2 },
                { RUN_FAILED, _ATTENTION_INVALID, 0, ATTENTION_CONNECTION_LOST, 3 },
                { RUN_FAILED, ATTENTION_CONSENT_EXPIRED, ATTENTION_CHANGED, ATTENTION_CONSENT_EXPIRED, 4 },
                { RUN_FAILED, ATTENTION_CONSENT_EXPIRED, 0, ATTENTION_CONSENT_EXPIRED, 5 }, /* the same */
                { RUN_FAILED, _ATTENTION_INVALID, 0, ATTENTION_CONSENT_EXPIRED, 6 },
                /* It works in part; what does not lasts. */
                { RUN_PARTIAL, _ATTENTION_INVALID, ATTENTION_CHANGED | ATTENTION_MET, ATTENTION_CONNECTION_LOST, 7 },
                { RUN_PARTIAL, ATTENTION_DATA_ERROR, ATTENTION_CHANGED | ATTENTION_MET, ATTENTION_DATA_ERROR, 8 },
                { RUN_SUCCEEDED, _ATTENTION_INVALID, ATTENTION_CHANGED | ATTENTION_MET, _ATTENTION_INVALID, 0 },
                { RUN_PARTIAL, _ATTENTION_INVALID, 0, _ATTENTION_INVALID, 1 },
                { RUN_SUCCEEDED, _ATTENTION_INVALID, 0, _ATTENTION_INVALID, 0 },
                { RUN_FAILED, ATTENTION_DESTINATION_DELETED, ATTENTION_CHANGED, ATTENTION_DESTINATION_DELETED,
                  1 }, /* at once */
                { RUN_SUCCEEDED, ATTENTION_DATA_ERROR, ATTENTION_CHANGED | ATTENTION_MET, _ATTENTION_INVALID, 0 },
        };
        ConnectorRecord record = CONNECTOR_RECORD_INIT;

        record.lasting = ATTENTION_CONNECTION_LOST;

        for (size_t i = 0; i < ELEMENTSOF(steps); i++) {
                const Run run = ended(steps[i].outcome, steps[i].category);

                assert_int_equal(attention_apply(&record, &run, 2), steps[i].changed);
                assert_int_equal(record.attention.category, steps[i].attention);
                assert_int_equal(record.consecutive_failures, steps[i].failures);
        }
        connector_record_done(&record);
}

static void test_message(void **state)
{
        ConnectorRecord record = CONNECTOR_RECORD_INIT;
        Run run = ended(RUN_FAILED, _ATTENTION_INVALID);

        record.lasting = ATTENTION_CONFIGURATION_ERROR;
        assert_int_equal(attention_apply(&record, &run, 1), ATTENTION_CHANGED);
        assert_string_equal(record.attention.message, "no");
        assert_int_equal(record.attention.since_usec, 7);
        assert_string_equal(record.attention.run_id, "run");
        attention_done(&record.attention);
        record.attention.category = _ATTENTION_INVALID;
        assert_int_equal(attention_apply(&record, &run, 1), ATTENTION_CHANGED);
        assert_string_equal(record.attention.message, "Failed 2 times in a row: no");

        /* Other words for the same need are news; since when is not. */
        run = ended(RUN_FAILED, ATTENTION_CONFIGURATION_ERROR);
        run.error = (char *) "no such account";
        run.finished_usec = 9;
        run.id = (char *) "run2";
        assert_int_equal(attention_apply(&record, &run, 1), ATTENTION_CHANGED);
        assert_int_equal(record.attention.since_usec, 7);
        assert_string_equal(record.attention.run_id, "run2");
        connector_record_done(&record);
}

/* A cause that no person mends at the connector raises nothing, however often; the next failure counts on. */
static void test_lasting_without_a_category(void **state)
{
        ConnectorRecord record = CONNECTOR_RECORD_INIT;
        Run run = ended(RUN_FAILED, _ATTENTION_INVALID);

        for (int i = 0; i < 3; i++)
                assert_int_equal(attention_apply(&record, &run, 1), 0);
        assert_int_equal(record.attention.category, _ATTENTION_INVALID);
        assert_int_equal(record.consecutive_failures, 3);
        record.lasting = ATTENTION_CONNECTION_LOST;
        assert_int_equal(attention_apply(&record, &run, 4), ATTENTION_CHANGED);
        connector_record_done(&record);
}

/* ---- In the engine */

static void test_raised_and_cleared(void **state)
{
        EngineFixture *f = *state;
        RunReport needs = report_category(ATTENTION_CONSENT_EXPIRED), success = report_success();
        char id[RUN_ID_MAX + 1];
        EngineStatus status;

        fixture_write_connector(f, "bank", CONNECTOR("[Run]\nNotifyAfter=5\n"));
        fixture_open(f);
        fixture_whole_run(f, "bank", &needs, id);
        assert_true(fixture_has(f->news, "attention bank consent_expired"));
        fixture_expect_order(f->news, "connector bank", "attention bank");
        engine_status(f->engine, &status);
        assert_int_equal(status.n_attention, 1);
        assert_string_equal(fixture_connector(f, "bank")->record.attention.message, "the bank wants to see you");
        assert_string_equal(fixture_connector(f, "bank")->record.attention.run_id, id);
        fixture_forget(f);
        fixture_kill(f);
        fixture_open(f);
        engine_status(f->engine, &status);
        assert_int_equal(status.n_attention, 1);
        assert_false(fixture_has(f->news, "attention"));
        fixture_whole_run(f, "bank", &success, id);
        assert_true(fixture_has(f->news, "attention bank -"));
        engine_status(f->engine, &status);
        assert_int_equal(status.n_attention, 0);
}

static void test_notify_after(void **state)
{
        EngineFixture *f = *state;
        RunReport report = report_failure("exit status 1", false);
        char id[RUN_ID_MAX + 1];

        fixture_write_connector(f, "bank", CONNECTOR("[Run]\nNotifyAfter=2\n"));
        fixture_open(f);
        fixture_whole_run(f, "bank", &report, id);
        assert_false(fixture_has(f->news, "attention"));
        fixture_whole_run(f, "bank", &report, id);
        assert_true(fixture_has(f->news, "attention bank connection_lost"));
        assert_string_equal(fixture_connector(f, "bank")->record.attention.message,
                            "Failed 2 times in a row: exit status 1");
}

/* Runs are counted, and retries are runs. */
static void test_notify_after_and_retries(void **state)
{
        EngineFixture *f = *state;
        RunReport report = report_failure("HTTP 503", true);
        char id[RUN_ID_MAX + 1];

        fixture_write_connector(f, "bank", CONNECTOR("[Run]\nRetryMax=5\nRetrySec=1h\nNotifyAfter=2\n"));
        fixture_write_connector(f, "mail", CONNECTOR("[Run]\nRetrySec=1h\n"));
        fixture_open(f);
        for (unsigned n = 1; n <= 2; n++) {
                fixture_whole_run(f, "bank", &report, id);
                assert_int_equal(fixture_connector(f, "bank")->record.attention.category,
                                 n < 2 ? _ATTENTION_INVALID : ATTENTION_CONNECTION_LOST);
        }
        assert_true(fixture_connector(f, "bank")->record.retry_at_usec > 0);
        fixture_whole_run(f, "mail", &report, id); /* as it is where nothing is set */
        assert_int_equal(fixture_connector(f, "mail")->record.attention.category, ATTENTION_CONNECTION_LOST);
        assert_true(fixture_connector(f, "mail")->record.retry_at_usec > 0);
}

static void partial_run(EngineFixture *f, AccountStatus checking, AttentionCategory category, AccountStatus savings)
{
        Account accounts[] = {
                { .name = (char *) "checking", .status = checking, .error = (char *) "no", .category = category },
                { .name = (char *) "savings", .status = savings, .category = _ATTENTION_INVALID },
        };
        RunReport report = RUN_REPORT_INIT;
        char id[RUN_ID_MAX + 1];

        report.outcome = RUN_PARTIAL;
        report.accounts = accounts;
        report.n_accounts = ELEMENTSOF(accounts);
        fixture_whole_run(f, "bank", &report, id);
}

/* Where accounts fail that need nothing, what was wrong before is past, unless it was theirs. */
static void test_partial_clears_what_it_got(void **state)
{
        EngineFixture *f = *state;
        RunReport failure = report_category(ATTENTION_CONNECTION_LOST);
        const Attention *attention;
        char id[RUN_ID_MAX + 1];

        fixture_write_connector(f, "bank", CONNECTOR("[Connector]\nConnection=acme\n[Run]\nNotifyAfter=5\n"));
        fixture_open(f);
        attention = &fixture_connector(f, "bank")->record.attention;
        fixture_whole_run(f, "bank", &failure, id); /* no account's */
        assert_int_equal(attention->category, ATTENTION_CONNECTION_LOST);
        assert_int_equal(fixture_sql(f, "SELECT state = 'lost' FROM connections"), 1);
        fixture_forget(f);
        partial_run(f, ACCOUNT_SUCCESS, _ATTENTION_INVALID, ACCOUNT_FAILED);
        assert_true(fixture_has(f->news, "attention bank -"));
        assert_int_equal(fixture_sql(f, "SELECT state = 'active' FROM connections"), 1);

        partial_run(f, ACCOUNT_FAILED, ATTENTION_CONSENT_EXPIRED, ACCOUNT_SUCCESS);
        assert_int_equal(attention->category, ATTENTION_CONSENT_EXPIRED);
        partial_run(f, ACCOUNT_FAILED, _ATTENTION_INVALID, ACCOUNT_SUCCESS);
        assert_int_equal(attention->category, ATTENTION_CONSENT_EXPIRED);
        partial_run(f, ACCOUNT_NO_DATA, _ATTENTION_INVALID, ACCOUNT_FAILED);
        assert_int_equal(attention->category, _ATTENTION_INVALID);
}

/* An account that never says what a person could do, beside others that are got: told at NotifyAfter=, by its name and
 * in its words, over restarts, as what a run of the same cause would be. One that fails now and then is none of that. */
static void test_account_that_always_fails(void **state)
{
        EngineFixture *f = *state;
        RunReport success = report_success();
        const ConnectorRecord *record;
        char id[RUN_ID_MAX + 1];

        fixture_write_connector(f, "bank", CONNECTOR("[Connector]\nConnection=acme\n[Run]\nNotifyAfter=3\n"));
        fixture_open(f);
        for (int round = 0; round < 2; round++) {
                partial_run(f, ACCOUNT_SUCCESS, _ATTENTION_INVALID, ACCOUNT_FAILED);
                partial_run(f, ACCOUNT_FAILED, _ATTENTION_INVALID, ACCOUNT_SUCCESS); /* another */
                partial_run(f, ACCOUNT_FAILED, _ATTENTION_INVALID, ACCOUNT_FAILED);
                assert_int_equal(fixture_connector(f, "bank")->record.consecutive_failures, 2);
                assert_false(fixture_has(f->news, "attention"));
                fixture_kill(f);
                fixture_open(f);
                partial_run(f, ACCOUNT_FAILED, _ATTENTION_INVALID, ACCOUNT_SUCCESS);
                assert_true(fixture_has(f->news, "attention bank connection_lost"));
                record = &fixture_connector(f, "bank")->record;
                assert_string_equal(record->attention.message, "Account checking failed 3 times in a row: no");
                assert_string_equal(record->attention.run_id, record->last_run_id);
                assert_int_equal(fixture_sql(f, "SELECT count(*) FROM connections WHERE state = 'lost'"), 1);
                fixture_forget(f);
                /* Its need is met, whatever else fails. */
                if (round == 0)
                        partial_run(f, ACCOUNT_SUCCESS, _ATTENTION_INVALID, ACCOUNT_FAILED);
                else
                        fixture_whole_run(f, "bank", &success, id);
                assert_true(fixture_has(f->news, "attention bank -"));
                fixture_whole_run(f, "bank", &success, id);
                assert_int_equal(fixture_connector(f, "bank")->record.consecutive_failures, 0);
                fixture_forget(f);
        }
}

/* Where no account says so, but the run: a stream that is always incomplete. Put off by the provider is not failed. */
static void test_always_in_part(void **state)
{
        EngineFixture *f = *state;
        RunReport partial = RUN_REPORT_INIT;
        char id[RUN_ID_MAX + 1];

        fixture_write_connector(f, "bank", CONNECTOR("[Run]\nRetryMax=0\nNotifyAfter=2\n"));
        fixture_open(f);
        partial.outcome = RUN_PARTIAL;
        for (int i = 0; i < 3; i++)
                fixture_whole_run(f, "bank", &partial, id);
        assert_int_equal(fixture_connector(f, "bank")->record.consecutive_failures, 0);
        partial.error = (char *) "stream visits is incomplete";
        fixture_whole_run(f, "bank", &partial, id);
        assert_false(fixture_has(f->news, "attention"));
        fixture_whole_run(f, "bank", &partial, id);
        assert_true(fixture_has(f->news, "attention bank connection_lost"));
        assert_string_equal(fixture_connector(f, "bank")->record.attention.message,
                            "Failed in part 2 times in a row: stream visits is incomplete");
}

/* A schedule that always comes before the retry: every run is a first attempt, and the failure lasts all the same. */
static void test_schedule_before_retries(void **state)
{
        EngineFixture *f = *state;
        RunReport failure = report_failure("HTTP 503", true), success = report_success();
        char id[RUN_ID_MAX + 1];

        fixture_write_connector(f, "bank", CONNECTOR("[Run]\nRetryMax=2\nRetrySec=1h\nNotifyAfter=3\n"));
        fixture_open(f);
        for (int round = 0; round < 2; round++) {
                for (int i = 0; i < 2; i++) {
                        fixture_whole_run(f, "bank", &failure, id);
                        assert_true(fixture_connector(f, "bank")->record.retry_at_usec > 0);
                        assert_false(fixture_has(f->news, "attention"));
                }
                fixture_whole_run(f, "bank", &failure, id);
                assert_true(fixture_has(f->news, "attention bank connection_lost"));
                assert_string_equal(fixture_connector(f, "bank")->record.attention.message,
                                    "Failed 3 times in a row: HTTP 503");
                fixture_whole_run(f, "bank", &success, id);
                fixture_forget(f);
        }
}

static AttentionCategory attention_of(EngineFixture *f, const char *name)
{
        return fixture_connector(f, name)->record.attention.category;
}

static Answer begin(EngineFixture *f, const char *name)
{
        Answer a = fixture_start(f, name, false);

        expect_ok(a.error);
        expect_ok(fixture_attach(f, name).error);
        return a;
}

/* A worker that is killed, while somebody sees it or while nobody does, is a failure as any other. */
static void test_lost_runs_are_told(void **state)
{
        EngineFixture *f = *state;
        Answer a;

        fixture_write_connector(f, "bank", CONNECTOR("[Run]\nRetryMax=0\nNotifyAfter=3\n"));
        fixture_open(f);
        for (int i = 0; i < 2; i++) {
                (void) begin(f, "bank");
                fixture_worker_ends(f, "bank", "killed by signal KILL");
                assert_int_equal(attention_of(f, "bank"), _ATTENTION_INVALID);
        }
        a = begin(f, "bank");
        fixture_worker_vanishes(f, "bank");
        fixture_kill(f);
        fixture_open(f);
        fixture_settle(f);
        assert_int_equal(fixture_run(f, a.run_id)->outcome, RUN_FAILED);
        assert_int_equal(attention_of(f, "bank"), ATTENTION_CONFIGURATION_ERROR);
        assert_string_equal(fixture_connector(f, "bank")->record.attention.message,
                            "Failed 3 times in a row: The run was lost: its worker ended while nobody could see how");
}

/* The machine goes down now and then; a run that it takes every time is another matter. */
static void test_lost_with_the_machine(void **state)
{
        EngineFixture *f = *state;
        Answer a;

        fixture_write_connector(f, "bank", CONNECTOR("[Run]\nRetryMax=0\n"));
        fixture_open(f);
        for (unsigned n = 1; n <= 2; n++) {
                a = begin(f, "bank");
                fixture_worker_vanishes(f, "bank");
                fixture_close(f);
                (void) fixture_sql(f, "UPDATE runs SET clock_boot_id = 'another' WHERE state <> 'finished'");
                fixture_open(f);
                fixture_settle(f);
                assert_int_equal(fixture_run(f, a.run_id)->outcome, RUN_FAILED);
                assert_int_equal(fixture_connector(f, "bank")->record.consecutive_failures, n);
                assert_int_equal(attention_of(f, "bank"), n < 2 ? _ATTENTION_INVALID : ATTENTION_CONFIGURATION_ERROR);
        }
}

/* What is known of a failure is known, too, where the daemon ends before the worker does. */
static void test_cause_survives(void **state)
{
        EngineFixture *f = *state;
        RunReport failure = report_failure("HTTP 503", true);
        Answer a;

        failure.destination_failed = true;
        fixture_write_connector(f, "bank", CONNECTOR("[Run]\nRetryMax=0\nNotifyAfter=9\n[Destination]\nDisableAfter=2\n"));
        fixture_write_connector(f, "slow", CONNECTOR("[Run]\nRetryMax=0\nTimeoutSec=50ms\n"));
        fixture_open(f);
        for (unsigned n = 1; n <= 2; n++) {
                a = begin(f, "bank");
                expect_ok(fixture_finish(f, "bank", a.run_id, 1, &failure));
                fixture_kill(f);
                fixture_open(f);
                fixture_worker_ends(f, "bank", NULL);
                /* Who is switched off after so many hears of it then. */
                assert_int_equal(attention_of(f, "bank"), n < 2 ? _ATTENTION_INVALID : ATTENTION_CONFIGURATION_ERROR);
        }
        a = begin(f, "slow");
        fixture_run_until(f, fixture_run(f, a.run_id)->state == RUN_STOPPING);
        fixture_settle(f);
        fixture_kill(f);
        fixture_open(f);
        fixture_worker_ends(f, "slow", "killed by signal TERM");
        assert_int_equal(attention_of(f, "slow"), ATTENTION_CONFIGURATION_ERROR);
}

static void run_once(EngineFixture *f, const char *name, const RunReport *report)
{
        Answer a = begin(f, name);

        expect_ok(fixture_finish(f, name, a.run_id, 1, report));
        fixture_worker_ends(f, name, NULL);
}

/* A destination that takes nothing is a failure like any other: told at NotifyAfter=, whenever it is switched off. */
static void test_destination_that_fails(void **state)
{
        static const struct {
                const char *name, *text;
                unsigned told;
        } cases[] = {
                { "often", CONNECTOR("[Run]\nRetryMax=0\nNotifyAfter=2\n[Destination]\nDisableAfter=4\n"), 2 },
                { "never", CONNECTOR("[Run]\nRetryMax=0\nNotifyAfter=3\n[Destination]\nDisableAfter=0\n"), 3 },
                { "retry", CONNECTOR("[Run]\nRetryMax=9\nRetrySec=1h\n[Destination]\nDisableAfter=2\n"), 1 },
        };
        EngineFixture *f = *state;
        RunReport failure = report_failure("HTTP 503", true), success = report_success();

        failure.destination_failed = true;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                fixture_write_connector(f, cases[i].name, cases[i].text);
        fixture_open(f);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                for (unsigned n = 1; n <= cases[i].told; n++) {
                        run_once(f, cases[i].name, &failure);
                        assert_int_equal(attention_of(f, cases[i].name),
                                         n < cases[i].told ? _ATTENTION_INVALID : ATTENTION_CONFIGURATION_ERROR);
                }
                run_once(f, cases[i].name, &success);
                assert_int_equal(attention_of(f, cases[i].name), _ATTENTION_INVALID);
        }
}

/* What a limit or a launch that failed says. */
static void test_lasting_by_cause(void **state)
{
        static const struct {
                const char *name, *text;
                AttentionCategory category;
        } limits[] = {
                { "stall", CONNECTOR("[Run]\nRetryMax=0\nStallTimeoutSec=50ms\n"), ATTENTION_CONNECTION_LOST },
                { "slow", CONNECTOR("[Run]\nRetryMax=0\nTimeoutSec=50ms\n"), ATTENTION_CONFIGURATION_ERROR },
        };
        EngineFixture *f = *state;
        Answer a;

        for (size_t i = 0; i < ELEMENTSOF(limits); i++)
                fixture_write_connector(f, limits[i].name, limits[i].text);
        fixture_write_connector(f, "bank", CONNECTOR("[Run]\nRetryMax=0\n"));
        fixture_stop_clock(fixture_now(CLOCK_REALTIME));
        fixture_open(f);
        for (size_t i = 0; i < ELEMENTSOF(limits); i++) {
                expect_ok(fixture_start(f, limits[i].name, false).error);
                a = fixture_attach(f, limits[i].name);
                fixture_let_pass(50 * USEC_PER_MSEC);
                fixture_run_until(f, fixture_run(f, a.run_id)->state == RUN_STOPPING);
                fixture_settle(f);
                fixture_worker_ends(f, limits[i].name, "killed by signal TERM");
                assert_int_equal(attention_of(f, limits[i].name), limits[i].category);
        }
        f->start_slowly = true;
        expect_ok(fixture_start(f, "bank", false).error);
        fixture_settle(f);
        fixture_worker_start_failed(f, "bank", "it is masked");
        assert_int_equal(attention_of(f, "bank"), ATTENTION_CONFIGURATION_ERROR);
}

/* A category keeps a run from being retried, but where the connector itself says to: both sides agree. */
static void test_retry_beside_a_category(void **state)
{
        EngineFixture *f = *state;
        RunReport report = report_category(ATTENTION_CONSENT_EXPIRED), progress = RUN_REPORT_INIT;
        char id[RUN_ID_MAX + 1];

        fixture_write_connector(f, "bank", CONNECTOR());
        fixture_open(f);
        fixture_whole_run(f, "bank", &report, id);
        assert_int_equal(fixture_connector(f, "bank")->record.retry_at_usec, 0);
        report.retry = true;
        fixture_whole_run(f, "bank", &report, id);
        assert_int_equal(attention_of(f, "bank"), ATTENTION_CONSENT_EXPIRED);
        assert_int_equal(fixture_connector(f, "bank")->record.retry_attempt, 2);

        /* The engine's own ends do not know better than the category. */
        progress.attention = ATTENTION_CONSENT_EXPIRED;
        expect_ok(fixture_start(f, "bank", false).error);
        (void) snprintf(id, sizeof(id), "%s", fixture_attach(f, "bank").run_id);
        expect_ok(fixture_report(f, "bank", id, 1, &progress));
        fixture_worker_ends(f, "bank", "killed by signal KILL");
        assert_int_equal(fixture_run(f, id)->outcome, RUN_FAILED);
        assert_int_equal(fixture_connector(f, "bank")->record.retry_at_usec, 0);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_rules),
                cmocka_unit_test(test_message),
                cmocka_unit_test(test_lasting_without_a_category),
                ENGINE_TEST(test_raised_and_cleared),
                ENGINE_TEST(test_notify_after),
                ENGINE_TEST(test_notify_after_and_retries),
                ENGINE_TEST(test_partial_clears_what_it_got),
                ENGINE_TEST(test_schedule_before_retries),
                ENGINE_TEST(test_account_that_always_fails),
                ENGINE_TEST(test_always_in_part),
                ENGINE_TEST(test_lost_runs_are_told),
                ENGINE_TEST(test_lost_with_the_machine),
                ENGINE_TEST(test_cause_survives),
                ENGINE_TEST(test_lasting_by_cause),
                ENGINE_TEST(test_destination_that_fails),
                ENGINE_TEST(test_retry_beside_a_category),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
