/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The state of connections: what runs and people say of them, and what the end of a consent makes of that. One timer
 * for all of them; it follows the clock and the time zone. */

#include "engine/connection-table.h"

/* Whether it is the connection that a connector needs attention for. */
bool connection_concerns(AttentionCategory category) _const_;

/* What a run or a person says. The caller saves it by connection_changed(). @reason: NULL: none; longer than
 * CONNECTION_REASON_MAX is cut. @run_id: NULL: a person. Return: 0; -ENOMEM. */
int connection_set_state(ConnectionEntry *connection, ConnectionState state, const char *reason, const char *run_id)
        _must_check_;

/* Its record is another: it is saved and published, with what that makes of the state that is shown. */
void connection_changed(ConnectionEntry *connection, ConnectionNews news);

/* A run of one of its connectors has ended, and the connector's attention follows it already: the state may move; when
 * it is active again, the other connectors that waited for it run. It is by a success of all accounts, and by a run
 * that has got what the connector needed before; of some accounts alone, where that was why it was lost.
 * @met: the run that raised the attention that is met, "" for none; NULL: none is met
 *
 * Return: 0; negative errno. */
int connection_run_ended(ConnectorEntry *c, const Run *run, const char *met) _must_check_;

/* Whether a run of a connector that has ended is about its connection as that is now: not where it began before that
 * was reconnected, or under another one; then it moves no state. */
bool connection_is_of_run(const EngineRun *r) _pure_;

/* The same, also where it began before the reconnection. */
bool connection_is_same_of_run(const EngineRun *r) _pure_;

/* Whether it was lost since it was of use again last, or its consent is over: what is owed since would be in vain. */
bool connection_is_lost_again(const ConnectionEntry *connection) _pure_;

/* The consent of its connection is over, or is there: the connector, which has joined or was switched on, says so, or
 * no longer. Return: 0; negative errno. */
int connection_tell(ConnectorEntry *c) _must_check_;

/* What a run leaves of its attention is not less than the consent of its connection says: a run does not give a
 * consent. The caller tells of it. Return: AttentionFlags; -ENOMEM. */
int connection_raise(ConnectorEntry *c) _must_check_;

/* It has left a connection, and what it needed a person for with that. Return: 0; negative errno. */
int connection_left(ConnectorEntry *c) _must_check_;

/* After files were read: connectors that have joined a connection whose consent is over say so, what nobody says any
 * more does not hold, and the clock is looked at. */
void connection_state_settle_all(Engine *engine);

/* The clock was set or the time zone changed. lifecycle_dispatch() begins what follows. */
void connection_state_clock_changed(Engine *engine);
