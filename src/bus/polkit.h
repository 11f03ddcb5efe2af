/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Asking polkit about a caller of ours. What the answer is for is access.c's business. */

#include <systemd/sd-bus.h>

#include "bus/access.h"

typedef enum PolkitAnswer {
        POLKIT_NO,
        POLKIT_YES,
        POLKIT_CHALLENGE, /* a person could be asked, but the call does not allow it */
        POLKIT_MISSING,   /* there is no polkit */
} PolkitAnswer;

/**
 * polkit_ask() - may the sender of @m do @action?
 * @ret_slot: unreferencing it cancels
 *
 * The callback gives its message to polkit_read(). A person is asked only where the call allows interaction, and then
 * may take any time. Return: 0; negative errno.
 */
int polkit_ask(sd_bus_message *m, const char *action, const AccessSubject *subject, sd_bus_message_handler_t callback,
               void *userdata, sd_bus_slot **ret_slot) _must_check_;

PolkitAnswer polkit_read(sd_bus_message *reply);
