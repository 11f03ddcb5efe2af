/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A sync run: one execution of a connector, or of a sync elsewhere that is reported to us. Where it is (state) and how
 * it ended (outcome) are two things. Pure values: no I/O, no clock. */

#include <stdatomic.h>

#include "base/buffer.h"
#include "base/string-table.h"
#include "base/uuid.h"
#include "model/attention.h"

typedef enum RunState {
        RUN_QUEUED,   /* recorded, waiting for its turn */
        RUN_STARTING, /* its worker is being launched */
        RUN_RUNNING,  /* its worker has attached, or its first event was reported from outside */
        RUN_STOPPING, /* the worker has finished or is being cancelled; its unit has not ended yet */
        RUN_FINISHED,
        _RUN_STATE_MAX,
        _RUN_STATE_INVALID = -EINVAL,
} RunState;
DECLARE_STRING_TABLE(run_state, RunState);

/* Set once, with the way to RUN_STOPPING or RUN_FINISHED; _RUN_OUTCOME_INVALID until then. */
typedef enum RunOutcome {
        RUN_SUCCEEDED,
        RUN_PARTIAL, /* some accounts or streams failed */
        RUN_FAILED,
        RUN_CANCELLED,
        RUN_SKIPPED, /* was due while another run of the connector was active */
        _RUN_OUTCOME_MAX,
        _RUN_OUTCOME_INVALID = -EINVAL,
} RunOutcome;
DECLARE_STRING_TABLE(run_outcome, RunOutcome);

/* Why the run exists. */
typedef enum RunTrigger {
        RUN_TRIGGER_SCHEDULE,
        RUN_TRIGGER_MANUAL,
        RUN_TRIGGER_RETRY,
        RUN_TRIGGER_CATCH_UP,  /* Persistent=: missed while the machine or daemon was down */
        RUN_TRIGGER_RECONNECT, /* a connection became healthy again (A12) */
        RUN_TRIGGER_REMOTE,    /* reported from outside, or asked for over HTTP */
        _RUN_TRIGGER_MAX,
        _RUN_TRIGGER_INVALID = -EINVAL,
} RunTrigger;
DECLARE_STRING_TABLE(run_trigger, RunTrigger);

/* Where the items come from (C13). */
typedef enum RunSource {
        RUN_SOURCE_PULL,
        RUN_SOURCE_WEBHOOK,
        RUN_SOURCE_SDK,
        RUN_SOURCE_BACKFILL,
        RUN_SOURCE_XML_IMPORT,
        RUN_SOURCE_LINKED_ACCOUNT,
        _RUN_SOURCE_MAX,
        _RUN_SOURCE_INVALID = -EINVAL,
} RunSource;
DECLARE_STRING_TABLE(run_source, RunSource);

/* How a run's life looks to readers of events (C14). */
typedef enum SyncStage {
        SYNC_STAGE_QUEUED,
        SYNC_STAGE_STARTED,
        SYNC_STAGE_FETCHING,
        SYNC_STAGE_PROCESSING,
        SYNC_STAGE_SAVING,
        SYNC_STAGE_COMPLETED,
        SYNC_STAGE_FAILED,
        SYNC_STAGE_CANCELLED,
        _SYNC_STAGE_MAX,
        _SYNC_STAGE_INVALID = -EINVAL,
} SyncStage;
DECLARE_STRING_TABLE(sync_stage, SyncStage);

typedef enum SyncStatus {
        SYNC_STATUS_IN_PROGRESS,
        SYNC_STATUS_SUCCESS,
        SYNC_STATUS_PARTIAL,
        SYNC_STATUS_FAILED,
        SYNC_STATUS_CANCELLED,
        SYNC_STATUS_SKIPPED,
        _SYNC_STATUS_MAX,
        _SYNC_STATUS_INVALID = -EINVAL,
} SyncStatus;
DECLARE_STRING_TABLE(sync_status, SyncStatus);

/* Whether a run may go from one state to another; the engine asks before each move, the database has the same in a
 * CHECK. */
bool run_transition_is_legal(RunState from, RunState to) _const_;

SyncStatus sync_status_from_outcome(RunOutcome outcome) _const_;  /* _INVALID outcome: in_progress */
SyncStage sync_stage_from_outcome(RunOutcome outcome) _const_;    /* succeeded, partial, skipped: completed */
RunOutcome run_outcome_from_status(SyncStatus status) _const_;    /* in_progress: _RUN_OUTCOME_INVALID */
static inline bool sync_status_is_terminal(SyncStatus status)
{
        return status != SYNC_STATUS_IN_PROGRESS;
}

#define COUNT_MAX ((uint64_t) INT64_MAX) /* the history keeps counts as signed 64-bit numbers; sums stop here */

/* The sum of two counts, at most COUNT_MAX. */
static inline uint64_t count_add(uint64_t a, uint64_t b)
{
        return b > COUNT_MAX || a > COUNT_MAX - b ? COUNT_MAX : a + b;
}

/* discovered = records the provider returned; added + updated = ingested; deduped = known, same content. */
typedef struct Counts {
        uint64_t discovered;
        uint64_t added;
        uint64_t updated;
        uint64_t deduped;
} Counts;

static inline uint64_t counts_ingested(const Counts *c)
{
        return count_add(c->added, c->updated);
}

#define COUNT_UNKNOWN    UINT64_MAX /* items_processed, items_total, resources: not told */
#define PROGRESS_UNKNOWN (-1.0)

/* One row of a run (A3, A6): how one account fared. */
typedef enum AccountStatus {
        ACCOUNT_RUNNING,
        ACCOUNT_SUCCESS,
        ACCOUNT_FAILED,
        ACCOUNT_NO_DATA, /* returned no new records */
        _ACCOUNT_STATUS_MAX,
        _ACCOUNT_STATUS_INVALID = -EINVAL,
} AccountStatus;
DECLARE_STRING_TABLE(account_status, AccountStatus);

#define ACCOUNTS_PER_RUN_MAX 1000U  /* further accounts are counted in the run's totals only */
#define ACCOUNT_NAME_MAX     256U   /* bytes; longer names are cut */
#define ACCOUNTS_BYTES_MAX   130000U /* names that a run is asked for, and one each; an argument has 128 KiB */
#define MESSAGE_TEXT_MAX     1024U  /* bytes of a run's or event's message; longer text is cut */
#define ERROR_TEXT_MAX       4096U  /* bytes of the provider's own error words; longer text is cut */
#define METADATA_JSON_MAX    16384U /* bytes of a run's metadata; larger is refused */
#define METADATA_DEPTH_MAX   32U    /* levels of nesting in it, so that a list of runs stays within JSON_DEPTH_MAX */
#define RUN_ID_MAX           128U   /* bytes of a run id from outside (C18: opaque) */
#define RUN_ID_USER_MARK     "@"    /* behind it: the user, where its reporter may see that user alone */
#define RUN_STORED_ID_MAX    (RUN_ID_MAX + sizeof(RUN_ID_USER_MARK) - 1 + UUID_TEXT_MAX - 1)

typedef struct Account {
        char *name;
        AccountStatus status;
        Counts counts;
        char *error;                 /* provider's words; NULL */
        AttentionCategory category;  /* _ATTENTION_INVALID: none */
        usec_t started_usec;         /* 0: not told */
        usec_t finished_usec;        /* 0: not yet */
} Account;

void account_done(Account *account);
int account_copy(const Account *account, Account *ret) _must_check_; /* deep; 0 or -ENOMEM */

/* Everything that is known of a run. Strings are owned; NULL is "none". Times are CLOCK_REALTIME, 0 is "not yet". */
typedef struct Run {
        int64_t row;                 /* the store's own key; 0 until it is stored */
        char *id;                    /* UUIDv7, or as it came from outside */
        char *connector;             /* name; NULL for a run from outside */
        char *connector_id;          /* UUID; NULL for a run from outside */
        char *provider;              /* slug */
        char *user_id;               /* UUID of the person whose data it is; NULL where the connector names none */
        char *primary_user_id;       /* C11; NULL */
        RunSource source;
        RunTrigger trigger;
        char *requested_by;          /* "uid:1000", "key:NAME", NULL for the daemon itself */
        char *reason;                /* the caller's own words; NULL */
        bool full_resync;
        char *only_accounts;         /* the caller's wish: a JSON array of names; NULL: all */
        unsigned attempt;            /* 1, then 2... for retries */
        char *retry_of;              /* id of the first attempt; NULL */

        RunState state;
        RunOutcome outcome;
        SyncStage stage;
        char *message;
        double progress;             /* 0..1 or PROGRESS_UNKNOWN */
        uint64_t items_processed;    /* or COUNT_UNKNOWN */
        uint64_t items_total;        /* or COUNT_UNKNOWN */
        Counts counts;
        char *error;                 /* provider's words where there are any (B5) */
        AttentionCategory category;
        char *metadata;              /* a JSON object as text; NULL for {} */

        usec_t created_usec;
        usec_t started_usec;
        usec_t finished_usec;
        usec_t updated_usec;         /* of the newest event */
        uint64_t last_seq;           /* of the newest event */
        uint64_t report_sequence;    /* of the worker's last recorded call */

        char *invocation_id;         /* of the unit, 32 hex digits; NULL */
        int worker_pid;              /* child launcher only; 0 */
        uint64_t worker_start_ticks; /* with worker_pid: starttime of /proc/PID/stat, to tell a reused pid */
        char *clock_boot_id;         /* while it is active: since when its time limit counts, ... */
        usec_t clock_usec;           /* ... on CLOCK_MONOTONIC of that boot, which nobody sets */
        uint64_t cpu_usec;           /* or COUNT_UNKNOWN, as the next three */
        uint64_t memory_peak_bytes;
        uint64_t io_read_bytes;
        uint64_t io_write_bytes;

        Account *accounts;
        size_t n_accounts;

        atomic_uint n_sharers;       /* beside the first; who shares a run does not change it */
        bool packed;                 /* its texts are in its own block: they are not changed */
} Run;

/* As run_new(), of what is there already. */
void run_init(Run *run);

/**
 * run_new() - a run with everything unset: state queued, outcome none, counts 0, COUNT_UNKNOWN where that is a value
 *
 * Return: the run, freed by run_free(); NULL when out of memory.
 */
Run *run_new(void);

/* How much of its id is told as run_id: not the user behind it. */
size_t run_told_id_size(const Run *run) _pure_;
Run *run_free(Run *run);
DEFINE_TRIVIAL_CLEANUP_FUNC(Run *, run_free);

/* A copy without accounts, in one block, that nobody changes. Return: 0; -ENOMEM. */
int run_snapshot(const Run *run, Run **ret) _must_check_;

/* One more that frees it by run_free(), of any thread. Return: @run. */
Run *run_share(Run *run);

/* A deep copy for the store's thread. @with_accounts false leaves the accounts out. Return: 0 or -ENOMEM. */
int run_copy(const Run *run, bool with_accounts, Run **ret) _must_check_;

/**
 * run_find_account() - the row of an account
 * @add: make it where it is missing, in state running
 *
 * Return: 0 and the account (borrowed until the next call with @add); -ENOENT; -E2BIG (ACCOUNTS_PER_RUN_MAX); -ENOMEM.
 */
int run_find_account(Run *run, const char *name, bool add, Account **ret) _must_check_;

static inline bool run_is_active(const Run *run)
{
        return run->state != RUN_FINISHED;
}
