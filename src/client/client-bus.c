/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "client/client-bus.h"

#include <stdlib.h>

#include "base/bus-guard.h"
#include "base/names.h"
#include "base/string-util.h"

int client_bus_open(sd_bus **ret)
{
        _cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
        const char *address = getenv(SYNCRUN_ENV_BUS_ADDRESS);
        int r;

        if (!isempty(address)) {
                r = sd_bus_new(&bus);
                if (r >= 0)
                        r = sd_bus_set_address(bus, address);
                if (r >= 0)
                        r = sd_bus_set_bus_client(bus, true);
                if (r >= 0)
                        r = sd_bus_start(bus);
        } else
                r = sd_bus_open_system(&bus);
        if (r >= 0)
                r = bus_guard(bus);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(bus);
        return 0;
}

bool client_error_is_undelivered(const sd_bus_error *error)
{
        /* activation that did not work out, or a job of PID 1 that was cancelled because the daemon is being restarted
         */
        return sd_bus_error_has_name(error, SD_BUS_ERROR_SERVICE_UNKNOWN) ||
               sd_bus_error_has_name(error, SD_BUS_ERROR_NAME_HAS_NO_OWNER) ||
               startswith(error->name, "org.freedesktop.DBus.Error.Spawn.") ||
               startswith(error->name, "org.freedesktop.systemd1.");
}

bool client_error_is_absence(const sd_bus_error *error)
{
        static const char *const names[] = {
                SD_BUS_ERROR_NO_REPLY,        SD_BUS_ERROR_DISCONNECTED,
                SD_BUS_ERROR_TIMEOUT,         SD_BUS_ERROR_NO_SERVER,
                SD_BUS_ERROR_NO_MEMORY,       SD_BUS_ERROR_IO_ERROR,
                SD_BUS_ERROR_LIMITS_EXCEEDED, BUS_ERROR_ACTIVATION_TIMED_OUT,
        };

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (sd_bus_error_has_name(error, names[i]))
                        return true;
        return client_error_is_undelivered(error) || startswith(error->name, "System.Error.");
}
