/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Events reported from outside: what is taken, and in which words the rest is refused. */

#include "unit/expect.h"

#include <stdlib.h>

#include "base/json-util.h"
#include "base/string-util.h"
#include "model/outside-event.h"

#define USER "11111111-1111-4111-8111-111111111111"
#define REQUIRED \
        "\"run_id\":\"sdk_0123456789abcdef\",\"user_id\":\"" USER "\",\"provider\":\"garmin\",\"source\":\"sdk\","

static int parse(const char *text, OutsideEvent *ret, char **ret_why)
{
        _cleanup_json_ struct json_object *object = NULL;

        expect_ok(json_parse(text, strlen(text), &object));
        return outside_event_parse(object, ret, ret_why);
}

static void check_refused(const char *text, int error, const char *why_begins)
{
        OutsideEvent event = { .provider = (char *) "before" };
        _cleanup_free_ char *why = NULL;
        int r;

        r = parse(text, &event, &why);
        if (r != error || !why || !startswith(why, why_begins))
                print_error("%s: %d, %s\n", text, r, strempty(why));
        assert_int_equal(r, error);
        assert_non_null(why);
        assert_non_null(startswith(why, why_begins));
        assert_string_equal(event.provider, "before");
        expect_errno(parse(text, &event, NULL), error);
}

static void test_least(void **state)
{
        _cleanup_(outside_event_done) OutsideEvent event = {};

        expect_ok(parse("{" REQUIRED "\"stage\":\"started\",\"status\":\"in_progress\"}", &event, NULL));
        assert_string_equal(event.run_id, "sdk_0123456789abcdef");
        assert_string_equal(event.user_id, USER);
        assert_string_equal(event.provider, "garmin");
        assert_int_equal(event.source, RUN_SOURCE_SDK);
        assert_int_equal(event.stage, SYNC_STAGE_STARTED);
        assert_int_equal(event.status, SYNC_STATUS_IN_PROGRESS);
        assert_true(event.progress == PROGRESS_UNKNOWN);
        assert_true(event.items_processed == COUNT_UNKNOWN && event.items_total == COUNT_UNKNOWN);
        assert_true(!event.primary_user_id && !event.message && !event.error && !event.metadata);
        assert_true(event.started_usec == 0 && event.ended_usec == 0);
        assert_true(event.counts.added == COUNT_UNKNOWN && event.counts.discovered == COUNT_UNKNOWN);
}

static void check_counts(const char *metadata, const Counts *expected)
{
        _cleanup_(outside_event_done) OutsideEvent event = {};
        _cleanup_free_ char *text = asprintf_or_null(
                        "{" REQUIRED "\"stage\":\"completed\",\"status\":\"success\",\"metadata\":%s}", metadata);

        expect_ok(parse(text, &event, NULL));
        assert_memory_equal(&event.counts, expected, sizeof(Counts));
}

static void test_counts(void **state)
{
        check_counts("{\"inserted\":2,\"updated\":1}", &(Counts) { COUNT_UNKNOWN, 2, 1, COUNT_UNKNOWN });
        check_counts("{\"discovered\":9,\"inserted\":0,\"updated\":3.0,\"deduped\":6}", &(Counts) { 9, 0, 3, 6 });
        check_counts("{\"discovered\":\"9\",\"inserted\":-1,\"updated\":1.5,\"deduped\":null}",
                     &(Counts) { COUNT_UNKNOWN, COUNT_UNKNOWN, COUNT_UNKNOWN, COUNT_UNKNOWN });
        check_counts("{\"inserted\":9007199254740992,\"updated\":9007199254740993}",
                     &(Counts) { COUNT_UNKNOWN, METADATA_COUNT_MAX, COUNT_UNKNOWN, COUNT_UNKNOWN });
}

static void test_all(void **state)
{
        _cleanup_(outside_event_done) OutsideEvent event = {};

        expect_ok(parse("{\"event_id\":7,\"timestamp\":[],\"more\":1,\"run_id\":\"r\",\"user_id\":"
                        "\"ABCDEF01-1111-4111-8111-111111111111\",\"primary_user_id\":\"" USER "\",\"provider\":\"p\","
                        "\"source\":\"linked_account\",\"stage\":\"completed\",\"status\":\"partial\","
                        "\"message\":\"two\\u001b[31m\",\"progress\":1,\"items_processed\":3,\"items_total\":"
                        "9223372036854775807,"
                        "\"error\":\"e\",\"metadata\":{\"b\": 18446744073709551614, \"a\": "
                        "[-9223372036854775807, \"/\"]},\"started_at\":\"2026-05-30T20:00:00Z\","
                        "\"ended_at\":\"2026-05-30T22:00:01.5+02:00\"}",
                        &event, NULL));
        assert_string_equal(event.user_id, "abcdef01-1111-4111-8111-111111111111");
        assert_string_equal(event.primary_user_id, USER);
        assert_string_equal(event.message, "two\xef\xbf\xbd[31m");
        assert_true(event.progress == 1.0 && event.items_processed == 3 && event.items_total == INT64_MAX);
        assert_string_equal(event.error, "e");
        assert_string_equal(event.metadata, "{\"b\":18446744073709551614,\"a\":[-9223372036854775807,\"/\"]}");
        assert_true(event.started_usec == 1780171200 * USEC_PER_SEC);
        assert_true(event.ended_usec == 1780171201 * USEC_PER_SEC + 500 * USEC_PER_MSEC);
}

static void test_required(void **state)
{
        static const char *const keys[] = { "run_id", "user_id", "provider", "source", "stage", "status" };
        static const char *const values[] = { "r", USER, "p", "pull", "queued", "in_progress" };
        static const char *const empties[] = { "null", "\"\"", "7", "[]" };

        for (size_t missing = 0; missing < ELEMENTSOF(keys); missing++)
                for (size_t e = 0; e <= ELEMENTSOF(empties); e++) {
                        _cleanup_free_ char *text = NULL, *why = asprintf_or_null("%s: ", keys[missing]);
                        Buffer buffer = {};

                        buffer_append_string(&buffer, "{\"x\":0");
                        for (size_t i = 0; i < ELEMENTSOF(keys); i++)
                                if (i != missing)
                                        buffer_append_format(&buffer, ",\"%s\":\"%s\"", keys[i], values[i]);
                                else if (e < ELEMENTSOF(empties))
                                        buffer_append_format(&buffer, ",\"%s\":%s", keys[i], empties[e]);
                        buffer_append_char(&buffer, '}');
                        expect_ok(buffer_take(&buffer, &text));
                        check_refused(text, -EINVAL, why);
                }
}

static void test_stage_fits_status(void **state)
{
        for (SyncStage stage = 0; stage < _SYNC_STAGE_MAX; stage++)
                for (SyncStatus status = 0; status < _SYNC_STATUS_MAX; status++) {
                        _cleanup_free_ char *text =
                                        asprintf_or_null("{" REQUIRED "\"stage\":\"%s\",\"status\":\"%s\"}",
                                                         sync_stage_to_string(stage), sync_status_to_string(status));
                        OutsideEvent event = {};
                        bool fits;

                        switch (stage) {
                        case SYNC_STAGE_COMPLETED:
                                fits = status == SYNC_STATUS_SUCCESS || status == SYNC_STATUS_PARTIAL ||
                                       status == SYNC_STATUS_SKIPPED;
                                break;
                        case SYNC_STAGE_FAILED:
                                fits = status == SYNC_STATUS_FAILED;
                                break;
                        case SYNC_STAGE_CANCELLED:
                                fits = status == SYNC_STATUS_CANCELLED;
                                break;
                        default:
                                fits = status == SYNC_STATUS_IN_PROGRESS;
                        }
                        if (!fits) {
                                check_refused(text, -EINVAL, "status: ");
                                continue;
                        }
                        expect_ok(parse(text, &event, NULL));
                        outside_event_done(&event);
                }
}

static void test_refused(void **state)
{
#define BEYOND "metadata: has a whole number below -9223372036854775807 or above 18446744073709551614"
        static const struct {
                const char *member;
                const char *why;
        } wrong[] = {
                { "\"source\":\"push\"", "source: \"push\" is no word" },
                { "\"stage\":\"Started\"", "stage: " },
                { "\"status\":\"succeeded\"", "status: " },
                { "\"provider\":\"Garmin\"", "provider: " },
                { "\"provider\":\"a b\"", "provider: " },
                { "\"user_id\":\"me\"", "user_id: \"me\" is no UUID" },
                { "\"user_id\":\"" USER "0\"", "user_id: " },
                { "\"primary_user_id\":\"me\"", "primary_user_id: " },
                { "\"run_id\":\"a b\"", "run_id: " },
                { "\"run_id\":\"a\\nb\"", "run_id: " },
                { "\"run_id\":\"\\u00e9\"", "run_id: " },
                { "\"run_id\":\"a\\u0000b\"", "run_id: " },
                { "\"message\":{}", "message: " },
                { "\"error\":false", "error: " },
                { "\"progress\":-0.001", "progress: " },
                { "\"progress\":1.001", "progress: " },
                { "\"progress\":\"0.5\"", "progress: " },
                { "\"items_processed\":-1", "items_processed: " },
                { "\"items_processed\":1.5", "items_processed: " },
                { "\"items_total\":9223372036854775808", "items_total: " },
                { "\"items_total\":\"1\"", "items_total: " },
                { "\"metadata\":[]", "metadata: " },
                { "\"metadata\":{\"connector\":\"bank\"}", "metadata: " },
                { "\"metadata\":{\"connector\":null}", "metadata: " },
                { "\"metadata\":{\"n\":12345678901234567890123}", "metadata: " },
                { "\"metadata\":{\"a\":[{\"n\":-12345678901234567890123}]}", "metadata: " },
                { "\"metadata\":{\"n\":18446744073709551615}", BEYOND },
                { "\"metadata\":{\"n\":-9223372036854775808}", BEYOND },
                { "\"metadata\":\"{}\"", "metadata: " },
                { "\"started_at\":1780171200", "started_at: " },
                { "\"started_at\":\"2026-05-30T20:00:00\"", "started_at: " },
                { "\"started_at\":\"2026-02-30T20:00:00Z\"", "started_at: " },
                { "\"ended_at\":\"now\"", "ended_at: \"now\" is no ISO 8601 time" },
        };

        for (size_t i = 0; i < ELEMENTSOF(wrong); i++) {
                /* Of two members with a name the last one counts. */
                _cleanup_free_ char *text = asprintf_or_null(
                                "{" REQUIRED "\"stage\":\"fetching\",\"status\":\"in_progress\",%s}", wrong[i].member);

                check_refused(text, -EINVAL, wrong[i].why);
        }
        check_refused("[]", -EINVAL, "event: ");
        check_refused("null", -EINVAL, "event: ");
        check_refused("\"x\"", -EINVAL, "event: ");
}

/* An event whose @key is of so many bytes. */
static int parse_long(const char *key, const char *before, size_t n_bytes, const char *after, OutsideEvent *ret,
                      char **ret_why)
{
        _cleanup_free_ char *text = NULL;
        Buffer buffer = {};

        buffer_append_format(&buffer, "{" REQUIRED "\"stage\":\"fetching\",\"status\":\"in_progress\",\"%s\":%s", key,
                             before);
        for (size_t i = 0; i < n_bytes; i++)
                buffer_append_char(&buffer, 'x');
        buffer_append_format(&buffer, "%s}", after);
        expect_ok(buffer_take(&buffer, &text));
        return parse(text, ret, ret_why);
}

static void test_limits(void **state)
{
        const size_t frame = strlen("{\"k\":\"\"}");
        OutsideEvent event = {};
        char *why = NULL;

        expect_ok(parse_long("run_id", "\"", RUN_ID_MAX, "\"", &event, NULL));
        assert_int_equal(strlen(event.run_id), RUN_ID_MAX);
        outside_event_done(&event);
        expect_errno(parse_long("run_id", "\"", RUN_ID_MAX + 1, "\"", &event, &why), -E2BIG);
        assert_string_equal(why, "run_id: is longer than 128 bytes");
        free(TAKE_PTR(why));

        expect_ok(parse_long("metadata", "{\"k\":\"", METADATA_JSON_MAX - frame, "\"}", &event, NULL));
        assert_int_equal(strlen(event.metadata), METADATA_JSON_MAX);
        outside_event_done(&event);
        expect_errno(parse_long("metadata", "{\"k\":\"", METADATA_JSON_MAX - frame + 1, "\"}", &event, &why), -E2BIG);
        assert_string_equal(why, "metadata: is longer than 16384 bytes");
        free(TAKE_PTR(why));

        expect_ok(parse_long("provider", "\"", PROVIDER_SLUG_MAX, "\"", &event, NULL));
        outside_event_done(&event);
        expect_errno(parse_long("provider", "\"", PROVIDER_SLUG_MAX + 1, "\"", &event, &why), -EINVAL);
        free(TAKE_PTR(why));

        /* Longer texts are cut. */
        expect_ok(parse_long("message", "\"", MESSAGE_TEXT_MAX + 1, "\"", &event, NULL));
        assert_int_equal(strlen(event.message), MESSAGE_TEXT_MAX);
        outside_event_done(&event);
        expect_ok(parse_long("error", "\"", ERROR_TEXT_MAX + 1, "\"", &event, NULL));
        assert_int_equal(strlen(event.error), ERROR_TEXT_MAX);
        outside_event_done(&event);
}

static void test_depth_of_metadata(void **state)
{
        for (unsigned depth = METADATA_DEPTH_MAX; depth <= METADATA_DEPTH_MAX + 1; depth++) {
                OutsideEvent event = {};
                _cleanup_free_ char *value = NULL, *why = NULL;
                Buffer buffer = {};

                buffer_append_string(&buffer, "{\"k\":");
                for (unsigned i = 1; i < depth; i++)
                        buffer_append_char(&buffer, '[');
                for (unsigned i = 1; i < depth; i++)
                        buffer_append_char(&buffer, ']');
                buffer_append_char(&buffer, '}');
                expect_ok(buffer_take(&buffer, &value));
                if (depth <= METADATA_DEPTH_MAX) {
                        expect_ok(parse_long("metadata", value, 0, "", &event, NULL));
                        assert_string_equal(event.metadata, value);
                        outside_event_done(&event);
                } else {
                        expect_errno(parse_long("metadata", value, 0, "", &event, &why), -E2BIG);
                        assert_string_equal(why, "metadata: is nested too deeply");
                }
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_least),
                cmocka_unit_test(test_all),
                cmocka_unit_test(test_counts),
                cmocka_unit_test(test_required),
                cmocka_unit_test(test_stage_fits_status),
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_limits),
                cmocka_unit_test(test_depth_of_metadata),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
