/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * syncrun-userdb USER: make a dynamic user known to dbus-daemon. Run as root by the unit that has it.
 *
 * dbus-daemon lets a peer in only when it can look its uid up, and PID 1 forbids it to ask for dynamic users, lest the
 * two wait for each other (systemd issue 22737). The records that nss-systemd reads from /run/userdb are not
 * forbidden, so the uid that PID 1 has just chosen is written there. They stay until the next boot; PID 1 then keeps
 * to that uid.
 */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "config.h"

#include "base/fd-util.h"
#include "base/log.h"
#include "base/names.h"
#include "base/string-util.h"
#include "model/log-match.h"

/* A record is a file under its number, and a link to it under its name. */
typedef struct Record {
        const char *user; /* whose it is */
        const char *kind; /* "user" or "group", the files' ending */
        unsigned number;
        const char *text; /* what the file says */
} Record;

static const char *arg_user = NULL;

static void help(void)
{
        printf("syncrun-userdb [OPTIONS...] USER\n\n"
               "Make a dynamic user known to dbus-daemon, as root, for the unit that has it.\n\n"
               "  -h --help     Show this help\n"
               "     --version  Show the version\n");
}

/* Return: 1 to go on; 0 if all is done; -EINVAL. */
static int parse_arguments(int argc, char *argv[])
{
        enum { ARG_VERSION = 0x100 };
        static const struct option options[] = {
                { "help", no_argument, NULL, 'h' },
                { "version", no_argument, NULL, ARG_VERSION },
                {},
        };
        int c;

        while ((c = getopt_long(argc, argv, "h", options, NULL)) >= 0)
                switch (c) {
                case 'h':
                        help();
                        return 0;
                case ARG_VERSION:
                        puts("syncrun " SYNCRUN_VERSION);
                        return 0;
                default:
                        return -EINVAL;
                }
        if (optind != argc - 1) {
                log_error("One user must be named. See --help.");
                return -EINVAL;
        }
        arg_user = argv[optind];
        /* It becomes a file's name. */
        if (isempty(arg_user) || arg_user[0] == '.' || strchr(arg_user, '/')) {
                log_error("'%s' is no name of a user.", arg_user);
                return -EINVAL;
        }
        return 1;
}

/* A number may have been another user's before, and is then that user's no more: the record under it says whose it is.
 */
static bool names_us(const char *file, const char *user)
{
        _cleanup_free_ char *path = asprintf_or_null(SYNCRUN_USERDB_DIR "/%s", file), *text = NULL,
                            *us = asprintf_or_null("Name\":\"%s\"", user);

        return path && us && read_file(path, USER_RECORD_LIMIT_BYTES, &text, NULL) >= 0 && strstr(text, us);
}

static int read_link(const char *path, char **ret)
{
        char target[NAME_MAX + 1];
        ssize_t n = readlink(path, target, sizeof(target) - 1);

        if (n < 0)
                return -errno;
        *ret = strndup(target, (size_t) n);
        return *ret ? 0 : -ENOMEM;
}

static int link_atomic(const char *target, const char *path)
{
        /* Not ending as records do; whoever began before us and did not end has left it, since we have the lock. */
        _cleanup_free_ char *temporary = asprintf_or_null("%s.new", path);

        if (!temporary)
                return -ENOMEM;
        if (unlink(temporary) < 0 && errno != ENOENT)
                return -errno;
        if (symlink(target, temporary) < 0)
                return -errno;
        return rename(temporary, path) < 0 ? -errno : 0;
}

/* The record appears whole or not at all, under its number before its name; one of an earlier number goes. */
static int record_put(const Record *record)
{
        _cleanup_free_ char *file = asprintf_or_null("%u.%s", record->number, record->kind), *before = NULL,
                            *path = file ? asprintf_or_null(SYNCRUN_USERDB_DIR "/%s", file) : NULL,
                            *link = asprintf_or_null(SYNCRUN_USERDB_DIR "/%s.%s", record->user, record->kind),
                            *gone = NULL;
        int r;

        if (!path || !link)
                return -ENOMEM;
        r = read_link(link, &before);
        if (r < 0 && r != -ENOENT)
                return r;
        if (before && streq(before, file) && names_us(file, record->user))
                return 0;
        r = write_file_atomic(path, record->text, strlen(record->text), 0644);
        if (r >= 0)
                r = link_atomic(file, link);
        if (r < 0 || !before || streq(before, file) || !names_us(before, record->user))
                return r;
        gone = asprintf_or_null(SYNCRUN_USERDB_DIR "/%s", before);
        if (!gone)
                return -ENOMEM;
        return unlink(gone) < 0 && errno != ENOENT ? -errno : 0;
}

static int put_all(const char *user, uid_t uid, gid_t gid)
{
        _cleanup_free_ char *of_user = asprintf_or_null(
                                            "{\"userName\":\"%s\",\"uid\":%u,\"gid\":%u,"
                                            "\"realName\":\"Dynamic user of syncrun\",\"disposition\":\"dynamic\","
                                            "\"homeDirectory\":\"/\",\"shell\":\"/usr/sbin/nologin\"}\n",
                                            user, uid, gid),
                            *of_group = asprintf_or_null(
                                            "{\"groupName\":\"%s\",\"gid\":%u,\"disposition\":\"dynamic\"}\n", user,
                                            gid);
        _cleanup_close_ int dir = -EBADF;
        int r;

        if (!of_user || !of_group)
                return -ENOMEM;
        r = mkdir_p(SYNCRUN_USERDB_DIR, 0755);
        if (r < 0)
                return r;
        /* Units of several users may start at once. */
        dir = open(SYNCRUN_USERDB_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir < 0 || flock(dir, LOCK_EX) < 0)
                return -errno;
        r = record_put(&(Record){ user, "user", uid, of_user });
        return r < 0 ? r : record_put(&(Record){ user, "group", gid, of_group });
}

int main(int argc, char *argv[])
{
        const struct passwd *entry;
        int r;

        log_open("syncrun-userdb");
        r = parse_arguments(argc, argv);
        if (r <= 0)
                return r < 0 ? EX_USAGE : EXIT_SUCCESS;

        umask(022);
        entry = getpwnam(arg_user);
        if (!entry) {
                log_error("User %s cannot be looked up. Is libnss-systemd installed, and \"systemd\" in "
                          "/etc/nsswitch.conf?",
                          arg_user);
                return EX_NOUSER;
        }
        r = put_all(arg_user, entry->pw_uid, entry->pw_gid);
        if (r < 0) {
                log_error_errno(r, "Cannot write the record of user %s to %s: %m", arg_user, SYNCRUN_USERDB_DIR);
                return EXIT_FAILURE;
        }
        return EXIT_SUCCESS;
}
