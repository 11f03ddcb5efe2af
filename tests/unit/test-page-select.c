/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A page of names in any order is that of all names, sorted. */

#include "unit/expect.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/macros.h"
#include "engine/page-select.h"

#define N_NAMES 1000U

static void test_pages_of_names_in_any_order(void **state)
{
        static const size_t limits[] = { 1, 2, 3, 10, 499, 500, 501, 999, 1000, 1001, 5000 };
        char names[N_NAMES][8];

        for (unsigned i = 0; i < N_NAMES; i++)
                (void) snprintf(names[i], sizeof(names[i]), "%04u", i);
        for (size_t l = 0; l < ELEMENTSOF(limits); l++)
                for (unsigned step = 1; step < 1000; step += 110) { /* prime to 1000 */
                        _cleanup_page_select_ PageSelect select = {};
                        size_t n;

                        expect_ok(page_select_init(&select, limits[l], page_compare_names));
                        for (unsigned i = 0; i < N_NAMES; i++)
                                page_select_add(&select, names[(N_NAMES - 1 + i * step) % N_NAMES]);
                        n = page_select_end(&select);
                        assert_int_equal(n, MIN(limits[l] + 1, (size_t) N_NAMES));
                        for (size_t i = 0; i < n; i++)
                                assert_string_equal(select.items[i], names[i]);
                }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_pages_of_names_in_any_order),
        };

        return cmocka_run_group_tests_name("page-select", tests, NULL, NULL);
}
