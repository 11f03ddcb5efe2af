/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Has PID 1 stop a unit, and stays at it: a stop that PID 1 did not take, because it was busy or the bus was, is asked
 * for again soon, and then less and less often. For launcher-unit.c. */

#include <systemd/sd-event.h>

#include "engine/pid1.h"

/* What was not answered is asked again after this, then after twice this, and so on. */
#define UNIT_AGAIN_USEC     (100 * USEC_PER_MSEC)
#define UNIT_AGAIN_MAX_USEC (30 * USEC_PER_SEC)

typedef struct UnitStop {
        Pid1 *pid1;
        const char *name; /* of the unit; borrowed, as its path */
        const char *path;
        QueuedCall *call; /* NULL: none is under way */
        sd_event_source *again_source;
        usec_t again_usec;
        bool kill;

        /* The unit as PID 1 has it, or an error. Return: whether it has ended, and this with it. */
        bool (*look)(int error, sd_bus_message *reply, void *userdata);
        void *userdata;
} UnitStop;

/**
 * unit_stop_ask() - TERM, and KILL after the unit's TimeoutStopSec=
 * @look_first: it should have ended by now: PID 1's word of its end may have been lost, and a stop of what is not
 *              there tells nothing
 * @kill: KILL at once
 *
 * Nothing happens while an earlier one is under way, but that it may become a KILL.
 *
 * Return: 0; as call_queue_add(), and it is asked for again.
 */
int unit_stop_ask(UnitStop *stop, bool look_first, bool kill) _must_check_;

/* Nothing is asked any more. */
void unit_stop_forget(UnitStop *stop);
