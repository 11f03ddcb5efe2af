/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Verbs that look closely at one thing: status, show, log. */

#include <inttypes.h>
#include <stdio.h>

#include "base/names.h"
#include "base/string-util.h"
#include "base/time-util.h"
#include "ctl/ctl.h"
#include "ctl/journal.h"
#include "model/run.h"

#define STATUS_LOG_LINES 10U

static void line(const char *label, Colour c, const char *text)
{
        if (!isempty(text))
                (void) printf("%12s: %s%s%s\n", label, colour(c), text,
                              c == COLOUR_NORMAL ? "" : colour(COLOUR_NORMAL));
}

/* "Sat 2026-11-21 23:06:15 UTC; 3min ago" */
static void time_line(const char *label, usec_t usec)
{
        char local[TIMESTAMP_TEXT_MAX], relative[TIMESPAN_TEXT_MAX];

        if (usec > 0)
                (void) printf("%12s: %s; %s\n", label, strempty(timestamp_format_local(local, sizeof(local), usec)),
                              relative_text(relative, usec));
}

static void bytes_text(uint64_t bytes, char *buf, size_t size)
{
        static const char *const units[] = { "B", "K", "M", "G", "T" };
        double value = (double) bytes;
        size_t i = 0;

        for (; value >= 1024 && i + 1 < ELEMENTSOF(units); i++)
                value /= 1024;
        (void) snprintf(buf, size, i == 0 ? "%.0f%s" : "%.1f%s", value, units[i]);
}

static void counts_line(const char *label, struct json_object *counts)
{
        if (counts)
                (void) printf("%12s: %" PRIu64 " discovered, %" PRIu64 " added, %" PRIu64 " updated, %" PRIu64
                              " deduped\n",
                              label, json_count(counts, "discovered"), json_count(counts, "added"),
                              json_count(counts, "updated"), json_count(counts, "deduped"));
}

static void resources_line(struct json_object *run)
{
        char cpu[TIMESPAN_TEXT_MAX], memory[32], in[32], out[32];
        struct json_object *resources = NULL;

        if (json_get_object(run, "resources", &resources) <= 0)
                return;
        if (json_count(resources, "cpu_usec") != COUNT_UNKNOWN)
                line("CPU", COLOUR_NORMAL,
                     timespan_format(cpu, sizeof(cpu), json_count(resources, "cpu_usec"), USEC_PER_MSEC));
        if (json_count(resources, "memory_peak_bytes") != COUNT_UNKNOWN) {
                bytes_text(json_count(resources, "memory_peak_bytes"), memory, sizeof(memory));
                line("Peak memory", COLOUR_NORMAL, memory);
        }
        if (json_count(resources, "io_read_bytes") != COUNT_UNKNOWN) {
                bytes_text(json_count(resources, "io_read_bytes"), in, sizeof(in));
                bytes_text(json_count(resources, "io_write_bytes"), out, sizeof(out));
                (void) printf("%12s: %s read, %s written\n", "IO", in, out);
        }
}

static void progress_line(struct json_object *run)
{
        uint64_t processed = json_count(run, "items_processed"), total = json_count(run, "items_total");

        if (streq(json_text(run, "state"), "finished") || processed == COUNT_UNKNOWN)
                return;
        (void) printf("%12s: %s, %" PRIu64, "Progress", json_text(run, "stage"), processed);
        if (total != COUNT_UNKNOWN)
                (void) printf(" of %" PRIu64, total);
        (void) putchar('\n');
}

static int print_accounts(const Ctl *ctl, struct json_object *run)
{
        static const char *const titles[] = {
                "ACCOUNT", "STATUS", "ADDED", "UPDATED", "DEDUPED", "TOOK", "ERROR", NULL
        };
        _cleanup_(table_freep) Table *table = NULL;
        struct json_object *accounts = NULL;

        if (json_get_array(run, "accounts", &accounts) <= 0 || json_object_array_length(accounts) == 0)
                return 0;
        table = table_new(titles);
        if (!table)
                return ctl_oom();
        for (unsigned i = 2; i < 5; i++)
                table_align_right(table, i);
        for (size_t i = 0; i < json_object_array_length(accounts); i++) {
                struct json_object *account = json_object_array_get_idx(accounts, i), *counts = NULL;
                const char *status = json_text(account, "status");
                char took[TIMESPAN_TEXT_MAX];

                (void) json_get_object(account, "counts", &counts);
                table_add(table, COLOUR_BOLD, json_text(account, "account"));
                table_add(table,
                          streq(status, "success")  ? COLOUR_GREEN
                          : streq(status, "failed") ? COLOUR_RED
                                                    : COLOUR_NORMAL,
                          status);
                table_add_format(table, COLOUR_NORMAL, "%" PRIu64, json_count(counts, "added"));
                table_add_format(table, COLOUR_NORMAL, "%" PRIu64, json_count(counts, "updated"));
                table_add_format(table, COLOUR_NORMAL, "%" PRIu64, json_count(counts, "deduped"));
                table_add(table, COLOUR_NORMAL,
                          duration_text(took, json_time(account, "started_at"), json_time(account, "finished_at")));
                table_add(table, COLOUR_RED, json_text(account, "error"));
        }
        (void) putchar('\n');
        return table_print(table, ctl->options.legend) < 0 ? ctl_oom() : 0;
}

static void print_advice(const char *category)
{
        line("Attention", COLOUR_RED, category);
        line("What to do", COLOUR_BOLD, attention_advice(attention_category_from_string(category)));
}

/* One run, whole. */
static int print_run(const Ctl *ctl, struct json_object *run)
{
        struct json_object *counts = NULL;
        char took[TIMESPAN_TEXT_MAX];
        bool full = false;
        Colour c;
        const char *state = run_state_text(run, &c);

        (void) json_get_object(run, "counts", &counts);
        (void) json_get_bool(run, "full_resync", &full);
        (void) printf("%s●%s %sRun %s%s of %s\n", colour(c), colour(COLOUR_NORMAL), colour(COLOUR_BOLD),
                      json_text(run, "id"), colour(COLOUR_NORMAL),
                      isempty(json_text(run, "connector")) ? json_text(run, "provider") : json_text(run, "connector"));
        line("Outcome", c, state);
        (void) printf("%12s: %s%s%s%s\n", "Why", json_text(run, "trigger"), full ? ", full resync" : "",
                      isempty(json_text(run, "requested_by")) ? "" : ", asked for by ",
                      json_text(run, "requested_by"));
        line("Reason", COLOUR_NORMAL, json_text(run, "reason"));
        if (!isempty(json_text(run, "retry_of")))
                (void) printf("%12s: attempt %" PRIu64 " of %s\n", "Retry", json_count(run, "attempt"),
                              json_text(run, "retry_of"));
        time_line("Created", json_time(run, "created_at"));
        time_line("Started", json_time(run, "started_at"));
        time_line("Ended", json_time(run, "finished_at"));
        line("Took", COLOUR_NORMAL,
             json_time(run, "finished_at") > 0
                     ? duration_text(took, json_time(run, "started_at"), json_time(run, "finished_at"))
                     : NULL);
        progress_line(run);
        counts_line("Items", counts);
        line("Message", COLOUR_NORMAL, json_text(run, "message"));
        line("Error", COLOUR_RED, json_text(run, "error"));
        if (!isempty(json_text(run, "category")))
                print_advice(json_text(run, "category"));
        resources_line(run);
        line("Invocation", COLOUR_GREY, json_text(run, "invocation_id"));
        return print_accounts(ctl, run);
}

/* The newest run of a filter with its accounts, or NULL: the caller's reference. */
static int describe_one(Ctl *ctl, const char *member, const char *array, const char *key, const char *value,
                        struct json_object **ret)
{
        const ClientOption filter[] = {
                { key, 's', .s = value },
                { "limit", 'u', .u = 1 },
                { "accounts", 'b', .b = true },
        };
        _cleanup_json_ struct json_object *answer = NULL;
        struct json_object *list = NULL;
        int status;

        /* A connector's filter is its name alone. */
        status = ctl_describe(ctl, member, filter, streq(member, "DescribeRuns") ? 3 : 1, &answer);
        if (status != 0 || !answer)
                return status;
        if (json_get_array(answer, array, &list) > 0 && json_object_array_length(list) > 0)
                *ret = json_object_get(json_object_array_get_idx(list, 0));
        return 0;
}

static int print_run_log(Ctl *ctl, const char *run_id, uint64_t lines)
{
        int r;

        if (ctl->options.host)
                return 0;
        (void) putchar('\n');
        r = journal_print(FIELD_RUN_ID, run_id, lines, "");
        if (r < 0)
                return ctl_usage_error("Could not read the journal: %s", strerror(-r));
        if (r == 0)
                (void) printf("%sNo log lines of this run that you may see (groups systemd-journal and adm see "
                              "all).%s\n",
                              colour(COLOUR_GREY), colour(COLOUR_NORMAL));
        return 0;
}

static uint64_t log_lines(const Ctl *ctl)
{
        return ctl->options.lines == UINT64_MAX ? STATUS_LOG_LINES : ctl->options.lines;
}

static int no_such_run(const char *id)
{
        (void) ctl_usage_error("There is no run or connector \"%s\". See 'syncrunctl runs' and 'syncrunctl list'.",
                               id);
        return 4;
}

int verb_show(Ctl *ctl, int argc, char **argv)
{
        _cleanup_json_ struct json_object *run = NULL;
        int status;

        status = describe_one(ctl, "DescribeRuns", "runs", "id", argv[1], &run);
        if (status != 0 || ctl->options.json != JSON_OFF)
                return status;
        return run ? print_run(ctl, run) : no_such_run(argv[1]);
}

int verb_log(Ctl *ctl, int argc, char **argv)
{
        int r;

        if (ctl->options.host)
                return ctl_usage_error("Logs are read from this machine's journal: on another, run it there, e.g. "
                                       "'ssh %s syncrunctl log %s'.",
                                       ctl->options.host, argv[1]);
        r = journal_print(FIELD_RUN_ID, argv[1], ctl->options.lines, "");
        if (r < 0)
                return ctl_usage_error("Could not read the journal: %s", strerror(-r));
        if (r == 0)
                return ctl_usage_error("The journal has no line of run %s that you may see. Its lines may have been "
                                       "rotated away; "
                                       "groups systemd-journal and adm see all.",
                                       argv[1]);
        return 0;
}

static void print_connector(struct json_object *connector)
{
        struct json_object *attention = NULL;
        const char *description = json_text(connector, "description");
        bool active = false;

        (void) json_get_object(connector, "attention", &attention);
        (void) json_get_bool(connector, "active", &active);
        (void) printf("%s●%s %s%s%s%s%s\n", colour(attention ? COLOUR_RED : active ? COLOUR_GREEN : COLOUR_GREY),
                      colour(COLOUR_NORMAL), colour(COLOUR_BOLD), json_text(connector, "name"), colour(COLOUR_NORMAL),
                      isempty(description) ? "" : " - ", description);
        (void) printf("%12s: %s, %s\n", "State", json_text(connector, "load_state"), active ? "active" : "inactive");
        line("Error", COLOUR_RED, json_text(connector, "load_error"));
        line("Id", COLOUR_GREY, json_text(connector, "id"));
        line("Provider", COLOUR_NORMAL, json_text(connector, "provider"));
        line("User", COLOUR_NORMAL, json_text(connector, "user_id"));
        line("Connection", COLOUR_NORMAL, json_text(connector, "connection"));
        time_line("Next", json_time(connector, "next_elapse"));
        time_line("Last", json_time(connector, "last_finished_at"));
        if (attention) {
                print_advice(json_text(attention, "category"));
                line("Said", COLOUR_NORMAL, json_text(attention, "message"));
                time_line("Since", json_time(attention, "since"));
        }
}

static int status_one(Ctl *ctl, const char *name)
{
        _cleanup_json_ struct json_object *connector = NULL, *run = NULL;
        int status;

        if (connector_name_is_valid(name)) {
                status = describe_one(ctl, "DescribeConnectors", "connectors", "name", name, &connector);
                if (status != 0 || ctl->options.json != JSON_OFF)
                        return status;
        }
        status = describe_one(ctl, "DescribeRuns", "runs", connector ? "connector" : "id", name, &run);
        if (status != 0 || ctl->options.json != JSON_OFF)
                return status;
        if (connector) {
                print_connector(connector);
                if (!run)
                        return 0;
                (void) putchar('\n');
        }
        if (!run)
                return no_such_run(name);
        status = print_run(ctl, run);
        return status != 0 ? status : print_run_log(ctl, json_text(run, "id"), log_lines(ctl));
}

/* The service as a whole: one line of numbers, from what list shows. */
static int status_service(Ctl *ctl)
{
        _cleanup_json_ struct json_object *answer = NULL;
        struct json_object *connectors = NULL, *member;
        size_t n, n_active = 0, n_attention = 0;
        int status;

        status = ctl_describe(ctl, "DescribeConnectors", NULL, 0, &answer);
        if (status != 0 || !answer)
                return status;
        (void) json_get_array(answer, "connectors", &connectors);
        n = connectors ? json_object_array_length(connectors) : 0;
        for (size_t i = 0; i < n; i++) {
                struct json_object *connector = json_object_array_get_idx(connectors, i);

                n_active += json_get_object(connector, "active_run", &member) > 0;
                n_attention += json_get_object(connector, "attention", &member) > 0;
        }
        (void) printf("%s●%s syncrun: %zu connectors, %zu syncing, %s%zu need attention%s\n",
                      colour(n_attention > 0 ? COLOUR_RED : COLOUR_GREEN), colour(COLOUR_NORMAL), n, n_active,
                      n_attention > 0 ? colour(COLOUR_RED) : "", n_attention,
                      n_attention > 0 ? colour(COLOUR_NORMAL) : "");
        for (size_t i = 0; i < n; i++) {
                struct json_object *connector = json_object_array_get_idx(connectors, i);

                if (json_get_object(connector, "attention", &member) <= 0)
                        continue;
                (void) putchar('\n');
                print_connector(connector);
        }
        return 0;
}

int verb_status(Ctl *ctl, int argc, char **argv)
{
        int status = 0, one;

        if (argc == 1)
                return status_service(ctl);
        for (int i = 1; i < argc; i++) {
                if (i > 1)
                        (void) putchar('\n');
                one = status_one(ctl, argv[i]);
                status = MAX(status, one);
        }
        return status;
}
