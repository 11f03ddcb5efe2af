/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Calls over a bus, so many at a time and the rest in line: dbus-daemon refuses what goes beyond 128 unanswered calls
 * of one connection, and a daemon that takes up a thousand runs has a thousand questions at once. */

#include <systemd/sd-bus.h>

#include "base/macros.h"

typedef struct QueuedCall QueuedCall;

/* Zeroed but for the first two. */
typedef struct CallQueue {
        sd_bus *bus;     /* borrowed */
        unsigned at_once; /* unanswered calls; those whose caller has lost interest count, too */
        unsigned n_asked;
        QueuedCall *asked, *waiting;
} CallQueue;

/**
 * CallHandler - what became of a call
 * @error: 0; negative errno of the reply's error, or of sending
 * @reply: borrowed; NULL where it could not be sent
 */
typedef void (*CallHandler)(int error, sd_bus_message *reply, void *userdata);

/**
 * call_queue_add() - make a call, now or when its turn comes; calls are sent in the order in which they are added
 * @m:       not sealed; a reference is taken
 * @handler: called once, never from here
 * @ret:     valid until @handler is called or queued_call_forget()
 *
 * Return: 0; -ENOMEM; errno of sending.
 */
int call_queue_add(CallQueue *queue, sd_bus_message *m, CallHandler handler, void *userdata,
                   QueuedCall **ret) _must_check_;

/* No answer is wanted any more: not made if it still waits. NULL is nothing. Return: NULL. */
QueuedCall *queued_call_forget(QueuedCall *call);

/* All are forgotten. */
void call_queue_done(CallQueue *queue);
