/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Events byte for byte (C11 to C19, C29), and syncrun's own view of a run. */

#include "unit/expect.h"

#include <stdlib.h>

#include "base/string-util.h"
#include "model/event.h"
#include "model/view.h"

#define A_TIME ((usec_t) 1780171200 * USEC_PER_SEC) /* 2026-05-30T20:00:00Z */

static char *copy(const char *s)
{
        char *c = strdup(s);

        assert_non_null(c);
        return c;
}

static Run *make_run(void)
{
        Run *run = run_new();

        assert_non_null(run);
        run->id = copy("01973000-0000-7000-8000-000000000000");
        run->connector = copy("bank");
        run->connector_id = copy("c0000000-0000-4000-8000-000000000000");
        run->provider = copy("giro");
        run->user_id = copy("11111111-1111-4111-8111-111111111111");
        run->created_usec = A_TIME;
        return run;
}

/* The JSON of the event of how @run stands, which after its own event_id must be @expected. */
static void check_event(const Run *run, const char *expected)
{
        _cleanup_free_ char *whole = NULL;
        Event event;

        expect_ok(event_make(run, 7, A_TIME + 250 * USEC_PER_MSEC, &event));
        assert_int_equal(event.seq, 7);
        assert_true(event.timestamp_usec == A_TIME + 250 * USEC_PER_MSEC);
        assert_true(uuid_is_valid(event.event_id));
        assert_int_equal(event.event_id[14], '4');
        whole = asprintf_or_null("{\"event_id\":\"%s\",%s,\"timestamp\":\"2026-05-30T20:00:00.250000Z\"}",
                                 event.event_id, expected);
        assert_string_equal(event.json, whole);
        event_done(&event);
        assert_null(event.json);
}

#define IDENTITY                                                                                                    \
        "\"run_id\":\"01973000-0000-7000-8000-000000000000\",\"user_id\":\"11111111-1111-4111-8111-111111111111\"," \
        "\"provider\":\"giro\",\"source\":\"pull\""

static void test_queued(void **state)
{
        Run *run = make_run();

        check_event(run,
                    IDENTITY ",\"stage\":\"queued\",\"status\":\"in_progress\",\"message\":null,\"progress\":null,"
                             "\"items_processed\":null,\"items_total\":null,\"error\":null,\"primary_user_id\":null,"
                             "\"metadata\":{\"connector\":\"bank\",\"trigger\":\"schedule\"},"
                             "\"started_at\":null,\"ended_at\":null");
        run_free(run);
}

/* started_at stands in the event of the start alone (C19). */
static void test_started_and_fetching(void **state)
{
        Run *run = make_run();

        run->stage = SYNC_STAGE_STARTED;
        run->started_usec = A_TIME + 1;
        run->trigger = RUN_TRIGGER_RETRY;
        run->attempt = 2;
        run->retry_of = copy("01972fff-0000-7000-8000-000000000000");
        run->full_resync = true;
        check_event(run, IDENTITY
                    ",\"stage\":\"started\",\"status\":\"in_progress\",\"message\":null,\"progress\":null,"
                    "\"items_processed\":null,\"items_total\":null,\"error\":null,\"primary_user_id\":null,"
                    "\"metadata\":{\"connector\":\"bank\",\"trigger\":\"retry\",\"full_resync\":true,\"attempt\":2,"
                    "\"retry_of\":\"01972fff-0000-7000-8000-000000000000\",\"discovered\":0,\"inserted\":0,"
                    "\"updated\":0,"
                    "\"deduped\":0},\"started_at\":\"2026-05-30T20:00:00.000001Z\",\"ended_at\":null");
        run->stage = SYNC_STAGE_FETCHING;
        run->progress = 0.5;
        run->items_processed = 0;
        run->items_total = 12;
        run->attempt = 1;
        run->full_resync = false;
        run->trigger = RUN_TRIGGER_CATCH_UP;
        run->counts = (Counts) { 6, 1, 2, 3 };
        run->message = copy("Gr\xc3\xbc\xc3\x9f"
                            "e · \"6\"");
        check_event(run, IDENTITY
                    ",\"stage\":\"fetching\",\"status\":\"in_progress\","
                    "\"message\":\"Gr\xc3\xbc\xc3\x9f"
                    "e · \\\"6\\\"\",\"progress\":0.5,\"items_processed\":0,"
                    "\"items_total\":12,\"error\":null,\"primary_user_id\":null,\"metadata\":{\"connector\":\"bank\","
                    "\"trigger\":\"catch-up\",\"discovered\":6,\"inserted\":1,\"updated\":2,\"deduped\":3},"
                    "\"started_at\":null,\"ended_at\":null");
        run_free(run);
}

static Run *make_ended_run(RunOutcome outcome)
{
        Run *run = make_run();

        run->state = RUN_FINISHED;
        run->outcome = outcome;
        run->stage = sync_stage_from_outcome(outcome);
        run->started_usec = A_TIME;
        run->finished_usec = A_TIME + 2 * USEC_PER_SEC;
        run->progress = 0.25;
        run->items_processed = 3;
        return run;
}

#define COUNTS_0 "\"discovered\":0,\"inserted\":0,\"updated\":0,\"deduped\":0"

static void test_ends(void **state)
{
        /* What of an end depends on the outcome. */
        static const struct {
                RunOutcome outcome;
                const char *expected;
        } ends[] = {
                { RUN_SUCCEEDED, "\"stage\":\"completed\",\"status\":\"success\",\"message\":null,\"progress\":1.0" },
                { RUN_PARTIAL, "\"stage\":\"completed\",\"status\":\"partial\",\"message\":null,\"progress\":1.0" },
                { RUN_SKIPPED, "\"stage\":\"completed\",\"status\":\"skipped\",\"message\":null,\"progress\":1.0" },
                { RUN_FAILED, "\"stage\":\"failed\",\"status\":\"failed\",\"message\":null,\"progress\":null" },
                { RUN_CANCELLED,
                  "\"stage\":\"cancelled\",\"status\":\"cancelled\",\"message\":null,\"progress\":0.25" },
        };

        static_assert(ELEMENTSOF(ends) == _RUN_OUTCOME_MAX, "one row for each outcome");
        for (size_t i = 0; i < ELEMENTSOF(ends); i++) {
                Run *run = make_ended_run(ends[i].outcome);
                _cleanup_free_ char *expected = asprintf_or_null(
                                IDENTITY ",%s,\"items_processed\":3,\"items_total\":null,\"error\":null,\"primary_"
                                         "user_id\":null,"
                                         "\"metadata\":{\"connector\":\"bank\",\"trigger\":\"schedule\"," COUNTS_0 "},"
                                         "\"started_at\":null,\"ended_at\":\"2026-05-30T20:00:02Z\"",
                                ends[i].expected);

                check_event(run, expected);
                run_free(run);
        }
}

static void test_failure_tells_why(void **state)
{
        Run *run = make_ended_run(RUN_FAILED);
        Account *account;

        run->error = copy("HTTP 401\nlog in again");
        run->category = ATTENTION_CONSENT_EXPIRED;
        run->metadata = copy("{\"rows\":2}");
        for (int i = 0; i < 3; i++) {
                expect_ok(run_find_account(run, (const char *const[]){ "a", "b", "c" }[i], true, &account));
                account->status = i < 2 ? ACCOUNT_FAILED : ACCOUNT_SUCCESS;
        }
        check_event(run, IDENTITY
                    ",\"stage\":\"failed\",\"status\":\"failed\",\"message\":null,\"progress\":null,"
                    "\"items_processed\":3,\"items_total\":null,\"error\":\"HTTP 401\\nlog in again\","
                    "\"primary_user_id\":null,\"metadata\":{\"connector\":\"bank\",\"trigger\":\"schedule\"," COUNTS_0
                    ","
                    "\"accounts_failed\":2,\"category\":\"consent_expired\",\"extra\":{\"rows\":2}},"
                    "\"started_at\":null,\"ended_at\":\"2026-05-30T20:00:02Z\"");
        run_free(run);
}

/* Without a connector the metadata is what came with it, and nothing is added. */
static void test_from_outside(void **state)
{
        Run *run = make_ended_run(RUN_SUCCEEDED);

        free(TAKE_PTR(run->connector));
        free(TAKE_PTR(run->connector_id));
        free(TAKE_PTR(run->user_id));
        run->primary_user_id = copy("22222222-2222-4222-8222-222222222222");
        run->source = RUN_SOURCE_XML_IMPORT;
        for (int i = 0; i < 2; i++) {
                const char *metadata = i == 0 ? "{}" : "{\"b\":1,\"a\":{\"x\":[]}}";
                _cleanup_free_ char *expected = asprintf_or_null(
                                "\"run_id\":\"01973000-0000-7000-8000-000000000000\",\"user_id\":null,\"provider\":"
                                "\"giro\","
                                "\"source\":\"xml_import\",\"stage\":\"completed\",\"status\":\"success\",\"message\":"
                                "null,"
                                "\"progress\":1.0,\"items_processed\":3,\"items_total\":null,\"error\":null,"
                                "\"primary_user_id\":\"22222222-2222-4222-8222-222222222222\",\"metadata\":%s,"
                                "\"started_at\":null,\"ended_at\":\"2026-05-30T20:00:02Z\"",
                                metadata);

                if (i == 1)
                        run->metadata = copy(metadata);
                check_event(run, expected);
        }
        run_free(run);
}

static void test_each_event_has_its_id(void **state)
{
        Run *run = make_run();
        Event a, b;

        expect_ok(event_make(run, 1, A_TIME, &a));
        expect_ok(event_make(run, 2, A_TIME, &b));
        assert_string_not_equal(a.event_id, b.event_id);
        event_done(&a);
        event_done(&b);
        event_done(&b);
        run_free(run);
}

static void check_view(const Run *run, bool with_accounts, const char *expected)
{
        _cleanup_free_ char *text = NULL;
        Buffer buffer = {};
        JsonWriter w = JSON_WRITER_INIT(&buffer);

        view_run(&w, NULL, run, run->category >= 0 ? "Do this." : NULL, with_accounts);
        expect_ok(buffer_take(&buffer, &text));
        assert_string_equal(text, expected);
}

static void test_view_of_a_new_run(void **state)
{
        Run *run = run_new();

        run->id = copy("r");
        run->provider = copy("p");
        run->created_usec = A_TIME;
        check_view(run, true,
                   "{\"id\":\"r\",\"connector\":null,\"connector_id\":null,\"provider\":\"p\",\"user_id\":null,"
                   "\"primary_user_id\":null,\"source\":\"pull\",\"trigger\":\"schedule\",\"requested_by\":null,"
                   "\"reason\":null,"
                   "\"full_resync\":false,\"only_accounts\":null,\"attempt\":1,\"retry_of\":null,\"state\":\"queued\","
                   "\"outcome\":null,\"stage\":\"queued\",\"message\":null,\"progress\":null,\"items_processed\":null,"
                   "\"items_total\":null,\"counts\":{\"discovered\":0,\"added\":0,\"updated\":0,\"deduped\":0,"
                   "\"ingested\":0},"
                   "\"error\":null,\"category\":null,\"advice\":null,\"metadata\":{},\"created_at\":\"2026-05-30T20:"
                   "00:00Z\","
                   "\"started_at\":null,\"finished_at\":null,\"updated_at\":null,\"last_seq\":0,\"invocation_id\":"
                   "null,"
                   "\"resources\":{\"cpu_usec\":null,\"memory_peak_bytes\":null,\"io_read_bytes\":null,"
                   "\"io_write_bytes\":null},\"accounts\":[]}");
        run_free(run);
}

static void test_view_of_a_full_run(void **state)
{
        Run *run = make_ended_run(RUN_PARTIAL);
        Account *account;

        run->primary_user_id = copy("22222222-2222-4222-8222-222222222222");
        run->trigger = RUN_TRIGGER_RETRY;
        run->requested_by = copy("uid:1000");
        run->reason = copy("why \"not\"");
        run->full_resync = true;
        run->only_accounts = copy("[\"a\"]");
        run->attempt = 2;
        run->retry_of = copy("first");
        run->message = copy("m");
        run->items_total = 4;
        run->counts = (Counts) { 9, 1, 2, 6 };
        run->error = copy("e");
        run->category = ATTENTION_DATA_ERROR;
        run->metadata = copy("{\"k\":1}");
        run->updated_usec = A_TIME + 3 * USEC_PER_SEC;
        run->last_seq = 12;
        run->invocation_id = copy("0123456789abcdef0123456789abcdef");
        run->cpu_usec = 1;
        run->memory_peak_bytes = 2;
        run->io_read_bytes = 3;
        run->io_write_bytes = 4;
        expect_ok(run_find_account(run, "a", true, &account));
        account->status = ACCOUNT_FAILED;
        account->counts = (Counts) { 5, 1, 1, 3 };
        account->error = copy("ae");
        account->category = ATTENTION_CONNECTION_LOST;
        account->started_usec = A_TIME;
        account->finished_usec = A_TIME + 1;
        check_view(run, true,
                   "{\"id\":\"01973000-0000-7000-8000-000000000000\",\"connector\":\"bank\","
                   "\"connector_id\":\"c0000000-0000-4000-8000-000000000000\",\"provider\":\"giro\","
                   "\"user_id\":\"11111111-1111-4111-8111-111111111111\","
                   "\"primary_user_id\":\"22222222-2222-4222-8222-222222222222\",\"source\":\"pull\",\"trigger\":"
                   "\"retry\","
                   "\"requested_by\":\"uid:1000\",\"reason\":\"why "
                   "\\\"not\\\"\",\"full_resync\":true,\"only_accounts\":[\"a\"],"
                   "\"attempt\":2,\"retry_of\":\"first\",\"state\":\"finished\",\"outcome\":\"partial\",\"stage\":"
                   "\"completed\","
                   "\"message\":\"m\",\"progress\":0.25,\"items_processed\":3,\"items_total\":4,"
                   "\"counts\":{\"discovered\":9,\"added\":1,\"updated\":2,\"deduped\":6,\"ingested\":3},\"error\":"
                   "\"e\","
                   "\"category\":\"data_error\",\"advice\":\"Do "
                   "this.\",\"metadata\":{\"k\":1},\"created_at\":\"2026-05-30T20:00:00Z\","
                   "\"started_at\":\"2026-05-30T20:00:00Z\",\"finished_at\":\"2026-05-30T20:00:02Z\","
                   "\"updated_at\":\"2026-05-30T20:00:03Z\",\"last_seq\":12,"
                   "\"invocation_id\":\"0123456789abcdef0123456789abcdef\",\"resources\":{\"cpu_usec\":1,"
                   "\"memory_peak_bytes\":2,\"io_read_bytes\":3,\"io_write_bytes\":4},\"accounts\":[{\"account\":"
                   "\"a\","
                   "\"status\":\"failed\",\"counts\":{\"discovered\":5,\"added\":1,\"updated\":1,\"deduped\":3,"
                   "\"ingested\":2},"
                   "\"error\":\"ae\",\"category\":\"connection_lost\",\"started_at\":\"2026-05-30T20:00:00Z\","
                   "\"finished_at\":\"2026-05-30T20:00:00.000001Z\"}]}");
        run_free(run);
}

static void test_view_of_attention(void **state)
{
        const Attention none = { .category = _ATTENTION_INVALID }, some = {
                .category = ATTENTION_DESTINATION_DELETED,
                .message = (char *) "gone",
                .since_usec = A_TIME,
                .run_id = (char *) "r",
                .accounts = (char *) "[\"a\"]",
        };
        _cleanup_free_ char *text = NULL, *expected = NULL;
        Buffer buffer = {};
        JsonWriter w = JSON_WRITER_INIT(&buffer);

        json_open_array(&w, NULL);
        view_attention(&w, NULL, &none, NULL);
        view_attention(&w, NULL, &some, NULL);
        json_close_array(&w);
        expect_ok(buffer_take(&buffer, &text));
        expected = asprintf_or_null(
                        "[null,{\"category\":\"destination_deleted\",\"message\":\"gone\",\"advice\":\"%s\","
                        "\"since\":\"2026-05-30T20:00:00Z\",\"run_id\":\"r\",\"accounts\":[\"a\"]}]",
                        attention_advice(ATTENTION_DESTINATION_DELETED));
        assert_string_equal(text, expected);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_queued),
                cmocka_unit_test(test_started_and_fetching),
                cmocka_unit_test(test_ends),
                cmocka_unit_test(test_failure_tells_why),
                cmocka_unit_test(test_from_outside),
                cmocka_unit_test(test_each_event_has_its_id),
                cmocka_unit_test(test_view_of_a_new_run),
                cmocka_unit_test(test_view_of_a_full_run),
                cmocka_unit_test(test_view_of_attention),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
