/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* org.freedesktop.LogControl1, for `systemctl service-log-level syncrund`. To set is for root and the daemon's own
 * user: sd-bus itself asks for that where a row is not SD_BUS_VTABLE_UNPRIVILEGED. */

#include "base/log.h"
#include "bus/bus-error.h"
#include "bus/bus-private.h"

static int level_get(sd_bus *b, const char *path, const char *interface, const char *property, sd_bus_message *reply,
                     void *userdata, sd_bus_error *error)
{
        return sd_bus_message_append(reply, "s", log_level_to_string(log_get_level()));
}

static int level_set(sd_bus *b, const char *path, const char *interface, const char *property, sd_bus_message *value,
                     void *userdata, sd_bus_error *error)
{
        const char *word;
        int level, r;

        r = sd_bus_message_read(value, "s", &word);
        if (r < 0)
                return r;
        level = log_level_from_string(word);
        if (level < 0)
                return bus_refuse_text(error, -EINVAL, "There is no log level '%s'.", word);
        log_set_level(level);
        return 0;
}

static int target_get(sd_bus *b, const char *path, const char *interface, const char *property, sd_bus_message *reply,
                      void *userdata, sd_bus_error *error)
{
        return sd_bus_message_append(reply, "s", log_target_to_string(log_get_target()));
}

static int target_set(sd_bus *b, const char *path, const char *interface, const char *property, sd_bus_message *value,
                      void *userdata, sd_bus_error *error)
{
        LogTarget target;
        const char *word;
        int r;

        r = sd_bus_message_read(value, "s", &word);
        if (r < 0)
                return r;
        target = log_target_from_string(word);
        if (target < 0)
                return bus_refuse_text(error, -EINVAL, "There is no log target '%s'.", word);
        log_set_target(target);
        return 0;
}

static int identifier_get(sd_bus *b, const char *path, const char *interface, const char *property,
                          sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        return sd_bus_message_append(reply, "s", log_identifier());
}

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_WRITABLE_PROPERTY("LogLevel", "s", level_get, level_set, 0, 0),
        SD_BUS_WRITABLE_PROPERTY("LogTarget", "s", target_get, target_set, 0, 0),
        SD_BUS_PROPERTY("SyslogIdentifier", "s", identifier_get, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_VTABLE_END,
};

const BusObject log_control_object = {
        .path = "/org/freedesktop/LogControl1",
        .interface = "org.freedesktop.LogControl1",
        .vtable = vtable,
};
