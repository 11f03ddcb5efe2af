/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "base/bus-guard.h"

#include <syslog.h>

#include "base/log.h"
#include "base/string-util.h"

/* Before any match is looked at: what is answered here goes no further. */
static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *unused)
{
        if (sd_bus_message_is_signal(m, NULL, NULL) <= 0 || !sd_bus_message_get_destination(m))
                return 0;
        log_debug("A signal %s that %s sent to us by name is not believed.", strempty(sd_bus_message_get_member(m)),
                  strempty(sd_bus_message_get_sender(m)));
        return 1;
}

int bus_guard(sd_bus *bus)
{
        int r = sd_bus_add_filter(bus, NULL, on_message, NULL);

        return MIN(r, 0);
}
