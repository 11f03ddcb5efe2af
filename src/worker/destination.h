/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where a run's records go. One file for each Type=: destination-sqlite.c keeps items itself, destination-webhook.c
 * sends them on besides, destination-exec.c hands lines to a program; another kind is another DestinationOps and a
 * line in ops_of(). Which message is a record, and what the run makes of errors, is not decided here. */

#include <systemd/sd-event.h>

#include "model/connector.h"
#include "model/delivery.h"
#include "model/settings.h"
#include "worker/ledger.h"
#include "worker/log-relay.h"
#include "worker/stream.h"

/* What a destination needs to know of the run. All borrowed, for as long as the destination lives. */
typedef struct DestinationContext {
        DestinationType type;
        const char *connector; /* whose; NULL for `--settle` */
        const char *run_id;
        bool full_resync;              /* every record is stored again, also where its content is known */
        const char *covered;           /* digest of the cursor that the run goes on from; NULL or "": none */
        const char *path;              /* Path=, specifiers expanded; NULL for types without */
        const char *working_directory; /* of the command; NULL */
        char *const *command;          /* ExecStore=, specifiers expanded; NULL for other types */
        char *const *environment;      /* of that command */
        const WebhookRules *rules; /* of requests; NULL for types that make none */
        const char *url;
        const char *secret_file;   /* specifiers expanded; NULL: requests are not signed */
        const char *header_prefix;
        const char *event_type;
        Ledger *ledger;
        Streams *streams;
        LogRelay *relay; /* for that command's stderr */
        sd_event *event; /* NULL for `--settle` */
} DestinationContext;

/* One record, as the pipeline said it. */
typedef struct DestinationRecord {
        Stream *stream;
        LedgerAccount *account;
        const Message *message;
        const JsonIndex *index;
} DestinationRecord;

/* Called from the loop, only by destinations that work on their own. */
typedef struct DestinationCallbacks {
        /* There is room again after destination_is_full(). */
        void (*drained)(void *userdata);
        /* All before this state is stored: a line with a message, or with a value alone, if it is that of a state at
         * all. The slice is gone after the call. */
        void (*state)(JsonSlice line, void *userdata);
        /* Counts of what became of the records: a PROGRESS message. */
        void (*counts)(const Message *message, void *userdata);
        /* A request has ended. @attempt: borrowed. */
        void (*attempted)(const DeliveryAttempt *attempt, void *userdata);
        /* It has ended: @r 0 after destination_finish(), or negative with destination->error, at any time. */
        void (*ended)(int r, void *userdata);
        void *userdata;
} DestinationCallbacks;

typedef struct Destination Destination;

typedef struct DestinationOps {
        DestinationType type;
        bool returns_states; /* destination_line() forwards states, and the state callback says which are durable */
        size_t size;         /* of the struct that begins with Destination */
        int (*open)(Destination *destination);
        int (*schema)(Destination *destination, Stream *stream);
        JsonSlice (*expected)(Destination *destination);
        int (*record)(Destination *destination, const DestinationRecord *record);
        int (*activate_version)(Destination *destination, Stream *stream, int64_t version);
        int (*work)(Destination *destination);
        int (*line)(Destination *destination, JsonSlice line);
        bool (*is_full)(const Destination *destination);
        int (*cover)(Destination *destination, const char *digests);
        int (*commit)(Destination *destination);
        int (*finish)(Destination *destination);
        void (*cancel)(Destination *destination);
        int (*settled)(Destination *destination, const char *run_id);
        int (*next_unsettled)(Destination *destination, char **ret_run_id, Ledger *ret_ledger);
        int (*next_attempts)(Destination *destination, char **ret_run_id, char **ret_json);
        int (*attempts_told)(Destination *destination, const char *run_id);
        void (*done)(Destination *destination);
} DestinationOps;

struct Destination {
        const DestinationOps *ops;
        DestinationContext context;
        DestinationCallbacks callbacks;
        char *error;                /* what went wrong, for a person; NULL */
        AttentionCategory category; /* what the person mends; _ATTENTION_INVALID */
        bool undelivered;           /* it failed because the other end did not take what it was sent */
        usec_t retry_at_usec;       /* when the other end wants to be asked again, CLOCK_REALTIME; 0: it did not say */
};

extern const DestinationOps destination_sqlite_ops;
extern const DestinationOps destination_exec_ops;
extern const DestinationOps destination_webhook_ops;

/**
 * destination_open() - make it ready for records
 * @ret: set also on failure if it is not -ENOMEM, for its words; caller frees
 *
 * Return: 0; -EOPNOTSUPP (no such type in this program); -ENOMEM; another errno, with ret->error.
 */
int destination_open(const DestinationContext *context, const DestinationCallbacks *callbacks,
                     Destination **ret) _must_check_;

Destination *destination_free(Destination *destination);
DEFINE_TRIVIAL_CLEANUP_FUNC(Destination *, destination_free);

/* What follows returns 0; -EBADMSG if the record or message cannot be taken (destination->error says why; the run goes
 * on); any other errno ends the run. Operations that a type has no use for do nothing. */

/** destination_schema() - the stream's keys have been set or have changed */
int destination_schema(Destination *destination, Stream *stream) _must_check_;

/**
 * destination_expected() - what the next record may well be: one that is stored already
 *
 * Return: the bytes of an object, borrowed until the next call on the destination; empty: no idea.
 */
JsonSlice destination_expected(Destination *destination);

/** destination_record() - take a record, counting in the ledger what became of it; durable with the next commit */
int destination_record(Destination *destination, const DestinationRecord *record) _must_check_;

/** destination_activate_version() - records of the stream that have another version are gone at the provider.
 * destination_work() removes them; nothing else may be given to it before that is done. */
int destination_activate_version(Destination *destination, Stream *stream, int64_t version) _must_check_;

/** destination_work() - a step of what takes long. Return: 1 if there is more to do, after a commit; 0; negative
 * errno. Context: blocks for the disk, briefly. */
int destination_work(Destination *destination) _must_check_;

/** destination_line() - the line of any message, for destinations that want lines; called before the others */
int destination_line(Destination *destination, JsonSlice line) _must_check_;

/** destination_is_full() - stop giving it more until it has drained */
bool destination_is_full(const Destination *destination);

/** destination_cover() - note that all items of the cursors with these digests (see coverage_digest()) have been given
 * to it; durable with the next commit, and with those items */
int destination_cover(Destination *destination, const char *digests) _must_check_;

/** destination_commit() - make all so far durable, and the ledger with it. Context: blocks for the disk. */
int destination_commit(Destination *destination) _must_check_;

/**
 * destination_finish() - no more will come
 *
 * Return: 0: all is durable; 1: the ended callback will come; negative errno.
 */
int destination_finish(Destination *destination) _must_check_;

/** destination_cancel() - do not wait for the rest: the run was cancelled. The ended callback is not called any more.
 */
void destination_cancel(Destination *destination);

/** destination_settled() - the daemon has the counts of a run: forget them */
int destination_settled(Destination *destination, const char *run_id) _must_check_;

/**
 * destination_next_unsettled() - a run, other than this one, whose counts the daemon may not have
 * @ret_run_id: set on success only; caller frees
 * @ret_ledger: initialised; filled with the run's counts
 *
 * Return: 1 if there is one; 0 if not; negative errno.
 */
int destination_next_unsettled(Destination *destination, char **ret_run_id, Ledger *ret_ledger) _must_check_;

/**
 * destination_next_attempts() - requests of a run, other than this one, that the daemon may not know of
 * @ret_run_id: set on success only, as @ret_json; caller frees
 * @ret_json:   for ReportDeliveries()
 *
 * Return: 1 if there are some; 0 if not; negative errno.
 */
int destination_next_attempts(Destination *destination, char **ret_run_id, char **ret_json) _must_check_;

/** destination_attempts_told() - the daemon has those that destination_next_attempts() gave last */
int destination_attempts_told(Destination *destination, const char *run_id) _must_check_;

/* For the destinations: sets the words (formatted) and returns @r. */
int destination_error(Destination *destination, int r, const char *format, ...) _printf_(3, 4);
