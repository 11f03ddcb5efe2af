/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the files of progress share: what is known of each run, and how it is drawn. */

#include <systemd/sd-event.h>

#include "client/heartbeat.h"
#include "ctl/progress.h"
#include "ctl/sync-view.h"

/* One run that is waited for. */
typedef struct ProgressEntry {
        char *connector;
        char *run_id; /* NULL: what follows has no run yet */
        char *old_run_id;
        char *passed_id; /* what runs meanwhile and is not what was asked for */
        bool follows;    /* what was asked for becomes the next run */
        bool full;       /* and that is a full resync */
        bool ended;
        bool stopping; /* it is being cancelled, or about to end */
        SyncStatus status;
        SyncStage stage; /* the newest, for the bar, as the next three */
        double progress;
        uint64_t processed;
        uint64_t total;
        usec_t begun_usec;           /* CLOCK_MONOTONIC: when we began to look */
        uint64_t processed_at_begin; /* COUNT_UNKNOWN until the first count */
} ProgressEntry;

struct Progress {
        Ctl *ctl;
        Client *client;
        sd_event *loop;
        sd_bus_slot *events_slot;
        sd_bus_slot *owner_slot;
        sd_bus_slot *states_slot;
        ClientHeartbeat *heartbeat;
        bool live;
        bool silent; /* --quiet, or JSON at the end */
        bool interrupted;
        bool unanswered;  /* the service hangs */
        unsigned n_drawn; /* lines of the live display that stand above the cursor */
        unsigned name_width;
        ProgressEntry *entries;
        size_t n_entries;
};

/* The live lines anew, where there are such. */
void progress_draw(Progress *p);

/* A line that stays, above the live ones. */
void progress_print(Progress *p, const SyncView *view);
