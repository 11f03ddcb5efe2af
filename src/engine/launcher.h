/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Starts and stops a run's worker: as syncrun@NAME.service through PID 1 (launcher-unit.c), or as a child process
 * where systemd is not PID 1 (launcher-child.c). The rest of the engine does not know which. At most one worker a
 * connector. */

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "model/connection.h"
#include "model/run.h"

typedef struct Launcher Launcher;

/* How a worker ended. */
typedef struct WorkerExit {
        bool clean;          /* exit status 0, or died of the TERM that asked it to stop */
        bool stop_requested; /* somebody asked for the stop: we, or `systemctl stop` */
        bool shutdown;       /* ... because the machine goes down */
        bool gone;           /* nothing is known: it ended while nobody looked (reboot, daemon away) */
        int exit_status;     /* -1: it did not exit by itself */
        int signal;          /* 0: it was not killed */
        char reason[128];    /* for a person: "killed by signal KILL", "exit status 3", "timed out while stopping" */
        uint64_t cpu_usec;   /* COUNT_UNKNOWN where not told; so the next three */
        uint64_t memory_peak_bytes;
        uint64_t io_read_bytes;
        uint64_t io_write_bytes;
} WorkerExit;

#define WORKER_EXIT_INIT                                                                                             \
        {                                                                                                            \
                .exit_status = -1, .cpu_usec = COUNT_UNKNOWN, .memory_peak_bytes = COUNT_UNKNOWN,                    \
                .io_read_bytes = COUNT_UNKNOWN, .io_write_bytes = COUNT_UNKNOWN                                      \
        }

/* What is started beside the runs' workers: `syncrun-worker` with another order, as a unit of its own (or a child).
 * One of a kind at a time for each name. */
typedef enum TaskKind {
        TASK_RECONNECT,    /* ExecReconnect= of connection NAME: syncrun-reconnect@NAME.service */
        TASK_DELETE_ITEMS, /* of connector NAME: syncrun-delete@NAME.service */
        _TASK_KIND_MAX,
        _TASK_KIND_INVALID = -EINVAL,
} TaskKind;

#define TASK_STATUS_MAX 4096U /* bytes of what a task says of itself */

typedef struct TaskExit {
        ReconnectResult result;
        const char *status; /* a line of JSON that it gave itself, or "" */
        const char *reason; /* for a person: why it did not succeed, as far as the launcher knows; or "" */
} TaskExit;

typedef struct LauncherCallbacks {
        /* The worker runs. @invocation_id NULL and @pid 0 where not known. */
        void (*started)(const char *connector, const char *invocation_id, int pid, uint64_t start_ticks,
                        void *userdata);
        /* It could not be started; @why is for a person, with what to do next. No ended() follows. */
        void (*start_failed)(const char *connector, const char *why, void *userdata);
        /* Somebody asked it to stop, and it has not ended yet. @shutdown: because the machine goes down. */
        void (*stopping)(const char *connector, bool shutdown, void *userdata);
        void (*ended)(const char *connector, const WorkerExit *how, void *userdata);
        void (*task_ended)(TaskKind kind, const char *name, const TaskExit *how, void *userdata);
} LauncherCallbacks;

typedef struct LauncherVTable LauncherVTable;

/* Through PID 1; @bus is the system bus, borrowed. */
int launcher_unit_new(sd_bus *bus, const LauncherCallbacks *callbacks, void *userdata, Launcher **ret) _must_check_;

/* As children: @worker_path is the program, @state_dir has one folder for each connector; @stop_timeout_usec is from
 * TERM to KILL. */
#define LAUNCHER_STOP_TIMEOUT_USEC (30 * USEC_PER_SEC) /* as TimeoutStopSec= of the unit */
int launcher_child_new(sd_event *event, const char *worker_path, const char *state_dir, usec_t stop_timeout_usec,
                       const LauncherCallbacks *callbacks, void *userdata, Launcher **ret) _must_check_;

/* Workers go on. No callback is called any more, nor an answer that was owed. */
Launcher *launcher_free(Launcher *launcher);
DEFINE_TRIVIAL_CLEANUP_FUNC(Launcher *, launcher_free);

/* Ask for the worker of a connector; started() or start_failed() follows. Return: 0; -EEXIST (one is there); -ENOMEM;
 * errno. */
int launcher_start(Launcher *launcher, const char *connector) _must_check_;

/* TERM, and KILL after the unit's TimeoutStopSec=; with @kill, KILL at once. ended() follows. May be asked for again.
 * Return: 0; -ENOENT (nothing runs); errno. */
int launcher_stop(Launcher *launcher, const char *connector, bool kill) _must_check_;

/**
 * launcher_adopt() - after the daemon's start: look for the worker that a recorded run says is there
 *
 * started() follows where it runs (the same invocation or process), else ended() with `gone` or with how it ended.
 */
int launcher_adopt(Launcher *launcher, const Run *run) _must_check_;

/**
 * launcher_verify() - is a bus peer the worker of this connector?
 * @uid: of the sender, as the bus vouches for it
 * @cb:  called once, at once or later: error 0 yes; -EACCES no; -EAGAIN or -ENOMEM: could not be found out
 */
typedef void (*LauncherVerifyCallback)(int error, void *userdata);
int launcher_verify(Launcher *launcher, const char *connector, uid_t uid, pid_t pid, LauncherVerifyCallback cb,
                    void *userdata) _must_check_;

/* What the worker has used so far, and whether the machine goes down; cb at once or later, COUNT_UNKNOWN where not
 * told. */
typedef void (*LauncherUsageCallback)(const WorkerExit *usage, void *userdata);
int launcher_usage(Launcher *launcher, const char *connector, LauncherUsageCallback cb, void *userdata) _must_check_;

/* Start a task; task_ended() follows. Return: 0; -EEXIST (one is there); -EOPNOTSUPP; -ENOMEM; errno. */
int launcher_start_task(Launcher *launcher, TaskKind kind, const char *name) _must_check_;

/* Ask it to end; task_ended() follows. Return: 0; -ENOENT; errno. */
int launcher_stop_task(Launcher *launcher, TaskKind kind, const char *name) _must_check_;

/* After the daemon's start: task_ended() follows when one that is there has ended, or at once with
 * RECONNECT_INTERRUPTED where none is. Return: as launcher_start_task(). */
int launcher_adopt_task(Launcher *launcher, TaskKind kind, const char *name) _must_check_;

/* Where a connector's worker keeps its state (STATE_DIRECTORY=); to be freed. NULL: nobody can say, or no memory. */
char *launcher_state_directory(const Launcher *launcher, const char *connector);
