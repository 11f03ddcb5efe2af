/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/terminal.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd-util.h"
#include "base/names.h"
#include "base/string-util.h"

static struct {
        int is_terminal; /* -1: not asked yet */
        pid_t pager;
} self = { .is_terminal = -1 };

bool terminal_on(void)
{
        if (self.is_terminal < 0)
                self.is_terminal = isatty(STDOUT_FILENO) && !streq(strempty(getenv("TERM")), "dumb");
        return self.is_terminal;
}

const char *colour(Colour c)
{
        static const char *const sequences[_COLOUR_MAX] = {
                [COLOUR_NORMAL] = "\x1b[0m",   [COLOUR_BOLD] = "\x1b[1m",   [COLOUR_GREY] = "\x1b[90m",
                [COLOUR_GREEN] = "\x1b[32m",   [COLOUR_YELLOW] = "\x1b[33m", [COLOUR_RED] = "\x1b[1;31m",
                [COLOUR_BLUE] = "\x1b[34m",
        };

        return terminal_on() && isempty(getenv("NO_COLOR")) ? sequences[c] : "";
}

unsigned terminal_width(void)
{
        struct winsize size;
        uint64_t columns;

        if (parse_uint64(getenv("COLUMNS"), &columns) >= 0 && columns > 0 && columns < 10000)
                return (unsigned) columns;
        if (!terminal_on())
                return UINT_MAX;
        if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) >= 0 && size.ws_col > 0)
                return size.ws_col;
        return 80;
}

_noreturn_ static void exec_pager(const char *pager, int fd)
{
        if (dup2(fd, STDIN_FILENO) < 0)
                _exit(EXIT_FAILURE);
        /* As git and systemctl: leave at once when it fits, keep colours, do not clear. */
        (void) setenv("LESS", "FRSXMK", 0);
        (void) setenv("LESSCHARSET", "utf-8", 0);
        (void) execlp("sh", "sh", "-c", pager, NULL);
        _exit(EXIT_FAILURE);
}

void pager_open(void)
{
        const char *pager = getenv(SYNCRUN_ENV_PAGER) ?: getenv("PAGER") ?: "less";
        int fds[2];

        /* Asked now: afterwards standard output is a pipe, but still leads to the terminal. */
        if (self.pager > 0 || !terminal_on() || isempty(pager) || streq(pager, "cat"))
                return;
        if (pipe(fds) < 0)
                return;
        (void) fflush(stdout);
        self.pager = fork();
        if (self.pager == 0) {
                (void) safe_close(fds[1]);
                exec_pager(pager, fds[0]);
        }
        if (self.pager > 0)
                (void) dup2(fds[1], STDOUT_FILENO);
        (void) safe_close(fds[0]);
        (void) safe_close(fds[1]);
}

void pager_close(void)
{
        if (self.pager <= 0)
                return;
        (void) fflush(stdout);
        (void) safe_close(STDOUT_FILENO);
        (void) waitpid(self.pager, NULL, 0);
        self.pager = 0;
}
