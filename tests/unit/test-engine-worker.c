/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What workers say: each call counts once, whatever is repeated or lost; cursors; counts of the dead. */

#include "unit/expect.h"

#include "unit/engine-fixture.h"

#include <stdlib.h>

/* A run that is attached; its id. */
static Answer open_running(EngineFixture *f)
{
        Answer a;

        fixture_write_connector(f, "bank", CONNECTOR());
        fixture_open(f);
        expect_ok(fixture_start(f, "bank", false).error);
        a = fixture_attach(f, "bank");
        expect_ok(a.error);
        fixture_forget(f);
        return a;
}

static RunReport report_counts(uint64_t discovered, uint64_t added)
{
        RunReport report = RUN_REPORT_INIT;

        report.counts = (Counts) { .discovered = discovered, .added = added };
        return report;
}

static void test_sequence(void **state)
{
        EngineFixture *f = *state;
        Answer a = open_running(f);
        RunReport one = report_counts(1, 1), two = report_counts(2, 2), late = report_counts(99, 99);

        expect_ok(fixture_report(f, "bank", a.run_id, 1, &one));
        expect_ok(fixture_report(f, "bank", a.run_id, 5, &two)); /* a gap is fine */
        expect_ok(fixture_report(f, "bank", a.run_id, 5, &late));
        expect_ok(fixture_report(f, "bank", a.run_id, 3, &late));
        expect_ok(fixture_save_cursor(f, "bank", a.run_id, 5, "\"late\""));
        assert_int_equal(fixture_run(f, a.run_id)->counts.discovered, 2);
        assert_int_equal(fixture_sql(f, "SELECT count(*) FROM cursors"), 0);
        assert_int_equal(fixture_attach(f, "bank").sequence, 5);

        expect_errno(fixture_report(f, "bank", "another", 6, &one), -ESRCH);
        expect_errno(fixture_report(f, "none", a.run_id, 6, &one), -ESRCH);
        expect_errno(fixture_report(f, "bank", a.run_id, (uint64_t) INT64_MAX + 1, &one), -EINVAL);
        expect_ok(fixture_report(f, "bank", a.run_id, INT64_MAX, &one));
}

/* A change of stage is an event always, progress at most four times a second; the run's row has the newest. */
static void test_events(void **state)
{
        EngineFixture *f = *state;
        Answer a = open_running(f);
        RunReport report = RUN_REPORT_INIT;
        _cleanup_free_ char *json = NULL;
        const EventFilter filter = { .limit = 100 };
        usec_t began, quiet;

        began = fixture_now(CLOCK_MONOTONIC);
        report.stage = SYNC_STAGE_FETCHING;
        expect_ok(fixture_report(f, "bank", a.run_id, 1, &report));
        report.items_total = 200;
        for (uint64_t i = 1; i <= 50; i++) {
                report.items_processed = i;
                expect_ok(fixture_report(f, "bank", a.run_id, 1 + i, &report));
        }
        report.stage = SYNC_STAGE_SAVING;
        expect_ok(fixture_report(f, "bank", a.run_id, 60, &report));
        fixture_settle(f);
        assert_int_equal(fixture_count(f->news, "event saving"), 1);
        assert_in_range(fixture_count(f->news, "event fetching"), 1,
                        1 + (fixture_now(CLOCK_MONOTONIC) - began) / PROGRESS_INTERVAL_USEC);
        assert_int_equal(fixture_run(f, a.run_id)->items_processed, 50);
        assert_true(fixture_run(f, a.run_id)->progress == 0.25);
        assert_int_equal(fixture_count(f->news, "run bank running SP"), 2);
        assert_int_equal(fixture_count(f->news, "run bank running P"), 50);

        /* Nothing new, no event. */
        fixture_forget(f);
        quiet = fixture_now(CLOCK_MONOTONIC) + PROGRESS_INTERVAL_USEC;
        for (uint64_t i = 61; fixture_now(CLOCK_MONOTONIC) < quiet; i++)
                expect_ok(fixture_report(f, "bank", a.run_id, i, &report));
        expect_ok(fixture_report(f, "bank", a.run_id, 1000000, &report));
        assert_false(fixture_has(f->news, "event"));
        report.items_processed = 51;
        expect_ok(fixture_report(f, "bank", a.run_id, 1000001, &report));
        assert_int_equal(fixture_count(f->news, "event saving"), 1);

        expect_ok(engine_describe_events(f->engine, &filter, &json));
        assert_non_null(strstr(json, "\"stage\":\"saving\""));
        assert_non_null(strstr(json, "\"items_total\":200"));
}

/* A worker that hangs after its last word: what it said too soon after an event is told all the same, once. */
static void test_last_progress_is_told(void **state)
{
        EngineFixture *f = *state;
        Answer a = open_running(f);
        RunReport report = RUN_REPORT_INIT, success = report_success();

        report.stage = SYNC_STAGE_FETCHING;
        expect_ok(fixture_report(f, "bank", a.run_id, 1, &report));
        for (uint64_t i = 1; i <= 3; i++) {
                report.items_processed = i;
                expect_ok(fixture_report(f, "bank", a.run_id, 1 + i, &report));
        }
        fixture_run_until(f,
                          fixture_sql(f, "SELECT count(*) FROM events WHERE json ->> '$.items_processed' = 3") == 1);

        report.items_processed = 4; /* within the interval of that one */
        expect_ok(fixture_report(f, "bank", a.run_id, 5, &report));
        expect_ok(fixture_finish(f, "bank", a.run_id, 6, &success));
        fixture_worker_ends(f, "bank", NULL);
        assert_int_equal(fixture_sql(f, "SELECT count(*) FROM events WHERE json ->> '$.items_processed' = 3"), 1);
        assert_int_equal(fixture_sql(f, "SELECT json ->> '$.items_processed' = 4 AND json ->> '$.stage' = 'completed' "
                                        "FROM events "
                                        "ORDER BY seq DESC LIMIT 1"),
                         1);
}

/* How an account ended is news, also where it has brought nothing. */
static void test_end_of_account_is_told(void **state)
{
        EngineFixture *f = *state;
        Answer a = open_running(f);
        Account account = { .name = (char *) "checking", .status = ACCOUNT_RUNNING, .category = _ATTENTION_INVALID };
        RunReport report = RUN_REPORT_INIT;
        int64_t n = fixture_sql(f, "SELECT count(*) FROM events");

        report.accounts = &account;
        report.n_accounts = 1;
        expect_ok(fixture_report(f, "bank", a.run_id, 1, &report));
        account.status = ACCOUNT_NO_DATA;
        expect_ok(fixture_report(f, "bank", a.run_id, 2, &report));
        expect_ok(fixture_report(f, "bank", a.run_id, 3, &report));
        fixture_run_until(f, fixture_sql(f, "SELECT count(*) FROM events") == n + 1);
}

static void test_accounts(void **state)
{
        EngineFixture *f = *state;
        Answer a = open_running(f);
        Account accounts[] = {
                { .name = (char *) "checking",
                  .status = ACCOUNT_RUNNING,
                  .category = _ATTENTION_INVALID,
                  .started_usec = 5,
                  .counts = { .discovered = 1, .added = 1 } },
                { .name = (char *) "savings", .status = ACCOUNT_NO_DATA, .category = _ATTENTION_INVALID },
        };
        RunReport report = RUN_REPORT_INIT;
        _cleanup_(run_freep) Run *run = NULL;

        report.accounts = accounts;
        report.n_accounts = 2;
        expect_ok(fixture_report(f, "bank", a.run_id, 1, &report));
        accounts[0] = (Account) { .name = (char *) "checking",
                                  .status = ACCOUNT_FAILED,
                                  .error = (char *) "no",
                                  .category = ATTENTION_CONSENT_EXPIRED,
                                  .counts = { .discovered = 4, .added = 2 } };
        report.n_accounts = 1;
        report.outcome = RUN_PARTIAL;
        report.counts = (Counts) { .discovered = 4, .added = 2 };
        expect_ok(fixture_finish(f, "bank", a.run_id, 2, &report));
        fixture_worker_ends(f, "bank", NULL);
        run = fixture_stored(f, a.run_id);
        assert_int_equal(run->n_accounts, 2);
        assert_string_equal(run->accounts[0].name, "checking");
        assert_int_equal(run->accounts[0].status, ACCOUNT_FAILED);
        assert_int_equal(run->accounts[0].counts.discovered, 4);
        assert_true(run->accounts[0].started_usec == run->started_usec);   /* no earlier than its run */
        assert_true(run->accounts[0].finished_usec == run->finished_usec); /* nothing was told of it */
        assert_int_equal(run->accounts[1].started_usec, 0);                /* nor of either */
        assert_string_equal(run->message, "Sync completed in part · 2 new, 0 updated, 1 of 2 accounts failed");
        /* What one account needs is what the connector needs (A9). */
        assert_true(fixture_has(f->news, "attention bank consent_expired"));
}

/* What is told of times is within the run, stays where nothing is told, and an account that runs has no end. */
static void test_times_of_accounts(void **state)
{
        EngineFixture *f = *state;
        usec_t began = fixture_now(CLOCK_REALTIME);
        Account accounts[] = {
                { .name = (char *) "told", .started_usec = began + 1, .finished_usec = began + 2 },
                { .name = (char *) "late", .started_usec = UINT64_MAX, .finished_usec = UINT64_MAX },
                { .name = (char *) "turned", .started_usec = began + 2, .finished_usec = began + 1 },
                { .name = (char *) "running", .started_usec = began + 3, .finished_usec = began + 4 },
        };
        RunReport report = report_success();
        _cleanup_(run_freep) Run *run = NULL;
        Answer a;

        fixture_stop_clock(began);
        a = open_running(f);
        for (size_t i = 0; i < ELEMENTSOF(accounts); i++) {
                accounts[i].status = i == 3 ? ACCOUNT_RUNNING : ACCOUNT_SUCCESS;
                accounts[i].category = _ATTENTION_INVALID;
        }
        report.accounts = accounts;
        report.n_accounts = ELEMENTSOF(accounts);
        fixture_advance_clock(5);
        expect_ok(fixture_report(f, "bank", a.run_id, 1, &report));
        accounts[0].started_usec = accounts[0].finished_usec = 0;
        report.n_accounts = 1;
        fixture_advance_clock(5);
        expect_ok(fixture_finish(f, "bank", a.run_id, 2, &report));
        fixture_worker_ends(f, "bank", NULL);
        run = fixture_stored(f, a.run_id);
        assert_int_equal(run->accounts[0].started_usec, began + 1);
        assert_int_equal(run->accounts[0].finished_usec, began + 2);
        assert_int_equal(run->accounts[1].started_usec, began + 5);
        assert_int_equal(run->accounts[1].finished_usec, began + 5);
        assert_int_equal(run->accounts[2].finished_usec, began + 2);
        assert_int_equal(run->accounts[3].started_usec, began + 3);
        assert_true(run->accounts[3].finished_usec == run->finished_usec);
}

/* Also of the longest message that a worker may send, and of the engine's own. */
static void test_bad_lines_are_in_the_message(void **state)
{
        EngineFixture *f = *state;
        _cleanup_free_ char *longest = calloc(1, MESSAGE_TEXT_MAX + 1);
        RunReport report = report_success();
        char id[RUN_ID_MAX + 1];

        fixture_write_connector(f, "bank", CONNECTOR());
        fixture_open(f);
        report.n_bad_lines = 1;
        fixture_whole_run(f, "bank", &report, id);
        assert_string_equal(fixture_run(f, id)->message,
                            "Sync completed · 3 new, 2 updated · 1 line could not be used");
        assert_true(fixture_has(f->news, "event completed"));

        report.read_anew = true;
        fixture_whole_run(f, "bank", &report, id);
        assert_non_null(strstr(fixture_run(f, id)->message, " · everything was read again: the destination was new or "
                                                            "behind · 1 line could not be used"));
        report.n_bad_lines = 0;
        fixture_whole_run(f, "bank", &report, id);
        assert_string_equal(fixture_run(f, id)->message, "Sync completed · 3 new, 2 updated · everything was read "
                                                         "again: the destination was new or behind");
        report.read_anew = false;

        assert_non_null(longest);
        memset(longest, 'x', MESSAGE_TEXT_MAX);
        report.message = longest;
        report.n_bad_lines = 12;
        fixture_whole_run(f, "bank", &report, id);
        assert_int_equal(strlen(fixture_run(f, id)->message), MESSAGE_TEXT_MAX);
        assert_non_null(strstr(fixture_run(f, id)->message, "x… · 12 lines could not be used"));
}

/* Finish() is repeated because its answer was lost: also after the end, also by a daemon that has forgotten the run.
 */
static void test_finish_repeated(void **state)
{
        EngineFixture *f = *state;
        Answer a = open_running(f);
        RunReport report = report_success(), other = report_failure("no", false);

        other.outcome = _RUN_OUTCOME_INVALID;
        expect_errno(fixture_finish(f, "bank", a.run_id, 1, &other), -EINVAL);
        other.outcome = RUN_SKIPPED;
        expect_errno(fixture_finish(f, "bank", a.run_id, 1, &other), -EINVAL);
        other.outcome = RUN_FAILED;
        expect_ok(fixture_finish(f, "bank", a.run_id, 1, &report));
        expect_ok(fixture_finish(f, "bank", a.run_id, 1, &other));
        fixture_worker_ends(f, "bank", NULL);
        expect_ok(fixture_finish(f, "bank", a.run_id, 1, &other));
        expect_ok(fixture_report(f, "bank", a.run_id, 1, &other));
        expect_errno(fixture_finish(f, "bank", a.run_id, 2, &other), -EALREADY);
        expect_errno(fixture_save_cursor(f, "bank", a.run_id, 2, "1"), -EALREADY);
        fixture_close(f);
        fixture_open(f);
        assert_null(engine_find_run(f->engine, a.run_id));
        expect_ok(fixture_finish(f, "bank", a.run_id, 1, &other));
        expect_errno(fixture_finish(f, "bank", a.run_id, 2, &other), -EALREADY);
        expect_errno(fixture_finish(f, "none", a.run_id, 1, &other), -ESRCH);
        assert_int_equal(fixture_sql(f, "SELECT count(*) FROM runs WHERE outcome = 'succeeded'"), 1);
}

static void test_cursor(void **state)
{
        EngineFixture *f = *state;
        Answer a = open_running(f);
        RunReport report = report_success();
        char *large = malloc(CURSOR_MAX + 2);

        assert_non_null(large);
        (void) memset(large, '1', CURSOR_MAX + 1);
        large[CURSOR_MAX + 1] = '\0';
        expect_errno(fixture_save_cursor(f, "bank", a.run_id, 1, large), -E2BIG);
        large[CURSOR_MAX] = '\0';
        expect_ok(fixture_save_cursor(f, "bank", a.run_id, 1, large));
        free(large);
        expect_ok(fixture_save_cursor(f, "bank", a.run_id, 2, "{\"at\":7}"));
        assert_int_equal(fixture_run(f, a.run_id)->report_sequence, 2);
        expect_ok(fixture_finish(f, "bank", a.run_id, 3, &report));
        fixture_worker_ends(f, "bank", NULL);
        expect_ok(fixture_start(f, "bank", false).error);
        assert_string_equal(fixture_attach(f, "bank").cursor, "{\"at\":7}");
}

static void test_attach_again(void **state)
{
        EngineFixture *f = *state;
        Answer a = open_running(f), again;

        again = fixture_attach(f, "bank");
        expect_ok(again.error);
        assert_string_equal(again.run_id, a.run_id);
        fixture_settle(f);
        assert_null(f->news); /* it was running already */
        fixture_worker_ends(f, "bank", "the worker was killed by signal KILL");
        expect_errno(fixture_attach(f, "bank").error, -ESRCH);
}

static void test_verify(void **state)
{
        EngineFixture *f = *state;
        Answer yes = {}, no = {};

        (void) open_running(f);
        expect_ok(engine_verify_worker(f->engine, "bank", 4711, 1, on_answer, &yes));
        expect_ok(engine_verify_worker(f->engine, "bank", 0, 1, on_answer, &no));
        assert_int_equal(yes.n + no.n, 0);
        fixture_run_until(f, yes.n > 0 && no.n > 0);
        expect_ok(yes.error);
        expect_errno(no.error, -EACCES);
}

/* The worker died; `syncrun-worker --settle` finds the exact counts, before its end is told of or after. */
static void test_settle(void **state)
{
        EngineFixture *f = *state;
        Answer a = open_running(f);
        RunReport report = report_counts(20, 12);
        _cleanup_(run_freep) Run *run = NULL;
        Account account = { .name = (char *) "checking", .status = ACCOUNT_FAILED, .category = _ATTENTION_INVALID };

        expect_ok(fixture_settle_run(f, "bank", a.run_id, &report));
        assert_int_equal(fixture_run(f, a.run_id)->counts.added, 12);
        fixture_worker_ends(f, "bank", "the worker was killed by signal KILL");
        fixture_forget(f);
        report = report_counts(21, 13);
        report.accounts = &account;
        report.n_accounts = 1;
        expect_ok(fixture_settle_run(f, "bank", a.run_id, &report));
        assert_int_equal(fixture_run(f, a.run_id)->counts.added, 13);
        assert_false(fixture_has(f->news, "event"));
        fixture_close(f);
        fixture_open(f);
        report = report_counts(22, 14);
        expect_ok(fixture_settle_run(f, "bank", a.run_id, &report));
        run = fixture_stored(f, a.run_id);
        assert_int_equal(run->counts.added, 14);
        assert_int_equal(run->counts.discovered, 22);
        assert_int_equal(run->n_accounts, 1);
        expect_errno(fixture_settle_run(f, "none", a.run_id, &report), -ESRCH);
        expect_errno(fixture_settle_run(f, "bank", "none", &report), -ESRCH);
}

static const Account *find_account(const Run *run, const char *name)
{
        for (size_t i = 0; i < run->n_accounts; i++)
                if (streq(run->accounts[i].name, name))
                        return &run->accounts[i];
        fail_msg("there is no account %s", name);
        return NULL;
}

/* The destination knows counts, and nothing of how the accounts fared. @late: the run has ended, and is forgotten. */
static void check_settled_accounts(EngineFixture *f, bool ended, bool late)
{
        static const char *const names[] = { "checking", "savings", "depot", "unheard" };
        Answer a = open_running(f);
        RunReport told = report_counts(8, 4), settled = report_counts(16, 16);
        Account accounts[ELEMENTSOF(names)] = {};
        usec_t began = fixture_now(CLOCK_REALTIME); /* the run has begun */
        _cleanup_(run_freep) Run *run = NULL;

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                accounts[i] = (Account) { .name = (char *) names[i], .category = _ATTENTION_INVALID };
        told.accounts = settled.accounts = accounts;
        told.n_accounts = 3;
        accounts[0].status = ACCOUNT_FAILED;
        accounts[0].error = (char *) "no";
        accounts[0].category = ATTENTION_CONSENT_EXPIRED;
        accounts[1].status = ACCOUNT_SUCCESS;
        accounts[2].started_usec = began;
        expect_ok(fixture_report(f, "bank", a.run_id, 1, &told));
        if (ended)
                fixture_worker_ends(f, "bank", "the worker was killed by signal KILL");
        if (late) {
                fixture_close(f);
                fixture_open(f);
        }
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                accounts[i] = (Account) { .name = (char *) names[i],
                                          .category = _ATTENTION_INVALID,
                                          .counts = { .discovered = i + 1, .added = i + 1 } };
        settled.n_accounts = ELEMENTSOF(names);
        expect_ok(fixture_settle_run(f, "bank", a.run_id, &settled));
        if (!ended)
                fixture_worker_ends(f, "bank", "the worker was killed by signal KILL");
        run = fixture_stored(f, a.run_id);
        assert_int_equal(run->state, RUN_FINISHED);
        assert_int_equal(run->counts.added, 16);
        assert_int_equal(run->n_accounts, ELEMENTSOF(names));
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                const Account *account = find_account(run, names[i]);

                assert_int_equal(account->counts.added, i + 1);
                assert_int_equal(account->status, i == 1 ? ACCOUNT_SUCCESS : ACCOUNT_FAILED);
                assert_int_equal(account->category, i == 0 ? ATTENTION_CONSENT_EXPIRED : _ATTENTION_INVALID);
        }
        assert_string_equal(find_account(run, "checking")->error, "no");
        assert_int_equal(find_account(run, "unheard")->finished_usec, run->finished_usec);
        assert_int_equal(find_account(run, "depot")->started_usec, began);
        assert_int_equal(find_account(run, "depot")->finished_usec, run->finished_usec);
}

static void test_settled_accounts_of_an_active_run(void **state)
{
        check_settled_accounts(*state, false, false);
}

static void test_settled_accounts_of_a_run_that_has_ended(void **state)
{
        check_settled_accounts(*state, true, false);
}

static void test_settled_accounts_of_a_run_of_before(void **state)
{
        check_settled_accounts(*state, true, true);
}

static void test_settle_after_finish(void **state)
{
        EngineFixture *f = *state;
        Answer a = open_running(f);
        RunReport report = report_success(), other = report_counts(99, 99);

        expect_ok(fixture_finish(f, "bank", a.run_id, 1, &report));
        expect_ok(fixture_settle_run(f, "bank", a.run_id, &other));
        fixture_worker_ends(f, "bank", NULL);
        expect_ok(fixture_settle_run(f, "bank", a.run_id, &other));
        assert_int_equal(fixture_run(f, a.run_id)->counts.added, 3);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                ENGINE_TEST(test_sequence),
                ENGINE_TEST(test_events),
                ENGINE_TEST(test_last_progress_is_told),
                ENGINE_TEST(test_end_of_account_is_told),
                ENGINE_TEST(test_accounts),
                ENGINE_TEST(test_times_of_accounts),
                ENGINE_TEST(test_bad_lines_are_in_the_message),
                ENGINE_TEST(test_finish_repeated),
                ENGINE_TEST(test_cursor),
                ENGINE_TEST(test_attach_again),
                ENGINE_TEST(test_verify),
                ENGINE_TEST(test_settle),
                ENGINE_TEST(test_settled_accounts_of_an_active_run),
                ENGINE_TEST(test_settled_accounts_of_a_run_that_has_ended),
                ENGINE_TEST(test_settled_accounts_of_a_run_of_before),
                ENGINE_TEST(test_settle_after_finish),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
