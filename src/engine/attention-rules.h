/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* When a connector needs a person (A8, A9), from how its runs end. */

#include "engine/engine-internal.h"

/**
 * attention_apply() - count failures in a row, raise or clear the connector's attention
 * @run:          has just ended; not skipped
 * @lasting:      what the failure is where it names no category and lasts, see run_fail(); _ATTENTION_INVALID: nothing
 *                that a person could mend
 * @notify_after: NotifyAfter= of the connector
 * @raised:       the run that the attention is of, with its accounts; NULL: not known
 *
 * What only the user can mend is raised at once. A failure without such a category is raised as @lasting when it is
 * the NotifyAfter=th failed run in a row, or a later one; a retry is a run. Not while the
 * provider has said when to come again. A success clears. A partial success raises,
 * by its accounts; where they need nothing, it clears, unless the attention is of accounts that it has not got either.
 * Cancelled runs change nothing.
 *
 * Return: 1 the attention has changed; 0 it has not; -ENOMEM.
 */
int attention_apply(ConnectorRecord *record, const Run *run, AttentionCategory lasting, unsigned notify_after,
                    const Run *raised) _must_check_;
