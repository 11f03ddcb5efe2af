/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/over-ssh.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/string-util.h"

#define SSH_FAILED    255 /* what ssh itself ends with */
#define SHELL_MISSING 127 /* a shell that does not find a program */

/* As one word of a POSIX shell, which ssh gives the command to. */
static void append_quoted(Buffer *command, const char *word)
{
        buffer_append_string(command, " '");
        for (const char *p = word; *p; p++)
                if (*p == '\'')
                        buffer_append_string(command, "'\\''");
                else
                        buffer_append_char(command, *p);
        buffer_append_char(command, '\'');
}

static int make_command(int argc, char **argv, int first, char **ret)
{
        _cleanup_buffer_ Buffer command = {};
        _cleanup_strv_free_ char **options = NULL;
        int r;

        r = options_of_host(argc, argv, &options);
        if (r < 0)
                return r;
        buffer_append_string(&command, "syncrunctl");
        STRV_FOREACH(option, options)
                append_quoted(&command, *option);
        append_quoted(&command, "--");
        for (int i = first; i < argc; i++)
                append_quoted(&command, argv[i]);
        return buffer_take(&command, ret);
}

/* HOST:PORT as the bus takes it. @port: "" for the usual one. Return: 0; -ENOMEM. */
static int split_host(const char *text, char **ret_host, char **ret_port)
{
        const char *colon = strrchr(text, ':');
        size_t n = strlen(text);

        if (colon && colon[1] && colon[1 + strspn(colon + 1, "0123456789")] == '\0')
                n = (size_t) (colon - text);
        *ret_host = strndup(text, n);
        *ret_port = strdup(text[n] ? text + n + 1 : "");
        return *ret_host && *ret_port ? 0 : -ENOMEM;
}

/* The terminal's signals are for what runs over there; we say how it ended. */
static int run(char **words, int *ret_status)
{
        posix_spawnattr_t attributes;
        sigset_t defaults;
        int r, status;
        pid_t pid;

        r = posix_spawnattr_init(&attributes);
        if (r != 0)
                return -r;
        (void) sigemptyset(&defaults);
        (void) sigaddset(&defaults, SIGINT);
        (void) sigaddset(&defaults, SIGQUIT);
        (void) posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
        (void) posix_spawnattr_setsigdefault(&attributes, &defaults);
        (void) signal(SIGINT, SIG_IGN);
        (void) signal(SIGQUIT, SIG_IGN);
        r = posix_spawnp(&pid, words[0], NULL, &attributes, words, environ);
        (void) posix_spawnattr_destroy(&attributes);
        if (r != 0)
                return -r;
        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return -errno;
        *ret_status = WIFEXITED(status) ? WEXITSTATUS(status) : SSH_FAILED;
        return 0;
}

int over_ssh(const Ctl *ctl, int argc, char **argv, int first)
{
        const char *there = ctl->options.host;
        _cleanup_free_ char *command = NULL, *host = NULL, *port = NULL;
        /* A terminal over there, where there is one here, so that it is coloured and paged. */
        const char *terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) ? "-xt" : "-xT";
        char *words[8];
        int r, status = 0, n = 0;

        r = make_command(argc, argv, first, &command);
        if (r >= 0)
                r = split_host(there, &host, &port);
        if (r < 0)
                return ctl_oom();
        words[n++] = (char *) "ssh";
        words[n++] = (char *) terminal;
        if (!isempty(port)) {
                words[n++] = (char *) "-p";
                words[n++] = port;
        }
        words[n++] = (char *) "--";
        words[n++] = host;
        words[n++] = command;
        words[n] = NULL;
        r = run(words, &status);
        if (r < 0)
                return ctl_fail_errno(r, "Could not run ssh");
        if (status == SSH_FAILED)
                return ctl_fail_status(EXIT_UNAVAILABLE, "Could not run syncrunctl on %s: does 'ssh %s' work?", there,
                                       there);
        if (status == SHELL_MISSING)
                return ctl_fail_status(EXIT_UNAVAILABLE, "There is no syncrunctl on %s.", there);
        return status;
}
