/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/terminal.h"

#include <fcntl.h>
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

/* Asked at the first need, which is before a pager stands between us and the terminal. */
static struct {
        bool asked;
        bool is_terminal;
        unsigned width;
        unsigned height;
        pid_t pager;
} self;

static unsigned number_from_environment(const char *name)
{
        const char *text = getenv(name);
        uint64_t value;

        return text && parse_uint64(text, &value) >= 0 && value <= 10000 ? (unsigned) value : 0;
}

static void ask(void)
{
        struct winsize size = {};

        if (self.asked)
                return;
        self.asked = true;
        self.is_terminal = isatty(STDOUT_FILENO);
        self.width = number_from_environment("COLUMNS");
        self.height = number_from_environment("LINES");
        if (self.is_terminal) {
                if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0)
                        size = (struct winsize){};
                self.width = self.width ?: size.ws_col ?: 80;
                self.height = self.height ?: size.ws_row;
        }
        self.width = self.width ?: UINT_MAX;
        self.height = self.height ?: 24;
}

bool terminal_on(void)
{
        ask();
        return self.is_terminal;
}

static bool is_dumb(void)
{
        const char *term = getenv("TERM");

        return isempty(term) || streq(term, "dumb");
}

bool terminal_can_redraw(void)
{
        return terminal_on() && !is_dumb();
}

static const char *sequence(bool on, Colour c)
{
        static const char *const sequences[_COLOUR_MAX] = {
                [COLOUR_NORMAL] = "\x1b[0m", [COLOUR_BOLD] = "\x1b[1m",    [COLOUR_GREY] = "\x1b[90m",
                [COLOUR_GREEN] = "\x1b[32m", [COLOUR_YELLOW] = "\x1b[33m", [COLOUR_RED] = "\x1b[1;31m",
                [COLOUR_BLUE] = "\x1b[34m",
        };

        return on && !is_dumb() && isempty(getenv("NO_COLOR")) ? sequences[c] : "";
}

const char *colour(Colour c)
{
        return sequence(terminal_on(), c);
}

const char *error_colour(Colour c)
{
        return sequence(isatty(STDERR_FILENO), c);
}

unsigned terminal_width(void)
{
        ask();
        return self.width;
}

unsigned terminal_height(void)
{
        ask();
        return self.height;
}

/* Does not return but where there is no such program, as a shell says by these statuses: nothing was read then. */
static void run_pager(const char *command)
{
        pid_t pid = fork();
        int status;

        if (pid < 0)
                return;
        if (pid == 0) {
                (void) execlp("sh", "sh", "-c", command, NULL);
                _exit(127);
        }
        (void) signal(SIGINT, SIG_IGN);
        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        _exit(EXIT_FAILURE);
        if (!WIFEXITED(status) || (WEXITSTATUS(status) != 126 && WEXITSTATUS(status) != 127))
                _exit(WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE);
        (void) signal(SIGINT, SIG_DFL);
}

_noreturn_ static void exec_pager(const char *pager, int fds[static 2])
{
        static const char *const usual[] = { "less", "more", "cat" };

        if (dup2(fds[0], STDIN_FILENO) < 0)
                _exit(EXIT_FAILURE);
        (void) safe_close(fds[0]);
        (void) safe_close(fds[1]);
        /* As git and systemctl: leave at once when it fits, keep colours, do not clear, end by Ctrl-C. */
        (void) setenv("LESS", "FRSXMK", 0);
        (void) setenv("LESSCHARSET", "utf-8", 0);
        if (pager)
                run_pager(pager);
        for (size_t i = 0; i < ELEMENTSOF(usual); i++)
                (void) execlp(usual[i], usual[i], NULL);
        _exit(EXIT_FAILURE);
}

/* NULL: the usual one. */
static const char *wanted_pager(void)
{
        /* Whoever may run this program as root need not be allowed to run any other so. */
        if (geteuid() == 0 && getenv("SUDO_UID")) {
                (void) setenv("LESSSECURE", "1", 1);
                return NULL;
        }
        return getenv(SYNCRUN_ENV_PAGER) ?: getenv("PAGER");
}

void pager_open(void)
{
        const char *pager;
        int fds[2];

        if (self.pager > 0 || !terminal_on())
                return;
        pager = wanted_pager();
        if (pager && (pager[0] == '\0' || streq(pager, "cat")))
                return;
        if (pipe2(fds, O_CLOEXEC) < 0)
                return;
        (void) fflush(stdout);
        self.pager = fork();
        if (self.pager == 0)
                exec_pager(pager, fds);
        if (self.pager > 0) {
                (void) dup2(fds[1], STDOUT_FILENO);
                (void) signal(SIGINT, SIG_IGN); /* it is meant for the pager, for whose end we wait */
        }
        (void) safe_close(fds[0]);
        (void) safe_close(fds[1]);
}

void pager_close(void)
{
        if (self.pager <= 0)
                return;
        (void) fflush(stdout);
        (void) safe_close(STDOUT_FILENO);
        while (waitpid(self.pager, NULL, 0) < 0 && errno == EINTR)
                ;
        self.pager = 0;
}
