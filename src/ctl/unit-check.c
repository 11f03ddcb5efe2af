/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/unit-check.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/fd-util.h"
#include "base/names.h"
#include "base/string-util.h"
#include "model/settings.h"

#define INTERPRETER_SIZE 256 /* of a first line, as Linux reads it */

typedef enum HiddenBy {
        HIDDEN_BY_HOME,
        HIDDEN_BY_TMP,
        HIDDEN_BY_DEVICES,
        _HIDDEN_BY_MAX,
        _HIDDEN_BY_INVALID = -EINVAL,
} HiddenBy;

/* How it is hidden, and what goes with BindReadOnlyPaths= to show it again. */
static const char *const setting_table[_HIDDEN_BY_MAX] = {
        [HIDDEN_BY_HOME] = "ProtectHome=yes",
        [HIDDEN_BY_TMP] = "PrivateTmp=yes",
        [HIDDEN_BY_DEVICES] = "PrivateDevices=yes",
};

void unit_check_begin(UnitCheck *check, const char *unit, const char *file, Diagnostics *d)
{
        _cleanup_client_error_ ClientError e = {};
        _cleanup_(client_freep) Client *client = NULL;

        *check = (UnitCheck){
                .applies = isempty(getenv(SYNCRUN_ENV_BUS_ADDRESS)),
                .unit = unit,
                .file = file,
                .diagnostics = d,
        };
        if (check->applies && (client_open(NULL, &client, &e) < 0 || client_unit_view(client, unit, &check->view) < 0))
                check->view = (ClientUnitView){ .home_hidden = true, .tmp_hidden = true, .devices_hidden = true };
}

void unit_check_done(UnitCheck *check)
{
        client_unit_view_done(&check->view);
}

static bool is_below(const char *path, const char *folder)
{
        const char *rest = startswith(path, folder);

        return rest && (*rest == '/' || *rest == '\0' || endswith(folder, "/"));
}

static bool is_below_any(const char *path, char *const *folders)
{
        STRV_FOREACH(folder, folders) {
                if (is_below(path, *folder))
                        return true;
        }
        return false;
}

/* Devices that are not of this machine in particular: every unit has them. */
static bool is_common_device(const char *path)
{
        static const char *const devices[] = {
                "/dev/null",   "/dev/zero",   "/dev/full", "/dev/random", "/dev/urandom",
                "/dev/tty",    "/dev/ptmx",   "/dev/pts",  "/dev/shm",    "/dev/stdin",
                "/dev/stdout", "/dev/stderr", "/dev/fd",   "/dev/log",    "/dev/mqueue",
        };

        for (size_t i = 0; i < ELEMENTSOF(devices); i++)
                if (is_below(path, devices[i]))
                        return true;
        return false;
}

/* The folder that hides the path, and by what; NULL: it is seen. What is not there yet in a temporary folder is made
 * there by the run itself. */
static const char *hiding_folder(const ClientUnitView *view, const char *path, HiddenBy *ret)
{
        static const struct {
                const char *folder;
                HiddenBy by;
        } folders[] = {
                { "/home", HIDDEN_BY_HOME }, { "/root", HIDDEN_BY_HOME },   { "/run/user", HIDDEN_BY_HOME },
                { "/tmp", HIDDEN_BY_TMP },   { "/var/tmp", HIDDEN_BY_TMP }, { "/dev", HIDDEN_BY_DEVICES },
        };
        const bool hidden[_HIDDEN_BY_MAX] = {
                [HIDDEN_BY_HOME] = view->home_hidden,
                [HIDDEN_BY_TMP] = view->tmp_hidden,
                [HIDDEN_BY_DEVICES] = view->devices_hidden && !is_common_device(path),
        };

        for (size_t i = 0; i < ELEMENTSOF(folders); i++) {
                const char *folder = folders[i].folder;

                if (!hidden[folders[i].by] || !is_below(path, folder))
                        continue;
                if (folders[i].by == HIDDEN_BY_TMP && (streq(path, folder) || access(path, F_OK) < 0))
                        continue;
                *ret = folders[i].by;
                return folder;
        }
        return NULL;
}

/* @whose: what @path is of the value that the file names, as the beginning of a sentence. */
static bool warn_of_hidden(UnitCheck *check, const char *key, const char *whose, const char *path)
{
        const char *folder;
        HiddenBy by;

        if (is_below_any(path, check->view.shown))
                return false;
        folder = hiding_folder(&check->view, path, &by);
        if (!folder)
                return false;
        diagnostics_add(check->diagnostics, DIAGNOSTIC_WARNING, check->file, 0, key,
                        "%s'%s' is not seen by %s, which has a %s of its own (%s): put it elsewhere, programs below "
                        "/usr/local, or show it by 'systemctl edit %s' with [Service] and %s%s%s.",
                        whose, path, check->unit, folder, setting_table[by], check->unit,
                        by == HIDDEN_BY_DEVICES ? "PrivateDevices=no" : "BindReadOnlyPaths=",
                        by == HIDDEN_BY_DEVICES ? "" : path, by == HIDDEN_BY_HOME ? ", ProtectHome=tmpfs" : "");
        return true;
}

void unit_check_path(UnitCheck *check, const char *key, const char *path)
{
        if (check->applies && path && path[0] == '/')
                (void) warn_of_hidden(check, key, "", path);
}

void unit_check_words(UnitCheck *check, const char *key, char *const *words)
{
        STRV_FOREACH(word, words) {
                const char *value = strchr(*word, '=');

                unit_check_path(check, key, (*word)[0] == '/' || !value ? *word : value + 1);
        }
}

void unit_check_written(UnitCheck *check, const char *key, const char *path)
{
        HiddenBy by;

        if (!check->applies || !path || path[0] != '/' || is_below_any(path, check->view.writable))
                return;
        if (hiding_folder(&check->view, path, &by)) {
                unit_check_path(check, key, path);
                return;
        }
        diagnostics_add(check->diagnostics, DIAGNOSTIC_WARNING, check->file, 0, key,
                        "'%s' cannot be written by %s (ProtectSystem=strict): put it below %%S, or allow it by "
                        "'systemctl edit %s' with [Service] and ReadWritePaths= for a folder that its user may write "
                        "to.",
                        path, check->unit, check->unit);
}

/* "#!/usr/bin/python3 -s": the interpreter alone. Return: false where the file has none. */
static bool read_interpreter(const char *path, char ret[static INTERPRETER_SIZE])
{
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        char line[INTERPRETER_SIZE] = "";
        size_t blanks, size;

        if (fd < 0 || read(fd, line, sizeof(line) - 1) < 2 || !startswith(line, "#!"))
                return false;
        blanks = 2 + strspn(line + 2, " \t");
        size = strcspn(line + blanks, " \t\r\n");
        (void) memcpy(ret, line + blanks, size);
        ret[size] = '\0';
        return true;
}

void unit_check_program(UnitCheck *check, const char *key, const char *path)
{
        _cleanup_free_ char *real = check->applies ? realpath(path, NULL) : NULL;
        char interpreter[INTERPRETER_SIZE];
        bool is_script;
        struct stat st;

        if (!real || stat(real, &st) < 0 || !S_ISREG(st.st_mode))
                return;
        if (!streq(real, path))
                (void) warn_of_hidden(check, key, "What it is a link to: ", real);
        is_script = read_interpreter(real, interpreter);
        if (is_script && interpreter[0] == '/' && warn_of_hidden(check, key, "What runs it: ", interpreter))
                return;
        if (!(st.st_mode & (S_IXGRP | S_IXOTH)) || (is_script && !(st.st_mode & (S_IRGRP | S_IROTH))))
                diagnostics_add(check->diagnostics, DIAGNOSTIC_WARNING, check->file, 0, key,
                                "'%s' may be run by its owner alone, and %s has a user of its own: 'chmod a+rx %s'.",
                                real, check->unit, real);
}

static bool is_configuration(const char *path)
{
        _cleanup_strv_free_ char **dirs = NULL;

        if (settings_dirs(&dirs) < 0)
                return false;
        return is_below_any(path, dirs);
}

bool daemon_may_read(const char *path)
{
        const struct passwd *user;
        int status = 0, how;
        struct stat st;
        pid_t pid;

        if (!path || geteuid() != 0 || !isempty(getenv(SYNCRUN_ENV_BUS_ADDRESS)) || !is_configuration(path))
                return true;
        how = stat(path, &st) >= 0 && S_ISDIR(st.st_mode) ? R_OK | X_OK : R_OK;
        user = getpwnam(SYNCRUN_USER);
        if (!user)
                return true;
        pid = fork();
        if (pid == 0) {
                if (initgroups(SYNCRUN_USER, user->pw_gid) < 0 ||
                    setresgid(user->pw_gid, user->pw_gid, user->pw_gid) < 0 ||
                    setresuid(user->pw_uid, user->pw_uid, user->pw_uid) < 0)
                        _exit(EXIT_SUCCESS);
                _exit(access(path, how) < 0 && errno == EACCES ? EXIT_FAILURE : EXIT_SUCCESS);
        }
        return pid < 0 || TEMP_FAILURE_RETRY(waitpid(pid, &status, 0)) < 0 || !WIFEXITED(status) ||
               WEXITSTATUS(status) == EXIT_SUCCESS;
}

static bool is_denied(const char *path)
{
        return access(path, F_OK) >= 0 && !daemon_may_read(path);
}

/* @folder: of drop-ins. Return: as daemon_find_unreadable(). */
static int find_unreadable_dropin(const char *folder, char **ret)
{
        char *dirs[] = { (char *) folder, NULL };
        _cleanup_strv_free_ char **names = NULL;
        int r;

        r = conf_list_objects(dirs, ".conf", CONF_DROPINS_MAX, &names);
        if (r < 0)
                return r == -ENOMEM ? r : 0; /* said by whoever reads them */
        STRV_FOREACH(name, names) {
                _cleanup_free_ char *path = asprintf_or_null("%s/%s.conf", folder, *name);

                if (!path)
                        return -ENOMEM;
                if (is_denied(path)) {
                        *ret = TAKE_PTR(path);
                        return 1;
                }
        }
        return 0;
}

int daemon_find_unreadable(char *const *dirs, const char *file, char **ret)
{
        STRV_FOREACH(dir, dirs) {
                _cleanup_free_ char *path = asprintf_or_null("%s/%s", *dir, file);
                _cleanup_free_ char *folder = asprintf_or_null("%s/%s.d", *dir, file);
                int r;

                if (!path || !folder)
                        return -ENOMEM;
                if (is_denied(path)) {
                        *ret = TAKE_PTR(path);
                        return 1;
                }
                if (is_denied(folder)) {
                        *ret = TAKE_PTR(folder);
                        return 1;
                }
                r = find_unreadable_dropin(folder, ret);
                if (r != 0)
                        return r;
        }
        return 0;
}
