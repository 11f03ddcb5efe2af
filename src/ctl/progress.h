/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Waits for the end of runs and shows them on the way: on a terminal a live bar for each with rate and time left,
 * elsewhere a line for each change of stage. */

#include "ctl/ctl.h"

typedef struct Progress Progress;

/**
 * progress_new() - begin to listen, before the first run is started
 * @ctl:    borrowed, as @client is
 * @ret:    set on success only; freed by progress_free()
 *
 * Context: blocks for the bus's answer.
 * Return: 0; an exit status > 0 with the error printed.
 */
int progress_new(Ctl *ctl, Client *client, Progress **ret) _must_check_;
Progress *progress_free(Progress *p);
DEFINE_TRIVIAL_CLEANUP_FUNC(Progress *, progress_free);

/**
 * progress_add() - a run to wait for
 * @started: its run may have ended already; where what was asked for becomes the next run, that is waited for, too
 *
 * Return: 0; -ENOMEM.
 */
int progress_add(Progress *p, const char *connector, const ClientStarted *started) _must_check_;

/**
 * progress_wait() - show the runs until all have ended, or Ctrl-C
 *
 * With --json each run is printed when all have ended.
 *
 * Return: the highest of the exit statuses for the outcomes (0 succeeded, 1 failed, 3 partial, 4 cancelled, 5
 * skipped); another with the error printed.
 */
int progress_wait(Progress *p) _must_check_;
