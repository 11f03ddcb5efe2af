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

/* What one of the run's accounts needs, where the run itself names nothing. */
static const Account *account_in_need(const Run *run)
{
        for (size_t i = 0; i < run->n_accounts; i++)
                if (run->accounts[i].status == ACCOUNT_FAILED && run->accounts[i].category >= 0)
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

/* NotifyAfter= counts runs, and a retry is one. Without it: no retry follows, or there were as many failures as
 * retries would have been: a schedule, or a person, that comes before each retry begins a first attempt every time. */
static bool lasts(const ConnectorRecord *record, unsigned retry_max, unsigned notify_after)
{
        if (notify_after > 0)
                return record->consecutive_failures >= notify_after;
        return record->retry_at_usec == 0 || record->consecutive_failures > retry_max;
}

int attention_apply(ConnectorRecord *record, const Run *run, AttentionCategory lasting, unsigned retry_max,
                    unsigned notify_after)
{
        const Account *account = account_in_need(run);
        AttentionCategory category = run->category >= 0 ? run->category : account ? account->category : run->category;
        const char *message = run->category < 0 && account && account->error ? account->error : run->error;
        bool had;

        switch (run->outcome) {
        case RUN_SUCCEEDED:
                record->consecutive_failures = 0;
                had = record->attention.category >= 0;
                attention_done(&record->attention);
                record->attention.category = _ATTENTION_INVALID;
                return had;
        case RUN_PARTIAL:
                record->consecutive_failures = 0;
                return category >= 0 ? raise_attention(&record->attention, category, message, run) : 0;
        case RUN_FAILED:
                if (record->consecutive_failures < UINT32_MAX)
                        record->consecutive_failures++;
                if (category >= 0)
                        return raise_attention(&record->attention, category, message, run);
                if (lasting >= 0 && record->attention.category < 0 && lasts(record, retry_max, notify_after))
                        return raise_lasting(record, run, lasting);
                return 0;
        default:
                return 0;
        }
}
