/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "http/quiet-log.h"

bool quiet_log_may(QuietLog *log, unsigned what, usec_t now_usec, unsigned *ret_n_unsaid)
{
        if (now_usec >= log->until_usec) {
                log->until_usec = usec_add(now_usec, QUIET_LOG_USEC);
                log->said = 0;
        }
        if (log->said & 1U << what) {
                if (log->n_unsaid < UINT32_MAX)
                        log->n_unsaid++;
                return false;
        }
        log->said |= 1U << what;
        *ret_n_unsaid = log->n_unsaid;
        log->n_unsaid = 0;
        return true;
}
