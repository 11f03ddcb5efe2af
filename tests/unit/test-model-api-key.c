/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* API keys' texts, names and scopes, and the digest that they are kept as. */

#include "unit/expect.h"

#include <stdio.h>

#include "base/string-util.h"
#include "model/api-key.h"

static void expect_sha256(const void *data, size_t size, const char *expected)
{
        uint8_t digest[SHA256_SIZE];
        char hex[SHA256_HEX_MAX];

        expect_ok(sha256(data, size, digest));
        hex_encode(digest, sizeof(digest), hex);
        assert_string_equal(hex, expected);
}

/* Of FIPS 180-2, appendix B, and the empty message. */
static void test_sha256(void **state)
{
        char *million = test_malloc(1000000);

        expect_sha256("", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        expect_sha256("abc", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        (void) memset(million, 'a', 1000000);
        expect_sha256(million, 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
        test_free(million);
}

static void test_hex(void **state)
{
        static const char *const wrong[] = {
                "", "0", "00f", "00ff0", "00fff", "00fg", "00FF", " 0ff", "0x00", "00f\n"
        };
        uint8_t bytes[2];
        char text[5];

        for (unsigned i = 0; i < 0x10000; i++) {
                hex_encode(&(uint8_t[]){ (uint8_t) (i >> 8), (uint8_t) i }, 2, text);
                expect_ok(hex_decode(text, 2, bytes));
                assert_int_equal(bytes[0] << 8 | bytes[1], i);
        }
        assert_string_equal(text, "ffff");
        for (size_t i = 0; i < ELEMENTSOF(wrong); i++)
                expect_errno(hex_decode(wrong[i], 2, bytes), -EINVAL);
}

static void test_secrets_equal(void **state)
{
        static const char a[] = "0123456789abcdef";
        char b[sizeof(a)];

        for (size_t i = 0; i < sizeof(a); i++) {
                (void) memcpy(b, a, sizeof(a));
                assert_true(secrets_equal(a, b, sizeof(a)));
                b[i] ^= 1;
                assert_false(secrets_equal(a, b, sizeof(a)));
        }
        assert_true(secrets_equal(a, b, 0));
}

static void test_new_texts(void **state)
{
        static const ApiKeyText nothing = {};
        ApiKeyText a, b;

        expect_ok(api_key_text_new(&a));
        expect_ok(api_key_text_new(&b));
        assert_int_equal(strlen(a.text), 35);
        assert_true(api_key_text_is_valid(a.text) && api_key_text_is_valid(b.text));
        assert_string_not_equal(a.text, b.text);
        api_key_text_erase(&a);
        assert_memory_equal(&a, &nothing, sizeof(a));
}

static void test_texts(void **state)
{
        static const char *const wrong[] = {
                "",
                "sk-",
                "sk-0123456789abcdef0123456789abcde",
                "sk-0123456789abcdef0123456789abcdef0",
                "sk-0123456789ABCDEF0123456789abcdef",
                "sk_0123456789abcdef0123456789abcdef",
                "0123456789abcdef0123456789abcdef",
                " sk-0123456789abcdef0123456789abcdef",
                "sk-0123456789abcdef0123456789abcdeg",
        };

        assert_true(api_key_text_is_valid("sk-0123456789abcdef0123456789abcdef"));
        assert_false(api_key_text_is_valid(NULL));
        for (size_t i = 0; i < ELEMENTSOF(wrong); i++)
                assert_false(api_key_text_is_valid(wrong[i]));
}

/* As a client computes it: printf %s sk-... | sha256sum */
static void test_hash_is_of_the_whole_text(void **state)
{
        uint8_t digest[SHA256_SIZE], expected[SHA256_SIZE];

        expect_ok(api_key_hash("sk-0123456789abcdef0123456789abcdef", digest));
        expect_ok(sha256("sk-0123456789abcdef0123456789abcdef", 35, expected));
        assert_memory_equal(digest, expected, sizeof(digest));
}

static void test_names(void **state)
{
        char name[API_KEY_NAME_MAX + 2];

        assert_true(api_key_name_is_valid("a"));
        assert_true(api_key_name_is_valid("9-A_b.c@D"));
        assert_true(api_key_name_is_valid("sk"));
        assert_true(api_key_name_is_valid("sk_x"));
        assert_false(api_key_name_is_valid("sk-"));
        assert_false(api_key_name_is_valid(NULL));
        assert_false(api_key_name_is_valid(""));
        for (int c = 1; c < 256; c++) {
                bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

                (void) snprintf(name, sizeof(name), "%c", c);
                assert_true(api_key_name_is_valid(name) == alnum);
                (void) snprintf(name, sizeof(name), "a%c", c);
                assert_true(api_key_name_is_valid(name) == (alnum || strchr("._-@", c)));
        }
        (void) memset(name, 'x', sizeof(name));
        name[API_KEY_NAME_MAX] = '\0';
        assert_true(api_key_name_is_valid(name));
        name[API_KEY_NAME_MAX] = 'x';
        name[API_KEY_NAME_MAX + 1] = '\0';
        assert_false(api_key_name_is_valid(name));
}

static void test_scopes(void **state)
{
        for (unsigned set = 1; set < 1U << _API_SCOPE_MAX; set++) {
                const char *words[_API_SCOPE_MAX + 1];
                unsigned again;

                api_scopes_to_words(set, words);
                assert_int_equal(strv_length((char **) words), __builtin_popcount(set));
                expect_ok(api_scopes_from_words((char **) words, NULL, &again));
                assert_int_equal(again, set);
        }
}

static void test_wrong_scopes(void **state)
{
        char *unknown_words[] = { (char *) "sync:read", (char *) "sync:rite", NULL }, *none[] = { NULL };
        const char *unknown = NULL;
        unsigned scopes = 77;

        expect_errno(api_scopes_from_words(unknown_words, &unknown, &scopes), -EINVAL);
        assert_string_equal(unknown, "sync:rite");
        expect_errno(api_scopes_from_words(none, &unknown, &scopes), -EINVAL);
        assert_null(unknown);
        expect_errno(api_scopes_from_words(NULL, NULL, &scopes), -EINVAL);
        assert_int_equal(scopes, 77);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_sha256),        cmocka_unit_test(test_hex),
                cmocka_unit_test(test_secrets_equal), cmocka_unit_test(test_new_texts),
                cmocka_unit_test(test_texts),         cmocka_unit_test(test_hash_is_of_the_whole_text),
                cmocka_unit_test(test_names),         cmocka_unit_test(test_scopes),
                cmocka_unit_test(test_wrong_scopes),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
