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

int sse_page_read(sd_bus_message *reply, SsePage *page,
                  void (*event)(uint64_t seq, const char *user_id, const char *json, void *userdata), void *userdata)
{
        const char *user_id, *run_id, *json;
        uint64_t seq;
        int r;

        page->n_events = 0;
        r = sd_bus_message_enter_container(reply, 'a', "(tsss)");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(reply, "(tsss)", &seq, &user_id, &run_id, &json)) > 0) {
                event(seq, user_id, json, userdata);
                page->last_seq = seq;
                page->n_events++;
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(reply);
        return r < 0 ? r : sd_bus_message_read(reply, "tt", &page->first_kept, &page->last);
}

/* What was seen before may be of another history, whose numbers went further. */
bool sse_page_has_gap(const SsePage *page, uint64_t after)
{
        return page->first_kept > after + 1 || page->last < after;
}

void sse_page_write(uint64_t seq, const char *user_id, const char *json, void *userdata)
{
        SsePageWriter *writer = userdata;

        if (sse_filter_matches(writer->filter, json))
                sse_text_add_event(writer->text, seq, json);
}

static int ask(SseHub *hub, const char *user_id, uint64_t after, ClientAnswerCallback callback, void *userdata,
               ClientCall **ret_call)
{
        const ClientOption options[] = {
                { .name = "user", .type = 's', .s = user_id },
                { .name = "after", .type = 't', .t = after },
                { .name = "limit", .type = 'u', .u = SSE_PAGE_EVENTS },
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

/* Return: whether the stream is still there. */
static bool write_page(SseStream *stream, sd_bus_message *reply, SsePage *page)
{
        const SseFilter filter = { .provider = stream->channel->provider, .connector = stream->channel->connector };
        _cleanup_(sse_text_unrefp) SseText *text = sse_text_new();
        SsePageWriter writer = { .filter = &filter, .text = text };

        if (!text || sse_page_read(reply, page, sse_page_write, &writer) < 0) {
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

static void on_stream_page(const ClientAnswer *answer, void *userdata)
{
        SseStream *stream = userdata;
        SseHub *hub = stream->hub;
        SsePage page = { .last_seq = stream->position };

        stream->call = NULL;
        if (answer->error < 0) {
                try_later(hub);
                return;
        }
        if (!write_page(stream, answer->reply, &page))
                return;
        stream->position = page.last_seq;
        if (page.n_events > 0) {
                if (stream->n_queue == 0)
                        sse_catch_up_stream(stream);
                return;
        }
        stream->position = page.last;
        if (!hub->knows_position) {
                hub->position = page.last;
                hub->knows_position = true;
        }
        sse_hub_list(stream, &stream->channel->ahead);
}

void sse_catch_up_stream(SseStream *stream)
{
        if (stream->call)
                return;
        if (ask(stream->hub, stream->channel->user_id, stream->position, on_stream_page, stream, &stream->call) < 0)
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

static void on_hub_page(const ClientAnswer *answer, void *userdata)
{
        SseHub *hub = userdata;
        uint64_t before = hub->position;
        SsePage page = { .last_seq = before };

        hub->call = NULL;
        if (answer->error < 0 || sse_page_read(answer->reply, &page, on_hub_event, hub) < 0) {
                try_later(hub);
                return;
        }
        if (sse_page_has_gap(&page, before))
                sse_hub_comment(hub, SSE_GAP_COMMENT, false);
        if (page.last < before)
                /* The history was begun anew: from its beginning. */
                hub->position = 0;
        else if (page.n_events == 0) {
                hub->position = page.last;
                hub->is_behind = false;
                return;
        }
        ask_for_hub(hub);
}

static void ask_for_hub(SseHub *hub)
{
        if (hub->call)
                return;
        if (ask(hub, NULL, hub->position, on_hub_page, hub, &hub->call) < 0)
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
