/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See heartbeat.h. */

#include "client/heartbeat.h"

#include <stdlib.h>

#include "base/names.h"
#include "base/time-util.h"

struct ClientHeartbeat {
        sd_bus *bus;
        sd_event_source *timer;
        sd_bus_slot *slot;
        usec_t asked_usec; /* CLOCK_MONOTONIC */
        void (*silent)(void *userdata);
        void *userdata;
};

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        ClientHeartbeat *heartbeat = userdata;

        heartbeat->slot = sd_bus_slot_unref(heartbeat->slot);
        /* "No reply" is also what the bus says when the service ends: the time tells which. */
        if (sd_bus_message_is_method_error(m, SD_BUS_ERROR_NO_REPLY) &&
            now_usec(CLOCK_MONOTONIC) >= usec_add(heartbeat->asked_usec, client_answer_usec())) {
                heartbeat->silent(heartbeat->userdata);
                return 0;
        }
        return sd_event_source_set_enabled(heartbeat->timer, SD_EVENT_ONESHOT);
}

static int ask(ClientHeartbeat *heartbeat)
{
        sd_bus_message *m = NULL;
        int r;

        heartbeat->asked_usec = now_usec(CLOCK_MONOTONIC);
        r = sd_bus_message_new_method_call(heartbeat->bus, &m, SYNCRUN_BUS_NAME, SYNCRUN_PATH,
                                           "org.freedesktop.DBus.Peer", "Ping");
        if (r >= 0)
                r = sd_bus_message_set_auto_start(m, false);
        if (r >= 0)
                r = sd_bus_call_async(heartbeat->bus, &heartbeat->slot, m, on_answer, heartbeat, client_answer_usec());
        sd_bus_message_unref(m);
        return r;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        int r;

        r = ask(userdata);
        if (r < 0)
                return r;
        r = sd_event_source_set_time_relative(source, client_answer_usec());
        return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_OFF);
}

int client_heartbeat_new(Client *client, sd_event *loop, void (*silent)(void *userdata), void *userdata,
                         ClientHeartbeat **ret)
{
        _cleanup_(client_heartbeat_freep) ClientHeartbeat *heartbeat = calloc(1, sizeof(ClientHeartbeat));
        int r;

        if (!heartbeat)
                return -ENOMEM;
        heartbeat->bus = sd_bus_ref(client_bus(client));
        heartbeat->silent = silent;
        heartbeat->userdata = userdata;
        r = sd_event_add_time_relative(loop, &heartbeat->timer, CLOCK_MONOTONIC, client_answer_usec(), 0, on_timer,
                                       heartbeat);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(heartbeat);
        return 0;
}

ClientHeartbeat *client_heartbeat_free(ClientHeartbeat *heartbeat)
{
        if (!heartbeat)
                return NULL;
        sd_event_source_disable_unref(heartbeat->timer);
        sd_bus_slot_unref(heartbeat->slot);
        sd_bus_unref(heartbeat->bus);
        free(heartbeat);
        return NULL;
}
