/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How often in a row each account of a connector has failed: what NotifyAfter= is about. A run that fails as a whole
 * has failed for all accounts that it was of; one that fails in part, for those that it names. Runs of some accounts
 * say nothing of the others. What follows from a number is for attention-rules.c to say. */

#include "engine/engine-internal.h"

/* Of a run that has ended. */
typedef struct FailureRow {
        unsigned n;     /* with it, so often in a row has the worst of those failed that failed in it; 0: none has */
        char *accounts; /* which have, as Run.only_accounts; NULL: it failed as a whole, and was of all */
} FailureRow;

void failure_row_done(FailureRow *row);

/**
 * failure_rows_count() - what the record knows, with one run more
 * @record: its @consecutive_failures and @failing_accounts change
 * @run:    has succeeded, or failed, in whole or in part; with its accounts
 * @ret:    freed by failure_row_done()
 *
 * Return: 0; -ENOMEM; negative errno of reading the run's JSON.
 */
int failure_rows_count(ConnectorRecord *record, const Run *run, FailureRow *ret) _must_check_;

/* Of the run's accounts: those that failed, and those that were got. */
static inline bool account_is_failed(const Account *account)
{
        return account->status == ACCOUNT_FAILED;
}

static inline bool account_is_got(const Account *account)
{
        return account->status == ACCOUNT_SUCCESS || account->status == ACCOUNT_NO_DATA;
}
