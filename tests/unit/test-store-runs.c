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
        run->counts = (Counts){ 10, 3, 4, 2 };
        run->error = strdup("Zwei Fehler:\n\"nö\"");
        run->category = ATTENTION_CONSENT_EXPIRED;
        run->metadata = strdup("{\"a\":[1,2]}");
        run->last_seq = 99;
        run->report_sequence = 17;
        run->invocation_id = strdup("0123456789abcdef0123456789abcdef");
        run->clock_boot_id = strdup("fedcba9876543210fedcba9876543210");
        run->clock_usec = 987654321;
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
                account->counts = (Counts){ i, i + 1, i + 2, i + 3 };
                account->category = i == 1 ? ATTENTION_DATA_ERROR : _ATTENTION_INVALID;
                account->error = i == 1 ? strdup("kaputt") : NULL;
                account->started_usec = i * USEC_PER_SEC;
                account->finished_usec = i == 2 ? A_TIME : 0;
        }
        return run;
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

static void test_update_keeps_identity(void **state)
{
        StoreFixture *f = *state;
        Run *run = make_run("bank", USER_1, 1, A_TIME), *other = make_full_run(), *again;

        expect_ok(store_put_run(f->store, run, true));
        store_fixture_commit(f);
        other->state = RUN_STOPPING;
        expect_ok(store_put_run(f->store, run, true));
        run->state = RUN_RUNNING;
        expect_ok(store_put_run(f->store, run, true));
        expect_ok(store_put_run(f->store, other, true));
        other->state = RUN_FINISHED;
        expect_ok(store_put_run(f->store, other, false));
        store_fixture_commit(f);
        expect_ok(store_get_run(f->store, run->id, true, &again));
        assert_texts_equal(again->reason, NULL);
        assert_int_equal(again->trigger, run->trigger);
        assert_int_equal(again->attempt, 1);
        assert_texts_equal(again->message, other->message);
        assert_texts_equal(again->primary_user_id, USER_2);
        assert_int_equal(again->state, RUN_FINISHED);
        assert_int_equal(again->outcome, RUN_PARTIAL);
        assert_true(again->finished_usec == other->finished_usec);
        assert_accounts_equal(again, other);
        run_free(again);
        run_free(other);
        run_free(run);
}

static void test_account_alone(void **state)
{
        StoreFixture *f = *state;
        Run *run = make_full_run(), *again;
        Account *account;

        expect_ok(store_put_run(f->store, run, true));
        expect_ok(run_find_account(run, "checking", false, &account));
        account->counts.added = 1000;
        expect_ok(free_and_strdup(&account->error, NULL));
        expect_ok(store_put_account(f->store, run->id, account));
        expect_ok(run_find_account(run, "a new one, last though its name is first", true, &account));
        expect_ok(store_put_account(f->store, run->id, account));
        store_fixture_commit(f);
        expect_ok(store_get_run(f->store, run->id, true, &again));
        assert_accounts_equal(again, run);
        run_free(again);
        run_free(run);
}

static void test_transitions_as_in_the_model(void **state)
{
        StoreFixture *f = *state;
        unsigned number = 0;

        for (RunState from = 0; from < _RUN_STATE_MAX; from++)
                for (RunState to = 0; to < _RUN_STATE_MAX; to++) {
                        Run *run = make_run(NULL, NULL, ++number, A_TIME);
                        bool legal = from == to || run_transition_is_legal(from, to);

                        for (int i = 0; i < 2; i++) {
                                run->state = i == 0 ? from : to;
                                run->outcome = run->state >= RUN_STOPPING ? RUN_FAILED : _RUN_OUTCOME_INVALID;
                                run->finished_usec = run->state == RUN_FINISHED ? A_TIME : 0;
                                expect_errno(store_fixture_commit_run(f, run), i == 0 || legal ? 0 : -EINVAL);
                        }
                        run_free(run);
                }
}

static void test_state_fits_outcome(void **state)
{
        static const struct {
                RunState state;
                RunOutcome outcome;
                usec_t finished_usec;
                int error;
        } cases[] = {
                { RUN_QUEUED, RUN_FAILED, 0, -EINVAL },
                { RUN_RUNNING, RUN_SUCCEEDED, 0, -EINVAL },
                { RUN_STOPPING, _RUN_OUTCOME_INVALID, 0, 0 },
                { RUN_STOPPING, RUN_CANCELLED, 0, 0 },
                { RUN_FINISHED, _RUN_OUTCOME_INVALID, A_TIME, -EINVAL },
                { RUN_FINISHED, RUN_SKIPPED, 0, -EINVAL },
                { RUN_FINISHED, RUN_SKIPPED, A_TIME, 0 },
        };
        StoreFixture *f = *state;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Run *run = make_run(NULL, NULL, (unsigned) i, A_TIME);

                run->state = cases[i].state;
                run->outcome = cases[i].outcome;
                run->finished_usec = cases[i].finished_usec;
                expect_errno(store_fixture_commit_run(f, run), cases[i].error);
                run_free(run);
        }
}

static void test_outcome_is_set_once(void **state)
{
        StoreFixture *f = *state;
        Run *run = make_run(NULL, NULL, 1, A_TIME);

        run->state = RUN_STOPPING;
        expect_ok(store_fixture_commit_run(f, run));
        run->outcome = RUN_SUCCEEDED;
        expect_ok(store_fixture_commit_run(f, run));
        run->outcome = RUN_FAILED;
        expect_errno(store_fixture_commit_run(f, run), -EINVAL);
        run->outcome = _RUN_OUTCOME_INVALID;
        expect_errno(store_fixture_commit_run(f, run), -EINVAL);
        run->outcome = RUN_SUCCEEDED;
        run->state = RUN_FINISHED;
        run->finished_usec = A_TIME;
        expect_ok(store_fixture_commit_run(f, run));
        run->counts.added = 5; /* settled later */
        expect_ok(store_fixture_commit_run(f, run));
        run_free(run);
}

static void test_every_word_is_taken(void **state)
{
        StoreFixture *f = *state;
        Run *run = make_run(NULL, USER_1, 1, A_TIME), *again;
        Account account = { .name = (char *) "a" };

        for (int i = 0; i < 1000; i++) {
                free(run->id);
                run->id = asprintf_or_null("run-%d", i);
                run->source = (RunSource) (i % _RUN_SOURCE_MAX);
                run->trigger = (RunTrigger) (i % _RUN_TRIGGER_MAX);
                run->stage = (SyncStage) (i % _SYNC_STAGE_MAX);
                run->category = (AttentionCategory) (i % _ATTENTION_MAX);
                run->state = (RunState) (i % _RUN_STATE_MAX);
                run->outcome = run->state >= RUN_STOPPING ? (RunOutcome) (i / _RUN_STATE_MAX % _RUN_OUTCOME_MAX)
                                                          : _RUN_OUTCOME_INVALID;
                run->finished_usec = run->state == RUN_FINISHED ? A_TIME : 0;
                account.status = (AccountStatus) (i % _ACCOUNT_STATUS_MAX);
                account.category = (AttentionCategory) (i % _ATTENTION_MAX);
                expect_ok(store_put_run(f->store, run, false));
                expect_ok(store_put_account(f->store, run->id, &account));
                if (i % 100 != 99)
                        continue;
                store_fixture_commit(f);
                expect_ok(store_get_run(f->store, run->id, true, &again));
                assert_runs_equal(again, run);
                run_free(again);
        }
        run_free(run);
}

static void test_one_active_run_of_a_connector(void **state)
{
        StoreFixture *f = *state;
        Run *first = make_run("bank", NULL, 1, A_TIME), *second = make_run("bank", NULL, 2, A_TIME);
        Run *other = make_run("shop", NULL, 3, A_TIME),
            *skipped = make_ended_run("bank", NULL, 4, A_TIME, RUN_SKIPPED);
        Run *again;

        expect_ok(store_fixture_commit_run(f, first));
        expect_ok(store_fixture_commit_run(f, other));
        expect_ok(store_fixture_commit_run(f, skipped));
        expect_errno(store_fixture_commit_run(f, second), -EEXIST);
        expect_errno(store_get_run(f->store, second->id, false, &again), -ESRCH);
        first->state = RUN_FINISHED;
        first->outcome = RUN_SUCCEEDED;
        first->finished_usec = A_TIME;
        expect_ok(store_fixture_commit_run(f, first));
        expect_ok(store_fixture_commit_run(f, second));
        run_free(first);
        run_free(second);
        run_free(other);
        run_free(skipped);
}

static void test_active_runs_oldest_first(void **state)
{
        StoreFixture *f = *state;
        Run **runs = NULL;
        size_t n;

        for (unsigned i = 0; i < 40; i++) {
                char *name = asprintf_or_null("c%u", i);
                Run *run = i % 2 == 0 ? make_run(name, USER_1, i, A_TIME + 100 - i)
                                      : make_ended_run(name, USER_1, i, A_TIME, RUN_SUCCEEDED);
                Account *account;

                if (i == 0)
                        run->state = RUN_STOPPING;
                expect_ok(run_find_account(run, "a", true, &account));
                expect_ok(store_put_run(f->store, run, true));
                run_free(run);
                free(name);
        }
        store_fixture_commit(f);
        expect_ok(store_load_active_runs(f->store, &runs, &n));
        assert_int_equal(n, 20);
        for (size_t i = 0; i < n; i++) {
                assert_true(runs[i]->created_usec == A_TIME + 100 - (38 - 2 * i));
                assert_int_equal(runs[i]->n_accounts, 1);
        }
        runs_free(runs, n);
}

static void test_refused_puts(void **state)
{
        StoreFixture *f = *state;
        Run *run = make_run("bank", NULL, 1, A_TIME);
        ConnectorRecord record = CONNECTOR_RECORD_INIT;
        Account account = { .name = (char *) "a", .category = _ATTENTION_INVALID };

        free(TAKE_PTR(run->connector_id));
        expect_errno(store_put_run(f->store, run, false), -EINVAL);
        free(TAKE_PTR(run->connector));
        free(TAKE_PTR(run->provider));
        expect_errno(store_put_run(f->store, run, false), -EINVAL);
        expect_errno(store_put_connector(f->store, &record), -EINVAL);
        expect_errno(store_put_user(f->store, "nobody", A_TIME), -EINVAL);
        assert_int_equal(store_ticket(f->store), 0);

        /* Of a run that is not there. */
        expect_ok(store_put_account(f->store, "no such run", &account));
        store_fixture_await_failure(f, 1);
        assert_int_equal(f->error, -ENOENT);
        run_free(run);
}

static ConnectorRecord make_record(const char *name)
{
        return (ConnectorRecord) {
                .name = strdup(name),
                .id = strdup("dddddddd-0000-4000-8000-000000000000"),
                .first_seen_usec = A_TIME,
                .active_override = 1,
                .last_elapse_usec = A_TIME + 1,
                .last_finished_usec = A_TIME + 2,
                .last_run_id = strdup("the last"),
                .last_outcome = RUN_SKIPPED,
                .consecutive_failures = 3,
                .retry_at_usec = A_TIME + 3,
                .retry_is_absolute = true,
                .retry_attempt = 4,
                .retry_of = strdup("the first"),
                .follow_up = {
                        .wanted = true,
                        .trigger = RUN_TRIGGER_CATCH_UP,
                        .requested_by = strdup("uid:0"),
                        .reason = strdup("why not"),
                        .accounts = strdup("[\"a\"]"),
                },
                .resync = {
                        .wanted = true,
                        .trigger = RUN_TRIGGER_MANUAL,
                        .requested_by = strdup("uid:1"),
                        .reason = strdup("why"),
                        .accounts = strdup("[\"b\"]"),
                },
                .owes_resync = true,
                .owed_accounts = strdup("[\"c\"]"),
                .resyncing = true,
                .planned = { A_TIME + 6, A_TIME + 7, true },
                .attention = {
                        .category = ATTENTION_CONNECTION_LOST,
                        .message = strdup("weg"),
                        .since_usec = A_TIME + 5,
                        .run_id = strdup("this one"),
                },
        };
}

static void test_connectors(void **state)
{
        StoreFixture *f = *state;
        ConnectorRecord full = make_record("zoo"), bare = CONNECTOR_RECORD_INIT, *records;
        Run *run = make_run("bank", NULL, 1, A_TIME);
        char first_id[UUID_TEXT_MAX];
        size_t n;

        bare.name = strdup("ape");
        bare.id = strdup("eeeeeeee-0000-4000-8000-000000000000");
        expect_ok(store_load_connectors(f->store, &records, &n));
        assert_int_equal(n, 0);
        connector_records_free(records, n);
        expect_ok(store_put_connector(f->store, &full));
        expect_ok(store_put_connector(f->store, &bare));
        expect_ok(store_put_run(f->store, run, false)); /* brings its connector */
        store_fixture_commit(f);
        expect_ok(store_load_connectors(f->store, &records, &n));
        assert_int_equal(n, 3);
        assert_records_equal(&records[0], &bare);
        assert_texts_equal(records[1].name, "bank");
        assert_texts_equal(records[1].id, run->connector_id);
        assert_int_equal(records[1].active_override, -1);
        assert_records_equal(&records[2], &full);
        connector_records_free(records, n);

        /* The id stays, all the rest is replaced. */
        (void) strcpy(first_id, full.id);
        connector_record_done(&full);
        full.name = strdup("zoo");
        full.id = strdup("ffffffff-0000-4000-8000-000000000000");
        expect_ok(store_put_connector(f->store, &full));
        store_fixture_commit(f);
        expect_ok(store_load_connectors(f->store, &records, &n));
        assert_texts_equal(records[2].id, first_id);
        expect_ok(free_and_strdup(&full.id, first_id));
        full.first_seen_usec = A_TIME;
        assert_records_equal(&records[2], &full);
        connector_records_free(records, n);
        connector_record_done(&full);
        connector_record_done(&bare);
        run_free(run);
}

static void test_cursors(void **state)
{
        StoreFixture *f = *state;
        ConnectorRecord record = make_record("bank");
        char *cursor, *large = malloc(CURSOR_MAX + 2);

        assert_non_null(large);
        expect_ok(store_put_connector(f->store, &record));
        expect_ok(store_put_cursor(f->store, "bank", NULL)); /* none to delete */
        store_fixture_commit(f);
        expect_errno(store_get_cursor(f->store, "bank", &cursor), 0);
        expect_ok(store_put_cursor(f->store, "bank", "{\"a\":1}"));
        expect_ok(store_put_cursor(f->store, "bank", "{\"a\":2}"));
        store_fixture_commit(f);
        expect_errno(store_get_cursor(f->store, "bank", &cursor), 1);
        assert_texts_equal(cursor, "{\"a\":2}");
        free(cursor);

        memset(large, 'x', CURSOR_MAX + 1);
        large[CURSOR_MAX + 1] = '\0';
        expect_errno(store_put_cursor(f->store, "bank", large), -E2BIG);
        large[CURSOR_MAX] = '\0';
        expect_ok(store_put_cursor(f->store, "bank", large));
        store_fixture_commit(f);
        expect_errno(store_get_cursor(f->store, "bank", &cursor), 1);
        assert_texts_equal(cursor, large);
        free(cursor);

        expect_ok(store_put_cursor(f->store, "bank", NULL));
        store_fixture_commit(f);
        expect_errno(store_get_cursor(f->store, "bank", &cursor), 0);
        expect_errno(store_get_cursor(f->store, "nobody", &cursor), 0);
        expect_ok(store_put_cursor(f->store, "nobody", "{}"));
        store_fixture_await_failure(f, 1);
        assert_int_equal(f->error, -ENOENT);
        connector_record_done(&record);
        free(large);
}

static void test_users(void **state)
{
        StoreFixture *f = *state;
        Run *run = make_run("bank", USER_2, 1, A_TIME + 7),
            *second = make_ended_run(NULL, USER_2, 2, A_TIME + 9, RUN_FAILED);
        UserRecord *users;
        size_t n;

        expect_errno(store_user_exists(f->store, USER_1), 0);
        expect_ok(store_put_user(f->store, USER_1, A_TIME));
        expect_ok(store_put_user(f->store, "11111111-1111-4111-8111-11111111111A", A_TIME)); /* kept in lower case */
        expect_ok(store_put_user(f->store, USER_1, A_TIME + 1));
        expect_ok(store_put_run(f->store, run, false));
        expect_ok(store_put_run(f->store, run, false));
        expect_ok(store_put_run(f->store, second, false));
        store_fixture_commit(f);
        expect_errno(store_user_exists(f->store, USER_1), 1);
        expect_errno(store_user_exists(f->store, USER_2), 1);
        expect_ok(store_list_users(f->store, NULL, USERS_PAGE_MAX, &users, &n));
        assert_int_equal(n, 3);
        assert_texts_equal(users[0].id, USER_1);
        assert_true(users[0].first_seen_usec == A_TIME && users[0].n_runs == 0 && users[0].last_run_usec == 0);
        assert_texts_equal(users[1].id, "11111111-1111-4111-8111-11111111111a");
        assert_texts_equal(users[2].id, USER_2);
        assert_true(users[2].first_seen_usec == A_TIME + 7 && users[2].n_runs == 2);
        assert_true(users[2].last_run_usec == A_TIME + 9);
        user_records_free(users, n);
        expect_ok(store_list_users(f->store, USER_1, 1, &users, &n));
        assert_int_equal(n, 1);
        assert_texts_equal(users[0].id, "11111111-1111-4111-8111-11111111111a");
        user_records_free(users, n);
        expect_ok(store_list_users(f->store, USER_2, 1, &users, &n));
        assert_int_equal(n, 0);
        user_records_free(users, n);
        expect_errno(store_list_users(f->store, NULL, 0, &users, &n), -EINVAL);
        expect_errno(store_list_users(f->store, NULL, USERS_PAGE_MAX + 1, &users, &n), -EINVAL);
        run_free(run);
        run_free(second);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                STORE_TEST(test_run_comes_back_whole),
                STORE_TEST(test_update_keeps_identity),
                STORE_TEST(test_account_alone),
                STORE_TEST(test_transitions_as_in_the_model),
                STORE_TEST(test_state_fits_outcome),
                STORE_TEST(test_outcome_is_set_once),
                STORE_TEST(test_every_word_is_taken),
                STORE_TEST(test_one_active_run_of_a_connector),
                STORE_TEST(test_active_runs_oldest_first),
                STORE_TEST(test_refused_puts),
                STORE_TEST(test_connectors),
                STORE_TEST(test_cursors),
                STORE_TEST(test_users),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
