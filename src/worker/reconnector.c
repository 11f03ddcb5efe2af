/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "worker/reconnector.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "config.h"

#include "base/fd-util.h"
#include "base/json-writer.h"
#include "base/log.h"
#include "base/names.h"
#include "base/string-util.h"
#include "base/time-util.h"
#include "model/command-line.h"
#include "model/connection.h"
#include "worker/process.h"

#define STOP_TIMEOUT_USEC (10 * USEC_PER_SEC) /* from TERM to KILL */
#define OUTPUT_LINE_MAX   4096U               /* bytes of one line of the program; what is longer is cut */
#define EXPIRES_PREFIX    "consent-expires="

typedef struct Reconnector {
        ConnectionDefinition *definition;
        char *state_directory;
        char **words;
        char **environment;

        sd_event *event;
        pid_t pid;
        int pidfd;
        int out_fd;
        sd_event_source *timer;
        char line[OUTPUT_LINE_MAX + 1];
        size_t n_line;

        char *message; /* the program's last line, or why it did not run */
        usec_t consent_expires_usec;
        bool out_of_memory; /* a line of it was lost that matters */
        ReconnectResult stopped; /* why we ended it; _RECONNECT_RESULT_INVALID: we did not */
} Reconnector;

static void reconnector_done(Reconnector *r)
{
        connection_definition_unref(r->definition);
        free(r->state_directory);
        strv_free(r->words);
        strv_free(r->environment);
        sd_event_source_disable_unref(r->timer);
        sd_event_unref(r->event);
        (void) safe_close(r->pidfd);
        (void) safe_close(r->out_fd);
        free(r->message);
}

/* ---- Preparing */

static int add_variable(Reconnector *r, const char *variable)
{
        char **place = r->environment;
        size_t n = strcspn(variable, "=") + 1;

        for (; place && *place; place++)
                if (strncmp(*place, variable, n) == 0) {
                        char *copy = strdup(variable);

                        if (!copy)
                                return -ENOMEM;
                        free(*place);
                        *place = copy;
                        return 0;
                }
        return strv_extend(&r->environment, variable);
}

static int make_environment(Reconnector *r, const Specifiers *specifiers)
{
        _cleanup_free_ char *name = asprintf_or_null(SYNCRUN_ENV_CONNECTION "=%s", r->definition->name);
        _cleanup_strv_free_ char **own = NULL;
        int k;

        k = name ? specifiers_expand_strv(r->definition->environment, specifiers, &own) : -ENOMEM;
        STRV_FOREACH(e, environ)
                if (k >= 0 && !startswith(*e, "NOTIFY_SOCKET=") && !startswith(*e, SYNCRUN_ENV_PREFIX))
                        k = strv_extend(&r->environment, *e);
        STRV_FOREACH(e, own)
                if (k >= 0)
                        k = add_variable(r, *e);
        return k < 0 ? k : add_variable(r, name);
}

static int prepare(Reconnector *r, const char *name)
{
        _cleanup_strv_free_ char **dirs = NULL;
        const char *directory = getenv("STATE_DIRECTORY");
        Specifiers specifiers = { .connector = name };
        int k;

        k = connection_dirs(&dirs);
        if (k >= 0)
                k = connection_definition_load(dirs, name, NULL, &r->definition);
        if (k < 0)
                return log_error_errno(k, "The file of connection %s cannot be read: %m", name);
        if (r->definition->load_state != LOAD_LOADED || !r->definition->exec_reconnect) {
                log_error("%s", r->definition->load_error ?: "The connection has no ExecReconnect=.");
                return free_and_strdup(&r->message, r->definition->load_error ?: "It has no ExecReconnect=.") < 0
                                       ? -ENOMEM
                                       : -ENOEXEC;
        }
        r->state_directory = directory ? strdup(directory)
                                       : asprintf_or_null(SYNCRUN_LOCALSTATEDIR "/lib/syncrun-connection/%s", name);
        if (!r->state_directory)
                return log_oom();
        specifiers.state_directory = r->state_directory;
        specifiers.credentials_directory = getenv("CREDENTIALS_DIRECTORY");
        k = specifiers_expand_strv(r->definition->exec_reconnect, &specifiers, &r->words);
        if (k >= 0)
                k = make_environment(r, &specifiers);
        return k < 0 ? log_error_errno(k, "ExecReconnect= cannot be prepared: %m") : 0;
}

/* ---- What it says */

static void take_line(Reconnector *r)
{
        PointInTime point = POINT_IN_TIME_INIT;
        bool is_over = false;
        const char *expires;
        char *text, *clean;
        int k;

        r->line[r->n_line] = '\0';
        r->n_line = 0;
        text = strstrip(r->line);
        if (isempty(text))
                return;
        expires = startswith(text, EXPIRES_PREFIX);
        k = expires ? point_in_time_parse(expires, &point) : -EINVAL;
        if (k == -ENOMEM)
                r->out_of_memory = true; /* it is reconnected, but until when is lost */
        if (k >= 0) {
                usec_t usec = point_in_time_usec(&point);

                point_in_time_done(&point);
                is_over = usec <= now_usec(CLOCK_REALTIME);
                if (!is_over) {
                        r->consent_expires_usec = usec;
                        return;
                }
        }
        clean = utf8_sanitize(text, strlen(text), RECONNECT_MESSAGE_MAX);
        if (!clean)
                return;
        if (expires)
                log_warning("%s says \"%s\", which is %s.", r->words[0], clean,
                            is_over ? "over already, and does not count" : "no point in time");
        else
                log_info("%s", clean);
        free(r->message);
        r->message = clean;
}

static void take_output(Reconnector *r, const char *bytes, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (bytes[i] == '\n')
                        take_line(r);
                else if (r->n_line < OUTPUT_LINE_MAX)
                        r->line[r->n_line++] = (char) (bytes[i] == '\0' ? ' ' : bytes[i]);
}

/* Return: whether there may be more. */
static bool read_output(Reconnector *r)
{
        char buffer[4096];
        ssize_t n = read(r->out_fd, buffer, sizeof(buffer));

        if (n > 0)
                take_output(r, buffer, (size_t) n);
        return n > 0 || (n < 0 && errno == EINTR);
}

static int on_output(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        if (!read_output(userdata) && (revents & EPOLLHUP))
                return sd_event_source_set_enabled(source, SD_EVENT_OFF);
        return 0;
}

/* ---- Its life */

static int on_kill(sd_event_source *source, uint64_t usec, void *userdata)
{
        Reconnector *r = userdata;

        (void) kill(-r->pid, SIGKILL);
        return 0;
}

static void stop(Reconnector *r, ReconnectResult why)
{
        if (r->stopped >= 0)
                return;
        r->stopped = why;
        (void) kill(-r->pid, SIGTERM);
        r->timer = sd_event_source_disable_unref(r->timer);
        if (sd_event_add_time_relative(r->event, &r->timer, CLOCK_MONOTONIC, STOP_TIMEOUT_USEC, 0, on_kill, r) < 0)
                (void) kill(-r->pid, SIGKILL);
}

static int on_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
        stop(userdata, RECONNECT_TIMEOUT);
        return 0;
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
        stop(userdata, RECONNECT_CANCELLED);
        return 0;
}

static int on_exit_of_program(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        Reconnector *r = userdata;

        return sd_event_exit(r->event, 0);
}

static int spawn(Reconnector *r)
{
        posix_spawn_file_actions_t actions;
        _cleanup_close_ int write_end = -EBADF;
        posix_spawnattr_t attributes;
        sigset_t none, all;
        int fds[2], k;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;
        r->out_fd = fds[0];
        write_end = fds[1];
        if (fcntl(r->out_fd, F_SETFL, O_NONBLOCK) < 0)
                return -errno;
        k = posix_spawnattr_init(&attributes);
        if (k != 0)
                return -k;
        k = posix_spawn_file_actions_init(&actions);
        if (k != 0) {
                (void) posix_spawnattr_destroy(&attributes);
                return -k;
        }
        (void) sigemptyset(&none);
        (void) sigfillset(&all);
        (void) posix_spawnattr_setflags(&attributes,
                                        POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
        (void) posix_spawnattr_setsigmask(&attributes, &none);
        (void) posix_spawnattr_setsigdefault(&attributes, &all);
        k = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
        if (k == 0)
                k = posix_spawn_file_actions_adddup2(&actions, write_end, STDOUT_FILENO);
        if (k == 0)
                k = posix_spawn_file_actions_addchdir_np(&actions, r->state_directory);
        if (k == 0)
                k = posix_spawnp(&r->pid, r->words[0], &actions, &attributes, r->words, r->environment);
        (void) posix_spawn_file_actions_destroy(&actions);
        (void) posix_spawnattr_destroy(&attributes);
        return -k;
}

static int watch(Reconnector *r)
{
        int k;

        r->pidfd = pidfd_open(r->pid, 0);
        if (r->pidfd < 0)
                return -errno;
        k = sd_event_add_io(r->event, NULL, r->out_fd, EPOLLIN, on_output, r);
        if (k >= 0)
                k = sd_event_add_io(r->event, NULL, r->pidfd, EPOLLIN, on_exit_of_program, r);
        if (k >= 0)
                k = sd_event_add_signal(r->event, NULL, SIGTERM, on_signal, r);
        if (k >= 0)
                k = sd_event_add_signal(r->event, NULL, SIGINT, on_signal, r);
        if (k >= 0 && r->definition->timeout_usec != USEC_INFINITY)
                k = sd_event_add_time_relative(r->event, &r->timer, CLOCK_MONOTONIC, r->definition->timeout_usec, 0,
                                               on_timeout, r);
        return k;
}

/* Return: 0 or positive: the exit status; negative errno, with the message set. */
static int run(Reconnector *r)
{
        siginfo_t info = {};
        int k;

        k = sd_event_new(&r->event);
        if (k >= 0)
                k = spawn(r);
        if (k < 0) {
                free(r->message);
                r->message = asprintf_or_null("%s cannot be run: %s%s.", r->words[0], strerror(-k), process_hint(k));
                return k;
        }
        k = watch(r);
        if (k >= 0)
                k = sd_event_loop(r->event);
        /* What it left behind goes with it. */
        (void) kill(-r->pid, SIGKILL);
        (void) waitid(P_PID, (id_t) r->pid, &info, WEXITED);
        while (read_output(r))
                ;
        take_line(r);
        if (k < 0 || r->out_of_memory)
                return k < 0 ? k : -ENOMEM;
        return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
}

static void tell(const Reconnector *r, ReconnectResult result)
{
        _cleanup_buffer_ Buffer buffer = {};
        JsonWriter w = JSON_WRITER_INIT(&buffer);

        json_open_object(&w, NULL);
        json_write_string(&w, "result", reconnect_result_to_string(result));
        json_write_string(&w, "message", r->message);
        if (result == RECONNECT_SUCCESS && r->consent_expires_usec > 0)
                json_write_uint(&w, "consent_expires", r->consent_expires_usec);
        json_close_object(&w);
        if (buffer.failed) {
                (void) log_oom();
                return;
        }
        (void) sd_notifyf(false, "STATUS=%s", buffer.data);
        (void) printf("%s\n", buffer.data);
        (void) fflush(stdout);
}

int reconnect_connection(const char *name)
{
        Reconnector r = { .pidfd = -EBADF, .out_fd = -EBADF, .stopped = _RECONNECT_RESULT_INVALID };
        ReconnectResult result = RECONNECT_FAILED;
        int k;

        k = prepare(&r, name);
        if (k >= 0)
                k = run(&r);
        if (k == 0 && r.stopped < 0)
                result = RECONNECT_SUCCESS;
        else if (r.stopped >= 0)
                result = r.stopped;
        if (k > 0 && result == RECONNECT_FAILED && !r.message)
                r.message = asprintf_or_null("It ended with exit status %d.", k);
        if (result == RECONNECT_TIMEOUT) {
                free(r.message);
                r.message = strdup("It took too long.");
        }
        if (result != RECONNECT_SUCCESS)
                log_error("Connection %s was not reconnected: %s", name, strna(r.message));
        tell(&r, result);
        reconnector_done(&r);
        return result == RECONNECT_SUCCESS ? 0 : MIN(k, -EIO);
}
