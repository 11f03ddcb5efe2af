/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* ExecPull= | ExecTransform= ...: programs connected by pipes, and the promise that all of them end in bounded time
 * once one has failed, stopped reading, or been told to stop. What they say is read by others. */

#include <systemd/sd-event.h>

#include "worker/process.h"

/* After TERM, a program has this long before KILL; also how long the others may go on by themselves after one has
 * ended before its time. Shorter than the unit's TimeoutStopSec=. */
#define PIPELINE_GRACE_USEC (10 * USEC_PER_SEC)

/* A pipeline whose output has ended may tidy up for so long before it is told to stop. */
#define PIPELINE_LINGER_USEC (60 * USEC_PER_SEC)

/* What output is still in the pipe when all programs have ended is read, however long that takes; something that has
 * inherited it may hold it open for so long. */
#define PIPELINE_ORPHAN_USEC (2 * USEC_PER_SEC)

typedef struct Pipeline Pipeline;

typedef struct PipelineCallbacks {
        void (*ended)(void *userdata);     /* all programs have ended; once */
        void (*abandoned)(void *userdata); /* they have, but something holds the output open: read what is in it, and
                                              wait for no more; once */
        void *userdata;
} PipelineCallbacks;

typedef struct PipelineSpec {
        char ***commands; /* n_commands lists of words, first the one that pulls */
        size_t n_commands;
        char *const *environment;
        const char *working_directory; /* NULL: as ours */
        LogRelay *relay;
} PipelineSpec;

/* Which program is to blame, when not all have succeeded. */
typedef struct PipelineFailure {
        const char *program; /* borrowed, as the next */
        const char *words;   /* its own; NULL */
        const char *reader;  /* who ended before it had said all, where that is the reason; NULL */
        int status;          /* exit status, or -1 */
        int signal;          /* or 0 */
} PipelineFailure;

/**
 * pipeline_start() - start all programs
 * @spec:       borrowed for the call, but for the relay
 * @ret:        set on success only; caller frees with pipeline_free(), which kills what still runs
 * @ret_failed: index of the command that could not be started; set where the return value is an errno of execve(2)
 *
 * Return: 0; as process_spawn().
 */
int pipeline_start(sd_event *event, const PipelineSpec *spec, const PipelineCallbacks *callbacks, Pipeline **ret,
                   size_t *ret_failed) _must_check_;

Pipeline *pipeline_free(Pipeline *pipeline);
DEFINE_TRIVIAL_CLEANUP_FUNC(Pipeline *, pipeline_free);

/** pipeline_fd() - the last program's output, non-blocking; borrowed */
int pipeline_fd(const Pipeline *pipeline) _pure_;

/** pipeline_output_ended() - the reader has seen the end of the output: programs that still run may tidy up, but not
 * for ever */
void pipeline_output_ended(Pipeline *pipeline);

/** pipeline_stop() - TERM to all, KILL after PIPELINE_GRACE_USEC; a second call kills at once */
void pipeline_stop(Pipeline *pipeline);

bool pipeline_has_ended(const Pipeline *pipeline) _pure_;

/**
 * pipeline_failure() - of the programs that did not succeed, the one that began it: a program that lost its reader
 * (SIGPIPE) is not to blame while another one is, nor is one that we told to stop
 *
 * Return: true if there is one.
 */
bool pipeline_failure(const Pipeline *pipeline, PipelineFailure *ret);

/** pipeline_critical() - the last CRITICAL line of any program; NULL; borrowed */
const char *pipeline_critical(const Pipeline *pipeline);

/** pipeline_usage() - processor time of all, memory of the largest */
void pipeline_usage(const Pipeline *pipeline, uint64_t *ret_cpu_usec, uint64_t *ret_memory_peak_bytes);
