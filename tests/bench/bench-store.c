/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How fast the history takes events and runs, how long its longest commit is, and what retention costs (bench-lists
 * has the lists). bench-store FOLDER EVENTS RUNS: FOLDER is on the disk to be measured; the database in it is made
 * anew. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/string-util.h"
#include "base/time-util.h"
#include "store/store.h"

#define N_USERS      10000U
#define N_CONNECTORS 1000U
#define BEGIN_USEC   ((usec_t) 1780171200 * USEC_PER_SEC)

typedef struct Bench {
        const char *path;
        sd_event *event;
        Store *store;
        uint64_t committed;
        usec_t worst_commit_usec;
        usec_t worst_turn_usec;
} Bench;

/* A phase, in time and in processor time: on a busy machine only the latter compares. */
typedef struct Phase {
        usec_t begin_usec;
        usec_t begin_cpu_usec;
} Phase;

static Phase phase_begin(void)
{
        return (Phase){ now_usec(CLOCK_MONOTONIC), now_usec(CLOCK_PROCESS_CPUTIME_ID) };
}

static void phase_end(const Phase *p, const char *what, uint64_t n)
{
        double usec = (double) (now_usec(CLOCK_MONOTONIC) - p->begin_usec);

        (void) printf("%s: %lu in %.2f s, %.0f/s, processor %.1f us each\n", what, (unsigned long) n, usec / 1e6,
                      (double) n * 1e6 / usec,
                      (double) (now_usec(CLOCK_PROCESS_CPUTIME_ID) - p->begin_cpu_usec) /
                                      (double) MAX(n, (uint64_t) 1));
        (void) fflush(stdout);
}

_noreturn_ static void die(const char *what, int error)
{
        (void) fprintf(stderr, "%s: %s\n", what, strerror(error < 0 ? -error : error));
        exit(EXIT_FAILURE);
}

static void must(int r, const char *what)
{
        if (r < 0)
                die(what, r);
}

static void on_committed(uint64_t ticket, void *userdata)
{
        Bench *b = userdata;
        StoreStatistics statistics;

        b->committed = ticket;
        store_statistics(b->store, &statistics);
        b->worst_commit_usec = MAX(b->worst_commit_usec, statistics.last_commit_usec);
}

static void on_failed(int error, void *userdata)
{
        die("commit", error);
}

static void on_recovered(void *userdata)
{
}

static void open_store(Bench *b)
{
        static const StoreCallbacks callbacks = { on_committed, on_failed, on_recovered };
        const StoreOptions options = { .path = b->path };
        usec_t begin_usec = now_usec(CLOCK_MONOTONIC);
        char *why = NULL;
        int r;

        b->committed = 0;
        r = store_open(b->event, &options, &callbacks, b, &why, &b->store);
        if (r < 0)
                die(why ? why : "open", r);
        (void) printf("open: %.1f ms\n", (double) (now_usec(CLOCK_MONOTONIC) - begin_usec) / 1000);
}

/* One turn; its duration without the waiting. */
static void turn(Bench *b)
{
        must(sd_event_prepare(b->event), "loop");
        if (sd_event_get_state(b->event) != SD_EVENT_PENDING)
                must(sd_event_wait(b->event, UINT64_MAX), "loop");
        if (sd_event_get_state(b->event) == SD_EVENT_PENDING) {
                usec_t begin_usec = now_usec(CLOCK_MONOTONIC);

                must(sd_event_dispatch(b->event), "loop");
                b->worst_turn_usec = MAX(b->worst_turn_usec, now_usec(CLOCK_MONOTONIC) - begin_usec);
        }
}

static void wait_for(Bench *b, uint64_t ticket)
{
        while (b->committed < ticket)
                turn(b);
}

static Run *make_run(unsigned i)
{
        unsigned connector = i % N_CONNECTORS;
        Run *run = run_new();

        if (!run)
                die("run", ENOMEM);
        run->id = malloc(UUID_TEXT_MAX);
        must(run->id ? uuid_new_v7(BEGIN_USEC + i * USEC_PER_SEC, run->id) : -ENOMEM, "uuid");
        run->connector = asprintf_or_null("c%u", connector);
        run->connector_id = asprintf_or_null("cccccccc-0000-4000-8000-%012u", connector);
        run->provider = asprintf_or_null("provider%u", connector % 20);
        run->user_id = asprintf_or_null("11111111-1111-4111-8111-%012u", i % N_USERS);
        run->created_usec = run->updated_usec = run->started_usec = BEGIN_USEC + i * USEC_PER_SEC;
        run->state = RUN_FINISHED;
        run->outcome = i % 50 == 0 ? RUN_FAILED : RUN_SUCCEEDED;
        run->stage = SYNC_STAGE_COMPLETED;
        run->finished_usec = run->started_usec + USEC_PER_SEC;
        run->message = asprintf_or_null("%u new, %u updated", i % 10, i % 7);
        return run;
}

static void put_event(Bench *b, const Run *run)
{
        Event event;

        must(event_make(run, store_last_seq(b->store) + 1, BEGIN_USEC, &event), "event");
        must(store_put_event(b->store, run, &event), "event");
}

static int compare_usec(const void *a, const void *b)
{
        usec_t x = *(const usec_t *) a, y = *(const usec_t *) b;

        return x < y ? -1 : x > y;
}

static void report_latencies(const char *what, usec_t *usec, size_t n)
{
        qsort(usec, n, sizeof(usec_t), compare_usec);
        (void) printf("%s: p50 %lu us, p99 %lu us, worst %lu us\n", what, (unsigned long) usec[n / 2],
                      (unsigned long) usec[n * 99 / 100], (unsigned long) usec[n - 1]);
}

static void bench_single_events(Bench *b, Run **runs, size_t n_runs)
{
        enum { N = 2000 };
        static usec_t latencies[N];

        for (size_t i = 0; i < N; i++) {
                usec_t begin_usec = now_usec(CLOCK_MONOTONIC);

                put_event(b, runs[i * 7919 % n_runs]);
                wait_for(b, store_ticket(b->store));
                latencies[i] = now_usec(CLOCK_MONOTONIC) - begin_usec;
        }
        report_latencies("one event at a time, put to committed", latencies, N);
}

/* As many as the disk takes, with at most 2000 on their way. */
static void bench_many_events(Bench *b, Run **runs, size_t n_runs, unsigned n)
{
        StoreStatistics before, after;
        Phase phase = phase_begin();

        store_statistics(b->store, &before);
        b->worst_commit_usec = b->worst_turn_usec = 0;
        for (unsigned i = 0; i < n; i++) {
                put_event(b, runs[(size_t) i * 7919 % n_runs]);
                if (i % 16 == 15)
                        turn(b);
                while (store_ticket(b->store) - b->committed > 2000)
                        turn(b);
        }
        wait_for(b, store_ticket(b->store));
        phase_end(&phase, "events", n);
        store_statistics(b->store, &after);
        (void) printf("  %lu commits, worst %lu us, worst turn of the loop %lu us, log %lu KiB\n",
                      (unsigned long) (after.commits - before.commits), (unsigned long) b->worst_commit_usec,
                      (unsigned long) b->worst_turn_usec, (unsigned long) (after.wal_bytes / KIB));
}

static void bench_runs(Bench *b, unsigned n)
{
        Phase phase = phase_begin();

        for (unsigned i = 0; i < n; i++) {
                Run *run = make_run(i);

                must(store_put_run(b->store, run, false), "run");
                run_free(run);
                while (store_ticket(b->store) - b->committed > 8000)
                        turn(b);
        }
        wait_for(b, store_ticket(b->store));
        phase_end(&phase, "runs", n);
}

static void bench_updates(Bench *b, Run **runs, size_t n_runs)
{
        enum { N = 50000 };
        Phase phase = phase_begin();

        for (unsigned i = 0; i < N; i++) {
                Run *run = runs[i % n_runs];

                run->counts.added++;
                must(store_put_run(b->store, run, false), "run");
                while (store_ticket(b->store) - b->committed > 2000)
                        turn(b);
        }
        wait_for(b, store_ticket(b->store));
        phase_end(&phase, "reports", N);
}

static bool pass_over(const Run *run, void *userdata)
{
        return true;
}

static void bench_news(Bench *b, const char *what, const char *user_id)
{
        enum { N = 300 };
        static usec_t latencies[N];
        NewsFilter filter = NEWS_FILTER_INIT;

        filter.user_id = user_id;
        for (unsigned i = 0; i < N; i++) {
                usec_t begin_usec = now_usec(CLOCK_MONOTONIC);

                must(store_tell_news(b->store, &filter, pass_over, NULL), "news");
                latencies[i] = now_usec(CLOCK_MONOTONIC) - begin_usec;
        }
        report_latencies(what, latencies, N);
}

static void bench_retention(Bench *b, const char *what, RetentionPolicy policy)
{
        Phase phase = phase_begin();
        uint64_t n_steps = 0;

        b->worst_commit_usec = 0;
        do {
                must(store_retain(b->store, &policy, BEGIN_USEC + 1000 * USEC_PER_DAY), "retain");
                wait_for(b, store_ticket(b->store));
                n_steps++;
        } while (store_retain_more(b->store));
        phase_end(&phase, what, n_steps);
        (void) printf("  worst commit %lu us\n", (unsigned long) b->worst_commit_usec);
}

int main(int argc, char *argv[])
{
        unsigned n_events = argc > 2 ? (unsigned) atoi(argv[2]) : 200000,
                 n_runs = argc > 3 ? (unsigned) atoi(argv[3]) : 200000;
        _cleanup_free_ char *path = asprintf_or_null("%s/bench.db", argc > 1 ? argv[1] : ".");
        enum { N_CACHED = 20000 };
        static Run *cached[N_CACHED];
        Bench b = { .path = path };
        struct stat st;

        must(path ? 0 : -ENOMEM, "path");
        (void) unlink(path);
        must(sd_event_new(&b.event), "loop");
        open_store(&b);
        bench_runs(&b, n_runs);
        for (unsigned i = 0; i < N_CACHED; i++) {
                cached[i] = make_run(n_runs + i);
                must(store_put_run(b.store, cached[i], false), "run");
        }
        wait_for(&b, store_ticket(b.store));
        bench_updates(&b, cached, N_CACHED);
        bench_single_events(&b, cached, N_CACHED);
        bench_many_events(&b, cached, N_CACHED, n_events);
        bench_news(&b, "50 runs by their newest event", NULL);
        bench_news(&b, "a user's runs by their newest event", "11111111-1111-4111-8111-000000000007");
        bench_retention(&b, "steps of events, 10 a user", (RetentionPolicy){ .events_max_per_user = 10 });
        bench_retention(&b, "steps of all events", (RetentionPolicy){ .events_max_age_usec = USEC_PER_DAY });
        bench_retention(&b, "steps of runs, 50 a connector", (RetentionPolicy){ .runs_max_per_connector = 50 });
        store_close(b.store);
        if (stat(path, &st) == 0)
                (void) printf("file: %lu MiB\n", (unsigned long) ((uint64_t) st.st_size / MIB));
        open_store(&b);
        store_close(b.store);
        sd_event_unref(b.event);
        for (unsigned i = 0; i < N_CACHED; i++)
                run_free(cached[i]);
        return EXIT_SUCCESS;
}
