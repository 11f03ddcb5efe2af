/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The limits: how many run at once, of which provider, who is next, and how many may wait. */

#include "unit/expect.h"

#include "unit/engine-fixture.h"

#include <limits.h>
#include <stdio.h>

#include "engine/engine-internal.h"
#include "engine/publication.h"

static void write_connector(EngineFixture *f, const char *name, const char *provider)
{
        _cleanup_free_ char *text =
                        asprintf_or_null("[Connector]\nProvider=%s\n[Pipeline]\nExecPull=/bin/true\n", provider);

        fixture_write_connector(f, name, text);
}

static void expect_started(EngineFixture *f, const char *names)
{
        _cleanup_free_ char *joined = NULL;

        fixture_settle(f);
        joined = strv_join(f->calls, ",");
        assert_string_equal(joined, names);
        fixture_forget(f);
}

static void end_run(EngineFixture *f, const char *connector)
{
        const RunReport report = report_success();

        fixture_run_to_end(f, connector, &report);
}

/* Providers take turns, so that three runs of one do not keep the other waiting. */
static void test_turns(void **state)
{
        static const char *const names[] = { "a1", "a2", "a3", "b1", "b2", "c1" };
        EngineFixture *f = *state;
        EngineStatus status;

        f->settings.max_concurrent_runs = 1;
        f->settings.max_concurrent_runs_per_provider = UINT_MAX;
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                const char provider[] = { names[i][0], '\0' };

                write_connector(f, names[i], provider);
        }
        fixture_open(f);
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                expect_ok(fixture_start(f, names[i], false).error);
        expect_started(f, "start a1");
        engine_status(f->engine, &status);
        assert_int_equal(status.n_connectors, 6);
        assert_int_equal(status.n_active_runs, 1);
        assert_int_equal(status.n_queued_runs, 5);
        end_run(f, "a1");
        expect_started(f, "start a2");
        end_run(f, "a2");
        expect_started(f, "start b1");
        end_run(f, "b1");
        expect_started(f, "start c1");
        end_run(f, "c1");
        expect_started(f, "start a3");
        end_run(f, "a3");
        expect_started(f, "start b2");
        end_run(f, "b2");
        engine_status(f->engine, &status);
        assert_int_equal(status.n_active_runs, 0);
        assert_int_equal(status.n_queued_runs, 0);
        assert_null(f->engine->providers);
}

static void test_provider_limit(void **state)
{
        EngineFixture *f = *state;

        f->settings.max_concurrent_runs = 3;
        f->settings.max_concurrent_runs_per_provider = 1;
        write_connector(f, "a1", "a");
        write_connector(f, "a2", "a");
        write_connector(f, "b1", "b");
        fixture_open(f);
        expect_ok(fixture_start(f, "a1", false).error);
        expect_ok(fixture_start(f, "a2", false).error);
        expect_ok(fixture_start(f, "b1", false).error);
        expect_started(f, "start a1,start b1");
        end_run(f, "b1");
        assert_null(f->calls); /* b gave a slot back, a is at its limit */
        end_run(f, "a1");
        expect_started(f, "start a2");
}

static void test_limit_raised(void **state)
{
        EngineFixture *f = *state;
        Settings more;

        f->settings.max_concurrent_runs = 1;
        f->settings.max_concurrent_runs_per_provider = 1;
        write_connector(f, "a1", "a");
        write_connector(f, "a2", "a");
        fixture_open(f);
        expect_ok(fixture_start(f, "a1", false).error);
        expect_ok(fixture_start(f, "a2", false).error);
        expect_started(f, "start a1");
        more = f->settings;
        more.max_concurrent_runs = 2;
        expect_ok(engine_reload(f->engine, &more));
        fixture_settle(f);
        assert_null(f->calls);
        more.max_concurrent_runs_per_provider = 2;
        expect_ok(engine_reload(f->engine, &more));
        expect_started(f, "start a2");
        fixture_close(f);
}

/* At MaxQueuedRuns=, and one above. */
static void test_queue_limit(void **state)
{
        EngineFixture *f = *state;
        Answer a;

        f->settings.max_concurrent_runs = 1;
        f->settings.max_queued_runs = 2;
        write_connector(f, "a1", "a");
        write_connector(f, "a2", "a");
        write_connector(f, "a3", "a");
        write_connector(f, "a4", "a");
        fixture_open(f);
        expect_ok(fixture_start(f, "a1", false).error);
        expect_ok(fixture_start(f, "a2", false).error);
        expect_ok(fixture_start(f, "a3", false).error);
        expect_errno(fixture_start(f, "a4", false).error, -ENOBUFS);
        a = fixture_start(f, "a3", false); /* already active: no new one */
        assert_true(a.error >= 0 && a.start.already_active);
        end_run(f, "a1");
        expect_ok(fixture_start(f, "a4", false).error);
        assert_int_equal(fixture_sql(f, "SELECT count(*) FROM runs"), 4);
}

/* Calls that wait for the disk are limited in number, and so are the writes that wait. */
static void test_pending_limits(void **state)
{
        EngineFixture *f = *state;
        Answer a = {};

        write_connector(f, "a1", "a");
        fixture_open(f);
        f->engine->n_replies = PENDING_REPLIES_MAX - 1;
        expect_ok(engine_set_active(f->engine, "a1", false, on_answer, &a));
        expect_errno(engine_set_active(f->engine, "a1", true, on_answer, &a), -ENOBUFS);
        fixture_run_until(f, a.n > 0);
        f->engine->n_replies = 0;

        for (uint64_t i = 0; i < BACKLOG_MAX - 1; i++)
                expect_ok(store_put_user(engine_store(f->engine), "6f1ed002-ab5d-4f2b-9c3b-000000000001", 1));
        assert_false(engine_is_congested(f->engine));
        expect_ok(store_put_user(engine_store(f->engine), "6f1ed002-ab5d-4f2b-9c3b-000000000001", 1));
        expect_errno(engine_set_active(f->engine, "a1", true, on_answer, &a), -ENOBUFS);
        fixture_settle(f);
        expect_ok(engine_set_active(f->engine, "a1", true, on_answer, &a));
        fixture_run_until(f, a.n > 1);
}

/* Retries and runs that were remembered are not lost to a full queue. */
static void test_follow_up_in_full_queue(void **state)
{
        EngineFixture *f = *state;
        Answer a;

        f->settings.max_concurrent_runs = 1;
        f->settings.max_queued_runs = 1;
        write_connector(f, "a1", "a");
        write_connector(f, "a2", "a");
        fixture_open(f);
        expect_ok(fixture_start(f, "a1", false).error);
        expect_ok(fixture_start(f, "a2", false).error);
        a = fixture_start(f, "a1", true);
        assert_true(a.error >= 0 && a.start.full_resync_pending);
        end_run(f, "a1");
        assert_non_null(fixture_connector(f, "a1")->run);
        assert_int_equal(fixture_connector(f, "a1")->run->state, RUN_QUEUED);
        end_run(f, "a2");
        fixture_settle(f);
        assert_int_equal(fixture_connector(f, "a1")->run->state, RUN_STARTING);
        assert_true(fixture_connector(f, "a1")->run->full_resync);
}

static int64_t count_reconnected(EngineFixture *f)
{
        return fixture_sql(f, "SELECT count(*) FROM runs WHERE \"trigger\" = 'reconnect'");
}

/* What finds no room is owed, over a kill as well, and runs when there is room: once each. */
static void test_reconnect_into_a_full_queue(void **state)
{
        static const char *const names[] = { "a1", "a2", "a3", "a4" };
        EngineFixture *f = *state;
        const RunReport lost = report_category(ATTENTION_CONNECTION_LOST);
        char id[RUN_ID_MAX + 1];
        Answer a = {};

        f->settings.max_concurrent_runs = 1;
        f->settings.max_queued_runs = 1;
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                fixture_write_connector(f, names[i], CONNECTOR("[Connector]\nConnection=acme\n"));
        write_connector(f, "b1", "b");
        write_connector(f, "b2", "b");
        fixture_open(f);
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                fixture_whole_run(f, names[i], &lost, id);
        expect_ok(fixture_ask_reconnect(f, "acme", &a));
        fixture_settle(f);
        assert_int_equal(a.n, 1);
        expect_ok(a.error);
        assert_non_null(strstr(a.reconnected, "a3 ;a4 ;"));
        assert_int_equal(count_reconnected(f), 2);
        assert_null(fixture_connector(f, "a3")->run);
        fixture_kill(f);
        fixture_open(f);
        fixture_worker_started(f, "a1");
        assert_int_equal(count_reconnected(f), 2);
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                assert_non_null(fixture_connector(f, names[i])->run);
                end_run(f, names[i]);
                fixture_settle(f);
        }
        assert_int_equal(count_reconnected(f), 4);
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                assert_null(fixture_connector(f, names[i])->run);
}

/* Another run that comes first is what was owed, and one of a connector that is switched off is owed no longer. */
static void test_owed_runs(void **state)
{
        static const char *const names[] = { "a1", "a2" };
        EngineFixture *f = *state;
        const RunReport lost = report_category(ATTENTION_CONNECTION_LOST);
        char id[RUN_ID_MAX + 1];
        Answer a = {};

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                fixture_write_connector(f, names[i], CONNECTOR("[Connector]\nConnection=acme\n"));
        write_connector(f, "b1", "b");
        write_connector(f, "b2", "b");
        fixture_open(f);
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                fixture_whole_run(f, names[i], &lost, id);
        f->settings.max_concurrent_runs = f->settings.max_queued_runs = 1;
        expect_ok(fixture_start(f, "b1", false).error);
        expect_ok(fixture_start(f, "b2", false).error);
        expect_ok(fixture_ask_reconnect(f, "acme", &a));
        fixture_settle(f);
        expect_ok(a.error);
        assert_string_equal(a.reconnected, "a1 ;a2 ;");
        expect_ok(fixture_set_active(f, "a2", false));
        f->settings.max_queued_runs = 2;
        expect_ok(fixture_start(f, "a1", false).error);
        end_run(f, "b1");
        end_run(f, "b2");
        fixture_settle(f);
        end_run(f, "a1");
        fixture_settle(f);
        assert_null(fixture_connector(f, "a1")->run);
        assert_null(fixture_connector(f, "a2")->run);
        assert_int_equal(count_reconnected(f), 0);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                ENGINE_TEST(test_turns),          ENGINE_TEST(test_provider_limit),
                ENGINE_TEST(test_limit_raised),   ENGINE_TEST(test_queue_limit),
                ENGINE_TEST(test_pending_limits), ENGINE_TEST(test_follow_up_in_full_queue),
                ENGINE_TEST(test_reconnect_into_a_full_queue), ENGINE_TEST(test_owed_runs),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
