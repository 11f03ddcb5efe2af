/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One program of a run: started in a process group of its own, watched by its pidfd, its stderr read line by line. It
 * dies with the worker. What its lines mean is log-relay's business. */

#include <signal.h>
#include <systemd/sd-event.h>

#include "worker/log-relay.h"

typedef struct Process Process;

typedef struct ProcessExit {
        bool exited;       /* false: not yet */
        int status;        /* exit status, or -1 when killed */
        int signal;        /* or 0 */
        uint64_t cpu_usec; /* with its waited-for children */
        uint64_t memory_peak_bytes;
} ProcessExit;

typedef void (*ProcessCallback)(Process *process, void *userdata);

typedef struct ProcessSpec {
        char *const *argv;
        char *const *environment;
        const char *working_directory; /* NULL: as ours */
        int stdin_fd;                  /* borrowed, as the next; -EBADF: /dev/null */
        int stdout_fd;
        LogRelay *relay;         /* borrowed: where its stderr goes */
        ProcessCallback on_exit; /* called once, from the loop; what its stderr held has been read */
        void *userdata;
} ProcessSpec;

/**
 * process_spawn() - start a program
 * @event: the loop
 * @ret:   set on success only; caller frees with process_free(), which kills what is still running of its group
 *
 * Return: 0; the errno of execve(2) (-ENOENT, -EACCES, -ENOEXEC, ...), of chdir(2), or of what comes before.
 */
int process_spawn(sd_event *event, const ProcessSpec *spec, Process **ret) _must_check_;

/** process_hint() - what goes behind the text of an error of process_spawn(), "" where there is nothing to add */
const char *process_hint(int error) _const_;

Process *process_free(Process *process);
DEFINE_TRIVIAL_CLEANUP_FUNC(Process *, process_free);

/** process_signal() - signal all of the process's group, also what it leaves behind; failures are of no interest */
void process_signal(Process *process, int signal_number);

/** process_is_dead() - whether it has ended, also where on_exit was not called yet */
bool process_is_dead(const Process *process);

const ProcessExit *process_exit(const Process *process) _pure_;

/** process_name() - the last component of its path; borrowed */
const char *process_name(const Process *process) _pure_;

/** process_error() - why it failed, in its own words: log_source_error(); borrowed */
const char *process_error(const Process *process) _pure_;

/** process_critical() - log_source_critical() */
const char *process_critical(const Process *process) _pure_;
