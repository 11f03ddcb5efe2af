/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See process.h. fork() and not posix_spawn(): the child must set its death signal before it becomes the program. */

#include <fcntl.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd-util.h"
#include "base/string-util.h"
#include "worker/process.h"

struct Process {
        pid_t pid;
        int pidfd;
        char *name;
        LogSource *log;
        sd_event_source *exit_source;
        ProcessCallback on_exit;
        void *userdata;
        ProcessExit how;
};

static int move_fd(int fd, int target)
{
        if (fd == target) {
                int flags = fcntl(fd, F_GETFD);

                return flags < 0 || fcntl(fd, F_SETFD, flags & ~FD_CLOEXEC) < 0 ? -errno : 0;
        }
        return dup2(fd, target) < 0 ? -errno : 0;
}

/* In the child, up to the program. Returns only on failure. */
static int become(const ProcessSpec *spec, pid_t parent, int stderr_fd)
{
        _cleanup_close_ int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        const int fds[] = { spec->stdin_fd, spec->stdout_fd, stderr_fd };
        int copies[3];
        sigset_t none;

        if (null_fd < 0)
                return -errno;
        /* Away from 0 to 2 first, so that none is overwritten before it is used. */
        for (int i = 0; i < 3; i++) {
                copies[i] = fcntl(fds[i] >= 0 ? fds[i] : null_fd, F_DUPFD_CLOEXEC, 3);
                if (copies[i] < 0)
                        return -errno;
        }
        for (int i = 0; i < 3; i++) {
                int r = move_fd(copies[i], i);

                if (r < 0)
                        return r;
        }

        if (setpgid(0, 0) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
                return -errno;
        if (getppid() != parent)
                return -ECHILD; /* the worker died before it could be heard of */
        for (int number = 1; number < NSIG; number++)
                (void) signal(number, SIG_DFL);
        (void) sigemptyset(&none);
        if (sigprocmask(SIG_SETMASK, &none, NULL) < 0)
                return -errno;
        if (spec->working_directory && chdir(spec->working_directory) < 0)
                return -errno;
        (void) execvpe(spec->argv[0], spec->argv, spec->environment);
        return -errno;
}

const char *process_hint(int error)
{
        return error == -ENOENT || error == -EACCES || error == -EROFS
                               ? " ('syncrunctl verify' says what a run does not see of the machine, or may not write)"
                               : "";
}

static _noreturn_ void child_main(const ProcessSpec *spec, pid_t parent, int stderr_fd, int failure_fd)
{
        int r = -EBADF;
        int own = fcntl(failure_fd, F_DUPFD_CLOEXEC, 3);

        if (own >= 0) {
                r = become(spec, parent, stderr_fd);
                r = write_all(own, &r, sizeof(r));
        }
        _exit(r < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}

/* The process is not reaped here but with its Process, so that its group's number stays its own until then. The C
 * library's waitid() does not tell the resources. */
static int on_pidfd(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        Process *process = userdata;
        struct rusage usage = {};
        siginfo_t info = {};
        long r;

        do
                r = syscall(SYS_waitid, P_PID, process->pid, &info, WEXITED | WNOHANG | WNOWAIT, &usage);
        while (r < 0 && errno == EINTR);
        if (r == 0 && info.si_pid == 0)
                return 0;
        process->exit_source = sd_event_source_disable_unref(process->exit_source);
        process->how = (ProcessExit){
                .exited = true,
                .status = r == 0 && info.si_code == CLD_EXITED ? info.si_status : -1,
                .signal = r == 0 && info.si_code != CLD_EXITED ? info.si_status : 0,
                .cpu_usec = (uint64_t) (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * USEC_PER_SEC +
                            (uint64_t) (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec),
                .memory_peak_bytes = (uint64_t) usage.ru_maxrss * KIB,
        };
        log_source_drain(process->log);
        process->on_exit(process, process->userdata);
        return 0;
}

static const char *basename_of(const char *path)
{
        const char *slash = strrchr(path, '/');

        return slash ? slash + 1 : path;
}

static int start(Process *process, const ProcessSpec *spec, int stderr_fd)
{
        _cleanup_close_ int read_end = -EBADF, write_end = -EBADF;
        pid_t parent = getpid();
        int failure[2], r;
        ssize_t n;

        if (pipe2(failure, O_CLOEXEC) < 0)
                return -errno;
        read_end = failure[0];
        write_end = failure[1];

        process->pid = fork();
        if (process->pid < 0)
                return -errno;
        if (process->pid == 0)
                child_main(spec, parent, stderr_fd, write_end);

        write_end = safe_close(write_end);
        do
                n = read(read_end, &r, sizeof(r));
        while (n < 0 && errno == EINTR);
        if (n == 0) {
                process->pidfd = pidfd_open(process->pid, 0);
                r = process->pidfd < 0 ? -errno : 0;
        } else if (n != sizeof(r))
                r = -EIO;
        if (r < 0) {
                (void) kill(process->pid, SIGKILL);
                (void) waitpid(process->pid, NULL, 0);
                process->pid = 0;
        }
        return r;
}

int process_spawn(sd_event *event, const ProcessSpec *spec, Process **ret)
{
        _cleanup_(process_freep) Process *process = calloc(1, sizeof(*process));
        _cleanup_close_ int log_read = -EBADF, log_write = -EBADF;
        int log_pipe[2], r;

        if (!process)
                return -ENOMEM;
        process->pidfd = -EBADF;
        process->on_exit = spec->on_exit;
        process->userdata = spec->userdata;
        process->name = strdup(basename_of(spec->argv[0]));
        if (!process->name)
                return -ENOMEM;
        if (pipe2(log_pipe, O_CLOEXEC) < 0)
                return -errno;
        log_read = log_pipe[0];
        log_write = log_pipe[1];

        r = start(process, spec, log_write);
        if (r < 0)
                return r;
        r = log_relay_add(spec->relay, event, process->name, process->pid, log_read, &process->log);
        if (r < 0)
                return r;
        TAKE_FD(log_read);
        r = sd_event_add_io(event, &process->exit_source, process->pidfd, EPOLLIN, on_pidfd, process);
        if (r < 0)
                return r;
        /* its last lines, which are readable by then, say why it ended */
        (void) sd_event_source_set_priority(process->exit_source, SD_EVENT_PRIORITY_NORMAL + 1);
        (void) sd_event_source_set_description(process->exit_source, "process-exit");
        *ret = TAKE_PTR(process);
        return 0;
}

Process *process_free(Process *process)
{
        if (!process)
                return NULL;
        process->exit_source = sd_event_source_disable_unref(process->exit_source);
        if (process->pid > 0) {
                process_signal(process, SIGKILL); /* also what it has left behind */
                (void) waitpid(process->pid, NULL, 0);
        }
        log_source_free(process->log);
        process->pidfd = safe_close(process->pidfd);
        free(process->name);
        free(process);
        return NULL;
}

void process_signal(Process *process, int signal_number)
{
        if (process->pid <= 0)
                return;
        /* Before the child has made its group, or if it left it. */
        if (kill(-process->pid, signal_number) < 0 && !process->how.exited)
                (void) pidfd_send_signal(process->pidfd, signal_number, NULL, 0);
}

bool process_is_dead(const Process *process)
{
        siginfo_t info = {};

        return process->how.exited ||
               (waitid(P_PID, process->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == process->pid);
}

const ProcessExit *process_exit(const Process *process)
{
        return &process->how;
}

const char *process_name(const Process *process)
{
        return process->name;
}

const char *process_error(const Process *process)
{
        return log_source_error(process->log);
}

const char *process_critical(const Process *process)
{
        return log_source_critical(process->log);
}
