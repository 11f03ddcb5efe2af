/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Syncs that run elsewhere: engine_report_outside() of engine.h, and the end of those that went silent. */

#include "engine/engine-internal.h"

/* Arm the timer of an active run; its silence counts from its newest event. */
void outside_run_watch(EngineRun *r);
