/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See ledger.h. */

#include <stdlib.h>

/* A failed insertion is noticed by the item's missing table. */
#define uthash_nonfatal_oom(item) ((item)->hh.tbl = NULL)

#include "base/string-util.h"
#include "worker/ledger.h"

void ledger_init(Ledger *ledger)
{
        *ledger = (Ledger){ .rest.account = { .category = _ATTENTION_INVALID } };
}

void ledger_done(Ledger *ledger)
{
        LedgerAccount *row, *next;

        HASH_ITER(hh, ledger->accounts, row, next) {
                HASH_DEL(ledger->accounts, row);
                account_done(&row->account);
                free(row);
        }
        account_done(&ledger->rest.account);
        ledger_init(ledger);
}

int ledger_account(Ledger *ledger, const char *name, LedgerAccount **ret)
{
        _cleanup_free_ char *cut = NULL;
        LedgerAccount *row = NULL;

        if (isempty(name)) {
                *ret = &ledger->rest;
                return 0;
        }
        HASH_FIND_STR(ledger->accounts, name, row);
        if (row) {
                *ret = row;
                return 0;
        }

        cut = utf8_sanitize(name, strlen(name), ACCOUNT_NAME_MAX);
        if (!cut)
                return -ENOMEM;
        HASH_FIND_STR(ledger->accounts, cut, row);
        if (!row && HASH_COUNT(ledger->accounts) >= ACCOUNTS_PER_RUN_MAX)
                row = &ledger->rest;
        if (!row) {
                row = calloc(1, sizeof(*row));
                if (!row)
                        return -ENOMEM;
                row->account = (Account){ .name = TAKE_PTR(cut), .category = _ATTENTION_INVALID };
                row->unreported = true;
                HASH_ADD_KEYPTR(hh, ledger->accounts, row->account.name, strlen(row->account.name), row);
                if (!row->hh.tbl) {
                        account_done(&row->account);
                        free(row);
                        return -ENOMEM;
                }
        }
        *ret = row;
        return 0;
}

void ledger_hear(Ledger *ledger, LedgerAccount *row, usec_t now_usec)
{
        usec_t usec = now_usec + ledger->offset_usec;

        if (ledger->heard)
                ledger->heard->heard_usec = usec;
        ledger->heard = row && row->account.name ? row : NULL;
        if (!ledger->heard)
                return;
        row->heard_usec = usec;
        if (row->account.started_usec == 0) {
                row->account.started_usec = usec;
                row->unreported = true;
        }
}

void ledger_end(Ledger *ledger, LedgerAccount *row, usec_t now_usec)
{
        ledger_hear(ledger, row, now_usec);
        row->account.finished_usec = row->heard_usec;
        row->unreported = true;
        ledger->heard = NULL;
}

static void add_to(Counts *counts, size_t offset, uint64_t n)
{
        uint64_t *count = (uint64_t *) ((char *) counts + offset);

        *count = count_add(*count, n);
}

void ledger_add(Ledger *ledger, LedgerAccount *row, uint64_t n, size_t outcome_offset)
{
        row->uncommitted = true;
        add_to(&row->account.counts, offsetof(Counts, discovered), n);
        add_to(&ledger->total, offsetof(Counts, discovered), n);
        if (outcome_offset == LEDGER_NONE)
                return;
        add_to(&row->account.counts, outcome_offset, n);
        add_to(&ledger->total, outcome_offset, n);
}

/* One of the counts, of all accounts. */
static uint64_t sum_of(const Ledger *ledger, size_t offset)
{
        uint64_t sum = *(const uint64_t *) ((const char *) &ledger->rest.account.counts + offset);

        for (const LedgerAccount *row = ledger->accounts; row; row = row->hh.next)
                sum = count_add(sum, *(const uint64_t *) ((const char *) &row->account.counts + offset));
        return sum;
}

void ledger_override(Ledger *ledger, LedgerAccount *row, const Counts *told)
{
        static const size_t offsets[] = { LEDGER_ADDED, LEDGER_UPDATED, LEDGER_DEDUPED };

        for (size_t i = 0; i < ELEMENTSOF(offsets); i++) {
                uint64_t *count = (uint64_t *) ((char *) &row->account.counts + offsets[i]);
                uint64_t *total = (uint64_t *) ((char *) &ledger->total + offsets[i]);
                uint64_t value = *(const uint64_t *) ((const char *) told + offsets[i]);

                if (value == COUNT_UNKNOWN || value == *count)
                        continue;
                /* What was cut off at the limit cannot be taken away again. */
                if (*total < COUNT_MAX)
                        *total = count_add(*total - *count, value);
                *count = value;
                if (*total == COUNT_MAX)
                        *total = sum_of(ledger, offsets[i]);
                row->uncommitted = true;
        }
}

static void commit_row(LedgerAccount *row)
{
        if (!row->uncommitted)
                return;
        row->durable = row->account.counts;
        row->uncommitted = false;
        row->unreported = true;
}

void ledger_commit(Ledger *ledger)
{
        for (LedgerAccount *row = ledger->accounts; row; row = row->hh.next)
                commit_row(row);
        commit_row(&ledger->rest);
        ledger->total_durable = ledger->total;
}

int ledger_settle(Ledger *ledger, bool failed, const char *error)
{
        for (LedgerAccount *row = ledger->accounts; row; row = row->hh.next) {
                AccountStatus status = row->account.status;
                int r;

                if (row->account.finished_usec != row->heard_usec) {
                        row->account.finished_usec = row->heard_usec;
                        row->unreported = true;
                }
                if (status == ACCOUNT_FAILED)
                        continue;
                if (failed && status == ACCOUNT_RUNNING) {
                        row->account.status = ACCOUNT_FAILED;
                        r = free_and_strdup(&row->account.error, error);
                        if (r < 0)
                                return r;
                } else
                        row->account.status = counts_ingested(&row->durable) > 0 ? ACCOUNT_SUCCESS : ACCOUNT_NO_DATA;
                row->unreported |= row->account.status != status;
        }
        return 0;
}

size_t ledger_failed(const Ledger *ledger, size_t *ret_n)
{
        size_t n_failed = 0;

        for (const LedgerAccount *row = ledger->accounts; row; row = row->hh.next)
                n_failed += row->account.status == ACCOUNT_FAILED;
        if (ret_n)
                *ret_n = HASH_COUNT(ledger->accounts);
        return n_failed;
}
