/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Syncs in Redbark's words: the words are the document's, the bytes ours. */

#include "unit/view-fixture.h"

#include <stdio.h>

#include "base/string-util.h"
#include "model/view-redbark.h"

static const Attention no_attention = { .category = _ATTENTION_INVALID };

static char *const pull[] = { (char *) "/usr/bin/pull", NULL };

static const ConnectorDefinition bank = {
        .name = (char *) "bank",
        .description = (char *) "My bank",
        .provider = (char *) "giro",
        .connection = (char *) "giro-login",
        .exec_pull = (char **) pull,
        .destination = DESTINATION_SQLITE,
        .destination_path = (char *) "%S/items.db",
};

static RedbarkSync new_sync(void)
{
        return (RedbarkSync){
                .definition = &bank,
                .id = CONNECTOR_ID,
                .active = true,
                .follow_up = RUN_TRIGGER_REMOTE,
                .next_usec = USEC_INFINITY,
                .last_outcome = _RUN_OUTCOME_INVALID,
                .attention = &no_attention,
        };
}

static void write_sync(JsonWriter *w, const RedbarkSync *sync)
{
        json_open_object(w, NULL);
        view_redbark_sync(w, sync);
        json_close_object(w);
}

static void test_a10_statuses(void **state)
{
        static const Attention expired = { .category = ATTENTION_CONSENT_EXPIRED };
        ConnectorDefinition broken = bank;
        RedbarkSync sync = new_sync();

        broken.load_state = LOAD_BAD_SETTING;
        assert_int_equal(redbark_sync_status_of(&sync), REDBARK_SYNC_ACTIVE);
        sync.active_run_id = RUN_ID;
        assert_int_equal(redbark_sync_status_of(&sync), REDBARK_SYNC_SYNCING);
        sync.attention = &expired;
        assert_int_equal(redbark_sync_status_of(&sync), REDBARK_SYNC_NEEDS_ATTENTION);
        sync.active = false; /* a last run still goes on */
        assert_int_equal(redbark_sync_status_of(&sync), REDBARK_SYNC_NEEDS_ATTENTION);
        sync.active_run_id = NULL;
        assert_int_equal(redbark_sync_status_of(&sync), REDBARK_SYNC_INACTIVE);
        sync.active = true;
        assert_int_equal(redbark_sync_status_of(&sync), REDBARK_SYNC_NEEDS_ATTENTION);
        sync.attention = &no_attention;
        sync.definition = &broken;
        assert_int_equal(redbark_sync_status_of(&sync), REDBARK_SYNC_NEEDS_ATTENTION);
}

static void test_sync_that_has_not_run(void **state)
{
        RedbarkSync sync = new_sync();

        expect_json(write_sync(&w, &sync),
                    "{\"id\":\"c0000000-0000-4000-8000-000000000000\",\"name\":\"bank\","
                    "\"description\":\"My bank\",\"provider\":\"giro\",\"source\":\"pull\",\"userId\":null,"
                    "\"connection\":\"giro-login\",\"destinationType\":\"sqlite\",\"status\":\"Active\","
                    "\"active\":true,\"runnable\":true,\"activeRunId\":null,\"nextRunAt\":null,\"lastRun\":null,\"attention\":null}");
}

static void test_a8_attention_and_a_strip_of_outcomes(void **state)
{
        static const Attention lost = {
                .category = ATTENTION_CONNECTION_LOST,
                .message = (char *) "ITEM_LOGIN_REQUIRED",
                .since_usec = A_TIME,
                .run_id = (char *) RUN_ID,
        };
        static const RedbarkMark marks[] = {
                { (char *) "3", RUN_RUNNING, _RUN_OUTCOME_INVALID, A_TIME + 9, 0 },
                { (char *) "2", RUN_FINISHED, RUN_CANCELLED, 0, A_TIME },
                { (char *) "1", RUN_FINISHED, RUN_PARTIAL, A_TIME, A_TIME + 2500 * USEC_PER_MSEC },
        };
        RedbarkSync sync = new_sync();

        sync.attention = &lost;
        sync.next_usec = A_TIME + USEC_PER_HOUR;
        sync.last_run_id = "2";
        sync.last_outcome = RUN_CANCELLED;
        sync.last_finished_usec = A_TIME;
        sync.active_run_id = "3";
        sync.with_marks = true;
        sync.marks = marks;
        sync.n_marks = ELEMENTSOF(marks);
        expect_json(write_sync(&w, &sync),
                    "{\"id\":\"c0000000-0000-4000-8000-000000000000\",\"name\":\"bank\","
                    "\"description\":\"My bank\",\"provider\":\"giro\",\"source\":\"pull\",\"userId\":null,"
                    "\"connection\":\"giro-login\",\"destinationType\":\"sqlite\",\"status\":\"Needs attention\","
                    "\"active\":true,\"runnable\":true,\"activeRunId\":\"3\",\"nextRunAt\":\"2026-05-30T21:00:00Z\","
                    "\"lastRun\":{\"id\":\"2\",\"status\":\"Failed\",\"outcome\":\"cancelled\","
                    "\"finishedAt\":\"2026-05-30T20:00:00Z\"},"
                    "\"attention\":{\"category\":\"connection_lost\",\"title\":\"Bank connection lost\","
                    "\"advice\":\"Reconnect the connection; its syncs then run by themselves.\","
                    "\"since\":\"2026-05-30T20:00:00Z\",\"message\":\"ITEM_LOGIN_REQUIRED\","
                    "\"runId\":\"01973000-0000-7000-8000-000000000000\"},"
                    "\"outcomes\":[{\"id\":\"3\",\"status\":\"Running\",\"outcome\":null,"
                    "\"startedAt\":\"2026-05-30T20:00:00.000009Z\",\"durationMs\":null},"
                    "{\"id\":\"2\",\"status\":\"Failed\",\"outcome\":\"cancelled\",\"startedAt\":null,"
                    "\"durationMs\":null},"
                    "{\"id\":\"1\",\"status\":\"Success\",\"outcome\":\"partial\","
                    "\"startedAt\":\"2026-05-30T20:00:00Z\",\"durationMs\":2500}]}");
}

/* A9: the six, where the document puts expired and withdrawn into one. */
static void test_a9_categories(void **state)
{
        static const char *const titles[] = {
                [ATTENTION_DESTINATION_AUTH_EXPIRED] = "Destination authentication expired",
                [ATTENTION_CONNECTION_LOST] = "Bank connection lost",
                [ATTENTION_CONSENT_EXPIRED] = "Bank consent expired or withdrawn",
                [ATTENTION_CONSENT_WITHDRAWN] = "Bank consent expired or withdrawn",
                [ATTENTION_CONFIGURATION_ERROR] = "Sync configuration error",
                [ATTENTION_DESTINATION_DELETED] = "Destination resource deleted",
                [ATTENTION_DATA_ERROR] = "Data error",
        };

        static_assert(ELEMENTSOF(titles) == _ATTENTION_MAX, "all");
        for (AttentionCategory c = 0; c < _ATTENTION_MAX; c++) {
                const Attention attention = { .category = c, .since_usec = A_TIME };
                _cleanup_free_ char *expected = asprintf_or_null(
                                "{\"id\":\"c0000000-0000-4000-8000-000000000000\",\"name\":\"bank\","
                                "\"description\":\"My bank\",\"provider\":\"giro\",\"source\":\"pull\","
                                "\"userId\":null,\"connection\":\"giro-login\",\"destinationType\":\"sqlite\","
                                "\"status\":\"Needs attention\",\"active\":true,\"runnable\":true,\"activeRunId\":null,"
                                "\"nextRunAt\":null,\"lastRun\":null,\"attention\":{\"category\":\"%s\","
                                "\"title\":\"%s\",\"advice\":\"%s\",\"since\":\"2026-05-30T20:00:00Z\","
                                "\"message\":null,\"runId\":null}}",
                                attention_category_to_string(c), titles[c], attention_advice(c));
                RedbarkSync sync = new_sync();

                sync.attention = &attention;
                expect_json(write_sync(&w, &sync), expected);
        }
}

static void write_detail(JsonWriter *w, const ConnectorDefinition *definition)
{
        RedbarkSync sync = new_sync();

        sync.definition = definition;
        sync.consecutive_failures = 2;
        json_open_object(w, NULL);
        view_redbark_sync_detail(w, &sync);
        json_close_object(w);
}

/* Of a destination, what is no secret. */
static void test_destinations(void **state)
{
        static const struct {
                const char *url, *target;
        } urls[] = {
                { "https://example.org/hook/s3cret?token=1", "\"https://example.org\"" },
                { "https://example.org:8443", "\"https://example.org:8443\"" },
                { "https://example.org?token=1", "\"https://example.org\"" },
                { "https://me:s3cret@example.org/", "null" },
                { "nonsense", "null" },
        };
        char *store[] = { (char *) "/usr/bin/load", (char *) "--password=s3cret", NULL };
        CalendarItem calendar = { .text = (char *) "hourly" };
        ConnectorDefinition d = bank;

        d.calendars = &calendar;
        d.n_calendars = 1;
        expect_json(write_detail(&w, &d),
                    "{\"destination\":{\"type\":\"sqlite\",\"target\":\"%S/items.db\",\"state\":\"active\",\"failures\":0},\"schedule\":[\"hourly\"],"
                    "\"everyMs\":null,\"followUp\":\"remote\",\"consecutiveFailures\":2,\"loadState\":\"loaded\",\"loadError\":null,\"settingsPath\":null}");
        d.n_calendars = 0;
        d.every_usec = 15 * USEC_PER_MINUTE;
        d.destination = DESTINATION_EXEC;
        d.exec_store = store;
        d.load_state = LOAD_BAD_SETTING;
        d.load_error = (char *) "bank.connector:3: Every=: no";
        expect_json(write_detail(&w, &d),
                    "{\"destination\":{\"type\":\"exec\",\"target\":\"/usr/bin/load\",\"state\":\"active\",\"failures\":0},\"schedule\":[],"
                    "\"everyMs\":900000,\"followUp\":\"remote\",\"consecutiveFailures\":2,\"loadState\":\"bad-setting\","
                    "\"loadError\":\"bank.connector:3: Every=: no\",\"settingsPath\":null}");
        d = bank;
        d.destination = DESTINATION_WEBHOOK;
        for (size_t i = 0; i < ELEMENTSOF(urls); i++) {
                _cleanup_free_ char *expected = asprintf_or_null(
                                "{\"destination\":{\"type\":\"webhook\",\"target\":%s,\"state\":\"active\",\"failures\":0},\"schedule\":[],"
                                "\"everyMs\":null,\"followUp\":\"remote\",\"consecutiveFailures\":2,\"loadState\":\"loaded\","
                                "\"loadError\":null,\"settingsPath\":null}",
                                urls[i].target);

                d.url = (char *) urls[i].url;
                expect_json(write_detail(&w, &d), expected);
        }
}

static void expect_has(Buffer *buffer, const char *expected)
{
        if (!strstr(buffer->data, expected))
                fail_msg("%s is not in %s", expected, buffer->data);
        buffer_done(buffer);
}

static void expect_connection_has(const RedbarkConnection *connection, const char *expected)
{
        Buffer buffer = {};
        JsonWriter w = JSON_WRITER_INIT(&buffer);

        view_redbark_connection(&w, NULL, connection);
        expect_has(&buffer, expected);
}

static void expect_sync_has(const RedbarkSync *sync, const char *expected)
{
        Buffer buffer = {};
        JsonWriter w = JSON_WRITER_INIT(&buffer);

        write_sync(&w, sync);
        expect_has(&buffer, expected);
}

/* One whose file cannot be used, and one whose runs happen elsewhere, cannot be started; what needs attention can. */
static void test_runnable(void **state)
{
        static const Attention wrong = { .category = ATTENTION_CONFIGURATION_ERROR };
        ConnectorDefinition broken = bank, elsewhere = bank;
        RedbarkSync sync = new_sync();

        broken.load_state = LOAD_BAD_SETTING;
        elsewhere.exec_pull = NULL;
        sync.attention = &wrong;
        expect_sync_has(&sync, "\"runnable\":true,");
        sync.definition = &broken;
        expect_sync_has(&sync, "\"runnable\":false,");
        sync.definition = &elsewhere;
        expect_sync_has(&sync, "\"runnable\":false,");
}

static void test_connections(void **state)
{
        static const char *const names[] = { "bank", "cards" };
        RedbarkConnection connection = {
                .name = "giro-login", .consent_expires_usec = USEC_INFINITY,
                .reconnect_result = _RECONNECT_RESULT_INVALID, .connectors = names, .n_connectors = 2
        };
        char *accounts[] = { (char *) "giro", NULL };

        expect_json(view_redbark_connection(&w, NULL, &connection),
                    "{\"name\":\"giro-login\",\"provider\":null,\"description\":null,\"status\":\"Active\",\"state\":\"active\","
                    "\"advice\":null,\"since\":null,\"reason\":null,\"message\":null,\"consentExpiresAt\":null,\"reconnecting\":false,"
                    "\"reconnectResult\":null,\"reconnectMessage\":null,\"reconnectFinishedAt\":null,"
                    "\"accounts\":[],\"connectors\":[\"bank\",\"cards\"]}");
        connection.state = CONNECTION_WITHDRAWN;
        connection.provider = "acme";
        connection.description = "The bank";
        connection.accounts = accounts;
        connection.consent_expires_usec = A_TIME;
        connection.reconnecting = true;
        connection.reconnect_result = RECONNECT_FAILED;
        connection.reconnect_message = "Your bank says no";
        connection.reconnect_finished_usec = A_TIME;
        connection.since_usec = A_TIME;
        connection.reason = "withdrawn by the user";
        connection.n_connectors = 1;
        expect_json(view_redbark_connection(&w, NULL, &connection),
                    "{\"name\":\"giro-login\",\"provider\":\"acme\",\"description\":\"The bank\","
                    "\"status\":\"Withdrawn\",\"state\":\"withdrawn\","
                    "\"advice\":\"Reconnect and give a fresh consent if the sync is to go on.\","
                    "\"since\":\"2026-05-30T20:00:00Z\",\"reason\":\"withdrawn by the user\",\"message\":\"withdrawn by the user\","
                    "\"consentExpiresAt\":\"2026-05-30T20:00:00Z\",\"reconnecting\":true,"
                    "\"reconnectResult\":\"failed\",\"reconnectMessage\":\"Your bank says no\","
                    "\"reconnectFinishedAt\":\"2026-05-30T20:00:00Z\","
                    "\"accounts\":[\"giro\"],\"connectors\":[\"bank\"]}");
        for (ConnectionState s = 0; s < _CONNECTION_STATE_MAX; s++) {
                char expected[64];

                connection.state = s;
                (void) snprintf(expected, sizeof(expected), "\"state\":\"%s\",\"advice\":%s", connection_state_to_string(s),
                                s == CONNECTION_ACTIVE ? "null" : "\"Reconnect");
                expect_connection_has(&connection, expected);
        }
}

static void add_account(Run *run, const char *name, AccountStatus status, Counts counts)
{
        Account *account;

        expect_ok(run_find_account(run, name, true, &account));
        account->status = status;
        account->counts = counts;
}

/* One row for each account: added, updated, deduped, its status and how long it took (A3, A6). */
static void test_a2_entry_of_the_feed(void **state)
{
        Run *run = ended_run(RUN_PARTIAL);

        add_account(run, "checking", ACCOUNT_SUCCESS, (Counts){ 18, 2, 1, 15 });
        run->accounts[0].started_usec = A_TIME;
        run->accounts[0].finished_usec = A_TIME + 1234567;
        add_account(run, "savings", ACCOUNT_NO_DATA, (Counts){});
        add_account(run, "card", ACCOUNT_FAILED, (Counts){});
        run->accounts[2].error = copy("locked");
        add_account(run, "loan", ACCOUNT_RUNNING, (Counts){});
        run->message = copy("1 of 4 accounts failed");
        run->requested_by = copy("key:phone");
        expect_json(view_redbark_run(&w, run, 4, 0),
                    "{\"id\":\"01973000-0000-7000-8000-000000000000\",\"status\":\"Success\","
                    "\"outcome\":\"partial\",\"trigger\":\"schedule\",\"requestedBy\":\"key:phone\",\"reason\":null,"
                    "\"fullResync\":false,\"createdAt\":\"2026-05-30T19:59:55Z\",\"startedAt\":\"2026-05-30T20:00:00Z\","
                    "\"finishedAt\":\"2026-05-30T20:00:14Z\",\"durationMs\":14000,\"added\":2,\"updated\":1,"
                    "\"deduped\":15,\"message\":\"1 of 4 accounts failed\","
                    "\"errorMessage\":\"1 of 4 accounts failed\",\"accounts\":["
                    "{\"account\":\"checking\",\"status\":\"Success\",\"added\":2,\"updated\":1,\"deduped\":15,"
                    "\"durationMs\":1234,\"errorMessage\":null},"
                    "{\"account\":\"savings\",\"status\":\"No data\",\"added\":0,\"updated\":0,\"deduped\":0,"
                    "\"durationMs\":null,\"errorMessage\":null},"
                    "{\"account\":\"card\",\"status\":\"Failed\",\"added\":0,\"updated\":0,\"deduped\":0,"
                    "\"durationMs\":null,\"errorMessage\":\"locked\"},"
                    "{\"account\":\"loan\",\"status\":null,\"added\":0,\"updated\":0,\"deduped\":0,"
                    "\"durationMs\":null,\"errorMessage\":null}],\"accountsOmitted\":0}");
        expect_json(view_redbark_run(&w, run, 0, 4),
                    "{\"id\":\"01973000-0000-7000-8000-000000000000\",\"status\":\"Success\","
                    "\"outcome\":\"partial\",\"trigger\":\"schedule\",\"requestedBy\":\"key:phone\",\"reason\":null,"
                    "\"fullResync\":false,\"createdAt\":\"2026-05-30T19:59:55Z\",\"startedAt\":\"2026-05-30T20:00:00Z\","
                    "\"finishedAt\":\"2026-05-30T20:00:14Z\",\"durationMs\":14000,\"added\":2,\"updated\":1,"
                    "\"deduped\":15,\"message\":\"1 of 4 accounts failed\","
                    "\"errorMessage\":\"1 of 4 accounts failed\",\"accounts\":[],\"accountsOmitted\":4}");
        run_free(run);
}

static void test_a5_statuses(void **state)
{
        static const RedbarkRunStatus by_outcome[] = {
                [RUN_SUCCEEDED] = REDBARK_RUN_SUCCESS, [RUN_PARTIAL] = REDBARK_RUN_SUCCESS,
                [RUN_FAILED] = REDBARK_RUN_FAILED,     [RUN_CANCELLED] = REDBARK_RUN_FAILED,
                [RUN_SKIPPED] = REDBARK_RUN_SUCCESS,
        };

        static_assert(ELEMENTSOF(by_outcome) == _RUN_OUTCOME_MAX, "all");
        for (RunOutcome o = 0; o < _RUN_OUTCOME_MAX; o++)
                for (RunState s = 0; s < _RUN_STATE_MAX; s++)
                        assert_int_equal(redbark_run_status_of(s, o),
                                         s == RUN_FINISHED ? by_outcome[o] : REDBARK_RUN_RUNNING);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a10_statuses),
                cmocka_unit_test(test_sync_that_has_not_run),
                cmocka_unit_test(test_a8_attention_and_a_strip_of_outcomes),
                cmocka_unit_test(test_a9_categories),
                cmocka_unit_test(test_destinations),
                cmocka_unit_test(test_connections),
                cmocka_unit_test(test_runnable),
                cmocka_unit_test(test_a2_entry_of_the_feed),
                cmocka_unit_test(test_a5_statuses),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
