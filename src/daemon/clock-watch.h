/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Notices that the clock was set, or that the local time zone is another one. */

#include <systemd/sd-event.h>

#include "base/macros.h"

typedef struct ClockWatch ClockWatch;

typedef struct ClockWatchCallbacks {
        void (*clock_set)(void *userdata);    /* CLOCK_REALTIME jumped, also on resume from sleep */
        void (*zone_changed)(void *userdata); /* what @localtime leads to may be another zone */
} ClockWatchCallbacks;

/**
 * clock_watch_new() - watch the clock and the zone
 * @localtime: "/etc/localtime"; need not exist
 * @ret:       set on success only; freed by clock_watch_free()
 *
 * Return: 0; -ENOMEM; negative errno of timerfd or sd-event.
 */
int clock_watch_new(sd_event *event, const char *localtime, const ClockWatchCallbacks *callbacks, void *userdata,
                    ClockWatch **ret) _must_check_;
ClockWatch *clock_watch_free(ClockWatch *watch);
DEFINE_TRIVIAL_CLEANUP_FUNC(ClockWatch *, clock_watch_free);
