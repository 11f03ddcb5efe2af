/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Points in time as people type them, after systemd.time(7), section "PARSING TIMESTAMPS". */

#include "base/macros.h"

/**
 * time_parse() - read a point in time
 * @text:     "2026-11-21T08:00:00Z" (RFC 3339), "2026-11-21 08:00[:00] [UTC]", "2026-11-21", "08:00", "now", "today",
 *            "yesterday", "tomorrow", "@1795564800", "2h ago", "-2h" and "2h" (both before now), "+2h" and "2h left";
 *            without a zone in the process's own
 * @now:      microseconds of CLOCK_REALTIME
 * @ret_usec: set on success only
 *
 * Return: 0; -EINVAL (none of these, or no such day); -ERANGE (before 1970, or too late).
 */
int time_parse(const char *text, usec_t now, usec_t *ret_usec) _must_check_;
