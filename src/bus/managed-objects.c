/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A bound for GetManagedObjects(). The reply is sd-bus's to make and grows with the number of objects; a bus throws
 * out who sends more than it takes (dbus-daemon: 32 MiB), and anybody may ask. */

#include "base/string-util.h"
#include "bus/bus-error.h"
#include "bus/bus-private.h"

/* Bytes of all objects with their properties. */
#define MANAGED_OBJECTS_BYTES_MAX (8 * MIB)

/* Of an object, beside its properties: interfaces that each object has, lengths, padding. Not less than is sent. */
#define OBJECT_BYTES 512U

static int count_object(const BusObject *object, const PropertyTable *table, const char *id, const void *value,
                        uint64_t *n_bytes)
{
        /* a path has three characters for one that is not a letter or digit */
        *n_bytes += OBJECT_BYTES + strlen(object->path) + 3 * strlen(id);
        return property_bytes(table, value, n_bytes);
}

/* Not looked at past the limit, so that the cost has a bound, too. Return: 1; 0; -ENOMEM. */
static int is_too_much(Bus *bus)
{
        PublishedConnection *published, *next_published;
        const Connector *connector = NULL;
        const Run *run = NULL;
        uint64_t n_bytes = 0;
        int r = 0;

        while (r >= 0 && n_bytes <= MANAGED_OBJECTS_BYTES_MAX && (run = engine_next_run(bus->engine, run)))
                r = count_object(&run_object, &run_properties, run->id, run, &n_bytes);
        while (r >= 0 && n_bytes <= MANAGED_OBJECTS_BYTES_MAX &&
               (connector = engine_next_connector(bus->engine, connector)))
                r = count_object(&connector_object, &connector_properties, connector->definition->name, connector,
                                 &n_bytes);
        HASH_ITER(hh, bus->connections, published, next_published) {
                if (r < 0 || n_bytes > MANAGED_OBJECTS_BYTES_MAX)
                        break;
                r = count_object(&connection_object, &connection_properties, published->name, published, &n_bytes);
        }
        return r < 0 ? r : n_bytes > MANAGED_OBJECTS_BYTES_MAX;
}

/* Before sd-bus's own handler. Another path is refused there. */
static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Bus *bus = userdata;
        int r;

        if (!sd_bus_message_is_method_call(m, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects") ||
            !streq_null(sd_bus_message_get_path(m), SYNCRUN_PATH))
                return 0;
        r = is_too_much(bus);
        if (r < 0)
                return bus_refuse(error, r);
        if (r == 0)
                return 0;
        return sd_bus_reply_method_errorf(m, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                          "The objects are more than %llu bytes. DescribeConnectors(), DescribeRuns() "
                                          "and DescribeConnections() of %s give them page by page.",
                                          MANAGED_OBJECTS_BYTES_MAX, SYNCRUN_IFACE_MANAGER);
}

int managed_objects_publish(Bus *bus, sd_bus_slot **ret_slots)
{
        int r = sd_bus_add_filter(bus->options.bus, ret_slots, on_message, bus);

        return r < 0 ? r : sd_bus_add_object_manager(bus->options.bus, ret_slots + 1, SYNCRUN_PATH);
}
