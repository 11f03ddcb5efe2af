/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the files of the hub know of each other's: sse-hub.c, sse-channel.c and sse-catch-up.c. */

#include <uthash.h>

#include "base/json-util.h"
#include "http/sse-hub.h"

/* Texts that are kept for use again, of so many bytes at most: few channels have something at a time, and the memory
 * that was written last is near. */
#define SSE_SPARE_TEXTS      64U
#define SSE_SPARE_TEXT_BYTES (8 * KIB)

struct SseChannel {
        SseHub *hub;
        char *key;
        char *user_id; /* the filter's; NULL: any */
        char *provider;
        char *connector;
        SseStream *streams; /* in step */
        SseStream *ahead;   /* know events already that are still to come */
        SseStream *behind;  /* are being told what they missed */
        SseText *text;      /* not sent yet; NULL: there is nothing */
        unsigned n_events;  /* in it */
        bool is_dirty;
        bool is_wide; /* for more than a user, or less */
        SseChannel *dirty_prev, *dirty_next;
        SseChannel *wide_prev, *wide_next;
        bool lost;
        UT_hash_handle hh;
};

struct SseHub {
        App *app;
        int epoll_fd; /* of all streams' sockets: one source of the loop */
        sd_event_source *sockets;
        sd_event_source *heartbeat;
        SseChannel *channels;
        SseChannel *wide;                /* those that are for more than a user, or less */
        SseChannel *dirty;               /* the first to be flushed first */
        SseText *spare[SSE_SPARE_TEXTS]; /* for the next channels that get something, the last one first */
        unsigned n_spare;
        SseStatus status;
        SseBacklog backlog;

        /* What streams in step have been told up to; only known while there are streams. */
        uint64_t position;
        bool knows_position;
        bool is_behind; /* something was not heard: what was committed since is being asked for */
        unsigned round; /* the daemon went away so often */
        char *history;  /* what it is called; NULL: not known yet */
        bool is_unsure; /* whether it is still the same one: nothing else is asked before that */
        ClientCall *call;
        unsigned n_asking;  /* streams with a call */
        bool keeps_waiting; /* a stream that may not ask yet */
        sd_event_source *retry;
};

/* The channel of a filter, made where there is none yet. Return: 0; -ENOMEM. */
int sse_channel_get(SseHub *hub, const SseFilter *filter, SseChannel **ret) _must_check_;

/* One user's, without further filters; NULL: nobody reads it. */
SseChannel *sse_channel_of_user(SseHub *hub, const char *user_id);

/* It has nothing to be flushed any more. */
void sse_channel_set_clean(SseChannel *channel);

/* Frees it, if it has no streams. */
void sse_channel_release(SseChannel *channel);

/* As sse_filter_matches(). @event: of that JSON; NULL: it is parsed where it must be, and freed by the caller. */
bool sse_filter_matches_parsed(const SseFilter *filter, const char *json, struct json_object **event);

/* Moves a stream to another list, or out of its own. */
void sse_hub_list(SseStream *stream, SseStream **list);

/* All streams have to ask for what comes after what they were told. */
void sse_hub_fall_behind(SseHub *hub);

/* Tells those whose heartbeats are events at once that the daemon has come or gone. */
void sse_hub_say_availability(SseHub *hub);

/* Ends a stream whose client is gone, and perhaps its channel. */
void sse_hub_drop(SseStream *stream);

/* Sends a finished text to one stream. @is_reserved: there is room for it. Return: whether it is still there. */
bool sse_hub_write(SseStream *stream, SseText *text, bool is_reserved);

/* Tells all channels an event that the hub has not told. */
void sse_hub_deliver(SseHub *hub, uint64_t seq, const char *user_id, const char *json);
