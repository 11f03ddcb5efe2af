/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Runs by their newest event. It goes down the events, whose order is given, and takes each run once; an index of runs
 * by their last event would have to be rewritten with every event. */

#include <stdlib.h>
#include <string.h>

#define uthash_nonfatal_oom(elt) ((elt)->lost = true)
#include <uthash.h>

#include "base/string-util.h"
#include "store/event-list.h"
#include "store/run-columns.h"

typedef struct SeenRun {
        int64_t row;
        bool lost; /* could not be put into the table */
        UT_hash_handle hh;
} SeenRun;

static const char *const lead_sql[] = {
        [NEWS_LEAD_USER] = "SELECT run, time_usec FROM events INDEXED BY events_by_user"
                           " WHERE seq > ?1 AND user = ?2 ORDER BY seq DESC",
        [NEWS_LEAD_SEQ] = "SELECT run, time_usec FROM events NOT INDEXED WHERE seq > ?1 ORDER BY seq DESC",
};
static_assert(ELEMENTSOF(lead_sql) == _NEWS_LEAD_MAX, "one query for each NewsLead");

const char *news_lead_sql(NewsLead lead)
{
        return lead_sql[lead];
}

/* Return: 1 (for the first time); 0; -ENOMEM. */
static int note_run(SeenRun **table, int64_t row)
{
        SeenRun *seen;

        HASH_FIND(hh, *table, &row, sizeof(row), seen);
        if (seen)
                return 0;
        seen = calloc(1, sizeof(*seen));
        if (!seen)
                return -ENOMEM;
        seen->row = row;
        HASH_ADD(hh, *table, row, sizeof(seen->row), seen);
        if (seen->lost) {
                free(seen);
                return -ENOMEM;
        }
        return 1;
}

static void forget_runs(SeenRun **table)
{
        SeenRun *seen, *next;

        HASH_ITER(hh, *table, seen, next) {
                HASH_DEL(*table, seen);
                free(seen);
        }
}

/* Return: 1; 0 (does not match); negative errno. */
static int read_run(Query *query, int64_t row, const NewsFilter *filter, Run **ret)
{
        _cleanup_(run_freep) Run *run = NULL;
        int r;

        query_again(query);
        query_bind_int(query, row);
        r = query_step(query);
        if (r <= 0)
                return r < 0 ? r : -EUCLEAN;
        r = run_read(query, &run);
        if (r < 0)
                return r;
        if ((filter->provider && !streq(filter->provider, run->provider)) ||
            (filter->source >= 0 && filter->source != run->source) ||
            (filter->status >= 0 && filter->status != event_status(run)))
                return 0;
        *ret = TAKE_PTR(run);
        return 1;
}

typedef struct NewsPage {
        Run **runs;
        size_t n;
        size_t allocated;
} NewsPage;

static int read_page(Query *events, Query *runs, const NewsFilter *filter, SeenRun **seen, NewsPage *page)
{
        int r;

        for (size_t i = 0; page->n < filter->limit && i < EVENTS_EXAMINED_MAX; i++) {
                int64_t row;

                r = query_step(events);
                if (r <= 0)
                        return r;
                row = query_get_int(events);
                if (query_get_uint(events) < filter->since_usec)
                        continue;
                r = note_run(seen, row);
                if (r > 0)
                        r = store_array_grow((void **) &page->runs, &page->allocated, page->n, sizeof(Run *));
                else if (r == 0)
                        continue;
                if (r >= 0)
                        r = read_run(runs, row, filter, &page->runs[page->n]);
                if (r < 0)
                        return r;
                page->n += (size_t) r;
        }
        return 0;
}

int store_list_news(Store *store, const NewsFilter *filter, Run ***ret, size_t *ret_n)
{
        static const char run_sql[] = RUN_SELECT("runs") " WHERE runs.row = ?";
        static const char user_sql[] = "SELECT key FROM users WHERE id = ?";
        _cleanup_query_ Query events = {}, runs = {};
        SeenRun *seen = NULL;
        NewsPage page = {};
        int64_t user = 1;
        int r = 0;

        if (filter->limit == 0 || filter->limit > RUNS_PAGE_MAX)
                return -EINVAL;
        events = query_begin(store->reader, lead_sql[filter->user_id ? NEWS_LEAD_USER : NEWS_LEAD_SEQ]);
        runs = query_begin(store->reader, run_sql);
        query_bind_uint(&events, filter->after_seq);
        if (filter->user_id) {
                user = store_find_key(store->reader, user_sql, filter->user_id);
                query_bind_int(&events, user);
        }
        if (user > 0)
                r = read_page(&events, &runs, filter, &seen, &page);
        else
                r = (int) user;
        forget_runs(&seen);
        if (r < 0) {
                runs_free(page.runs, page.n);
                return r;
        }
        *ret = page.runs;
        *ret_n = page.n;
        return 0;
}
