/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Waits for a run's end and shows it on the way: a live bar with rate and time left on a terminal, a line for each
 * change of stage elsewhere. */

#include "ctl/ctl.h"

/**
 * progress_wait() - follow one run to its end
 * @client:  connected; its bus is attached to a loop of its own meanwhile
 * @run_id:  may have ended already
 *
 * Return: the exit status for the outcome: 0 succeeded, 1 failed, 3 partial, 4 cancelled, 5 skipped.
 */
int progress_wait(Ctl *ctl, Client *client, const char *run_id, const char *connector) _must_check_;

/* One line about an event, as watch and start --wait print it. */
void progress_print_event(struct json_object *event);
