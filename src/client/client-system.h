/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the service stands on, asked over the bus: systemd's units and polkit's actions. */

#include "client/client.h"

/**
 * client_unit_text() - a property of a unit that is a string
 * @interface: "Unit" or "Service"
 * @ret:       set on success only; freed by the caller
 *
 * A unit that there is not has the LoadState "not-found".
 *
 * Context: blocks for the answer.
 * Return: 0; negative errno.
 */
int client_unit_text(Client *client, const char *unit, const char *interface, const char *property,
                     char **ret) _must_check_;

/**
 * client_count_actions() - how many of our actions polkit knows
 *
 * Context: blocks; starts polkitd where it is not running.
 * Return: their number; negative errno.
 */
int client_count_actions(Client *client) _must_check_;
