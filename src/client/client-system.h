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

/* Which folders of the machine a unit's programs see, and what is shown to them all the same. */
typedef struct ClientUnitView {
        bool home_hidden;
        bool tmp_hidden;
        bool devices_hidden;
        char **shown;    /* by BindPaths= and BindReadOnlyPaths= */
        char **writable; /* by ReadWritePaths= and BindPaths=, "-" and "+" taken off */
} ClientUnitView;

void client_unit_view_done(ClientUnitView *view);
#define _cleanup_client_unit_view_ _cleanup_(client_unit_view_done)

/**
 * client_unit_view() - as the unit's files and drop-ins say it
 * @ret: set on success only; freed by client_unit_view_done()
 *
 * Context: blocks for the answers.
 * Return: 0; -ENOENT (no such unit); another negative errno.
 */
int client_unit_view(Client *client, const char *unit, ClientUnitView *ret) _must_check_;

/**
 * client_count_actions() - how many of our actions polkit knows
 * @ret_why: set where it cannot be asked, if there is memory: why, for a person; freed by the caller
 *
 * Context: blocks; starts polkitd where it is not running.
 * Return: their number; negative errno.
 */
int client_count_actions(Client *client, char **ret_why) _must_check_;

/**
 * client_daemon_uid() - whose process the daemon is
 *
 * Context: blocks for the bus; starts no daemon.
 * Return: 0; negative errno, also where there is none.
 */
int client_daemon_uid(Client *client, uid_t *ret) _must_check_;
