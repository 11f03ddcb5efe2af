/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* When a connector is due next, and when a failed run is tried again: arithmetic only. */

#include "model/connector.h"

/* Calendar times that follow closer on the one that was acted on are passed over, so that a connector whose calendar
 * event has fractions of a second cannot keep the machine busy. */
#define SCHEDULE_DISTANCE_USEC (500 * USEC_PER_MSEC)

/* A time that a step of the clock passed over, or that came while the machine slept, is late if it is no further back
 * than this, and not missed: such steps are the daily bread of NTP, and that of a leap second. */
#define SCHEDULE_LATE_MAX_USEC USEC_PER_MINUTE

/* What the schedule needs to know of a connector's past; CLOCK_REALTIME, 0 is "never". */
typedef struct SchedulePast {
        usec_t first_seen_usec;    /* when the connector was first loaded */
        usec_t last_elapse_usec; /* when the schedule was last acted on, by a run or a skip: ScheduleNext.elapse_usec,
                                  * or the time of acting where that is later (random delay, a busy loop, the machine
                                  * asleep) */
        usec_t last_finished_usec; /* end of the last run, for Every= */
        bool running;              /* a run is queued or active: Every= waits for its end */
} SchedulePast;

typedef struct ScheduleNext {
        usec_t elapse_usec; /* the scheduled time; USEC_INFINITY: never */
        usec_t due_usec;    /* with the random delay added; when to wake up */
        bool missed;        /* times were missed, and this is the run that makes up for them; elapse is @now */
} ScheduleNext;

/**
 * schedule_next() - the next time a connector is due
 * @now_usec:        CLOCK_REALTIME
 * @starting:        nobody watched the clock until now: the daemon has just started, or the clock was set. Times that
 *                   passed since the last one acted on (since first sight where there was none) were missed: with
 *                   Persistent=yes one run makes up for all of them, due at once plus the random delay; with
 *                   Persistent=no they are passed over. Not for a definition that a running daemon reads anew: its
 *                   times did not exist before.
 * @random_fraction: [0, 1), part of RandomizedDelaySec= to add
 *
 * Every= counts from the end of the last run (or what the schedule was last acted on, if later), from first sight
 * where there was none; what lies ahead, since the clock was set back, does not count. elapse_usec is then past while
 * the random delay is waited for. Of OnCalendar= and Every= the earlier counts. After a clock was set back, the
 * calendar time that was last acted on is not repeated; others that lie ahead again are.
 *
 * To be asked at start and after each change of its arguments: when the schedule was acted on, when a run ended, when
 * the definition or the clock changed. A connector with LOAD_BAD_SETTING is never due; whether it is active is not
 * asked.
 *
 * Return: 0; -ENOMEM.
 */
int schedule_next(const ConnectorDefinition *definition, const SchedulePast *past, usec_t now_usec, bool starting,
                  double random_fraction, ScheduleNext *ret) _must_check_;

/**
 * retry_delay() - how long to wait before attempt @attempt + 1: full jitter over an exponential ceiling
 * @attempt:         the attempt that failed, from 1
 * @random_fraction: [0, 1)
 *
 * Return: random_fraction * min(retry_max, retry * 2^(attempt-1)), in microseconds.
 */
usec_t retry_delay(const ConnectorDefinition *definition, unsigned attempt, double random_fraction) _pure_;

/** retry_delay_max() - the ceiling of retry_delay() */
usec_t retry_delay_max(const ConnectorDefinition *definition, unsigned attempt) _pure_;
