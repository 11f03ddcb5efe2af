/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Events that were missed: by a client that comes back, page by page as it takes them, and by the hub while the daemon
 * was away. */

#include "http/sse-hub.h"

/* Told once for each loss: events of the stream, after the last one that it was told, are no longer kept. */
#define SSE_GAP_COMMENT "gap: some of the events since then are no longer kept"

int sse_catch_up_init(SseHub *hub) _must_check_;
void sse_catch_up_done(SseHub *hub);

/* There is no stream any more for which the hub would have to catch up: what is on the way would be told to those that
 * come, who know it. */
void sse_catch_up_stop(SseHub *hub);

/* Asks for the next page of a stream that has taken all before, unless it is being asked for. */
void sse_catch_up_stream(SseStream *stream);

/* Whether a page could be kept for a client that takes none of it, beside those that are being asked for. */
bool sse_catch_up_has_room(const SseHub *hub) _pure_;

/* Asks for nothing any more. */
void sse_catch_up_forget(SseStream *stream);

/* The hub has not heard of an event: what it missed is asked for. */
void sse_catch_up_hub(SseHub *hub);

/* Whether it has missed the newest ones, after which nothing came that would show it. */
void sse_catch_up_check(SseHub *hub);

/* What an answer of ListEvents says besides its events. */
typedef struct SsePage {
        uint64_t whole_from; /* from this one on nothing is lost */
        uint64_t next;       /* all events up to here are in it */
        uint64_t last;       /* events up to here were told before the answer */
} SsePage;

/* Leaves the reply as it was. Return: 0; negative errno: it could not be read. */
int sse_page_read(sd_bus_message *reply, SsePage *ret) _must_check_;

/* Gives each event to a callback. Return: 0; negative errno: it could not be read. */
int sse_page_each(sd_bus_message *reply,
                  void (*event)(uint64_t seq, const char *user_id, const char *json, void *userdata),
                  void *userdata) _must_check_;

/* Whether events after @after that the reader would be given are lost. */
bool sse_page_has_gap(const SsePage *page, uint64_t after) _pure_;

/* Whether @after is a number that this history has not come to, nor will before it has told others below it: it is of
 * another one, and nothing is known of where the reader stands in this. Numbers of others that are below those that
 * are given now are none of that: what this history has behind them, all of it new to the reader, goes on from there,
 * and the daemon says that something is lost. */
bool sse_page_is_beyond(const SsePage *page, uint64_t after) _pure_;

/* Events of a page that a filter wants, into a text. */
typedef struct SsePageWriter {
        const SseFilter *filter;
        SseText *text;
} SsePageWriter;

void sse_page_write(uint64_t seq, const char *user_id, const char *json, void *userdata);
