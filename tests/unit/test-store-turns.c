/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a turn of the loop puts of one run: one write, where nothing is lost by it. */

#include "unit/expect.h"

#include "unit/store-fixture.h"

/* What a turn puts of one run is one write, with the last state; all its events are there. */
static void test_one_write_a_turn(void **state)
{
        StoreFixture *f = *state;
        Run *run = make_run(NULL, USER_1, 1, A_TIME), *again;
        uint64_t ticket;

        expect_ok(store_put_run(f->store, run, false));
        put_event_of(f->store, run, A_TIME);
        ticket = store_ticket(f->store);
        run->state = RUN_RUNNING;
        run->stage = SYNC_STAGE_FETCHING;
        expect_ok(store_put_run(f->store, run, false));
        assert_true(store_ticket(f->store) == ticket);
        put_event_of(f->store, run, A_TIME);
        run->state = RUN_FINISHED;
        run->outcome = RUN_SUCCEEDED;
        run->finished_usec = A_TIME;
        expect_ok(store_put_run(f->store, run, false));
        put_event_of(f->store, run, A_TIME);
        assert_true(store_ticket(f->store) == ticket + 2);
        store_fixture_commit(f);
        expect_ok(store_get_run(f->store, run->id, false, &again));
        assert_runs_equal(again, run);
        run_free(again);
        assert_int_equal(store_fixture_sql(f->path, "SELECT count(*) FROM events JOIN runs ON row = run"
                                                    "  JOIN users ON key = events.user AND key = runs.user"),
                         3);
        assert_int_equal(store_fixture_sql(f->path, "SELECT n_ended FROM users"), 1);

        /* The next turn knows nothing of it. */
        ticket = store_ticket(f->store);
        expect_ok(store_put_run(f->store, run, false));
        assert_true(store_ticket(f->store) == ticket + 1);
        store_fixture_commit(f);
        run_free(run);
}

/* Every legal way through the states is taken in one turn as it is in several; a last step that is not is refused. */
static void test_a_turn_may_be_a_life(void **state)
{
        StoreFixture *f = *state;
        unsigned number = 0;

        for (RunState from = 0; from < _RUN_STATE_MAX; from++)
                for (RunState over = 0; over < _RUN_STATE_MAX; over++)
                        for (RunState to = 0; to < _RUN_STATE_MAX; to++) {
                                RunState states[] = { from, over, to };
                                bool legal = over == to || run_transition_is_legal(over, to);
                                Run *run;

                                if (from != over && !run_transition_is_legal(from, over))
                                        continue;
                                run = make_run(NULL, NULL, ++number, A_TIME);
                                for (size_t i = 0; i < ELEMENTSOF(states); i++) {
                                        run->state = states[i];
                                        run->outcome = run->state >= RUN_STOPPING ? RUN_FAILED : _RUN_OUTCOME_INVALID;
                                        run->finished_usec = run->state == RUN_FINISHED ? A_TIME : 0;
                                        if (i == 0)
                                                expect_ok(store_fixture_commit_run(f, run));
                                        else if (i == 1)
                                                expect_ok(store_put_run(f->store, run, false));
                                        else
                                                expect_errno(store_fixture_commit_run(f, run), legal ? 0 : -EINVAL);
                                }
                                run_free(run);
                        }
}

/* Accounts, and what deletes runs, come in the order in which they were put. */
static void test_a_turn_keeps_the_order(void **state)
{
        StoreFixture *f = *state;
        Run *full = make_run("bank", USER_1, 1, A_TIME), *run = make_run(NULL, USER_1, 2, A_TIME), *again;
        RetentionPolicy policy = {};
        Account *account;
        uint64_t ticket;

        expect_ok(store_put_run(f->store, full, false));
        expect_ok(run_find_account(full, "savings", true, &account));
        account->counts.added = 1000;
        expect_ok(store_put_account(f->store, full->id, account));
        account->counts.added = 1001;
        expect_ok(store_put_run(f->store, full, true));
        store_fixture_commit(f);
        expect_ok(store_get_run(f->store, full->id, true, &again));
        assert_accounts_equal(again, full);
        run_free(again);

        expect_ok(store_put_run(f->store, run, false));
        expect_ok(store_retain(f->store, &policy, A_TIME));
        ticket = store_ticket(f->store);
        expect_ok(store_put_run(f->store, run, false));
        assert_true(store_ticket(f->store) == ticket + 1);
        store_fixture_commit(f);
        run_free(run);
        run_free(full);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                STORE_TEST(test_one_write_a_turn),
                STORE_TEST(test_a_turn_may_be_a_life),
                STORE_TEST(test_a_turn_keeps_the_order),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
