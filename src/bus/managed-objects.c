/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A bound for GetManagedObjects(). The reply is sd-bus's to make and grows with the number of objects; a bus throws
 * out who sends more than it takes (dbus-daemon: 32 MiB), and anybody may ask. */

#include "base/string-util.h"
#include "bus/bus-private.h"

/* Bytes of all objects with their properties. */
#define MANAGED_OBJECTS_BYTES_MAX (8 * MIB)

/* Of an object, beside its properties: interfaces that each object has, lengths, padding. Not less than is sent. */
#define OBJECT_BYTES 512U

static uint64_t object_bytes(const BusObject *object, const PropertyTable *table, const char *id, const void *value)
{
        /* a path has three characters for one that is not a letter or digit */
        return OBJECT_BYTES + strlen(object->path) + 3 * strlen(id) + property_bytes(table, value);
}

/* Not looked at past the limit, so that the cost has a bound, too. */
static bool is_too_much(Bus *bus)
{
        PublishedConnection *published, *next_published;
        const Connector *connector = NULL;
        const Run *run = NULL;
        uint64_t n_bytes = 0;

        while (n_bytes <= MANAGED_OBJECTS_BYTES_MAX && (run = engine_next_run(bus->engine, run)))
                n_bytes += object_bytes(&run_object, &run_properties, run->id, run);
        while (n_bytes <= MANAGED_OBJECTS_BYTES_MAX && (connector = engine_next_connector(bus->engine, connector)))
                n_bytes += object_bytes(&connector_object, &connector_properties, connector->definition->name,
                                        connector);
        HASH_ITER(hh, bus->connections, published, next_published) {
                if (n_bytes > MANAGED_OBJECTS_BYTES_MAX)
                        break;
                n_bytes += object_bytes(&connection_object, &connection_properties, published->name, published);
        }
        return n_bytes > MANAGED_OBJECTS_BYTES_MAX;
}

/* Before sd-bus's own handler. Another path is refused there. */
static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Bus *bus = userdata;

        if (!sd_bus_message_is_method_call(m, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects") ||
            !streq_null(sd_bus_message_get_path(m), SYNCRUN_PATH) || !is_too_much(bus))
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
