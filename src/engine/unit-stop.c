/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See unit-stop.h. */

#include "engine/unit-stop.h"

#include "base/log.h"

static int look(UnitStop *stop);

static int on_again(sd_event_source *source, uint64_t usec, void *userdata)
{
        (void) look(userdata);
        return 0;
}

static void ask_again_later(UnitStop *stop)
{
        sd_event *event = sd_bus_get_event(stop->pid1->bus);
        int r;

        stop->again_usec = CLAMP(2 * stop->again_usec, UNIT_AGAIN_USEC, UNIT_AGAIN_MAX_USEC);
        stop->again_source = sd_event_source_disable_unref(stop->again_source);
        r = sd_event_add_time_relative(event, &stop->again_source, CLOCK_MONOTONIC, stop->again_usec, 0, on_again,
                                       stop);
        if (r < 0)
                log_debug_errno(r, "Could not arm the timer for the stop of %s: %m", stop->name);
}

static void on_reply(int error, sd_bus_message *reply, void *userdata)
{
        UnitStop *stop = userdata;

        stop->call = NULL;
        if (error >= 0) {
                stop->again_usec = 0;
                return;
        }
        log_debug_errno(error, "PID 1 did not stop %s, asking again: %m", stop->name);
        ask_again_later(stop);
}

static int send(UnitStop *stop)
{
        int r;

        if (stop->kill)
                r = pid1_kill_unit(stop->pid1, stop->name, on_reply, stop, &stop->call);
        else
                r = pid1_call_manager(stop->pid1, "StopUnit", stop->name, "replace", on_reply, stop, &stop->call);
        if (r < 0)
                ask_again_later(stop);
        return r;
}

static void on_look_reply(int error, sd_bus_message *reply, void *userdata)
{
        UnitStop *stop = userdata;

        stop->call = NULL;
        if (!stop->look(error, reply, stop->userdata))
                (void) send(stop);
}

static int look(UnitStop *stop)
{
        int r;

        r = pid1_get_all(stop->pid1, stop->path, "", on_look_reply, stop, &stop->call);
        if (r < 0)
                ask_again_later(stop);
        return r;
}

int unit_stop_ask(UnitStop *stop, bool look_first, bool kill)
{
        stop->kill |= kill;
        if (stop->call)
                return 0;
        stop->again_source = sd_event_source_disable_unref(stop->again_source);
        return look_first ? look(stop) : send(stop);
}

void unit_stop_forget(UnitStop *stop)
{
        stop->call = queued_call_forget(stop->call);
        stop->again_source = sd_event_source_disable_unref(stop->again_source);
}
