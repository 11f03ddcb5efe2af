/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "engine/retention.h"

#include <limits.h>
#include <stdlib.h>

#include "base/log.h"
#include "engine/publication.h"
#include "engine/run-log.h"

/* How long after all was deleted to look again: while there are events, which live for hours, and while there are only
 * runs. */
#define EVENTS_INTERVAL_USEC    (15 * USEC_PER_MINUTE)
#define RUNS_INTERVAL_USEC      USEC_PER_DAY
#define RETENTION_ACCURACY_USEC (5 * USEC_PER_MINUTE)

/* Between two entries in the journal about messages that were not sent. */
#define LOST_INTERVAL_USEC USEC_PER_HOUR

static int on_idle(sd_event_source *source, void *userdata);

/* One step when nothing else is to be done. */
static void wait_for_idle(Engine *engine)
{
        int r;

        if (engine->retention_source)
                r = sd_event_source_set_enabled(engine->retention_source, SD_EVENT_ONESHOT);
        else {
                r = sd_event_add_defer(engine->event, &engine->retention_source, on_idle, engine);
                if (r >= 0)
                        r = sd_event_source_set_priority(engine->retention_source, SD_EVENT_PRIORITY_IDLE);
        }
        if (r < 0)
                log_debug_errno(r, "Could not go on deleting what is old: %m");
}

static int on_retention_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        wait_for_idle(userdata);
        return 0;
}

static void wait_for_age(Engine *engine)
{
        uint64_t first;
        usec_t interval = EVENTS_INTERVAL_USEC;
        int r;

        if (store_first_seq(engine->store, &first) >= 0 && first > store_last_seq(engine->store))
                interval = RUNS_INTERVAL_USEC;
        r = engine_set_timer(engine, &engine->retention_timer, CLOCK_MONOTONIC,
                             usec_add(engine_now(engine, CLOCK_MONOTONIC), interval), RETENTION_ACCURACY_USEC,
                             on_retention_timer, engine);
        if (r < 0)
                log_debug_errno(r, "Could not arm the timer for deleting what is old: %m");
}

/* What nobody will be sent any more is not deleted in silence; nor is each told by itself. */
static void tell_lost(Engine *engine)
{
        usec_t now = engine_now(engine, CLOCK_BOOTTIME);
        Statistics *s = &engine->statistics;
        StoreStatistics statistics;

        store_statistics(engine->store, &statistics);
        s->messages_lost = statistics.messages_lost;
        if (s->messages_lost == s->messages_lost_told ||
            (s->lost_told_usec > 0 && now < usec_add(s->lost_told_usec, LOST_INTERVAL_USEC)))
                return;
        webhook_log_lost(s->messages_lost - s->messages_lost_told);
        s->messages_lost_told = s->messages_lost;
        s->lost_told_usec = now;
}

static void on_step_committed(Engine *engine, Publication *p, int error)
{
        free(p);
        if (error == -ESHUTDOWN)
                return;
        if (error >= 0 && store_retain_more(engine->store)) {
                wait_for_idle(engine);
                return;
        }
        tell_lost(engine);
        wait_for_age(engine);
}

/* The settings say "no limit" by the largest number, the store by 0. */
static usec_t age_limit(usec_t usec)
{
        return usec == USEC_INFINITY ? 0 : usec;
}

static unsigned number_limit(unsigned n)
{
        return n == UINT_MAX ? 0 : n;
}

static int on_idle(sd_event_source *source, void *userdata)
{
        Engine *engine = userdata;
        const Settings *s = engine->settings;
        const RetentionPolicy policy = {
                .events_max_age_usec = age_limit(s->events_max_age_usec),
                .events_max_per_user = number_limit(s->events_max_per_user),
                .runs_max_age_usec = age_limit(s->runs_max_age_usec),
                .runs_max_per_connector = number_limit(s->runs_max_per_connector),
                .failed_runs_max_age_usec = age_limit(s->failed_runs_max_age_usec),
                .failed_runs_max_per_connector = number_limit(s->failed_runs_max_per_connector),
                .skipped_runs_max_age_usec = age_limit(s->skipped_runs_max_age_usec),
                .skipped_runs_max_per_connector = number_limit(s->skipped_runs_max_per_connector),
                .webhook_messages_max_age_usec = age_limit(s->webhook_messages_max_age_usec),
                .webhook_messages_max = number_limit(s->webhook_messages_max),
        };
        Publication *p;

        if (engine->broken < 0) {
                wait_for_age(engine);
                return 0;
        }
        p = calloc(1, sizeof(Publication));
        if (!p || store_retain(engine->store, &policy, engine_now(engine, CLOCK_REALTIME)) < 0) {
                free(p);
                wait_for_age(engine);
                return 0;
        }
        publication_queue(engine, p, on_step_committed);
        return 0;
}

void retention_start(Engine *engine)
{
        wait_for_idle(engine);
}
