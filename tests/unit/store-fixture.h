/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A store in a folder of its own, on a loop of its own, and what its callbacks told. */

#include <systemd/sd-event.h>

#include "store/store.h"

typedef struct StoreFixture {
        char folder[64];
        char path[96];
        sd_event *event;
        Store *store;
        char *why;          /* of the last store_open() */
        uint64_t committed; /* last ticket told */
        unsigned n_committed, n_failed, n_recovered;
        int error; /* of the last failure */
} StoreFixture;

/* cmocka's set-up and tear-down: the store is open. */
int store_fixture_setup(void **state);
int store_fixture_teardown(void **state);
#define STORE_TEST(test) cmocka_unit_test_setup_teardown(test, store_fixture_setup, store_fixture_teardown)

int store_fixture_open(StoreFixture *f, const StoreOptions *options);
void store_fixture_close(StoreFixture *f);

/* Runs the loop until everything that was put is on disk; fails the test if that fails. */
void store_fixture_commit(StoreFixture *f);

/* ... of one run; what comes of it, and then until writing works again. Return: 0; the error. */
int store_fixture_commit_run(StoreFixture *f, const Run *run);

/* Runs the loop until the n-th failure or recovery. */
void store_fixture_await_failure(StoreFixture *f, unsigned n);
void store_fixture_await_recovery(StoreFixture *f, unsigned n);

/* Runs SQL on a connection of its own, waiting as the sqlite3 shell would. Returns the first column of the first row.
 */
int64_t store_fixture_sql(const char *path, const char *sql);

/* SQLite says how it would run @sql: by the index, in its order, without going through everything. */
void assert_plan(StoreFixture *f, const char *sql, const char *by, bool sorted_afterwards);

/* A run that has just been queued at @created_usec; its id is made of @number. The caller frees. */
Run *make_run(const char *connector, const char *user_id, unsigned number, usec_t created_usec);

/* ... that ended so, a second later. */
Run *make_ended_run(const char *connector, const char *user_id, unsigned number, usec_t created_usec,
                    RunOutcome outcome);

/* Puts the event of how @run stands, with the next number. */
void put_event_of(Store *store, const Run *run, usec_t time_usec);

/* The set-up with N_RUNS runs of all sorts, several at the same time, in an order of their own; the n-th has one
 * account and the event n + 1. The caller frees the n-th. */
#define N_RUNS 200
int store_fixture_setup_runs(void **state);
Run *store_fixture_nth_run(unsigned i);
#define RUNS_TEST(test) cmocka_unit_test_setup_teardown(test, store_fixture_setup_runs, store_fixture_teardown)

void assert_texts_equal(const char *a, const char *b);
void assert_runs_equal(const Run *a, const Run *b); /* but for row and accounts */
void assert_accounts_equal(const Run *a, const Run *b);
void assert_records_equal(const ConnectorRecord *a, const ConnectorRecord *b);

#define USER_1 "11111111-1111-4111-8111-111111111111"
#define USER_2 "22222222-2222-4222-8222-222222222222"
#define A_TIME ((usec_t) 1780171200 * USEC_PER_SEC) /* 2026-05-30T20:00:00Z */
