/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A connector's run from its beginning to the end of its worker: the moves of run_transition_is_legal(), what the
 * launcher tells, time limits, cancellation. How it ends, and what follows from that, is run-end.h's. */

#include "engine/engine-internal.h"

/* What a new run is made of. All strings are borrowed. */
typedef struct RunRequest {
        RunTrigger trigger;
        bool full_resync;
        const char *requested_by;
        const char *reason;
        const char *only_accounts; /* a JSON array of names; NULL: all */
        unsigned attempt;          /* 0 and 1: the first */
        const char *retry_of;
} RunRequest;

/**
 * run_begin() - a run of a connector that has none, queued; starts in this turn if the limits allow
 *
 * A retry that is promised of its accounts is replaced by it. It is a full resync, too, where one is owed of all its
 * accounts.
 *
 * Return: 0; -ENOMEM; errno of getrandom(2).
 */
int run_begin(ConnectorEntry *c, const RunRequest *request, EngineRun **ret) _must_check_;

/* One state to the next. Return: true; false: not legal, and nothing was changed. */
bool run_move(EngineRun *r, RunState to);

/* Start waiting runs as far as the limits allow. */
void lifecycle_dispatch(Engine *engine);

/* Ask the launcher for the run's worker, after the commit. */
void run_launch(EngineRun *r);

/* Ask the launcher to stop the worker of a run in state stopping, after the commit. */
void run_order_stop(EngineRun *r);

/* Its worker said something. */
void run_heard(EngineRun *r);

/* Compute anew when the run has to be looked at: time limits, or whether a stop took effect. */
void run_set_timer(EngineRun *r);

/* The run's time limits begin to count now; or they go on, after a daemon or a history that was away. */
void run_begin_time_limits(EngineRun *r);
void run_resume_time_limits(EngineRun *r);

/* Its time limit counts from @usec (CLOCK_MONOTONIC): kept with the run, for run_counted_from(). */
void run_count_from(EngineRun *r, usec_t usec);

/* Since when it counts, whatever the clock was set to meanwhile. @otherwise_usec: CLOCK_REALTIME, of a run of another
 * boot. Return: CLOCK_MONOTONIC, more than 0. */
usec_t run_counted_from(const EngineRun *r, usec_t otherwise_usec);

/**
 * run_cancel() - set its outcome and stop its worker
 *
 * Return: 0; -EALREADY (has ended, or its end is recorded).
 */
int run_cancel(EngineRun *r, const char *requested_by) _must_check_;

/* The worker of a connector is gone; the run ends. @how NULL: it never began. */
void run_worker_ended(EngineRun *r, const WorkerExit *how);

/* The connector's time has come. */
void lifecycle_schedule_due(ConnectorEntry *c, bool missed);
void lifecycle_retry_due(ConnectorEntry *c);

extern const LauncherCallbacks lifecycle_launcher_callbacks;
