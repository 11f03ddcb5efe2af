/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "client/client-system.h"

#include <stdlib.h>

#include "base/names.h"
#include "base/string-util.h"

#define SYSTEMD      "org.freedesktop.systemd1"
#define SYSTEMD_PATH "/org/freedesktop/systemd1"
#define POLKIT       "org.freedesktop.PolicyKit1"
#define POLKIT_PATH  "/org/freedesktop/PolicyKit1/Authority"

int client_unit_text(Client *client, const char *unit, const char *interface, const char *property, char **ret)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_free_ char *whole = asprintf_or_null(SYSTEMD ".%s", interface);
        const char *path;
        int r;

        if (!whole)
                return -ENOMEM;
        r = sd_bus_call_method(client_bus(client), SYSTEMD, SYSTEMD_PATH, SYSTEMD ".Manager", "LoadUnit", &error,
                               &reply, "s", unit);
        if (r >= 0)
                r = sd_bus_message_read(reply, "o", &path);
        if (r < 0)
                return r;
        r = sd_bus_get_property_string(client_bus(client), SYSTEMD, path, whole, property, &error, ret);
        return MIN(r, 0);
}

int client_count_actions(Client *client)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *name;
        int n = 0, r;

        r = sd_bus_call_method(client_bus(client), POLKIT, POLKIT_PATH, POLKIT ".Authority", "EnumerateActions",
                               &error, &reply, "s", "");
        if (r >= 0)
                r = sd_bus_message_enter_container(reply, 'a', "(ssssssuuua{ss})");
        while (r >= 0 && (r = sd_bus_message_enter_container(reply, 'r', "ssssssuuua{ss}")) > 0) {
                r = sd_bus_message_read(reply, "s", &name);
                if (r >= 0 && startswith(name, SYNCRUN_BUS_NAME "."))
                        n++;
                if (r >= 0)
                        r = sd_bus_message_skip(reply, "sssssuuua{ss}");
                if (r >= 0)
                        r = sd_bus_message_exit_container(reply);
        }
        return r < 0 ? r : n;
}
