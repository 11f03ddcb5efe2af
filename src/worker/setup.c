/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See setup.h. */

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"

#include "base/fd-util.h"
#include "base/names.h"
#include "base/string-util.h"
#include "worker/setup.h"

#define CONFIG_FILE_NAME "config.json"

void setup_done(Setup *setup)
{
        for (size_t i = 0; i < setup->n_commands; i++)
                strv_free(setup->commands[i]);
        free(setup->commands);
        free(setup->state_directory);
        free(setup->state_file);
        free(setup->config_file);
        free(setup->working_directory);
        free(setup->destination_path);
        free(setup->secret_file);
        strv_free(setup->store_command);
        strv_free(setup->environment);
        *setup = (Setup){};
}

char *setup_state_directory(const char *connector)
{
        const char *given = getenv("STATE_DIRECTORY");
        const char *end = given ? strchr(given, ':') : NULL; /* several: the first is ours */

        if (!isempty(given))
                return end ? strndup(given, end - given) : strdup(given);
        return asprintf_or_null("%s/lib/syncrun-connector/%s", SYNCRUN_LOCALSTATEDIR, connector);
}

/* The newer one of the file that Config= names and the one that the connector has changed. */
static int choose_config(Setup *setup, char *named)
{
        _cleanup_free_ char *changed = asprintf_or_null("%s/" CONFIG_FILE_NAME, setup->state_directory);
        struct stat of_named, of_changed;

        setup->config_file = named;
        if (!changed)
                return -ENOMEM;
        if ((named && streq(named, changed)) || stat(changed, &of_changed) < 0)
                return 0;
        if (named && stat(named, &of_named) >= 0 &&
            (of_named.st_mtim.tv_sec > of_changed.st_mtim.tv_sec ||
             (of_named.st_mtim.tv_sec == of_changed.st_mtim.tv_sec &&
              of_named.st_mtim.tv_nsec > of_changed.st_mtim.tv_nsec)))
                return 0;
        free(setup->config_file);
        setup->config_file = TAKE_PTR(changed);
        return 0;
}

static int expand(const char *text, const Specifiers *specifiers, const char *key, char **ret, char **ret_why)
{
        int r = text ? specifiers_expand(text, specifiers, ret) : 0;

        if (r == -EINVAL)
                *ret_why = asprintf_or_null("%s=%s: a specifier has no meaning", key, text);
        return r;
}

static int expand_paths(Setup *setup, const ConnectorDefinition *definition, Specifiers *specifiers, char **ret_why)
{
        char *config = NULL;
        int r;

        r = expand(definition->config_file, specifiers, "Config", &config, ret_why);
        if (r >= 0)
                r = choose_config(setup, config);
        if (r < 0)
                return r;
        specifiers->config_file = setup->config_file;
        r = expand(definition->working_directory, specifiers, "WorkingDirectory", &setup->working_directory, ret_why);
        if (r < 0)
                return r;
        r = expand(definition->secret_file, specifiers, "SecretFile", &setup->secret_file, ret_why);
        if (r < 0)
                return r;
        return expand(definition->destination_path, specifiers, "Path", &setup->destination_path, ret_why);
}

static int expand_command(char *const *words, const Specifiers *specifiers, const char *key, char ***ret,
                          char **ret_why)
{
        int r = specifiers_expand_strv(words, specifiers, ret);

        if (r == -EINVAL)
                *ret_why = asprintf_or_null("%s=%s: a specifier has no meaning", key, words[0]);
        return r;
}

static int expand_commands(Setup *setup, const ConnectorDefinition *definition, const Specifiers *specifiers,
                           char **ret_why)
{
        int r;

        if (!definition->exec_pull) {
                *ret_why = strdup("there is no ExecPull= to run");
                return -EINVAL;
        }
        setup->commands = calloc(1 + definition->n_transforms, sizeof(*setup->commands));
        if (!setup->commands)
                return -ENOMEM;
        r = expand_command(definition->exec_pull, specifiers, "ExecPull", &setup->commands[0], ret_why);
        if (r < 0)
                return r;
        setup->n_commands = 1;
        for (size_t i = 0; i < definition->n_transforms; i++) {
                r = expand_command(definition->exec_transforms[i], specifiers, "ExecTransform",
                                   &setup->commands[setup->n_commands], ret_why);
                if (r < 0)
                        return r;
                setup->n_commands++;
        }
        if (!definition->exec_store)
                return 0;
        return expand_command(definition->exec_store, specifiers, "ExecStore", &setup->store_command, ret_why);
}

static int add_variable(char ***environment, const char *name, const char *value)
{
        char *variable = asprintf_or_null("%s=%s", name, value);

        return variable ? strv_consume(environment, variable) : -ENOMEM;
}

/* Whether a variable of ours is not for the programs: the later ones of one name win, so that only these are left out.
 */
static bool is_ours_alone(const char *variable)
{
        static const char *const names[] = { "NOTIFY_SOCKET=", "WATCHDOG_PID=",   "WATCHDOG_USEC=", "LISTEN_FDS=",
                                             "LISTEN_PID=",    "LISTEN_FDNAMES=", "SYNCRUN_" };

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (startswith(variable, names[i]))
                        return true;
        return false;
}

static bool names_equal(const char *a, const char *b)
{
        size_t size = strcspn(a, "=");

        return strncmp(a, b, size) == 0 && b[size] == '=';
}

static bool is_set_again(const char *variable, char *const *later)
{
        STRV_FOREACH(other, later)
                if (names_equal(variable, *other))
                        return true;
        return false;
}

static int make_environment(Setup *setup, const ConnectorDefinition *definition, const Specifiers *specifiers,
                            bool full_resync, char *const *accounts)
{
        _cleanup_free_ char *list = accounts ? strv_join(accounts, "\n") : NULL;
        const char *const own[][2] = {
                { SYNCRUN_ENV_CONNECTOR, definition->name },
                { SYNCRUN_ENV_RUN_ID, specifiers->run_id },
                { SYNCRUN_ENV_FULL_RESYNC, full_resync ? "1" : "0" },
                { SYNCRUN_ENV_STATE, setup->state_file },
                { SYNCRUN_ENV_ACCOUNTS, list },
        };
        int r;

        if (accounts && !list)
                return -ENOMEM;
        STRV_FOREACH(variable, environ)
                if (!is_ours_alone(*variable) && !is_set_again(*variable, definition->environment)) {
                        r = strv_extend(&setup->environment, *variable);
                        if (r < 0)
                                return r;
                }
        STRV_FOREACH(variable, definition->environment) {
                char *expanded = NULL;

                if (is_ours_alone(*variable))
                        continue;
                r = specifiers_expand(*variable, specifiers, &expanded);
                if (r < 0)
                        return r;
                r = strv_consume(&setup->environment, expanded);
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < ELEMENTSOF(own); i++)
                if (own[i][1]) {
                        r = add_variable(&setup->environment, own[i][0], own[i][1]);
                        if (r < 0)
                                return r;
                }
        return 0;
}

/* The folders of the destination's file below the state directory: nobody else writes there. */
static int make_place(const Setup *setup, char **ret_why)
{
        const char *path = setup->destination_path, *below = path ? startswith(path, setup->state_directory) : NULL;
        _cleanup_free_ char *folder = NULL;
        int r;

        if (!below || *below != '/')
                return 0;
        folder = strndup(path, (size_t) (strrchr(path, '/') - path));
        if (!folder)
                return -ENOMEM;
        r = mkdir_p(folder, 0700);
        if (r < 0 && r != -ENOMEM)
                *ret_why = asprintf_or_null("%s: %s", folder, strerror(-r));
        return r;
}

static int make(Setup *setup, const ConnectorDefinition *definition, const char *run_id, bool full_resync,
                char *const *accounts, char **ret_why)
{
        int r;

        setup->state_directory = setup_state_directory(definition->name);
        if (!setup->state_directory)
                return -ENOMEM;
        setup->state_file = asprintf_or_null("%s/" STATE_FILE_NAME, setup->state_directory);
        if (!setup->state_file)
                return -ENOMEM;
        r = mkdir_p(setup->state_directory, 0700);
        if (r < 0) {
                *ret_why = asprintf_or_null("%s: %s", setup->state_directory, strerror(-r));
                return r;
        }

        Specifiers specifiers = {
                .connector = definition->name,
                .run_id = run_id,
                .state_file = setup->state_file,
                .credentials_directory = getenv("CREDENTIALS_DIRECTORY"),
                .state_directory = setup->state_directory,
        };
        r = expand_paths(setup, definition, &specifiers, ret_why);
        if (r >= 0)
                r = make_place(setup, ret_why);
        if (r >= 0)
                r = expand_commands(setup, definition, &specifiers, ret_why);
        if (r >= 0)
                r = make_environment(setup, definition, &specifiers, full_resync, accounts);
        return r;
}

int setup_make(const ConnectorDefinition *definition, const char *run_id, bool full_resync, char *const *accounts,
               Setup *ret, char **ret_why)
{
        Setup setup = {};
        int r = make(&setup, definition, run_id, full_resync, accounts, ret_why);

        if (r < 0) {
                setup_done(&setup);
                return r;
        }
        *ret = setup;
        return 0;
}

int setup_begin_anew(Setup *setup)
{
        for (char **variable = setup->environment; variable && *variable; variable++) {
                char *anew;

                if (!startswith(*variable, SYNCRUN_ENV_FULL_RESYNC "="))
                        continue;
                anew = strdup(SYNCRUN_ENV_FULL_RESYNC "=1");
                if (!anew)
                        return -ENOMEM;
                free(*variable);
                *variable = anew;
        }
        return 0;
}

int setup_write_state(const Setup *setup, const char *cursor)
{
        const char *text = isempty(cursor) ? "{}" : cursor;

        return write_file_atomic(setup->state_file, text, strlen(text), 0600);
}

int setup_write_config(const Setup *setup, const char *config, size_t size)
{
        _cleanup_free_ char *own = NULL;

        if (setup->config_file && write_file_atomic(setup->config_file, config, size, 0600) >= 0)
                return 0;
        own = asprintf_or_null("%s/" CONFIG_FILE_NAME, setup->state_directory);
        if (!own)
                return -ENOMEM;
        return write_file_atomic(own, config, size, 0600);
}
