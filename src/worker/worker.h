/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One run from Attach() to Finish(): the loop that joins pipeline, intake, destination and reporter. */

#include <systemd/sd-event.h>

/* Records, and bytes of them, that a transaction of the destination holds at most; and how long its first one waits.
 */
#define BATCH_RECORDS_MAX 10000U
#define BATCH_BYTES_MAX   (16 * MIB)
#define BATCH_USEC        (250 * USEC_PER_MSEC)

/* After TERM, how long the daemon may take to hear of the end before we go without it; what it missed is settled
 * later. */
#define GOODBYE_USEC (8 * USEC_PER_SEC)

/**
 * worker_run() - run a connector once
 * @connector: valid name
 *
 * Context: blocks, in a loop of its own, until the daemon has recorded the end.
 * Return: 0 if the daemon knows how it ended, however that was; negative errno, logged here.
 */
int worker_run(const char *connector);
