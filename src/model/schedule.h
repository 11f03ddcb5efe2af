/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* When a connector is due next, and when a failed run is tried again: arithmetic only. */

#include "model/connector.h"

/* What the schedule needs to know of a connector's past; CLOCK_REALTIME, 0 is "never". */
typedef struct SchedulePast {
        usec_t first_seen_usec;    /* when the connector was first loaded */
        usec_t last_elapse_usec;   /* the scheduled time (without random delay) that was last acted on, run or skipped */
        usec_t last_finished_usec; /* end of the last run, for Every= */
} SchedulePast;

typedef struct ScheduleNext {
        usec_t elapse_usec; /* the scheduled time: stored as last_elapse_usec once acted on; USEC_INFINITY: never */
        usec_t due_usec;    /* with the random delay added; when to wake up */
        bool missed;        /* elapse lies at or before @now and was missed: a catch-up run */
} ScheduleNext;

/**
 * schedule_next() - the next time a connector is due
 * @now_usec:        CLOCK_REALTIME
 * @starting:        the daemon has just started (or the connector was just loaded): times that passed meanwhile count as missed with
 *                   Persistent=yes (one catch-up, due at once plus the random delay), and are passed over with Persistent=no
 * @random_fraction: [0, 1), part of RandomizedDelaySec= to add
 *
 * Every= counts from the end of the last run, from first sight where there was none. Of OnCalendar= and Every= the earlier counts.
 * A clock set back does not repeat a time that was acted on unless the schedule says so again after @now.
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
