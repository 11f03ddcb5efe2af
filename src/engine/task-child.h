/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Tasks as child processes, where systemd is not PID 1; for launcher-child.c. */

#include "engine/launcher-impl.h"

typedef struct ChildTask ChildTask;

/* Zeroed but for the first four, which are borrowed. */
typedef struct ChildTasks {
        Launcher *launcher;
        sd_event *event;
        const char *worker_path;
        const char *state_dir;
        ChildTask *list;
} ChildTasks;

/* As of LauncherVTable; the launcher has the tasks. */
int child_task_start(Launcher *launcher, TaskKind kind, const char *name, bool adopt) _must_check_;
int child_task_stop(Launcher *launcher, TaskKind kind, const char *name) _must_check_;
void child_tasks_done(ChildTasks *tasks);

/**
 * child_spawn() - start `syncrun-worker OPTION NAME` in a session of its own
 * @state_directory: made where it is missing; its STATE_DIRECTORY=
 * @stdout_fd:       -EBADF: as ours
 *
 * Return: 0; -ENOMEM; errno.
 */
int child_spawn(const char *worker_path, const char *option, const char *name, const char *state_directory,
                int stdout_fd, pid_t *ret) _must_check_;
