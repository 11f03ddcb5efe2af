/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See items.h. */

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sqlite3.h>

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

static int print_item(sqlite3_stmt *statement)
{
        _cleanup_buffer_ Buffer line = {};
        JsonWriter w = JSON_WRITER_INIT(&line);

        json_open_object(&w, NULL);
        for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
                const char *text = (const char *) sqlite3_column_text(statement, (int) i);

                if (i + 1 == ELEMENTSOF(keys))
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

int items_print(const char *connector, const char *stream, uint64_t limit)
{
        _cleanup_free_ char *directory = setup_state_directory(connector), *path = NULL;
        _cleanup_(sqlite3_closep) sqlite3 *db = NULL;
        int r;

        if (!directory)
                return log_oom();
        r = settle_recall(directory, &path);
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
        r = item_db_errno(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL));
        if (r >= 0)
                r = item_db_errno(sqlite3_busy_timeout(db, ITEM_DB_BUSY_MSEC));
        if (r >= 0)
                r = print_items(db, stream, limit);
        if (r < 0 && r != -EPIPE)
                log_error_errno(r, "Could not read %s: %m", path);
        return r;
}
