/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Lists of events: every filter against a plain search, page by page, and how much a read looks at. */

#include "unit/expect.h"

#include <stdlib.h>

#include "base/string-util.h"
#include "store/event-list.h"
#include "store/store-private.h"
#include "unit/store-fixture.h"

static void test_events_of_a_connector_go_back_so_many_runs(void **state)
{
        StoreFixture *f = *state;
        const EventFilter filter = { .connector = "bank", .limit = EVENTS_PAGE_MAX };
        EventPage page;

        for (unsigned i = 0; i <= EVENTS_RUNS_MAX; i++) {
                Run *run = make_ended_run("bank", USER_1, i, A_TIME + i, RUN_SUCCEEDED);

                expect_ok(store_put_run(f->store, run, false));
                put_event_of(f->store, run, A_TIME);
                run_free(run);
        }
        store_fixture_commit(f);
        expect_ok(store_list_events(f->store, &filter, &page));
        assert_int_equal(page.n, EVENTS_RUNS_MAX);
        assert_int_equal(page.next, 0);
        assert_int_equal(page.events[0].seq, 2);
        event_page_done(&page);
}

static void test_events_of_a_rare_provider(void **state)
{
        StoreFixture *f = *state;
        Run *rare = make_run("bank", NULL, 1, A_TIME), *common = make_run("shop", NULL, 2, A_TIME);
        EventFilter filter = { .provider = "bank", .newest_first = true, .limit = 1 };
        EventPage page;

        expect_ok(store_put_run(f->store, rare, false));
        expect_ok(store_put_run(f->store, common, false));
        put_event_of(f->store, rare, A_TIME);
        for (unsigned i = 0; i < EVENTS_EXAMINED_MAX; i++) {
                put_event_of(f->store, common, A_TIME);
                if (i == EVENTS_EXAMINED_MAX - 2 || i == EVENTS_EXAMINED_MAX - 1) {
                        store_fixture_commit(f);
                        expect_ok(store_list_events(f->store, &filter, &page));
                        assert_int_equal(page.n, i == EVENTS_EXAMINED_MAX - 2);
                        /* Nothing is left, or the one that was not looked at. */
                        assert_int_equal(page.next, i == EVENTS_EXAMINED_MAX - 2 ? 0 : 2);
                        event_page_done(&page);
                }
        }
        run_free(rare);
        run_free(common);
}

/* Page by page, as a reader goes on. */
static void walk_events(StoreFixture *f, EventFilter filter, size_t expected)
{
        uint64_t seen[64];
        size_t n = 0;

        do {
                EventPage page;

                expect_ok(store_list_events(f->store, &filter, &page));
                for (size_t i = 0; i < page.n; i++) {
                        uint64_t seq = page.events[i].seq;

                        assert_true(n == 0 || (filter.newest_first ? seq < seen[n - 1] : seq > seen[n - 1]));
                        assert_true(page.next == 0 || (filter.newest_first ? seq >= page.next : seq <= page.next));
                        assert_in_range(n, 0, ELEMENTSOF(seen) - 1);
                        seen[n++] = seq;
                }
                *(filter.newest_first ? &filter.before_seq : &filter.after_seq) = page.next;
                event_page_done(&page);
        } while (filter.newest_first ? filter.before_seq > 0 : filter.after_seq > 0);
        assert_int_equal(n, expected);
}

/* Each event once, whatever the page's size, also where runs of a connector overlap. */
static void test_events_page_by_page(void **state)
{
        StoreFixture *f = *state;
        Run *runs[3] = {
                make_ended_run("bank", USER_1, 1, A_TIME, RUN_SUCCEEDED),
                make_ended_run("bank", USER_1, 2, A_TIME, RUN_SUCCEEDED),
                make_ended_run("shop", USER_2, 3, A_TIME, RUN_SUCCEEDED),
        };
        const EventFilter filters[] = {
                { .connector = "bank" }, { .user_id = USER_1 }, { .run_id = runs[1]->id }, { .provider = "shop" }, {},
        };
        const size_t expected[] = { 24, 24, 12, 12, 36 };

        for (size_t i = 0; i < ELEMENTSOF(runs); i++)
                expect_ok(store_put_run(f->store, runs[i], false));
        for (unsigned i = 0; i < 36; i++)
                put_event_of(f->store, runs[i % 3], A_TIME);
        store_fixture_commit(f);
        for (size_t i = 0; i < ELEMENTSOF(filters); i++)
                for (unsigned limit = 1; limit < 30; limit++) {
                        EventFilter filter = filters[i];

                        filter.limit = limit;
                        walk_events(f, filter, expected[i]);
                        filter.newest_first = true;
                        walk_events(f, filter, expected[i]);
                }
        for (size_t i = 0; i < ELEMENTSOF(runs); i++)
                run_free(runs[i]);
}

/* Runs that overlap, and more events of theirs than one call looks at. */
static void test_events_of_a_connector_beyond_the_budget(void **state)
{
        const unsigned n_events = 2 * EVENTS_EXAMINED_MAX + 100;
        StoreFixture *f = *state;
        Run *a = make_ended_run("bank", NULL, 1, A_TIME, RUN_SUCCEEDED);
        Run *b = make_ended_run("bank", NULL, 2, A_TIME, RUN_SUCCEEDED);

        expect_ok(store_put_run(f->store, a, false));
        expect_ok(store_put_run(f->store, b, false));
        for (unsigned i = 0; i < n_events; i++)
                put_event_of(f->store, i % 2 ? b : a, i < 20 || i >= n_events - 20 ? A_TIME + 1 : A_TIME);
        store_fixture_commit(f);
        for (unsigned newest_first = 0; newest_first < 2; newest_first++) {
                EventFilter filter = { .connector = "bank", .limit = 1000, .newest_first = newest_first };
                EventPage page;
                size_t n = 0, n_pages = 0;

                do {
                        expect_ok(store_list_events(f->store, &filter, &page));
                        n += page.n;
                        n_pages++;
                        *(newest_first ? &filter.before_seq : &filter.after_seq) = page.next;
                        event_page_done(&page);
                } while ((newest_first ? filter.before_seq : filter.after_seq) > 0);
                assert_int_equal(n, n_events);
                assert_in_range(n_pages, 10, 15);
        }
        run_free(a);
        run_free(b);
}

/* SQLite calls it at each step of its machine. */
static int count_step(void *userdata)
{
        ++*(unsigned *) userdata;
        return 0;
}

static unsigned steps_of_events(StoreFixture *f, const EventFilter *filter, size_t expected)
{
        unsigned n_steps = 0;
        EventPage page;

        sqlite3_progress_handler(f->store->reader->sqlite, 1, count_step, &n_steps);
        expect_ok(store_list_events(f->store, filter, &page));
        sqlite3_progress_handler(f->store->reader->sqlite, 0, NULL, NULL);
        assert_int_equal(page.n, expected);
        event_page_done(&page);
        return n_steps;
}

/* What is asked for decides how long a read takes, not how much there is. */
static void test_reads_are_bounded(void **state)
{
        const unsigned n_events = 3 * EVENTS_EXAMINED_MAX, steps_per_event = 100;
        const usec_t late = A_TIME + (n_events - 5) * USEC_PER_SEC;
        StoreFixture *f = *state;
        Run *run = make_run("bank", USER_1, 1, A_TIME),
            *skipped = make_ended_run("bank", NULL, 2, A_TIME, RUN_SKIPPED);
        EventFilter filters[] = {
                { .since_usec = late },
                { .since_usec = late, .newest_first = true },
                { .since_usec = late, .connector = "bank" },
                { .since_usec = late, .connector = "bank", .newest_first = true },
                { .since_usec = late, .run_id = run->id },
                { .since_usec = late, .user_id = USER_1, .newest_first = true },
                { .connector = "bank" },
                { .connector = "bank", .newest_first = true },
        };

        expect_ok(store_put_run(f->store, run, false));
        for (unsigned i = 0; i < n_events; i++) {
                if (i == n_events / 2) {
                        expect_ok(store_put_run(f->store, skipped, false));
                        put_event_of(f->store, skipped, A_TIME + i * USEC_PER_SEC);
                }
                put_event_of(f->store, run, A_TIME + i * USEC_PER_SEC);
                if (i % 1000 == 0)
                        store_fixture_commit(f);
        }
        store_fixture_commit(f);
        for (size_t i = 0; i < ELEMENTSOF(filters); i++) {
                filters[i].limit = 5;
                assert_in_range(steps_of_events(f, &filters[i], 5), 1, 30 * steps_per_event);
                filters[i].provider = "rare";
                filters[i].limit = EVENTS_PAGE_MAX;
                assert_in_range(steps_of_events(f, &filters[i], 0), 1, (EVENTS_EXAMINED_MAX + 30) * steps_per_event);
        }
        run_free(run);
        run_free(skipped);
}

static bool event_matches(const EventFilter *filter, const Run *run, uint64_t seq)
{
        return (!filter->user_id || streq_null(run->user_id, filter->user_id)) &&
               (!filter->run_id || streq(run->id, filter->run_id)) &&
               (!filter->connector || streq_null(run->connector, filter->connector)) &&
               (!filter->provider || streq(run->provider, filter->provider)) && seq > filter->after_seq &&
               (filter->before_seq == 0 || seq < filter->before_seq) && run->created_usec >= filter->since_usec;
}

/* The n-th run has the event n + 1. */
static void check_events(StoreFixture *f, const EventFilter *filter)
{
        EventPage page;
        size_t n_seen = 0;

        expect_ok(store_list_events(f->store, filter, &page));
        for (unsigned j = 0; j < N_RUNS && n_seen < filter->limit; j++) {
                unsigned i = filter->newest_first ? N_RUNS - 1 - j : j;
                Run *run = store_fixture_nth_run(i);

                if (event_matches(filter, run, i + 1)) {
                        assert_true(n_seen < page.n);
                        assert_int_equal(page.events[n_seen].seq, i + 1);
                        assert_string_equal(page.events[n_seen].run_id, run->id);
                        assert_true(streq_null(page.events[n_seen].user_id, run->user_id));
                        assert_non_null(strstr(page.events[n_seen].json, run->id));
                        n_seen++;
                }
                run_free(run);
        }
        assert_int_equal(n_seen, page.n);
        event_page_done(&page);
}

static void test_events_by_every_filter(void **state)
{
        StoreFixture *f = *state;

        for (unsigned mask = 0; mask < 1U << 9; mask++) {
                const EventFilter filter = {
                        .user_id = mask & 1 ? USER_1 : NULL,
                        .run_id = mask & 2 ? "00000000-0000-7000-8000-000000000030" : NULL,
                        .connector = mask & 4 ? "bank" : NULL,
                        .provider = mask & 8 ? "bank" : NULL,
                        .after_seq = mask & 16 ? 50 : 0,
                        .before_seq = mask & 32 ? 150 : 0,
                        .since_usec = mask & 64 ? A_TIME + 25 : 0,
                        .newest_first = mask & 128,
                        .limit = mask & 256 ? 5 : EVENTS_PAGE_MAX,
                };

                check_events(f, &filter);
        }
        check_events(f, &(EventFilter){ .user_id = "nobody", .limit = 1 });
        check_events(f, &(EventFilter){ .run_id = "nobody", .limit = 1 });
        check_events(f, &(EventFilter){ .after_seq = UINT64_MAX, .limit = 1 });
}

static void test_event_numbers_go_up(void **state)
{
        StoreFixture *f = *state;
        Run *run = make_run(NULL, USER_1, 1, A_TIME);
        Event event;

        expect_ok(store_put_run(f->store, run, false));
        put_event_of(f->store, run, A_TIME);
        expect_ok(event_make(run, store_last_seq(f->store), A_TIME, &event));
        expect_errno(store_put_event(f->store, run, &event), -EINVAL);
        assert_non_null(event.json); /* still the caller's */
        event.seq += 10;             /* a gap is fine */
        expect_ok(store_put_event(f->store, run, &event));
        assert_null(event.json);
        expect_errno(store_put_event(f->store, run, &event), -EINVAL);
        store_fixture_commit(f);
        assert_int_equal(store_last_seq(f->store), 11);

        /* Of a run that is not there. */
        free(run->id);
        run->id = strdup("no such run");
        put_event_of(f->store, run, A_TIME);
        store_fixture_await_failure(f, 1);
        assert_int_equal(f->error, -ENOENT);
        run_free(run);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                STORE_TEST(test_events_of_a_connector_go_back_so_many_runs),
                STORE_TEST(test_events_of_a_rare_provider),
                STORE_TEST(test_events_page_by_page),
                STORE_TEST(test_events_of_a_connector_beyond_the_budget),
                STORE_TEST(test_reads_are_bounded),
                RUNS_TEST(test_events_by_every_filter),
                STORE_TEST(test_event_numbers_go_up),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
