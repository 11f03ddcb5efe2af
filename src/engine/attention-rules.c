/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "engine/attention-rules.h"

#include "engine/account-set.h"
#include "engine/connection-state.h"
#include "engine/failure-rows.h"

#define LOST_NOTIFY_AFTER_MIN 2U /* a machine goes down now and then; who is told of it is told of a habit */

/* ---- Accounts of a run */

static bool is_in_need(const Account *account)
{
        return account_is_failed(account) && account->category >= 0;
}

static const Account *find_account(const Run *run, bool (*is_one)(const Account *account), const char *of)
{
        for (size_t i = 0; i < run->n_accounts; i++)
                if (is_one(&run->accounts[i]) && (!of || account_set_has(of, run->accounts[i].name)))
                        return &run->accounts[i];
        return NULL;
}

/* ---- What is needed */

/* What of the need is left after the run. Return: 1 and the accounts, NULL for all; 0 nothing. */
static int need_left(const Attention *attention, const Run *run, char **ret)
{
        _cleanup_free_ char *got = NULL;
        int r;

        if (attention->category < 0)
                return 0;
        if (run->outcome == RUN_SUCCEEDED)
                return account_set_remove(attention->accounts, run->only_accounts, ret);
        if (run->outcome == RUN_PARTIAL && !attention->accounts && !run->only_accounts)
                return 0; /* of none in particular, and it works for some */
        r = account_set_of(run, account_is_got, &got);
        if (r > 0)
                return account_set_remove(attention->accounts, got, ret);
        if (r == 0)
                r = free_and_strdup(ret, attention->accounts);
        return r < 0 ? r : 1;
}

static void set_accounts(Attention *attention, char **accounts)
{
        free(attention->accounts);
        attention->accounts = TAKE_PTR(*accounts);
}

/* @accounts, that are in need, are joined with those that were before and are @left. */
static int need(Attention *attention, char **accounts, bool has_left, const char *left)
{
        _cleanup_free_ char *all = NULL;
        int r;

        if (!has_left) {
                set_accounts(attention, accounts);
                return 0;
        }
        r = account_set_join(left, *accounts, &all);
        if (r < 0)
                return r;
        set_accounts(attention, &all);
        return 0;
}

static int say(Attention *attention, AttentionCategory category, const char *message, const char *run_id,
               usec_t since_usec)
{
        bool same = attention->category == category;
        int r;

        r = free_and_strdup(&attention->message, message);
        if (r < 0)
                return r;
        if (free_and_strdup(&attention->run_id, run_id) < 0)
                return -ENOMEM;
        if (!same)
                attention->since_usec = since_usec;
        attention->category = category;
        return !same || r > 0 ? ATTENTION_CHANGED : 0;
}

int attention_clear(Attention *attention)
{
        bool had = attention->category >= 0;

        attention_done(attention);
        attention->category = _ATTENTION_INVALID;
        return had ? ATTENTION_CHANGED | ATTENTION_MET : 0;
}

int attention_raise_consent(Attention *attention, AttentionCategory category, const char *message, usec_t since_usec)
{
        if (connection_state_by_category(attention->category) >= connection_state_by_category(category))
                return 0;
        attention->accounts = (free(attention->accounts), NULL);
        return say(attention, category, message, NULL, since_usec);
}

/* What a person must do: one account of the run, or the run as a whole, says it. */
static int raise_told(Attention *attention, const Run *run, bool has_left, const char *left)
{
        const Account *account = run->category < 0 ? find_account(run, is_in_need, NULL) : NULL;
        _cleanup_free_ char *accounts = NULL;
        int r;

        r = account_set_of(run, is_in_need, &accounts);
        if (r == 0)
                r = free_and_strdup(&accounts, run->only_accounts);
        if (r >= 0)
                r = need(attention, &accounts, has_left, left);
        if (r < 0)
                return r;
        return say(attention, account ? account->category : run->category,
                   account && account->error ? account->error : run->error, run->id, run->finished_usec);
}

/* The account that has failed most often. */
static char *describe_partial(const FailureRow *row, const Run *run)
{
        const Account *account = find_account(run, account_is_failed, row->accounts);
        const char *words = account && account->error ? account->error : strempty(run->error);
        const char *subject = account ? account->name : "", *failed = account ? " failed" : "Failed in part";
        const char *colon = isempty(words) ? "" : ": ", *of = account ? "Account " : "";

        return row->n > 1 ? asprintf_or_null("%s%s%s %u times in a row%s%s", of, subject, failed, row->n, colon, words)
                          : asprintf_or_null("%s%s%s%s%s", of, subject, failed, colon, words);
}

static char *describe_failure(const FailureRow *row, const Run *run)
{
        return row->n > 1 ? asprintf_or_null("Failed %u times in a row: %s", row->n, strempty(run->error))
                          : asprintf_or_null("%s", strempty(run->error));
}

/* Names nothing that a person could do, and does not pass either. */
static int raise_lasting(ConnectorRecord *record, const Run *run, const FailureRow *row)
{
        bool partial = run->outcome == RUN_PARTIAL;
        _cleanup_free_ char *message = partial ? describe_partial(row, run) : describe_failure(row, run);
        _cleanup_free_ char *accounts = NULL;

        if (!message || free_and_strdup(&accounts, partial ? row->accounts : run->only_accounts) < 0)
                return -ENOMEM;
        set_accounts(&record->attention, &accounts);
        return say(&record->attention, record->lasting, message, run->id, run->finished_usec);
}

static bool lasts(const ConnectorRecord *record, const FailureRow *row, unsigned notify_after)
{
        if (record->lost_with_machine)
                notify_after = MAX(notify_after, LOST_NOTIFY_AFTER_MIN);
        return record->lasting >= 0 && row->n > 0 && row->n >= notify_after;
}

int attention_apply(ConnectorRecord *record, const Run *run, unsigned notify_after)
{
        Attention *attention = &record->attention;
        _cleanup_free_ char *left = NULL;
        _cleanup_(failure_row_done) FailureRow row = {};
        bool has_left, met;
        int r;

        if (run->outcome != RUN_SUCCEEDED && run->outcome != RUN_PARTIAL && run->outcome != RUN_FAILED)
                return 0;
        r = failure_rows_count(record, run, &row);
        if (r < 0)
                return r;
        if (attention_is_of_consent(attention) && run->created_usec < attention->since_usec)
                return 0;
        r = need_left(attention, run, &left);
        if (r < 0)
                return r;
        has_left = r > 0;
        met = attention->category >= 0 && !has_left && run->outcome != RUN_FAILED;
        if (run->outcome != RUN_SUCCEEDED && (run->category >= 0 || find_account(run, is_in_need, NULL)))
                r = raise_told(attention, run, has_left, left);
        else if (run->outcome != RUN_SUCCEEDED && (attention->category < 0 || met) &&
                 lasts(record, &row, notify_after))
                r = raise_lasting(record, run, &row);
        else if (met)
                return attention_clear(attention);
        else {
                if (has_left)
                        set_accounts(attention, &left);
                r = 0;
        }
        return r < 0 || !met ? r : r | ATTENTION_MET;
}
