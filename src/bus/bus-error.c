/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The only place that makes D-Bus errors of errnos. */

#include "bus/bus-error.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/log.h"
#include "base/names.h"
#include "base/refusal.h"

#define ERROR_NAME_MAX 128U

static const Refusal *refusal_logged(int r)
{
        const Refusal *refusal = refusal_by_errno(r);

        if (refusal->error == EIO)
                (void) log_error_errno(r, "A call on the bus failed: %m");
        return refusal;
}

int bus_refuse(sd_bus_error *error, int r)
{
        const Refusal *refusal = refusal_logged(r);
        char name[ERROR_NAME_MAX];

        (void) snprintf(name, sizeof(name), SYNCRUN_ERROR_PREFIX "%s", refusal->name);
        (void) sd_bus_error_set(error, name, refusal->sentence);
        return -refusal->error;
}

int bus_refuse_text(sd_bus_error *error, int r, const char *format, ...)
{
        const Refusal *refusal = refusal_logged(r);
        char name[ERROR_NAME_MAX];
        va_list ap;

        (void) snprintf(name, sizeof(name), SYNCRUN_ERROR_PREFIX "%s", refusal->name);
        va_start(ap, format);
        (void) sd_bus_error_setfv(error, name, format, ap);
        va_end(ap);
        return -refusal->error;
}

void bus_finish_call(sd_bus_message *m, int r, const sd_bus_error *error)
{
        if (r >= 0)
                return;
        if (!sd_bus_error_is_set(error)) {
                bus_reply_refusal(m, r);
                return;
        }
        r = sd_bus_reply_method_error(m, error);
        if (r < 0)
                (void) log_debug_errno(r, "Cannot answer %s(): %m", sd_bus_message_get_member(m));
}

void bus_reply_refusal(sd_bus_message *m, int r)
{
        _cleanup_bus_error_ sd_bus_error error = SD_BUS_ERROR_NULL;

        bus_finish_call(m, bus_refuse(&error, r), &error);
}
