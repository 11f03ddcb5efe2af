/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Workers as child processes, where systemd is not PID 1. Each is watched by its pidfd, so that one that was started
 * by an earlier daemon is watched in the same way; who it is, after a restart, is told by its pid and start time
 * together. Our child is the worker's keeper (`syncrun-worker --keep`), which lets nothing of a run outlive it. A
 * worker that died is followed by `syncrun-worker --settle`, as ExecStopPost= does it in the unit. */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define uthash_nonfatal_oom(elt) ((elt)->lost = true)
#include <uthash.h>

#include "base/fd-util.h"
#include "base/log.h"
#include "base/names.h"
#include "base/proc-stat.h"
#include "base/string-util.h"
#include "engine/launcher-impl.h"
#include "engine/task-child.h"

#define QUIT_TIMEOUT_USEC (5 * USEC_PER_SEC) /* from telling the keeper to kill all, to killing it */

typedef struct ChildLauncher ChildLauncher;

typedef struct Child {
        ChildLauncher *launcher;
        char *connector;
        pid_t pid;
        uint64_t start_ticks;
        int pidfd;
        bool ours;     /* our own child: waitid() tells how it ended */
        bool settling; /* this is `--settle`, after the worker's death */
        bool quit;     /* the keeper was told to kill all */
        bool lost;     /* could not be put into the table */
        WorkerExit how;
        sd_event_source *exit_source;
        sd_event_source *kill_source;
        sd_event_source *announce_source;
        UT_hash_handle hh;
} Child;

struct ChildLauncher {
        Launcher base;
        sd_event *event;
        char *worker_path;
        char *state_dir;
        usec_t stop_timeout_usec;
        Child *children; /* by connector */
        ChildTasks tasks;
};

static ChildLauncher *child_launcher(Launcher *launcher)
{
        return container_of(launcher, ChildLauncher, base);
}

static void child_close_process(Child *child)
{
        child->exit_source = sd_event_source_disable_unref(child->exit_source);
        child->kill_source = sd_event_source_disable_unref(child->kill_source);
        child->announce_source = sd_event_source_disable_unref(child->announce_source);
        child->pidfd = safe_close(child->pidfd);
}

static Child *child_free(Child *child)
{
        if (!child)
                return NULL;
        if (child->launcher && child->hh.tbl)
                HASH_DEL(child->launcher->children, child);
        child_close_process(child);
        free(child->connector);
        free(child);
        return NULL;
}
DEFINE_TRIVIAL_CLEANUP_FUNC(Child *, child_free);

static Child *child_find(ChildLauncher *launcher, const char *connector)
{
        Child *child = NULL;

        HASH_FIND_STR(launcher->children, connector, child);
        return child;
}

static int child_new(ChildLauncher *launcher, const char *connector, Child **ret)
{
        _cleanup_(child_freep) Child *child = calloc(1, sizeof(Child));

        if (!child)
                return -ENOMEM;
        child->pidfd = -EBADF;
        child->how = (WorkerExit) WORKER_EXIT_INIT;
        child->connector = strdup(connector);
        if (!child->connector)
                return -ENOMEM;
        HASH_ADD_KEYPTR(hh, launcher->children, child->connector, strlen(child->connector), child);
        if (child->lost)
                return -ENOMEM;
        child->launcher = launcher;
        *ret = TAKE_PTR(child);
        return 0;
}

static char *child_state_directory(const Launcher *base, const char *connector)
{
        const ChildLauncher *launcher = container_of(base, ChildLauncher, base);

        return asprintf_or_null("%s/%s", launcher->state_dir, connector);
}

static int spawn_worker(ChildLauncher *launcher, const char *connector, bool settle, pid_t *ret)
{
        _cleanup_free_ char *state_directory = child_state_directory(&launcher->base, connector);

        if (!state_directory)
                return -ENOMEM;
        return child_spawn(launcher->worker_path, settle ? "--settle" : "--keep", connector, state_directory, -EBADF,
                           ret);
}

static int on_worker_exit(sd_event_source *source, int fd, uint32_t revents, void *userdata);

static int child_watch(Child *child, pid_t pid, bool ours)
{
        int fd = pidfd_open(pid, 0), r;

        if (fd < 0)
                return -errno;
        child_close_process(child);
        child->pidfd = fd;
        child->pid = pid;
        child->ours = ours;
        r = sd_event_add_io(child->launcher->event, &child->exit_source, fd, EPOLLIN, on_worker_exit, child);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(child->exit_source, "worker-exit");
        return 0;
}

/* Takes the child out of the table first: the callback may start the next one. */
static void child_announce_end(Child *child)
{
        _cleanup_(child_freep) Child *gone = child;
        ChildLauncher *launcher = child->launcher;

        HASH_DEL(launcher->children, child);
        gone->launcher = NULL;
        launcher->base.callbacks.ended(gone->connector, &gone->how, launcher->base.userdata);
}

static int child_arm_kill(Child *child, usec_t usec);

/* Bounded by itself, but for a disk that does not answer: it has as long as a stop. */
static int child_settle(Child *child)
{
        pid_t pid;
        int r;

        r = spawn_worker(child->launcher, child->connector, true, &pid);
        if (r < 0)
                return r;
        child->settling = true;
        r = child_watch(child, pid, true);
        if (r >= 0)
                r = child_arm_kill(child, child->launcher->stop_timeout_usec);
        if (r < 0) {
                (void) kill(pid, SIGKILL);
                (void) waitpid(pid, NULL, 0);
        }
        return r;
}

static int on_worker_exit(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        Child *child = userdata;
        siginfo_t info = {};
        int r;

        if (child->settling) {
                (void) waitid(P_PIDFD, (id_t) child->pidfd, &info, WEXITED | WNOHANG);
                child_announce_end(child);
                return 0;
        }
        if (child->ours && waitid(P_PIDFD, (id_t) child->pidfd, &info, WEXITED | WNOHANG) >= 0 && info.si_pid > 0)
                worker_exit_set(&child->how, info.si_code, info.si_status);
        else
                child->how.gone = true;
        if (!child->how.clean) {
                r = child_settle(child);
                if (r >= 0)
                        return 0;
                log_debug_errno(r, "Could not settle the counts of connector %s: %m", child->connector);
        }
        child_announce_end(child);
        return 0;
}

static int on_announce_start(sd_event_source *source, void *userdata)
{
        Child *child = userdata;
        Launcher *base = &child->launcher->base;

        child->announce_source = sd_event_source_disable_unref(child->announce_source);
        base->callbacks.started(child->connector, NULL, child->pid, child->start_ticks, base->userdata);
        return 0;
}

static int on_announce_gone(sd_event_source *source, void *userdata)
{
        Child *child = userdata;

        child->how.gone = true;
        if (child_settle(child) < 0)
                child_announce_end(child);
        return 0;
}

static int child_start(Launcher *base, const char *connector)
{
        ChildLauncher *launcher = child_launcher(base);
        _cleanup_(child_freep) Child *child = NULL;
        ProcStat stat = {};
        pid_t pid;
        int r;

        if (child_find(launcher, connector))
                return -EEXIST;
        r = child_new(launcher, connector, &child);
        if (r < 0)
                return r;
        r = spawn_worker(launcher, connector, false, &pid);
        if (r < 0)
                return r;
        r = child_watch(child, pid, true);
        if (r >= 0)
                r = proc_stat_read(pid, &stat);
        child->start_ticks = stat.start_ticks;
        if (r >= 0)
                r = sd_event_add_defer(launcher->event, &child->announce_source, on_announce_start, child);
        if (r < 0) {
                (void) kill(pid, SIGKILL);
                (void) waitpid(pid, NULL, 0);
                return r;
        }
        TAKE_PTR(child);
        return 0;
}

static int on_kill(sd_event_source *source, uint64_t usec, void *userdata)
{
        Child *child = userdata;

        bool quit = !child->settling && !child->quit;

        log_debug("Worker of connector %s did not end in time, killing it.", child->connector);
        /* The keeper kills all that there is of the run. Where it cannot, the worker dies with it, and the worker's
         * programs with the worker. */
        (void) pidfd_send_signal(child->pidfd, quit ? SIGQUIT : SIGKILL, NULL, 0);
        child->quit = true;
        return quit ? child_arm_kill(child, QUIT_TIMEOUT_USEC) : 0;
}

static int child_arm_kill(Child *child, usec_t usec)
{
        child->kill_source = sd_event_source_disable_unref(child->kill_source);
        return sd_event_add_time_relative(child->launcher->event, &child->kill_source, CLOCK_MONOTONIC, usec,
                                          USEC_PER_SEC, on_kill, child);
}

static int child_stop(Launcher *base, const char *connector, bool kill)
{
        ChildLauncher *launcher = child_launcher(base);
        Child *child = child_find(launcher, connector);

        if (!child)
                return -ENOENT;
        child->how.stop_requested = true;
        if (kill && child->pidfd >= 0 && pidfd_send_signal(child->pidfd, SIGKILL, NULL, 0) < 0 && errno != ESRCH)
                return -errno;
        if (kill || child->kill_source)
                return 0; /* asked already, or settling */
        if (child->pidfd >= 0 && pidfd_send_signal(child->pidfd, SIGTERM, NULL, 0) < 0 && errno != ESRCH)
                return -errno;
        return child_arm_kill(child, launcher->stop_timeout_usec);
}

static int child_adopt(Launcher *base, const Run *run)
{
        ChildLauncher *launcher = child_launcher(base);
        _cleanup_(child_freep) Child *child = NULL;
        ProcStat stat;
        bool alive;
        int r;

        if (child_find(launcher, run->connector))
                return -EEXIST;
        r = child_new(launcher, run->connector, &child);
        if (r < 0)
                return r;
        /* The pidfd is opened before the start time is read again, so that it cannot be another process's. */
        alive = run->worker_pid > 0 && child_watch(child, run->worker_pid, false) >= 0 &&
                proc_stat_read(run->worker_pid, &stat) >= 0 && stat.start_ticks == run->worker_start_ticks;
        if (alive)
                child->start_ticks = stat.start_ticks;
        else
                child_close_process(child);
        r = sd_event_add_defer(launcher->event, &child->announce_source, alive ? on_announce_start : on_announce_gone,
                               child);
        if (r < 0)
                return r;
        TAKE_PTR(child);
        return 0;
}

/* The keeper says who its worker is; no other of its children, which may be what a connector has left behind, is. */
static bool is_kept_worker(const Child *child, pid_t pid)
{
        const char *number;
        uint64_t worker;
        ProcStat stat;

        if (proc_stat_read(child->pid, &stat) < 0 || stat.start_ticks != child->start_ticks)
                return false;
        number = startswith(stat.name, SYNCRUN_KEEPER_PREFIX);
        return number && parse_uint64(number, &worker) >= 0 && worker > 0 && worker == (uint64_t) pid;
}

/* Everything runs as one user here; the pid, which the bus tells too, says which worker it is: the process that we
 * watch, or the one that this keeps. */
static int child_verify(Launcher *base, const char *connector, uid_t uid, pid_t pid, LauncherVerifyCallback cb,
                        void *userdata)
{
        Child *child = child_find(child_launcher(base), connector);
        bool ours;

        ours = child && pid > 0 && uid == geteuid() && (pid == child->pid || is_kept_worker(child, pid));
        cb(ours ? 0 : -EACCES, userdata);
        return 0;
}

static int child_usage(Launcher *base, const char *connector, LauncherUsageCallback cb, void *userdata)
{
        WorkerExit unknown = WORKER_EXIT_INIT;

        cb(&unknown, userdata);
        return 0;
}

static void child_launcher_free(Launcher *base)
{
        ChildLauncher *launcher = child_launcher(base);
        Child *child, *next;

        HASH_ITER(hh, launcher->children, child, next)
                child_free(child);
        child_tasks_done(&launcher->tasks);
        sd_event_unref(launcher->event);
        free(launcher->worker_path);
        free(launcher->state_dir);
        free(launcher);
}

static const LauncherVTable child_vtable = {
        .free = child_launcher_free,
        .start = child_start,
        .stop = child_stop,
        .adopt = child_adopt,
        .verify = child_verify,
        .usage = child_usage,
        .state_directory = child_state_directory,
        .start_task = child_task_start,
        .stop_task = child_task_stop,
};

int launcher_child_new(sd_event *event, const char *worker_path, const char *state_dir, usec_t stop_timeout_usec,
                       const LauncherCallbacks *callbacks, void *userdata, Launcher **ret)
{
        ChildLauncher *launcher = calloc(1, sizeof(ChildLauncher));

        if (!launcher)
                return -ENOMEM;
        launcher->base = (Launcher) { .vtable = &child_vtable, .callbacks = *callbacks, .userdata = userdata };
        launcher->event = sd_event_ref(event);
        launcher->stop_timeout_usec = stop_timeout_usec;
        launcher->worker_path = strdup(worker_path);
        launcher->state_dir = strdup(state_dir);
        if (!launcher->worker_path || !launcher->state_dir) {
                child_launcher_free(&launcher->base);
                return -ENOMEM;
        }
        launcher->tasks = (ChildTasks) {
                .launcher = &launcher->base,
                .event = launcher->event,
                .worker_path = launcher->worker_path,
                .state_dir = launcher->state_dir,
        };
        launcher->base.tasks = &launcher->tasks;
        *ret = &launcher->base;
        return 0;
}
