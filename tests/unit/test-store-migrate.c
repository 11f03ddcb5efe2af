/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Migrations: what a failed one leaves, and that the history of each older version becomes ours. */

#include "unit/expect.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fd-util.h"
#include "base/string-util.h"
#include "store/delivery-store.h"
#include "store/migrate.h"
#include "store/webhook-store.h"
#include "unit/store-fixture.h"

static void test_migrations(void **state)
{
        static const Migration broken[] = {
                { 1, "CREATE TABLE one (a INTEGER NOT NULL) STRICT; INSERT INTO one VALUES (1)" },
                { 2, "CREATE TABLE two (a INTEGER) STRICT; UPDATE one SET a = 2; INSERT INTO one VALUES (NULL)" },
        };
        static const Migration mended[] = {
                { 1, "this is not SQL, and is not looked at" },
                { 2, "CREATE TABLE two (a INTEGER) STRICT; UPDATE one SET a = 3" },
                { 3, "DROP TABLE two" },
        };
        StoreFixture *f = *state;
        Db *db;

        store_fixture_close(f);
        assert_int_equal(truncate(f->path, 0), 0);
        expect_ok(db_open(f->path, DB_WRITE, &db));
        expect_errno(migrate(db, broken, ELEMENTSOF(broken)), -EINVAL);
        expect_errno(migrate(db, broken, ELEMENTSOF(broken)), -EINVAL);
        assert_int_equal(store_fixture_sql(f->path, "PRAGMA user_version"), 1);
        assert_int_equal(store_fixture_sql(f->path, "SELECT a FROM one"), 1);
        assert_int_equal(store_fixture_sql(f->path, "SELECT count(*) FROM sqlite_schema"), 1);
        expect_ok(migrate(db, mended, ELEMENTSOF(mended)));
        expect_ok(migrate(db, mended, ELEMENTSOF(mended)));
        assert_int_equal(store_fixture_sql(f->path, "PRAGMA user_version"), 3);
        assert_int_equal(store_fixture_sql(f->path, "SELECT a FROM one"), 3);
        assert_int_equal(store_fixture_sql(f->path, "SELECT count(*) FROM sqlite_schema"), 1);
        db_close(db);
}

static void test_versions_go_up_to_ours(void **state)
{
        for (size_t i = 0; i < n_store_migrations; i++)
                assert_int_equal(store_migrations[i].version, i + 1);
        assert_int_equal(n_store_migrations, STORE_SCHEMA_VERSION);
}

/* What stands in tests/data/history-v1.sql. */
static void check_version_1(StoreFixture *f, unsigned version)
{
        Account accounts[] = {
                {
                                .name = (char *) "checking",
                                .status = ACCOUNT_SUCCESS,
                                .counts = { 8, 3, 1, 4 },
                                .category = _ATTENTION_INVALID,
                                .started_usec = A_TIME + 1,
                                .finished_usec = A_TIME + 2,
                },
                {
                                .name = (char *) "savings",
                                .status = ACCOUNT_FAILED,
                                .counts = { 1, 0, 0, 1 },
                                .error = (char *) "no",
                                .category = ATTENTION_CONSENT_EXPIRED,
                },
        };
        const Run expected = {
                .id = (char *) "01973000-0000-7000-8000-000000000001",
                .connector = (char *) "bank",
                .connector_id = (char *) "c0000000-0000-4000-8000-000000000001",
                .provider = (char *) "giro",
                .user_id = (char *) USER_1,
                .primary_user_id = (char *) USER_2,
                .requested_by = (char *) "uid:1000",
                .reason = (char *) "why",
                .full_resync = true,
                .only_accounts = (char *) "[\"checking\"]",
                .attempt = 1,
                .retry_of = (char *) "01973000-0000-7000-8000-000000000000",
                .state = RUN_FINISHED,
                .outcome = RUN_PARTIAL,
                .stage = SYNC_STAGE_COMPLETED,
                .message = (char *) "Done · 3 new",
                .progress = 0.5,
                .items_processed = 5,
                .items_total = 10,
                .counts = { 9, 3, 1, 5 },
                .error = (char *) "it's \"broken\"",
                .category = ATTENTION_CONSENT_EXPIRED,
                .metadata = (char *) "{\"k\":[1]}",
                .created_usec = A_TIME,
                .started_usec = A_TIME + 1,
                .finished_usec = A_TIME + 2,
                .updated_usec = A_TIME + 2,
                .last_seq = 2,
                .report_sequence = 7,
                .invocation_id = (char *) "0123456789abcdef0123456789abcdef",
                .worker_pid = 4711,
                .worker_start_ticks = 12345,
                .cpu_usec = 1,
                .memory_peak_bytes = 2,
                .io_read_bytes = 3,
                .io_write_bytes = 4,
                .accounts = accounts,
                .n_accounts = ELEMENTSOF(accounts),
        };
        _cleanup_free_ char *cursor = NULL;
        Run *run, **active;
        uint64_t seq;
        size_t n;

        expect_ok(store_get_run(f->store, expected.id, true, &run));
        assert_runs_equal(run, &expected);
        assert_accounts_equal(run, &expected);
        run_free(run);
        expect_ok(store_load_active_runs(f->store, &active, &n));
        assert_int_equal(n, version < 16 ? 1 : 2);
        assert_string_equal(active[0]->id, "sdk_0123456789abcdef");
        assert_null(active[0]->connector);
        assert_true(active[0]->items_total == COUNT_UNKNOWN && active[0]->progress == PROGRESS_UNKNOWN);
        runs_free(active, n);
        expect_errno(store_get_cursor(f->store, "bank", &cursor), 1);
        assert_string_equal(cursor, "{\"bookmarks\":{\"checking\":\"2026-05-30\"}}");
        assert_int_equal(store_last_seq(f->store), 2);
        expect_ok(store_first_seq(f->store, &seq));
        assert_int_equal(seq, 2);
}

static void check_connectors_of_version_1(StoreFixture *f, unsigned version)
{
        const ConnectorRecord bank = {
                .name = (char *) "bank",
                .id = (char *) "c0000000-0000-4000-8000-000000000001",
                .user_id = (char *) USER_1,
                .first_seen_usec = A_TIME,
                .last_elapse_usec = A_TIME + 1,
                .last_finished_usec = A_TIME + 2,
                .last_run_id = (char *) "01973000-0000-7000-8000-000000000001",
                .last_outcome = RUN_PARTIAL,
                .consecutive_failures = 2,
                .retry_at_usec = A_TIME + 3,
                .retry_attempt = 2,
                .retry_of = (char *) "01973000-0000-7000-8000-000000000001",
                .retry_accounts = (char *) "[\"checking\"]",
                .lasting = _ATTENTION_INVALID,
                .follow_up.trigger = _RUN_TRIGGER_INVALID,
                .resync = {
                        .wanted = true,
                        .trigger = RUN_TRIGGER_MANUAL,
                        .requested_by = (char *) "uid:1000",
                        .reason = (char *) "once more",
                },
                .owes_resync = true,
                .resyncing = true,
                .attention = {
                        .category = ATTENTION_CONSENT_EXPIRED,
                        .message = (char *) "log in again",
                        .since_usec = A_TIME + 4,
                        .run_id = (char *) "01973000-0000-7000-8000-000000000001",
                        .accounts = (char *) "[\"savings\"]",
                },
        };
        ConnectorRecord packages = CONNECTOR_RECORD_INIT, *records;
        size_t n;

        packages.name = (char *) "packages";
        packages.id = (char *) "c0000000-0000-4000-8000-000000000002";
        packages.first_seen_usec = A_TIME;
        if (version >= 16) /* its worker has said that it failed, and has not ended */
                packages.lasting = ATTENTION_CONNECTION_LOST;
        expect_ok(store_load_connectors(f->store, &records, &n));
        assert_int_equal(n, 2);
        assert_records_equal(&records[0], &bank);
        assert_records_equal(&records[1], &packages);
        connector_records_free(records, n);
}

/* What stands in tests/data/history-v2.sql besides. */
static void check_keys(StoreFixture *f, unsigned version)
{
        ApiKey *keys;
        size_t n;

        expect_ok(store_load_api_keys(f->store, &keys, &n));
        assert_int_equal(n, version < 2 ? 0 : 2);
        if (n > 0) {
                assert_string_equal(keys[0].name, "backup@host");
                assert_null(keys[0].user_id);
                assert_int_equal(keys[0].scopes, API_SCOPE_BIT(API_SCOPE_ADMIN));
                assert_int_equal(keys[0].last_used_usec, 0);
                assert_string_equal(keys[1].name, "page");
                assert_string_equal(keys[1].user_id, USER_1);
                assert_int_equal(keys[1].scopes, API_SCOPE_BIT(API_SCOPE_READ) | API_SCOPE_BIT(API_SCOPE_WRITE));
                assert_string_equal(keys[1].created_by, "uid:1000");
                assert_int_equal(keys[1].created_usec, A_TIME);
                assert_int_equal(keys[1].last_used_usec, A_TIME + USEC_PER_MINUTE);
                for (unsigned i = 0; i < SHA256_SIZE; i++)
                        assert_int_equal(keys[1].hash[i], i);
        }
        api_keys_free(keys, n);
}

/* What stands in tests/data/history-v5.sql besides. */
static void check_webhooks(StoreFixture *f)
{
        DeliveryAttempt *attempts;
        DueDelivery *due;
        size_t n;

        expect_ok(store_list_due_deliveries(f->store, "ep_1", 10, &due, &n));
        assert_int_equal(n, 1);
        assert_int_equal(due[0].key, 7);
        assert_string_equal(due[0].message_id, "msg_1");
        assert_string_equal(due[0].body, "{\"n\":1}");
        assert_int_equal(due[0].n_attempts, 2);
        due_deliveries_free(due, n);

        /* Those of the connector's run, with how often it was tried before. */
        expect_ok(store_list_deliveries(f->store, "bank", NULL, 10, &attempts, &n));
        assert_int_equal(n, 2);
        assert_string_equal(attempts[0].id, "atmpt_3");
        assert_int_equal(attempts[0].n_before, 1);
        assert_string_equal(attempts[1].id, "atmpt_1");
        assert_int_equal(attempts[1].n_before, 0);
        assert_string_equal(attempts[1].url, "https://example.com");
        assert_string_equal(attempts[1].type, "sync.started");
        delivery_attempts_free(attempts, n);
        assert_int_equal(store_fixture_sql(f->path, "SELECT count(*) FROM webhook_messages"), 3);
        assert_int_equal(store_fixture_sql(f->path, "SELECT count(*) FROM webhook_attempts"), 3);
        assert_int_equal(store_fixture_sql(f->path, "SELECT run_created_usec FROM webhook_messages WHERE key = 3"),
                         A_TIME);
        assert_int_equal(store_fixture_sql(f->path, "SELECT group_concat(state) = 'pending,waiting,succeeded,held'"
                                                    " FROM webhook_deliveries"),
                         1);
        assert_int_equal(store_fixture_sql(f->path, "SELECT group_concat(ifnull(attention_lane, '')) = ',1,,'"
                                                    " FROM webhook_deliveries"),
                         1);
        assert_int_equal(store_fixture_sql(f->path,
                                           "SELECT seq FROM sqlite_sequence WHERE name = 'webhook_deliveries'"),
                         10);
        assert_int_equal(store_fixture_sql(f->path, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
}

/* All of a schema's text, in one number. */
static int64_t schema_sum(const char *path)
{
        sqlite3_stmt *stmt = NULL;
        sqlite3 *db = NULL;
        int64_t sum = 0;

        assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
        assert_int_equal(sqlite3_prepare_v2(db, "SELECT type || name || ifnull(sql, '') FROM sqlite_schema ORDER BY 1",
                                            -1, &stmt, NULL),
                         SQLITE_OK);
        while (sqlite3_step(stmt) == SQLITE_ROW)
                for (const unsigned char *p = sqlite3_column_text(stmt, 0); *p; p++)
                        sum = (int64_t) ((uint64_t) sum * 31 + *p);
        (void) sqlite3_finalize(stmt);
        (void) sqlite3_close(db);
        return sum;
}

/* A run of "bank" that was skipped, beside the one that failed in part. */
static const char add_skip[] =
                "CREATE TEMP TABLE skip AS SELECT * FROM runs WHERE state = 'finished' AND connector IS NOT NULL;"
                "UPDATE skip SET row = 99, id = 'skip', outcome = 'skipped';"
                "INSERT INTO runs SELECT * FROM skip;";

/* A message of the run of "bank" tells of attention. */
static const char change_type[] = "UPDATE webhook_messages SET type = 'sync.needs_attention' WHERE key = 4;";

/* An old file is read, and has afterwards the schema of a new one, to the letter. */
static void check_version(StoreFixture *f, unsigned version)
{
        _cleanup_free_ char *script = NULL, *fresh = asprintf_or_null("%s.fresh", f->path);
        char path[sizeof(TESTS_DATA) + 32];
        sqlite3 *db;

        assert_non_null(fresh);
        store_fixture_close(f);
        assert_int_equal(rename(f->path, fresh), 0);
        (void) snprintf(path, sizeof(path), "%s/history-v%u.sql", TESTS_DATA, version);
        expect_ok(read_file(path, MIB, &script, NULL));
        assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, script, NULL, NULL, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, add_skip, NULL, NULL, NULL), SQLITE_OK);
        if (version >= 5)
                assert_int_equal(sqlite3_exec(db, change_type, NULL, NULL, NULL), SQLITE_OK);
        (void) sqlite3_close(db);
        expect_ok(store_fixture_open(f, NULL));
        check_version_1(f, version);
        check_connectors_of_version_1(f, version);
        check_keys(f, version);
        if (version >= 5)
                check_webhooks(f);
        store_fixture_close(f);
        assert_int_equal(store_fixture_sql(f->path,
                                           "SELECT count(*) FROM connectors WHERE n_ended = 0 AND n_failed = 1"
                                           " AND n_skipped = 1"),
                         1);
        assert_int_equal(store_fixture_sql(f->path, "SELECT count(*) FROM meta WHERE name = 'users'"
                                                    " AND value > 0 AND value = (SELECT count(*) FROM users)"),
                         1);
        assert_true(schema_sum(f->path) == schema_sum(fresh));
        assert_int_equal(store_fixture_sql(f->path, "PRAGMA user_version"), STORE_SCHEMA_VERSION);
}

static void test_version_1(void **state)
{
        check_version(*state, 1);
}

static void test_version_2(void **state)
{
        check_version(*state, 2);
}

static void test_version_5(void **state)
{
        check_version(*state, 5);
}

static void test_version_16(void **state)
{
        check_version(*state, 16);
}

static void test_version_19(void **state)
{
        StoreFixture *f = *state;

        check_version(f, 19);
        assert_int_equal(store_fixture_sql(f->path, "SELECT renewed_usec FROM connections WHERE name = 'acme'"),
                         1798804800000000);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                STORE_TEST(test_migrations), cmocka_unit_test(test_versions_go_up_to_ours),
                STORE_TEST(test_version_1),  STORE_TEST(test_version_2),
                STORE_TEST(test_version_5),  STORE_TEST(test_version_16),
                STORE_TEST(test_version_19),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
