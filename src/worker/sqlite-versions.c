/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What ACTIVATE_VERSION removes from the sqlite destination: in steps, each of which is committed, by the order of
 * keys. No line is taken before it is done, so that a state that follows is not saved before either: if we are killed
 * in between, the provider says it again, and what is gone already is gone there, too. */

#include "base/string-util.h"
#include "worker/destination-sqlite.h"

/* Items that are looked at in a step: a transaction of some megabytes, and a turn of the loop of milliseconds. */
#define DROP_STEP_ITEMS 2000

int sqlite_activate_version(Destination *destination, Stream *stream, int64_t version)
{
        SqliteDestination *d = sqlite_destination(destination);
        int r;

        r = sqlite_begin(d);
        if (r >= 0)
                r = sqlite_find_stream(d, stream);
        if (r < 0)
                return r;
        d->drop.stream_id = stream->id;
        d->drop.version = version;
        buffer_reset(&d->drop.from);
        return 0;
}

/* @number with what all statements of a step begin with. */
static int prepare(SqliteDestination *d, ItemStatement number, sqlite3_stmt **ret)
{
        int r = item_db_statement(&d->db, number, ret);

        if (r < 0)
                return r;
        (void) sqlite3_bind_int64(*ret, 1, d->drop.stream_id);
        (void) sqlite3_bind_text(*ret, 2, strempty(d->drop.from.data), (int) d->drop.from.size, SQLITE_STATIC);
        return 0;
}

/* Where the step ends. Return: 1; 0 if all that is left is in it; negative errno. */
static int find_end(SqliteDestination *d, Buffer *end)
{
        sqlite3_stmt *statement;
        int r, code;

        r = prepare(d, ITEM_DROP_END, &statement);
        if (r < 0)
                return r;
        (void) sqlite3_bind_int(statement, 3, DROP_STEP_ITEMS);
        code = sqlite3_step(statement);
        if (code == SQLITE_ROW)
                buffer_append(end, (const char *) sqlite3_column_text(statement, 0),
                              (size_t) sqlite3_column_bytes(statement, 0));
        (void) sqlite3_reset(statement);
        r = item_db_errno(code);
        return r < 0 ? r : end->failed ? -ENOMEM : code == SQLITE_ROW;
}

static int drop(SqliteDestination *d, const Buffer *end)
{
        sqlite3_stmt *statement;
        int r;

        r = prepare(d, end ? ITEM_DROP_RANGE : ITEM_DROP_REST, &statement);
        if (r < 0)
                return r;
        if (end)
                (void) sqlite3_bind_text(statement, 3, end->data, (int) end->size, SQLITE_STATIC);
        (void) sqlite3_bind_int64(statement, 4, d->drop.version);
        return item_db_run(&d->db, statement);
}

int sqlite_work(Destination *destination)
{
        SqliteDestination *d = sqlite_destination(destination);
        _cleanup_buffer_ Buffer end = {};
        int more, r;

        if (d->drop.stream_id == 0)
                return 0;
        r = sqlite_begin(d);
        if (r < 0)
                return r;
        item_walk_pause(&d->walk);
        more = find_end(d, &end);
        r = more < 0 ? more : drop(d, more > 0 ? &end : NULL);
        if (r < 0)
                return sqlite_error(d, r);
        if (more == 0)
                d->drop.stream_id = 0;
        buffer_done(&d->drop.from);
        d->drop.from = end;
        end = (Buffer){};
        return more;
}
