/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Runs whose worker died before the daemon knew their counts: the destination knows them. They are told by
 * `syncrun-worker --settle` when a worker has died, and by the connector's next worker. */

#include "client/worker-proxy.h"
#include "worker/destination.h"

/* How long `--settle` waits for the daemon; what it does not take is told by the next run. */
#define SETTLE_USEC (10 * USEC_PER_SEC)

/**
 * settle_remember() - note in the state directory where the destination is, for settle_connector()
 * @path: NULL: none that could be asked
 *
 * Where it was before is noted, too.
 *
 * Context: blocks for the disk where the place is another than before.
 * Return: 0; negative errno.
 */
int settle_remember(const char *state_directory, const char *path) _must_check_;

/**
 * settle_recall() - where the destination is, as settle_remember() noted it
 * @ret_path: set on success only; freed by the caller
 *
 * Context: blocks for the disk.
 * Return: 0; -ENOENT (there is none, or there was no run yet); -EACCES; -ENOMEM; other errnos of reading.
 */
int settle_recall(const char *state_directory, char **ret_path) _must_check_;

/**
 * settle_recall_former() - where the destination was before, as settle_remember() noted it
 * @ret_paths: strv, NULL for none; may name the present one; set on success only; freed by the caller
 *
 * Context: blocks for the disk.
 * Return: 0; negative errno of reading.
 */
int settle_recall_former(const char *state_directory, char ***ret_paths) _must_check_;

/* Forget them. Context and return as above. */
int settle_forget_former(const char *state_directory) _must_check_;

/**
 * settle_call() - begin to tell the requests, or else the counts, of the next untold run
 * @settling: freed; set to the run's id where a call was begun
 *
 * Return: 1 if a call is under way, whose reply must be handed to settle_reply(); 0 if there is nothing to tell;
 * negative errno.
 */
int settle_call(Destination *destination, WorkerProxy *proxy, char **settling) _must_check_;

/**
 * settle_reply() - the daemon has answered
 * @method: what it was called for
 *
 * Return: 1: go on with settle_call(); 0: leave the rest for later.
 */
int settle_reply(Destination *destination, WorkerMethod method, int r, const char *error,
                 char **settling) _must_check_;

/**
 * settle_connector() - tell the counts of all untold runs of a connector
 * @connector: valid name
 *
 * Context: blocks, in a loop of its own, for SETTLE_USEC at most.
 * Return: 0, also where there was nothing to tell or the daemon was away; negative errno, logged here.
 */
int settle_connector(const char *connector);
