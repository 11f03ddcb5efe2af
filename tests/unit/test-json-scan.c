/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* json-scan and json-canonical. That they agree with json-c on any bytes is fuzz-json-scan's business. */

#include "unit/expect.h"

#include <stdio.h>

#include "base/string-util.h"
#include "worker/json-canonical.h"

#define SLICE(text) ((JsonSlice) { (text), strlen(text) })
#define DEPTH       64U

static JsonIndex json_index;

static void test_accepts(void **state)
{
        static const char *const texts[] = {
                "{}",  "[]",  "  {\t} \r\n", "0", "-0", "12.5e-3", "1E+9", "true", "false", "null", "\"\"", "\"\\u0000\\ud800\"",
                "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\xc2\x80\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\"",
                "[1,[2,[3,{}]],{\"a\":[]}]", "{\"a\":1,\"a\":2}", "\"\x7f\"", "123456789012345678901234567890", "1e999",
        };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                expect_ok(json_scan(SLICE(texts[i]), DEPTH, &json_index, NULL, NULL));
}

static void test_refuses(void **state)
{
        static const struct {
                const char *text;
                JsonFault fault;
        } texts[] = {
                { "", JSON_FAULT_TRUNCATED },        { "  ", JSON_FAULT_TRUNCATED },     { "{", JSON_FAULT_TRUNCATED },
                { "[1", JSON_FAULT_TRUNCATED },      { "\"abc", JSON_FAULT_TRUNCATED },  { "tru", JSON_FAULT_TRUNCATED },
                { "\"\\u12", JSON_FAULT_TRUNCATED }, { "{\"a\"", JSON_FAULT_TRUNCATED }, { "-", JSON_FAULT_TRUNCATED },
                { "[1,]", JSON_FAULT_SYNTAX },       { "{\"a\":1,}", JSON_FAULT_SYNTAX }, { "{a:1}", JSON_FAULT_SYNTAX },
                { "{'a':1}", JSON_FAULT_SYNTAX },    { "[1 2]", JSON_FAULT_SYNTAX },     { "{\"a\" 1}", JSON_FAULT_SYNTAX },
                { "[}", JSON_FAULT_SYNTAX },         { "/**/1", JSON_FAULT_SYNTAX },     { "+1", JSON_FAULT_SYNTAX },
                { "NaN", JSON_FAULT_WORD },          { "Infinity", JSON_FAULT_WORD },    { "trux", JSON_FAULT_WORD },
                { "[01]", JSON_FAULT_NUMBER },       { "[1.]", JSON_FAULT_NUMBER },      { "[-.5]", JSON_FAULT_NUMBER },
                { "[1e]", JSON_FAULT_NUMBER },       { "[-Infinity]", JSON_FAULT_NUMBER },
                { "\"a\nb\"", JSON_FAULT_CONTROL },  { "\"\\x\"", JSON_FAULT_ESCAPE },   { "\"\\u12g4\"", JSON_FAULT_ESCAPE },
                { "\"\xc0\xaf\"", JSON_FAULT_UTF8 }, { "\"\xed\xa0\x80\"", JSON_FAULT_UTF8 },
                { "\"\xf4\x90\x80\x80\"", JSON_FAULT_UTF8 }, { "\"\x80\"", JSON_FAULT_UTF8 }, { "\"\xe2\x82\"", JSON_FAULT_UTF8 },
                { "1 2", JSON_FAULT_TRAILING },      { "{}x", JSON_FAULT_TRAILING },     { "\xef\xbb\xbf{}", JSON_FAULT_SYNTAX },
        };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                JsonFault fault = _JSON_FAULT_INVALID;

                expect_errno(json_scan(SLICE(texts[i].text), DEPTH, &json_index, &fault, NULL), -EBADMSG);
                if (fault != texts[i].fault)
                        fail_msg("%s: %s", texts[i].text, json_fault_to_string(fault));
        }
}

static void test_nul_byte(void **state)
{
        JsonFault fault;
        size_t offset;

        expect_errno(json_scan((JsonSlice) { "\"a\0b\"", 5 }, DEPTH, NULL, &fault, &offset), -EBADMSG);
        assert_int_equal(fault, JSON_FAULT_CONTROL);
        assert_int_equal(offset, 2);
        expect_errno(json_scan((JsonSlice) { "{}\0", 3 }, DEPTH, NULL, &fault, NULL), -EBADMSG);
        assert_int_equal(fault, JSON_FAULT_TRAILING);
        expect_errno(json_scan((JsonSlice) { "\"\\\0\"", 4 }, DEPTH, NULL, &fault, NULL), -EBADMSG);
        assert_int_equal(fault, JSON_FAULT_ESCAPE);
}

/* Specials at each place of a block of bytes. */
static void test_string_strides(void **state)
{
        static const char *const specials[] = { "\\n", "\xc3\xa4", "\\ud83d\\ude00" };

        for (size_t before = 0; before < 40; before++)
                for (size_t i = 0; i < ELEMENTSOF(specials); i++) {
                        static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
                        char text[120], decoded[120], expected[120];

                        snprintf(text, sizeof(text), "\"%.*s%s%.*s\"", (int) before, letters, specials[i],
                                 39 - (int) before, letters);
                        snprintf(expected, sizeof(expected), "%.*s%s%.*s", (int) before, letters,
                                 i == 0 ? "\n" : i == 1 ? "\xc3\xa4" : "\xf0\x9f\x98\x80", 39 - (int) before, letters);
                        expect_ok(json_scan(SLICE(text), DEPTH, NULL, NULL, NULL));
                        assert_int_equal(json_string_decode(SLICE(text), decoded), strlen(expected));
                        assert_string_equal(decoded, expected);
                }
}

/* Every byte at each place of a block: refused or not, and where. */
static void test_bytes_of_strings(void **state)
{
        for (unsigned byte = 0; byte < 256; byte++)
                for (size_t before = 0; before < 40; before++) {
                        char text[80];
                        JsonFault fault;
                        size_t offset = 0;
                        int r;

                        memset(text, 'x', sizeof(text));
                        text[0] = text[sizeof(text) - 1] = '"';
                        text[1 + before] = (char) byte;
                        r = json_scan((JsonSlice) { text, sizeof(text) }, DEPTH, NULL, &fault, &offset);
                        assert_int_equal(r, byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\' ? 0 : -EBADMSG);
                        if (r < 0)
                                assert_int_equal(offset, before + (byte == '"' || byte == '\\' ? 2 : 1));
                }
}

static void test_depth(void **state)
{
        char text[2 * DEPTH + 8];
        JsonFault fault;

        memset(text, '[', DEPTH);
        memset(text + DEPTH, ']', DEPTH);
        expect_ok(json_scan((JsonSlice) { text, 2 * DEPTH }, DEPTH, NULL, NULL, NULL));
        memset(text, '[', DEPTH + 1);
        memset(text + DEPTH + 1, ']', DEPTH + 1);
        expect_errno(json_scan((JsonSlice) { text, 2 * DEPTH + 2 }, DEPTH, NULL, &fault, NULL), -EBADMSG);
        assert_int_equal(fault, JSON_FAULT_DEPTH);
}

static void expect_member(JsonIndex *json, uint32_t parent, const char *name, const char *expected)
{
        JsonSlice value = {}, again = {};
        JsonKind kind;
        JsonSlice object = parent == JSON_PARENT_NONE ? json->text : json->members[parent].value;
        int found = json_index_find(json, parent, name, &kind, &value, NULL);

        assert_int_equal(found, expected != NULL);
        assert_int_equal(json_slice_find(object, name, NULL, &again), found);
        if (!expected)
                return;
        assert_int_equal(value.size, strlen(expected));
        assert_memory_equal(value.data, expected, value.size);
        assert_ptr_equal(value.data, again.data);
        assert_int_equal(value.size, again.size);
        assert_int_equal(kind, json_slice_kind(value));
}

static void test_find(void **state)
{
        static const char text[] = " { \"type\" : \"RECORD\" , \"record\":{\"id\":1,\"type\":{\"x\":2},\"id\": 3 },\"a\\u0062\":null,"
                                   "\"type\":\"LAST\",\"\":[1],\"\\ud83d\\ude00\":true}";
        uint32_t record;

        expect_ok(json_scan(SLICE(text), DEPTH, &json_index, NULL, NULL));
        assert_int_equal(json_index.kind, JSON_KIND_OBJECT);
        expect_member(&json_index, JSON_PARENT_NONE, "type", "\"LAST\"");
        expect_member(&json_index, JSON_PARENT_NONE, "ab", "null");
        expect_member(&json_index, JSON_PARENT_NONE, "", "[1]");
        expect_member(&json_index, JSON_PARENT_NONE, "\xf0\x9f\x98\x80", "true");
        expect_member(&json_index, JSON_PARENT_NONE, "id", NULL);
        expect_member(&json_index, JSON_PARENT_NONE, "x", NULL);
        assert_int_equal(json_index_find(&json_index, JSON_PARENT_NONE, "record", NULL, NULL, &record), 1);
        expect_member(&json_index, record, "id", "3");
        expect_member(&json_index, record, "type", "{\"x\":2}");
        expect_member(&json_index, record, "record", NULL);
        assert_int_equal(json_slice_find(SLICE("[1]"), "a", NULL, NULL), 0);
}

/* A repeated object replaces the first one whole: members of the first are not found in the second. */
static void test_find_repeated_object(void **state)
{
        uint32_t record;

        expect_ok(json_scan(SLICE("{\"record\":{\"id\":1},\"record\":{\"key\":2}}"), DEPTH, &json_index, NULL, NULL));
        assert_int_equal(json_index_find(&json_index, JSON_PARENT_NONE, "record", NULL, NULL, &record), 1);
        expect_member(&json_index, record, "id", NULL);
        expect_member(&json_index, record, "key", "2");
}

/* A value that was checked before is taken as it is, on every level that is indexed, and nowhere else. */
static void test_known(void **state)
{
        JsonSlice known = SLICE("{\"id\":1,\"bad\":\"\xff\"}"), value;
        uint32_t member, inner;

        json_index.known = known;
        expect_ok(json_scan(SLICE("{\"a\":{\"id\":2},\"record\": {\"id\":1,\"bad\":\"\xff\"} ,\"b\":3}"), DEPTH, &json_index, NULL, NULL));
        assert_int_equal(json_index_find(&json_index, JSON_PARENT_NONE, "record", NULL, &value, &member), 1);
        assert_int_equal(member, JSON_PARENT_NONE);
        assert_int_equal(value.size, known.size);
        assert_memory_equal(value.data, known.data, known.size);
        assert_int_equal(json_index_find(&json_index, JSON_PARENT_NONE, "b", NULL, &value, NULL), 1);
        assert_memory_equal(value.data, "3", value.size);
        assert_int_equal(json_index_find(&json_index, JSON_PARENT_NONE, "a", NULL, NULL, &member), 1);
        expect_member(&json_index, member, "id", "2");

        expect_ok(json_scan(SLICE("{\"record\":{\"data\":{\"id\":1,\"bad\":\"\xff\"},\"c\":4}}"), DEPTH, &json_index, NULL, NULL));
        assert_int_equal(json_index_find(&json_index, JSON_PARENT_NONE, "record", NULL, NULL, &member), 1);
        assert_int_equal(json_index_find(&json_index, member, "data", NULL, NULL, &inner), 1);
        assert_int_equal(inner, JSON_PARENT_NONE);
        assert_int_equal(json_index_find(&json_index, member, "c", NULL, &value, NULL), 1);
        assert_memory_equal(value.data, "4", value.size);

        /* other bytes, the end of the text before that of the value, and a place that is no member */
        expect_errno(json_scan(SLICE("{\"record\":{\"id\":2,\"bad\":\"\xff\"}}"), DEPTH, &json_index, NULL, NULL), -EBADMSG);
        expect_errno(json_scan(SLICE("{\"record\":{\"id\":1,\"bad\":"), DEPTH, &json_index, NULL, NULL), -EBADMSG);
        expect_errno(json_scan(SLICE("{\"record\":[{\"id\":1,\"bad\":\"\xff\"}]}"), DEPTH, &json_index, NULL, NULL), -EBADMSG);
        json_index.known = (JsonSlice) {};
        expect_errno(json_scan(SLICE("{\"record\":{\"id\":1,\"bad\":\"\xff\"}}"), DEPTH, &json_index, NULL, NULL), -EBADMSG);
}

static void test_find_past_the_index(void **state)
{
        Buffer text = {};

        buffer_append_string(&text, "{\"record\":{");
        for (unsigned i = 0; i < JSON_INDEX_MEMBERS_MAX; i++)
                buffer_append_format(&text, "%s\"k%u\":%u", i ? "," : "", i, i);
        buffer_append_string(&text, "},\"stream\":\"s\"}");
        expect_ok(json_scan(SLICE(text.data), DEPTH, &json_index, NULL, NULL));
        assert_true(json_index.incomplete);
        expect_member(&json_index, JSON_PARENT_NONE, "stream", "\"s\"");
        expect_member(&json_index, 0, "k1023", "1023");
        buffer_done(&text);
}

static void expect_canonical(const char *text, const char *expected)
{
        Buffer out = {};

        expect_ok(json_scan(SLICE(text), DEPTH, NULL, NULL, NULL));
        json_canonical_append(&out, SLICE(text));
        assert_false(out.failed);
        assert_string_equal(out.data, expected);
        expect_ok(json_scan(SLICE(out.data), DEPTH, NULL, NULL, NULL));
        buffer_done(&out);
}

static void test_canonical(void **state)
{
        expect_canonical("{ }", "{}");
        expect_canonical("[ ]", "[]");
        expect_canonical("{\"b\" : 1 , \"a\":[ true,false , null ] }", "{\"a\":[true,false,null],\"b\":1}");
        expect_canonical("{\"a\":1,\"b\":{\"d\":1,\"c\":2},\"a\":3}", "{\"a\":3,\"b\":{\"c\":2,\"d\":1}}");
        expect_canonical("{\"a\":1,\"a\":3}", "{\"a\":3}");
        expect_canonical("{\"a!\":1,\"a\":2,\"a b\":3}", "{\"a\":2,\"a b\":3,\"a!\":1}");
        expect_canonical("\"\\u0041\\/\\u000a\\u001F\\u00e4\\ud83d\\ude00\\u0022\"", "\"A/\\n\\u001f\xc3\xa4\xf0\x9f\x98\x80\\\"\"");
        expect_canonical("\"\\ud800x\\udc00\\uD800\\ud800\\udc00\"", "\"\\ud800x\\udc00\\ud800\xf0\x90\x80\x80\"");
        expect_canonical("\"\\u0000\"", "\"\\u0000\"");
}

static void test_canonical_numbers(void **state)
{
        static const struct {
                const char *text, *expected;
        } numbers[] = {
                { "0", "0" },           { "-0", "0" },           { "0.000", "0" },      { "-0e5", "0" },
                { "1", "1" },           { "1.0", "1" },          { "10e-1", "1" },      { "1E2", "100" },
                { "-1.50", "-15e-1" },  { "0.0015", "15e-4" },   { "1e20", "100000000000000000000" },
                { "1e21", "1e21" },     { "1000000000000000000000", "1e21" },           { "1200", "1200" },
                { "123456789012345678901234567890", "12345678901234567890123456789e1" },
                { "123456789012345678901234567891", "123456789012345678901234567891" },
                { "1e-400", "1e-400" }, { "0.1", "1e-1" },       { "100e-2", "1" },
        };

        for (size_t i = 0; i < ELEMENTSOF(numbers); i++)
                expect_canonical(numbers[i].text, numbers[i].expected);
}

static void expect_key(const char *text, const char *expected)
{
        Buffer out = {};

        json_key_append(&out, SLICE(text));
        assert_string_equal(out.data, expected);
        buffer_done(&out);
}

static void test_key(void **state)
{
        expect_key("\"tx-1\"", "tx-1");
        expect_key("\"2026-11-21\"", "2026-11-21");
        expect_key("1 ", "1");
        expect_key("\"1\"", "\"1\"");
        expect_key("\"1e5\"", "\"1e5\"");
        expect_key("\"true\"", "\"true\"");
        expect_key("true", "true");
        expect_key("\"\"", "\"\"");
        expect_key("\"[1]\"", "\"[1]\"");
        expect_key("[ 1 ]", "[1]");
        expect_key("\"a\\nb\"", "\"a\\nb\"");
        expect_key("\"\\u00e4\"", "\xc3\xa4");
        expect_key("\"sha256:00\"", "\"sha256:00\"");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_accepts),
                cmocka_unit_test(test_refuses),
                cmocka_unit_test(test_nul_byte),
                cmocka_unit_test(test_string_strides),
                cmocka_unit_test(test_bytes_of_strings),
                cmocka_unit_test(test_depth),
                cmocka_unit_test(test_find),
                cmocka_unit_test(test_find_repeated_object),
                cmocka_unit_test(test_known),
                cmocka_unit_test(test_find_past_the_index),
                cmocka_unit_test(test_canonical),
                cmocka_unit_test(test_canonical_numbers),
                cmocka_unit_test(test_key),
        };

        return cmocka_run_group_tests_name("json-scan", tests, NULL, NULL);
}
