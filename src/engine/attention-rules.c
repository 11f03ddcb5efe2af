/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "engine/attention-rules.h"

static int raise_attention(Attention *attention, AttentionCategory category, const char *message, const Run *run)
{
        bool same = attention->category == category;
        int r;

        r = free_and_strdup(&attention->message, message);
        if (r < 0)
                return r;
        if (free_and_strdup(&attention->run_id, run->id) < 0)
                return -ENOMEM;
        if (!same)
                attention->since_usec = run->finished_usec;
        attention->category = category;
        return !same || r > 0;
}

static bool is_in_need(const Account *account)
{
        return account->status == ACCOUNT_FAILED && account->category >= 0;
}

/* What one of the run's accounts needs, where the run itself names nothing. */
static const Account *account_in_need(const Run *run)
{
        for (size_t i = 0; i < run->n_accounts; i++)
                if (is_in_need(&run->accounts[i]))
                        return &run->accounts[i];
        return NULL;
}

/* A failure that names nothing a person could do, and that does not pass either. */
static int raise_lasting(ConnectorRecord *record, const Run *run, AttentionCategory category)
{
        _cleanup_free_ char *message = NULL;

        message = record->consecutive_failures > 1
                                  ? asprintf_or_null("Failed %u times in a row: %s", record->consecutive_failures,
                                                     strempty(run->error))
                                  : asprintf_or_null("%s", strempty(run->error));
        if (!message)
                return -ENOMEM;
        return raise_attention(&record->attention, category, message, run);
}

static bool was_got(const Run *run, const char *name)
{
        for (size_t i = 0; i < run->n_accounts; i++)
                if (streq(run->accounts[i].name, name))
                        return run->accounts[i].status == ACCOUNT_SUCCESS ||
                               run->accounts[i].status == ACCOUNT_NO_DATA;
        return false;
}

/* What @raised needed, @run needs no longer: the accounts in need, or where it was no account's, the run as a whole.
 */
static bool is_past(const Run *raised, const Run *run)
{
        if (!raised)
                return false;
        for (size_t i = 0; i < raised->n_accounts; i++) {
                const Account *account = &raised->accounts[i];

                if (is_in_need(account) && !was_got(run, account->name))
                        return false;
        }
        return true;
}

static int clear_attention(Attention *attention)
{
        bool had = attention->category >= 0;

        attention_done(attention);
        attention->category = _ATTENTION_INVALID;
        return had;
}

/* The provider said when it wants to be asked again: that needs nobody. */
static bool is_put_off(const ConnectorRecord *record)
{
        return record->retry_at_usec > 0 && record->retry_is_absolute;
}

int attention_apply(ConnectorRecord *record, const Run *run, AttentionCategory lasting, unsigned notify_after,
                    const Run *raised)
{
        const Account *account = account_in_need(run);
        AttentionCategory category = run->category >= 0 ? run->category : account ? account->category : run->category;
        const char *message = run->category < 0 && account && account->error ? account->error : run->error;

        switch (run->outcome) {
        case RUN_SUCCEEDED:
                record->consecutive_failures = 0;
                return clear_attention(&record->attention);
        case RUN_PARTIAL:
                record->consecutive_failures = 0;
                if (category >= 0)
                        return raise_attention(&record->attention, category, message, run);
                return is_past(raised, run) ? clear_attention(&record->attention) : 0;
        case RUN_FAILED:
                if (record->consecutive_failures < UINT32_MAX)
                        record->consecutive_failures++;
                if (category >= 0)
                        return raise_attention(&record->attention, category, message, run);
                if (lasting >= 0 && record->attention.category < 0 && record->consecutive_failures >= notify_after &&
                    !is_put_off(record))
                        return raise_lasting(record, run, lasting);
                return 0;
        default:
                return 0;
        }
}
