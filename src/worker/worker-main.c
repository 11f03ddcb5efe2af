/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* syncrun-worker: command line and process-wide settings; everything else is worker.c's and settle.c's. */

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "config.h"

#include "base/log.h"
#include "base/string-util.h"
#include "worker/delete-items.h"
#include "worker/items.h"
#include "worker/keeper.h"
#include "worker/reconnector.h"
#include "worker/settle.h"
#include "worker/worker.h"

static bool arg_keep = false;
static bool arg_settle = false;
static bool arg_items = false;
static bool arg_delete_items = false;
static bool arg_reconnect = false;
static uint64_t arg_limit = 50;
static const char *arg_stream = NULL;
static const char *arg_connector = NULL;

static void help(void)
{
        printf("syncrun-worker [OPTIONS...] CONNECTOR\n\n"
               "Run a connector once, for syncrund, which starts it.\n\n"
               "     --keep     Where no service manager does: when it has ended, kill what it left behind\n"
               "     --settle   Tell syncrund the counts of runs whose worker has died\n"
               "     --items    Print what the connector has stored, newest first (syncrunctl items)\n"
               "     --delete-items  Delete what the connector has stored (syncrunctl withdraw)\n"
               "     --reconnect     Run ExecReconnect= of the connection of this name (syncrunctl reconnect)\n"
               "     --stream=NAME, --limit=N   With --items\n"
               "  -h --help     Show this help\n"
               "     --version  Show the version\n");
}

/* Return: 1 to go on; 0 if all is done; -EINVAL. */
static int parse_arguments(int argc, char *argv[])
{
        enum {
                ARG_KEEP = 0x100,
                ARG_SETTLE,
                ARG_ITEMS,
                ARG_DELETE_ITEMS,
                ARG_RECONNECT,
                ARG_STREAM,
                ARG_LIMIT,
                ARG_VERSION,
        };
        static const struct option options[] = {
                { "help", no_argument, NULL, 'h' },
                { "keep", no_argument, NULL, ARG_KEEP },
                { "settle", no_argument, NULL, ARG_SETTLE },
                { "items", no_argument, NULL, ARG_ITEMS },
                { "delete-items", no_argument, NULL, ARG_DELETE_ITEMS },
                { "reconnect", no_argument, NULL, ARG_RECONNECT },
                { "stream", required_argument, NULL, ARG_STREAM },
                { "limit", required_argument, NULL, ARG_LIMIT },
                { "version", no_argument, NULL, ARG_VERSION },
                {},
        };
        int c;

        while ((c = getopt_long(argc, argv, "h", options, NULL)) >= 0)
                switch (c) {
                case 'h':
                        help();
                        return 0;
                case ARG_KEEP:
                        arg_keep = true;
                        break;
                case ARG_SETTLE:
                        arg_settle = true;
                        break;
                case ARG_ITEMS:
                        arg_items = true;
                        break;
                case ARG_DELETE_ITEMS:
                        arg_delete_items = true;
                        break;
                case ARG_RECONNECT:
                        arg_reconnect = true;
                        break;
                case ARG_STREAM:
                        arg_stream = optarg;
                        break;
                case ARG_LIMIT:
                        if (parse_uint64(optarg, &arg_limit) < 0 || arg_limit < 1) {
                                log_error("--limit= takes a number, not '%s'.", optarg);
                                return -EINVAL;
                        }
                        break;
                case ARG_VERSION:
                        puts("syncrun " SYNCRUN_VERSION);
                        return 0;
                default:
                        return -EINVAL;
                }
        if (optind != argc - 1) {
                log_error("One connector must be named. See --help.");
                return -EINVAL;
        }
        arg_connector = argv[optind];
        if (!connector_name_is_valid(arg_connector)) {
                log_error("'%s' is no name of a connector.", arg_connector);
                return -EINVAL;
        }
        return 1;
}

/* As ExecStopPost= we are told how the worker ended: one that ended well has told its counts itself. */
static bool worker_ended_well(void)
{
        return streq(strempty(getenv("SERVICE_RESULT")), "success") && streq(strempty(getenv("EXIT_CODE")), "exited");
}

int main(int argc, char *argv[])
{
        sigset_t signals;
        int r;

        log_open("syncrun-worker");
        r = parse_arguments(argc, argv);
        if (r <= 0)
                return r < 0 ? EX_USAGE : EXIT_SUCCESS;

        if (arg_settle && worker_ended_well())
                return EXIT_SUCCESS;
        if (arg_items)
                return items_print(arg_connector, arg_stream, arg_limit) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        if (arg_delete_items)
                return delete_items(arg_connector) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;

        (void) signal(SIGPIPE, SIG_IGN);
        (void) signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error to be told, not an end */
        (void) sigemptyset(&signals);
        (void) sigaddset(&signals, SIGTERM);
        (void) sigaddset(&signals, SIGINT);
        if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0) {
                log_error_errno(errno, "Signals cannot be blocked: %m");
                return EX_OSERR;
        }
        if (arg_reconnect)
                return reconnect_connection(arg_connector) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        if (arg_keep) {
                r = keeper_run(argv[0], arg_connector);
                return r < 0 ? EX_OSERR : r;
        }
        r = arg_settle ? settle_connector(arg_connector) : worker_run(arg_connector);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
