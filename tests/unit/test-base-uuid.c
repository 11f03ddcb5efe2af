/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* UUIDs and the table of refusals. */

#include "unit/expect.h"

#include <stdio.h>

#include "base/names.h"
#include "base/refusal.h"
#include "base/string-util.h"
#include "base/uuid.h"

static void test_valid(void **state)
{
        static const char *const valid[] = {
                "00000000-0000-0000-0000-000000000000",
                "ffffffff-FFFF-ffff-FFFF-ffffffffffff",
                "01234567-89ab-4cde-8f01-23456789abcd",
        };
        static const char *const wrong[] = {
                "",
                "01234567-89ab-4cde-8f01-23456789abc",
                "01234567-89ab-4cde-8f01-23456789abcde",
                "0123456789ab4cde8f0123456789abcd",
                "{1234567-89ab-4cde-8f01-23456789abc}",
                "01234567-89ab-4cde-8f01_23456789abcd",
                "01234567-89ab-4cde-8f01-23456789abcg",
                "0123456-789ab-4cde-8f01-23456789abcd",
                "01234567-89ab-4cde-8f01-23456789ab\xc3\xa9",
        };
        char text[UUID_TEXT_MAX] = "before";

        assert_false(uuid_is_valid(NULL));
        expect_errno(uuid_normalize(NULL, text), -EINVAL);
        for (size_t i = 0; i < ELEMENTSOF(wrong); i++) {
                assert_false(uuid_is_valid(wrong[i]));
                expect_errno(uuid_normalize(wrong[i], text), -EINVAL);
        }
        assert_string_equal(text, "before");
        for (size_t i = 0; i < ELEMENTSOF(valid); i++)
                assert_true(uuid_is_valid(valid[i]));
        expect_ok(uuid_normalize("01234567-89AB-4CDE-8F01-23456789ABCD", text));
        assert_string_equal(text, "01234567-89ab-4cde-8f01-23456789abcd");
}

static void test_version_4(void **state)
{
        char a[UUID_TEXT_MAX], b[UUID_TEXT_MAX];

        for (int i = 0; i < 200; i++) {
                expect_ok(uuid_new_v4(a));
                expect_ok(uuid_new_v4(b));
                assert_true(uuid_is_valid(a));
                assert_int_equal(a[14], '4');
                assert_non_null(strchr("89ab", a[19]));
                assert_string_not_equal(a, b);
        }
}

/* Of as many as are drawn from the kernel at once, and of the next, no two are the same. */
static void test_no_two(void **state)
{
        char all[50][UUID_TEXT_MAX];

        for (size_t i = 0; i < ELEMENTSOF(all); i++) {
                expect_ok(uuid_new_v4(all[i]));
                for (size_t k = 0; k < i; k++)
                        assert_string_not_equal(all[i], all[k]);
        }
}

static void test_version_7(void **state)
{
        char text[UUID_TEXT_MAX], before[UUID_TEXT_MAX] = "";

        expect_ok(uuid_new_v7(0x0123456789abULL * USEC_PER_MSEC, text));
        assert_true(uuid_is_valid(text));
        assert_memory_equal(text, "01234567-89ab-7000-", 19);
        assert_non_null(strchr("89ab", text[19]));
        expect_ok(uuid_new_v7(0x0123456789abULL * USEC_PER_MSEC + 999, text));
        assert_memory_equal(text, "01234567-89ab-7ffb-", 19);

        /* Each microsecond sorts behind the one before. */
        for (usec_t t = 1780171200 * USEC_PER_SEC; t < 1780171200 * USEC_PER_SEC + 3000; t++) {
                expect_ok(uuid_new_v7(t, text));
                assert_true(strcmp(before, text) < 0);
                (void) strcpy(before, text);
        }
}

static void test_refusals(void **state)
{
        assert_true(refusal_count() > 10);
        assert_null(refusal_at(refusal_count()));
        for (size_t i = 0; i < refusal_count(); i++) {
                const Refusal *r = refusal_at(i);
                char name[256];

                /* Each errno and each name has one row. */
                assert_ptr_equal(refusal_by_errno(r->error), r);
                assert_ptr_equal(refusal_by_errno(-r->error), r);
                assert_ptr_equal(refusal_by_name(r->name), r);
                (void) snprintf(name, sizeof(name), SYNCRUN_ERROR_PREFIX "%s", r->name);
                assert_ptr_equal(refusal_by_name(name), r);
                assert_in_range(r->http_status, 400, 599);
                assert_in_range(r->exit_status, 1, 125);
                assert_true(endswith(r->sentence, "."));
        }
        assert_string_equal(refusal_by_errno(EXDEV)->name, "Internal");
        assert_string_equal(refusal_by_errno(0)->name, "Internal");
        assert_null(refusal_by_name(NULL));
        assert_null(refusal_by_name("org.freedesktop.DBus.Error.Failed"));
        assert_null(refusal_by_name(SYNCRUN_ERROR_PREFIX));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_valid),
                cmocka_unit_test(test_version_4),
                cmocka_unit_test(test_no_two),
                cmocka_unit_test(test_version_7),
                cmocka_unit_test(test_refusals),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
