/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What workers ask and say: engine_worker_...() of engine.h, in worker-calls.c and worker-finish.c. */

#include "engine/engine-internal.h"

/* A question to the launcher that somebody waits for. */
struct PendingCall {
        Engine *engine;
        bool answered;         /* nobody waits any more but the launcher's answer, which frees it */
        EngineRun *run;        /* Finish(): whose; NULL for verify */
        struct Reply *replies; /* all who wait for the answer */
        RunReport end;         /* Finish(): what is needed of its report */
        uint64_t sequence;
        PendingCall *prev, *next;
};

typedef enum ReportNews {
        REPORT_NEWS_PROGRESS = 1 << 0,
        REPORT_NEWS_STAGE = 1 << 1,
} ReportNews;

/**
 * worker_calls_take() - find the run and see whether the call is new
 * @ret_run: set to NULL where the call was recorded already, and is only to be answered
 *
 * Return: 0; -ESRCH; -EALREADY (the run has ended, and this was not recorded); -EINVAL (a sequence number above
 * INT64_MAX); errno of reading.
 */
int worker_calls_take(Engine *engine, const char *connector, const char *run_id, uint64_t sequence,
                      EngineRun **ret_run) _must_check_;

/* A report into the working copy. Return: 0; -ENOMEM. */
int worker_calls_apply(EngineRun *r, const RunReport *report, ReportNews *ret_news) _must_check_;

/* The accounts that a report names go to the store; after the run itself. Return: 0; -ENOMEM; -EROFS. */
int worker_calls_put_accounts(EngineRun *r, const RunReport *report) _must_check_;

/* The worker has ended before the launcher said what it used: what Finish() said is recorded without. @shutdown: it
 * was stopped because the machine goes down. */
void worker_calls_finish_now(EngineRun *r, bool shutdown);

/* All who wait for the launcher are refused with @error; its answers find nobody. */
void worker_calls_refuse(Engine *engine, int error);

/* The launcher is gone. */
void worker_calls_free(Engine *engine);
