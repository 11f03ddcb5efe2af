/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Power that fails at any write, sync or truncation: what was committed is there, and of what was not, whole turns in
 * their order or nothing. */

#include "unit/expect.h"

#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/string-util.h"
#include "unit/fault-vfs.h"
#include "unit/power.h"
#include "unit/store-fixture.h"

#define LIVES          6U   /* of one history: each ends by a failure, and the next begins with what is left */
#define OPERATIONS_MAX 250U /* of one life */
#define TURNS_MAX      2000U

typedef struct World {
        StoreFixture *f;
        uint64_t seed;
        atomic_ullong promises; /* ticket of the last write that the owner was told of */
        unsigned n_lives;
        unsigned n_turns;            /* of all lives, that are not known to be lost */
        unsigned n_owed;             /* of which so many must be there */
        uint64_t tickets[TURNS_MAX]; /* of this life's turns; 0: of an earlier one */
} World;

static unsigned draw(World *w, unsigned n)
{
        w->seed = w->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        return (unsigned) (w->seed >> 33) % n;
}

/* A run with its event, its connector and its cursor. */
static void put_turn(World *w)
{
        unsigned number = w->n_turns + 1;
        Run *run = make_ended_run("bank", USER_1, number, A_TIME, RUN_SUCCEEDED);
        ConnectorRecord record = CONNECTOR_RECORD_INIT;

        assert_true(number < TURNS_MAX);
        record.name = run->connector;
        record.id = run->connector_id;
        record.consecutive_failures = number;
        expect_ok(store_put_connector(w->f->store, &record));
        expect_ok(store_put_run(w->f->store, run, true));
        put_event_of(w->f->store, run, A_TIME + number);
        expect_ok(store_put_cursor(w->f->store, "bank", run->id));
        run_free(run);
        w->n_turns = number;
        w->tickets[number] = store_ticket(w->f->store);
        expect_ok(sd_event_run(w->f->event, 0));
        atomic_store(&w->promises, w->f->committed);
}

static void set_path(World *w, unsigned number)
{
        (void) snprintf(w->f->path, sizeof(w->f->path), "%s/life%u.db", w->f->folder, number);
}

/* Until the power has failed. Return: what was promised by then. */
static uint64_t live(World *w)
{
        const StoreOptions options = {
                .path = w->f->path,
                .retry_usec = USEC_PER_MSEC,
                .log_limit_bytes = 64 * KIB, /* so that the log is moved and begun anew, again and again */
        };
        uint64_t promised;

        atomic_store(&w->promises, 0);
        power_fail(1 + draw(w, OPERATIONS_MAX), w->seed, &w->promises);
        expect_ok(store_fixture_open(w->f, &options));
        while (!power_has_failed(&promised)) {
                put_turn(w);
                if (draw(w, 3) > 0) {
                        store_fixture_commit(w->f);
                        atomic_store(&w->promises, w->f->committed);
                }
        }
        store_fixture_close(w->f);
        return promised;
}

/* Return: whether the disk has what it owes. */
static bool is_kept(World *w)
{
        static const char *const numbers[] = {
                "SELECT count(*) FROM runs",
                "SELECT count(*) FROM events",
                "SELECT ifnull(max(seq), 0) FROM events",
                "SELECT ifnull(max(consecutive_failures), 0) FROM connectors",
                "SELECT ifnull(max(substr(cursor, -12) + 0), 0) FROM cursors",
        };
        const StoreOptions options = { .path = w->f->path };
        int64_t n_there;

        if (store_fixture_open(w->f, &options) < 0)
                return false;
        store_fixture_close(w->f);
        n_there = store_fixture_sql(w->f->path, numbers[0]);
        for (size_t i = 1; i < ELEMENTSOF(numbers); i++)
                if (store_fixture_sql(w->f->path, numbers[i]) != n_there)
                        return false;
        if (n_there < w->n_owed || n_there > w->n_turns)
                return false;
        w->n_turns = w->n_owed = (unsigned) n_there;
        return true;
}

static bool live_and_fail(World *w, bool lies)
{
        char before[sizeof(w->f->path)];
        uint64_t promised;

        power_begin(lies);
        promised = live(w);
        while (w->n_owed < w->n_turns && w->tickets[w->n_owed + 1] <= promised)
                w->n_owed++;
        (void) strcpy(before, w->f->path);
        set_path(w, ++w->n_lives);
        power_restore(before, w->f->path);
        power_end();
        return is_kept(w);
}

static unsigned run_world(StoreFixture *f, uint64_t seed, bool lies)
{
        World *w = calloc(1, sizeof(World));
        unsigned n_kept = 0;

        assert_non_null(w);
        w->f = f;
        w->seed = seed;
        store_fixture_close(f);
        set_path(w, w->n_lives = (unsigned) seed * 100);
        while (n_kept < LIVES && live_and_fail(w, lies))
                n_kept++;
        free(w);
        return n_kept;
}

static void test_nothing_is_lost(void **state)
{
        for (uint64_t seed = 1; seed <= 15; seed++)
                assert_int_equal(run_world(*state, seed, false), LIVES);
}

/* The same is found wanting where the disk does not do what it is told to. */
static void test_lies_are_noticed(void **state)
{
        for (uint64_t seed = 1; seed <= 5; seed++)
                assert_true(run_world(*state, seed, true) < LIVES);
}

static int register_vfs(void **state)
{
        fault_vfs_register();
        return 0;
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                STORE_TEST(test_nothing_is_lost),
                STORE_TEST(test_lies_are_noticed),
        };

        return cmocka_run_group_tests(tests, register_vfs, NULL);
}
