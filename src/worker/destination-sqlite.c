/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Items in a file of our own (its schema: item-db.h): its transactions, and the counts of runs, which are written in
 * the transaction of the items that they count, so that they are exact whenever we are killed. What becomes of a
 * record is decided in sqlite-items.c. */

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd-util.h"
#include "base/string-util.h"
#include "base/time-util.h"
#include "worker/destination-sqlite.h"
#include "worker/outbox.h"
#include "worker/process.h"

/* What SQLite says, and what the system said to it. */
static int disk_error(SqliteDestination *d, int r)
{
        int error = r == -EIO || r == -ENODEV ? item_db_system_error(&d->db) : 0;

        return destination_error(&d->destination, r, "%s: %s%s%s%s", d->destination.context.path,
                                 sqlite3_errmsg(d->db.sqlite), error > 0 ? ": " : "", error > 0 ? strerror(error) : "",
                                 process_hint(-error));
}

int sqlite_error(SqliteDestination *d, int r)
{
        Destination *destination = &d->destination;
        _cleanup_free_ char *other = NULL;

        if (r == -ENOMEM)
                return r;
        if (r == -EEXIST || r == -EOVERFLOW || r == -EMEDIUMTYPE || r == -EROFS || r == -EACCES || r == -ENODEV ||
            r == -EUCLEAN || r == -ESTALE)
                destination->category = ATTENTION_CONFIGURATION_ERROR;
        if (r == -EOVERFLOW)
                return destination_error(destination, r, "%s was made by a newer version of syncrun",
                                         destination->context.path);
        if (r == -EEXIST && item_db_find_other(&d->db, destination->context.connector, &other) >= 0 && other)
                return destination_error(destination, r,
                                         "%s holds the items of connector %s: each has a Path= of its own",
                                         destination->context.path, other);
        if (r == -ESTALE)
                return destination_error(destination, r, "%s was removed or replaced while the run wrote to it",
                                         destination->context.path);
        if (r == -EMEDIUMTYPE)
                return destination_error(destination, r, "%s is not a database of items", destination->context.path);
        if (r == -EUCLEAN)
                return destination_error(destination, r,
                                         "%s is damaged: restore it, or move it away and take everything anew "
                                         "(syncrunctl start --full %s)",
                                         destination->context.path, destination->context.connector);
        return disk_error(d, r);
}

int sqlite_begin(SqliteDestination *d)
{
        int r;

        if (d->walk.error < 0)
                return sqlite_error(d, d->walk.error);
        if (d->in_transaction)
                return 0;
        r = item_db_do(&d->db, ITEM_BEGIN);
        if (r < 0)
                return sqlite_error(d, r);
        d->in_transaction = true;
        d->now_usec = now_usec(CLOCK_REALTIME);
        return 0;
}

static int commit(SqliteDestination *d)
{
        int r;

        item_walk_pause(&d->walk);
        r = item_db_do(&d->db, ITEM_COMMIT);
        if (r >= 0 && item_db_has_moved(&d->db))
                r = -ESTALE;
        if (r < 0)
                return sqlite_error(d, r);
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
                return sqlite_error(d, r);
        (void) sqlite3_bind_int64(statement, 1, run);
        while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
                bool has_name = sqlite3_column_type(statement, 0) != SQLITE_NULL;
                const char *name = (const char *) sqlite3_column_text(statement, 0);
                LedgerAccount *row;

                r = has_name && !name ? -ENOMEM : ledger_account(ledger, name, &row);
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
                return sqlite_error(d, r);
        ledger_commit(ledger);
        return 0;
}

static int set_mark(SqliteDestination *d, const char *digests)
{
        const char *type = destination_type_to_string(d->destination.context.type);
        sqlite3_stmt *statement;
        int r;

        r = item_db_statement(&d->db, ITEM_MARK_SET, &statement);
        if (r < 0)
                return r;
        (void) sqlite3_bind_int64(statement, 1, d->run);
        (void) sqlite3_bind_text(statement, 2, type, -1, SQLITE_STATIC);
        (void) sqlite3_bind_text(statement, 3, digests, -1, SQLITE_STATIC);
        return item_db_run(&d->db, statement);
}

int sqlite_cover(Destination *destination, const char *digests)
{
        SqliteDestination *d = sqlite_destination(destination);
        int r;

        r = sqlite_begin(d);
        if (r < 0)
                return r;
        r = set_mark(d, digests);
        return r < 0 ? sqlite_error(d, r) : 0;
}

/* Enters the run; one that wrote here before goes on with its counts. */
static int add_run(SqliteDestination *d)
{
        const DestinationContext *context = &d->destination.context;
        sqlite3_stmt *statement;
        int r, code;

        r = sqlite_begin(d);
        if (r < 0)
                return r;
        r = item_db_statement(&d->db, ITEM_RUN_ADD, &statement);
        if (r < 0)
                return sqlite_error(d, r);
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
        if (r >= 0)
                r = set_mark(d, strempty(context->covered));
        if (r < 0)
                return sqlite_error(d, r);
        r = commit(d);
        return r < 0 ? r : read_tallies(d, d->run, context->ledger);
}

int sqlite_open(Destination *destination)
{
        SqliteDestination *d = sqlite_destination(destination);
        int r;

        if (!destination->context.event && access(destination->context.path, F_OK) < 0)
                return -errno; /* nothing to settle, and none of our business to make it */
        r = item_db_open(&d->db, destination->context.path, destination->context.connector);
        if (r < 0)
                return sqlite_error(d, r);
        return destination->context.event ? add_run(d) : 0;
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

int sqlite_commit(Destination *destination)
{
        SqliteDestination *d = sqlite_destination(destination);
        Ledger *ledger = destination->context.ledger;
        int r;

        if (d->walk.error < 0)
                return sqlite_error(d, d->walk.error);
        if (!d->in_transaction)
                return 0;
        r = write_tally(d, &ledger->rest);
        for (const LedgerAccount *row = ledger->accounts; row && r >= 0; row = row->hh.next)
                r = write_tally(d, row);
        if (r < 0)
                return sqlite_error(d, r);
        r = commit(d);
        if (r < 0)
                return r;
        ledger_commit(ledger);
        return 0;
}

int sqlite_settled(Destination *destination, const char *run_id)
{
        static const ItemStatement steps[] = { ITEM_TALLY_DROP, ITEM_RUN_SETTLED };
        SqliteDestination *d = sqlite_destination(destination);
        bool in_transaction = d->in_transaction; /* of a run in progress: then it is committed with that run's items */
        int r;

        r = sqlite_begin(d);
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
                        return sqlite_error(d, r);
        }
        return in_transaction ? 0 : commit(d);
}

int sqlite_next_unsettled(Destination *destination, char **ret_run_id, Ledger *ret_ledger)
{
        SqliteDestination *d = sqlite_destination(destination);
        _cleanup_free_ char *run_id = NULL;
        sqlite3_stmt *statement;
        int64_t run = 0;
        int r, code;

        r = item_db_statement(&d->db, ITEM_RUN_UNSETTLED, &statement);
        if (r < 0)
                return sqlite_error(d, r);
        (void) sqlite3_bind_text(statement, 1, strempty(destination->context.run_id), -1, SQLITE_STATIC);
        code = sqlite3_step(statement);
        if (code == SQLITE_ROW) {
                run = sqlite3_column_int64(statement, 0);
                run_id = item_db_text(statement, 1);
        }
        (void) sqlite3_reset(statement);
        r = item_db_errno(code);
        if (r < 0)
                return sqlite_error(d, r);
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

/* Also of a file that a destination of Type=webhook has made. */
int sqlite_next_attempts(Destination *destination, char **ret_run_id, char **ret_json)
{
        SqliteDestination *d = sqlite_destination(destination);
        int r;

        r = outbox_untold_attempts(&d->db, strempty(destination->context.run_id), ret_run_id, ret_json,
                                   &d->last_attempt);
        return r < 0 ? sqlite_error(d, r) : r;
}

int sqlite_attempts_told(Destination *destination, const char *run_id)
{
        SqliteDestination *d = sqlite_destination(destination);
        bool in_transaction = d->in_transaction;
        int r;

        r = sqlite_begin(d);
        if (r < 0)
                return r;
        r = outbox_forget_attempts(&d->db, run_id, d->last_attempt);
        if (r < 0)
                return sqlite_error(d, r);
        return in_transaction ? 0 : commit(d);
}

void sqlite_done(Destination *destination)
{
        SqliteDestination *d = sqlite_destination(destination);

        item_db_close(&d->db);
        buffer_done(&d->key);
        buffer_done(&d->ours);
        buffer_done(&d->theirs);
        buffer_done(&d->drop.from);
}

const DestinationOps destination_sqlite_ops = {
        .type = DESTINATION_SQLITE,
        .size = sizeof(SqliteDestination),
        .open = sqlite_open,
        .schema = sqlite_schema,
        .expected = sqlite_expected,
        .record = sqlite_record,
        .activate_version = sqlite_activate_version,
        .work = sqlite_work,
        .cover = sqlite_cover,
        .commit = sqlite_commit,
        .finish = sqlite_commit,
        .settled = sqlite_settled,
        .next_unsettled = sqlite_next_unsettled,
        .next_attempts = sqlite_next_attempts,
        .attempts_told = sqlite_attempts_told,
        .done = sqlite_done,
};
