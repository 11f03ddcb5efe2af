/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Runs: what may follow what, how outcomes look from outside, copies and accounts. */

#include "unit/expect.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/string-util.h"
#include "model/run.h"

static void test_transitions(void **state)
{
        /* from: queued, starting, running, stopping, finished */
        static const char *const legal[_RUN_STATE_MAX] = { "01101", "00111", "00011", "00001", "00000" };

        for (int from = -1; from <= _RUN_STATE_MAX; from++)
                for (int to = -1; to <= _RUN_STATE_MAX; to++) {
                        bool in_table = from >= 0 && from < _RUN_STATE_MAX && to >= 0 && to < _RUN_STATE_MAX;

                        assert_int_equal(run_transition_is_legal((RunState) from, (RunState) to),
                                         in_table && legal[from][to] == '1');
                }
        assert_false(run_transition_is_legal(_RUN_STATE_INVALID, RUN_QUEUED));
}

/* Every run can end: from each state there is a way to finished. */
static void test_every_run_can_end(void **state)
{
        for (RunState s = RUN_QUEUED; s < RUN_FINISHED; s++)
                assert_true(run_transition_is_legal(s, RUN_FINISHED));
}

static void test_outcomes_from_outside(void **state)
{
        static const struct {
                RunOutcome outcome;
                SyncStatus status;
                SyncStage stage;
        } table[] = {
                { RUN_SUCCEEDED, SYNC_STATUS_SUCCESS, SYNC_STAGE_COMPLETED },
                { RUN_PARTIAL, SYNC_STATUS_PARTIAL, SYNC_STAGE_COMPLETED },
                { RUN_FAILED, SYNC_STATUS_FAILED, SYNC_STAGE_FAILED },
                { RUN_CANCELLED, SYNC_STATUS_CANCELLED, SYNC_STAGE_CANCELLED },
                { RUN_SKIPPED, SYNC_STATUS_SKIPPED, SYNC_STAGE_COMPLETED },
        };

        static_assert(ELEMENTSOF(table) == _RUN_OUTCOME_MAX, "one row for each outcome");
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                assert_int_equal(sync_status_from_outcome(table[i].outcome), table[i].status);
                assert_int_equal(sync_stage_from_outcome(table[i].outcome), table[i].stage);
                assert_int_equal(run_outcome_from_status(table[i].status), table[i].outcome);
                assert_true(sync_status_is_terminal(table[i].status));
        }
        assert_int_equal(sync_status_from_outcome(_RUN_OUTCOME_INVALID), SYNC_STATUS_IN_PROGRESS);
        assert_int_equal(sync_stage_from_outcome(_RUN_OUTCOME_INVALID), _SYNC_STAGE_INVALID);
        assert_int_equal(run_outcome_from_status(SYNC_STATUS_IN_PROGRESS), _RUN_OUTCOME_INVALID);
        assert_false(sync_status_is_terminal(SYNC_STATUS_IN_PROGRESS));
}

static void test_new_run(void **state)
{
        Run *run = run_new();

        assert_non_null(run);
        assert_int_equal(run->state, RUN_QUEUED);
        assert_int_equal(run->outcome, _RUN_OUTCOME_INVALID);
        assert_int_equal(run->stage, SYNC_STAGE_QUEUED);
        assert_int_equal(run->category, _ATTENTION_INVALID);
        assert_int_equal(run->attempt, 1);
        assert_true(run->progress == PROGRESS_UNKNOWN);
        assert_true(run->items_processed == COUNT_UNKNOWN && run->items_total == COUNT_UNKNOWN);
        assert_true(run->cpu_usec == COUNT_UNKNOWN && run->memory_peak_bytes == COUNT_UNKNOWN);
        assert_true(run->io_read_bytes == COUNT_UNKNOWN && run->io_write_bytes == COUNT_UNKNOWN);
        assert_true(run_is_active(run));
        run->state = RUN_FINISHED;
        assert_false(run_is_active(run));
        assert_null(run_free(run));
        assert_null(run_free(NULL));
}

/* Every pointer of the structure, whatever member it is: a text that run_copy() forgets would be shared. */
static void test_copy_shares_nothing(void **state)
{
        Run *run = run_new(), *copy = NULL;
        char **const texts[] = {
                &run->id,           &run->connector,     &run->connector_id,
                &run->provider,     &run->user_id,       &run->primary_user_id,
                &run->requested_by, &run->reason,        &run->only_accounts,
                &run->retry_of,     &run->message,       &run->error,
                &run->metadata,     &run->invocation_id, &run->clock_boot_id,
        };
        Account *account;

        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                *texts[i] = asprintf_or_null("text %zu", i);
                assert_non_null(*texts[i]);
        }
        run->row = 5;
        run->last_seq = 9;
        expect_ok(run_find_account(run, "one", true, &account));
        account->error = strdup("no");
        account->counts.updated = 3;
        expect_ok(run_copy(run, true, &copy));
        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                const char *original = *texts[i],
                           *copied = *(char **) ((char *) copy + ((char *) texts[i] - (char *) run));

                assert_string_equal(copied, original);
                assert_ptr_not_equal(copied, original);
        }
        assert_true(copy->row == 5 && copy->last_seq == 9);
        assert_int_equal(copy->n_accounts, 1);
        assert_ptr_not_equal(copy->accounts, run->accounts);
        assert_ptr_not_equal(copy->accounts[0].name, run->accounts[0].name);
        assert_string_equal(copy->accounts[0].name, "one");
        assert_string_equal(copy->accounts[0].error, "no");
        assert_true(copy->accounts[0].counts.updated == 3);
        run_free(copy);
        expect_ok(run_copy(run, false, &copy));
        assert_int_equal(copy->n_accounts, 0);
        assert_null(copy->accounts);
        run_free(copy);
        run_free(run);
}

/* It is there until the last of them has freed it; and a copy is nobody's but its maker's. */
static void test_shared(void **state)
{
        Run *run = run_new(), *copy = NULL;

        run->message = strdup("text");
        assert_ptr_equal(run_share(run), run);
        expect_ok(run_copy(run, false, &copy));
        assert_null(run_free(run));
        assert_string_equal(run->message, "text");
        run_free(copy);
        expect_ok(run_snapshot(run, &copy));
        run_free(run);
        assert_string_equal(copy->message, "text");
        assert_null(copy->error);
        run_free(copy); /* what is left is found by the sanitizer */
}

static void test_accounts(void **state)
{
        Run *run = run_new();
        Account *account = NULL;
        char name[16];

        expect_errno(run_find_account(run, "1", false, &account), -ENOENT);
        assert_null(account);
        for (unsigned i = 0; i < ACCOUNTS_PER_RUN_MAX; i++) {
                (void) snprintf(name, sizeof(name), "%u", i);
                expect_ok(run_find_account(run, name, true, &account));
                assert_int_equal(account->status, ACCOUNT_RUNNING);
                assert_int_equal(account->category, _ATTENTION_INVALID);
                account->counts.added = i;
        }
        expect_errno(run_find_account(run, "one more", true, &account), -E2BIG);
        assert_int_equal(run->n_accounts, ACCOUNTS_PER_RUN_MAX);
        expect_ok(run_find_account(run, "7", true, &account));
        assert_true(account->counts.added == 7);
        expect_ok(run_find_account(run, "999", false, &account));
        assert_true(account->counts.added == 999);
        run_free(run);
}

static void test_account_copy(void **state)
{
        Account account = { .name = (char *) "a", .status = ACCOUNT_NO_DATA, .category = ATTENTION_DATA_ERROR },
                copy = {};

        expect_ok(account_copy(&account, &copy));
        assert_string_equal(copy.name, "a");
        assert_ptr_not_equal(copy.name, account.name);
        assert_null(copy.error);
        assert_int_equal(copy.status, ACCOUNT_NO_DATA);
        account_done(&copy);
        assert_null(copy.name);
        assert_int_equal(copy.category, _ATTENTION_INVALID);
        account_done(&copy);
}

static void test_attention(void **state)
{
        Attention attention = { .category = ATTENTION_CONNECTION_LOST, .message = strdup("x"), .run_id = strdup("y") };
        const char *longest = "a123456789012345678901234567";
        char buf[ATTENTION_ADVICE_MAX];

        for (AttentionCategory c = 0; c < _ATTENTION_MAX; c++)
                assert_true(endswith(attention_advice(c), "."));
        assert_null(attention_advice(_ATTENTION_INVALID));
        assert_null(attention_advice(_ATTENTION_MAX));
        for (AttentionCategory c = 0; c < _ATTENTION_MAX; c++) {
                assert_ptr_equal(attention_advice_for(buf, c, NULL), attention_advice(c));
                assert_int_equal(streq(attention_advice_for(buf, c, longest), attention_advice(c)),
                                 c != ATTENTION_CONNECTION_LOST);
        }
        assert_null(attention_advice_for(buf, _ATTENTION_INVALID, longest));
        assert_true(endswith(attention_advice_for(buf, ATTENTION_CONNECTION_LOST, longest),
                             "then 'syncrunctl start a123456789012345678901234567'."));
        for (AttentionCategory c = 0; c < _ATTENTION_MAX; c++) {
                assert_ptr_equal(attention_advice_afar(c, true), attention_advice(c));
                assert_null(strstr(attention_advice_afar(c, false), "syncrunctl"));
        }
        assert_string_not_equal(attention_advice_afar(ATTENTION_CONNECTION_LOST, false),
                                attention_advice(ATTENTION_CONNECTION_LOST));
        attention_done(&attention);
        assert_int_equal(attention.category, _ATTENTION_INVALID);
        assert_null(attention.message);
        attention_done(&attention);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_transitions),           cmocka_unit_test(test_every_run_can_end),
                cmocka_unit_test(test_outcomes_from_outside), cmocka_unit_test(test_new_run),
                cmocka_unit_test(test_copy_shares_nothing),   cmocka_unit_test(test_shared),
                cmocka_unit_test(test_accounts),
                cmocka_unit_test(test_account_copy),          cmocka_unit_test(test_attention),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
