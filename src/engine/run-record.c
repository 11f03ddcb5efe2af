/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "engine/run-record.h"

#include <stdlib.h>

#include "engine/publication.h"
#include "engine/webhook-table.h"

typedef struct RunPublication {
        Publication publication;
        EngineRun *run;
        Run *snapshot;
        RunChange changes;
        RunLogEntry log;
} RunPublication;

EngineRun *engine_run_find(Engine *engine, const char *run_id)
{
        EngineRun *r = NULL;

        HASH_FIND_STR(engine->runs, run_id, r);
        return r;
}

int engine_run_new(Engine *engine, Run *run, EngineRun **ret)
{
        EngineRun *r = NULL;
        unsigned hash;

        HASH_VALUE(run->id, strlen(run->id), hash);
        HASH_FIND_BYHASHVALUE(hh, engine->runs, run->id, strlen(run->id), hash, r);
        if (r)
                return -EEXIST;
        r = calloc(1, sizeof(EngineRun));
        if (!r)
                return -ENOMEM;
        r->id = strdup(run->id);
        if (!r->id) {
                free(r);
                return -ENOMEM;
        }
        HASH_ADD_KEYPTR_BYHASHVALUE(hh, engine->runs, r->id, strlen(r->id), hash, r);
        if (r->lost) {
                free(r->id);
                free(r);
                return -ENOMEM;
        }
        r->engine = engine;
        r->run = run;
        r->deadline_usec = USEC_INFINITY;
        *ret = r;
        return 0;
}

void run_unlinger(EngineRun *r)
{
        if (!r->lingering)
                return;
        r->lingering = false;
        DL_DELETE(r->engine->finished, r);
        r->engine->n_finished--;
}

/* Numbers for engine_status(); @sign is 1 for a run that now stands so, -1 for one that did. */
static void count_run(Engine *engine, const Run *run, int sign)
{
        if (!run || run->state == RUN_FINISHED)
                return;
        if (run->state == RUN_QUEUED)
                engine->status.n_queued_runs += (unsigned) sign;
        else
                engine->status.n_active_runs += (unsigned) sign;
        engine->status_changed = true;
}

/* Takes it out of everything that could lead to it. */
static void detach(EngineRun *r)
{
        Engine *engine = r->engine;

        HASH_DEL(engine->runs, r);
        run_unlinger(r);
        count_run(engine, r->published, -1);
        if (r->connector && r->connector->run == r)
                r->connector->run = NULL;
        if (r->connector && r->connector->published.run == r->published)
                r->connector->published.run = NULL;
        r->timer = sd_event_source_disable_unref(r->timer);
        r->event_timer = sd_event_source_disable_unref(r->event_timer);
        r->engine = NULL;
}

EngineRun *engine_run_free(EngineRun *r)
{
        if (!r)
                return NULL;
        if (r->engine)
                detach(r);
        connector_definition_unref(r->definition);
        run_free(r->run);
        run_free(r->published);
        free(r->id);
        free(r);
        return NULL;
}

/* ---- Publishing */

static void publish_snapshot(Engine *engine, EngineRun *r, RunPublication *p)
{
        Run *before = r->published;
        Connector *connector = r->connector ? &r->connector->published : NULL;

        if (!before || before->state != p->snapshot->state) {
                count_run(engine, before, -1);
                count_run(engine, p->snapshot, 1);
        }
        r->published = TAKE_PTR(p->snapshot);
        if (!run_is_active(r->published) && (!before || run_is_active(before)))
                statistics_count_run(&engine->statistics, r->published);
        if (connector && run_is_active(r->published))
                connector->run = r->published;
        else if (connector && connector->run == before)
                connector->run = NULL;
        run_free(before);
        run_log(r->published, p->log);
        if (!before && engine->observer.run_added)
                engine->observer.run_added(r->published, engine->observer.userdata);
        else if (before && p->changes && engine->observer.run_changed)
                engine->observer.run_changed(r->published, p->changes, engine->observer.userdata);
}

static void on_run_publication(Engine *engine, Publication *publication, int error)
{
        RunPublication *p = container_of(publication, RunPublication, publication);

        p->run->n_publications--;
        if (error >= 0)
                publish_snapshot(engine, p->run, p);
        run_free(p->snapshot);
        free(p);
}

/* Shares @snapshot. */
static int publish(EngineRun *r, Run *snapshot, RunChange changes, RunLogEntry log)
{
        RunPublication *p = calloc(1, sizeof(RunPublication));

        if (!p)
                return -ENOMEM;
        p->snapshot = run_share(snapshot);
        p->run = r;
        p->changes = changes;
        p->log = log;
        r->n_publications++;
        publication_queue(r->engine, &p->publication, on_run_publication);
        return 0;
}

int run_publish(EngineRun *r, RunChange changes, RunLogEntry log)
{
        _cleanup_(run_freep) Run *snapshot = NULL;
        int k;

        k = run_snapshot(r->run, &snapshot);
        return k < 0 ? k : publish(r, snapshot, changes, log);
}

static int put(EngineRun *r, RunRecordFlags flags, RunChange changes, RunLogEntry log)
{
        _cleanup_(run_freep) Run *snapshot = NULL;
        Engine *engine = r->engine;
        Event event = {};
        int k;

        if (flags & RUN_RECORD_EVENT) {
                r->run->updated_usec = engine_now(engine, CLOCK_REALTIME);
                r->run->last_seq = ++engine->last_seq;
                r->event_usec = engine_now(engine, CLOCK_MONOTONIC);
                r->owes_event = false;
                k = event_make(r->run, r->run->last_seq, r->run->updated_usec, &event);
                if (k < 0)
                        return k;
        }
        k = run_snapshot(r->run, &snapshot);
        if (k >= 0)
                k = flags & RUN_RECORD_ACCOUNTS ? store_put_run(engine->store, r->run, true)
                                                : store_put_snapshot(engine->store, snapshot);
        if (k >= 0)
                k = publish(r, snapshot, changes, log);
        if (k >= 0 && (flags & RUN_RECORD_EVENT))
                k = publish_event(engine, r->run, &event);
        if (k >= 0 && (flags & RUN_RECORD_EVENT))
                k = webhooks_tell_run(engine, r->run, log);
        event_done(&event);
        return k;
}

void run_record(EngineRun *r, RunRecordFlags flags, RunChange changes, RunLogEntry log)
{
        int k;

        if (r->engine->broken < 0)
                return;
        k = put(r, flags, changes, log);
        if (k < 0)
                engine_break(r->engine, k);
}

/* ---- Runs that have ended */

static void forget_run(EngineRun *r)
{
        const EngineObserver *observer = &r->engine->observer;

        detach(r);
        if (observer->run_removed)
                observer->run_removed(r->id, r->run->connector, observer->userdata);
        engine_run_free(r);
}

/* Oldest first; one whose end is not committed yet stays, and all after it. */
static int on_finished_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        Engine *engine = userdata;
        usec_t now = engine_now(engine, CLOCK_MONOTONIC), next = USEC_INFINITY;
        EngineRun *r;
        int k;

        while ((r = engine->finished)) {
                next = usec_add(r->ended_usec, FINISHED_RUN_LINGER_USEC);
                if (engine->n_finished <= FINISHED_RUNS_MAX && now < next)
                        break;
                if (r->n_publications > 0) {
                        next = usec_add(now, USEC_PER_SEC);
                        break;
                }
                forget_run(r);
                next = USEC_INFINITY;
        }
        k = engine_set_timer(engine, &engine->finished_timer, CLOCK_MONOTONIC, next, USEC_PER_SEC, on_finished_timer,
                             engine);
        if (k < 0)
                engine_break(engine, k);
        return 0;
}

static void accounts_free(Run *run)
{
        for (size_t i = 0; i < run->n_accounts; i++)
                account_done(&run->accounts[i]);
        run->accounts = (free(run->accounts), NULL);
        run->n_accounts = 0;
}

void run_linger(EngineRun *r)
{
        Engine *engine = r->engine;
        int k;

        accounts_free(r->run); /* they are in the history */
        r->ended_usec = engine_now(engine, CLOCK_MONOTONIC);
        r->lingering = true;
        DL_APPEND(engine->finished, r);
        engine->n_finished++;
        if (engine->n_finished > 1 && engine->n_finished <= FINISHED_RUNS_MAX)
                return; /* the timer stands for the oldest */
        k = engine_set_timer(engine, &engine->finished_timer, CLOCK_MONOTONIC,
                             engine->n_finished > 1 ? r->ended_usec
                                                    : usec_add(r->ended_usec, FINISHED_RUN_LINGER_USEC),
                             USEC_PER_SEC, on_finished_timer, engine);
        if (k < 0)
                engine_break(engine, k);
}
