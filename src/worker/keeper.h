/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the cgroup of syncrun@NAME.service does, for workers that are child processes: a run has ended when nothing of
 * it runs any more. The keeper is the worker's parent and the subreaper of whatever it or its programs leave behind,
 * also in sessions of their own. It outlives the worker, kills the rest, and ends as the worker did. */

/**
 * keeper_run() - run this program again as the worker of a connector, and clean up behind it
 * @program:   argv[0] for it
 * @connector: its name
 *
 * SIGTERM and SIGINT, which must be blocked, are handed on to the worker; SIGQUIT kills it, and all that is left with
 * it, at once. The worker does not outlive the keeper.
 *
 * Return: the worker's exit status; negative errno where it could not be started. Where a signal killed the worker it
 * kills the keeper, too. Context: blocks until all has ended.
 */
int keeper_run(const char *program, const char *connector);
