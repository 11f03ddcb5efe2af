/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Verbs that show many things: list, runs, connections, users. */

#include <inttypes.h>
#include <stdio.h>

#include "base/string-util.h"
#include "base/time-util.h"
#include "ctl/ctl.h"
#include "model/run.h"

static void hint(const Ctl *ctl, const char *text)
{
        if (ctl->options.legend && !ctl->options.quiet)
                (void) printf("\n%s%s%s\n", colour(COLOUR_GREY), text, colour(COLOUR_NORMAL));
}

/* Walks an array member; NULL ends. */
static struct json_object *element(struct json_object *object, const char *key, size_t i)
{
        struct json_object *array = NULL;

        if (json_get_array(object, key, &array) <= 0 || i >= json_object_array_length(array))
                return NULL;
        return json_object_array_get_idx(array, i);
}

static const char *connector_status(struct json_object *connector, Colour *ret)
{
        struct json_object *attention = NULL, *run = NULL;
        bool active = false;

        (void) json_get_bool(connector, "active", &active);
        if (streq(json_text(connector, "load_state"), "bad-setting")) {
                *ret = COLOUR_RED;
                return "bad-setting";
        }
        if (json_get_object(connector, "active_run", &run) > 0) {
                *ret = COLOUR_BLUE;
                return "syncing";
        }
        if (json_get_object(connector, "attention", &attention) > 0) {
                *ret = COLOUR_RED;
                return "needs attention";
        }
        *ret = active ? COLOUR_GREEN : COLOUR_GREY;
        return active ? "active" : "inactive";
}

static void add_connector(Table *table, struct json_object *connector)
{
        struct json_object *attention = NULL, *run = NULL;
        const char *outcome = json_text(connector, "last_outcome"), *status;
        char next[TIMESPAN_TEXT_MAX], last[TIMESPAN_TEXT_MAX];
        Colour c;

        (void) json_get_object(connector, "attention", &attention);
        (void) json_get_object(connector, "active_run", &run);
        status = connector_status(connector, &c);
        table_add(table, COLOUR_BOLD, json_text(connector, "name"));
        table_add(table, c, status);
        table_add(table, COLOUR_NORMAL, run ? "now" : relative_text(next, json_time(connector, "next_elapse")));
        table_add(table, COLOUR_NORMAL, relative_text(last, json_time(connector, "last_finished_at")));
        table_add(table,
                  streq(outcome, "succeeded") ? COLOUR_GREEN
                  : streq(outcome, "failed")  ? COLOUR_RED
                                              : COLOUR_YELLOW,
                  outcome);
        table_add(table, COLOUR_NORMAL, json_text(connector, "provider"));
        table_add(table, COLOUR_RED, attention ? json_text(attention, "category") : "");
}

int verb_list(Ctl *ctl, int argc, char **argv)
{
        static const char *const titles[] = {
                "CONNECTOR", "STATUS", "NEXT", "LAST", "OUTCOME", "PROVIDER", "ATTENTION", NULL,
        };
        const ClientOption filter[] = {
                { "provider", 's', .s = ctl->options.provider },
                { "user", 's', .s = ctl->options.user },
        };
        _cleanup_json_ struct json_object *answer = NULL;
        _cleanup_(table_freep) Table *table = NULL;
        struct json_object *connector, *attention;
        size_t n_attention = 0;
        int status;

        status = ctl_describe(ctl, "DescribeConnectors", filter, ELEMENTSOF(filter), &answer);
        if (status != 0 || !answer)
                return status;
        table = table_new(titles);
        if (!table)
                return ctl_oom();
        for (size_t i = 0; (connector = element(answer, "connectors", i)); i++) {
                if (ctl->options.active && json_get_object(connector, "active_run", &attention) <= 0)
                        continue;
                add_connector(table, connector);
                n_attention += json_get_object(connector, "attention", &attention) > 0;
        }
        if (table_print(table, ctl->options.legend) < 0)
                return ctl_oom();
        if (table_rows(table) == 0)
                hint(ctl, "No connectors. A file /etc/syncrun/connectors/NAME.connector makes one: see "
                          "syncrun.connector(5).");
        else if (n_attention > 0)
                hint(ctl, "'syncrunctl status CONNECTOR' says what a connector that needs attention is waiting for.");
        return 0;
}

static void add_run(Table *table, struct json_object *run)
{
        struct json_object *counts = NULL;
        char created[TIMESPAN_TEXT_MAX], duration[TIMESPAN_TEXT_MAX];
        bool full = false;
        const char *state, *trigger = json_text(run, "trigger");
        Colour c;

        (void) json_get_object(run, "counts", &counts);
        (void) json_get_bool(run, "full_resync", &full);
        state = run_state_text(run, &c);
        table_add(table, COLOUR_NORMAL, json_text(run, "id"));
        table_add(table, COLOUR_BOLD, isempty(json_text(run, "connector")) ? json_text(run, "provider")
                                                                           : json_text(run, "connector"));
        table_add_format(table, COLOUR_NORMAL, "%s%s", trigger, full ? " full" : "");
        table_add(table, c, state);
        table_add(table, COLOUR_NORMAL, relative_text(created, json_time(run, "created_at")));
        table_add(table, COLOUR_NORMAL,
                  duration_text(duration, json_time(run, "started_at"), json_time(run, "finished_at")));
        table_add_format(table, COLOUR_NORMAL, "%" PRIu64, json_count(counts, "added"));
        table_add_format(table, COLOUR_NORMAL, "%" PRIu64, json_count(counts, "updated"));
        table_add_format(table, COLOUR_NORMAL, "%" PRIu64, json_count(counts, "deduped"));
        table_add(table, COLOUR_NORMAL, isempty(json_text(run, "error")) ? json_text(run, "message")
                                                                         : json_text(run, "error"));
}

int verb_runs(Ctl *ctl, int argc, char **argv)
{
        static const char *const titles[] = { "RUN",   "CONNECTOR", "WHY",     "OUTCOME", "CREATED", "TOOK",
                                              "ADDED", "UPDATED",   "DEDUPED", "MESSAGE", NULL };
        ClientOption filter[8] = {
                { "provider", 's', .s = ctl->options.provider },
                { "user", 's', .s = ctl->options.user },
                { "outcome", 's', .s = ctl->options.outcome },
                { "page", 's', .s = ctl->options.page },
                { "connector", 's', .s = argc > 1 ? argv[1] : NULL },
                { "limit", 'u', .u = ctl->options.lines == UINT64_MAX ? 25 : (uint32_t) ctl->options.lines },
        };
        _cleanup_json_ struct json_object *answer = NULL;
        _cleanup_(table_freep) Table *table = NULL;
        struct json_object *run;
        size_t n = 6;
        usec_t usec;
        int status;

        if (ctl->options.active)
                filter[n++] = (ClientOption) { "active", 'b', .b = true };
        if (ctl->options.since) {
                status = ctl_parse_time("--since=", ctl->options.since, &usec);
                if (status != 0)
                        return status;
                filter[n++] = (ClientOption) { "since", 't', .t = usec };
        }
        if (ctl->options.until) {
                if (n >= ELEMENTSOF(filter))
                        return ctl_usage_error("--active, --since= and --until= do not go together: leave one out.");
                status = ctl_parse_time("--until=", ctl->options.until, &usec);
                if (status != 0)
                        return status;
                filter[n++] = (ClientOption) { "until", 't', .t = usec };
        }
        status = ctl_describe(ctl, "DescribeRuns", filter, n, &answer);
        if (status != 0 || !answer)
                return status;
        table = table_new(titles);
        if (!table)
                return ctl_oom();
        for (unsigned i = 6; i < 9; i++)
                table_align_right(table, i);
        for (size_t i = 0; (run = element(answer, "runs", i)); i++)
                add_run(table, run);
        if (table_print(table, ctl->options.legend) < 0)
                return ctl_oom();
        if (table_rows(table) == 0)
                hint(ctl, "No runs.");
        else if (!isempty(json_text(answer, "next")) && ctl->options.legend)
                (void) printf("\n%sOlder ones: add --page=%s%s\n", colour(COLOUR_GREY), json_text(answer, "next"),
                              colour(COLOUR_NORMAL));
        return 0;
}

int verb_connections(Ctl *ctl, int argc, char **argv)
{
        static const char *const titles[] = { "CONNECTION", "STATE", "SINCE", "CONNECTORS", "REASON", NULL };
        _cleanup_json_ struct json_object *answer = NULL;
        _cleanup_(table_freep) Table *table = NULL;
        struct json_object *connection, *connectors;
        int status;

        status = ctl_describe(ctl, "DescribeConnections", NULL, 0, &answer);
        if (status != 0 || !answer)
                return status;
        table = table_new(titles);
        if (!table)
                return ctl_oom();
        for (size_t i = 0; (connection = element(answer, "connections", i)); i++) {
                const char *state = json_text(connection, "state");
                _cleanup_strv_free_ char **names = NULL;
                _cleanup_free_ char *joined = NULL;
                char since[TIMESPAN_TEXT_MAX];

                connectors = NULL;
                (void) json_get_array(connection, "connectors", &connectors);
                for (size_t j = 0; connectors && j < json_object_array_length(connectors); j++)
                        if (strv_extend(&names, json_object_get_string(json_object_array_get_idx(connectors, j))) < 0)
                                return ctl_oom();
                joined = strv_join(names, " ");
                if (!joined)
                        return ctl_oom();
                table_add(table, COLOUR_BOLD, json_text(connection, "name"));
                table_add(table, streq(state, "active") ? COLOUR_GREEN : COLOUR_RED, state);
                table_add(table, COLOUR_NORMAL, relative_text(since, json_time(connection, "since")));
                table_add(table, COLOUR_NORMAL, joined);
                table_add(table, COLOUR_NORMAL, json_text(connection, "reason"));
        }
        if (table_print(table, ctl->options.legend) < 0)
                return ctl_oom();
        if (table_rows(table) == 0)
                hint(ctl, "No connections. Connectors name theirs with Connection=: see syncrun.connector(5).");
        return 0;
}

int verb_users(Ctl *ctl, int argc, char **argv)
{
        static const char *const titles[] = { "USER", "RUNS", "FIRST SEEN", "LAST RUN", NULL };
        const ClientOption filter[] = {
                { "limit", 'u', .u = ctl->options.lines == UINT64_MAX ? 100 : (uint32_t) ctl->options.lines },
        };
        _cleanup_json_ struct json_object *answer = NULL;
        _cleanup_(table_freep) Table *table = NULL;
        struct json_object *user;
        int status;

        status = ctl_describe(ctl, "DescribeUsers", filter, ELEMENTSOF(filter), &answer);
        if (status != 0 || !answer)
                return status;
        table = table_new(titles);
        if (!table)
                return ctl_oom();
        table_align_right(table, 1);
        for (size_t i = 0; (user = element(answer, "users", i)); i++) {
                char first[TIMESPAN_TEXT_MAX], last[TIMESPAN_TEXT_MAX];

                table_add(table, COLOUR_BOLD, json_text(user, "id"));
                table_add_format(table, COLOUR_NORMAL, "%" PRIu64, json_count(user, "runs"));
                table_add(table, COLOUR_NORMAL, relative_text(first, json_time(user, "first_seen_at")));
                table_add(table, COLOUR_NORMAL, relative_text(last, json_time(user, "last_run_at")));
        }
        if (table_print(table, ctl->options.legend) < 0)
                return ctl_oom();
        if (table_rows(table) == 0)
                hint(ctl, "No users. Connectors name theirs with User=, and syncs that are reported from outside with "
                          "user_id.");
        return 0;
}
