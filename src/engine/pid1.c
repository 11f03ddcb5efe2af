/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See pid1.h. */

#include "engine/pid1.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/string-util.h"

static int on_subscribed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const sd_bus_error *e = sd_bus_message_get_error(m);

        if (e)
                log_debug("Could not subscribe to PID 1's signals: %s", e->message);
        return 0;
}

int pid1_init(Pid1 *pid1, sd_bus *bus)
{
        *pid1 = (Pid1) { .bus = sd_bus_ref(bus), .calls = { .bus = bus, .at_once = PID1_CALLS_AT_ONCE_MAX } };
        return sd_bus_call_method_async(bus, &pid1->subscribe_slot, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_IFACE_MANAGER,
                                        "Subscribe", on_subscribed, NULL, NULL);
}

void pid1_done(Pid1 *pid1)
{
        call_queue_done(&pid1->calls);
        sd_bus_slot_unref(pid1->subscribe_slot);
        sd_bus_unref(pid1->bus);
}

static int call(Pid1 *pid1, const char *path, const char *interface, const char *member, const char *argument,
                const char *second, CallHandler handler, void *userdata, QueuedCall **ret)
{
        sd_bus_message *m = NULL;
        int r;

        r = sd_bus_message_new_method_call(pid1->bus, &m, SYSTEMD_NAME, path, interface, member);
        if (r >= 0)
                r = sd_bus_message_append_basic(m, 's', argument);
        if (r >= 0 && second)
                r = sd_bus_message_append_basic(m, 's', second);
        if (r >= 0)
                r = call_queue_add(&pid1->calls, m, handler, userdata, ret);
        sd_bus_message_unref(m);
        return r;
}

int pid1_call_manager(Pid1 *pid1, const char *member, const char *unit, const char *mode, CallHandler handler,
                      void *userdata, QueuedCall **ret)
{
        return call(pid1, SYSTEMD_PATH, SYSTEMD_IFACE_MANAGER, member, unit, mode, handler, userdata, ret);
}

int pid1_kill_unit(Pid1 *pid1, const char *unit, CallHandler handler, void *userdata, QueuedCall **ret)
{
        sd_bus_message *m = NULL;
        int r;

        r = sd_bus_message_new_method_call(pid1->bus, &m, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_IFACE_MANAGER,
                                           "KillUnit");
        if (r >= 0)
                r = sd_bus_message_append(m, "ssi", unit, "all", SIGKILL);
        if (r >= 0)
                r = call_queue_add(&pid1->calls, m, handler, userdata, ret);
        sd_bus_message_unref(m);
        return r;
}

int pid1_get_all(Pid1 *pid1, const char *path, const char *interface, CallHandler handler, void *userdata,
                 QueuedCall **ret)
{
        return call(pid1, path, PROPERTIES_IFACE, "GetAll", interface, NULL, handler, userdata, ret);
}

int pid1_get_system_state(Pid1 *pid1, CallHandler handler, void *userdata, QueuedCall **ret)
{
        return call(pid1, SYSTEMD_PATH, PROPERTIES_IFACE, "Get", SYSTEMD_IFACE_MANAGER, "SystemState", handler,
                    userdata, ret);
}

bool pid1_is_stopping(int error, sd_bus_message *reply)
{
        const char *state;

        return error >= 0 && sd_bus_message_read(reply, "v", "s", &state) > 0 && streq(state, "stopping");
}

int pid1_read_properties(int error, sd_bus_message *reply, UnitProperties *p)
{
        return error < 0 ? error : MIN(unit_properties_read(reply, p), 0);
}

void pid1_explain_refusal(const char *unit, int error, sd_bus_message *reply, char *ret, size_t size)
{
        const sd_bus_error *e = reply ? sd_bus_message_get_error(reply) : NULL;

        /* It passes on, too, that polkit, which it asks, cannot be started, being masked. */
        if (sd_bus_error_has_name(e, SYSTEMD_NAME ".UnitMasked") && strstr(strempty(e->message), unit))
                (void) snprintf(ret, size, "%s is masked. 'systemctl unmask %s' lets it run again.", unit, unit);
        else if (sd_bus_error_has_name(e, SD_BUS_ERROR_ACCESS_DENIED))
                (void) snprintf(ret, size,
                                "PID 1 does not let syncrund start %s: is polkit running, and is syncrun's rule "
                                "installed?",
                                unit);
        else
                (void) snprintf(ret, size, "%s could not be started: %s", unit,
                                e && e->message ? e->message : strerror(-error));
}

void pid1_explain_job(const char *unit, int exit_status, const char *result, char *ret, size_t size)
{
        static const struct {
                int status;
                const char *what;
        } statuses[] = {
                { 203, "its program could not be executed" },
                { 217, "its user could not be made" },
                { 226, "its mount namespace could not be set up" },
                { 238, "its state directory could not be made" },
                { 243, "its credentials could not be loaded" },
        };
        const char *what = NULL;

        for (size_t i = 0; i < ELEMENTSOF(statuses); i++)
                if (exit_status == statuses[i].status)
                        what = statuses[i].what;
        if (what)
                (void) snprintf(ret, size, "%s could not be started: %s. See 'systemctl status %s'.", unit, what,
                                unit);
        else
                (void) snprintf(ret, size, "%s could not be started (job result \"%s\"). See 'systemctl status %s'.",
                                unit, result, unit);
}
