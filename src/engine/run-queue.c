/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "engine/run-queue.h"

#include <stdlib.h>

static bool may_start(const Engine *engine, const ProviderQueue *q)
{
        return q->waiting && q->n_active < engine->settings->max_concurrent_runs_per_provider;
}

/* A provider is in the round exactly while it has something that its own limit lets start. New ones come last. */
static void update_turn(Engine *engine, ProviderQueue *q)
{
        bool wanted = may_start(engine, q);

        if (wanted == q->in_turn)
                return;
        q->in_turn = wanted;
        if (wanted)
                DL_APPEND(engine->turn, q);
        else
                DL_DELETE(engine->turn, q);
}

static ProviderQueue *find_provider(const Engine *engine, const char *name)
{
        ProviderQueue *q = NULL;

        HASH_FIND_STR(engine->providers, name, q);
        return q;
}

static void provider_free(Engine *engine, ProviderQueue *q)
{
        HASH_DEL(engine->providers, q);
        free(q->name);
        free(q);
}

static int get_provider(Engine *engine, const char *name, ProviderQueue **ret)
{
        ProviderQueue *q = find_provider(engine, name);

        if (!q) {
                q = calloc(1, sizeof(ProviderQueue));
                if (!q)
                        return -ENOMEM;
                q->name = strdup(name);
                if (q->name)
                        HASH_ADD_KEYPTR(hh, engine->providers, q->name, strlen(q->name), q);
                if (!q->name || q->lost) {
                        free(q->name);
                        free(q);
                        return -ENOMEM;
                }
        }
        *ret = q;
        return 0;
}

int run_queue_add(EngineRun *r)
{
        Engine *engine = r->engine;
        int k;

        k = get_provider(engine, r->run->provider, &r->provider);
        if (k < 0)
                return k;
        DL_APPEND(r->provider->waiting, r);
        r->waiting = true;
        engine->n_waiting++;
        update_turn(engine, r->provider);
        return 0;
}

int run_queue_occupy(EngineRun *r)
{
        int k;

        k = get_provider(r->engine, r->run->provider, &r->provider);
        if (k < 0)
                return k;
        r->provider->n_active++;
        r->engine->n_slots++;
        update_turn(r->engine, r->provider);
        return 0;
}

void run_queue_remove(EngineRun *r)
{
        Engine *engine = r->engine;
        ProviderQueue *q = r->provider;

        if (!q)
                return;
        r->provider = NULL;
        if (r->waiting) {
                r->waiting = false;
                DL_DELETE(q->waiting, r);
                engine->n_waiting--;
        } else {
                q->n_active--;
                engine->n_slots--;
        }
        update_turn(engine, q);
        if (!q->waiting && q->n_active == 0)
                provider_free(engine, q);
}

EngineRun *run_queue_take(Engine *engine)
{
        ProviderQueue *q = engine->turn;
        EngineRun *r;

        if (!q || engine->n_slots >= engine->settings->max_concurrent_runs)
                return NULL;
        r = q->waiting;
        DL_DELETE(q->waiting, r);
        r->waiting = false;
        engine->n_waiting--;
        q->n_active++;
        engine->n_slots++;
        /* To the end of the round. */
        DL_DELETE(engine->turn, q);
        q->in_turn = false;
        update_turn(engine, q);
        return r;
}

bool run_queue_has_room(const Engine *engine, const char *provider)
{
        const ProviderQueue *q = provider ? find_provider(engine, provider) : NULL;

        return engine->n_slots < engine->settings->max_concurrent_runs &&
               (q ? q->n_active : 0) < engine->settings->max_concurrent_runs_per_provider;
}

bool run_queue_is_full(const Engine *engine, const char *provider)
{
        return !run_queue_has_room(engine, provider) && engine->n_waiting >= engine->settings->max_queued_runs;
}

void run_queue_settings_changed(Engine *engine)
{
        ProviderQueue *q, *next;

        HASH_ITER(hh, engine->providers, q, next)
                update_turn(engine, q);
}

void run_queue_done(Engine *engine)
{
        ProviderQueue *q, *next;

        HASH_ITER(hh, engine->providers, q, next)
                provider_free(engine, q);
        engine->turn = NULL;
        engine->n_slots = engine->n_waiting = 0;
}
