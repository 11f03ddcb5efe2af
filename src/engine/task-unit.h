/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Tasks as units of their own, of Type=oneshot, through PID 1; for launcher-unit.c. */

#include "engine/launcher-impl.h"
#include "engine/pid1.h"

typedef struct UnitTask UnitTask;

/* Zeroed but for the first two. */
typedef struct UnitTasks {
        Launcher *launcher; /* whose callback is told; borrowed */
        Pid1 *pid1;
        sd_bus_slot *properties_slot; /* with job_slot: while there are tasks */
        sd_bus_slot *job_slot;
        UnitTask *list;
} UnitTasks;

/* As of LauncherVTable; the launcher has the tasks. */
int unit_task_start(Launcher *launcher, TaskKind kind, const char *name, bool adopt) _must_check_;
int unit_task_stop(Launcher *launcher, TaskKind kind, const char *name) _must_check_;

/* They go on; nothing is told any more. */
void unit_tasks_done(UnitTasks *tasks);
