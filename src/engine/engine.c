/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The engine as a whole: made, started, broken, mended, freed; and what is looked up in it. */

#include "engine/engine.h"

#include <stdlib.h>
#include <sys/random.h>

#include "base/log.h"
#include "engine/api-keys.h"
#include "engine/connection-state.h"
#include "engine/connector-table.h"
#include "engine/lifecycle.h"
#include "engine/log-reader.h"
#include "engine/new-users.h"
#include "engine/outside-runs.h"
#include "engine/publication.h"
#include "engine/reconcile.h"
#include "engine/retention.h"
#include "engine/run-log.h"
#include "engine/run-queue.h"
#include "engine/run-record.h"
#include "engine/scheduler.h"
#include "engine/webhook-table.h"
#include "engine/worker-calls.h"

#define RECOVER_INTERVAL_USEC (2 * USEC_PER_SEC) /* between attempts to read memory anew */

/* ---- Helpers of all files */

double engine_random(void)
{
        uint64_t bits = 0;

        /* Delays only: if the system has no randomness they are all the same. */
        if (getrandom(&bits, sizeof(bits), GRND_NONBLOCK) < 0)
                log_debug("No randomness for a delay: %m");
        return (double) (bits >> 11) * 0x1p-53;
}

int engine_set_timer(Engine *engine, sd_event_source **source, clockid_t clock, usec_t usec, usec_t accuracy_usec,
                     sd_event_time_handler_t handler, void *userdata)
{
        usec_t now;
        int r;

        if (usec == USEC_INFINITY)
                return *source ? sd_event_source_set_enabled(*source, SD_EVENT_OFF) : 0;
        if (engine->now != now_usec) { /* as far away on the system's clock as it is on the engine's */
                now = engine_now(engine, clock);
                usec = usec > now ? usec_add(now_usec(clock), usec - now) : 0;
        }
        if (!*source)
                return sd_event_add_time(engine->event, source, clock, usec, accuracy_usec, handler, userdata);
        r = sd_event_source_set_time(*source, usec);
        return r < 0 ? r : sd_event_source_set_enabled(*source, SD_EVENT_ONESHOT);
}

/* ---- Breaking and mending */

static int on_recover_timer(sd_event_source *source, uint64_t usec, void *userdata);

static void wait_for_recovery(Engine *engine)
{
        int r;

        r = engine_set_timer(engine, &engine->recover_timer, CLOCK_MONOTONIC,
                             usec_add(engine_now(engine, CLOCK_MONOTONIC), RECOVER_INTERVAL_USEC), USEC_PER_SEC,
                             on_recover_timer, engine);
        if (r < 0)
                log_debug_errno(r, "Could not arm the timer for reading the history anew: %m");
}

static int on_break(sd_event_source *source, void *userdata)
{
        Engine *engine = userdata;

        engine->break_source = sd_event_source_disable_unref(engine->break_source);
        store_log_failed(engine->broken);
        engine->status.storage_error = engine->broken;
        engine->status_changed = true;
        worker_calls_refuse(engine, -EROFS);
        publications_flush(engine, -EROFS);
        if (engine->broken == -ESTALE) /* the next one opens the file that is there now */
                (void) sd_event_exit(engine->event, engine->broken);
        else if (!engine->store_failed)
                wait_for_recovery(engine);
        return 0;
}

void engine_break(Engine *engine, int error)
{
        int r;

        if (engine->broken < 0 && (error != -ESTALE || engine->broken == error))
                return;
        log_debug_errno(error, "The engine's memory is ahead of the disk for good: %m");
        engine->broken = error;
        store_abandon(engine->store);
        if (engine->break_source)
                return;
        /* Not from here: callers still hold what would be freed. */
        r = sd_event_add_defer(engine->event, &engine->break_source, on_break, engine);
        if (r >= 0)
                r = sd_event_source_set_priority(engine->break_source, SD_EVENT_PRIORITY_IMPORTANT);
        if (r < 0)
                (void) sd_event_exit(engine->event, r); /* a restart does the same */
}

static void recover(Engine *engine)
{
        int r;

        if (engine->broken >= 0 || engine->store_failed)
                return;
        if (engine->break_source)
                (void) on_break(engine->break_source, engine);
        store_resume(engine->store);
        engine->committed_ticket = engine->announced_ticket = store_ticket(engine->store);
        engine->broken = 0;
        r = engine_reconcile(engine);
        if (r >= 0)
                r = engine->broken;
        if (r < 0) {
                log_debug_errno(r, "Could not read the history anew: %m");
                engine->broken = r;
                store_abandon(engine->store);
                publications_flush(engine, -EROFS); /* they point to runs that the next attempt forgets */
                wait_for_recovery(engine);
                return;
        }
        store_log_recovered();
        engine->status.storage_error = 0;
        engine->status_changed = true;
        publications_wake(engine);
        retention_start(engine);
}

static int on_recover_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        Engine *engine = userdata;

        if (engine->broken >= 0 || engine->store_failed)
                return 0;
        /* Writes that could be put before the one that could not: they are still on their way to the disk. */
        if (engine->announced_ticket < store_ticket(engine->store))
                wait_for_recovery(engine);
        else
                recover(engine);
        return 0;
}

static void on_store_committed(uint64_t ticket, void *userdata)
{
        publications_committed(userdata, ticket);
}

static void on_store_failed(int error, void *userdata)
{
        Engine *engine = userdata;

        engine->store_failed = true;
        engine_break(engine, error);
}

static void on_store_recovered(void *userdata)
{
        Engine *engine = userdata;

        engine->store_failed = false;
        recover(engine);
}

static const StoreCallbacks store_callbacks = {
        .committed = on_store_committed,
        .failed = on_store_failed,
        .recovered = on_store_recovered,
};

/* ---- Making */

static int make_launcher(Engine *engine, const EngineOptions *options)
{
        if (options->launcher_new)
                return options->launcher_new(&lifecycle_launcher_callbacks, engine, &engine->launcher);
        if (options->launch_children)
                return launcher_child_new(options->event, options->worker_path, options->worker_state_dir,
                                          LAUNCHER_STOP_TIMEOUT_USEC, &lifecycle_launcher_callbacks, engine,
                                          &engine->launcher);
        return launcher_unit_new(options->bus, &lifecycle_launcher_callbacks, engine, &engine->launcher);
}

static void take_settings(Engine *engine, const Settings *settings)
{
        engine->settings = settings;
        changes_set_events_max_age(store_changes(engine->store), settings->events_max_age_usec);
}

/* Without it (no /proc) time limits begin anew with the daemon. */
static void read_boot_id(Engine *engine)
{
        sd_id128_t id;
        int r;

        r = sd_id128_get_boot(&id);
        if (r < 0)
                log_debug_errno(r, "Could not read the boot's id: %m");
        else
                (void) sd_id128_to_string(id, engine->boot_id);
}

int engine_new(const EngineOptions *options, const EngineObserver *observer, char **ret_why, Engine **ret)
{
        _cleanup_(engine_freep) Engine *engine = calloc(1, sizeof(Engine));
        int r;

        if (!engine)
                return -ENOMEM;
        engine->event = sd_event_ref(options->event);
        engine->settings = options->settings;
        engine->connections_due_usec = USEC_INFINITY;
        engine->events_after_seq = options->events_after_seq;
        engine->now = options->now ?: now_usec;
        read_boot_id(engine);
        engine->statistics.since_usec = engine_now(engine, CLOCK_REALTIME);
        if (observer)
                engine->observer = *observer;
        if (options->config_dirs)
                r = strv_copy(options->config_dirs, &engine->config_dirs);
        else
                r = connector_dirs(&engine->config_dirs);
        if (r >= 0)
                r = options->connection_dirs ? strv_copy(options->connection_dirs, &engine->connection_dirs)
                                             : connection_dirs(&engine->connection_dirs);
        if (r >= 0)
                r = store_open(options->event,
                               &(StoreOptions) { .path = options->database, .retry_usec = options->store_retry_usec },
                               &store_callbacks, engine, ret_why, &engine->store);
        if (r >= 0 && store_is_new(engine->store))
                store_log_new(options->database);
        if (r >= 0)
                r = make_launcher(engine, options);
        if (r < 0)
                return r;
        take_settings(engine, options->settings);
        *ret = TAKE_PTR(engine);
        return 0;
}

int engine_start(Engine *engine)
{
        int r;

        engine->clock_offset_usec =
                        (int64_t) (engine_now(engine, CLOCK_REALTIME) - engine_now(engine, CLOCK_BOOTTIME));
        engine->slept_usec = (int64_t) (engine_now(engine, CLOCK_BOOTTIME) - engine_now(engine, CLOCK_MONOTONIC));
        engine->committed_ticket = engine->announced_ticket = store_ticket(engine->store);
        r = engine_reconcile(engine);
        if (r < 0)
                return r;
        if (engine->broken < 0)
                return engine->broken;
        engine->started = true;
        retention_start(engine);
        return 0;
}

Engine *engine_free(Engine *engine)
{
        EngineRun *r, *next;

        if (!engine)
                return NULL;
        engine->observer = (EngineObserver) {};
        engine->broken = -ESHUTDOWN;
        if (engine->store) {
                worker_calls_refuse(engine, -ESHUTDOWN);
                publications_flush(engine, -ESHUTDOWN);
        }
        log_reads_end(engine);
        engine->launcher = launcher_free(engine->launcher);
        worker_calls_free(engine);
        sd_event_source_disable_unref(engine->publish_source);
        sd_event_source_disable_unref(engine->break_source);
        sd_event_source_disable_unref(engine->recover_timer);
        sd_event_source_disable_unref(engine->due_timer);
        sd_event_source_disable_unref(engine->finished_timer);
        sd_event_source_disable_unref(engine->retention_source);
        sd_event_source_disable_unref(engine->retention_timer);
        run_queue_done(engine);
        HASH_ITER(hh, engine->runs, r, next)
                engine_run_free(r);
        connector_table_free(engine);
        connection_table_free(engine);
        webhooks_free(engine);
        api_keys_done(engine);
        new_users_done(engine);
        engine->store = store_close(engine->store);
        strv_free(engine->config_dirs);
        strv_free(engine->connection_dirs);
        sd_event_unref(engine->event);
        free(engine);
        return NULL;
}

/* ---- Changing the whole */

static void watch_outside_runs(Engine *engine)
{
        EngineRun *r, *next;

        HASH_ITER(hh, engine->runs, r, next)
                if (!r->connector && run_is_active(r->run))
                        outside_run_watch(r);
}

int engine_reload(Engine *engine, const Settings *settings)
{
        int r;

        if (engine->broken < 0) { /* recover() does the rest */
                take_settings(engine, settings);
                return 0;
        }
        r = engine_load_files(engine);
        if (r < 0)
                return r;
        take_settings(engine, settings);
        run_queue_settings_changed(engine);
        lifecycle_dispatch(engine);
        watch_outside_runs(engine);
        delivery_wake_all(engine);
        retention_start(engine);
        return 0;
}

void engine_take_clock_step(Engine *engine)
{
        int64_t offset = (int64_t) (engine_now(engine, CLOCK_REALTIME) - engine_now(engine, CLOCK_BOOTTIME));

        webhooks_clock_changed(engine, offset - engine->clock_offset_usec);
        scheduler_clock_changed(engine);
        connection_state_clock_changed(engine);
}

void engine_clock_changed(Engine *engine)
{
        if (engine->broken < 0) /* it is taken when the history is read anew */
                return;
        engine_take_clock_step(engine);
        lifecycle_dispatch(engine);
}

/* ---- Looking */

void engine_status(const Engine *engine, EngineStatus *ret)
{
        *ret = engine->status;
}

Store *engine_store(Engine *engine)
{
        return engine->store;
}

const Settings *engine_settings(const Engine *engine)
{
        return engine->settings;
}

Connector *engine_find_connector(Engine *engine, const char *name)
{
        ConnectorEntry *c = NULL;

        HASH_FIND_STR(engine->connectors, name, c);
        return c && c->announced ? &c->published : NULL;
}

Connector *engine_find_connector_by_id(Engine *engine, const char *id)
{
        ConnectorEntry *c = NULL;

        HASH_FIND(hh_id, engine->connectors_by_id, id, strlen(id), c);
        return c && c->announced ? &c->published : NULL;
}

Connector *engine_next_connector(Engine *engine, const Connector *after)
{
        ConnectorEntry *c = engine->connectors;

        if (after)
                c = container_of(after, ConnectorEntry, published)->hh.next;
        while (c && !c->announced)
                c = c->hh.next;
        return c ? &c->published : NULL;
}

const Run *engine_find_run(Engine *engine, const char *run_id)
{
        EngineRun *r = engine_run_find(engine, run_id);

        return r ? r->published : NULL;
}

const Run *engine_next_run(Engine *engine, const Run *after)
{
        EngineRun *r = after ? engine_run_find(engine, after->id) : NULL;

        r = after ? (r ? r->hh.next : NULL) : engine->runs;
        while (r && !r->published)
                r = r->hh.next;
        return r ? r->published : NULL;
}
