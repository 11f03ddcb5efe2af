/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "engine/scheduler.h"

#include <stdlib.h>

#include "engine/connector-table.h"
#include "engine/lifecycle.h"
#include "engine/publication.h"
#include "engine/run-end.h"
#include "engine/run-log.h"

#define LONG_AGO      1 /* CLOCK_REALTIME, and not "never" */
#define MOMENT_USEC   (200 * USEC_PER_MSEC)
#define ACCURACY_USEC 1 /* people see the time of a run, and each connector wakes us once a run */
/* Before what is published: of a thousand that are due at once none is late because the others are told of first. */
#define DUE_PRIORITY (SD_EVENT_PRIORITY_NORMAL - 2)

/* A time has come already and waits for its random delay: it is not computed anew, which would pass it over or delay
 * it once more. One of Every= begins anew with each run. A delay that ended while nothing could begin is missed. */
static bool waits_for_delay(const ConnectorEntry *c, ScheduleReason reason, usec_t now)
{
        if (reason != SCHEDULE_RUN_CHANGED && reason != SCHEDULE_RESUMED)
                return false;
        if (reason == SCHEDULE_RESUMED && !c->schedule.missed &&
            usec_add(c->schedule.due_usec, SCHEDULE_LATE_MAX_USEC) <= now)
                return false;
        return c->schedule.elapse_usec <= now &&
               (c->schedule.missed || c->definition->n_calendars > 0 || (reason == SCHEDULE_RESUMED && !c->run));
}

/* Whether of what was acted on, and lies ahead, no calendar time comes once more but the last: that is passed over. */
static bool is_next(const ConnectorEntry *c, usec_t now)
{
        const SchedulePast never = { .first_seen_usec = now };
        usec_t acted = c->record.last_elapse_usec;
        ScheduleNext next;

        if (c->definition->n_calendars == 0 || schedule_next(c->definition, &never, now, false, 0, &next) < 0)
                return false;
        return next.elapse_usec > acted ||
               (schedule_next(c->definition, &never, next.elapse_usec, false, 0, &next) >= 0 &&
                next.elapse_usec > acted);
}

/* The clock was set back behind what was acted on: from now on it is watched anew, so that what is missed later is
 * seen to be missed. Where nobody saw it, since the daemon was away, nobody knows what was missed either: one run
 * makes up for what there may have been. */
static void forget_future(ConnectorEntry *c, ScheduleReason reason, usec_t now)
{
        usec_t *acted = &c->record.last_elapse_usec;
        bool every = c->definition->n_calendars == 0;

        if ((reason != SCHEDULE_STARTING && reason != SCHEDULE_RESUMED) || (*acted > now && is_next(c, now)))
                return;
        if (*acted > now)
                *acted = reason == SCHEDULE_STARTING && !every ? LONG_AGO : now;
        else if (*acted == 0 && (c->record.first_seen_usec > now || (every && c->record.last_finished_usec > now)))
                *acted = now; /* never yet: first seen, or run by hand, while the clock was ahead */
        else
                return;
        c->unsaved = true;
}

/* What was planned before the daemon ended, with the delay that was drawn then: a time that has come meanwhile waits
 * on, and a run that made up for missed ones, and should have begun by now, is not delayed once more. Return: whether
 * all is said. */
static bool resume_plan(ConnectorEntry *c, usec_t now)
{
        const ScheduleNext *plan = &c->record.planned;
        bool over = plan->due_usec <= now;

        if (plan->elapse_usec == 0 || plan->elapse_usec > now || plan->due_usec < plan->elapse_usec ||
            plan->due_usec - plan->elapse_usec > c->definition->randomized_delay_usec)
                return false;
        if (c->run && c->definition->n_calendars == 0)
                return false; /* Every= begins anew behind it */
        if (over && !(plan->missed && c->definition->persistent))
                return false; /* missed as any other, or passed over */
        c->schedule = *plan;
        if (over)
                c->schedule.due_usec = now;
        return true;
}

/* A time that lies ahead keeps the delay that was drawn for it. */
static void keep_delay(ConnectorEntry *c)
{
        const ScheduleNext *plan = &c->record.planned;

        if (plan->elapse_usec == c->schedule.elapse_usec && !c->schedule.missed &&
            plan->due_usec >= plan->elapse_usec &&
            plan->due_usec - plan->elapse_usec < c->definition->randomized_delay_usec)
                c->schedule.due_usec = plan->due_usec;
}

/* What is to be remembered over the daemon's end: without a random delay all can be computed anew. */
static void remember_plan(ConnectorEntry *c)
{
        ScheduleNext *planned = &c->record.planned;
        ScheduleNext now = {};

        if (c->definition && c->definition->randomized_delay_usec > 0 && c->schedule.elapse_usec < USEC_INFINITY)
                now = c->schedule;
        if (now.elapse_usec == planned->elapse_usec && now.due_usec == planned->due_usec &&
            now.missed == planned->missed)
                return;
        *planned = now;
        c->unsaved = true;
}

/* Drawn once for each time, and where there is a delay at all. */
static double fraction_of_delay(ConnectorEntry *c)
{
        if (c->random_fraction < 0 && c->definition->randomized_delay_usec > 0)
                c->random_fraction = engine_random();
        return MAX(c->random_fraction, 0.0);
}

static void compute(ConnectorEntry *c, ScheduleReason reason, usec_t now)
{
        SchedulePast past = { .first_seen_usec = c->record.first_seen_usec, .running = c->run != NULL };
        int r;

        forget_future(c, reason, now);
        past.last_elapse_usec = c->record.last_elapse_usec;
        past.last_finished_usec = c->record.last_finished_usec;

        if (waits_for_delay(c, reason, now) || (reason == SCHEDULE_STARTING && resume_plan(c, now)))
                return;
        r = schedule_next(c->definition, &past, now, reason == SCHEDULE_STARTING || reason == SCHEDULE_RESUMED,
                          fraction_of_delay(c), &c->schedule);
        if (r < 0)
                engine_break(c->published.engine, r);
        else if (reason == SCHEDULE_STARTING)
                keep_delay(c);
}

/* ---- The timer of all */

static int on_due(sd_event_source *source, uint64_t usec, void *userdata);

static void set_timer(Engine *engine, int64_t priority)
{
        const HeapNode *first = engine->due.first;
        int r;

        r = engine_set_timer(engine, &engine->due_timer, CLOCK_REALTIME, first ? first->key : USEC_INFINITY,
                             ACCURACY_USEC, on_due, engine);
        if (r >= 0 && engine->due_timer)
                r = sd_event_source_set_priority(engine->due_timer, priority);
        if (r < 0)
                engine_break(engine, r);
}

static void arm(ConnectorEntry *c, usec_t usec)
{
        Engine *engine = c->published.engine;

        if (usec < USEC_INFINITY)
                heap_put(&engine->due, &c->due, usec);
        else
                heap_remove(&engine->due, &c->due);
        if (!engine->serving_due)
                set_timer(engine, DUE_PRIORITY);
}

void scheduler_forget(ConnectorEntry *c)
{
        heap_remove(&c->published.engine->due, &c->due);
}

/* The disk is to catch up first, or it must be seen whether the run that was active when the daemon ended still is. */
static void wait_a_moment(ConnectorEntry *c, usec_t now)
{
        arm(c, usec_add(now, MOMENT_USEC));
}

static void serve(ConnectorEntry *c, usec_t now)
{
        Engine *engine = c->published.engine;

        if (engine_is_congested(engine) || (c->run && c->run->adopting)) {
                wait_a_moment(c, now);
                return;
        }
        if (now < c->next_elapse_usec) {
                scheduler_update(c, SCHEDULE_RUN_CHANGED); /* the clock was set back */
                connector_publish(c, 0);
                return;
        }
        if (c->schedule.due_usec <= now)
                lifecycle_schedule_due(c, c->schedule.missed);
        else if (c->record.retry_at_usec > 0 && !c->run)
                lifecycle_retry_due(c);
}

/* What has become of the clock since it was looked at last. */
typedef struct ClockChange {
        int64_t step_usec; /* how far it stands from where it would stand had nobody set it */
        int64_t slept_usec; /* so much of the time the machine slept, but for what lies between two looks */
} ClockChange;

static ClockChange clock_change(const Engine *engine)
{
        usec_t boot = engine_now(engine, CLOCK_BOOTTIME);

        return (ClockChange) {
                .step_usec = (int64_t) (engine_now(engine, CLOCK_REALTIME) - boot) - engine->clock_offset_usec,
                .slept_usec = (int64_t) (boot - engine_now(engine, CLOCK_MONOTONIC)) - engine->slept_usec,
        };
}

/* Whoever tells of the clock may come later than the timer: what it has jumped over is not what is due now. */
static bool clock_has_jumped(const Engine *engine)
{
        ClockChange change = clock_change(engine);

        return (usec_t) llabs(change.step_usec) >= SCHEDULE_LATE_MAX_USEC ||
               change.slept_usec >= (int64_t) SCHEDULE_LATE_MAX_USEC;
}

static int on_due(sd_event_source *source, uint64_t usec, void *userdata)
{
        Engine *engine = userdata;
        usec_t now = engine_now(engine, CLOCK_REALTIME);
        HeapNode *first;
        unsigned n = 0;

        if (clock_has_jumped(engine)) {
                engine_clock_changed(engine);
                return 0; /* the timer is set anew */
        }
        engine->serving_due = true;
        /* The first in any case: if its time has not come, the clock was set back. */
        while (engine->broken >= 0 && n < SERVED_AT_ONCE_MAX && (first = engine->due.first) &&
               (n == 0 || first->key <= now)) {
                heap_remove(&engine->due, first);
                serve(container_of(first, ConnectorEntry, due), now);
                n++;
        }
        engine->serving_due = false;
        connector_save_waiting(engine);
        if (engine->broken >= 0)
                set_timer(engine, n < SERVED_AT_ONCE_MAX ? DUE_PRIORITY : SD_EVENT_PRIORITY_NORMAL);
        return 0;
}

/* ---- When each is due */

void scheduler_update(ConnectorEntry *c, ScheduleReason reason)
{
        usec_t now = engine_now(c->published.engine, CLOCK_REALTIME);

        c->next_elapse_usec = USEC_INFINITY;
        if (connector_may_run(c)) {
                compute(c, reason, now);
                c->next_elapse_usec = c->schedule.due_usec;
                if (c->record.retry_at_usec > 0 && !c->run)
                        c->next_elapse_usec = MIN(c->next_elapse_usec, c->record.retry_at_usec);
        } else
                c->schedule = (ScheduleNext){ .elapse_usec = USEC_INFINITY, .due_usec = USEC_INFINITY };
        remember_plan(c);
        arm(c, c->next_elapse_usec);
}

void scheduler_acted(ConnectorEntry *c)
{
        usec_t now = engine_now(c->published.engine, CLOCK_REALTIME);

        c->record.last_elapse_usec = MAX(c->schedule.elapse_usec == USEC_INFINITY ? 0 : c->schedule.elapse_usec, now);
        c->schedule = (ScheduleNext){ .elapse_usec = USEC_INFINITY, .due_usec = USEC_INFINITY };
        c->random_fraction = -1;
}

void scheduler_pass_over(ConnectorEntry *c)
{
        c->record.last_elapse_usec = MAX(c->record.last_elapse_usec, engine_now(c->published.engine, CLOCK_REALTIME));
}

bool scheduler_same_schedule(const ConnectorDefinition *a, const ConnectorDefinition *b)
{
        if (a->n_calendars != b->n_calendars || a->every_usec != b->every_usec ||
            a->randomized_delay_usec != b->randomized_delay_usec)
                return false;
        for (size_t i = 0; i < a->n_calendars; i++)
                if (!streq_null(a->calendars[i].text, b->calendars[i].text))
                        return false;
        return true;
}

static usec_t shifted(usec_t usec, int64_t step)
{
        if (usec == USEC_INFINITY)
                return usec;
        return step < 0 && usec <= (usec_t) -step ? 1 : usec + (usec_t) step;
}

/* By our own backoff a retry waits for a span, not for a time: it is not to lie years ahead because the clock was
 * wrong when it was reckoned. What the provider says is a time, and stays, but no further ahead than could be said
 * now. */
static bool shift_retry(ConnectorEntry *c, int64_t step)
{
        usec_t now = engine_now(c->published.engine, CLOCK_REALTIME), at = c->record.retry_at_usec;

        if (at == 0 || (usec_t) llabs(step) < USEC_PER_SEC)
                return false;
        at = c->record.retry_is_absolute ? MIN(at, usec_add(now, RETRY_AHEAD_MAX_USEC)) : shifted(at, step);
        if (at == c->record.retry_at_usec)
                return false;
        c->record.retry_at_usec = at;
        return true;
}

/* What had come by the old clock, and waits for its random delay, waits on: for a span, where no calendar says when it
 * was due. What has come by the new one just now is late. */
static void take_over_delayed(ConnectorEntry *c, const ClockChange *change)
{
        usec_t now = engine_now(c->published.engine, CLOCK_REALTIME), elapse = c->schedule.elapse_usec;
        int64_t step = change->step_usec;

        if (elapse > usec_sub(shifted(now, -step), (usec_t) MAX(change->slept_usec, (int64_t) 0))) {
                if (elapse > now || now - elapse >= SCHEDULE_LATE_MAX_USEC)
                        c->schedule = (ScheduleNext){ .elapse_usec = USEC_INFINITY, .due_usec = USEC_INFINITY };
        } else if (c->schedule.missed || c->definition->n_calendars == 0) {
                c->schedule.elapse_usec = shifted(c->schedule.elapse_usec, step);
                c->schedule.due_usec = shifted(c->schedule.due_usec, step);
        }
}

void scheduler_clock_changed(Engine *engine)
{
        ClockChange change = clock_change(engine);
        ConnectorEntry *c, *next;

        engine->clock_offset_usec += change.step_usec;
        engine->slept_usec += change.slept_usec;
        clock_log(change.step_usec, change.slept_usec);
        HASH_ITER(hh, engine->connectors, c, next) {
                bool retry_shifted = shift_retry(c, change.step_usec);
                usec_t before = c->next_elapse_usec;

                if (!c->definition)
                        continue;
                take_over_delayed(c, &change);
                scheduler_update(c, SCHEDULE_RESUMED);
                if (retry_shifted)
                        connector_save(c, 0);
                else if (c->next_elapse_usec != before)
                        connector_publish(c, 0);
        }
}
