/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One text is one chunk of HTTP/1.1. Its size stands before it, in digits that are counted before it is known. */

#include "http/sse-text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_HEAD      "00000000\r\n"
#define CHUNK_DIGITS    8U
#define CHUNK_HEAD_SIZE (sizeof(CHUNK_HEAD) - 1)
#define CHUNK_TAIL      "\r\n"
#define CHUNK_TAIL_SIZE (sizeof(CHUNK_TAIL) - 1)

SseText *sse_text_new(void)
{
        SseText *text = calloc(1, sizeof(*text));

        if (!text)
                return NULL;
        text->n_ref = 1;
        sse_text_reset(text);
        return text;
}

SseText *sse_text_new_raw(void)
{
        SseText *text = calloc(1, sizeof(*text));

        if (!text)
                return NULL;
        text->n_ref = 1;
        text->is_raw = true;
        return text;
}

SseText *sse_text_ref(SseText *text)
{
        text->n_ref++;
        return text;
}

SseText *sse_text_unref(SseText *text)
{
        if (!text || --text->n_ref > 0)
                return NULL;
        if (text->held)
                *text->held -= text->buffer.size;
        buffer_done(&text->buffer);
        free(text);
        return NULL;
}

int sse_text_hold(SseText *text, size_t *held, size_t max)
{
        if (text->held)
                return 0;
        if (text->buffer.size > max || *held > max - text->buffer.size)
                return -ENOBUFS;
        text->held = held;
        *held += text->buffer.size;
        return 0;
}

void sse_text_reset(SseText *text)
{
        buffer_reset(&text->buffer);
        buffer_append(&text->buffer, CHUNK_HEAD, CHUNK_HEAD_SIZE);
}

bool sse_text_is_empty(const SseText *text)
{
        return text->buffer.size <= CHUNK_HEAD_SIZE && !text->buffer.failed;
}

void sse_text_add_event(SseText *text, uint64_t seq, const char *json)
{
        buffer_append_string(&text->buffer, "event: sync.status\nid: ");
        buffer_append_uint(&text->buffer, seq);
        buffer_append_string(&text->buffer, "\ndata: ");
        buffer_append_string(&text->buffer, json);
        buffer_append_string(&text->buffer, "\n\n");
}

void sse_text_add_comment(SseText *text, const char *comment)
{
        buffer_append_string(&text->buffer, ": ");
        buffer_append_string(&text->buffer, comment);
        buffer_append_string(&text->buffer, "\n\n");
}

void sse_text_add_heartbeat(SseText *text, bool available)
{
        buffer_append_string(&text->buffer, "event: heartbeat\ndata: {\"available\":");
        buffer_append_string(&text->buffer, available ? "true}\n\n" : "false}\n\n");
}

void sse_text_add_changed(SseText *text)
{
        buffer_append_string(&text->buffer, "event: changed\ndata: {}\n\n");
}

int sse_text_finish(SseText *text)
{
        static const char hex[] = "0123456789abcdef";
        size_t size = text->buffer.size - CHUNK_HEAD_SIZE;

        if (!text->is_raw)
                buffer_append(&text->buffer, CHUNK_TAIL, CHUNK_TAIL_SIZE);
        if (text->buffer.failed)
                return -ENOMEM;
        for (size_t i = CHUNK_DIGITS; !text->is_raw && i > 0; size >>= 4)
                text->buffer.data[--i] = hex[size & 0xf];
        return 0;
}

const char *sse_text_data(const SseText *text, bool chunked, size_t *ret_size)
{
        if (chunked || text->is_raw) {
                *ret_size = text->buffer.size;
                return text->buffer.data;
        }
        *ret_size = text->buffer.size - CHUNK_HEAD_SIZE - CHUNK_TAIL_SIZE;
        return text->buffer.data + CHUNK_HEAD_SIZE;
}
