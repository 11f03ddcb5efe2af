/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Between worker.c and worker-input.c; for nobody else. */

#include "worker/coverage.h"
#include "worker/line-reader.h"
#include "worker/outcome.h"
#include "worker/reporter.h"
#include "worker/settle.h"
#include "worker/setup.h"
#include "worker/worker.h"

typedef struct Worker {
        const char *connector;
        sd_event *event;
        WorkerProxy *proxy;
        Reporter *reporter;
        WorkerAttachment attachment;
        ConnectorDefinition *definition;
        Setup setup;
        LogRelay *relay;
        Destination *destination;
        Pipeline *pipeline;
        LineReader *reader;
        Intake *intake;

        sd_event_source *input_source;
        sd_event_source *continue_source; /* there are lines in the buffer that were left for another turn */
        sd_event_source *commit_source;
        sd_event_source *goodbye_source;

        char *settling; /* the earlier run whose counts the daemon is told now */
        uint64_t batch_bytes;
        uint64_t batch_records; /* discovered at the last commit */
        char *start_error;
        char *destination_error;
        AttentionCategory destination_category;
        bool attached;
        char covered[COVERAGE_DIGEST_SIZE]; /* of the cursor that the run goes on from */
        bool read_anew;    /* the saved cursor was not that of this destination */
        bool cursor_saved; /* one of this run's was given to the reporter */
        bool input_abandoned; /* no more comes than is in the pipe */
        bool input_ended;
        bool destination_finishing;
        bool destination_ended;
        bool cancelled;
        bool abandoned; /* the bus has gone for good: nobody can be told of the end */
        bool concluded;
} Worker;

/* worker-input.c: from the pipeline's output into the destination. */

/** worker_input_open() - begin to read the pipeline's output. Return: 0; -ENOMEM; another errno of the loop. */
int worker_input_open(Worker *worker) _must_check_;
void worker_input_close(Worker *worker);

/** worker_end_input() - nothing more is read */
void worker_end_input(Worker *worker);

/** worker_commit() - make all so far durable, and tell it */
void worker_commit(Worker *worker);

/** worker_save_cursor() - have the daemon save the cursor, if it is another. @scope: as intake_take_cursor() */
void worker_save_cursor(Worker *worker, CursorScope scope);

/** worker_fail_destination() - what the destination could not do ends the run: nothing more is read, the programs are
 * stopped */
void worker_fail_destination(Worker *worker, int r);

extern const PipelineCallbacks worker_pipeline_callbacks;
extern const DestinationCallbacks worker_destination_callbacks;

/* worker.c */

/** worker_conclude() - take the next step towards the end, if it is time */
void worker_conclude(Worker *worker);
