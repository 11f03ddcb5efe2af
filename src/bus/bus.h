/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The engine's D-Bus face: org.syncrun1. The contract is dbus/org.syncrun1.*.xml. */

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "engine/engine.h"

typedef struct Bus Bus;

typedef struct BusOptions {
        sd_event *event; /* borrowed */
        sd_bus *bus;     /* connected and attached to the loop; borrowed */
        /* Manager.Reload() and nothing else; NULL: not supported. Return: 0 or negative errno. */
        int (*reload)(void *userdata);
        /* The engine's numbers changed. NULL: nobody wants to know. */
        void (*status_changed)(void *userdata);
        void *userdata;
} BusOptions;

/**
 * bus_new() - a face without an engine yet
 * @options: copied
 * @ret:     set on success only; freed by bus_free(), after the engine
 *
 * Return: 0; -ENOMEM; negative errno.
 */
int bus_new(const BusOptions *options, Bus **ret) _must_check_;
Bus *bus_free(Bus *bus);
DEFINE_TRIVIAL_CLEANUP_FUNC(Bus *, bus_free);

/* What engine_new() is to be given; borrowed from @bus, which must outlive the engine. */
const EngineObserver *bus_observer(Bus *bus);

/**
 * bus_publish() - add the objects to the bus; signals flow from now on
 * @engine: started; borrowed, freed before @bus
 *
 * The well-known name is not requested here: see bus_request_name().
 *
 * Return: 0; negative errno of sd-bus or the store.
 */
int bus_publish(Bus *bus, Engine *engine) _must_check_;

/* Context: waits for the bus. Return: 0; -EEXIST (another process has the name); negative errno. */
int bus_request_name(Bus *bus) _must_check_;
