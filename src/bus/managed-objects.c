/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* GetManagedObjects(). The reply grows with the number of objects; a bus throws out who sends more than it takes
 * (dbus-daemon: 32 MiB), and anybody may ask: so there is a bound, and it takes turns with other large answers. sd-bus
 * would make it by itself, but only at once. */

#include "base/string-util.h"
#include "bus/bus-error.h"
#include "bus/bus-private.h"
#include "bus/reads.h"

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

/* As an {sa{sv}}. @table: NULL: it has no properties. */
static int append_interface(sd_bus_message *reply, const char *interface, const PropertyTable *table,
                            const void *value)
{
        int r;

        r = sd_bus_message_open_container(reply, 'e', "sa{sv}");
        if (r >= 0)
                r = sd_bus_message_append_basic(reply, 's', interface);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "{sv}");
        for (size_t i = 0; r >= 0 && table && i < table->n_rows; i++) {
                if (!property_goes_with_others(&table->rows[i]))
                        continue;
                r = sd_bus_message_open_container(reply, 'e', "sv");
                if (r >= 0)
                        r = sd_bus_message_append_basic(reply, 's', table->rows[i].name);
                if (r >= 0)
                        r = sd_bus_message_open_container(reply, 'v', table->rows[i].type);
                if (r >= 0)
                        r = property_append_row(&table->rows[i], value, reply);
                if (r >= 0)
                        r = sd_bus_message_close_container(reply);
                if (r >= 0)
                        r = sd_bus_message_close_container(reply);
        }
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

/* As an {oa{sa{sv}}}. */
static int append_object(sd_bus_message *reply, const BusObject *object, const PropertyTable *table, const char *id,
                         const void *value)
{
        _cleanup_free_ char *path = NULL;
        int r;

        r = sd_bus_path_encode(object->path, id, &path);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'e', "oa{sa{sv}}");
        if (r >= 0)
                r = sd_bus_message_append_basic(reply, 'o', path);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "{sa{sv}}");
        for (size_t i = 0; r >= 0 && i < STANDARD_INTERFACES; i++)
                r = append_interface(reply, standard_interfaces[i], NULL, NULL);
        for (const BusObject *const *other = bus_objects; r >= 0 && *other; other++)
                if (streq((*other)->path, object->path))
                        r = append_interface(reply, (*other)->interface, *other == object ? table : NULL, value);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int append_objects(Bus *bus, sd_bus_message *reply)
{
        PublishedConnection *published, *next_published;
        const Connector *connector = NULL;
        const Run *run = NULL;
        int r;

        r = sd_bus_message_open_container(reply, 'a', "{oa{sa{sv}}}");
        while (r >= 0 && (run = engine_next_run(bus->engine, run)))
                r = append_object(reply, &run_object, &run_properties, run->id, run);
        while (r >= 0 && (connector = engine_next_connector(bus->engine, connector)))
                r = append_object(reply, &connector_object, &connector_properties, connector->definition->name,
                                  connector);
        HASH_ITER(hh, bus->connections, published, next_published)
                if (r >= 0)
                        r = append_object(reply, &connection_object, &connection_properties, published->name,
                                          published);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

int method_managed_objects(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        Bus *bus = userdata;
        int r;

        r = read_waits(bus, m, error);
        if (r != 0)
                return r;
        r = is_too_much(bus);
        if (r > 0)
                return sd_bus_error_setf(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                         "The objects are more than %llu bytes. DescribeConnectors(), DescribeRuns() "
                                         "and DescribeConnections() of %s give them page by page.",
                                         MANAGED_OBJECTS_BYTES_MAX, SYNCRUN_IFACE_MANAGER);
        if (r == 0)
                r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = append_objects(bus, reply);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        return r < 0 ? bus_refuse(error, r) : 1;
}

/* Before sd-bus's own handler. Another path is refused there. */
static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        if (!sd_bus_message_is_method_call(m, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects") ||
            !streq_null(sd_bus_message_get_path(m), SYNCRUN_PATH))
                return 0;
        return method_managed_objects(m, userdata, error);
}

int managed_objects_publish(Bus *bus, sd_bus_slot **ret_slots)
{
        int r = sd_bus_add_filter(bus->options.bus, ret_slots, on_message, bus);

        return r < 0 ? r : sd_bus_add_object_manager(bus->options.bus, ret_slots + 1, SYNCRUN_PATH);
}
