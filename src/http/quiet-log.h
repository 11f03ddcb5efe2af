/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a client causes by the thousand is logged once a minute. */

#include "base/macros.h"
#include "base/time-util.h"

#define QUIET_LOG_USEC USEC_PER_MINUTE

typedef struct QuietLog {
        usec_t until_usec; /* CLOCK_MONOTONIC: the end of its minute */
        unsigned said;     /* in it: a mask of what was */
        unsigned n_unsaid; /* since the last line */
} QuietLog;

/**
 * quiet_log_may() - whether something is to be logged
 * @what:         0..31: each is logged once in a minute
 * @ret_n_unsaid: set where it is to be: how much was not, since something was
 */
bool quiet_log_may(QuietLog *log, unsigned what, usec_t now_usec, unsigned *ret_n_unsaid);
