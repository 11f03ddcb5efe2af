/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Buffers, and JSON written and read. */

#include "unit/expect.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json-util.h"
#include "base/json-writer.h"
#include "base/string-util.h"
#include "base/time-util.h"

static void test_buffer(void **state)
{
        _cleanup_free_ char *text = NULL, *empty = NULL;
        Buffer buffer = {};

        expect_ok(buffer_take(&buffer, &empty));
        assert_string_equal(empty, "");
        buffer_append_string(&buffer, "one");
        buffer_append_char(&buffer, ' ');
        buffer_append(&buffer, "t\0o", 3);
        buffer_append(&buffer, NULL, 0);
        assert_int_equal(buffer.size, 7);
        assert_memory_equal(buffer.data, "one t\0o", 8); /* closed by a NUL */
        buffer_reset(&buffer);
        assert_int_equal(buffer.size, 0);
        assert_string_equal(buffer.data, "");
        for (int i = 0; i < 1000; i++)
                buffer_append_format(&buffer, "%s-%03d,", "x", i);
        assert_int_equal(buffer.size, 6000);
        expect_ok(buffer_take(&buffer, &text));
        assert_int_equal(strlen(text), 6000);
        assert_string_equal(text + 5994, "x-999,");
        assert_null(buffer.data);
        buffer_done(&buffer);
}

static void test_buffer_remembers_failure(void **state)
{
        Buffer buffer = {};
        char *text = NULL;

        buffer_append_string(&buffer, "one");
        expect_errno(buffer_reserve(&buffer, SIZE_MAX - 1), -ENOMEM);
        buffer_append_string(&buffer, "two");
        assert_int_equal(buffer.size, 3);
        expect_errno(buffer_take(&buffer, &text), -ENOMEM);
        assert_null(text);
        assert_null(buffer.data); /* and may be used again */
        buffer_append_string(&buffer, "three");
        expect_errno(buffer_reserve(&buffer, SIZE_MAX), -ENOMEM);
        buffer_reset(&buffer);
        buffer_append_string(&buffer, "four");
        expect_ok(buffer_take(&buffer, &text));
        assert_string_equal(text, "four");
        free(text);
}

static void test_writer(void **state)
{
        static const char expected[] =
                        "{\"a\":[],\"b\":{},\"c\":[1,-1,[true,false],{\"k\":null}],\"d\":\"\",\"e\":null,"
                        "\"f\":18446744073709551615,\"g\":-9223372036854775808,\"h\":[1,2],\"i\":null,"
                        "\"t\":\"2026-05-30T20:00:00Z\",\"u\":\"2026-05-30T20:00:00.000001Z\",\"v\":null,\"w\":null,"
                        "\"\\\"\":0}";
        _cleanup_free_ char *text = NULL;
        Buffer buffer = {};
        JsonWriter w = JSON_WRITER_INIT(&buffer);

        json_open_object(&w, NULL);
        json_open_array(&w, "a");
        json_close_array(&w);
        json_open_object(&w, "b");
        json_close_object(&w);
        json_open_array(&w, "c");
        json_write_uint(&w, NULL, 1);
        json_write_int(&w, NULL, -1);
        json_open_array(&w, NULL);
        json_write_bool(&w, NULL, true);
        json_write_bool(&w, NULL, false);
        json_close_array(&w);
        json_open_object(&w, NULL);
        json_write_null(&w, "k");
        json_close_object(&w);
        json_close_array(&w);
        json_write_string(&w, "d", "");
        json_write_string(&w, "e", NULL);
        json_write_uint(&w, "f", UINT64_MAX);
        json_write_int(&w, "g", INT64_MIN);
        json_write_raw(&w, "h", "[1,2]");
        json_write_raw(&w, "i", NULL);
        json_write_timestamp(&w, "t", 1780171200 * USEC_PER_SEC);
        json_write_timestamp(&w, "u", 1780171200 * USEC_PER_SEC + 1);
        json_write_timestamp(&w, "v", 0);
        json_write_timestamp(&w, "w", USEC_INFINITY);
        json_write_uint(&w, "\"", 0);
        json_close_object(&w);
        expect_ok(buffer_take(&buffer, &text));
        assert_string_equal(text, expected);
}

static void test_writer_strings(void **state)
{
        static const struct {
                const char *in;
                const char *out;
        } cases[] = {
                { "plain / text", "\"plain / text\"" },
                { "\"\\\b\f\n\r\t", "\"\\\"\\\\\\b\\f\\n\\r\\t\"" },
                { "\x01\x1f\x7f", "\"\\u0001\\u001f\x7f\"" },
                { "Gr\xc3\xbc\xc3\x9f"
                  "e · \xf0\x9f\x8c\x8d",
                  "\"Gr\xc3\xbc\xc3\x9f"
                  "e · \xf0\x9f\x8c\x8d\"" },
                { "\xef\xb7\x8f\xef\xb7\x90\"\xef\xbf\xbf", "\"\xef\xb7\x8f\\ufdd0\\\"\\uffff\"" },
                { "\xf0\x9f\xbf\xbe\xf4\x8f\xbf\xbf", "\"\\ud83f\\udffe\\udbff\\udfff\"" },
                { "bad \xff\xc3", "\"bad \xef\xbf\xbd\xef\xbf\xbd\"" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_json_ struct json_object *object = NULL;
                _cleanup_free_ char *text = NULL;
                Buffer buffer = {};
                JsonWriter w = JSON_WRITER_INIT(&buffer);

                json_write_string(&w, NULL, cases[i].in);
                expect_ok(buffer_take(&buffer, &text));
                assert_string_equal(text, cases[i].out);
                expect_ok(json_parse(text, strlen(text), &object));
                assert_true(utf8_is_valid(text, strlen(text)));
                if (utf8_is_well_formed(cases[i].in, strlen(cases[i].in)))
                        assert_string_equal(json_object_get_string(object), cases[i].in);
        }
}

/* JSON that is stored with them, escaped or not, goes out as ASCII there. */
static void test_noncharacters_go_out_as_escapes(void **state)
{
        const char *const texts[] = { "{\"\xef\xbf\xbe\":\"\xef\xbf\xbf\"}", "{\"\\ufffe\":\"\\uFFFF\"}" };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                _cleanup_free_ char *raw = NULL, *text = NULL;
                _cleanup_json_ struct json_object *object = NULL;
                Buffer buffer = {};
                JsonWriter w = JSON_WRITER_INIT(&buffer);

                json_write_raw(&w, NULL, texts[i]);
                expect_ok(buffer_take(&buffer, &raw));
                assert_true(utf8_is_valid(raw, strlen(raw)));
                expect_ok(json_parse(raw, strlen(raw), &object));
                text = json_to_text(object);
                assert_string_equal(text, "{\"\\ufffe\":\"\\uffff\"}");
        }
}

/* Each byte at each place of a string that is read several bytes at a time; json-c reads back what went in. */
static void test_writer_quotes_everywhere(void **state)
{
        char text[18], expected[64];

        for (size_t length = 1; length < sizeof(text); length++)
                for (size_t at = 0; at < length; at++)
                        for (unsigned c = 1; c < 0x80; c++) {
                                _cleanup_json_ struct json_object *object = NULL;
                                _cleanup_free_ char *json = NULL;
                                Buffer buffer = {};
                                JsonWriter w = JSON_WRITER_INIT(&buffer);

                                memset(text, 'x', sizeof(text));
                                text[at] = (char) c;
                                text[length] = '\0';
                                json_write_string(&w, NULL, text);
                                expect_ok(buffer_take(&buffer, &json));
                                expect_ok(json_parse(json, strlen(json), &object));
                                assert_string_equal(json_object_get_string(object), text);
                                (void) snprintf(expected, sizeof(expected), "\"%s\"", text);
                                if (c >= 0x20 && c != '"' && c != '\\')
                                        assert_string_equal(json, expected);
                        }
}

static void test_writer_numbers(void **state)
{
        static const struct {
                uint64_t value;
                const char *expected;
        } rows[] = { { 0, "0" }, { 9, "9" }, { 10, "10" }, { UINT64_MAX, "18446744073709551615" } };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_free_ char *json = NULL;
                Buffer buffer = {};
                JsonWriter w = JSON_WRITER_INIT(&buffer);

                json_write_uint(&w, NULL, rows[i].value);
                expect_ok(buffer_take(&buffer, &json));
                assert_string_equal(json, rows[i].expected);
        }
}

static void test_writer_doubles(void **state)
{
        static const struct {
                double in;
                const char *out;
        } cases[] = {
                { 0, "0.0" },
                { 1, "1.0" },
                { 0.1, "0.1" },
                { 0.3, "0.3" },
                { 0.1 + 0.2, "0.30000000000000004" },
                { 1.0 / 3, "0.3333333333333333" },
                { 0.42, "0.42" },
                { 1e-5, "1e-05" },
                { 1e22, "1e+22" },
                { -0.5, "-0.5" },
                { NAN, "null" },
                { INFINITY, "null" },
                { 123456789, "123456789.0" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *text = NULL;
                Buffer buffer = {};
                JsonWriter w = JSON_WRITER_INIT(&buffer);

                json_write_double(&w, NULL, cases[i].in);
                expect_ok(buffer_take(&buffer, &text));
                assert_string_equal(text, cases[i].out);
        }
}

/* In memory of just its size, so that a sanitizer sees a byte too many. */
static int parse_exactly(const char *text, size_t n)
{
        struct json_object *object = NULL;
        char *copy = malloc(n > 0 ? n : 1);
        int r;

        assert_non_null(copy);
        memcpy(copy, text, n);
        r = json_parse(copy, n, &object);
        json_object_put(object);
        free(copy);
        return r;
}

static const char *const good_json[] = {
        "{}",
        "[]",
        " {\"a\" : [1, -2.5e3, \"x\", true, false, null]} \r\n\t",
        "1",
        "-0",
        "1.5",
        "\"s\"",
        "true",
        "null",
        "null ",
        "\"\\u00e9\\ud83c\\udf0d\"",
        "{\"a\":1,\"a\":2}",
        "1E5",
        "-0.0e-0",
        "[[],{},[{}],\"\"]",
        "\"\\ud800\"",
        "\"\x7f\"",
        "{\"\":1}",
        "123456789012345678901234567890",
        "{\"it's\":\"\\\"'\"}",
};

static const char *const bad_json[] = {
        "",
        " ",
        "{",
        "[1,]",
        "{\"a\":1,}",
        "{'a':1}",
        "{a:1}",
        "[1] x",
        "[1][2]",
        "1 2",
        "tru",
        "nul",
        "truex",
        "01",
        "+1",
        ".5",
        "1.",
        "NaN",
        "Infinity",
        "-Infinity",
        "nan",
        "// c\n1",
        "/* c */1",
        "\"\t\"",
        "\"a\nb\"",
        "\"\\x\"",
        "\"\xff\"",
        "\"\xc0\x80\"",
        "\xef\xbb\xbf{}",
        "{\"a\"}",
        "[1 2]",
        "\"",
        "[",
        "-",
        "{\"a\":",
        "-01",
        "00",
        "1.e5",
        "[-]",
        "1e",
        "1e+",
        "--1",
        "{,}",
        "[,1]",
        "[1,,2]",
        "{\"a\":1,,}",
        "{1:2}",
        "[}",
        "{]",
        "[1}",
        "{\"a\":1]",
        "]",
        "}",
        ",",
        ":",
        "\"\\",
        "\"\\u12",
        "\"\\u123g\"",
        "[\v1]",
        "#",
        "TRUE",
        "Null",
        "{\"a\":1,'b':2}",
        "{\"\\\\\":'a'}",
        "['a']",
        "'a'",
};

static void test_parse(void **state)
{
        for (size_t i = 0; i < ELEMENTSOF(good_json); i++) {
                if (parse_exactly(good_json[i], strlen(good_json[i])) < 0)
                        print_error("%s\n", good_json[i]);
                expect_ok(parse_exactly(good_json[i], strlen(good_json[i])));
        }
        for (size_t i = 0; i < ELEMENTSOF(bad_json); i++) {
                if (parse_exactly(bad_json[i], strlen(bad_json[i])) >= 0)
                        print_error("%s\n", bad_json[i]);
                expect_errno(parse_exactly(bad_json[i], strlen(bad_json[i])), -EBADMSG);
        }
        expect_errno(parse_exactly("1\0", 2), -EBADMSG);
        expect_errno(parse_exactly("1\0x", 3), -EBADMSG);
        expect_errno(parse_exactly("{}\0", 3), -EBADMSG);
        expect_errno(parse_exactly("{}\0x", 4), -EBADMSG);
        expect_errno(parse_exactly("\"a\0b\"", 5), -EBADMSG);
        expect_errno(parse_exactly("[1,\0 2]", 7), -EBADMSG);
        expect_errno(parse_exactly("\0", 1), -EBADMSG);
}

static void test_parse_depth(void **state)
{
        char text[2 * (JSON_DEPTH_MAX + 1)];

        for (size_t depth = JSON_DEPTH_MAX - 1; depth <= JSON_DEPTH_MAX + 1; depth++) {
                memset(text, '[', depth);
                memset(text + depth, ']', depth);
                expect_errno(parse_exactly(text, 2 * depth), depth <= JSON_DEPTH_MAX ? 0 : -EBADMSG);
        }
}

static struct json_object *parsed(const char *text)
{
        struct json_object *object = NULL;

        expect_ok(json_parse(text, strlen(text), &object));
        return object;
}

static void test_getters(void **state)
{
        _cleanup_json_ struct json_object *o = parsed("{\"s\":\"text\",\"nul\":\"a\\u0000b\",\"u\":"
                                                      "9223372036854775807,\"max\":18446744073709551615,\"neg\":-1,"
                                                      "\"whole\":3.0,\"part\":3.5,\"big\":1e300,\"d\":0.25,\"t\":true,"
                                                      "\"z\":null,\"o\":{},\"a\":[1]}");
        const char *s = "before";
        struct json_object *member = NULL;
        uint64_t u = 1;
        double d = 1;
        bool b = false;

        expect_errno(json_get_string(o, "missing", &s), 0);
        expect_errno(json_get_string(o, "z", &s), 0);
        expect_errno(json_get_string(o, "u", &s), -EINVAL);
        expect_errno(json_get_string(o, "nul", &s), -EINVAL);
        assert_string_equal(s, "before");
        expect_errno(json_get_string(o, "s", &s), 1);
        assert_string_equal(s, "text");

        static const char *const no_counts[] = { "s", "neg", "part", "big", "t", "o", "a" };
        for (size_t i = 0; i < ELEMENTSOF(no_counts); i++)
                expect_errno(json_get_uint(o, no_counts[i], &u), -EINVAL);
        expect_errno(json_get_uint(o, "z", &u), 0);
        assert_true(u == 1);
        expect_errno(json_get_uint(o, "u", &u), 1);
        assert_true(u == INT64_MAX);
        expect_errno(json_get_uint(o, "max", &u), 1);
        assert_true(u == UINT64_MAX);
        expect_errno(json_get_uint(o, "whole", &u), 1);
        assert_true(u == 3);

        expect_errno(json_get_double(o, "s", &d), -EINVAL);
        expect_errno(json_get_double(o, "d", &d), 1);
        assert_true(d == 0.25);
        expect_errno(json_get_double(o, "neg", &d), 1);
        assert_true(d == -1);
        expect_errno(json_get_bool(o, "u", &b), -EINVAL);
        expect_errno(json_get_bool(o, "t", &b), 1);
        assert_true(b);
        expect_errno(json_get_object(o, "a", &member), -EINVAL);
        expect_errno(json_get_object(o, "o", &member), 1);
        assert_non_null(member);
        expect_errno(json_get_array(o, "o", &member), -EINVAL);
        expect_errno(json_get_array(o, "a", &member), 1);
        expect_errno(json_get_string(member, "s", &s), 0); /* of something that has no members */
        expect_errno(json_get_string(NULL, "s", &s), 0);
}

static void test_depth(void **state)
{
        static const struct {
                const char *text;
                unsigned depth;
        } cases[] = {
                { "null", 0 },
                { "1", 0 },
                { "\"{[\"", 0 },
                { "{}", 1 },
                { "[]", 1 },
                { "{\"a\":1}", 1 },
                { "[1,[],[{\"a\":0}]]", 3 },
                { "{\"a\":{},\"b\":[{}]}", 3 },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_json_ struct json_object *value = parsed(cases[i].text);

                assert_false(json_is_deeper(value, cases[i].depth));
                assert_true(cases[i].depth == 0 || json_is_deeper(value, cases[i].depth - 1));
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_buffer),
                cmocka_unit_test(test_buffer_remembers_failure),
                cmocka_unit_test(test_writer),
                cmocka_unit_test(test_writer_strings),
                cmocka_unit_test(test_noncharacters_go_out_as_escapes),
                cmocka_unit_test(test_writer_quotes_everywhere),
                cmocka_unit_test(test_writer_numbers),
                cmocka_unit_test(test_writer_doubles),
                cmocka_unit_test(test_parse),
                cmocka_unit_test(test_parse_depth),
                cmocka_unit_test(test_getters),
                cmocka_unit_test(test_depth),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
