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

/**
 * engine_load_files() - read the files of connectors and connections, and take up what waited for them
 *
 * Where a folder that is there cannot be read this is logged, once, and what was read before holds. If that is
 * nothing, no run is taken for one whose file has gone; that is seen, and missed times are made up for, when it can be
 * read.
 *
 * Return: 0; the status' files_error; other errnos of reading. Context: blocks for reading.
 */
int engine_load_files(Engine *engine) _must_check_;
