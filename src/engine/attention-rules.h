/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* When a connector needs a person (A8, A9), from how its runs end and from the consent of its connection. */

#include "engine/engine-internal.h"

/* What has become of a connector's attention. */
typedef enum AttentionFlags {
        ATTENTION_CHANGED = 1 << 0, /* raised, cleared, or said otherwise */
        ATTENTION_MET = 1 << 1,     /* what was needed before is needed no longer; perhaps something else is */
} AttentionFlags;

/**
 * attention_apply() - count failures in a row, raise or clear the connector's attention
 * @record:       its @lasting and @lost_with_machine are of the run, see RunEnd
 * @run:          has just ended, with its accounts; not skipped
 * @notify_after: NotifyAfter= of the connector
 *
 * A run speaks of the accounts that it was of; how often each has failed in a row is failure-rows.h's.
 *
 * What only the user can mend is raised at once. What names no category is raised when it is the NotifyAfter=th in an
 * account's row, or a later one, as @lasting: none where the provider has said when to come again. What the machine
 * has ended is not raised before it is the second in a row.
 * What was needed is met when all accounts in need have been got: by a success of a run that was of them, or by their
 * rows in one that succeeded in part; where no account was named, by a run of all. A run that had begun before a
 * consent was over changes nothing about that. Cancelled runs change nothing.
 *
 * Return: AttentionFlags; -ENOMEM; negative errno of reading JSON.
 */
int attention_apply(ConnectorRecord *record, const Run *run, unsigned notify_after) _must_check_;

/* The consent of its connection is over (consent_expired or consent_withdrawn): what is raised stays until that is
 * mended, as connection_raise() follows each run. What is as bad already stays as it is.
 * Return: AttentionFlags; -ENOMEM. */
int attention_raise_consent(Attention *attention, AttentionCategory category, const char *message, usec_t since_usec)
        _must_check_;

/* Whether that is what it is needed for. */
static inline bool attention_is_of_consent(const Attention *attention)
{
        return attention->category >= 0 && !attention->run_id;
}

/* Nothing is needed any more. Return: AttentionFlags. */
int attention_clear(Attention *attention);
