/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Limits of what the engine takes from files and from others' words, at the limit and one above. As many files as there
 * may be are listed, but only the last one is there: a name without a file is one that has just gone. */

#include "unit/expect.h"

#include <stdlib.h>

#include "base/conf.h"
#include "base/fd-util.h"
#include "base/string-util.h"
#include "engine/connection-state.h"
#include "engine/connection-table.h"
#include "engine/connector-table.h"
#include "engine/engine-internal.h"
#include "unit/connection-fixture.h"

#define LAST "zoo"

static const char *listed_suffix;
static size_t n_listed;

int __real_conf_list_objects(char *const *dirs, const char *suffix, size_t max, char ***ret);
int __wrap_conf_list_objects(char *const *dirs, const char *suffix, size_t max, char ***ret);

int __wrap_conf_list_objects(char *const *dirs, const char *suffix, size_t max, char ***ret)
{
        char **names;

        if (!listed_suffix || !streq(suffix, listed_suffix))
                return __real_conf_list_objects(dirs, suffix, max, ret);
        names = calloc(n_listed + 1, sizeof(char *));
        assert_non_null(names);
        for (size_t i = 0; i < n_listed; i++) {
                names[i] = i + 1 < n_listed ? asprintf_or_null("a%zu", i) : strdup(LAST);
                assert_non_null(names[i]);
        }
        *ret = names;
        return 0;
}

static void open_with(EngineFixture *f, const char *suffix, size_t n)
{
        listed_suffix = suffix;
        n_listed = n;
        fixture_open(f);
        listed_suffix = NULL;
}

static void check_connectors(EngineFixture *f, size_t n, bool is_loaded)
{
        fixture_write_connector(f, LAST, CONNECTOR());
        open_with(f, ".connector", n);
        assert_int_equal(connector_table_find(f->engine, LAST) != NULL, is_loaded);
}

static void test_connectors(void **state)
{
        check_connectors(*state, CONNECTORS_MAX, true);
}

static void test_one_connector_above(void **state)
{
        check_connectors(*state, CONNECTORS_MAX + 1, false);
}

static void check_connections(EngineFixture *f, size_t n, bool is_loaded)
{
        _cleanup_free_ char *path = asprintf_or_null("%s/" LAST ".connection", f->config_dirs[0]);
        static const char text[] = "[Connection]\nProvider=acme\n";

        expect_ok(write_file_atomic(path, text, strlen(text), 0600));
        open_with(f, ".connection", n);
        assert_int_equal(connection_table_find(f->engine, LAST) != NULL, is_loaded);
}

static void test_connections(void **state)
{
        check_connections(*state, CONNECTIONS_MAX, true);
}

static void test_one_connection_above(void **state)
{
        check_connections(*state, CONNECTIONS_MAX + 1, false);
}

static void test_reason_of_a_connection(void **state)
{
        char reason[CONNECTION_REASON_MAX + 2];
        EngineFixture *f = *state;
        ConnectionEntry *connection;

        fixture_open_two(f);
        connection = connection_table_find(f->engine, "acme");
        memset(reason, 'x', sizeof(reason));
        reason[CONNECTION_REASON_MAX] = '\0';
        expect_ok(connection_set_state(connection, CONNECTION_LOST, reason, NULL));
        assert_string_equal(connection->record.reason, reason);
        reason[CONNECTION_REASON_MAX] = 'x';
        reason[CONNECTION_REASON_MAX + 1] = '\0';
        expect_ok(connection_set_state(connection, CONNECTION_LOST, reason, NULL));
        assert_int_equal(strlen(connection->record.reason), CONNECTION_REASON_MAX);
        assert_true(endswith(connection->record.reason, "x…"));
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                ENGINE_TEST(test_connectors),          ENGINE_TEST(test_one_connector_above),
                ENGINE_TEST(test_connections),         ENGINE_TEST(test_one_connection_above),
                ENGINE_TEST(test_reason_of_a_connection),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
