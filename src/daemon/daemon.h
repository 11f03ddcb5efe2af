/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The daemon as a whole: brings the rooms together, and takes them apart in order. */

#include "daemon/arguments.h"

/* The history cannot be used and will not be by itself: EX_DATAERR. RestartPreventExitStatus= of the unit names it. */
#define DAEMON_EXIT_REFUSED 65

/* Runs until it is told to end. Failures are logged. Return: an exit status. */
int daemon_run(const Arguments *arguments) _must_check_;
