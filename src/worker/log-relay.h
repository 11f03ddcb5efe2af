/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the pipeline's programs write to stderr: line by line to the journal with the run's fields (to our stderr where
 * there is no journal), within limits, and read for what the worker must know: Singer's METRIC lines and the line that
 * says why it failed. */

#include <systemd/sd-event.h>

#include "base/buffer.h"

/* A longer line of stderr is logged in pieces. */
#define LOG_LINE_MAX 8192U

/* Of a run's lines so many are logged in an interval; the others are counted, and that is logged. All are read. */
#define LOG_BURST         1000U
#define LOG_INTERVAL_USEC (10 * USEC_PER_SEC)

typedef struct LogRelay LogRelay;
typedef struct LogSource LogSource;

/* Singer's METRIC lines, added up. */
typedef struct LogMetrics {
        uint64_t n_metrics;
        uint64_t n_records;  /* counter record_count */
        uint64_t n_requests; /* timer http_request_duration */
        uint64_t n_requests_failed;
        double request_seconds;
} LogMetrics;

/**
 * log_relay_new() - fields of all lines
 * @connector: borrowed, as the next two
 * @provider:  may be NULL
 *
 * Return: 0; -ENOMEM.
 */
int log_relay_new(const char *connector, const char *run_id, const char *provider, LogRelay **ret) _must_check_;
LogRelay *log_relay_free(LogRelay *relay);
DEFINE_TRIVIAL_CLEANUP_FUNC(LogRelay *, log_relay_free);

/**
 * log_relay_add() - read another program's stderr from now on
 * @name: SYSLOG_IDENTIFIER= of its lines; borrowed
 * @fd:   taken over on success
 * @ret:  set on success only; caller frees before the relay
 *
 * Return: 0; negative errno.
 */
int log_relay_add(LogRelay *relay, sd_event *event, const char *name, pid_t pid, int fd, LogSource **ret) _must_check_;

/** log_source_drain() - read what is there now; @source may be NULL */
void log_source_drain(LogSource *source);
LogSource *log_source_free(LogSource *source);

/** log_source_error() - the program's own words on why it failed: its last CRITICAL line, else its last ERROR line,
 * else its last line; NULL if it wrote none; borrowed */
const char *log_source_error(const LogSource *source) _pure_;

/** log_source_critical() - likewise, but a CRITICAL line only */
const char *log_source_critical(const LogSource *source) _pure_;

const LogMetrics *log_relay_metrics(const LogRelay *relay) _pure_;

/** log_relay_line() - log one line as if @name had written it; at most LOG_LINE_MAX of it */
void log_relay_line(LogRelay *relay, const char *name, pid_t pid, int level, const char *line, size_t size);
