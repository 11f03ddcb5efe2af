/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A run's log lines, of the daemon, of its connector and of systemd about its unit, from this machine's journal. */

#include "base/json-util.h"

/**
 * JournalEntryCallback - is given each line, oldest first
 * @entry: {"timestamp":ISO,"priority":6,"identifier":"...","pid":1,"message":"..."}; borrowed; pid is null where
 * unknown
 */
typedef void (*JournalEntryCallback)(struct json_object *entry, void *userdata);

/**
 * journal_read_run() - the newest lines of a run
 * @invocation_id: of its unit; NULL or "": not known, and systemd's own lines are left out
 * @lines:         at most so many; UINT64_MAX: all
 *
 * Context: blocks for reading the journal.
 * Return: the number of lines; negative errno.
 */
int journal_read_run(const char *run_id, const char *invocation_id, uint64_t lines, JournalEntryCallback callback,
                     void *userdata) _must_check_;
