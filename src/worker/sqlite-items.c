/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What becomes of a record in the sqlite destination. It is added if its key is new, updates the item if the content
 * is another, and is deduped otherwise: bytes are compared first, canonical texts only where they differ. Records that
 * come in the order of before are found by walking along the rows. */

#include "base/json-util.h"
#include "base/json-writer.h"
#include "base/string-util.h"
#include "worker/destination-sqlite.h"
#include "worker/json-canonical.h"

#define ITEM_NOT_FOUND 0

/* After so many new records in a row the next one is put in without looking for it first. */
#define EXPECT_NEW 16U

typedef struct StoredItem {
        int64_t id; /* ITEM_NOT_FOUND */
        int64_t run;
        int64_t version;
        bool has_version;
        bool same_content; /* and the same account */
} StoredItem;

static int read_stream(SqliteDestination *d, Stream *stream)
{
        sqlite3_stmt *statement;
        int r, code;

        r = item_db_statement(&d->db, ITEM_STREAM_FIND, &statement);
        if (r < 0)
                return r;
        (void) sqlite3_bind_text(statement, 1, stream->name, -1, SQLITE_STATIC);
        code = sqlite3_step(statement);
        if (code == SQLITE_ROW) {
                stream->id = sqlite3_column_int64(statement, 0);
                stream->keyed_from = sqlite3_column_int64(statement, 1);
        }
        (void) sqlite3_reset(statement);
        return item_db_errno(code);
}

int sqlite_find_stream(SqliteDestination *d, Stream *stream)
{
        sqlite3_stmt *statement;
        int r;

        if (stream->id != 0)
                return 0;
        r = read_stream(d, stream);
        if (r >= 0 && stream->id == 0) {
                r = item_db_statement(&d->db, ITEM_STREAM_ADD, &statement);
                if (r >= 0) {
                        (void) sqlite3_bind_text(statement, 1, stream->name, -1, SQLITE_STATIC);
                        r = item_db_run(&d->db, statement);
                }
                if (r >= 0)
                        r = read_stream(d, stream);
        }
        return r < 0 ? sqlite_error(d, r) : 0;
}

/* Notes beside the items what their keys are made of. */
int sqlite_schema(Destination *destination, Stream *stream)
{
        SqliteDestination *d = sqlite_destination(destination);
        Buffer text = {};
        JsonWriter w = JSON_WRITER_INIT(&text);
        sqlite3_stmt *statement;
        int r;

        r = sqlite_begin(d);
        if (r >= 0)
                r = sqlite_find_stream(d, stream);
        if (r < 0)
                return r;
        json_open_array(&w, NULL);
        for (size_t i = 0; i < stream->n_key_fields; i++) {
                json_open_array(&w, NULL);
                STRV_FOREACH(name, stream->key_fields[i])
                        json_write_string(&w, NULL, *name);
                json_close_array(&w);
        }
        json_close_array(&w);
        r = text.failed ? -ENOMEM : item_db_statement(&d->db, ITEM_STREAM_SET_KEYS, &statement);
        if (r >= 0) {
                (void) sqlite3_bind_int64(statement, 1, stream->id);
                if (stream->n_key_fields > 0)
                        (void) sqlite3_bind_text(statement, 2, text.data, (int) text.size, SQLITE_STATIC);
                else
                        (void) sqlite3_bind_null(statement, 2);
                r = item_db_run(&d->db, statement);
        }
        if (r >= 0)
                r = read_stream(d, stream);
        buffer_done(&text);
        return r < 0 ? sqlite_error(d, r) : 0;
}

/* Whether two texts of one object, of which the bytes differ, mean the same. What is stored may have been edited by
 * hand. */
static int same_meaning(SqliteDestination *d, JsonSlice ours, JsonSlice theirs)
{
        if (json_scan(theirs, JSON_DEPTH_MAX, NULL, NULL, NULL) < 0)
                return 0;
        buffer_reset(&d->ours);
        buffer_reset(&d->theirs);
        json_canonical_append(&d->ours, ours);
        json_canonical_append(&d->theirs, theirs);
        if (d->ours.failed || d->theirs.failed)
                return -ENOMEM;
        return d->ours.size == d->theirs.size && memcmp(d->ours.data, d->theirs.data, d->ours.size) == 0;
}

static bool same_bytes(JsonSlice a, JsonSlice b)
{
        return a.size == b.size && memcmp(a.data, b.data, a.size) == 0;
}

/* Whether the record is of the account that the row has, or says none. One without key fields may be of several: what
 * they have in common is one item. */
static bool same_account(const DestinationRecord *record, const ItemRow *row)
{
        const char *name = record->account->account.name;

        return !name || record->stream->n_key_fields == 0 ||
               (strlen(name) == row->account.size && memcmp(name, row->account.data, row->account.size) == 0);
}

/* A row that has the record's key. */
static int take_row(SqliteDestination *d, const DestinationRecord *record, const ItemRow *row, StoredItem *ret)
{
        JsonSlice ours = record->message->payload;
        int same = 1;

        /* under a content hash, one key is one meaning */
        if (!same_account(record, row))
                same = 0;
        else if (!same_bytes(row->json, ours) && record->stream->n_key_fields > 0)
                same = same_meaning(d, ours, row->json);
        if (same < 0)
                return same;
        *ret = (StoredItem){
                .id = row->id,
                .run = row->run,
                .version = row->version,
                .has_version = row->has_version,
                .same_content = same,
        };
        return 0;
}

static int find_item(SqliteDestination *d, const DestinationRecord *record, StoredItem *ret)
{
        const ItemRow *next = item_walk_row(&d->walk, &d->db);
        sqlite3_stmt *statement;
        ItemRow row;
        int r, code;

        if (next && next->stream_id == record->stream->id &&
            same_bytes(next->key, (JsonSlice){ d->key.data, d->key.size }))
                return take_row(d, record, next, ret);

        r = item_db_statement(&d->db, ITEM_FIND, &statement);
        if (r < 0)
                return sqlite_error(d, r);
        (void) sqlite3_bind_int64(statement, 1, record->stream->id);
        (void) sqlite3_bind_text(statement, 2, d->key.data, (int) d->key.size, SQLITE_STATIC);
        code = sqlite3_step(statement);
        if (code == SQLITE_ROW) {
                item_row_read(statement, &row);
                r = take_row(d, record, &row, ret);
        } else
                *ret = (StoredItem){ .id = ITEM_NOT_FOUND };
        (void) sqlite3_reset(statement);
        if (r < 0)
                return r;
        r = item_db_errno(code);
        return r < 0 ? sqlite_error(d, r) : 0;
}

static void bind_version(sqlite3_stmt *statement, int column, const Message *message)
{
        if (message->has_version)
                (void) sqlite3_bind_int64(statement, column, message->version);
        else
                (void) sqlite3_bind_null(statement, column);
}

static int write_item(SqliteDestination *d, const DestinationRecord *record, const StoredItem *item)
{
        const Message *message = record->message;
        const char *account = record->account->account.name;
        bool add = item->id == ITEM_NOT_FOUND;
        sqlite3_stmt *statement;
        int r, column = 1;

        r = item_db_statement(&d->db, add ? ITEM_ADD : ITEM_UPDATE, &statement);
        if (r < 0)
                return sqlite_error(d, r);
        if (add) {
                (void) sqlite3_bind_int64(statement, column++, record->stream->id);
                (void) sqlite3_bind_text(statement, column++, d->key.data, (int) d->key.size, SQLITE_STATIC);
        } else
                (void) sqlite3_bind_int64(statement, column++, item->id);
        if (account)
                (void) sqlite3_bind_text(statement, column++, account, -1, SQLITE_STATIC);
        else
                (void) sqlite3_bind_null(statement, column++);
        bind_version(statement, column++, message);
        (void) sqlite3_bind_int64(statement, column++, (int64_t) d->now_usec);
        (void) sqlite3_bind_int64(statement, column++, d->run);
        (void) sqlite3_bind_text(statement, column++, message->payload.data, (int) message->payload.size,
                                 SQLITE_STATIC);
        r = item_db_run(&d->db, statement);
        return r < 0 ? sqlite_error(d, r) : 0;
}

static int set_version(SqliteDestination *d, const StoredItem *item, const Message *message)
{
        sqlite3_stmt *statement;
        int r;

        r = item_db_statement(&d->db, ITEM_SET_VERSION, &statement);
        if (r >= 0) {
                (void) sqlite3_bind_int64(statement, 1, item->id);
                bind_version(statement, 2, message);
                r = item_db_run(&d->db, statement);
        }
        return r < 0 ? sqlite_error(d, r) : 0;
}

/* Puts a record in that is expected to be new. Return: 1 if it was; 0 if there is one with its key. */
static int add_unseen(SqliteDestination *d, const DestinationRecord *record)
{
        const StoredItem none = { .id = ITEM_NOT_FOUND };
        int r;

        if (record->stream->n_new < EXPECT_NEW)
                return 0;
        r = write_item(d, record, &none);
        return r < 0 ? r : sqlite3_changes(d->db.sqlite) > 0;
}

/* Deals with a record whose item is there. */
static int keep_record(SqliteDestination *d, const DestinationRecord *record, const StoredItem *item,
                       size_t *ret_outcome)
{
        const Message *message = record->message;

        record->stream->n_new = 0;
        item_walk_found(&d->walk, item->id);
        if (!item->same_content || (d->destination.context.full_resync && item->run != d->run)) {
                *ret_outcome = LEDGER_UPDATED;
                return write_item(d, record, item);
        }
        *ret_outcome = LEDGER_DEDUPED;
        if (message->has_version && (!item->has_version || item->version != message->version))
                return set_version(d, item, message);
        return 0;
}

/* Stores a record under its key. @ret_item: its id alone where the item is new. */
static int store_record(SqliteDestination *d, const DestinationRecord *record, StoredItem *ret_item,
                        size_t *ret_outcome)
{
        const Message *message = record->message;
        int r;

        r = stream_key(d->destination.context.streams, record->stream, record->index, message->payload_member,
                       message->payload, &d->key);
        if (r == -ENODATA)
                return destination_error(&d->destination, -EBADMSG, "a record of stream %s has none of its key fields",
                                         record->stream->name);
        if (r >= 0)
                r = add_unseen(d, record);
        if (r != 0) {
                *ret_outcome = LEDGER_ADDED;
                ret_item->id = sqlite3_last_insert_rowid(d->db.sqlite);
                return MIN(r, 0);
        }
        r = find_item(d, record, ret_item);
        if (r < 0)
                return r;
        if (ret_item->id != ITEM_NOT_FOUND)
                return keep_record(d, record, ret_item, ret_outcome);
        record->stream->n_new++;
        *ret_outcome = LEDGER_ADDED;
        r = write_item(d, record, ret_item);
        ret_item->id = sqlite3_last_insert_rowid(d->db.sqlite);
        return r;
}

/* Whether the next row has the very bytes of the record. Then it also has its key, which need not be made. */
static bool is_next_row(const ItemRow *next, const DestinationRecord *record)
{
        return next && next->stream_id == record->stream->id && next->id >= record->stream->keyed_from &&
               same_bytes(next->json, record->message->payload);
}

int sqlite_record(Destination *destination, const DestinationRecord *record)
{
        SqliteDestination *d = sqlite_destination(destination);
        const ItemRow *next;
        StoredItem item;
        size_t outcome;
        int r;

        r = sqlite_begin(d);
        if (r >= 0 && _unlikely_(record->stream->id == 0))
                r = sqlite_schema(destination, record->stream);
        if (r < 0)
                return r;
        next = item_walk_row(&d->walk, &d->db);
        if (is_next_row(next, record)) {
                r = take_row(d, record, next, &item);
                if (r >= 0)
                        r = keep_record(d, record, &item, &outcome);
        } else
                r = store_record(d, record, &item, &outcome);
        if (r >= 0 && d->changed && outcome != LEDGER_DEDUPED)
                r = d->changed(d, item.id, record->stream->id, outcome == LEDGER_ADDED);
        if (r < 0)
                return r;
        ledger_add(destination->context.ledger, record->account, 1, outcome);
        return 0;
}

/* Only within a transaction, which would otherwise begin as one that reads. */
JsonSlice sqlite_expected(Destination *destination)
{
        SqliteDestination *d = sqlite_destination(destination);
        const ItemRow *next = d->in_transaction ? item_walk_row(&d->walk, &d->db) : NULL;

        return next ? next->json : (JsonSlice){};
}
