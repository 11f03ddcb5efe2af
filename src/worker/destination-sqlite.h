/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Between destination-sqlite.c, sqlite-items.c and destination-webhook.c, which is made of it; for nobody else. */

#include "worker/destination.h"
#include "worker/item-walk.h"

typedef struct SqliteDestination {
        Destination destination; /* first */
        ItemDb db;
        int64_t run;     /* our row in table run */
        usec_t now_usec; /* of the transaction */
        bool in_transaction;
        int64_t last_attempt; /* that was given to be told */
        ItemWalk walk;
        Buffer key;
        Buffer ours, theirs; /* canonical texts */
        struct {
                int64_t stream_id; /* 0: nothing is to be dropped */
                int64_t version;   /* all others of the stream are */
                Buffer from;       /* the first key that was not looked at yet */
        } drop;

        /* Of a destination that is made of this one: an item was put in or updated. NULL: nothing else happens. */
        int (*changed)(struct SqliteDestination *d, int64_t item, int64_t stream_id, bool added);
} SqliteDestination;

static inline SqliteDestination *sqlite_destination(Destination *destination)
{
        return container_of(destination, SqliteDestination, destination);
}

/* Sets the words for an errno of item-db.h. Return: @r. */
int sqlite_error(SqliteDestination *d, int r);

/* Begins a transaction, if none is open. */
int sqlite_begin(SqliteDestination *d) _must_check_;

/* destination-sqlite.c: likewise */
int sqlite_open(Destination *destination) _must_check_;
int sqlite_cover(Destination *destination, const char *digests) _must_check_;
int sqlite_commit(Destination *destination) _must_check_;
int sqlite_settled(Destination *destination, const char *run_id) _must_check_;
int sqlite_next_unsettled(Destination *destination, char **ret_run_id, Ledger *ret_ledger) _must_check_;
int sqlite_next_attempts(Destination *destination, char **ret_run_id, char **ret_json) _must_check_;
int sqlite_attempts_told(Destination *destination, const char *run_id) _must_check_;
void sqlite_done(Destination *destination);

/* sqlite-items.c: operations of the destination, see DestinationOps */
int sqlite_schema(Destination *destination, Stream *stream) _must_check_;
JsonSlice sqlite_expected(Destination *destination);
int sqlite_record(Destination *destination, const DestinationRecord *record) _must_check_;

/* ... and the stream's row in the file, made where it is missing. Within a transaction. */
int sqlite_find_stream(SqliteDestination *d, Stream *stream) _must_check_;

/* sqlite-versions.c: likewise */
int sqlite_activate_version(Destination *destination, Stream *stream, int64_t version) _must_check_;
int sqlite_work(Destination *destination) _must_check_;
