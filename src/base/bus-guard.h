/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What no connection of ours to a bus believes. Anybody on the bus may send a signal to a connection by its name: such
 * a one is delivered whatever the connection listens for, and sd-bus, which cannot know who owns a well-known name,
 * does not compare its sender with that of a match. What a match asked for, the bus itself compares, and sends to
 * nobody by name. */

#include <systemd/sd-bus.h>

#include "base/macros.h"

/**
 * bus_guard() - drop every signal that is sent to this connection by name
 * @bus: before anything is listened for; its matches must name their sender
 *
 * Neither PID 1, the bus driver (but for NameAcquired and NameLost, which nobody here listens for) nor syncrund send
 * any.
 *
 * Return: 0; negative errno.
 */
int bus_guard(sd_bus *bus) _must_check_;
