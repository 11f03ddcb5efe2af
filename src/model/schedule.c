/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/schedule.h"

#include "base/time-util.h"

/* The earliest time after @after_usec that any calendar event names; USEC_INFINITY where there is none. */
static int next_calendar(const ConnectorDefinition *definition, usec_t after_usec, usec_t *ret)
{
        usec_t earliest = USEC_INFINITY;

        for (size_t i = 0; i < definition->n_calendars; i++) {
                usec_t usec;
                int r = calendar_spec_next(definition->calendars[i].spec, after_usec, &usec);

                if (r == -ENOENT)
                        continue;
                if (r < 0)
                        return r;
                earliest = MIN(earliest, usec);
        }
        *ret = earliest;
        return 0;
}

/* The next calendar time that is not past, and that was not acted on already before the clock was set back. */
static int next_calendar_ahead(const ConnectorDefinition *definition, usec_t acted_usec, usec_t now_usec, usec_t *ret)
{
        usec_t elapse, second, after = now_usec;
        int r;

        if (acted_usec > 0 && acted_usec <= now_usec)
                after = MAX(after, usec_add(acted_usec, SCHEDULE_DISTANCE_USEC));
        r = next_calendar(definition, after, &elapse);
        if (r < 0)
                return r;
        if (elapse <= acted_usec) {
                r = next_calendar(definition, elapse, &second);
                if (r < 0)
                        return r;
                /* No other time lies between it and when we acted, so it was this one that we acted on. */
                if (second > acted_usec)
                        elapse = second;
        }
        *ret = elapse;
        return 0;
}

/* The part of a span that @fraction says, less than all of it. */
static usec_t part_of(usec_t span, double fraction)
{
        double part = fraction * (double) span;

        if (!(part > 0))
                return 0;
        return part >= (double) span ? span : (usec_t) part;
}

/* When Every= is due, which may be past; USEC_INFINITY while a run is active. */
static usec_t next_every(const ConnectorDefinition *definition, const SchedulePast *past, usec_t now_usec)
{
        const usec_t times[] = { past->last_finished_usec, past->last_elapse_usec };
        bool ran = false;
        usec_t from = 0;

        if (definition->every_usec == 0 || past->running)
                return USEC_INFINITY;
        /* What lies ahead is of a clock that was set back: what else is known counts. */
        for (size_t i = 0; i < ELEMENTSOF(times); i++) {
                ran = ran || times[i] > 0;
                if (times[i] <= now_usec)
                        from = MAX(from, times[i]);
        }
        if (from == 0)
                from = !ran && past->first_seen_usec > 0 ? MIN(past->first_seen_usec, now_usec) : now_usec;
        return usec_add(from, definition->every_usec);
}

int schedule_next(const ConnectorDefinition *definition, const SchedulePast *past, usec_t now_usec, bool starting,
                  double random_fraction, ScheduleNext *ret)
{
        usec_t since = past->last_elapse_usec > 0 ? past->last_elapse_usec : past->first_seen_usec;
        usec_t calendar = USEC_INFINITY, every;
        bool catch_up = starting && definition->persistent, missed = false;
        int r;

        *ret = (ScheduleNext) { .elapse_usec = USEC_INFINITY, .due_usec = USEC_INFINITY };
        if (definition->load_state != LOAD_LOADED)
                return 0;

        if (catch_up && since > 0 && since < now_usec && definition->n_calendars > 0) {
                r = next_calendar(definition, since, &calendar);
                if (r < 0)
                        return r;
                missed = calendar <= now_usec;
        }
        if (!missed && definition->n_calendars > 0) {
                r = next_calendar_ahead(definition, past->last_elapse_usec, now_usec, &calendar);
                if (r < 0)
                        return r;
        }
        every = next_every(definition, past, now_usec);
        if (every <= now_usec) {
                missed = missed || catch_up;
                if (starting && !definition->persistent)
                        every = usec_add(now_usec, definition->every_usec);
        }

        /* One run makes up for all that was missed: it counts as that of the last time before now. */
        ret->missed = missed;
        ret->elapse_usec = missed ? now_usec : MIN(calendar, every);
        if (ret->elapse_usec < USEC_INFINITY)
                ret->due_usec = usec_add(ret->elapse_usec,
                                         part_of(definition->randomized_delay_usec, random_fraction));
        return 0;
}

usec_t retry_delay_max(const ConnectorDefinition *definition, unsigned attempt)
{
        usec_t ceiling = MIN(definition->retry_usec, definition->retry_max_usec);

        for (unsigned i = 1; i < attempt && ceiling > 0 && ceiling < definition->retry_max_usec; i++)
                ceiling = MIN(usec_add(ceiling, ceiling), definition->retry_max_usec);
        return ceiling;
}

usec_t retry_delay(const ConnectorDefinition *definition, unsigned attempt, double random_fraction)
{
        return part_of(retry_delay_max(definition, attempt), random_fraction);
}
