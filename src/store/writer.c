/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "store/writer.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/time-util.h"
#include "store/query.h"
#include "store/retain.h"

typedef enum WriterState {
        WRITER_WORKING,
        WRITER_FAILED,    /* a commit failed; tries from time to time */
        WRITER_RECOVERED, /* such a try was good; the owner has not said writer_resume() yet */
        WRITER_LOST,      /* the files are not those at their paths: there is nothing to be tried */
} WriterState;

struct Writer {
        /* The thread's alone while it runs. */
        Db *db;
        Retention *retention;
        uint64_t log_pages;        /* in the write-ahead log */
        uint64_t log_limit_pages;
        uint64_t idle_pages;       /* when the log has grown to this, it is moved when nothing else is to be done, */
        uint64_t checkpoint_pages; /* and to this, even between commits */
        usec_t retry_usec;
        uint64_t page_bytes;
        int event_fd;
        Changes *changes;
        const Place *place;

        pthread_t thread;
        pthread_mutex_t mutex;
        pthread_cond_t wake;

        /* Under the mutex. */
        WriterState state;
        bool stop;
        Write *first, **last;
        WriterNews news;
        WriterStatistics statistics;
};

typedef enum Job {
        JOB_STOP,
        JOB_COMMIT,
        JOB_CHECKPOINT,
        JOB_TRY, /* whether writing works again */
} Job;

void write_list_free(Write *first)
{
        while (first) {
                Write *next = first->next;

                first->type->free(first);
                free(first);
                first = next;
        }
}

/* Cuts the queue after the first turn with which the batch is large enough. */
static Write *take_batch(Writer *w)
{
        Write *batch = w->first, *last = batch;

        for (size_t n = 1; last->next && (n < WRITER_BATCH_MAX || !last->ends_turn); n++)
                last = last->next;
        w->first = last->next;
        if (!w->first)
                w->last = &w->first;
        last->next = NULL;
        return batch;
}

static struct timespec deadline_after(usec_t usec)
{
        usec_t t = now_usec(CLOCK_MONOTONIC) + usec;

        return (struct timespec) {
                .tv_sec = (time_t) (t / USEC_PER_SEC),
                .tv_nsec = (long) (t % USEC_PER_SEC * NSEC_PER_USEC),
        };
}

static Job wait_for_job(Writer *w, Write **ret_batch)
{
        struct timespec deadline;
        Job at_deadline = JOB_STOP; /* none */

        if (w->state == WRITER_FAILED) {
                deadline = deadline_after(w->retry_usec);
                at_deadline = JOB_TRY;
        } else if (w->log_pages >= w->idle_pages) {
                deadline = deadline_after(WRITER_CHECKPOINT_IDLE_USEC);
                at_deadline = JOB_CHECKPOINT;
        }
        for (;;) {
                if (w->first) {
                        *ret_batch = take_batch(w);
                        return JOB_COMMIT;
                }
                if (w->stop)
                        return JOB_STOP;
                if (at_deadline == JOB_STOP)
                        (void) pthread_cond_wait(&w->wake, &w->mutex);
                else if (pthread_cond_timedwait(&w->wake, &w->mutex, &deadline) == ETIMEDOUT)
                        return at_deadline;
        }
}

static int apply_batch(Writer *w, Write *batch)
{
        int r;

        r = db_begin(w->db);
        for (Write *write = batch; write && r >= 0; write = write->next)
                r = write->type->apply(write, w->db, w->retention);
        if (r >= 0)
                r = place_check(w->place);
        if (r >= 0) {
                changes_begin(w->changes);
                r = db_commit(w->db);
                changes_end(w->changes);
        }
        /* Once more, since what is told as committed is to be found by whoever comes next. */
        if (r >= 0)
                r = place_check(w->place);
        if (r < 0) {
                db_rollback(w->db);
                retention_reset(w->retention);
        }
        return r;
}

static void tell_owner(Writer *w)
{
        uint64_t one = 1;

        /* Full only when the owner has not looked at 2^64 - 2 of them. */
        (void) !write(w->event_fd, &one, sizeof(one));
}

/* Called with the mutex held; leaves the queue to the caller to free. */
static Write *fail(Writer *w, int error)
{
        Write *dropped = w->first;

        w->first = NULL;
        w->last = &w->first;
        w->state = error == -ESTALE ? WRITER_LOST : WRITER_FAILED;
        w->news.error = error;
        w->news.recovered = false;
        return dropped;
}

/* Where the files are not at their paths any more: what was acknowledged goes into the database as a whole,
 * wherever that is now, and the log does not stay beside another one, nor, with anything in it, where another one
 * may come: a log says not whose it is, and would be played into that one after a crash. Return: @error; while
 * that cannot be done, why. */
static int let_go(Writer *w, int error)
{
        int n_log = 0, n_moved = 0, code;

        if (error != -EIDRM && error != -ESTALE)
                return error;
        if (place_is_divided(w->place)) {
                db_leave_log(w->db); /* which has all that was acknowledged, and is where the next one finds it */
                return error;
        }
        code = sqlite3_wal_checkpoint_v2(w->db->sqlite, NULL, SQLITE_CHECKPOINT_FULL, &n_log, &n_moved);
        if (code == SQLITE_OK && n_moved < n_log)
                code = SQLITE_BUSY;
        if (code != SQLITE_OK && place_is_linked(w->place))
                return db_error(w->db, code);
        /* Somebody who reads holds it back: then at the next try. */
        (void) sqlite3_wal_checkpoint_v2(w->db->sqlite, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
        if (error == -ESTALE)
                place_leave(w->place);
        return error;
}

static void commit(Writer *w, Write *batch)
{
        usec_t begin_usec = now_usec(CLOCK_MONOTONIC);
        Write *dropped = NULL;
        uint64_t ticket = 0, n = 0;
        int r;

        for (Write *write = batch; write; write = write->next) {
                ticket = write->ticket;
                n++;
        }
        r = apply_batch(w, batch);
        write_list_free(batch);
        r = let_go(w, r);

        (void) pthread_mutex_lock(&w->mutex);
        if (r >= 0) {
                w->news.committed = ticket;
                w->news.retain_more = retention_more(w->retention);
                w->statistics.messages_lost += retention_take_lost(w->retention);
                w->statistics.commits++;
                w->statistics.writes += n;
                w->statistics.log_bytes = w->log_pages * w->page_bytes;
                w->statistics.last_commit_usec = now_usec(CLOCK_MONOTONIC) - begin_usec;
        } else {
                dropped = fail(w, r);
        }
        (void) pthread_mutex_unlock(&w->mutex);
        tell_owner(w);
        write_list_free(dropped);
}

/* Moves what no reader holds back. A log that is moved as a whole is written anew from its beginning by the next
 * commit; one that is not is tried again when it has grown by as much once more. A failure costs nothing: the log
 * keeps the data. */
static void checkpoint(Writer *w)
{
        int n_log = 0, n_moved = 0, code = SQLITE_BUSY;

        if (place_check(w->place) >= 0)
                code = sqlite3_wal_checkpoint_v2(w->db->sqlite, NULL, SQLITE_CHECKPOINT_PASSIVE, &n_log, &n_moved);
        if (code == SQLITE_OK && n_moved >= n_log)
                w->log_pages = 0;
        w->idle_pages = w->log_pages + WRITER_CHECKPOINT_PAGES;
        w->checkpoint_pages = w->log_pages + w->log_limit_pages;
}

static int write_anything(Writer *w)
{
        static const char sql[] = "UPDATE meta SET value = value + 1 WHERE name = 'recoveries'";
        int r;

        r = place_check(w->place);
        if (r >= 0)
                r = db_begin(w->db);
        if (r >= 0) {
                _cleanup_query_ Query query = query_begin(w->db, sql);

                r = query_run(&query);
        }
        if (r >= 0)
                r = db_commit(w->db);
        if (r < 0)
                db_rollback(w->db);
        return r;
}

static void try_to_write(Writer *w)
{
        int r;

        r = let_go(w, write_anything(w));
        if (r < 0 && r != -ESTALE)
                return;
        (void) pthread_mutex_lock(&w->mutex);
        if (r < 0) {
                write_list_free(fail(w, r));
        } else {
                w->state = WRITER_RECOVERED;
                w->news.recovered = true;
        }
        (void) pthread_mutex_unlock(&w->mutex);
        tell_owner(w);
}

/* Before the files are closed. */
static void leave(Writer *w)
{
        if (w->state != WRITER_LOST && let_go(w, place_check(w->place)) == -EIDRM)
                place_leave(w->place);
}

static void *writer_thread(void *userdata)
{
        Writer *w = userdata;

        for (;;) {
                Write *batch = NULL;
                Job job;

                (void) pthread_mutex_lock(&w->mutex);
                job = wait_for_job(w, &batch);
                (void) pthread_mutex_unlock(&w->mutex);
                switch (job) {
                case JOB_STOP:
                        leave(w);
                        return NULL;
                case JOB_COMMIT:
                        commit(w, batch);
                        if (w->log_pages >= w->checkpoint_pages)
                                checkpoint(w);
                        break;
                case JOB_CHECKPOINT:
                        checkpoint(w);
                        break;
                case JOB_TRY:
                        try_to_write(w);
                        break;
                }
        }
}

static int on_commit(void *userdata, sqlite3 *sqlite, const char *name, int n_pages)
{
        Writer *w = userdata;

        w->log_pages = (uint64_t) n_pages;
        return SQLITE_OK;
}

/* Signals are the loop's. */
static int start_thread(Writer *w)
{
        sigset_t all, before;
        int r;

        (void) sigfillset(&all);
        r = pthread_sigmask(SIG_SETMASK, &all, &before);
        if (r != 0)
                return -r;
        r = pthread_create(&w->thread, NULL, writer_thread, w);
        (void) pthread_sigmask(SIG_SETMASK, &before, NULL);
        if (r != 0)
                return -r;
        (void) pthread_setname_np(w->thread, "store-writer");
        return 0;
}

static Writer *writer_free(Writer *w)
{
        if (!w)
                return NULL;
        (void) pthread_cond_destroy(&w->wake);
        (void) pthread_mutex_destroy(&w->mutex);
        retention_free(w->retention);
        free(w);
        return NULL;
}
DEFINE_TRIVIAL_CLEANUP_FUNC(Writer *, writer_free);

static int page_size(Db *db, uint64_t *ret)
{
        static const char sql[] = "PRAGMA page_size";
        int r;

        r = query_number(db, sql, ret);
        if (r < 0)
                return r;
        return *ret > 0 ? 0 : -EIO;
}

int writer_start(Db *db, const WriterOptions *options, Writer **ret)
{
        uint64_t limit_bytes = options->log_limit_bytes > 0 ? options->log_limit_bytes : WRITER_LOG_LIMIT_BYTES;
        _cleanup_(writer_freep) Writer *w = calloc(1, sizeof(Writer));
        pthread_condattr_t attributes;
        int r;

        if (!w)
                return -ENOMEM;
        w->last = &w->first;
        w->retry_usec = options->retry_usec;
        w->event_fd = options->event_fd;
        w->changes = options->changes;
        w->place = options->place;
        (void) pthread_mutex_init(&w->mutex, NULL);
        (void) pthread_condattr_init(&attributes);
        (void) pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        (void) pthread_cond_init(&w->wake, &attributes);
        (void) pthread_condattr_destroy(&attributes);
        r = page_size(db, &w->page_bytes);
        if (r < 0)
                return r;
        w->checkpoint_pages = w->log_limit_pages = MAX(limit_bytes / w->page_bytes, (uint64_t) 1);
        w->idle_pages = WRITER_CHECKPOINT_PAGES;
        w->retention = retention_new();
        if (!w->retention)
                return -ENOMEM;
        (void) sqlite3_wal_hook(db->sqlite, on_commit, w);
        w->db = db;
        r = start_thread(w);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(w);
        return 0;
}

Writer *writer_stop(Writer *w)
{
        if (!w)
                return NULL;
        (void) pthread_mutex_lock(&w->mutex);
        w->stop = true;
        (void) pthread_cond_signal(&w->wake);
        (void) pthread_mutex_unlock(&w->mutex);
        (void) pthread_join(w->thread, NULL);
        write_list_free(w->first);
        db_close(w->db);
        return writer_free(w);
}

void writer_put(Writer *w, Write *first, Write *last)
{
        bool accepted;

        (void) pthread_mutex_lock(&w->mutex);
        accepted = w->state == WRITER_WORKING;
        if (accepted) {
                *w->last = first;
                w->last = &last->next;
                (void) pthread_cond_signal(&w->wake);
        }
        (void) pthread_mutex_unlock(&w->mutex);
        if (!accepted)
                write_list_free(first);
}

void writer_take_news(Writer *w, WriterNews *ret)
{
        (void) pthread_mutex_lock(&w->mutex);
        *ret = w->news;
        w->news.error = 0;
        w->news.recovered = false;
        (void) pthread_mutex_unlock(&w->mutex);
}

void writer_resume(Writer *w)
{
        (void) pthread_mutex_lock(&w->mutex);
        if (w->state == WRITER_RECOVERED)
                w->state = WRITER_WORKING;
        (void) pthread_mutex_unlock(&w->mutex);
}

void writer_statistics(Writer *w, WriterStatistics *ret)
{
        (void) pthread_mutex_lock(&w->mutex);
        *ret = w->statistics;
        (void) pthread_mutex_unlock(&w->mutex);
}
