/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Deletes what a connector has stored, for `syncrun-worker --delete-items`. */

#include "base/macros.h"

/**
 * delete_items() - remove the connector's sqlite destination, also of before, and its state file
 *
 * Nothing runs of the connector. What another destination has is not ours, and what is there no more is no error: it
 * can be done again after a crash.
 *
 * Context: blocks for the disk; what it removed is gone when it returns.
 * Return: 0; negative errno, logged here.
 */
int delete_items(const char *connector) _must_check_;
