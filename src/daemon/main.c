/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* syncrund, the sync service. */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/log.h"
#include "daemon/daemon.h"

#define OPEN_FILES_MAX 16384U /* one for each worker that is our child, and few others */

static void raise_open_files(void)
{
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= OPEN_FILES_MAX)
                return;
        limit.rlim_cur = MIN(limit.rlim_max, (rlim_t) OPEN_FILES_MAX);
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
                (void) log_debug_errno(errno, "Cannot raise the number of open files: %m");
}

int main(int argc, char **argv)
{
        _cleanup_(arguments_done) Arguments arguments = { 0 };
        int r;

        log_open("syncrund");
        r = arguments_parse(argc, argv, &arguments);
        if (r == 0 && fflush(stdout) != 0)
                r = log_error_errno(errno, "Could not write the answer: %m");
        if (r <= 0)
                return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        (void) umask(0077);
        (void) signal(SIGPIPE, SIG_IGN);
        (void) signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error to be told, not an end */
        raise_open_files();
        return daemon_run(&arguments);
}
