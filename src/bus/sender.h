/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Uid and pid of callers. The bus driver is asked once for each unique name, which the bus never gives to another, so
 * that what is known of one stays true. */

#include "bus/access.h"

/* Remembered. Of one more, the user that has the most is forgotten the one that has not asked for the longest, who is
 * asked for anew. */
#define SENDERS_MAX 512U

/* Borrowed, until the next turn of the loop; NULL: not known yet. */
const Caller *sender_find(Bus *bus, const char *name);

/**
 * sender_ask() - ask the bus driver
 * @ret_slot: unreferencing it cancels
 *
 * The callback gives its message to sender_read(). Return: 0; -ENOMEM; -EAGAIN (the bus takes no question now).
 */
int sender_ask(Bus *bus, const char *name, sd_bus_message_handler_t callback, void *userdata,
               sd_bus_slot **ret_slot) _must_check_;

/* Reads the driver's answer and remembers it. Return: 0; -EACCES (the sender has gone, or the bus does not vouch);
 * -EAGAIN (the driver did not answer, or could not: nothing is known about the sender); -ENOMEM. */
int sender_read(Bus *bus, const char *name, sd_bus_message *reply, Caller *ret) _must_check_;

/* It was found out; forgotten with the sender. */
void sender_set_shim(Bus *bus, const char *name, bool is_shim);

void senders_free(Bus *bus);
