/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/clock-watch.h"

#include <libgen.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/fd-util.h"
#include "base/log.h"
#include "base/string-util.h"

struct ClockWatch {
        sd_event *event;
        int timer_fd;
        sd_event_source *timer_source;
        char *localtime_path;
        char *localtime_name;
        sd_event_source *folder_source;
        ClockWatchCallbacks callbacks;
        void *userdata;
};

/* A time that never comes: the kernel tells when the clock is set meanwhile. */
static int arm(ClockWatch *watch)
{
        const struct itimerspec never = { .it_value.tv_sec = INT64_MAX / (int64_t) NSEC_PER_USEC /
                                                             (int64_t) USEC_PER_SEC };

        return timerfd_settime(watch->timer_fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL) < 0 ? -errno
                                                                                                               : 0;
}

static int on_timer_fd(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        ClockWatch *watch = userdata;
        uint64_t expirations;
        int r;

        if (read(fd, &expirations, sizeof(expirations)) >= 0 || errno != ECANCELED)
                return 0;
        r = arm(watch);
        if (r < 0)
                (void) log_warning_errno(r, "Cannot watch the clock any longer: %m");
        watch->callbacks.clock_set(watch->userdata);
        return 0;
}

static int watch_clock(ClockWatch *watch)
{
        int r;

        watch->timer_fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
        if (watch->timer_fd < 0)
                return -errno;
        r = arm(watch);
        return r < 0 ? r
                     : sd_event_add_io(watch->event, &watch->timer_source, watch->timer_fd, EPOLLIN, on_timer_fd,
                                       watch);
}

static int on_inotify(sd_event_source *source, const struct inotify_event *event, void *userdata)
{
        ClockWatch *watch = userdata;

        if (event->len == 0 || streq(event->name, watch->localtime_name))
                watch->callbacks.zone_changed(watch->userdata);
        return 0;
}

/* The link is replaced by renaming another one over it: its folder tells. */
static int watch_zone(ClockWatch *watch, const char *path)
{
        char *folder;

        watch->localtime_path = strdup(path);
        if (!watch->localtime_path)
                return -ENOMEM;
        folder = dirname(watch->localtime_path);
        watch->localtime_name = strdup(strrchr(path, '/') + 1);
        if (!watch->localtime_name)
                return -ENOMEM;
        return sd_event_add_inotify(watch->event, &watch->folder_source, folder,
                                    IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ONLYDIR,
                                    on_inotify, watch);
}

int clock_watch_new(sd_event *event, const char *localtime, const ClockWatchCallbacks *callbacks, void *userdata,
                    ClockWatch **ret)
{
        _cleanup_(clock_watch_freep) ClockWatch *watch = calloc(1, sizeof(*watch));
        int r;

        if (!watch)
                return -ENOMEM;
        watch->timer_fd = -EBADF;
        watch->event = sd_event_ref(event);
        watch->callbacks = *callbacks;
        watch->userdata = userdata;
        r = watch_clock(watch);
        if (r >= 0)
                r = watch_zone(watch, localtime);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(watch);
        return 0;
}

ClockWatch *clock_watch_free(ClockWatch *watch)
{
        if (!watch)
                return NULL;
        sd_event_source_disable_unref(watch->timer_source);
        sd_event_source_disable_unref(watch->folder_source);
        (void) safe_close(watch->timer_fd);
        free(watch->localtime_path);
        free(watch->localtime_name);
        sd_event_unref(watch->event);
        free(watch);
        return NULL;
}
