/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "engine/lifecycle.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "engine/connector-table.h"
#include "engine/deletion.h"
#include "engine/follow-up.h"
#include "engine/publication.h"
#include "engine/reconnect.h"
#include "engine/retry.h"
#include "engine/run-end.h"
#include "engine/run-queue.h"
#include "engine/run-record.h"
#include "engine/scheduler.h"
#include "engine/worker-calls.h"

/* A worker that was asked to stop is asked again after this; the launcher itself kills sooner. */
#define STOP_REPEAT_USEC (60 * USEC_PER_SEC)

/* What could not even be asked is tried again after this, then after twice this, up to the above. */
#define STOP_AGAIN_USEC (100 * USEC_PER_MSEC)

/* One that has not ended by then is killed, whatever its unit's TimeoutStopSec= says. */
#define STOP_KILL_USEC (10 * USEC_PER_MINUTE)

/* Whatever is heard of the worker from now on does not put its end off. */
static void begin_stopping(EngineRun *r)
{
        r->stopping_usec = engine_now(r->engine, CLOCK_MONOTONIC);
        r->stop_usec = usec_add(r->stopping_usec, STOP_REPEAT_USEC);
        r->stop_delay_usec = 0;
}

bool run_move(EngineRun *r, RunState to)
{
        if (!run_transition_is_legal(r->run->state, to)) {
                log_debug("Run %s does not go from %s to %s.", r->id, run_state_to_string(r->run->state),
                          run_state_to_string(to));
                return false;
        }
        r->run->state = to;
        if (to == RUN_STOPPING)
                begin_stopping(r);
        return true;
}

/* ---- Time limits */

static int on_run_timer(sd_event_source *source, uint64_t usec, void *userdata);

void run_set_timer(EngineRun *r)
{
        usec_t next = USEC_INFINITY;
        int k;

        if (r->run->state == RUN_STARTING || r->run->state == RUN_RUNNING)
                next = MIN(r->deadline_usec, usec_add(r->heard_usec, r->definition->stall_timeout_usec));
        else if (r->run->state == RUN_STOPPING)
                next = r->stop_usec;
        k = engine_set_timer(r->engine, &r->timer, CLOCK_MONOTONIC, next, TIMER_ACCURACY_USEC, on_run_timer, r);
        if (k < 0)
                engine_break(r->engine, k);
}

void run_heard(EngineRun *r)
{
        r->heard_usec = engine_now(r->engine, CLOCK_MONOTONIC);
        r->adopting = false;
}

void run_count_from(EngineRun *r, usec_t usec)
{
        int k;

        r->run->clock_usec = usec;
        k = free_and_strdup(&r->run->clock_boot_id, r->engine->boot_id);
        if (k < 0)
                engine_break(r->engine, k);
}

usec_t run_counted_from(const EngineRun *r, usec_t otherwise_usec)
{
        usec_t now = engine_now(r->engine, CLOCK_MONOTONIC);

        if (isempty(r->engine->boot_id) || !streq_null(r->run->clock_boot_id, r->engine->boot_id))
                now = usec_sub(now, usec_sub(engine_now(r->engine, CLOCK_REALTIME), otherwise_usec));
        else
                now = MIN(now, r->run->clock_usec);
        return MAX(now, 1U);
}

static void set_limits(EngineRun *r, usec_t begin_usec)
{
        r->deadline_usec = usec_add(begin_usec, r->definition->timeout_usec);
        r->heard_usec = engine_now(r->engine, CLOCK_MONOTONIC);
        run_set_timer(r);
}

void run_begin_time_limits(EngineRun *r)
{
        usec_t now = engine_now(r->engine, CLOCK_MONOTONIC);

        run_count_from(r, now);
        set_limits(r, now);
}

void run_resume_time_limits(EngineRun *r)
{
        if (r->run->state == RUN_STOPPING)
                begin_stopping(r);
        set_limits(r, run_counted_from(r, r->run->started_usec ?: r->run->created_usec));
}

/* ---- Stopping */

typedef struct OrderPublication {
        Publication publication;
        EngineRun *run;
} OrderPublication;

static int queue_order(EngineRun *r, PublicationHandler handler)
{
        OrderPublication *p = calloc(1, sizeof(OrderPublication));

        if (!p)
                return -ENOMEM;
        p->run = r;
        r->n_publications++;
        publication_queue(r->engine, &p->publication, handler);
        return 0;
}

static EngineRun *take_order(Publication *publication)
{
        OrderPublication *p = container_of(publication, OrderPublication, publication);
        EngineRun *r = p->run;

        r->n_publications--;
        free(p);
        return r;
}

static void stop_worker(EngineRun *r)
{
        usec_t now = engine_now(r->engine, CLOCK_MONOTONIC);
        int k;

        k = launcher_stop(r->engine->launcher, r->connector->name,
                          now >= usec_add(r->stopping_usec, STOP_KILL_USEC));
        if (k == -ENOENT) {
                run_worker_ended(r, NULL);
                return;
        }
        if (k < 0) {
                log_debug_errno(k, "Could not stop the worker of run %s, trying again: %m", r->id);
                r->stop_delay_usec = CLAMP(2 * r->stop_delay_usec, STOP_AGAIN_USEC, STOP_REPEAT_USEC);
        } else
                r->stop_delay_usec = 0;
        r->stop_usec = usec_add(now, r->stop_delay_usec ?: STOP_REPEAT_USEC);
        run_set_timer(r);
}

static void on_stop_order(Engine *engine, Publication *publication, int error)
{
        EngineRun *r = take_order(publication);

        if (error >= 0 && engine->broken >= 0 && r->run->state == RUN_STOPPING)
                stop_worker(r);
}

void run_order_stop(EngineRun *r)
{
        int k = queue_order(r, on_stop_order);

        if (k < 0)
                engine_break(r->engine, k);
}

/* The outcome is set: the worker is to stop. */
static void run_stop(EngineRun *r)
{
        if (!run_move(r, RUN_STOPPING))
                return;
        run_heard(r);
        run_record(r, 0, RUN_CHANGE_STATE, RUN_LOG_NONE);
        run_set_timer(r);
        run_order_stop(r);
}

static void time_out(EngineRun *r, const char *setting, usec_t timeout_usec, const char *what,
                     AttentionCategory lasting)
{
        char span[TIMESPAN_TEXT_MAX];
        _cleanup_free_ char *error = NULL;

        error = asprintf_or_null("%s %s (%s)", what, timespan_format(span, sizeof(span), timeout_usec, 0), setting);
        run_fail(r, error ?: what, lasting);
        run_stop(r);
}

static int on_run_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        EngineRun *r = userdata;
        usec_t now = engine_now(r->engine, CLOCK_MONOTONIC), stall = r->definition->stall_timeout_usec;

        if (r->engine->broken < 0)
                return 0;
        if (r->run->state == RUN_STOPPING) {
                if (now >= r->stop_usec) {
                        stop_worker(r);
                        return 0;
                }
        } else if (r->finishing) {
                run_heard(r); /* its end is being recorded */
        } else if (now >= r->deadline_usec) {
                time_out(r, "TimeoutSec=", r->definition->timeout_usec, "The run had not ended after",
                         ATTENTION_CONFIGURATION_ERROR);
                return 0;
        } else if (now >= usec_add(r->heard_usec, stall)) {
                time_out(r, "StallTimeoutSec=", stall, "Nothing was heard of the connector for",
                         ATTENTION_CONNECTION_LOST);
                return 0;
        }
        if (run_is_active(r->run))
                run_set_timer(r);
        return 0;
}

int run_cancel(EngineRun *r, const char *requested_by)
{
        _cleanup_free_ char *message = NULL;
        bool queued = r->run->state == RUN_QUEUED;

        if (r->run->outcome == RUN_CANCELLED && run_is_active(r->run))
                return 0; /* asked for already */
        if (r->run->outcome >= 0 || r->finishing)
                return -EALREADY;
        if (requested_by) {
                message = asprintf_or_null("Cancelled by %s", requested_by);
                if (!message)
                        return -ENOMEM;
        }
        run_conclude(r, &(RunEnd) { .outcome = RUN_CANCELLED, .message = message, .category = _ATTENTION_INVALID });
        if (queued)
                run_finish(r, RUN_LOG_ENDED);
        else
                run_stop(r);
        return 0;
}

/* ---- Beginning */

static int new_run(ConnectorEntry *c, const RunRequest *request, EngineRun **ret)
{
        _cleanup_(run_freep) Run *run = NULL;
        int k;

        k = run_new_for_connector(c, request->trigger, &run);
        if (k < 0)
                return k;
        if (free_and_strdup(&run->requested_by, request->requested_by) < 0 ||
            free_and_strdup(&run->reason, request->reason) < 0 ||
            free_and_strdup(&run->only_accounts, request->only_accounts) < 0 ||
            free_and_strdup(&run->retry_of, request->retry_of) < 0)
                return -ENOMEM;
        run->attempt = MAX(request->attempt, 1U);
        run->full_resync = request->full_resync || resync_is_owed(&c->record, request->only_accounts);
        k = engine_run_new(c->published.engine, run, ret);
        if (k >= 0)
                TAKE_PTR(run);
        return k;
}

int run_begin(ConnectorEntry *c, const RunRequest *request, EngineRun **ret)
{
        Engine *engine = c->published.engine;
        bool waits = !run_queue_has_room(engine, c->definition->provider);
        EngineRun *r;
        int k;

        k = new_run(c, request, &r);
        if (k < 0)
                return k;
        r->connector = c;
        r->definition = connector_definition_ref(c->definition);
        k = run_queue_add(r);
        if (k < 0) {
                engine_run_free(r);
                return k;
        }
        c->run = r;
        if (request->full_resync)
                c->record.resyncing = false; /* from the beginning */
        retry_meet(&c->record, request->only_accounts);
        scheduler_update(c, SCHEDULE_RUN_CHANGED);
        run_record(r, RUN_RECORD_EVENT, RUN_CHANGE_STATE, waits ? RUN_LOG_QUEUED : RUN_LOG_NONE);
        connector_save(c, 0);
        lifecycle_dispatch(engine);
        *ret = r;
        return 0;
}

/* ---- Launching */

static void launch_failed(EngineRun *r, const char *why, AttentionCategory lasting)
{
        run_fail(r, why, lasting);
        run_finish(r, RUN_LOG_ENDED);
}

static void on_launch_order(Engine *engine, Publication *publication, int error)
{
        EngineRun *r = take_order(publication);
        _cleanup_free_ char *why = NULL;
        int k;

        if (error < 0 || engine->broken < 0)
                return;
        /* Cancelled before there was a worker: the order to stop, behind this one, finds none. */
        if (r->run->state != RUN_STARTING)
                return;
        k = launcher_start(engine->launcher, r->connector->name);
        if (k >= 0)
                return;
        why = asprintf_or_null("The worker could not be started: %s", strerror(-k));
        run_lose_with_machine(r, why ?: "The worker could not be started"); /* memory, processes */
        run_finish(r, RUN_LOG_ENDED);
}

void run_launch(EngineRun *r)
{
        int k = queue_order(r, on_launch_order);

        if (k < 0)
                engine_break(r->engine, k);
}

void lifecycle_dispatch(Engine *engine)
{
        EngineRun *r;

        while (engine->broken >= 0 && (r = run_queue_take(engine))) {
                if (!run_move(r, RUN_STARTING))
                        continue;
                run_begin_time_limits(r);
                run_record(r, 0, RUN_CHANGE_STATE, RUN_LOG_NONE);
                run_launch(r);
        }
        follow_ups_dispatch(engine);
}

/* ---- The schedule */

static int schedule_overlap(ConnectorEntry *c, RunTrigger trigger)
{
        _cleanup_free_ char *why = NULL;

        /* Accounts that the active run leaves out are not to miss their time. */
        if (c->definition->overlap == OVERLAP_QUEUE || c->run->run->only_accounts)
                return follow_up_add(c, &(RunRequest) { .trigger = trigger });
        why = asprintf_or_null("Skipped: run %s was still %s", c->run->id, run_state_to_string(c->run->run->state));
        return why ? run_skip(c, trigger, why) : -ENOMEM;
}

void lifecycle_schedule_due(ConnectorEntry *c, bool missed)
{
        Engine *engine = c->published.engine;
        RunTrigger trigger = missed ? RUN_TRIGGER_CATCH_UP : RUN_TRIGGER_SCHEDULE;
        EngineRun *r;
        int k;

        scheduler_acted(c);
        if (!c->run && !run_queue_is_full(engine, c->definition->provider)) {
                follow_up_meet(c, &(RunRequest) { .trigger = trigger });
                k = run_begin(c, &(RunRequest) { .trigger = trigger }, &r);
        } else {
                k = c->run ? schedule_overlap(c, trigger)
                           : run_skip(c, trigger, "Skipped: too many runs were waiting (MaxQueuedRuns=)");
                scheduler_update(c, SCHEDULE_RUN_CHANGED);
                connector_save(c, 0);
        }
        if (k < 0)
                engine_break(engine, k);
}

void lifecycle_retry_due(ConnectorEntry *c)
{
        Engine *engine = c->published.engine;
        _cleanup_free_ char *retry_of = TAKE_PTR(c->record.retry_of), *accounts = TAKE_PTR(c->record.retry_accounts);
        _cleanup_(run_freep) Run *first = NULL;
        RunRequest request = {
                .trigger = RUN_TRIGGER_RETRY,
                .only_accounts = accounts,
                .attempt = c->record.retry_attempt,
                .retry_of = retry_of,
        };
        EngineRun *r;
        int k = 0;

        retry_forget(&c->record);
        /* What was asked for is asked for again. */
        if (retry_of)
                k = store_get_run(engine->store, retry_of, false, &first);
        if (first)
                request.reason = first->reason;
        if (k >= 0 || k == -ESRCH) {
                follow_up_meet(c, &request);
                k = run_begin(c, &request, &r);
        }
        if (k < 0)
                engine_break(engine, k);
}

/* ---- The worker's end */

static void take_usage(Run *run, const WorkerExit *how)
{
        if (run->cpu_usec == COUNT_UNKNOWN)
                run->cpu_usec = how->cpu_usec;
        if (run->memory_peak_bytes == COUNT_UNKNOWN)
                run->memory_peak_bytes = how->memory_peak_bytes;
        if (run->io_read_bytes == COUNT_UNKNOWN)
                run->io_read_bytes = how->io_read_bytes;
        if (run->io_write_bytes == COUNT_UNKNOWN)
                run->io_write_bytes = how->io_write_bytes;
}

/* Its start was recorded, but the daemon ended before it asked for it. */
static bool was_never_launched(const EngineRun *r, const WorkerExit *how)
{
        return r->run->state == RUN_STARTING && how && how->gone && !r->run->invocation_id && r->run->worker_pid == 0;
}

static bool began_before_boot(const EngineRun *r)
{
        Engine *engine = r->engine;

        if (!isempty(r->run->clock_boot_id) && !isempty(engine->boot_id))
                return !streq(r->run->clock_boot_id, engine->boot_id);
        return MAX(r->run->updated_usec, r->run->created_usec) <
               usec_sub(engine_now(engine, CLOCK_REALTIME), engine_now(engine, CLOCK_BOOTTIME));
}

static void conclude_lost(EngineRun *r, const WorkerExit *how)
{
        _cleanup_free_ char *error = NULL;
        const char *why = how->reason;

        if (how->stop_requested && how->shutdown) {
                run_lose_to_shutdown(r);
                return;
        }
        if (how->stop_requested) {
                run_conclude(r, &(RunEnd) { .outcome = RUN_CANCELLED,
                                            .message = "Cancelled: its worker was stopped",
                                            .category = _ATTENTION_INVALID });
                return;
        }
        if (how->gone && began_before_boot(r)) {
                run_lose_with_machine(r, "The run was lost: the machine went down while it was active");
                return;
        }
        if (isempty(why))
                why = "its worker ended while nobody could see how";
        error = asprintf_or_null("The run was lost: %s", why);
        run_fail(r, error ?: why, ATTENTION_CONFIGURATION_ERROR);
}

void run_worker_ended(EngineRun *r, const WorkerExit *how)
{
        bool said;

        r->adopting = false;
        if (was_never_launched(r, how)) {
                run_begin_time_limits(r);
                run_record(r, 0, 0, RUN_LOG_NONE);
                run_launch(r);
                return;
        }
        if (r->finishing)
                worker_calls_finish_now(r, how && how->shutdown);
        said = r->run->outcome >= 0;
        if (how)
                take_usage(r->run, how);
        if (!said && how)
                conclude_lost(r, how);
        else if (!said)
                run_fail(r, "The run had no worker", ATTENTION_CONFIGURATION_ERROR);
        run_finish(r, said || r->run->outcome == RUN_CANCELLED ? RUN_LOG_ENDED : RUN_LOG_LOST);
}

/* ---- What the launcher tells */

static EngineRun *launched_run(Engine *engine, const char *connector)
{
        ConnectorEntry *c = NULL;

        if (engine->broken < 0)
                return NULL;
        HASH_FIND_STR(engine->connectors, connector, c);
        return c ? c->run : NULL;
}

static void on_worker_started(const char *connector, const char *invocation_id, int pid, uint64_t start_ticks,
                              void *userdata)
{
        EngineRun *r = launched_run(userdata, connector);
        int k;

        if (!r || r->run->state == RUN_QUEUED)
                return;
        run_heard(r);
        if (streq_null(r->run->invocation_id, invocation_id) && r->run->worker_pid == pid)
                return; /* adopted */
        k = free_and_strdup(&r->run->invocation_id, invocation_id);
        if (k < 0) {
                engine_break(r->engine, k);
                return;
        }
        r->run->worker_pid = pid;
        r->run->worker_start_ticks = start_ticks;
        run_record(r, 0, RUN_CHANGE_STATE, RUN_LOG_NONE);
}

static void on_worker_start_failed(const char *connector, const char *why, void *userdata)
{
        EngineRun *r = launched_run(userdata, connector);

        if (r && r->run->state != RUN_QUEUED)
                launch_failed(r, why, ATTENTION_CONFIGURATION_ERROR); /* masked, no such user, no such file */
}

static void on_worker_stopping(const char *connector, bool shutdown, void *userdata)
{
        EngineRun *r = launched_run(userdata, connector);

        if (!r || r->run->outcome >= 0 || (r->run->state != RUN_STARTING && r->run->state != RUN_RUNNING))
                return;
        if (shutdown)
                run_lose_to_shutdown(r);
        else
                run_conclude(r, &(RunEnd) { .outcome = RUN_CANCELLED,
                                            .message = "Cancelled: its unit was stopped",
                                            .category = _ATTENTION_INVALID });
        if (!run_move(r, RUN_STOPPING))
                return;
        run_heard(r);
        run_record(r, 0, RUN_CHANGE_STATE, RUN_LOG_NONE);
        run_set_timer(r);
}

static void on_worker_ended(const char *connector, const WorkerExit *how, void *userdata)
{
        EngineRun *r = launched_run(userdata, connector);

        if (r && r->run->state != RUN_QUEUED)
                run_worker_ended(r, how);
}

static void on_task_ended(TaskKind kind, const char *name, const TaskExit *how, void *userdata)
{
        if (kind == TASK_RECONNECT)
                reconnect_program_ended(userdata, name, how);
        else
                deletion_ended(userdata, name, how);
}

const LauncherCallbacks lifecycle_launcher_callbacks = {
        .started = on_worker_started,
        .start_failed = on_worker_start_failed,
        .stopping = on_worker_stopping,
        .ended = on_worker_ended,
        .task_ended = on_task_ended,
};
