/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which caller is syncrun-http, the HTTP shim: it runs as a dynamic user, so that its uid is what PID 1 says of its
 * unit. The name is not looked up: that may block. */

#include <systemd/sd-bus.h>

#include "bus/bus.h"

/**
 * shim_ask() - ask PID 1 for the uid that the shim's unit runs with
 * @ret_slot: unreferencing it cancels
 *
 * The callback gives its message to shim_read(). Return: 0; negative errno.
 */
int shim_ask(Bus *bus, sd_bus_message_handler_t callback, void *userdata, sd_bus_slot **ret_slot) _must_check_;

/* Return: 0; -ENOENT (it does not run, or there is no systemd); -EAGAIN (PID 1 did not answer, or could not); -ENOMEM.
 */
int shim_read(sd_bus_message *reply, uid_t *ret) _must_check_;

/* ---- On whose behalf it calls */

#define REQUESTED_BY_MAX 136U /* bytes of "uid:1000", "key:NAME" or "jwt:SUBJECT", with the closing NUL */

/**
 * requested_by_read() - who asks, for the record
 * @on_behalf_of: the option of that name: an API key's name, or "jwt:SUBJECT"; NULL: the caller itself
 *
 * Return: 0; negative errno with @error set: no such key (any more), or no such words.
 */
int requested_by_read(Bus *bus, uid_t caller, const char *on_behalf_of, char ret[static REQUESTED_BY_MAX],
                      sd_bus_error *error) _must_check_;

/* a{sv} with on_behalf_of alone; borrowed from the message. Return: 0; negative errno with @error set. */
int on_behalf_of_read(sd_bus_message *m, const char **ret, sd_bus_error *error) _must_check_;
