/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Runs in Repo's words, byte for byte as its document has them. */

#include "unit/view-fixture.h"

#include "model/view-repo.h"

static void write_run(JsonWriter *w, const Run *run)
{
        json_open_object(w, NULL);
        view_repo_run(w, run);
        json_close_object(w);
}

/* The document's own example, but for the ids, with our key after it. */
static void test_b2_example(void **state)
{
        Run *run = ended_run(RUN_SUCCEEDED);

        expect_json(write_run(&w, run),
                    "{\"id\":\"01973000-0000-7000-8000-000000000000\","
                    "\"connectorId\":\"c0000000-0000-4000-8000-000000000000\",\"status\":\"succeeded\","
                    "\"fullResync\":false,\"startedAt\":\"2026-05-30T20:00:00Z\","
                    "\"finishedAt\":\"2026-05-30T20:00:14Z\",\"itemsDiscovered\":18,\"itemsIngested\":3,"
                    "\"errorMessage\":null,\"createdAt\":\"2026-05-30T19:59:55Z\",\"outcome\":\"succeeded\"}");
        run_free(run);
}

static void test_b12_queued_has_nulls(void **state)
{
        Run *run = queued_run();

        run->full_resync = true;
        run->created_usec++;
        expect_json(write_run(&w, run),
                    "{\"id\":\"01973000-0000-7000-8000-000000000000\","
                    "\"connectorId\":\"c0000000-0000-4000-8000-000000000000\",\"status\":\"queued\","
                    "\"fullResync\":true,\"startedAt\":null,\"finishedAt\":null,\"itemsDiscovered\":null,"
                    "\"itemsIngested\":null,\"errorMessage\":null,\"createdAt\":\"2026-05-30T19:59:55.000001Z\","
                    "\"outcome\":null}");
        run_free(run);
}

static void test_b3_states(void **state)
{
        static const RepoStatus by_outcome[] = {
                [RUN_SUCCEEDED] = REPO_SUCCEEDED, [RUN_PARTIAL] = REPO_SUCCEEDED, [RUN_FAILED] = REPO_FAILED,
                [RUN_CANCELLED] = REPO_FAILED,    [RUN_SKIPPED] = REPO_SUCCEEDED,
        };
        Run *run = ended_run(RUN_FAILED);

        static_assert(ELEMENTSOF(by_outcome) == _RUN_OUTCOME_MAX, "all");
        for (RunState s = 0; s < RUN_FINISHED; s++) {
                run->state = s;
                run->stage = SYNC_STAGE_QUEUED;
                assert_int_equal(repo_status_of(run), REPO_QUEUED);
                for (run->stage = SYNC_STAGE_STARTED; run->stage <= SYNC_STAGE_SAVING; run->stage++)
                        assert_int_equal(repo_status_of(run), REPO_RUNNING);
        }
        run->state = RUN_FINISHED;
        for (RunOutcome o = 0; o < _RUN_OUTCOME_MAX; o++) {
                run->outcome = o;
                assert_int_equal(repo_status_of(run), by_outcome[o]);
        }
        run_free(run);
}

/* A run whose end is recorded and whose unit still runs has not ended for those who look. */
static void test_b3_stopping_tells_no_end(void **state)
{
        Run *run = ended_run(RUN_FAILED);

        run->state = RUN_STOPPING;
        run->finished_usec = 0;
        run->error = copy("no such host");
        expect_json(write_run(&w, run),
                    "{\"id\":\"01973000-0000-7000-8000-000000000000\","
                    "\"connectorId\":\"c0000000-0000-4000-8000-000000000000\",\"status\":\"running\","
                    "\"fullResync\":false,\"startedAt\":\"2026-05-30T20:00:00Z\",\"finishedAt\":null,"
                    "\"itemsDiscovered\":18,\"itemsIngested\":3,\"errorMessage\":null,"
                    "\"createdAt\":\"2026-05-30T19:59:55Z\",\"outcome\":null}");
        run_free(run);
}

static void test_b5_error_message(void **state)
{
        static const struct {
                RunOutcome outcome;
                const char *error, *message;
                const char *tail;
        } rows[] = {
                { RUN_FAILED,
                  "401: \"no\" – Gr\xc3\xbc\xc3\x9f"
                  "e\n",
                  "Sync failed",
                  "\"errorMessage\":\"401: \\\"no\\\" – Gr\xc3\xbc\xc3\x9f"
                  "e\\n\"" },
                { RUN_FAILED, NULL, "Sync failed", "\"errorMessage\":\"Sync failed\"" },
                { RUN_CANCELLED, NULL, "Sync cancelled", "\"errorMessage\":\"Sync cancelled\"" },
                { RUN_PARTIAL, NULL, "1 of 2 accounts failed", "\"errorMessage\":\"1 of 2 accounts failed\"" },
                { RUN_CANCELLED, NULL, NULL, "\"errorMessage\":\"Sync cancelled\"" },
                { RUN_PARTIAL, NULL, NULL, "\"errorMessage\":\"Sync completed in part\"" },
                { RUN_FAILED, NULL, NULL, "\"errorMessage\":\"Sync failed\"" },
                { RUN_SUCCEEDED, NULL, NULL, "\"errorMessage\":null" },
                { RUN_SUCCEEDED, NULL, "Sync completed", "\"errorMessage\":null" },
                { RUN_SKIPPED, NULL, "another run is active", "\"errorMessage\":null" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                Run *run = ended_run(rows[i].outcome);
                Buffer buffer = {};
                JsonWriter w = JSON_WRITER_INIT(&buffer);
                char *text;

                run->error = rows[i].error ? copy(rows[i].error) : NULL;
                run->message = rows[i].message ? copy(rows[i].message) : NULL;
                write_run(&w, run);
                expect_ok(buffer_take(&buffer, &text));
                assert_non_null(strstr(text, rows[i].tail));
                free(text);
                run_free(run);
        }
}

/* It has no connector and no counts of ours. */
static void test_b4_run_from_outside(void **state)
{
        Run *run = ended_run(RUN_SUCCEEDED);

        run->connector = (free(run->connector), NULL);
        run->connector_id = (free(run->connector_id), NULL);
        run->items_processed = 42;
        run->counts = (Counts){};
        expect_json(write_run(&w, run),
                    "{\"id\":\"01973000-0000-7000-8000-000000000000\",\"connectorId\":null,\"status\":\"succeeded\","
                    "\"fullResync\":false,\"startedAt\":\"2026-05-30T20:00:00Z\","
                    "\"finishedAt\":\"2026-05-30T20:00:14Z\",\"itemsDiscovered\":42,\"itemsIngested\":null,"
                    "\"errorMessage\":null,\"createdAt\":\"2026-05-30T19:59:55Z\",\"outcome\":\"succeeded\"}");
        run_free(run);
}

static void write_accounts(JsonWriter *w, const Run *run)
{
        json_open_object(w, NULL);
        view_repo_accounts(w, run);
        json_close_object(w);
}

static void test_accounts(void **state)
{
        Run *run = ended_run(RUN_PARTIAL);
        Account *account;

        expect_json(write_accounts(&w, run), "{\"accounts\":[]}");
        expect_ok(run_find_account(run, "checking", true, &account));
        account->status = ACCOUNT_FAILED;
        account->counts = (Counts){ 4, 1, 2, 1 };
        account->error = copy("consent has expired");
        account->started_usec = A_TIME;
        expect_json(write_accounts(&w, run),
                    "{\"accounts\":[{\"account\":\"checking\",\"status\":\"failed\",\"itemsDiscovered\":4,"
                    "\"itemsAdded\":1,\"itemsUpdated\":2,\"itemsDeduped\":1,"
                    "\"errorMessage\":\"consent has expired\",\"startedAt\":\"2026-05-30T20:00:00Z\","
                    "\"finishedAt\":null}]}");
        run_free(run);
}

/* The document's own example, but for the ids. */
static void test_b8_answer_to_a_post(void **state)
{
        Run *run = queued_run();

        run->created_usec = A_TIME + 14 * USEC_PER_MINUTE;
        expect_json(view_repo_started(&w, run, false),
                    "{\"syncRun\":{\"id\":\"01973000-0000-7000-8000-000000000000\","
                    "\"connectorId\":\"c0000000-0000-4000-8000-000000000000\",\"status\":\"queued\","
                    "\"fullResync\":false,\"createdAt\":\"2026-05-30T20:14:00Z\"},\"alreadyActive\":false}");
        run->state = RUN_STARTING;
        expect_json(view_repo_started(&w, run, false),
                    "{\"syncRun\":{\"id\":\"01973000-0000-7000-8000-000000000000\","
                    "\"connectorId\":\"c0000000-0000-4000-8000-000000000000\",\"status\":\"queued\","
                    "\"fullResync\":false,\"createdAt\":\"2026-05-30T20:14:00Z\"},\"alreadyActive\":false}");
        run_free(run);
}

static void test_b9_run_that_was_active(void **state)
{
        Run *run = queued_run();

        run->state = RUN_RUNNING;
        run->stage = SYNC_STAGE_STARTED;
        run->full_resync = true;
        expect_json(view_repo_started(&w, run, true),
                    "{\"syncRun\":{\"id\":\"01973000-0000-7000-8000-000000000000\","
                    "\"connectorId\":\"c0000000-0000-4000-8000-000000000000\",\"status\":\"running\","
                    "\"fullResync\":true,\"createdAt\":\"2026-05-30T19:59:55Z\"},\"alreadyActive\":true}");
        run_free(run);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_b2_example),
                cmocka_unit_test(test_b12_queued_has_nulls),
                cmocka_unit_test(test_b3_states),
                cmocka_unit_test(test_b3_stopping_tells_no_end),
                cmocka_unit_test(test_b5_error_message),
                cmocka_unit_test(test_b4_run_from_outside),
                cmocka_unit_test(test_accounts),
                cmocka_unit_test(test_b8_answer_to_a_post),
                cmocka_unit_test(test_b9_run_that_was_active),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
