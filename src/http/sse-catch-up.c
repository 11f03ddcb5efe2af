/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* ListEvents says up to which number events were told before its answer: whoever has read all pages up to it goes on
 * with the signals that come after, and misses none. */

#include "http/sse-catch-up.h"

#include <utlist.h>

#include "base/log.h"
#include "base/string-util.h"
#include "http/app.h"
#include "http/sse-internal.h"

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

/* What was seen before may be of another history, whose numbers went further. */
bool sse_page_is_of_another_history(const SsePage *page, uint64_t after)
{
        return page->last < after;
}

bool sse_page_has_gap(const SsePage *page, uint64_t after)
{
        return page->whole_from > after + 1 || sse_page_is_of_another_history(page, after);
}

void sse_page_write(uint64_t seq, const char *user_id, const char *json, void *userdata)
{
        SsePageWriter *writer = userdata;

        if (sse_filter_matches(writer->filter, json))
                sse_text_add_event(writer->text, seq, json);
}

static int ask(SseHub *hub, const SseFilter *filter, uint64_t after, ClientAnswerCallback callback, void *userdata,
               ClientCall **ret_call)
{
        const ClientOption options[] = {
                { .name = "user", .type = 's', .s = filter->user_id },
                { .name = "provider", .type = 's', .s = filter->provider },
                { .name = "connector", .type = 's', .s = filter->connector },
                { .name = "after", .type = 't', .t = after },
                { .name = "limit", .type = 'u', .u = SSE_PAGE_EVENTS },
                { .name = "bytes", .type = 't', .t = SSE_PAGE_BYTES },
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

/* Return: whether the stream is still there. */
static bool write_comment(SseStream *stream, const char *comment)
{
        _cleanup_(sse_text_unrefp) SseText *text = sse_text_new();

        if (text)
                sse_text_add_comment(text, comment);
        if (text && sse_text_finish(text) >= 0)
                return sse_hub_write(stream, text);
        sse_hub_drop(stream);
        return false;
}

/* Return: whether the stream is still there. */
static bool write_page(SseStream *stream, sd_bus_message *reply)
{
        const SseFilter filter = stream_filter(stream);
        _cleanup_(sse_text_unrefp) SseText *text = sse_text_new();
        SsePageWriter writer = { .filter = &filter, .text = text };

        if (!text || sse_page_each(reply, sse_page_write, &writer) < 0) {
                sse_hub_drop(stream);
                return false;
        }
        if (sse_text_is_empty(text))
                return true;
        if (sse_text_finish(text) >= 0)
                return sse_hub_write(stream, text);
        sse_hub_drop(stream);
        return false;
}

/* Tells of what was lost since the page before, each loss once. Return: whether the stream is still there. */
static bool write_gap(SseStream *stream, const SsePage *page)
{
        bool again = page->whole_from <= stream->told_whole_from &&
                     !sse_page_is_of_another_history(page, stream->position);

        if (!sse_page_has_gap(page, stream->position) || again)
                return true;
        stream->told_whole_from = page->whole_from;
        return write_comment(stream, SSE_GAP_COMMENT);
}

static void on_stream_page(const ClientAnswer *answer, void *userdata)
{
        SseStream *stream = userdata;
        SseHub *hub = stream->hub;
        SsePage page;

        stream->call = NULL;
        if (answer->error < 0) {
                try_later(hub);
                return;
        }
        if (sse_page_read(answer->reply, &page) < 0) {
                sse_hub_drop(stream);
                return;
        }
        if (!write_gap(stream, &page))
                return;
        if (sse_page_is_of_another_history(&page, stream->position))
                page.next = 0; /* from its beginning */
        else if (!write_page(stream, answer->reply))
                return;
        stream->position = page.next;
        if (page.next < page.last) {
                if (stream->n_queue == 0)
                        sse_catch_up_stream(stream);
                return;
        }
        if (!hub->knows_position) {
                hub->position = page.last;
                hub->knows_position = true;
        }
        sse_hub_list(stream, &stream->channel->ahead);
}

void sse_catch_up_stream(SseStream *stream)
{
        const SseFilter filter = stream_filter(stream);

        if (stream->call)
                return;
        if (ask(stream->hub, &filter, stream->position, on_stream_page, stream, &stream->call) < 0)
                try_later(stream->hub);
}

/* ---- The hub */

static void ask_for_hub(SseHub *hub);

static void on_hub_event(uint64_t seq, const char *user_id, const char *json, void *userdata)
{
        SseHub *hub = userdata;

        if (seq > hub->position)
                sse_hub_deliver(hub, seq, user_id, json);
}

/* Something was lost while the daemon was away. Whose it was each stream asks for itself. */
static void all_fall_behind(SseHub *hub)
{
        SseChannel *channel;
        SseStream *stream;

        sse_hub_fall_behind(hub);
        for (channel = hub->channels; channel; channel = channel->hh.next)
                DL_FOREACH(channel->behind, stream)
                        if (stream->n_queue == 0)
                                sse_catch_up_stream(stream);
}

static void on_hub_page(const ClientAnswer *answer, void *userdata)
{
        SseHub *hub = userdata;
        uint64_t before = hub->position;
        SsePage page;

        hub->call = NULL;
        if (answer->error < 0 || sse_page_read(answer->reply, &page) < 0) {
                try_later(hub);
                return;
        }
        if (sse_page_is_of_another_history(&page, before)) {
                sse_hub_comment(hub, SSE_GAP_COMMENT);
                hub->position = 0; /* from its beginning */
                ask_for_hub(hub);
                return;
        }
        if (sse_page_has_gap(&page, before))
                all_fall_behind(hub);
        if (!hub->knows_position)
                return; /* there is no stream left */
        if (sse_page_each(answer->reply, on_hub_event, hub) < 0) {
                try_later(hub);
                return;
        }
        hub->position = page.next;
        hub->is_behind = page.next < page.last;
        if (hub->is_behind)
                ask_for_hub(hub);
}

static void ask_for_hub(SseHub *hub)
{
        static const SseFilter everything = { 0 };

        if (hub->call)
                return;
        if (ask(hub, &everything, hub->position, on_hub_page, hub, &hub->call) < 0)
                try_later(hub);
}

void sse_hub_daemon_returned(SseHub *hub)
{
        SseChannel *channel;
        SseStream *stream;

        hub->is_behind = hub->knows_position;
        hub->call = client_call_cancel(hub->call);
        if (hub->is_behind)
                ask_for_hub(hub);
        for (channel = hub->channels; channel; channel = channel->hh.next)
                DL_FOREACH(channel->behind, stream)
                        if (stream->n_queue == 0)
                                sse_catch_up_stream(stream);
}

void sse_catch_up_stop(SseHub *hub)
{
        hub->is_behind = false;
        hub->call = client_call_cancel(hub->call);
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
        SseHub *hub = userdata;
        SseChannel *channel;
        SseStream *stream;

        if (hub->is_behind && hub->knows_position)
                ask_for_hub(hub);
        for (channel = hub->channels; channel; channel = channel->hh.next)
                DL_FOREACH(channel->behind, stream)
                        if (stream->n_queue == 0)
                                sse_catch_up_stream(stream);
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
        sse_catch_up_stop(hub);
        sd_event_source_disable_unref(hub->retry);
}
