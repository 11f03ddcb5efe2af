/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Puts the objects on the bus. What an object has stands in its own file; what goes out by itself in emit.c. */

#include "bus/bus.h"

#include "base/log.h"
#include "base/string-util.h"
#include "bus/access.h"
#include "bus/bus-error.h"
#include "bus/bus-private.h"
#include "bus/reads.h"
#include "bus/sender.h"

const BusObject *const bus_objects[] = {
        &manager_object, &connector_object, &worker_object, &run_object, &connection_object, &log_control_object, NULL,
};

int bus_new(const BusOptions *options, Bus **ret)
{
        Bus *bus = calloc(1, sizeof(*bus));

        if (!bus)
                return -ENOMEM;
        bus->options = *options;
        access_init(bus);
        emit_init(bus);
        *ret = bus;
        return 0;
}

Bus *bus_free(Bus *bus)
{
        Pending *pending;

        if (!bus)
                return NULL;
        for (size_t i = 0; i < bus->n_slots; i++)
                sd_bus_slot_unref(bus->slots[i]);
        free(bus->slots);
        while ((pending = bus->pendings))
                pending_free(pending);
        access_free(bus);
        reads_free(bus);
        workers_free(bus);
        senders_free(bus);
        emit_done(bus);
        free(bus);
        return NULL;
}

const EngineObserver *bus_observer(Bus *bus)
{
        return &bus->observer;
}

Bus *bus_current(sd_bus *bus)
{
        return sd_bus_slot_get_userdata(sd_bus_get_current_slot(bus));
}

int node_list_add(char ***nodes, const char *prefix, const char *id)
{
        char *path;
        int r;

        r = sd_bus_path_encode(prefix, id, &path);
        return r < 0 ? r : strv_consume(nodes, path);
}

int object_name(const char *path, const char *prefix, char **ret)
{
        return sd_bus_path_decode(path, prefix, ret);
}

int object_of_call(sd_bus_message *m, const char *prefix, char **ret, sd_bus_error *error)
{
        const char *name;
        int r;

        r = object_name(sd_bus_message_get_path(m), prefix, ret);
        if (r == 0) {
                r = sd_bus_message_read(m, "s", &name);
                if (r >= 0)
                        r = free_and_strdup(ret, name);
        }
        return r < 0 ? bus_refuse(error, r) : 0;
}

static int add_object(Bus *bus, const BusObject *object)
{
        sd_bus *b = bus->options.bus;
        int r;

        if (object->find)
                r = sd_bus_add_fallback_vtable(b, &bus->slots[bus->n_slots], object->path, object->interface,
                                               object->vtable, object->find, bus);
        else
                r = sd_bus_add_object_vtable(b, &bus->slots[bus->n_slots], object->path, object->interface,
                                             object->vtable, bus);
        if (r < 0)
                return log_debug_errno(r, "Cannot add %s at %s: %m", object->interface, object->path);
        bus->n_slots++;
        if (!object->enumerate)
                return 0;
        r = sd_bus_add_node_enumerator(b, &bus->slots[bus->n_slots], object->path, object->enumerate, bus);
        if (r < 0)
                return log_debug_errno(r, "Cannot list what is below %s: %m", object->path);
        bus->n_slots++;
        return 0;
}

int bus_publish(Bus *bus, Engine *engine)
{
        int r;

        bus->engine = engine;
        r = reads_publish(bus);
        if (r < 0)
                return r;
        bus->slots = calloc(2 * ELEMENTSOF(bus_objects) + 2, sizeof(sd_bus_slot *));
        if (!bus->slots)
                return -ENOMEM;
        for (const BusObject *const *object = bus_objects; *object; object++) {
                r = add_object(bus, *object);
                if (r < 0)
                        return r;
        }
        r = managed_objects_publish(bus, &bus->slots[bus->n_slots]);
        bus->n_slots += 2;
        if (r < 0)
                return r;
        return emit_publish(bus);
}

int bus_request_name(Bus *bus)
{
        int r;

        r = sd_bus_request_name(bus->options.bus, SYNCRUN_BUS_NAME, 0);
        return r < 0 ? r : 0;
}
