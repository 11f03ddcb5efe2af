/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Shows what the sqlite destination of a connector holds, for `syncrunctl items`. */

#include "base/macros.h"

/**
 * items_print() - write items to standard output, the last changed first, one JSON object a line
 * @stream: only of this stream; NULL: of all
 * @limit:  at most so many
 *
 * Keys: stream, key, account, first_seen, updated, first_run, run, record.
 *
 * Context: blocks for the disk.
 * Return: 0; negative errno, logged here with what to do.
 */
int items_print(const char *connector, const char *stream, uint64_t limit);
