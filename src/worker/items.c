/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See items.h. */

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/json-util.h"
#include "base/json-writer.h"
#include "base/log.h"
#include "base/string-util.h"
#include "worker/item-db.h"
#include "worker/items.h"
#include "worker/settle.h"
#include "worker/setup.h"

DEFINE_TRIVIAL_CLEANUP_FUNC(sqlite3 *, sqlite3_close);
DEFINE_TRIVIAL_CLEANUP_FUNC(sqlite3_stmt *, sqlite3_finalize);

static const char select_items[] =
                "SELECT stream.name, item.key, item.account,"
                "  strftime('%Y-%m-%dT%H:%M:%fZ', item.first_seen_usec / 1e6, 'unixepoch'),"
                "  strftime('%Y-%m-%dT%H:%M:%fZ', item.updated_usec / 1e6, 'unixepoch'),"
                "  first_run.run_id, run.run_id, item.json"
                " FROM item JOIN stream ON stream.id = item.stream_id JOIN run ON run.id = item.run"
                " JOIN run AS first_run ON first_run.id = item.first_run"
                " WHERE ?1 IS NULL OR stream.name = ?1 ORDER BY item.updated_usec DESC, item.id DESC LIMIT ?2";

/* As select_items gives them; the last one is JSON already. */
static const char *const keys[] = {
        "stream", "key", "account", "first_seen", "updated", "first_run", "run", "record",
};

static bool has_control(const char *text)
{
        for (; *text; text++)
                if ((unsigned char) *text < ' ' || *text == 0x7f)
                        return true;
        return false;
}

/* One line of JSON, as our destination keeps it. The file is the connector's user's, and may be written by others than
 * us. */
static bool is_record(const char *text)
{
        _cleanup_json_ struct json_object *record = NULL;

        return !has_control(text) && json_parse(text, strlen(text), &record) >= 0;
}

static int print_item(sqlite3_stmt *statement)
{
        _cleanup_buffer_ Buffer line = {};
        JsonWriter w = JSON_WRITER_INIT(&line);

        json_open_object(&w, NULL);
        for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
                const char *text = (const char *) sqlite3_column_text(statement, (int) i);

                if (i + 1 == ELEMENTSOF(keys) && text && is_record(text))
                        json_write_raw(&w, keys[i], text);
                else
                        json_write_string(&w, keys[i], text);
        }
        json_close_object(&w);
        if (line.failed)
                return -ENOMEM;
        return puts(line.data) < 0 ? -EPIPE : 0;
}

static int print_items(sqlite3 *db, const char *stream, uint64_t limit)
{
        _cleanup_(sqlite3_finalizep) sqlite3_stmt *statement = NULL;
        int code, r;

        code = sqlite3_prepare_v2(db, select_items, sizeof(select_items), &statement, NULL);
        if (code == SQLITE_OK)
                code = sqlite3_bind_text(statement, 1, stream, -1, SQLITE_STATIC);
        if (code == SQLITE_OK)
                code = sqlite3_bind_int64(statement, 2, (sqlite3_int64) MIN(limit, (uint64_t) INT64_MAX));
        while (code == SQLITE_OK || code == SQLITE_ROW) {
                code = sqlite3_step(statement);
                if (code != SQLITE_ROW)
                        break;
                r = print_item(statement);
                if (r < 0)
                        return r;
        }
        return item_db_errno(code);
}

/* Neither a FIFO, which would never open, nor a device: who asks may be root, and the connector's user has named the
 * path. */
static int check_files(const char *path)
{
        static const char *const suffixes[] = { "", "-wal", "-shm", "-journal" };

        for (size_t i = 0; i < ELEMENTSOF(suffixes); i++) {
                _cleanup_free_ char *file = asprintf_or_null("%s%s", path, suffixes[i]);
                struct stat st;

                if (!file)
                        return -ENOMEM;
                if (stat(file, &st) >= 0) {
                        if (!S_ISREG(st.st_mode))
                                return -ENOTSUP;
                } else if (i == 0 || errno != ENOENT)
                        return -errno;
        }
        return 0;
}

int items_print(const char *connector, const char *stream, uint64_t limit)
{
        _cleanup_free_ char *directory = setup_state_directory(connector), *path = NULL;
        _cleanup_(sqlite3_closep) sqlite3 *db = NULL;
        int r;

        if (!directory)
                return log_oom();
        r = settle_recall(directory, &path);
        if (r >= 0 && has_control(path))
                r = -EBADMSG;
        if (r == -EBADMSG)
                return log_error_errno(r, "Connector %s has stored in a place of no readable name.", connector);
        if (r >= 0 && access(path, R_OK) < 0 && errno == EACCES)
                r = -EACCES;
        if (r == -EACCES)
                return log_error_errno(r, "You may not read %s, the items of connector %s. Try again with sudo.",
                                       path ?: directory, connector);
        if (r == -ENOENT)
                return log_error_errno(r,
                                       "Connector %s has stored nothing that can be shown: it has not run yet, or its "
                                       "destination is not of Type=sqlite.",
                                       connector);
        if (r < 0)
                return log_error_errno(r, "Could not find out where connector %s stores: %m", connector);
        r = check_files(path);
        if (r == -ENOTSUP)
                return log_error_errno(r, "%s, or what is beside it, is no regular file: it is not read.", path);
        if (r >= 0) {
                r = item_db_errno(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL));
                if (r == -ENODEV && sqlite3_system_errno(db) > 0)
                        r = -sqlite3_system_errno(db);
        }
        if (r >= 0)
                r = item_db_errno(sqlite3_busy_timeout(db, ITEM_DB_BUSY_MSEC));
        if (r >= 0)
                r = print_items(db, stream, limit);
        if (r < 0 && r != -EPIPE)
                log_error_errno(r, "Could not read %s: %m", path);
        return r;
}
