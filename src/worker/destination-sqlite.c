/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Items in a file of our own (its schema: item-db.h). An item is added if its key is new, updated if its content is
 * another, and deduped otherwise: bytes are compared first, canonical texts only where they differ. Counts are written
 * in the transaction of the items that they count, so that they are exact whenever we are killed. */

#include <stdlib.h>
#include <unistd.h>

#include "base/fd-util.h"
#include "base/json-util.h"
#include "base/json-writer.h"
#include "base/string-util.h"
#include "base/time-util.h"
#include "worker/destination.h"
#include "worker/item-db.h"
#include "worker/json-canonical.h"

#define ITEM_NOT_FOUND 0

/* After so many new records in a row the next one is put in without looking for it first. */
#define EXPECT_NEW 16U

typedef struct SqliteDestination {
        Destination destination; /* first */
        ItemDb db;
        int64_t run;     /* our row in table run */
        usec_t now_usec; /* of the transaction */
        bool in_transaction;
        Buffer key;
        Buffer ours, theirs; /* canonical texts */
} SqliteDestination;

typedef struct StoredItem {
        int64_t id; /* ITEM_NOT_FOUND */
        int64_t run;
        int64_t version;
        bool has_version;
        bool same_content;
} StoredItem;

static SqliteDestination *sqlite_destination(Destination *destination)
{
        return container_of(destination, SqliteDestination, destination);
}

static int database_error(SqliteDestination *d, int r)
{
        Destination *destination = &d->destination;

        if (r == -ENOMEM)
                return r;
        if (r == -EOVERFLOW || r == -EMEDIUMTYPE || r == -EROFS || r == -EACCES || r == -ENODEV)
                destination->category = ATTENTION_CONFIGURATION_ERROR;
        if (r == -EOVERFLOW)
                return destination_error(destination, r, "%s was made by a newer version of syncrun",
                                         destination->context.path);
        if (r == -EMEDIUMTYPE)
                return destination_error(destination, r, "%s is not a database of items", destination->context.path);
        return destination_error(destination, r, "%s: %s", destination->context.path, sqlite3_errmsg(d->db.sqlite));
}

static int begin(SqliteDestination *d)
{
        int r;

        if (d->in_transaction)
                return 0;
        r = item_db_do(&d->db, ITEM_BEGIN);
        if (r < 0)
                return database_error(d, r);
        d->in_transaction = true;
        d->now_usec = now_usec(CLOCK_REALTIME);
        return 0;
}

static int commit(SqliteDestination *d)
{
        int r = item_db_do(&d->db, ITEM_COMMIT);

        if (r < 0)
                return database_error(d, r);
        d->in_transaction = false;
        return 0;
}

/* Counts of a run, from the file. */
static int read_tallies(SqliteDestination *d, int64_t run, Ledger *ledger)
{
        sqlite3_stmt *statement;
        int r, code;

        r = item_db_statement(&d->db, ITEM_TALLY_GET, &statement);
        if (r < 0)
                return database_error(d, r);
        (void) sqlite3_bind_int64(statement, 1, run);
        while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
                LedgerAccount *row;

                r = ledger_account(ledger, (const char *) sqlite3_column_text(statement, 0), &row);
                if (r < 0)
                        break;
                ledger_add(ledger, row, (uint64_t) sqlite3_column_int64(statement, 2), LEDGER_ADDED);
                ledger_add(ledger, row, (uint64_t) sqlite3_column_int64(statement, 3), LEDGER_UPDATED);
                ledger_add(ledger, row, (uint64_t) sqlite3_column_int64(statement, 4), LEDGER_DEDUPED);
        }
        (void) sqlite3_reset(statement);
        if (r < 0)
                return r;
        r = item_db_errno(code);
        if (r < 0)
                return database_error(d, r);
        ledger_commit(ledger);
        return 0;
}

/* Enters the run; one that wrote here before goes on with its counts. */
static int add_run(SqliteDestination *d)
{
        const DestinationContext *context = &d->destination.context;
        sqlite3_stmt *statement;
        int r, code;

        r = begin(d);
        if (r < 0)
                return r;
        r = item_db_statement(&d->db, ITEM_RUN_ADD, &statement);
        if (r < 0)
                return database_error(d, r);
        (void) sqlite3_bind_text(statement, 1, context->run_id, -1, SQLITE_STATIC);
        (void) sqlite3_bind_int64(statement, 2, (int64_t) d->now_usec);
        (void) sqlite3_bind_int(statement, 3, context->full_resync);
        code = sqlite3_step(statement);
        if (code == SQLITE_ROW) {
                d->run = sqlite3_column_int64(statement, 0);
                code = sqlite3_step(statement);
        }
        (void) sqlite3_reset(statement);
        r = item_db_errno(code);
        if (r < 0)
                return database_error(d, r);
        r = commit(d);
        return r < 0 ? r : read_tallies(d, d->run, context->ledger);
}

static int sqlite_open(Destination *destination)
{
        SqliteDestination *d = sqlite_destination(destination);
        int r;

        if (!destination->context.event && access(destination->context.path, F_OK) < 0)
                return -errno; /* nothing to settle, and none of our business to make it */
        r = item_db_open(&d->db, destination->context.path);
        if (r < 0)
                return database_error(d, r);
        return destination->context.event ? add_run(d) : 0;
}

static int find_stream(SqliteDestination *d, Stream *stream)
{
        sqlite3_stmt *statement;
        int r;

        r = item_db_statement(&d->db, ITEM_STREAM_FIND, &statement);
        if (r < 0)
                return database_error(d, r);
        (void) sqlite3_bind_text(statement, 1, stream->name, -1, SQLITE_STATIC);
        int code = sqlite3_step(statement);
        if (code == SQLITE_ROW)
                stream->id = sqlite3_column_int64(statement, 0);
        (void) sqlite3_reset(statement);
        if (stream->id > 0)
                return 0;

        r = item_db_errno(code);
        if (r >= 0)
                r = item_db_statement(&d->db, ITEM_STREAM_ADD, &statement);
        if (r >= 0) {
                (void) sqlite3_bind_text(statement, 1, stream->name, -1, SQLITE_STATIC);
                r = item_db_run(&d->db, statement);
        }
        if (r < 0)
                return database_error(d, r);
        stream->id = sqlite3_last_insert_rowid(d->db.sqlite);
        return 0;
}

/* Notes beside the items what their keys are made of. */
static int sqlite_schema(Destination *destination, Stream *stream)
{
        SqliteDestination *d = sqlite_destination(destination);
        Buffer text = {};
        JsonWriter w = JSON_WRITER_INIT(&text);
        sqlite3_stmt *statement;
        int r;

        r = begin(d);
        if (r >= 0 && stream->id == 0)
                r = find_stream(d, stream);
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
        buffer_done(&text);
        return r < 0 ? database_error(d, r) : 0;
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

static int find_item(SqliteDestination *d, const DestinationRecord *record, StoredItem *ret)
{
        JsonSlice ours = record->message->payload;
        StoredItem item = { .id = ITEM_NOT_FOUND };
        sqlite3_stmt *statement;
        int r, code;

        r = item_db_statement(&d->db, ITEM_FIND, &statement);
        if (r < 0)
                return database_error(d, r);
        (void) sqlite3_bind_int64(statement, 1, record->stream->id);
        (void) sqlite3_bind_text(statement, 2, d->key.data, (int) d->key.size, SQLITE_STATIC);
        code = sqlite3_step(statement);
        if (code == SQLITE_ROW) {
                JsonSlice theirs = { sqlite3_column_blob(statement, 3), (size_t) sqlite3_column_bytes(statement, 3) };

                item.id = sqlite3_column_int64(statement, 0);
                item.run = sqlite3_column_int64(statement, 1);
                item.has_version = sqlite3_column_type(statement, 2) != SQLITE_NULL;
                item.version = sqlite3_column_int64(statement, 2);
                item.same_content = theirs.size == ours.size && memcmp(theirs.data, ours.data, ours.size) == 0;
                /* under a content hash, one key is one meaning */
                if (!item.same_content && record->stream->n_key_fields > 0) {
                        r = same_meaning(d, ours, theirs);
                        item.same_content = r > 0;
                } else
                        item.same_content = true;
        }
        (void) sqlite3_reset(statement);
        if (r < 0)
                return r;
        r = item_db_errno(code);
        if (r < 0)
                return database_error(d, r);
        *ret = item;
        return 0;
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
                return database_error(d, r);
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
        return r < 0 ? database_error(d, r) : 0;
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
        return r < 0 ? database_error(d, r) : 0;
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

/* Stores a record under d->key. Return: what became of it, as a LEDGER offset. */
static int store_record(SqliteDestination *d, const DestinationRecord *record, size_t *ret_outcome)
{
        const Message *message = record->message;
        StoredItem item = { .id = ITEM_NOT_FOUND };
        int r;

        r = add_unseen(d, record);
        if (r != 0) {
                *ret_outcome = LEDGER_ADDED;
                return MIN(r, 0);
        }
        r = find_item(d, record, &item);
        if (r < 0)
                return r;
        if (item.id == ITEM_NOT_FOUND) {
                record->stream->n_new++;
                *ret_outcome = LEDGER_ADDED;
                return write_item(d, record, &item);
        }

        record->stream->n_new = 0;
        if (!item.same_content || (d->destination.context.full_resync && item.run != d->run)) {
                *ret_outcome = LEDGER_UPDATED;
                return write_item(d, record, &item);
        }
        *ret_outcome = LEDGER_DEDUPED;
        if (message->has_version && (!item.has_version || item.version != message->version))
                return set_version(d, &item, message);
        return 0;
}

static int sqlite_record(Destination *destination, const DestinationRecord *record)
{
        SqliteDestination *d = sqlite_destination(destination);
        const DestinationContext *context = &destination->context;
        const Message *message = record->message;
        size_t outcome;
        int r;

        r = begin(d);
        if (r >= 0 && _unlikely_(record->stream->id == 0))
                r = sqlite_schema(destination, record->stream);
        if (r < 0)
                return r;
        r = stream_key(context->streams, record->stream, record->index, message->payload_member, message->payload,
                       &d->key);
        if (r == -ENODATA)
                return destination_error(destination, -EBADMSG, "a record of stream %s has none of its key fields",
                                         record->stream->name);
        if (r >= 0)
                r = store_record(d, record, &outcome);
        if (r < 0)
                return r;
        ledger_add(context->ledger, record->account, 1, outcome);
        return 0;
}

static int sqlite_activate_version(Destination *destination, Stream *stream, int64_t version)
{
        SqliteDestination *d = sqlite_destination(destination);
        sqlite3_stmt *statement;
        int r;

        r = begin(d);
        if (r >= 0 && stream->id == 0)
                r = find_stream(d, stream);
        if (r < 0)
                return r;
        r = item_db_statement(&d->db, ITEM_DROP_VERSIONS, &statement);
        if (r >= 0) {
                (void) sqlite3_bind_int64(statement, 1, stream->id);
                (void) sqlite3_bind_int64(statement, 2, version);
                r = item_db_run(&d->db, statement);
        }
        return r < 0 ? database_error(d, r) : 0;
}

static int write_tally(SqliteDestination *d, const LedgerAccount *row)
{
        const Counts *counts = &row->account.counts;
        sqlite3_stmt *statement;
        int r;

        if (!row->uncommitted)
                return 0;
        r = item_db_statement(&d->db, ITEM_TALLY_SET, &statement);
        if (r < 0)
                return r;
        (void) sqlite3_bind_int64(statement, 1, d->run);
        (void) sqlite3_bind_text(statement, 2, strempty(row->account.name), -1, SQLITE_STATIC);
        (void) sqlite3_bind_int64(statement, 3, (int64_t) counts->discovered);
        (void) sqlite3_bind_int64(statement, 4, (int64_t) counts->added);
        (void) sqlite3_bind_int64(statement, 5, (int64_t) counts->updated);
        (void) sqlite3_bind_int64(statement, 6, (int64_t) counts->deduped);
        return item_db_run(&d->db, statement);
}

static int sqlite_commit(Destination *destination)
{
        SqliteDestination *d = sqlite_destination(destination);
        Ledger *ledger = destination->context.ledger;
        int r;

        if (!d->in_transaction)
                return 0;
        r = write_tally(d, &ledger->rest);
        for (const LedgerAccount *row = ledger->accounts; row && r >= 0; row = row->hh.next)
                r = write_tally(d, row);
        if (r < 0)
                return database_error(d, r);
        r = commit(d);
        if (r < 0)
                return r;
        ledger_commit(ledger);
        return 0;
}

static int sqlite_settled(Destination *destination, const char *run_id)
{
        static const ItemStatement steps[] = { ITEM_TALLY_DROP, ITEM_RUN_SETTLED };
        SqliteDestination *d = sqlite_destination(destination);
        bool in_transaction = d->in_transaction; /* of a run in progress: then it is committed with that run's items */
        int r;

        r = begin(d);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(steps); i++) {
                sqlite3_stmt *statement;

                r = item_db_statement(&d->db, steps[i], &statement);
                if (r >= 0) {
                        (void) sqlite3_bind_text(statement, 1, run_id, -1, SQLITE_STATIC);
                        r = item_db_run(&d->db, statement);
                }
                if (r < 0)
                        return database_error(d, r);
        }
        return in_transaction ? 0 : commit(d);
}

static int sqlite_next_unsettled(Destination *destination, char **ret_run_id, Ledger *ret_ledger)
{
        SqliteDestination *d = sqlite_destination(destination);
        _cleanup_free_ char *run_id = NULL;
        sqlite3_stmt *statement;
        int64_t run = 0;
        int r, code;

        r = item_db_statement(&d->db, ITEM_RUN_UNSETTLED, &statement);
        if (r < 0)
                return database_error(d, r);
        (void) sqlite3_bind_text(statement, 1, strempty(destination->context.run_id), -1, SQLITE_STATIC);
        code = sqlite3_step(statement);
        if (code == SQLITE_ROW) {
                run = sqlite3_column_int64(statement, 0);
                run_id = strdup((const char *) sqlite3_column_text(statement, 1));
        }
        (void) sqlite3_reset(statement);
        r = item_db_errno(code);
        if (r < 0)
                return database_error(d, r);
        if (code != SQLITE_ROW)
                return 0;
        if (!run_id)
                return -ENOMEM;
        r = read_tallies(d, run, ret_ledger);
        if (r < 0)
                return r;
        *ret_run_id = TAKE_PTR(run_id);
        return 1;
}

static void sqlite_done(Destination *destination)
{
        SqliteDestination *d = sqlite_destination(destination);

        item_db_close(&d->db);
        buffer_done(&d->key);
        buffer_done(&d->ours);
        buffer_done(&d->theirs);
}

const DestinationOps destination_sqlite_ops = {
        .type = DESTINATION_SQLITE,
        .size = sizeof(SqliteDestination),
        .open = sqlite_open,
        .schema = sqlite_schema,
        .record = sqlite_record,
        .activate_version = sqlite_activate_version,
        .commit = sqlite_commit,
        .finish = sqlite_commit,
        .settled = sqlite_settled,
        .next_unsettled = sqlite_next_unsettled,
        .done = sqlite_done,
};
