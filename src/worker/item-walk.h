/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Rows of items in the order in which they were put in. A provider that is asked again mostly answers in the order of
 * before: then the row of the next record is the next row, and is found without a search by key. It is only a guess,
 * which whoever uses it must compare. */

#include "worker/item-db.h"
#include "worker/json-scan.h"

/* Rows that are found so near behind each other are taken for a sequence. */
#define ITEM_WALK_NEAR 32

/** ItemRow - a row of table item; slices are borrowed from its statement */
typedef struct ItemRow {
        int64_t id;
        int64_t run;
        int64_t version;
        bool has_version;
        JsonSlice json;
        JsonSlice account; /* empty where it has none */
        int64_t stream_id; /* this and the key: only of a walk's rows */
        JsonSlice key;
} ItemRow;

typedef struct ItemWalk {
        int64_t last_id;     /* of the row that was found last; 0 */
        bool on;             /* rows are found in sequence */
        sqlite3_stmt *ahead; /* stands at row; NULL if there is none */
        ItemRow row;
        int error; /* negative errno of reading, for which SQLite may have rolled the transaction back; 0 */
} ItemWalk;

/** item_row_read() - the columns of a statement's row, as ITEM_FIND and ITEM_WALK give them */
void item_row_read(sqlite3_stmt *statement, ItemRow *ret);

/**
 * item_walk_row() - the row that the next record probably has
 *
 * Context: to be called within a transaction; reads from the disk.
 * Return: the row, borrowed until the next call of any of these; NULL: no idea.
 */
const ItemRow *item_walk_row(ItemWalk *walk, ItemDb *db);

/** item_walk_found() - a record's row, however it was found; may be that of item_walk_row(), which is gone after this
 */
void item_walk_found(ItemWalk *walk, int64_t id);

/** item_walk_pause() - let go of the rows: before the transaction ends, and when any were removed */
void item_walk_pause(ItemWalk *walk);
