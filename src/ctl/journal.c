/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/journal.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include <systemd/sd-journal.h>

#include "base/string-util.h"
#include "ctl/terminal.h"

/* A field's value as text without control characters, freed by the caller; "" where it is missing. */
static char *field_text(sd_journal *journal, const char *field)
{
        const void *data;
        size_t n, skip = strlen(field) + 1;

        if (sd_journal_get_data(journal, field, &data, &n) < 0 || n < skip)
                return strdup("");
        return utf8_sanitize((const char *) data + skip, n - skip, 4096);
}

static void print_entry(sd_journal *journal, const char *indent)
{
        _cleanup_free_ char *message = field_text(journal, "MESSAGE"),
                            *identifier = field_text(journal, "SYSLOG_IDENTIFIER"),
                            *priority = field_text(journal, "PRIORITY");
        int level = isempty(priority) ? LOG_INFO : priority[0] - '0';
        Colour c = level <= LOG_ERR ? COLOUR_RED : level <= LOG_WARNING ? COLOUR_YELLOW : COLOUR_NORMAL;
        char time_text[32] = "";
        uint64_t usec;
        struct tm tm;
        time_t seconds;

        if (sd_journal_get_realtime_usec(journal, &usec) >= 0) {
                seconds = (time_t) (usec / USEC_PER_SEC);
                if (localtime_r(&seconds, &tm))
                        (void) strftime(time_text, sizeof(time_text), "%b %d %H:%M:%S", &tm);
        }
        (void) printf("%s%s %s: %s%s%s\n", indent, time_text, strempty(identifier), colour(c), strempty(message),
                      colour(COLOUR_NORMAL));
}

int journal_print(const char *field, const char *value, uint64_t lines, const char *indent)
{
        _cleanup_(sd_journal_closep) sd_journal *journal = NULL;
        _cleanup_free_ char *match = asprintf_or_null("%s=%s", field, value);
        int r, n = 0;

        if (!match)
                return -ENOMEM;
        r = sd_journal_open(&journal, SD_JOURNAL_LOCAL_ONLY);
        if (r >= 0)
                r = sd_journal_add_match(journal, match, 0);
        if (r < 0)
                return r;
        if (lines == UINT64_MAX) {
                r = sd_journal_seek_head(journal);
        } else {
                r = sd_journal_seek_tail(journal);
                if (r >= 0)
                        r = sd_journal_previous_skip(journal, lines + 1);
                if (r >= 0 && (uint64_t) r <= lines) /* fewer than that: from the first */
                        r = sd_journal_seek_head(journal);
        }
        if (r < 0)
                return r;
        while ((r = sd_journal_next(journal)) > 0) {
                print_entry(journal, indent);
                n += n < INT_MAX;
        }
        return r < 0 ? r : n;
}
