/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "engine/log-reader.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>
#include <utlist.h>

#include "base/fd-util.h"
#include "base/json-util.h"
#include "base/json-writer.h"
#include "base/names.h"
#include "base/string-util.h"
#include "engine/engine-internal.h"
#include "model/log-match.h"

#define PROGRAM        "journalctl"
#define COMPLAINT_MAX  (4 * KIB) /* bytes of what journalctl says on stderr */
#define REASON_MAX     512U
#define READ_CHUNK     (64 * KIB)
#define TIMER_ACCURACY (100 * USEC_PER_MSEC)

typedef struct LogRead {
        Engine *engine;
        LogReadCallback callback;
        void *userdata;
        pid_t pid;
        int pidfd, out, complaints; /* of the child, or -EBADF */
        Buffer output;
        bool failed; /* the child said so */
        bool late;
        bool full; /* there is more than may be: the child was killed, and its last line may be half */
        sd_event_source *output_source;
        sd_event_source *exit_source;
        sd_event_source *timer;
        struct LogRead *prev, *next;
} LogRead;

static LogRead *log_read_free(LogRead *job)
{
        if (!job)
                return NULL;
        if (job->pid > 0) {
                (void) kill(job->pid, SIGKILL);
                (void) waitpid(job->pid, NULL, 0);
        }
        sd_event_source_disable_unref(job->output_source);
        sd_event_source_disable_unref(job->exit_source);
        sd_event_source_disable_unref(job->timer);
        (void) safe_close(job->pidfd);
        (void) safe_close(job->out);
        (void) safe_close(job->complaints);
        buffer_done(&job->output);
        free(job);
        return NULL;
}
DEFINE_TRIVIAL_CLEANUP_FUNC(LogRead *, log_read_free);

void log_reads_end(Engine *engine)
{
        LogRead *job, *next;

        DL_FOREACH_SAFE(engine->log_reads, job, next)
        {
                DL_DELETE(engine->log_reads, job);
                log_read_free(job);
        }
        engine->n_log_reads = 0;
}

/* ---- Lines as JSON */

/* Text, or the bytes of what is none; the caller's to free. */
static char *message_of(struct json_object *entry)
{
        _cleanup_buffer_ Buffer bytes = {};
        struct json_object *value;

        if (!json_object_object_get_ex(entry, "MESSAGE", &value) || !value)
                return strdup("");
        if (json_object_is_type(value, json_type_string))
                return utf8_sanitize(json_object_get_string(value), (size_t) json_object_get_string_len(value),
                                     LOG_MESSAGE_MAX);
        if (!json_object_is_type(value, json_type_array))
                return strdup("");
        for (size_t i = 0; i < json_object_array_length(value); i++)
                buffer_append_char(&bytes, (char) json_object_get_int(json_object_array_get_idx(value, i)));
        return utf8_sanitize(strempty(bytes.data), bytes.size, LOG_MESSAGE_MAX);
}

static void write_number(JsonWriter *w, const char *key, const char *text)
{
        uint64_t value;

        if (text && parse_uint64(text, &value) >= 0)
                json_write_uint(w, key, value);
        else
                json_write_null(w, key);
}

/* Return: 0; -EBADMSG where it is no entry; -ENOMEM. */
static int write_line(JsonWriter *w, const char *text, size_t size)
{
        const char *priority = NULL, *identifier = NULL, *pid = NULL, *time_text = NULL;
        _cleanup_json_ struct json_object *entry = NULL;
        _cleanup_free_ char *message = NULL;
        uint64_t usec, level = LOG_INFO;
        int r;

        r = json_parse(text, size, &entry);
        if (r < 0)
                return r;
        if (!json_object_is_type(entry, json_type_object))
                return -EBADMSG;
        message = message_of(entry);
        if (!message)
                return -ENOMEM;
        (void) json_get_string(entry, "PRIORITY", &priority);
        (void) json_get_string(entry, "SYSLOG_IDENTIFIER", &identifier);
        (void) json_get_string(entry, "_PID", &pid);
        (void) json_get_string(entry, "__REALTIME_TIMESTAMP", &time_text);
        if (!time_text || parse_uint64(time_text, &usec) < 0)
                return -EBADMSG;
        if (!priority || parse_uint64(priority, &level) < 0 || level > LOG_DEBUG)
                level = LOG_INFO;
        json_open_object(w, NULL);
        json_write_timestamp(w, "timestamp", usec);
        json_write_uint(w, "priority", level);
        json_write_string(w, "identifier", strempty(identifier));
        write_number(w, "pid", pid);
        json_write_string(w, "message", message);
        json_close_object(w);
        return 0;
}

/* They come newest first. Return: their number; -ENOMEM. */
static int write_lines(JsonWriter *w, const Buffer *output)
{
        const char *begin = strempty(output->data), *end = begin + output->size;
        int r, n = 0;

        while (end > begin) {
                const char *stop = end[-1] == '\n' ? end - 1 : end;
                const char *line = stop;

                while (line > begin && line[-1] != '\n')
                        line--;
                r = stop > line && *line == '{' ? write_line(w, line, (size_t) (stop - line)) : -EBADMSG;
                if (r == -ENOMEM)
                        return r;
                n += r >= 0;
                end = line;
        }
        return n;
}

/* What journalctl says of why it has nothing, its first line; the caller's to free; NULL: it does not say. */
static char *reason_of(LogRead *job)
{
        char text[COMPLAINT_MAX];
        ssize_t n = read(job->complaints, text, sizeof(text));
        const char *line = text, *hint = "Hint: ";

        if (n <= 0)
                return NULL;
        if ((size_t) n > strlen(hint) && strncmp(line, hint, strlen(hint)) == 0)
                line += strlen(hint);
        n -= line - text;
        for (ssize_t i = 0; i < n; i++)
                if (line[i] == '\n')
                        n = i;
        return utf8_sanitize(line, (size_t) n, REASON_MAX);
}

static int make_answer(LogRead *job, const char *reason, char **ret)
{
        _cleanup_buffer_ Buffer lines = {}, json = {};
        JsonWriter l = JSON_WRITER_INIT(&lines), w = JSON_WRITER_INIT(&json);
        _cleanup_free_ char *told = NULL, *text = NULL;
        int n, r;

        json_open_array(&l, NULL);
        n = write_lines(&l, &job->output);
        json_close_array(&l);
        if (n < 0)
                return n;
        r = buffer_take(&lines, &text);
        if (r < 0)
                return r;
        if (n == 0 && (!reason || job->failed)) {
                told = reason_of(job);
                if (told)
                        reason = told;
        } else if (n > 0)
                reason = NULL;
        json_open_object(&w, NULL);
        json_write_bool(&w, "available", !reason);
        json_write_string(&w, "reason", reason);
        json_write_raw(&w, "lines", text);
        json_close_object(&w);
        return buffer_take(&json, ret);
}

/* @reason: why there is nothing; NULL: what journalctl gives. */
static void log_read_finish(LogRead *job, const char *reason)
{
        _cleanup_(log_read_freep) LogRead *gone = job;
        _cleanup_free_ char *json = NULL;
        int r = make_answer(job, reason, &json);

        DL_DELETE(job->engine->log_reads, job);
        job->engine->n_log_reads--;
        gone->callback(r, json, gone->userdata);
}

/* ---- The child */

/* All that is there. Return: 1 there may be more later; 0 at the end; -ENOMEM. */
static int take_output(LogRead *job)
{
        while (!job->full) {
                size_t room = LOG_READ_BYTES_MAX - job->output.size;
                ssize_t n;

                if (buffer_reserve(&job->output, READ_CHUNK) < 0)
                        return -ENOMEM;
                n = TEMP_FAILURE_RETRY(read(job->out, job->output.data + job->output.size, MIN(room, READ_CHUNK)));
                if (n < 0)
                        return errno == EAGAIN;
                if (n == 0)
                        return 0;
                job->output.size += (size_t) n;
                job->full = job->output.size == LOG_READ_BYTES_MAX;
        }
        return 0;
}

static int on_output(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        LogRead *job = userdata;

        if (take_output(job) > 0)
                return 0;
        if (job->full)
                (void) kill(job->pid, SIGKILL);
        return sd_event_source_set_enabled(job->output_source, SD_EVENT_OFF);
}

static int on_exit_of_child(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        LogRead *job = userdata;
        siginfo_t info = {};

        if (waitid(P_PIDFD, (id_t) job->pidfd, &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0)
                return 0;
        job->pid = 0;
        (void) take_output(job);
        job->failed = info.si_code == CLD_EXITED && info.si_status != 0;
        log_read_finish(job, job->failed ? "journalctl failed" : job->late ? "journalctl took too long" : NULL);
        return 0;
}

static int on_late(sd_event_source *source, uint64_t usec, void *userdata)
{
        LogRead *job = userdata;

        job->late = true;
        (void) kill(job->pid, SIGKILL);
        return 0;
}

/* Its words, freed by the caller. */
static char **command_line(const Run *run, unsigned lines)
{
        static const char *const words[] = { PROGRAM, "--no-pager", "--output=json", "--reverse",
                                             "--output-fields=MESSAGE,PRIORITY,SYSLOG_IDENTIFIER,_PID" };
        const LogMatch match = {
                .run_id = run->id,
                .connector = run->connector,
                .invocation_id = run->invocation_id,
                .daemon_uid = geteuid(),
                .worker_uid = log_match_worker_uid(SYNCRUN_USERDB_DIR, strempty(run->connector)),
        };
        _cleanup_strv_free_ char **matches = NULL;
        char **ret = NULL;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(words); i++)
                r = strv_extend(&ret, words[i]);
        if (r >= 0)
                r = strv_consume(&ret, asprintf_or_null("--lines=%u", lines));
        if (r >= 0)
                r = log_match_words(&match, &matches);
        STRV_FOREACH(word, matches)
                if (r >= 0)
                        r = strv_extend(&ret, *word);
        return r >= 0 ? ret : strv_free(ret);
}

/* Return: 0; negative errno, -ENOENT where there is no such program. */
static int spawn(char **argv, int out, int complaints, pid_t *ret)
{
        _cleanup_free_ char *path = asprintf_or_null("PATH=%s", getenv("PATH") ?: "/usr/bin:/bin");
        char *environment[] = { path, (char *) "LC_ALL=C", NULL };
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        sigset_t none, all;
        int r;

        if (!path)
                return -ENOMEM;
        (void) sigemptyset(&none);
        (void) sigfillset(&all);
        (void) posix_spawnattr_init(&attributes);
        (void) posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
        (void) posix_spawnattr_setsigmask(&attributes, &none);
        (void) posix_spawnattr_setsigdefault(&attributes, &all);
        (void) posix_spawn_file_actions_init(&actions);
        r = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
        if (r == 0)
                r = posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
        if (r == 0)
                r = posix_spawn_file_actions_adddup2(&actions, complaints, STDERR_FILENO);
        if (r == 0)
                r = posix_spawnp(ret, argv[0], &actions, &attributes, argv, environment);
        (void) posix_spawn_file_actions_destroy(&actions);
        (void) posix_spawnattr_destroy(&attributes);
        return -r;
}

static int start_child(LogRead *job, char **argv)
{
        int out[2], complaints[2], r;

        if (pipe2(out, O_CLOEXEC) < 0)
                return -errno;
        job->out = out[0];
        if (pipe2(complaints, O_CLOEXEC) < 0) {
                r = -errno;
                (void) safe_close(out[1]);
                return r;
        }
        job->complaints = complaints[0];
        r = spawn(argv, out[1], complaints[1], &job->pid);
        (void) safe_close(out[1]);
        (void) safe_close(complaints[1]);
        if (r < 0) {
                job->pid = 0;
                return r;
        }
        job->pidfd = pidfd_open(job->pid, 0);
        if (job->pidfd < 0 || fcntl(job->out, F_SETFL, O_NONBLOCK) < 0 ||
            fcntl(job->complaints, F_SETFL, O_NONBLOCK) < 0)
                return -errno;
        return 0;
}

static int on_missing(sd_event_source *source, void *userdata)
{
        log_read_finish(userdata, PROGRAM " is not installed");
        return 0;
}

static int watch(LogRead *job)
{
        sd_event *event = job->engine->event;
        int r;

        r = sd_event_add_io(event, &job->output_source, job->out, EPOLLIN, on_output, job);
        if (r >= 0)
                r = sd_event_add_io(event, &job->exit_source, job->pidfd, EPOLLIN, on_exit_of_child, job);
        if (r >= 0)
                r = sd_event_add_time_relative(event, &job->timer, CLOCK_MONOTONIC, LOG_READ_USEC, TIMER_ACCURACY,
                                               on_late, job);
        return r;
}

int log_read(Engine *engine, const Run *run, unsigned lines, LogReadCallback callback, void *userdata)
{
        _cleanup_(log_read_freep) LogRead *job = NULL;
        _cleanup_strv_free_ char **argv = NULL;
        int r;

        if (engine->n_log_reads == LOG_READS_MAX)
                return -ENOBUFS;
        job = calloc(1, sizeof(*job));
        argv = command_line(run, lines);
        if (!job || !argv)
                return -ENOMEM;
        *job = (LogRead){ .engine = engine,
                          .callback = callback,
                          .userdata = userdata,
                          .pidfd = -EBADF,
                          .out = -EBADF,
                          .complaints = -EBADF };
        r = start_child(job, argv);
        r = r == -ENOENT ? sd_event_add_defer(engine->event, &job->exit_source, on_missing, job)
            : r < 0      ? r
                         : watch(job);
        if (r < 0)
                return r;
        DL_APPEND(engine->log_reads, job);
        engine->n_log_reads++;
        TAKE_PTR(job);
        return 0;
}
