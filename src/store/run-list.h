/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How lists of runs are read: each goes down one index, chosen by the filter. For run-list.c and its test. */

#include "base/macros.h"

typedef enum RunLead {
        RUN_LEAD_CONNECTOR,
        RUN_LEAD_USER,
        RUN_LEAD_ACTIVE,
        RUN_LEAD_PROVIDER,
        RUN_LEAD_OUTCOME,
        RUN_LEAD_SOURCE,
        RUN_LEAD_TIME,
        _RUN_LEAD_MAX,
} RunLead;

/* Static SQL with the parameters: from, until, row, and but for ACTIVE and TIME the led value. */
const char *run_lead_sql(RunLead lead) _const_;
