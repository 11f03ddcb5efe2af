/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Refusals as D-Bus errors, by the table of base/refusal.h. */

#include <systemd/sd-bus.h>

#include "base/macros.h"

/**
 * bus_refuse() - fill @error with the refusal that an errno stands for
 * @r: negative errno
 *
 * What has no row is logged here, once, and told as Internal. Return: a negative errno, for a method handler to
 * return.
 */
int bus_refuse(sd_bus_error *error, int r);

/* The same with better words than the table's. */
int bus_refuse_text(sd_bus_error *error, int r, const char *format, ...) _printf_(3, 4);

/* Send a refusal in answer to @m; failures to send are logged at debug. */
void bus_reply_refusal(sd_bus_message *m, int r);

/* Answer @m after its handler ran outside sd-bus's dispatching and returned @r with @error. */
void bus_finish_call(sd_bus_message *m, int r, const sd_bus_error *error);

static inline void bus_error_done(sd_bus_error *error)
{
        sd_bus_error_free(error);
}
#define _cleanup_bus_error_ _cleanup_(bus_error_done)
