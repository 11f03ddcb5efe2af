/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The thread that alone changes the database: it takes what is queued, applies it in order in one transaction and
 * commits; while it does, the queue gathers. It also moves the write-ahead log into the database, so that no commit
 * and no reader has to. Private to the store; what a write does stands in the file of its noun. */

#include "model/changes.h"
#include "store/db.h"
#include "store/place.h"

/* Writes of one transaction, give or take the turn of the loop that the last one belongs to. */
#define WRITER_BATCH_MAX 4096U

/* The log is moved when it has this many pages and nothing was written for a moment ... */
#define WRITER_CHECKPOINT_PAGES     256U
#define WRITER_CHECKPOINT_IDLE_USEC (50 * USEC_PER_MSEC)
/* ... and at this size also between two commits, unless told otherwise. */
#define WRITER_LOG_LIMIT_BYTES      (16 * MIB)

typedef struct Retention Retention;
typedef struct Write Write;

typedef struct WriteType {
        /* On the writer's thread, within the transaction. Return: 0 or positive; negative errno fails the whole
         * commit. */
        int (*apply)(Write *write, Db *db, Retention *retention);
        void (*free)(Write *write); /* on any thread; accepts half-built ones */
        bool keeps_runs;            /* deletes no run: runs of the turn may still change their write (run-store.c) */
} WriteType;

/* The beginning of each kind of write. */
struct Write {
        const WriteType *type;
        Write *next;
        uint64_t ticket;
        bool ends_turn; /* a transaction may end after it */
};

void write_list_free(Write *first);

/* What happened since it was asked last. */
typedef struct WriterNews {
        uint64_t committed; /* ticket */
        int error;          /* of a commit that failed; -ESTALE: there will be no other; 0 */
        bool recovered;     /* after that, writing works again */
        bool retain_more;   /* as of the last commit */
} WriterNews;

typedef struct WriterStatistics {
        uint64_t commits;
        uint64_t writes;
        uint64_t log_bytes;
        usec_t last_commit_usec;
        uint64_t messages_lost; /* by retention_take_lost() */
} WriterStatistics;

typedef struct WriterOptions {
        usec_t retry_usec;        /* after a failure, between tries whether writing works again */
        uint64_t log_limit_bytes; /* 0: WRITER_LOG_LIMIT_BYTES */
        int event_fd;             /* borrowed; written to when there is news */
        Changes *changes;         /* borrowed */
        const Place *place;       /* borrowed */
} WriterOptions;

typedef struct Writer Writer;

/* @db is taken over on success. Return: 0; negative errno. */
int writer_start(Db *db, const WriterOptions *options, Writer **ret) _must_check_;

/* Commits what is queued, ends the thread, closes the database. Context: blocks for the disk. */
Writer *writer_stop(Writer *writer);
DEFINE_TRIVIAL_CLEANUP_FUNC(Writer *, writer_stop);

/* Takes over the writes of a turn, linked by next. After a failure they are dropped until writer_resume(). */
void writer_put(Writer *writer, Write *first, Write *last);

void writer_take_news(Writer *writer, WriterNews *ret);

/* The owner has heard that writing works again and puts no more of what was before. */
void writer_resume(Writer *writer);

void writer_statistics(Writer *writer, WriterStatistics *ret);
