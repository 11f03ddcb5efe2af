/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Verbs that show many things: list, runs, users. */

#include <fnmatch.h>
#include <stdio.h>

#include "base/string-util.h"
#include "base/time-util.h"
#include "ctl/ctl.h"
#include "model/run.h"

#define RUNS_SHOWN  25U /* without --lines= */
#define USERS_SHOWN 100U

static const char *connector_status(struct json_object *connector, Colour *ret)
{
        struct json_object *run = json_member(connector, "active_run");

        if (run) {
                RunState state = run_state_from_string(json_text(run, "state"));

                *ret = state == RUN_QUEUED ? COLOUR_GREY : COLOUR_BLUE;
                return state == RUN_QUEUED || state == RUN_STOPPING ? run_state_to_string(state) : "syncing";
        }
        if (streq(json_text(connector, "load_state"), "bad-setting")) {
                *ret = COLOUR_RED;
                return "bad-setting";
        }
        if (!json_flag(connector, "active")) {
                *ret = COLOUR_GREY;
                return "inactive";
        }
        *ret = json_member(connector, "attention") ? COLOUR_RED : COLOUR_GREEN;
        return json_member(connector, "attention") ? "needs attention" : "active";
}

static void add_connector(Table *table, struct json_object *connector)
{
        char next_text[TIMESPAN_TEXT_MAX], last_text[TIMESPAN_TEXT_MAX];
        const char *outcome = json_text(connector, "last_outcome"), *status;
        Colour c;

        status = connector_status(connector, &c);
        table_add(table, COLOUR_BOLD, json_text(connector, "name"));
        table_add(table, c, status);
        table_add(table, COLOUR_NORMAL,
                  json_member(connector, "active_run")
                                  ? "now"
                                  : relative_text(next_text, json_time(connector, "next_elapse")));
        table_add(table, COLOUR_NORMAL, relative_text(last_text, json_time(connector, "last_finished_at")));
        table_add(table, outcome_colour(outcome), outcome);
        table_add(table, COLOUR_NORMAL, json_text(connector, "provider"));
        table_add(table, COLOUR_RED, json_text(json_member(connector, "attention"), "category"));
}

static bool matches_any(const char *name, char *const *patterns)
{
        bool any = false;

        STRV_FOREACH(pattern, patterns) {
                if (fnmatch(*pattern, name, 0) == 0)
                        return true;
                any = true;
        }
        return !any;
}

/* Which of the daemon's answer are wanted: the others are taken out, for people and for JSON alike. @patterns: none:
 * all. */
static int choose_connectors(const Ctl *ctl, char *const *patterns, struct json_object *answer)
{
        struct json_object *chosen = json_object_new_array(), *connector;

        for (size_t i = 0; chosen && (connector = json_element(answer, "connectors", i)); i++) {
                if (option_given(&ctl->options, OPTION_ACTIVE) && !json_member(connector, "active_run"))
                        continue;
                if (!matches_any(json_text(connector, "name"), patterns))
                        continue;
                if (json_object_array_add(chosen, json_object_get(connector)) < 0) {
                        json_object_put(connector);
                        json_object_put(chosen);
                        return -ENOMEM;
                }
        }
        return chosen ? json_add(answer, "connectors", chosen) : -ENOMEM;
}

static void connectors_hint(const Ctl *ctl, bool chosen, size_t n, size_t n_attention)
{
        if (n_attention > 0)
                ctl_hint(ctl, "'syncrunctl status CONNECTOR' says what one that needs attention is waiting for.");
        else if (n == 0 && (chosen || ctl->options.given))
                ctl_hint(ctl, "No such connectors.");
        else if (n == 0)
                ctl_hint(ctl, "No connectors. A file /etc/syncrun/connectors/NAME.connector makes one: see "
                              "syncrun.connector(5).");
}

int verb_list(Ctl *ctl, int argc, char **argv)
{
        static const char *const titles[] = { "CONNECTOR", "STATUS",   "NEXT",      "LAST",
                                              "OUTCOME",   "PROVIDER", "ATTENTION", NULL };
        ClientOption filter[3] = {
                { "provider", 's', .s = ctl->options.provider },
                { "user", 's', .s = ctl->options.user },
        };
        _cleanup_json_ struct json_object *answer = NULL;
        _cleanup_(table_freep) Table *table = NULL;
        struct json_object *connector;
        size_t n = 2, n_attention = 0;
        int status;

        if (option_given(&ctl->options, OPTION_ATTENTION))
                filter[n++] = (ClientOption) { "attention", 'b', .b = true };
        status = ctl_ask_all(ctl, "DescribeConnectors", filter, n, "connectors", &answer);
        if (status != 0)
                return status;
        if (choose_connectors(ctl, argv + 1, answer) < 0)
                return ctl_oom();
        ctl_begin(ctl);
        if (ctl->options.json != JSON_OFF) {
                ctl_print_json(ctl, answer);
                return 0;
        }
        table = table_new(titles);
        if (!table)
                return ctl_oom();
        table_yield(table, 5); /* PROVIDER, often the name again */
        table_yield(table, 3); /* LAST */
        for (size_t i = 0; (connector = json_element(answer, "connectors", i)); i++) {
                add_connector(table, connector);
                n_attention += json_member(connector, "attention") != NULL;
        }
        if (table_print(table, ctl->options.legend) < 0)
                return ctl_oom();
        connectors_hint(ctl, argc > 1, table_rows(table), n_attention);
        return 0;
}

static void add_run(Table *table, struct json_object *run)
{
        struct json_object *counts = json_member(run, "counts");
        char created[TIMESPAN_TEXT_MAX], duration[TIMESPAN_TEXT_MAX];
        const char *state;
        Colour c;

        state = run_state_text(run, &c);
        table_add(table, COLOUR_NORMAL, json_text(run, "id"));
        table_add(table, COLOUR_BOLD, run_name(run));
        table_add_format(table, COLOUR_NORMAL, "%s%s", json_text(run, "trigger"),
                         json_flag(run, "full_resync") ? " full" : "");
        table_add(table, c, state);
        table_add(table, COLOUR_NORMAL, relative_text(created, json_time(run, "created_at")));
        table_add(table, COLOUR_NORMAL,
                  duration_text(duration, json_time(run, "started_at"), json_time(run, "finished_at")));
        table_add_count(table, json_count(counts, "added"));
        table_add_count(table, json_count(counts, "updated"));
        table_add_count(table, json_count(counts, "deduped"));
        table_add(table, COLOUR_NORMAL,
                  isempty(json_text(run, "error")) ? json_text(run, "message") : json_text(run, "error"));
}

/* What to type for the next page. */
static void next_page_hint(const Ctl *ctl, struct json_object *answer)
{
        if (!isempty(json_text(answer, "next")))
                ctl_hint(ctl, "There are more: add --page=%s", json_text(answer, "next"));
}

/* One without runs may be there all the same. Of one that is gone, the runs are listed. */
static int check_connector(Ctl *ctl, const char *name)
{
        _cleanup_json_ struct json_object *connector = NULL;
        int status;

        status = ctl_ask_connector(ctl, name, &connector);
        if (status != 0 || connector)
                return status;
        return ctl_fail_status(EXIT_NO_SUCH, "There is no connector \"%s\". See 'syncrunctl list'.", name);
}

int verb_runs(Ctl *ctl, int argc, char **argv)
{
        static const char *const titles[] = { "RUN",   "CONNECTOR", "WHY",     "OUTCOME", "CREATED", "TOOK",
                                              "ADDED", "UPDATED",   "DEDUPED", "MESSAGE", NULL };
        const CtlOptions *o = &ctl->options;
        ClientOption filter[10] = {
                { "provider", 's', .s = o->provider },
                { "user", 's', .s = o->user },
                { "source", 's', .s = o->source },
                { "outcome", 's', .s = o->outcome },
                { "page", 's', .s = o->page },
                { "connector", 's', .s = argc > 1 ? argv[1] : NULL },
                { "limit", 'u', .u = option_lines(o, RUNS_SHOWN) },
        };
        _cleanup_json_ struct json_object *answer = NULL;
        _cleanup_(table_freep) Table *table = NULL;
        struct json_object *run;
        size_t n = 7;
        int status;

        if (option_given(o, OPTION_ACTIVE))
                filter[n++] = (ClientOption) { "active", 'b', .b = true };
        if (option_given(o, OPTION_SINCE))
                filter[n++] = (ClientOption) { "since", 't', .t = o->since_usec };
        if (option_given(o, OPTION_UNTIL))
                filter[n++] = (ClientOption) { "until", 't', .t = o->until_usec };
        status = ctl_ask(ctl, "DescribeRuns", filter, n, &answer);
        if (status == 0 && argc > 1 && !json_element(answer, "runs", 0))
                status = check_connector(ctl, argv[1]);
        if (status != 0)
                return status;
        ctl_begin(ctl);
        if (o->json != JSON_OFF) {
                ctl_print_json(ctl, answer);
                return 0;
        }
        table = table_new(titles);
        if (!table)
                return ctl_oom();
        for (unsigned i = 6; i < 9; i++)
                table_align_right(table, i);
        for (size_t i = 0; (run = json_element(answer, "runs", i)); i++)
                add_run(table, run);
        if (table_print(table, o->legend) < 0)
                return ctl_oom();
        if (table_rows(table) == 0)
                ctl_hint(ctl, "No runs.");
        next_page_hint(ctl, answer);
        return 0;
}

int verb_users(Ctl *ctl, int argc, char **argv)
{
        static const char *const titles[] = { "USER", "RUNS", "FIRST SEEN", "LAST RUN", NULL };
        const ClientOption filter[] = {
                { "limit", 'u', .u = option_lines(&ctl->options, USERS_SHOWN) },
                { "after", 's', .s = ctl->options.page },
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
        for (size_t i = 0; (user = json_element(answer, "users", i)); i++) {
                char first[TIMESPAN_TEXT_MAX], last[TIMESPAN_TEXT_MAX];

                table_add(table, COLOUR_BOLD, json_text(user, "id"));
                table_add_count(table, json_count(user, "runs"));
                table_add(table, COLOUR_NORMAL, relative_text(first, json_time(user, "first_seen_at")));
                table_add(table, COLOUR_NORMAL, relative_text(last, json_time(user, "last_run_at")));
        }
        if (table_print(table, ctl->options.legend) < 0)
                return ctl_oom();
        if (table_rows(table) == 0)
                ctl_hint(ctl,
                         "No users. Connectors name theirs with User=, and syncs that are reported from outside with "
                         "user_id.");
        next_page_hint(ctl, answer);
        return 0;
}
