/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See log-relay.h. */

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "base/fd-util.h"
#include "base/json-util.h"
#include "base/log.h"
#include "base/names.h"
#include "base/string-util.h"
#include "base/time-util.h"
#include "model/run.h"
#include "worker/log-relay.h"

/* Reads of one program before others get their turn. */
#define READS_PER_TURN 16

struct LogRelay {
        const char *connector;
        const char *run_id;
        const char *provider;
        usec_t interval_began_usec;
        unsigned n_in_interval;
        uint64_t n_suppressed;
        LogMetrics metrics;
};

struct LogSource {
        LogRelay *relay;
        const char *name;
        pid_t pid;
        int fd;
        sd_event_source *source;
        char *critical;
        char *error;
        char *last;
        size_t size;
        char line[LOG_LINE_MAX + 1]; /* and a NUL */
};

static const struct {
        const char *word;
        int level;
} level_words[] = {
        { "CRITICAL", LOG_CRIT }, { "FATAL", LOG_CRIT }, { "ERROR", LOG_ERR },   { "WARNING", LOG_WARNING },
        { "WARN", LOG_WARNING },  { "INFO", LOG_INFO },  { "DEBUG", LOG_DEBUG }, { "TRACE", LOG_DEBUG },
};

int log_relay_new(const char *connector, const char *run_id, const char *provider, LogRelay **ret)
{
        LogRelay *relay = calloc(1, sizeof(*relay));

        if (!relay)
                return -ENOMEM;
        *relay = (LogRelay){ .connector = connector, .run_id = run_id, .provider = provider };
        *ret = relay;
        return 0;
}

const LogMetrics *log_relay_metrics(const LogRelay *relay)
{
        return &relay->metrics;
}

static void send_to_journal(LogRelay *relay, const char *name, pid_t pid, int level, const char *text)
{
        const struct {
                const char *field, *value;
        } fields[] = {
                { "MESSAGE", text },
                { "SYSLOG_IDENTIFIER", name },
                { FIELD_CONNECTOR, relay->connector },
                { FIELD_RUN_ID, relay->run_id },
                { FIELD_PROVIDER, relay->provider },
        };
        struct iovec parts[ELEMENTSOF(fields) + 2];
        char priority[32], number[32];
        int n = 0;

        for (size_t i = 0; i < ELEMENTSOF(fields); i++) {
                char *field = fields[i].value ? asprintf_or_null("%s=%s", fields[i].field, fields[i].value) : NULL;

                if (field)
                        parts[n++] = (struct iovec){ field, strlen(field) };
        }
        int n_owned = n;
        (void) snprintf(priority, sizeof(priority), "PRIORITY=%d", level);
        parts[n++] = (struct iovec){ priority, strlen(priority) };
        if (pid > 0) {
                (void) snprintf(number, sizeof(number), "SYSLOG_PID=%d", pid);
                parts[n++] = (struct iovec){ number, strlen(number) };
        }
        (void) sd_journal_sendv(parts, n);
        for (int i = 0; i < n_owned; i++)
                free(parts[i].iov_base);
}

static void emit(LogRelay *relay, const char *name, pid_t pid, int level, const char *text)
{
        if (level > log_get_level())
                return;
        switch (log_get_target()) {
        case LOG_TARGET_JOURNAL:
                send_to_journal(relay, name, pid, level, text);
                break;
        case LOG_TARGET_CONSOLE:
                (void) fprintf(stderr, "%s: %s\n", name, text);
                break;
        default:
                break;
        }
}

static void tell_suppressed(LogRelay *relay)
{
        char text[96];

        if (relay->n_suppressed == 0)
                return;
        (void) snprintf(text, sizeof(text), "%llu lines of the connector's programs were not logged.",
                        (unsigned long long) relay->n_suppressed);
        emit(relay, log_identifier(), 0, LOG_WARNING, text);
        relay->n_suppressed = 0;
}

/* Whether one more line may be logged now. */
static bool within_limit(LogRelay *relay)
{
        usec_t now = now_usec(CLOCK_MONOTONIC);

        if (now - relay->interval_began_usec >= LOG_INTERVAL_USEC) {
                tell_suppressed(relay);
                relay->interval_began_usec = now;
                relay->n_in_interval = 0;
        }
        if (relay->n_in_interval >= LOG_BURST) {
                relay->n_suppressed++;
                return false;
        }
        relay->n_in_interval++;
        return true;
}

LogRelay *log_relay_free(LogRelay *relay)
{
        if (relay)
                tell_suppressed(relay);
        free(relay);
        return NULL;
}

void log_relay_line(LogRelay *relay, const char *name, pid_t pid, int level, const char *line, size_t size)
{
        _cleanup_free_ char *text = NULL;

        if (level > log_get_level() || !within_limit(relay))
                return;
        text = utf8_sanitize(line, size, LOG_LINE_MAX);
        if (text)
                emit(relay, name, pid, level, text);
}

/* Finds a level word that stands alone at the beginning, or behind a date and time; *ret_rest is what follows it. */
static int level_of(const char *line, const char **ret_rest)
{
        const char *at = line;

        if (at[0] == '<' && at[1] >= '0' && at[1] <= '7' && at[2] == '>') {
                *ret_rest = at + 3;
                return at[1] - '0';
        }
        at += strspn(at, "0123456789-/:.,TZ+[ ");
        for (size_t i = 0; i < ELEMENTSOF(level_words); i++) {
                const char *rest = startswith(at, level_words[i].word);

                if (rest && (*rest == ' ' || *rest == ':' || *rest == ']')) {
                        *ret_rest = rest + strspn(rest, " :]-");
                        return level_words[i].level;
                }
        }
        *ret_rest = line;
        return LOG_INFO;
}

static void add_metric(LogRelay *relay, const char *json)
{
        _cleanup_json_ struct json_object *metric = NULL;
        struct json_object *tags = NULL;
        const char *name = NULL, *status = NULL;
        uint64_t status_code = 0;
        double value = 0;

        if (json_parse(json, strlen(json), &metric) < 0 || json_get_string(metric, "metric", &name) <= 0 ||
            json_get_double(metric, "value", &value) < 0 || !isfinite(value) || value < 0)
                return;
        relay->metrics.n_metrics++;
        if (streq(name, "record_count") && value < (double) INT64_MAX) {
                relay->metrics.n_records += (uint64_t) value;
                return;
        }
        if (!streq(name, "http_request_duration"))
                return;
        relay->metrics.n_requests++;
        relay->metrics.request_seconds += value;
        if (json_get_object(metric, "tags", &tags) > 0) {
                (void) json_get_string(tags, "status", &status);
                (void) json_get_uint(tags, "http_status_code", &status_code);
        }
        if ((status && streq(status, "failed")) || status_code >= 400)
                relay->metrics.n_requests_failed++;
}

static void remember(char **words, const char *text)
{
        char *copy = isempty(text) ? NULL : utf8_sanitize(text, strlen(text), ERROR_TEXT_MAX);

        if (!copy)
                return;
        free(*words);
        *words = copy;
}

static void handle_line(LogSource *source, char *line, size_t size)
{
        const char *rest, *metric;
        int level;

        while (size > 0 && strchr(" \t\r", line[size - 1]))
                size--;
        if (size == 0)
                return;
        line[size] = 0;
        level = level_of(line, &rest);
        metric = startswith(rest, "METRIC: ");
        if (metric) {
                add_metric(source->relay, metric);
                level = LOG_DEBUG;
        } else {
                remember(&source->last, rest);
                if (level <= LOG_CRIT)
                        remember(&source->critical, rest);
                else if (level == LOG_ERR)
                        remember(&source->error, rest);
        }
        log_relay_line(source->relay, source->name, source->pid, level, line, size);
}

static void handle_lines(LogSource *source, bool ended)
{
        char *begin = source->line, *end = source->line + source->size, *newline;

        while ((newline = memchr(begin, '\n', end - begin))) {
                handle_line(source, begin, newline - begin);
                begin = newline + 1;
        }
        source->size = end - begin;
        memmove(source->line, begin, source->size);
        /* one byte is kept for the NUL */
        if (source->size == sizeof(source->line) - 1 || (ended && source->size > 0)) {
                handle_line(source, source->line, source->size);
                source->size = 0;
        }
}

/* Return: 1 if there may be more; 0 if there is nothing now; negative when it has ended. */
static int read_some(LogSource *source)
{
        ssize_t n;

        if (source->fd < 0)
                return -EBADF;
        do
                n = read(source->fd, source->line + source->size, sizeof(source->line) - 1 - source->size);
        while (n < 0 && errno == EINTR);
        if (n < 0 && errno == EAGAIN)
                return 0;
        if (n <= 0) {
                handle_lines(source, true);
                source->source = sd_event_source_disable_unref(source->source);
                source->fd = safe_close(source->fd);
                return -EPIPE;
        }
        source->size += (size_t) n;
        handle_lines(source, false);
        return 1;
}

static int on_readable(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
        LogSource *source = userdata;

        for (int i = 0; i < READS_PER_TURN && read_some(source) > 0; i++)
                ;
        return 0;
}

int log_relay_add(LogRelay *relay, sd_event *event, const char *name, pid_t pid, int fd, LogSource **ret)
{
        LogSource *source;
        int flags = fcntl(fd, F_GETFL), r;

        if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
                return -errno;
        source = calloc(1, sizeof(*source));
        if (!source)
                return -ENOMEM;
        source->relay = relay;
        source->name = name;
        source->pid = pid;
        source->fd = -EBADF;
        r = sd_event_add_io(event, &source->source, fd, EPOLLIN, on_readable, source);
        if (r < 0) {
                free(source);
                return r;
        }
        (void) sd_event_source_set_description(source->source, "program-stderr");
        source->fd = fd;
        *ret = source;
        return 0;
}

void log_source_drain(LogSource *source)
{
        if (!source)
                return;
        /* A pipe's worth: another process that inherited it may write for ever. */
        for (size_t got = 0; got < MIB && read_some(source) > 0; got += LOG_LINE_MAX)
                ;
        handle_lines(source, true);
}

LogSource *log_source_free(LogSource *source)
{
        if (!source)
                return NULL;
        source->source = sd_event_source_disable_unref(source->source);
        source->fd = safe_close(source->fd);
        free(source->critical);
        free(source->error);
        free(source->last);
        free(source);
        return NULL;
}

const char *log_source_error(const LogSource *source)
{
        return source->critical ?: source->error ?: source->last;
}

const char *log_source_critical(const LogSource *source)
{
        return source->critical;
}
