/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Connections: what Manager.ReconnectConnection() answers, and the end of a program that it has started. */

#include "client/client.h"

/* A run in the answer to ReconnectConnection(): one that has begun, or one that was active already and that another
 * follows. Strings are borrowed from the answer. */
typedef struct ClientReconnected {
        const char *connector;
        const char *run_id;
        bool already_active;
} ClientReconnected;

/* One after the other. Return: 1; 0 there are no more; negative errno. */
int client_next_reconnected(sd_bus_message *answer, ClientReconnected *ret) _must_check_;

/* Behind the last of them. Return: 1 a program runs that reconnects it; 0; negative errno. */
int client_reconnecting(sd_bus_message *answer) _must_check_;

/* The end of a program, by ReconnectFinished; zeroed before. */
typedef struct ClientReconnectEnd {
        sd_bus_slot *slot;
        bool finished;
        char *result;
        char *message;
} ClientReconnectEnd;

void client_reconnect_end_done(ClientReconnectEnd *end);

/* To be called before the program is asked for, so that its end is not missed. Return: 0; negative errno with @e. */
int client_listen_reconnect(Client *client, const char *connection, ClientReconnectEnd *end,
                            ClientError *e) _must_check_;

/* Until it has ended; also over a restart of the daemon. Return: 0; negative errno. Context: blocks. */
int client_await_reconnect(Client *client, ClientReconnectEnd *end) _must_check_;
