/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The daemon as a whole: brings the rooms together, and takes them apart in order. */

#include "daemon/arguments.h"

/* Runs until it is told to end. Failures are logged. Return: 0; negative errno. */
int daemon_run(const Arguments *arguments) _must_check_;
