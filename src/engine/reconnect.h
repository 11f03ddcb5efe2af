/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What follows when a connection is active again, and the programs that make it so; asking for it is engine.h's. */

#include "engine/engine-internal.h"

/* A run of @but has shown that the connection is active again: the other connectors that waited for it run, once; one
 * that needs it still after that waits for a person. Return: 0; negative errno. */
int reconnect_others(ConnectionEntry *connection, const ConnectorEntry *but) _must_check_;

/* It is active again by its consent's end, that is another now: all that waited for it are to run, once, by the next
 * lifecycle_dispatch(). Before they are told. Return: 0; negative errno. */
int reconnect_waiting(ConnectionEntry *connection) _must_check_;

/* The connector may run now, and could not when its connection was active again: if it waits for that still, it is to
 * run by the next lifecycle_dispatch(). Return: 0; negative errno. */
int reconnect_admitted(ConnectorEntry *c) _must_check_;

/* As that, of one whose file was away when its connection was reconnected: no run of it has ended since. Return: as
 * that. */
int reconnect_missed(ConnectorEntry *c) _must_check_;

/* A run has ended: what a reconnection wanted behind it is wanted no more, where that run shows that the connector
 * does not wait for its connection. The caller saves the record. */
void reconnect_met(const EngineRun *r);

/* A run has ended by what a connection said that is not its connector's any more, see connection_is_of_run(): nobody
 * needs to do anything, and another run follows it. What it would say of that if it lasted is not said. Return: 1; 0
 * (it has not); negative errno. */
int reconnect_outlived(const EngineRun *r) _must_check_;

/* Whether the connection, or one of its connectors, is this user's. NULL: everybody's. */
bool connection_has_part(const ConnectionEntry *connection, const char *user_id);

/* ExecReconnect= has succeeded: the connection is active, and what waited for it runs. @consent_expires_usec: 0: as
 * the file says; so where it has passed. Return: 0; -ENOMEM. */
int reconnect_succeeded(ConnectionEntry *connection, usec_t consent_expires_usec,
                        const char *requested_by) _must_check_;

/* ---- reconnect-program.c */

/* Start it after the commit, unless it runs already. Return: 0; -ENOMEM. */
int reconnect_program_begin(ConnectionEntry *connection, const char *requested_by) _must_check_;

/* The consent is withdrawn: a program that runs is stopped, and whatever comes of it changes nothing. What has changed
 * of the connection is told with it. Return: 0; -ENOMEM. */
int reconnect_program_abandon(ConnectionEntry *connection) _must_check_;

/* The launcher tells of its end. */
void reconnect_program_ended(Engine *engine, const char *name, const TaskExit *how);

/* After records were read: those that were running may run still, or have ended unseen. */
void reconnect_programs_resume(Engine *engine);
