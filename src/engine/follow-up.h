/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The one run that follows a connector's active one: what is asked for meanwhile, and cannot be left to the active
 * run, is put together in the connector's record. */

#include "engine/lifecycle.h"

/**
 * follow_up_add() - a run is wanted after the active one
 * @request: as of run_begin(); joined with what is wanted already: a full resync if any is one, all accounts if any
 *           wants all, else each that any names. Trigger, asker and reason are the newest one's, but a schedule's give
 *           way.
 *
 * The caller saves the record.
 *
 * Return: 0; -E2BIG (more than ACCOUNTS_PER_RUN_MAX accounts together); -ENOMEM.
 */
int follow_up_add(ConnectorEntry *c, const RunRequest *request) _must_check_;

/* The active run has ended. Return: 0, also where nothing is wanted, or the connector may not run any more; -ENOMEM;
 * errno of getrandom(2). */
int follow_up_begin(ConnectorEntry *c) _must_check_;
