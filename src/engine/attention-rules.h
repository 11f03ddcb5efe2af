/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* When a connector needs a person (A8, A9), from how its runs end. */

#include "engine/engine-internal.h"

/**
 * attention_apply() - count failures in a row, raise or clear the connector's attention
 * @record:       retry_at_usec is decided: 0 where no retry follows
 * @run:          has just ended; not skipped
 * @lasting:      what the failure is where it names no category and lasts, see run_fail(); _ATTENTION_INVALID: nothing
 *                that a person could mend
 * @retry_max:    RetryMax= of the connector
 * @notify_after: NotifyAfter= of the connector; 0: it has none
 *
 * What only the user can mend is raised at once. A failure without such a category is raised as @lasting when it is
 * the NotifyAfter=th failed run in a row, or a later one, retries counted; without NotifyAfter=, when no retry is
 * left, or would be, had the failures in a row all been retries of the first. A success clears; a partial success
 * raises, by its accounts, but does not clear; cancelled runs change nothing.
 *
 * Return: 1 the attention has changed; 0 it has not; -ENOMEM.
 */
int attention_apply(ConnectorRecord *record, const Run *run, AttentionCategory lasting, unsigned retry_max,
                    unsigned notify_after) _must_check_;
