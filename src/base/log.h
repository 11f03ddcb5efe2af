/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Logging to the journal with structured fields, or to the terminal where there is no journal. A lower room logs at
 * debug only; the room that ends an operation logs its failure, once. */

#include <syslog.h>

#include "base/macros.h"

typedef enum LogTarget {
        LOG_TARGET_AUTO, /* the journal if stderr is connected to it or is nowhere, else the terminal */
        LOG_TARGET_JOURNAL,
        LOG_TARGET_CONSOLE,
        LOG_TARGET_NULL,
        _LOG_TARGET_MAX,
        _LOG_TARGET_INVALID = -EINVAL,
} LogTarget;

/* One structured field; an entry with a NULL value is left out. */
typedef struct LogField {
        const char *name;
        const char *value; /* borrowed */
} LogField;

/* The words of LogControl1 and SYNCRUN_LOG_LEVEL: emerg alert crit err warning notice info debug. */
const char *log_level_to_string(int level);
int log_level_from_string(const char *word); /* -EINVAL if unknown */

const char *log_target_to_string(LogTarget target);
LogTarget log_target_from_string(const char *word);

/* Reads SYNCRUN_LOG_LEVEL and SYNCRUN_LOG_TARGET; @identifier is SYSLOG_IDENTIFIER=, static. */
void log_open(const char *identifier);
const char *log_identifier(void);
void log_set_level(int level);
int log_get_level(void);
void log_set_target(LogTarget target);
LogTarget log_get_target(void); /* never AUTO after log_open() */

/**
 * log_fields() - one entry with structured fields
 * @level:      LOG_ERR, LOG_WARNING, ...; entries above the set level are dropped before anything is formatted
 * @message_id: one of base/names.h, or NULL
 * @fields:     n_fields fields; borrowed
 *
 * Never fails: what cannot be logged is dropped.
 */
#define log_fields(level, message_id, fields, n_fields, ...)                                                         \
        log_fields_full(level, __FILE__, __LINE__, __func__, message_id, fields, n_fields, __VA_ARGS__)
void log_fields_full(int level, const char *file, int line, const char *func, const char *message_id,
                     const LogField *fields, size_t n_fields, const char *format, ...) _printf_(8, 9);

#define log_full(level, ...)  log_fields_full(level, __FILE__, __LINE__, __func__, NULL, NULL, 0, __VA_ARGS__)
#define log_debug(...)        log_full(LOG_DEBUG, __VA_ARGS__)
#define log_info(...)         log_full(LOG_INFO, __VA_ARGS__)
#define log_notice(...)       log_full(LOG_NOTICE, __VA_ARGS__)
#define log_warning(...)      log_full(LOG_WARNING, __VA_ARGS__)
#define log_error(...)        log_full(LOG_ERR, __VA_ARGS__)

/* Log with ERRNO= set so that "%m" is the text of @error (negative or positive errno); the value is -|error|. */
#define log_full_errno(level, error, ...)                                                                            \
        ({                                                                                                           \
                int _error = (error);                                                                                \
                errno = _error < 0 ? -_error : _error;                                                               \
                log_full(level, __VA_ARGS__);                                                                        \
                -(_error < 0 ? -_error : _error);                                                                    \
        })
#define log_debug_errno(error, ...)   log_full_errno(LOG_DEBUG, error, __VA_ARGS__)
#define log_warning_errno(error, ...) log_full_errno(LOG_WARNING, error, __VA_ARGS__)
#define log_error_errno(error, ...)   log_full_errno(LOG_ERR, error, __VA_ARGS__)
#define log_oom()                     log_error_errno(ENOMEM, "Out of memory.")
