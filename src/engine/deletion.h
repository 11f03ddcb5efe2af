/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Deleting what connectors have stored: by a task, as the daemon cannot write there. That it is to be done is in the
 * connector's record until it is, so no crash forgets it. */

#include "engine/engine-internal.h"

#define DELETION_RETRY_USEC (5 * USEC_PER_MINUTE) /* from one that failed to the next */

/* Its record says that its items are to be deleted: when nothing runs of it, and after the commit. */
void deletion_begin(ConnectorEntry *c);

/* All of them: at the start. */
void deletions_resume(Engine *engine);

/* The launcher tells of its end. */
void deletion_ended(Engine *engine, const char *connector, const TaskExit *how);
