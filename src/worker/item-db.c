/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See item-db.h. */

#include <endian.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd-util.h"
#include "base/string-util.h"
#include "worker/item-db.h"

#define APPLICATION_ID_OFFSET 68U /* in SQLite's head */
#define WEBHOOK_TYPE          "webhook"

static const char schema[] = "CREATE TABLE stream ("
                             "  id INTEGER PRIMARY KEY,"
                             "  name TEXT NOT NULL UNIQUE,"
                             "  key_fields TEXT,"
                             "  keyed_from INTEGER NOT NULL DEFAULT 0"
                             ") STRICT;"
                             "CREATE TABLE run ("
                             "  id INTEGER PRIMARY KEY,"
                             "  run_id TEXT NOT NULL UNIQUE,"
                             "  started_usec INTEGER NOT NULL,"
                             "  full_resync INTEGER NOT NULL CHECK (full_resync IN (0, 1)),"
                             "  settled INTEGER NOT NULL DEFAULT 0 CHECK (settled IN (0, 1))"
                             ") STRICT;"
                             "CREATE INDEX run_unsettled ON run (id) WHERE settled = 0;"
                             "CREATE TABLE tally ("
                             "  run INTEGER NOT NULL REFERENCES run (id),"
                             "  account TEXT NOT NULL,"
                             "  discovered INTEGER NOT NULL,"
                             "  added INTEGER NOT NULL,"
                             "  updated INTEGER NOT NULL,"
                             "  deduped INTEGER NOT NULL,"
                             "  PRIMARY KEY (run, account)"
                             ") STRICT, WITHOUT ROWID;"
                             "CREATE TABLE item ("
                             "  id INTEGER PRIMARY KEY,"
                             "  stream_id INTEGER NOT NULL REFERENCES stream (id),"
                             "  key TEXT NOT NULL,"
                             "  account TEXT,"
                             "  version INTEGER,"
                             "  first_seen_usec INTEGER NOT NULL,"
                             "  updated_usec INTEGER NOT NULL,"
                             "  first_run INTEGER NOT NULL REFERENCES run (id),"
                             "  run INTEGER NOT NULL REFERENCES run (id),"
                             "  json TEXT NOT NULL," /* last: it is the column that may go to overflow pages */
                             "  UNIQUE (stream_id, key)"
                             ") STRICT;"
                             "CREATE VIEW items AS SELECT"
                             "  stream.name AS stream, item.key AS key, item.account AS account, item.json AS json, "
                             "item.version AS version,"
                             "  strftime('%Y-%m-%dT%H:%M:%fZ', item.first_seen_usec / 1e6, 'unixepoch') AS first_seen,"
                             "  strftime('%Y-%m-%dT%H:%M:%fZ', item.updated_usec / 1e6, 'unixepoch') AS updated,"
                             "  first_run.run_id AS first_run, run.run_id AS run"
                             "  FROM item JOIN stream ON stream.id = item.stream_id JOIN run ON run.id = item.run"
                             "  JOIN run AS first_run ON first_run.id = item.first_run;";

/* To version 2. What the keys of earlier items were made of, nobody has noted. */
static const char upgrade[] = "ALTER TABLE stream ADD COLUMN keyed_from INTEGER NOT NULL DEFAULT 0;"
                              "UPDATE stream SET keyed_from = (SELECT ifnull(max(id), 0) + 1 FROM item);";

static const char connector_schema[] = "CREATE TABLE IF NOT EXISTS connector ("
                                       "  name TEXT PRIMARY KEY"
                                       ") STRICT, WITHOUT ROWID;";

static const char mark_schema[] = "CREATE TABLE IF NOT EXISTS mark ("
                                  "  run INTEGER PRIMARY KEY REFERENCES run (id),"
                                  "  type TEXT NOT NULL,"
                                  "  cursors TEXT NOT NULL"
                                  ") STRICT;";

static const char outbox_schema[] =
                "CREATE TABLE IF NOT EXISTS delivery ("
                "  key INTEGER PRIMARY KEY AUTOINCREMENT,"
                "  id TEXT NOT NULL UNIQUE,"
                "  body TEXT NOT NULL"
                ") STRICT;"
                "CREATE TABLE IF NOT EXISTS outbox ("
                "  seq INTEGER PRIMARY KEY AUTOINCREMENT,"
                "  item INTEGER NOT NULL,"
                "  stream_id INTEGER NOT NULL,"
                "  is_new INTEGER NOT NULL CHECK (is_new IN (0, 1)),"
                "  delivery INTEGER REFERENCES delivery (key)"
                ") STRICT;"
                "CREATE UNIQUE INDEX IF NOT EXISTS outbox_once ON outbox (item) WHERE delivery IS NULL;"
                "CREATE INDEX IF NOT EXISTS outbox_waiting ON outbox (stream_id, seq) WHERE delivery IS NULL;"
                "CREATE INDEX IF NOT EXISTS outbox_assigned ON outbox (delivery) WHERE delivery IS NOT NULL;"
                "CREATE TABLE IF NOT EXISTS attempt ("
                "  key INTEGER PRIMARY KEY AUTOINCREMENT,"
                "  run_id TEXT NOT NULL,"
                "  json TEXT NOT NULL"
                ") STRICT;"
                /* What is gone at the provider is not sent any more. */
                "CREATE TRIGGER IF NOT EXISTS outbox_gone AFTER DELETE ON item BEGIN"
                "  DELETE FROM outbox WHERE item = OLD.id AND delivery IS NULL;"
                " END;";

static const char *const statement_table[_ITEM_STATEMENT_MAX] = {
        [ITEM_BEGIN] = "BEGIN IMMEDIATE",
        [ITEM_COMMIT] = "COMMIT",
        [ITEM_ROLLBACK] = "ROLLBACK",
        [ITEM_STREAM_FIND] = "SELECT id, keyed_from FROM stream WHERE name = ?1",
        [ITEM_STREAM_ADD] = "INSERT INTO stream (name) VALUES (?1)",
        [ITEM_STREAM_SET_KEYS] = "UPDATE stream SET key_fields = ?2, keyed_from = (SELECT ifnull(max(id), 0) + 1 FROM "
                                 "item)"
                                 " WHERE id = ?1 AND key_fields IS NOT ?2",
        [ITEM_FIND] = "SELECT id, run, version, json, account FROM item WHERE stream_id = ?1 AND key = ?2",
        [ITEM_WALK] = "SELECT id, run, version, json, account, stream_id, key FROM item WHERE id > ?1 ORDER BY id",
        [ITEM_ADD] = "INSERT INTO item (stream_id, key, account, version, first_seen_usec, updated_usec, first_run, "
                     "run, json)"
                     " VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6, ?6, ?7) ON CONFLICT (stream_id, key) DO NOTHING",
        [ITEM_UPDATE] = "UPDATE item SET account = coalesce(?2, account), version = ?3, updated_usec = ?4, run = ?5, "
                        "json = ?6"
                        " WHERE id = ?1",
        [ITEM_SET_VERSION] = "UPDATE item SET version = ?2 WHERE id = ?1",
        [ITEM_DROP_END] = "SELECT key FROM item WHERE stream_id = ?1 AND key >= ?2 ORDER BY key LIMIT 1 OFFSET ?3",
        [ITEM_DROP_RANGE] = "DELETE FROM item WHERE stream_id = ?1 AND key >= ?2 AND key < ?3 AND version IS NOT ?4",
        [ITEM_DROP_REST] = "DELETE FROM item WHERE stream_id = ?1 AND key >= ?2 AND version IS NOT ?4",
        [ITEM_RUN_ADD] = "INSERT INTO run (run_id, started_usec, full_resync) VALUES (?1, ?2, ?3)"
                         " ON CONFLICT (run_id) DO UPDATE SET settled = 0 RETURNING id",
        [ITEM_RUN_SETTLED] = "UPDATE run SET settled = 1 WHERE run_id = ?1",
        [ITEM_RUN_UNSETTLED] = "SELECT id, run_id FROM run WHERE settled = 0 AND run_id <> ?1 ORDER BY id LIMIT 1",
        [ITEM_TALLY_SET] = "INSERT INTO tally (run, account, discovered, added, updated, deduped) VALUES (?1, ?2, ?3, "
                           "?4, ?5, ?6)"
                           " ON CONFLICT (run, account) DO UPDATE SET discovered = ?3, added = ?4, updated = ?5, "
                           "deduped = ?6",
        [ITEM_TALLY_GET] = "SELECT account, discovered, added, updated, deduped FROM tally WHERE run = ?1 ORDER BY "
                           "account",
        [ITEM_TALLY_DROP] = "DELETE FROM tally WHERE run = (SELECT id FROM run WHERE run_id = ?1)",
        [ITEM_MARK_SET] = "INSERT INTO mark (run, type, cursors) VALUES (?1, ?2, ?3)"
                          " ON CONFLICT (run) DO UPDATE SET type = ?2, cursors = ?3",
        [OUTBOX_ADD] = "INSERT INTO outbox (item, stream_id, is_new) VALUES (?1, ?2, ?3)"
                       " ON CONFLICT (item) WHERE delivery IS NULL DO NOTHING",
        [OUTBOX_COUNT] = "SELECT count(*) FROM outbox WHERE delivery IS NULL",
        [OUTBOX_STREAM] = "SELECT stream_id, stream.name FROM outbox JOIN stream ON stream.id = stream_id"
                          " WHERE delivery IS NULL ORDER BY seq LIMIT 1",
        [OUTBOX_WAITING] = "SELECT seq, is_new, json FROM outbox INDEXED BY outbox_waiting JOIN item ON item.id = item"
                           " WHERE outbox.stream_id = ?1 AND delivery IS NULL ORDER BY seq LIMIT ?2",
        [OUTBOX_ASSIGN] = "UPDATE outbox SET delivery = ?1 WHERE stream_id = ?2 AND seq <= ?3 AND delivery IS NULL",
        [OUTBOX_ASSIGNED] = "SELECT count(*) FROM outbox WHERE delivery = ?1",
        [OUTBOX_DROP] = "DELETE FROM outbox WHERE delivery = ?1",
        [OUTBOX_KEEP_NEW] = "UPDATE outbox SET is_new = 1 WHERE delivery IS NULL AND item IN"
                            " (SELECT item FROM outbox WHERE delivery = ?1 AND is_new)",
        [OUTBOX_FORGET_TWICE] = "DELETE FROM outbox WHERE delivery = ?1 AND (item IN"
                                " (SELECT item FROM outbox WHERE delivery IS NULL)"
                                " OR NOT EXISTS (SELECT 1 FROM item AS i WHERE i.id = outbox.item))",
        [OUTBOX_RETURN] = "UPDATE outbox SET delivery = NULL WHERE delivery = ?1",
        [DELIVERY_ADD] = "INSERT INTO delivery (id, body) VALUES (?1, ?2) RETURNING key",
        [DELIVERY_FIRST] = "SELECT key, id, body FROM delivery ORDER BY key LIMIT 1",
        [DELIVERY_DROP] = "DELETE FROM delivery WHERE key = ?1",
        [ATTEMPT_TABLE] = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'attempt'",
        [ATTEMPT_ADD] = "INSERT INTO attempt (run_id, json) VALUES (?1, ?2)",
        [ATTEMPT_TRIM] = "DELETE FROM attempt WHERE key <= (SELECT max(key) FROM attempt) - ?1",
        [ATTEMPT_RUN] = "SELECT run_id FROM attempt WHERE run_id <> ?1 ORDER BY key LIMIT 1",
        [ATTEMPT_LIST] = "SELECT key, json FROM attempt WHERE run_id = ?1 ORDER BY key LIMIT ?2",
        [ATTEMPT_DROP] = "DELETE FROM attempt WHERE run_id = ?1 AND key <= ?2",
};

int item_db_errno(int code)
{
        if (code == SQLITE_IOERR_NOMEM)
                return -ENOMEM;
        switch (code & 0xff) {
        case SQLITE_OK:
        case SQLITE_ROW:
        case SQLITE_DONE:
                return 0;
        case SQLITE_NOMEM:
                return -ENOMEM;
        case SQLITE_FULL:
                return -ENOSPC;
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
                return -EBUSY;
        case SQLITE_READONLY:
                return -EROFS;
        case SQLITE_PERM:
        case SQLITE_AUTH:
                return -EACCES;
        case SQLITE_CANTOPEN:
                return -ENODEV;
        case SQLITE_TOOBIG:
                return -EFBIG;
        case SQLITE_NOTADB:
                return -EMEDIUMTYPE;
        case SQLITE_CORRUPT:
                return -EUCLEAN;
        default:
                return -EIO;
        }
}

bool item_db_has_moved(const ItemDb *db)
{
        int moved = 0;

        (void) sqlite3_file_control(db->sqlite, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
        return moved != 0;
}

int item_db_system_error(const ItemDb *db)
{
        sqlite3_file *log = NULL;
        int error = 0;

        if (!db->sqlite)
                return 0;
        (void) sqlite3_file_control(db->sqlite, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log);
        if (log && log->pMethods)
                (void) log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &error);
        return error > 0 ? error : sqlite3_system_errno(db->sqlite);
}

static int execute(ItemDb *db, const char *sql)
{
        return item_db_errno(sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL));
}

/* One number. @text: ?1 in it; NULL: there is none. */
static int ask(ItemDb *db, const char *sql, const char *text, int64_t *ret)
{
        sqlite3_stmt *statement = NULL;
        int code = sqlite3_prepare_v2(db->sqlite, sql, -1, &statement, NULL);

        if (code == SQLITE_OK && text)
                code = sqlite3_bind_text(statement, 1, text, -1, SQLITE_STATIC);
        if (code == SQLITE_OK)
                code = sqlite3_step(statement);
        if (code == SQLITE_ROW)
                *ret = sqlite3_column_int64(statement, 0);
        (void) sqlite3_finalize(statement);
        return item_db_errno(code);
}

static int read_pragma(ItemDb *db, const char *sql, int64_t *ret)
{
        return ask(db, sql, NULL, ret);
}

/* Runs @schema_sql, and marks the file as ours. */
static int make_schema(ItemDb *db, const char *schema_sql)
{
        char sql[128];
        int r;

        r = execute(db, schema_sql);
        if (r < 0)
                return r;
        (void) snprintf(sql, sizeof(sql), "PRAGMA application_id = %d; PRAGMA user_version = %d;",
                        ITEM_DB_APPLICATION_ID, ITEM_DB_VERSION);
        return execute(db, sql);
}

/* Whose file it is, and of what age. A file is written to only after this. */
static int check_schema(ItemDb *db)
{
        int64_t application = 0, version = 0, tables = 0;
        int r;

        r = read_pragma(db, "PRAGMA application_id", &application);
        if (r >= 0)
                r = read_pragma(db, "PRAGMA user_version", &version);
        if (r >= 0)
                r = read_pragma(db, "SELECT count(*) FROM sqlite_schema", &tables);
        if (r < 0)
                return r;
        if (application == 0 && version == 0 && tables == 0)
                return make_schema(db, schema);
        if (application != ITEM_DB_APPLICATION_ID)
                return -EMEDIUMTYPE;
        if (version > ITEM_DB_VERSION)
                return -EOVERFLOW;
        return version < ITEM_DB_VERSION ? make_schema(db, upgrade) : 0;
}

int item_db_find_other(const ItemDb *db, const char *connector, char **ret)
{
        static const char sql[] = "SELECT name FROM connector WHERE name <> ?1 LIMIT 1";
        sqlite3_stmt *statement = NULL;
        int code, r = 0;

        *ret = NULL;
        code = sqlite3_prepare_v2(db->sqlite, sql, -1, &statement, NULL);
        if (code == SQLITE_OK)
                code = sqlite3_bind_text(statement, 1, connector, -1, SQLITE_STATIC);
        if (code == SQLITE_OK)
                code = sqlite3_step(statement);
        if (code == SQLITE_ROW) {
                *ret = item_db_text(statement, 0);
                r = *ret ? 0 : -ENOMEM;
        }
        (void) sqlite3_finalize(statement);
        return r < 0 ? r : item_db_errno(code);
}

static int note_connector(ItemDb *db, const char *connector)
{
        _cleanup_free_ char *other = NULL;
        sqlite3_stmt *statement = NULL;
        int code, r;

        r = execute(db, connector_schema);
        if (r >= 0)
                r = execute(db, mark_schema);
        if (r < 0 || !connector)
                return r;
        code = sqlite3_prepare_v2(db->sqlite, "INSERT OR IGNORE INTO connector (name) VALUES (?1)", -1, &statement,
                                  NULL);
        if (code == SQLITE_OK)
                code = sqlite3_bind_text(statement, 1, connector, -1, SQLITE_STATIC);
        if (code == SQLITE_OK)
                code = sqlite3_step(statement);
        (void) sqlite3_finalize(statement);
        r = item_db_errno(code);
        if (r >= 0)
                r = item_db_find_other(db, connector, &other);
        return r < 0 ? r : other ? -EEXIST : 0;
}

/* SQLite writes its head with the schema, before there is a log beside the file (sqlite.org/fileformat.html, 1.3). */
static int is_ours(const char *path)
{
        static const char magic[] = "SQLite format 3";
        uint8_t head[APPLICATION_ID_OFFSET + sizeof(uint32_t)];
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        uint32_t application;
        ssize_t n;

        if (fd < 0)
                return -errno;
        n = pread(fd, head, sizeof(head), 0);
        if (n < 0)
                return -errno;
        if ((size_t) n < sizeof(head) || memcmp(head, magic, sizeof(magic)) != 0)
                return 0;
        memcpy(&application, head + APPLICATION_ID_OFFSET, sizeof(application));
        return be32toh(application) == ITEM_DB_APPLICATION_ID;
}

int item_db_open(ItemDb *db, const char *path, const char *connector)
{
        char sql[192];
        int r;

        *db = (ItemDb){};
        r = item_db_errno(sqlite3_open_v2(path, &db->sqlite,
                                          SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
                                                          SQLITE_OPEN_EXRESCODE,
                                          NULL));
        if (r < 0)
                return r;
        (void) sqlite3_busy_timeout(db->sqlite, ITEM_DB_BUSY_MSEC);

        /* Of a file that is there already, the page size stays what it is. */
        r = execute(db, "PRAGMA page_size = 8192; PRAGMA foreign_keys = OFF; BEGIN IMMEDIATE");
        if (r < 0)
                return r;
        r = check_schema(db);
        if (r >= 0)
                r = note_connector(db, connector);
        if (r >= 0)
                r = execute(db, "COMMIT");
        if (r < 0)
                return r;
        /* Rows that are overwritten need no wiping here; it would cost a fifth of the speed (Debian's default is on).
         */
        (void) snprintf(sql, sizeof(sql),
                        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = OFF;"
                        "PRAGMA cache_size = -%d; PRAGMA trusted_schema = OFF;",
                        ITEM_DB_CACHE_KIB);
        return execute(db, sql);
}

static int has_table(ItemDb *db, const char *name)
{
        int64_t n = 0;
        int r = ask(db, "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?1", name, &n);

        return r < 0 ? r : n > 0;
}

/* Return: as item_db_covers(). */
static int read_marks(ItemDb *db, const char *type, const char *digest)
{
        int64_t any = 0, same = 0, found = 0;
        int r;

        r = has_table(db, "run");
        if (r > 0)
                r = ask(db, "SELECT EXISTS (SELECT 1 FROM run)", NULL, &any);
        if (r < 0 || any == 0)
                return MIN(r, 0);
        any = 0;
        r = has_table(db, "mark");
        if (r > 0)
                r = ask(db, "SELECT EXISTS (SELECT 1 FROM mark)", NULL, &any);
        if (r < 0)
                return r;
        if (any == 0) {
                r = streq(type, WEBHOOK_TYPE) ? has_table(db, "outbox") : 1;
                return r > 0 ? -ENODATA : r;
        }
        /* What a receiver got, only a destination of its type knows. */
        r = ask(db, "SELECT type = ?1 FROM mark ORDER BY run DESC LIMIT 1", type, &same);
        if (r < 0 || (!same && streq(type, WEBHOOK_TYPE)))
                return MIN(r, 0);
        r = ask(db, "SELECT count(*) FROM (SELECT 1 FROM mark WHERE instr(cursors, ?1) ORDER BY run DESC LIMIT 1)",
                digest, &found);
        return r < 0 ? r : found > 0;
}

int item_db_covers(const char *path, const char *type, const char *digest)
{
        ItemDb db = {};
        int r;

        if (access(path, F_OK) < 0)
                return errno == ENOENT ? 0 : -errno;
        r = item_db_errno(sqlite3_open_v2(path, &db.sqlite, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL));
        if (r >= 0) {
                (void) sqlite3_busy_timeout(db.sqlite, ITEM_DB_BUSY_MSEC);
                r = read_marks(&db, type, digest);
        }
        item_db_close(&db);
        return r;
}

int item_db_may_go(const char *path, const char *connector, char **ret_other)
{
        ItemDb db = {};
        int r;

        r = is_ours(path);
        if (r <= 0)
                return r < 0 ? r : -EMEDIUMTYPE;
        r = item_db_errno(sqlite3_open_v2(path, &db.sqlite, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL));
        if (r >= 0) {
                (void) sqlite3_busy_timeout(db.sqlite, ITEM_DB_BUSY_MSEC);
                r = execute(&db, connector_schema);
        }
        if (r >= 0)
                r = item_db_find_other(&db, connector, ret_other);
        item_db_close(&db);
        if (r < 0)
                return r == -EMEDIUMTYPE ? -EUCLEAN : r; /* whose it was is known */
        return !*ret_other;
}

int item_db_open_outbox(ItemDb *db)
{
        return execute(db, outbox_schema);
}

void item_db_close(ItemDb *db)
{
        for (size_t i = 0; i < ELEMENTSOF(db->statements); i++)
                (void) sqlite3_finalize(db->statements[i]);
        (void) sqlite3_close(db->sqlite);
        *db = (ItemDb){};
}

int item_db_statement(ItemDb *db, ItemStatement number, sqlite3_stmt **ret)
{
        sqlite3_stmt **statement = db->statements + number;

        if (*statement)
                (void) sqlite3_reset(*statement);
        else {
                int r = item_db_errno(sqlite3_prepare_v3(db->sqlite, statement_table[number], -1,
                                                         SQLITE_PREPARE_PERSISTENT, statement, NULL));
                if (r < 0)
                        return r;
        }
        *ret = *statement;
        return 0;
}

int item_db_run(ItemDb *db, sqlite3_stmt *statement)
{
        int code = sqlite3_step(statement);

        (void) sqlite3_reset(statement);
        return item_db_errno(code);
}

char *item_db_text(sqlite3_stmt *statement, int column)
{
        const char *text = (const char *) sqlite3_column_text(statement, column);

        return text ? strdup(text) : NULL;
}

int item_db_do(ItemDb *db, ItemStatement number)
{
        sqlite3_stmt *statement;
        int r = item_db_statement(db, number, &statement);

        return r < 0 ? r : item_db_run(db, statement);
}
