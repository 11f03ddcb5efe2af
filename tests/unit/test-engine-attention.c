/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* When a connector needs a person (A8, A9), and the bulk reads that tell of it. */

#include "unit/expect.h"

#include "unit/engine-fixture.h"

#include <json-c/json.h>

#include "base/json-util.h"
#include "engine/attention-rules.h"

/* ---- The rules by themselves */

static Run ended(RunOutcome outcome, AttentionCategory category)
{
        return (Run){ .id = (char *) "run",
                      .outcome = outcome,
                      .category = category,
                      .finished_usec = 7,
                      .error = (char *) "no" };
}

static void test_rules(void **state)
{
        static const struct {
                RunOutcome outcome;
                AttentionCategory category;
                int changed;
                AttentionCategory attention;
                unsigned failures;
        } steps[] = {
                /* NotifyAfter=2 */
                { RUN_FAILED, _ATTENTION_INVALID, 0, _ATTENTION_INVALID, 1 },
                { RUN_SUCCEEDED, _ATTENTION_INVALID, 0, _ATTENTION_INVALID, 0 },
                { RUN_FAILED, _ATTENTION_INVALID, 0, _ATTENTION_INVALID, 1 },
                { RUN_CANCELLED, _ATTENTION_INVALID, 0, _ATTENTION_INVALID, 1 },
                { RUN_FAILED, _ATTENTION_INVALID, 1, ATTENTION_CONNECTION_LOST, 2 },
                { RUN_FAILED, _ATTENTION_INVALID, 0, ATTENTION_CONNECTION_LOST, 3 },
                { RUN_FAILED, ATTENTION_CONSENT_EXPIRED, 1, ATTENTION_CONSENT_EXPIRED, 4 },
                { RUN_FAILED, ATTENTION_CONSENT_EXPIRED, 0, ATTENTION_CONSENT_EXPIRED, 5 }, /* the same */
                { RUN_FAILED, _ATTENTION_INVALID, 0, ATTENTION_CONSENT_EXPIRED, 6 },
                { RUN_PARTIAL, _ATTENTION_INVALID, 0, ATTENTION_CONSENT_EXPIRED, 0 },
                { RUN_PARTIAL, ATTENTION_CONNECTION_LOST, 1, ATTENTION_CONNECTION_LOST, 0 },
                { RUN_SUCCEEDED, _ATTENTION_INVALID, 1, _ATTENTION_INVALID, 0 },
                { RUN_FAILED, ATTENTION_DESTINATION_DELETED, 1, ATTENTION_DESTINATION_DELETED, 1 }, /* at once */
                { RUN_SUCCEEDED, ATTENTION_DATA_ERROR, 1, _ATTENTION_INVALID, 0 },
        };
        ConnectorRecord record = CONNECTOR_RECORD_INIT;

        for (size_t i = 0; i < ELEMENTSOF(steps); i++) {
                const Run run = ended(steps[i].outcome, steps[i].category);

                assert_int_equal(attention_apply(&record, &run, ATTENTION_CONNECTION_LOST, 2, NULL), steps[i].changed);
                assert_int_equal(record.attention.category, steps[i].attention);
                assert_int_equal(record.consecutive_failures, steps[i].failures);
        }
        connector_record_done(&record);
}

static void test_message(void **state)
{
        ConnectorRecord record = CONNECTOR_RECORD_INIT;
        Run run = ended(RUN_FAILED, _ATTENTION_INVALID);

        assert_int_equal(attention_apply(&record, &run, ATTENTION_CONFIGURATION_ERROR, 1, NULL), 1);
        assert_string_equal(record.attention.message, "no");
        assert_int_equal(record.attention.since_usec, 7);
        assert_string_equal(record.attention.run_id, "run");
        attention_done(&record.attention);
        record.attention.category = _ATTENTION_INVALID;
        assert_int_equal(attention_apply(&record, &run, ATTENTION_CONFIGURATION_ERROR, 1, NULL), 1);
        assert_string_equal(record.attention.message, "Failed 2 times in a row: no");

        /* Other words for the same need are news; since when is not. */
        run = ended(RUN_FAILED, ATTENTION_CONFIGURATION_ERROR);
        run.error = (char *) "no such account";
        run.finished_usec = 9;
        run.id = (char *) "run2";
        assert_int_equal(attention_apply(&record, &run, ATTENTION_CONNECTION_LOST, 1, NULL), 1);
        assert_int_equal(record.attention.since_usec, 7);
        assert_string_equal(record.attention.run_id, "run2");
        connector_record_done(&record);
}

/* A cause that no person mends at the connector raises nothing, however often; the next failure counts on. */
static void test_lasting_without_a_category(void **state)
{
        ConnectorRecord record = CONNECTOR_RECORD_INIT;
        Run run = ended(RUN_FAILED, _ATTENTION_INVALID);

        for (int i = 0; i < 3; i++)
                assert_int_equal(attention_apply(&record, &run, _ATTENTION_INVALID, 1, NULL), 0);
        assert_int_equal(record.attention.category, _ATTENTION_INVALID);
        assert_int_equal(record.consecutive_failures, 3);
        assert_int_equal(attention_apply(&record, &run, ATTENTION_CONNECTION_LOST, 4, NULL), 1);
        connector_record_done(&record);
}

/* What the provider says itself, when to come again, nobody else can mend; but that no retry is left. */
static void test_put_off_by_the_provider(void **state)
{
        ConnectorRecord record = CONNECTOR_RECORD_INIT;
        Run run = ended(RUN_FAILED, _ATTENTION_INVALID);

        record.retry_at_usec = 9;
        record.retry_is_absolute = true;
        assert_int_equal(attention_apply(&record, &run, ATTENTION_CONNECTION_LOST, 1, NULL), 0);
        record.retry_at_usec = 0;
        assert_int_equal(attention_apply(&record, &run, ATTENTION_CONNECTION_LOST, 1, NULL), 1);
        connector_record_done(&record);
}

/* ---- In the engine */

static void test_raised_and_cleared(void **state)
{
        EngineFixture *f = *state;
        RunReport needs = report_category(ATTENTION_CONSENT_EXPIRED), success = report_success();
        char id[RUN_ID_MAX + 1];
        EngineStatus status;

        fixture_write_connector(f, "bank", CONNECTOR("[Run]\nNotifyAfter=5\n"));
        fixture_open(f);
        fixture_whole_run(f, "bank", &needs, id);
        assert_true(fixture_has(f->news, "attention bank consent_expired"));
        fixture_expect_order(f->news, "connector bank", "attention bank");
        engine_status(f->engine, &status);
        assert_int_equal(status.n_attention, 1);
        assert_string_equal(fixture_connector(f, "bank")->record.attention.message, "the bank wants to see you");
        assert_string_equal(fixture_connector(f, "bank")->record.attention.run_id, id);
        fixture_forget(f);
        fixture_kill(f);
        fixture_open(f);
        engine_status(f->engine, &status);
        assert_int_equal(status.n_attention, 1);
        assert_false(fixture_has(f->news, "attention"));
        fixture_whole_run(f, "bank", &success, id);
        assert_true(fixture_has(f->news, "attention bank -"));
        engine_status(f->engine, &status);
        assert_int_equal(status.n_attention, 0);
}

static void test_notify_after(void **state)
{
        EngineFixture *f = *state;
        RunReport report = report_failure("exit status 1", false);
        char id[RUN_ID_MAX + 1];

        fixture_write_connector(f, "bank", CONNECTOR("[Run]\nNotifyAfter=2\n"));
        fixture_open(f);
        fixture_whole_run(f, "bank", &report, id);
        assert_false(fixture_has(f->news, "attention"));
        fixture_whole_run(f, "bank", &report, id);
        assert_true(fixture_has(f->news, "attention bank connection_lost"));
        assert_string_equal(fixture_connector(f, "bank")->record.attention.message,
                            "Failed 2 times in a row: exit status 1");
}

/* Runs are counted, and retries are runs. */
static void test_notify_after_and_retries(void **state)
{
        EngineFixture *f = *state;
        RunReport report = report_failure("HTTP 503", true);
        char id[RUN_ID_MAX + 1];

        fixture_write_connector(f, "bank", CONNECTOR("[Run]\nRetryMax=5\nRetrySec=1h\nNotifyAfter=2\n"));
        fixture_write_connector(f, "mail", CONNECTOR("[Run]\nRetrySec=1h\n"));
        fixture_open(f);
        for (unsigned n = 1; n <= 2; n++) {
                fixture_whole_run(f, "bank", &report, id);
                assert_int_equal(fixture_connector(f, "bank")->record.attention.category,
                                 n < 2 ? _ATTENTION_INVALID : ATTENTION_CONNECTION_LOST);
        }
        assert_true(fixture_connector(f, "bank")->record.retry_at_usec > 0);
        fixture_whole_run(f, "mail", &report, id); /* as it is where nothing is set */
        assert_int_equal(fixture_connector(f, "mail")->record.attention.category, ATTENTION_CONNECTION_LOST);
        assert_true(fixture_connector(f, "mail")->record.retry_at_usec > 0);
}

static void partial_run(EngineFixture *f, AccountStatus checking, AttentionCategory category, AccountStatus savings)
{
        Account accounts[] = {
                { .name = (char *) "checking", .status = checking, .error = (char *) "no", .category = category },
                { .name = (char *) "savings", .status = savings, .category = _ATTENTION_INVALID },
        };
        RunReport report = RUN_REPORT_INIT;
        char id[RUN_ID_MAX + 1];

        report.outcome = RUN_PARTIAL;
        report.accounts = accounts;
        report.n_accounts = ELEMENTSOF(accounts);
        fixture_whole_run(f, "bank", &report, id);
}

/* Where accounts fail that need nothing, what was wrong before is past, unless it was theirs. */
static void test_partial_clears_what_it_got(void **state)
{
        EngineFixture *f = *state;
        RunReport failure = report_failure("HTTP 503", true);
        const Attention *attention;
        char id[RUN_ID_MAX + 1];

        fixture_write_connector(f, "bank", CONNECTOR("[Connector]\nConnection=acme\n[Run]\nRetrySec=1h\n"));
        fixture_open(f);
        attention = &fixture_connector(f, "bank")->record.attention;
        fixture_whole_run(f, "bank", &failure, id); /* no account's */
        assert_int_equal(attention->category, ATTENTION_CONNECTION_LOST);
        assert_int_equal(fixture_sql(f, "SELECT state = 'lost' FROM connections"), 1);
        fixture_forget(f);
        partial_run(f, ACCOUNT_SUCCESS, _ATTENTION_INVALID, ACCOUNT_FAILED);
        assert_true(fixture_has(f->news, "attention bank -"));
        assert_int_equal(fixture_sql(f, "SELECT state = 'active' FROM connections"), 1);

        partial_run(f, ACCOUNT_FAILED, ATTENTION_CONSENT_EXPIRED, ACCOUNT_SUCCESS);
        assert_int_equal(attention->category, ATTENTION_CONSENT_EXPIRED);
        partial_run(f, ACCOUNT_FAILED, _ATTENTION_INVALID, ACCOUNT_SUCCESS);
        assert_int_equal(attention->category, ATTENTION_CONSENT_EXPIRED);
        partial_run(f, ACCOUNT_NO_DATA, _ATTENTION_INVALID, ACCOUNT_FAILED);
        assert_int_equal(attention->category, _ATTENTION_INVALID);
}

/* A schedule that always comes before the retry: every run is a first attempt, and the failure lasts all the same. */
static void test_schedule_before_retries(void **state)
{
        EngineFixture *f = *state;
        RunReport failure = report_failure("HTTP 503", true), success = report_success();
        char id[RUN_ID_MAX + 1];

        fixture_write_connector(f, "bank", CONNECTOR("[Run]\nRetryMax=2\nRetrySec=1h\nNotifyAfter=3\n"));
        fixture_open(f);
        for (int round = 0; round < 2; round++) {
                for (int i = 0; i < 2; i++) {
                        fixture_whole_run(f, "bank", &failure, id);
                        assert_true(fixture_connector(f, "bank")->record.retry_at_usec > 0);
                        assert_false(fixture_has(f->news, "attention"));
                }
                fixture_whole_run(f, "bank", &failure, id);
                assert_true(fixture_has(f->news, "attention bank connection_lost"));
                assert_string_equal(fixture_connector(f, "bank")->record.attention.message,
                                    "Failed 3 times in a row: HTTP 503");
                fixture_whole_run(f, "bank", &success, id);
                fixture_forget(f);
        }
}

static AttentionCategory attention_of(EngineFixture *f, const char *name)
{
        return fixture_connector(f, name)->record.attention.category;
}

/* However a run was lost, it says nothing about settings. */
static void test_lost_runs_raise_nothing(void **state)
{
        EngineFixture *f = *state;
        Answer a;

        fixture_write_connector(f, "bank", CONNECTOR("[Run]\nRetryMax=0\n"));
        fixture_open(f);
        expect_ok(fixture_start(f, "bank", false).error);
        expect_ok(fixture_attach(f, "bank").error);
        fixture_worker_ends(f, "bank", "killed by signal KILL");
        assert_int_equal(attention_of(f, "bank"), _ATTENTION_INVALID);

        expect_ok(fixture_start(f, "bank", false).error);
        a = fixture_attach(f, "bank");
        expect_ok(a.error);
        fixture_worker_vanishes(f, "bank");
        fixture_close(f);
        (void) fixture_sql(f, "UPDATE runs SET clock_boot_id = 'another'"); /* and the machine went down */
        fixture_open(f);
        assert_int_equal(fixture_run(f, a.run_id)->outcome, RUN_FAILED);
        assert_int_equal(attention_of(f, "bank"), _ATTENTION_INVALID);
        assert_int_equal(fixture_connector(f, "bank")->record.consecutive_failures, 2);
}

/* What a limit or a launch that failed says. */
static void test_lasting_by_cause(void **state)
{
        static const struct {
                const char *name, *text;
                AttentionCategory category;
        } limits[] = {
                { "stall", CONNECTOR("[Run]\nRetryMax=0\nStallTimeoutSec=50ms\n"), ATTENTION_CONNECTION_LOST },
                { "slow", CONNECTOR("[Run]\nRetryMax=0\nTimeoutSec=50ms\n"), ATTENTION_CONFIGURATION_ERROR },
        };
        EngineFixture *f = *state;
        Answer a;

        for (size_t i = 0; i < ELEMENTSOF(limits); i++)
                fixture_write_connector(f, limits[i].name, limits[i].text);
        fixture_write_connector(f, "bank", CONNECTOR("[Run]\nRetryMax=0\n"));
        fixture_stop_clock(fixture_now(CLOCK_REALTIME));
        fixture_open(f);
        for (size_t i = 0; i < ELEMENTSOF(limits); i++) {
                expect_ok(fixture_start(f, limits[i].name, false).error);
                a = fixture_attach(f, limits[i].name);
                fixture_let_pass(50 * USEC_PER_MSEC);
                fixture_run_until(f, fixture_run(f, a.run_id)->state == RUN_STOPPING);
                fixture_settle(f);
                fixture_worker_ends(f, limits[i].name, "killed by signal TERM");
                assert_int_equal(attention_of(f, limits[i].name), limits[i].category);
        }
        f->start_slowly = true;
        expect_ok(fixture_start(f, "bank", false).error);
        fixture_settle(f);
        fixture_worker_start_failed(f, "bank", "it is masked");
        assert_int_equal(attention_of(f, "bank"), ATTENTION_CONFIGURATION_ERROR);
}

/* A category keeps a run from being retried, but where the connector itself says to: both sides agree. */
static void test_retry_beside_a_category(void **state)
{
        EngineFixture *f = *state;
        RunReport report = report_category(ATTENTION_CONSENT_EXPIRED), progress = RUN_REPORT_INIT;
        char id[RUN_ID_MAX + 1];

        fixture_write_connector(f, "bank", CONNECTOR());
        fixture_open(f);
        fixture_whole_run(f, "bank", &report, id);
        assert_int_equal(fixture_connector(f, "bank")->record.retry_at_usec, 0);
        report.retry = true;
        fixture_whole_run(f, "bank", &report, id);
        assert_int_equal(attention_of(f, "bank"), ATTENTION_CONSENT_EXPIRED);
        assert_int_equal(fixture_connector(f, "bank")->record.retry_attempt, 2);

        /* The engine's own ends do not know better than the category. */
        progress.attention = ATTENTION_CONSENT_EXPIRED;
        expect_ok(fixture_start(f, "bank", false).error);
        (void) snprintf(id, sizeof(id), "%s", fixture_attach(f, "bank").run_id);
        expect_ok(fixture_report(f, "bank", id, 1, &progress));
        fixture_worker_ends(f, "bank", "killed by signal KILL");
        assert_int_equal(fixture_run(f, id)->outcome, RUN_FAILED);
        assert_int_equal(fixture_connector(f, "bank")->record.retry_at_usec, 0);
}

/* ---- Bulk reads */

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
                cmocka_unit_test(test_rules),
                cmocka_unit_test(test_message),
                cmocka_unit_test(test_lasting_without_a_category),
                cmocka_unit_test(test_put_off_by_the_provider),
                ENGINE_TEST(test_raised_and_cleared),
                ENGINE_TEST(test_notify_after),
                ENGINE_TEST(test_notify_after_and_retries),
                ENGINE_TEST(test_partial_clears_what_it_got),
                ENGINE_TEST(test_schedule_before_retries),
                ENGINE_TEST(test_lost_runs_raise_nothing),
                ENGINE_TEST(test_lasting_by_cause),
                ENGINE_TEST(test_retry_beside_a_category),
                ENGINE_TEST(test_describe_connectors),
                ENGINE_TEST(test_describe_runs),
                ENGINE_TEST(test_describe_events),
                ENGINE_TEST(test_retention),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
