/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The file of the sqlite destination: opening it, its schema, and statements by number. What is written into it is the
 * business of destination-sqlite.c and sqlite-items.c.
 *
 * The schema is public: people read the file with the sqlite3 shell while no run, or a run, is active.
 *
 * - items: a view, to read: stream, key, account, json, version, first_seen, updated (ISO 8601, UTC), first_run, run
 * - item: one row an item: the record as it came last (json), when and by which run it came first and was changed
 *   last; version is that of Singer's ACTIVATE_VERSION. key as stream_key() makes it. Keys are unique in a stream.
 * - stream: names, and the key fields (JSON, a list of paths) that item.key is made of; NULL for a hash of the
 *   content; keyed_from: items with smaller ids may have been given their keys when the fields were others
 * - run: runs that wrote here; settled: the daemon has its exact counts
 * - connector: the name of the only one that stores here. Items do not say whose they are, and are deleted with the
 *   file
 * - tally: counts by account of runs that are not settled, written in the transactions of the items that they count;
 *   account '' is for records that name none
 * - mark: of a run, the type of its destination, and digests of the cursors whose items are all here, the last ones
 *   that the daemon may have: written in the transactions of those items
 *
 * A destination of Type=webhook (destination-webhook.c) has three more, which are made for it alone:
 *
 * - outbox: items that are still to be delivered; is_new: the receiver has none of its versions; delivery: the request
 *   that it is part of; NULL: none yet. An item that changes while it is part of one waits once more beside that.
 * - delivery: a request that may have been sent, with its very bytes: it is sent again, with the same id, until it is
 *   known to have been taken or refused
 * - attempt: requests of runs that are not settled, as they are told to the daemon: written with what came of them
 *
 * item is a rowid table with an index on (stream_id, key) and not WITHOUT ROWID: measured with records of 1 KB, keys
 * in random order, on pages of 8 KiB, it takes 90,000 to 113,000 new rows a second and not 16,000, and finds them
 * twice as fast. */

#include <sqlite3.h>

#include "base/macros.h"

#define ITEM_DB_APPLICATION_ID 0x73794974 /* "syIt" */
#define ITEM_DB_VERSION        2
#define ITEM_DB_CACHE_KIB      32768 /* what SQLite may keep of the file in memory */
#define ITEM_DB_BUSY_MSEC      10000 /* how long a person at the sqlite3 shell may hold us up */

typedef enum ItemStatement {
        ITEM_BEGIN,
        ITEM_COMMIT,
        ITEM_ROLLBACK,
        ITEM_STREAM_FIND,     /* name → id, keyed_from */
        ITEM_STREAM_ADD,      /* name → id */
        ITEM_STREAM_SET_KEYS, /* id, key fields */
        ITEM_FIND,            /* stream, key → id, run, version, json, account */
        ITEM_WALK,            /* id → those behind it: id, run, version, json, account, stream, key */
        ITEM_ADD,             /* stream, key, account, version, now, run, json; nothing happens if there is one */
        ITEM_UPDATE,          /* id, account, version, now, run, json */
        ITEM_SET_VERSION,     /* id, version */
        ITEM_DROP_END,        /* stream, first key, n → the key n items further on */
        ITEM_DROP_RANGE,      /* stream, first key, key behind the last one, version to keep */
        ITEM_DROP_REST,       /* stream, first key, -, version to keep */
        ITEM_RUN_ADD,         /* run id, now, full resync → id */
        ITEM_RUN_SETTLED,     /* run id */
        ITEM_RUN_UNSETTLED,   /* own run id → id, run id */
        ITEM_TALLY_SET,       /* run, account, four counts */
        ITEM_TALLY_GET,       /* run → account, four counts */
        ITEM_TALLY_DROP,      /* run id */
        ITEM_MARK_SET,        /* run, type, digests */
        OUTBOX_ADD,           /* item, stream, is new; nothing happens if it waits already */
        OUTBOX_COUNT,         /* → how many wait */
        OUTBOX_STREAM,        /* → stream, name: of the one that has waited longest */
        OUTBOX_WAITING,       /* stream, limit → seq, is new, json; longest waiting first */
        OUTBOX_ASSIGN,        /* delivery, stream, last seq */
        OUTBOX_ASSIGNED,      /* delivery → how many */
        OUTBOX_DROP,          /* delivery */
        OUTBOX_KEEP_NEW,      /* delivery: those of its items that wait beside it are new, if they are so there */
        OUTBOX_FORGET_TWICE,  /* delivery: those that wait beside it anyway, or have gone */
        OUTBOX_RETURN,        /* delivery: all others wait again */
        DELIVERY_ADD,         /* id, body → key */
        DELIVERY_FIRST,       /* → key, id, body */
        DELIVERY_DROP,        /* key */
        ATTEMPT_TABLE,        /* → a row, where there is such a table */
        ATTEMPT_ADD,          /* run id, json */
        ATTEMPT_TRIM,         /* how many to keep */
        ATTEMPT_RUN,          /* own run id → another run's id */
        ATTEMPT_LIST,         /* run id, limit → key, json */
        ATTEMPT_DROP,         /* run id, last key */
        _ITEM_STATEMENT_MAX,
        _ITEM_STATEMENT_INVALID = -EINVAL,
} ItemStatement;

typedef struct ItemDb {
        sqlite3 *sqlite;
        sqlite3_stmt *statements[_ITEM_STATEMENT_MAX];
} ItemDb;

/**
 * item_db_may_go - whether a file holds items of one connector alone, or none: whether it may be deleted with them
 * @path: of the file
 * @connector: whose
 * @ret_other: another connector that has stored in it, owned by the caller; NULL if there is none
 *
 * Context: blocks for the disk, and for those who write to the file.
 * Return: 1 or 0; -EMEDIUMTYPE: item_db_open() has not made it; -ENOENT; -EUCLEAN: it was ours, and is damaged;
 * as item_db_errno().
 */
int item_db_may_go(const char *path, const char *connector, char **ret_other) _must_check_;

/**
 * item_db_covers() - whether a file has all items that a cursor covers, as its table mark says
 * @type:   of the destination that asks, as Type= has it: what was stored for another is not delivered by webhook
 * @digest: of the cursor
 *
 * Context: blocks for the disk, and for those who write to the file.
 * Return: 1; 0, also where there is no such file or no run has stored in it; -ENODATA: nothing was ever noted in it;
 * as item_db_errno().
 */
int item_db_covers(const char *path, const char *type, const char *digest) _must_check_;

/**
 * item_db_open() - open the file, make it or its schema where they are missing
 * @db: closed by item_db_close(), also after failure
 * @connector: who stores in it, alone, which is noted there; NULL: nobody
 *
 * Context: blocks for the disk.
 * Return: 0; -EOVERFLOW (made by a newer syncrun, left untouched); -EMEDIUMTYPE (another program's database, or none);
 * -EEXIST (another connector stores in it, left untouched); as item_db_errno().
 */
int item_db_open(ItemDb *db, const char *path, const char *connector) _must_check_;
void item_db_close(ItemDb *db);

/** item_db_find_other() - another connector that has stored in the file, owned by the caller; NULL: none. Return: 0;
 * -ENOMEM; as item_db_errno(). */
int item_db_find_other(const ItemDb *db, const char *connector, char **ret) _must_check_;

/** item_db_open_outbox() - make the tables of the outbox where they are missing. In a transaction. Return: 0; as
 * item_db_errno(). */
int item_db_open_outbox(ItemDb *db) _must_check_;

/** item_db_statement() - a statement, prepared once, reset and unbound. Return: 0; as item_db_errno(). */
int item_db_statement(ItemDb *db, ItemStatement number, sqlite3_stmt **ret) _must_check_;

/** item_db_run() - step a statement that gives no rows, and reset it. Return: 0; as item_db_errno(). */
int item_db_run(ItemDb *db, sqlite3_stmt *statement) _must_check_;

/** item_db_text() - a copy of the text in a column of the row; NULL: without memory, SQLite's too */
char *item_db_text(sqlite3_stmt *statement, int column) _must_check_;

/** item_db_do() - item_db_statement() and item_db_run() of one without parameters */
int item_db_do(ItemDb *db, ItemStatement number) _must_check_;

/** item_db_errno() - an SQLite result code: 0 for OK, ROW and DONE; -ENOSPC, -ENOMEM, -EBUSY, -EROFS, -EACCES, -EFBIG,
 * -ENODEV for a file that does not open, -EBADMSG never, -EUCLEAN for a damaged file, -EIO */
int item_db_errno(int code) _const_;

/** item_db_has_moved() - whether the open file is no longer the one at its path: what is written to it is lost */
bool item_db_has_moved(const ItemDb *db);

/** item_db_system_error() - what the system last said about the file or its log, as a positive errno; 0: nothing */
int item_db_system_error(const ItemDb *db);
