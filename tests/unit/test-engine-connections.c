/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Connections: what moves their state (runs, people, the end of a consent, files), what follows from it, and that it
 * is kept. */

#include "unit/expect.h"

#include <stdlib.h>

#include "base/time-util.h"
#include "engine/engine-internal.h"
#include "model/zone.h"
#include "unit/connection-fixture.h"

/* ---- Runs */

static void test_categories_move_it(void **state)
{
        static const struct {
                AttentionCategory category;
                const char *state;
        } cases[] = {
                { ATTENTION_DATA_ERROR, "active" },           { ATTENTION_CONNECTION_LOST, "lost" },
                { ATTENTION_CONSENT_EXPIRED, "expired" },     { ATTENTION_DESTINATION_DELETED, "expired" },
                { ATTENTION_CONSENT_WITHDRAWN, "withdrawn" }, { ATTENTION_CONNECTION_LOST, "lost" },
        };
        EngineFixture *f = *state;

        fixture_open_two(f);
        expect_state(f, "active");
        assert_null(fixture_acme(f).reason);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                fixture_advance_clock(USEC_PER_MINUTE);
                fixture_fail_run(f, "bank", cases[i].category);
                expect_state(f, cases[i].state);
        }
        assert_string_equal(fixture_acme(f).reason, "the bank wants to see you");
        assert_string_equal(fixture_acme(f).record->run_id, fixture_connector(f, "bank")->record.last_run_id);
        assert_true(fixture_acme(f).since_usec >= NOON + 6 * USEC_PER_MINUTE);
        fixture_succeed_run(f, "bank");
        expect_state(f, "active");
        assert_null(fixture_acme(f).reason);
        assert_true(fixture_has(f->news, "connection acme lost"));
        assert_true(fixture_has(f->news, "connection acme withdrawn"));
}

/* The same state again: the first time counts, and the last words. */
static void test_since_is_the_first(void **state)
{
        EngineFixture *f = *state;
        usec_t since;

        fixture_open_two(f);
        fixture_fail_run(f, "bank", ATTENTION_CONNECTION_LOST);
        since = fixture_acme(f).since_usec;
        fixture_advance_clock(USEC_PER_HOUR);
        fixture_fail_run(f, "mail", ATTENTION_CONNECTION_LOST);
        assert_int_equal(fixture_acme(f).since_usec, since);
        assert_string_equal(fixture_acme(f).record->run_id, fixture_connector(f, "mail")->record.last_run_id);
}

/* One shows that it works: the others that waited for it run, once; one that needs it still waits for a person. */
static void test_recovery_by_a_run(void **state)
{
        RunReport lost = report_category(ATTENTION_CONNECTION_LOST);
        EngineFixture *f = *state;

        fixture_open_two(f);
        fixture_load_connector(f, "third", SHARED);
        fixture_fail_run(f, "bank", ATTENTION_CONNECTION_LOST);
        fixture_advance_clock(USEC_PER_MINUTE);
        fixture_forget(f);
        fixture_succeed_run(f, "mail");
        expect_state(f, "active");
        assert_true(fixture_has(f->calls, "start bank"));
        assert_false(fixture_has(f->calls, "start third"));
        assert_int_equal(fixture_connector(f, "bank")->run->trigger, RUN_TRIGGER_RECONNECT);
        fixture_advance_clock(USEC_PER_MINUTE);
        fixture_run_to_end(f, "bank", &lost);
        expect_state(f, "lost");

        fixture_advance_clock(USEC_PER_MINUTE);
        fixture_forget(f);
        fixture_succeed_run(f, "mail");
        expect_state(f, "active");
        assert_false(fixture_has(f->calls, "start bank"));
        fixture_forget(f);
        fixture_reconnect(f);
        assert_true(fixture_has(f->calls, "start bank"));
        assert_false(fixture_has(f->calls, "start mail"));
}

/* A run that began before it was lost says nothing of it. */
static void test_old_run_says_nothing(void **state)
{
        RunReport success = report_success();
        EngineFixture *f = *state;
        Answer a;

        fixture_open_two(f);
        expect_ok(fixture_start(f, "mail", false).error);
        a = fixture_attach(f, "mail");
        fixture_advance_clock(USEC_PER_MINUTE);
        fixture_fail_run(f, "bank", ATTENTION_CONNECTION_LOST);
        expect_ok(fixture_finish(f, "mail", a.run_id, 1, &success));
        fixture_worker_ends(f, "mail", NULL);
        fixture_settle(f);
        expect_state(f, "lost");
}

/* One that was asked for before, and began after, does. */
static void test_run_that_waited_says_it_works(void **state)
{
        RunReport success = report_success(), lost = report_category(ATTENTION_CONNECTION_LOST);
        EngineFixture *f = *state;

        f->settings.max_concurrent_runs = 1;
        fixture_open_two(f);
        expect_ok(fixture_start(f, "bank", false).error);
        expect_ok(fixture_start(f, "mail", false).error);
        fixture_advance_clock(USEC_PER_MINUTE);
        fixture_run_to_end(f, "bank", &lost);
        expect_state(f, "lost");
        fixture_advance_clock(USEC_PER_MINUTE);
        fixture_run_to_end(f, "mail", &success);
        fixture_settle(f);
        expect_state(f, "active");
}

/* ---- People */

/* Active by a person's word, although the connectors' attention stays until they have run. */
static void test_reconnected(void **state)
{
        EngineFixture *f = *state;

        fixture_open_two(f);
        fixture_fail_run(f, "bank", ATTENTION_CONSENT_EXPIRED);
        fixture_advance_clock(USEC_PER_MINUTE);
        fixture_reconnect(f);
        expect_state(f, "active");
        assert_in_range(fixture_acme(f).record->reconnected_usec, fixture_acme(f).since_usec,
                        fixture_acme(f).since_usec + USEC_PER_MINUTE);
        assert_int_equal(fixture_connector(f, "bank")->record.attention.category, ATTENTION_CONSENT_EXPIRED);
        fixture_close(f);
        fixture_open(f);
        expect_state(f, "active");
        RunReport again = report_category(ATTENTION_CONSENT_EXPIRED);
        fixture_run_to_end(f, "bank", &again);
        fixture_settle(f);
        expect_state(f, "expired");
}

static void test_kept(void **state)
{
        EngineFixture *f = *state;
        usec_t since;

        fixture_open_two(f);
        fixture_fail_run(f, "bank", ATTENTION_CONNECTION_LOST);
        since = fixture_acme(f).since_usec;
        fixture_kill(f);
        fixture_open(f);
        expect_state(f, "lost");
        assert_string_equal(fixture_acme(f).reason, "the bank wants to see you");
        assert_int_equal(fixture_acme(f).since_usec, since);
}

/* A history of before knows the connectors' attention alone. */
static void test_history_of_before(void **state)
{
        EngineFixture *f = *state;
        usec_t since;

        fixture_open_two(f);
        fixture_fail_run(f, "bank", ATTENTION_CONNECTION_LOST);
        since = fixture_connector(f, "bank")->record.attention.since_usec;
        fixture_close(f);
        (void) fixture_sql(f, "DELETE FROM connections");
        fixture_open(f);
        expect_state(f, "lost");
        assert_int_equal(fixture_acme(f).since_usec, since);
        assert_int_equal(fixture_sql(f, "SELECT state = 'lost' FROM connections"), 1);
}

/* What only a connector said that is gone does not hold. */
static void test_connector_goes(void **state)
{
        EngineFixture *f = *state;

        fixture_open_two(f);
        fixture_fail_run(f, "bank", ATTENTION_CONNECTION_LOST);
        fixture_load_connector(f, "bank", NULL);
        expect_state(f, "active");
        fixture_load_connector(f, "mail", CONNECTOR());
        assert_null(engine_next_connection(f->engine, NULL));
        assert_true(fixture_has(f->news, "connection- acme"));
}

/* ---- Files */

static void test_file(void **state)
{
        EngineFixture *f = *state;

        fixture_set_clock(NOON);
        fixture_open(f);
        assert_null(engine_next_connection(f->engine, NULL));
        fixture_load_connection(f, "[Connection]\nProvider=acme-bank\nAccounts=giro\n");
        expect_state(f, "active");
        assert_string_equal(fixture_acme(f).definition->provider, "acme-bank");
        assert_true(fixture_has(f->news, "connection acme active"));
        fixture_forget(f);
        fixture_load_connection(f, "[Connection]\nProvider=acme-bank\nAccounts=giro savings\n");
        assert_int_equal(strv_length(fixture_acme(f).definition->accounts), 2);
        assert_true(fixture_has(f->news, "connection acme"));
        fixture_load_connection(f, "[Connection]\nConsentExpires=never\n");
        assert_int_equal(fixture_acme(f).definition->load_state, LOAD_BAD_SETTING);
        fixture_load_connection(f, NULL);
        assert_null(engine_next_connection(f->engine, NULL));
        assert_true(fixture_has(f->news, "connection- acme"));
}

/* ---- The consent's end */

#define DAY             USEC_PER_DAY
#define ENDS_IN_60_DAYS "[Connection]\nConsentExpires=2027-03-02T12:00:00Z\n"

static void test_consent_ends(void **state)
{
        EngineFixture *f = *state;
        usec_t end = NOON + 60 * DAY;

        fixture_open_two(f);
        fixture_load_connection(f, ENDS_IN_60_DAYS);
        expect_state(f, "active");
        assert_int_equal(fixture_acme(f).consent_expires_usec, end);

        /* By the timer, not by being asked: what is told is what has changed. */
        fixture_come_near(f, end - 30 * DAY);
        fixture_forget(f);
        fixture_run_until(f, fixture_has(f->news, "connection acme expiring"));
        assert_int_equal(fixture_acme(f).since_usec, end - 30 * DAY);
        assert_string_equal(fixture_acme(f).reason, "The consent ends 2027-03-02T12:00:00Z.");
        fixture_come_near(f, end);
        fixture_run_until(f, fixture_has(f->news, "connection acme expired"));
        assert_int_equal(fixture_acme(f).since_usec, end);
        assert_string_equal(fixture_acme(f).reason, "The consent ended 2027-03-02T12:00:00Z.");
        assert_int_equal(fixture_count(f->news, "connection acme"), 2);

        /* A run's success does not give a consent. */
        fixture_succeed_run(f, "bank");
        expect_state(f, "expired");
        /* It is told once, also over a restart. */
        fixture_forget(f);
        fixture_close(f);
        fixture_open(f);
        assert_int_equal(fixture_sql(f, "SELECT shown = 'expired' FROM connections"), 1);
        /* The worse counts. */
        fixture_fail_run(f, "bank", ATTENTION_CONNECTION_LOST);
        expect_state(f, "expired");
        fixture_fail_run(f, "bank", ATTENTION_CONSENT_WITHDRAWN);
        expect_state(f, "withdrawn");
        /* A new consent: the end of the old one does not count. */
        fixture_reconnect(f);
        expect_state(f, "active");
        assert_true(fixture_acme(f).consent_expires_usec == USEC_INFINITY);
        fixture_load_connection(f, "[Connection]\nConsentExpires=2028-01-01 UTC\nExpiryWarningSec=1d\n");
        expect_state(f, "active");
        assert_true(fixture_acme(f).consent_expires_usec > end);
}

static void test_warning_is_configurable(void **state)
{
        EngineFixture *f = *state;

        fixture_set_clock(NOON);
        fixture_write_connection(f, "[Connection]\nConsentExpires=2027-01-03T12:00:00Z\nExpiryWarningSec=1d\n");
        fixture_open(f);
        expect_state(f, "active");
        fixture_load_connection(f, "[Connection]\nConsentExpires=2027-01-03T12:00:00Z\nExpiryWarningSec=2d\n");
        expect_state(f, "expiring");
        fixture_load_connection(f, "[Connection]\nConsentExpires=2027-01-03T12:00:00Z\nExpiryWarningSec=0\n");
        expect_state(f, "active");
}

/* What a reconnection says of the end counts more than the file. */
static void test_end_by_reconnection(void **state)
{
        EngineFixture *f = *state;
        ReconnectWish wish = { .requested_by = "uid:7", .consent_expires_usec = NOON + 10 * DAY };
        Answer a = {};

        fixture_open_two(f);
        fixture_load_connection(f, ENDS_IN_60_DAYS);
        expect_ok(engine_reconnect(f->engine, "acme", &wish, on_reconnect_answer, &a));
        fixture_run_until(f, a.n > 0);
        fixture_settle(f);
        assert_int_equal(fixture_acme(f).consent_expires_usec, NOON + 10 * DAY);
        expect_state(f, "expiring");
        fixture_close(f);
        fixture_open(f);
        assert_int_equal(fixture_acme(f).consent_expires_usec, NOON + 10 * DAY);
        fixture_come_near(f, NOON + 10 * DAY);
        fixture_forget(f);
        fixture_run_until(f, fixture_has(f->news, "connection acme expired"));
}

static void test_clock_steps(void **state)
{
        EngineFixture *f = *state;
        usec_t end = NOON + 60 * DAY;

        fixture_open_two(f);
        fixture_load_connection(f, ENDS_IN_60_DAYS);
        fixture_step_to(f, end + DAY);
        expect_state(f, "expired");
        assert_true(fixture_has(f->news, "connection acme expired"));
        fixture_step_to(f, end - DAY);
        expect_state(f, "expiring");
        fixture_step_to(f, NOON);
        expect_state(f, "active");
        /* The timer has followed. */
        fixture_come_near(f, end - 30 * DAY);
        fixture_forget(f);
        fixture_run_until(f, fixture_has(f->news, "connection acme expiring"));
}

/* What was lost by a clock that went ahead is found again by runs that begin after that was set right. */
static void check_clock_set_back(EngineFixture *f, bool restart)
{
        fixture_open_two(f);
        fixture_fail_run(f, "bank", ATTENTION_CONNECTION_LOST);
        if (restart)
                fixture_close(f);
        fixture_set_clock(NOON - DAY);
        if (restart)
                fixture_open(f);
        else
                engine_clock_changed(f->engine);
        fixture_settle(f);
        expect_state(f, "lost");
        assert_in_range(fixture_acme(f).since_usec, 1, fixture_now(CLOCK_REALTIME));
        fixture_advance_clock(USEC_PER_MINUTE);
        fixture_succeed_run(f, "bank");
        expect_state(f, "active");
}

static void test_clock_set_back(void **state)
{
        check_clock_set_back(*state, false);
}

static void test_clock_set_back_meanwhile(void **state)
{
        check_clock_set_back(*state, true);
}

static void test_time_zone(void **state)
{
        EngineFixture *f = *state;

        expect_ok(setenv("TZ", "Asia/Tokyo", true));
        expect_ok(zone_reload_all());
        fixture_open_two(f); /* at 21:00 there */
        fixture_load_connection(f, "[Connection]\nConsentExpires=2027-01-01 20:00\n");
        expect_state(f, "expired");
        expect_ok(setenv("TZ", "UTC", true));
        assert_int_equal(zone_reload_all(), 1);
        fixture_forget(f);
        engine_clock_changed(f->engine);
        fixture_settle(f);
        expect_state(f, "expiring");
        assert_true(fixture_has(f->news, "connection acme expiring"));
        assert_int_equal(fixture_acme(f).consent_expires_usec, NOON + 8 * USEC_PER_HOUR);
        expect_ok(unsetenv("TZ"));
        expect_ok(zone_reload_all());
}

/* ---- Users */

#define ALICE "01234567-89ab-cdef-0123-456789abcdef"
#define BOB   "11234567-89ab-cdef-0123-456789abcdef"

static void test_users(void **state)
{
        EngineFixture *f = *state;
        Connection connection;

        fixture_set_clock(NOON);
        fixture_write_connector(f, "bank", CONNECTOR("[Connector]\nConnection=acme\nUser=" ALICE "\n"));
        fixture_open(f);
        expect_errno(engine_find_connection_of(f->engine, "acme", BOB, &connection), -ENOLINK);
        fixture_fail_run(f, "bank", ATTENTION_CONNECTION_LOST);
        fixture_reconnect(f);
        /* It is wholly hers: what is recorded counts. */
        expect_ok(engine_find_connection_of(f->engine, "acme", ALICE, &connection));
        assert_int_equal(connection.state, CONNECTION_ACTIVE);
        /* She shares it: what her connectors say, and nothing of others. */
        fixture_load_connector(f, "mail", CONNECTOR("[Connector]\nConnection=acme\nUser=" BOB "\n"));
        expect_ok(engine_find_connection_of(f->engine, "acme", ALICE, &connection));
        assert_int_equal(connection.state, CONNECTION_LOST);
        assert_null(connection.record);
        expect_ok(engine_find_connection_of(f->engine, "acme", BOB, &connection));
        assert_int_equal(connection.state, CONNECTION_ACTIVE);
        /* The file says whose it is. */
        fixture_load_connection(f, "[Connection]\nUser=" BOB "\nAccounts=secret\n");
        expect_ok(engine_find_connection_of(f->engine, "acme", ALICE, &connection));
        assert_null(connection.definition);
        expect_ok(engine_find_connection_of(f->engine, "acme", BOB, &connection));
        assert_non_null(connection.definition);
}

/* Of a connection that several persons share: all connectors that waited for it run, each once, whosever they are, and
 * also after one that is active; who asked for one person is told of that one's alone. What is of another connection,
 * needs nothing, or needs something else, does not run. */
static void test_a_shared_connection(void **state)
{
        const ReconnectWish by_alice = { .user_id = ALICE, .requested_by = "key:alice" };
        RunReport lost = report_category(ATTENTION_CONNECTION_LOST);
        char active[RUN_ID_MAX + 1], expected[RUN_ID_MAX + 16];
        EngineFixture *f = *state;
        Answer a = {};

        f->settings.max_concurrent_runs = f->settings.max_concurrent_runs_per_provider = 9;
        fixture_set_clock(NOON);
        fixture_write_connector(f, "bank", CONNECTOR("[Connector]\nConnection=acme\nUser=" ALICE "\n"));
        fixture_write_connector(f, "mail", CONNECTOR("[Connector]\nConnection=acme\nUser=" BOB "\n"));
        fixture_write_connector(f, "card", CONNECTOR("[Connector]\nConnection=acme\n"));
        fixture_write_connector(f, "fine", CONNECTOR("[Connector]\nConnection=acme\n"));
        fixture_write_connector(f, "data", CONNECTOR("[Connector]\nConnection=acme\n"));
        fixture_write_connector(f, "other", CONNECTOR("[Connector]\nConnection=elsewhere\n"));
        fixture_open(f);
        fixture_succeed_run(f, "fine");
        fixture_fail_run(f, "data", ATTENTION_DATA_ERROR);
        fixture_fail_run(f, "other", ATTENTION_CONNECTION_LOST);
        fixture_fail_run(f, "bank", ATTENTION_CONNECTION_LOST);
        fixture_fail_run(f, "mail", ATTENTION_CONSENT_EXPIRED);
        fixture_fail_run(f, "card", ATTENTION_CONNECTION_LOST);
        (void) memcpy(active, fixture_start(f, "card", false).run_id, sizeof(active));
        (void) fixture_attach(f, "card");
        fixture_forget(f);
        expect_ok(engine_reconnect(f->engine, "acme", &by_alice, on_reconnect_answer, &a));
        fixture_run_until(f, a.n > 0);
        fixture_settle(f);
        expect_ok(a.error);
        (void) snprintf(expected, sizeof(expected), "bank %s;", fixture_connector(f, "bank")->run->id);
        assert_string_equal(a.reconnected, expected);
        assert_int_equal(fixture_count(f->calls, "start bank"), 1);
        assert_int_equal(fixture_count(f->calls, "start mail"), 1);
        assert_int_equal(fixture_count(f->calls, "start "), 2);
        assert_string_equal(fixture_connector(f, "bank")->run->requested_by, "key:alice");
        assert_null(fixture_connector(f, "mail")->run->requested_by);
        expect_ok(fixture_finish(f, "card", active, 1, &lost));
        fixture_worker_ends(f, "card", NULL);
        fixture_settle(f);
        assert_int_equal(fixture_count(f->calls, "start card"), 1);
        assert_int_equal(fixture_count(f->calls, "start "), 3);
}

/* What was said while the disk did not take it is read anew. */
static void test_commit_fails(void **state)
{
        EngineFixture *f = *state;

        fixture_open_two(f);
        fixture_fail_run(f, "bank", ATTENTION_CONNECTION_LOST);
        engine_break(f->engine, -EIO);
        f->engine->connections->record.state = CONNECTION_WITHDRAWN;
        fixture_run_until(f, f->engine->broken == 0);
        fixture_settle(f);
        expect_state(f, "lost");
}

/* ---- Programs that reconnect */

int main(void)
{
        static const struct CMUnitTest tests[] = {
                ENGINE_TEST(test_categories_move_it),
                ENGINE_TEST(test_since_is_the_first),
                ENGINE_TEST(test_recovery_by_a_run),
                ENGINE_TEST(test_old_run_says_nothing),
                ENGINE_TEST(test_run_that_waited_says_it_works),
                ENGINE_TEST(test_reconnected),
                ENGINE_TEST(test_kept),
                ENGINE_TEST(test_history_of_before),
                ENGINE_TEST(test_connector_goes),
                ENGINE_TEST(test_file),
                ENGINE_TEST(test_consent_ends),
                ENGINE_TEST(test_warning_is_configurable),
                ENGINE_TEST(test_end_by_reconnection),
                ENGINE_TEST(test_clock_steps),
                ENGINE_TEST(test_clock_set_back),
                ENGINE_TEST(test_clock_set_back_meanwhile),
                ENGINE_TEST(test_time_zone),
                ENGINE_TEST(test_users),
                ENGINE_TEST(test_a_shared_connection),
                ENGINE_TEST(test_commit_fails),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
