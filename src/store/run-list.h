/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How lists of runs are read: each goes down one index, chosen by the filter. For run-list.c and its test. */

#include "base/macros.h"

typedef enum RunLead {
        RUN_LEAD_CONNECTOR,
        RUN_LEAD_USER,
        RUN_LEAD_QUEUED,
        RUN_LEAD_RUNNING,
        RUN_LEAD_ACTIVE,
        RUN_LEAD_PROVIDER,
        RUN_LEAD_OUTCOME,
        RUN_LEAD_SUCCEEDED, /* of Repo's words, as QUEUED, RUNNING and FAILED are; several outcomes, merged */
        RUN_LEAD_FAILED,
        RUN_LEAD_SOURCE,
        RUN_LEAD_TIME,
        _RUN_LEAD_MAX,
} RunLead;

/* Static SQL with the parameters: from, until, row, and for CONNECTOR, USER, PROVIDER, OUTCOME and SOURCE the
 * led value. */
const char *run_lead_sql(RunLead lead, bool brief) _const_;

/* The same for a connector's runs in short: connector, how many. */
const char *run_marks_sql(void) _const_;
