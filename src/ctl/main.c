/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* syncrunctl: the command line of the sync service. Here are the options, the table of verbs and the help; what a verb
 * does is in the files verbs-*.c. */

#include <getopt.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/string-util.h"
#include "base/time-util.h"
#include "config.h"
#include "ctl/ctl.h"

typedef struct Verb {
        const char *name;
        const char *arguments;
        const char *help;
        int min_args; /* without the verb */
        int max_args; /* -1: any number */
        bool pager;
        int (*run)(Ctl *ctl, int argc, char **argv);
} Verb;

static const Verb verbs[] = {
        { "list", "", "Connectors: next and last run, outcome, attention", 0, 0, true, verb_list },
        { "status", "[CONNECTOR|RUN...]", "One connector or run with its last log lines; without a name, the service",
          0, -1, true, verb_status },
        { "start", "CONNECTOR...", "Run connectors now [--full] [--wait]", 1, -1, false, verb_start },
        { "cancel", "CONNECTOR|RUN...", "End active runs", 1, -1, false, verb_cancel },
        { "runs", "[CONNECTOR]", "History, newest first", 0, 1, true, verb_runs },
        { "show", "RUN", "Everything about one run, with its accounts", 1, 1, true, verb_show },
        { "log", "RUN", "A run's own log, of daemon and connector", 1, 1, true, verb_log },
        { "watch", "[CONNECTOR]", "Events as they happen, until interrupted", 0, 1, false, verb_watch },
        { "enable", "CONNECTOR...", "Let connectors run", 1, -1, false, verb_set_active },
        { "disable", "CONNECTOR...", "Keep connectors from running; an active run goes on", 1, -1, false,
          verb_set_active },
        { "connections", "", "What connectors share: state, since, reason", 0, 0, true, verb_connections },
        { "reconnect", "CONNECTION...", "Say that a connection works again; its waiting syncs run", 1, -1, false,
          verb_reconnect },
        { "items", "CONNECTOR [STREAM]", "What a connector has stored", 1, 2, true, verb_items },
        { "users", "", "Persons whose data is synced", 0, 0, true, verb_users },
        { "verify", "FILE...", "Check connector files without loading them", 1, -1, false, verb_verify },
        { "calendar", "EXPRESSION...", "When a calendar event elapses [--iterations=N]", 1, -1, false, verb_calendar },
        { "reload", "", "Read all configuration files anew", 0, 0, false, verb_reload },
};

static void help(void)
{
        const char *bold = colour(COLOUR_BOLD), *normal = colour(COLOUR_NORMAL);

        (void) printf("%ssyncrunctl%s [OPTIONS...] COMMAND ...\n\n"
                      "Look at the sync service and steer it.\n\n"
                      "%sCommands:%s\n",
                      bold, normal, bold, normal);
        for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
                (void) printf("  %-11s %-20s %s\n", verbs[i].name, verbs[i].arguments, verbs[i].help);
        (void) printf("\n%sOptions:%s\n"
                      "  -h --help                 Show this help\n"
                      "     --version              Show the version\n"
                      "  -H --host=[USER@]HOST     Over ssh, on another machine\n"
                      "     --json=MODE            Answer as JSON: short, pretty, off\n"
                      "     --no-pager             Do not pipe output into a pager\n"
                      "     --no-legend            No titles and no closing hints\n"
                      "  -q --quiet                Say nothing where the exit status says it\n"
                      "\n%sStarting:%s\n"
                      "     --full                 Discard the cursor and sync every item again\n"
                      "     --wait                 Show progress and wait for the end; the exit status tells the "
                      "outcome\n"
                      "     --reason=TEXT          Recorded with the run\n"
                      "     --accounts=NAME,...    Only these accounts, where the connector can\n"
                      "\n%sChoosing (list, runs, watch, users):%s\n"
                      "     --provider=SLUG  --user=UUID  --outcome=WORD  --active\n"
                      "     --since=TIME  --until=TIME   2026-11-21T08:00:00Z, or a span before now such as 2h\n"
                      "  -n --lines=N              Rows or log lines at most\n"
                      "     --page=TOKEN           Go on where a listing before ended\n"
                      "\n%sCalendar:%s\n"
                      "     --base-time=TIME       Count from this time\n"
                      "     --iterations=N         Show the next N times\n"
                      "\nExit status: 0 success; with --wait 1 failed, 3 partial, 4 cancelled, 5 skipped. See "
                      "syncrunctl(1).\n",
                      bold, normal, bold, normal, bold, normal, bold, normal);
}

enum {
        ARG_VERSION = 0x100,
        ARG_JSON,
        ARG_NO_PAGER,
        ARG_NO_LEGEND,
        ARG_FULL,
        ARG_WAIT,
        ARG_REASON,
        ARG_ACCOUNTS,
        ARG_PROVIDER,
        ARG_USER,
        ARG_OUTCOME,
        ARG_ACTIVE,
        ARG_SINCE,
        ARG_UNTIL,
        ARG_PAGE,
        ARG_BASE_TIME,
        ARG_ITERATIONS,
};

static const struct option long_options[] = {
        { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, ARG_VERSION },
        { "host", required_argument, NULL, 'H' },
        { "json", required_argument, NULL, ARG_JSON },
        { "no-pager", no_argument, NULL, ARG_NO_PAGER },
        { "no-legend", no_argument, NULL, ARG_NO_LEGEND },
        { "quiet", no_argument, NULL, 'q' },
        { "full", no_argument, NULL, ARG_FULL },
        { "wait", no_argument, NULL, ARG_WAIT },
        { "reason", required_argument, NULL, ARG_REASON },
        { "accounts", required_argument, NULL, ARG_ACCOUNTS },
        { "provider", required_argument, NULL, ARG_PROVIDER },
        { "user", required_argument, NULL, ARG_USER },
        { "outcome", required_argument, NULL, ARG_OUTCOME },
        { "active", no_argument, NULL, ARG_ACTIVE },
        { "since", required_argument, NULL, ARG_SINCE },
        { "until", required_argument, NULL, ARG_UNTIL },
        { "lines", required_argument, NULL, 'n' },
        { "page", required_argument, NULL, ARG_PAGE },
        { "base-time", required_argument, NULL, ARG_BASE_TIME },
        { "iterations", required_argument, NULL, ARG_ITERATIONS },
        {},
};

static int parse_json_mode(const char *word, JsonMode *ret)
{
        static const char *const modes[_JSON_MODE_MAX] = { "off", "short", "pretty" };

        for (int i = 0; i < _JSON_MODE_MAX; i++)
                if (streq(modes[i], word)) {
                        *ret = (JsonMode) i;
                        return 0;
                }
        return ctl_usage_error("--json= takes short, pretty or off, not \"%s\".", word);
}

static int parse_count(const char *option, const char *text, uint64_t max, uint64_t *ret)
{
        if (parse_uint64(text, ret) < 0 || *ret < 1 || *ret > max)
                return ctl_usage_error("%s takes a number from 1 to %llu, not \"%s\".", option,
                                       (unsigned long long) max, text);
        return 0;
}

static int parse_option(CtlOptions *o, int c, const char *value)
{
        switch (c) {
        case 'H': o->host = value; return 0;
        case 'q': o->quiet = true; return 0;
        case 'n': return parse_count("--lines=", value, 10000, &o->lines);
        case ARG_JSON: return parse_json_mode(value, &o->json);
        case ARG_NO_PAGER: o->pager = false; return 0;
        case ARG_NO_LEGEND: o->legend = false; return 0;
        case ARG_FULL: o->full = true; return 0;
        case ARG_WAIT: o->wait = true; return 0;
        case ARG_REASON: o->reason = value; return 0;
        case ARG_ACCOUNTS: o->accounts = value; return 0;
        case ARG_PROVIDER: o->provider = value; return 0;
        case ARG_USER: o->user = value; return 0;
        case ARG_OUTCOME: o->outcome = value; return 0;
        case ARG_ACTIVE: o->active = true; return 0;
        case ARG_SINCE: o->since = value; return 0;
        case ARG_UNTIL: o->until = value; return 0;
        case ARG_PAGE: o->page = value; return 0;
        case ARG_BASE_TIME: o->base_set = true; return ctl_parse_time("--base-time=", value, &o->base_usec);
        case ARG_ITERATIONS: return parse_count("--iterations=", value, 1000, &o->iterations);
        default: return ctl_usage_error("See 'syncrunctl --help'.");
        }
}

static const Verb *find_verb(const char *name)
{
        for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
                if (streq(verbs[i].name, name))
                        return &verbs[i];
        return NULL;
}

static int run_verb(Ctl *ctl, int argc, char **argv)
{
        const Verb *verb = find_verb(argc > 0 ? argv[0] : "list");
        static char *default_verb[] = { (char *) "list", NULL };
        int status;

        if (!verb)
                return ctl_usage_error("There is no command \"%s\". See 'syncrunctl --help'.", argv[0]);
        if (argc == 0) {
                argv = default_verb;
                argc = 1;
        }
        if (argc - 1 < verb->min_args || (verb->max_args >= 0 && argc - 1 > verb->max_args))
                return ctl_usage_error("Usage: syncrunctl %s %s", verb->name, verb->arguments);
        if (verb->pager && ctl->options.pager)
                pager_open();
        status = verb->run(ctl, argc, argv);
        pager_close();
        client_free(ctl->client);
        return status;
}

int main(int argc, char **argv)
{
        Ctl ctl = { .options = { .pager = true, .legend = true, .lines = UINT64_MAX, .iterations = 1 } };
        int c, status;

        (void) setlocale(LC_ALL, "");
        log_open("syncrunctl");
        while ((c = getopt_long(argc, argv, "hH:qn:", long_options, NULL)) >= 0) {
                if (c == 'h') {
                        help();
                        return EXIT_SUCCESS;
                }
                if (c == ARG_VERSION) {
                        (void) puts("syncrun " SYNCRUN_VERSION);
                        return EXIT_SUCCESS;
                }
                status = parse_option(&ctl.options, c, optarg);
                if (status != 0)
                        return status;
        }
        return run_verb(&ctl, argc - optind, argv + optind);
}
