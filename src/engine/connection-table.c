/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "engine/connection-table.h"

#include <stdlib.h>

bool connection_concerns(AttentionCategory category)
{
        return connection_state_by_category(category) != CONNECTION_ACTIVE;
}

ConnectionEntry *connection_table_find(Engine *engine, const char *name)
{
        ConnectionEntry *connection = NULL;

        HASH_FIND_STR(engine->connections, name, connection);
        return connection;
}

void connection_table_remove(ConnectorEntry *c)
{
        ConnectionEntry *connection = c->connection;

        if (!connection)
                return;
        c->connection = NULL;
        DL_DELETE(connection->members, c);
        if (connection->members)
                return;
        HASH_DEL(c->published.engine->connections, connection);
        free(connection->name);
        free(connection);
}

static int connection_new(Engine *engine, const char *name, ConnectionEntry **ret)
{
        ConnectionEntry *connection = calloc(1, sizeof(ConnectionEntry));

        if (!connection)
                return -ENOMEM;
        connection->name = strdup(name);
        if (connection->name)
                HASH_ADD_KEYPTR(hh, engine->connections, connection->name, strlen(connection->name), connection);
        if (!connection->name || connection->lost) {
                free(connection->name);
                free(connection);
                return -ENOMEM;
        }
        *ret = connection;
        return 0;
}

int connection_table_update(ConnectorEntry *c)
{
        const char *name = c->definition->connection;
        ConnectionEntry *connection;
        int r;

        if (c->connection && streq_null(c->connection->name, name))
                return 0;
        connection_table_remove(c);
        if (!name)
                return 0;
        connection = connection_table_find(c->published.engine, name);
        if (!connection) {
                r = connection_new(c->published.engine, name, &connection);
                if (r < 0)
                        return r;
        }
        DL_APPEND(connection->members, c);
        c->connection = connection;
        return 0;
}

/* ---- Looking */

int engine_find_connection(Engine *engine, const char *name, Connection *ret)
{
        ConnectionEntry *connection = connection_table_find(engine, name);
        Connection found = {};
        ConnectorEntry *c;

        if (!connection)
                return -ENOLINK;
        found.name = connection->name;
        DL_FOREACH(connection->members, c) {
                const Attention *attention = &c->published.record.attention;

                if (!c->announced || connection_state_by_category(attention->category) <= found.state)
                        continue;
                found.state = connection_state_by_category(attention->category);
                found.reason = attention->message;
                found.since_usec = attention->since_usec;
        }
        *ret = found;
        return 0;
}

const char *engine_next_connection(Engine *engine, const char *after)
{
        ConnectionEntry *connection = after ? connection_table_find(engine, after) : NULL;

        if (after)
                connection = connection ? connection->hh.next : NULL;
        else
                connection = engine->connections;
        return connection ? connection->name : NULL;
}

Connector *engine_next_of_connection(Engine *engine, const char *name, const Connector *after)
{
        ConnectionEntry *connection = connection_table_find(engine, name);
        ConnectorEntry *c;

        if (!connection)
                return NULL;
        c = after ? container_of(after, ConnectorEntry, published)->next : connection->members;
        while (c && !c->announced)
                c = c->next;
        return c ? &c->published : NULL;
}
