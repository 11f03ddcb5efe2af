/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Runs by their newest event. An index of all runs by it would have to be rewritten with every event: there is one of
 * those that have ended, and the active ones, which are not many, are sorted. */

#include <stdlib.h>
#include <string.h>

#include "base/string-util.h"
#include "store/event-list.h"
#include "store/run-columns.h"

#define ENDED_SQL(index, where)                                                                                \
        "SELECT row, updated_usec, last_seq, connector, provider, source, outcome FROM runs INDEXED BY " index \
        " WHERE state = 'finished'" where " AND updated_usec >= ?1 ORDER BY updated_usec DESC, last_seq DESC"

static const char *const lead_sql[] = {
        [NEWS_LEAD_USER] = ENDED_SQL("runs_ended_by_user", " AND user = ?2"),
        [NEWS_LEAD_TIME] = ENDED_SQL("runs_ended", ""),
        [NEWS_LEAD_ACTIVE] = "SELECT row, updated_usec, last_seq, connector, provider, source, outcome, stage,"
                             " user FROM runs"
                             " INDEXED BY runs_active WHERE state <> 'finished' AND updated_usec >= ?1",
};
static_assert(ELEMENTSOF(lead_sql) == _NEWS_LEAD_MAX, "one query for each NewsLead");

const char *news_lead_sql(NewsLead lead)
{
        return lead_sql[lead];
}

typedef struct Search {
        Db *db;
        const NewsFilter *filter;
        int64_t user;      /* 0: any */
        int64_t connector; /* 0: none has this name here, or any will do */
        NewsRun *runs;
        size_t n;
        size_t allocated;
        size_t n_examined;
} Search;

/* Return: 1; 0; negative errno. */
static int metadata_names(Search *search, int64_t row)
{
        static const char sql[] = "SELECT CASE WHEN json_valid(metadata)"
                                  " THEN json_extract(metadata, '$.connector') = ?1 END FROM runs WHERE row = ?2";
        _cleanup_query_ Query query = query_begin(search->db, sql);
        int r;

        search->n_examined += NEWS_METADATA_COST - 1;
        query_bind_text(&query, search->filter->connector);
        query_bind_int(&query, row);
        r = query_step(&query);
        return r <= 0 ? r : query_get_int(&query) > 0;
}

/* @stage: NULL: the last. */
static bool status_matches(const NewsFilter *filter, const char *outcome, const char *stage)
{
        const Run run = {
                .stage = stage ? sync_stage_from_string(stage) : SYNC_STAGE_COMPLETED,
                .outcome = run_outcome_from_string(outcome),
        };

        return filter->status < 0 || event_status(&run) == filter->status;
}

/* Of the row that @query stands at. Return: 1; 0; negative errno. */
static int matches(Search *search, Query *query, NewsLead lead, int64_t row)
{
        const NewsFilter *filter = search->filter;
        int64_t connector = query_get_int(query), user = search->user;
        const char *provider = query_get_borrowed(query), *source = query_get_borrowed(query),
                   *outcome = query_get_borrowed(query), *stage = NULL;

        if (lead == NEWS_LEAD_ACTIVE) {
                stage = query_get_borrowed(query);
                user = query_get_int(query);
        }
        if (query_error(query) < 0)
                return query_error(query);
        if ((search->user > 0 && user != search->user) ||
            (filter->provider && !streq_null(provider, filter->provider)) ||
            (filter->source >= 0 && run_source_from_string(source) != filter->source) ||
            !status_matches(filter, outcome, stage))
                return 0;
        if (!filter->connector || (search->connector > 0 && connector == search->connector))
                return 1;
        return connector > 0 ? 0 : metadata_names(search, row);
}

/* Return: 1 (taken); 0; negative errno. */
static int examine(Search *search, Query *query, NewsLead lead)
{
        NewsRun run;
        int r;

        search->n_examined++;
        run.row = query_get_int(query);
        run.updated_usec = query_get_uint(query);
        run.seq = query_get_uint(query);
        r = matches(search, query, lead, run.row);
        if (r <= 0)
                return r;
        r = store_array_grow((void **) &search->runs, &search->allocated, search->n, sizeof(NewsRun));
        if (r < 0)
                return r;
        search->runs[search->n++] = run;
        return 1;
}

static int examine_each(Search *search, NewsLead lead)
{
        _cleanup_query_ Query query = query_begin(search->db, lead_sql[lead]);
        size_t n = 0;
        int r;

        search->n_examined = 0;
        query_bind_uint(&query, search->filter->since_usec);
        if (lead == NEWS_LEAD_USER)
                query_bind_int(&query, search->user);
        while ((r = query_step(&query)) > 0) {
                r = examine(search, &query, lead);
                if (r < 0)
                        return r;
                n += (size_t) r;
                if (lead != NEWS_LEAD_ACTIVE &&
                    (n == search->filter->limit || search->n_examined >= NEWS_EXAMINED_MAX))
                        return 0;
        }
        return r;
}

static int compare_newest_first(const void *a, const void *b)
{
        const NewsRun *x = a, *y = b;

        if (x->updated_usec != y->updated_usec)
                return x->updated_usec > y->updated_usec ? -1 : 1;
        return x->seq > y->seq ? -1 : x->seq < y->seq;
}

/* Return: 1; 0 (nothing can match); negative errno. */
static int find_keys(Search *search)
{
        static const char user_sql[] = "SELECT key FROM users WHERE id = ?";
        static const char connector_sql[] = "SELECT key FROM connectors WHERE name = ?";
        const NewsFilter *filter = search->filter;

        if (filter->connector)
                search->connector = store_find_key(search->db, connector_sql, filter->connector);
        if (filter->user_id)
                search->user = store_find_key(search->db, user_sql, filter->user_id);
        if (search->connector < 0 || search->user < 0)
                return (int) MIN(search->connector, search->user);
        return search->user > 0 || !filter->user_id;
}

int news_find_runs(Db *db, const NewsFilter *filter, NewsRun **ret, size_t *ret_n)
{
        Search search = { .db = db, .filter = filter };
        int r;

        r = find_keys(&search);
        if (r > 0)
                r = examine_each(&search, NEWS_LEAD_ACTIVE);
        /* Whatever has ended is no longer in progress. */
        if (r >= 0 && (search.user > 0 || !filter->user_id) && filter->status != SYNC_STATUS_IN_PROGRESS)
                r = examine_each(&search, search.user > 0 ? NEWS_LEAD_USER : NEWS_LEAD_TIME);
        if (r < 0) {
                free(search.runs);
                return r;
        }
        if (search.n > 0)
                qsort(search.runs, search.n, sizeof(NewsRun), compare_newest_first);
        *ret = search.runs;
        *ret_n = MIN(search.n, filter->limit);
        return 0;
}

/* Return: 1 (there are to be more); 0; negative errno. */
static int tell_run(Query *query, int64_t row, NewsTold told, void *userdata)
{
        Run run;
        int r;

        query_again(query);
        query_bind_int(query, row);
        r = query_step(query);
        if (r <= 0)
                return r < 0 ? r : 1;
        r = run_borrow_news(query, &run);
        if (r < 0)
                return r;
        return told(&run, userdata);
}

int store_tell_news(Store *store, const NewsFilter *filter, NewsTold told, void *userdata)
{
        static const char run_sql[] = RUN_SELECT_NEWS("runs") " WHERE runs.row = ?";
        static const char hold_sql[] = "SELECT key FROM users UNION ALL SELECT 0";
        /* One look at the history for all: it is the same for each row, and costs its locks once. */
        _cleanup_query_ Query hold = query_begin(store->reader, hold_sql), query = {};
        _cleanup_free_ NewsRun *found = NULL;
        size_t n;
        int r;

        if (filter->limit == 0 || filter->limit > RUNS_PAGE_MAX)
                return -EINVAL;
        r = query_step(&hold);
        if (r >= 0)
                r = news_find_runs(store->reader, filter, &found, &n);
        if (r < 0)
                return r;
        query = query_begin(store->reader, run_sql);
        r = 1;
        for (size_t i = 0; r > 0 && i < n; i++)
                r = tell_run(&query, found[i].row, told, userdata);
        return MIN(r, 0);
}
