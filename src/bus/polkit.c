/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "bus/polkit.h"

#include "base/log.h"

#define POLKIT_FLAG_INTERACTION 1U

static int append_subject(sd_bus_message *call, const char *sender)
{
        return sd_bus_message_append(call, "(sa{sv})", "system-bus-name", 1, "name", "s", sender);
}

static int append_details(sd_bus_message *call, const AccessSubject *subject)
{
        int r;

        r = sd_bus_message_open_container(call, 'a', "{ss}");
        if (r >= 0 && subject->connector)
                r = sd_bus_message_append(call, "{ss}", "connector", subject->connector);
        if (r >= 0 && subject->run)
                r = sd_bus_message_append(call, "{ss}", "run", subject->run);
        return r < 0 ? r : sd_bus_message_close_container(call);
}

static int call_new(sd_bus_message *m, const char *action, const AccessSubject *subject, bool interactive,
                    sd_bus_message **ret)
{
        sd_bus_message *call;
        int r;

        r = sd_bus_message_new_method_call(sd_bus_message_get_bus(m), &call, "org.freedesktop.PolicyKit1",
                                           "/org/freedesktop/PolicyKit1/Authority",
                                           "org.freedesktop.PolicyKit1.Authority", "CheckAuthorization");
        if (r < 0)
                return r;
        r = append_subject(call, sd_bus_message_get_sender(m));
        if (r >= 0)
                r = sd_bus_message_append(call, "s", action);
        if (r >= 0)
                r = append_details(call, subject);
        if (r >= 0)
                r = sd_bus_message_append(call, "us", interactive ? POLKIT_FLAG_INTERACTION : 0U, "");
        if (r < 0) {
                sd_bus_message_unref(call);
                return r;
        }
        *ret = call;
        return 0;
}

int polkit_ask(sd_bus_message *m, const char *action, const AccessSubject *subject, sd_bus_message_handler_t callback,
               void *userdata, sd_bus_slot **ret_slot)
{
        bool interactive = sd_bus_message_get_allow_interactive_authorization(m) > 0;
        sd_bus_message *call;
        int r;

        r = call_new(m, action, subject, interactive, &call);
        if (r < 0)
                return r;
        r = sd_bus_call_async(sd_bus_message_get_bus(m), ret_slot, call, callback, userdata,
                              interactive ? UINT64_MAX : 0);
        sd_bus_message_unref(call);
        return r < 0 ? r : 0;
}

PolkitAnswer polkit_read(sd_bus_message *reply)
{
        int authorized, challenge, r;

        if (sd_bus_message_is_method_error(reply, NULL)) {
                const sd_bus_error *error = sd_bus_message_get_error(reply);

                /* Whatever keeps polkit from answering, the answer is not yes. */
                log_debug("polkit does not answer: %s: %s", error->name, error->message);
                return sd_bus_error_has_name(error, SD_BUS_ERROR_SERVICE_UNKNOWN) ||
                                                       sd_bus_error_has_name(error, SD_BUS_ERROR_NAME_HAS_NO_OWNER) ||
                                                       sd_bus_error_has_name(error, SD_BUS_ERROR_NO_REPLY)
                                       ? POLKIT_MISSING
                                       : POLKIT_NO;
        }
        r = sd_bus_message_enter_container(reply, 'r', "bba{ss}");
        if (r >= 0)
                r = sd_bus_message_read(reply, "bb", &authorized, &challenge);
        if (r < 0) {
                (void) log_debug_errno(r, "polkit's answer cannot be read: %m");
                return POLKIT_NO;
        }
        return authorized ? POLKIT_YES : challenge ? POLKIT_CHALLENGE : POLKIT_NO;
}
