/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Syncs as Redbark's pages have them (A1 to A10): the list of connectors, one connector with its connections and
 * destination, its activity feed. The document has words, and no keys: those here are in camelCase, as Repo's. */

#include "base/json-writer.h"
#include "model/connection.h"
#include "model/connector.h"

/* Of a sync in the list. One that is switched off is inactive even where it needed attention before; a sync that needs
 * attention shows that, also while it tries again (A10). */
typedef enum RedbarkSyncStatus {
        REDBARK_SYNC_ACTIVE,
        REDBARK_SYNC_INACTIVE,
        REDBARK_SYNC_SYNCING,
        REDBARK_SYNC_NEEDS_ATTENTION,
        _REDBARK_SYNC_STATUS_MAX,
        _REDBARK_SYNC_STATUS_INVALID = -EINVAL,
} RedbarkSyncStatus;
DECLARE_STRING_TABLE(redbark_sync_status, RedbarkSyncStatus);

/* A5 knows three: what has not ended is running; partial and skipped runs are a success, and cancelled ones have
 * failed, as in Repo's words. The exact outcome stands beside it. */
typedef enum RedbarkRunStatus {
        REDBARK_RUN_RUNNING,
        REDBARK_RUN_SUCCESS,
        REDBARK_RUN_FAILED,
        _REDBARK_RUN_STATUS_MAX,
        _REDBARK_RUN_STATUS_INVALID = -EINVAL,
} RedbarkRunStatus;
DECLARE_STRING_TABLE(redbark_run_status, RedbarkRunStatus);

RedbarkRunStatus redbark_run_status_of(RunState state, RunOutcome outcome) _const_;

/* A6: "Success", "Failed", "No data"; NULL while the account is under way. */
const char *redbark_account_status(AccountStatus status) _const_;

/* Connectors in one answer, where the caller says nothing, and runs in the strip of each. */
#define REDBARK_CONNECTORS_MAX     200U
#define REDBARK_CONNECTORS_DEFAULT 100U
#define REDBARK_OUTCOMES_MAX       30U

/* One run in the strip of outcomes. */
typedef struct RedbarkMark {
        char *run_id;
        RunState state;
        RunOutcome outcome;
        usec_t started_usec;
        usec_t finished_usec;
} RedbarkMark;
void redbark_marks_free(RedbarkMark *marks, size_t n);

/* All is borrowed. */
typedef struct RedbarkSync {
        const ConnectorDefinition *definition;
        const char *id;
        bool active;              /* may be started */
        const char *active_run_id; /* NULL: none */
        RunTrigger follow_up;     /* of the run that follows the active one at once; _RUN_TRIGGER_INVALID: none */
        usec_t next_usec;         /* USEC_INFINITY: none */
        const char *last_run_id;  /* NULL: has not run */
        RunOutcome last_outcome;
        usec_t last_finished_usec;
        unsigned consecutive_failures;
        unsigned destination_failures;
        bool disabled_by_service; /* for those; a person has to look at it */
        const Attention *attention;
        const RedbarkMark *marks; /* newest first */
        size_t n_marks;
        bool with_marks;
        bool without_paths; /* for who does not manage this machine: where its files are is nothing to him */
} RedbarkSync;

RedbarkSyncStatus redbark_sync_status_of(const RedbarkSync *sync) _pure_;

/* Whether it needs a person; a file that cannot be used counts as a configuration error. */
bool redbark_sync_needs_attention(const RedbarkSync *sync) _pure_;

/* What the list tells of a sync, into an object that is open. `outcomes` is there only with_marks. */
void view_redbark_sync(JsonWriter *w, const RedbarkSync *sync);

/* What its own page tells besides, but for its connections. Of a destination, nothing that may be a secret. */
void view_redbark_sync_detail(JsonWriter *w, const RedbarkSync *sync);

typedef struct RedbarkConnection {
        const char *name;
        const char *provider;    /* NULL */
        const char *description; /* NULL */
        char *const *accounts;   /* that the consent is for; NULL: none are named */
        ConnectionState state;
        const char *reason;      /* provider's words; NULL */
        usec_t since_usec;       /* 0: not known */
        usec_t consent_expires_usec; /* USEC_INFINITY: never, or not known */
        bool reconnecting;
        ReconnectResult reconnect_result; /* of the last program; _RECONNECT_RESULT_INVALID: none, or it runs */
        const char *reconnect_message;    /* its words; NULL */
        usec_t reconnect_finished_usec;   /* 0: none, or it runs */
        const char *const *connectors; /* their names */
        size_t n_connectors;
} RedbarkConnection;

/* One object: status "Active", "Expiring", "Lost", "Expired" or "Withdrawn", and state the same in small letters. */
void view_redbark_connection(JsonWriter *w, const char *key, const RedbarkConnection *connection);

/* One entry of the feed (A2, A3): @run with the first @n_accounts of its accounts; accountsOmitted says how many more
 * there are. */
void view_redbark_run(JsonWriter *w, const Run *run, size_t n_accounts, size_t n_omitted);
