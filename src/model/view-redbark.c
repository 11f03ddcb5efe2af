/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/view-redbark.h"

#include <stdlib.h>
#include <string.h>

#include "base/string-util.h"
#include "model/delivery.h"
#include "model/view.h"

static const char *const redbark_sync_status_table[] = {
        [REDBARK_SYNC_ACTIVE] = "Active",
        [REDBARK_SYNC_INACTIVE] = "Inactive",
        [REDBARK_SYNC_SYNCING] = "Syncing",
        [REDBARK_SYNC_NEEDS_ATTENTION] = "Needs attention",
};
DEFINE_STRING_TABLE(redbark_sync_status, RedbarkSyncStatus, _REDBARK_SYNC_STATUS_MAX);

static const char *const redbark_run_status_table[] = {
        [REDBARK_RUN_RUNNING] = "Running",
        [REDBARK_RUN_SUCCESS] = "Success",
        [REDBARK_RUN_FAILED] = "Failed",
};
DEFINE_STRING_TABLE(redbark_run_status, RedbarkRunStatus, _REDBARK_RUN_STATUS_MAX);

/* A9, in the document's words. */
static const char *const title_table[] = {
        [ATTENTION_DESTINATION_AUTH_EXPIRED] = "Destination authentication expired",
        [ATTENTION_CONNECTION_LOST] = "Bank connection lost",
        [ATTENTION_CONSENT_EXPIRED] = "Bank consent expired or withdrawn",
        [ATTENTION_CONSENT_WITHDRAWN] = "Bank consent expired or withdrawn",
        [ATTENTION_CONFIGURATION_ERROR] = "Sync configuration error",
        [ATTENTION_DESTINATION_DELETED] = "Destination resource deleted",
        [ATTENTION_DATA_ERROR] = "Data error",
};
static_assert(ELEMENTSOF(title_table) == _ATTENTION_MAX, "one title for each AttentionCategory");

RedbarkRunStatus redbark_run_status_of(RunState state, RunOutcome outcome)
{
        if (state != RUN_FINISHED)
                return REDBARK_RUN_RUNNING;
        return outcome == RUN_FAILED || outcome == RUN_CANCELLED ? REDBARK_RUN_FAILED : REDBARK_RUN_SUCCESS;
}

const char *redbark_account_status(AccountStatus status)
{
        switch (status) {
        case ACCOUNT_SUCCESS:
                return "Success";
        case ACCOUNT_FAILED:
                return "Failed";
        case ACCOUNT_NO_DATA:
                return "No data";
        default:
                return NULL;
        }
}

void redbark_marks_free(RedbarkMark *marks, size_t n)
{
        for (size_t i = 0; i < n; i++)
                free(marks[i].run_id);
        free(marks);
}

bool redbark_sync_needs_attention(const RedbarkSync *sync)
{
        return sync->attention->category >= 0 || sync->definition->load_state != LOAD_LOADED;
}

RedbarkSyncStatus redbark_sync_status_of(const RedbarkSync *sync)
{
        if (!sync->active && !sync->active_run_id && !sync->disabled_by_service)
                return REDBARK_SYNC_INACTIVE;
        if (redbark_sync_needs_attention(sync))
                return REDBARK_SYNC_NEEDS_ATTENTION;
        return sync->active_run_id ? REDBARK_SYNC_SYNCING : REDBARK_SYNC_ACTIVE;
}

/* "FOLDER/FILE:LINE: ...", where it may be without its folder. NULL: there is none. */
static const char *load_error_of(const RedbarkSync *sync)
{
        const char *text = sync->definition->load_error, *end;

        if (!text || !sync->without_paths || text[0] != '/')
                return text;
        end = strstr(text, ": ") ?: strchr(text, '\0');
        while (end[-1] != '/')
                end--;
        return end;
}

static void write_attention(JsonWriter *w, const RedbarkSync *sync)
{
        const Attention broken = { .category = ATTENTION_CONFIGURATION_ERROR,
                                   .message = (char *) load_error_of(sync) };
        const Attention *attention = sync->attention->category >= 0 ? sync->attention : &broken;

        if (!redbark_sync_needs_attention(sync)) {
                json_write_null(w, "attention");
                return;
        }
        json_open_object(w, "attention");
        json_write_string(w, "category", attention_category_to_string(attention->category));
        json_write_string(w, "title", title_table[attention->category]);
        json_write_string(w, "advice", attention_advice_afar(attention->category, sync->definition->connection));
        json_write_timestamp(w, "since", attention->since_usec);
        json_write_string(w, "message", attention->message);
        json_write_string(w, "runId", attention->run_id);
        json_close_object(w);
}

static void write_duration(JsonWriter *w, usec_t started_usec, usec_t finished_usec)
{
        if (started_usec > 0 && finished_usec >= started_usec)
                json_write_uint(w, "durationMs", (finished_usec - started_usec) / USEC_PER_MSEC);
        else
                json_write_null(w, "durationMs");
}

static void write_outcome(JsonWriter *w, RunState state, RunOutcome outcome)
{
        json_write_string(w, "status", redbark_run_status_to_string(redbark_run_status_of(state, outcome)));
        json_write_string(w, "outcome", state == RUN_FINISHED ? run_outcome_to_string(outcome) : NULL);
}

static void write_last_run(JsonWriter *w, const RedbarkSync *sync)
{
        if (!sync->last_run_id || sync->last_outcome < 0) {
                json_write_null(w, "lastRun");
                return;
        }
        json_open_object(w, "lastRun");
        json_write_string(w, "id", sync->last_run_id);
        write_outcome(w, RUN_FINISHED, sync->last_outcome);
        json_write_timestamp(w, "finishedAt", sync->last_finished_usec);
        json_close_object(w);
}

static void write_marks(JsonWriter *w, const RedbarkSync *sync)
{
        json_open_array(w, "outcomes");
        for (size_t i = 0; i < sync->n_marks; i++) {
                const RedbarkMark *mark = &sync->marks[i];

                json_open_object(w, NULL);
                json_write_string(w, "id", mark->run_id);
                write_outcome(w, mark->state, mark->outcome);
                json_write_timestamp(w, "startedAt", mark->started_usec);
                write_duration(w, mark->started_usec, mark->finished_usec);
                json_close_object(w);
        }
        json_close_array(w);
}

void view_redbark_sync(JsonWriter *w, const RedbarkSync *sync)
{
        const ConnectorDefinition *d = sync->definition;

        json_write_string(w, "id", sync->id);
        json_write_string(w, "name", d->name);
        json_write_string(w, "description", d->description);
        json_write_string(w, "provider", d->provider);
        json_write_string(w, "source", run_source_to_string(d->source));
        json_write_string(w, "userId", d->user_id);
        json_write_string(w, "connection", d->connection);
        json_write_string(w, "destinationType", destination_type_to_string(d->destination));
        json_write_string(w, "status", redbark_sync_status_to_string(redbark_sync_status_of(sync)));
        json_write_bool(w, "active", sync->active);
        json_write_bool(w, "runnable", d->load_state == LOAD_LOADED && d->exec_pull);
        json_write_string(w, "activeRunId", sync->active_run_id);
        json_write_timestamp(w, "nextRunAt", sync->next_usec);
        write_last_run(w, sync);
        write_attention(w, sync);
        if (sync->with_marks)
                write_marks(w, sync);
}

static void write_destination(JsonWriter *w, const RedbarkSync *sync)
{
        const ConnectorDefinition *d = sync->definition;
        _cleanup_free_ char *origin = url_origin(d->url);

        json_open_object(w, "destination");
        json_write_string(w, "type", destination_type_to_string(d->destination));
        if (d->destination == DESTINATION_WEBHOOK)
                json_write_string(w, "target", origin);
        else if (sync->without_paths)
                json_write_null(w, "target");
        else if (d->destination == DESTINATION_EXEC && d->exec_store)
                json_write_string(w, "target", d->exec_store[0]);
        else
                json_write_string(w, "target", d->destination == DESTINATION_SQLITE ? d->destination_path : NULL);
        json_write_string(w, "state",
                          sync->disabled_by_service        ? "disabled"
                          : sync->destination_failures > 0 ? "failing"
                                                           : "active");
        json_write_uint(w, "failures", sync->destination_failures);
        json_close_object(w);
}

void view_redbark_sync_detail(JsonWriter *w, const RedbarkSync *sync)
{
        const ConnectorDefinition *d = sync->definition;

        write_destination(w, sync);
        json_open_array(w, "schedule");
        for (size_t i = 0; i < d->n_calendars; i++)
                json_write_string(w, NULL, d->calendars[i].text);
        json_close_array(w);
        if (d->every_usec > 0)
                json_write_uint(w, "everyMs", d->every_usec / USEC_PER_MSEC);
        else
                json_write_null(w, "everyMs");
        json_write_string(w, "followUp", run_trigger_to_string(sync->follow_up));
        json_write_uint(w, "consecutiveFailures", sync->consecutive_failures);
        json_write_string(w, "loadState", load_state_to_string(d->load_state));
        json_write_string(w, "loadError", load_error_of(sync));
        json_write_string(w, "settingsPath", sync->without_paths ? NULL : d->path);
}

static const char *connection_status(ConnectionState state)
{
        static const char *const words[_CONNECTION_STATE_MAX] = {
                [CONNECTION_ACTIVE] = "Active",   [CONNECTION_EXPIRING] = "Expiring",   [CONNECTION_LOST] = "Lost",
                [CONNECTION_EXPIRED] = "Expired", [CONNECTION_WITHDRAWN] = "Withdrawn",
        };

        return words[state];
}

static const char *connection_advice(ConnectionState state)
{
        return state == CONNECTION_EXPIRING ? "Reconnect and give a fresh consent before this one ends."
                                            : attention_advice(connection_state_category(state));
}

void view_redbark_connection(JsonWriter *w, const char *key, const RedbarkConnection *connection)
{
        json_open_object(w, key);
        json_write_string(w, "name", connection->name);
        json_write_string(w, "provider", connection->provider);
        json_write_string(w, "description", connection->description);
        json_write_string(w, "status", connection_status(connection->state));
        json_write_string(w, "state", connection_state_to_string(connection->state));
        json_write_string(w, "advice", connection_advice(connection->state));
        json_write_timestamp(w, "since", connection->since_usec);
        json_write_string(w, "reason", connection->reason);
        json_write_string(w, "message", connection->reason);
        json_write_timestamp(w, "consentExpiresAt",
                             connection->consent_expires_usec == USEC_INFINITY ? 0 : connection->consent_expires_usec);
        json_write_bool(w, "reconnecting", connection->reconnecting);
        json_write_string(w, "reconnectResult", reconnect_result_to_string(connection->reconnect_result));
        json_write_string(w, "reconnectMessage", connection->reconnect_message);
        json_write_timestamp(w, "reconnectFinishedAt", connection->reconnect_finished_usec);
        json_open_array(w, "accounts");
        STRV_FOREACH(account, connection->accounts)
                json_write_string(w, NULL, *account);
        json_close_array(w);
        json_open_array(w, "connectors");
        for (size_t i = 0; i < connection->n_connectors; i++)
                json_write_string(w, NULL, connection->connectors[i]);
        json_close_array(w);
        json_close_object(w);
}

static void write_counts(JsonWriter *w, const Counts *counts)
{
        json_write_uint(w, "added", counts->added);
        json_write_uint(w, "updated", counts->updated);
        json_write_uint(w, "deduped", counts->deduped);
}

static void write_account(JsonWriter *w, const Account *account)
{
        json_open_object(w, NULL);
        json_write_string(w, "account", account->name);
        json_write_string(w, "status", redbark_account_status(account->status));
        write_counts(w, &account->counts);
        write_duration(w, account->started_usec, account->finished_usec);
        json_write_string(w, "errorMessage", account->error);
        json_close_object(w);
}

void view_redbark_run(JsonWriter *w, const Run *run, size_t n_accounts, size_t n_omitted)
{
        json_open_object(w, NULL);
        json_write_string(w, "id", run->id);
        write_outcome(w, run->state, run->outcome);
        json_write_string(w, "trigger", run_trigger_to_string(run->trigger));
        json_write_string(w, "requestedBy", run->requested_by);
        json_write_string(w, "reason", run->reason);
        json_write_bool(w, "fullResync", run->full_resync);
        json_write_timestamp(w, "createdAt", run->created_usec);
        json_write_timestamp(w, "startedAt", run->started_usec);
        json_write_timestamp(w, "finishedAt", run->finished_usec);
        write_duration(w, run->started_usec, run->finished_usec);
        write_counts(w, &run->counts);
        json_write_string(w, "message", run->message);
        json_write_string(w, "errorMessage", view_error_message(run));
        json_open_array(w, "accounts");
        for (size_t i = 0; i < n_accounts; i++)
                write_account(w, &run->accounts[i]);
        json_close_array(w);
        json_write_uint(w, "accountsOmitted", n_omitted);
        json_close_object(w);
}
