/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Whether the saved cursor covers what the destination has. A cursor says which items are stored, but not where: for a
 * destination that is new, or another than before, it is void, and a run that went on with it would leave a gap for
 * good. A file of items knows itself which cursors it covers. Of a program, and of a file from before files knew it,
 * counts where the destination was at the run before. What is void is noted in the state directory before the
 * destination is touched, so that a run which fails or is killed leaves it so for the next one. */

#include "model/connector.h"

#define COVERAGE_DIGEST_SIZE 17U /* with the closing NUL */

/** coverage_digest() - what stands for a cursor in the destination's file; "" for none. Return: 0; -ENOMEM. */
int coverage_digest(const char *cursor, char ret[static COVERAGE_DIGEST_SIZE]) _must_check_;

/**
 * coverage_check() - before settle_remember() and before the destination is opened
 * @type:   of the destination
 * @path:   of its file; NULL for one without
 * @cursor: the daemon's; "" for none
 *
 * Context: blocks for the disk.
 * Return: 1: the cursor is void; 0: it holds, or there is none; negative errno: it cannot be told.
 */
int coverage_check(const char *state_directory, DestinationType type, const char *path,
                   const char *cursor) _must_check_;

/** coverage_renew() - what the daemon has is a cursor of this destination again. Context: blocks for the disk.
 * Return: 0; negative errno. */
int coverage_renew(const char *state_directory) _must_check_;
