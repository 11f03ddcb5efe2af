/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Calendar events of systemd.time(7): "Mon..Fri *-*-* 09:00 Europe/Berlin", "*-02~03", "weekly", "*:0/15".
 * Pure: no clock is read and the process's TZ is left alone; local time is asked of the C library's zone database. */

#include "base/macros.h"

typedef struct CalendarSpec CalendarSpec;

/**
 * calendar_spec_parse() - read a calendar event
 * @text:     the whole grammar of systemd.time(7), section "CALENDAR EVENTS"
 * @ret_spec: set on success only; caller frees with calendar_spec_free()
 *
 * Return: 0; -EINVAL (not a calendar event); -ERANGE (a field out of its range); -ENOENT (no such time zone); -ENOMEM.
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
 * Return: 0; -ENOENT (never elapses again, e.g. a year in the past); -ENOMEM.
 */
int calendar_spec_next(const CalendarSpec *spec, usec_t after_usec, usec_t *ret_usec) _must_check_;
