/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>

#include "base/log.h"
#include "base/string-util.h"
#include "base/time-util.h"
#include "store/store.h"

struct StatusNotifier {
        sd_event_source *timer;
        usec_t told_usec; /* CLOCK_MONOTONIC */
        char told[STATUS_TEXT_MAX];
        char current[STATUS_TEXT_MAX];
};

/* "3 runs active", or nothing for 0. */
static void append(FILE *f, unsigned number, const char *one, const char *many)
{
        if (number > 0)
                (void) fprintf(f, "%s%u %s", ftell(f) > 0 ? ", " : "", number, number == 1 ? one : many);
}

char *status_format(const EngineStatus *status, char buf[static STATUS_TEXT_MAX])
{
        FILE *f = fmemopen(buf, STATUS_TEXT_MAX, "w");

        buf[0] = '\0';
        if (!f)
                return buf;
        if (status->storage_error != 0)
                (void) fprintf(f, "History cannot be written: %s", store_error_text(status->storage_error));
        if (status->files_error != 0)
                (void) fprintf(f, "%sConfiguration cannot be read: %s", ftell(f) > 0 ? ", " : "",
                               strerror(-status->files_error));
        append(f, status->n_active_runs, "run active", "runs active");
        append(f, status->n_queued_runs, "queued", "queued");
        append(f, status->n_attention, "needs attention", "need attention");
        if (ftell(f) == 0)
                (void) fprintf(f, "Idle, %u %s", status->n_connectors,
                               status->n_connectors == 1 ? "connector" : "connectors");
        (void) fclose(f);
        return buf;
}

static void tell(StatusNotifier *notifier)
{
        if (streq(notifier->told, notifier->current))
                return;
        memcpy(notifier->told, notifier->current, sizeof(notifier->told));
        notifier->told_usec = now_usec(CLOCK_MONOTONIC);
        (void) sd_notifyf(false, "STATUS=%s", notifier->told);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        tell(userdata);
        return 0;
}

void status_notifier_update(StatusNotifier *notifier, const EngineStatus *status)
{
        usec_t next = notifier->told_usec + STATUS_INTERVAL_USEC;
        int r;

        status_format(status, notifier->current);
        if (next <= now_usec(CLOCK_MONOTONIC)) {
                tell(notifier);
                return;
        }
        r = sd_event_source_set_time(notifier->timer, next);
        if (r >= 0)
                r = sd_event_source_set_enabled(notifier->timer, SD_EVENT_ONESHOT);
        if (r < 0)
                (void) log_debug_errno(r, "Cannot wait before telling the status: %m");
}

int status_notifier_new(sd_event *event, StatusNotifier **ret)
{
        _cleanup_(status_notifier_freep) StatusNotifier *notifier = calloc(1, sizeof(*notifier));
        int r;

        if (!notifier)
                return -ENOMEM;
        r = sd_event_add_time(event, &notifier->timer, CLOCK_MONOTONIC, 0, 100 * USEC_PER_MSEC, on_timer, notifier);
        if (r >= 0)
                r = sd_event_source_set_enabled(notifier->timer, SD_EVENT_OFF);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(notifier);
        return 0;
}

StatusNotifier *status_notifier_free(StatusNotifier *notifier)
{
        if (!notifier)
                return NULL;
        sd_event_source_disable_unref(notifier->timer);
        free(notifier);
        return NULL;
}
