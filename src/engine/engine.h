/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Owns the state: which connectors there are, when each is due, which runs are queued or active, and how they end.
 * Knows no D-Bus but the launcher's. Asynchronous: a reply callback is called after the commit of what it tells of, on
 * the loop; news goes up through the observer, also after the commit. */

#include <systemd/sd-event.h>

#include "engine/launcher.h"
#include "model/connection.h"
#include "model/connector.h"
#include "model/delivery.h"
#include "model/outside-event.h"
#include "model/report.h"
#include "model/settings.h"
#include "model/webhook.h"
#include "store/store.h"

typedef struct Engine Engine;

/* A connector as the daemon has it, with what is committed of its past. Read-only outside the engine; borrowed until
 * the next turn of the loop. */
typedef struct Connector {
        Engine *engine;
        ConnectorDefinition *definition; /* as the files say now; a run in progress keeps that which it began with */
        ConnectorRecord record;
        const Run *run;          /* the active run, or NULL */
        usec_t next_elapse_usec; /* the next scheduled or retry time; USEC_INFINITY: none */
        bool active;             /* Enabled= and SetActive(): may be started */
        bool attached_to_file;   /* false: the file is gone and a run is still active */
} Connector;

/* Whether a full resync is to come: one was asked for while a run is active, or one did not end well, and the active
 * run is not it. @ret_accounts: a JSON array of names, borrowed; NULL: all. */
bool connector_owes_resync(const Connector *connector, const char **ret_accounts);

/* What follows the active run at once. Strings are borrowed from the connector. */
typedef struct NextRun {
        RunTrigger trigger;
        bool full_resync;
        const char *requested_by;
        const char *reason;
        const char *accounts; /* as Run.only_accounts */
} NextRun;

/* Return: whether anything does. */
bool connector_follow_up(const Connector *connector, NextRun *ret);

/* What changed about a run, for property signals. */
typedef enum RunChange {
        RUN_CHANGE_PROGRESS = 1 << 0, /* counts, message, progress: may be coalesced */
        RUN_CHANGE_STATE = 1 << 1,    /* state, stage, outcome: at once */
} RunChange;

typedef struct CommittedEvent {
        uint64_t seq;
        const char *user_id; /* "" for none */
        const char *run_id;
        const char *json;
} CommittedEvent;

/* The one table through which news travels up; all after the commit. Entries may be NULL. */
typedef struct EngineObserver {
        void (*run_added)(const Run *run, void *userdata);
        void (*run_changed)(const Run *run, RunChange changes, void *userdata);
        /* Some minutes after its end. */
        void (*run_removed)(const char *run_id, const char *connector, void *userdata);
        void (*events_committed)(const CommittedEvent *events, size_t n, void *userdata);
        void (*attention_changed)(const Connector *connector, void *userdata);
        void (*connector_added)(const Connector *connector, void *userdata);
        void (*connector_changed)(const Connector *connector, void *userdata);
        void (*connector_removed)(const char *name, void *userdata);
        /* Also one that is new, or that is gone: engine_find_connection() tells. */
        void (*connection_changed)(const char *name, void *userdata);
        /* A program that reconnects it has ended; connection_changed() came before. */
        void (*connection_reconnected)(const ConnectionRecord *record, void *userdata);
        void (*webhook_changed)(const WebhookEndpoint *endpoint, WebhookChange change, void *userdata);
        void (*webhook_attempted)(const WebhookAttempt *attempt, void *userdata);
        void (*api_key_revoked)(const char *name, void *userdata);
        void (*status_changed)(void *userdata); /* numbers for sd_notify STATUS= */
        void *userdata;
} EngineObserver;

typedef struct EngineStatus {
        unsigned n_connectors;
        unsigned n_active_runs; /* starting, running, stopping */
        unsigned n_queued_runs;
        unsigned n_attention; /* connectors that need attention */
        int storage_error;    /* 0: the history can be written */
        int files_error;      /* 0: the folders of the configuration could be read, the last time */
} EngineStatus;

typedef struct EngineOptions {
        sd_event *event;          /* borrowed */
        const Settings *settings; /* borrowed, and given anew by engine_reload() */
        char *const *config_dirs;     /* of connector files; NULL: connector_dirs() */
        char *const *connection_dirs; /* of connection files; NULL: connection_dirs() */
        const char *database;     /* path */

        /* Events get numbers above this one: the time of the start, in microseconds since 1970, so that no number is
         * given twice, also where the history is replaced by an older copy, or by a new one. */
        uint64_t events_after_seq;

        sd_bus *bus;              /* for the unit launcher; NULL with the child launcher */
        bool launch_children;
        const char *worker_path;      /* child launcher */
        const char *worker_state_dir; /* child launcher */

        /* Unit tests only: another clock (NULL: now_usec()), another launcher, StoreOptions.retry_usec. */
        usec_t (*now)(clockid_t clock);
        usec_t store_retry_usec;
        int (*launcher_new)(const LauncherCallbacks *callbacks, void *userdata, Launcher **ret);
} EngineOptions;

/* A run that has ended is found by engine_find_run() for so long, or until so many others have ended after it. */
#define FINISHED_RUN_LINGER_USEC (5 * USEC_PER_MINUTE)
#define FINISHED_RUNS_MAX        1000U

#define PENDING_REPLIES_MAX 16384U /* calls that wait for their commit; further ones are refused with -ENOBUFS */
#define BACKLOG_MAX         32768U /* writes that wait for it; then calls are refused, too, and schedules wait */
#define REPORT_EVENTS_MAX   1000U  /* events of one engine_report_outside() */

/* The times that a report from outside gives may be so far ahead of the clock here, which is not the reporter's. */
#define OUTSIDE_AHEAD_MAX_USEC (5 * USEC_PER_MINUTE)

/* Progress alone makes at most one event of a run in this time; what comes sooner is told at its end. */
#define PROGRESS_INTERVAL_USEC (250 * USEC_PER_MSEC)

/* @ret_why as store_open(). Return: 0 or what store_open() returns. Context: blocks for the disk. */
int engine_new(const EngineOptions *options, const EngineObserver *observer, char **ret_why,
               Engine **ret) _must_check_;

/* Load connectors, reconcile active runs, arm timers. Return: 0; negative errno. Context: blocks for reading files. */
int engine_start(Engine *engine) _must_check_;

/* Commits what is queued; workers go on; calls that still wait are answered with -ESHUTDOWN. Context: blocks for the
 * disk. */
Engine *engine_free(Engine *engine);
DEFINE_TRIVIAL_CLEANUP_FUNC(Engine *, engine_free);

void engine_status(const Engine *engine, EngineStatus *ret);

/* ---- Looking: at what is committed. Return NULL for "none". */
Connector *engine_find_connector(Engine *engine, const char *name);
Connector *engine_find_connector_by_id(Engine *engine, const char *id);
Connector *engine_next_connector(Engine *engine, const Connector *after); /* all, in no order; NULL begins */
const Run *engine_find_run(Engine *engine, const char *run_id);           /* active, or finished some minutes ago */
const Run *engine_next_run(Engine *engine, const Run *after);
Store *engine_store(Engine *engine); /* for reads */
const Settings *engine_settings(const Engine *engine) _pure_; /* until the next turn of the loop */

/* What connectors with the same Connection= share. */
typedef struct Connection {
        const char *name;
        const ConnectionDefinition *definition; /* NULL: it has no file, or it is not for this user to see */
        const ConnectionRecord *record;         /* NULL: not for this user to see */
        ConnectionState state;
        const char *reason;          /* why; NULL */
        usec_t since_usec;           /* 0: always */
        usec_t consent_expires_usec; /* USEC_INFINITY: never, or not known */
        bool has_part;               /* where there is a user: it is a part of what that user's connectors share */
} Connection;

static inline bool connection_is_reconnecting(const Connection *connection)
{
        return connection->record && connection->record->reconnect_begun_usec > 0 &&
               connection->record->reconnect_ended_usec == 0;
}

/* Return: 0; -ENOLINK (neither a file nor a connector names it). What @ret points to is borrowed until the next turn
 * of the loop. */
int engine_find_connection(Engine *engine, const char *name, Connection *ret) _must_check_;
/* The same for a user: of a connection that others have a part in, only what the user's own connectors say, and
 * -ENOLINK where there are none. @user_id NULL: everything. */
int engine_find_connection_of(Engine *engine, const char *name, const char *user_id, Connection *ret) _must_check_;
/* All names, in no order: NULL begins and ends. */
const char *engine_next_connection(Engine *engine, const char *after);
/* Its connectors, in no order: NULL begins and ends. */
Connector *engine_next_of_connection(Engine *engine, const char *name, const Connector *after);

/* ---- Asking. Each takes a callback that is called exactly once, never before the function returned 0.
 * A negative return is a refusal at once (see base/refusal.c), and the callback is not called. */

typedef void (*EngineReply)(int error, void *userdata);

typedef struct StartOptions {
        bool full_resync;
        RunTrigger trigger;       /* manual or remote */
        const char *requested_by; /* "uid:1000" */
        const char *reason;
        char *const *accounts; /* only these, as a wish to the connector; NULL: all */
        const char *user_id;   /* for whom alone: another's active run is as a full queue; NULL: anybody */
        bool from_start;       /* not left to an active run whose worker has begun: that may be past it */
} StartOptions;

typedef struct StartReply {
        char run_id[RUN_ID_MAX + 1];
        bool already_active;
        bool full_resync;         /* the run is one, asked for or owed */
        bool follow_up_pending;   /* the active run does not do what was asked for: that becomes the next run */
        bool full_resync_pending; /* and that is a full resync */
        bool full_resync_owed;    /* of other accounts, which the run does not resync */
} StartReply;
typedef void (*EngineStartReply)(int error, const StartReply *reply, void *userdata);

/* Refusals: -ENXIO, -EHOSTDOWN (inactive), -ENOEXEC (bad setting), -EOPNOTSUPP (no ExecPull=: its runs are reported
 * from outside), -ENOBUFS (queue full), -E2BIG (more than ACCOUNTS_PER_RUN_MAX accounts, or
 * ACCOUNTS_BYTES_MAX of them), -EROFS, -ENOMEM. */
int engine_start_run(Engine *engine, const char *connector, const StartOptions *options, EngineStartReply reply,
                     void *userdata) _must_check_;

/* Replies when the cancellation is recorded; the run ends soon after. Refusals: -ESRCH, -EALREADY (has ended, or its
 * end is recorded), -EOPNOTSUPP (runs elsewhere), -EROFS, -ENOBUFS, -ENOMEM. */
int engine_cancel_run(Engine *engine, const char *run_id, const char *requested_by, EngineReply reply,
                      void *userdata) _must_check_;

int engine_set_active(Engine *engine, const char *connector, bool active, EngineReply reply,
                      void *userdata) _must_check_;

/* A run that a reconnection has begun, or one that was active then, and that another one follows unless it goes well;
 * "": there is no room in the queue, or the connector may not run now, and a run is owed. */
typedef struct ReconnectedRun {
        const char *connector; /* borrowed */
        char run_id[UUID_TEXT_MAX];
        bool already_active;
} ReconnectedRun;
typedef struct ReconnectReply {
        bool reconnecting; /* a program runs; what follows, follows when it has ended */
        size_t n_runs;
        const ReconnectedRun *runs;
} ReconnectReply;
typedef void (*EngineReconnectReply)(int error, const ReconnectReply *reply, void *userdata);

typedef struct ReconnectWish {
        const char *user_id; /* only this user's connectors, and -ENOLINK where there are none; NULL: everybody's */
        const char *requested_by;
        bool done;                   /* by a person: no program is to run */
        usec_t consent_expires_usec; /* with @done: when the new consent ends; 0: as known before */
} ReconnectWish;

/* Runs ExecReconnect= of the connection, where there is one and it is not done yet: it runs on, and the reply says so;
 * one that runs already is joined. Else, and when the program has succeeded, the connection is active, and every
 * connector of it whose attention, or active run, says that the connection is lost or a consent missing runs once;
 * after the active run, where there is one that has begun, unless that goes well, and where the queue is full, or it
 * may not run now, when it can. Refusals: -ENOLINK, -EINVAL (the new consent has ended already), -ENOEXEC (the
 * connection's file is bad), -EACCES (the program is not this user's alone), -EROFS, -ENOBUFS, -ENOMEM. */
int engine_reconnect(Engine *engine, const char *connection, const ReconnectWish *wish, EngineReconnectReply reply,
                     void *userdata) _must_check_;

/* Stops the program; connection_reconnected() follows. Refusals: -ENOLINK, -EALREADY (none runs), -EROFS, -ENOBUFS,
 * -ENOMEM. @user_id as above. */
int engine_cancel_reconnect(Engine *engine, const char *connection, const char *user_id, EngineReply reply,
                            void *userdata) _must_check_;

typedef struct WithdrawWish {
        const char *user_id; /* as of ReconnectWish; a connection that others have a part in is refused with -EACCES */
        const char *requested_by;
        bool delete_items; /* of all its connectors, where the items are ours (Type=sqlite and webhook) */
} WithdrawWish;

/* The consent is withdrawn: active runs are cancelled, and its connectors are inactive until somebody reconnects it.
 * Items are deleted when nothing runs any more: it is remembered until it is done, and until then the connector does
 * not run. The reply means that all that is recorded. Refusals: -ENOLINK, -EACCES, -EROFS, -ENOBUFS, -ENOMEM. */
int engine_withdraw_consent(Engine *engine, const char *connection, const WithdrawWish *wish, EngineReply reply,
                            void *userdata) _must_check_;

/* Events of syncs that run elsewhere, all or none. Refusals: -ESTALE (after the end), -EINVAL (@ret_why says what does
 * not fit the run that is known), -ENOBUFS (Settings.max_open_runs), -E2BIG (REPORT_EVENTS_MAX; with @ret_why
 * Settings.max_users), -EROFS, -ENOMEM. */
int engine_report_outside(Engine *engine, const OutsideEvent *events, size_t n, const char *requested_by,
                          EngineReply reply, void *userdata, char **ret_why) _must_check_;

/* Read all connector files anew; @settings replaces the settings (borrowed, as before) unless this fails. While the
 * history cannot be written, files are read as soon as it can be again, and engine_sync() refuses until then. Return:
 * 0; negative errno of reading. Context: blocks for reading files. */
int engine_reload(Engine *engine, const Settings *settings) _must_check_;

/* Replies when all that was done before is committed and can be seen: what engine_start() or engine_reload() loaded,
 * too. Refusals: -EROFS, -ENOBUFS, -ENOMEM. */
int engine_sync(Engine *engine, EngineReply reply, void *userdata) _must_check_;

/* The clock was set or the time zone changed: all schedules are computed anew. */
void engine_clock_changed(Engine *engine);

/* ---- The worker's side. The caller has been verified by engine_verify_worker(). */

int engine_verify_worker(Engine *engine, const char *connector, uid_t uid, pid_t pid, EngineReply reply,
                         void *userdata) _must_check_;

typedef struct AttachReply {
        const Run *run;
        uint64_t sequence; /* last recorded call */
        const Conf *settings;
        const WebhookRules *rules; /* of requests to the destination; NULL: it is sent none */
        const char *cursor; /* "" for none, also for a full resync */
} AttachReply;
typedef void (*EngineAttachReply)(int error, const AttachReply *reply, void *userdata);

/* Each: -ESRCH (no such run), -EALREADY (has ended, and this call was not recorded), -EROFS, -ENOBUFS, -ENOMEM. A
 * sequence number that was recorded already is answered with success and changes nothing, also after the end; one that
 * leaves a gap is fine. */
int engine_worker_attach(Engine *engine, const char *connector, EngineAttachReply reply, void *userdata) _must_check_;
int engine_worker_report(Engine *engine, const char *connector, const char *run_id, uint64_t sequence,
                         const RunReport *report, EngineReply reply, void *userdata) _must_check_;
/* -E2BIG: CURSOR_MAX. */
int engine_worker_save_cursor(Engine *engine, const char *connector, const char *run_id, uint64_t sequence,
                              const char *cursor, EngineReply reply, void *userdata) _must_check_;
/* -EINVAL: @report has no outcome. */
int engine_worker_finish(Engine *engine, const char *connector, const char *run_id, uint64_t sequence,
                         const RunReport *report, EngineReply reply, void *userdata) _must_check_;
/* What came of requests to the destination. */
int engine_worker_report_deliveries(Engine *engine, const char *connector, const char *run_id, uint64_t sequence,
                                    const DeliveryAttempt *attempts, size_t n, EngineReply reply,
                                    void *userdata) _must_check_;
/* Exact counts of a run of this connector whose worker died, found in the destination. One that said itself how it
 * went keeps what it said. */
int engine_worker_settle(Engine *engine, const char *connector, const char *run_id, const RunReport *report,
                         EngineReply reply, void *userdata) _must_check_;
