/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "http/http-arguments.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/string-util.h"
#include "config.h"

static void help(void)
{
        (void) puts("syncrun-http [OPTIONS...]\n\n"
                    "Serve remote clients: REST and Server-Sent Events over HTTP. Usually started by systemd\n"
                    "when the first client connects, see syncrun-http.socket.\n\n"
                    "Options:\n"
                    "  -h --help              Show this help\n"
                    "     --version           Show the version\n"
                    "     --listen=ADDRESS    Listen here instead of at the sockets that systemd hands over:\n"
                    "                         PORT, IPV4:PORT, [IPV6]:PORT or /PATH; may be repeated\n\n"
                    "Environment: SYNCRUN_BUS_ADDRESS, SYNCRUN_CONFIG_DIRS, SYNCRUN_WEB_DIR, SYNCRUN_LOG_LEVEL\n"
                    "and SYNCRUN_LOG_TARGET. Signals: TERM and INT end all streams in order, and then the program.\n\n"
                    "See syncrun-http(8) and syncrun-http.conf(5).");
}

enum {
        ARG_VERSION = 0x100,
        ARG_LISTEN,
};

static const struct option long_options[] = {
        { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, ARG_VERSION },
        { "listen", required_argument, NULL, ARG_LISTEN },
        {},
};

void http_arguments_done(HttpArguments *arguments)
{
        strv_free(arguments->listen);
        *arguments = (HttpArguments){};
}

static int parse_option(int c, HttpArguments *arguments)
{
        int r;

        switch (c) {
        case 'h':
                help();
                return 0;
        case ARG_VERSION:
                (void) puts("syncrun-http " SYNCRUN_VERSION);
                return 0;
        case ARG_LISTEN:
                r = strv_extend(&arguments->listen, optarg);
                return r < 0 ? r : 1;
        default:
                return -EINVAL; /* getopt has said why */
        }
}

int http_arguments_parse(int argc, char **argv, HttpArguments *ret)
{
        _cleanup_(http_arguments_done) HttpArguments arguments = {};
        int c, r;

        while ((c = getopt_long(argc, argv, "h", long_options, NULL)) >= 0) {
                r = parse_option(c, &arguments);
                if (r <= 0)
                        return r;
        }
        if (optind < argc)
                return log_error_errno(EINVAL, "There are no arguments but options: '%s'. See --help.", argv[optind]);
        *ret = arguments;
        arguments = (HttpArguments){};
        return 1;
}
