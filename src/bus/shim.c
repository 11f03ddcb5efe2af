/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "bus/shim.h"

#include <stdio.h>

#include "base/log.h"
#include "base/string-util.h"
#include "bus/bus-error.h"
#include "bus/bus-private.h"
#include "bus/option.h"
#include "engine/api-keys.h"

#define SYSTEMD_NAME          "org.freedesktop.systemd1"
#define SYSTEMD_PATH_UNIT     "/org/freedesktop/systemd1/unit"
#define SYSTEMD_IFACE_SERVICE "org.freedesktop.systemd1.Service"

int shim_ask(Bus *bus, sd_bus_message_handler_t callback, void *userdata, sd_bus_slot **ret_slot)
{
        _cleanup_free_ char *path = NULL;
        int r;

        r = sd_bus_path_encode(SYSTEMD_PATH_UNIT, SYNCRUN_HTTP_UNIT, &path);
        if (r >= 0)
                r = sd_bus_call_method_async(bus->options.bus, ret_slot, SYSTEMD_NAME, path,
                                             "org.freedesktop.DBus.Properties", "Get", callback, userdata, "ss",
                                             SYSTEMD_IFACE_SERVICE, "UID");
        return MIN(r, 0);
}

int shim_read(sd_bus_message *reply, uid_t *ret)
{
        uint32_t uid;
        int r;

        if (sd_bus_message_is_method_error(reply, NULL)) {
                const sd_bus_error *error = sd_bus_message_get_error(reply);

                log_debug("PID 1 does not tell about " SYNCRUN_HTTP_UNIT ": %s", error->message);
                return sd_bus_error_has_name(error, SD_BUS_ERROR_SERVICE_UNKNOWN) ||
                                                       sd_bus_error_has_name(error, SD_BUS_ERROR_NAME_HAS_NO_OWNER)
                                       ? -ENOENT
                                       : -EAGAIN;
        }
        r = sd_bus_message_read(reply, "v", "u", &uid);
        if (r < 0)
                return r == -ENOMEM ? r : -EAGAIN;
        if (uid == UINT32_MAX)
                return -ENOENT;
        *ret = uid;
        return 0;
}

/* ---- On whose behalf it calls */

int requested_by_read(Bus *bus, uid_t caller, const char *on_behalf_of, char ret[static REQUESTED_BY_MAX],
                      sd_bus_error *error)
{
        const char *subject = on_behalf_of ? startswith(on_behalf_of, TOKEN_PREFIX) : NULL;

        if (!on_behalf_of)
                (void) snprintf(ret, REQUESTED_BY_MAX, "uid:%u", (unsigned) caller);
        else if (subject) {
                if (!token_subject_is_valid(subject))
                        return bus_refuse_text(error, -EINVAL,
                                               "on_behalf_of: a token's subject has 1 to %u bytes, none a control "
                                               "character.",
                                               TOKEN_SUBJECT_MAX);
                (void) snprintf(ret, REQUESTED_BY_MAX, "%s", on_behalf_of);
        } else {
                if (!engine_has_api_key(bus->engine, on_behalf_of))
                        return bus_refuse(error, -ENOKEY);
                (void) snprintf(ret, REQUESTED_BY_MAX, "key:%s", on_behalf_of);
        }
        return 0;
}

int on_behalf_of_read(sd_bus_message *m, const char **ret, sd_bus_error *error)
{
        static const OptionRow rows[] = {
                { "on_behalf_of", OPTION_STRING, 0 },
                { 0 },
        };

        *ret = NULL;
        return options_read(m, rows, ret, NULL, error);
}
