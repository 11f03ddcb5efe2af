/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Strings, UTF-8 and string lists. */

#include "unit/expect.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/shared-text.h"
#include "base/string-util.h"

static void test_ends(void **state)
{
        assert_true(endswith("a.conf", ".conf"));
        assert_true(endswith("a", ""));
        assert_true(endswith("", ""));
        assert_false(endswith("conf", ".conf"));
        assert_false(endswith("a.conf ", ".conf"));
        assert_string_equal(startswith("abc", "ab"), "c");
        assert_string_equal(startswith("abc", ""), "abc");
        assert_null(startswith("ab", "abc"));
        assert_true(streq_null(NULL, NULL));
        assert_false(streq_null(NULL, ""));
        assert_false(streq_null("", NULL));
        assert_true(streq_null("a", "a"));
        assert_string_equal(strna(""), "-");
        assert_string_equal(strempty(NULL), "");
}

static void test_free_and_strdup(void **state)
{
        _cleanup_free_ char *s = NULL;
        const char *first;

        expect_errno(free_and_strdup(&s, NULL), 0);
        expect_errno(free_and_strdup(&s, "a"), 1);
        first = s;
        expect_errno(free_and_strdup(&s, "a"), 0);
        assert_ptr_equal(s, first);
        expect_errno(free_and_strdup(&s, s + 1), 1); /* out of itself */
        assert_string_equal(s, "");
        expect_errno(free_and_strdup(&s, NULL), 1);
        assert_null(s);
}

static void test_strstrip(void **state)
{
        static const char *const cases[][2] = {
                { "", "" }, { " ", "" }, { "a", "a" }, { " \t\n\ra b\t \r\n", "a b" }, { "\va", "\va" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *s = strdup(cases[i][0]);

                assert_non_null(s);
                assert_string_equal(strstrip(s), cases[i][1]);
        }
}

static void test_parse_boolean(void **state)
{
        static const char *const words[][6] = {
                { "0", "no", "n", "false", "f", "off" },
                { "1", "yes", "y", "true", "t", "on" },
        };
        static const char *const wrong[] = { NULL, "", "2", "yess", " yes", "10", "nope" };

        for (int value = 0; value < 2; value++)
                for (size_t i = 0; i < 6; i++)
                        expect_errno(parse_boolean(words[value][i]), value);
        expect_errno(parse_boolean("TrUe"), 1);
        expect_errno(parse_boolean("OFF"), 0);
        for (size_t i = 0; i < ELEMENTSOF(wrong); i++)
                expect_errno(parse_boolean(wrong[i]), -EINVAL);
}

static void test_parse_uint64(void **state)
{
        static const char *const wrong[] = { NULL, "", "+1", "-1", " 1", "1 ", "0x1", "1.0", "1e3", "x" };
        uint64_t value = 7;

        for (size_t i = 0; i < ELEMENTSOF(wrong); i++)
                expect_errno(parse_uint64(wrong[i], &value), -EINVAL);
        expect_errno(parse_uint64("18446744073709551616", &value), -ERANGE);
        assert_true(value == 7);
        expect_ok(parse_uint64("18446744073709551615", &value));
        assert_true(value == UINT64_MAX);
        expect_ok(parse_uint64("007", &value));
        assert_true(value == 7);
}

typedef struct Bytes {
        const char *s;
        size_t n;
} Bytes;
#define BYTES(text)                    \
        {                              \
                text, sizeof(text) - 1 \
        }

static const Bytes valid_utf8[] = {
        BYTES(""),
        BYTES("plain"),
        BYTES("\x01\x7f"),
        BYTES("\xc2\x80"),
        BYTES("\xdf\xbf"),
        BYTES("\xe0\xa0\x80"),
        BYTES("\xed\x9f\xbf"),
        BYTES("\xee\x80\x80"),
        BYTES("\xef\xb7\x8f"), /* about the noncharacters */
        BYTES("\xef\xb7\xb0"),
        BYTES("\xef\xbf\xbd"),
        BYTES("\xf0\x90\x80\x80"),
        BYTES("\xf0\x9f\xbf\xbd"),
        BYTES("\xf4\x8f\xbf\xbd"),
};

static const Bytes invalid_utf8[] = {
        BYTES("a\0b"),
        BYTES("\x80"),
        BYTES("\xbf"),
        BYTES("\xc0\x80"), /* overlong NUL */
        BYTES("\xc1\xbf"), /* overlong */
        BYTES("\xc2"),     /* cut */
        BYTES("\xc2\x20"),
        BYTES("\xe0\x9f\xbf"), /* overlong */
        BYTES("\xe2\x82"),     /* cut */
        BYTES("\xed\xa0\x80"), /* surrogates */
        BYTES("\xed\xbf\xbf"),
        BYTES("\xf0\x8f\xbf\xbf"), /* overlong */
        BYTES("\xf0\x90\x80"),     /* cut */
        BYTES("\xf4\x90\x80\x80"), /* beyond U+10FFFF */
        BYTES("\xf5\x80\x80\x80"),
        BYTES("\xff"),
};

static const Bytes noncharacters[] = {
        BYTES("\xef\xb7\x90"),     BYTES("\xef\xb7\xaf"),     BYTES("\xef\xbf\xbe"),     BYTES("\xef\xbf\xbf"),
        BYTES("\xf0\x9f\xbf\xbe"), BYTES("\xf0\x9f\xbf\xbf"), BYTES("\xf4\x8f\xbf\xbe"), BYTES("\xf4\x8f\xbf\xbf"),
};

static void test_utf8_is_valid(void **state)
{
        for (size_t i = 0; i < ELEMENTSOF(valid_utf8); i++)
                assert_true(utf8_is_valid(valid_utf8[i].s, valid_utf8[i].n));
        for (size_t i = 0; i < ELEMENTSOF(invalid_utf8); i++)
                assert_false(utf8_is_valid(invalid_utf8[i].s, invalid_utf8[i].n));
        for (size_t i = 0; i < ELEMENTSOF(noncharacters); i++) {
                assert_false(utf8_is_valid(noncharacters[i].s, noncharacters[i].n));
                assert_true(utf8_is_well_formed(noncharacters[i].s, noncharacters[i].n));
        }
}

#define REPLACED "\xef\xbf\xbd"
#define ELLIPSIS "\xe2\x80\xa6"

static void test_utf8_sanitize(void **state)
{
        static const struct {
                Bytes in;
                const char *out;
        } cases[] = {
                { BYTES(""), "" },
                { BYTES("a\tb\nc"), "a\tb\nc" },
                { BYTES("Gr\xc3\xbc\xc3\x9f"
                        "e \xf0\x9f\x8c\x8d"),
                  "Gr\xc3\xbc\xc3\x9f"
                  "e \xf0\x9f\x8c\x8d" },
                { BYTES("\x1b[31m\r\x7f"), REPLACED "[31m" REPLACED REPLACED },
                { BYTES("\xc2\x9b"
                        "31m\xc2\x80\xc2\x9f\xc2\xa0"),
                  REPLACED "31m" REPLACED REPLACED "\xc2\xa0" },
                { BYTES("a\0b"), "a" REPLACED "b" },
                { BYTES("\xe2\x82x"), REPLACED REPLACED "x" },
                { BYTES("\xff"), REPLACED },
                { BYTES("a\xef\xbf\xbf\xf4\x8f\xbf\xbfz"), "a" REPLACED REPLACED "z" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *out = utf8_sanitize(cases[i].in.s, cases[i].in.n, 1000);

                assert_non_null(out);
                assert_string_equal(out, cases[i].out);
        }
}

static void test_utf8_sanitize_cuts(void **state)
{
        static const Bytes texts[] = { BYTES("abcdefghij"), BYTES("a\xc3\xbc\xe2\x82\xac\xf0\x9f\x8c\x8dz"),
                                       BYTES("\xff\xff\xff\xff") };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                _cleanup_free_ char *whole = utf8_sanitize(texts[i].s, texts[i].n, SIZE_MAX);
                size_t n;

                assert_non_null(whole);
                n = strlen(whole);
                for (size_t limit = 0; limit <= n + 2; limit++) {
                        _cleanup_free_ char *out = utf8_sanitize(texts[i].s, texts[i].n, limit);
                        size_t kept;

                        assert_non_null(out);
                        assert_true(strlen(out) <= limit);
                        assert_true(utf8_is_valid(out, strlen(out)));
                        if (limit >= n) {
                                assert_string_equal(out, whole);
                                continue;
                        }
                        if (limit < strlen(ELLIPSIS)) {
                                assert_string_equal(out, "");
                                continue;
                        }
                        assert_true(endswith(out, ELLIPSIS));
                        kept = strlen(out) - strlen(ELLIPSIS);
                        assert_memory_equal(out, whole, kept);
                        assert_true(kept + 4 + strlen(ELLIPSIS) > limit); /* no character more would fit */
                }
        }
}

static void test_names(void **state)
{
        char longest[PROVIDER_SLUG_MAX + 2];

        memset(longest, 'a', sizeof(longest));
        longest[CONNECTOR_NAME_MAX] = '\0';
        assert_true(connector_name_is_valid(longest));
        longest[CONNECTOR_NAME_MAX] = 'a';
        longest[CONNECTOR_NAME_MAX + 1] = '\0';
        assert_false(connector_name_is_valid(longest));
        longest[CONNECTOR_NAME_MAX + 1] = 'a';
        longest[PROVIDER_SLUG_MAX] = '\0';
        assert_true(provider_slug_is_valid(longest));
        longest[PROVIDER_SLUG_MAX] = 'a';
        longest[PROVIDER_SLUG_MAX + 1] = '\0';
        assert_false(provider_slug_is_valid(longest));

        assert_true(connector_name_is_valid("a"));
        assert_true(connector_name_is_valid("a0-_"));
        assert_true(provider_slug_is_valid("0-_"));
        assert_false(connector_name_is_valid("0a"));
        assert_false(connector_name_is_valid("-a"));
        assert_false(connector_name_is_valid("_a"));
        for (size_t i = 0; i < 5; i++) {
                static const char *const never[] = { NULL, "", "aA", "a b", "a/b" };

                assert_false(connector_name_is_valid(never[i]));
                assert_false(provider_slug_is_valid(never[i]));
        }
}

static void test_strv(void **state)
{
        _cleanup_strv_free_ char **l = NULL, **copy = NULL;
        _cleanup_free_ char *joined = NULL, *none = NULL;

        assert_int_equal(strv_length(NULL), 0);
        none = strv_join(NULL, ", ");
        assert_string_equal(none, "");
        expect_ok(strv_copy(NULL, &copy));
        assert_null(copy);
        expect_ok(strv_extend(&l, "one"));
        expect_ok(strv_consume(&l, strdup("")));
        expect_errno(strv_consume(&l, NULL), -ENOMEM);
        expect_ok(strv_extend(&l, "three"));
        assert_int_equal(strv_length(l), 3);
        joined = strv_join(l, ", ");
        assert_string_equal(joined, "one, , three");
        assert_true(strv_contains(l, "three"));
        assert_false(strv_contains(l, "two"));
        assert_false(strv_contains(NULL, ""));
        expect_ok(strv_copy(l, &copy));
        assert_int_equal(strv_length(copy), 3);
        assert_string_equal(copy[2], "three");
        assert_ptr_not_equal(copy[2], l[2]);
}

static void test_strv_split(void **state)
{
        _cleanup_strv_free_ char **l = NULL, **none = NULL;

        expect_ok(strv_split(" :a:: b :", ": ", &l));
        assert_int_equal(strv_length(l), 2);
        assert_string_equal(l[0], "a");
        assert_string_equal(l[1], "b");
        expect_ok(strv_split("::", ":", &none));
        assert_int_equal(strv_length(none), 0);
}

static void test_shared_text(void **state)
{
        char *text = shared_text_new("some text"), *second;

        assert_non_null(text);
        second = shared_text_share(text);
        assert_ptr_equal(second, text);
        assert_null(shared_text_free(text));
        assert_string_equal(second, "some text");
        assert_null(shared_text_free(second)); /* a sanitizer finds what is left */
        assert_null(shared_text_free(NULL));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_ends),          cmocka_unit_test(test_free_and_strdup),
                cmocka_unit_test(test_strstrip),      cmocka_unit_test(test_parse_boolean),
                cmocka_unit_test(test_parse_uint64),  cmocka_unit_test(test_utf8_is_valid),
                cmocka_unit_test(test_utf8_sanitize), cmocka_unit_test(test_utf8_sanitize_cuts),
                cmocka_unit_test(test_names),         cmocka_unit_test(test_strv),
                cmocka_unit_test(test_strv_split),
                cmocka_unit_test(test_shared_text),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
