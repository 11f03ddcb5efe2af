/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Notices that configuration files have changed. Reading them is not its business. */

#include <systemd/sd-event.h>

#include "base/macros.h"

typedef struct ConfigWatch ConfigWatch;

/* Changes that come together are told of once: so long after the last of them, and at the latest so long after the
 * first. */
#define CONFIG_WATCH_QUIET_USEC (100 * USEC_PER_MSEC)
#define CONFIG_WATCH_LIMIT_USEC (1 * USEC_PER_SEC)

/**
 * config_watch_new() - watch folders of configuration files, and the drop-in folders ("*.d") in them
 * @dirs:    copied; those that do not exist are noticed when they appear
 * @changed: called from the loop; is expected to call config_watch_refresh() before it reads the files
 * @ret:     set on success only; freed by config_watch_free()
 *
 * A folder that cannot be watched is logged as a warning: Reload() still reads it.
 *
 * Return: 0; -ENOMEM; negative errno of sd-event.
 */
int config_watch_new(sd_event *event, char *const *dirs, void (*changed)(void *userdata), void *userdata,
                     ConfigWatch **ret) _must_check_;
ConfigWatch *config_watch_free(ConfigWatch *watch);
DEFINE_TRIVIAL_CLEANUP_FUNC(ConfigWatch *, config_watch_free);

/* Look anew which folders there are: no change after this is missed. Return: 0; -ENOMEM. */
int config_watch_refresh(ConfigWatch *watch);
