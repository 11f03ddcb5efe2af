/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/journal.h"

#include <limits.h>
#include <stdlib.h>
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

static int add_matches(sd_journal *journal, const LogMatch *match)
{
        _cleanup_strv_free_ char **words = NULL;
        int r;

        r = log_match_words(match, &words);
        STRV_FOREACH(word, words)
                if (r >= 0)
                        r = streq(*word, "+") ? sd_journal_add_disjunction(journal)
                                              : sd_journal_add_match(journal, *word, 0);
        return r;
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

/* In front of the lines that are wanted. */
static int open_run(const LogMatch *match, uint64_t lines, sd_journal **ret)
{
        _cleanup_(sd_journal_closep) sd_journal *journal = NULL;
        int r;

        r = sd_journal_open(&journal, SD_JOURNAL_LOCAL_ONLY);
        if (r >= 0)
                r = add_matches(journal, match);
        if (r >= 0)
                r = seek(journal, lines);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(journal);
        return 0;
}

/* Up to the end of what there is. Return: the number of lines; negative errno. */
static int read_on(sd_journal *journal, JournalEntryCallback callback, void *userdata)
{
        int r, n = 0;

        while ((r = sd_journal_next(journal)) > 0) {
                _cleanup_json_ struct json_object *entry = NULL;

                r = read_entry(journal, &entry);
                if (r < 0)
                        break;
                callback(entry, userdata);
                n += n < INT_MAX;
        }
        return r < 0 ? r : n;
}

int journal_read_run(const LogMatch *match, uint64_t lines, JournalEntryCallback callback, void *userdata)
{
        _cleanup_(sd_journal_closep) sd_journal *journal = NULL;
        int r;

        r = open_run(match, lines, &journal);
        return r < 0 ? r : read_on(journal, callback, userdata);
}

int journal_find_connector(const char *run_id, char **ret)
{
        _cleanup_(sd_journal_closep) sd_journal *journal = NULL;
        _cleanup_free_ char *name = NULL;
        const LogMatch by_daemon = { .run_id = run_id, .daemon_uid = (uid_t) -1, .worker_uid = (uid_t) -1 };
        int r;

        r = open_run(&by_daemon, UINT64_MAX, &journal);
        if (r >= 0)
                r = sd_journal_next(journal);
        if (r <= 0)
                return r;
        name = field_text(journal, FIELD_CONNECTOR);
        if (!name)
                return -ENOMEM;
        if (!connector_name_is_valid(name))
                return 0;
        *ret = TAKE_PTR(name);
        return 1;
}

/* ---- Following */

struct JournalFollower {
        sd_journal *journal;
        sd_event_source *source;
        sd_event_source *first_source;
        JournalEntryCallback callback;
        void *userdata;
};

static int follow(JournalFollower *follower, sd_event_source *source)
{
        int r = read_on(follower->journal, follower->callback, follower->userdata);

        return r < 0 ? sd_event_exit(sd_event_source_get_event(source), r) : 0;
}

static int on_first(sd_event_source *source, void *userdata)
{
        return follow(userdata, source);
}

static int on_news(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        JournalFollower *follower = userdata;
        int r = sd_journal_process(follower->journal);

        if (r < 0)
                return sd_event_exit(sd_event_source_get_event(source), r);
        return r == SD_JOURNAL_NOP ? 0 : follow(follower, source);
}

int journal_follow_run(sd_event *loop, const LogMatch *match, uint64_t lines, JournalEntryCallback callback,
                       void *userdata, JournalFollower **ret)
{
        _cleanup_(journal_follower_freep) JournalFollower *follower = calloc(1, sizeof(JournalFollower));
        int r, fd = -EBADF;

        if (!follower)
                return -ENOMEM;
        follower->callback = callback;
        follower->userdata = userdata;
        r = open_run(match, lines, &follower->journal);
        if (r >= 0)
                r = fd = sd_journal_get_fd(follower->journal);
        if (r >= 0)
                r = sd_event_add_io(loop, &follower->source, fd, (uint32_t) sd_journal_get_events(follower->journal),
                                    on_news, follower);
        if (r >= 0)
                r = sd_event_add_defer(loop, &follower->first_source, on_first, follower);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(follower);
        return 0;
}

JournalFollower *journal_follower_free(JournalFollower *follower)
{
        if (!follower)
                return NULL;
        sd_event_source_disable_unref(follower->source);
        sd_event_source_disable_unref(follower->first_source);
        sd_journal_close(follower->journal);
        free(follower);
        return NULL;
}
