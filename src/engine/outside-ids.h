/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which run an event from outside is of. Reporters choose ids, and who may see one user alone shall neither learn of
 * another's nor take them away: the runs that such a reporter begins have their user behind their id. What is told of
 * them has the id that they came with (run_told_id_size()). */

#include "engine/engine.h"

/**
 * engine_name_outside_runs() - give each event the id that its run has here
 * @for_user: the only user that the reporter may see; NULL: any
 *
 * Return: 0; -ENODEV (an event of another user); -ENOMEM; errno of the store. Context: blocks for indexed reads.
 */
int engine_name_outside_runs(Engine *engine, const char *for_user, OutsideEvent *events, size_t n) _must_check_;
