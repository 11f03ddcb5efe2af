/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A server to which a test may say that it is later, linked over the right one: SIGUSR1 is 50 s. What it tells of open
 * streams every 50 s it tells much more often. */

#include <signal.h>
#include <systemd/sd-event.h>

#include "base/time-util.h"
#include "model/api-key.h"

#define TELL_USEC (50 * USEC_PER_MSEC)

usec_t __wrap_now_usec(clockid_t clock);
usec_t __real_now_usec(clockid_t clock);
int __wrap_sd_event_source_set_time_relative(sd_event_source *source, uint64_t usec);
int __real_sd_event_source_set_time_relative(sd_event_source *source, uint64_t usec);

static volatile sig_atomic_t n_later;

static void on_signal(int sig)
{
        n_later++;
}

__attribute__((constructor)) static void begin(void)
{
        (void) signal(SIGUSR1, on_signal);
}

usec_t __wrap_now_usec(clockid_t clock)
{
        usec_t now = __real_now_usec(clock);

        return clock == CLOCK_MONOTONIC ? now + (usec_t) n_later * API_KEY_TELL_USEC : now;
}

int __wrap_sd_event_source_set_time_relative(sd_event_source *source, uint64_t usec)
{
        return __real_sd_event_source_set_time_relative(source, usec == API_KEY_TELL_USEC ? TELL_USEC : usec);
}
