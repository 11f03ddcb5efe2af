/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One event of a run: what readers of the stream see. An event is the run as it stood at that moment. */

#include "base/json-writer.h"
#include "base/shared-text.h"
#include "model/run.h"

/* In the order of interfaces.md: the daemon gives sequence numbers in commit order. */
typedef struct Event {
        uint64_t seq;                /* global, strictly increasing; the SSE id */
        char event_id[UUID_TEXT_MAX]; /* UUIDv4 (C12) */
        usec_t timestamp_usec;
        char *json;                  /* the seventeen keys of C11; freed by shared_text_free() */
} Event;

void event_done(Event *event);

/**
 * event_make() - the event that tells how @run stands now
 * @seq:       its number
 * @now_usec:  its timestamp
 * @ret_event: set on success only; closed by event_done()
 *
 * The keys are those of Open Wearables (C11), in order, always present; metadata carries the run's own metadata, and
 * `inserted`, `updated`, `deduped`, `connector`, `accounts_failed` where they are known (C29). started_at is set in
 * events of stage started, ended_at in terminal ones (C19). A failed run's progress is null, a completed one's 1.0.
 *
 * Return: 0; -ENOMEM; errno of getrandom(2).
 */
int event_make(const Run *run, uint64_t seq, usec_t now_usec, Event *ret_event) _must_check_;

/* What an event of @run would say of its status now. */
SyncStatus event_status(const Run *run) _pure_;

/* The keys from run_id to primary_user_id, for events and for summaries of runs (C27). */
void event_write_standing(JsonWriter *w, const Run *run);
