/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Connections: what moves their state (runs, people, the end of a consent, files), what follows from it, and that it is
 * kept. */

#include "unit/expect.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fd-util.h"
#include "base/time-util.h"
#include "engine/engine-internal.h"
#include "model/zone.h"
#include "unit/engine-fixture.h"

#define NOON UINT64_C(1798804800000000) /* 2027-01-01T12:00:00Z */
#define SHARED CONNECTOR("[Connector]\nConnection=acme\n")

static void write_connection(EngineFixture *f, const char *text)
{
        _cleanup_free_ char *path = asprintf_or_null("%s/acme.connection", f->config_dirs[0]);

        if (text)
                expect_ok(write_file_atomic(path, text, strlen(text), 0600));
        else
                expect_ok(-unlink(path));
}

static void load_connection(EngineFixture *f, const char *text)
{
        write_connection(f, text);
        expect_ok(engine_reload(f->engine, &f->settings));
        fixture_settle(f);
}

static Connection acme(EngineFixture *f)
{
        Connection connection;

        expect_ok(engine_find_connection(f->engine, "acme", &connection));
        return connection;
}

#define expect_state(f, expected) assert_string_equal(connection_state_to_string(acme(f).state), expected)

static void set_clock(EngineFixture *f, usec_t usec)
{
        fixture_set_clock(usec);
        engine_clock_changed(f->engine);
        fixture_settle(f);
}

static void fail_run(EngineFixture *f, const char *connector, AttentionCategory category)
{
        RunReport report = report_category(category);
        char id[RUN_ID_MAX + 1];

        fixture_whole_run(f, connector, &report, id);
        fixture_settle(f);
}

static void succeed_run(EngineFixture *f, const char *connector)
{
        RunReport report = report_success();
        char id[RUN_ID_MAX + 1];

        fixture_whole_run(f, connector, &report, id);
        fixture_settle(f);
}

static void open_two(EngineFixture *f)
{
        fixture_set_clock(NOON);
        fixture_write_connector(f, "bank", SHARED);
        fixture_write_connector(f, "mail", SHARED);
        fixture_open(f);
}

static void reconnect(EngineFixture *f)
{
        Answer a = {};

        expect_ok(fixture_ask_reconnect(f, "acme", &a));
        fixture_run_until(f, a.n > 0);
        expect_ok(a.error);
        fixture_settle(f);
}

/* ---- Runs */

static void test_categories_move_it(void **state)
{
        static const struct {
                AttentionCategory category;
                const char *state;
        } cases[] = {
                { ATTENTION_DATA_ERROR, "active" },
                { ATTENTION_CONNECTION_LOST, "lost" },
                { ATTENTION_CONSENT_EXPIRED, "expired" },
                { ATTENTION_DESTINATION_DELETED, "expired" },
                { ATTENTION_CONSENT_WITHDRAWN, "withdrawn" },
                { ATTENTION_CONNECTION_LOST, "lost" },
        };
        EngineFixture *f = *state;

        open_two(f);
        expect_state(f, "active");
        assert_null(acme(f).reason);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                fixture_advance_clock(USEC_PER_MINUTE);
                fail_run(f, "bank", cases[i].category);
                expect_state(f, cases[i].state);
        }
        assert_string_equal(acme(f).reason, "the bank wants to see you");
        assert_string_equal(acme(f).record->run_id, fixture_connector(f, "bank")->record.last_run_id);
        assert_true(acme(f).since_usec >= NOON + 6 * USEC_PER_MINUTE);
        succeed_run(f, "bank");
        expect_state(f, "active");
        assert_null(acme(f).reason);
        assert_true(fixture_has(f->news, "connection acme lost"));
        assert_true(fixture_has(f->news, "connection acme withdrawn"));
}

/* The same state again: the first time counts, and the last words. */
static void test_since_is_the_first(void **state)
{
        EngineFixture *f = *state;
        usec_t since;

        open_two(f);
        fail_run(f, "bank", ATTENTION_CONNECTION_LOST);
        since = acme(f).since_usec;
        fixture_advance_clock(USEC_PER_HOUR);
        fail_run(f, "mail", ATTENTION_CONNECTION_LOST);
        assert_int_equal(acme(f).since_usec, since);
        assert_string_equal(acme(f).record->run_id, fixture_connector(f, "mail")->record.last_run_id);
}

/* One shows that it works: the others that waited for it run, once; one that needs it still waits for a person. */
static void test_recovery_by_a_run(void **state)
{
        RunReport lost = report_category(ATTENTION_CONNECTION_LOST);
        EngineFixture *f = *state;

        open_two(f);
        fixture_load_connector(f, "third", SHARED);
        fail_run(f, "bank", ATTENTION_CONNECTION_LOST);
        fixture_advance_clock(USEC_PER_MINUTE);
        fixture_forget(f);
        succeed_run(f, "mail");
        expect_state(f, "active");
        assert_true(fixture_has(f->calls, "start bank"));
        assert_false(fixture_has(f->calls, "start third"));
        assert_int_equal(fixture_connector(f, "bank")->run->trigger, RUN_TRIGGER_RECONNECT);
        fixture_advance_clock(USEC_PER_MINUTE);
        fixture_run_to_end(f, "bank", &lost);
        expect_state(f, "lost");

        fixture_advance_clock(USEC_PER_MINUTE);
        fixture_forget(f);
        succeed_run(f, "mail");
        expect_state(f, "active");
        assert_false(fixture_has(f->calls, "start bank"));
        fixture_forget(f);
        reconnect(f);
        assert_true(fixture_has(f->calls, "start bank"));
        assert_false(fixture_has(f->calls, "start mail"));
}

/* A run that began before it was lost says nothing of it. */
static void test_old_run_says_nothing(void **state)
{
        RunReport success = report_success();
        EngineFixture *f = *state;

        open_two(f);
        expect_ok(fixture_start(f, "mail", false).error);
        fixture_advance_clock(USEC_PER_MINUTE);
        fail_run(f, "bank", ATTENTION_CONNECTION_LOST);
        fixture_run_to_end(f, "mail", &success);
        fixture_settle(f);
        expect_state(f, "lost");
}

/* ---- People */

/* Active by a person's word, although the connectors' attention stays until they have run. */
static void test_reconnected(void **state)
{
        EngineFixture *f = *state;

        open_two(f);
        fail_run(f, "bank", ATTENTION_CONSENT_EXPIRED);
        fixture_advance_clock(USEC_PER_MINUTE);
        reconnect(f);
        expect_state(f, "active");
        assert_in_range(acme(f).record->reconnected_usec, acme(f).since_usec, acme(f).since_usec + USEC_PER_SEC);
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

        open_two(f);
        fail_run(f, "bank", ATTENTION_CONNECTION_LOST);
        since = acme(f).since_usec;
        fixture_kill(f);
        fixture_open(f);
        expect_state(f, "lost");
        assert_string_equal(acme(f).reason, "the bank wants to see you");
        assert_int_equal(acme(f).since_usec, since);
}

/* A history of before knows the connectors' attention alone. */
static void test_history_of_before(void **state)
{
        EngineFixture *f = *state;
        usec_t since;

        open_two(f);
        fail_run(f, "bank", ATTENTION_CONNECTION_LOST);
        since = fixture_connector(f, "bank")->record.attention.since_usec;
        fixture_close(f);
        (void) fixture_sql(f, "DELETE FROM connections");
        fixture_open(f);
        expect_state(f, "lost");
        assert_int_equal(acme(f).since_usec, since);
        assert_int_equal(fixture_sql(f, "SELECT state = 'lost' FROM connections"), 1);
}

/* What only a connector said that is gone does not hold. */
static void test_connector_goes(void **state)
{
        EngineFixture *f = *state;

        open_two(f);
        fail_run(f, "bank", ATTENTION_CONNECTION_LOST);
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
        load_connection(f, "[Connection]\nProvider=acme-bank\nAccounts=giro\n");
        expect_state(f, "active");
        assert_string_equal(acme(f).definition->provider, "acme-bank");
        assert_true(fixture_has(f->news, "connection acme active"));
        fixture_forget(f);
        load_connection(f, "[Connection]\nProvider=acme-bank\nAccounts=giro savings\n");
        assert_int_equal(strv_length(acme(f).definition->accounts), 2);
        assert_true(fixture_has(f->news, "connection acme"));
        load_connection(f, "[Connection]\nConsentExpires=never\n");
        assert_int_equal(acme(f).definition->load_state, LOAD_BAD_SETTING);
        load_connection(f, NULL);
        assert_null(engine_next_connection(f->engine, NULL));
        assert_true(fixture_has(f->news, "connection- acme"));
}

/* ---- The consent's end */

#define DAY USEC_PER_DAY
#define ENDS_IN_60_DAYS "[Connection]\nConsentExpires=2027-03-02T12:00:00Z\n"

static void test_consent_ends(void **state)
{
        EngineFixture *f = *state;
        usec_t end = NOON + 60 * DAY;

        open_two(f);
        load_connection(f, ENDS_IN_60_DAYS);
        expect_state(f, "active");
        assert_int_equal(acme(f).consent_expires_usec, end);

        /* By the timer, not by being asked: what is told is what has changed. */
        fixture_come_near(f, end - 30 * DAY);
        fixture_forget(f);
        fixture_run_until(f, fixture_has(f->news, "connection acme expiring"));
        assert_int_equal(acme(f).since_usec, end - 30 * DAY);
        assert_string_equal(acme(f).reason, "The consent ends 2027-03-02T12:00:00Z.");
        fixture_come_near(f, end);
        fixture_run_until(f, fixture_has(f->news, "connection acme expired"));
        assert_int_equal(acme(f).since_usec, end);
        assert_string_equal(acme(f).reason, "The consent ended 2027-03-02T12:00:00Z.");
        assert_int_equal(fixture_count(f->news, "connection acme"), 2);

        /* A run's success does not give a consent. */
        succeed_run(f, "bank");
        expect_state(f, "expired");
        /* It is told once, also over a restart. */
        fixture_forget(f);
        fixture_close(f);
        fixture_open(f);
        assert_int_equal(fixture_sql(f, "SELECT shown = 'expired' FROM connections"), 1);
        /* The worse counts. */
        fail_run(f, "bank", ATTENTION_CONNECTION_LOST);
        expect_state(f, "expired");
        fail_run(f, "bank", ATTENTION_CONSENT_WITHDRAWN);
        expect_state(f, "withdrawn");
        /* A new consent: the end of the old one does not count. */
        reconnect(f);
        expect_state(f, "active");
        assert_true(acme(f).consent_expires_usec == USEC_INFINITY);
        load_connection(f, "[Connection]\nConsentExpires=2028-01-01 UTC\nExpiryWarningSec=1d\n");
        expect_state(f, "active");
        assert_true(acme(f).consent_expires_usec > end);
}

static void test_warning_is_configurable(void **state)
{
        EngineFixture *f = *state;

        fixture_set_clock(NOON);
        write_connection(f, "[Connection]\nConsentExpires=2027-01-03T12:00:00Z\nExpiryWarningSec=1d\n");
        fixture_open(f);
        expect_state(f, "active");
        load_connection(f, "[Connection]\nConsentExpires=2027-01-03T12:00:00Z\nExpiryWarningSec=2d\n");
        expect_state(f, "expiring");
        load_connection(f, "[Connection]\nConsentExpires=2027-01-03T12:00:00Z\nExpiryWarningSec=0\n");
        expect_state(f, "active");
}

/* What a reconnection says of the end counts more than the file. */
static void test_end_by_reconnection(void **state)
{
        EngineFixture *f = *state;
        ReconnectWish wish = { .requested_by = "uid:7", .consent_expires_usec = NOON + 10 * DAY };
        Answer a = {};

        open_two(f);
        load_connection(f, ENDS_IN_60_DAYS);
        expect_ok(engine_reconnect(f->engine, "acme", &wish, on_reconnect_answer, &a));
        fixture_run_until(f, a.n > 0);
        fixture_settle(f);
        assert_int_equal(acme(f).consent_expires_usec, NOON + 10 * DAY);
        expect_state(f, "expiring");
        fixture_close(f);
        fixture_open(f);
        assert_int_equal(acme(f).consent_expires_usec, NOON + 10 * DAY);
        fixture_come_near(f, NOON + 10 * DAY);
        fixture_forget(f);
        fixture_run_until(f, fixture_has(f->news, "connection acme expired"));
}

static void test_clock_steps(void **state)
{
        EngineFixture *f = *state;
        usec_t end = NOON + 60 * DAY;

        open_two(f);
        load_connection(f, ENDS_IN_60_DAYS);
        set_clock(f, end + DAY);
        expect_state(f, "expired");
        assert_true(fixture_has(f->news, "connection acme expired"));
        set_clock(f, end - DAY);
        expect_state(f, "expiring");
        set_clock(f, NOON);
        expect_state(f, "active");
        /* The timer has followed. */
        fixture_come_near(f, end - 30 * DAY);
        fixture_forget(f);
        fixture_run_until(f, fixture_has(f->news, "connection acme expiring"));
}

static void test_time_zone(void **state)
{
        EngineFixture *f = *state;

        expect_ok(setenv("TZ", "Asia/Tokyo", true));
        expect_ok(zone_reload_all());
        open_two(f); /* at 21:00 there */
        load_connection(f, "[Connection]\nConsentExpires=2027-01-01 20:00\n");
        expect_state(f, "expired");
        expect_ok(setenv("TZ", "UTC", true));
        assert_int_equal(zone_reload_all(), 1);
        fixture_forget(f);
        engine_clock_changed(f->engine);
        fixture_settle(f);
        expect_state(f, "expiring");
        assert_true(fixture_has(f->news, "connection acme expiring"));
        assert_int_equal(acme(f).consent_expires_usec, NOON + 8 * USEC_PER_HOUR);
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
        fail_run(f, "bank", ATTENTION_CONNECTION_LOST);
        reconnect(f);
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
        load_connection(f, "[Connection]\nUser=" BOB "\nAccounts=secret\n");
        expect_ok(engine_find_connection_of(f->engine, "acme", ALICE, &connection));
        assert_null(connection.definition);
        expect_ok(engine_find_connection_of(f->engine, "acme", BOB, &connection));
        assert_non_null(connection.definition);
}

/* What was said while the disk did not take it is read anew. */
static void test_commit_fails(void **state)
{
        EngineFixture *f = *state;

        open_two(f);
        fail_run(f, "bank", ATTENTION_CONNECTION_LOST);
        engine_break(f->engine, -EIO);
        f->engine->connections->record.state = CONNECTION_WITHDRAWN;
        fixture_run_until(f, f->engine->broken == 0);
        fixture_settle(f);
        expect_state(f, "lost");
}

/* ---- Programs that reconnect */

#define WITH_PROGRAM "[Reconnect]\nExecReconnect=/bin/renew\n"

/* Begins the program of a connection that bank, and not mail, waits for. */
static void begin_program(EngineFixture *f)
{
        Answer a = {};

        open_two(f);
        load_connection(f, WITH_PROGRAM);
        fail_run(f, "bank", ATTENTION_CONSENT_EXPIRED);
        fixture_advance_clock(USEC_PER_MINUTE);
        fixture_forget(f);
        expect_ok(fixture_ask_reconnect(f, "acme", &a));
        fixture_run_until(f, a.n > 0);
        fixture_settle(f);
        expect_ok(a.error);
        assert_true(a.reconnecting);
        assert_string_equal(a.reconnected, "");
        assert_true(fixture_has(f->calls, "reconnect acme"));
        assert_false(fixture_has(f->calls, "start"));
        expect_state(f, "expired");
}

static bool reconnecting(EngineFixture *f)
{
        Connection connection = acme(f);

        return connection_is_reconnecting(&connection);
}

static void test_program_succeeds(void **state)
{
        EngineFixture *f = *state;
        Answer a = {};

        begin_program(f);
        assert_true(reconnecting(f));
        assert_string_equal(acme(f).record->reconnect_requested_by, "uid:7");
        /* It is joined. */
        expect_ok(fixture_ask_reconnect(f, "acme", &a));
        fixture_run_until(f, a.n > 0);
        assert_true(a.reconnecting);
        assert_int_equal(fixture_count(f->calls, "reconnect acme"), 1);

        fixture_task_ends(f, TASK_RECONNECT, "acme", RECONNECT_SUCCESS,
                          "{\"result\":\"success\",\"message\":\"Thanks\",\"consent_expires\":1830340800000000}");
        expect_state(f, "active");
        assert_false(reconnecting(f));
        assert_int_equal(acme(f).consent_expires_usec, UINT64_C(1830340800000000));
        assert_string_equal(acme(f).record->reconnect_message, "Thanks");
        assert_true(fixture_has(f->news, "reconnected acme success"));
        fixture_expect_order(f->news, "connection acme active", "reconnected acme");
        assert_true(fixture_has(f->calls, "start bank"));
        assert_false(fixture_has(f->calls, "start mail"));
        assert_string_equal(fixture_connector(f, "bank")->run->requested_by, "uid:7");
}

static void test_program_fails(void **state)
{
        static const struct {
                ReconnectResult result;
                const char *status;
                const char *word;
                const char *message;
        } cases[] = {
                { RECONNECT_FAILED, "", "failed", "as the launcher says" },
                { RECONNECT_FAILED, "{\"message\":\"Wrong code\"}", "failed", "Wrong code" },
                { RECONNECT_FAILED, "{\"result\":\"timeout\",\"message\":null}", "timeout", "as the launcher says" },
                { RECONNECT_FAILED, "{\"result\":\"success\",\"consent_expires\":9}", "failed", "as the launcher says" },
                { RECONNECT_CANCELLED, "no JSON", "cancelled", "as the launcher says" },
                { RECONNECT_TIMEOUT, "[1]", "timeout", "as the launcher says" },
        };
        EngineFixture *f = *state;
        Answer a = {};

        begin_program(f);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                fixture_forget(f);
                fixture_task_ends(f, TASK_RECONNECT, "acme", cases[i].result, cases[i].status);
                expect_state(f, "expired");
                assert_string_equal(reconnect_result_to_string(acme(f).record->reconnect_result), cases[i].word);
                assert_string_equal(acme(f).record->reconnect_message, cases[i].message);
                assert_true(fixture_has(f->news, "reconnected acme"));
                assert_false(fixture_has(f->calls, "start"));
                a = (Answer) {};
                expect_ok(fixture_ask_reconnect(f, "acme", &a));
                fixture_run_until(f, a.n > 0);
                fixture_settle(f);
        }
}

static void test_program_is_passed_over(void **state)
{
        EngineFixture *f = *state;
        ReconnectWish wish = { .requested_by = "uid:7", .done = true };
        Answer a = {};

        open_two(f);
        load_connection(f, WITH_PROGRAM);
        fail_run(f, "bank", ATTENTION_CONNECTION_LOST);
        expect_ok(engine_reconnect(f->engine, "acme", &wish, on_reconnect_answer, &a));
        fixture_run_until(f, a.n > 0);
        assert_false(a.reconnecting);
        expect_state(f, "active");
        load_connection(f, "[Connection]\nUser=nobody\n" WITH_PROGRAM);
        expect_errno(fixture_ask_reconnect(f, "acme", &a), -ENOEXEC);
}

static void test_program_is_cancelled(void **state)
{
        EngineFixture *f = *state;
        Answer a = {};

        begin_program(f);
        expect_errno(engine_cancel_reconnect(f->engine, "none", NULL, on_answer, &a), -ENOLINK);
        expect_ok(engine_cancel_reconnect(f->engine, "acme", NULL, on_answer, &a));
        fixture_run_until(f, a.n > 0);
        assert_true(fixture_has(f->calls, "stop-reconnect acme"));
        fixture_task_ends(f, TASK_RECONNECT, "acme", RECONNECT_CANCELLED, "");
        expect_errno(engine_cancel_reconnect(f->engine, "acme", NULL, on_answer, &a), -EALREADY);
}

/* It has an end, whatever becomes of the daemon. */
static void test_program_over_a_restart(void **state)
{
        EngineFixture *f = *state;

        begin_program(f);
        fixture_kill(f);
        f->task_runs = true;
        fixture_open(f);
        assert_true(fixture_has(f->calls, "adopt-reconnect acme"));
        assert_true(reconnecting(f));
        fixture_kill(f);
        f->task_runs = false;
        fixture_open(f);
        fixture_settle(f);
        assert_false(reconnecting(f));
        assert_int_equal(acme(f).record->reconnect_result, RECONNECT_INTERRUPTED);
        expect_state(f, "expired");
}

/* ---- Withdrawing */

static void withdraw(EngineFixture *f, bool delete_items)
{
        const WithdrawWish wish = { .requested_by = "uid:7", .delete_items = delete_items };
        Answer a = {};

        expect_ok(engine_withdraw_consent(f->engine, "acme", &wish, on_answer, &a));
        fixture_run_until(f, a.n > 0);
        expect_ok(a.error);
        fixture_settle(f);
}

static void test_withdraw(void **state)
{
        EngineFixture *f = *state;
        StartOptions options = { .trigger = RUN_TRIGGER_MANUAL };
        Answer a = {};

        open_two(f);
        expect_ok(fixture_start(f, "bank", false).error);
        withdraw(f, false);
        expect_state(f, "withdrawn");
        assert_string_equal(acme(f).reason, "Withdrawn by uid:7.");
        assert_true(fixture_has(f->calls, "stop bank"));
        fixture_worker_ends(f, "bank", NULL);
        assert_int_equal(fixture_connector(f, "bank")->record.last_outcome, RUN_CANCELLED);
        assert_false(fixture_connector(f, "bank")->active);
        assert_false(fixture_connector(f, "mail")->active);
        expect_errno(engine_start_run(f->engine, "bank", &options, on_start_answer, &a), -EHOSTDOWN);
        assert_false(fixture_has(f->calls, "delete"));
        fixture_close(f);
        fixture_open(f);
        expect_state(f, "withdrawn");
        assert_false(fixture_connector(f, "bank")->active);

        fixture_forget(f);
        reconnect(f);
        expect_state(f, "active");
        assert_int_equal(fixture_count(f->calls, "start bank"), 1);
        assert_int_equal(fixture_count(f->calls, "start mail"), 1);
        assert_true(fixture_connector(f, "bank")->active);
}

/* After the run has ended; again after a crash and a failure; and no run before it is done. */
static void test_delete_items(void **state)
{
        EngineFixture *f = *state;
        Answer a;

        open_two(f);
        expect_ok(fixture_start(f, "bank", false).error);
        a = fixture_attach(f, "bank");
        expect_ok(fixture_save_cursor(f, "bank", a.run_id, 1, "{\"at\":1}"));
        withdraw(f, true);
        assert_false(fixture_has(f->calls, "delete bank"));
        assert_true(fixture_has(f->calls, "delete mail"));
        fixture_worker_ends(f, "bank", NULL);
        assert_true(fixture_has(f->calls, "delete bank"));
        assert_true(fixture_connector(f, "bank")->record.deleting);
        fixture_kill(f);
        fixture_forget(f);
        fixture_open(f);
        assert_true(fixture_has(f->calls, "delete bank"));
        assert_true(fixture_has(f->calls, "delete mail"));

        fixture_forget(f);
        reconnect(f);
        assert_false(fixture_has(f->calls, "start"));
        assert_false(fixture_connector(f, "bank")->active);
        fixture_task_ends(f, TASK_DELETE_ITEMS, "bank", RECONNECT_SUCCESS, "");
        assert_false(fixture_connector(f, "bank")->record.deleting);
        assert_int_equal(fixture_sql(f, "SELECT count(*) FROM cursors"), 0);
        assert_int_equal(fixture_count(f->calls, "start bank"), 1);
        assert_false(fixture_has(f->calls, "start mail"));

        fixture_forget(f);
        fixture_task_ends(f, TASK_DELETE_ITEMS, "mail", RECONNECT_FAILED, "");
        assert_true(fixture_connector(f, "mail")->record.deleting);
        assert_false(fixture_has(f->calls, "delete mail"));
        fixture_advance_clock(5 * USEC_PER_MINUTE);
        fixture_close(f);
        fixture_open(f);
        assert_true(fixture_has(f->calls, "delete mail"));
        fixture_task_ends(f, TASK_DELETE_ITEMS, "mail", RECONNECT_SUCCESS, "");
        assert_true(fixture_has(f->calls, "start mail"));
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                ENGINE_TEST(test_categories_move_it), ENGINE_TEST(test_since_is_the_first),
                ENGINE_TEST(test_recovery_by_a_run),  ENGINE_TEST(test_old_run_says_nothing),
                ENGINE_TEST(test_reconnected),        ENGINE_TEST(test_kept),
                ENGINE_TEST(test_history_of_before),  ENGINE_TEST(test_connector_goes),
                ENGINE_TEST(test_file),               ENGINE_TEST(test_consent_ends),
                ENGINE_TEST(test_warning_is_configurable),
                ENGINE_TEST(test_end_by_reconnection),
                ENGINE_TEST(test_clock_steps),        ENGINE_TEST(test_time_zone),
                ENGINE_TEST(test_users),              ENGINE_TEST(test_commit_fails),
                ENGINE_TEST(test_program_succeeds),   ENGINE_TEST(test_program_fails),
                ENGINE_TEST(test_program_is_passed_over),
                ENGINE_TEST(test_program_is_cancelled),
                ENGINE_TEST(test_program_over_a_restart),
                ENGINE_TEST(test_withdraw),           ENGINE_TEST(test_delete_items),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
