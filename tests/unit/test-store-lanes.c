/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* In which order webhook messages are due: those of a run one after the other, and those of a connector's attention. */

#include "unit/expect.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/string-util.h"
#include "store/store-private.h"
#include "unit/webhook-fixture.h"

#define N_CONNECTORS 2
#define N_STEPS      700U
#define N_MANY       2000U
#define N_AT_MOST    40U /* deliveries that are kept, so that some are deleted unsent */

static int setup(void **state)
{
        static const char *const names[N_CONNECTORS] = { "bank", "sport" };
        int r = store_fixture_setup(state);

        for (size_t i = 0; r == 0 && i < N_CONNECTORS; i++) {
                ConnectorRecord record = CONNECTOR_RECORD_INIT;
                char id[40];

                (void) snprintf(id, sizeof(id), "c0000000-0000-4000-8000-%012zu", i);
                record.name = (char *) names[i];
                record.id = id;
                record.first_seen_usec = A_TIME;
                r = store_put_connector(((StoreFixture *) *state)->store, &record);
        }
        return r;
}
#define LANES_TEST(test) cmocka_unit_test_setup_teardown(test, setup, store_fixture_teardown)

/* Of a run of "bank". */
static void put(StoreFixture *f, const char *id, WebhookType type, const char *run_id)
{
        put_message_of(f, id, type, "bank", run_id, A_TIME);
}

/* Of one run one after the other, whatever becomes of each; runs do not wait for each other. */
static void test_order_of_a_run(void **state)
{
        StoreFixture *f = *state;

        put_endpoint(f, "ep_1", 0, NULL, false);
        put_endpoint(f, "ep_2", 0, NULL, false);
        put_message(f, "msg_1", WEBHOOK_SYNC_STARTED, NULL, "r1", A_TIME);
        put_message(f, "msg_2", WEBHOOK_SYNC_STARTED, NULL, "r2", A_TIME + 1);
        put_message(f, "msg_3", WEBHOOK_SYNC_FAILED, NULL, "r1", A_TIME + 2);
        put_message(f, "msg_4", WEBHOOK_SYNC_NEEDS_ATTENTION, NULL, "r1", A_TIME + 3);
        check_due(f, "ep_1", "msg_1 msg_2");
        attempt(f, "ep_1", "atmpt_1", DELIVERY_PENDING, A_TIME + 100);
        check_due(f, "ep_1", "msg_2 msg_1");
        attempt(f, "ep_1", "atmpt_2", DELIVERY_SUCCEEDED, 0);
        attempt(f, "ep_1", "atmpt_3", DELIVERY_FAILED, 0);
        check_due(f, "ep_1", "msg_3");
        attempt(f, "ep_1", "atmpt_4", DELIVERY_SUCCEEDED, 0);
        check_due(f, "ep_1", "msg_4");
        attempt(f, "ep_1", "atmpt_5", DELIVERY_SUCCEEDED, 0);
        check_due(f, "ep_1", "");
        check_due(f, "ep_2", "msg_1 msg_2");
        assert_int_equal(store_fixture_sql(f->path, "SELECT count(*) FROM webhook_deliveries WHERE state = 'waiting'"),
                         2);
}

/* What an endpoint was told last of a connector's attention is how it is: over runs, and where no run has said it. */
static void test_order_of_attention(void **state)
{
        StoreFixture *f = *state;

        put_endpoint(f, "ep_1", 1U << WEBHOOK_SYNC_NEEDS_ATTENTION | 1U << WEBHOOK_SYNC_RECOVERED, NULL, false);
        put(f, "msg_1", WEBHOOK_SYNC_NEEDS_ATTENTION, "r1");
        attempt(f, "ep_1", "atmpt_1", DELIVERY_PENDING, A_TIME + 100);
        put(f, "msg_2", WEBHOOK_SYNC_RECOVERED, "r2");
        put(f, "msg_3", WEBHOOK_SYNC_NEEDS_ATTENTION, NULL);
        put_message_of(f, "msg_other", WEBHOOK_SYNC_RECOVERED, "sport", "r3", A_TIME + 200);
        put_message_of(f, "msg_nobody", WEBHOOK_SYNC_RECOVERED, NULL, "r4", A_TIME + 300);
        check_due(f, "ep_1", "msg_1 msg_other msg_nobody");
        attempt(f, "ep_1", "atmpt_2", DELIVERY_FAILED, 0); /* given up: it stops nobody for ever */
        check_due(f, "ep_1", "msg_2 msg_other msg_nobody");
        attempt(f, "ep_1", "atmpt_3", DELIVERY_SUCCEEDED, 0);
        check_due(f, "ep_1", "msg_3 msg_other msg_nobody");
}

/* Of a run's lane and of its connector's: it waits for both. */
static void test_both_orders(void **state)
{
        StoreFixture *f = *state;

        put_endpoint(f, "ep_1", 0, NULL, false);
        put(f, "msg_1", WEBHOOK_SYNC_FAILED, "r1");
        put(f, "msg_2", WEBHOOK_SYNC_NEEDS_ATTENTION, "r1");
        put(f, "msg_3", WEBHOOK_SYNC_COMPLETED, "r2");
        put(f, "msg_4", WEBHOOK_SYNC_RECOVERED, "r2");
        attempt(f, "ep_1", "atmpt_1", DELIVERY_PENDING, A_TIME + 100);
        check_due(f, "ep_1", "msg_3 msg_1");
        attempt(f, "ep_1", "atmpt_2", DELIVERY_SUCCEEDED, 0);
        check_due(f, "ep_1", "msg_1"); /* msg_4 waits for msg_2, which waits for msg_1 */
        attempt(f, "ep_1", "atmpt_3", DELIVERY_SUCCEEDED, 0);
        check_due(f, "ep_1", "msg_2");
        attempt(f, "ep_1", "atmpt_4", DELIVERY_SUCCEEDED, 0);
        check_due(f, "ep_1", "msg_4");
}

/* What is sent again after a hold comes in the same order. */
static void test_attention_that_was_held(void **state)
{
        StoreFixture *f = *state;

        put_endpoint(f, "ep_1", 0, NULL, false);
        put(f, "msg_1", WEBHOOK_SYNC_NEEDS_ATTENTION, "r1");
        put(f, "msg_2", WEBHOOK_SYNC_RECOVERED, "r2");
        expect_ok(store_put_webhook_hold(f->store, "ep_1"));
        check_due(f, "ep_1", "");
        expect_ok(store_put_webhook_recovery(f->store, "ep_1", 0, A_TIME + 50));
        check_due(f, "ep_1", "msg_1");
        attempt(f, "ep_1", "atmpt_1", DELIVERY_SUCCEEDED, 0);
        check_due(f, "ep_1", "msg_2");
        /* One that is sent again by hand does not wait, and the other is not let go beside it. */
        put(f, "msg_3", WEBHOOK_SYNC_NEEDS_ATTENTION, "r3");
        expect_ok(store_put_webhook_resend(f->store, "ep_1", "msg_1", A_TIME + 60));
        check_due(f, "ep_1", "msg_2 msg_1");
        attempt(f, "ep_1", "atmpt_2", DELIVERY_SUCCEEDED, 0);
        check_due(f, "ep_1", "msg_1");
        attempt(f, "ep_1", "atmpt_3", DELIVERY_SUCCEEDED, 0);
        check_due(f, "ep_1", "msg_3");
}

/* What comes while much is being sent again waits for what its run, or its connector's attention, has in that. */
static void test_while_others_are_sent_again(void **state)
{
        StoreFixture *f = *state;
        char id[32], run_id[32];
        DueDelivery *due;
        size_t n;

        put_endpoint(f, "ep_1", 0, NULL, true);
        put_message_of(f, "msg_old", WEBHOOK_SYNC_STARTED, "bank", "old", A_TIME - 1);
        for (unsigned i = 0; i < WEBHOOK_STEP_ROWS; i++) {
                (void) snprintf(id, sizeof(id), "msg_%u", i);
                (void) snprintf(run_id, sizeof(run_id), "run_%u", i);
                put(f, id, WEBHOOK_SYNC_STARTED, run_id);
        }
        put(f, "msg_started", WEBHOOK_SYNC_STARTED, "zzz");
        put(f, "msg_attention", WEBHOOK_SYNC_NEEDS_ATTENTION, "before");
        put_endpoint(f, "ep_1", 0, NULL, false);
        expect_ok(store_put_webhook_recovery(f->store, "ep_1", A_TIME, A_TIME + 50));
        put(f, "msg_failed", WEBHOOK_SYNC_FAILED, "zzz");
        put(f, "msg_recovered", WEBHOOK_SYNC_RECOVERED, "after");
        put(f, "msg_alone", WEBHOOK_SYNC_COMPLETED, "old"); /* of a run whose other message is not sent again */
        put(f, "msg_new", WEBHOOK_SYNC_STARTED, "new");
        store_fixture_commit(f);
        expect_ok(store_list_due_deliveries(f->store, "ep_1", 2 * WEBHOOK_STEP_ROWS, &due, &n));
        assert_string_equal(due[0].message_id, "msg_alone");
        assert_string_equal(due[1].message_id, "msg_new");
        assert_true(n < WEBHOOK_STEP_ROWS + 2);
        due_deliveries_free(due, n);
        while (store_webhook_steps_left(f->store) > 0) {
                expect_ok(store_put_webhook_step(f->store, A_TIME + 50));
                store_fixture_commit(f);
        }
        for (unsigned i = 0; i < WEBHOOK_STEP_ROWS + 2; i++) {
                (void) snprintf(id, sizeof(id), "atmpt_%u", i);
                attempt(f, "ep_1", id, DELIVERY_SUCCEEDED, 0);
        }
        check_due(f, "ep_1", "msg_started msg_attention");
        attempt(f, "ep_1", "atmpt_started", DELIVERY_SUCCEEDED, 0);
        attempt(f, "ep_1", "atmpt_attention", DELIVERY_SUCCEEDED, 0);
        check_due(f, "ep_1", "msg_failed msg_recovered");
}

/* One that came while others were being held waits for one of them, which is held before what that one waited for. */
static void test_behind_one_that_is_held(void **state)
{
        StoreFixture *f = *state;
        char id[32], run_id[32];

        put_endpoint(f, "ep_1", 0, NULL, false);
        for (unsigned i = 0; i < 2 * (WEBHOOK_STEP_ROWS + 1); i++) {
                (void) snprintf(id, sizeof(id), "msg_%u", i);
                (void) snprintf(run_id, sizeof(run_id), "run_%u", i / 2);
                put(f, id, i % 2 ? WEBHOOK_SYNC_COMPLETED : WEBHOOK_SYNC_STARTED, run_id);
        }
        put(f, "msg_failed", WEBHOOK_SYNC_FAILED, "zzz");
        put(f, "msg_attention", WEBHOOK_SYNC_NEEDS_ATTENTION, "zzz");
        expect_ok(store_put_webhook_hold(f->store, "ep_1"));
        put(f, "msg_later", WEBHOOK_SYNC_RECOVERED, NULL);
        store_fixture_commit(f);
        assert_int_equal(store_webhook_steps_left(f->store), 1);
        while (store_webhook_steps_left(f->store) > 0) {
                expect_ok(store_put_webhook_step(f->store, A_TIME));
                store_fixture_commit(f);
        }
        check_due(f, "ep_1", "msg_later");
}

/* To an endpoint that did not want it. */
static void test_behind_one_that_was_asked_for(void **state)
{
        StoreFixture *f = *state;

        put_endpoint(f, "ep_1", 1U << WEBHOOK_SYNC_RECOVERED, NULL, false);
        put(f, "msg_1", WEBHOOK_SYNC_NEEDS_ATTENTION, "r1");
        expect_ok(store_put_webhook_resend(f->store, "ep_1", "msg_1", A_TIME));
        put(f, "msg_2", WEBHOOK_SYNC_RECOVERED, "r2");
        check_due(f, "ep_1", "msg_1");
}

/* ---- Whatever happens */

#define ON_ITS_WAY(other) other ".state IN ('waiting', 'pending')"
#define SAME_LANE                                                                                                    \
        "other.endpoint = d.endpoint AND (other.lane = d.lane OR other.attention_lane = d.attention_lane)"

/* Waits, and there is nothing to wait for. */
static const char stuck_sql[] = "SELECT count(*) FROM webhook_deliveries AS d JOIN webhook_endpoints AS e"
                                "  ON e.key = d.endpoint WHERE d.state = 'waiting' AND d.key > ifnull(e.hold_upto, 0)"
                                " AND NOT EXISTS (SELECT 1 FROM webhook_deliveries AS other WHERE " SAME_LANE
                                "  AND " ON_ITS_WAY("other") " AND (other.key < d.key OR other.state = 'pending'))";
/* Is due beside another. (What was given up and is sent again comes after what is due by then.) */
static const char beside_sql[] = "SELECT count(*) FROM webhook_deliveries AS d WHERE d.state = 'pending' AND EXISTS"
                                 " (SELECT 1 FROM webhook_deliveries AS other WHERE " SAME_LANE
                                 "  AND other.state = 'pending' AND other.key < d.key)";

static void attempt_some(StoreFixture *f, DeliveryState state)
{
        WebhookAttempt a = { .url = (char *) "https://example.com/hook", .started_usec = A_TIME };
        static unsigned n_attempts = 0;
        char id[32];
        DueDelivery *due;
        size_t n;

        (void) snprintf(id, sizeof(id), "atmpt_%u", n_attempts++);
        a.id = id;
        a.succeeded = state == DELIVERY_SUCCEEDED;
        expect_ok(store_list_due_deliveries(f->store, "ep_1", 100, &due, &n));
        if (n > 0)
                expect_ok(store_put_webhook_attempt(f->store, &due[rand() % n], &a, state, A_TIME + rand() % 100));
        due_deliveries_free(due, n);
}

static void put_some(StoreFixture *f, unsigned i)
{
        static const WebhookType types[] = { WEBHOOK_SYNC_STARTED, WEBHOOK_SYNC_FAILED, WEBHOOK_SYNC_NEEDS_ATTENTION,
                                             WEBHOOK_SYNC_RECOVERED };
        unsigned run = i / 12 + (unsigned) rand() % 4;
        char id[32], run_id[32];

        (void) snprintf(id, sizeof(id), "msg_%u", i);
        (void) snprintf(run_id, sizeof(run_id), "r%u", run);
        put_message_of(f, id, types[(size_t) rand() % ELEMENTSOF(types)], run % N_CONNECTORS ? "bank" : "sport",
                       rand() % 8 ? run_id : NULL, A_TIME + i);
}

static void do_something(StoreFixture *f, unsigned i, bool by_hand)
{
        const RetentionPolicy policy = { .webhook_messages_max = N_AT_MOST };
        char id[32];

        switch (rand() % 16) {
        case 0:
                expect_ok(store_put_webhook_hold(f->store, "ep_1"));
                put_some(f, i); /* some are there that are not to be held */
                break;
        case 1:
                expect_ok(store_put_webhook_recovery(f->store, "ep_1", A_TIME + i / 2, A_TIME + i));
                break;
        case 2:
                expect_ok(store_retain(f->store, &policy, A_TIME));
                break;
        case 3:
                (void) snprintf(id, sizeof(id), "msg_%u", i - (unsigned) rand() % MIN(i + 1, N_AT_MOST));
                if (by_hand)
                        expect_ok(store_put_webhook_resend(f->store, "ep_1", id, A_TIME));
                break;
        case 4 ... 5:
                attempt_some(f, DELIVERY_PENDING);
                break;
        case 6:
                attempt_some(f, DELIVERY_FAILED);
                break;
        case 7 ... 8:
                attempt_some(f, DELIVERY_SUCCEEDED);
                break;
        default:
                put_some(f, i);
        }
        store_fixture_commit(f);
        while (store_webhook_steps_left(f->store) > 0) {
                expect_ok(store_put_webhook_step(f->store, A_TIME + i));
                store_fixture_commit(f);
        }
}

/* Nothing is stuck and, unless somebody has asked for it, nothing overtakes; in the end all is sent. */
static void test_anything(void **state)
{
        StoreFixture *f = *state;

        srand(5);
        put_endpoint(f, "ep_1", 0, NULL, false);
        for (unsigned i = 0; i < N_STEPS; i++) {
                bool by_hand = i >= N_STEPS / 2;

                do_something(f, i, by_hand);
                assert_int_equal(store_fixture_sql(f->path, stuck_sql), 0);
                if (!by_hand)
                        assert_int_equal(store_fixture_sql(f->path, beside_sql), 0);
        }
        for (unsigned i = 0; i < N_STEPS; i++) {
                attempt_some(f, DELIVERY_SUCCEEDED);
                store_fixture_commit(f);
        }
        assert_int_equal(store_fixture_sql(f->path, "SELECT count(*) FROM webhook_deliveries AS d WHERE " ON_ITS_WAY(
                                                                    "d")),
                         0);
}

/* A hundred thousand wait: what lets one go looks at its lanes alone. */
static void test_plan(void **state)
{
        static const char sql[] = "SELECT min(key) FROM webhook_deliveries WHERE endpoint = 1 AND attention_lane = 1"
                                  " AND state = 'waiting' AND state IN ('waiting', 'pending')";

        assert_plan(*state, sql,
                    "INDEX webhook_deliveries_by_attention_lane (endpoint=? AND attention_lane=? AND state=?)", false);
        assert_plan(*state, message_deliver_sql(true),
                    "SEARCH m2 USING INDEX sqlite_autoindex_webhook_messages_2 (run_id=?)", false);
        assert_plan(*state, message_deliver_sql(true),
                    "SEARCH d2 USING INDEX webhook_deliveries_kept_by_attention_lane"
                    " (endpoint=? AND attention_lane=? AND message>?)",
                    false);
        for (int of_endpoint = 0; of_endpoint <= 1; of_endpoint++)
                assert_plan(*state, message_list_sql(of_endpoint, true, false),
                            "SEARCH m USING INDEX sqlite_autoindex_webhook_messages_1 (id=?)", false);
}

/* What SQLite has to do for a statement and for what the triggers make of it, which is undone afterwards. */
static int work_of(sqlite3 *db, const char *sql)
{
        sqlite3_stmt *stmt;
        int n;

        assert_int_equal(sqlite3_exec(db, "BEGIN", NULL, NULL, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
        if (sqlite3_bind_parameter_count(stmt) > 0) {
                assert_int_equal(sqlite3_bind_int64(stmt, 1, N_MANY + 1), SQLITE_OK);
                assert_int_equal(sqlite3_bind_text(stmt, 2, "new", -1, SQLITE_STATIC), SQLITE_OK);
                assert_int_equal(sqlite3_bind_int64(stmt, 3, A_TIME), SQLITE_OK);
        }
        assert_int_equal(sqlite3_step(stmt), SQLITE_DONE);
        assert_int_equal(sqlite3_changes(db), 1);
        n = sqlite3_stmt_status(stmt, SQLITE_STMTSTATUS_VM_STEP, 0);
        (void) sqlite3_finalize(stmt);
        assert_int_equal(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
        return n;
}

/* Of one connector's attention much was sent and much waits: nobody's commit is slower for it. */
static void test_many_of_a_connector(void **state)
{
        static const char fill_sql[] =
                        "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < %u)"
                        " INSERT INTO webhook_messages (key, id, type, run_id, created_usec, body)"
                        "  SELECT i, 'msg_' || i, 'sync.recovered', 'r' || i, 5, '{}' FROM n"
                        "  UNION ALL SELECT %u, 'msg_new', 'sync.recovered', 'new', 5, '{}';"
                        "UPDATE webhook_messages SET connector = 1;"
                        "UPDATE webhook_endpoints SET recover_after = 0, recover_since_usec = 0;"
                        "INSERT INTO webhook_deliveries (key, message, endpoint, lane, attention_lane, state, due_usec)"
                        "  SELECT key, key, 1, run_id, 1,"
                        "   CASE WHEN key < 100 THEN 'succeeded' WHEN key = 100 THEN 'pending' ELSE 'waiting' END,"
                        "   CASE key WHEN 100 THEN 1 END FROM webhook_messages WHERE id <> 'msg_new'";
        static const char let_go_sql[] = "UPDATE webhook_deliveries SET state = 'succeeded' WHERE state = 'waiting';"
                                         "UPDATE webhook_deliveries SET state = 'succeeded', due_usec = NULL"
                                         " WHERE state = 'pending'";
        static const char *const sqls[] = {
                "UPDATE webhook_deliveries SET state = 'succeeded', due_usec = NULL WHERE key = 100",
                "UPDATE webhook_deliveries SET state = 'held' WHERE key = 101",
                "DELETE FROM webhook_deliveries WHERE key = 101",
        };
        int work[2][ELEMENTSOF(sqls) + 1];
        StoreFixture *f = *state;

        put_endpoint(f, "ep_1", 0, NULL, false);
        store_fixture_commit(f);
        store_fixture_close(f);
        for (size_t many = 0; many < 2; many++) {
                _cleanup_free_ char *fill = asprintf_or_null(fill_sql, many ? N_MANY : 102, N_MANY + 1);
                sqlite3 *db;

                assert_non_null(fill);
                assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
                assert_int_equal(sqlite3_exec(db, fill, NULL, NULL, NULL), SQLITE_OK);
                for (size_t i = 0; i < ELEMENTSOF(sqls); i++)
                        work[many][i] = work_of(db, sqls[i]);
                assert_int_equal(sqlite3_exec(db, let_go_sql, NULL, NULL, NULL), SQLITE_OK);
                work[many][ELEMENTSOF(sqls)] = work_of(db, message_deliver_sql(false));
                assert_int_equal(sqlite3_exec(db, "PRAGMA foreign_keys = ON; DELETE FROM webhook_messages", NULL, NULL,
                                              NULL),
                                 SQLITE_OK);
                (void) sqlite3_close(db);
        }
        for (size_t i = 0; i < ELEMENTSOF(work[0]); i++)
                assert_in_range(work[1][i], 1, 2 * work[0][i]);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                LANES_TEST(test_order_of_a_run),          LANES_TEST(test_order_of_attention),
                LANES_TEST(test_both_orders),             LANES_TEST(test_attention_that_was_held),
                LANES_TEST(test_behind_one_that_is_held), LANES_TEST(test_behind_one_that_was_asked_for),
                LANES_TEST(test_while_others_are_sent_again), LANES_TEST(test_anything),
                LANES_TEST(test_plan),                LANES_TEST(test_many_of_a_connector),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
