/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/log-view.h"

#include <inttypes.h>
#include <stdio.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "base/names.h"
#include "base/string-util.h"
#include "client/client-system.h"
#include "ctl/journal.h"
#include "model/run.h"

void log_view_entry(struct json_object *entry, void *userdata)
{
        LogView *output = userdata;
        uint64_t priority = json_count(entry, "priority");
        Colour c = priority <= LOG_ERR ? COLOUR_RED : priority <= LOG_WARNING ? COLOUR_YELLOW : COLOUR_NORMAL;
        time_t seconds = (time_t) (json_time(entry, "timestamp") / USEC_PER_SEC);
        char time_text[32] = "", pid[32] = "";
        struct tm tm;

        if (output->array) {
                if (json_object_array_add(output->array, json_object_get(entry)) < 0)
                        json_object_put(entry);
                return;
        }
        if (output->ctl->options.json != JSON_OFF) {
                ctl_print_json(output->ctl, entry);
                return;
        }
        if (localtime_r(&seconds, &tm))
                (void) strftime(time_text, sizeof(time_text), "%b %d %H:%M:%S", &tm);
        if (json_count(entry, "pid") != COUNT_UNKNOWN)
                (void) snprintf(pid, sizeof(pid), "[%" PRIu64 "]", json_count(entry, "pid"));
        (void) printf("%s %s%s: %s%s%s\n", time_text, json_text(entry, "identifier"), pid,
                      c == COLOUR_NORMAL ? "" : colour(c), json_text(entry, "message"),
                      c == COLOUR_NORMAL ? "" : colour(COLOUR_NORMAL));
}

LogMatch log_view_match(Ctl *ctl, const char *id, const char *connector, struct json_object *run)
{
        LogMatch match = {
                .run_id = id,
                .connector = connector ?: json_text(run, "connector"),
                .invocation_id = json_text(run, "invocation_id"),
        };

        match.worker_uid = log_match_worker_uid(SYNCRUN_USERDB_DIR, match.connector);
        /* One that is away left its lines as who asks, or as its unit. */
        if (!ctl->client || client_daemon_uid(ctl->client, &match.daemon_uid) < 0)
                match.daemon_uid = geteuid();
        return match;
}

const char *log_view_why_none(struct json_object *run)
{
        /* Started for a connector, and not as a unit. */
        if (json_time(run, "started_at") > 0 && !isempty(json_text(run, "connector")) &&
            isempty(json_text(run, "invocation_id")))
                return "Workers are children of the service here: their lines go where those of syncrund do.";
        return "Its lines may have been rotated away; groups systemd-journal and adm see all.";
}

int log_view_print_run(Ctl *ctl, struct json_object *run)
{
        LogMatch match = log_view_match(ctl, json_text(run, "id"), NULL, run);
        LogView output = { .ctl = ctl };
        int n;

        if (ctl->options.host) { /* this machine's journal knows nothing of it */
                ctl_hint(ctl, "Its log lines are over there: 'syncrunctl -H %s log %s'.", ctl->options.host,
                         json_text(run, "id"));
                return 0;
        }
        (void) putchar('\n');
        n = journal_read_run(&match, option_lines(&ctl->options, STATUS_LOG_LINES), log_view_entry, &output);
        if (n < 0)
                return ctl_fail_errno(n, "Could not read the journal");
        if (n == 0)
                (void) printf("%sNo log lines of this run that you may see. %s%s\n", colour(COLOUR_GREY),
                              log_view_why_none(run), colour(COLOUR_NORMAL));
        return 0;
}
