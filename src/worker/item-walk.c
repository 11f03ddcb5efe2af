/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See item-walk.h. */

#include "worker/item-walk.h"

void item_row_read(sqlite3_stmt *statement, ItemRow *ret)
{
        *ret = (ItemRow){
                .id = sqlite3_column_int64(statement, 0),
                .run = sqlite3_column_int64(statement, 1),
                .has_version = sqlite3_column_type(statement, 2) != SQLITE_NULL,
                .version = sqlite3_column_int64(statement, 2),
                .json = { sqlite3_column_blob(statement, 3), (size_t) sqlite3_column_bytes(statement, 3) },
                .account = { sqlite3_column_blob(statement, 4), (size_t) sqlite3_column_bytes(statement, 4) },
        };
}

/* One row on; begins behind the row that was found last. Return: 1; 0 at the end; negative errno. */
static int step(ItemWalk *walk, ItemDb *db)
{
        int code, r;

        if (!walk->ahead) {
                r = item_db_statement(db, ITEM_WALK, &walk->ahead);
                if (r < 0)
                        return r;
                (void) sqlite3_bind_int64(walk->ahead, 1, walk->last_id);
        }
        code = sqlite3_step(walk->ahead);
        return code == SQLITE_ROW ? 1 : item_db_errno(code);
}

const ItemRow *item_walk_row(ItemWalk *walk, ItemDb *db)
{
        int r;

        if (!walk->on)
                return NULL;
        if (walk->row.id > 0)
                return &walk->row;
        r = step(walk, db);
        if (r <= 0) {
                walk->error = r;
                item_walk_pause(walk);
                walk->on = false;
                return NULL;
        }
        item_row_read(walk->ahead, &walk->row);
        walk->row.stream_id = sqlite3_column_int64(walk->ahead, 5);
        walk->row.key = (JsonSlice){ sqlite3_column_blob(walk->ahead, 6),
                                     (size_t) sqlite3_column_bytes(walk->ahead, 6) };
        return &walk->row;
}

void item_walk_found(ItemWalk *walk, int64_t id)
{
        if (walk->row.id == id)
                walk->row.id = 0; /* the next step leads to the next row */
        else {
                item_walk_pause(walk);
                walk->on = id > walk->last_id && id - walk->last_id <= ITEM_WALK_NEAR;
        }
        walk->last_id = id;
}

void item_walk_pause(ItemWalk *walk)
{
        if (walk->ahead)
                (void) sqlite3_reset(walk->ahead);
        walk->ahead = NULL;
        walk->row.id = 0;
}
