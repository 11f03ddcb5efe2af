/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Events that were missed: by a client that comes back, page by page as it takes them, and by the hub while the daemon
 * was away. */

#include "http/sse-hub.h"

/* "gap": what is told where events were asked for that are no longer kept. */
#define SSE_GAP_COMMENT "gap: older events are no longer kept"

int sse_catch_up_init(SseHub *hub) _must_check_;
void sse_catch_up_done(SseHub *hub);

/* There is no stream any more for which the hub would have to catch up: what is on the way would be told to those that
 * come, who know it. */
void sse_catch_up_stop(SseHub *hub);

/* Asks for the next page of a stream that has taken all before, unless it is being asked for. */
void sse_catch_up_stream(SseStream *stream);

/* One answer of ListEvents. */
typedef struct SsePage {
        unsigned n_events;
        uint64_t last_seq; /* of its events; as it was where there are none */
        uint64_t first_kept;
        uint64_t last; /* events up to here were told before the answer */
} SsePage;

/**
 * sse_page_read() - read an answer of ListEvents, giving each event to a callback
 * @page: last_seq is where the reader stood before
 *
 * Return: 0; negative errno: it could not be read.
 */
int sse_page_read(sd_bus_message *reply, SsePage *page,
                  void (*event)(uint64_t seq, const char *user_id, const char *json, void *userdata),
                  void *userdata) _must_check_;

/* Whether events between @after and the page's first may be lost. */
bool sse_page_has_gap(const SsePage *page, uint64_t after) _pure_;

/* Events of a page that a filter wants, into a text. */
typedef struct SsePageWriter {
        const SseFilter *filter;
        SseText *text;
} SsePageWriter;

void sse_page_write(uint64_t seq, const char *user_id, const char *json, void *userdata);
