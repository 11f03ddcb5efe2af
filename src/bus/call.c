/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Calls that have been handed to the engine and are answered from its callback, after the commit. */

#include <utlist.h>

#include "bus/bus-error.h"
#include "bus/bus-private.h"

int pending_new(Bus *bus, sd_bus_message *m, Pending **ret)
{
        Pending *pending = calloc(1, sizeof(*pending));

        if (!pending)
                return -ENOMEM;
        pending->bus = bus;
        pending->message = sd_bus_message_ref(m);
        DL_APPEND(bus->pendings, pending);
        *ret = pending;
        return 0;
}

Pending *pending_free(Pending *pending)
{
        if (!pending)
                return NULL;
        DL_DELETE(pending->bus->pendings, pending);
        sd_bus_message_unref(pending->message);
        free(pending);
        return NULL;
}

void pending_refuse(Pending *pending, int error)
{
        bus_reply_refusal(pending->message, error);
        pending_free(pending);
}

void pending_answered(Pending *pending, int r)
{
        if (r < 0)
                pending_refuse(pending, r);
        else
                pending_free(pending);
}

void pending_reply(int error, void *userdata)
{
        Pending *pending = userdata;

        if (error < 0)
                pending_refuse(pending, error);
        else
                pending_answered(pending, sd_bus_reply_method_return(pending->message, NULL));
}
