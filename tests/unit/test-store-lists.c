/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Lists of runs: every filter against a plain search, page by page, and the way SQLite takes through them.
 */

#include "unit/expect.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/string-util.h"
#include "store/event-list.h"
#include "store/page-token.h"
#include "store/run-list.h"
#include "store/store-private.h"
#include "unit/store-fixture.h"

static bool run_matches(const RunFilter *filter, const Run *run)
{
        return (!filter->connector || streq_null(run->connector, filter->connector)) &&
               (!filter->connector_id || streq_null(run->connector_id, filter->connector_id)) &&
               (!filter->user_id || streq_null(run->user_id, filter->user_id)) &&
               (!filter->provider || streq(run->provider, filter->provider)) &&
               (filter->source < 0 || run->source == filter->source) &&
               (filter->outcome < 0 || run->outcome == filter->outcome) &&
               (filter->status < 0 || repo_status_of(run) == filter->status) &&
               (filter->active < 0 || run_is_active(run) == filter->active) &&
               (filter->since_usec == 0 || run->created_usec >= filter->since_usec) &&
               (filter->until_usec == 0 || run->created_usec < filter->until_usec);
}

static int newest_first(const void *a, const void *b)
{
        const Run *x = *(Run *const *) a, *y = *(Run *const *) b;

        if (x->created_usec != y->created_usec)
                return x->created_usec > y->created_usec ? -1 : 1;
        return x->row > y->row ? -1 : 1;
}

/* All runs in the order of lists, with the numbers of their rows. */
static void search_plainly(const RunFilter *filter, Run **ret, size_t *ret_n)
{
        size_t n = 0;

        for (unsigned i = 0; i < N_RUNS; i++) {
                Run *run = store_fixture_nth_run(i);

                run->row = i + 1;
                if (run_matches(filter, run))
                        ret[n++] = run;
                else
                        run_free(run);
        }
        qsort(ret, n, sizeof(Run *), newest_first);
        *ret_n = n;
}

typedef struct Told {
        Run *const *expected;
        size_t n;
} Told;

static void on_told(const Run *run, void *userdata)
{
        Told *told = userdata;
        const Run *expected = told->expected[told->n++];

        assert_string_equal(run->id, expected->id);
        assert_true(run->row == expected->row && run->created_usec == expected->created_usec &&
                    run->started_usec == expected->started_usec && run->finished_usec == expected->finished_usec);
        assert_true(run->state == expected->state && run->outcome == expected->outcome &&
                    run->source == expected->source && run->trigger == expected->trigger &&
                    run->full_resync == expected->full_resync && run->items_processed == expected->items_processed);
        assert_memory_equal(&run->counts, &expected->counts, sizeof(run->counts));
        assert_texts_equal(run->connector, expected->connector);
        assert_texts_equal(run->connector_id, expected->connector_id);
        assert_texts_equal(run->user_id, expected->user_id);
        assert_texts_equal(run->provider, expected->provider);
        assert_texts_equal(run->message, expected->message);
        assert_texts_equal(run->error, expected->error);
        /* What is not read is as that of a new run. */
        assert_true(!run->metadata && run->attempt == 1 && run->items_total == COUNT_UNKNOWN);
}

/* Runs that are told of are those that are listed. */
static void check_told(StoreFixture *f, const RunFilter *filter, Run *const *runs, size_t n, const char *next)
{
        Told told = { .expected = runs };
        _cleanup_free_ char *told_next = NULL;

        expect_ok(store_tell_runs(f->store, filter, on_told, &told, &told_next));
        assert_int_equal(told.n, n);
        assert_texts_equal(told_next, next);
}

/* Goes through all pages of a filter. */
static void check_filter(StoreFixture *f, RunFilter filter)
{
        static const unsigned limits[] = { 1, 7, 100, 1000 };
        Run *expected[N_RUNS];
        size_t n_expected;

        search_plainly(&filter, expected, &n_expected);
        for (size_t l = n_expected > 12 ? 1 : 0; l < ELEMENTSOF(limits); l++) {
                char *next = NULL;
                size_t n_seen = 0;

                filter.limit = limits[l];
                do {
                        _cleanup_free_ char *page = next;
                        Run **runs;
                        size_t n;

                        filter.page = page;
                        expect_ok(store_list_runs(f->store, &filter, &runs, &n, &next));
                        assert_true(n <= filter.limit && n_seen + n <= n_expected);
                        assert_true(!next || n == filter.limit);
                        for (size_t i = 0; i < n; i++, n_seen++) {
                                assert_string_equal(runs[i]->id, expected[n_seen]->id);
                                assert_int_equal(runs[i]->n_accounts, filter.with_accounts);
                        }
                        check_told(f, &filter, runs, n, next);
                        runs_free(runs, n);
                } while (next);
                assert_int_equal(n_seen, n_expected);
        }
        for (size_t i = 0; i < n_expected; i++)
                run_free(expected[i]);
}

static void test_runs_by_every_filter(void **state)
{
        StoreFixture *f = *state;
        Run *some = make_run("shop", NULL, 0, 0);

        for (unsigned mask = 0; mask < (1U << 8) * (_REPO_STATUS_MAX + 1); mask += mask < 256 ? 1 : 3) {
                RunFilter filter = RUN_FILTER_INIT;

                if (mask & 1)
                        filter.connector = "shop";
                if (mask & 2)
                        filter.connector_id = some->connector_id;
                if (mask & 4)
                        filter.user_id = USER_2;
                if (mask & 8)
                        filter.provider = mask & 1 ? "shop" : "elsewhere";
                if (mask & 16)
                        filter.source = RUN_SOURCE_SDK;
                if (mask & 32)
                        filter.outcome = RUN_PARTIAL;
                if (mask & 64)
                        filter.active = !!(mask & 4);
                if (mask & 128) {
                        filter.since_usec = A_TIME + 10;
                        filter.until_usec = A_TIME + 50;
                }
                filter.status = (RepoStatus) (mask >> 8) - 1;
                filter.with_accounts = mask % 3 == 0;
                filter.brief = mask % 5 == 0;
                check_filter(f, filter);
        }
        run_free(some);
}

static void test_runs_of_nobody(void **state)
{
        StoreFixture *f = *state;
        const RunFilter filters[] = {
                { .connector = "nobody", .source = -1, .outcome = -1, .status = -1, .active = -1, .limit = 1 },
                { .connector_id = USER_1, .source = -1, .outcome = -1, .status = -1, .active = -1, .limit = 1 },
                { .user_id = "nobody", .source = -1, .outcome = -1, .status = -1, .active = -1, .limit = 1 },
                { .provider = "nobody", .source = -1, .outcome = -1, .status = -1, .active = -1, .limit = 1 },
                { .connector = "bank",
                  .connector_id = USER_1,
                  .source = -1,
                  .outcome = -1,
                  .status = -1,
                  .active = -1,
                  .limit = 1 },
                { .until_usec = 1, .source = -1, .outcome = -1, .status = -1, .active = -1, .limit = 1 },
                { .since_usec = A_TIME * 2, .source = -1, .outcome = -1, .status = -1, .active = -1, .limit = 1 },
        };

        for (size_t i = 0; i < ELEMENTSOF(filters); i++) {
                char *next = (char *) "";
                Run **runs;
                size_t n;

                expect_ok(store_list_runs(f->store, &filters[i], &runs, &n, &next));
                assert_int_equal(n, 0);
                assert_null(next);
                runs_free(runs, n);
        }
}

static void test_limits(void **state)
{
        StoreFixture *f = *state;
        RunFilter runs_filter = RUN_FILTER_INIT;
        EventFilter events_filter = {};
        EventPage page;
        Run **runs;
        size_t n;

        runs_filter.limit = 0;
        expect_errno(store_list_runs(f->store, &runs_filter, &runs, &n, NULL), -EINVAL);
        runs_filter.limit = RUNS_PAGE_MAX + 1;
        expect_errno(store_list_runs(f->store, &runs_filter, &runs, &n, NULL), -EINVAL);
        runs_filter.limit = RUNS_PAGE_MAX;
        expect_ok(store_list_runs(f->store, &runs_filter, &runs, &n, NULL));
        runs_free(runs, n);
        expect_errno(store_list_events(f->store, &events_filter, &page), -EINVAL);
        events_filter.limit = EVENTS_PAGE_MAX + 1;
        expect_errno(store_list_events(f->store, &events_filter, &page), -EINVAL);
        events_filter.limit = EVENTS_PAGE_MAX;
        expect_ok(store_list_events(f->store, &events_filter, &page));
        event_page_done(&page);
}

static void test_page_tokens(void **state)
{
        static const PagePlace places[] = { { 0, 0 }, { A_TIME, 1 }, { INT64_MAX, INT64_MAX } };
        static const char *const wrong[] = { "",
                                             "0",
                                             "next",
                                             "é",
                                             "00000000000000000000000000000000000000000000000000000000",
                                             "0000000000000000000000000000000000000000" };
        StoreFixture *f = *state;
        RunFilter filter = RUN_FILTER_INIT;
        char token[PAGE_TOKEN_TEXT_MAX];
        PagePlace place;
        Run **runs;
        size_t n;

        for (size_t i = 0; i < ELEMENTSOF(places); i++) {
                expect_ok(page_token_parse(page_token_format(token, &places[i]), &place));
                assert_true(place.created_usec == places[i].created_usec && place.row == places[i].row);
        }
        for (size_t i = 0; i < ELEMENTSOF(wrong); i++)
                expect_errno(page_token_parse(wrong[i], &place), -EINVAL);
        expect_errno(page_token_parse(page_token_format(token, &(PagePlace){ UINT64_MAX, 1 }), &place), -EINVAL);
        (void) page_token_format(token, &places[1]);
        for (size_t i = 0; i < sizeof(token) - 1; i++)
                for (int c = ' '; c <= '~'; c++) {
                        char kept = token[i];

                        token[i] = (char) c;
                        expect_errno(page_token_parse(token, &place), c == kept ? 0 : -EINVAL);
                        token[i] = kept;
                }
        token[3] = 'x';
        filter.page = token;
        expect_errno(store_list_runs(f->store, &filter, &runs, &n, NULL), -EINVAL);
}

static void test_rare_runs_come_in_short_pages(void **state)
{
        StoreFixture *f = *state;
        RunFilter filter = RUN_FILTER_INIT;
        Run *run = make_ended_run(NULL, USER_1, 0, A_TIME, RUN_FAILED), **runs;
        char *next;
        size_t n;

        for (unsigned i = 0; i <= RUNS_EXAMINED_MAX; i++) {
                free(run->id);
                run->id = asprintf_or_null("%u", i);
                run->created_usec = A_TIME + i;
                run->outcome = i == 0 ? RUN_PARTIAL : RUN_FAILED; /* the oldest, just beyond what is looked at */
                expect_ok(store_put_run(f->store, run, false));
        }
        store_fixture_commit(f);
        filter.user_id = USER_1;
        filter.outcome = RUN_PARTIAL;
        expect_ok(store_list_runs(f->store, &filter, &runs, &n, &next));
        assert_int_equal(n, 0);
        assert_non_null(next);
        runs_free(runs, n);
        filter.page = next;
        expect_ok(store_list_runs(f->store, &filter, &runs, &n, &next));
        assert_int_equal(n, 1);
        assert_null(next);
        assert_string_equal(runs[0]->id, "0");
        runs_free(runs, n);
        free((char *) filter.page);
        run_free(run);
}

static void test_many_accounts_come_in_short_pages(void **state)
{
        StoreFixture *f = *state;
        RunFilter filter = RUN_FILTER_INIT;
        size_t n, n_pages = 0, n_runs = 0;
        char name[16], *next = NULL;

        for (unsigned i = 0; i < 20; i++) {
                Run *run = make_ended_run("bank", USER_1, i, A_TIME + i, RUN_SUCCEEDED);
                Account *account;

                for (unsigned k = 0; k < ACCOUNTS_PER_RUN_MAX; k++) {
                        (void) snprintf(name, sizeof(name), "a%u", k);
                        expect_ok(run_find_account(run, name, true, &account));
                }
                expect_ok(store_put_run(f->store, run, true));
                run_free(run);
        }
        store_fixture_commit(f);
        filter.with_accounts = true;
        do {
                Run **runs;

                free((char *) filter.page);
                filter.page = next;
                expect_ok(store_list_runs(f->store, &filter, &runs, &n, &next));
                for (size_t i = 0; i < n; i++)
                        assert_int_equal(runs[i]->n_accounts, ACCOUNTS_PER_RUN_MAX);
                runs_free(runs, n);
                n_runs += n;
                n_pages++;
        } while (next);
        assert_int_equal(n_runs, 20);
        assert_in_range(n_pages, 2, 10);
        free((char *) filter.page);
}

static void test_plans(void **state)
{
        static const char *const run_plans[] = {
                [RUN_LEAD_CONNECTOR] = "INDEX runs_by_connector (connector=? AND created_usec>? AND created_usec<?)",
                [RUN_LEAD_USER] = "INDEX runs_by_user (user=? AND created_usec>? AND created_usec<?)",
                [RUN_LEAD_ACTIVE] = "INDEX runs_active (created_usec>? AND created_usec<?)",
                [RUN_LEAD_PROVIDER] = "INDEX runs_by_provider (provider=? AND created_usec>? AND created_usec<?)",
                [RUN_LEAD_OUTCOME] = "INDEX runs_by_outcome (outcome=? AND created_usec>? AND created_usec<?)",
                [RUN_LEAD_QUEUED] = "INDEX runs_active (created_usec>? AND created_usec<?)",
                [RUN_LEAD_RUNNING] = "INDEX runs_active (created_usec>? AND created_usec<?)",
                [RUN_LEAD_SUCCEEDED] = "INDEX runs_by_outcome (outcome=? AND created_usec>? AND created_usec<?)",
                [RUN_LEAD_FAILED] = "INDEX runs_by_outcome (outcome=? AND created_usec>? AND created_usec<?)",
                [RUN_LEAD_SOURCE] = "INDEX runs_by_source (source=? AND created_usec>? AND created_usec<?)",
                [RUN_LEAD_TIME] = "INDEX runs_by_time (created_usec>? AND created_usec<?)",
        };
        static const char *const event_plans[] = {
                [EVENT_LEAD_RUN] = "INDEX events_by_run (run=? AND rowid>? AND rowid<?)",
                [EVENT_LEAD_USER] = "INDEX events_by_user (user=? AND rowid>? AND rowid<?)",
                [EVENT_LEAD_SEQ] = "INTEGER PRIMARY KEY (rowid>? AND rowid<?)",
        };
        static const char *const news_plans[] = {
                [NEWS_LEAD_USER] = "COVERING INDEX runs_ended_by_user (user=? AND updated_usec>?)",
                [NEWS_LEAD_TIME] = "COVERING INDEX runs_ended (updated_usec>?)",
        };
        StoreFixture *f = *state;

        static_assert(ELEMENTSOF(run_plans) == _RUN_LEAD_MAX && ELEMENTSOF(event_plans) == _EVENT_LEAD_MAX, "all");
        static_assert(ELEMENTSOF(news_plans) == NEWS_LEAD_ACTIVE, "all but that which reads the whole index");
        for (RunLead lead = 0; lead < _RUN_LEAD_MAX; lead++)
                for (int brief = 0; brief < 2; brief++)
                        assert_plan(f, run_lead_sql(lead, brief), run_plans[lead], false);
        for (EventLead lead = 0; lead < _EVENT_LEAD_MAX; lead++)
                for (int newest = 0; newest < 2; newest++)
                        assert_plan(f, event_lead_sql(lead, newest), event_plans[lead], false);
        for (int newest = 0; newest < 2; newest++) {
                assert_plan(f, event_heads_sql(newest), "INDEX runs_by_connector (connector=?)", false);
                assert_plan(f, event_heads_sql(newest), event_plans[EVENT_LEAD_RUN], false);
        }
        for (NewsLead lead = 0; lead < NEWS_LEAD_ACTIVE; lead++)
                assert_plan(f, news_lead_sql(lead), news_plans[lead], false);
        assert_plan(f, run_marks_sql(), "INDEX runs_by_connector (connector=?)", false);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                RUNS_TEST(test_runs_by_every_filter),
                RUNS_TEST(test_runs_of_nobody),
                STORE_TEST(test_limits),
                STORE_TEST(test_page_tokens),
                STORE_TEST(test_rare_runs_come_in_short_pages),
                STORE_TEST(test_many_accounts_come_in_short_pages),
                STORE_TEST(test_plans),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
