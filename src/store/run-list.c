/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Lists of runs, newest first. One index gives the order and the narrowest part of the filter; the rest of the filter
 * is looked at row by row, in a bounded number of rows, so that no combination is slow: a page may then be short, and
 * the next one goes on from where it ended. */

#include "store/run-list.h"

#include <stdlib.h>
#include <string.h>

#include "base/string-util.h"
#include "store/page-token.h"
#include "store/run-columns.h"

#define PART_SQL(select, index, where)                                                                              \
        select("runs INDEXED BY " index) " WHERE runs.created_usec >= ?1 AND (runs.created_usec, runs.row) < (?2, " \
                                         "?3)" where

#define ORDERED " ORDER BY runs.created_usec DESC, runs.row DESC"

#define LIST_SQL(select, index, where) PART_SQL(select, index, where) ORDERED

/* A stopping run has its outcome already. Parts of a union are each read in the order of the whole, and merged. */
#define ENDED_SQL(select, word) \
        PART_SQL(select, "runs_by_outcome", " AND runs.outcome = '" word "' AND runs.state = 'finished'")

#define LEADS(select)                                                                                                 \
        {                                                                                                             \
                [RUN_LEAD_CONNECTOR] = LIST_SQL(select, "runs_by_connector", " AND runs.connector = ?4"),             \
                [RUN_LEAD_USER] = LIST_SQL(select, "runs_by_user", " AND runs.user = ?4"),                            \
                [RUN_LEAD_QUEUED] = LIST_SQL(select, "runs_active",                                                   \
                                             " AND runs.state <> 'finished' AND runs.stage = 'queued'"),              \
                [RUN_LEAD_RUNNING] = LIST_SQL(select, "runs_active",                                                  \
                                              " AND runs.state <> 'finished' AND runs.stage <> 'queued'"),            \
                [RUN_LEAD_ACTIVE] = LIST_SQL(select, "runs_active", " AND runs.state <> 'finished'"),                 \
                [RUN_LEAD_PROVIDER] = LIST_SQL(select, "runs_by_provider", " AND runs.provider = ?4"),                \
                [RUN_LEAD_OUTCOME] = LIST_SQL(select, "runs_by_outcome", " AND runs.outcome = ?4"),                   \
                [RUN_LEAD_SUCCEEDED] = ENDED_SQL(select, "succeeded") " UNION ALL " ENDED_SQL(                        \
                                select, "partial") " UNION ALL " ENDED_SQL(select, "skipped") ORDERED,                \
                [RUN_LEAD_FAILED] = ENDED_SQL(select, "failed") " UNION ALL " ENDED_SQL(select, "cancelled") ORDERED, \
                [RUN_LEAD_SOURCE] = LIST_SQL(select, "runs_by_source", " AND runs.source = ?4"),                      \
                [RUN_LEAD_TIME] = LIST_SQL(select, "runs_by_time", ""),                                               \
        }

static const char *const lead_sql[][_RUN_LEAD_MAX] = { LEADS(RUN_SELECT), LEADS(RUN_SELECT_BRIEF) };

const char *run_lead_sql(RunLead lead, bool brief)
{
        return lead_sql[brief][lead];
}

/* The narrowest first. */
static RunLead choose_lead(const RunFilter *filter)
{
        if (filter->connector || filter->connector_id)
                return RUN_LEAD_CONNECTOR;
        if (filter->user_id)
                return RUN_LEAD_USER;
        if (filter->status == REPO_QUEUED || filter->status == REPO_RUNNING)
                return filter->status == REPO_QUEUED ? RUN_LEAD_QUEUED : RUN_LEAD_RUNNING;
        if (filter->active > 0)
                return RUN_LEAD_ACTIVE;
        if (filter->provider)
                return RUN_LEAD_PROVIDER;
        if (filter->outcome >= 0)
                return RUN_LEAD_OUTCOME;
        if (filter->status >= 0)
                return filter->status == REPO_FAILED ? RUN_LEAD_FAILED : RUN_LEAD_SUCCEEDED;
        return filter->source >= 0 ? RUN_LEAD_SOURCE : RUN_LEAD_TIME;
}

/* Return: 1; 0 (nothing can match); negative errno. */
static int bind_lead(Query *query, Db *db, const RunFilter *filter, RunLead lead)
{
        static const char by_name[] = "SELECT key FROM connectors WHERE name = ?";
        static const char by_id[] = "SELECT key FROM connectors WHERE id = ?";
        static const char user[] = "SELECT key FROM users WHERE id = ?";
        int64_t key;

        switch (lead) {
        case RUN_LEAD_CONNECTOR:
                key = filter->connector ? store_find_key(db, by_name, filter->connector)
                                        : store_find_key(db, by_id, filter->connector_id);
                break;
        case RUN_LEAD_USER:
                key = store_find_key(db, user, filter->user_id);
                break;
        case RUN_LEAD_PROVIDER:
                query_bind_text(query, filter->provider);
                return 1;
        case RUN_LEAD_OUTCOME:
                query_bind_text(query, run_outcome_to_string(filter->outcome));
                return 1;
        case RUN_LEAD_SOURCE:
                query_bind_text(query, run_source_to_string(filter->source));
                return 1;
        default:
                return 1;
        }
        if (key <= 0)
                return (int) key;
        query_bind_int(query, key);
        return 1;
}

static bool matches(const RunFilter *filter, const Run *run)
{
        return (!filter->connector || streq_null(filter->connector, run->connector)) &&
               (!filter->connector_id || streq_null(filter->connector_id, run->connector_id)) &&
               (!filter->user_id || streq_null(filter->user_id, run->user_id)) &&
               (!filter->provider || streq(filter->provider, run->provider)) &&
               (filter->source < 0 || filter->source == run->source) &&
               (filter->outcome < 0 || filter->outcome == run->outcome) &&
               (filter->status < 0 || filter->status == repo_status_of(run)) &&
               (filter->active < 0 || filter->active == run_is_active(run));
}

/* Where the page begins: below the page token's place, or below @until_usec. */
static int find_beginning(const RunFilter *filter, PagePlace *ret)
{
        PagePlace place = { INT64_MAX, INT64_MAX };
        int r;

        if (filter->page) {
                r = page_token_parse(filter->page, &place);
                if (r < 0)
                        return r;
        }
        if (filter->until_usec > 0 && filter->until_usec <= place.created_usec)
                place = (PagePlace){ filter->until_usec, 0 };
        *ret = place;
        return 0;
}

/* So many accounts take as long to read as a run. */
#define ACCOUNTS_PER_ROW 4U

typedef struct RunPage {
        RunTold told; /* NULL: they are kept */
        void *userdata;
        Run **runs;
        size_t n;
        size_t allocated;
        size_t n_examined;
        PagePlace end; /* of the last row that was looked at */
        bool more;
} RunPage;

static int keep_row(Query *query, Db *db, const RunFilter *filter, RunPage *page)
{
        _cleanup_(run_freep) Run *run = NULL;
        int r;

        r = filter->brief ? run_read_brief(query, &run) : run_read(query, &run);
        if (r < 0)
                return r;
        page->end = (PagePlace){ run->created_usec, (uint64_t) run->row };
        if (!matches(filter, run))
                return 0;
        if (filter->with_accounts) {
                r = accounts_read(db, run);
                if (r < 0)
                        return r;
                page->n_examined += run->n_accounts / ACCOUNTS_PER_ROW;
        }
        r = store_array_grow((void **) &page->runs, &page->allocated, page->n, sizeof(Run *));
        if (r < 0)
                return r;
        page->runs[page->n++] = TAKE_PTR(run);
        return 0;
}

static int tell_row(Query *query, const RunFilter *filter, RunPage *page)
{
        Run run;
        int r;

        r = run_borrow_brief(query, &run);
        if (r < 0)
                return r;
        page->end = (PagePlace){ run.created_usec, (uint64_t) run.row };
        if (matches(filter, &run)) {
                page->told(&run, page->userdata);
                page->n++;
        }
        return 0;
}

static int read_page(Query *query, Db *db, const RunFilter *filter, RunPage *page)
{
        int r;

        for (; (r = query_step(query)) > 0; page->n_examined++) {
                if (page->n >= filter->limit || page->n_examined >= RUNS_EXAMINED_MAX) {
                        page->more = true;
                        return 0;
                }
                r = page->told ? tell_row(query, filter, page) : keep_row(query, db, filter, page);
                if (r < 0)
                        return r;
        }
        return r;
}

static int list(Db *db, const RunFilter *filter, RunPage *page)
{
        RunLead lead = choose_lead(filter);
        _cleanup_query_ Query query = {};
        PagePlace beginning;
        int r;

        r = find_beginning(filter, &beginning);
        if (r < 0)
                return r;
        query = query_begin(db, run_lead_sql(lead, filter->brief || page->told));
        query_bind_uint(&query, filter->since_usec);
        query_bind_uint(&query, beginning.created_usec);
        query_bind_uint(&query, beginning.row);
        r = bind_lead(&query, db, filter, lead);
        if (r <= 0)
                return r;
        return read_page(&query, db, filter, page);
}

/* @ret_next: may be NULL. */
static int list_and_mark(Store *store, const RunFilter *filter, RunPage *page, char **ret_next)
{
        char token[PAGE_TOKEN_TEXT_MAX];
        char *next = NULL;
        int r;

        if (filter->limit == 0 || filter->limit > RUNS_PAGE_MAX)
                return -EINVAL;
        r = list(store->reader, filter, page);
        if (r < 0 || !ret_next)
                return r;
        if (page->more) {
                next = strdup(page_token_format(token, &page->end));
                if (!next)
                        return -ENOMEM;
        }
        *ret_next = next;
        return 0;
}

int store_list_runs(Store *store, const RunFilter *filter, Run ***ret, size_t *ret_n, char **ret_next)
{
        RunPage page = {};
        int r;

        r = list_and_mark(store, filter, &page, ret_next);
        if (r < 0) {
                runs_free(page.runs, page.n);
                return r;
        }
        *ret = page.runs;
        *ret_n = page.n;
        return 0;
}

int store_tell_runs(Store *store, const RunFilter *filter, RunTold told, void *userdata, char **ret_next)
{
        RunPage page = { .told = told, .userdata = userdata };

        return list_and_mark(store, filter, &page, ret_next);
}

/* ---- Runs in short */

static const char marks_sql[] = "SELECT runs.id, runs.state, runs.outcome, runs.started_usec, runs.finished_usec,"
                                " runs.user"
                                " FROM connectors CROSS JOIN runs INDEXED BY runs_by_connector"
                                " ON runs.connector = connectors.key WHERE connectors.name = ?"
                                " ORDER BY runs.created_usec DESC, runs.row DESC LIMIT ?";

const char *run_marks_sql(void)
{
        return marks_sql;
}

/* @user: key of the only user whose runs are wanted; 0: all. Return: 1; 0 (it is another's); negative errno. */
static int read_mark(Query *query, int64_t user, RedbarkMark *ret)
{
        RedbarkMark mark;
        int64_t of;

        mark.run_id = query_get_text(query);
        mark.state = run_state_from_string(query_get_borrowed(query));
        mark.outcome = run_outcome_from_string(query_get_borrowed(query));
        mark.started_usec = query_get_uint(query);
        mark.finished_usec = query_get_uint(query);
        of = query_get_int(query);
        if (query_error(query) < 0 || (user > 0 && of != user)) {
                free(mark.run_id);
                return query_error(query);
        }
        *ret = mark;
        return 1;
}

int store_list_marks(Store *store, const char *connector, const char *user_id, unsigned limit, RedbarkMark **ret,
                     size_t *ret_n)
{
        static const char user_sql[] = "SELECT key FROM users WHERE id = ?";
        _cleanup_query_ Query query = query_begin(store->reader, marks_sql);
        int64_t user = user_id ? store_find_key(store->reader, user_sql, user_id) : 0;
        RedbarkMark *marks = NULL;
        size_t n = 0, allocated = 0;
        int r = 0;

        query_bind_text(&query, connector);
        query_bind_uint(&query, user_id ? RUNS_EXAMINED_MAX : limit);
        if (user < 0)
                return (int) user;
        while ((user > 0 || !user_id) && n < limit && (r = query_step(&query)) > 0) {
                r = store_array_grow((void **) &marks, &allocated, n, sizeof(RedbarkMark));
                if (r >= 0)
                        r = read_mark(&query, user, &marks[n]);
                if (r < 0)
                        break;
                n += (size_t) r;
        }
        if (r < 0) {
                redbark_marks_free(marks, n);
                return r;
        }
        *ret = marks;
        *ret_n = n;
        return 0;
}
