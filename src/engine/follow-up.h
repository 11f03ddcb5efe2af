/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What follows a connector's active run: full resyncs and other runs that are asked for meanwhile and cannot be left
 * to it, put together in the connector's record, and what is owed of a full resync. */

#include "engine/lifecycle.h"

/**
 * follow_up_add() - a run is wanted after the active one
 * @request: as of run_begin(); full resyncs are joined with each other, and all else is joined: all accounts if any
 *           wants all, else each that any names. Trigger, asker and reason are the newest one's, but a schedule's give
 *           way, and a reconnection's to all. More than can be named together is all.
 *
 * The caller saves the record.
 *
 * Return: 0; -ENOMEM.
 */
int follow_up_add(ConnectorEntry *c, const RunRequest *request) _must_check_;

/**
 * follow_up_begin() - @after has ended: begin what comes next
 *
 * A full resync that was asked for goes first; then one that is owed, where @after went well and was not that; then
 * what else is wanted. Where the connector may not run any more all is forgotten, but a full resync is owed, and what
 * a reconnection asks for waits until it may.
 *
 * Return: 0, also where nothing is wanted; -ENOMEM; errno of getrandom(2).
 */
int follow_up_begin(ConnectorEntry *c, const Run *after) _must_check_;

/* As follow_up_add(), and saved; where no run is active, the queue has no room for it now. Return: as that. */
int follow_up_owe(ConnectorEntry *c, const RunRequest *request) _must_check_;

/* A run that somebody else asked for is about to begin: what was owed is in it, and no longer owed. */
void follow_up_meet(ConnectorEntry *c, const RunRequest *request);

/* Where there is room in the queue: what was owed begins. */
void follow_ups_dispatch(Engine *engine);

/* It is not wanted any more. */
void follow_up_forget(FollowUp *follow_up);

/* ---- Full resyncs that are owed */

/* Whether a run of these accounts, NULL for all, is a full resync because nothing but what is owed is in it. */
bool resync_is_owed(const ConnectorRecord *record, const char *accounts);

/**
 * resync_settle() - a run has ended: what it has resynced is owed no longer, what it has not is
 *
 * One that was cancelled was not wanted any more.
 *
 * Return: 0; -ENOMEM.
 */
int resync_settle(ConnectorRecord *record, const Run *run) _must_check_;
