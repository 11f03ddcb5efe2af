/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Bytes of Server-Sent Events for many readers: written once, framed once, shared by all who cannot take them at once.
 */

#include "base/buffer.h"

typedef struct SseText {
        unsigned n_ref;
        Buffer buffer;
        bool is_raw;  /* goes out as it is, whoever reads */
        size_t *held; /* where it is counted while somebody waits for it */
} SseText;

SseText *sse_text_new(void);
SseText *sse_text_ref(SseText *text);
SseText *sse_text_unref(SseText *text);
DEFINE_TRIVIAL_CLEANUP_FUNC(SseText *, sse_text_unref);

/* Counts it, once, in *@held, as long as it lives. Return: 0; -ENOBUFS: that would be more than @max. */
int sse_text_hold(SseText *text, size_t *held, size_t max) _must_check_;

/* Text that goes out as it is: the head of an answer. */
SseText *sse_text_new_raw(void);

/* Makes it empty again, for the next use. */
void sse_text_reset(SseText *text);
bool sse_text_is_empty(const SseText *text) _pure_;

/* "event: sync.status\nid: 7\ndata: {...}\n\n" */
void sse_text_add_event(SseText *text, uint64_t seq, const char *json);

/* ": words\n\n" */
void sse_text_add_comment(SseText *text, const char *comment);

/* "event: heartbeat\ndata: {"available":true}\n\n": an EventSource does not tell its page of comments. @available:
 * whether the daemon is there. */
void sse_text_add_heartbeat(SseText *text, bool available);

/* "event: changed\ndata: {}\n\n": connectors are no more what they were. */
void sse_text_add_changed(SseText *text);

/* Closes the chunk that it is to clients of HTTP/1.1. Return: 0; -ENOMEM, also where anything before found none. */
int sse_text_finish(SseText *text) _must_check_;

/* What one client is sent of it, once it is finished. */
const char *sse_text_data(const SseText *text, bool chunked, size_t *ret_size);

/* The end of a stream that is sent in chunks. */
#define SSE_LAST_CHUNK "0\r\n\r\n"
