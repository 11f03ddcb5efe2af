/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* syncrun-http, remote access to the sync service. */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/log.h"
#include "http/service.h"

/* One for each connection: as many as the service may have. */
static void raise_open_files(void)
{
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
                return;
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
                (void) log_debug_errno(errno, "Cannot raise the number of open files: %m");
}

/* The keys of clients go through its memory. */
static void forbid_cores(void)
{
        if (prctl(PR_SET_DUMPABLE, 0) < 0)
                (void) log_warning_errno(errno, "Cannot forbid that memory is dumped: %m");
}

int main(int argc, char **argv)
{
        _cleanup_(http_arguments_done) HttpArguments arguments = {};
        int r;

        log_open("syncrun-http");
        r = http_arguments_parse(argc, argv, &arguments);
        if (r == 0 && fflush(stdout) != 0)
                r = log_error_errno(errno, "Could not write the answer: %m");
        if (r <= 0)
                return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        (void) umask(0077);
        (void) signal(SIGPIPE, SIG_IGN);
        forbid_cores();
        raise_open_files();
        return service_run(&arguments) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
