/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Runs in the words of Open Wearables, byte for byte; its events are in test-model-event.c. */

#include "unit/view-fixture.h"

#include "model/event.h"
#include "model/view-open-wearables.h"

static void test_c27_keys_and_nulls(void **state)
{
        Run *run = queued_run();

        run->updated_usec = A_TIME;
        expect_json(view_wearables_run(&w, run),
                    "{\"run_id\":\"01973000-0000-7000-8000-000000000000\","
                    "\"user_id\":\"11111111-1111-4111-8111-111111111111\",\"provider\":\"giro\",\"source\":\"pull\","
                    "\"stage\":\"queued\",\"status\":\"in_progress\",\"message\":null,\"progress\":null,"
                    "\"items_processed\":null,\"items_total\":null,\"error\":null,\"primary_user_id\":null,"
                    "\"started_at\":null,\"ended_at\":null,\"last_update\":\"2026-05-30T20:00:00Z\"}");
        run_free(run);
}

/* started_at is there after the event that told it has passed; the newest event has none. */
static void test_c27_started_at_is_filled_in(void **state)
{
        Run *run = queued_run();
        Event event;

        run->state = RUN_RUNNING;
        run->stage = SYNC_STAGE_FETCHING;
        run->source = RUN_SOURCE_BACKFILL;
        run->started_usec = A_TIME;
        run->updated_usec = A_TIME + 1500 * USEC_PER_MSEC;
        run->progress = 0.5;
        run->items_processed = 21;
        run->items_total = 42;
        run->message = copy("half");
        run->primary_user_id = copy("22222222-2222-4222-8222-222222222222");
        expect_json(view_wearables_run(&w, run),
                    "{\"run_id\":\"01973000-0000-7000-8000-000000000000\","
                    "\"user_id\":\"11111111-1111-4111-8111-111111111111\",\"provider\":\"giro\","
                    "\"source\":\"backfill\",\"stage\":\"fetching\",\"status\":\"in_progress\",\"message\":\"half\","
                    "\"progress\":0.5,\"items_processed\":21,\"items_total\":42,\"error\":null,"
                    "\"primary_user_id\":\"22222222-2222-4222-8222-222222222222\","
                    "\"started_at\":\"2026-05-30T20:00:00Z\",\"ended_at\":null,"
                    "\"last_update\":\"2026-05-30T20:00:01.500000Z\"}");
        expect_ok(event_make(run, 1, run->updated_usec, &event));
        assert_non_null(strstr(event.json, "\"started_at\":null"));
        event_done(&event);
        run_free(run);
}

static void test_c27_ends(void **state)
{
        Run *run = ended_run(RUN_SUCCEEDED);

        run->message = copy("Sync completed \xc2\xb7 2 new, 1 updated");
        expect_json(view_wearables_run(&w, run),
                    "{\"run_id\":\"01973000-0000-7000-8000-000000000000\","
                    "\"user_id\":\"11111111-1111-4111-8111-111111111111\",\"provider\":\"giro\",\"source\":\"pull\","
                    "\"stage\":\"completed\",\"status\":\"success\","
                    "\"message\":\"Sync completed \xc2\xb7 2 new, 1 updated\",\"progress\":1.0,"
                    "\"items_processed\":null,\"items_total\":null,\"error\":null,\"primary_user_id\":null,"
                    "\"started_at\":\"2026-05-30T20:00:00Z\",\"ended_at\":\"2026-05-30T20:00:14Z\","
                    "\"last_update\":\"2026-05-30T20:00:14.000250Z\"}");
        run_free(run);

        run = ended_run(RUN_FAILED);
        run->error = copy("no such host");
        run->progress = 0.25;
        expect_json(view_wearables_run(&w, run),
                    "{\"run_id\":\"01973000-0000-7000-8000-000000000000\","
                    "\"user_id\":\"11111111-1111-4111-8111-111111111111\",\"provider\":\"giro\",\"source\":\"pull\","
                    "\"stage\":\"failed\",\"status\":\"failed\",\"message\":null,\"progress\":null,"
                    "\"items_processed\":null,\"items_total\":null,\"error\":\"no such host\","
                    "\"primary_user_id\":null,\"started_at\":\"2026-05-30T20:00:00Z\","
                    "\"ended_at\":\"2026-05-30T20:00:14Z\",\"last_update\":\"2026-05-30T20:00:14.000250Z\"}");
        run_free(run);
}

/* Its outcome is recorded; its newest event has not said so. */
static void test_c14_stopping_is_in_progress(void **state)
{
        Run *run = ended_run(RUN_CANCELLED);

        run->state = RUN_STOPPING;
        run->stage = SYNC_STAGE_SAVING;
        run->finished_usec = 0;
        assert_int_equal(event_status(run), SYNC_STATUS_IN_PROGRESS);
        run->stage = SYNC_STAGE_CANCELLED;
        assert_int_equal(event_status(run), SYNC_STATUS_CANCELLED);
        run_free(run);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_c27_keys_and_nulls),
                cmocka_unit_test(test_c27_started_at_is_filled_in),
                cmocka_unit_test(test_c27_ends),
                cmocka_unit_test(test_c14_stopping_is_in_progress),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
