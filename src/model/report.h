/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a worker says over org.syncrun1.Worker Report() and Finish(), as JSON both ways. Counts are cumulative: a
 * report that is repeated or comes late changes nothing. Written by the worker, read (and not trusted) by the
 * daemon. */

#include "model/run.h"

#define REPORT_JSON_MAX (4 * MIB) /* bytes of one report */

typedef struct RunReport {
        SyncStage stage;             /* _SYNC_STAGE_INVALID: as before; a worker says fetching, processing or saving */
        char *message;               /* NULL: as before */
        uint64_t items_processed;    /* COUNT_UNKNOWN: as before */
        uint64_t items_total;        /* COUNT_UNKNOWN: as before */
        Counts counts;               /* of the whole run; discovered COUNT_UNKNOWN: as before, all four */
        Account *accounts;           /* those that changed since the last recorded report */
        size_t n_accounts;
        AttentionCategory attention; /* _ATTENTION_INVALID: none */
        char *attention_message;
        char *metadata;              /* a JSON object as text; NULL: as before */

        /* Finish() only */
        RunOutcome outcome;          /* _RUN_OUTCOME_INVALID in Report() */
        char *error;                 /* provider's words; NULL */
        bool retry;                  /* failed for a reason that may pass by itself */
        usec_t retry_at_usec;        /* CLOCK_REALTIME, not before (quota_reset); 0: by the backoff */
        uint64_t cpu_usec;           /* of the pipeline, by getrusage; COUNT_UNKNOWN */
        uint64_t memory_peak_bytes;  /* of its largest process; COUNT_UNKNOWN */
        uint64_t n_bad_lines;        /* that could not be used */
        bool read_anew;              /* without the saved cursor: the destination lacked what that covers */
        bool destination_failed;     /* it did not take what it was sent */
} RunReport;

#define RUN_REPORT_INIT                                                                                              \
        {                                                                                                            \
                .stage = _SYNC_STAGE_INVALID, .items_processed = COUNT_UNKNOWN, .items_total = COUNT_UNKNOWN,        \
                .counts.discovered = COUNT_UNKNOWN, .attention = _ATTENTION_INVALID,                                 \
                .outcome = _RUN_OUTCOME_INVALID, .cpu_usec = COUNT_UNKNOWN, .memory_peak_bytes = COUNT_UNKNOWN       \
        }

void run_report_done(RunReport *report);
#define _cleanup_run_report_ _cleanup_(run_report_done)

/* Append the report's JSON to @out. Out of memory is remembered by the buffer. */
void run_report_write(const RunReport *report, Buffer *out);

/**
 * run_report_parse() - read and check what a worker sent
 * @ret: set on success only; closed by run_report_done()
 *
 * Texts over their limits are cut, accounts past ACCOUNTS_PER_RUN_MAX left out; of a number that is no count
 * (negative, a fraction, more than COUNT_MAX) the nearest one is taken; a wrong type or unknown word refuses the
 * whole.
 *
 * Return: 0; -EBADMSG (not a JSON object, or a member of the wrong type or word); -E2BIG (REPORT_JSON_MAX,
 * METADATA_JSON_MAX, METADATA_DEPTH_MAX); -ENOMEM.
 */
int run_report_parse(const char *json, size_t n, RunReport *ret) _must_check_;
