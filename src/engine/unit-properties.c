/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See unit-properties.h. */

#include "engine/unit-properties.h"

#include <stdio.h>
#include <string.h>

#include "base/string-util.h"

static int read_invocation(sd_bus_message *m, char ret[static INVOCATION_TEXT_MAX])
{
        const uint8_t *bytes;
        size_t n;
        int r;

        r = sd_bus_message_read_array(m, 'y', (const void **) &bytes, &n);
        if (r < 0)
                return r;
        ret[0] = '\0';
        for (size_t i = 0; n == 16 && i < n; i++)
                (void) snprintf(ret + 2 * i, 3, "%02x", bytes[i]);
        return 0;
}

static int read_job(sd_bus_message *m, char ret[static JOB_PATH_SIZE])
{
        const char *path;
        uint32_t id;
        int r;

        r = sd_bus_message_read(m, "(uo)", &id, &path);
        if (r < 0)
                return r;
        (void) snprintf(ret, JOB_PATH_SIZE, "%s", path);
        return 0;
}

static int read_text(sd_bus_message *m, char *ret, size_t size)
{
        const char *s;
        int r;

        r = sd_bus_message_read(m, "s", &s);
        if (r < 0)
                return r;
        (void) snprintf(ret, size, "%s", s);
        return 0;
}

static const struct {
        const char *name;
        const char *signature;
        size_t offset;
        size_t size; /* of a text */
} unit_property_table[] = {
        { "ActiveState", "s", offsetof(UnitProperties, active_state), sizeof(((UnitProperties *) 0)->active_state) },
        { "SubState", "s", offsetof(UnitProperties, sub_state), sizeof(((UnitProperties *) 0)->sub_state) },
        { "Result", "s", offsetof(UnitProperties, result), sizeof(((UnitProperties *) 0)->result) },
        { "InvocationID", "ay", offsetof(UnitProperties, invocation), 0 },
        { "Job", "(uo)", offsetof(UnitProperties, job), 0 },
        { "MainPID", "u", offsetof(UnitProperties, main_pid), 0 },
        { "UID", "u", offsetof(UnitProperties, uid), 0 },
        { "ExecMainCode", "i", offsetof(UnitProperties, exit_code), 0 },
        { "ExecMainStatus", "i", offsetof(UnitProperties, exit_status), 0 },
        { "CPUUsageNSec", "t", offsetof(UnitProperties, cpu_nsec), 0 },
        { "MemoryPeak", "t", offsetof(UnitProperties, memory_peak_bytes), 0 }, /* since systemd 255 */
        { "IOReadBytes", "t", offsetof(UnitProperties, io_read_bytes), 0 },
        { "IOWriteBytes", "t", offsetof(UnitProperties, io_write_bytes), 0 },
};

static int read_property(sd_bus_message *m, const char *name, UnitProperties *p)
{
        for (size_t i = 0; i < ELEMENTSOF(unit_property_table); i++) {
                const char *signature = unit_property_table[i].signature;
                char *target = (char *) p + unit_property_table[i].offset;
                int r;

                if (!streq(unit_property_table[i].name, name))
                        continue;
                r = sd_bus_message_enter_container(m, 'v', signature);
                if (r < 0)
                        return r;
                if (streq(signature, "s"))
                        r = read_text(m, target, unit_property_table[i].size);
                else if (streq(signature, "ay"))
                        r = read_invocation(m, target);
                else if (streq(signature, "(uo)"))
                        r = read_job(m, target);
                else
                        r = sd_bus_message_read_basic(m, signature[0], target);
                return r < 0 ? r : sd_bus_message_exit_container(m);
        }
        return sd_bus_message_skip(m, "v");
}

int unit_properties_read(sd_bus_message *m, UnitProperties *p)
{
        const char *name;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                if ((r = sd_bus_message_read_basic(m, 's', &name)) < 0 || (r = read_property(m, name, p)) < 0 ||
                    (r = sd_bus_message_exit_container(m)) < 0)
                        return r;
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

bool unit_has_ended(const UnitProperties *p)
{
        return streq(p->active_state, "inactive") || streq(p->active_state, "failed");
}
