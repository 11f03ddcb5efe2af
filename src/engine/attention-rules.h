/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* When a connector needs a person (A8, A9), from how its runs end. */

#include "engine/engine-internal.h"

/**
 * attention_apply() - count failures in a row, raise or clear the connector's attention
 * @run:          has just ended; not skipped
 * @final:        no retry follows
 * @notify_after: NotifyAfter= of the connector
 *
 * What only the user can mend is raised at once. A failure without such a category is raised as configuration_error
 * when it is the NotifyAfter=th in a row and no retry is left. A success clears; a partial success raises, by its
 * accounts, but does not clear; cancelled runs change nothing.
 *
 * Return: 1 the attention has changed; 0 it has not; -ENOMEM.
 */
int attention_apply(ConnectorRecord *record, const Run *run, bool final, unsigned notify_after) _must_check_;
