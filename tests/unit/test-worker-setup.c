/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a connector's programs get: words, paths and environment with their specifiers expanded. */

#include <stdlib.h>

#include "base/string-util.h"
#include "unit/expect.h"
#include "worker/setup.h"

typedef struct Fixture {
        char folder[sizeof("/tmp/test-worker-setup-XXXXXX")];
        Setup setup;
} Fixture;

static int setup(void **state)
{
        Fixture *f = calloc(1, sizeof(Fixture));

        memcpy(f->folder, "/tmp/test-worker-setup-XXXXXX", sizeof(f->folder));
        assert_non_null(mkdtemp(f->folder));
        assert_int_equal(setenv("STATE_DIRECTORY", f->folder, 1), 0);
        assert_int_equal(setenv("CREDENTIALS_DIRECTORY", "/run/cred", 1), 0);
        assert_int_equal(setenv("INHERITED", "1", 1), 0);
        assert_int_equal(setenv("REPLACED", "1", 1), 0);
        assert_int_equal(setenv("NOTIFY_SOCKET", "@none", 1), 0);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;
        char *command = asprintf_or_null("rm -rf '%s'", f->folder);

        assert_int_equal(system(command), 0);
        free(command);
        setup_done(&f->setup);
        free(f);
        return 0;
}

static void make(Fixture *f, const char *text, char *const *accounts)
{
        ConnectorDefinition *definition;
        char *why = NULL;
        Conf conf = {};

        expect_ok(conf_parse_text(&conf, NULL, text, strlen(text), NULL));
        expect_ok(connector_definition_parse("bank", &conf, NULL, NULL, &definition));
        assert_int_equal(definition->load_state, LOAD_LOADED);
        expect_ok(setup_make(definition, "run-1", true, accounts, &f->setup, &why));
        assert_null(why);
        connector_definition_unref(definition);
}

/* Exactly one variable of this name, and with this value after the folder's name where it begins with "+". */
static void expect_variable(const Fixture *f, const char *name, const char *value)
{
        char *prefix = asprintf_or_null("%s=", name), *expected;
        const char *found = NULL;

        STRV_FOREACH(variable, f->setup.environment)
                if (startswith(*variable, prefix)) {
                        assert_null(found);
                        found = *variable + strlen(prefix);
                }
        expected = value && value[0] == '+' ? asprintf_or_null("%s%s", f->folder, value + 1) : value ? strdup(value) : NULL;
        if (!streq_null(found, expected))
                fail_msg("%s is '%s', not '%s'", name, strna(found), strna(expected));
        free(expected);
        free(prefix);
}

static void test_environment(void **state)
{
        char *const accounts[] = { (char *) "a b", (char *) "c", NULL };
        Fixture *f = *state;

        make(f, "[Pipeline]\nExecPull=/bin/true\nEnvironment=HERE=%S/x CRED=%d/token REPLACED=100%% OF=%n,%r\n", accounts);
        expect_variable(f, "HERE", "+/x");
        expect_variable(f, "CRED", "/run/cred/token");
        expect_variable(f, "REPLACED", "100%");
        expect_variable(f, "OF", "bank,run-1");
        expect_variable(f, "INHERITED", "1");
        expect_variable(f, "NOTIFY_SOCKET", NULL);
        expect_variable(f, "SYNCRUN_CONNECTOR", "bank");
        expect_variable(f, "SYNCRUN_RUN_ID", "run-1");
        expect_variable(f, "SYNCRUN_FULL_RESYNC", "1");
        expect_variable(f, "SYNCRUN_ACCOUNTS", "a b\nc");
        expect_variable(f, "CREDENTIALS_DIRECTORY", "/run/cred");
}

static void test_words_and_paths(void **state)
{
        Fixture *f = *state;

        make(f, "[Pipeline]\nExecPull=pull --config %c\nExecTransform=cat %n%%\nConfig=%d/config.json\n"
                "[Destination]\nPath=%S/%n.db\n", NULL);
        assert_int_equal(f->setup.n_commands, 2);
        assert_string_equal(f->setup.commands[0][2], "/run/cred/config.json");
        assert_string_equal(f->setup.commands[1][1], "bank%");
        assert_string_equal(f->setup.working_directory, f->folder);
        assert_string_equal(f->setup.destination_path + strlen(f->folder), "/bank.db");
        expect_variable(f, "SYNCRUN_ACCOUNTS", NULL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_environment, setup, teardown),
                cmocka_unit_test_setup_teardown(test_words_and_paths, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
