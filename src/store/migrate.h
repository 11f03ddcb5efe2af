/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The schema of the history and how an older file becomes a newer one. The text of a version never changes once it is
 * released: a change is a new version. */

#include "store/db.h"

/* In the file's header, so that file(1) and we know whose it is: "sync". */
#define STORE_APPLICATION_ID 0x73796e63

typedef struct Migration {
        unsigned version; /* that the file has afterwards */
        const char *sql;
} Migration;

extern const Migration store_migrations[];
extern const size_t n_store_migrations;

/**
 * migrate_examine_header() - judge a file by its first bytes, without SQLite and so without a trace
 * @fd: open for reading; an empty file is a new history
 *
 * Return: 0 go on; -EPROTONOSUPPORT and @ret_version (of a newer program); -EUCLEAN (not a database, or another
 * program's); -EIO.
 */
int migrate_examine_header(int fd, unsigned newest, unsigned *ret_version) _must_check_;

/* The same for what the connection sees, the write-ahead log included. @ret_version is set also with
 * -EPROTONOSUPPORT. */
int migrate_examine(Db *db, unsigned newest, unsigned *ret_version) _must_check_;

/**
 * migrate() - bring the file to the newest version, each step in a transaction of its own
 *
 * A step that fails leaves the file as the step before made it; nothing is ever deleted or made anew.
 * Return: 0; negative errno as db_error().
 */
int migrate(Db *db, const Migration *migrations, size_t n) _must_check_;
