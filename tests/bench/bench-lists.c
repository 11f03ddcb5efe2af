/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Whether lists of runs are as fast in a long history as in a short one: bench-lists FOLDER RUNS..., a history for
 * each, from the smallest on. SQL puts the rows there, which is quicker than the store; what is measured is the store.
 * All take turns in each round, so that a busy machine slows all alike. */

#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/string-util.h"
#include "base/time-util.h"
#include "store/store.h"

#define BEGIN_USEC ((usec_t) 1780171200 * USEC_PER_SEC)
#define N_LISTS    200U
#define N_ROUNDS   15U
#define SIZES_MAX  8U

/* One run a second; those of a connector, a user and a provider are spread over all of the time, and are more than a
 * page also where there are few. */
static const char fill_sql[] =
                "PRAGMA synchronous = OFF; PRAGMA cache_size = -1000000; PRAGMA ignore_check_constraints = ON; BEGIN; "
                "%s;"
                "WITH n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 19)"
                " INSERT OR IGNORE INTO connectors (name, id) SELECT 'c' || i, 'id-' || i FROM n;"
                "WITH n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 99)"
                " INSERT OR IGNORE INTO users (id, first_seen_usec)"
                "  SELECT printf('11111111-1111-4111-8111-%%012d', i), 1 FROM n;"
                "WITH n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < %" PRIu64 " - 1)"
                " INSERT INTO runs (id, connector, user, provider, source, trigger, full_resync, attempt, "
                "created_usec, state,"
                "   outcome, finished_usec, stage, message, discovered, added, updated, deduped, started_usec, "
                "updated_usec,"
                "   last_seq, report_sequence, worker_pid, worker_start_ticks)"
                "  SELECT printf('%%08x-0000-7000-8000-%%012d', i, i), 1 + i %% 20, 1 + i %% 100, 'provider' || (i %% "
                "20),"
                "   'pull', 'schedule', 0, 1, %" PRIu64
                " + i * 1000000, 'finished', iif(i %% 50, 'succeeded', 'failed'),"
                "   %" PRIu64
                " + i * 1000000, 'completed', (i %% 10) || ' new', i %% 10, i %% 10, 0, 0, 1, 1, 0, 0, 0, 0 FROM n;"
                "%s; COMMIT; PRAGMA wal_checkpoint(TRUNCATE);";

/* Indexes and triggers, away and back: an index is made faster than it is kept. */
static const char less_sql[] = "SELECT group_concat('DROP ' || type || ' ' || name, '; '), group_concat(sql, '; ')"
                               " FROM sqlite_schema WHERE tbl_name = 'runs' AND sql IS NOT NULL AND type <> 'table'";

typedef struct List {
        const char *what;
        RunFilter filter;
        bool old; /* pages of the younger half of the time that there is, in turn; the newest page otherwise */
        usec_t usec[SIZES_MAX][N_ROUNDS];
} List;

_noreturn_ static void die(const char *what, const char *why)
{
        (void) fprintf(stderr, "%s: %s\n", what, why);
        exit(EXIT_FAILURE);
}

static void on_committed(uint64_t ticket, void *userdata)
{
}

static void on_failed(int error, void *userdata)
{
        die("commit", strerror(-error));
}

static void on_recovered(void *userdata)
{
}

static Store *open_store(sd_event *event, const char *path)
{
        static const StoreCallbacks callbacks = { on_committed, on_failed, on_recovered };
        const StoreOptions options = { .path = path };
        Store *store;
        char *why = NULL;

        if (store_open(event, &options, &callbacks, NULL, &why, &store) < 0)
                die(path, why ?: "cannot be opened");
        return store;
}

static void fill(const char *path, uint64_t n_runs)
{
        usec_t begin_usec = now_usec(CLOCK_MONOTONIC);
        _cleanup_free_ char *sql = NULL;
        sqlite3_stmt *less = NULL;
        sqlite3 *db = NULL;

        if (sqlite3_open(path, &db) != SQLITE_OK || sqlite3_prepare_v2(db, less_sql, -1, &less, NULL) != SQLITE_OK ||
            sqlite3_step(less) != SQLITE_ROW)
                die("fill", db ? sqlite3_errmsg(db) : "out of memory");
        sql = asprintf_or_null(fill_sql, sqlite3_column_text(less, 0), n_runs, BEGIN_USEC, BEGIN_USEC,
                               sqlite3_column_text(less, 1));
        (void) sqlite3_finalize(less);
        if (!sql || sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
                die("fill", sqlite3_errmsg(db));
        (void) sqlite3_close(db);
        (void) printf("%" PRIu64 " runs, put there in %.1f s\n", n_runs,
                      (double) (now_usec(CLOCK_MONOTONIC) - begin_usec) / 1e6);
        (void) fflush(stdout);
}

static int compare_usec(const void *a, const void *b)
{
        usec_t x = *(const usec_t *) a, y = *(const usec_t *) b;

        return x < y ? -1 : x > y;
}

static int compare_double(const void *a, const void *b)
{
        double x = *(const double *) a, y = *(const double *) b;

        return x < y ? -1 : x > y;
}

/* The median, by processor time, which a busy machine changes least. */
static usec_t measure(Store *store, const List *list, uint64_t n_runs)
{
        RunFilter filter = list->filter;
        static usec_t latencies[N_LISTS];

        for (unsigned i = 0; i < N_LISTS; i++) {
                usec_t begin_usec;
                Run **runs;
                size_t n;

                if (list->old)
                        filter.until_usec = BEGIN_USEC + n_runs * (N_LISTS + i + 1) / (2 * N_LISTS) * USEC_PER_SEC;
                begin_usec = now_usec(CLOCK_THREAD_CPUTIME_ID);
                if (store_list_runs(store, &filter, &runs, &n, NULL) < 0)
                        die("list", "failed");
                latencies[i] = now_usec(CLOCK_THREAD_CPUTIME_ID) - begin_usec;
                runs_free(runs, n);
        }
        qsort(latencies, N_LISTS, sizeof(usec_t), compare_usec);
        return latencies[N_LISTS / 2];
}

static size_t make_lists(List *lists)
{
        static const char *const what[] = { "all", "of a connector", "of a user", "of a provider", "that failed" };
        size_t n = ELEMENTSOF(what);

        for (size_t i = 0; i < n; i++)
                lists[i] = (List){ .what = what[i], .filter = RUN_FILTER_INIT };
        lists[1].filter.connector = "c7";
        lists[2].filter.user_id = "11111111-1111-4111-8111-000000000007";
        lists[3].filter.provider = "provider7";
        lists[4].filter.outcome = RUN_FAILED;
        for (RepoStatus status = 0; status < _REPO_STATUS_MAX; status++) {
                lists[n] = (List){ .what = repo_status_to_string(status), .filter = RUN_FILTER_INIT };
                lists[n++].filter.status = status;
        }
        for (size_t i = 0; i < n; i++) {
                lists[n + i] = lists[i];
                lists[n + i].old = true;
        }
        return 2 * n;
}

static void report(List *list, unsigned n_sizes)
{
        double ratios[N_ROUNDS];

        (void) printf("%-6s 50 runs %-16s", list->old ? "older" : "newest", list->what);
        for (unsigned i = 0; i < N_ROUNDS; i++)
                ratios[i] = (double) list->usec[n_sizes - 1][i] / (double) list->usec[0][i];
        qsort(ratios, N_ROUNDS, sizeof(double), compare_double);
        for (unsigned i = 0; i < n_sizes; i++) {
                qsort(list->usec[i], N_ROUNDS, sizeof(usec_t), compare_usec);
                (void) printf(" %5" PRIu64 " us", list->usec[i][N_ROUNDS / 2]);
        }
        (void) printf(", the last %.2f of the first\n", ratios[N_ROUNDS / 2]);
}

int main(int argc, char *argv[])
{
        const char *folder = argc > 1 ? argv[1] : ".";
        unsigned n_sizes = argc > 2 ? (unsigned) argc - 2 : 0;
        static List lists[2 * (5 + _REPO_STATUS_MAX)];
        size_t n_lists = make_lists(lists);
        uint64_t n_runs[SIZES_MAX];
        Store *stores[SIZES_MAX];
        char *paths[SIZES_MAX];
        sd_event *event = NULL;

        if (n_sizes == 0 || n_sizes > SIZES_MAX || sd_event_new(&event) < 0)
                die(argv[0], "FOLDER RUNS...");
        for (unsigned i = 0; i < n_sizes; i++) {
                n_runs[i] = strtoull(argv[2 + i], NULL, 10);
                paths[i] = asprintf_or_null("%s/lists-%s.db", folder, argv[2 + i]);
                if (!paths[i])
                        die("path", strerror(ENOMEM));
                (void) unlink(paths[i]);
                store_close(open_store(event, paths[i]));
                fill(paths[i], n_runs[i]);
                stores[i] = open_store(event, paths[i]);
        }
        for (unsigned round = 0; round < N_ROUNDS; round++)
                for (size_t k = 0; k < n_lists; k++)
                        for (unsigned i = 0; i < n_sizes; i++)
                                lists[k].usec[i][round] = measure(stores[i], &lists[k], n_runs[i]);
        for (size_t k = 0; k < n_lists; k++)
                report(&lists[k], n_sizes);
        for (unsigned i = 0; i < n_sizes; i++) {
                store_close(stores[i]);
                (void) unlink(paths[i]);
                free(paths[i]);
        }
        sd_event_unref(event);
        return EXIT_SUCCESS;
}
