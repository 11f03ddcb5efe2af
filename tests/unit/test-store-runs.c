/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Runs, accounts, connectors and cursors: every value comes back as it was put, and the schema refuses what the model
 * forbids. */

#include "unit/expect.h"

#include <stdlib.h>

#include "base/string-util.h"
#include "unit/store-fixture.h"

/* Every field that is not a pointer, and every text, is different from the default. */
static Run *make_full_run(void)
{
        static const char *const accounts[] = { "savings", "checking", "Ünï \"code\"" };
        Run *run = make_ended_run("bank", USER_1, 1, A_TIME, RUN_PARTIAL);

        run->primary_user_id = strdup(USER_2);
        run->source = RUN_SOURCE_LINKED_ACCOUNT;
        run->trigger = RUN_TRIGGER_RETRY;
        run->requested_by = strdup("uid:1000");
        run->reason = strdup("because; DROP TABLE runs; --");
        run->full_resync = true;
        run->only_accounts = strdup("[\"savings\"]");
        run->attempt = 3;
        run->retry_of = strdup("00000000-0000-7000-8000-000000000000");
        run->message = strdup("Done · 3 new, 4 updated");
        run->progress = 0.375;
        run->items_processed = 7;
        run->items_total = INT64_MAX;
        run->counts = (Counts) { 10, 3, 4, 2 };
        run->error = strdup("Zwei Fehler:\n\"nö\"");
        run->category = ATTENTION_CONSENT_EXPIRED;
        run->metadata = strdup("{\"a\":[1,2]}");
        run->last_seq = 99;
        run->report_sequence = 17;
        run->invocation_id = strdup("0123456789abcdef0123456789abcdef");
        run->worker_pid = 4711;
        run->worker_start_ticks = 123456789;
        run->cpu_usec = 1;
        run->memory_peak_bytes = 2;
        run->io_read_bytes = 3;
        run->io_write_bytes = 0;
        for (size_t i = 0; i < ELEMENTSOF(accounts); i++) {
                Account *account;

                expect_ok(run_find_account(run, accounts[i], true, &account));
                account->status = (AccountStatus) i + 1;
                account->counts = (Counts) { i, i + 1, i + 2, i + 3 };
                account->category = i == 1 ? ATTENTION_DATA_ERROR : _ATTENTION_INVALID;
                account->error = i == 1 ? strdup("kaputt") : NULL;
                account->started_usec = i * USEC_PER_SEC;
                account->finished_usec = i == 2 ? A_TIME : 0;
        }
        return run;
}

static void assert_texts_equal(const char *a, const char *b)
{
        if (!streq_null(a, b))
                print_error("\"%s\" instead of \"%s\"\n", strempty(a), strempty(b));
        assert_true(streq_null(a, b));
}

static void assert_counts_equal(const Counts *a, const Counts *b)
{
        assert_true(a->discovered == b->discovered && a->added == b->added && a->updated == b->updated &&
                    a->deduped == b->deduped);
}

static void assert_accounts_equal(const Run *a, const Run *b)
{
        assert_int_equal(a->n_accounts, b->n_accounts);
        for (size_t i = 0; i < a->n_accounts; i++) {
                const Account *x = &a->accounts[i], *y = &b->accounts[i];

                assert_texts_equal(x->name, y->name);
                assert_texts_equal(x->error, y->error);
                assert_counts_equal(&x->counts, &y->counts);
                assert_int_equal(x->status, y->status);
                assert_int_equal(x->category, y->category);
                assert_true(x->started_usec == y->started_usec && x->finished_usec == y->finished_usec);
        }
}

static void assert_runs_equal(const Run *a, const Run *b)
{
        assert_texts_equal(a->id, b->id);
        assert_texts_equal(a->connector, b->connector);
        assert_texts_equal(a->connector_id, b->connector_id);
        assert_texts_equal(a->provider, b->provider);
        assert_texts_equal(a->user_id, b->user_id);
        assert_texts_equal(a->primary_user_id, b->primary_user_id);
        assert_texts_equal(a->requested_by, b->requested_by);
        assert_texts_equal(a->reason, b->reason);
        assert_texts_equal(a->only_accounts, b->only_accounts);
        assert_texts_equal(a->retry_of, b->retry_of);
        assert_texts_equal(a->message, b->message);
        assert_texts_equal(a->error, b->error);
        assert_texts_equal(a->metadata, b->metadata);
        assert_texts_equal(a->invocation_id, b->invocation_id);
        assert_true(a->source == b->source && a->trigger == b->trigger && a->full_resync == b->full_resync);
        assert_true(a->attempt == b->attempt && a->state == b->state && a->outcome == b->outcome);
        assert_true(a->stage == b->stage && a->progress == b->progress && a->category == b->category);
        assert_true(a->items_processed == b->items_processed && a->items_total == b->items_total);
        assert_counts_equal(&a->counts, &b->counts);
        assert_true(a->created_usec == b->created_usec && a->started_usec == b->started_usec);
        assert_true(a->finished_usec == b->finished_usec && a->updated_usec == b->updated_usec);
        assert_true(a->last_seq == b->last_seq && a->report_sequence == b->report_sequence);
        assert_true(a->worker_pid == b->worker_pid && a->worker_start_ticks == b->worker_start_ticks);
        assert_true(a->cpu_usec == b->cpu_usec && a->memory_peak_bytes == b->memory_peak_bytes);
        assert_true(a->io_read_bytes == b->io_read_bytes && a->io_write_bytes == b->io_write_bytes);
}

static void test_run_comes_back_whole(void **state)
{
        StoreFixture *f = *state;
        Run *full = make_full_run(), *bare = make_run(NULL, NULL, 2, A_TIME), *again;

        expect_ok(store_put_run(f->store, full, true));
        expect_ok(store_put_run(f->store, bare, true));
        expect_errno(store_get_run(f->store, full->id, true, &again), -ESRCH); /* not committed yet */
        store_fixture_commit(f);
        expect_ok(store_get_run(f->store, full->id, true, &again));
        assert_runs_equal(again, full);
        assert_accounts_equal(again, full);
        assert_true(again->row > 0);
        run_free(again);
        expect_ok(store_get_run(f->store, full->id, false, &again));
        assert_int_equal(again->n_accounts, 0);
        run_free(again);
        expect_ok(store_get_run(f->store, bare->id, true, &again));
        assert_runs_equal(again, bare);
        assert_accounts_equal(again, bare);
        run_free(again);
        expect_errno(store_get_run(f->store, "no such run", true, &again), -ESRCH);
        run_free(full);
        run_free(bare);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_run_comes_back_whole, store_fixture_setup, store_fixture_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
