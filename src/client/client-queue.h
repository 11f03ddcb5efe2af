/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Calls that wait for their turn, and those that are on their way: which of them is sent next. How it is sent, and
 * what becomes of it, is client-async.c's business. */

#include "client/client-call.h"

/* Where the oldest of a line has waited for so long, every other turn is the newest's: clients that give up and ask
 * again would otherwise all come to their turn when they are about to give up, and by newest ones alone those who wait
 * in patience would not come to theirs. */
#define CLIENT_PATIENCE_USEC (2 * USEC_PER_SEC)

typedef struct ClientQueue {
        ClientShare *turns; /* shares with calls that wait, in the order of their turns */
        ClientLine alone;   /* of asks_alone */
        unsigned n_sent;    /* on their way */
        unsigned n_sent_alone;
} ClientQueue;

/* It waits for its turn, and for nothing else. */
void client_queue_enter(ClientQueue *queue, ClientCall *call);

/* It does not wait any more, if it did. */
void client_queue_leave(ClientQueue *queue, ClientCall *call);

/* Whether there is room for one that does not wait, beside those on their way. */
bool client_queue_has_room(const ClientQueue *queue, const ClientCall *call);

/* The one that waits and is to be sent; NULL: there is none, or no room. @now: CLOCK_MONOTONIC. */
ClientCall *client_queue_next(const ClientQueue *queue, usec_t now);

/* The one that has waited longest in the line of one that waits, or that itself. */
ClientCall *client_queue_oldest(ClientQueue *queue, ClientCall *call);

/* It is on its way; its share's turn is over. */
void client_queue_sent(ClientQueue *queue, ClientCall *call);

/* It is not any more. */
void client_queue_unsent(ClientQueue *queue, ClientCall *call);
