/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the two launchers share; for launcher*.c alone. */

#include "engine/launcher.h"

struct LauncherVTable {
        void (*free)(Launcher *launcher);
        int (*start)(Launcher *launcher, const char *connector);
        int (*stop)(Launcher *launcher, const char *connector, bool kill);
        int (*adopt)(Launcher *launcher, const Run *run);
        int (*verify)(Launcher *launcher, const char *connector, uid_t uid, pid_t pid, LauncherVerifyCallback cb,
                      void *userdata);
        int (*usage)(Launcher *launcher, const char *connector, LauncherUsageCallback cb, void *userdata);
        char *(*state_directory)(const Launcher *launcher, const char *connector); /* may be missing, as the next */
        int (*start_task)(Launcher *launcher, TaskKind kind, const char *name, bool adopt);
        int (*stop_task)(Launcher *launcher, TaskKind kind, const char *name);
};

/* The first member of each launcher. */
struct Launcher {
        const LauncherVTable *vtable;
        LauncherCallbacks callbacks;
        void *userdata;
        void *tasks; /* UnitTasks or ChildTasks, by the vtable's start_task */
};

/**
 * worker_exit_set() - how a process ended, in numbers and in words
 * @code:   CLD_EXITED, CLD_KILLED or CLD_DUMPED
 * @status: exit status or signal
 */
void worker_exit_set(WorkerExit *how, int code, int status);
