/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "store/db.h"

#include <stdlib.h>
#include <string.h>

#define uthash_nonfatal_oom(element) (element)->remembered = false
#include <uthash.h>

#include "base/string-util.h"

typedef struct CachedStatement {
        const char *sql;
        sqlite3_stmt *stmt;
        bool remembered;
        UT_hash_handle hh;
} CachedStatement;

static int constraint_error(int code)
{
        switch (code) {
        case SQLITE_CONSTRAINT_UNIQUE:
        case SQLITE_CONSTRAINT_PRIMARYKEY:
        case SQLITE_CONSTRAINT_ROWID:
                return -EEXIST;
        case SQLITE_CONSTRAINT_FOREIGNKEY:
                return -ENOENT;
        default:
                return -EINVAL;
        }
}

/* What the system said about the log or the database. A failed COMMIT does not leave it in sqlite3_system_errno(). */
static int io_error(Db *db)
{
        sqlite3_file *log = NULL;
        int error = 0;

        if (!db || !db->sqlite)
                return -EIO;
        (void) sqlite3_file_control(db->sqlite, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log);
        if (log && log->pMethods)
                (void) log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &error);
        if (error <= 0)
                (void) sqlite3_file_control(db->sqlite, "main", SQLITE_FCNTL_LAST_ERRNO, &error);
        if (error <= 0)
                error = sqlite3_system_errno(db->sqlite);
        return error > 0 ? -error : -EIO;
}

int db_error(Db *db, int code)
{
        if (code == SQLITE_IOERR_NOMEM)
                return -ENOMEM;
        switch (code & 0xff) {
        case SQLITE_NOMEM:
                return -ENOMEM;
        case SQLITE_FULL:
                return -ENOSPC;
        case SQLITE_READONLY:
                return -EROFS;
        case SQLITE_PERM:
        case SQLITE_AUTH:
                return -EACCES;
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
        case SQLITE_PROTOCOL:
                return -EBUSY;
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
                return -EUCLEAN;
        case SQLITE_CONSTRAINT:
                return constraint_error(db && db->sqlite ? sqlite3_extended_errcode(db->sqlite) : code);
        case SQLITE_TOOBIG:
                return -E2BIG;
        case SQLITE_IOERR:
        case SQLITE_CANTOPEN:
                return io_error(db);
        default:
                return -EIO;
        }
}

int db_execute(Db *db, const char *sql)
{
        int code = sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL);

        return code == SQLITE_OK ? 0 : db_error(db, code);
}

/* secure_delete stays at FAST: what is deleted is wiped where its page is written anyway. ON, Debian's default, writes
 * every freed page once more and still leaves copies in the log and on the disk; the file is readable by its owner
 * alone. */
static const char writer_pragmas[] = "PRAGMA journal_mode = WAL;"
                                     "PRAGMA synchronous = FULL;"
                                     "PRAGMA foreign_keys = ON;"
                                     "PRAGMA wal_autocheckpoint = 0;"
                                     "PRAGMA journal_size_limit = 67108864;"
                                     "PRAGMA secure_delete = FAST;"
                                     "PRAGMA temp_store = MEMORY;"
                                     "PRAGMA cache_size = -16384;";

static const char reader_pragmas[] = "PRAGMA query_only = ON;"
                                     "PRAGMA temp_store = MEMORY;"
                                     "PRAGMA cache_size = -16384;";

/* Where no write-ahead log can be, as on a network file system, SQLite goes on without one and says so here only. */
static int check_log_mode(Db *db)
{
        static const char sql[] = "PRAGMA journal_mode";
        sqlite3_stmt *stmt;
        const char *mode;
        int code, r;

        r = db_statement(db, sql, &stmt);
        if (r < 0)
                return r;
        code = sqlite3_step(stmt);
        mode = code == SQLITE_ROW ? (const char *) sqlite3_column_text(stmt, 0) : NULL;
        r = mode && streq(mode, "wal") ? 0 : code == SQLITE_ROW ? -EOPNOTSUPP : db_error(db, code);
        (void) sqlite3_reset(stmt);
        return r;
}

void db_leave_log(Db *db)
{
        (void) sqlite3_db_config(db->sqlite, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
}

static int configure(Db *db, DbMode mode)
{
        usec_t busy_usec = mode == DB_READ ? DB_READER_BUSY_USEC : DB_WRITER_BUSY_USEC;
        int r;

        (void) sqlite3_extended_result_codes(db->sqlite, 1);
        (void) sqlite3_busy_timeout(db->sqlite, (int) (busy_usec / USEC_PER_MSEC));
        (void) sqlite3_db_config(db->sqlite, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
        (void) sqlite3_db_config(db->sqlite, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
        (void) sqlite3_db_config(db->sqlite, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
        (void) sqlite3_db_config(db->sqlite, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
        switch (mode) {
        case DB_EXAMINE:
                db_leave_log(db);
                return db_execute(db, "PRAGMA query_only = ON;");
        case DB_WRITE:
                r = db_execute(db, writer_pragmas);
                return r < 0 ? r : check_log_mode(db);
        default:
                return db_execute(db, reader_pragmas);
        }
}

int db_open(const char *path, DbMode mode, Db **ret)
{
        int flags = SQLITE_OPEN_NOMUTEX | (mode == DB_READ ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE);
        _cleanup_(db_closep) Db *db = calloc(1, sizeof(Db));
        int code, r;

        if (!db)
                return -ENOMEM;
        code = sqlite3_open_v2(path, &db->sqlite, flags, NULL);
        if (code != SQLITE_OK)
                return db_error(db, code);
        r = configure(db, mode);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(db);
        return 0;
}

Db *db_close(Db *db)
{
        CachedStatement *s, *next;

        if (!db)
                return NULL;
        HASH_ITER(hh, db->statements, s, next) {
                HASH_DEL(db->statements, s);
                (void) sqlite3_finalize(s->stmt);
                free(s);
        }
        (void) sqlite3_close_v2(db->sqlite);
        free(db);
        return NULL;
}

int db_statement(Db *db, const char *sql, sqlite3_stmt **ret)
{
        CachedStatement *s;
        int code;

        HASH_FIND_PTR(db->statements, &sql, s);
        if (!s) {
                s = malloc(sizeof(CachedStatement));
                if (!s)
                        return -ENOMEM;
                *s = (CachedStatement) { .sql = sql, .remembered = true };
                code = sqlite3_prepare_v3(db->sqlite, sql, -1, SQLITE_PREPARE_PERSISTENT, &s->stmt, NULL);
                if (code != SQLITE_OK) {
                        free(s);
                        return db_error(db, code);
                }
                HASH_ADD_PTR(db->statements, sql, s);
                if (!s->remembered) {
                        (void) sqlite3_finalize(s->stmt);
                        free(s);
                        return -ENOMEM;
                }
        }
        *ret = s->stmt;
        return 0;
}

static int run_statement(Db *db, const char *sql)
{
        sqlite3_stmt *stmt;
        int code, r;

        r = db_statement(db, sql, &stmt);
        if (r < 0)
                return r;
        code = sqlite3_step(stmt);
        r = code == SQLITE_DONE ? 0 : db_error(db, code);
        (void) sqlite3_reset(stmt);
        return r;
}

int db_begin(Db *db)
{
        static const char sql[] = "BEGIN IMMEDIATE";

        return run_statement(db, sql);
}

int db_commit(Db *db)
{
        static const char sql[] = "COMMIT";

        return run_statement(db, sql);
}

void db_rollback(Db *db)
{
        if (sqlite3_get_autocommit(db->sqlite) == 0)
                (void) sqlite3_exec(db->sqlite, "ROLLBACK", NULL, NULL, NULL);
}
