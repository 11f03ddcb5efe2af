/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One client's stream: its socket, and what it has not taken yet. What it is sent is the hub's business. */

#include "client/client-async.h"
#include "http/auth.h"
#include "http/sse-text.h"

typedef struct SseHub SseHub;
typedef struct SseChannel SseChannel;
typedef struct SseStream SseStream;

struct SseStream {
        SseHub *hub;
        SseChannel *channel;
        SseStream *prev, *next; /* of the list that it is in */
        SseStream **list;
        Principal *principal;    /* a reference */
        sd_event_source *expiry; /* of the principal; NULL: never */
        int fd;
        bool is_chunked;          /* HTTP/1.1 */
        bool is_armed;            /* epoll tells when it can be written to */
        bool beats_by_event;      /* its heartbeats are events, and no comments */
        uint32_t stuck_since_sec; /* CLOCK_MONOTONIC: while something waits, when it last took some */
        uint64_t position;        /* while it is not in step: the last event that it was sent, or that is not for it */
        unsigned round;           /* of the hub's, in which the position was known to be of this history */
        uint64_t told_whole_from; /* it has been told that something before this one is lost */
        bool owes_gap;            /* it is to be told so before anything else */
        ClientCall *call;         /* for the next page of what it missed */
        SseText **queue;          /* not taken yet */
        unsigned n_queue;
        size_t offset; /* of the first of them, taken */
        size_t backlog_bytes;
};

/* Takes @fd, also on failure. Return: 0; negative errno. */
int sse_stream_new(int fd, int epoll_fd, bool is_chunked, SseStream **ret) _must_check_;

/* Closes the socket. It must be in no list any more, and ask for nothing. */
SseStream *sse_stream_free(SseStream *stream);

/* What streams may keep for clients that have not taken it yet. */
typedef struct SseBacklog {
        size_t each_max_bytes;
        size_t all_max_bytes;
        size_t held_bytes; /* of all: what several wait for is there once */
} SseBacklog;

/**
 * sse_stream_write() - send a finished text, or keep a reference until the client can take it
 * @backlog:     what may wait: of this stream, unless it is this text alone, and of all
 * @is_reserved: there is room for it already
 *
 * Return: 0; -ENOBUFS (the client takes too little); negative errno: it is gone.
 */
int sse_stream_write(SseStream *stream, int epoll_fd, SseText *text, SseBacklog *backlog,
                     bool is_reserved) _must_check_;

/* Sends what waits. Return: as sse_stream_write(). */
int sse_stream_flush(SseStream *stream, int epoll_fd) _must_check_;

/* Whether its client has taken nothing for so long, though there was something. */
bool sse_stream_is_stuck(const SseStream *stream, usec_t timeout_usec);

/* Tells the client that there will be no more, if it can be told. */
void sse_stream_say_end(SseStream *stream);
