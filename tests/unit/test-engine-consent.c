/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A consent that has ended or was withdrawn: each connector that needs it says so, and no longer when it is there
 * again. */

#include "unit/expect.h"

#include "engine/webhooks.h"
#include "unit/connection-fixture.h"

#define ENDS_TOMORROW "[Connection]\nConsentExpires=2027-01-02T12:00:00Z\n"

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
        fixture_load_connection(f, "[Connection]\nConsentExpires=2028-01-02T12:00:00Z\n");
        assert_int_equal(attention_of(f, "bank"), _ATTENTION_INVALID);
        assert_false(fixture_has(f->calls, "start"));
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

/* A later success shows that the consent is there after all; an earlier one does not. */
static void test_success(void **state)
{
        RunReport success = report_success();
        EngineFixture *f = *state;

        fixture_open_two(f);
        fixture_load_connection(f, ENDS_TOMORROW);
        expect_ok(fixture_start(f, "bank", false).error);
        fixture_run_until(f, fixture_worker_alive(f, "bank"));
        fixture_step_to(f, NOON + USEC_PER_DAY + USEC_PER_MINUTE);
        assert_int_equal(attention_of(f, "bank"), ATTENTION_CONSENT_EXPIRED);
        fixture_run_to_end(f, "bank", &success);
        fixture_settle(f);
        assert_int_equal(attention_of(f, "bank"), ATTENTION_CONSENT_EXPIRED);
        fixture_succeed_run(f, "bank");
        assert_int_equal(attention_of(f, "bank"), _ATTENTION_INVALID);
        assert_int_equal(attention_of(f, "mail"), ATTENTION_CONSENT_EXPIRED);
        fixture_close(f);
        fixture_open(f);
        assert_int_equal(attention_of(f, "bank"), _ATTENTION_INVALID);
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

int main(void)
{
        static const struct CMUnitTest tests[] = {
                ENGINE_TEST(test_expired), ENGINE_TEST(test_expired_meanwhile), ENGINE_TEST(test_runs_beside_it),
                ENGINE_TEST(test_expired_behind_a_run),
                ENGINE_TEST(test_success), ENGINE_TEST(test_withdrawn),         ENGINE_TEST(test_withdrawn_behind_a_run),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
