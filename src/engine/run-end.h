/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How runs end, and what follows: outcome, retry, attention, the connector's record, the run that comes next. */

#include "engine/engine-internal.h"
#include "engine/run-log.h"

/* How far ahead a provider may put off the retry (quota_reset, Retry-After): no quota is counted by more than a month,
 * and a wrong unit must not silence a connector for good. */
#define RETRY_AHEAD_MAX_USEC (31 * USEC_PER_DAY)

/* Said once: by the worker's Finish(), by a time limit, a cancellation, or by the worker's being gone. */
typedef struct RunEnd {
        RunOutcome outcome;
        const char *message;        /* NULL: made of outcome and counts */
        const char *error;          /* NULL: none */
        AttentionCategory category; /* _ATTENTION_INVALID: as the run has it */
        AttentionCategory lasting;  /* of one that failed, in whole or in part: what it is where it names no
                                     * category, and lasts; see run_fail() */
        bool lost_with_machine;     /* it was the machine that ended it */
        bool retry;                 /* failed for a reason that may pass by itself; the worker knows: also beside a
                                     * category, where the connector itself says to try again */
        usec_t retry_at_usec;       /* not before; 0, or beyond RETRY_AHEAD_MAX_USEC: by the backoff */
        uint64_t n_bad_lines;       /* the message says so */
        bool read_anew;             /* and so it does of this; see RunReport */
        bool destination_failed;    /* it did not take what it was sent: @lasting is configuration_error then */
} RunEnd;

/* Set the outcome and decide on a retry. The caller moves the run on and records it. */
void run_conclude(EngineRun *r, const RunEnd *end);

/**
 * run_fail() - conclude a run that the engine itself finds to have failed; what run_conclude() is for a worker's word
 * @error:   for a person
 * @lasting: the category under which the connector needs attention where the run names none and NotifyAfter= is
 *           reached. Only what fits the cause: a transient one must not have people mend settings.
 *           connection_lost where the provider's side did not answer, as with every failure that a worker tells of
 *           without a category; configuration_error where a setting was in the way, or something else on this machine
 *           that ends the worker; _ATTENTION_INVALID where nobody can mend it at the connector.
 *
 * It is retried, but where the run had said that a person must act first.
 */
void run_fail(EngineRun *r, const char *error, AttentionCategory lasting);

/* As run_fail(), of a run that the machine took with it: once says nothing, NotifyAfter= or not. */
void run_lose_with_machine(EngineRun *r, const char *error);

/* Conclude a run whose worker is stopped because the machine goes down: lost, and retried when that is up again. */
void run_lose_to_shutdown(EngineRun *r);

/* How an account fared of which no more was heard, now that its run has ended. */
AccountStatus run_end_of_account(const Run *run, const Counts *counts) _pure_;

/* Its outcome is set and nothing of it runs any more: finished, with all that follows. */
void run_finish(EngineRun *r, RunLogEntry log);

/* A run that was due and does not take place. Return: 0; -ENOMEM; errno of getrandom(2). */
int run_skip(ConnectorEntry *c, RunTrigger trigger, const char *why) _must_check_;

/* The fields of a run that come from its connector, a new id and the time. Return: 0; -ENOMEM; errno of getrandom(2).
 */
int run_new_for_connector(ConnectorEntry *c, RunTrigger trigger, Run **ret) _must_check_;
