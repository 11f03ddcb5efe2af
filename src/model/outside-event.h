/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* An event reported from outside (Manager.ReportEvent): a sync that runs elsewhere, in the words of C11 to C15. */

#include "model/run.h"

/* So that sums of counts stay counts. */
#define METADATA_COUNT_MAX (UINT64_C(1) << 53)

typedef struct OutsideEvent {
        char *run_id;
        char *user_id;
        char *primary_user_id;
        char *provider;
        RunSource source;
        SyncStage stage;
        SyncStatus status;
        char *message;
        double progress;
        uint64_t items_processed;
        uint64_t items_total;
        char *error;
        char *metadata;      /* a JSON object as text; NULL */
        Counts counts;       /* what it tells of them (C29); each may be COUNT_UNKNOWN */
        usec_t started_usec; /* 0: not told */
        usec_t ended_usec;   /* 0: not told */
} OutsideEvent;

void outside_event_done(OutsideEvent *event);

/**
 * outside_event_parse() - read and check a reported event
 * @object:  a JSON object with the keys of C11 (event_id and timestamp are ours to give: ignored)
 * @ret:     set on success only; closed by outside_event_done()
 * @ret_why: set on failure: "FIELD: what is wrong with the value"; freed by the caller; may be NULL
 *
 * run_id, user_id, provider, source, stage and status are required. Stage and status must fit each other: completed
 * goes with success, partial or skipped; failed with failed; cancelled with cancelled; any other stage with
 * in_progress.
 *
 * The counts are what the metadata has as discovered, inserted, updated and deduped. It is the reporter's own: a value
 * there that is no count up to METADATA_COUNT_MAX is left alone.
 *
 * Return: 0; -EINVAL; -E2BIG (METADATA_JSON_MAX, METADATA_DEPTH_MAX, RUN_ID_MAX); -ENOMEM.
 */
struct json_object;
int outside_event_parse(struct json_object *object, OutsideEvent *ret, char **ret_why) _must_check_;
