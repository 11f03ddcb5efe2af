/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How a client gets at the bus, and which errors say that nobody is there. For the files of client/ alone. */

#include <systemd/sd-bus.h>

#include "base/macros.h"

/* What dbus-daemon says when it has waited long enough (25 s) for what it had started. */
#define BUS_ERROR_ACTIVATION_TIMED_OUT "org.freedesktop.DBus.Error.TimedOut"

/**
 * client_bus_open() - connect to SYNCRUN_BUS_ADDRESS, or to the system bus
 * @ret: set on success only
 *
 * Context: blocks for connect(2) alone; the rest of the handshake is the connection's own.
 * Return: 0; negative errno.
 */
int client_bus_open(sd_bus **ret) _must_check_;

/* Whether an answer is none of the daemon's: it may be there again in a moment, and the call may have been recorded.
 */
bool client_error_is_absence(const sd_bus_error *error);

/* Whether it is one that is given before the daemon has seen the call. */
bool client_error_is_undelivered(const sd_bus_error *error);
