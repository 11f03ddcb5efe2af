/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/journal.h"

#include <limits.h>
#include <string.h>
#include <syslog.h>

#include <systemd/sd-journal.h>

#include "base/names.h"
#include "base/string-util.h"
#include "base/time-util.h"

#define FIELD_BYTES_MAX (16 * KIB) /* more of one field is cut */

/* A field's value without control characters, freed by the caller; "" where it is missing. */
static char *field_text(sd_journal *journal, const char *field)
{
        const void *data;
        size_t n, skip = strlen(field) + 1;

        if (sd_journal_get_data(journal, field, &data, &n) < 0 || n < skip)
                return strdup("");
        return utf8_sanitize((const char *) data + skip, n - skip, FIELD_BYTES_MAX);
}

static int add(struct json_object *object, const char *key, struct json_object *value)
{
        if (json_object_object_add(object, key, value) >= 0)
                return 0;
        json_object_put(value);
        return -ENOMEM;
}

static int read_entry(sd_journal *journal, struct json_object **ret)
{
        _cleanup_free_ char *message = field_text(journal, "MESSAGE"),
                            *identifier = field_text(journal, "SYSLOG_IDENTIFIER"),
                            *priority = field_text(journal, "PRIORITY"), *pid = field_text(journal, "_PID");
        _cleanup_json_ struct json_object *entry = json_object_new_object();
        char time_text[TIMESTAMP_TEXT_MAX];
        uint64_t usec, value;

        if (!message || !identifier || !priority || !pid || !entry)
                return -ENOMEM;
        if (sd_journal_get_realtime_usec(journal, &usec) < 0 ||
            !timestamp_format_iso(time_text, sizeof(time_text), usec))
                time_text[0] = '\0';
        if (add(entry, "timestamp", json_object_new_string(time_text)) < 0 ||
            add(entry, "priority",
                json_object_new_int(priority[0] >= '0' && priority[0] <= '7' ? priority[0] - '0' : LOG_INFO)) < 0 ||
            add(entry, "identifier", json_object_new_string(identifier)) < 0 ||
            add(entry, "pid", parse_uint64(pid, &value) >= 0 ? json_object_new_uint64(value) : NULL) < 0 ||
            add(entry, "message", json_object_new_string(message)) < 0)
                return -ENOMEM;
        *ret = TAKE_PTR(entry);
        return 0;
}

/* FIELD=VALUE, or what was matched before. */
static int match_also(sd_journal *journal, const char *field, const char *value)
{
        _cleanup_free_ char *match = asprintf_or_null("%s=%s", field, value);
        int r;

        if (!match)
                return -ENOMEM;
        r = sd_journal_add_disjunction(journal);
        return r < 0 ? r : sd_journal_add_match(journal, match, 0);
}

/* In front of the first line that is wanted. */
static int seek(sd_journal *journal, uint64_t lines)
{
        int r;

        if (lines == UINT64_MAX)
                return sd_journal_seek_head(journal);
        r = sd_journal_seek_tail(journal);
        if (r >= 0)
                r = sd_journal_previous_skip(journal, lines + 1);
        if (r >= 0 && (uint64_t) r <= lines) /* fewer than that: from the first */
                r = sd_journal_seek_head(journal);
        return r;
}

int journal_read_run(const char *run_id, const char *invocation_id, uint64_t lines, JournalEntryCallback callback,
                     void *userdata)
{
        _cleanup_(sd_journal_closep) sd_journal *journal = NULL;
        int r, n = 0;

        r = sd_journal_open(&journal, SD_JOURNAL_LOCAL_ONLY);
        if (r >= 0)
                r = match_also(journal, FIELD_RUN_ID, run_id);
        if (r >= 0 && !isempty(invocation_id))
                r = match_also(journal, "_SYSTEMD_INVOCATION_ID", invocation_id);
        if (r >= 0 && !isempty(invocation_id))
                r = match_also(journal, "INVOCATION_ID", invocation_id);
        if (r >= 0)
                r = seek(journal, lines);
        while (r >= 0 && (r = sd_journal_next(journal)) > 0) {
                _cleanup_json_ struct json_object *entry = NULL;

                r = read_entry(journal, &entry);
                if (r < 0)
                        break;
                callback(entry, userdata);
                n += n < INT_MAX;
        }
        return r < 0 ? r : n;
}
