/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Verbs that look closely at one thing: status, show, log. */

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/string-util.h"
#include "base/time-util.h"
#include "ctl/ctl.h"
#include "ctl/journal.h"
#include "ctl/log-view.h"
#include "model/run.h"

#define LABEL_WIDTH 12

/* ---- Lines of "label: value" */

/* Text of several lines goes on below where it began. @lost: set where there was no memory to show something. */
static void line(bool *lost, const char *label, Colour c, const char *text)
{
        _cleanup_strv_free_ char **lines = NULL;

        if (isempty(text))
                return;
        if (strv_split(text, "\n", &lines) < 0)
                *lost = true;
        STRV_FOREACH(s, lines) {
                _cleanup_free_ char *fit = text_line(*s);

                *lost |= !fit;
                (void) printf("%*s%s %s%s%s\n", LABEL_WIDTH, s == lines ? label : "", s == lines ? ":" : " ",
                              c == COLOUR_NORMAL ? "" : colour(c), strempty(fit),
                              c == COLOUR_NORMAL ? "" : colour(COLOUR_NORMAL));
        }
}

_printf_(3, 4) static void line_format(bool *lost, const char *label, const char *format, ...)
{
        _cleanup_free_ char *text = NULL;
        va_list ap;

        va_start(ap, format);
        if (vasprintf(&text, format, ap) < 0) {
                text = NULL;
                *lost = true;
        }
        va_end(ap);
        line(lost, label, COLOUR_NORMAL, text);
}

/* "Sat 2026-11-21 23:06:15 UTC; 3min ago" */
static void time_line(bool *lost, const char *label, usec_t usec)
{
        char local[TIMESTAMP_TEXT_MAX], relative[TIMESPAN_TEXT_MAX];

        if (usec > 0)
                line_format(lost, label, "%s; %s", strempty(timestamp_format_local(local, sizeof(local), usec)),
                            relative_text(relative, usec));
}

static const char *bytes_text(char *buf, size_t size, uint64_t bytes)
{
        static const char *const units[] = { "B", "K", "M", "G", "T" };
        double value = (double) bytes;
        size_t i = 0;

        for (; value >= 1024 && i + 1 < ELEMENTSOF(units); i++)
                value /= 1024;
        (void) snprintf(buf, size, i == 0 ? "%.0f%s" : "%.1f%s", value, units[i]);
        return buf;
}

static void resources_lines(bool *lost, struct json_object *resources)
{
        uint64_t cpu = json_count(resources, "cpu_usec"), memory = json_count(resources, "memory_peak_bytes"),
                 in = json_count(resources, "io_read_bytes"), out = json_count(resources, "io_write_bytes");
        char a[TIMESPAN_TEXT_MAX], b[TIMESPAN_TEXT_MAX];

        if (cpu != COUNT_UNKNOWN)
                line(lost, "CPU", COLOUR_NORMAL, timespan_format(a, sizeof(a), cpu, USEC_PER_MSEC));
        if (memory != COUNT_UNKNOWN)
                line(lost, "Peak memory", COLOUR_NORMAL, bytes_text(a, sizeof(a), memory));
        if (in != COUNT_UNKNOWN && out != COUNT_UNKNOWN)
                line_format(lost, "IO", "%s read, %s written", bytes_text(a, sizeof(a), in),
                            bytes_text(b, sizeof(b), out));
}

/* ---- Runs */

static void progress_line(bool *lost, struct json_object *run)
{
        uint64_t processed = json_count(run, "items_processed"), total = json_count(run, "items_total");

        if (streq(json_text(run, "state"), "finished"))
                return;
        if (processed == COUNT_UNKNOWN)
                line(lost, "Progress", COLOUR_NORMAL, json_text(run, "stage"));
        else if (total == COUNT_UNKNOWN)
                line_format(lost, "Progress", "%s, %" PRIu64, json_text(run, "stage"), processed);
        else
                line_format(lost, "Progress", "%s, %" PRIu64 " of %" PRIu64, json_text(run, "stage"), processed,
                            total);
}

static void counts_line(bool *lost, struct json_object *run)
{
        struct json_object *counts = json_member(run, "counts");

        if (counts && json_time(run, "started_at") > 0)
                line_format(lost, "Items",
                            "%" PRIu64 " discovered, %" PRIu64 " added, %" PRIu64 " updated, %" PRIu64 " deduped",
                            json_count(counts, "discovered"), json_count(counts, "added"),
                            json_count(counts, "updated"), json_count(counts, "deduped"));
}

static void add_account(Table *table, struct json_object *account)
{
        struct json_object *counts = json_member(account, "counts");
        const char *status = json_text(account, "status");
        char took[TIMESPAN_TEXT_MAX];

        table_add(table, COLOUR_BOLD, json_text(account, "account"));
        table_add(table,
                  streq(status, "success")  ? COLOUR_GREEN
                  : streq(status, "failed") ? COLOUR_RED
                                            : COLOUR_NORMAL,
                  status);
        table_add_count(table, json_count(counts, "added"));
        table_add_count(table, json_count(counts, "updated"));
        table_add_count(table, json_count(counts, "deduped"));
        table_add(table, COLOUR_NORMAL,
                  duration_text(took, json_time(account, "started_at"), json_time(account, "finished_at")));
        table_add(table, COLOUR_RED, json_text(account, "error"));
}

static int print_accounts(const Ctl *ctl, struct json_object *run)
{
        static const char *const titles[] = {
                "ACCOUNT", "STATUS", "ADDED", "UPDATED", "DEDUPED", "TOOK", "ERROR", NULL
        };
        _cleanup_(table_freep) Table *table = NULL;
        struct json_object *account;

        if (!json_element(run, "accounts", 0))
                return 0;
        table = table_new(titles);
        if (!table)
                return ctl_oom();
        for (unsigned i = 2; i < 5; i++)
                table_align_right(table, i);
        for (size_t i = 0; (account = json_element(run, "accounts", i)); i++)
                add_account(table, account);
        (void) putchar('\n');
        return table_print(table, ctl->options.legend) < 0 ? ctl_oom() : 0;
}

static void advice_lines(bool *lost, const char *category, const char *advice)
{
        line(lost, "Attention", COLOUR_RED, category);
        line(lost, "What to do", COLOUR_BOLD, advice);
}

/* Titles are bold, behind a bullet in the colour of the state. */
static void title(Colour c, const char *what, const char *between, const char *more)
{
        (void) printf("%s%s%s %s%s%s%s%s\n", colour(c), glyph(GLYPH_BULLET), colour(COLOUR_NORMAL),
                      colour(COLOUR_BOLD), what, colour(COLOUR_NORMAL), isempty(more) ? "" : between, strempty(more));
}

static int print_run(const Ctl *ctl, struct json_object *run)
{
        _cleanup_free_ char *name = text_line(run_name(run)), *id = asprintf_or_null("Run %s", json_text(run, "id"));
        const char *requested_by = json_text(run, "requested_by"), *state;
        usec_t finished = json_time(run, "finished_at");
        bool oom = !name || !id, *lost = &oom;
        char took[TIMESPAN_TEXT_MAX];
        Colour c;

        state = run_state_text(run, &c);
        title(c, strempty(id), " of ", name);
        line(lost, finished > 0 ? "Outcome" : "State", c, state);
        line_format(lost, "Why", "%s%s%s%s", json_text(run, "trigger"),
                    json_flag(run, "full_resync") ? ", full resync" : "",
                    isempty(requested_by) ? "" : ", asked for by ", requested_by);
        line(lost, "Reason", COLOUR_NORMAL, json_text(run, "reason"));
        if (!isempty(json_text(run, "retry_of")))
                line_format(lost, "Retry", "attempt %" PRIu64 " of %s", json_count(run, "attempt"),
                            json_text(run, "retry_of"));
        line(lost, "User", COLOUR_NORMAL, json_text(run, "user_id"));
        time_line(lost, "Created", json_time(run, "created_at"));
        time_line(lost, "Started", json_time(run, "started_at"));
        time_line(lost, "Ended", finished);
        if (finished > 0 && json_time(run, "started_at") > 0)
                line(lost, "Took", COLOUR_NORMAL, duration_text(took, json_time(run, "started_at"), finished));
        progress_line(lost, run);
        counts_line(lost, run);
        line(lost, "Message", COLOUR_NORMAL, json_text(run, "message"));
        line(lost, "Error", COLOUR_RED, json_text(run, "error"));
        if (!isempty(json_text(run, "category")))
                advice_lines(lost, json_text(run, "category"), json_text(run, "advice"));
        resources_lines(lost, json_member(run, "resources"));
        line(lost, "Invocation", COLOUR_GREY, json_text(run, "invocation_id"));
        return oom ? ctl_oom() : print_accounts(ctl, run);
}

int verb_show(Ctl *ctl, int argc, char **argv)
{
        int worst = 0, status;

        for (int i = 1; i < argc; i++) {
                _cleanup_json_ struct json_object *run = NULL;

                status = ctl_ask_run(ctl, argv[i], &run);
                if (status == 0 && !run)
                        status = ctl_fail_status(EXIT_NO_SUCH, "There is no run \"%s\". See 'syncrunctl runs'.",
                                                 argv[i]);
                worst = MAX(worst, status);
                if (!run)
                        continue;
                ctl_begin(ctl);
                if (ctl->options.json != JSON_OFF) {
                        ctl_print_json(ctl, run);
                        continue;
                }
                if (i > 1)
                        (void) putchar('\n');
                status = print_run(ctl, run);
                worst = MAX(worst, status);
        }
        return worst;
}

/* ---- Status */

/* @before, and "visa, giro"; nothing for all. */
static void append_accounts(Buffer *text, const char *before, struct json_object *object, const char *key)
{
        struct json_object *account;

        for (size_t i = 0; (account = json_element(object, key, i)); i++)
                buffer_append_format(text, "%s%s", i == 0 ? before : ", ", json_object_get_string(account));
}

static void retry_line(bool *lost, struct json_object *retry)
{
        _cleanup_buffer_ Buffer text = {};
        _cleanup_free_ char *accounts = NULL;
        char when[TIMESPAN_TEXT_MAX];

        if (!retry)
                return;
        append_accounts(&text, " of ", retry, "accounts");
        if (buffer_take(&text, &accounts) < 0)
                *lost = true;
        else
                line_format(lost, "Retry", "attempt %" PRIu64 "%s %s", json_count(retry, "attempt"),
                            strempty(accounts), relative_text(when, json_time(retry, "at")));
}

/* What is to come after the active run, or is owed: "a full resync of visa, giro". */
static void pending_lines(bool *lost, struct json_object *connector)
{
        struct json_object *next = json_member(connector, "follow_up");
        const char *requested_by = json_text(next, "requested_by");
        _cleanup_buffer_ Buffer text = {};
        _cleanup_free_ char *pending = NULL;

        if (json_flag(connector, "full_resync_pending")) {
                buffer_append_string(&text, "a full resync");
                append_accounts(&text, " of ", connector, "full_resync_accounts");
                if (buffer_take(&text, &pending) < 0)
                        *lost = true;
                else
                        line(lost, "Pending", COLOUR_NORMAL, pending);
        }
        if (next)
                line_format(lost, "Follows", "%s (%s%s%s)",
                            json_flag(next, "full_resync") ? "a full resync" : "one more run",
                            json_text(next, "trigger"), isempty(requested_by) ? "" : ", asked for by ", requested_by);
}

static void account_line(bool *lost, struct json_object *attention)
{
        _cleanup_buffer_ Buffer text = {};
        _cleanup_free_ char *accounts = NULL;

        append_accounts(&text, "", attention, "accounts");
        if (buffer_take(&text, &accounts) < 0)
                *lost = true;
        else
                line(lost, "Accounts", COLOUR_NORMAL, accounts);
}

static void print_connector(bool *lost, struct json_object *connector)
{
        struct json_object *attention = json_member(connector, "attention"), *calendar;
        bool active = json_flag(connector, "active"), bad = streq(json_text(connector, "load_state"), "bad-setting");
        _cleanup_free_ char *description = text_line(json_text(connector, "description"));
        uint64_t every = json_count(connector, "every_usec"), failures = json_count(connector, "consecutive_failures");
        char text[TIMESPAN_TEXT_MAX];

        title(attention || bad ? COLOUR_RED
              : active         ? COLOUR_GREEN
                               : COLOUR_GREY,
              json_text(connector, "name"), " - ", description);
        *lost |= !description;
        line_format(lost, "State", "%s, %s", json_text(connector, "load_state"), active ? "active" : "inactive");
        line(lost, "Error", COLOUR_RED, json_text(connector, "load_error"));
        line(lost, "File", COLOUR_NORMAL, json_text(connector, "path"));
        line(lost, "Id", COLOUR_GREY, json_text(connector, "id"));
        line(lost, "Provider", COLOUR_NORMAL, json_text(connector, "provider"));
        line(lost, "User", COLOUR_NORMAL, json_text(connector, "user_id"));
        line(lost, "Connection", COLOUR_NORMAL, json_text(connector, "connection"));
        for (size_t i = 0; (calendar = json_element(connector, "calendar", i)); i++)
                line(lost, "Schedule", COLOUR_NORMAL, json_object_get_string(calendar));
        if (every != COUNT_UNKNOWN)
                line_format(lost, "Schedule", "every %s", timespan_format(text, sizeof(text), every, 1));
        time_line(lost, "Next", json_time(connector, "next_elapse"));
        retry_line(lost, json_member(connector, "retry"));
        time_line(lost, "Last", json_time(connector, "last_finished_at"));
        line(lost, "Outcome", outcome_colour(json_text(connector, "last_outcome")),
             json_text(connector, "last_outcome"));
        if (failures != COUNT_UNKNOWN && failures > 0)
                line_format(lost, "Failures", "%" PRIu64 " in a row", failures);
        pending_lines(lost, connector);
        if (attention) {
                advice_lines(lost, json_text(attention, "category"), json_text(attention, "advice"));
                account_line(lost, attention);
                line(lost, "Said", COLOUR_NORMAL, json_text(attention, "message"));
                time_line(lost, "Since", json_time(attention, "since"));
                if (!active && !streq_null(json_text(attention, "category"), "consent_withdrawn"))
                        line_format(lost, "Then", "syncrunctl enable %s", json_text(connector, "name"));
        }
}

/* {"connector":{...}|null,"run":{...}|null,"log":[...]} */
static int print_status_json(Ctl *ctl, struct json_object *connector, struct json_object *run)
{
        _cleanup_json_ struct json_object *object = json_object_new_object();
        LogView output = { .ctl = ctl, .array = json_object_new_array() };

        if (!object || json_add(object, "log", output.array) < 0 || !output.array ||
            json_add(object, "connector", json_object_get(connector)) < 0 ||
            json_add(object, "run", json_object_get(run)) < 0)
                return ctl_oom();
        if (run && !ctl->options.host) {
                LogMatch match = log_view_match(ctl, json_text(run, "id"), NULL, run);

                /* What cannot be read is no reason to keep back the rest. */
                if (journal_read_run(&match, option_lines(&ctl->options, STATUS_LOG_LINES), log_view_entry, &output) <
                    0)
                        (void) json_object_array_del_idx(output.array, 0, json_object_array_length(output.array));
        }
        ctl_print_json(ctl, object);
        return 0;
}

static int status_one(Ctl *ctl, const char *word, bool first)
{
        _cleanup_json_ struct json_object *connector = NULL, *run = NULL;
        bool lost = false;
        int status;

        status = ctl_find_run(ctl, word, &connector, &run);
        if (status != 0)
                return status;
        if (!connector && !run)
                return ctl_no_such(ctl, word);
        ctl_begin(ctl);
        if (ctl->options.json != JSON_OFF)
                return print_status_json(ctl, connector, run);
        if (!first)
                (void) putchar('\n');
        if (connector)
                print_connector(&lost, connector);
        if (lost)
                return ctl_oom();
        if (connector && run)
                (void) putchar('\n');
        if (!connector && streq(json_text(run, "connector"), word))
                (void) printf("Connector %s has no file any more. This is the last of its runs.\n\n", word);
        if (!run)
                return 0;
        status = print_run(ctl, run);
        return status != 0 ? status : log_view_print_run(ctl, run);
}

static void print_service(bool *lost, const char *version, const char *storage_error, size_t n, size_t n_runs,
                          size_t n_attention)
{
        const char *red = n_attention > 0 ? colour(COLOUR_RED) : "",
                   *normal = n_attention > 0 ? colour(COLOUR_NORMAL) : "";

        (void) printf("%s%s%s syncrun %s: %zu connector%s, %zu run%s active, %s%zu need%s attention%s\n",
                      colour(n_attention > 0 || !isempty(storage_error) ? COLOUR_RED : COLOUR_GREEN),
                      glyph(GLYPH_BULLET), colour(COLOUR_NORMAL), version, n, n == 1 ? "" : "s", n_runs,
                      n_runs == 1 ? "" : "s", red, n_attention, n_attention == 1 ? "s" : "", normal);
        if (!isempty(storage_error))
                line(lost, "History", COLOUR_RED, storage_error);
}

/* The service as a whole, and each connector that needs attention. */
static int status_service(Ctl *ctl)
{
        _cleanup_free_ char *version = NULL, *storage_error = NULL;
        _cleanup_json_ struct json_object *answer = NULL;
        _cleanup_client_error_ ClientError e = {};
        static const ClientOption none;
        struct json_object *connector;
        size_t n, n_runs = 0, n_attention = 0;
        bool lost = false;
        int status;

        status = ctl_ask_all(ctl, "DescribeConnectors", &none, 0, "connectors", &answer);
        if (status != 0)
                return status;
        if (client_get_text(ctl->client, "Version", &version, &e) < 0 ||
            client_get_text(ctl->client, "StorageError", &storage_error, &e) < 0)
                return ctl_fail(&e, "Could not read from the sync service");
        ctl_begin(ctl);
        if (ctl->options.json != JSON_OFF) {
                if (json_add(answer, "version", json_object_new_string(version)) < 0 ||
                    json_add(answer, "storage_error",
                             isempty(storage_error) ? NULL : json_object_new_string(storage_error)) < 0)
                        return ctl_oom();
                ctl_print_json(ctl, answer);
                return 0;
        }
        for (n = 0; (connector = json_element(answer, "connectors", n)); n++) {
                n_runs += json_member(connector, "active_run") != NULL;
                n_attention += json_member(connector, "attention") != NULL;
        }
        print_service(&lost, version, storage_error, n, n_runs, n_attention);
        for (size_t i = 0; (connector = json_element(answer, "connectors", i)); i++) {
                if (!json_member(connector, "attention"))
                        continue;
                (void) putchar('\n');
                print_connector(&lost, connector);
        }
        return lost ? ctl_oom() : 0;
}

int verb_status(Ctl *ctl, int argc, char **argv)
{
        int worst = 0, status;

        if (argc == 1)
                return status_service(ctl);
        for (int i = 1; i < argc; i++) {
                status = status_one(ctl, argv[i], i == 1);
                worst = MAX(worst, status);
        }
        return worst;
}
