/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Whether the service is still there while a program waits for its signals: one that hangs sends none, and is not told
 * from one that has nothing to say. */

#include "client/client.h"

typedef struct ClientHeartbeat ClientHeartbeat;

/**
 * client_heartbeat_new() - ask the service every client_answer_usec() for a sign of life
 * @silent: called once, when one has not come for as long. A service that is being started again, or that nobody wants
 *          any more, is not silent; it is not started for this.
 * @ret:    freed by client_heartbeat_free()
 *
 * Context: by the loop; the client's bus is to be attached to it. Return: 0; negative errno.
 */
int client_heartbeat_new(Client *client, sd_event *loop, void (*silent)(void *userdata), void *userdata,
                         ClientHeartbeat **ret) _must_check_;

ClientHeartbeat *client_heartbeat_free(ClientHeartbeat *heartbeat);
DEFINE_TRIVIAL_CLEANUP_FUNC(ClientHeartbeat *, client_heartbeat_free);
