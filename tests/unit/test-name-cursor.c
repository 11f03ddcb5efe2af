/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Where a page of names ended: what is given comes back, and whatever else is handed in is refused. */

#include "unit/expect.h"

#include <stdio.h>

#include "model/name-cursor.h"

static void expect_place(NameCursor kind, const char *name)
{
        char text[NAME_CURSOR_TEXT_MAX], got[CONNECTOR_NAME_MAX + 1];

        name_cursor_format(text, kind, name);
        expect_ok(name_cursor_parse(text, kind, got));
        assert_string_equal(got, name);
        expect_errno(name_cursor_parse(text, kind ^ 1, got), -EINVAL);
        for (size_t i = 0; text[i]; i++) {
                char wrong[NAME_CURSOR_TEXT_MAX];

                memcpy(wrong, text, sizeof(wrong));
                wrong[i] ^= 1;
                expect_errno(name_cursor_parse(wrong, kind, got), -EINVAL);
                wrong[i] = '\0';
                expect_errno(name_cursor_parse(wrong, kind, got), -EINVAL);
        }
}

static void test_places_come_back(void **state)
{
        char longest[CONNECTOR_NAME_MAX + 1];

        memset(longest, 'x', sizeof(longest) - 1);
        longest[sizeof(longest) - 1] = '\0';
        for (NameCursor kind = 0; kind < _NAME_CURSOR_MAX; kind++) {
                expect_place(kind, "a");
                expect_place(kind, "my-bank_2");
                expect_place(kind, longest);
        }
}

static void test_what_is_none(void **state)
{
        static const char *const texts[] = { "", ".", "a", "a.", ".00000000", "a.00000000", "a.b.c", "A.00000000" };
        char text[NAME_CURSOR_TEXT_MAX + 8], got[CONNECTOR_NAME_MAX + 1];

        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                expect_errno(name_cursor_parse(texts[i], NAME_CURSOR_CONNECTORS, got), -EINVAL);
        /* With more behind it. */
        name_cursor_format(text, NAME_CURSOR_CONNECTORS, "a");
        (void) snprintf(text + strlen(text), 8, "0");
        expect_errno(name_cursor_parse(text, NAME_CURSOR_CONNECTORS, got), -EINVAL);
        /* A name that is too long. */
        memset(text, 'x', sizeof(text));
        (void) snprintf(text + CONNECTOR_NAME_MAX + 1, 10, ".00000000");
        expect_errno(name_cursor_parse(text, NAME_CURSOR_CONNECTORS, got), -EINVAL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_places_come_back),
                cmocka_unit_test(test_what_is_none),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
