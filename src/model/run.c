/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/run.h"

#include "base/string-util.h"

static const char *const run_state_table[] = {
        [RUN_QUEUED] = "queued",     [RUN_STARTING] = "starting", [RUN_RUNNING] = "running",
        [RUN_STOPPING] = "stopping", [RUN_FINISHED] = "finished",
};
DEFINE_STRING_TABLE(run_state, RunState, _RUN_STATE_MAX);

static const char *const run_outcome_table[] = {
        [RUN_SUCCEEDED] = "succeeded", [RUN_PARTIAL] = "partial", [RUN_FAILED] = "failed",
        [RUN_CANCELLED] = "cancelled", [RUN_SKIPPED] = "skipped",
};
DEFINE_STRING_TABLE(run_outcome, RunOutcome, _RUN_OUTCOME_MAX);

static const char *const run_trigger_table[] = {
        [RUN_TRIGGER_SCHEDULE] = "schedule", [RUN_TRIGGER_MANUAL] = "manual",
        [RUN_TRIGGER_RETRY] = "retry",       [RUN_TRIGGER_CATCH_UP] = "catch-up",
        [RUN_TRIGGER_RECONNECT] = "reconnect", [RUN_TRIGGER_REMOTE] = "remote",
};
DEFINE_STRING_TABLE(run_trigger, RunTrigger, _RUN_TRIGGER_MAX);

static const char *const run_source_table[] = {
        [RUN_SOURCE_PULL] = "pull",
        [RUN_SOURCE_WEBHOOK] = "webhook",
        [RUN_SOURCE_SDK] = "sdk",
        [RUN_SOURCE_BACKFILL] = "backfill",
        [RUN_SOURCE_XML_IMPORT] = "xml_import",
        [RUN_SOURCE_LINKED_ACCOUNT] = "linked_account",
};
DEFINE_STRING_TABLE(run_source, RunSource, _RUN_SOURCE_MAX);

static const char *const sync_stage_table[] = {
        [SYNC_STAGE_QUEUED] = "queued",         [SYNC_STAGE_STARTED] = "started",
        [SYNC_STAGE_FETCHING] = "fetching",     [SYNC_STAGE_PROCESSING] = "processing",
        [SYNC_STAGE_SAVING] = "saving",         [SYNC_STAGE_COMPLETED] = "completed",
        [SYNC_STAGE_FAILED] = "failed",         [SYNC_STAGE_CANCELLED] = "cancelled",
};
DEFINE_STRING_TABLE(sync_stage, SyncStage, _SYNC_STAGE_MAX);

static const char *const sync_status_table[] = {
        [SYNC_STATUS_IN_PROGRESS] = "in_progress", [SYNC_STATUS_SUCCESS] = "success",
        [SYNC_STATUS_PARTIAL] = "partial",         [SYNC_STATUS_FAILED] = "failed",
        [SYNC_STATUS_CANCELLED] = "cancelled",     [SYNC_STATUS_SKIPPED] = "skipped",
};
DEFINE_STRING_TABLE(sync_status, SyncStatus, _SYNC_STATUS_MAX);

static const char *const account_status_table[] = {
        [ACCOUNT_RUNNING] = "running",
        [ACCOUNT_SUCCESS] = "success",
        [ACCOUNT_FAILED] = "failed",
        [ACCOUNT_NO_DATA] = "no_data",
};
DEFINE_STRING_TABLE(account_status, AccountStatus, _ACCOUNT_STATUS_MAX);

bool run_transition_is_legal(RunState from, RunState to)
{
        /* Queued runs finish without a worker when they are cancelled, skipped or cannot be launched; starting and
         * running ones finish directly when their worker is gone without a word. Nothing leaves finished. */
        static const bool transitions[_RUN_STATE_MAX][_RUN_STATE_MAX] = {
                [RUN_QUEUED] = { [RUN_STARTING] = true, [RUN_RUNNING] = true, [RUN_FINISHED] = true },
                [RUN_STARTING] = { [RUN_RUNNING] = true, [RUN_STOPPING] = true, [RUN_FINISHED] = true },
                [RUN_RUNNING] = { [RUN_STOPPING] = true, [RUN_FINISHED] = true },
                [RUN_STOPPING] = { [RUN_FINISHED] = true },
        };

        return from >= 0 && from < _RUN_STATE_MAX && to >= 0 && to < _RUN_STATE_MAX && transitions[from][to];
}

SyncStatus sync_status_from_outcome(RunOutcome outcome)
{
        switch (outcome) {
        case RUN_SUCCEEDED:
                return SYNC_STATUS_SUCCESS;
        case RUN_PARTIAL:
                return SYNC_STATUS_PARTIAL;
        case RUN_FAILED:
                return SYNC_STATUS_FAILED;
        case RUN_CANCELLED:
                return SYNC_STATUS_CANCELLED;
        case RUN_SKIPPED:
                return SYNC_STATUS_SKIPPED;
        default:
                return SYNC_STATUS_IN_PROGRESS;
        }
}

SyncStage sync_stage_from_outcome(RunOutcome outcome)
{
        switch (outcome) {
        case RUN_SUCCEEDED:
        case RUN_PARTIAL:
        case RUN_SKIPPED:
                return SYNC_STAGE_COMPLETED;
        case RUN_FAILED:
                return SYNC_STAGE_FAILED;
        case RUN_CANCELLED:
                return SYNC_STAGE_CANCELLED;
        default:
                return _SYNC_STAGE_INVALID;
        }
}

RunOutcome run_outcome_from_status(SyncStatus status)
{
        switch (status) {
        case SYNC_STATUS_SUCCESS:
                return RUN_SUCCEEDED;
        case SYNC_STATUS_PARTIAL:
                return RUN_PARTIAL;
        case SYNC_STATUS_FAILED:
                return RUN_FAILED;
        case SYNC_STATUS_CANCELLED:
                return RUN_CANCELLED;
        case SYNC_STATUS_SKIPPED:
                return RUN_SKIPPED;
        default:
                return _RUN_OUTCOME_INVALID;
        }
}

void account_done(Account *account)
{
        free(account->name);
        free(account->error);
        *account = (Account) { .category = _ATTENTION_INVALID };
}

int account_copy(const Account *account, Account *ret)
{
        Account copy = *account;

        copy.name = copy.error = NULL;
        if (free_and_strdup(&copy.name, account->name) < 0 || free_and_strdup(&copy.error, account->error) < 0) {
                account_done(&copy);
                return -ENOMEM;
        }
        *ret = copy;
        return 0;
}

void run_init(Run *run)
{
        *run = (Run) {
                .state = RUN_QUEUED,
                .outcome = _RUN_OUTCOME_INVALID,
                .stage = SYNC_STAGE_QUEUED,
                .attempt = 1,
                .progress = PROGRESS_UNKNOWN,
                .items_processed = COUNT_UNKNOWN,
                .items_total = COUNT_UNKNOWN,
                .category = _ATTENTION_INVALID,
                .cpu_usec = COUNT_UNKNOWN,
                .memory_peak_bytes = COUNT_UNKNOWN,
                .io_read_bytes = COUNT_UNKNOWN,
                .io_write_bytes = COUNT_UNKNOWN,
        };
}

Run *run_new(void)
{
        Run *run = malloc(sizeof(Run));

        if (run)
                run_init(run);
        return run;
}

/* Every owned string of a run, for copying and freeing. */
static const size_t run_strings[] = {
        offsetof(Run, id),           offsetof(Run, connector), offsetof(Run, connector_id),
        offsetof(Run, provider),     offsetof(Run, user_id),   offsetof(Run, primary_user_id),
        offsetof(Run, requested_by), offsetof(Run, reason),    offsetof(Run, retry_of),
        offsetof(Run, message),      offsetof(Run, error),     offsetof(Run, metadata),
        offsetof(Run, invocation_id), offsetof(Run, only_accounts), offsetof(Run, clock_boot_id),
};

static char **run_string(Run *run, size_t i)
{
        return (char **) ((char *) run + run_strings[i]);
}

Run *run_share(Run *run)
{
        atomic_fetch_add(&run->n_sharers, 1);
        return run;
}

Run *run_free(Run *run)
{
        if (!run || atomic_fetch_sub(&run->n_sharers, 1) > 0)
                return NULL;
        for (size_t i = 0; !run->packed && i < ELEMENTSOF(run_strings); i++)
                free(*run_string(run, i));
        for (size_t i = 0; i < run->n_accounts; i++)
                account_done(&run->accounts[i]);
        free(run->accounts);
        free(run);
        return NULL;
}

int run_copy(const Run *run, bool with_accounts, Run **ret)
{
        _cleanup_(run_freep) Run *copy = malloc(sizeof(Run));
        bool complete = true;

        if (!copy)
                return -ENOMEM;
        *copy = *run;
        atomic_init(&copy->n_sharers, 0);
        copy->packed = false;
        copy->accounts = NULL;
        copy->n_accounts = 0;
        for (size_t i = 0; i < ELEMENTSOF(run_strings); i++) {
                char **s = run_string(copy, i), *original = *s;

                *s = original ? strdup(original) : NULL;
                complete = complete && (*s || !original);
        }
        if (!complete)
                return -ENOMEM;
        if (with_accounts && run->n_accounts > 0) {
                copy->accounts = calloc(run->n_accounts, sizeof(Account));
                if (!copy->accounts)
                        return -ENOMEM;
                for (; copy->n_accounts < run->n_accounts; copy->n_accounts++)
                        if (account_copy(&run->accounts[copy->n_accounts], &copy->accounts[copy->n_accounts]) < 0)
                                return -ENOMEM;
        }
        *ret = TAKE_PTR(copy);
        return 0;
}

int run_snapshot(const Run *run, Run **ret)
{
        size_t size = sizeof(Run), sizes[ELEMENTSOF(run_strings)];
        Run *copy;
        char *to;

        for (size_t i = 0; i < ELEMENTSOF(run_strings); i++) {
                const char *text = *run_string((Run *) run, i);

                sizes[i] = text ? strlen(text) + 1 : 0;
                size += sizes[i];
        }
        copy = malloc(size);
        if (!copy)
                return -ENOMEM;
        *copy = *run;
        atomic_init(&copy->n_sharers, 0);
        copy->packed = true;
        copy->accounts = NULL;
        copy->n_accounts = 0;
        to = (char *) (copy + 1);
        for (size_t i = 0; i < ELEMENTSOF(run_strings); i++) {
                char **text = run_string(copy, i);

                if (sizes[i] == 0)
                        continue;
                *text = memcpy(to, *text, sizes[i]);
                to += sizes[i];
        }
        *ret = copy;
        return 0;
}

int run_find_account(Run *run, const char *name, bool add, Account **ret)
{
        Account *longer, account = { .status = ACCOUNT_RUNNING, .category = _ATTENTION_INVALID };

        for (size_t i = 0; i < run->n_accounts; i++)
                if (streq(run->accounts[i].name, name)) {
                        *ret = &run->accounts[i];
                        return 0;
                }
        if (!add)
                return -ENOENT;
        if (run->n_accounts >= ACCOUNTS_PER_RUN_MAX)
                return -E2BIG;
        account.name = strdup(name);
        if (!account.name)
                return -ENOMEM;
        longer = reallocarray(run->accounts, run->n_accounts + 1, sizeof(Account));
        if (!longer) {
                account_done(&account);
                return -ENOMEM;
        }
        run->accounts = longer;
        run->accounts[run->n_accounts] = account;
        *ret = &run->accounts[run->n_accounts++];
        return 0;
}

size_t run_told_id_size(const Run *run)
{
        size_t n = strlen(run->id), tail = strlen(RUN_ID_USER_MARK) + strlen(strempty(run->user_id));

        if (!run->user_id || n <= tail || run->id[n - tail] != RUN_ID_USER_MARK[0] ||
            !streq(run->id + n - tail + 1, run->user_id))
                return n;
        return n - tail;
}
