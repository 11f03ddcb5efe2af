/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See sse-hub.h. Streams with the same filter form a channel. An event is written into the texts of its channels; a
 * channel with something in its text is in the list of those to be flushed, in the order in which they got it. A
 * stream that has just come knows events up to a position which the channel may not have reached: it is "ahead" until
 * an event comes that is new to it, too. */

#include "http/sse-hub.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <utlist.h>

#include "base/fd-util.h"
#include "base/log.h"
#include "base/string-util.h"
#include "http/app.h"
#include "http/sse-catch-up.h"
#include "http/sse-internal.h"

#define EPOLL_EVENTS 256

/* In the log of a key, where refusals have numbers of their own. */
#define LOG_CUT                 31U
#define HEARTBEAT_ACCURACY_USEC (500 * USEC_PER_MSEC)
#define EXPIRY_ACCURACY_USEC    (500 * USEC_PER_MSEC)

/* ---- Streams come and go */

void sse_hub_list(SseStream *stream, SseStream **list)
{
        if (stream->list)
                DL_DELETE(*stream->list, stream);
        stream->list = list;
        if (list)
                DL_APPEND(*list, stream);
}

static void arm_heartbeat(SseHub *hub, bool on)
{
        int r = 0;

        if (on)
                r = sd_event_source_set_time_relative(hub->heartbeat, SSE_HEARTBEAT_USEC);
        if (r >= 0)
                r = sd_event_source_set_enabled(hub->heartbeat, on ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
        if (r < 0)
                (void) log_debug_errno(r, "Cannot time the heartbeat: %m");
}

/* The channel stays, even without streams: its caller may be walking along them. */
static void drop_stream(SseStream *stream)
{
        SseHub *hub = stream->hub;

        sse_hub_list(stream, NULL);
        sse_catch_up_forget(stream);
        stream->principal->allowance->n_streams--;
        sse_stream_free(stream);
        if (--hub->status.n_streams > 0)
                return;
        hub->knows_position = false;
        sse_catch_up_stop(hub);
        arm_heartbeat(hub, false);
        hub->app->idle_changed(hub->app);
}

void sse_hub_drop(SseStream *stream)
{
        SseChannel *channel = stream->channel;

        drop_stream(stream);
        sse_channel_release(channel);
}

static void log_cut(Principal *principal)
{
        unsigned n_unsaid;

        if (quiet_log_may(&principal->allowance->log, LOG_CUT, now_usec(CLOCK_MONOTONIC), &n_unsaid))
                log_info("A stream of the key '%s' was cut off: its client does not read. "
                         "%u like it were not told of.",
                         principal->name, n_unsaid);
}

static void cut(SseStream *stream)
{
        stream->hub->status.n_cut++;
        log_cut(stream->principal);
        drop_stream(stream);
}

/* Return: whether the stream is still there. */
static bool write_text(SseStream *stream, SseText *text, bool is_reserved)
{
        SseHub *hub = stream->hub;
        int r;

        r = sse_stream_write(stream, hub->epoll_fd, text, &hub->backlog, is_reserved);
        if (r >= 0)
                return true;
        if (r == -ENOBUFS)
                cut(stream);
        else
                drop_stream(stream);
        return false;
}

bool sse_hub_write(SseStream *stream, SseText *text, bool is_reserved)
{
        SseChannel *channel = stream->channel;

        if (write_text(stream, text, is_reserved))
                return true;
        sse_channel_release(channel);
        return false;
}

unsigned sse_hub_admit(const SseHub *hub, const Principal *principal)
{
        const HttpSettings *settings = &hub->app->settings;

        if (hub->status.n_streams >= settings->streams_max)
                return 503;
        return principal->allowance->n_streams >= settings->streams_per_key_max ? 429 : 0;
}

static int on_expired(sd_event_source *source, uint64_t usec, void *userdata)
{
        SseStream *stream = userdata;

        sse_stream_say_end(stream);
        sse_hub_drop(stream);
        return 0;
}

/* It ends with what it was granted for. */
static int time_expiry(SseStream *stream)
{
        usec_t usec = stream->principal->expires_usec;

        return usec == USEC_INFINITY ? 0
                                     : sd_event_add_time(stream->hub->app->event, &stream->expiry, CLOCK_REALTIME,
                                                         usec, EXPIRY_ACCURACY_USEC, on_expired, stream);
}

/* One that has not taken yet what it was sent first is told of what comes when it has: it would be cut off over what
 * it has asked for. */
static void begin_pace(SseStream *stream)
{
        SseChannel *channel = stream->channel;

        if (stream->n_queue > 0)
                sse_hub_list(stream, &channel->behind);
        else if (stream->list == &channel->behind)
                sse_catch_up_stream(stream);
}

int sse_hub_add(SseHub *hub, int fd, bool is_chunked, Principal *principal, const SseFilter *filter, SseText *head,
                SseText *first, const SseBegin *begin)
{
        SseChannel *channel;
        SseStream *stream;
        int r;

        r = sse_stream_new(fd, hub->epoll_fd, is_chunked, &stream);
        if (r < 0)
                return r;
        stream->hub = hub;
        stream->principal = principal_ref(principal);
        r = time_expiry(stream);
        if (r >= 0)
                r = sse_channel_get(hub, filter, &channel);
        if (r < 0) {
                sse_stream_free(stream);
                return r;
        }
        stream->channel = channel;
        stream->position = begin->position;
        stream->round = hub->round;
        stream->told_whole_from = begin->told_whole_from;
        stream->beats_by_event = begin->beats_by_event;
        principal->allowance->n_streams++;
        hub->status.n_opened++;
        if (hub->status.n_streams++ == 0) {
                arm_heartbeat(hub, true);
                hub->app->idle_changed(hub->app);
        }
        sse_hub_list(stream, begin->in_step ? &channel->ahead : &channel->behind);
        if (begin->in_step && !hub->knows_position) {
                hub->position = begin->position;
                hub->knows_position = true;
        }
        if (sse_hub_write(stream, head, true) && sse_hub_write(stream, first, true))
                begin_pace(stream);
        return 0;
}

/* @list's streams whose principal is valid no more, or all. */
static void end_list(SseStream **list, bool all)
{
        SseStream *stream, *next;

        DL_FOREACH_SAFE(*list, stream, next)
        if (all || !auth_is_valid(stream->principal)) {
                sse_stream_say_end(stream);
                drop_stream(stream);
        }
}

static void end_streams(SseHub *hub, bool all)
{
        SseChannel *channel, *next;

        HASH_ITER(hh, hub->channels, channel, next) {
                end_list(&channel->streams, all);
                end_list(&channel->ahead, all);
                end_list(&channel->behind, all);
                sse_channel_release(channel);
        }
}

void sse_hub_end_invalid(SseHub *hub)
{
        end_streams(hub, false);
}

/* ---- Events */

/* Return: how many streams it was sent to. */
static unsigned write_list(SseStream **list, SseText *text)
{
        SseStream *stream, *next;
        unsigned n = 0;

        DL_FOREACH_SAFE(*list, stream, next)
        if (write_text(stream, text, false))
                n++;
        return n;
}

/* Those whom memory failed would miss an event, and must resume. */
static void end_all(SseChannel *channel)
{
        log_oom();
        end_list(&channel->streams, true);
        end_list(&channel->ahead, true);
        end_list(&channel->behind, true);
}

static SseText *take_text(SseHub *hub)
{
        return hub->n_spare > 0 ? hub->spare[--hub->n_spare] : sse_text_new();
}

/* For use again, where nobody waits for it. */
static void give_text(SseHub *hub, SseText *text)
{
        if (text->n_ref > 1 || text->held || text->buffer.allocated > SSE_SPARE_TEXT_BYTES ||
            hub->n_spare == SSE_SPARE_TEXTS) {
                sse_text_unref(text);
                return;
        }
        sse_text_reset(text);
        hub->spare[hub->n_spare++] = text;
}

static void flush_channel(SseChannel *channel)
{
        SseText *text = TAKE_PTR(channel->text);
        unsigned n_events = channel->n_events;
        SseHub *hub = channel->hub;

        sse_channel_set_clean(channel);
        if (!text)
                return;
        if (sse_text_finish(text) < 0)
                end_all(channel);
        else
                hub->status.n_delivered += (uint64_t) n_events * write_list(&channel->streams, text);
        give_text(hub, text);
}

void sse_hub_flush(SseHub *hub)
{
        while (hub->dirty) {
                SseChannel *channel = hub->dirty;

                flush_channel(channel);
                sse_channel_release(channel);
        }
}

void sse_hub_fall_behind(SseHub *hub)
{
        SseChannel *channel, *next_channel;
        SseStream *stream, *next;

        sse_hub_flush(hub);
        HASH_ITER(hh, hub->channels, channel, next_channel) {
                DL_FOREACH_SAFE(channel->ahead, stream, next)
                sse_hub_list(stream, &channel->behind);
                DL_FOREACH_SAFE(channel->streams, stream, next)
                {
                        stream->position = hub->position;
                        sse_hub_list(stream, &channel->behind);
                }
        }
}

static bool is_awaited(const SseChannel *channel, uint64_t seq)
{
        const SseStream *stream;

        DL_FOREACH(channel->ahead, stream)
                if (seq > stream->position)
                        return true;
        return false;
}

/* Streams to which this event is the first new one are in step from here on. What the others were to be sent before
 * goes out first, which may end any of them. */
static void take_in(SseChannel *channel, uint64_t seq)
{
        SseStream *stream, *next;

        if (!is_awaited(channel, seq))
                return;
        flush_channel(channel);
        DL_FOREACH_SAFE(channel->ahead, stream, next)
        if (seq > stream->position)
                sse_hub_list(stream, &channel->streams);
}

static void add_event(SseChannel *channel, uint64_t seq, const char *json)
{
        SseHub *hub = channel->hub;

        if (channel->ahead)
                take_in(channel, seq);
        if (!channel->streams)
                return;
        if (!channel->text)
                channel->text = take_text(hub);
        if (!channel->text) {
                end_all(channel);
                return;
        }
        sse_text_add_event(channel->text, seq, json);
        channel->n_events++;
        if (!channel->is_dirty) {
                channel->is_dirty = true;
                DL_APPEND2(hub->dirty, channel, dirty_prev, dirty_next);
        }
        if (channel->n_events >= SSE_BATCH_EVENTS || channel->text->buffer.size >= SSE_BATCH_BYTES)
                flush_channel(channel);
}

/* The same, where nobody may be left who reads it. */
static void deliver_to(SseChannel *channel, uint64_t seq, const char *json)
{
        add_event(channel, seq, json);
        sse_channel_release(channel);
}

void sse_hub_deliver(SseHub *hub, uint64_t seq, const char *user_id, const char *json)
{
        _cleanup_json_ struct json_object *event = NULL;
        SseChannel *channel, *next;

        hub->position = seq;
        hub->status.n_events++;
        channel = sse_channel_of_user(hub, user_id);
        if (channel)
                deliver_to(channel, seq, json);
        DL_FOREACH_SAFE2(hub->wide, channel, next, wide_next)
        {
                SseFilter filter = { .provider = channel->provider, .connector = channel->connector };

                if ((!channel->user_id || streq(channel->user_id, user_id)) &&
                    sse_filter_matches_parsed(&filter, json, &event))
                        deliver_to(channel, seq, json);
        }
}

void sse_hub_event(SseHub *hub, uint64_t seq, const char *user_id, const char *json)
{
        /* What is told while the hub catches up comes in what it asks for. */
        if (!hub->knows_position || hub->is_behind || seq <= hub->position)
                return;
        /* The bus drops signals to who reads too slowly, and the daemon those that it has no room for. */
        if (seq == hub->position + 1)
                sse_hub_deliver(hub, seq, user_id, json);
        else
                sse_catch_up_hub(hub);
}

/* ---- The loop */

/* A client that has not taken what it was sent needs no sign of life, and keeps the memory of others for so long.
 * @comment: NULL: only for those who are told by events. */
static void beat_list(SseStream **list, SseText *comment, SseText *event)
{
        SseStream *stream, *next;

        DL_FOREACH_SAFE(*list, stream, next)
        {
                SseText *text = stream->beats_by_event ? event : comment;

                if (stream->n_queue == 0 && text)
                        (void) write_text(stream, text, false);
                else if (stream->n_queue > 0 &&
                         sse_stream_is_stuck(stream, stream->hub->app->settings.send_timeout_usec))
                        cut(stream);
        }
}

static void beat(SseHub *hub, SseText *comment)
{
        _cleanup_(sse_text_unrefp) SseText *event = sse_text_new();
        SseChannel *channel, *next;

        if (!event)
                return;
        sse_text_add_heartbeat(event, client_async_is_up(hub->app->client));
        if (sse_text_finish(event) < 0)
                return;
        sse_hub_flush(hub);
        HASH_ITER(hh, hub->channels, channel, next) {
                beat_list(&channel->streams, comment, event);
                beat_list(&channel->ahead, comment, event);
                beat_list(&channel->behind, comment, event);
                sse_channel_release(channel);
        }
}

void sse_hub_say_availability(SseHub *hub)
{
        if (hub->status.n_streams > 0)
                beat(hub, NULL);
}

static void write_to_pages(SseStream **list, SseText *text)
{
        SseStream *stream, *next;

        DL_FOREACH_SAFE(*list, stream, next)
        if (stream->beats_by_event)
                (void) write_text(stream, text, false);
}

void sse_hub_connectors_changed(SseHub *hub)
{
        _cleanup_(sse_text_unrefp) SseText *text = hub->status.n_streams > 0 ? sse_text_new() : NULL;
        SseChannel *channel, *next;

        if (!text)
                return;
        sse_text_add_changed(text);
        if (sse_text_finish(text) < 0)
                return;
        sse_hub_flush(hub);
        HASH_ITER(hh, hub->channels, channel, next) {
                write_to_pages(&channel->streams, text);
                write_to_pages(&channel->ahead, text);
                write_to_pages(&channel->behind, text);
                sse_channel_release(channel);
        }
}

static int on_heartbeat(sd_event_source *source, uint64_t usec, void *userdata)
{
        _cleanup_(sse_text_unrefp) SseText *comment = sse_text_new();
        SseHub *hub = userdata;

        arm_heartbeat(hub, true);
        sse_catch_up_check(hub);
        if (!comment)
                return 0;
        sse_text_add_comment(comment, "heartbeat");
        if (sse_text_finish(comment) >= 0)
                beat(hub, comment);
        return 0;
}

static void handle_socket(SseHub *hub, SseStream *stream, uint32_t events)
{
        bool ended = events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP);

        /* Who sends nothing more may still read. */
        if ((events & EPOLLRDHUP) && !(events & (EPOLLERR | EPOLLHUP)))
                sse_stream_say_end(stream);
        if (ended || sse_stream_flush(stream, hub->epoll_fd) < 0)
                sse_hub_drop(stream);
        else if (stream->n_queue == 0 && stream->list == &stream->channel->behind)
                sse_catch_up_stream(stream);
}

static int on_sockets(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        struct epoll_event events[EPOLL_EVENTS];
        SseHub *hub = userdata;
        int n;

        n = epoll_wait(hub->epoll_fd, events, EPOLL_EVENTS, 0);
        for (int i = 0; i < n; i++)
                handle_socket(hub, events[i].data.ptr, events[i].events);
        return 0;
}

int sse_hub_new(App *app, SseHub **ret)
{
        SseHub *hub = calloc(1, sizeof(*hub));
        int r;

        if (!hub)
                return -ENOMEM;
        hub->app = app;
        hub->backlog.each_max_bytes = app->settings.backlog_max_bytes;
        hub->backlog.all_max_bytes = app->settings.backlogs_max_bytes;
        hub->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        r = hub->epoll_fd < 0 ? -errno : 0;
        if (r >= 0)
                r = sd_event_add_io(app->event, &hub->sockets, hub->epoll_fd, EPOLLIN, on_sockets, hub);
        if (r >= 0)
                r = sd_event_add_time(app->event, &hub->heartbeat, CLOCK_MONOTONIC, 0, HEARTBEAT_ACCURACY_USEC,
                                      on_heartbeat, hub);
        if (r >= 0)
                r = sd_event_source_set_enabled(hub->heartbeat, SD_EVENT_OFF);
        if (r >= 0)
                r = sse_catch_up_init(hub);
        if (r < 0) {
                sse_hub_free(hub);
                return r;
        }
        *ret = hub;
        return 0;
}

SseHub *sse_hub_free(SseHub *hub)
{
        if (!hub)
                return NULL;
        sse_hub_flush(hub);
        end_streams(hub, true);
        sse_catch_up_done(hub);
        sd_event_source_disable_unref(hub->sockets);
        sd_event_source_disable_unref(hub->heartbeat);
        (void) safe_close(hub->epoll_fd);
        while (hub->n_spare > 0)
                sse_text_unref(hub->spare[--hub->n_spare]);
        free(hub);
        return NULL;
}

void sse_hub_status(const SseHub *hub, SseStatus *ret)
{
        *ret = hub->status;
}
