/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which lines of the journal are a run's. Anybody may write SYNCRUN_RUN_ID= into a line; who wrote it is in the fields
 * that journald adds (those that begin with "_"), and a line counts only if that was the daemon, the run's own worker,
 * or PID 1 about its unit. */

#include <sys/types.h>

#include "base/macros.h"

#define USER_RECORD_LIMIT_BYTES (4 * KIB) /* ours have 200 */

typedef struct LogMatch {
        const char *run_id;
        const char *connector;     /* NULL or "": it has none, and no worker */
        const char *invocation_id; /* of the worker's unit; NULL or "": not known */
        uid_t daemon_uid;          /* for one that is no unit; (uid_t) -1: not known */
        uid_t worker_uid;          /* for lines of one that was gone before journald looked; (uid_t) -1: not known */
} LogMatch;

/**
 * log_match_words() - the matches as journalctl takes them
 * @ret: FIELD=VALUE; those of one field are alternatives, those of several must all be true, and "+" begins another
 *       group; freed by the caller with strv_free()
 *
 * Return: 0; -ENOMEM.
 */
int log_match_words(const LogMatch *match, char ***ret) _must_check_;

/**
 * log_match_worker_uid() - the uid of a connector's dynamic user, as syncrun-userdb(8) has recorded it since the boot
 * @directory: SYNCRUN_USERDB_DIR
 *
 * Return: the uid; (uid_t) -1 where there is no record, or it is another's by now.
 */
uid_t log_match_worker_uid(const char *directory, const char *connector);
