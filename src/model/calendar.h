/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Calendar events of systemd.time(7): "Mon..Fri *-*-* 09:00 Europe/Berlin", "*-02~03", "weekly", "*:0/15".
 * No clock is read and the process's TZ is left alone. An event without a zone is in the local one; after that, or the
 * zone database, has changed, zone_reload_all() makes all events follow. */

#include "base/macros.h"

#define CALENDAR_RANGES_MAX        241U /* between commas in one field, as in systemd */
#define CALENDAR_DAYS_FROM_END_MAX 28   /* the last day that each month has, counted back from its end by "~" */

typedef struct CalendarSpec CalendarSpec;

/**
 * calendar_spec_parse() - read a calendar event
 * @text:     the whole grammar of systemd.time(7), section "CALENDAR EVENTS"; years 1970…2199
 * @ret_spec: set on success only; caller frees with calendar_spec_free()
 *
 * Context: blocks for the disk where the zone is not yet in use.
 * Return: 0; -EINVAL (not a calendar event); -ERANGE (a field out of its range); -E2BIG (more than
 * CALENDAR_RANGES_MAX); -ENOENT (no such time zone); -ENOMEM; what else zone_open() returns.
 */
int calendar_spec_parse(const char *text, CalendarSpec **ret_spec) _must_check_;

CalendarSpec *calendar_spec_free(CalendarSpec *spec);
DEFINE_TRIVIAL_CLEANUP_FUNC(CalendarSpec *, calendar_spec_free);

/**
 * calendar_spec_format() - the normal form, as `systemd-analyze calendar` prints it
 * @ret_text: set on success only; caller frees; calendar_spec_parse() of it gives an equal spec
 *
 * Return: 0; -ENOMEM.
 */
int calendar_spec_format(const CalendarSpec *spec, char **ret_text) _must_check_;

/**
 * calendar_spec_next() - the first elapse after a point in time
 * @after_usec: CLOCK_REALTIME; the answer is strictly later
 * @ret_usec:   set on success only
 *
 * A local time that a change of clocks leaves out does not elapse that day; one that is shown twice elapses once.
 *
 * Return: 0; -ENOENT (never elapses again: a year in the past, or no such day until the end of 2199).
 */
int calendar_spec_next(const CalendarSpec *spec, usec_t after_usec, usec_t *ret_usec) _must_check_;
