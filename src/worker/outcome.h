/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How a run ended, decided from what is known of it (interfaces of syncrun.connector(5), sections MESSAGES and EXIT
 * STATUS). Pure. */

#include "model/report.h"
#include "worker/intake.h"
#include "worker/pipeline.h"

/* A run with more bad lines than one in so many has failed, whatever its programs say. */
#define BAD_LINES_ONE_IN 100U

typedef struct RunFacts {
        const Intake *intake; /* NULL: the run never began */
        bool cancelled;
        const char *start_error;       /* why it could not begin: the settings; NULL */
        const char *destination_error; /* NULL: none */
        AttentionCategory destination_category;
        bool undelivered;                 /* that error: the other end did not take what it was sent */
        usec_t destination_retry_at_usec; /* when it wants to be asked again; 0: it did not say */
        bool held_back;          /* the run before left its cursor where this one began, because of bad lines */
        bool failed;             /* a program of the pipeline did not succeed */
        PipelineFailure failure; /* which one, if so */
} RunFacts;

/**
 * outcome_decide() - set outcome, error, attention, retry and retry_at_usec of a report
 * @report: of RUN_REPORT_INIT; texts are allocated
 *
 * Return: 0; -ENOMEM.
 */
int outcome_decide(const RunFacts *facts, RunReport *report) _must_check_;

/** outcome_passes_bad_lines() - whether there are no bad lines, or they are few and either none of the reasons why the
 * run did not succeed or met for the second time: then the next run need not ask for what they should have said */
bool outcome_passes_bad_lines(const RunFacts *facts) _pure_;
