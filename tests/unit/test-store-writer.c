/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Group commit, the queue, checkpoints, and every way in which a commit can fail. */

#include "unit/expect.h"

#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/string-util.h"
#include "store/writer.h"
#include "unit/fault-vfs.h"
#include "unit/store-fixture.h"

static void put_users(Store *store, unsigned from, unsigned n)
{
        for (unsigned i = 0; i < n; i++) {
                char id[UUID_TEXT_MAX];

                (void) snprintf(id, sizeof(id), "00000000-0000-4000-8000-%012x", from + i);
                expect_ok(store_put_user(store, id, A_TIME));
        }
}

static uint64_t n_commits(StoreFixture *f)
{
        StoreStatistics statistics;

        store_statistics(f->store, &statistics);
        return statistics.commits;
}

static void test_turn_is_one_transaction(void **state)
{
        StoreFixture *f = *state;
        StoreStatistics statistics;

        /* More than the writer takes at once by itself. */
        put_users(f->store, 0, 5000);
        store_fixture_commit(f);
        store_statistics(f->store, &statistics);
        assert_int_equal(statistics.commits, 1);
        assert_int_equal(statistics.writes, 5000);
        assert_int_equal(statistics.n_waiting, 0);
        assert_int_equal(f->n_committed, 1);
        assert_int_equal(f->committed, 5000);
        put_users(f->store, 5000, 1);
        store_fixture_commit(f);
        assert_int_equal(n_commits(f), 2);
        assert_int_equal(store_fixture_sql(f->path, "SELECT count(*) FROM users"), 5001);
}

static void test_turns_are_gathered(void **state)
{
        StoreFixture *f = *state;
        sqlite3 *other;

        /* While another writes, the first turn waits in the writer and the others behind it. */
        assert_int_equal(sqlite3_open(f->path, &other), SQLITE_OK);
        assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
        for (unsigned i = 0; i < 20; i++) {
                put_users(f->store, i * 10, 10);
                expect_ok(sd_event_run(f->event, 0));
        }
        assert_int_equal(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
        (void) sqlite3_close(other);
        store_fixture_commit(f);
        assert_in_range(n_commits(f), 1, 2);
        assert_int_equal(store_fixture_sql(f->path, "SELECT count(*) FROM users"), 200);
}

/* Turns that wait, each of one write, while somebody else writes: those that the writer took before it noticed, so many in
 * each of two transactions, and what is left. */
static void test_turns_of_a_transaction(void **state)
{
        StoreFixture *f = *state;
        sqlite3 *other;

        assert_int_equal(sqlite3_open(f->path, &other), SQLITE_OK);
        assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
        for (unsigned i = 0; i < 2 * WRITER_BATCH_MAX + 1; i++) {
                put_users(f->store, i, 1);
                expect_ok(sd_event_run(f->event, 0));
        }
        assert_int_equal(n_commits(f), 0);
        assert_int_equal(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_close(other), SQLITE_OK);
        store_fixture_commit(f);
        assert_in_range(n_commits(f), 3, 4);
}

static void test_queue_limit(void **state)
{
        StoreFixture *f = *state;

        /* Steps that have nothing to do cost the least. */
        for (unsigned i = 0; i < STORE_QUEUE_MAX; i++)
                expect_ok(store_retain(f->store, &(RetentionPolicy){}, A_TIME));
        expect_errno(store_put_user(f->store, USER_1, A_TIME), -ENOBUFS);
        assert_int_equal(store_ticket(f->store), STORE_QUEUE_MAX);
        store_fixture_commit(f);
        expect_ok(store_put_user(f->store, USER_1, A_TIME));
        store_fixture_commit(f);
        assert_int_equal(store_fixture_sql(f->path, "SELECT count(*) FROM users"), 1);
}

static void test_close_commits(void **state)
{
        StoreFixture *f = *state;

        put_users(f->store, 0, 10000);
        store_fixture_close(f);
        assert_int_equal(f->n_committed, 0); /* nothing is told any more */
        assert_int_equal(store_fixture_sql(f->path, "SELECT count(*) FROM users"), 10000);
}

/* A turn with a write of every kind. */
static void put_everything(StoreFixture *f, unsigned number)
{
        Run *run = make_run("bank", USER_1, number, A_TIME);
        ConnectorRecord record = CONNECTOR_RECORD_INIT;
        RetentionPolicy policy = { .events_max_age_usec = USEC_PER_DAY };
        Account *account;

        run->state = RUN_FINISHED;
        run->outcome = RUN_SUCCEEDED;
        run->finished_usec = A_TIME;
        record.name = run->connector;
        record.id = run->connector_id;
        record.consecutive_failures = number;
        expect_ok(run_find_account(run, "a", true, &account));
        expect_ok(store_put_connector(f->store, &record));
        expect_ok(store_put_cursor(f->store, "bank", run->id));
        expect_ok(store_put_run(f->store, run, true));
        put_event_of(f->store, run, A_TIME + number);
        expect_ok(store_retain(f->store, &policy, A_TIME));
        run_free(run);
}

/* All of the turn is there, or all of it as before. */
static void assert_everything(StoreFixture *f, unsigned number, bool there)
{
        _cleanup_free_ char *id = asprintf_or_null("00000000-0000-7000-8000-%012u", number), *cursor = NULL;
        EventFilter filter = { .run_id = id, .limit = 10 };
        Run *run = NULL;
        ConnectorRecord *records;
        EventPage page;
        size_t n;

        assert_int_equal(store_get_run(f->store, id, true, &run), there ? 0 : -ESRCH);
        assert_true(!there || run->n_accounts == 1);
        run_free(run);
        expect_ok(store_list_events(f->store, &filter, &page));
        assert_int_equal(page.n, there);
        event_page_done(&page);
        if (store_get_cursor(f->store, "bank", &cursor) > 0)
                assert_int_equal(streq(cursor, id), there);
        expect_ok(store_load_connectors(f->store, &records, &n));
        if (n > 0)
                assert_int_equal(records[0].consecutive_failures == number, there);
        connector_records_free(records, n);
}

/* Fails the n-th write of a commit, for each n that there is. Return: how many there were. */
static unsigned fail_each_write(StoreFixture *f, int code, unsigned *number)
{
        for (unsigned n = 1;; n++) {
                uint64_t ticket;
                unsigned n_failed = f->n_failed;

                put_everything(f, ++*number);
                ticket = store_ticket(f->store);
                fault_vfs_arm(n, code);
                while (f->committed < ticket && f->n_failed == n_failed)
                        expect_ok(sd_event_run(f->event, UINT64_MAX));
                (void) fault_vfs_disarm();
                if (f->n_failed == n_failed) {
                        assert_everything(f, *number, true);
                        return n - 1;
                }
                assert_int_equal(f->n_failed, n_failed + 1);
                assert_int_equal(f->n_recovered, n_failed);
                assert_everything(f, *number, false);
                expect_errno(store_put_user(f->store, USER_1, A_TIME), -EROFS);
                store_fixture_await_recovery(f, n_failed + 1);
                assert_everything(f, *number, false);
                put_everything(f, *number);
                store_fixture_commit(f);
                assert_everything(f, *number, true);
        }
}

static void test_every_failing_write(void **state)
{
        static const struct {
                int code, error;
        } failures[] = {
                { SQLITE_FULL, -ENOSPC },
                { SQLITE_IOERR_WRITE, -EIO },
                { SQLITE_IOERR_FSYNC, -EIO },
        };
        StoreFixture *f = *state;
        StoreOptions small_log = { .path = f->path, .retry_usec = USEC_PER_MSEC, .log_limit_bytes = 1 };
        unsigned number = 0;

        for (int with_checkpoints = 0; with_checkpoints < 2; with_checkpoints++) {
                for (size_t i = 0; i < ELEMENTSOF(failures); i++) {
                        assert_in_range(fail_each_write(f, failures[i].code, &number), 5, 200);
                        assert_int_equal(f->error, failures[i].error);
                }
                store_fixture_close(f);
                f->n_failed = f->n_recovered = 0;
                expect_ok(store_fixture_open(f, &small_log));
        }
        assert_int_equal(store_fixture_sql(f->path, "SELECT count(*) FROM pragma_integrity_check "
                                                    "WHERE integrity_check = 'ok'"),
                         1);
        assert_int_equal(store_fixture_sql(f->path, "SELECT count(*) FROM runs"), number);
}

static uint64_t log_size(StoreFixture *f)
{
        _cleanup_free_ char *path = asprintf_or_null("%s-wal", f->path);
        struct stat st;

        assert_non_null(path);
        assert_int_equal(stat(path, &st), 0);
        return (uint64_t) st.st_size;
}

static void limit_file_size(rlim_t bytes)
{
        struct rlimit limit;

        assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
        limit.rlim_cur = MIN(bytes, limit.rlim_max);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static int teardown_limit(void **state)
{
        limit_file_size(RLIM_INFINITY);
        return store_fixture_teardown(state);
}

static void test_full_disk(void **state)
{
        StoreFixture *f = *state;
        uint64_t last_seq;

        put_everything(f, 1);
        store_fixture_commit(f);
        last_seq = store_last_seq(f->store);
        (void) signal(SIGXFSZ, SIG_IGN);
        limit_file_size(log_size(f));
        put_users(f->store, 0, 10000);
        put_everything(f, 2);
        store_fixture_await_failure(f, 1);
        assert_int_equal(f->error, -EFBIG);
        assert_everything(f, 2, false);
        assert_everything(f, 1, true);
        limit_file_size(RLIM_INFINITY);
        store_fixture_await_recovery(f, 1);
        assert_int_equal(f->n_failed, 1);

        /* Numbers that were lost with the failed commit are not given again. */
        assert_int_equal(store_last_seq(f->store), last_seq + 1);
        put_everything(f, 2);
        store_fixture_commit(f);
        assert_everything(f, 2, true);
        assert_int_equal(store_last_seq(f->store), last_seq + 2);
}

static void test_what_is_put_before_the_news_is_dropped(void **state)
{
        StoreFixture *f = *state;
        uint64_t ticket;

        fault_vfs_arm(1, SQLITE_FULL);
        put_users(f->store, 0, 1);
        while (f->n_failed == 0) {
                /* The loop does not know yet. */
                expect_ok(store_put_user(f->store, USER_1, A_TIME));
                expect_ok(sd_event_run(f->event, UINT64_MAX));
        }
        (void) fault_vfs_disarm();
        ticket = store_ticket(f->store);
        expect_errno(store_put_user(f->store, USER_1, A_TIME), -EROFS);
        store_fixture_await_recovery(f, 1);
        assert_int_equal(f->committed, 0);
        put_users(f->store, 7, 1);
        assert_int_equal(store_ticket(f->store), ticket + 1);
        store_fixture_commit(f);
        assert_int_equal(store_fixture_sql(f->path, "SELECT count(*) FROM users"), 1);
        assert_int_equal(f->n_failed, 1);
}

static void test_close_while_failed(void **state)
{
        StoreFixture *f = *state;

        fault_vfs_arm(1, SQLITE_IOERR_WRITE);
        put_users(f->store, 0, 1);
        store_fixture_await_failure(f, 1);
        store_fixture_close(f);
        assert_true(fault_vfs_disarm() > 0);
        expect_ok(store_fixture_open(f, NULL));
        expect_errno(store_user_exists(f->store, "00000000-0000-4000-8000-000000000000"), 0);
}

static void write_much(StoreFixture *f, unsigned from)
{
        for (unsigned i = 0; i < 100; i++) {
                put_users(f->store, from + i * 100, 100);
                store_fixture_commit(f);
        }
}

static void test_log_is_bounded(void **state)
{
        const uint64_t limit_bytes = 256 * KIB, slack_bytes = 256 * KIB; /* what one commit adds */
        StoreFixture *f = *state;
        StoreOptions options = { .path = f->path, .log_limit_bytes = limit_bytes };
        uint64_t held_bytes;
        sqlite3 *reader;

        store_fixture_close(f);
        expect_ok(store_fixture_open(f, &options));
        write_much(f, 0);
        assert_in_range(log_size(f), 1, limit_bytes + slack_bytes);

        /* Somebody who reads for long holds it back, and nothing else; when he is gone it goes back. */
        assert_int_equal(sqlite3_open(f->path, &reader), SQLITE_OK);
        assert_int_equal(sqlite3_exec(reader, "BEGIN; SELECT count(*) FROM users", NULL, NULL, NULL), SQLITE_OK);
        write_much(f, 100000);
        held_bytes = log_size(f);
        assert_true(held_bytes > limit_bytes + slack_bytes);
        assert_int_equal(sqlite3_exec(reader, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
        (void) sqlite3_close(reader);
        write_much(f, 200000);
        write_much(f, 300000);
        assert_true(log_size(f) <= held_bytes + limit_bytes + slack_bytes);
        assert_int_equal(store_fixture_sql(f->path, "SELECT count(*) FROM users"), 40000);
}

/* The log is moved into the database as soon as nothing else is to be done; nobody has to ask for it. */
static void test_log_is_moved_when_idle(void **state)
{
        StoreFixture *f = *state;
        struct inotify_event event;
        int fd;

        fd = inotify_init1(IN_CLOEXEC);
        assert_true(fd >= 0);
        assert_true(inotify_add_watch(fd, f->path, IN_MODIFY) >= 0);
        put_users(f->store, 0, 20000); /* more than the writer lets lie, far less than the limit */
        store_fixture_commit(f);
        assert_int_equal(read(fd, &event, sizeof(event)), sizeof(event));
        assert_true(event.mask & IN_MODIFY);
        (void) close(fd);
}

typedef struct ReaderThread {
        const char *path;
        atomic_bool stop;
        unsigned n_reads;
        bool torn;
} ReaderThread;

/* Another program that reads meanwhile: each commit adds a run and its event. */
static void *read_on(void *userdata)
{
        ReaderThread *t = userdata;
        sqlite3_stmt *stmt = NULL;
        sqlite3 *db = NULL;

        if (sqlite3_open_v2(t->path, &db, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK ||
            sqlite3_prepare_v2(db, "SELECT (SELECT count(*) FROM runs) <> (SELECT count(*) FROM events)", -1, &stmt,
                               NULL) != SQLITE_OK)
                t->torn = true;
        while (!t->torn && !atomic_load(&t->stop)) {
                t->torn = sqlite3_step(stmt) != SQLITE_ROW || sqlite3_column_int(stmt, 0) != 0;
                (void) sqlite3_reset(stmt);
                t->n_reads++;
        }
        (void) sqlite3_finalize(stmt);
        (void) sqlite3_close(db);
        return NULL;
}

static void test_readers_beside(void **state)
{
        StoreFixture *f = *state;
        ReaderThread t = { .path = f->path };
        pthread_t thread;

        assert_int_equal(pthread_create(&thread, NULL, read_on, &t), 0);
        for (unsigned i = 1; i <= 300; i++) {
                RunFilter filter = RUN_FILTER_INIT;
                Run **runs;
                size_t n;

                put_everything(f, i);
                expect_ok(sd_event_run(f->event, 0));
                expect_ok(store_list_runs(f->store, &filter, &runs, &n, NULL));
                runs_free(runs, n);
                if (i % 10 == 0)
                        store_fixture_commit(f);
        }
        atomic_store(&t.stop, true);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_false(t.torn);
        assert_true(t.n_reads > 0);
        assert_everything(f, 300, true);
}

static int register_vfs(void **state)
{
        fault_vfs_register();
        return 0;
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                STORE_TEST(test_turn_is_one_transaction),
                STORE_TEST(test_turns_are_gathered),
                STORE_TEST(test_turns_of_a_transaction),
                STORE_TEST(test_queue_limit),
                STORE_TEST(test_close_commits),
                STORE_TEST(test_every_failing_write),
                cmocka_unit_test_setup_teardown(test_full_disk, store_fixture_setup, teardown_limit),
                STORE_TEST(test_what_is_put_before_the_news_is_dropped),
                STORE_TEST(test_close_while_failed),
                STORE_TEST(test_log_is_bounded),
                STORE_TEST(test_log_is_moved_when_idle),
                STORE_TEST(test_readers_beside),
        };

        return cmocka_run_group_tests(tests, register_vfs, NULL);
}
