/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Runs as Open Wearables' sync status has them (C27). Its events (C11) are what model/event makes: they are kept as
 * they were told, and shown so. */

#include "base/json-writer.h"
#include "model/run.h"

/* Events of a person in one answer (C2), and where the caller says nothing. */
#define WEARABLES_EVENTS_MAX     200U
#define WEARABLES_EVENTS_DEFAULT 50U

/* Runs of a person in one answer (C3: the document has 50, its source 200), and where the caller says nothing. */
#define WEARABLES_RUNS_MAX     200U
#define WEARABLES_RUNS_DEFAULT 20U

/* Runs of all persons in one answer (C4), and where the caller says nothing. */
#define WEARABLES_ALL_RUNS_MAX     10000U
#define WEARABLES_ALL_RUNS_DEFAULT 50U

/* Bytes of such an answer: it ends with the run that comes to them. */
#define WEARABLES_RUNS_BYTES_MAX (8 * MIB)

/* How the run stands after its newest event: the fifteen keys of C27, as one object. started_at is there as soon as
 * any event has told it. */
void view_wearables_run(JsonWriter *w, const Run *run);
