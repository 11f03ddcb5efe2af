/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* cursor, and the parts of message that pytest does not reach: both dialects' states, merged and loaded again. */

#include "unit/expect.h"

#include <stdio.h>
#include <stdlib.h>

#include "worker/cursor.h"

static JsonIndex json_index;

static int apply(Cursor *cursor, const char *line)
{
        const char *why;
        Message message;

        expect_ok(message_parse((JsonSlice){ line, strlen(line) }, &json_index, &why, &message));
        assert_int_equal(message.type, MESSAGE_STATE);
        return cursor_apply(cursor, &message);
}

static void expect_text(const Cursor *cursor, const char *expected)
{
        Buffer text = {};
        char *s;

        cursor_append(cursor, &text);
        expect_ok(buffer_take(&text, &s));
        assert_string_equal(s, expected);
        free(s);
}

static void test_values(void **state)
{
        Cursor cursor = {};

        expect_text(&cursor, "");
        expect_ok(apply(&cursor, "{\"type\":\"STATE\",\"value\":{\"a\": 1.50}}"));
        expect_text(&cursor, "{\"a\": 1.50}");
        expect_ok(apply(&cursor, "{\"type\":\"STATE\",\"value\":null}"));
        expect_text(&cursor, "null");
        expect_ok(apply(&cursor, "{\"type\":\"STATE\",\"state\":{\"data\":[]}}"));
        expect_text(&cursor, "[]");
        cursor_done(&cursor);
}

#define STREAM(name, value) "{\"stream_descriptor\":{\"name\":\"" name "\"},\"stream_state\":" value "}"
#define LISTED(name, value) "{\"type\":\"STREAM\",\"stream\":" STREAM(name, value) "}"
#define STATE(name, value)  "{\"type\":\"STATE\",\"state\":" LISTED(name, value) "}"

static void test_streams(void **state)
{
        Cursor cursor = {};

        expect_ok(apply(&cursor, STATE("a", "1")));
        expect_ok(apply(&cursor, STATE("b", "1")));
        expect_ok(apply(&cursor, STATE("\\u0061", "2")));
        expect_text(&cursor, "[{\"type\":\"STREAM\",\"stream\":" STREAM("\\u0061", "2") "}," LISTED("b", "1") "]");
        expect_errno(apply(&cursor, "{\"type\":\"STATE\",\"state\":{\"type\":\"STREAM\",\"stream\":{}}}"), -EBADMSG);
        expect_errno(apply(&cursor, "{\"type\":\"STATE\",\"state\":{\"type\":\"GLOBAL\"}}"), -EBADMSG);
        expect_ok(apply(&cursor, "{\"type\":\"STATE\",\"state\":{\"type\":\"GLOBAL\",\"global\":{}}}"));
        expect_text(&cursor, "[{\"type\":\"GLOBAL\",\"global\":{}}]");
        expect_ok(apply(&cursor, STATE("a", "3")));
        expect_text(&cursor, "[" LISTED("a", "3") "]");
        expect_ok(apply(&cursor,
                        "{\"type\":\"state\",\"state\":{\"type\":\"stream\",\"stream\":" STREAM("b", "4") "}}"));
        expect_text(&cursor, "[" LISTED("a", "3") "," LISTED("b", "4") "]");
        expect_ok(apply(&cursor, "{\"type\":\"STATE\",\"state\":{\"type\":\"Legacy\",\"data\":5}}"));
        expect_text(&cursor, "5");
        expect_ok(apply(&cursor, "{\"type\":\"STATE\",\"state\":{\"type\":\"global\",\"global\":{}}}"));
        expect_text(&cursor, "[{\"type\":\"GLOBAL\",\"global\":{}}]");
        expect_errno(apply(&cursor, "{\"type\":\"STATE\",\"state\":{\"type\":\"streams\",\"stream\":{}}}"), -EBADMSG);
        cursor_done(&cursor);
}

static void test_load(void **state)
{
        static const char *const texts[] = {
                "",
                "{\"a\": 1}",
                "[]",
                "null",
                "[" LISTED("a", "12345678901234567890.5") "]",
                "[" LISTED("a", "1") ",7]",
                "[{\"type\":\"GLOBAL\",\"global\":{}}]",
        };
        Cursor cursor = {};

        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                expect_ok(cursor_load(&cursor, texts[i]));
                expect_text(&cursor, texts[i]);
        }
        expect_errno(cursor_load(&cursor, "{"), -EBADMSG);
        expect_ok(cursor_load(&cursor, "[" LISTED("a", "1") "]"));
        expect_ok(apply(&cursor, STATE("b", "2")));
        expect_text(&cursor, "[" LISTED("a", "1") "," LISTED("b", "2") "]");
        cursor_done(&cursor);
}

/* A bus carries no noncharacters. Escaped, they are the same cursor. */
static void test_noncharacters(void **state)
{
        Cursor cursor = {};

        expect_ok(apply(&cursor, "{\"type\":\"STATE\",\"value\":{\"last\":\"\xef\xbf\xbf\"}}"));
        expect_text(&cursor, "{\"last\":\"\\uffff\"}");
        expect_ok(apply(&cursor, STATE("a\xef\xbf\xbf", "\"\xf4\x8f\xbf\xbf\"")));
        expect_text(&cursor, "[" LISTED("a\\uffff", "\"\\udbff\\udfff\"") "]");
        expect_ok(apply(&cursor, STATE("a\xef\xbf\xbf", "1")));
        expect_text(&cursor, "[" LISTED("a\\uffff", "1") "]");
        cursor_done(&cursor);
}

/* A state message whose stream makes the list @size bytes long. */
static char *state_of(size_t size)
{
        size_t around = strlen("[" LISTED("a", "\"\"") "]");
        Buffer text = {};
        char *s;

        buffer_append_string(&text, "{\"type\":\"STATE\",\"state\":{\"type\":\"STREAM\",\"stream\":"
                                    "{\"stream_descriptor\":{\"name\":\"a\"},\"stream_state\":\"");
        for (size_t i = around; i < size; i++)
                buffer_append_char(&text, 'x');
        buffer_append_string(&text, "\"}}}");
        expect_ok(buffer_take(&text, &s));
        return s;
}

static void test_limits(void **state)
{
        char *fits = state_of(CURSOR_BYTES_MAX), *more = state_of(CURSOR_BYTES_MAX + 1);
        Cursor cursor = {};
        Buffer text = {};

        expect_ok(apply(&cursor, fits));
        cursor_append(&cursor, &text);
        assert_int_equal(text.size, CURSOR_BYTES_MAX);
        expect_errno(apply(&cursor, more), -E2BIG);
        memcpy(strchr(fits, 'x'), "\xef\xbf\xbf", 3);
        expect_errno(apply(&cursor, fits), -E2BIG);
        expect_errno(apply(&cursor, STATE("b", "1")), -E2BIG);
        expect_ok(apply(&cursor, STATE("a", "1")));
        expect_ok(apply(&cursor, STATE("b", "1")));
        expect_text(&cursor, "[" LISTED("a", "1") "," LISTED("b", "1") "]");
        cursor_done(&cursor);
        buffer_done(&text);
        free(fits);
        free(more);
}

static void test_too_many_streams(void **state)
{
        Cursor cursor = {};
        char line[256];

        for (unsigned i = 0; i <= CURSOR_STREAMS_MAX; i++) {
                (void) snprintf(line, sizeof(line),
                                "{\"type\":\"STATE\",\"state\":{\"type\":\"STREAM\",\"stream\":{\"stream_descriptor\":"
                                "{\"name\":\"%u\"}}}}",
                                i);
                expect_errno(apply(&cursor, line), i < CURSOR_STREAMS_MAX ? 0 : -E2BIG);
        }
        cursor_done(&cursor);
}

static void test_counts(void **state)
{
        static const struct {
                const char *text;
                int r;
                uint64_t value;
        } numbers[] = {
                { "0", 0, 0 },
                { "9223372036854775807", 0, COUNT_MAX },
                { "9223372036854775808", -ERANGE, 0 },
                { "18446744073709551615", -ERANGE, 0 },
                { "1e3", 0, 1000 },
                { "5.0", 0, 5 },
                { "-0.0", -ERANGE, 0 },
                { "-1", -ERANGE, 0 },
                { "1.5", -EINVAL, 0 },
                { "1e400", -EINVAL, 0 },
                { "1e17", -ERANGE, 0 },
                { "\"1\"", -EINVAL, 0 },
        };

        for (size_t i = 0; i < ELEMENTSOF(numbers); i++) {
                uint64_t value = 7;

                expect_errno(json_slice_to_uint((JsonSlice){ numbers[i].text, strlen(numbers[i].text) }, &value),
                             numbers[i].r);
                assert_int_equal(value, numbers[i].r < 0 ? 7 : numbers[i].value);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_values),
                cmocka_unit_test(test_streams),
                cmocka_unit_test(test_load),
                cmocka_unit_test(test_limits),
                cmocka_unit_test(test_too_many_streams),
                cmocka_unit_test(test_counts),
                cmocka_unit_test(test_noncharacters),
        };

        return cmocka_run_group_tests_name("worker-cursor", tests, NULL, NULL);
}
