/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The history: the only room that knows SQL. Writes are put into a queue on the loop and applied by a writer thread,
 * in order, many in one transaction (group commit): it commits at once when idle and gathers while a commit is in
 * flight. What is put without going back to the loop in between is committed as a whole. Reads go through a connection
 * of the loop's own and see what is committed. One Store owns the database file alone; others may read it.
 *
 * Context: every function here is for the event loop's thread. Only those that say so wait for the disk. */

#include <systemd/sd-event.h>

#include "model/api-key.h"
#include "model/changes.h"
#include "model/connection.h"
#include "model/event.h"
#include "model/run.h"
#include "model/schedule.h"
#include "model/view-redbark.h"
#include "model/view-repo.h"

typedef struct Store Store;

#define STORE_SCHEMA_VERSION 20

/* What the store tells its owner, on the loop. A callback may put and read, and not close the store. */
typedef struct StoreCallbacks {
        /* Everything up to and with @ticket is on disk. One call for all commits since the last call. */
        void (*committed)(uint64_t ticket, void *userdata);
        /* A commit failed: nothing of what is not yet committed will be, and committed() says nothing of those tickets
         * any more. Memory that ran ahead must be read anew after recovered(). Until then every store_put_...() is
         * refused with -EROFS. @error: -ENOSPC, -EFBIG, -EROFS, -EIO, -EBUSY (a foreign writer), -EUCLEAN, -ENOMEM;
         * -EIDRM: the file is not at its path any more, which is recovered from when it is back; -ESTALE: another file
         * is there, or the log is gone: there is no recovery, and only what was not yet committed is lost;
         * -EEXIST, -ENOENT and -EINVAL are a write that the schema refuses, a fault of the engine's. */
        void (*failed)(int error, void *userdata);
        /* Writing works again (tried by the store itself every few seconds). */
        void (*recovered)(void *userdata);
} StoreCallbacks;

typedef struct StoreOptions {
        const char *path;         /* database file; its folder exists */
        usec_t retry_usec;        /* after a failed commit, between tries; 0: STORE_RETRY_USEC */
        uint64_t log_limit_bytes; /* of the write-ahead log, while nobody else reads for long; 0: the usual */
} StoreOptions;
#define STORE_RETRY_USEC (5 * USEC_PER_SEC)

/* Writes that wait for their commit; further ones are refused with -ENOBUFS. As many connectors as there can be, with
 * their users, are put in one turn when a daemon sees them first. */
#define STORE_QUEUE_MAX 524288U

/**
 * store_open() - open or create the history, migrate it, check it after an unclean stop, start the writer
 * @callbacks: copied
 * @ret_why:   set on failure: a sentence that names the file and says what to do; freed by the caller; may be NULL
 * @ret:       set on success only; closed by store_close()
 *
 * Context: blocks for the disk.
 * Return: 0; -EPROTONOSUPPORT (made by a newer version: left untouched); -EUCLEAN (not a database of ours, or
 * damaged); -EBUSY (in use by another process); -EOPNOTSUPP (no local disk); -ENOENT (no folder); -ENOSPC, -EROFS,
 * -EACCES, -EIO; -ESTALE (replaced at this moment); -ENOMEM.
 */
int store_open(sd_event *event, const StoreOptions *options, const StoreCallbacks *callbacks, void *userdata,
               char **ret_why, Store **ret) _must_check_;

/* What store_open() would say of it: for damage that is found when the history is read. Return: the sentence, freed by
 * the caller; NULL when out of memory. */
char *store_refusal(const char *path, int error) _must_check_;

/* What failed() says, for people: "No space left on device". Never NULL; borrowed until the next call. */
const char *store_error_text(int error);

/* Commits what is queued (unless writing has failed), waits for it, closes. No callback is called any more. Context:
 * blocks. */
Store *store_close(Store *store);
DEFINE_TRIVIAL_CLEANUP_FUNC(Store *, store_close);

/* By which other processes see that something was committed. Borrowed. */
Changes *store_changes(Store *store) _pure_;

/* It was begun by this store_open(). */
bool store_is_new(const Store *store) _pure_;

/* Number of the last write that was put; compared with the ticket of committed(). */
uint64_t store_ticket(const Store *store) _pure_;

/**
 * store_abandon() - forget what was put since the loop was there last, and refuse more (-EROFS) until store_resume()
 *
 * For an owner that could not put all that belongs together: half of it is not to come to the disk. Tickets of what is
 * forgotten are given again.
 */
void store_abandon(Store *store);
void store_resume(Store *store);

/* Commits done and bytes of the write-ahead log, for the bench and for status. */
typedef struct StoreStatistics {
        uint64_t commits;
        uint64_t writes;
        uint64_t wal_bytes;
        usec_t last_commit_usec; /* how long the last commit took */
        uint64_t n_waiting;      /* writes that are not committed yet */
        uint64_t messages_lost;  /* of webhooks: deleted by retention before they were sent, for each endpoint */
} StoreStatistics;
void store_statistics(const Store *store, StoreStatistics *ret);

/* ---- Connectors: what happened to them. Their definitions are files. */

/* A run that is wanted after the active one. */
typedef struct FollowUp {
        bool wanted;
        RunTrigger trigger;
        char *requested_by;
        char *reason;
        char *accounts; /* as Run.only_accounts */
} FollowUp;

typedef struct ConnectorRecord {
        char *name;
        char *id;                    /* UUID, given at first sight of the name and kept */
        char *user_id;               /* whose all below is: another user begins anew; NULL: nobody's */
        usec_t first_seen_usec;
        int active_override;         /* SetActive(): 1 yes, 0 no, -1 as the file says */
        usec_t last_elapse_usec;     /* see SchedulePast */
        usec_t last_finished_usec;
        char *last_run_id;
        RunOutcome last_outcome;
        unsigned consecutive_failures; /* of the account that has failed most often in a row */
        char *failing_accounts; /* how often each has, as engine/failure-rows.c writes it; NULL: all as often */
        unsigned destination_failures; /* runs in a row whose destination did not take what it was sent */
        bool disabled_by_service;      /* active_override was set for that: SetActive() clears it */
        usec_t retry_at_usec;        /* 0: no retry is due */
        bool retry_is_absolute;      /* it is the provider's word, which no step of our clock moves */
        unsigned retry_attempt;      /* number of the attempt that retry_at_usec is for */
        char *retry_of;              /* id of the first attempt */
        char *retry_accounts;        /* of which accounts it is, as Run.only_accounts */
        /* Of a run whose outcome is recorded while its worker has not ended yet, see RunEnd. */
        AttentionCategory lasting;
        bool lost_with_machine;
        FollowUp follow_up;          /* Overlap=queue, a reconnection */
        FollowUp resync;             /* a full one that was asked for: goes first */
        /* A full resync of these accounts (NULL: all) did not end well, or was not done: a run of no others is one. */
        bool owes_resync;
        char *owed_accounts;
        /* A full resync has discarded the cursor and is owed still: the cursor that is there by now is its own, and
         * the full resync that comes goes on with it. */
        bool resyncing;
        /* The next time of a schedule with a random delay, so that a restart neither loses nor repeats it; elapse 0:
         * none. */
        ScheduleNext planned;
        bool deleting;               /* its items are to be deleted; until they are, it does not run */
        Attention attention;
} ConnectorRecord;

#define CONNECTOR_RECORD_INIT                                                                                        \
        {                                                                                                            \
                .active_override = -1, .last_outcome = _RUN_OUTCOME_INVALID,                                         \
                .follow_up.trigger = _RUN_TRIGGER_INVALID, .resync.trigger = _RUN_TRIGGER_INVALID,                    \
                .lasting = _ATTENTION_INVALID, .attention.category = _ATTENTION_INVALID                              \
        }

void connector_record_done(ConnectorRecord *record);
int connector_record_copy(const ConnectorRecord *record, ConnectorRecord *ret) _must_check_; /* 0 or -ENOMEM */

/* What every store_put_...() may return: 0; -EROFS (after failed()); -ENOBUFS (STORE_QUEUE_MAX); -EINVAL; -ENOMEM. */

int store_put_connector(Store *store, const ConnectorRecord *record)
                _must_check_; /* insert; of a known name: all but id, first_seen_usec */

/* All of them, by name. Context: blocks for reading. The array is freed by connector_records_free(). */
int store_load_connectors(Store *store, ConnectorRecord **ret, size_t *ret_n) _must_check_;
void connector_records_free(ConnectorRecord *records, size_t n);

/* The saved cursor, one JSON text a connector, CURSOR_MAX bytes at most (-E2BIG). NULL deletes. The connector was put
 * before. */
#define CURSOR_MAX (4 * MIB)
int store_put_cursor(Store *store, const char *connector, const char *cursor) _must_check_;
/* Return: 1 and the text (caller frees); 0 there is none; negative errno. */
int store_get_cursor(Store *store, const char *connector, char **ret) _must_check_;

/* ---- Connections: what happened to them. Their definitions are files, or only names in those of connectors. */

typedef struct ConnectionRecord {
        char *name;
        ConnectionState state; /* as runs and people said last; never CONNECTION_EXPIRING */
        ConnectionState shown; /* with what the consent's end makes of it, as it was told last */
        char *reason;          /* of @state; NULL */
        usec_t since_usec;     /* of @state; 0: always */
        char *run_id;          /* that said so; NULL: a person did */
        usec_t consent_expires_usec; /* as the last reconnection said; 0: it said nothing */
        usec_t reconnected_usec;     /* a consent's end before this is that of another; 0: never */
        usec_t renewed_usec;         /* was of use again, by whatever: runs that began before do not count; 0: never */
        bool withdrawn;              /* by WithdrawConsent(): its connectors are inactive */

        /* A Reconnect() that runs a program, or the last that did. */
        usec_t reconnect_begun_usec; /* 0: never */
        usec_t reconnect_ended_usec; /* 0: it runs, or never did */
        char *reconnect_requested_by;
        ReconnectResult reconnect_result; /* _RECONNECT_RESULT_INVALID until it has ended */
        char *reconnect_message;          /* what the program said last, or why it failed; NULL */
} ConnectionRecord;

#define CONNECTION_RECORD_INIT                                                                                       \
        {                                                                                                            \
                .reconnect_result = _RECONNECT_RESULT_INVALID                                                        \
        }

void connection_record_done(ConnectionRecord *record);
int connection_record_copy(const ConnectionRecord *record, ConnectionRecord *ret) _must_check_; /* 0; -ENOMEM */

int store_put_connection(Store *store, const ConnectionRecord *record) _must_check_; /* insert or replace */

/* As store_load_connectors(). */
int store_load_connections(Store *store, ConnectionRecord **ret, size_t *ret_n) _must_check_;
void connection_records_free(ConnectionRecord *records, size_t n);

/* ---- Runs */

/* Insert (with the user and the connector, where they are new), or update everything but identity: what stands before
 * state in Run, but for primary_user_id. Accounts are written only when told to, all of them or (store_put_account)
 * one. A second active run of a connector breaks the partial unique index: the commit fails; the engine never does
 * that. */
int store_put_run(Store *store, const Run *run, bool with_accounts) _must_check_;

/* The same without accounts, of a copy that is shared by run_share(): it is not changed any more. */
int store_put_snapshot(Store *store, Run *snapshot) _must_check_;
int store_put_account(Store *store, const char *run_id, const Account *account) _must_check_;

/* Insert, or update the counts alone; status and end only of one that is still running. */
int store_correct_account(Store *store, const char *run_id, const Account *account) _must_check_;

/* Return: 0; -ESRCH (no such run); negative errno. Context: blocks for an indexed read. */
int store_get_run(Store *store, const char *run_id, bool with_accounts, Run **ret) _must_check_;

/* Runs that are not finished, with accounts, oldest first: for reconciliation. Freed by runs_free(). */
int store_load_active_runs(Store *store, Run ***ret, size_t *ret_n) _must_check_;
void runs_free(Run **runs, size_t n);

typedef struct RunFilter {
        const char *connector;    /* name; NULL: any */
        const char *connector_id; /* UUID; NULL: any */
        const char *user_id;
        const char *provider;
        RunSource source;         /* _RUN_SOURCE_INVALID: any */
        RunOutcome outcome;       /* _RUN_OUTCOME_INVALID: any */
        RepoStatus status;        /* _REPO_STATUS_INVALID: any */
        int active;               /* 1 active only, 0 finished only, -1 any */
        usec_t since_usec;        /* created at or after; 0: any */
        usec_t until_usec;        /* created before; 0: any */
        bool with_accounts;
        bool brief;               /* only what lists in the documents' words show; all else is unset */
        unsigned limit;           /* 1..RUNS_PAGE_MAX */
        const char *page;         /* what the page before gave as ret_next; NULL: the newest */
} RunFilter;
#define RUN_FILTER_INIT                                                                                              \
        {                                                                                                            \
                .source = _RUN_SOURCE_INVALID, .outcome = _RUN_OUTCOME_INVALID, .status = _REPO_STATUS_INVALID,      \
                .active = -1, .limit = 50                                                                            \
        }
#define RUNS_PAGE_MAX 10000U

/* Rows that one call looks at, so that none keeps the loop for long, whatever it asks for; accounts, where they are
 * wanted, count too, some of them as one. A page that comes to it is short, and ret_next is set. */
#define RUNS_EXAMINED_MAX 2000U

/**
 * store_list_runs() - newest first, by keyset: as fast at ten million runs as at ten thousand
 * @ret_next: opaque text for the next page, NULL at the end; freed by the caller; may be NULL
 *
 * Return: 0; -EINVAL (limit, page); negative errno. Context: blocks for an indexed read.
 */
int store_list_runs(Store *store, const RunFilter *filter, Run ***ret, size_t *ret_n, char **ret_next) _must_check_;

/* The same in short, as with filter->brief and without accounts, for who keeps none: @run is there for the call. */
typedef void (*RunTold)(const Run *run, void *userdata);
int store_tell_runs(Store *store, const RunFilter *filter, RunTold told, void *userdata,
                    char **ret_next) _must_check_;

/* Adds its accounts to a run that was read without. Return: 0; negative errno. Context: blocks for an indexed read. */
int store_read_accounts(Store *store, Run *run) _must_check_;

/* A connector's runs in short, newest first, of one user or (NULL) of all: of one user, in the newest
 * RUNS_EXAMINED_MAX alone. Freed by redbark_marks_free(). Return: 0; negative errno. Context: as above. */
int store_list_marks(Store *store, const char *connector, const char *user_id, unsigned limit, RedbarkMark **ret,
                     size_t *ret_n) _must_check_;

typedef struct NewsFilter {
        const char *user_id;  /* NULL: any */
        const char *provider; /* NULL: any */
        const char *connector; /* its name, or as the newest event of a run from outside has it in its metadata */
        RunSource source;     /* _RUN_SOURCE_INVALID: any */
        SyncStatus status;    /* as the newest event says; _SYNC_STATUS_INVALID: any */
        usec_t since_usec;    /* whose newest event is not older */
        unsigned limit;       /* 1..RUNS_PAGE_MAX */
} NewsFilter;
/* Runs of the user, or of all, that one list looks at in an index, newest first, beside all that are active: beyond
 * them none is found. So one list takes milliseconds, and who asks for what is not there keeps nobody waiting. A run
 * from outside counts for NEWS_METADATA_COST where a connector is asked for. */
#define NEWS_EXAMINED_MAX  5000U
#define NEWS_METADATA_COST 10U
#define NEWS_FILTER_INIT { .source = _RUN_SOURCE_INVALID, .status = _SYNC_STATUS_INVALID, .limit = 50 }

/* @run: what its newest event says, there for the call. Return: whether there are to be more. */
typedef bool (*NewsTold)(const Run *run, void *userdata);

/**
 * store_tell_news() - runs, that with the newest event first; without accounts
 *
 * How many events a run has does not matter, nor whether they are kept.
 *
 * Return: 0; -EINVAL (limit); negative errno. Context: blocks for an indexed read.
 */
int store_tell_news(Store *store, const NewsFilter *filter, NewsTold told, void *userdata) _must_check_;

/* ---- Events */

/* @event's JSON is taken over on success. Its number is above every one before (-EINVAL). The run must have been put
 * before. */
int store_put_event(Store *store, const Run *run, Event *event) _must_check_;

/* Highest sequence number ever given, also of events that are gone; 0 at first. */
uint64_t store_last_seq(Store *store);

/* Which history this is: a number that it has from its beginning, and another has not. A copy has it, too. */
uint64_t store_history(const Store *store);

typedef struct StoredEvent {
        uint64_t seq;
        char *user_id; /* NULL */
        char *run_id;
        char *json;
} StoredEvent;

typedef struct EventFilter {
        const char *user_id;  /* NULL: any */
        const char *run_id;
        const char *connector;
        const char *provider;
        uint64_t after_seq;   /* only newer ones; 0: any */
        uint64_t before_seq;  /* only older ones; 0: any */
        usec_t since_usec;    /* timestamp at or after; 0: any */
        bool newest_first;
        bool of_newest_runs;  /* only with newest_first and without run_id: found as store_tell_news() finds runs of
                               * the provider and connector, however many others are newer; there is no next page */
        unsigned limit;       /* 1..EVENTS_PAGE_MAX */
        size_t limit_bytes;   /* of their JSON, but for one event in any case; 0: no limit */
} EventFilter;
#define EVENTS_PAGE_MAX 10000U

/* How far one call looks, so that none is slow: with connector and neither user_id nor run_id, through that many of
 * its newest runs; always, at that many events that lie between after_seq, before_seq and since_usec and belong to the
 * user_id, run_id or connector. A page that comes to it is short, and says where to go on. */
#define EVENTS_RUNS_MAX     500U
#define EVENTS_EXAMINED_MAX 5000U

typedef struct EventPage {
        StoredEvent *events;
        size_t n;
        uint64_t next;    /* go on after it (newest_first: before it); 0: nothing is left */
        uint64_t too_old; /* the highest of those that fit but for since_usec; 0: none */
} EventPage;

/* @ret: freed by event_page_done(). Return: 0; -EINVAL; negative errno. Context: blocks for an indexed read. */
int store_list_events(Store *store, const EventFilter *filter, EventPage *ret) _must_check_;
void event_page_done(EventPage *page);
#define _cleanup_event_page_ _cleanup_(event_page_done)

/* Lowest sequence number that is still kept, last + 1 where there is none: for readers that resume. */
int store_first_seq(Store *store, uint64_t *ret) _must_check_;

/* The lowest whose event is not older than that, whether older ones are gone already or not. Numbers go up with time
 * but where the clock was set back: a filter by time is needed besides. */
int store_first_seq_since(Store *store, usec_t since_usec, uint64_t *ret) _must_check_;

/* Whether events of this history have come to a number: one has it, or the next, or a later one was deleted. A number
 * that none of them has come to is that of another history, where numbers are not given in a row. Return: 1, 0;
 * negative errno. */
int store_has_given_seq(Store *store, uint64_t seq) _must_check_;

/* Of so many triples of user, provider and connector it is known which event was the last to be deleted. Beyond it the
 * oldest losses become everybody's: a reader may be told of one that it had no part in, never the other way round. */
#define LOST_EVENTS_MAX 50000U

/**
 * store_lost_seq() - the highest number of an event that is no longer to be had, of those that a reader would be given
 * @filter:    user_id, provider and connector (as events' metadata name it) are looked at; after_seq: the reader has
 *             had those
 * @first_seq: events below this one count as lost, too
 *
 * Return: 0; negative errno. @ret: 0 none; it may be one that the reader has had. Context: blocks for an indexed read
 * of at most EVENTS_EXAMINED_MAX events, and takes those beyond as lost.
 */
int store_lost_seq(Store *store, const EventFilter *filter, uint64_t first_seq, uint64_t *ret) _must_check_;

/* ---- Users: every UUID that a run, a connector or an API key named */

typedef struct UserRecord {
        char *id;
        usec_t first_seen_usec;
        uint64_t n_runs;       /* that are kept */
        usec_t last_run_usec;
} UserRecord;
int store_put_user(Store *store, const char *user_id, usec_t now_usec) _must_check_; /* known: nothing happens */
int store_user_exists(Store *store, const char *user_id); /* 1, 0 or negative errno */
int store_count_users(Store *store, uint64_t *ret) _must_check_;
#define USERS_PAGE_MAX 10000U
/* By id. @after_id: the last of the page before; NULL: from the first. Return: 0; -EINVAL (limit); negative errno. */
int store_list_users(Store *store, const char *after_id, unsigned limit, UserRecord **ret, size_t *ret_n) _must_check_;
void user_records_free(UserRecord *users, size_t n);

/* ---- API keys that hold */

int store_put_api_key(Store *store, const ApiKey *key) _must_check_; /* a new name and hash, and its user */
int store_put_api_key_use(Store *store, const char *name, usec_t last_used_usec) _must_check_; /* or nothing happens */
int store_delete_api_key(Store *store, const char *name) _must_check_;

/* All of them, by name. Context: blocks for reading. The array is freed by api_keys_free(). */
int store_load_api_keys(Store *store, ApiKey **ret, size_t *ret_n) _must_check_;

/* ---- Retention */

typedef struct RetentionPolicy {
        usec_t events_max_age_usec;            /* 0, here and below: no limit */
        unsigned events_max_per_user;          /* 0: no limit */
        usec_t runs_max_age_usec;              /* of all but the two kinds below */
        unsigned runs_max_per_connector;       /* of runs from outside: per user; 0: no limit */
        usec_t failed_runs_max_age_usec;       /* failed and partial */
        unsigned failed_runs_max_per_connector;
        usec_t skipped_runs_max_age_usec;
        unsigned skipped_runs_max_per_connector;
        usec_t webhook_messages_max_age_usec;  /* with their deliveries and attempts */
        unsigned webhook_messages_max;         /* the oldest go first, whether sent or not */
} RetentionPolicy;

/**
 * store_retain() - one small step of deleting what is past its time, queued behind everything else
 * @now_usec: CLOCK_REALTIME
 *
 * Never deleted: cursors, connectors, users, active runs, a connector's newest run and those that its record names. A
 * run goes with its events, however young, and events never keep it. Steps of tens of rows; the owner calls again
 * while there is more, when idle.
 */
int store_retain(Store *store, const RetentionPolicy *policy, usec_t now_usec) _must_check_;

/* True after a step that deleted as much as it could: there may be more. Set when its commit is announced. */
bool store_retain_more(const Store *store) _pure_;
