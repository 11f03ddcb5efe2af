/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/view-repo.h"

#include "model/view.h"

static const char *const repo_status_table[] = {
        [REPO_QUEUED] = "queued",
        [REPO_RUNNING] = "running",
        [REPO_SUCCEEDED] = "succeeded",
        [REPO_FAILED] = "failed",
};
DEFINE_STRING_TABLE(repo_status, RepoStatus, _REPO_STATUS_MAX);

RepoStatus repo_status_of(const Run *run)
{
        if (run->state != RUN_FINISHED)
                return run->stage == SYNC_STAGE_QUEUED ? REPO_QUEUED : REPO_RUNNING;
        return run->outcome == RUN_FAILED || run->outcome == RUN_CANCELLED ? REPO_FAILED : REPO_SUCCEEDED;
}

static void write_items(JsonWriter *w, const Run *run)
{
        if (run->connector && run->started_usec > 0) {
                json_write_uint(w, "itemsDiscovered", run->counts.discovered);
                json_write_uint(w, "itemsIngested", counts_ingested(&run->counts));
                return;
        }
        if (!run->connector && run->items_processed != COUNT_UNKNOWN)
                json_write_uint(w, "itemsDiscovered", run->items_processed);
        else
                json_write_null(w, "itemsDiscovered");
        json_write_null(w, "itemsIngested");
}

void view_repo_run(JsonWriter *w, const Run *run)
{
        json_write_string(w, "id", run->id);
        json_write_string(w, "connectorId", run->connector_id);
        json_write_string(w, "status", repo_status_to_string(repo_status_of(run)));
        json_write_bool(w, "fullResync", run->full_resync);
        json_write_timestamp(w, "startedAt", run->started_usec);
        json_write_timestamp(w, "finishedAt", run->finished_usec);
        write_items(w, run);
        json_write_string(w, "errorMessage", view_error_message(run));
        json_write_timestamp(w, "createdAt", run->created_usec);
        json_write_string(w, "outcome", run->state == RUN_FINISHED ? run_outcome_to_string(run->outcome) : NULL);
}

void view_repo_accounts(JsonWriter *w, const Run *run)
{
        json_open_array(w, "accounts");
        for (size_t i = 0; i < run->n_accounts; i++) {
                const Account *account = &run->accounts[i];

                json_open_object(w, NULL);
                json_write_string(w, "account", account->name);
                json_write_string(w, "status", account_status_to_string(account->status));
                json_write_uint(w, "itemsDiscovered", account->counts.discovered);
                json_write_uint(w, "itemsAdded", account->counts.added);
                json_write_uint(w, "itemsUpdated", account->counts.updated);
                json_write_uint(w, "itemsDeduped", account->counts.deduped);
                json_write_string(w, "errorMessage", account->error);
                json_write_timestamp(w, "startedAt", account->started_usec);
                json_write_timestamp(w, "finishedAt", account->finished_usec);
                json_close_object(w);
        }
        json_close_array(w);
}

void view_repo_started(JsonWriter *w, const Run *run, bool already_active)
{
        json_open_object(w, NULL);
        json_open_object(w, "syncRun");
        json_write_string(w, "id", run->id);
        json_write_string(w, "connectorId", run->connector_id);
        json_write_string(w, "status", repo_status_to_string(already_active ? repo_status_of(run) : REPO_QUEUED));
        json_write_bool(w, "fullResync", run->full_resync);
        json_write_timestamp(w, "createdAt", run->created_usec);
        json_close_object(w);
        json_write_bool(w, "alreadyActive", already_active);
        json_close_object(w);
}
