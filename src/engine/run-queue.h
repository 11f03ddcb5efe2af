/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which of the waiting runs starts next: MaxConcurrentRuns= in all, a limit for each provider, and the providers take
 * turns, so that one with many connectors does not keep the others waiting. Runs from outside take no slot. */

#include "engine/engine-internal.h"

/* A queued run waits for a slot. Return: 0; -ENOMEM. */
int run_queue_add(EngineRun *r) _must_check_;

/* A run that has a worker already holds a slot, whatever the limits say. Return: 0; -ENOMEM. */
int run_queue_occupy(EngineRun *r) _must_check_;

/* The run has ended, or no longer wants to start: it leaves the queue or gives its slot back. */
void run_queue_remove(EngineRun *r);

/* The next run that may start; it holds a slot from now on. NULL: none waits, or the limits are reached. */
EngineRun *run_queue_take(Engine *engine);

/* Whether one more run of this provider would start at once. */
bool run_queue_has_room(const Engine *engine, const char *provider);

/* Whether one more run of this provider (NULL: of one that has none yet) would have to wait behind
 * Settings.max_queued_runs others. */
bool run_queue_is_full(const Engine *engine, const char *provider);

/* The limits have changed. */
void run_queue_settings_changed(Engine *engine);

void run_queue_done(Engine *engine);
