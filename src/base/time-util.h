/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Points in time and time spans as text. Calendar events are not here: see model/calendar. */

#include "base/macros.h"

#define TIMESPAN_TEXT_MAX  128U
#define TIMESTAMP_TEXT_MAX 40U

/**
 * now_usec() - what a clock shows
 * @clock: CLOCK_REALTIME, CLOCK_MONOTONIC or CLOCK_BOOTTIME
 *
 * Return: microseconds; never fails.
 */
usec_t now_usec(clockid_t clock);

/**
 * timespan_parse() - read a time span in the syntax of systemd.time(7), section "PARSING TIME SPANS"
 * @text:         e.g. "1h 30min", "50", "2 years 5.25 s", "infinity"; units as systemd spells them (usec, us, µs, μs,
 *                msec, ms, s, m, min, h, d, w, M, y and their long forms)
 * @default_unit: microseconds that a number without unit stands for, e.g. USEC_PER_SEC
 * @ret_usec:     set on success only; USEC_INFINITY for "infinity"
 *
 * Return: 0; -EINVAL (not a time span, or negative); -ERANGE (too large for usec_t).
 */
int timespan_parse(const char *text, usec_t default_unit, usec_t *ret_usec) _must_check_;

/**
 * timespan_format() - write a time span as systemd does ("1h 30min", "infinity", "0")
 * @usec:     the span
 * @accuracy: microseconds; finer parts are left out (0 and 1 mean exact), but never the whole span
 * @buf:      TIMESPAN_TEXT_MAX bytes are always enough; owned by the caller
 *
 * Return: @buf. What it writes, timespan_parse() reads back as the same value when accuracy is 1.
 */
char *timespan_format(char *buf, size_t size, usec_t usec, usec_t accuracy);

/**
 * timestamp_format_iso() - RFC 3339 in UTC with Z; six digits of fraction, only where it is not zero (C16)
 * @buf: TIMESTAMP_TEXT_MAX bytes are enough
 *
 * Return: @buf, or NULL where @usec has no such form (USEC_INFINITY, or after year 9999).
 */
char *timestamp_format_iso(char *buf, size_t size, usec_t usec);

/**
 * timestamp_parse_iso() - read RFC 3339 ("2026-05-30T20:00:00.5Z", "+02:00" offsets, lower-case t/z, space for T)
 * @ret_usec: set on success only; digits past the sixth of the fraction are cut
 *
 * Return: 0; -EINVAL (not a timestamp, no offset, no such day); -ERANGE (before 1970).
 */
int timestamp_parse_iso(const char *text, usec_t *ret_usec) _must_check_;

/**
 * timestamp_format_local() - "Sat 2026-11-21 23:06:15 UTC", as systemctl prints times, in the process's time zone
 * @buf: TIMESTAMP_TEXT_MAX bytes are enough
 *
 * Return: @buf, or NULL where @usec has no such form.
 */
char *timestamp_format_local(char *buf, size_t size, usec_t usec);

/**
 * timespan_relative() - distance of @usec from @now in at most two units: "3min ago", "in 2h 5min"; "now" for less
 * than a second, "never" for USEC_INFINITY
 * @buf: TIMESPAN_TEXT_MAX bytes are enough
 *
 * Return: @buf.
 */
char *timespan_relative(char *buf, size_t size, usec_t usec, usec_t now);

/* Sums that stay at USEC_INFINITY and do not wrap. */
static inline usec_t usec_add(usec_t a, usec_t b)
{
        return a > USEC_INFINITY - b ? USEC_INFINITY : a + b;
}

static inline usec_t usec_sub(usec_t a, usec_t b)
{
        return a == USEC_INFINITY ? a : a > b ? a - b : 0;
}
