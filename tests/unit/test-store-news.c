/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Runs by their newest event, runs in short, and where a reader of events may begin. */

#include "unit/expect.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/string-util.h"
#include "store/store-private.h"
#include "unit/store-fixture.h"

static void put_run(StoreFixture *f, Run *run, usec_t event_usec)
{
        run->updated_usec = event_usec;
        run->last_seq = store_last_seq(f->store) + 1;
        expect_ok(store_put_run(f->store, run, false));
        put_event_of(f->store, run, event_usec);
}

static bool add_id(const Run *run, void *userdata)
{
        char **found = userdata, *longer = asprintf_or_null("%s%s%c", *found, **found ? " " : "", run->id[35]);

        free(*found);
        *found = longer;
        assert_int_equal(run->n_accounts, 0);
        return true;
}

/* The ids that a filter finds, as "3 1 2". */
static void check_news(StoreFixture *f, NewsFilter filter, const char *expected)
{
        _cleanup_free_ char *found = strdup("");

        expect_ok(store_tell_news(f->store, &filter, add_id, &found));
        assert_string_equal(found, expected);
}

/* And then none. */
static bool count_two(const Run *run, void *userdata)
{
        return ++*(size_t *) userdata < 2;
}

static bool count_all(const Run *run, void *userdata)
{
        ++*(size_t *) userdata;
        return true;
}

static void test_c27_each_run_once_by_its_newest_event(void **state)
{
        StoreFixture *f = *state;
        Run *a = make_run("bank", USER_1, 1, A_TIME), *b = make_run(NULL, USER_1, 2, A_TIME + 1);
        Run *c = make_run("shop", USER_2, 3, A_TIME - 5);
        NewsFilter filter = NEWS_FILTER_INIT;
        size_t n = 0;

        c->source = RUN_SOURCE_BACKFILL;
        put_run(f, a, A_TIME + 1);
        put_run(f, b, A_TIME + 2);
        put_run(f, c, A_TIME + 3);
        put_run(f, a, A_TIME + 4);
        put_run(f, a, A_TIME + 5);
        b->state = RUN_FINISHED;
        b->outcome = RUN_FAILED;
        b->stage = SYNC_STAGE_FAILED;
        b->finished_usec = A_TIME + 6;
        put_run(f, b, A_TIME + 6);
        store_fixture_commit(f);

        check_news(f, filter, "2 1 3");
        /* Who has enough is told no more. */
        expect_ok(store_tell_news(f->store, &filter, count_two, &n));
        assert_int_equal(n, 2);
        filter.limit = 2;
        check_news(f, filter, "2 1");
        filter.limit = RUNS_PAGE_MAX;
        filter.user_id = USER_1;
        check_news(f, filter, "2 1");
        filter.status = SYNC_STATUS_IN_PROGRESS;
        check_news(f, filter, "1");
        filter.status = SYNC_STATUS_FAILED;
        check_news(f, filter, "2");
        filter.user_id = "33333333-3333-4333-8333-333333333333";
        check_news(f, filter, "");
        filter = (NewsFilter) NEWS_FILTER_INIT;
        filter.provider = "shop";
        check_news(f, filter, "3");
        filter.provider = NULL;
        filter.source = RUN_SOURCE_BACKFILL;
        check_news(f, filter, "3");
        filter.status = SYNC_STATUS_FAILED;
        check_news(f, filter, "");
        filter = (NewsFilter) NEWS_FILTER_INIT;
        filter.connector = "bank";
        check_news(f, filter, "1");
        filter.since_usec = A_TIME + 6;
        check_news(f, filter, "");
        filter = (NewsFilter) NEWS_FILTER_INIT;
        filter.since_usec = A_TIME + 6;
        check_news(f, filter, "2");

        filter.limit = 0;
        expect_errno(store_tell_news(f->store, &filter, count_all, &n), -EINVAL);
        filter.limit = RUNS_PAGE_MAX + 1;
        expect_errno(store_tell_news(f->store, &filter, count_all, &n), -EINVAL);
        run_free(a);
        run_free(b);
        run_free(c);
}

static void put_ended(StoreFixture *f, const char *connector, unsigned number, RunOutcome outcome,
                      const char *metadata)
{
        Run *run = make_ended_run(connector, USER_1, number, A_TIME, outcome);

        run->metadata = metadata ? strdup(metadata) : NULL;
        put_run(f, run, A_TIME + number);
        run_free(run);
}

/* The ids of the newest events' runs. */
static void check_replay(StoreFixture *f, EventFilter filter, const char *expected)
{
        _cleanup_free_ char *found = strdup("");
        EventPage page;

        filter.newest_first = filter.of_newest_runs = true;
        expect_ok(store_list_events(f->store, &filter, &page));
        for (size_t i = 0; i < page.n; i++) {
                char *longer = asprintf_or_null("%s%s%c", found, *found ? " " : "", page.events[i].run_id[35]);

                free(found);
                found = longer;
                assert_true(i == 0 || page.events[i].seq < page.events[i - 1].seq);
        }
        assert_string_equal(found, expected);
        event_page_done(&page);
}

/* However many events of others are newer, and whether its own are still there. */
static void test_a_run_behind_very_many_events_of_others(void **state)
{
        StoreFixture *f = *state;
        Run *common = make_run("shop", USER_2, 9, A_TIME);
        NewsFilter filter = NEWS_FILTER_INIT;

        put_ended(f, "bank", 1, RUN_FAILED, NULL);
        put_ended(f, "mail", 2, RUN_SUCCEEDED, NULL);
        put_ended(f, NULL, 3, RUN_SUCCEEDED, "{\"connector\":\"bank\"}");
        put_ended(f, NULL, 4, RUN_SUCCEEDED, NULL);
        for (unsigned i = 0; i < EVENTS_EXAMINED_MAX + 2; i++)
                put_run(f, common, A_TIME + 10 + i);
        store_fixture_commit(f);
        check_news(f, filter, "9 4 3 2 1");
        filter.status = SYNC_STATUS_FAILED;
        check_news(f, filter, "1");
        filter.status = _SYNC_STATUS_INVALID;
        filter.provider = "mail";
        check_news(f, filter, "2");
        filter.provider = NULL;
        filter.connector = "bank";
        check_news(f, filter, "3 1");

        check_replay(f, (EventFilter){ .limit = 5, .connector = "bank" }, "3 1");
        check_replay(f, (EventFilter){ .limit = 1, .connector = "bank" }, "3");
        check_replay(f, (EventFilter){ .limit = 5, .provider = "bank" }, "1");
        check_replay(f, (EventFilter){ .limit = 5, .provider = "elsewhere", .user_id = USER_1 }, "4 3");
        check_replay(f, (EventFilter){ .limit = 5, .provider = "elsewhere", .user_id = USER_2 }, "");
        check_replay(f, (EventFilter){ .limit = 3, .provider = "shop" }, "9 9 9");
        check_replay(f, (EventFilter){ .limit = 5, .provider = "elsewhere", .before_seq = 4 }, "3");
        check_replay(f, (EventFilter){ .limit = 5, .provider = "elsewhere", .since_usec = A_TIME + 4 }, "4");
        check_replay(f, (EventFilter){ .limit = 5, .provider = "nobody" }, "");

        (void) store_fixture_sql(f->path, "DELETE FROM events WHERE seq <= 4");
        filter.connector = NULL;
        check_news(f, filter, "9 4 3 2 1");
        check_replay(f, (EventFilter){ .limit = 5, .connector = "bank" }, "");
        run_free(common);
}

/* Runs that overlap: the newest of all their events. */
static void test_newest_events_of_runs_that_overlap(void **state)
{
        StoreFixture *f = *state;
        Run *runs[3];

        for (unsigned i = 0; i < ELEMENTSOF(runs); i++)
                runs[i] = make_run("bank", USER_1, i + 1, A_TIME);
        for (char **p = &runs[2]->connector; *p; p = &runs[2]->connector_id) {
                free(*p);
                *p = NULL;
        }
        runs[1]->state = RUN_FINISHED;
        runs[1]->outcome = RUN_SUCCEEDED;
        runs[1]->stage = SYNC_STAGE_COMPLETED;
        runs[1]->finished_usec = A_TIME;
        for (unsigned i = 0; i < 9; i++)
                put_run(f, runs[i % 3], A_TIME + i);
        store_fixture_commit(f);
        check_replay(f, (EventFilter){ .limit = 20, .provider = "bank" }, "3 2 1 3 2 1 3 2 1");
        check_replay(f, (EventFilter){ .limit = 4, .provider = "bank" }, "3 2 1 3");
        check_replay(f, (EventFilter){ .limit = 4, .connector = "bank" }, "2 1 2 1");
        for (unsigned i = 0; i < ELEMENTSOF(runs); i++)
                run_free(runs[i]);
}

/* SQLite calls it at each step of its machine. */
static int count_step(void *userdata)
{
        ++*(unsigned *) userdata;
        return 0;
}

static unsigned steps_of_news(StoreFixture *f, NewsFilter filter, size_t expected)
{
        unsigned n_steps = 0;
        size_t n = 0;

        sqlite3_progress_handler(f->store->reader->sqlite, 1, count_step, &n_steps);
        expect_ok(store_tell_news(f->store, &filter, count_all, &n));
        sqlite3_progress_handler(f->store->reader->sqlite, 0, NULL, NULL);
        assert_int_equal(n, expected);
        return n_steps;
}

/* Of SQLite's virtual machine: some milliseconds, for which others wait. */
#define STEPS_MAX 100000U

/* A list looks at NEWS_EXAMINED_MAX runs that have ended, and so long as that takes. */
static void test_news_are_sought_so_far(void **state)
{
        static const char many[] =
                        "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < %u)"
                        " INSERT INTO runs (id, provider, source, trigger, full_resync, attempt, created_usec, state,"
                        "   outcome, finished_usec, stage, progress, discovered, added, updated, deduped,"
                        "   updated_usec, last_seq, report_sequence, worker_pid, worker_start_ticks)"
                        " SELECT 'many' || i, provider || 's', source, trigger, full_resync, attempt, created_usec,"
                        "   state, outcome, finished_usec, stage, progress, discovered, added, updated, deduped,"
                        "   updated_usec + i, last_seq + i, report_sequence, 0, 0"
                        " FROM n CROSS JOIN runs WHERE runs.id LIKE '%%1'";
        StoreFixture *f = *state;
        NewsFilter filter = NEWS_FILTER_INIT;
        char sql[sizeof(many) + 16];

        filter.provider = "elsewhere";
        put_ended(f, NULL, 1, RUN_SUCCEEDED, NULL);
        store_fixture_commit(f);
        (void) snprintf(sql, sizeof(sql), many, NEWS_EXAMINED_MAX - 1);
        (void) store_fixture_sql(f->path, sql);
        assert_in_range(steps_of_news(f, filter, 1), NEWS_EXAMINED_MAX, STEPS_MAX);
        (void) store_fixture_sql(f->path, "INSERT INTO runs (id, provider, source, trigger, full_resync, attempt,"
                                          " created_usec, state, outcome, finished_usec, stage, discovered, added,"
                                          " updated, deduped, updated_usec, last_seq, report_sequence, worker_pid,"
                                          " worker_start_ticks) SELECT 'one more', provider, source, trigger,"
                                          " full_resync, attempt, created_usec, state, outcome, finished_usec, stage,"
                                          " discovered, added, updated, deduped, updated_usec + 1, last_seq, 0, 0, 0"
                                          " FROM runs WHERE id = 'many1'");
        assert_in_range(steps_of_news(f, filter, 0), NEWS_EXAMINED_MAX, STEPS_MAX);
        filter.provider = NULL;
        filter.limit = 1;
        assert_in_range(steps_of_news(f, filter, 1), 1, 1000);
}

static void check_first_since(StoreFixture *f, usec_t since, uint64_t expected)
{
        uint64_t seq;

        expect_ok(store_first_seq_since(f->store, since, &seq));
        assert_int_equal(seq, expected);
}

static void test_first_event_that_is_young_enough(void **state)
{
        StoreFixture *f = *state;
        Run *run = make_run(NULL, USER_1, 1, A_TIME);

        check_first_since(f, 0, 1);
        check_first_since(f, A_TIME, 1);
        expect_ok(store_put_run(f->store, run, false));
        for (unsigned i = 1; i <= 100; i++)
                put_event_of(f->store, run, A_TIME + i / 2);
        store_fixture_commit(f);
        check_first_since(f, 0, 1);
        for (unsigned i = 1; i <= 50; i++)
                check_first_since(f, A_TIME + i, i * 2);
        check_first_since(f, A_TIME + 51, 101);
        (void) store_fixture_sql(f->path, "DELETE FROM events WHERE seq < 11 OR seq BETWEEN 40 AND 59");
        check_first_since(f, 0, 11);
        check_first_since(f, A_TIME + 3, 11);
        check_first_since(f, A_TIME + 6, 12);
        check_first_since(f, A_TIME + 20, 60);
        check_first_since(f, A_TIME + 25, 60);
        check_first_since(f, A_TIME + 31, 62);
        run_free(run);
}

/* Each start of the daemon leaves very many numbers out; and what was found is where the next question begins. */
static void test_first_young_event_of_numbers_with_gaps(void **state)
{
        StoreFixture *f = *state;
        Run *run = make_run(NULL, USER_1, 1, A_TIME);
        uint64_t numbers[60], seq = 0;

        expect_ok(store_put_run(f->store, run, false));
        for (unsigned i = 0; i < ELEMENTSOF(numbers); i++) {
                Event event;

                seq = i % 20 == 0 ? seq + UINT64_C(1) * 1000 * 1000 * 1000 * 1000 : seq + 1;
                numbers[i] = seq;
                expect_ok(event_make(run, seq, A_TIME + i, &event));
                expect_ok(store_put_event(f->store, run, &event));
                event_done(&event);
        }
        store_fixture_commit(f);
        for (unsigned i = 0; i < ELEMENTSOF(numbers); i++)
                check_first_since(f, A_TIME + i, numbers[i]);
        check_first_since(f, A_TIME + 100, seq + 1);
        for (unsigned i = ELEMENTSOF(numbers); i > 0; i -= 10)
                check_first_since(f, A_TIME + i - 1, numbers[i - 1]);
        run_free(run);
}

static void check_given(StoreFixture *f, uint64_t seq, bool expected)
{
        assert_int_equal(store_has_given_seq(f->store, seq), expected);
}

static void test_which_numbers_were_given(void **state)
{
        StoreFixture *f = *state;
        Run *run = make_run(NULL, USER_1, 1, A_TIME);
        Event event;

        check_given(f, 0, true);
        check_given(f, 1, false);
        expect_ok(store_put_run(f->store, run, false));
        expect_ok(event_make(run, 100, A_TIME, &event));
        expect_ok(store_put_event(f->store, run, &event));
        event_done(&event);
        store_fixture_commit(f);
        check_given(f, 98, false);
        check_given(f, 99, true); /* a reader stands before the first one */
        check_given(f, 100, true);
        check_given(f, 101, false);
        /* Once 100 is deleted, what was below it may have been. */
        (void) store_fixture_sql(f->path, "DELETE FROM events; UPDATE meta SET value = 100 WHERE name = 'last_seq'");
        check_given(f, 98, true);
        check_given(f, 101, false);
        run_free(run);
}

/* The page ends before the event that would be too much, and has one in any case. */
static void test_events_within_so_many_bytes(void **state)
{
        StoreFixture *f = *state;
        Run *run = make_run(NULL, USER_1, 1, A_TIME);
        EventFilter filter = { .limit = 10 };
        EventPage page;
        size_t size;

        expect_ok(store_put_run(f->store, run, false));
        for (unsigned i = 0; i < 3; i++)
                put_event_of(f->store, run, A_TIME);
        store_fixture_commit(f);
        expect_ok(store_list_events(f->store, &filter, &page));
        assert_int_equal(page.n, 3);
        size = strlen(page.events[0].json);
        event_page_done(&page);
        for (size_t i = 0; i < 4; i++) {
                filter.limit_bytes = i * size + (i == 0);
                expect_ok(store_list_events(f->store, &filter, &page));
                assert_int_equal(page.n, MAX(i, 1U));
                event_page_done(&page);
                filter.limit_bytes = (i + 1) * size - 1;
                expect_ok(store_list_events(f->store, &filter, &page));
                assert_int_equal(page.n, CLAMP(i, 1U, 3U));
                event_page_done(&page);
        }
        run_free(run);
}

static void test_runs_in_short(void **state)
{
        StoreFixture *f = *state;
        RedbarkMark *marks;
        size_t n;

        for (unsigned i = 0; i < 4; i++) {
                Run *run = make_ended_run(i == 2 ? "shop" : "bank", USER_1, i, A_TIME + i,
                                          (RunOutcome) (i % _RUN_OUTCOME_MAX));

                run->started_usec = i > 0 ? A_TIME + 10 : 0;
                expect_ok(store_put_run(f->store, run, false));
                run_free(run);
        }
        store_fixture_commit(f);
        expect_ok(store_list_marks(f->store, "bank", NULL, 2, &marks, &n));
        assert_int_equal(n, 2);
        assert_int_equal(marks[0].run_id[35], '3');
        assert_int_equal(marks[0].state, RUN_FINISHED);
        assert_int_equal(marks[0].outcome, RUN_CANCELLED);
        assert_true(marks[0].started_usec == A_TIME + 10 && marks[0].finished_usec == A_TIME + 3 + USEC_PER_SEC);
        assert_int_equal(marks[1].run_id[35], '1');
        redbark_marks_free(marks, n);
        expect_ok(store_list_marks(f->store, "bank", USER_1, 30, &marks, &n));
        assert_int_equal(n, 3);
        assert_int_equal(marks[2].started_usec, 0);
        redbark_marks_free(marks, n);
        expect_ok(store_list_marks(f->store, "nobody", NULL, 30, &marks, &n));
        assert_int_equal(n, 0);
        redbark_marks_free(marks, n);
        /* Of a user, that user's alone. */
        Run *other = make_ended_run("bank", USER_2, 9, A_TIME + 9, RUN_SUCCEEDED);
        expect_ok(store_put_run(f->store, other, false));
        run_free(other);
        store_fixture_commit(f);
        expect_ok(store_list_marks(f->store, "bank", USER_1, 1, &marks, &n));
        assert_int_equal(n, 1);
        assert_int_equal(marks[0].run_id[35], '3');
        redbark_marks_free(marks, n);
        expect_ok(store_list_marks(f->store, "bank", USER_2, 30, &marks, &n));
        assert_int_equal(n, 1);
        assert_int_equal(marks[0].run_id[35], '9');
        redbark_marks_free(marks, n);
        expect_ok(store_list_marks(f->store, "bank", "00000000-0000-4000-8000-00000000dead", 30, &marks, &n));
        assert_int_equal(n, 0);
        redbark_marks_free(marks, n);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                STORE_TEST(test_c27_each_run_once_by_its_newest_event),
                STORE_TEST(test_a_run_behind_very_many_events_of_others),
                STORE_TEST(test_newest_events_of_runs_that_overlap),
                STORE_TEST(test_news_are_sought_so_far),
                STORE_TEST(test_first_event_that_is_young_enough),
                STORE_TEST(test_first_young_event_of_numbers_with_gaps),
                STORE_TEST(test_which_numbers_were_given),
                STORE_TEST(test_events_within_so_many_bytes),
                STORE_TEST(test_runs_in_short),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
