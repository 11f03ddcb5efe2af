/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The table of runs in memory, and the one way a change of a run goes to the disk and, from there, to everybody. What
 * changes and when is the business of lifecycle.c, worker-calls.c and outside-runs.c. */

#include "engine/engine-internal.h"
#include "engine/run-log.h"

typedef enum RunRecordFlags {
        RUN_RECORD_EVENT = 1 << 0,    /* an event tells of it */
        RUN_RECORD_ACCOUNTS = 1 << 1, /* all accounts are written */
} RunRecordFlags;

/**
 * engine_run_new() - take a run into the table
 * @run: taken over on success
 *
 * Return: 0; -EEXIST; -ENOMEM.
 */
int engine_run_new(Engine *engine, Run *run, EngineRun **ret) _must_check_;
EngineRun *engine_run_free(EngineRun *r);

EngineRun *engine_run_find(Engine *engine, const char *run_id);

/* Put the run as it stands now, with an event if asked, and publish it when it is committed. */
void run_record(EngineRun *r, RunRecordFlags flags, RunChange changes, RunLogEntry log);

/* A snapshot of the run becomes its published copy when all that was put so far is committed. Return: 0; -ENOMEM. */
int run_publish(EngineRun *r, RunChange changes, RunLogEntry log) _must_check_;

/* The run has ended: it is forgotten after some minutes. */
void run_linger(EngineRun *r);
void run_unlinger(EngineRun *r);
