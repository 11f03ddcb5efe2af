/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a run's records became, by account: counted as they are stored, told to others only once they are durable. */

#include <uthash.h>

#include "model/run.h"

typedef struct LedgerAccount {
        Account account;   /* counts are those of records handled so far */
        Counts durable;    /* the same at the last commit */
        usec_t heard_usec; /* CLOCK_REALTIME, as ledger_hear() counts it, of what was last heard of it; 0: nothing */
        bool uncommitted;  /* counts have changed since the last commit */
        bool unreported;   /* durable counts, status or error have changed since the last report */
        UT_hash_handle hh; /* by account.name */
} LedgerAccount;

typedef struct Ledger {
        LedgerAccount *accounts;
        LedgerAccount rest; /* records without account, and of accounts past ACCOUNTS_PER_RUN_MAX; its name is NULL */
        Counts total;
        Counts total_durable;
        LedgerAccount *heard; /* the account that is being heard of; NULL */
        usec_t offset_usec;   /* from CLOCK_MONOTONIC to CLOCK_REALTIME as the run began: a clock that is set while it
                                 goes on makes no account take longer, or shorter */
} Ledger;

void ledger_init(Ledger *ledger);
void ledger_done(Ledger *ledger);

/**
 * ledger_account() - the row of an account, made where it is missing
 * @name: NULL or "": records without account; names past ACCOUNT_NAME_MAX are cut
 *
 * Return: 0 and the row (borrowed; stays where it is); ledger->rest when there are ACCOUNTS_PER_RUN_MAX already;
 * -ENOMEM.
 */
int ledger_account(Ledger *ledger, const char *name, LedgerAccount **ret) _must_check_;

/**
 * ledger_hear() - something is heard of another account than before, which ends what is heard of that
 * @row:      of the account; NULL, or one without name: of none
 * @now_usec: CLOCK_MONOTONIC
 *
 * An account begins when it is first heard of, and ends as the next one is, or when it is told how it fared.
 */
void ledger_hear(Ledger *ledger, LedgerAccount *row, usec_t now_usec);

/** ledger_end() - it was told how an account fared, which nothing may be heard of again. @now_usec: CLOCK_MONOTONIC */
void ledger_end(Ledger *ledger, LedgerAccount *row, usec_t now_usec);

/** ledger_add() - count @n records of an account: discovered, and as one of the other three or of none yet */
void ledger_add(Ledger *ledger, LedgerAccount *row, uint64_t n, size_t outcome_offset);
#define LEDGER_NONE    SIZE_MAX
#define LEDGER_ADDED   offsetof(Counts, added)
#define LEDGER_UPDATED offsetof(Counts, updated)
#define LEDGER_DEDUPED offsetof(Counts, deduped)

/** ledger_override() - a destination program has told what became of an account's records; COUNT_UNKNOWN leaves a
 * count */
void ledger_override(Ledger *ledger, LedgerAccount *row, const Counts *told);

/** ledger_commit() - all that was counted is durable now */
void ledger_commit(Ledger *ledger);

/**
 * ledger_settle() - give every account that is still running its last status
 * @failed: the run as a whole did not come to its end
 * @error:  what to say of accounts that were cut off; NULL
 *
 * An account that stored nothing new has no data, whatever the connector called it, and one that did has succeeded. It
 * ended when it was last heard of.
 *
 * Return: 0; -ENOMEM.
 */
int ledger_settle(Ledger *ledger, bool failed, const char *error) _must_check_;

/** ledger_failed() - how many accounts have failed; @ret_n: how many there are, may be NULL */
size_t ledger_failed(const Ledger *ledger, size_t *ret_n);
