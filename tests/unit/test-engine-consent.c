/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A consent that has ended or was withdrawn: each connector that needs it says so, and no longer when it is there
 * again. */

#include "unit/expect.h"

#include "engine/webhooks.h"
#include "unit/connection-fixture.h"

#define ENDS_TOMORROW  "[Connection]\nConsentExpires=2027-01-02T12:00:00Z\n"
#define ENDS_NEXT_YEAR "[Connection]\nConsentExpires=2028-01-02T12:00:00Z\n"

static void on_endpoint(int error, const WebhookEndpoint *endpoint, void *userdata)
{
        expect_ok(error);
        *(bool *) userdata = true;
}

/* One that is asked for nothing: what it would be told is kept all the same, while another is enabled. */
static void add_endpoint(EngineFixture *f)
{
        char *why = NULL;
        bool added = false;

        f->settings.webhook_rules.allow_http = true;
        expect_ok(engine_add_webhook(f->engine, &(WebhookWish){ .url = "http://example.com/", .disabled = -1 },
                                     on_endpoint, &added, &why));
        f->settings.webhook_rules.allow_http = false; /* each attempt fails without a network */
        fixture_run_until(f, added);
}

static int64_t messages(EngineFixture *f, const char *type, const char *connector, const char *category)
{
        _cleanup_free_ char *sql = asprintf_or_null(
                        "SELECT count(*) FROM webhook_messages WHERE type = '%s' AND run_id IS NULL"
                        " AND json_extract(body, '$.data.connector') = '%s'"
                        " AND json_extract(body, '$.data.category') IS %s%s%s AND"
                        " json_extract(body, '$.data.run_id') IS NULL AND"
                        " connector = (SELECT key FROM connectors WHERE name = '%s')",
                        type, connector, category ? "'" : "", category ?: "NULL", category ? "'" : "", connector);

        assert_non_null(sql);
        return fixture_sql(f, sql);
}

static AttentionCategory attention_of(EngineFixture *f, const char *name)
{
        return fixture_connector(f, name)->record.attention.category;
}

/* Two connectors, an inactive one, and an endpoint; the consent ends. */
static void open_and_expire(EngineFixture *f)
{
        fixture_open_two(f);
        fixture_load_connector(f, "idle", SHARED "[Connector]\nEnabled=no\n");
        add_endpoint(f);
        fixture_load_connection(f, ENDS_TOMORROW);
        assert_false(fixture_has(f->news, "attention"));
        fixture_come_near(f, NOON + USEC_PER_DAY);
        fixture_run_until(f, fixture_has(f->news, "connection acme expired"));
        fixture_settle(f);
}

static void test_expired(void **state)
{
        static const char *const members[] = { "bank", "mail" };
        EngineFixture *f = *state;
        EngineStatus status;

        open_and_expire(f);
        for (size_t i = 0; i < ELEMENTSOF(members); i++) {
                const Attention *attention = &fixture_connector(f, members[i])->record.attention;

                assert_int_equal(attention->category, ATTENTION_CONSENT_EXPIRED);
                assert_string_equal(attention->message, "The consent ended 2027-01-02T12:00:00Z.");
                assert_int_equal(attention->since_usec, NOON + USEC_PER_DAY);
                assert_null(attention->run_id);
                assert_int_equal(messages(f, "sync.needs_attention", members[i], "consent_expired"), 1);
        }
        assert_int_equal(attention_of(f, "idle"), _ATTENTION_INVALID);
        assert_int_equal(messages(f, "sync.needs_attention", "idle", "consent_expired"), 0);
        engine_status(f->engine, &status);
        assert_int_equal(status.n_attention, 2);

        /* Once, also over a crash. */
        fixture_forget(f);
        fixture_kill(f);
        fixture_open(f);
        assert_int_equal(attention_of(f, "bank"), ATTENTION_CONSENT_EXPIRED);
        assert_false(fixture_has(f->news, "attention"));
        assert_int_equal(messages(f, "sync.needs_attention", "bank", "consent_expired"), 1);

        /* A new consent: told, and each runs once. */
        fixture_advance_clock(USEC_PER_MINUTE);
        fixture_reconnect(f);
        assert_int_equal(attention_of(f, "bank"), _ATTENTION_INVALID);
        assert_true(fixture_has(f->news, "attention bank -") && fixture_has(f->news, "attention mail -"));
        assert_int_equal(messages(f, "sync.recovered", "bank", NULL), 1);
        assert_int_equal(messages(f, "sync.recovered", "mail", NULL), 1);
        assert_true(fixture_has(f->calls, "start bank") && fixture_has(f->calls, "start mail"));
        assert_false(fixture_has(f->calls, "start idle"));
}

/* It ended while nobody was there to see it. */
static void test_expired_meanwhile(void **state)
{
        EngineFixture *f = *state;

        fixture_open_two(f);
        fixture_load_connection(f, ENDS_TOMORROW);
        fixture_close(f);
        fixture_advance_clock(2 * USEC_PER_DAY);
        fixture_open(f);
        assert_int_equal(attention_of(f, "bank"), ATTENTION_CONSENT_EXPIRED);
        assert_int_equal(fixture_connector(f, "bank")->record.attention.since_usec, NOON + USEC_PER_DAY);
        /* The clock was wrong, or the file. */
        fixture_step_to(f, NOON);
        assert_int_equal(attention_of(f, "bank"), _ATTENTION_INVALID);
        fixture_step_to(f, NOON + 2 * USEC_PER_DAY);
        assert_int_equal(attention_of(f, "bank"), ATTENTION_CONSENT_EXPIRED);
        fixture_load_connection(f, ENDS_NEXT_YEAR);
        assert_int_equal(attention_of(f, "bank"), _ATTENTION_INVALID);
}

/* The file says that there is a new consent: who waited for it runs, once. */
static void test_renewed_by_file(void **state)
{
        EngineFixture *f = *state;

        open_and_expire(f);
        fixture_load_connection(f, ENDS_NEXT_YEAR);
        expect_state(f, "active");
        assert_int_equal(messages(f, "sync.recovered", "bank", NULL), 1);
        assert_int_equal(fixture_count(f->calls, "start bank"), 1);
        assert_int_equal(fixture_count(f->calls, "start mail"), 1);
        assert_int_equal(fixture_count(f->calls, "start "), 2);
        fixture_load_connection(f, ENDS_NEXT_YEAR "Description=x\n");
        assert_int_equal(fixture_count(f->calls, "start "), 2);
}

/* The same, while the daemon was away; where one runs still, it runs again behind that. */
static void test_renewed_meanwhile(void **state)
{
        EngineFixture *f = *state;

        open_and_expire(f);
        expect_ok(fixture_start(f, "mail", false).error);
        fixture_run_until(f, fixture_worker_alive(f, "mail"));
        fixture_kill(f);
        fixture_write_connection(f, ENDS_NEXT_YEAR);
        fixture_forget(f);
        fixture_open(f);
        fixture_settle(f);
        assert_int_equal(fixture_count(f->calls, "start bank"), 1);
        assert_false(fixture_has(f->calls, "start mail"));
        fixture_worker_ends(f, "mail", NULL);
        fixture_settle(f);
        assert_int_equal(fixture_count(f->calls, "start mail"), 1);
        assert_false(fixture_has(f->calls, "start idle"));
}

/* It comes before what a run has needed; what a run says of it later is the run's. */
static void test_runs_beside_it(void **state)
{
        EngineFixture *f = *state;

        fixture_open_two(f);
        fixture_load_connection(f, ENDS_TOMORROW);
        fixture_fail_run(f, "mail", ATTENTION_DATA_ERROR);
        fixture_step_to(f, NOON + USEC_PER_DAY + USEC_PER_MINUTE);
        assert_int_equal(attention_of(f, "mail"), ATTENTION_CONSENT_EXPIRED);
        assert_null(fixture_connector(f, "mail")->record.attention.run_id);
        fixture_advance_clock(USEC_PER_MINUTE);
        fixture_fail_run(f, "mail", ATTENTION_CONSENT_EXPIRED);
        assert_non_null(fixture_connector(f, "mail")->record.attention.run_id);
        fixture_advance_clock(USEC_PER_MINUTE);
        fixture_reconnect(f);
        assert_int_equal(attention_of(f, "bank"), _ATTENTION_INVALID);
        assert_int_equal(attention_of(f, "mail"), ATTENTION_CONSENT_EXPIRED); /* until it has run */
        assert_true(fixture_has(f->calls, "start bank") && fixture_has(f->calls, "start mail"));
}

/* Its end is told, too, where one of them was before it: that one has its run's words. */
static void test_expired_behind_a_run(void **state)
{
        EngineFixture *f = *state;

        fixture_open_two(f);
        fixture_load_connection(f, ENDS_TOMORROW);
        fixture_fail_run(f, "mail", ATTENTION_CONSENT_EXPIRED);
        expect_state(f, "expired");
        assert_int_equal(attention_of(f, "bank"), _ATTENTION_INVALID);
        fixture_come_near(f, NOON + USEC_PER_DAY);
        fixture_run_until(f, attention_of(f, "bank") == ATTENTION_CONSENT_EXPIRED);
        fixture_settle(f);
        assert_non_null(fixture_connector(f, "mail")->record.attention.run_id);
        fixture_forget(f);
        fixture_close(f);
        fixture_open(f);
        assert_false(fixture_has(f->news, "attention"));
}

/* The same, where it has ended while nobody was there to see it. */
static void test_expired_meanwhile_behind_a_run(void **state)
{
        EngineFixture *f = *state;

        fixture_open_two(f);
        fixture_load_connection(f, ENDS_TOMORROW);
        fixture_fail_run(f, "mail", ATTENTION_CONSENT_EXPIRED);
        fixture_close(f);
        fixture_advance_clock(2 * USEC_PER_DAY);
        fixture_open(f);
        assert_int_equal(attention_of(f, "bank"), ATTENTION_CONSENT_EXPIRED);
}

/* A run does not give a consent: whatever comes of it, nothing is told, and the connector waits with the others. */
static void test_runs_do_not_end_it(void **state)
{
        static const AttentionCategory categories[] = { ATTENTION_DATA_ERROR, ATTENTION_CONNECTION_LOST };
        EngineFixture *f = *state;

        open_and_expire(f);
        fixture_forget(f);
        fixture_advance_clock(USEC_PER_MINUTE);
        fixture_succeed_run(f, "bank");
        for (size_t i = 0; i < ELEMENTSOF(categories); i++)
                fixture_fail_run(f, "bank", categories[i]);
        assert_int_equal(attention_of(f, "bank"), ATTENTION_CONSENT_EXPIRED);
        assert_null(fixture_connector(f, "bank")->record.attention.run_id);
        assert_false(fixture_has(f->news, "attention"));
        assert_int_equal(fixture_sql(f, "SELECT count(*) FROM webhook_messages WHERE type = 'sync.recovered'"), 0);
        assert_int_equal(messages(f, "sync.needs_attention", "bank", "consent_expired"), 1);
        /* What a run says itself is the run's words, until one goes well. */
        fixture_fail_run(f, "bank", ATTENTION_CONSENT_EXPIRED);
        assert_non_null(fixture_connector(f, "bank")->record.attention.run_id);
        fixture_succeed_run(f, "bank");
        assert_string_equal(fixture_connector(f, "bank")->record.attention.message,
                            "The consent ended 2027-01-02T12:00:00Z.");
        expect_state(f, "expired");
        assert_int_equal(fixture_sql(f, "SELECT count(*) FROM webhook_messages WHERE type = 'sync.recovered'"), 0);

        fixture_forget(f);
        fixture_advance_clock(USEC_PER_MINUTE);
        fixture_reconnect(f);
        assert_int_equal(fixture_count(f->calls, "start bank"), 1);
        assert_int_equal(fixture_count(f->calls, "start mail"), 1);
}

/* Lost beside that, and found by a run: that gives the others nothing to run for. */
static void test_recovery_does_not_end_it(void **state)
{
        EngineFixture *f = *state;

        open_and_expire(f);
        fixture_advance_clock(USEC_PER_MINUTE);
        fixture_fail_run(f, "bank", ATTENTION_CONSENT_EXPIRED);
        fixture_advance_clock(USEC_PER_MINUTE);
        fixture_forget(f);
        fixture_succeed_run(f, "bank");
        expect_state(f, "expired");
        assert_false(fixture_has(f->calls, "start mail"));
}

static void test_withdrawn(void **state)
{
        EngineFixture *f = *state;

        open_and_expire(f);
        fixture_forget(f);
        fixture_advance_clock(USEC_PER_MINUTE);
        fixture_withdraw(f, false);
        assert_int_equal(attention_of(f, "bank"), ATTENTION_CONSENT_WITHDRAWN);
        assert_string_equal(fixture_connector(f, "mail")->record.attention.message, "Withdrawn by uid:7.");
        assert_int_equal(attention_of(f, "idle"), _ATTENTION_INVALID);
        assert_int_equal(messages(f, "sync.needs_attention", "bank", "consent_withdrawn"), 1);
        fixture_kill(f);
        fixture_open(f);
        assert_int_equal(attention_of(f, "bank"), ATTENTION_CONSENT_WITHDRAWN);
        fixture_forget(f);
        fixture_advance_clock(USEC_PER_MINUTE);
        fixture_reconnect(f);
        assert_true(fixture_has(f->news, "attention bank -") && fixture_has(f->news, "attention mail -"));
        assert_int_equal(fixture_count(f->calls, "start bank"), 1);
        assert_int_equal(fixture_count(f->calls, "start mail"), 1);
}

/* Also where a run had said so already. */
static void test_withdrawn_behind_a_run(void **state)
{
        EngineFixture *f = *state;

        fixture_open_two(f);
        fixture_fail_run(f, "bank", ATTENTION_CONSENT_WITHDRAWN);
        expect_state(f, "withdrawn");
        fixture_withdraw(f, false);
        assert_int_equal(attention_of(f, "mail"), ATTENTION_CONSENT_WITHDRAWN);
}

/* ---- Who takes part */

static void switch_on(EngineFixture *f, const char *name, bool on)
{
        Answer a = {};

        expect_ok(engine_set_active(f->engine, name, on, on_answer, &a));
        fixture_run_until(f, a.n > 0);
        expect_ok(a.error);
        fixture_settle(f);
}

/* One that was off while its consent was withdrawn has nothing to do with a later loss. */
static void test_unaffected(void **state)
{
        RunReport success = report_success();
        EngineFixture *f = *state;

        fixture_open_two(f);
        switch_on(f, "mail", false);
        fixture_withdraw(f, false);
        fixture_reconnect(f);
        fixture_run_to_end(f, "bank", &success);
        switch_on(f, "mail", true);
        fixture_succeed_run(f, "mail");
        fixture_advance_clock(USEC_PER_MINUTE);
        fixture_fail_run(f, "bank", ATTENTION_CONNECTION_LOST);
        fixture_advance_clock(USEC_PER_MINUTE);
        fixture_forget(f);
        fixture_reconnect(f);
        assert_int_equal(fixture_count(f->calls, "start bank"), 1);
        assert_false(fixture_has(f->calls, "start mail"));
}

/* Who joins, or is switched on, when the consent is over waits for it like the others. */
static void take_part(EngineFixture *f, AttentionCategory category)
{
        static const char *const members[] = { "bank", "mail", "idle", "late", "away" };

        fixture_load_connector(f, "late", SHARED);
        switch_on(f, "idle", true);
        fixture_close(f);
        fixture_write_connector(f, "away", SHARED);
        fixture_open(f);
        fixture_settle(f);
        for (size_t i = 0; i < ELEMENTSOF(members); i++) {
                assert_int_equal(attention_of(f, members[i]), category);
                assert_int_equal(messages(f, "sync.needs_attention", members[i],
                                          attention_category_to_string(category)), 1);
        }
        f->settings.max_concurrent_runs = f->settings.max_concurrent_runs_per_provider = 9;
        expect_ok(engine_reload(f->engine, &f->settings));
        fixture_advance_clock(USEC_PER_MINUTE);
        fixture_forget(f);
        fixture_reconnect(f);
        for (size_t i = 0; i < ELEMENTSOF(members); i++) {
                _cleanup_free_ char *call = asprintf_or_null("start %s", members[i]);

                assert_int_equal(fixture_count(f->calls, call), 1);
                assert_int_equal(attention_of(f, members[i]), _ATTENTION_INVALID);
        }
}

static void test_joins_an_expired_one(void **state)
{
        open_and_expire(*state);
        take_part(*state, ATTENTION_CONSENT_EXPIRED);
}

static void test_joins_a_withdrawn_one(void **state)
{
        EngineFixture *f = *state;

        fixture_open_two(f);
        fixture_load_connector(f, "idle", SHARED "[Connector]\nEnabled=no\n");
        add_endpoint(f);
        fixture_withdraw(f, false);
        take_part(f, ATTENTION_CONSENT_WITHDRAWN);
}

#define ELSEWHERE CONNECTOR("[Connector]\nConnection=elsewhere\n")

static void expect_well(EngineFixture *f, const char *name)
{
        assert_int_equal(attention_of(f, name), _ATTENTION_INVALID);
        assert_int_equal(messages(f, "sync.recovered", name, NULL), 1);
        assert_true(fixture_connector(f, name)->active);
}

static void expect_elsewhere(EngineFixture *f, ConnectionState expected)
{
        Connection connection;

        expect_ok(engine_find_connection(f->engine, "elsewhere", &connection));
        assert_int_equal(connection.state, expected);
}

/* What one needed for a connection stays behind with that. */
static void test_leaving(void **state)
{
        EngineFixture *f = *state;

        fixture_open_two(f);
        add_endpoint(f);
        fixture_load_connector(f, "lost", CONNECTOR("[Connector]\nConnection=other\n"));
        fixture_fail_run(f, "lost", ATTENTION_CONNECTION_LOST);
        fixture_withdraw(f, false);
        fixture_load_connector(f, "bank", ELSEWHERE);
        fixture_load_connector(f, "mail", CONNECTOR());
        fixture_load_connector(f, "lost", ELSEWHERE);
        expect_well(f, "bank");
        expect_well(f, "mail");
        expect_well(f, "lost");
        expect_elsewhere(f, CONNECTION_ACTIVE);
        fixture_close(f);
        fixture_open(f);
        expect_elsewhere(f, CONNECTION_ACTIVE);
        assert_int_equal(attention_of(f, "bank"), _ATTENTION_INVALID);
}

static void test_leaving_meanwhile(void **state)
{
        EngineFixture *f = *state;

        fixture_open_two(f);
        add_endpoint(f);
        fixture_withdraw(f, false);
        fixture_close(f);
        fixture_write_connector(f, "bank", ELSEWHERE);
        fixture_write_connector(f, "mail", CONNECTOR());
        fixture_open(f);
        fixture_settle(f);
        expect_well(f, "bank");
        expect_well(f, "mail");
        expect_elsewhere(f, CONNECTION_ACTIVE);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                ENGINE_TEST(test_expired),
                ENGINE_TEST(test_expired_meanwhile),
                ENGINE_TEST(test_renewed_by_file),
                ENGINE_TEST(test_renewed_meanwhile),
                ENGINE_TEST(test_runs_beside_it),
                ENGINE_TEST(test_expired_behind_a_run),
                ENGINE_TEST(test_expired_meanwhile_behind_a_run),
                ENGINE_TEST(test_runs_do_not_end_it),
                ENGINE_TEST(test_recovery_does_not_end_it),
                ENGINE_TEST(test_withdrawn),
                ENGINE_TEST(test_withdrawn_behind_a_run),
                ENGINE_TEST(test_unaffected),
                ENGINE_TEST(test_joins_an_expired_one),
                ENGINE_TEST(test_joins_a_withdrawn_one),
                ENGINE_TEST(test_leaving),
                ENGINE_TEST(test_leaving_meanwhile),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
