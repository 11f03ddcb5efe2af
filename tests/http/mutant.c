/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A server that replays wrongly, linked over the right one: it forgets an event of what a client missed, or tells it
 * twice. It shows that the campaign would notice. */

#include <systemd/sd-bus.h>

#include "http/sse-catch-up.h"

typedef void (*OnEvent)(uint64_t seq, const char *user_id, const char *json, void *userdata);

int __wrap_sse_page_each(sd_bus_message *reply, OnEvent event, void *userdata);
int __real_sse_page_each(sd_bus_message *reply, OnEvent event, void *userdata);

typedef struct Replay {
        OnEvent event;
        void *userdata;
} Replay;

static void on_event(uint64_t seq, const char *user_id, const char *json, void *userdata)
{
        const Replay *replay = userdata;
        unsigned times = seq % 7 > 0 ? 1 : MUTANT_TIMES;

        for (unsigned i = 0; i < times; i++)
                replay->event(seq, user_id, json, replay->userdata);
}

int __wrap_sse_page_each(sd_bus_message *reply, OnEvent event, void *userdata)
{
        return __real_sse_page_each(reply, on_event, &(Replay){ .event = event, .userdata = userdata });
}
