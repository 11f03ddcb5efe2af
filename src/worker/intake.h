/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the lines of a run add up to: each is read, handed to the destination where it is data, and remembered where it
 * says how the run goes. How the run ends is for outcome.c, when all this is told for reporter.c. */

#include "worker/batch.h"
#include "worker/cursor.h"
#include "worker/destination.h"
#include "worker/state-trail.h"

typedef enum FailureType {
        FAILURE_SYSTEM_ERROR,
        FAILURE_CONFIG_ERROR,
        FAILURE_TRANSIENT_ERROR,
        _FAILURE_TYPE_MAX,
        _FAILURE_TYPE_INVALID = -EINVAL,
} FailureType;
DECLARE_STRING_TABLE(failure_type, FailureType);

/* Changes of stage that wait to be told one by one; of a connector that makes more, the older ones are forgotten. */
#define STAGES_UNTOLD_MAX 4U

typedef struct Intake {
        /* Borrowed */
        Destination *destination;
        LogRelay *relay;
        const char *connector;

        Ledger ledger;
        Streams streams;
        Cursor seen;       /* by all STATE messages so far */
        Cursor returned;   /* by those that the destination gave back, where it does */
        bool seen_changed; /* since intake_take_cursor() */
        bool returned_changed;
        bool has_returned; /* it gave one back: then it has stored no more than that says */
        StateTrail trail;  /* what it was given, where it does */
        bool cursor_refused; /* a state was too large: the run cannot go on from where it is */
        char *before_bad;    /* the cursor as the first bad line found it; NULL */
        bool before_bad_unsaved;

        uint64_t n_lines; /* not blank */
        uint64_t n_bad;
        bool misses_items; /* a bad line may have been an item of any stream */
        uint64_t n_unknown; /* types */
        uint64_t n_by_type[_MESSAGE_TYPE_MAX];
        char *first_bad; /* what was wrong with the first bad line, with its number */

        SyncStage stage;
        SyncStage untold[STAGES_UNTOLD_MAX]; /* changes that the reporter has not told yet, in their order; stage is
                                                the last */
        size_t n_untold;
        char *message;
        uint64_t processed;     /* COUNT_UNKNOWN */
        uint64_t total;         /* COUNT_UNKNOWN */
        uint64_t estimate_sync; /* TRACE ESTIMATE of the whole; COUNT_UNKNOWN */

        AttentionCategory attention;
        char *attention_message;
        char *trace_error;   /* TRACE ERROR that is not about one stream, or CONNECTION_STATUS FAILED */
        char *stream_error;  /* the last TRACE ERROR about a stream */
        FailureType failure; /* of the newest of both */
        char *fatal;         /* LOG FATAL, or the last LOG ERROR before any */
        bool fatal_seen;
        usec_t retry_at_usec; /* STREAM_STATUS with RATE_LIMITED that names no stream; 0 */

        JsonSlice new_config; /* of a CONTROL message; the caller resets it */
        Batch *batch;         /* its lines come before any other: intake_take_batch(); NULL */
        Stream *batch_stream;

        Buffer account_raw; /* of the record before, and its row */
        LedgerAccount *account;
        Buffer text;
        JsonIndex index;
} Intake;

/**
 * intake_init() - nothing has come yet
 * @key_properties: KeyProperties=; borrowed
 *
 * Return: 0; -ENOMEM.
 */
int intake_init(Intake *intake, const char *connector, char *const *key_properties) _must_check_;
void intake_done(Intake *intake);

/**
 * intake_line() - take one line of the pipeline's output
 * @line: without newline; blank lines are nothing
 *
 * Return: 0, also for bad lines, which are counted and logged; negative errno: the run cannot go on
 * (destination->error says why where the destination is the reason).
 */
int intake_line(Intake *intake, JsonSlice line) _must_check_;

/** intake_bad_line() - count a line that could not be taken, and log its beginning */
void intake_bad_line(Intake *intake, JsonSlice head, const char *why);

/* ---- intake-version.c: what is gone at the provider, and what only seems to be */

/** intake_miss_items() - a bad line may have been an item of this stream, or (NULL) of any */
void intake_miss_items(Intake *intake, Stream *stream);

/** intake_miss_items_of() - a message could not be taken: its stream may miss an item */
void intake_miss_items_of(Intake *intake, const Message *message);

/** intake_activate_version() - ACTIVATE_VERSION: put off where the stream may miss items. Return: as intake_line(). */
int intake_activate_version(Intake *intake, Stream *stream, int64_t version, JsonSlice line) _must_check_;

/** intake_begin_batch() - read the files of a BATCH message from now on. Return: 0; negative errno: the run cannot go
 * on */
int intake_begin_batch(Intake *intake, const Message *message) _must_check_;

/**
 * intake_take_batch() - take the next line of intake->batch, which is NULL when there are no more
 * @ret_bytes: size of the line; set where the return value is 1
 *
 * Context: blocks for the disk.
 * Return: 1; 0 (that was all); negative errno: the run cannot go on (destination->error says why).
 */
int intake_take_batch(Intake *intake, size_t *ret_bytes) _must_check_;

/** intake_returned_state() - a line that the destination has printed: a STATE message that it gives back, or only the
 * value of one that it was given; others are nothing. Return: 0; -E2BIG; -ENOMEM. */
int intake_returned_state(Intake *intake, JsonSlice line) _must_check_;

/** intake_told_counts() - what a destination program says of the records. Return: 0; -ENOMEM. */
int intake_told_counts(Intake *intake, const Message *message) _must_check_;

typedef enum CursorScope {
        CURSOR_ALL_DURABLE = 1 << 0,    /* everything that came is, also where a destination confirms nothing at all */
        CURSOR_OVER_BAD_LINES = 1 << 1, /* the run has ended, and its bad lines are put up with */
} CursorScope;

/**
 * intake_take_cursor() - the cursor to save, if it has changed since the last call
 * @scope: without CURSOR_OVER_BAD_LINES, no state counts that came after a bad line: what that line should have said
 *         would never be asked for again
 * @ret: set to its text where the return value is 1; caller frees
 *
 * Return: 1; 0 (nothing new); -ENOMEM.
 */
int intake_take_cursor(Intake *intake, CursorScope scope, char **ret) _must_check_;

/** intake_total() - items expected: what PROGRESS said, else the sum of the estimates; COUNT_UNKNOWN */
uint64_t intake_total(const Intake *intake);

/** intake_incomplete() - how many streams were left incomplete; @ret_name: one of them, borrowed, may be NULL */
size_t intake_incomplete(const Intake *intake, const char **ret_name);

/** intake_retry_at() - when the provider takes more of what is not complete, CLOCK_REALTIME; 0: it did not say */
usec_t intake_retry_at(const Intake *intake);

/** intake_set_stage() - the stage that the worker itself knows of */
void intake_set_stage(Intake *intake, SyncStage stage);

/** intake_take_stage() - the next stage to tell; _SYNC_STAGE_INVALID if all are told */
SyncStage intake_take_stage(Intake *intake);
