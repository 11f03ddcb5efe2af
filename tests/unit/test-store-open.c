/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Opening: new, old, newer, foreign, damaged, in use, after a power failure; and what a failed migration leaves. */

#include "unit/expect.h"

#include <dirent.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd-util.h"
#include "base/string-util.h"
#include "store/delivery-store.h"
#include "store/migrate.h"
#include "store/webhook-store.h"
#include "unit/store-fixture.h"

/* A store that was closed in order. */
static int setup_closed(void **state)
{
        StoreFixture *f;
        Run *run;

        if (store_fixture_setup(state) < 0)
                return -1;
        f = *state;
        for (unsigned i = 0; i < 200; i++) {
                run = make_ended_run("bank", USER_1, i, A_TIME + i, RUN_SUCCEEDED);
                expect_ok(store_put_run(f->store, run, false));
                put_event_of(f->store, run, A_TIME + i);
                run_free(run);
        }
        store_fixture_commit(f);
        store_fixture_close(f);
        return 0;
}

static char *beside(const StoreFixture *f, const char *suffix)
{
        char *path = asprintf_or_null("%s%s", f->path, suffix);

        assert_non_null(path);
        return path;
}

static void copy_file(const char *from, const char *to)
{
        _cleanup_free_ char *data = NULL;
        size_t size;

        expect_ok(read_file(from, 64 * MIB, &data, &size));
        expect_ok(write_file_atomic(to, data, size, 0600));
}

/* What a file has, for comparison; freed by the caller. */
typedef struct Bytes {
        char *data;
        size_t size;
} Bytes;

static Bytes bytes_of(const char *path)
{
        Bytes bytes;

        expect_ok(read_file(path, 64 * MIB, &bytes.data, &bytes.size));
        return bytes;
}

static void assert_untouched(const char *path, Bytes *before)
{
        Bytes now = bytes_of(path);

        assert_int_equal(now.size, before->size);
        assert_memory_equal(now.data, before->data, now.size);
        free(now.data);
        free(before->data);
}

static unsigned n_files(const char *folder)
{
        DIR *dir = opendir(folder);
        unsigned n = 0;

        assert_non_null(dir);
        while (readdir(dir))
                n++;
        (void) closedir(dir);
        return n - 2;
}

static void assert_why(const StoreFixture *f, const char *part)
{
        assert_non_null(f->why);
        if (!strstr(f->why, f->path) || !strstr(f->why, part))
                print_error("%s\n", f->why);
        assert_non_null(strstr(f->why, f->path));
        assert_non_null(strstr(f->why, part));
}

static void test_new(void **state)
{
        StoreFixture *f = *state;
        struct stat st;
        uint64_t seq;

        assert_int_equal(store_last_seq(f->store), 0);
        expect_ok(store_first_seq(f->store, &seq));
        assert_int_equal(seq, 1);
        assert_int_equal(stat(f->path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
        assert_int_equal(store_fixture_sql(f->path, "PRAGMA user_version"), STORE_SCHEMA_VERSION);
        assert_int_equal(store_fixture_sql(f->path, "PRAGMA application_id"), STORE_APPLICATION_ID);
        store_fixture_close(f);
        assert_int_equal(n_files(f->folder), 1);
}

static void test_empty_file(void **state)
{
        StoreFixture *f = *state;

        store_fixture_close(f);
        assert_int_equal(truncate(f->path, 0), 0);
        expect_ok(store_fixture_open(f, NULL));
        assert_int_equal(store_fixture_sql(f->path, "PRAGMA user_version"), STORE_SCHEMA_VERSION);
}

static void test_again(void **state)
{
        StoreFixture *f = *state;
        RunFilter filter = RUN_FILTER_INIT;
        Run **runs;
        size_t n;

        expect_ok(store_fixture_open(f, NULL));
        assert_int_equal(store_last_seq(f->store), 200);
        filter.limit = 1000;
        expect_ok(store_list_runs(f->store, &filter, &runs, &n, NULL));
        assert_int_equal(n, 200);
        runs_free(runs, n);
}

static void test_no_folder(void **state)
{
        StoreFixture *f = *state;

        (void) strcat(f->path, "/no/such");
        expect_errno(store_fixture_open(f, NULL), -ENOTDIR);
        assert_why(f, "cannot be opened");
        (void) snprintf(f->path, sizeof(f->path), "%s/no/such", f->folder);
        expect_errno(store_fixture_open(f, NULL), -ENOENT);
        assert_why(f, "folder does not exist");
}

static void test_second_daemon(void **state)
{
        StoreFixture *f = *state;
        _cleanup_free_ char *back_up = asprintf_or_null("VACUUM INTO '%s.copy'; SELECT count(*) FROM runs", f->path);
        int status;
        pid_t pid;

        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
                _exit(store_fixture_open(f, NULL) == -EBUSY && strstr(f->why, "another process") ? 0 : 1);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);

        /* Reading, backing up and even writing are others' good right. */
        assert_int_equal(store_fixture_sql(f->path, back_up), 0);
        expect_ok(store_put_user(f->store, USER_1, A_TIME));
        store_fixture_commit(f);
}

static void test_newer_is_left_alone(void **state)
{
        StoreFixture *f = *state;
        Bytes before;

        (void) store_fixture_sql(f->path, "PRAGMA user_version = 1000");
        before = bytes_of(f->path);
        expect_errno(store_fixture_open(f, NULL), -EPROTONOSUPPORT);
        assert_why(f, "version 1000, made by a newer syncrun");
        assert_int_equal(n_files(f->folder), 1);
        assert_untouched(f->path, &before);
}

/* The newer program died: what it is stands in its log alone. */
static void test_newer_after_a_crash_is_left_alone(void **state)
{
        StoreFixture *f = *state;
        _cleanup_free_ char *log = beside(f, "-wal"), *kept = beside(f, ".kept"), *kept_log = beside(f, ".kept-wal");
        Bytes before, log_before;
        sqlite3 *db;

        assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, "PRAGMA user_version = 1000", NULL, NULL, NULL), SQLITE_OK);
        copy_file(f->path, kept);
        copy_file(log, kept_log);
        (void) sqlite3_close(db);
        assert_int_equal(rename(kept, f->path), 0);
        assert_int_equal(rename(kept_log, log), 0);
        before = bytes_of(f->path);
        log_before = bytes_of(log);
        expect_errno(store_fixture_open(f, NULL), -EPROTONOSUPPORT);
        assert_why(f, "version 1000");
        assert_untouched(f->path, &before);
        assert_untouched(log, &log_before);
}

static void test_foreign_files(void **state)
{
        static const char *const foreign[] = {
                "CREATE TABLE t (a)",
                "CREATE TABLE t (a); PRAGMA user_version = 1",
                "CREATE TABLE t (a); PRAGMA user_version = 1; PRAGMA application_id = 99",
        };
        StoreFixture *f = *state;

        for (size_t i = 0; i < ELEMENTSOF(foreign); i++) {
                Bytes before;

                assert_int_equal(unlink(f->path), 0);
                (void) store_fixture_sql(f->path, foreign[i]);
                before = bytes_of(f->path);
                expect_errno(store_fixture_open(f, NULL), -EUCLEAN);
                assert_why(f, "not a history of syncrun");
                assert_untouched(f->path, &before);
        }
}

static void test_not_a_database(void **state)
{
        static const char letter[] = "This is a letter, and quite a long one at that, so that it has more bytes than "
                                     "the header of a database has.";
        static const char *const texts[] = { "x", "SQLite format 3", letter };
        StoreFixture *f = *state;

        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                Bytes before;

                expect_ok(write_file_atomic(f->path, texts[i], strlen(texts[i]), 0600));
                before = bytes_of(f->path);
                expect_errno(store_fixture_open(f, NULL), -EUCLEAN);
                assert_why(f, "damaged");
                assert_untouched(f->path, &before);
                assert_int_equal(n_files(f->folder), 1);
        }
}

/* The files as a power failure leaves them: those of a store that is open. */
static void take_crash_image(StoreFixture *f)
{
        _cleanup_free_ char *log = beside(f, "-wal"), *kept = beside(f, ".kept"), *kept_log = beside(f, ".kept-wal");

        copy_file(f->path, kept);
        copy_file(log, kept_log);
        store_fixture_close(f);
        assert_int_equal(rename(kept, f->path), 0);
        assert_int_equal(rename(kept_log, log), 0);
}

static void test_after_a_crash(void **state)
{
        StoreFixture *f = *state;
        Run *run = make_run("bank", USER_1, 1, A_TIME), *again;

        for (int i = 0; i < 3; i++) {
                free(run->id);
                run->id = asprintf_or_null("run %d", i);
                run->state = RUN_FINISHED;
                run->outcome = RUN_FAILED;
                run->finished_usec = A_TIME;
                expect_ok(store_put_run(f->store, run, false));
                put_event_of(f->store, run, A_TIME);
                store_fixture_commit(f);
                take_crash_image(f);
                expect_ok(store_fixture_open(f, NULL));
                assert_int_equal(store_last_seq(f->store), i + 1);
                expect_ok(store_get_run(f->store, run->id, false, &again));
                run_free(again);
        }
        run_free(run);
}

static void test_damage_after_a_crash(void **state)
{
        static const char garbage[4096] = "garbage";
        StoreFixture *f = *state;
        _cleanup_free_ char *log = beside(f, "-wal");
        _cleanup_close_ int fd = -EBADF;
        Bytes before;
        struct stat st;

        assert_int_equal(stat(f->path, &st), 0);
        fd = open(f->path, O_WRONLY | O_CLOEXEC);
        assert_true(fd >= 0);
        assert_int_equal(pwrite(fd, garbage, sizeof(garbage), st.st_size / 2 / 4096 * 4096), sizeof(garbage));
        fd = safe_close(fd);
        expect_ok(write_file_atomic(log, "", 0, 0600));
        before = bytes_of(f->path);
        expect_errno(store_fixture_open(f, NULL), -EUCLEAN);
        assert_why(f, "damaged");
        assert_untouched(f->path, &before);
}

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
static void check_version_1(StoreFixture *f)
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
        assert_int_equal(n, 1);
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

static void check_connectors_of_version_1(StoreFixture *f)
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
                },
        };
        ConnectorRecord packages = CONNECTOR_RECORD_INIT, *records;
        size_t n;

        packages.name = (char *) "packages";
        packages.id = (char *) "c0000000-0000-4000-8000-000000000002";
        packages.first_seen_usec = A_TIME;
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
        assert_int_equal(store_fixture_sql(f->path, "SELECT seq FROM sqlite_sequence WHERE name = 'webhook_deliveries'"),
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

/* An old file is read, and has afterwards the schema of a new one, to the letter. */
static void check_version(StoreFixture *f, unsigned version)
{
        _cleanup_free_ char *script = NULL, *fresh = beside(f, ".fresh");
        char path[sizeof(TESTS_DATA) + 32];
        sqlite3 *db;

        store_fixture_close(f);
        assert_int_equal(rename(f->path, fresh), 0);
        (void) snprintf(path, sizeof(path), "%s/history-v%u.sql", TESTS_DATA, version);
        expect_ok(read_file(path, MIB, &script, NULL));
        assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, script, NULL, NULL, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, add_skip, NULL, NULL, NULL), SQLITE_OK);
        (void) sqlite3_close(db);
        expect_ok(store_fixture_open(f, NULL));
        check_version_1(f);
        check_connectors_of_version_1(f);
        check_keys(f, version);
        if (version == 5)
                check_webhooks(f);
        store_fixture_close(f);
        assert_int_equal(store_fixture_sql(f->path, "SELECT count(*) FROM connectors WHERE n_ended = 0 AND n_failed = 1"
                                                    " AND n_skipped = 1"),
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

#define CLOSED_TEST(test) cmocka_unit_test_setup_teardown(test, setup_closed, store_fixture_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                STORE_TEST(test_new),
                STORE_TEST(test_empty_file),
                CLOSED_TEST(test_again),
                CLOSED_TEST(test_no_folder),
                STORE_TEST(test_second_daemon),
                CLOSED_TEST(test_newer_is_left_alone),
                CLOSED_TEST(test_newer_after_a_crash_is_left_alone),
                CLOSED_TEST(test_foreign_files),
                CLOSED_TEST(test_not_a_database),
                STORE_TEST(test_after_a_crash),
                CLOSED_TEST(test_damage_after_a_crash),
                STORE_TEST(test_migrations),
                cmocka_unit_test(test_versions_go_up_to_ours),
                STORE_TEST(test_version_1),
                STORE_TEST(test_version_2),
                STORE_TEST(test_version_5),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
