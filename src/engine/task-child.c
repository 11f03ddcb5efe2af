/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a task says of itself is the last line of its standard output. It has ended when it has, and not when that is
 * closed: others may have it. */

#include "engine/task-child.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utlist.h>

#include "base/fd-util.h"
#include "base/log.h"
#include "base/string-util.h"
#include "base/time-util.h"

struct ChildTask {
        ChildTasks *tasks;
        TaskKind kind;
        char *name;
        pid_t pid;
        int pidfd;
        int out_fd;
        bool stopped;
        sd_event_source *exit_source;
        sd_event_source *kill_source;
        ChildTask *prev, *next;
};

static const char *const options[_TASK_KIND_MAX] = {
        [TASK_RECONNECT] = "--reconnect",
        [TASK_DELETE_ITEMS] = "--delete-items",
};

static int make_environment(const char *state_directory, char ***ret)
{
        _cleanup_strv_free_ char **environment = NULL;
        int r;

        /* What the service manager gave to the daemon alone is nobody else's. */
        STRV_FOREACH(e, environ) {
                if (startswith(*e, "STATE_DIRECTORY=") || startswith(*e, "NOTIFY_SOCKET=") ||
                    startswith(*e, "WATCHDOG_"))
                        continue;
                r = strv_extend(&environment, *e);
                if (r < 0)
                        return r;
        }
        r = strv_consume(&environment, asprintf_or_null("STATE_DIRECTORY=%s", state_directory));
        if (r < 0)
                return r;
        *ret = TAKE_PTR(environment);
        return 0;
}

int child_spawn(const char *worker_path, const char *option, const char *name, const char *state_directory,
                int stdout_fd, pid_t *ret)
{
        char *argv[] = { (char *) worker_path, (char *) option, (char *) name, NULL };
        _cleanup_strv_free_ char **environment = NULL;
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        sigset_t none, all;
        int r;

        r = mkdir_p(state_directory, 0700);
        if (r >= 0)
                r = make_environment(state_directory, &environment);
        if (r < 0)
                return r;
        r = posix_spawnattr_init(&attributes);
        if (r != 0)
                return -r;
        r = posix_spawn_file_actions_init(&actions);
        if (r != 0) {
                (void) posix_spawnattr_destroy(&attributes);
                return -r;
        }
        (void) sigemptyset(&none);
        (void) sigfillset(&all);
        (void) posix_spawnattr_setflags(&attributes,
                                        POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
        (void) posix_spawnattr_setsigmask(&attributes, &none);
        (void) posix_spawnattr_setsigdefault(&attributes, &all);
        if (stdout_fd >= 0)
                r = posix_spawn_file_actions_adddup2(&actions, stdout_fd, STDOUT_FILENO);
        if (r == 0)
                r = posix_spawn(ret, worker_path, &actions, &attributes, argv, environment);
        (void) posix_spawn_file_actions_destroy(&actions);
        (void) posix_spawnattr_destroy(&attributes);
        return -r;
}

/* ---- Tasks */

static ChildTask *task_free(ChildTask *task)
{
        DL_DELETE(task->tasks->list, task);
        sd_event_source_disable_unref(task->exit_source);
        sd_event_source_disable_unref(task->kill_source);
        (void) safe_close(task->pidfd);
        (void) safe_close(task->out_fd);
        free(task->name);
        free(task);
        return NULL;
}

static ChildTask *task_find(ChildTasks *tasks, TaskKind kind, const char *name)
{
        ChildTask *task;

        DL_FOREACH(tasks->list, task)
                if (task->kind == kind && streq(task->name, name))
                        return task;
        return NULL;
}

/* The last line of what is in the pipe, which holds all of it: the task says little. */
static void read_status(int fd, char status[static TASK_STATUS_MAX])
{
        ssize_t n = read(fd, status, TASK_STATUS_MAX - 1);
        char *line;

        status[MAX(n, 0)] = '\0';
        while (n > 0 && status[n - 1] == '\n')
                status[--n] = '\0';
        line = strrchr(status, '\n');
        if (line)
                (void) memmove(status, line + 1, strlen(line));
}

static void describe_exit(const siginfo_t *info, char *ret, size_t size)
{
        if (info->si_code == CLD_EXITED)
                (void) snprintf(ret, size, "It ended with exit status %d.", info->si_status);
        else
                (void) snprintf(ret, size, "It was killed by signal %s.", sigabbrev_np(info->si_status) ?: "?");
}

static int on_exit_of_task(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        ChildTask *task = userdata;
        Launcher *launcher = task->tasks->launcher;
        char status[TASK_STATUS_MAX] = "", reason[64] = "";
        _cleanup_free_ char *name = NULL;
        ReconnectResult result = RECONNECT_FAILED;
        TaskKind kind = task->kind;
        siginfo_t info = {};

        if (waitid(P_PIDFD, (id_t) task->pidfd, &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0)
                return 0;
        read_status(task->out_fd, status);
        if (info.si_code == CLD_EXITED && info.si_status == EXIT_SUCCESS)
                result = RECONNECT_SUCCESS;
        else if (task->stopped)
                result = RECONNECT_CANCELLED;
        if (result == RECONNECT_CANCELLED)
                (void) snprintf(reason, sizeof(reason), "It was stopped.");
        else if (result == RECONNECT_FAILED)
                describe_exit(&info, reason, sizeof(reason));
        name = TAKE_PTR(task->name);
        task_free(task);
        launcher->callbacks.task_ended(kind, name,
                                       &(TaskExit){ .result = result, .status = status, .reason = reason },
                                       launcher->userdata);
        return 0;
}

/* Connectors have theirs in @state_dir, and connections beside it. */
static char *task_state_directory(const ChildTasks *tasks, TaskKind kind, const char *name)
{
        const char *slash = strrchr(tasks->state_dir, '/');
        int n = slash ? (int) (slash - tasks->state_dir) : 0;

        if (kind == TASK_DELETE_ITEMS)
                return asprintf_or_null("%s/%s", tasks->state_dir, name);
        return asprintf_or_null("%.*s%sconnections/%s", n, tasks->state_dir, slash ? "/" : "", name);
}

static int task_spawn(ChildTask *task)
{
        ChildTasks *tasks = task->tasks;
        _cleanup_free_ char *state_directory = task_state_directory(tasks, task->kind, task->name);
        _cleanup_close_ int write_end = -EBADF;
        int fds[2], r;

        if (!state_directory)
                return -ENOMEM;
        if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
                return -errno;
        task->out_fd = fds[0];
        write_end = fds[1];
        r = child_spawn(tasks->worker_path, options[task->kind], task->name, state_directory, write_end, &task->pid);
        if (r < 0)
                return r;
        task->pidfd = pidfd_open(task->pid, 0);
        r = task->pidfd < 0 ? -errno
                            : sd_event_add_io(tasks->event, &task->exit_source, task->pidfd, EPOLLIN, on_exit_of_task,
                                              task);
        if (r < 0) {
                (void) kill(task->pid, SIGKILL);
                (void) waitpid(task->pid, NULL, 0);
        }
        return r;
}

int child_task_start(Launcher *launcher, TaskKind kind, const char *name, bool adopt)
{
        ChildTasks *tasks = launcher->tasks;
        ChildTask *task;
        int r;

        if (task_find(tasks, kind, name))
                return -EEXIST;
        if (adopt)
                return -ECHILD; /* it was the daemon's before us */
        task = calloc(1, sizeof(ChildTask));
        if (!task)
                return -ENOMEM;
        task->tasks = tasks;
        task->kind = kind;
        task->pidfd = task->out_fd = -EBADF;
        DL_APPEND(tasks->list, task);
        task->name = strdup(name);
        r = task->name ? task_spawn(task) : -ENOMEM;
        if (r < 0)
                task_free(task);
        return MIN(r, 0);
}

static int on_kill(sd_event_source *source, uint64_t usec, void *userdata)
{
        ChildTask *task = userdata;

        (void) pidfd_send_signal(task->pidfd, SIGKILL, NULL, 0);
        return 0;
}

int child_task_stop(Launcher *launcher, TaskKind kind, const char *name)
{
        ChildTasks *tasks = launcher->tasks;
        ChildTask *task = task_find(tasks, kind, name);

        if (!task)
                return -ENOENT;
        if (task->stopped)
                return 0;
        task->stopped = true;
        if (pidfd_send_signal(task->pidfd, SIGTERM, NULL, 0) < 0 && errno != ESRCH)
                return -errno;
        return sd_event_add_time_relative(tasks->event, &task->kill_source, CLOCK_MONOTONIC,
                                          LAUNCHER_STOP_TIMEOUT_USEC, USEC_PER_SEC, on_kill, task);
}

void child_tasks_done(ChildTasks *tasks)
{
        while (tasks->list)
                task_free(tasks->list);
}
