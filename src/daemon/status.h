/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The daemon's state as the service manager shows it: `systemctl status syncrund`. */

#include "engine/engine.h"

#define STATUS_TEXT_MAX 256U

/* It is told at most so often: the service manager has others to listen to, and our send waits for it. */
#define STATUS_INTERVAL_USEC (1 * USEC_PER_SEC)

typedef struct StatusNotifier StatusNotifier;

/* Return: 0; -ENOMEM; negative errno of sd-event. */
int status_notifier_new(sd_event *event, StatusNotifier **ret) _must_check_;
StatusNotifier *status_notifier_free(StatusNotifier *notifier);
DEFINE_TRIVIAL_CLEANUP_FUNC(StatusNotifier *, status_notifier_free);

/* Tell it, at once or when the interval is over, unless it is what was told before. */
void status_notifier_update(StatusNotifier *notifier, const EngineStatus *status);

/* "3 runs active, 1 queued, 2 need attention", "Idle, 12 connectors", and that the history cannot be written. */
char *status_format(const EngineStatus *status, char buf[static STATUS_TEXT_MAX]);
