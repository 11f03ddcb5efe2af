/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See keeper.h. */

#include "worker/keeper.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/names.h"
#include "base/proc-stat.h"
#include "base/string-util.h"

/* Who our worker is, for the daemon: what a process is called nobody can say but itself. 0: there is none. */
static void name_worker(pid_t worker)
{
        char name[32];

        (void) snprintf(name, sizeof(name), SYNCRUN_KEEPER_PREFIX "%d", worker);
        (void) prctl(PR_SET_NAME, name);
}

/* @barrier: at its end when the keeper has said who we are. */
static _noreturn_ void become_worker(const char *program, const char *connector, pid_t keeper, int barrier)
{
        char *argv[] = { (char *) program, (char *) connector, NULL };
        sigset_t none;
        char byte;

        while (read(barrier, &byte, sizeof(byte)) < 0 && errno == EINTR)
                ;
        (void) sigemptyset(&none);
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) >= 0 && getppid() == keeper && sigprocmask(SIG_SETMASK, &none, NULL) >= 0)
                (void) execv("/proc/self/exe", argv);
        log_error_errno(errno, "The worker cannot be started: %m");
        _exit(EXIT_FAILURE);
}

/* Return: whether there was one. */
static bool kill_children(void)
{
        pid_t self = getpid();
        DIR *proc = opendir("/proc");
        struct dirent *entry;
        bool found = false;

        while (proc && (entry = readdir(proc))) {
                ProcStat stat;
                uint64_t pid;

                if (parse_uint64(entry->d_name, &pid) < 0 || pid > INT_MAX ||
                    proc_stat_read((pid_t) pid, &stat) < 0 || stat.parent != self)
                        continue;
                found = true;
                (void) kill((pid_t) pid, SIGKILL);
        }
        if (proc)
                (void) closedir(proc);
        return found;
}

/* Takes note of those that have ended. The worker is named no longer when its pid may be given to another.
 * Return: whether some are left. */
static bool reap(pid_t worker, int *status)
{
        siginfo_t info;
        int how;

        for (;;) {
                info.si_pid = 0;
                if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
                        return false;
                if (info.si_pid == 0)
                        return true;
                if (info.si_pid == worker)
                        name_worker(0);
                if (waitpid(info.si_pid, &how, 0) == worker)
                        *status = how;
        }
}

/* The children of one that is killed become ours, so there is an end to it. */
static void kill_all(pid_t worker, int *status)
{
        siginfo_t info;

        while (reap(worker, status) && kill_children())
                (void) waitid(P_ALL, 0, &info, WEXITED | WNOWAIT);
}

static int end_as(int status)
{
        const struct rlimit none = {};
        sigset_t set;

        if (!WIFSIGNALED(status))
                return WEXITSTATUS(status);
        (void) setrlimit(RLIMIT_CORE, &none); /* it has dumped its own */
        (void) signal(WTERMSIG(status), SIG_DFL);
        (void) sigemptyset(&set);
        (void) sigaddset(&set, WTERMSIG(status));
        (void) raise(WTERMSIG(status));
        (void) sigprocmask(SIG_UNBLOCK, &set, NULL);
        return EXIT_FAILURE;
}

int keeper_run(const char *program, const char *connector)
{
        int status = -1, number;
        pid_t self = getpid(), worker;
        int barrier[2];
        sigset_t signals;

        (void) sigemptyset(&signals);
        (void) sigaddset(&signals, SIGCHLD);
        (void) sigaddset(&signals, SIGTERM);
        (void) sigaddset(&signals, SIGINT);
        (void) sigaddset(&signals, SIGQUIT);
        if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
                return log_error_errno(-errno, "What a connector leaves behind cannot be kept track of: %m");
        if (pipe2(barrier, O_CLOEXEC) < 0)
                return log_error_errno(-errno, "The worker cannot be started: %m");
        worker = fork();
        if (worker < 0)
                return log_error_errno(-errno, "The worker cannot be started: %m");
        if (worker == 0) {
                (void) close(barrier[1]);
                become_worker(program, connector, self, barrier[0]);
        }
        name_worker(worker);
        (void) close(barrier[0]);
        (void) close(barrier[1]);

        while (status < 0) {
                if (sigwait(&signals, &number) != 0)
                        continue;
                if (number == SIGCHLD)
                        (void) reap(worker, &status);
                else if (number == SIGQUIT)
                        (void) kill(worker, SIGKILL);
                else
                        (void) kill(worker, number);
        }
        kill_all(worker, &status);
        return end_as(status);
}
