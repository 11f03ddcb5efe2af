/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Large answers. Reading is open to everybody, and the loop makes an answer in one go: so large ones take turns, user
 * by user, one each time when the loop has nothing else to do, and now and then in any case. What is small is never
 * behind them but for the one that is being made. */

#include <systemd/sd-bus.h>

#include "bus/bus.h"

/* Calls for large answers that wait, of one uid and of all. One above a user's share is refused with QueueFull; one
 * above the whole takes the place of the newest of the user with the most. The HTTP server, one uid for all its
 * clients, takes turns among those itself: it has room for all that it may send (CLIENT_SENT_MAX and
 * CLIENT_SENT_ALONE_MAX). */
#define READS_PER_USER_MAX 120U
#define READS_MAX          512U

/* What is large: more may be in it. */
#define READ_LARGE_ROWS     200U
#define READ_LARGE_EVENTS   50U
#define READ_LARGE_ACCOUNTS 5U /* runs, each with its accounts */

/**
 * read_waits() - whether a call for a large answer has to wait for its turn
 *
 * When it is, its method is called once more, and does not have to. A call whose caller leaves the bus is dropped. The
 * methods that may call this stand in a table of reads.c.
 *
 * Return: 1, for the method to return; 0 go on; negative errno: refused in @error.
 */
int read_waits(Bus *bus, sd_bus_message *m, sd_bus_error *error) _must_check_;

/* Before any call. Return: 0 or negative errno. */
int reads_publish(Bus *bus) _must_check_;
void reads_free(Bus *bus);
