/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/view.h"

#include "base/string-util.h"

static const char *const view_table[] = {
        [VIEW_SYNCRUN] = "syncrun",
        [VIEW_REPO] = "repo",
        [VIEW_OPEN_WEARABLES] = "open-wearables",
        [VIEW_REDBARK] = "redbark",
};
DEFINE_STRING_TABLE(view, View, _VIEW_MAX);

static void write_optional(JsonWriter *w, const char *key, uint64_t value)
{
        if (value == COUNT_UNKNOWN)
                json_write_null(w, key);
        else
                json_write_uint(w, key, value);
}

void view_counts(JsonWriter *w, const char *key, const Counts *counts)
{
        json_open_object(w, key);
        json_write_uint(w, "discovered", counts->discovered);
        json_write_uint(w, "added", counts->added);
        json_write_uint(w, "updated", counts->updated);
        json_write_uint(w, "deduped", counts->deduped);
        json_write_uint(w, "ingested", counts_ingested(counts));
        json_close_object(w);
}

void view_account(JsonWriter *w, const char *key, const Account *account)
{
        json_open_object(w, key);
        json_write_string(w, "account", account->name);
        json_write_string(w, "status", account_status_to_string(account->status));
        view_counts(w, "counts", &account->counts);
        json_write_string(w, "error", account->error);
        json_write_string(w, "category", attention_category_to_string(account->category));
        json_write_timestamp(w, "started_at", account->started_usec);
        json_write_timestamp(w, "finished_at", account->finished_usec);
        json_close_object(w);
}

void view_attention(JsonWriter *w, const char *key, const Attention *attention, const char *unconnected)
{
        char advice[ATTENTION_ADVICE_MAX];

        if (attention->category < 0) {
                json_write_null(w, key);
                return;
        }
        json_open_object(w, key);
        json_write_string(w, "category", attention_category_to_string(attention->category));
        json_write_string(w, "message", attention->message);
        json_write_string(w, "advice", attention_advice_for(advice, attention->category, unconnected));
        json_write_timestamp(w, "since", attention->since_usec);
        json_write_string(w, "run_id", attention->run_id);
        json_write_raw(w, "accounts", attention->accounts);
        json_close_object(w);
}

static void write_identity(JsonWriter *w, const Run *run)
{
        json_write_string(w, "id", run->id);
        json_write_string(w, "connector", run->connector);
        json_write_string(w, "connector_id", run->connector_id);
        json_write_string(w, "provider", run->provider);
        json_write_string(w, "user_id", run->user_id);
        json_write_string(w, "primary_user_id", run->primary_user_id);
        json_write_string(w, "source", run_source_to_string(run->source));
        json_write_string(w, "trigger", run_trigger_to_string(run->trigger));
        json_write_string(w, "requested_by", run->requested_by);
        json_write_string(w, "reason", run->reason);
        json_write_bool(w, "full_resync", run->full_resync);
        json_write_raw(w, "only_accounts", run->only_accounts);
        json_write_uint(w, "attempt", run->attempt);
        json_write_string(w, "retry_of", run->retry_of);
}

static void write_resources(JsonWriter *w, const Run *run)
{
        json_open_object(w, "resources");
        write_optional(w, "cpu_usec", run->cpu_usec);
        write_optional(w, "memory_peak_bytes", run->memory_peak_bytes);
        write_optional(w, "io_read_bytes", run->io_read_bytes);
        write_optional(w, "io_write_bytes", run->io_write_bytes);
        json_close_object(w);
}

void view_run(JsonWriter *w, const char *key, const Run *run, const char *advice, bool with_accounts)
{
        json_open_object(w, key);
        write_identity(w, run);
        json_write_string(w, "state", run_state_to_string(run->state));
        json_write_string(w, "outcome", run_outcome_to_string(run->outcome));
        json_write_string(w, "stage", sync_stage_to_string(run->stage));
        json_write_string(w, "message", run->message);
        if (run->progress < 0)
                json_write_null(w, "progress");
        else
                json_write_double(w, "progress", run->progress);
        write_optional(w, "items_processed", run->items_processed);
        write_optional(w, "items_total", run->items_total);
        view_counts(w, "counts", &run->counts);
        json_write_string(w, "error", run->error);
        json_write_string(w, "category", attention_category_to_string(run->category));
        json_write_string(w, "advice", advice);
        json_write_raw(w, "metadata", isempty(run->metadata) ? "{}" : run->metadata);
        json_write_timestamp(w, "created_at", run->created_usec);
        json_write_timestamp(w, "started_at", run->started_usec);
        json_write_timestamp(w, "finished_at", run->finished_usec);
        json_write_timestamp(w, "updated_at", run->updated_usec);
        json_write_uint(w, "last_seq", run->last_seq);
        json_write_string(w, "invocation_id", run->invocation_id);
        write_resources(w, run);
        if (with_accounts) {
                json_open_array(w, "accounts");
                for (size_t i = 0; i < run->n_accounts; i++)
                        view_account(w, NULL, &run->accounts[i]);
                json_close_array(w);
        }
        json_close_object(w);
}

const char *view_error_message(const Run *run)
{
        if (run->state != RUN_FINISHED || run->outcome == RUN_SUCCEEDED || run->outcome == RUN_SKIPPED)
                return NULL;
        if (run->error || run->message)
                return run->error ?: run->message;
        /* A run from outside may have ended without words. */
        return run->outcome == RUN_CANCELLED ? "Sync cancelled"
               : run->outcome == RUN_PARTIAL ? "Sync completed in part"
                                             : "Sync failed";
}
