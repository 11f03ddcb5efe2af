/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Memory from the disk: at the daemon's start, and after a commit that failed. One code path, so that what is only
 * needed when something broke is exercised at each start. */

#include "engine/engine-internal.h"

/**
 * engine_reconcile() - read records, connector files and active runs; look for the workers of those; arm timers
 *
 * What differs from what is published is published. Runs that nobody can end any more are ended.
 *
 * Return: 0; negative errno of reading. Context: blocks for reading.
 */
int engine_reconcile(Engine *engine) _must_check_;
