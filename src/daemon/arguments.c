/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/arguments.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/names.h"
#include "base/string-util.h"
#include "config.h"

static void help(void)
{
        (void) puts("syncrund [OPTIONS...]\n\n"
                    "Schedule, run, record and publish sync runs. Usually started by systemd or by the first call\n"
                    "on D-Bus; 'syncrunctl' is the command line for people.\n\n"
                    "Options:\n"
                    "  -h --help              Show this help\n"
                    "     --version           Show the version\n"
                    "     --config-dir=DIR    Look for syncrun.conf and connectors/ here and nowhere else;\n"
                    "                         may be repeated, the most important first\n\n"
                    "Environment: STATE_DIRECTORY, SYNCRUN_BUS_ADDRESS, SYNCRUN_CONFIG_DIRS, SYNCRUN_WORKER,\n"
                    "and SYNCRUN_LOG_LEVEL, SYNCRUN_LOG_TARGET. Signals: HUP reads the configuration anew,\n"
                    "TERM and INT end the daemon; runs go on without it.\n\n"
                    "See syncrund(8) and syncrun.conf(5).");
}

enum {
        ARG_VERSION = 0x100,
        ARG_CONFIG_DIR,
};

static const struct option long_options[] = {
        { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, ARG_VERSION },
        { "config-dir", required_argument, NULL, ARG_CONFIG_DIR },
        {},
};

void arguments_done(Arguments *arguments)
{
        strv_free(arguments->config_dirs);
        free(arguments->worker_path);
        *arguments = (Arguments){ 0 };
}

/* SYNCRUN_WORKER, or the worker beside the daemon where it is installed, or that in its own room of the build tree. */
static int find_worker(char **ret)
{
        static const char *const places[] = { "/syncrun-worker", "/../worker/syncrun-worker" };
        _cleanup_free_ char *self = realpath("/proc/self/exe", NULL);
        const char *given = getenv(SYNCRUN_ENV_WORKER);
        char *end = self ? strrchr(self, '/') : NULL;

        if (!isempty(given))
                return free_and_strdup(ret, given);
        if (end)
                *end = '\0';
        for (size_t i = 0; end && i < ELEMENTSOF(places); i++) {
                _cleanup_free_ char *path = asprintf_or_null("%s%s", self, places[i]);

                if (!path)
                        return -ENOMEM;
                if (access(path, X_OK) >= 0) {
                        *ret = TAKE_PTR(path);
                        return 0;
                }
        }
        *ret = strdup(SYNCRUN_LIBEXECDIR "/syncrun-worker");
        return *ret ? 0 : -ENOMEM;
}

static int parse_option(int c, Arguments *arguments)
{
        int r;

        switch (c) {
        case 'h':
                help();
                return 0;
        case ARG_VERSION:
                (void) puts("syncrund " SYNCRUN_VERSION);
                return 0;
        case ARG_CONFIG_DIR:
                if (optarg[0] != '/')
                        return log_error_errno(EINVAL, "--config-dir= takes an absolute path, not '%s'.", optarg);
                r = strv_extend(&arguments->config_dirs, optarg);
                return r < 0 ? r : 1;
        default:
                return -EINVAL; /* getopt has said why */
        }
}

int arguments_parse(int argc, char **argv, Arguments *ret)
{
        _cleanup_(arguments_done) Arguments arguments = { 0 };
        int c, r;

        while ((c = getopt_long(argc, argv, "h", long_options, NULL)) >= 0) {
                r = parse_option(c, &arguments);
                if (r <= 0)
                        return r;
        }
        if (optind < argc)
                return log_error_errno(EINVAL, "There are no arguments but options: '%s'. See --help.", argv[optind]);
        r = find_worker(&arguments.worker_path);
        if (r < 0)
                return r;
        *ret = arguments;
        arguments = (Arguments){ 0 };
        return 1;
}
