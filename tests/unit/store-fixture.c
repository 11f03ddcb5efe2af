/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "unit/expect.h"

#include "unit/store-fixture.h"

#include <ftw.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/string-util.h"

static void on_committed(uint64_t ticket, void *userdata)
{
        StoreFixture *f = userdata;

        assert_true(ticket > f->committed);
        f->committed = ticket;
        f->n_committed++;
}

static void on_failed(int error, void *userdata)
{
        StoreFixture *f = userdata;

        f->error = error;
        f->n_failed++;
}

static void on_recovered(void *userdata)
{
        StoreFixture *f = userdata;

        f->n_recovered++;
}

int store_fixture_open(StoreFixture *f, const StoreOptions *options)
{
        static const StoreCallbacks callbacks = { on_committed, on_failed, on_recovered };
        StoreOptions usual = { .path = f->path, .retry_usec = 5 * USEC_PER_MSEC };

        free(TAKE_PTR(f->why));
        f->committed = 0;
        return store_open(f->event, options ? options : &usual, &callbacks, f, &f->why, &f->store);
}

void store_fixture_close(StoreFixture *f)
{
        f->store = store_close(f->store);
}

int store_fixture_setup(void **state)
{
        StoreFixture *f = calloc(1, sizeof(StoreFixture));

        if (!f)
                return -1;
        *state = f;
        /* In memory where that can be: the tests commit often. */
        (void) snprintf(f->folder, sizeof(f->folder), "%s/syncrun-test-store-XXXXXX",
                        access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
        if (!mkdtemp(f->folder))
                return -1;
        (void) snprintf(f->path, sizeof(f->path), "%s/history.db", f->folder);
        if (sd_event_new(&f->event) < 0)
                return -1;
        return store_fixture_open(f, NULL);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        return remove(path);
}

int store_fixture_teardown(void **state)
{
        StoreFixture *f = *state;

        store_close(f->store);
        sd_event_unref(f->event);
        free(f->why);
        (void) nftw(f->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
        free(f);
        return 0;
}

void store_fixture_commit(StoreFixture *f)
{
        uint64_t ticket = store_ticket(f->store);
        unsigned n_failed = f->n_failed;

        while (f->committed < ticket && f->n_failed == n_failed)
                expect_ok(sd_event_run(f->event, UINT64_MAX));
        if (f->n_failed > n_failed)
                print_error("commit: %s\n", strerror(-f->error));
        assert_int_equal(f->n_failed, n_failed);
}

void store_fixture_await_failure(StoreFixture *f, unsigned n)
{
        while (f->n_failed < n)
                expect_ok(sd_event_run(f->event, UINT64_MAX));
}

void store_fixture_await_recovery(StoreFixture *f, unsigned n)
{
        while (f->n_recovered < n)
                expect_ok(sd_event_run(f->event, UINT64_MAX));
}

int store_fixture_commit_run(StoreFixture *f, const Run *run)
{
        unsigned n_failed = f->n_failed;
        uint64_t ticket;

        expect_ok(store_put_run(f->store, run, false));
        ticket = store_ticket(f->store);
        while (f->committed < ticket && f->n_failed == n_failed)
                expect_ok(sd_event_run(f->event, UINT64_MAX));
        if (f->n_failed == n_failed)
                return 0;
        store_fixture_await_recovery(f, f->n_failed);
        return f->error;
}

int64_t store_fixture_sql(const char *path, const char *sql)
{
        sqlite3_stmt *stmt = NULL;
        sqlite3 *db = NULL;
        int64_t value = -1;

        assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL), SQLITE_OK);
        (void) sqlite3_busy_timeout(db, 10000);
        for (const char *rest = sql; !isempty(rest);) {
                int code = sqlite3_prepare_v2(db, rest, -1, &stmt, &rest);

                if (code == SQLITE_OK && stmt) {
                        code = sqlite3_step(stmt);
                        if (code == SQLITE_ROW)
                                value = sqlite3_column_int64(stmt, 0);
                        while (code == SQLITE_ROW)
                                code = sqlite3_step(stmt);
                        (void) sqlite3_finalize(stmt);
                        code = code == SQLITE_DONE ? SQLITE_OK : code;
                }
                if (code != SQLITE_OK)
                        print_error("%s: %s\n", sql, sqlite3_errmsg(db));
                assert_int_equal(code, SQLITE_OK);
        }
        (void) sqlite3_close(db);
        return value;
}

static char *copy(const char *s)
{
        char *c = s ? strdup(s) : NULL;

        assert_true(c || !s);
        return c;
}

void assert_plan(StoreFixture *f, const char *sql, const char *by, bool sorted_afterwards)
{
        _cleanup_free_ char *explain = asprintf_or_null("EXPLAIN QUERY PLAN %s", sql);
        sqlite3_stmt *stmt;
        bool found = false;
        sqlite3 *db;

        assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
        assert_int_equal(sqlite3_prepare_v2(db, explain, -1, &stmt, NULL), SQLITE_OK);
        while (sqlite3_step(stmt) == SQLITE_ROW) {
                const char *detail = (const char *) sqlite3_column_text(stmt, 3);

                bool good = !strstr(detail, "SCAN") && (sorted_afterwards || !strstr(detail, "TEMP B-TREE"));

                if (!good)
                        print_error("%s: %s\n", sql, detail);
                assert_true(good);
                found = found || strstr(detail, by);
        }
        if (!found)
                print_error("%s: not %s\n", sql, by);
        assert_true(found);
        (void) sqlite3_finalize(stmt);
        (void) sqlite3_close(db);
}

Run *make_run(const char *connector, const char *user_id, unsigned number, usec_t created_usec)
{
        Run *run = run_new();

        assert_non_null(run);
        run->id = asprintf_or_null("00000000-0000-7000-8000-%012u", number);
        assert_non_null(run->id);
        if (connector) {
                unsigned sum = 0;

                for (const char *p = connector; *p; p++)
                        sum = sum * 31 + (unsigned char) *p;
                run->connector = copy(connector);
                run->connector_id = asprintf_or_null("cccccccc-0000-4000-8000-%012u", sum);
                assert_non_null(run->connector_id);
        }
        run->provider = copy(connector ? connector : "elsewhere");
        run->user_id = copy(user_id);
        run->source = connector ? RUN_SOURCE_PULL : RUN_SOURCE_SDK;
        run->created_usec = run->updated_usec = created_usec;
        return run;
}

Run *make_ended_run(const char *connector, const char *user_id, unsigned number, usec_t created_usec,
                    RunOutcome outcome)
{
        Run *run = make_run(connector, user_id, number, created_usec);

        run->state = RUN_FINISHED;
        run->outcome = outcome;
        run->stage = sync_stage_from_outcome(outcome);
        run->started_usec = created_usec;
        run->finished_usec = run->updated_usec = created_usec + USEC_PER_SEC;
        return run;
}

void put_event_of(Store *store, const Run *run, usec_t time_usec)
{
        Event event;

        expect_ok(event_make(run, store_last_seq(store) + 1, time_usec, &event));
        expect_ok(store_put_event(store, run, &event));
        event_done(&event);
}

void assert_texts_equal(const char *a, const char *b)
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

void assert_accounts_equal(const Run *a, const Run *b)
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

void assert_runs_equal(const Run *a, const Run *b)
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
        assert_texts_equal(a->clock_boot_id, b->clock_boot_id);
        assert_true(a->clock_usec == b->clock_usec);
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

static void assert_follow_ups_equal(const FollowUp *a, const FollowUp *b)
{
        assert_true(a->wanted == b->wanted && a->trigger == b->trigger);
        assert_texts_equal(a->requested_by, b->requested_by);
        assert_texts_equal(a->reason, b->reason);
        assert_texts_equal(a->accounts, b->accounts);
}

void assert_records_equal(const ConnectorRecord *a, const ConnectorRecord *b)
{
        assert_texts_equal(a->name, b->name);
        assert_texts_equal(a->id, b->id);
        assert_texts_equal(a->user_id, b->user_id);
        assert_texts_equal(a->last_run_id, b->last_run_id);
        assert_texts_equal(a->retry_accounts, b->retry_accounts);
        assert_texts_equal(a->failing_accounts, b->failing_accounts);
        assert_texts_equal(a->retry_of, b->retry_of);
        assert_follow_ups_equal(&a->follow_up, &b->follow_up);
        assert_follow_ups_equal(&a->resync, &b->resync);
        assert_texts_equal(a->owed_accounts, b->owed_accounts);
        assert_texts_equal(a->attention.message, b->attention.message);
        assert_texts_equal(a->attention.run_id, b->attention.run_id);
        assert_texts_equal(a->attention.accounts, b->attention.accounts);
        assert_true(a->lasting == b->lasting && a->lost_with_machine == b->lost_with_machine);
        assert_true(a->first_seen_usec == b->first_seen_usec && a->active_override == b->active_override);
        assert_true(a->last_elapse_usec == b->last_elapse_usec && a->last_finished_usec == b->last_finished_usec);
        assert_true(a->last_outcome == b->last_outcome && a->consecutive_failures == b->consecutive_failures);
        assert_true(a->retry_at_usec == b->retry_at_usec && a->retry_attempt == b->retry_attempt);
        assert_int_equal(a->retry_is_absolute, b->retry_is_absolute);
        assert_true(a->owes_resync == b->owes_resync && a->resyncing == b->resyncing);
        assert_true(a->planned.elapse_usec == b->planned.elapse_usec && a->planned.due_usec == b->planned.due_usec);
        assert_true(a->planned.missed == b->planned.missed);
        assert_true(a->attention.category == b->attention.category);
        assert_true(a->attention.since_usec == b->attention.since_usec);
}

static const char *const connectors[] = { "bank", "shop", "zoo", NULL };
static const char *const users[] = { USER_1, USER_2, NULL };

Run *store_fixture_nth_run(unsigned i)
{
        Run *run = make_run(connectors[i * 7 / 3 % 4], users[i * 5 / 4 % 3], i, A_TIME + i * 31 % N_RUNS / 3);

        if (i % 20 != 0) {
                run->state = RUN_FINISHED;
                run->outcome = (RunOutcome) (i * 3 / 2 % _RUN_OUTCOME_MAX);
                run->finished_usec = A_TIME + i;
        } else if (run->connector) {
                run->state = RUN_FINISHED;
                run->outcome = RUN_SUCCEEDED;
                run->finished_usec = A_TIME + i;
        }
        run->source = (RunSource) (i / 3 % _RUN_SOURCE_MAX);
        return run;
}

int store_fixture_setup_runs(void **state)
{
        StoreFixture *f;

        if (store_fixture_setup(state) < 0)
                return -1;
        f = *state;
        for (unsigned i = 0; i < N_RUNS; i++) {
                Run *run = store_fixture_nth_run(i);
                Account *account;

                expect_ok(run_find_account(run, "a", true, &account));
                expect_ok(store_put_run(f->store, run, true));
                put_event_of(f->store, run, run->created_usec);
                run_free(run);
        }
        store_fixture_commit(f);
        return 0;
}
