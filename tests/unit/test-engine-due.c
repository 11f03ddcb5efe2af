/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Many connectors that are due in the same moment: one timer serves them, and not them alone. */

#include "unit/expect.h"

#include "unit/engine-fixture.h"

#include <stdio.h>

#include "engine/engine-internal.h"
#include "engine/scheduler.h"

#define MANY (SERVED_AT_ONCE_MAX + 1)
/* 2026-05-30, 09:00 */
#define NINE (UINT64_C(1780131600) * USEC_PER_SEC)

/* "c0" to the last, due at nine; the clock goes on from just before. */
static void open_many(EngineFixture *f, unsigned n)
{
        f->quiet = true;
        f->settings.max_concurrent_runs = 1;
        fixture_stop_clock(NINE - USEC_PER_MINUTE);
        for (unsigned i = 0; i < n; i++) {
                _cleanup_free_ char *name = asprintf_or_null("c%u", i);

                fixture_write_connector(f, name, CONNECTOR("[Schedule]\nOnCalendar=*-*-* 09:00\n"));
        }
        fixture_open(f);
        fixture_settle(f);
        assert_int_equal(HASH_COUNT(f->engine->connectors), n);
        assert_int_equal(HASH_COUNT(f->engine->runs), 0);
        fixture_come_near(f, NINE);
}

static int note_runs(sd_event_source *source, void *userdata)
{
        EngineFixture *f = userdata;

        f->last_seq = HASH_COUNT(f->engine->runs);
        return 0;
}

/* At the limit all in one turn; of one more, the last waits until what came meanwhile had its turn. */
static void test_one_turn(void **state)
{
        EngineFixture *f = *state;
        sd_event_source *other = NULL;

        open_many(f, MANY);
        fixture_run_until(f, HASH_COUNT(f->engine->runs) > 0);
        assert_int_equal(HASH_COUNT(f->engine->runs), SERVED_AT_ONCE_MAX);
        f->last_seq = 0;
        expect_ok(sd_event_add_defer(f->event, &other, note_runs, f));
        fixture_run_until(f, f->last_seq > 0);
        sd_event_source_disable_unref(other);
        assert_int_equal(f->last_seq, SERVED_AT_ONCE_MAX);
        fixture_run_until(f, HASH_COUNT(f->engine->runs) == MANY);
        assert_int_equal(f->engine->n_waiting, MANY - 1);
}

/* Each has its own time all the same: what goes, is switched off or is due later is not served with the others. */
static void test_own_times(void **state)
{
        EngineFixture *f = *state;

        open_many(f, 5);
        fixture_load_connector(f, "c1", NULL);
        fixture_load_connector(f, "c2", CONNECTOR("[Schedule]\nOnCalendar=*-*-* 10:00\n"));
        fixture_load_connector(f, "c3", CONNECTOR(""));
        fixture_come_near(f, NINE);
        fixture_run_until(f, HASH_COUNT(f->engine->runs) == 2);
        fixture_settle(f);
        assert_int_equal(HASH_COUNT(f->engine->runs), 2);
        assert_true(fixture_connector(f, "c0")->run && fixture_connector(f, "c4")->run);
        assert_int_equal(fixture_connector(f, "c2")->next_elapse_usec, NINE + USEC_PER_HOUR);
        assert_int_equal(fixture_connector(f, "c3")->next_elapse_usec, USEC_INFINITY);
        assert_int_equal(fixture_connector(f, "c0")->next_elapse_usec, NINE + USEC_PER_DAY);

        fixture_come_near(f, NINE + USEC_PER_HOUR);
        fixture_run_until(f, fixture_connector(f, "c2")->run);
}

/* What the schedule has acted on is saved behind the last of them, in the same commit as their runs: whoever is killed
 * between two turns has all of it, or none. */
static void test_saved_together(void **state)
{
        EngineFixture *f = *state;

        open_many(f, 5);
        fixture_run_until(f, HASH_COUNT(f->engine->runs) == 5);
        assert_null(f->engine->waiting_saves);
        fixture_settle(f);
        assert_int_equal(fixture_sql(f, "SELECT count(*) FROM connectors WHERE last_elapse_usec >= 1780131600000000"),
                         5);
        for (unsigned i = 0; i < 5; i++) {
                char name[8];

                (void) snprintf(name, sizeof(name), "c%u", i);
                assert_int_equal(fixture_connector(f, name)->next_elapse_usec, NINE + USEC_PER_DAY);
        }
        fixture_kill(f);
        fixture_open(f);
        assert_int_equal(HASH_COUNT(f->engine->runs), 5); /* no second ones */
}

/* The clock is set back in the moment in which the timer fires, and nobody has told us yet: nothing runs too early. */
static void test_set_back(void **state)
{
        EngineFixture *f = *state;

        uint64_t at = 1;

        open_many(f, 3);
        fixture_stop_clock(NINE - USEC_PER_MINUTE);
        expect_ok(sd_event_source_set_time(f->engine->due_timer, at));
        while (at <= 1) {
                fixture_turn(f);
                expect_ok(sd_event_source_get_time(f->engine->due_timer, &at));
        }
        assert_int_equal(HASH_COUNT(f->engine->runs), 0);
        fixture_come_near(f, NINE);
        fixture_run_until(f, HASH_COUNT(f->engine->runs) == 3);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                ENGINE_TEST(test_one_turn),
                ENGINE_TEST(test_own_times),
                ENGINE_TEST(test_saved_together),
                ENGINE_TEST(test_set_back),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
