/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* syncrunctl: the command line of the sync service. Here are the table of verbs and the help; what a verb does is in
 * the files verbs-*.c. */

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/log.h"
#include "base/string-util.h"
#include "config.h"
#include "ctl/ctl.h"
#include "ctl/over-ssh.h"

#define BIT(option) (1U << OPTION_##option)

typedef struct Verb {
        const char *name; /* one word or two */
        const char *arguments;
        const char *help;
        int min_args; /* without the verb */
        int max_args; /* -1: any number */
        bool pager;
        uint32_t options; /* those it takes beside what every verb does */
        int (*run)(Ctl *ctl, int argc, char **argv);
        bool over_ssh; /* with --host it runs there as a whole: it reads files of the machine */
} Verb;

static const Verb verbs[] = {
        { "list", "[PATTERN...]", "Connectors: next and last run, outcome, attention", 0, -1, true,
          BIT(HOST) | BIT(PROVIDER) | BIT(USER) | BIT(ACTIVE) | BIT(ATTENTION), verb_list },
        { "status", "[CONNECTOR|RUN...]", "One connector or run with its last log lines; without a name, the service",
          0, -1, true, BIT(HOST) | BIT(LINES), verb_status },
        { "start", "CONNECTOR...", "Run connectors now", 1, -1, false,
          BIT(HOST) | BIT(FULL) | BIT(WAIT) | BIT(REASON) | BIT(ACCOUNTS), verb_start },
        { "cancel", "CONNECTOR|RUN...", "End active runs", 1, -1, false, BIT(HOST), verb_cancel },
        { "runs", "[CONNECTOR]", "History, newest first", 0, 1, true,
          BIT(HOST) | BIT(PROVIDER) | BIT(USER) | BIT(SOURCE) | BIT(OUTCOME) | BIT(ACTIVE) | BIT(SINCE) | BIT(UNTIL) |
                          BIT(LINES) | BIT(PAGE),
          verb_runs },
        { "show", "RUN...", "Everything about runs, with their accounts", 1, -1, true, BIT(HOST), verb_show },
        { "log", "CONNECTOR|RUN", "A run's own log, of daemon and connector", 1, 1, true,
          BIT(HOST) | BIT(LINES) | BIT(FOLLOW), verb_log, true },
        { "watch", "[CONNECTOR]", "Events as they happen, until interrupted", 0, 1, false,
          BIT(HOST) | BIT(PROVIDER) | BIT(USER) | BIT(LINES), verb_watch },
        { "enable", "CONNECTOR...", "Let connectors run", 1, -1, false, BIT(HOST), verb_set_active },
        { "disable", "CONNECTOR...", "Keep connectors from running; an active run goes on", 1, -1, false, BIT(HOST),
          verb_set_active },
        { "connections", "[CONNECTION...]", "What connectors share: state, since, reason", 0, -1, true,
          BIT(HOST) | BIT(PROVIDER) | BIT(USER), verb_connections },
        { "reconnect", "CONNECTION...", "Renew a connection, or say that it works again; its waiting syncs run", 1, -1,
          false, BIT(HOST) | BIT(DONE) | BIT(EXPIRES) | BIT(WAIT), verb_reconnect },
        { "deliveries", "CONNECTOR", "What came of sending its records and news of its runs", 1, 1, true,
          BIT(HOST) | BIT(LINES), verb_deliveries },
        { "redeliver", "CONNECTOR DELIVERY...", "Send once more what a delivery was for", 2, -1, false, BIT(HOST),
          verb_redeliver },
        { "withdraw", "CONNECTION...", "Withdraw a consent: its connectors run no more", 1, -1, false,
          BIT(HOST) | BIT(DELETE_ITEMS), verb_withdraw },
        { "items", "CONNECTOR [STREAM]", "What a connector has stored", 1, 2, true, BIT(HOST) | BIT(LINES), verb_items,
          true },
        { "key add", "NAME", "Make a key for remote clients, and print it this once", 1, 1, false,
          BIT(HOST) | BIT(SCOPE) | BIT(USER), verb_key_add },
        { "key list", "", "Keys of remote clients: scopes, user, last use", 0, 0, true, BIT(HOST) | BIT(USER),
          verb_key_list },
        { "key revoke", "NAME...", "End keys at once", 1, -1, false, BIT(HOST), verb_key_revoke },
        { "webhook add", "URL", "Send messages about syncs there", 1, 1, false,
          BIT(HOST) | BIT(DESCRIPTION) | BIT(TYPES) | BIT(USER) | BIT(DISABLE), verb_webhook_add },
        { "webhook list", "", "Where messages are sent", 0, 0, true, BIT(HOST), verb_webhook_list },
        { "webhook show", "ENDPOINT", "Everything about one of these", 1, 1, true, BIT(HOST), verb_webhook_show },
        { "webhook update", "ENDPOINT", "Change it", 1, 1, false,
          BIT(HOST) | BIT(URL) | BIT(DESCRIPTION) | BIT(TYPES) | BIT(USER) | BIT(ENABLE) | BIT(DISABLE),
          verb_webhook_update },
        { "webhook remove", "ENDPOINT...", "Send nothing there any more", 1, -1, false, BIT(HOST),
          verb_webhook_remove },
        { "webhook secret", "ENDPOINT", "What its messages are signed with", 1, 1, false, BIT(HOST),
          verb_webhook_secret },
        { "webhook rotate", "ENDPOINT", "Sign with a new secret, for a day beside the one before", 1, 1, false,
          BIT(HOST) | BIT(AT_ONCE), verb_webhook_rotate },
        { "webhook test", "ENDPOINT", "Send a test, and say what comes back", 1, 1, false, BIT(HOST),
          verb_webhook_test },
        { "webhook messages", "[ENDPOINT|MESSAGE]", "Messages, newest first, and what became of them", 0, 1, true,
          BIT(HOST) | BIT(LINES) | BIT(PAGE), verb_webhook_messages },
        { "webhook attempts", "[ENDPOINT|MESSAGE]", "What endpoints answered, newest first", 0, 1, true,
          BIT(HOST) | BIT(LINES) | BIT(PAGE), verb_webhook_attempts },
        { "webhook resend", "ENDPOINT MESSAGE...", "Send messages once more", 2, -1, false, BIT(HOST),
          verb_webhook_resend },
        { "webhook recover", "ENDPOINT", "Send again all that was not taken since a time", 1, 1, false,
          BIT(HOST) | BIT(SINCE), verb_webhook_recover },
        { "users", "", "Persons whose data is synced", 0, 0, true, BIT(HOST) | BIT(LINES) | BIT(PAGE), verb_users },
        { "verify", "[FILE|FOLDER...]", "Check configuration without loading it; without a name, all of it", 0, -1,
          false, 0, verb_verify },
        { "doctor", "", "Look at all that the service stands on, and say what to mend", 0, 0, false, 0, verb_doctor },
        { "calendar", "EXPRESSION...", "When a calendar event elapses", 1, -1, false, BIT(BASE_TIME) | BIT(ITERATIONS),
          verb_calendar },
        { "reload", "", "Read all configuration files anew", 0, 0, false, BIT(HOST), verb_reload },
};

static void help(void)
{
        const char *bold = colour(COLOUR_BOLD), *normal = colour(COLOUR_NORMAL);

        (void) printf("%ssyncrunctl%s [OPTIONS...] COMMAND ...\n\n"
                      "Look at the sync service and steer it.\n\n"
                      "%sCommands:%s\n",
                      bold, normal, bold, normal);
        for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
                (void) printf("  %-16s %-20s %s\n", verbs[i].name, verbs[i].arguments, verbs[i].help);
        (void) printf("\n%sOptions:%s\n"
                      "  -h --help                 Show this help\n"
                      "     --version              Show the version\n"
                      "  -H --host=[USER@]HOST     Over ssh, on another machine\n"
                      "     --json=MODE            Answer as JSON: short, pretty, off\n"
                      "     --no-pager             Do not pipe output into a pager\n"
                      "     --no-legend            No titles and no closing hints\n"
                      "  -q --quiet                Say nothing where the exit status says it\n"
                      "  -n --lines=N              Rows, events or log lines at most\n"
                      "  -f --follow               With log: further lines, until the run ends\n"
                      "\n%sStarting (start):%s\n"
                      "     --full                 Discard the cursor and sync every item again\n"
                      "     --wait                 Show progress until the end; the exit status tells the outcome\n"
                      "     --reason=TEXT          Recorded with the run\n"
                      "     --accounts=NAME,...    Only these accounts, where the connector can\n"
                      "\n%sConnections (reconnect, withdraw):%s\n"
                      "     --done                 A person has reconnected it: no program runs\n"
                      "     --expires=TIME         When the new consent ends\n"
                      "     --wait                 Until the program has ended\n"
                      "     --delete-items         Delete what was stored, too\n"
                      "\n%sMaking keys (key add):%s\n"
                      "     --scope=WORD,...       sync:read, sync:write, sync:admin\n"
                      "     --user=UUID            For the data of this person alone\n"
                      "\n%sWebhooks (webhook add, update, rotate):%s\n"
                      "     --types=WORD,...       sync.started, sync.completed, sync.failed, sync.cancelled,\n"
                      "                            sync.needs_attention, sync.recovered; all\n"
                      "     --description=TEXT     For people\n"
                      "     --url=URL              Another one\n"
                      "     --enable, --disable    Whether it is sent to\n"
                      "     --at-once              The secret before signs no more\n"
                      "\n%sChoosing (list, runs, watch, connections, users, key list):%s\n"
                      "     --provider=SLUG        Of this provider\n"
                      "     --user=UUID            Of this person\n"
                      "     --source=WORD          pull, webhook, sdk, backfill, xml_import, linked_account\n"
                      "     --outcome=WORD         succeeded, partial, failed, cancelled, skipped\n"
                      "     --active               What is going on now\n"
                      "     --attention            What needs attention\n"
                      "     --since=TIME           \"2026-11-21 08:00\", yesterday, 2h ago, ...\n"
                      "     --until=TIME\n"
                      "     --page=TOKEN           Go on where the listing before ended\n"
                      "\n%sWhen (calendar):%s\n"
                      "     --base-time=TIME       Count from this time\n"
                      "     --iterations=N         Show the next N times\n"
                      "\nExit status: 0 success; with --wait 1 failed, 3 partial, 4 cancelled, 5 skipped. See "
                      "syncrunctl(1).\n",
                      bold, normal, bold, normal, bold, normal, bold, normal, bold, normal, bold, normal, bold,
                      normal);
}

/* @ret_words: how many words its name has; where there is none, 2 if the first one begins some verb's. */
static const Verb *find_verb(int argc, char **argv, int *ret_words)
{
        *ret_words = 1;
        for (size_t i = 0; i < ELEMENTSOF(verbs); i++) {
                const char *rest = startswith(verbs[i].name, argv[0]);

                if (rest && isempty(rest))
                        return &verbs[i];
                if (!rest || *rest != ' ')
                        continue;
                *ret_words = 2;
                if (argc > 1 && streq(rest + 1, argv[1]))
                        return &verbs[i];
        }
        return NULL;
}

/* Return: an exit status; with what does begin so, where something does. */
static int refuse_verb(int argc, char **argv, int n_words)
{
        _cleanup_buffer_ Buffer known = {};
        const char *second = argc > 1 && n_words > 1 ? argv[1] : "";

        for (size_t i = 0; i < ELEMENTSOF(verbs) && n_words > 1; i++) {
                const char *rest = startswith(verbs[i].name, argv[0]);

                if (rest && *rest == ' ')
                        buffer_append_format(&known, "%s%s", known.size > 0 ? ", " : "", rest + 1);
        }
        if (known.failed)
                return ctl_oom();
        if (known.size == 0)
                return ctl_usage_error("There is no command \"%s\". See 'syncrunctl --help'.", argv[0]);
        return ctl_usage_error("There is no command \"%s%s%s\". Behind \"%s\" comes one of %s. See 'syncrunctl "
                               "--help'.",
                               argv[0], isempty(second) ? "" : " ", second, argv[0], known.data);
}

/* @all_argc: with the options; @first: index of the verb. */
static int run_verb(Ctl *ctl, int all_argc, char **all_argv, int first)
{
        static char *default_words[] = { (char *) "list", NULL };
        char **argv = all_argv + first;
        int argc = all_argc - first, n_words, status;
        const Verb *verb;

        if (argc == 0) {
                argv = default_words;
                argc = 1;
        }
        verb = find_verb(argc, argv, &n_words);
        if (!verb)
                return refuse_verb(argc, argv, n_words);
        argv += n_words - 1;
        argc -= n_words - 1;
        if (argc - 1 < verb->min_args || (verb->max_args >= 0 && argc - 1 > verb->max_args))
                return ctl_usage_error("Usage: syncrunctl %s%s%s", verb->name, isempty(verb->arguments) ? "" : " ",
                                       verb->arguments);
        status = options_check(&ctl->options, verb->name, verb->options);
        if (status != 0)
                return status;
        if (verb->over_ssh && ctl->options.host)
                return over_ssh(ctl, all_argc, all_argv, first);
        ctl->pager = verb->pager && ctl->options.pager;
        status = verb->run(ctl, argc, argv);
        client_free(ctl->client);
        return status;
}

int main(int argc, char **argv)
{
        Ctl ctl = {};
        int first, status;

        (void) setlocale(LC_CTYPE, "");
        log_open("syncrunctl");
        status = options_parse(argc, argv, &ctl.options, &first);
        if (status != 0)
                return status;
        if (ctl.options.help)
                help();
        else if (ctl.options.version)
                (void) puts("syncrun " SYNCRUN_VERSION);
        else
                status = run_verb(&ctl, argc, argv, first);
        if (fflush(stdout) != 0 || ferror(stdout))
                status = MAX(status, ctl_fail_errno(errno, "Could not write the answer"));
        pager_close();
        return status;
}
