/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* stream: names, where keys come from, and what a record's key is. */

#include "unit/expect.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/json-util.h"
#include "worker/stream.h"

static JsonIndex json_index;
static Streams streams;

#define SLICE(text) ((JsonSlice){ (text), strlen(text) })

static int set_up(void **state)
{
        static char *settings[] = { (char *) "set:name,day", NULL };

        return streams_init(&streams, settings);
}

static int tear_down(void **state)
{
        streams_done(&streams);
        return 0;
}

static Stream *get(const char *name, const char *namespace_)
{
        Stream *stream = NULL;

        expect_ok(streams_get(&streams, SLICE(name), SLICE(namespace_), &stream));
        return stream;
}

static void expect_key(Stream *stream, const char *record, const char *expected)
{
        Buffer key = {};

        expect_ok(json_scan(SLICE(record), JSON_DEPTH_MAX, &json_index, NULL, NULL));
        /* by the index of the text itself, and by scanning */
        expect_ok(stream_key(&streams, stream, &json_index, JSON_PARENT_NONE, SLICE(record), &key));
        assert_string_equal(key.data, expected);
        buffer_done(&key);
}

static void test_names(void **state)
{
        char long_name[STREAM_NAME_MAX + 3];
        Stream *stream;

        assert_ptr_equal(get("\"a\"", ""), get("\"\\u0061\"", ""));
        assert_ptr_not_equal(get("\"a\"", ""), get("\"a\"", "\"b\""));
        assert_string_equal(get("\"a\"", "\"b\"")->name, "b.a");
        assert_ptr_equal(get("\"a\"", "\"\""), get("\"a\"", ""));

        memset(long_name, 'x', sizeof(long_name));
        long_name[0] = long_name[STREAM_NAME_MAX + 1] = '"';
        expect_ok(streams_get(&streams, (JsonSlice){ long_name, STREAM_NAME_MAX + 2 }, (JsonSlice){}, &stream));
        long_name[STREAM_NAME_MAX + 1] = 'x';
        long_name[STREAM_NAME_MAX + 2] = '"';
        expect_errno(streams_get(&streams, (JsonSlice){ long_name, STREAM_NAME_MAX + 3 }, (JsonSlice){}, &stream),
                     -E2BIG);
        expect_errno(streams_get(&streams, SLICE("\"a\\u0000b\""), (JsonSlice){}, &stream), -E2BIG);
}

static void test_most_streams(void **state)
{
        Stream *stream;
        char name[32];

        for (unsigned i = 0; i <= STREAMS_MAX; i++) {
                (void) snprintf(name, sizeof(name), "\"%u\"", i);
                expect_errno(streams_get(&streams, SLICE(name), (JsonSlice){}, &stream), i < STREAMS_MAX ? 0 : -E2BIG);
        }
        (void) get("\"7\"", "");
}

static void test_sources_of_keys(void **state)
{
        Stream *stream = get("\"tx\"", "");

        assert_int_equal(stream->key_source, KEY_SOURCE_CONTENT);
        expect_ok(streams_set_catalog(
                        &streams,
                        SLICE("{\"streams\":[{\"name\":\"tx\",\"source_defined_primary_key\":[[\"a\",\"b\"]]},5]}")));
        assert_int_equal(stream->key_source, KEY_SOURCE_CATALOG);
        expect_key(stream, "{\"a\":{\"b\":7}}", "7");
        assert_int_equal(stream_set_keys(stream, KEY_SOURCE_SCHEMA, SLICE("[\"id\"]")), 1);
        assert_int_equal(stream_set_keys(stream, KEY_SOURCE_SCHEMA, SLICE("[\"id\"]")), 0);
        assert_int_equal(stream_set_keys(stream, KEY_SOURCE_CATALOG, SLICE("[\"other\"]")), 0);
        expect_key(stream, "{\"other\":1,\"id\":2}", "2");
        expect_errno(stream_set_keys(stream, KEY_SOURCE_SCHEMA, SLICE("{}")), -EBADMSG);
        expect_errno(stream_set_keys(stream, KEY_SOURCE_SCHEMA, SLICE("[1]")), -EBADMSG);
        expect_errno(stream_set_keys(stream, KEY_SOURCE_SCHEMA, SLICE("[[]]")), -EBADMSG);

        stream = get("\"set\"", "");
        assert_int_equal(stream->key_source, KEY_SOURCE_SETTING);
        assert_int_equal(stream_set_keys(stream, KEY_SOURCE_SCHEMA, SLICE("[\"id\"]")), 0);
        expect_key(stream, "{\"id\":1,\"day\":\"x\",\"name\":\"n\"}", "[\"n\",\"x\"]");
}

static void test_most_key_fields(void **state)
{
        Stream *stream = get("\"tx\"", "");
        Buffer list = {};

        for (unsigned i = 0; i < KEY_FIELDS_MAX; i++)
                buffer_append_format(&list, "%c\"f%u\"", i == 0 ? '[' : ',', i);
        buffer_append_char(&list, ']');
        assert_int_equal(stream_set_keys(stream, KEY_SOURCE_SCHEMA, SLICE(list.data)), 1);
        list.data[list.size - 1] = ',';
        buffer_append_string(&list, "\"more\"]");
        expect_errno(stream_set_keys(stream, KEY_SOURCE_SCHEMA, SLICE(list.data)), -E2BIG);
        buffer_done(&list);
}

static void test_keys(void **state)
{
        Stream *one = get("\"one\"", ""), *two = get("\"two\"", ""), *none = get("\"none\"", "");
        static const char hash[] = "sha256:f87e4099e9be5e75094e0a4f46d3dc18a9c37429314a5a2490fb78d31e7e170c";
        Buffer key = {}, other = {};

        expect_ok(stream_set_keys(one, KEY_SOURCE_SCHEMA, SLICE("[\"id\"]")));
        expect_ok(stream_set_keys(two, KEY_SOURCE_SCHEMA, SLICE("[\"id\",\"day\"]")));
        expect_key(one, "{\"id\":\"a b\"}", "a b");
        expect_key(one, "{\"id\":1,\"id\":1.50}", "15e-1");
        expect_key(one, "{\"\\u0069d\":false}", "false");
        expect_key(one, "{\"id\":{\"b\":1,\"a\":2}}", "{\"a\":2,\"b\":1}");
        expect_key(two, "{\"id\":\"x\"}", "[\"x\",null]");
        expect_errno(stream_key(&streams, one, &json_index, JSON_PARENT_NONE, SLICE("{\"day\":1}"), &key), -ENODATA);
        expect_errno(stream_key(&streams, one, &json_index, JSON_PARENT_NONE, SLICE("{\"id\":null}"), &key), -ENODATA);
        expect_errno(stream_key(&streams, two, &json_index, JSON_PARENT_NONE, SLICE("{}"), &key), -ENODATA);

        expect_ok(stream_key(&streams, none, &json_index, JSON_PARENT_NONE, SLICE("{\"a\":1,\"b\":[]}"), &key));
        expect_ok(stream_key(&streams, none, &json_index, JSON_PARENT_NONE, SLICE("{ \"b\" : [], \"a\" : 1.0 }"),
                             &other));
        assert_string_equal(key.data, hash);
        assert_string_equal(key.data, other.data);
        buffer_done(&key);
        buffer_done(&other);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_names, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_most_streams, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_sources_of_keys, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_most_key_fields, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_keys, set_up, tear_down),
        };

        return cmocka_run_group_tests_name("worker-stream", tests, NULL, NULL);
}
