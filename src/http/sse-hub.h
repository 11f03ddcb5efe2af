/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Streams of events: who gets which, in order, each once, also over restarts of the daemon. How a request becomes a
 * stream is sse-open's business. */

#include "http/request.h"
#include "http/sse-stream.h"

#define SSE_HEARTBEAT_USEC (15 * USEC_PER_SEC)

/* A batch goes out when it has so much, or what was committed together has been told. */
#define SSE_BATCH_EVENTS 16U
#define SSE_BATCH_BYTES  (64 * KIB)

/* Events of one answer, when streams catch up, and their bytes: what is sent to one stream alone is never more. */
#define SSE_PAGE_EVENTS 500U
#define SSE_PAGE_BYTES  (256 * KIB)

/* Which events a stream has; NULL: any. Borrowed. */
typedef struct SseFilter {
        const char *user_id;
        const char *provider;
        const char *connector;
} SseFilter;

typedef struct SseStatus {
        unsigned n_streams;
        uint64_t n_opened;
        uint64_t n_cut;       /* clients that did not read */
        uint64_t n_events;    /* that came from the daemon */
        uint64_t n_delivered; /* to streams */
} SseStatus;

int sse_hub_new(App *app, SseHub **ret) _must_check_;

/* Ends all streams, telling their clients. */
SseHub *sse_hub_free(SseHub *hub);

void sse_hub_status(const SseHub *hub, SseStatus *ret);

/* Whether there is room for another: 0, or an HTTP status. */
unsigned sse_hub_admit(const SseHub *hub, const Principal *principal);

typedef struct SseBegin {
        uint64_t position;        /* the last event that it has had, or before the first that is to be sent */
        uint64_t told_whole_from; /* it has been told that something before this one is lost; 0: of nothing */
        bool beats_by_event;      /* it is for a reader that does not see comments */
        bool in_step;             /* all events after @position are told by sse_hub_event(); else it asks for them */
} SseBegin;

/**
 * sse_hub_add() - a client's socket becomes a stream
 * @fd:       taken, also on failure
 * @head:     of the answer, sent first
 * @first:    events and comments, sent next; finished
 * @begin:    where it stands then
 *
 * Return: 0; negative errno, with the client gone.
 */
int sse_hub_add(SseHub *hub, int fd, bool is_chunked, Principal *principal, const SseFilter *filter, SseText *head,
                SseText *first, const SseBegin *begin) _must_check_;

/* Ends the streams of keys, sessions and tokens that are not valid any more. */
void sse_hub_end_invalid(SseHub *hub);

/* ---- What the daemon tells */
void sse_hub_event(SseHub *hub, uint64_t seq, const char *user_id, const char *json);
void sse_hub_flush(SseHub *hub); /* after the last of those that came together */
void sse_hub_connectors_changed(SseHub *hub); /* tells those whose heartbeats are events */
void sse_hub_daemon_lost(SseHub *hub);
void sse_hub_daemon_returned(SseHub *hub);

/* Whether an event has what a filter wants, but for its user. Pure. */
bool sse_filter_matches(const SseFilter *filter, const char *json);
