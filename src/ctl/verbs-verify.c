/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* verify: what is wrong with configuration, without loading it. Needs no daemon. */

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/names.h"
#include "base/string-util.h"
#include "ctl/ctl.h"
#include "ctl/unit-check.h"
#include "model/connection.h"
#include "model/connector.h"
#include "model/settings.h"

#define SETTINGS_FILE     "syncrun.conf"
#define CONNECTOR_SUFFIX  ".connector"
#define CONNECTION_SUFFIX ".connection"
#define DROPIN_SUFFIX     ".d"

/* $PATH of units, systemd.exec(5). */
#define UNIT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

typedef enum Verdict {
        VERDICT_GOOD,
        VERDICT_WARNINGS,
        VERDICT_BAD,
        _VERDICT_MAX,
        _VERDICT_INVALID = -EINVAL,
} Verdict;

static int print_diagnostic(const Diagnostic *d)
{
        bool error = d->severity == DIAGNOSTIC_ERROR;
        _cleanup_free_ char *text = diagnostic_format(d), *fit = text ? text_line(text) : NULL;

        if (!fit)
                return ctl_oom();
        (void) printf("%s%s%s: %s\n", colour(error ? COLOUR_RED : COLOUR_YELLOW), error ? "error" : "warning",
                      colour(COLOUR_NORMAL), fit);
        return 0;
}

static struct json_object *diagnostic_json(const Diagnostic *d)
{
        _cleanup_json_ struct json_object *object = json_object_new_object();
        const char *severity = d->severity == DIAGNOSTIC_ERROR ? "error" : "warning";

        if (!object || json_add(object, "severity", json_object_new_string(severity)) < 0 ||
            json_add(object, "file", d->file ? json_object_new_string(d->file) : NULL) < 0 ||
            json_add(object, "line", d->line > 0 ? json_object_new_uint64(d->line) : NULL) < 0 ||
            json_add(object, "key", d->key ? json_object_new_string(d->key) : NULL) < 0 ||
            json_add(object, "text", json_object_new_string(strempty(d->text))) < 0)
                return NULL;
        return TAKE_PTR(object);
}

/* {"file":"...","verdict":"good|warnings|bad","diagnostics":[...]} */
static int print_json(const Ctl *ctl, const char *what, const char *verdict, const Diagnostics *d)
{
        _cleanup_json_ struct json_object *object = json_object_new_object();
        struct json_object *array = json_object_new_array(), *item;

        if (!object || json_add(object, "file", json_object_new_string(what)) < 0 ||
            json_add(object, "verdict", json_object_new_string(verdict)) < 0 ||
            json_add(object, "diagnostics", array) < 0 || !array)
                return ctl_oom();
        for (size_t i = 0; i < d->n_items; i++) {
                item = diagnostic_json(&d->items[i]);
                if (!item || json_object_array_add(array, item) < 0) {
                        json_object_put(item);
                        return ctl_oom();
                }
        }
        ctl_print_json(ctl, object);
        return 0;
}

static int check_readable(Diagnostics *d, char *const *dirs, const char *name, const char *suffix)
{
        _cleanup_free_ char *file = asprintf_or_null("%s%s", name, suffix), *path = NULL;
        int r;

        r = file ? daemon_find_unreadable(dirs, file, &path) : -ENOMEM;
        if (r > 0)
                diagnostics_add(d, DIAGNOSTIC_ERROR, path, 0, NULL, DAEMON_MAY_NOT_READ);
        return MIN(r, 0);
}

/* Return: 0 where the file will do, 1 where it will not; another exit status, with the error printed. */
static int print_verdict(const Ctl *ctl, const char *what, Verdict verdict, const Diagnostics *d)
{
        static const char *const words[_VERDICT_MAX] = { "good", "warnings", "bad" };
        int status = 0;

        if (d->lost)
                return ctl_oom();
        if (ctl->options.json != JSON_OFF) {
                status = print_json(ctl, what, words[verdict], d);
                return status != 0 ? status : verdict == VERDICT_BAD;
        }
        for (size_t i = 0; status == 0 && !ctl->options.quiet && i < d->n_items; i++)
                status = print_diagnostic(&d->items[i]);
        if (status != 0)
                return status;
        if (!ctl->options.quiet && d->n_dropped > 0)
                (void) printf("and %zu more\n", d->n_dropped);
        if (!ctl->options.quiet && verdict != VERDICT_BAD)
                (void) printf("%s%s: %s%s\n", colour(verdict == VERDICT_GOOD ? COLOUR_GREEN : COLOUR_YELLOW), what,
                              verdict == VERDICT_GOOD ? "good" : "will do, but look at the warnings",
                              colour(COLOUR_NORMAL));
        return verdict == VERDICT_BAD;
}

static Verdict verdict_of(const Diagnostics *d, bool bad)
{
        if (bad || d->n_errors > 0)
                return VERDICT_BAD;
        return d->n_items > 0 ? VERDICT_WARNINGS : VERDICT_GOOD;
}

static int bad_file(const Ctl *ctl, const char *path, const char *why)
{
        _cleanup_(diagnostics_done) Diagnostics d = {};

        diagnostics_add(&d, DIAGNOSTIC_ERROR, path, 0, NULL, "%s", why);
        return print_verdict(ctl, path, VERDICT_BAD, &d);
}

/* Return: 0; -ENOEXEC: no file that can be executed; -EACCES: it is in a folder of others, and cannot be told; another
 * errno of stat(2). */
static int look_at_program(const char *path)
{
        struct stat st;

        if (stat(path, &st) < 0)
                return -errno;
        return S_ISREG(st.st_mode) && (st.st_mode & 0111) ? 0 : -ENOEXEC;
}

/* Where a program is found by its name alone; freed by the caller. Return: 0; -ENOENT; -ENOMEM. */
static int find_in_unit_path(const char *name, char **ret)
{
        _cleanup_strv_free_ char **folders = NULL;

        if (strv_split(UNIT_PATH, ":", &folders) < 0)
                return -ENOMEM;
        STRV_FOREACH(folder, folders) {
                _cleanup_free_ char *path = asprintf_or_null("%s/%s", *folder, name);

                if (!path)
                        return -ENOMEM;
                if (look_at_program(path) == 0) {
                        *ret = TAKE_PTR(path);
                        return 0;
                }
        }
        return -ENOENT;
}

/* Return: whether there is such a program, and where; freed by the caller. */
static char *find_program(Diagnostics *d, const char *file, const char *key, const char *program)
{
        char *path = NULL;
        int r;

        if (program[0] == '/')
                r = free_and_strdup(&path, program);
        else
                r = find_in_unit_path(program, &path);
        if (r == -ENOENT)
                diagnostics_add(d, DIAGNOSTIC_WARNING, file, 0, key, "There is no program '%s' here in " UNIT_PATH ".",
                                program);
        else if (r < 0)
                d->lost = true;
        if (r < 0)
                return NULL;
        r = look_at_program(path);
        if (r == -ENOEXEC)
                diagnostics_add(d, DIAGNOSTIC_WARNING, file, 0, key,
                                "'%s' is no file that can be executed: 'chmod a+rx' makes one of a program.", program);
        else if (r < 0 && r != -EACCES)
                diagnostics_add(d, DIAGNOSTIC_WARNING, file, 0, key, "'%s' cannot be executed here: %s.", program,
                                strerror(-r));
        return r == 0 ? path : (free(path), NULL);
}

/* The file may be meant for another machine, or be there before the program is: a warning. @words: may be NULL. What
 * specifiers will be is not known here. */
static void check_command(UnitCheck *check, const char *key, char *const *words)
{
        _cleanup_free_ char *path = NULL;

        if (!words || !words[0])
                return;
        if (!strchr(words[0], '%'))
                path = find_program(check->diagnostics, check->file, key, words[0]);
        unit_check_words(check, key, words);
        if (path)
                unit_check_program(check, key, path);
}

static int verify_connection(const Ctl *ctl, char *const *dirs, const char *name, const char *what)
{
        _cleanup_(connection_definition_unrefp) ConnectionDefinition *definition = NULL;
        _cleanup_free_ char *unit = asprintf_or_null(SYNCRUN_RECONNECT_UNIT_PREFIX "%s" SYNCRUN_UNIT_SUFFIX, name);
        _cleanup_(diagnostics_done) Diagnostics d = {};
        _cleanup_unit_check_ UnitCheck check = {};
        int r;

        r = unit ? connection_definition_load(dirs, name, &d, &definition) : -ENOMEM;
        if (r == -ENOENT)
                return bad_file(ctl, what, "There is no such file, or it is empty.");
        if (r < 0)
                return ctl_oom();
        unit_check_begin(&check, unit, definition->path, &d);
        check_command(&check, "ExecReconnect", definition->exec_reconnect);
        if (check_readable(&d, dirs, name, CONNECTION_SUFFIX) < 0)
                return ctl_oom();
        return print_verdict(ctl, definition->path ?: what, verdict_of(&d, definition->load_state == LOAD_BAD_SETTING),
                             &d);
}

static void check_connector(UnitCheck *check, const ConnectorDefinition *definition)
{
        check_command(check, "ExecPull", definition->exec_pull);
        for (size_t i = 0; i < definition->n_transforms; i++)
                check_command(check, "ExecTransform", definition->exec_transforms[i]);
        check_command(check, "ExecStore", definition->exec_store);
        unit_check_words(check, "Environment", definition->environment);
        unit_check_path(check, "WorkingDirectory", definition->working_directory);
        unit_check_path(check, "Config", definition->config_file);
        unit_check_path(check, "SecretFile", definition->secret_file);
        unit_check_written(check, "Path", definition->destination_path);
}

static int verify_connector(const Ctl *ctl, char *const *dirs, const char *name, const char *what)
{
        _cleanup_(connector_definition_unrefp) ConnectorDefinition *definition = NULL;
        _cleanup_free_ char *unit = asprintf_or_null(SYNCRUN_UNIT_PREFIX "%s" SYNCRUN_UNIT_SUFFIX, name);
        _cleanup_(diagnostics_done) Diagnostics d = {};
        _cleanup_unit_check_ UnitCheck check = {};
        int r;

        r = unit ? connector_definition_load(dirs, name, &d, &definition) : -ENOMEM;
        if (r == -ENOENT)
                return bad_file(ctl, what, "There is no such file, or it is empty.");
        if (r < 0)
                return ctl_oom();
        unit_check_begin(&check, unit, definition->path, &d);
        check_connector(&check, definition);
        if (check_readable(&d, dirs, name, CONNECTOR_SUFFIX) < 0)
                return ctl_oom();
        return print_verdict(ctl, definition->path ?: what, verdict_of(&d, definition->load_state == LOAD_BAD_SETTING),
                             &d);
}

static int verify_settings(const Ctl *ctl, char *const *dirs, const char *what)
{
        _cleanup_settings_ Settings settings = {};
        _cleanup_(diagnostics_done) Diagnostics d = {};

        if (settings_load(dirs, &d, &settings) < 0 || check_readable(&d, dirs, SETTINGS_FILE, "") < 0)
                return ctl_oom();
        return print_verdict(ctl, what, verdict_of(&d, false), &d);
}

/* "DIR" of "DIR/NAME", "." where there is none. Return: 0; -ENOMEM. */
static int split_path(const char *path, char **ret_dir, char **ret_name)
{
        const char *slash = strrchr(path, '/');
        _cleanup_free_ char *dir = NULL;

        if (!slash)
                dir = strdup(".");
        else
                dir = slash == path ? strdup("/") : strndup(path, (size_t) (slash - path));
        *ret_name = strdup(slash ? slash + 1 : path);
        *ret_dir = TAKE_PTR(dir);
        return *ret_dir && *ret_name ? 0 : -ENOMEM;
}

/* A drop-in, DIR/NAME.d/X.conf, stands for DIR/NAME, whose part it is. Return: 0; -ENOMEM. */
static int find_object(const char *path, char **ret_dir, char **ret_name)
{
        _cleanup_free_ char *dir = NULL, *name = NULL, *above = NULL, *object = NULL;

        if (split_path(path, &dir, &name) < 0 || split_path(dir, &above, &object) < 0)
                return -ENOMEM;
        if (endswith(name, ".conf") && endswith(object, DROPIN_SUFFIX)) {
                object[strlen(object) - strlen(DROPIN_SUFFIX)] = '\0';
                *ret_dir = TAKE_PTR(above);
                *ret_name = TAKE_PTR(object);
        } else {
                *ret_dir = TAKE_PTR(dir);
                *ret_name = TAKE_PTR(name);
        }
        return 0;
}

/* A file is read as it stands there, with the drop-ins beside it. */
static int verify_file(const Ctl *ctl, const char *path)
{
        _cleanup_free_ char *dir = NULL, *name = NULL;
        char *dirs[2] = {};

        if (find_object(path, &dir, &name) < 0)
                return ctl_oom();
        dirs[0] = dir;
        if (access(path, F_OK) < 0)
                return bad_file(ctl, path, strerror(errno));
        if (streq(name, SETTINGS_FILE))
                return verify_settings(ctl, dirs, path);
        if (endswith(name, CONNECTOR_SUFFIX)) {
                name[strlen(name) - strlen(CONNECTOR_SUFFIX)] = '\0';
                if (connector_name_is_valid(name))
                        return verify_connector(ctl, dirs, name, path);
        } else if (endswith(name, CONNECTION_SUFFIX)) {
                name[strlen(name) - strlen(CONNECTION_SUFFIX)] = '\0';
                if (connector_name_is_valid(name))
                        return verify_connection(ctl, dirs, name, path);
        }
        return bad_file(ctl, path,
                        "The name is neither " SETTINGS_FILE " nor [a-z][a-z0-9_-]{0,27}" CONNECTOR_SUFFIX
                        " or " CONNECTION_SUFFIX ", nor one of a drop-in of these, NAME.d/*.conf.");
}

/* Every object of one kind. Return: the worst verdict. */
static int verify_objects(const Ctl *ctl, char *const *dirs, char *const *names,
                          int (*verify)(const Ctl *, char *const *, const char *, const char *))
{
        int worst = 0, status;

        STRV_FOREACH(name, names) {
                if (!connector_name_is_valid(*name))
                        status = bad_file(ctl, *name, "No file here can have this name: [a-z][a-z0-9_-]{0,27}.");
                else
                        status = verify(ctl, dirs, *name, *name);
                worst = MAX(worst, status);
        }
        return worst;
}

/* A folder as one of those that the daemon reads. */
static int verify_folder(const Ctl *ctl, const char *path)
{
        _cleanup_strv_free_ char **connectors = NULL, **connections = NULL;
        _cleanup_free_ char *settings = asprintf_or_null("%s/" SETTINGS_FILE, path);
        char *dirs[] = { (char *) path, NULL };
        int worst = 0, status, r;

        if (!settings)
                return ctl_oom();
        r = conf_list_objects(dirs, CONNECTOR_SUFFIX, CONNECTORS_MAX, &connectors);
        if (r >= 0)
                r = conf_list_objects(dirs, CONNECTION_SUFFIX, CONNECTIONS_MAX, &connections);
        if (r < 0)
                return ctl_fail_errno(r, "Could not look for files in %s", path);
        if (access(settings, F_OK) >= 0)
                worst = verify_settings(ctl, dirs, settings);
        else if (strv_length(connectors) == 0 && strv_length(connections) == 0)
                return bad_file(ctl, path, "There is no file of syncrun in this folder.");
        status = verify_objects(ctl, dirs, connectors, verify_connector);
        worst = MAX(worst, status);
        status = verify_objects(ctl, dirs, connections, verify_connection);
        return MAX(worst, status);
}

/* Return: the worst exit status. */
static int verify_folders(const Ctl *ctl, char *const *dirs)
{
        int worst = 0;

        STRV_FOREACH(dir, dirs)
                if (!daemon_may_read(*dir))
                        worst = bad_file(ctl, *dir, DAEMON_MAY_NOT_READ);
        return worst;
}

/* All that the daemon would read. */
static int verify_all(const Ctl *ctl)
{
        _cleanup_strv_free_ char **settings = NULL, **connector_folders = NULL, **connection_folders = NULL;
        _cleanup_strv_free_ char **connectors = NULL, **connections = NULL;
        int worst, status, r;

        if (settings_dirs(&settings) < 0 || connector_dirs(&connector_folders) < 0 ||
            connection_dirs(&connection_folders) < 0)
                return ctl_oom();
        r = conf_list_objects(connector_folders, CONNECTOR_SUFFIX, CONNECTORS_MAX, &connectors);
        if (r >= 0)
                r = conf_list_objects(connection_folders, CONNECTION_SUFFIX, CONNECTIONS_MAX, &connections);
        if (r < 0)
                return ctl_fail_errno(r, "Could not look for connector and connection files");
        worst = verify_folders(ctl, connector_folders);
        status = verify_folders(ctl, connection_folders);
        worst = MAX(worst, status);
        status = verify_settings(ctl, settings, SETTINGS_FILE);
        worst = MAX(worst, status);
        status = verify_objects(ctl, connector_folders, connectors, verify_connector);
        worst = MAX(worst, status);
        status = verify_objects(ctl, connection_folders, connections, verify_connection);
        return MAX(worst, status);
}

int verb_verify(Ctl *ctl, int argc, char **argv)
{
        int worst = 0, status;
        struct stat st;

        if (argc == 1)
                return verify_all(ctl);
        for (int i = 1; i < argc; i++) {
                status = stat(argv[i], &st) >= 0 && S_ISDIR(st.st_mode) ? verify_folder(ctl, argv[i])
                                                                        : verify_file(ctl, argv[i]);
                worst = MAX(worst, status);
        }
        return worst;
}
