/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Opening: new, old, newer, foreign, damaged, in use, after a power failure. */

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
#include "store/migrate.h"
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
        assert_int_not_equal(store_history(f->store), 0);
        assert_int_equal(store_history(f->store),
                         store_fixture_sql(f->path, "SELECT value FROM meta WHERE name = 'history'"));
        assert_int_equal(store_fixture_sql(f->path, "PRAGMA user_version"), STORE_SCHEMA_VERSION);
        assert_int_equal(store_fixture_sql(f->path, "PRAGMA application_id"), STORE_APPLICATION_ID);
        store_fixture_close(f);
        assert_int_equal(n_files(f->folder), 1);
}

static void test_empty_file(void **state)
{
        StoreFixture *f = *state;
        uint64_t before = store_history(f->store);

        store_fixture_close(f);
        expect_ok(store_fixture_open(f, NULL));
        assert_int_equal(store_history(f->store), before);
        store_fixture_close(f);
        assert_int_equal(truncate(f->path, 0), 0);
        expect_ok(store_fixture_open(f, NULL));
        assert_int_not_equal(store_history(f->store), before);
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
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
