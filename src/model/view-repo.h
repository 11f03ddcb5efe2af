/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Runs as Repo's /v1/sync-runs has them (B1 to B13): its keys in its order, in camelCase, and ours only after them. */

#include "base/json-writer.h"
#include "model/run.h"

/* B3: it knows four. Ours fold into them: starting, running and stopping are running; partial and skipped have
 * succeeded; cancelled has failed. The exact outcome stands in an added key. */
typedef enum RepoStatus {
        REPO_QUEUED,
        REPO_RUNNING,
        REPO_SUCCEEDED,
        REPO_FAILED,
        _REPO_STATUS_MAX,
        _REPO_STATUS_INVALID = -EINVAL,
} RepoStatus;
DECLARE_STRING_TABLE(repo_status, RepoStatus);

RepoStatus repo_status_of(const Run *run) _pure_;

/* Runs in one answer, and where the caller says nothing. */
#define REPO_RUNS_MAX     200U
#define REPO_RUNS_DEFAULT 50U

/* Events in the answer for one run: the newest, oldest first. */
#define REPO_EVENTS_MAX 200U

/**
 * view_repo_run() - B2's ten keys, and `outcome`, into an object that is open
 *
 * startedAt and finishedAt are null until then, the items until the run has started (B12). A run from outside has no
 * connector, its items are those processed, and how many were new is not known. errorMessage is null but for a run
 * that has failed, was cancelled, or is partial: the provider's words, or else the run's message.
 */
void view_repo_run(JsonWriter *w, const Run *run);

/* ... and its `accounts`. */
void view_repo_accounts(JsonWriter *w, const Run *run);

/* The whole answer to a POST: {"syncRun":{...},"alreadyActive":false} with B8's five keys. A new run was
 * queued, whatever has become of it since. */
void view_repo_started(JsonWriter *w, const Run *run, bool already_active);
