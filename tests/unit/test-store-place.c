/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A database, or its log, that is removed, moved or replaced while it is open: nothing is acknowledged that whoever comes
 * next does not find, and what was acknowledged before is whole in the file that was there. */

#include "unit/expect.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/string-util.h"
#include "unit/fault-vfs.h"
#include "unit/store-fixture.h"

typedef struct World {
        StoreFixture *f;
        char *log, *index; /* beside the database */
        char *kept;        /* where it is moved to */
        char *backup;      /* a copy that has one user */
} World;

static void put_user(StoreFixture *f, unsigned number)
{
        char id[UUID_TEXT_MAX];

        (void) snprintf(id, sizeof(id), "00000000-0000-4000-8000-%012x", number);
        expect_ok(store_put_user(f->store, id, A_TIME));
}

static void commit_user(StoreFixture *f, unsigned number)
{
        put_user(f, number);
        store_fixture_commit(f);
}

/* There are two users, of which the backup has the first. */
static int setup(void **state)
{
        World *w = calloc(1, sizeof(World));
        _cleanup_free_ char *sql = NULL;
        StoreFixture *f;

        if (!w || store_fixture_setup((void **) &w->f) < 0)
                return -1;
        *state = w;
        f = w->f;
        w->log = asprintf_or_null("%s-wal", f->path);
        w->index = asprintf_or_null("%s-shm", f->path);
        w->kept = asprintf_or_null("%s/kept.db", f->folder);
        w->backup = asprintf_or_null("%s/backup.db", f->folder);
        sql = asprintf_or_null("VACUUM INTO '%s/backup.db'", f->folder);
        if (!w->log || !w->index || !w->kept || !w->backup || !sql)
                return -1;
        assert_true(store_is_new(f->store));
        commit_user(f, 1);
        (void) store_fixture_sql(f->path, sql);
        commit_user(f, 2);
        return 0;
}

static int teardown(void **state)
{
        World *w = *state;
        void *f = w->f;

        (void) fault_vfs_disarm();
        free(w->log);
        free(w->index);
        free(w->kept);
        free(w->backup);
        free(w);
        return store_fixture_teardown(&f);
}

static bool exists(const char *path)
{
        return access(path, F_OK) == 0;
}

static int64_t n_users(const char *path)
{
        assert_int_equal(store_fixture_sql(path, "SELECT count(*) FROM pragma_integrity_check WHERE "
                                                 "integrity_check = 'ok'"),
                         1);
        return store_fixture_sql(path, "SELECT count(*) FROM users");
}

/* What a start finds after this one was killed: the files as they are now. */
static int64_t n_users_after_a_crash(World *w)
{
        _cleanup_free_ char *image = asprintf_or_null("%s/image.db", w->f->folder),
                            *command = asprintf_or_null("cp %s %s/image.db", w->f->path, w->f->folder);

        assert_non_null(image);
        assert_non_null(command);
        assert_int_equal(system(command), 0);
        return n_users(image);
}

static void expect_failure(StoreFixture *f, unsigned n, int error)
{
        uint64_t committed = f->committed;

        store_fixture_await_failure(f, n);
        assert_int_equal(f->n_failed, n);
        assert_int_equal(f->error, error);
        assert_int_equal(f->committed, committed);
        expect_errno(store_put_user(f->store, USER_1, A_TIME), -EROFS);
}

/* Noticed without a commit; and nothing happened to it meanwhile. */
static void test_moved_away_and_back(void **state)
{
        World *w = *state;
        StoreFixture *f = w->f;

        assert_int_equal(rename(f->path, w->kept), 0);
        expect_failure(f, 1, -EIDRM);
        assert_int_equal(rename(w->kept, f->path), 0);
        store_fixture_await_recovery(f, 1);
        commit_user(f, 3);
        store_fixture_close(f);
        assert_int_equal(n_users(f->path), 3);
        assert_false(exists(w->log));
}

/* It has what was acknowledged, and the next one begins without its log. */
static void test_moved_away_for_good(void **state)
{
        World *w = *state;
        StoreFixture *f = w->f;

        assert_int_equal(rename(f->path, w->kept), 0);
        expect_failure(f, 1, -EIDRM);
        store_fixture_close(f);
        assert_false(exists(w->log));
        assert_false(exists(w->index));
        assert_int_equal(n_users(w->kept), 2);
        expect_ok(store_fixture_open(f, NULL));
        assert_true(store_is_new(f->store));
        assert_int_equal(store_fixture_sql(f->path, "SELECT count(*) FROM users"), 0);
}

static void test_removed(void **state)
{
        World *w = *state;
        StoreFixture *f = w->f;

        assert_int_equal(unlink(f->path), 0);
        put_user(f, 3);
        expect_failure(f, 1, -EIDRM);
        /* It is read meanwhile. */
        expect_errno(store_user_exists(f->store, "00000000-0000-4000-8000-000000000002"), 1);
        expect_errno(store_user_exists(f->store, "00000000-0000-4000-8000-000000000003"), 0);
        store_fixture_close(f);
        assert_false(exists(w->log));
}

static void test_folder_moved(void **state)
{
        World *w = *state;
        StoreFixture *f = w->f;
        _cleanup_free_ char *elsewhere = asprintf_or_null("%s.moved", f->folder);

        assert_int_equal(rename(f->folder, elsewhere), 0);
        put_user(f, 3);
        expect_failure(f, 1, -EIDRM);
        assert_int_equal(rename(elsewhere, f->folder), 0);
        store_fixture_await_recovery(f, 1);
        store_fixture_close(f);
        assert_int_equal(n_users(f->path), 2);
}

static void test_replaced(void **state)
{
        World *w = *state;
        StoreFixture *f = w->f;

        assert_int_equal(link(f->path, w->kept), 0);
        assert_int_equal(rename(w->backup, f->path), 0);
        put_user(f, 3);
        expect_failure(f, 1, -ESTALE);
        /* The log of the one that was there is not beside the one that is. */
        assert_false(exists(w->log));
        assert_false(exists(w->index));
        store_fixture_close(f);
        assert_int_equal(f->n_failed, 1);
        assert_int_equal(f->n_recovered, 0);
        assert_int_equal(n_users(f->path), 1);
        assert_int_equal(n_users(w->kept), 2);
        expect_ok(store_fixture_open(f, NULL));
        assert_false(store_is_new(f->store));
        commit_user(f, 3);
}

/* Before anything was noticed. */
static void test_replaced_and_closed(void **state)
{
        World *w = *state;
        StoreFixture *f = w->f;

        assert_int_equal(link(f->path, w->kept), 0);
        assert_int_equal(rename(w->backup, f->path), 0);
        store_fixture_close(f);
        assert_false(exists(w->log));
        assert_int_equal(n_users(f->path), 1);
        assert_int_equal(n_users(w->kept), 2);
}

/* Somebody else has it open already. */
static void test_another_log_is_left_alone(void **state)
{
        World *w = *state;
        StoreFixture *f = w->f;
        sqlite3 *other;

        assert_int_equal(unlink(w->log), 0);
        assert_int_equal(unlink(w->index), 0);
        assert_int_equal(rename(w->backup, f->path), 0);
        assert_int_equal(sqlite3_open(f->path, &other), SQLITE_OK);
        assert_int_equal(sqlite3_exec(other, "PRAGMA journal_mode = WAL; DELETE FROM users", NULL, NULL, NULL), SQLITE_OK);
        expect_failure(f, 1, -ESTALE);
        store_fixture_close(f);
        assert_true(exists(w->log));
        assert_int_equal(sqlite3_close(other), SQLITE_OK);
        assert_int_equal(n_users(f->path), 0);
}

static void test_removed_and_then_replaced(void **state)
{
        World *w = *state;
        StoreFixture *f = w->f;

        assert_int_equal(unlink(f->path), 0);
        expect_failure(f, 1, -EIDRM);
        assert_int_equal(rename(w->backup, f->path), 0);
        expect_failure(f, 2, -ESTALE);
        store_fixture_close(f);
        assert_int_equal(f->n_recovered, 0);
        assert_int_equal(n_users(f->path), 1);
}

/* What a start finds after this one was killed, and somebody has brought a copy back without removing the log. */
static void test_removed_and_killed(void **state)
{
        World *w = *state;
        StoreFixture *f = w->f;
        _cleanup_free_ char *log = asprintf_or_null("cp %s %s-wal", w->log, w->backup);

        assert_int_equal(rename(f->path, w->kept), 0);
        expect_failure(f, 1, -EIDRM);
        assert_non_null(log);
        assert_int_equal(system(log), 0);
        assert_int_equal(n_users(w->backup), 1);
        assert_int_equal(rename(w->kept, f->path), 0);
        store_fixture_await_recovery(f, 1);
        commit_user(f, 3);
        assert_int_equal(n_users(f->path), 3);
}

/* By which those who have the file open share the log: they do not see each other any more. */
static void test_index_removed(void **state)
{
        World *w = *state;
        StoreFixture *f = w->f;

        assert_int_equal(unlink(w->index), 0);
        expect_failure(f, 1, -ESTALE);
        store_fixture_close(f);
        assert_int_equal(f->n_recovered, 0);
        assert_int_equal(n_users(f->path), 2);
        expect_ok(store_fixture_open(f, NULL));
        commit_user(f, 3);
        assert_int_equal(n_users(f->path), 3);
}

/* ... and another program has moved the log, and written it anew, before that was noticed. */
static void test_index_removed_and_log_moved(void **state)
{
        World *w = *state;
        StoreFixture *f = w->f;
        _cleanup_free_ char *other = asprintf_or_null(
                        "sqlite3 -batch %s 'PRAGMA wal_checkpoint(TRUNCATE); CREATE TABLE other (text TEXT); "
                        "INSERT INTO other SELECT randomblob(3000) FROM generate_series(1, 100); DELETE FROM users' "
                        ">/dev/null",
                        f->path);

        assert_non_null(other);
        assert_int_equal(unlink(w->index), 0);
        assert_int_equal(system(other), 0);
        put_user(f, 3);
        expect_failure(f, 1, -ESTALE);
        store_fixture_close(f);
        assert_int_equal(n_users(f->path), 0);
        assert_int_equal(store_fixture_sql(f->path, "SELECT count(*) FROM other"), 100);
}

/* Where commits go to: the next ones would be gone with a crash. */
static void test_log_removed(void **state)
{
        World *w = *state;
        StoreFixture *f = w->f;

        assert_int_equal(unlink(w->log), 0);
        expect_failure(f, 1, -ESTALE);
        assert_int_equal(n_users_after_a_crash(w), 2);
}

/* ... and there is no room in the database for what is in it. */
static void test_log_removed_and_disk_full(void **state)
{
        World *w = *state;
        StoreFixture *f = w->f;

        fault_vfs_arm(1, SQLITE_FULL);
        assert_int_equal(unlink(w->log), 0);
        expect_failure(f, 1, -ENOSPC);
        assert_true(fault_vfs_disarm() > 0);
        expect_failure(f, 2, -ESTALE);
        assert_int_equal(f->n_recovered, 0);
        assert_int_equal(n_users_after_a_crash(w), 2);
}

static void replace(void *userdata)
{
        World *w = userdata;

        assert_int_equal(rename(w->backup, w->f->path), 0);
}

/* When the commit was looked at already: at each of its writes. */
static void test_replaced_in_the_middle_of_a_commit(void **state)
{
        World *w = *state;
        StoreFixture *f = w->f;
        unsigned n;

        for (n = 1;; n++) {
                _cleanup_free_ char *again = asprintf_or_null("cp %s %s.again", w->backup, w->backup),
                                    *back = asprintf_or_null("mv %s.again %s", w->backup, w->backup);
                unsigned n_failed = f->n_failed, n_committed = f->n_committed;

                assert_int_equal(system(again), 0);
                fault_vfs_meet(n, replace, w);
                put_user(f, 10 + n);
                while (f->n_failed == n_failed && f->n_committed == n_committed)
                        expect_ok(sd_event_run(f->event, UINT64_MAX));
                (void) fault_vfs_disarm();
                if (exists(w->backup))
                        break;
                assert_int_equal(f->n_committed, n_committed);
                assert_int_equal(f->error, -ESTALE);
                store_fixture_close(f);
                expect_ok(store_fixture_open(f, NULL));
                assert_int_equal(system(back), 0);
        }
        assert_in_range(n, 3, 100); /* the log is written to, and synced */
}

#define PLACE_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

static int register_vfs(void **state)
{
        fault_vfs_register();
        return 0;
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                PLACE_TEST(test_moved_away_and_back),
                PLACE_TEST(test_moved_away_for_good),
                PLACE_TEST(test_removed),
                PLACE_TEST(test_folder_moved),
                PLACE_TEST(test_replaced),
                PLACE_TEST(test_replaced_and_closed),
                PLACE_TEST(test_another_log_is_left_alone),
                PLACE_TEST(test_removed_and_then_replaced),
                PLACE_TEST(test_removed_and_killed),
                PLACE_TEST(test_index_removed),
                PLACE_TEST(test_index_removed_and_log_moved),
                PLACE_TEST(test_log_removed),
                PLACE_TEST(test_log_removed_and_disk_full),
                PLACE_TEST(test_replaced_in_the_middle_of_a_commit),
        };

        return cmocka_run_group_tests(tests, register_vfs, NULL);
}
