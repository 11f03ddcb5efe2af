/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The bus room's tables agree with each other: who may call what, and how properties are read. */

#include "unit/expect.h"

#include <stdlib.h>

#include "base/string-util.h"
#include "bus/access.h"
#include "bus/bus-private.h"

static const sd_bus_vtable *next_entry(const sd_bus_vtable *entry)
{
        return entry + 1;
}

static void test_every_method_has_a_row(void **state)
{
        size_t n_methods = 0, n_rows = 0;

        for (const BusObject *const *object = bus_objects; *object; object++)
                for (const sd_bus_vtable *v = (*object)->vtable; v->type != _SD_BUS_VTABLE_END; v = next_entry(v)) {
                        if (v->type != _SD_BUS_VTABLE_METHOD)
                                continue;
                        n_methods++;
                        if (!access_find((*object)->interface, v->x.method.member))
                                fail_msg("%s.%s has no row in access_table", (*object)->interface, v->x.method.member);
                }
        for (const AccessRow *row = access_table; row->interface; row++)
                n_rows++;
        assert_int_equal(n_methods, n_rows);
}

static void test_only_readers_and_the_worker_have_no_action(void **state)
{
        for (const AccessRow *row = access_table; row->interface; row++) {
                bool reads = startswith(row->member, "Get") || startswith(row->member, "Describe") ||
                             startswith(row->member, "List") || startswith(row->member, "Watch");
                bool worker = streq(row->interface, SYNCRUN_IFACE_WORKER);
                bool secret = streq(row->member, "DescribeApiKeys") || streq(row->member, "DescribeLog") ||
                              (strstr(row->member, "Webhook") && !endswith(row->member, "EventTypes"));

                if (!row->action != ((reads && !secret) || worker || row->shim == SHIM_ALONE))
                        fail_msg("%s.%s: wrong action %s", row->interface, row->member, strna(row->action));
        }
}

static void test_unknown_methods_have_no_row(void **state)
{
        assert_null(access_find(SYNCRUN_IFACE_MANAGER, "Explode"));
        assert_null(access_find("org.example", "StartRun"));
}

static void check_properties(const BusObject *object, const PropertyTable *table)
{
        size_t n = 0;

        for (const sd_bus_vtable *v = object->vtable; v->type != _SD_BUS_VTABLE_END; v = next_entry(v)) {
                if (v->type != _SD_BUS_VTABLE_PROPERTY)
                        continue;
                assert_true(n < table->n_rows);
                assert_string_equal(v->x.property.member, table->rows[n].name);
                assert_string_equal(v->x.property.signature, table->rows[n].type);
                n++;
        }
        assert_int_equal(n, table->n_rows);
}

static void test_property_tables_are_their_vtables(void **state)
{
        check_properties(&run_object, &run_properties);
        check_properties(&connector_object, &connector_properties);
        check_properties(&connection_object, &connection_properties);
}

static void test_changes_are_what_differs(void **state)
{
        Run *run = *state;
        uint64_t *digests = test_calloc(run_properties.n_rows, sizeof(uint64_t));
        char **names = test_calloc(run_properties.n_rows + 1, sizeof(char *));

        assert_int_equal(property_changes(&run_properties, run, digests, names), run_properties.n_rows);
        assert_int_equal(property_changes(&run_properties, run, digests, names), 0);
        assert_null(names[0]);
        run->counts.added++;
        run->progress = 0.25;
        run->state = RUN_RUNNING;
        assert_int_equal(property_changes(&run_properties, run, digests, names), 4);
        assert_string_equal(names[0], "State");
        assert_string_equal(names[1], "Progress");
        assert_string_equal(names[2], "Added");
        assert_string_equal(names[3], "Accounts"); /* may differ with each state */
        assert_null(names[4]);
        test_free(names);
        test_free(digests);
}

static int make_run(void **state)
{
        *state = run_new();
        return *state ? 0 : -1;
}

static int free_run(void **state)
{
        run_free(*state);
        return 0;
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_method_has_a_row),
                cmocka_unit_test(test_only_readers_and_the_worker_have_no_action),
                cmocka_unit_test(test_unknown_methods_have_no_row),
                cmocka_unit_test(test_property_tables_are_their_vtables),
                cmocka_unit_test_setup_teardown(test_changes_are_what_differs, make_run, free_run),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
