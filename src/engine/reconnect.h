/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What follows when a connection is active again; for connection-state.c. Asking for it is engine.h's. */

#include "engine/engine-internal.h"

/* A run of @but has shown that the connection is active again: the other connectors that waited for it run, once; one
 * that needs it still after that waits for a person. Return: 0; negative errno. */
int reconnect_others(ConnectionEntry *connection, const ConnectorEntry *but) _must_check_;
