/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The sockets that clients connect to: those that systemd hands over, or those asked for on the command line. */

#include "base/macros.h"

#define LISTENERS_MAX 64U

typedef struct Listeners {
        int fds[LISTENERS_MAX];
        size_t n;
        bool activated; /* systemd holds them too: nothing is refused while we are away */
} Listeners;

void listeners_done(Listeners *listeners);

/**
 * listeners_open() - collect or make the sockets
 * @addresses: PORT, ADDRESS:PORT, [ADDRESS]:PORT or /PATH, each; NULL: what systemd hands over
 * @ret:       set on success only; closed by listeners_done()
 *
 * Return: 0; negative errno, logged.
 */
int listeners_open(char *const *addresses, Listeners *ret) _must_check_;
