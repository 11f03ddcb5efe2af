/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* outcome and ledger: the rules that decide how a run ended, one by one and against each other. */

#include "unit/expect.h"

#include <signal.h>
#include <stdlib.h>

#include "base/string-util.h"
#include "worker/outcome.h"

typedef struct Fixture {
        Intake intake;
        RunFacts facts;
        RunReport report;
} Fixture;

static int set_up(void **state)
{
        Fixture *f = calloc(1, sizeof(*f));

        if (!f)
                return -1;
        *state = f;
        f->facts = (RunFacts){ .intake = &f->intake, .destination_category = _ATTENTION_INVALID };
        f->report = (RunReport) RUN_REPORT_INIT;
        if (intake_init(&f->intake, "test", NULL) < 0)
                return -1;
        f->intake.n_lines = 1000;
        return 0;
}

static int tear_down(void **state)
{
        Fixture *f = *state;

        run_report_done(&f->report);
        intake_done(&f->intake);
        free(f);
        return 0;
}

static void expect_outcome(Fixture *f, RunOutcome outcome, const char *error, AttentionCategory attention, bool retry)
{
        run_report_done(&f->report);
        f->report = (RunReport) RUN_REPORT_INIT;
        expect_ok(outcome_decide(&f->facts, &f->report));
        assert_int_equal(f->report.outcome, outcome);
        assert_true(streq_null(f->report.error, error));
        assert_int_equal(f->report.attention, attention);
        assert_int_equal(f->report.retry, retry);
}

static void set_exit(Fixture *f, int status, const char *words)
{
        f->facts.failed = status != 0;
        f->facts.failure = (PipelineFailure){ .program = "tap", .words = words, .status = status };
}

static LedgerAccount *add_account(Fixture *f, const char *name, AccountStatus status)
{
        LedgerAccount *row;

        expect_ok(ledger_account(&f->intake.ledger, name, &row));
        row->account.status = status;
        return row;
}

static void test_success(void **state)
{
        expect_outcome(*state, RUN_SUCCEEDED, NULL, _ATTENTION_INVALID, false);
}

static void test_order_of_reasons(void **state)
{
        Fixture *f = *state;

        set_exit(f, 1, "by the program");
        expect_outcome(f, RUN_FAILED, "by the program", _ATTENTION_INVALID, true);
        f->intake.trace_error = strdup("by a message");
        expect_outcome(f, RUN_FAILED, "by a message", _ATTENTION_INVALID, true);
        f->facts.destination_error = "by the destination";
        expect_outcome(f, RUN_FAILED, "by the destination", _ATTENTION_INVALID, true);
        f->facts.destination_category = ATTENTION_DESTINATION_AUTH_EXPIRED;
        expect_outcome(f, RUN_FAILED, "by the destination", ATTENTION_DESTINATION_AUTH_EXPIRED, false);
        f->facts.start_error = "by the settings";
        expect_outcome(f, RUN_FAILED, "by the settings", ATTENTION_CONFIGURATION_ERROR, false);
        f->facts.cancelled = true;
        expect_outcome(f, RUN_CANCELLED, NULL, _ATTENTION_INVALID, false);
}

static void test_status_and_words(void **state)
{
        Fixture *f = *state;

        set_exit(f, 75, NULL);
        expect_outcome(f, RUN_FAILED, "tap ended with status 75", _ATTENTION_INVALID, true);
        f->intake.attention = ATTENTION_CONSENT_EXPIRED;
        f->intake.attention_message = strdup("Ended.");
        expect_outcome(f, RUN_FAILED, "Ended.", ATTENTION_CONSENT_EXPIRED, true);
        assert_string_equal(f->report.attention_message, "Ended.");
        set_exit(f, 77, NULL);
        expect_outcome(f, RUN_FAILED, "Ended.", ATTENTION_CONSENT_EXPIRED, false);
        f->facts.failure = (PipelineFailure){
                .program = "tap", .status = -1, .signal = SIGPIPE, .reader = "head", .words = "x"
        };
        free(f->intake.attention_message);
        f->intake.attention_message = NULL;
        expect_outcome(f, RUN_FAILED, "head stopped reading before tap had ended", ATTENTION_CONSENT_EXPIRED, false);
}

static void test_bad_lines(void **state)
{
        Fixture *f = *state;

        f->intake.n_bad = 10;
        expect_outcome(f, RUN_SUCCEEDED, NULL, _ATTENTION_INVALID, false);
        set_exit(f, 1, "words");
        expect_outcome(f, RUN_FAILED, "words", ATTENTION_DATA_ERROR, false);
        set_exit(f, 75, "words");
        expect_outcome(f, RUN_FAILED, "words", _ATTENTION_INVALID, true);
        f->facts.held_back = true;
        expect_outcome(f, RUN_FAILED, "10 of 1000 lines cannot be used; the first: -. words", ATTENTION_DATA_ERROR, true);
        f->facts.held_back = false;
        set_exit(f, 0, NULL);
        f->intake.n_bad = 11;
        f->intake.first_bad = strdup("line 5: syntax");
        expect_outcome(f, RUN_FAILED, "11 of 1000 lines cannot be used; the first: line 5: syntax",
                       ATTENTION_DATA_ERROR, false);
}

static void test_passing_bad_lines(void **state)
{
        Fixture *f = *state;

        assert_true(outcome_passes_bad_lines(&f->facts));
        f->intake.n_bad = 10;
        assert_true(outcome_passes_bad_lines(&f->facts));
        f->facts.cancelled = true;
        assert_false(outcome_passes_bad_lines(&f->facts));
        f->facts.cancelled = false;
        set_exit(f, 1, "words");
        assert_false(outcome_passes_bad_lines(&f->facts));
        set_exit(f, 75, "words");
        assert_false(outcome_passes_bad_lines(&f->facts));
        f->facts.held_back = true;
        assert_true(outcome_passes_bad_lines(&f->facts));
        f->intake.n_bad = 11;
        assert_false(outcome_passes_bad_lines(&f->facts));
        f->intake.n_bad = 10;
        f->facts.held_back = false;
        set_exit(f, 0, NULL);
        f->intake.failure = FAILURE_TRANSIENT_ERROR;
        f->intake.trace_error = strdup("later");
        assert_false(outcome_passes_bad_lines(&f->facts));
        f->intake.trace_error = (free(f->intake.trace_error), NULL);
        assert_true(outcome_passes_bad_lines(&f->facts));
        f->intake.n_bad = 11;
        assert_false(outcome_passes_bad_lines(&f->facts));
        f->intake.n_bad = 1;
        f->intake.cursor_refused = true;
        assert_false(outcome_passes_bad_lines(&f->facts));
}

static void test_accounts(void **state)
{
        Fixture *f = *state;
        LedgerAccount *a = add_account(f, "a", ACCOUNT_FAILED), *b = add_account(f, "b", ACCOUNT_SUCCESS);

        a->account.error = strdup("HTTP 500");
        expect_outcome(f, RUN_PARTIAL, "HTTP 500", _ATTENTION_INVALID, true); /* it may pass */
        a->account.category = ATTENTION_CONNECTION_LOST;
        expect_outcome(f, RUN_PARTIAL, "HTTP 500", ATTENTION_CONNECTION_LOST, false);
        b->account.status = ACCOUNT_FAILED;
        expect_outcome(f, RUN_FAILED, "HTTP 500", ATTENTION_CONNECTION_LOST, false);
        a->account.category = _ATTENTION_INVALID;
        expect_outcome(f, RUN_FAILED, "HTTP 500", _ATTENTION_INVALID, true);
}

static void test_retry_at(void **state)
{
        Fixture *f = *state;

        f->intake.retry_at_usec = 7 * USEC_PER_SEC;
        expect_outcome(f, RUN_PARTIAL, NULL, _ATTENTION_INVALID, true);
        assert_int_equal(f->report.retry_at_usec, 7 * USEC_PER_SEC);
        set_exit(f, 1, "limit");
        expect_outcome(f, RUN_FAILED, "limit", _ATTENTION_INVALID, true);
        assert_int_equal(f->report.retry_at_usec, 7 * USEC_PER_SEC);
}

/* Facts decide the last status of an account, not what the connector called it. */
static void test_last_statuses(void **state)
{
        Fixture *f = *state;
        LedgerAccount *some = add_account(f, "some", ACCOUNT_NO_DATA),
                      *known = add_account(f, "known", ACCOUNT_SUCCESS);
        LedgerAccount *open = add_account(f, "open", ACCOUNT_RUNNING), *bad = add_account(f, "bad", ACCOUNT_FAILED);

        ledger_add(&f->intake.ledger, some, 2, LEDGER_ADDED);
        ledger_add(&f->intake.ledger, known, 3, LEDGER_DEDUPED);
        assert_int_equal(f->intake.ledger.total_durable.discovered, 0);
        ledger_commit(&f->intake.ledger);
        assert_int_equal(f->intake.ledger.total_durable.discovered, 5);
        expect_ok(ledger_settle(&f->intake.ledger, true, "cut off"));
        assert_int_equal(some->account.status, ACCOUNT_SUCCESS);
        assert_int_equal(known->account.status, ACCOUNT_NO_DATA);
        assert_int_equal(open->account.status, ACCOUNT_FAILED);
        assert_string_equal(open->account.error, "cut off");
        assert_int_equal(bad->account.status, ACCOUNT_FAILED);
        assert_null(bad->account.error);
        ledger_override(&f->intake.ledger, some, &(Counts){ .added = 1, .updated = 1, .deduped = COUNT_UNKNOWN });
        assert_int_equal(f->intake.ledger.total.added, 1);
        assert_int_equal(f->intake.ledger.total.updated, 1);
        assert_int_equal(f->intake.ledger.total.deduped, 3);
}

/* From when an account is first heard of until another is, or it is told how it fared; by a clock that nobody sets. */
static void test_times_of_accounts(void **state)
{
        Fixture *f = *state;
        Ledger *ledger = &f->intake.ledger;
        LedgerAccount *a = add_account(f, "a", ACCOUNT_RUNNING), *b = add_account(f, "b", ACCOUNT_RUNNING);
        LedgerAccount *told = add_account(f, "told", ACCOUNT_NO_DATA),
                      *never = add_account(f, "never", ACCOUNT_FAILED);

        ledger->offset_usec = 1000;
        a->unreported = b->unreported = false;
        ledger_hear(ledger, a, 10);
        assert_true(a->unreported);
        ledger_hear(ledger, &ledger->rest, 20);
        ledger_hear(ledger, a, 30);
        ledger_hear(ledger, b, 40);
        assert_int_equal(a->account.finished_usec, 0); /* more may come */
        ledger_end(ledger, b, 50);
        assert_int_equal(b->account.finished_usec, 1050);
        ledger_end(ledger, told, 60);
        ledger_hear(ledger, b, 70);
        assert_int_equal(ledger->rest.account.started_usec, 0);
        ledger_hear(ledger, NULL, 80);
        a->unreported = b->unreported = false;
        expect_ok(ledger_settle(ledger, true, NULL));
        assert_true(a->unreported && b->unreported);
        assert_int_equal(a->account.started_usec, 1010);
        assert_int_equal(a->account.finished_usec, 1040);
        assert_int_equal(b->account.started_usec, 1040);
        assert_int_equal(b->account.finished_usec, 1080);
        assert_int_equal(told->account.started_usec, 1060);
        assert_int_equal(told->account.finished_usec, 1060);
        assert_true(never->account.started_usec == 0 && never->account.finished_usec == 0);
}

static void test_stages_are_told_one_by_one(void **state)
{
        Fixture *f = *state;

        intake_set_stage(&f->intake, SYNC_STAGE_FETCHING);
        intake_set_stage(&f->intake, SYNC_STAGE_FETCHING);
        intake_set_stage(&f->intake, SYNC_STAGE_SAVING);
        assert_int_equal(intake_take_stage(&f->intake), SYNC_STAGE_FETCHING);
        assert_int_equal(intake_take_stage(&f->intake), SYNC_STAGE_SAVING);
        assert_int_equal(intake_take_stage(&f->intake), _SYNC_STAGE_INVALID);
        for (unsigned i = 0; i < STAGES_UNTOLD_MAX; i++)
                intake_set_stage(&f->intake, i % 2 == 0 ? SYNC_STAGE_FETCHING : SYNC_STAGE_PROCESSING);
        intake_set_stage(&f->intake, SYNC_STAGE_SAVING);
        assert_int_equal(f->intake.n_untold, STAGES_UNTOLD_MAX);
        assert_int_equal(intake_take_stage(&f->intake), SYNC_STAGE_PROCESSING);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_success, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_order_of_reasons, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_status_and_words, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_bad_lines, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_passing_bad_lines, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_accounts, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_retry_at, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_last_statuses, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_times_of_accounts, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_stages_are_told_one_by_one, set_up, tear_down),
        };

        return cmocka_run_group_tests_name("worker-outcome", tests, NULL, NULL);
}
