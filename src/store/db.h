/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One SQLite connection: how it is opened, its prepared statements, transactions and the errnos of its results.
 * Private to the store; what is read and written stands in the files of the nouns. */

#include <sqlite3.h>

#include "base/macros.h"

#define DB_WRITER_BUSY_USEC (10 * USEC_PER_SEC)    /* how long the writer waits for a foreign writer (sqlite3 shell) */
#define DB_READER_BUSY_USEC (100 * USEC_PER_MSEC)  /* the loop must not wait */

/* Used by one thread at a time. */
typedef struct Db {
        sqlite3 *sqlite;
        struct CachedStatement *statements;
} Db;

typedef enum DbMode {
        DB_EXAMINE, /* look only: nothing is changed, also not by closing */
        DB_WRITE,   /* write-ahead log, synchronous, foreign keys */
        DB_READ,    /* beside a DB_WRITE connection */
} DbMode;

/* Closing it will leave the log as it is. */
void db_leave_log(Db *db);

/* Context: blocks for the disk. Return: 0; -EOPNOTSUPP (the disk takes no log); negative errno as db_error(). */
int db_open(const char *path, DbMode mode, Db **ret) _must_check_;
Db *db_close(Db *db);
DEFINE_TRIVIAL_CLEANUP_FUNC(Db *, db_close);

/**
 * db_error() - the errno of an SQLite result code
 * @code: of the call that has just failed on @db
 *
 * Return: the errno that the system gave for an I/O error; -ENOSPC, -EROFS, -EACCES, -EBUSY, -ENOMEM; -EUCLEAN
 * (damaged, or not a database); -EEXIST (unique), -ENOENT (foreign key), -EINVAL (another constraint); -EIO for the
 * rest. Never 0.
 */
int db_error(Db *db, int code) _must_check_;

/* Runs statements that return no rows and take no parameters. */
int db_execute(Db *db, const char *sql) _must_check_;

/* The transaction takes the write lock at once. Rolling back never fails and may be called without a transaction. */
int db_begin(Db *db) _must_check_;
int db_commit(Db *db) _must_check_;
void db_rollback(Db *db);

/**
 * db_statement() - the prepared statement of @sql, reset and without parameters
 * @sql: static: it is remembered by its address
 * @ret: borrowed until db_close(); set on success only
 */
int db_statement(Db *db, const char *sql, sqlite3_stmt **ret) _must_check_;
