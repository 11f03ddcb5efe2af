/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Connections: what connectors with the same Connection= share. Reading their files, their records in the store, and
 * what is told of them. What moves their state is connection-state.h's. */

#include "engine/engine-internal.h"

typedef enum ConnectionNews {
        CONNECTION_NEWS_STATE = 1 << 0,     /* for the journal: it is shown in another state */
        CONNECTION_NEWS_RECONNECT = 1 << 1, /* a program that reconnects it has ended */
} ConnectionNews;

/* Replace all records by those of the store. Return: 0; negative errno. Context: blocks. */
int connection_table_read_records(Engine *engine) _must_check_;

/* Read all files and take over what is new, changed or gone; after the connectors' files. Return: 0; negative errno of
 * reading. Context: blocks. */
int connection_table_load(Engine *engine) _must_check_;

void connection_table_free(Engine *engine);

/* The connector's definition may name another connection now. Return: 0; -ENOMEM. */
int connection_table_update(ConnectorEntry *c) _must_check_;

/* The connector is gone. */
void connection_table_remove(ConnectorEntry *c);

/* NULL where it has neither file nor connectors. */
ConnectionEntry *connection_table_find(Engine *engine, const char *name);

/* Its record goes to the disk, then it is published. */
void connection_save(ConnectionEntry *connection, ConnectionNews news);
