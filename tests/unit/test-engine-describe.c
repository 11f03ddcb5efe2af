/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The bulk reads that tell of connectors, runs and events, and what is no longer told. */

#include "unit/expect.h"

#include "unit/engine-fixture.h"

#include <json-c/json.h>

#include "base/json-util.h"

static struct json_object *parse(char *json)
{
        struct json_object *object;

        expect_ok(json_parse(json, strlen(json), &object));
        free(json);
        return object;
}

static const char *text_of(struct json_object *object, const char *key)
{
        const char *text = NULL;

        expect_ok(json_get_string(object, key, &text));
        return text;
}

static size_t length_of(struct json_object *object, const char *key)
{
        struct json_object *array;

        expect_ok(json_get_array(object, key, &array));
        return json_object_array_length(array);
}

static struct json_object *element(struct json_object *object, const char *key, size_t i)
{
        struct json_object *array;

        assert_int_equal(json_get_array(object, key, &array), 1);
        return json_object_array_get_idx(array, i);
}

static void test_describe_connectors(void **state)
{
        EngineFixture *f = *state;
        RunReport needs = report_category(ATTENTION_CONNECTION_LOST);
        ConnectorFilter filter = CONNECTOR_FILTER_INIT;
        struct json_object *object, *part;
        char id[RUN_ID_MAX + 1], *json = NULL;

        fixture_write_connector(f, "zoo", CONNECTOR("[Connector]\nProvider=zoo\n"));
        fixture_write_connector(f, "bank", CONNECTOR("[Connector]\nConnection=acme\n[Schedule]\nOnCalendar=daily\n"));
        fixture_open(f);
        fixture_whole_run(f, "bank", &needs, id);
        expect_ok(fixture_start(f, "zoo", false).error);

        expect_ok(engine_describe_connectors(f->engine, &filter, &json));
        object = parse(json);
        assert_int_equal(length_of(object, "connectors"), 2);
        part = element(object, "connectors", 0);
        assert_string_equal(text_of(part, "name"), "bank");
        assert_string_equal(text_of(part, "load_state"), "loaded");
        assert_string_equal(json_object_get_string(element(part, "calendar", 0)), "daily");
        assert_string_equal(text_of(part, "last_run_id"), id);
        assert_non_null(text_of(part, "next_elapse"));
        assert_int_equal(json_get_object(part, "attention", &part), 1);
        assert_string_equal(text_of(part, "category"), "connection_lost");
        assert_string_equal(text_of(part, "run_id"), id);
        part = element(object, "connectors", 1);
        assert_int_equal(json_get_object(part, "active_run", &part), 1);
        assert_string_equal(text_of(part, "state"), "starting");
        json_object_put(object);

        filter.attention = 1;
        expect_ok(engine_describe_connectors(f->engine, &filter, &json));
        object = parse(json);
        assert_int_equal(length_of(object, "connectors"), 1);
        json_object_put(object);
        filter = (ConnectorFilter){ .attention = -1, .provider = "zoo", .limit = 10 };
        expect_ok(engine_describe_connectors(f->engine, &filter, &json));
        object = parse(json);
        assert_string_equal(text_of(element(object, "connectors", 0), "name"), "zoo");
        json_object_put(object);
        expect_errno(engine_describe_connector(f->engine, "none", &json), -ENXIO);
        expect_ok(engine_describe_connector(f->engine, "bank", &json));
        object = parse(json);
        assert_string_equal(text_of(object, "connection"), "acme");
        json_object_put(object);

        expect_ok(engine_describe_connections(f->engine, &(ConnectionFilter){ .provider = "acme", .limit = 10 }, &json));
        object = parse(json);
        assert_int_equal(length_of(object, "connections"), 1);
        assert_string_equal(text_of(element(object, "connections", 0), "state"), "lost");
        json_object_put(object);
        expect_ok(engine_describe_connections(f->engine, &(ConnectionFilter){ .provider = "zoo", .limit = 10 }, &json));
        object = parse(json);
        assert_int_equal(length_of(object, "connections"), 0);
        json_object_put(object);
        expect_errno(engine_describe_connection(f->engine, "none", &json), -ENOLINK);
}

static void test_describe_runs(void **state)
{
        EngineFixture *f = *state;
        RunReport report = report_success();
        RunFilter filter = RUN_FILTER_INIT;
        struct json_object *object;
        char id[RUN_ID_MAX + 1], *json = NULL;

        fixture_write_connector(f, "bank", CONNECTOR("[Connector]\nUser=6F1ED002-ab5d-4f2b-9c3b-000000000001\n"));
        fixture_open(f);
        for (int i = 0; i < 3; i++)
                fixture_whole_run(f, "bank", &report, id);
        filter.limit = 2;
        expect_ok(engine_describe_runs(f->engine, &filter, &json));
        object = parse(json);
        assert_int_equal(length_of(object, "runs"), 2);
        assert_string_equal(text_of(element(object, "runs", 0), "id"), id);
        filter.page = text_of(object, "next");
        expect_ok(engine_describe_runs(f->engine, &filter, &json));
        json_object_put(object);
        object = parse(json);
        assert_int_equal(length_of(object, "runs"), 1);
        assert_null(text_of(object, "next"));
        json_object_put(object);
        filter = (RunFilter) RUN_FILTER_INIT;
        filter.limit = 0;
        expect_errno(engine_describe_runs(f->engine, &filter, &json), -EINVAL);

        expect_ok(engine_describe_run(f->engine, id, &json));
        object = parse(json);
        assert_string_equal(text_of(object, "outcome"), "succeeded");
        assert_int_equal(length_of(object, "accounts"), 0);
        json_object_put(object);
        expect_errno(engine_describe_run(f->engine, "none", &json), -ESRCH);

        expect_ok(engine_describe_users(f->engine, NULL, 1, &json));
        object = parse(json);
        assert_string_equal(text_of(element(object, "users", 0), "id"), "6f1ed002-ab5d-4f2b-9c3b-000000000001");
        assert_string_equal(text_of(object, "next"), "6f1ed002-ab5d-4f2b-9c3b-000000000001");
        json_object_put(object);
}

/* Events past their age are not shown, whether they are deleted yet or not. */
static void test_describe_events(void **state)
{
        EngineFixture *f = *state;
        RunReport report = report_success();
        EventFilter filter = { .limit = 10 };
        struct json_object *object;
        char id[RUN_ID_MAX + 1], *json = NULL;
        uint64_t seq = 0;

        f->settings.events_max_age_usec = USEC_PER_DAY;
        fixture_write_connector(f, "bank", CONNECTOR());
        fixture_open(f);
        fixture_whole_run(f, "bank", &report, id);
        expect_ok(engine_describe_events(f->engine, &filter, &json));
        object = parse(json);
        assert_int_equal(length_of(object, "events"), 3);
        assert_int_equal(json_get_uint(object, "first", &seq), 1);
        assert_int_equal(seq, 1);
        assert_int_equal(json_get_uint(object, "last", &seq), 1);
        assert_int_equal(seq, 3);
        json_object_put(object);
        fixture_advance_clock(f->settings.events_max_age_usec);
        fixture_whole_run(f, "bank", &report, id);
        expect_ok(engine_describe_events(f->engine, &filter, &json));
        object = parse(json);
        assert_int_equal(length_of(object, "events"), 3);
        json_object_put(object);
}

/* At start, and as long as there is something to delete, without being asked. */
static void test_retention(void **state)
{
        EngineFixture *f = *state;
        RunReport report = report_success();
        char id[RUN_ID_MAX + 1];

        f->settings.events_max_age_usec = USEC_PER_DAY;
        f->settings.runs_max_per_connector = 5;
        fixture_write_connector(f, "bank", CONNECTOR());
        fixture_open(f);
        for (int i = 0; i < 8; i++)
                fixture_whole_run(f, "bank", &report, id);
        assert_int_equal(fixture_sql(f, "SELECT count(*) FROM events"), 24);
        fixture_close(f);
        fixture_advance_clock(f->settings.events_max_age_usec);
        fixture_open(f);
        fixture_run_until(f, fixture_sql(f, "SELECT count(*) FROM events") == 0 &&
                                             fixture_sql(f, "SELECT count(*) FROM runs") == 5);
        assert_int_equal(store_last_seq(engine_store(f->engine)), 24);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                ENGINE_TEST(test_describe_connectors),
                ENGINE_TEST(test_describe_runs),
                ENGINE_TEST(test_describe_events),
                ENGINE_TEST(test_retention),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
