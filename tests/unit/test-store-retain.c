/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Retention: what goes, what stays, in which steps. */

#include "unit/expect.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/string-util.h"
#include "store/retain.h"
#include "store/store-private.h"
#include "unit/store-fixture.h"

#define NOW (A_TIME + 1000 * USEC_PER_DAY)

static int64_t sql(StoreFixture *f, const char *text)
{
        return store_fixture_sql(f->path, text);
}

static int64_t count_rows(StoreFixture *f)
{
        return sql(f, "SELECT (SELECT count(*) FROM events) + (SELECT count(*) FROM runs) + (SELECT count(*) FROM users)");
}

/* Step by step until there is no more. Return: the steps. */
static unsigned retain_at(StoreFixture *f, RetentionPolicy policy, usec_t now_usec)
{
        unsigned n_steps = 0;

        store_fixture_commit(f);
        do {
                int64_t before = count_rows(f), after;

                expect_ok(store_retain(f->store, &policy, now_usec));
                store_fixture_commit(f);
                after = count_rows(f);
                assert_in_range(before - after, 0, RETAIN_STEP_ROWS);
                n_steps++;
        } while (store_retain_more(f->store));
        return n_steps;
}

static unsigned retain(StoreFixture *f, RetentionPolicy policy)
{
        return retain_at(f, policy, NOW);
}

static void put_ended(StoreFixture *f, const char *connector, const char *user, unsigned number, usec_t age_usec,
                      RunOutcome outcome)
{
        Run *run = make_ended_run(connector, user, number, NOW - age_usec, outcome);
        Account *account;

        expect_ok(run_find_account(run, "a", true, &account));
        expect_ok(store_put_run(f->store, run, true));
        run_free(run);
}

/* @n events of a run of @user, each a second younger than the one before, from @age_usec on. */
static void put_events(StoreFixture *f, const char *user, unsigned number, unsigned n, usec_t age_usec)
{
        Run *run = make_ended_run(NULL, user, number, NOW - age_usec, RUN_SUCCEEDED);

        expect_ok(store_put_run(f->store, run, false));
        for (unsigned i = 0; i < n; i++)
                put_event_of(f->store, run, NOW - age_usec + i * USEC_PER_SEC);
        run_free(run);
}

static void test_events_by_their_own_age(void **state)
{
        StoreFixture *f = *state;
        const RetentionPolicy policy = { .events_max_age_usec = USEC_PER_DAY };
        uint64_t seq;

        put_events(f, USER_1, 1, 500, USEC_PER_DAY + 300 * USEC_PER_SEC);
        put_events(f, NULL, 2, 100, USEC_PER_DAY + 50 * USEC_PER_SEC);
        store_fixture_commit(f);
        assert_false(store_retain_more(f->store));
        expect_ok(store_retain(f->store, &policy, NOW));
        store_fixture_commit(f);
        assert_true(store_retain_more(f->store));
        assert_in_range(retain(f, policy), 4, 8);
        /* One that is just a day old stays. Those of the second run, older than the youngest of the first, wait for
         * it: numbers go first by age of the oldest. */
        assert_int_equal(sql(f, "SELECT count(*) FROM events WHERE run = 1"), 200);
        expect_ok(store_first_seq(f->store, &seq));
        assert_int_equal(seq, 301);
        assert_int_equal(retain(f, policy), 1);
}

static void test_everything_goes_and_numbers_stay(void **state)
{
        StoreFixture *f = *state;
        const RetentionPolicy policy = { .events_max_age_usec = USEC_PER_DAY };
        uint64_t seq;

        put_events(f, USER_1, 1, 300, 10 * USEC_PER_DAY);
        store_fixture_commit(f);
        (void) retain(f, policy);
        assert_int_equal(sql(f, "SELECT count(*) FROM events"), 0);
        assert_int_equal(store_last_seq(f->store), 300);
        expect_ok(store_first_seq(f->store, &seq));
        assert_int_equal(seq, 301);
        store_fixture_close(f);
        expect_ok(store_fixture_open(f, NULL));
        assert_int_equal(store_last_seq(f->store), 300);
        put_events(f, USER_1, 2, 1, 0);
        store_fixture_commit(f);
        assert_int_equal(sql(f, "SELECT seq FROM events"), 301);
}

/* A clock that was ahead for a while holds nobody up. */
static void test_events_from_the_future(void **state)
{
        StoreFixture *f = *state;
        const RetentionPolicy policy = { .events_max_age_usec = USEC_PER_DAY };
        Run *run = make_run(NULL, USER_1, 1, NOW);

        expect_ok(store_put_run(f->store, run, false));
        for (unsigned i = 0; i < 400; i++)
                put_event_of(f->store, run, i % 2 == 0 ? NOW + USEC_PER_DAY : NOW - 2 * USEC_PER_DAY);
        store_fixture_commit(f);
        (void) retain(f, policy);
        assert_int_equal(sql(f, "SELECT count(*) FROM events"), 200);
        run_free(run);
}

static void test_events_of_each_user(void **state)
{
        StoreFixture *f = *state;
        RetentionPolicy policy = { .events_max_per_user = 20 };

        put_events(f, USER_1, 1, 300, USEC_PER_DAY);
        put_events(f, USER_2, 2, 20, USEC_PER_DAY);
        put_events(f, NULL, 3, 100, USEC_PER_DAY);
        store_fixture_commit(f);
        (void) retain(f, policy);
        assert_int_equal(sql(f, "SELECT count(*) FROM events WHERE run = 1"), 20);
        assert_int_equal(sql(f, "SELECT min(seq) FROM events WHERE run = 1"), 281);
        assert_int_equal(sql(f, "SELECT count(*) FROM events WHERE run = 2"), 20);
        assert_int_equal(sql(f, "SELECT count(*) FROM events WHERE run = 3"), 20);
        assert_int_equal(sql(f, "SELECT min(seq) FROM events WHERE run = 3"), 401);

        /* Later rounds find those that got more, and a new policy everybody; those of nobody count as of one user. */
        put_events(f, USER_2, 4, 1, 0);
        put_events(f, NULL, 5, 3, 0);
        store_fixture_commit(f);
        assert_int_equal(retain(f, policy), 1);
        assert_int_equal(sql(f, "SELECT count(*) FROM events WHERE user = 2"), 20);
        assert_int_equal(sql(f, "SELECT count(*) FROM events WHERE run = 4"), 1);
        assert_int_equal(sql(f, "SELECT count(*) FROM events WHERE user IS NULL"), 20);
        assert_int_equal(sql(f, "SELECT count(*) FROM events WHERE run = 5"), 3);
        policy.events_max_per_user = 5;
        (void) retain(f, policy);
        assert_int_equal(sql(f, "SELECT count(*) FROM events WHERE user IN (1, 2)"), 10);
        assert_int_equal(sql(f, "SELECT count(*) FROM events WHERE user IS NULL"), 5);

        /* So does a store that is opened anew. */
        store_fixture_close(f);
        expect_ok(store_fixture_open(f, NULL));
        policy.events_max_per_user = 3;
        (void) retain(f, policy);
        assert_int_equal(sql(f, "SELECT count(*) FROM events WHERE user IN (1, 2)"), 6);
        assert_int_equal(sql(f, "SELECT count(*) FROM events WHERE user IS NULL"), 3);
}

static void test_many_users(void **state)
{
        StoreFixture *f = *state;
        const RetentionPolicy policy = { .events_max_per_user = 2 };

        for (unsigned i = 0; i < 300; i++) {
                char user[UUID_TEXT_MAX];

                (void) snprintf(user, sizeof(user), "00000000-0000-4000-8000-%012u", i);
                put_events(f, user, i, i % 4, USEC_PER_DAY);
        }
        store_fixture_commit(f);
        (void) retain(f, policy);
        assert_int_equal(sql(f, "SELECT count(*) FROM events"), 75 * (1 + 2 + 2));
        assert_int_equal(retain(f, policy), 1);
}

static void test_runs_by_age(void **state)
{
        StoreFixture *f = *state;
        const RetentionPolicy policy = {
                .runs_max_age_usec = 30 * USEC_PER_DAY,
                .failed_runs_max_age_usec = 90 * USEC_PER_DAY,
                .skipped_runs_max_age_usec = 10 * USEC_PER_DAY,
        };

        for (unsigned day = 0; day < 100; day++)
                for (RunOutcome outcome = 0; outcome < _RUN_OUTCOME_MAX; outcome++)
                        put_ended(f, "bank", USER_1, day * 10 + outcome, day * USEC_PER_DAY + USEC_PER_SEC, outcome);
        store_fixture_commit(f);
        (void) retain(f, policy);
        assert_int_equal(sql(f, "SELECT count(*) FROM runs WHERE outcome IN ('succeeded', 'cancelled')"), 60);
        assert_int_equal(sql(f, "SELECT count(*) FROM runs WHERE outcome = 'skipped'"), 10);
        assert_int_equal(sql(f, "SELECT count(*) FROM runs WHERE outcome IN ('failed', 'partial')"), 180);
        assert_int_equal(sql(f, "SELECT count(*) FROM accounts"), 250);
        assert_int_equal(sql(f, "SELECT n_ended FROM connectors"), 60);
        assert_int_equal(sql(f, "SELECT n_skipped FROM connectors"), 10);
        assert_int_equal(sql(f, "SELECT n_failed FROM connectors"), 180);
        assert_int_equal(sql(f, "SELECT n_runs FROM users"), 250);
}

static void test_runs_that_are_needed(void **state)
{
        StoreFixture *f = *state;
        const RetentionPolicy policy = {
                .runs_max_age_usec = USEC_PER_DAY,
                .failed_runs_max_age_usec = USEC_PER_DAY,
                .runs_max_per_connector = 1,
                .failed_runs_max_per_connector = 1,
        };
        ConnectorRecord record = CONNECTOR_RECORD_INIT;
        Run *active = make_run("bank", USER_1, 100, NOW - 100 * USEC_PER_DAY);
        Run *outside = make_run(NULL, USER_1, 101, NOW - 100 * USEC_PER_DAY);

        for (unsigned i = 0; i < 10; i++) {
                put_ended(f, "bank", USER_1, i, (10 + i) * USEC_PER_DAY, RUN_FAILED);
                put_ended(f, "shop", USER_1, 50 + i, (10 + i) * USEC_PER_DAY, RUN_SUCCEEDED);
        }
        expect_ok(store_put_run(f->store, active, false));
        expect_ok(store_put_run(f->store, outside, false));
        record.name = strdup("bank");
        record.id = strdup(active->connector_id);
        record.last_run_id = strdup("00000000-0000-7000-8000-000000000003");
        record.retry_of = strdup("00000000-0000-7000-8000-000000000005");
        record.attention.category = ATTENTION_DATA_ERROR;
        record.attention.run_id = strdup("00000000-0000-7000-8000-000000000009");
        expect_ok(store_put_connector(f->store, &record));
        expect_ok(store_put_cursor(f->store, "bank", "{}"));
        store_fixture_commit(f);
        (void) retain(f, policy);
        assert_int_equal(sql(f, "SELECT count(*) FROM runs WHERE id LIKE '%-0000000001__'"), 2);
        /* bank's newest is its active one: its newest that ended goes too, but for the three that are named. */
        assert_int_equal(sql(f, "SELECT count(*) FROM runs WHERE provider = 'bank' AND state = 'finished'"), 4);
        assert_int_equal(
                        sql(f, "SELECT count(*) FROM runs WHERE id GLOB '*-00000000000[359]'"), 3);
        assert_int_equal(sql(f, "SELECT count(*) FROM runs WHERE provider = 'shop'"), 1);
        assert_int_equal(sql(f, "SELECT count(*) FROM runs WHERE id LIKE '%-000000000050'"), 1);
        assert_int_equal(sql(f, "SELECT count(*) FROM cursors"), 1);
        assert_int_equal(sql(f, "SELECT count(*) FROM connectors"), 2);
        assert_int_equal(sql(f, "SELECT count(*) FROM users"), 1);
        connector_record_done(&record);
        run_free(active);
        run_free(outside);
}

static void test_runs_by_number(void **state)
{
        StoreFixture *f = *state;
        const RetentionPolicy policy = { .runs_max_per_connector = 10, .failed_runs_max_per_connector = 20 };

        for (unsigned i = 0; i < 200; i++) {
                put_ended(f, "bank", USER_1, i, (1000 - i) * USEC_PER_SEC, i % 2 ? RUN_SUCCEEDED : RUN_PARTIAL);
                put_ended(f, "shop", USER_2, 1000 + i, (1000 - i) * USEC_PER_SEC, RUN_CANCELLED);
                put_ended(f, NULL, USER_1, 2000 + i, (1000 - i) * USEC_PER_SEC, i % 4 ? RUN_SUCCEEDED : RUN_FAILED);
                if (i % 50 == 0) /* the same at once, at the end of a step, and in later rounds */
                        (void) retain(f, policy);
        }
        store_fixture_commit(f);
        (void) retain(f, policy);
        assert_int_equal(sql(f, "SELECT count(*) FROM runs WHERE provider = 'bank' AND outcome = 'succeeded'"), 10);
        assert_int_equal(sql(f, "SELECT count(*) FROM runs WHERE provider = 'bank' AND outcome = 'partial'"), 20);
        assert_int_equal(sql(f, "SELECT count(*) FROM runs WHERE provider = 'shop'"), 10);
        assert_int_equal(sql(f, "SELECT count(*) FROM runs WHERE connector IS NULL AND outcome = 'succeeded'"), 10);
        assert_int_equal(sql(f, "SELECT count(*) FROM runs WHERE connector IS NULL AND outcome = 'failed'"), 20);
        /* The youngest are those that stay. */
        assert_int_equal(sql(f, "SELECT count(*) FROM runs WHERE id LIKE '%-00000000119_'"), 10);

        /* The numbers that are kept beside are right, and another round has nothing to do. */
        assert_int_equal(sql(f, "SELECT count(*) FROM connectors WHERE n_ended <> (SELECT count(*) FROM runs WHERE"
                                " connector = connectors.key AND outcome NOT IN ('failed', 'partial'))"),
                         0);
        assert_int_equal(sql(f, "SELECT n_ended * 100 + n_failed FROM users WHERE key = 1"), 1020);
        assert_int_equal(sql(f, "SELECT n_runs FROM users WHERE key = 1"), 60);
        assert_int_equal(retain(f, policy), 1);
}

/* A connector whose runs overlap: what did not take place has room of its own. */
static void test_skips_have_their_own_number(void **state)
{
        StoreFixture *f = *state;
        const RetentionPolicy policy = {
                .runs_max_per_connector = 10,
                .failed_runs_max_per_connector = 5,
                .skipped_runs_max_per_connector = 20,
        };

        for (unsigned i = 0; i < 300; i++)
                put_ended(f, "bank", USER_1, i, (1000 - i) * USEC_PER_SEC, i % 30 == 0 ? RUN_SUCCEEDED : RUN_SKIPPED);
        put_ended(f, "bank", USER_1, 300, USEC_PER_SEC, RUN_FAILED);
        store_fixture_commit(f);
        (void) retain(f, policy);
        assert_int_equal(sql(f, "SELECT count(*) FROM runs WHERE outcome = 'succeeded'"), 10);
        assert_int_equal(sql(f, "SELECT count(*) FROM runs WHERE outcome = 'failed'"), 1);
        assert_int_equal(sql(f, "SELECT count(*) FROM runs WHERE outcome = 'skipped'"), 20);
        assert_int_equal(sql(f, "SELECT n_ended * 10000 + n_failed * 100 + n_skipped FROM connectors"), 100120);
        assert_int_equal(retain(f, policy), 1);
}

/* Events do not keep a run, however young they are, of a connector that has no more runs too. */
static void test_runs_go_with_their_events(void **state)
{
        StoreFixture *f = *state;
        const RetentionPolicy policy = {
                .events_max_age_usec = USEC_PER_DAY,
                .runs_max_age_usec = 90 * USEC_PER_DAY,
                .runs_max_per_connector = 3,
                .failed_runs_max_age_usec = USEC_PER_HOUR,
        };
        const unsigned n_events = RETAIN_STEP_ROWS + 7;

        for (unsigned i = 0; i < 10; i++) {
                Run *run = make_ended_run("bank", USER_1, i, NOW - (1000 - i) * USEC_PER_SEC, RUN_SUCCEEDED);
                Run *failed = make_ended_run("shop", USER_1, 100 + i, NOW - (30 + 10 * i) * USEC_PER_MINUTE, RUN_FAILED);

                expect_ok(store_put_run(f->store, run, false));
                expect_ok(store_put_run(f->store, failed, false));
                for (unsigned k = 0; k < n_events; k++)
                        put_event_of(f->store, run, NOW - USEC_PER_SEC);
                put_event_of(f->store, failed, NOW - USEC_PER_SEC);
                run_free(run);
                run_free(failed);
        }
        put_events(f, USER_1, 2000, 5, USEC_PER_HOUR);
        assert_in_range(retain(f, policy), 8, 20);
        assert_int_equal(sql(f, "SELECT count(*) FROM runs WHERE provider = 'bank'"), 3);
        assert_int_equal(sql(f, "SELECT count(*) FROM runs WHERE id LIKE '%-00000000000_' AND id >= "
                                "'00000000-0000-7000-8000-000000000007'"),
                         3);
        assert_int_equal(sql(f, "SELECT count(*) FROM runs WHERE provider = 'shop'"), 4);
        assert_int_equal(sql(f, "SELECT count(*) FROM events JOIN runs ON row = run WHERE provider = 'bank'"),
                         3 * n_events);
        assert_int_equal(sql(f, "SELECT count(*) FROM events JOIN runs ON row = run WHERE connector IS NULL"), 5);
        assert_int_equal(retain(f, policy), 1);
}

static uint64_t lost(StoreFixture *f, const char *user, const char *provider, const char *connector, uint64_t first)
{
        const EventFilter filter = { .user_id = user, .provider = provider, .connector = connector };
        uint64_t seq;

        expect_ok(store_lost_seq(f->store, &filter, first, &seq));
        return seq;
}

/* Whoever resumes is told of what he would have been given, and of nothing else. */
static void test_losses_are_remembered(void **state)
{
        StoreFixture *f = *state;
        Run *bank = make_ended_run("bank", USER_1, 1, NOW - 2 * USEC_PER_DAY, RUN_SUCCEEDED);
        Run *shop = make_ended_run("shop", USER_1, 2, NOW, RUN_SUCCEEDED);
        Run *other = make_ended_run("other", USER_2, 3, NOW, RUN_SUCCEEDED);

        expect_ok(store_put_run(f->store, bank, false));
        expect_ok(store_put_run(f->store, shop, false));
        expect_ok(store_put_run(f->store, other, false));
        put_event_of(f->store, shop, NOW);
        put_event_of(f->store, bank, NOW - 2 * USEC_PER_DAY);
        put_event_of(f->store, shop, NOW);
        put_event_of(f->store, other, NOW);
        store_fixture_commit(f);
        assert_int_equal(lost(f, NULL, NULL, NULL, 1), 0);

        /* Past its age, though not deleted yet. */
        assert_int_equal(lost(f, NULL, NULL, NULL, 3), 2);
        assert_int_equal(lost(f, USER_1, NULL, NULL, 3), 2);
        assert_int_equal(lost(f, USER_1, "bank", "bank", 3), 2);
        assert_int_equal(lost(f, USER_1, "shop", NULL, 3), 1);
        assert_int_equal(lost(f, USER_2, NULL, NULL, 3), 0);

        /* A run in the middle goes with its events. */
        put_ended(f, "bank", USER_1, 4, 0, RUN_SUCCEEDED);
        (void) retain(f, (RetentionPolicy) { .runs_max_age_usec = USEC_PER_DAY });
        assert_int_equal(sql(f, "SELECT count(*) FROM events"), 3);
        for (unsigned i = 0; i < 2; i++) {
                assert_int_equal(lost(f, NULL, NULL, NULL, 1), 2);
                assert_int_equal(lost(f, USER_1, NULL, NULL, 1), 2);
                assert_int_equal(lost(f, USER_1, "bank", NULL, 1), 2);
                assert_int_equal(lost(f, USER_1, NULL, "bank", 1), 2);
                assert_int_equal(lost(f, NULL, "bank", "bank", 1), 2);
                assert_int_equal(lost(f, NULL, "bank", NULL, 1), 2);
                assert_int_equal(lost(f, NULL, NULL, "bank", 1), 2);
                assert_int_equal(lost(f, USER_1, "shop", NULL, 1), 0);
                assert_int_equal(lost(f, NULL, NULL, "shop", 1), 0);
                assert_int_equal(lost(f, USER_2, NULL, NULL, 1), 0);
                assert_int_equal(lost(f, "33333333-3333-4333-8333-333333333333", NULL, NULL, 1), 0);
                store_fixture_close(f);
                expect_ok(store_fixture_open(f, NULL));
        }
        run_free(bank);
        run_free(shop);
        run_free(other);
}

/* So many kinds are told apart; one more, and the oldest loss is everybody's. */
static void test_losses_are_bounded(void **state)
{
        StoreFixture *f = *state;
        const RetentionPolicy policy = {};
        char text[256];

        put_events(f, USER_1, 1, 1, 0);
        store_fixture_commit(f);
        (void) snprintf(text, sizeof(text), "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < %u)"
                        " INSERT INTO lost_events SELECT 1000000 + i, 'p', '', 10 + i FROM n", LOST_EVENTS_MAX);
        (void) sql(f, text);
        (void) retain(f, policy);
        assert_int_equal(sql(f, "SELECT count(*) FROM lost_events"), LOST_EVENTS_MAX);
        assert_int_equal(lost(f, USER_1, NULL, NULL, 1), 0);
        (void) sql(f, "INSERT INTO lost_events VALUES (1, 'p', '', 7)");
        (void) sql(f, "INSERT INTO lost_events VALUES (2, 'p', '', 8)");
        (void) retain(f, policy);
        assert_int_equal(sql(f, "SELECT count(*) FROM lost_events"), LOST_EVENTS_MAX);
        assert_int_equal(sql(f, "SELECT min(seq) FROM lost_events"), 11);
        assert_int_equal(lost(f, USER_1, NULL, NULL, 1), 8);
}

static void test_counts_follow_transitions(void **state)
{
        StoreFixture *f = *state;
        Run *run = make_run("bank", USER_1, 1, NOW), *outside = make_run(NULL, USER_1, 2, NOW);

        for (RunState s = RUN_QUEUED; s <= RUN_FINISHED; s++) {
                run->state = outside->state = s;
                run->outcome = outside->outcome = s >= RUN_STOPPING ? RUN_PARTIAL : _RUN_OUTCOME_INVALID;
                run->finished_usec = outside->finished_usec = s == RUN_FINISHED ? NOW : 0;
                for (int again = 0; again < 2; again++) {
                        expect_ok(store_put_run(f->store, run, false));
                        expect_ok(store_put_run(f->store, outside, false));
                        store_fixture_commit(f);
                        assert_int_equal(sql(f, "SELECT n_failed FROM connectors"), s == RUN_FINISHED);
                        assert_int_equal(sql(f, "SELECT n_failed FROM users"), s == RUN_FINISHED);
                        assert_int_equal(sql(f, "SELECT n_runs FROM users"), 2);
                }
        }
        run_free(run);
        run_free(outside);
}

static void test_no_policy_deletes_nothing(void **state)
{
        StoreFixture *f = *state;

        for (unsigned i = 0; i < 100; i++)
                put_ended(f, "bank", USER_1, i, 999 * USEC_PER_DAY, RUN_FAILED);
        put_events(f, USER_1, 1000, 100, 999 * USEC_PER_DAY);
        store_fixture_commit(f);
        assert_int_equal(retain(f, (RetentionPolicy){}), 1);
        assert_int_equal(sql(f, "SELECT count(*) FROM runs"), 101);
        assert_int_equal(sql(f, "SELECT count(*) FROM events"), 100);
}

static void name_user(unsigned number, char ret[static UUID_TEXT_MAX])
{
        (void) snprintf(ret, UUID_TEXT_MAX, "33333333-3333-4333-8333-%012u", number);
}

static void expect_users(StoreFixture *f, int64_t n)
{
        uint64_t counted;

        expect_ok(store_count_users(f->store, &counted));
        assert_int_equal(counted, n);
        assert_int_equal(sql(f, "SELECT count(*) FROM users"), n);
}

/* Whom nothing names any more is forgotten, in steps, once a day. */
static void test_users(void **state)
{
        const unsigned n_idle = 3 * RETAIN_STEP_ROWS;
        const RetentionPolicy policy = { .runs_max_age_usec = USEC_PER_DAY };
        ConnectorRecord record = CONNECTOR_RECORD_INIT;
        ApiKey key = { .name = (char *) "key", .hash = { 1 }, .scopes = API_SCOPE_BIT(API_SCOPE_READ) };
        char of_connector[UUID_TEXT_MAX], of_key[UUID_TEXT_MAX], of_endpoint[UUID_TEXT_MAX], id[UUID_TEXT_MAX];
        StoreFixture *f = *state;

        name_user(0, of_connector);
        name_user(1, of_key);
        name_user(2, of_endpoint);
        for (unsigned i = 0; i < n_idle + 3; i++) {
                name_user(i, id);
                expect_ok(store_put_user(f->store, id, A_TIME));
        }
        put_ended(f, NULL, USER_1, 1, 0, RUN_SUCCEEDED);
        put_events(f, USER_2, 2, 5, 2 * USEC_PER_DAY);
        key.user_id = of_key;
        expect_ok(store_put_api_key(f->store, &key));
        record.name = (char *) "bank";
        record.id = (char *) USER_1;
        record.user_id = of_connector;
        expect_ok(store_put_connector(f->store, &record));
        store_fixture_commit(f);
        (void) sql(f, "INSERT INTO webhook_endpoints (id, url, types, user_id, created_usec, updated_usec)"
                      " VALUES ('e', 'u', '', '33333333-3333-4333-8333-000000000002', 1, 1)");
        expect_users(f, n_idle + 5);

        assert_in_range(retain(f, policy), 2 * n_idle / RETAIN_STEP_ROWS, 4 * n_idle / RETAIN_STEP_ROWS);
        expect_users(f, 4);
        assert_int_equal(store_user_exists(f->store, USER_1), 1);
        assert_int_equal(store_user_exists(f->store, of_connector), 1);
        assert_int_equal(store_user_exists(f->store, of_key), 1);
        assert_int_equal(store_user_exists(f->store, of_endpoint), 1);

        /* A number that is given again brings no losses with it: those of whom it was are everybody's. */
        assert_int_equal(sql(f, "SELECT count(*) FROM lost_events"), 0);
        assert_int_equal(lost(f, USER_1, NULL, NULL, 1), 5);

        expect_ok(store_delete_api_key(f->store, "key"));
        record.user_id = NULL;
        expect_ok(store_put_connector(f->store, &record));
        store_fixture_commit(f);
        (void) sql(f, "DELETE FROM webhook_endpoints");
        (void) retain_at(f, policy, NOW + IDLE_USERS_INTERVAL_USEC - 1);
        expect_users(f, 4);
        (void) retain_at(f, policy, NOW + IDLE_USERS_INTERVAL_USEC);
        expect_users(f, 1);
        (void) retain_at(f, policy, NOW + 3 * IDLE_USERS_INTERVAL_USEC);
        expect_users(f, 0);
}

/* However long the history is, what goes is found at once. */
static void test_the_oldest_are_found_by_indexes(void **state)
{
        StoreFixture *f = *state;

        assert_plan(f, retain_oldest_run_sql(false), "INDEX runs_by_connector_kind (connector=? AND <expr>=?)", false);
        assert_plan(f, retain_oldest_run_sql(true), "INDEX runs_by_user_kind (user=? AND <expr>=?)", false);
        assert_plan(f, user_idle_sql(), "INDEX connectors_by_user (user_id=?)", false);
        assert_plan(f, retain_event_sql(false), "INDEX events_by_user (user=?)", false);
        assert_plan(f, retain_event_sql(true), "INDEX events_by_user (user=? AND rowid<?)", false);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                STORE_TEST(test_events_by_their_own_age),
                STORE_TEST(test_everything_goes_and_numbers_stay),
                STORE_TEST(test_events_from_the_future),
                STORE_TEST(test_events_of_each_user),
                STORE_TEST(test_many_users),
                STORE_TEST(test_runs_by_age),
                STORE_TEST(test_runs_that_are_needed),
                STORE_TEST(test_runs_by_number),
                STORE_TEST(test_skips_have_their_own_number),
                STORE_TEST(test_runs_go_with_their_events),
                STORE_TEST(test_counts_follow_transitions),
                STORE_TEST(test_losses_are_remembered),
                STORE_TEST(test_losses_are_bounded),
                STORE_TEST(test_users),
                STORE_TEST(test_the_oldest_are_found_by_indexes),
                STORE_TEST(test_no_policy_deletes_nothing),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
