/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See call-queue.h. */

#include "engine/call-queue.h"

#include <stdlib.h>
#include <utlist.h>

struct QueuedCall {
        CallQueue *queue;
        sd_bus_message *message; /* NULL once it is sent */
        sd_bus_slot *slot;       /* NULL until it is sent */
        CallHandler handler;     /* NULL: forgotten */
        void *userdata;
        QueuedCall *prev, *next;
};

/* Out of its list already. */
static void call_free(QueuedCall *call)
{
        sd_bus_message_unref(call->message);
        sd_bus_slot_unref(call->slot);
        free(call);
}

static void send_waiting(CallQueue *queue);

static int on_reply(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        QueuedCall *call = userdata;
        CallQueue *queue = call->queue;

        DL_DELETE(queue->asked, call);
        queue->n_asked--;
        if (call->handler)
                call->handler(-sd_bus_message_get_errno(m), m, call->userdata);
        call_free(call);
        send_waiting(queue);
        return 0;
}

/* Return: 0, and it is among the asked; negative errno, and it is in no list. */
static int call_send(QueuedCall *call)
{
        CallQueue *queue = call->queue;
        int r;

        r = sd_bus_call_async(queue->bus, &call->slot, call->message, on_reply, call, 0);
        if (r < 0)
                return r;
        call->message = sd_bus_message_unref(call->message);
        DL_APPEND(queue->asked, call);
        queue->n_asked++;
        return 0;
}

static void send_waiting(CallQueue *queue)
{
        QueuedCall *call;
        int r;

        while ((call = queue->waiting) && queue->n_asked < queue->at_once) {
                DL_DELETE(queue->waiting, call);
                r = call_send(call);
                if (r >= 0)
                        continue;
                call->handler(r, NULL, call->userdata);
                call_free(call);
        }
}

int call_queue_add(CallQueue *queue, sd_bus_message *m, CallHandler handler, void *userdata, QueuedCall **ret)
{
        QueuedCall *call = calloc(1, sizeof(QueuedCall));
        int r = 0;

        if (!call)
                return -ENOMEM;
        call->queue = queue;
        call->message = sd_bus_message_ref(m);
        call->handler = handler;
        call->userdata = userdata;
        if (queue->waiting || queue->n_asked >= queue->at_once)
                DL_APPEND(queue->waiting, call);
        else
                r = call_send(call);
        if (r < 0) {
                call_free(call);
                return r;
        }
        *ret = call;
        return 0;
}

QueuedCall *queued_call_forget(QueuedCall *call)
{
        if (!call)
                return NULL;
        call->handler = NULL;
        if (call->message) {
                DL_DELETE(call->queue->waiting, call);
                call_free(call);
        }
        return NULL;
}

void call_queue_done(CallQueue *queue)
{
        QueuedCall *call, *next;

        DL_FOREACH_SAFE(queue->waiting, call, next)
                call_free(call);
        DL_FOREACH_SAFE(queue->asked, call, next)
                call_free(call);
        queue->asked = queue->waiting = NULL;
        queue->n_asked = 0;
}
