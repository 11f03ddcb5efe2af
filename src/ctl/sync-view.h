/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What start --wait and watch show of a run, on one line. It comes of an event, or of the run itself. */

#include "ctl/ctl.h"
#include "model/run.h"

/* Texts are borrowed from the JSON that it was made of. */
typedef struct SyncView {
        const char *run_id;
        const char *name; /* of the connector, or the provider where there is none */
        SyncStage stage;
        SyncStatus status; /* in_progress, also where a newer daemon has a word that is not known here */
        double progress;   /* 0..1 or PROGRESS_UNKNOWN */
        uint64_t processed;
        uint64_t total;
        struct json_object *counts; /* NULL: none yet */
        const char *added_key;      /* in counts: an event says "inserted" */
        const char *message;
        const char *error;
        usec_t time_usec;
        bool stopping; /* of a run; an event does not tell */
} SyncView;

SyncView sync_view_from_event(struct json_object *event);
SyncView sync_view_from_run(struct json_object *run);

/* "Sun 2026-11-22 08:00:00 CET bank success 21/50 · 3 added, ..." and a line break. */
void sync_view_print(const SyncView *view);
