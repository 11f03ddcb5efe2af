/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A run's log lines, of the daemon and of its connector, from this machine's journal. */

#include "base/macros.h"

/**
 * journal_print() - the newest lines that carry a field
 * @field: e.g. "SYNCRUN_RUN_ID"
 * @lines: at most so many; UINT64_MAX: all
 *
 * Context: blocks for reading the journal.
 * Return: the number of lines printed; -ENOENT (there is no journal here); negative errno.
 */
int journal_print(const char *field, const char *value, uint64_t lines, const char *indent) _must_check_;
