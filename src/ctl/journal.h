/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A run's log lines, of the daemon, of its connector and of systemd about its unit, from this machine's journal. */

#include <systemd/sd-event.h>

#include "base/json-util.h"
#include "model/log-match.h"

/**
 * JournalEntryCallback - is given each line, oldest first
 * @entry: {"timestamp":ISO,"priority":6,"identifier":"...","pid":1,"message":"..."}; borrowed; pid is null where
 * unknown
 */
typedef void (*JournalEntryCallback)(struct json_object *entry, void *userdata);

/**
 * journal_read_run() - the newest lines of a run
 * @match: which ones; without an invocation id systemd's own are left out
 * @lines: at most so many; UINT64_MAX: all
 *
 * Context: blocks for reading the journal.
 * Return: the number of lines; negative errno.
 */
int journal_read_run(const LogMatch *match, uint64_t lines, JournalEntryCallback callback,
                     void *userdata) _must_check_;

/**
 * journal_find_connector() - the connector of a run that the history does not know, as the daemon's lines name it
 * @ret: set when 1 is returned; freed by the caller
 *
 * Context: blocks for reading the journal.
 * Return: 1; 0 where there is none; negative errno.
 */
int journal_find_connector(const char *run_id, char **ret) _must_check_;

/* The same, and what comes after. */
typedef struct JournalFollower JournalFollower;

/**
 * journal_follow_run() - as journal_read_run(), from @loop, with the lines that are still to be written
 * @ret: freed by journal_follower_free(), which ends it
 *
 * A failure to read on ends the loop with its errno. Return: 0; negative errno.
 */
int journal_follow_run(sd_event *loop, const LogMatch *match, uint64_t lines, JournalEntryCallback callback,
                       void *userdata, JournalFollower **ret) _must_check_;

JournalFollower *journal_follower_free(JournalFollower *follower);
DEFINE_TRIVIAL_CLEANUP_FUNC(JournalFollower *, journal_follower_free);
