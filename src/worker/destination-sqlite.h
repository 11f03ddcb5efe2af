/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Between destination-sqlite.c and sqlite-items.c; for nobody else. */

#include "worker/destination.h"
#include "worker/item-walk.h"

typedef struct SqliteDestination {
        Destination destination; /* first */
        ItemDb db;
        int64_t run;     /* our row in table run */
        usec_t now_usec; /* of the transaction */
        bool in_transaction;
        ItemWalk walk;
        Buffer key;
        Buffer ours, theirs; /* canonical texts */
} SqliteDestination;

static inline SqliteDestination *sqlite_destination(Destination *destination)
{
        return container_of(destination, SqliteDestination, destination);
}

/* Sets the words for an errno of item-db.h. Return: @r. */
int sqlite_error(SqliteDestination *d, int r);

/* Begins a transaction, if none is open. */
int sqlite_begin(SqliteDestination *d) _must_check_;

/* sqlite-items.c: operations of the destination, see DestinationOps */
int sqlite_schema(Destination *destination, Stream *stream) _must_check_;
JsonSlice sqlite_expected(Destination *destination);
int sqlite_record(Destination *destination, const DestinationRecord *record) _must_check_;
int sqlite_activate_version(Destination *destination, Stream *stream, int64_t version) _must_check_;
