/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* ListEvents says up to which number events were told before its answer: whoever has read all pages up to it goes on
 * with the signals that come after, and misses none. */

#include "http/sse-catch-up.h"

#include <inttypes.h>
#include <stdlib.h>
#include <utlist.h>

#include "base/log.h"
#include "base/names.h"
#include "base/string-util.h"
#include "http/app.h"
#include "http/sse-internal.h"

/* Streams that may ask at the same time, and what an answer may come to as frames. An event is never parted. */
#define ASKING_MAX      64U
#define PAGE_HELD_BYTES (SSE_PAGE_BYTES + 64 * KIB)

/* What a stream asks for where too much is kept for clients that do not take it: nobody else shall wait for them. */
#define PAGE_SMALL_BYTES (4 * KIB)

#define RETRY_USEC          (1 * USEC_PER_SEC)
#define RETRY_ACCURACY_USEC (50 * USEC_PER_MSEC)

/* ---- Pages */

int sse_page_read(sd_bus_message *reply, SsePage *ret)
{
        int r;

        /* The numbers come behind the events, and have to be known before them. */
        r = sd_bus_message_skip(reply, "a(tsss)");
        if (r >= 0)
                r = sd_bus_message_read(reply, "ttt", &ret->whole_from, &ret->next, &ret->last);
        return r < 0 ? r : sd_bus_message_rewind(reply, true);
}

int sse_page_each(sd_bus_message *reply,
                  void (*event)(uint64_t seq, const char *user_id, const char *json, void *userdata), void *userdata)
{
        const char *user_id, *run_id, *json;
        uint64_t seq;
        int r;

        r = sd_bus_message_enter_container(reply, 'a', "(tsss)");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(reply, "(tsss)", &seq, &user_id, &run_id, &json)) > 0)
                event(seq, user_id, json, userdata);
        return r;
}

bool sse_page_has_gap(const SsePage *page, uint64_t after)
{
        return page->whole_from > after + 1 || sse_page_is_beyond(page, after);
}

bool sse_page_is_beyond(const SsePage *page, uint64_t after)
{
        return page->last < after && page->whole_from <= after;
}

void sse_page_write(uint64_t seq, const char *user_id, const char *json, void *userdata)
{
        SsePageWriter *writer = userdata;

        if (sse_filter_matches(writer->filter, json))
                sse_text_add_event(writer->text, seq, json);
}

static int ask(SseHub *hub, const SseFilter *filter, uint64_t after, uint64_t bytes, ClientAnswerCallback callback,
               void *userdata, ClientCall **ret_call)
{
        const ClientOption options[] = {
                { .name = "user", .type = 's', .s = filter->user_id },
                { .name = "provider", .type = 's', .s = filter->provider },
                { .name = "connector", .type = 's', .s = filter->connector },
                { .name = "after", .type = 't', .t = after },
                { .name = "limit", .type = 'u', .u = SSE_PAGE_EVENTS },
                { .name = "bytes", .type = 't', .t = bytes },
        };
        const ClientRequest request = {
                .member = "ListEvents",
                .dictionary = true,
                .options = options,
                .n_options = ELEMENTSOF(options),
                .repeatable = true,
        };

        return client_async_call(hub->app->client, &request, callback, userdata, ret_call);
}

static void try_later(SseHub *hub)
{
        int r;

        r = sd_event_source_set_time_relative(hub->retry, RETRY_USEC);
        if (r >= 0)
                r = sd_event_source_set_enabled(hub->retry, SD_EVENT_ONESHOT);
        if (r < 0)
                (void) log_debug_errno(r, "Cannot wait for the daemon: %m");
}

/* ---- One stream */

static SseFilter stream_filter(const SseStream *stream)
{
        const SseChannel *channel = stream->channel;

        return (SseFilter){
                .user_id = channel->user_id,
                .provider = channel->provider,
                .connector = channel->connector,
        };
}

/* Whether it is to be told of a loss; each once. */
static bool owes_gap(const SseStream *stream, const SsePage *page)
{
        return stream->owes_gap ||
               (page->whole_from > stream->told_whole_from && sse_page_has_gap(page, stream->position));
}

/* Return: whether the stream is still there. */
static bool write_page(SseStream *stream, const SsePage *page, sd_bus_message *reply)
{
        const SseFilter filter = stream_filter(stream);
        _cleanup_(sse_text_unrefp) SseText *text = sse_text_new();
        SsePageWriter writer = { .filter = &filter, .text = text };
        int r = text ? 0 : -ENOMEM;

        if (text && owes_gap(stream, page)) {
                sse_text_add_comment(text, SSE_GAP_COMMENT);
                stream->owes_gap = false;
                stream->told_whole_from = page->whole_from;
        }
        if (r >= 0)
                r = sse_page_each(reply, sse_page_write, &writer);
        if (r >= 0 && sse_text_is_empty(text))
                return true;
        if (r >= 0)
                r = sse_text_finish(text);
        if (r >= 0)
                return sse_hub_write(stream, text, true);
        sse_hub_drop(stream);
        return false;
}

static void take_page(SseStream *stream, sd_bus_message *reply)
{
        SseHub *hub = stream->hub;
        SsePage page;

        if (sse_page_read(reply, &page) < 0) {
                sse_hub_drop(stream);
                return;
        }
        if (sse_page_is_beyond(&page, stream->position)) {
                stream->owes_gap = true;
                stream->position = 0; /* from its beginning */
                sse_catch_up_stream(stream);
                return;
        }
        if (!write_page(stream, &page, reply))
                return;
        stream->position = page.next;
        stream->round = hub->round;
        /* In step is who has taken all: what comes next is asked for when this is taken. */
        if (stream->n_queue > 0)
                return;
        if (page.next < page.last) {
                sse_catch_up_stream(stream);
                return;
        }
        if (!hub->knows_position) {
                hub->position = page.last;
                hub->knows_position = true;
        }
        sse_hub_list(stream, &stream->channel->ahead);
}

static void ask_for_streams(SseHub *hub);

static void on_stream_page(const ClientAnswer *answer, void *userdata)
{
        SseStream *stream = userdata;
        SseHub *hub = stream->hub;

        stream->call = NULL;
        hub->n_asking--;
        if (answer->error < 0)
                try_later(hub);
        else
                take_page(stream, answer->reply);
        if (hub->keeps_waiting)
                ask_for_streams(hub);
}

bool sse_catch_up_has_room(const SseHub *hub)
{
        size_t all = hub->backlog.held_bytes + (size_t) (hub->n_asking + 1) * PAGE_HELD_BYTES;

        return all <= hub->backlog.all_max_bytes || (hub->n_asking == 0 && hub->backlog.held_bytes == 0);
}

void sse_catch_up_stream(SseStream *stream)
{
        const SseFilter filter = stream_filter(stream);
        SseHub *hub = stream->hub;
        uint64_t bytes;

        if (stream->call || hub->is_unsure)
                return;
        if (hub->n_asking >= ASKING_MAX) {
                hub->keeps_waiting = true;
                return;
        }
        bytes = sse_catch_up_has_room(hub) ? SSE_PAGE_BYTES : PAGE_SMALL_BYTES;
        if (ask(hub, &filter, stream->position, bytes, on_stream_page, stream, &stream->call) < 0)
                try_later(hub);
        else
                hub->n_asking++;
}

void sse_catch_up_forget(SseStream *stream)
{
        if (!stream->call)
                return;
        stream->call = client_call_cancel(stream->call);
        stream->hub->n_asking--;
        if (stream->hub->keeps_waiting)
                try_later(stream->hub);
}

/* For those that wait for it. */
static void ask_for_streams(SseHub *hub)
{
        SseChannel *channel;
        SseStream *stream;

        hub->keeps_waiting = false;
        for (channel = hub->channels; channel && !hub->keeps_waiting; channel = channel->hh.next)
                DL_FOREACH(channel->behind, stream)
                        if (stream->n_queue == 0)
                                sse_catch_up_stream(stream);
}

/* ---- The hub */

static void on_hub_event(uint64_t seq, const char *user_id, const char *json, void *userdata)
{
        SseHub *hub = userdata;

        if (seq > hub->position)
                sse_hub_deliver(hub, seq, user_id, json);
}

/* Numbers say something else than before. Streams of which it is not known that they stand in this history are told
 * so, and are sent all of it. */
static void begin_anew(SseHub *hub)
{
        SseChannel *channel;
        SseStream *stream;

        log_notice("The history is another than before: streams begin anew.");
        sse_hub_fall_behind(hub);
        hub->knows_position = hub->is_behind = false;
        for (channel = hub->channels; channel; channel = channel->hh.next)
                DL_FOREACH(channel->behind, stream) {
                        if (stream->round == hub->round)
                                continue;
                        sse_catch_up_forget(stream);
                        stream->round = hub->round;
                        stream->position = stream->told_whole_from = 0;
                        stream->owes_gap = true;
                }
        ask_for_streams(hub);
}

static void take_hub_page(SseHub *hub, const SsePage *page, sd_bus_message *reply)
{
        if (sse_page_is_beyond(page, hub->position)) {
                begin_anew(hub);
                return;
        }
        /* Something was lost while the daemon was away. Whose it was each stream asks for itself. */
        if (sse_page_has_gap(page, hub->position)) {
                sse_hub_fall_behind(hub);
                ask_for_streams(hub);
                hub->position = MIN(hub->position, page->last); /* it may have been of another history */
        }
        if (!hub->knows_position)
                return; /* there is no stream left */
        if (sse_page_each(reply, on_hub_event, hub) < 0) {
                try_later(hub);
                return;
        }
        hub->position = MAX(hub->position, page->next);
        hub->is_behind = page->next < page->last;
}

static void ask_for_hub(SseHub *hub);

static void on_hub_page(const ClientAnswer *answer, void *userdata)
{
        SseHub *hub = userdata;
        SsePage page;

        hub->call = NULL;
        if (answer->error < 0 || sse_page_read(answer->reply, &page) < 0)
                try_later(hub);
        else {
                take_hub_page(hub, &page, answer->reply);
                sse_hub_flush(hub);
                if (hub->knows_position && hub->is_behind)
                        ask_for_hub(hub);
        }
}

static void ask_for_hub(SseHub *hub)
{
        static const SseFilter everything = { 0 };

        if (hub->call || hub->is_unsure)
                return;
        if (ask(hub, &everything, hub->position, SSE_PAGE_BYTES, on_hub_page, hub, &hub->call) < 0)
                try_later(hub);
}

void sse_catch_up_hub(SseHub *hub)
{
        log_debug("Events after %" PRIu64 " were not heard: they are asked for.", hub->position);
        hub->is_behind = true;
        ask_for_hub(hub);
}

void sse_catch_up_check(SseHub *hub)
{
        if (hub->knows_position && client_async_is_up(hub->app->client))
                ask_for_hub(hub);
}

/* ---- The daemon goes and comes */

static void go_on(SseHub *hub)
{
        if (hub->is_behind && hub->knows_position)
                ask_for_hub(hub);
        ask_for_streams(hub);
}

void sse_hub_daemon_lost(SseHub *hub)
{
        SseChannel *channel;
        SseStream *stream;

        hub->round++;
        hub->is_unsure = true;
        hub->is_behind = hub->knows_position;
        hub->call = client_call_cancel(hub->call);
        for (channel = hub->channels; channel; channel = channel->hh.next)
                DL_FOREACH(channel->behind, stream)
                        sse_catch_up_forget(stream);
        sse_hub_say_availability(hub);
}

/* Numbers are compared with those of before only within one history. */
static void on_history(const ClientAnswer *answer, void *userdata)
{
        const char *history = NULL;
        SseHub *hub = userdata;
        bool is_another = false;
        int r = answer->error;

        hub->call = NULL;
        if (r >= 0)
                r = sd_bus_message_read(answer->reply, "v", "s", &history);
        if (r >= 0) {
                is_another = hub->history && !streq(hub->history, history);
                r = free_and_strdup(&hub->history, history);
        }
        if (r == -ENOMEM || (r == -EHOSTUNREACH && !answer->refusal)) {
                try_later(hub);
                return;
        }
        if (r < 0)
                (void) log_debug_errno(r, "The daemon does not say which history it has: %m");
        hub->is_unsure = false;
        if (is_another)
                begin_anew(hub);
        else
                go_on(hub);
}

static void ask_for_history(SseHub *hub)
{
        const ClientRequest request = {
                .interface = "org.freedesktop.DBus.Properties",
                .member = "Get",
                .text = SYNCRUN_IFACE_MANAGER,
                .second_text = "History",
                .repeatable = true,
        };

        if (!hub->call && client_async_call(hub->app->client, &request, on_history, hub, &hub->call) < 0)
                try_later(hub);
}

void sse_hub_daemon_returned(SseHub *hub)
{
        hub->is_unsure = true;
        hub->call = client_call_cancel(hub->call);
        sse_hub_say_availability(hub);
        ask_for_history(hub);
}

void sse_catch_up_stop(SseHub *hub)
{
        hub->is_behind = false;
        if (!hub->is_unsure)
                hub->call = client_call_cancel(hub->call);
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
        SseHub *hub = userdata;

        if (!hub->is_unsure)
                go_on(hub);
        else if (client_async_is_up(hub->app->client))
                ask_for_history(hub);
        return 0;
}

int sse_catch_up_init(SseHub *hub)
{
        int r;

        r = sd_event_add_time(hub->app->event, &hub->retry, CLOCK_MONOTONIC, 0, RETRY_ACCURACY_USEC, on_retry, hub);
        return r < 0 ? r : sd_event_source_set_enabled(hub->retry, SD_EVENT_OFF);
}

void sse_catch_up_done(SseHub *hub)
{
        hub->call = client_call_cancel(hub->call);
        sd_event_source_disable_unref(hub->retry);
        free(hub->history);
}
