/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The store with each allocation failing in turn, SQLite's too: what cannot be put is refused, a commit that fails is
 * told, and writing works again. */

#include "unit/expect.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/string-util.h"
#include "unit/failing-alloc.h"
#include "unit/store-fixture.h"

static StoreFixture *f;
static Run *run;
static unsigned n_failed;

static int put_all(void)
{
        ConnectorRecord record = CONNECTOR_RECORD_INIT;
        Event event;
        int r;

        record.name = run->connector;
        record.id = run->connector_id;
        r = store_put_connector(f->store, &record);
        if (r >= 0)
                r = store_put_cursor(f->store, "bank", "{\"n\":1}");
        if (r >= 0)
                r = store_put_run(f->store, run, true);
        if (r < 0)
                return r;
        r = event_make(run, store_last_seq(f->store) + 1, A_TIME, &event);
        if (r < 0)
                return r;
        r = store_put_event(f->store, run, &event);
        event_done(&event);
        return r < 0 ? r : store_retain(f->store, &(RetentionPolicy){ .events_max_per_user = 3 }, A_TIME);
}

/* Return: 0; what the commit failed for. */
static int commit(void)
{
        uint64_t ticket = store_ticket(f->store);
        unsigned before = f->n_failed, recovered = f->n_recovered;

        while (f->committed < ticket && f->n_failed == before)
                expect_ok(sd_event_run(f->event, UINT64_MAX));
        if (f->n_failed == before)
                return 0;
        n_failed++;
        (void) alloc_end();
        store_fixture_await_recovery(f, recovered + 1);
        return f->error;
}

static int read_all(void)
{
        RunFilter runs_filter = RUN_FILTER_INIT;
        EventFilter events_filter = { .limit = 10 };
        _cleanup_free_ char *cursor = NULL, *next = NULL;
        ConnectorRecord *records;
        EventPage page;
        Run **runs;
        size_t n;
        int r;

        r = store_load_connectors(f->store, &records, &n);
        if (r < 0)
                return r;
        connector_records_free(records, n);
        runs_filter.with_accounts = true;
        runs_filter.limit = 1;
        r = store_list_runs(f->store, &runs_filter, &runs, &n, &next);
        if (r < 0)
                return r;
        runs_free(runs, n);
        r = store_list_events(f->store, &events_filter, &page);
        if (r < 0)
                return r;
        event_page_done(&page);
        r = store_get_cursor(f->store, "bank", &cursor);
        return MIN(r, 0);
}

static int use(void)
{
        int r, k;

        r = store_fixture_open(f, NULL);
        if (r < 0)
                return r;
        r = put_all();
        k = commit();
        if (r >= 0 && k >= 0)
                r = read_all();
        store_fixture_close(f);
        return k < 0 ? k : r;
}

static int create(void)
{
        _cleanup_free_ char *log = NULL;
        int r;

        alloc_pause();
        (void) unlink(f->path);
        log = asprintf_or_null("%s-wal", f->path);
        (void) unlink(log);
        alloc_resume();
        r = store_fixture_open(f, NULL);
        if (r >= 0)
                store_fixture_close(f);
        return r;
}

/* Of thousands, nearly all of which are for the schema. */
#define USE_STRIDE    31U
#define CREATE_STRIDE 1009U

static void test_use(void **state)
{
        Account *account;

        f = *state;
        store_fixture_close(f);
        run = make_ended_run("bank", USER_1, 1, A_TIME, RUN_SUCCEEDED);
        expect_ok(run_find_account(run, "savings", true, &account));
        fail_allocations("use", use, 1);
        alloc_count_sqlite(true);
        fail_allocations("use with SQLite", use, USE_STRIDE);
        alloc_count_sqlite(false);
        assert_true(n_failed > 0);
        run_free(run);
}

static void test_create(void **state)
{
        f = *state;
        store_fixture_close(f);
        fail_allocations("create", create, 1);
        alloc_count_sqlite(true);
        fail_allocations("create with SQLite", create, CREATE_STRIDE);
        alloc_count_sqlite(false);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                STORE_TEST(test_use),
                STORE_TEST(test_create),
        };

        alloc_include_sqlite();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
