/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Passes each call on to the launcher that was made; see launcher-unit.c and launcher-child.c. */

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "engine/launcher-impl.h"

Launcher *launcher_free(Launcher *launcher)
{
        if (launcher)
                launcher->vtable->free(launcher);
        return NULL;
}

int launcher_start(Launcher *launcher, const char *connector)
{
        return launcher->vtable->start(launcher, connector);
}

int launcher_stop(Launcher *launcher, const char *connector, bool kill)
{
        return launcher->vtable->stop(launcher, connector, kill);
}

int launcher_adopt(Launcher *launcher, const Run *run)
{
        return launcher->vtable->adopt(launcher, run);
}

int launcher_verify(Launcher *launcher, const char *connector, uid_t uid, pid_t pid, LauncherVerifyCallback cb,
                    void *userdata)
{
        return launcher->vtable->verify(launcher, connector, uid, pid, cb, userdata);
}

int launcher_usage(Launcher *launcher, const char *connector, LauncherUsageCallback cb, void *userdata)
{
        return launcher->vtable->usage(launcher, connector, cb, userdata);
}

char *launcher_state_directory(const Launcher *launcher, const char *connector)
{
        return launcher->vtable->state_directory ? launcher->vtable->state_directory(launcher, connector) : NULL;
}

int launcher_start_task(Launcher *launcher, TaskKind kind, const char *name)
{
        return launcher->vtable->start_task ? launcher->vtable->start_task(launcher, kind, name, false) : -EOPNOTSUPP;
}

int launcher_adopt_task(Launcher *launcher, TaskKind kind, const char *name)
{
        return launcher->vtable->start_task ? launcher->vtable->start_task(launcher, kind, name, true) : -EOPNOTSUPP;
}

int launcher_stop_task(Launcher *launcher, TaskKind kind, const char *name)
{
        return launcher->vtable->stop_task ? launcher->vtable->stop_task(launcher, kind, name) : -ENOENT;
}

void worker_exit_set(WorkerExit *how, int code, int status)
{
        if (code == CLD_EXITED) {
                how->exit_status = status;
                how->clean = status == 0;
                (void) snprintf(how->reason, sizeof(how->reason), "the worker ended with exit status %d", status);
                return;
        }
        how->signal = status;
        how->clean = status == SIGTERM;
        (void) snprintf(how->reason, sizeof(how->reason), "the worker was killed by signal %s%s",
                        sigabbrev_np(status) ?: "?", code == CLD_DUMPED ? " and dumped core" : "");
}
