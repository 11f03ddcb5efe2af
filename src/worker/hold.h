/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a run leaves in the state directory for the next one where it kept its cursor back, before lines that could not
 * be used: they are asked for again once. A line that stays broken would else keep the connector in its place for
 * good. */

#include "base/macros.h"

/**
 * hold_remember() - note the cursor that the run leaves
 * @cursor: "" for none; NULL: bad lines hold nothing back
 *
 * Context: blocks for the disk.
 * Return: 0; negative errno.
 */
int hold_remember(const char *state_directory, const char *cursor) _must_check_;

/** hold_recall() - whether it is this cursor at which bad lines held a run back; what cannot be read is no.
 * Context: blocks for the disk. */
bool hold_recall(const char *state_directory, const char *cursor) _must_check_;
