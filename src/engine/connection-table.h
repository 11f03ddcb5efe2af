/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Connections: what connectors with the same Connection= share. Their state is what the connectors' attention says. */

#include "engine/engine-internal.h"

/* The connector's definition may name another connection now. Return: 0; -ENOMEM. */
int connection_table_update(ConnectorEntry *c) _must_check_;

/* The connector is gone. */
void connection_table_remove(ConnectorEntry *c);

ConnectionEntry *connection_table_find(Engine *engine, const char *name);

/* Whether reconnecting mends what the connector needs attention for. */
bool connection_concerns(AttentionCategory category) _const_;
