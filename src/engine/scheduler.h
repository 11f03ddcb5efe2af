/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* When connectors are due. Each has a time of its own; the event loop has one timer, for the first of them, and none
 * while nothing is due. What happens then is decided in lifecycle.c. */

#include "engine/engine-internal.h"

/* Connectors that are served before anything else has its turn; of more that are due, the rest waits in line. */
#define SERVED_AT_ONCE_MAX 1024U

typedef enum ScheduleReason {
        SCHEDULE_STARTING,    /* nobody watched the clock until now: times may have been missed */
        SCHEDULE_RESUMED,     /* times may have been missed while the clock was set, or while the history could not be
                               * written; one that had come, and waits for its random delay, was not */
        SCHEDULE_RELOADED,    /* [Schedule] is a new one */
        SCHEDULE_RUN_CHANGED, /* a run began or ended, the connector was made active or not */
} ScheduleReason;

/* Compute when the connector is due and arm its timer. The caller publishes the connector. */
void scheduler_update(ConnectorEntry *c, ScheduleReason reason);

/* The schedule was acted on: by a run or a skip. The caller saves the record and updates the schedule. */
void scheduler_acted(ConnectorEntry *c);

/* Times that were missed while nobody wanted them are not made up for. The caller saves the record. */
void scheduler_pass_over(ConnectorEntry *c);

/* Whether both have the same [Schedule]. */
bool scheduler_same_schedule(const ConnectorDefinition *a, const ConnectorDefinition *b);

/* The connector goes: it is not due any more. */
void scheduler_forget(ConnectorEntry *c);

/* The clock was set or the time zone changed. */
void scheduler_clock_changed(Engine *engine);
