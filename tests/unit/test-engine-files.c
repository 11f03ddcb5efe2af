/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The files of connectors change, go, or cannot be read, while the daemon runs or is away. */

#include "unit/expect.h"

#include "unit/engine-fixture.h"

#include <stdio.h>
#include <unistd.h>

#include "engine/engine-internal.h"
#include "engine/run-record.h"

#define NOON ((UINT64_C(1780099200) + 12 * 3600) * USEC_PER_SEC)

static void open_bank(EngineFixture *f)
{
        fixture_write_connector(f, "bank", CONNECTOR());
        fixture_open(f);
        fixture_forget(f);
}

static void reopen(EngineFixture *f)
{
        fixture_kill(f);
        fixture_forget(f);
        fixture_open(f);
}

/* Its connector's file went meanwhile. */
static void test_queued_without_file(void **state)
{
        EngineFixture *f = *state;
        Answer a;

        f->settings.max_concurrent_runs = 0;
        open_bank(f);
        a = fixture_start(f, "bank", false);
        fixture_settle(f);
        fixture_close(f);
        fixture_write_connector(f, "bank", NULL);
        fixture_open(f);
        assert_int_equal(fixture_run(f, a.run_id)->outcome, RUN_FAILED);
        assert_string_equal(fixture_run(f, a.run_id)->error, "The connector's file is gone");
        assert_null(engine_find_connector(f->engine, "bank"));
}

static void test_running_without_file(void **state)
{
        EngineFixture *f = *state;
        RunReport report = report_success();
        const Connector *bank;
        Answer a;

        open_bank(f);
        a = fixture_start(f, "bank", false);
        (void) fixture_attach(f, "bank");
        fixture_close(f);
        fixture_write_connector(f, "bank", NULL);
        fixture_forget(f);
        fixture_open(f);
        bank = fixture_connector(f, "bank");
        assert_true(fixture_has(f->news, "connector+ bank") && !bank->attached_to_file && bank->run);
        assert_string_equal(bank->definition->provider, "acme");
        assert_string_equal(bank->definition->load_error, "The connector's file is gone");
        assert_int_equal(fixture_start(f, "bank", false).error, -ENXIO);
        expect_ok(fixture_finish(f, "bank", a.run_id, 1, &report));
        fixture_worker_ends(f, "bank", NULL);
        fixture_run_until(f, fixture_has(f->news, "connector- bank"));
        assert_int_equal(fixture_run(f, a.run_id)->outcome, RUN_SUCCEEDED);
}

/* ---- Reload */

static void test_reload(void **state)
{
        EngineFixture *f = *state;
        Answer a, attached;

        open_bank(f);
        a = fixture_start(f, "bank", false);
        fixture_load_connector(f, "bank", CONNECTOR("[Connector]\nDescription=new\n"));
        assert_string_equal(fixture_connector(f, "bank")->definition->description, "new");
        assert_true(fixture_has(f->news, "connector bank"));
        attached = fixture_attach(f, "bank"); /* as it began */
        assert_null(strstr(attached.settings, "Description"));

        /* Without its file, it goes when the run has ended, and not before. */
        fixture_load_connector(f, "bank", NULL);
        assert_false(fixture_connector(f, "bank")->attached_to_file);
        assert_int_equal(fixture_start(f, "bank", false).error, -ENXIO);
        fixture_worker_ends(f, "bank", "the worker was killed by signal KILL");
        fixture_run_until(f, fixture_has(f->news, "connector- bank"));
        assert_null(engine_find_connector(f->engine, "bank"));
        assert_null(engine_next_connector(f->engine, NULL));
        assert_int_equal(fixture_run(f, a.run_id)->outcome, RUN_FAILED);
        assert_int_equal(fixture_sql(f, "SELECT count(*) FROM connectors"), 1);

        fixture_forget(f);
        fixture_load_connector(f, "bank", CONNECTOR());
        assert_true(fixture_has(f->news, "connector+ bank"));
        fixture_load_connector(f, "bank", CONNECTOR());
        assert_int_equal(fixture_count(f->news, "connector"), 1); /* nothing has changed */
        fixture_load_connector(f, "bank", "[Connector]\nProvider=A B\n");
        assert_int_equal(fixture_connector(f, "bank")->definition->load_state, LOAD_BAD_SETTING);
}

/* A new schedule does not make up for times that it would have had. */
static void test_reload_schedule(void **state)
{
        EngineFixture *f = *state;
        usec_t now = NOON;

        fixture_set_clock(now - USEC_PER_DAY);
        open_bank(f);
        fixture_set_clock(now);
        fixture_load_connector(f, "bank", CONNECTOR("[Schedule]\nOnCalendar=*-*-* 11:00\n"));
        assert_int_equal(fixture_connector(f, "bank")->next_elapse_usec, now + 23 * USEC_PER_HOUR);
        reopen(f);
        assert_int_equal(fixture_connector(f, "bank")->next_elapse_usec, now + 23 * USEC_PER_HOUR);
        assert_int_equal(fixture_sql(f, "SELECT count(*) FROM runs"), 0);
}

/* Enabled= by the file: what passed meanwhile was not wanted, also not after a restart. */
static void test_reload_enables(void **state)
{
        EngineFixture *f = *state;

        fixture_set_clock(NOON - 10 * USEC_PER_DAY);
        fixture_write_connector(f, "bank", CONNECTOR("[Connector]\nEnabled=no\n[Schedule]\nOnCalendar=*-*-* 11:00\n"));
        fixture_open(f);
        assert_int_equal(fixture_connector(f, "bank")->next_elapse_usec, USEC_INFINITY);
        fixture_set_clock(NOON);
        fixture_load_connector(f, "bank", CONNECTOR("[Schedule]\nOnCalendar=*-*-* 11:00\n"));
        assert_int_equal(fixture_connector(f, "bank")->next_elapse_usec, NOON + 23 * USEC_PER_HOUR);
        reopen(f);
        assert_int_equal(fixture_connector(f, "bank")->next_elapse_usec, NOON + 23 * USEC_PER_HOUR);
        assert_int_equal(fixture_sql(f, "SELECT count(*) FROM runs"), 0);
}

/* ---- Files that cannot be read */

/* Root may read everything, but no link that leads to itself. */
static void put_away(EngineFixture *f, char away[static 128])
{
        (void) snprintf(away, 128, "%s/away", f->folder);
        expect_ok(rename(f->config_dirs[0], away));
        expect_ok(symlink("connectors", f->config_dirs[0]));
}

static void put_back(EngineFixture *f, const char *away)
{
        expect_ok(unlink(f->config_dirs[0]));
        expect_ok(rename(away, f->config_dirs[0]));
}

static int files_error(EngineFixture *f)
{
        EngineStatus status;

        engine_status(f->engine, &status);
        return status.files_error;
}

/* What waits for its turn is not ended as if its file had gone, and missed times are made up for. */
static void test_unread_at_start(void **state)
{
        EngineFixture *f = *state;
        RunReport report = report_success();
        char away[128];
        Answer a;

        f->settings.max_concurrent_runs = 0;
        fixture_set_clock(NOON);
        fixture_write_connector(f, "daily", CONNECTOR("[Schedule]\nOnCalendar=*-*-* 11:00\n"));
        open_bank(f);
        a = fixture_start(f, "bank", false);
        fixture_settle(f);
        fixture_close(f);
        fixture_forget(f);
        fixture_advance_clock(5 * USEC_PER_DAY);
        put_away(f, away);
        f->settings.max_concurrent_runs = 10;
        fixture_open(f);
        assert_int_equal(files_error(f), -ELOOP);
        assert_int_equal(fixture_run(f, a.run_id)->state, RUN_QUEUED);
        assert_int_equal(fixture_start(f, "bank", false).error, -ENXIO);
        assert_null(engine_next_connector(f->engine, NULL));
        assert_int_equal(engine_reload(f->engine, &f->settings), -ELOOP);
        put_back(f, away);
        expect_ok(engine_reload(f->engine, &f->settings));
        fixture_run_until(f, fixture_has(f->calls, "start bank") && fixture_has(f->calls, "start daily"));
        assert_int_equal(files_error(f), 0);
        assert_int_equal(fixture_connector(f, "daily")->run->trigger, RUN_TRIGGER_CATCH_UP);
        fixture_run_to_end(f, "bank", &report);
        fixture_run_to_end(f, "daily", &report);
        assert_int_equal(fixture_run(f, a.run_id)->outcome, RUN_SUCCEEDED);
        assert_int_equal(fixture_sql(f, "SELECT count(*) FROM runs"), 2);
}

/* A file that went is known to have gone when the folder can be read. */
static void test_unread_and_gone(void **state)
{
        EngineFixture *f = *state;
        char away[128];
        Answer a;

        f->settings.max_concurrent_runs = 0;
        open_bank(f);
        a = fixture_start(f, "bank", false);
        fixture_settle(f);
        fixture_close(f);
        fixture_write_connector(f, "bank", NULL);
        put_away(f, away);
        fixture_open(f);
        assert_int_equal(fixture_run(f, a.run_id)->state, RUN_QUEUED);
        put_back(f, away);
        expect_ok(engine_reload(f->engine, &f->settings));
        fixture_settle(f);
        assert_string_equal(fixture_run(f, a.run_id)->error, "The connector's file is gone");
}

/* It goes on as its file says, and nobody says of the file that it has gone. */
static void test_unread_while_running(void **state)
{
        EngineFixture *f = *state;
        RunReport report = report_success();
        usec_t deadline;
        char away[128];
        Answer a;

        fixture_write_connector(f, "bank", CONNECTOR("[Run]\nTimeoutSec=1min\n"));
        fixture_open(f);
        a = fixture_start(f, "bank", false);
        (void) fixture_attach(f, "bank");
        fixture_close(f);
        put_away(f, away);
        fixture_open(f);
        assert_string_equal(fixture_connector(f, "bank")->definition->load_error, "The configuration cannot be read");
        deadline = engine_run_find(f->engine, a.run_id)->deadline_usec;
        put_back(f, away);
        expect_ok(engine_reload(f->engine, &f->settings));
        fixture_settle(f);
        assert_true(fixture_connector(f, "bank")->attached_to_file);
        assert_true(engine_run_find(f->engine, a.run_id)->deadline_usec < deadline);
        expect_ok(fixture_finish(f, "bank", a.run_id, 1, &report));
        fixture_worker_ends(f, "bank", NULL);
        fixture_run_until(f, fixture_run(f, a.run_id)->outcome == RUN_SUCCEEDED);
        assert_false(fixture_has(f->news, "connector- bank"));
}

/* What was read before holds. */
static void test_unread_at_reload(void **state)
{
        EngineFixture *f = *state;
        char away[128];

        open_bank(f);
        put_away(f, away);
        assert_int_equal(engine_reload(f->engine, &f->settings), -ELOOP);
        assert_int_equal(files_error(f), -ELOOP);
        expect_ok(fixture_start(f, "bank", false).error);
        fixture_worker_ends(f, "bank", "the worker was killed by signal KILL");
        put_back(f, away);
        expect_ok(engine_reload(f->engine, &f->settings));
        assert_int_equal(files_error(f), 0);
        fixture_settle(f);
        assert_false(fixture_has(f->news, "connector- bank"));
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                ENGINE_TEST(test_queued_without_file),
                ENGINE_TEST(test_running_without_file),
                ENGINE_TEST(test_reload),
                ENGINE_TEST(test_reload_schedule),
                ENGINE_TEST(test_reload_enables),
                ENGINE_TEST(test_unread_at_start),
                ENGINE_TEST(test_unread_and_gone),
                ENGINE_TEST(test_unread_while_running),
                ENGINE_TEST(test_unread_at_reload),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
