/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One run: written, and read by its id. Lists are in run-list.c, accounts in account-store.c. */

#include "store/run-columns.h"

#include <stdlib.h>
#include <string.h>

#define uthash_nonfatal_oom(element) (element)->lost = true
#include <uthash.h>

#include "store/retain.h"

typedef struct RunWrite {
        Write write;
        RunKeys keys; /* once it is applied */
        Run *run;
        bool with_accounts;
        bool lost; /* there was no memory to put it into the table */
        UT_hash_handle hh;
} RunWrite;

#define COLUMNS_OF Run
static const Column identity[] = { RUN_IDENTITY(COLUMN_PLAIN, COLUMN_WORDS) };
static const Column phase[] = { RUN_PHASE(COLUMN_PLAIN, COLUMN_WORDS) };
static const Column telling[] = { RUN_TELLING(COLUMN_PLAIN, COLUMN_WORDS) };
static const Column brief[] = { RUN_BRIEF(COLUMN_PLAIN, COLUMN_WORDS) };
static const Column news[] = { RUN_NEWS(COLUMN_PLAIN, COLUMN_WORDS) };
#undef COLUMNS_OF

/* Return: 1: found, and whether its phase is another; 0: it is new; negative errno. */
static int find(Db *db, const Run *run, RunKeys *ret_keys, bool *ret_phase_differs)
{
        static const char sql[] = "SELECT row, user, (state, outcome, finished_usec) IS NOT (?1, ?2, ?3)"
                                  " FROM runs WHERE id = ?4";
        _cleanup_query_ Query query = query_begin(db, sql);
        int r;

        query_bind_columns(&query, phase, ELEMENTSOF(phase), run);
        query_bind_text(&query, run->id);
        r = query_step(&query);
        if (r <= 0)
                return r;
        ret_keys->row = query_get_int(&query);
        ret_keys->user = query_get_int(&query);
        *ret_phase_differs = query_get_int(&query) != 0;
        return 1;
}

/* What is in no index: the usual update, with every report. (Of two assignments to a column the latter counts.) */
static int update_telling(Db *db, int64_t row, const Run *run)
{
        static const char sql[] =
                        "UPDATE runs SET stage = stage" RUN_TELLING(SQL_COMMA_SET, SQL_COMMA_SET) " WHERE row = ?";
        _cleanup_query_ Query query = query_begin(db, sql);

        query_bind_columns(&query, telling, ELEMENTSOF(telling), run);
        query_bind_int(&query, row);
        return query_run(&query);
}

/* Only where it differs: an update that changes nothing costs as much as one that does, and most reports change no
 * state. */
static int update_phase(Db *db, int64_t row, const Run *run)
{
        static const char sql[] = "UPDATE runs SET state = ?, outcome = ?, finished_usec = ? WHERE row = ?";
        _cleanup_query_ Query query = query_begin(db, sql);

        query_bind_columns(&query, phase, ELEMENTSOF(phase), run);
        query_bind_int(&query, row);
        return query_run(&query);
}

static int insert(Db *db, const Run *run)
{
        static const char sql[] = "INSERT INTO runs (connector, user" RUN_IDENTITY(
                        SQL_COMMA_NAME, SQL_COMMA_NAME) RUN_PHASE(SQL_COMMA_NAME, SQL_COMMA_NAME)
                        RUN_TELLING(SQL_COMMA_NAME,
                                    SQL_COMMA_NAME) ")"
                                                    " VALUES ((SELECT key FROM connectors WHERE name = ?), (SELECT "
                                                    "key FROM users WHERE id = ?)" RUN_IDENTITY(SQL_COMMA_VALUE,
                                                                                                SQL_COMMA_VALUE)
                                                                    RUN_PHASE(SQL_COMMA_VALUE, SQL_COMMA_VALUE)
                                                                                    RUN_TELLING(SQL_COMMA_VALUE,
                                                                                                SQL_COMMA_VALUE) ")";
        _cleanup_query_ Query query = {};
        int r;

        if (run->connector) {
                r = connector_ensure(db, run->connector, run->connector_id, run->created_usec);
                if (r < 0)
                        return r;
        }
        if (run->user_id) {
                r = user_ensure(db, run->user_id, run->created_usec);
                if (r < 0)
                        return r;
        }
        query = query_begin(db, sql);
        query_bind_text(&query, run->connector);
        query_bind_text(&query, run->user_id);
        query_bind_columns(&query, identity, ELEMENTSOF(identity), run);
        query_bind_columns(&query, phase, ELEMENTSOF(phase), run);
        query_bind_columns(&query, telling, ELEMENTSOF(telling), run);
        return query_run(&query);
}

static int write_run(Db *db, const Run *run, RunKeys *ret_keys)
{
        bool phase_differs;
        int r;

        r = find(db, run, ret_keys, &phase_differs);
        if (r < 0)
                return r;
        if (r == 0) {
                r = insert(db, run);
                return r < 0 ? r : MIN(find(db, run, ret_keys, &phase_differs), 0);
        }
        r = update_telling(db, ret_keys->row, run);
        if (r >= 0 && phase_differs)
                r = update_phase(db, ret_keys->row, run);
        return r;
}

static int apply_run(Write *write, Db *db, Retention *retention)
{
        RunWrite *w = container_of(write, RunWrite, write);
        const Run *run = w->run;
        int r;

        r = write_run(db, run, &w->keys);
        if (r >= 0 && w->with_accounts)
                r = accounts_write(db, run->id, run->accounts, run->n_accounts);
        if (r >= 0 && run->state == RUN_FINISHED)
                r = retention_run_ended(retention, db, run);
        return r;
}

static void free_run(Write *write)
{
        run_free(container_of(write, RunWrite, write)->run);
}

static const WriteType run_write = { apply_run, free_run, .keeps_runs = true };

/* ---- A turn writes a run once: what is in one transaction is seen as a whole or not at all */

static RunWrite *find_in_turn(Store *store, const char *run_id, unsigned *ret_hash)
{
        RunWrite *w = NULL;
        unsigned hash;

        HASH_VALUE(run_id, strlen(run_id), hash);
        HASH_FIND_BYHASHVALUE(hh, store->turn_runs, run_id, strlen(run_id), hash, w);
        *ret_hash = hash;
        return w;
}

const RunKeys *store_turn_run_keys(Store *store, const char *run_id)
{
        const RunWrite *w;
        unsigned hash;

        w = find_in_turn(store, run_id, &hash);
        return w ? &w->keys : NULL;
}

void store_turn_runs_clear(Store *store)
{
        HASH_CLEAR(hh, store->turn_runs);
}

/* Whether what is queued may be left out before @run. A move that is illegal is left to the schema to refuse. What the
 * run was before is not known here: the only move that can be illegal without the one between is that from queued to
 * stopping. Accounts have writes of their own, whose order counts. */
static bool may_skip(const RunWrite *queued, const Run *run)
{
        RunState state = queued->run->state;

        if (queued->with_accounts || (queued->run->outcome >= 0 && queued->run->outcome != run->outcome))
                return false;
        return state == run->state || (run->state != RUN_STOPPING && run_transition_is_legal(state, run->state));
}

/* In the place of @before, which may be NULL. */
static void enter_into_turn(Store *store, RunWrite *before, RunWrite *w, unsigned hash)
{
        if (before)
                HASH_DEL(store->turn_runs, before);
        /* Without memory it is found by nobody, and the next state has a write of its own. */
        HASH_ADD_KEYPTR_BYHASHVALUE(hh, store->turn_runs, w->run->id, strlen(w->run->id), hash, w);
}

static int may_put(Store *store, const Run *run)
{
        if (!run->id || !run->provider || !run->connector != !run->connector_id)
                return -EINVAL;
        return store_may_put(store);
}

/* Takes @copy over. */
static int put_copy(Store *store, Run *copy, bool with_accounts)
{
        RunWrite *w, *before;
        unsigned hash;
        int r;

        before = find_in_turn(store, copy->id, &hash);
        if (before && !with_accounts && may_skip(before, copy)) {
                HASH_DEL(store->turn_runs, before); /* the key is the old copy's */
                run_free(before->run);
                before->run = copy;
                enter_into_turn(store, NULL, before, hash);
                return 0;
        }
        w = store_write_new(RunWrite, &run_write);
        if (!w) {
                run_free(copy);
                return -ENOMEM;
        }
        w->run = copy;
        w->with_accounts = with_accounts;
        r = store_put(store, &w->write);
        if (r >= 0)
                enter_into_turn(store, before, w, hash);
        return r;
}

int store_put_run(Store *store, const Run *run, bool with_accounts)
{
        Run *copy;
        int r;

        r = may_put(store, run);
        if (r >= 0)
                r = run_copy(run, with_accounts, &copy);
        return r < 0 ? r : put_copy(store, copy, with_accounts);
}

int store_put_snapshot(Store *store, Run *snapshot)
{
        int r;

        r = may_put(store, snapshot);
        return r < 0 ? r : put_copy(store, run_share(snapshot), false);
}

void runs_free(Run **runs, size_t n)
{
        for (size_t i = 0; i < n; i++)
                run_free(runs[i]);
        free(runs);
}

/* The row's own key, and what stands in other tables. NULL when out of memory. */
static Run *begin_reading(Query *query)
{
        Run *run = run_new();

        if (!run)
                return NULL;
        run->row = query_get_int(query);
        run->connector = query_get_text(query);
        run->connector_id = query_get_text(query);
        run->user_id = query_get_text(query);
        return run;
}

int run_read(Query *query, Run **ret)
{
        _cleanup_(run_freep) Run *run = begin_reading(query);

        if (!run)
                return -ENOMEM;
        query_get_columns(query, identity, ELEMENTSOF(identity), run);
        query_get_columns(query, phase, ELEMENTSOF(phase), run);
        query_get_columns(query, telling, ELEMENTSOF(telling), run);
        if (query_error(query) < 0)
                return query_error(query);
        *ret = TAKE_PTR(run);
        return 0;
}

int run_read_brief(Query *query, Run **ret)
{
        _cleanup_(run_freep) Run *run = begin_reading(query);

        if (!run)
                return -ENOMEM;
        query_get_columns(query, brief, ELEMENTSOF(brief), run);
        if (query_error(query) < 0)
                return query_error(query);
        *ret = TAKE_PTR(run);
        return 0;
}

static int borrow(Query *query, const Column *columns, size_t n, Run *run)
{
        run_init(run);
        run->row = query_get_int(query);
        run->connector = (char *) query_get_borrowed(query);
        run->connector_id = (char *) query_get_borrowed(query);
        run->user_id = (char *) query_get_borrowed(query);
        query_borrow_columns(query, columns, n, run);
        return query_error(query);
}

int run_borrow_brief(Query *query, Run *run)
{
        return borrow(query, brief, ELEMENTSOF(brief), run);
}

int run_borrow_news(Query *query, Run *run)
{
        return borrow(query, news, ELEMENTSOF(news), run);
}

int store_get_run(Store *store, const char *run_id, bool with_accounts, Run **ret)
{
        static const char sql[] = RUN_SELECT("runs") " WHERE runs.id = ?";
        _cleanup_query_ Query query = query_begin(store->reader, sql);
        _cleanup_(run_freep) Run *run = NULL;
        int r;

        query_bind_text(&query, run_id);
        r = query_step(&query);
        if (r <= 0)
                return r < 0 ? r : -ESRCH;
        r = run_read(&query, &run);
        if (r >= 0 && with_accounts)
                r = accounts_read(store->reader, run);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(run);
        return 0;
}

int store_load_active_runs(Store *store, Run ***ret, size_t *ret_n)
{
        static const char sql[] = RUN_SELECT("runs INDEXED BY runs_active") " WHERE runs.state <> 'finished' ORDER BY "
                                                                            "runs.created_usec, runs.row";
        _cleanup_query_ Query query = query_begin(store->reader, sql);
        size_t n = 0, allocated = 0;
        Run **runs = NULL;
        int r;

        while ((r = query_step(&query)) > 0) {
                r = store_array_grow((void **) &runs, &allocated, n, sizeof(Run *));
                if (r >= 0)
                        r = run_read(&query, &runs[n]);
                if (r < 0)
                        break;
                n++;
                r = accounts_read(store->reader, runs[n - 1]);
                if (r < 0)
                        break;
        }
        if (r < 0) {
                runs_free(runs, n);
                return r;
        }
        *ret = runs;
        *ret_n = n;
        return 0;
}
