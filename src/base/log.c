/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define SD_JOURNAL_SUPPRESS_LOCATION /* an entry has that of who logs */
#include <systemd/sd-journal.h>

#include "base/names.h"
#include "base/string-util.h"

#define LOG_MESSAGE_MAX 4096U /* bytes of MESSAGE=; longer text is cut */
#define LOG_FIELDS_MAX  32U   /* fields of one entry, ours included */

/* The log is the one thing that a whole process shares. */
static struct {
        const char *identifier;
        LogTarget target;
        int level;
} self = { .identifier = "syncrun", .target = LOG_TARGET_CONSOLE, .level = LOG_INFO };

static const char *const level_table[] = { "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug" };
static const char *const target_table[] = { "auto", "journal", "console", "null" };
static_assert(ELEMENTSOF(target_table) == _LOG_TARGET_MAX, "one word for each LogTarget");

const char *log_level_to_string(int level)
{
        return level >= LOG_EMERG && level <= LOG_DEBUG ? level_table[level] : NULL;
}

int log_level_from_string(const char *word)
{
        for (int i = LOG_EMERG; word && i <= LOG_DEBUG; i++)
                if (streq(level_table[i], word))
                        return i;
        return -EINVAL;
}

const char *log_target_to_string(LogTarget target)
{
        return target >= 0 && target < _LOG_TARGET_MAX ? target_table[target] : NULL;
}

LogTarget log_target_from_string(const char *word)
{
        for (int i = 0; word && i < _LOG_TARGET_MAX; i++)
                if (streq(target_table[i], word))
                        return (LogTarget) i;
        return _LOG_TARGET_INVALID;
}

/* $JOURNAL_STREAM names the device and inode that the service manager connected to stderr. */
static bool stderr_is_journal(void)
{
        const char *stream = getenv("JOURNAL_STREAM");
        unsigned long long device, inode;
        struct stat st;

        if (!stream || sscanf(stream, "%llu:%llu", &device, &inode) != 2 || fstat(STDERR_FILENO, &st) < 0)
                return false;
        return st.st_dev == device && st.st_ino == inode;
}

void log_set_level(int level)
{
        self.level = CLAMP(level, LOG_EMERG, LOG_DEBUG);
}

int log_get_level(void)
{
        return self.level;
}

void log_set_target(LogTarget target)
{
        if (target == LOG_TARGET_AUTO)
                target = stderr_is_journal() ? LOG_TARGET_JOURNAL : LOG_TARGET_CONSOLE;
        self.target = target;
}

LogTarget log_get_target(void)
{
        return self.target;
}

void log_open(const char *identifier)
{
        int level = log_level_from_string(getenv(SYNCRUN_ENV_LOG_LEVEL));
        LogTarget target = log_target_from_string(getenv(SYNCRUN_ENV_LOG_TARGET));

        self.identifier = identifier;
        if (level >= 0)
                log_set_level(level);
        log_set_target(target >= 0 ? target : LOG_TARGET_AUTO);
}

const char *log_identifier(void)
{
        return self.identifier;
}

static void send_to_console(int level, const char *message)
{
        bool colour = isatty(STDERR_FILENO) && !getenv("NO_COLOR");
        const char *on = !colour ? "" : level <= LOG_ERR ? "\x1b[31m" : level <= LOG_WARNING ? "\x1b[33m" : "";

        (void) fprintf(stderr, "%s%s: %s%s\n", on, self.identifier, message, on[0] ? "\x1b[0m" : "");
}

static void send_to_journal(int level, const char *file, int line, const char *func, const char *message_id,
                            const LogField *fields, size_t n_fields, const char *message, int error)
{
        struct iovec iov[LOG_FIELDS_MAX];
        char *texts[LOG_FIELDS_MAX];
        size_t n = 0;

        texts[n++] = asprintf_or_null("MESSAGE=%s", message);
        texts[n++] = asprintf_or_null("PRIORITY=%d", level);
        texts[n++] = asprintf_or_null("SYSLOG_IDENTIFIER=%s", self.identifier);
        texts[n++] = asprintf_or_null("CODE_FILE=%s", file);
        texts[n++] = asprintf_or_null("CODE_LINE=%d", line);
        texts[n++] = asprintf_or_null("CODE_FUNC=%s", func);
        if (error > 0)
                texts[n++] = asprintf_or_null("ERRNO=%d", error);
        if (message_id)
                texts[n++] = asprintf_or_null("MESSAGE_ID=%s", message_id);
        for (size_t i = 0; i < n_fields && n < LOG_FIELDS_MAX; i++)
                if (fields[i].value)
                        texts[n++] = asprintf_or_null("%s=%s", fields[i].name, fields[i].value);

        size_t n_iov = 0;
        for (size_t i = 0; i < n; i++)
                if (texts[i])
                        iov[n_iov++] = (struct iovec) { .iov_base = texts[i], .iov_len = strlen(texts[i]) };
        (void) sd_journal_sendv(iov, (int) n_iov);
        for (size_t i = 0; i < n; i++)
                free(texts[i]);
}

void log_fields_full(int level, const char *file, int line, const char *func, const char *message_id,
                     const LogField *fields, size_t n_fields, const char *format, ...)
{
        int error = errno; /* for %m, and kept for the caller */
        char message[LOG_MESSAGE_MAX + 1];
        va_list ap;

        /* The format is never NULL: gcc, with the checks of UBSan in between, believes that it may be. */
        if (level > self.level || self.target == LOG_TARGET_NULL || !format)
                return;
        va_start(ap, format);
        (void) vsnprintf(message, sizeof(message), format, ap);
        va_end(ap);
        if (self.target == LOG_TARGET_JOURNAL)
                send_to_journal(level, file, line, func, message_id, fields, n_fields, message,
                                strstr(format, "%m") ? error : 0);
        else
                send_to_console(level, message);
        errno = error;
}
