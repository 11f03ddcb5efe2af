/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The first page is asked for while the request is one like any other and can be refused; with its answer the socket
 * is taken over. */

#include "http/sse-open.h"

#include <microhttpd.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/string-util.h"
#include "base/time-util.h"
#include "http/admission.h"
#include "http/app.h"
#include "http/backend.h"
#include "http/respond.h"
#include "http/route.h"
#include "http/server.h"
#include "http/sse-catch-up.h"
#include "http/surface.h"

/* Streams last: who comes back in a second has come for nothing. As long as the document's clients wait at most (C25).
 */
#define STREAMS_RETRY_AFTER_SEC "30"

#define TYPE_EVENT_STREAM "text/event-stream; charset=utf-8"

/* What is known of a stream before it is one: request->state, in one piece of memory. */
typedef struct Opening {
        SseFilter filter; /* points behind this */
        bool resumes;     /* after an event that the client had */
        bool beats_by_event;
        uint64_t after;
        uint64_t replay;
        char text[];
} Opening;

static Opening *opening_new(const SseFilter *filter)
{
        const char *from[] = { filter->user_id, filter->provider, filter->connector };
        const char **to[ELEMENTSOF(from)];
        Opening *opening;
        size_t size = 0;
        char *p;

        for (size_t i = 0; i < ELEMENTSOF(from); i++)
                size += from[i] ? strlen(from[i]) + 1 : 0;
        opening = calloc(1, sizeof(*opening) + size);
        if (!opening)
                return NULL;
        to[0] = &opening->filter.user_id;
        to[1] = &opening->filter.provider;
        to[2] = &opening->filter.connector;
        p = opening->text;
        for (size_t i = 0; i < ELEMENTSOF(from); i++) {
                if (!from[i])
                        continue;
                *to[i] = p;
                p = stpcpy(p, from[i]) + 1;
        }
        return opening;
}

/* An EventSource tells its page of events alone, and a page wants to know that a quiet stream is alive. */
static bool read_heartbeat(Request *request, Opening *opening)
{
        static const char *const words[] = { "comment", "event", NULL };
        const char *heartbeat = words[0];

        if (!surface_word(request, "heartbeat", words, &heartbeat))
                return false;
        opening->beats_by_event = streq(heartbeat, "event");
        return true;
}

/* A header that is no number comes of another server's stream, and is as none. */
static bool read_position(Request *request, Opening *opening)
{
        const char *header = request_header(request, "Last-Event-ID");

        opening->replay = SSE_REPLAY_DEFAULT;
        if (!surface_number(request, "replay", 1, SSE_REPLAY_MAX, &opening->replay))
                return false;
        opening->after = UINT64_MAX;
        if (!surface_number(request, "last_event_id", 0, INT64_MAX, &opening->after))
                return false;
        if (header && parse_uint64(header, &opening->after) >= 0 && opening->after > INT64_MAX)
                opening->after = UINT64_MAX;
        opening->resumes = opening->after != UINT64_MAX;
        return true;
}

/* C21. */
static int make_head(Request *request, SseText **ret)
{
        _cleanup_(sse_text_unrefp) SseText *head = sse_text_new_raw();
        _cleanup_free_ char *cors = respond_cors_lines(request, server_settings(request->server));
        const Answer *answer = &request->answer;
        char date[HTTP_DATE_TEXT_MAX];

        if (!head || !cors)
                return -ENOMEM;
        buffer_append_format(&head->buffer,
                             "HTTP/1.%c 200 OK\r\nDate: %s\r\nContent-Type: " TYPE_EVENT_STREAM "\r\n"
                             "Cache-Control: no-cache, no-transform\r\nX-Accel-Buffering: no\r\n"
                             "X-Content-Type-Options: nosniff\r\n%s%s",
                             request->is_http10 ? '0' : '1', respond_date(date), cors,
                             request->is_http10 ? "Connection: close\r\n"
                             : request_header_has(request, "Connection", "close")
                                             ? "Connection: close\r\nTransfer-Encoding: chunked\r\n"
                                             : "Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n");
        for (size_t i = 0; i < answer->n_headers; i++)
                buffer_append_format(&head->buffer, "%s: %s\r\n", answer->headers[i].name, answer->headers[i].value);
        buffer_append_string(&head->buffer, "\r\n");
        if (sse_text_finish(head) < 0)
                return -ENOMEM;
        *ret = TAKE_PTR(head);
        return 0;
}

static void find_first(uint64_t seq, const char *user_id, const char *json, void *userdata)
{
        uint64_t *first = userdata;

        *first = MIN(*first, seq);
}

/* Its events have no room now: the stream stands before them, and asks for them when it has. */
static int put_off(const Opening *opening, sd_bus_message *reply, SsePage *page)
{
        uint64_t first = page->next + 1;
        int r;

        r = sse_page_each(reply, find_first, &first);
        page->next = opening->resumes ? opening->after : first - 1;
        return r;
}

/* What the first page says, and where it ends. */
static int make_first(const Request *request, sd_bus_message *reply, SsePage *page, SseText **ret)
{
        const Opening *opening = request->state;
        _cleanup_(sse_text_unrefp) SseText *first = sse_text_new(), *events = sse_text_new();
        SsePageWriter writer = { .filter = &opening->filter, .text = events };
        const char *data;
        size_t size;
        int r;

        if (!first || !events)
                return -ENOMEM;
        r = sse_page_read(reply, page);
        if (r < 0)
                return r;
        sse_text_add_comment(first, "connected");
        if (opening->resumes && sse_page_has_gap(page, opening->after))
                sse_text_add_comment(first, SSE_GAP_COMMENT);
        if (!sse_catch_up_has_room(request->app->hub))
                r = put_off(opening, reply, page);
        else if (!opening->resumes || !sse_page_is_beyond(page, opening->after))
                r = sse_page_each(reply, sse_page_write, &writer);
        if (r < 0)
                return r;
        r = sse_text_finish(events);
        if (r < 0)
                return r;
        data = sse_text_data(events, false, &size);
        buffer_append(&first->buffer, data, size);
        r = sse_text_finish(first);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(first);
        return 0;
}

static bool admit(Request *request)
{
        unsigned status = sse_hub_admit(request->app->hub, request->principal);

        /* The streams of a revoked key end at once; this one may not have been among them. */
        if (!auth_is_valid(request->principal)) {
                backend_refuse(request, &(ClientAnswer){ .error = -ENOKEY });
                return false;
        }
        if (status == 0)
                return true;
        admission_note(request, REFUSAL_STREAMS);
        request_add_header(request, MHD_HTTP_HEADER_RETRY_AFTER, STREAMS_RETRY_AFTER_SEC);
        surface_refuse(request, status,
                       status == MHD_HTTP_TOO_MANY_REQUESTS ? "This key has too many streams"
                                                            : "There are too many streams");
        return false;
}

static void begin_stream(Request *request, SseText *head, SseText *first, const SsePage *page)
{
        const Opening *opening = request->state;
        SseBegin begin = {
                .position = page->next,
                .beats_by_event = opening->beats_by_event,
                .in_step = page->next >= page->last,
        };
        int fd, r;

        if (opening->resumes && sse_page_has_gap(page, opening->after))
                begin.told_whole_from = page->whole_from;
        /* The client's last event may be of another history: it gets all of this one. */
        if (opening->resumes && sse_page_is_beyond(page, opening->after)) {
                begin.in_step = false;
                begin.position = 0;
        }
        fd = request_take_socket(request);
        if (fd < 0) {
                request_add_header(request, MHD_HTTP_HEADER_RETRY_AFTER, STREAMS_RETRY_AFTER_SEC);
                surface_refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "There are too many streams");
                return;
        }
        request->answer.status = MHD_HTTP_OK;
        r = sse_hub_add(request->app->hub, fd, !request->is_http10, request->principal, &opening->filter, head, first,
                        &begin);
        if (r < 0)
                (void) log_debug_errno(r, "Cannot begin a stream: %m");
}

static void on_first_page(Request *request, const ClientAnswer *answer)
{
        _cleanup_(sse_text_unrefp) SseText *head = NULL, *first = NULL;
        SsePage page;

        if (answer->error < 0) {
                backend_refuse(request, answer);
                return;
        }
        if (!admit(request))
                return;
        if (make_first(request, answer->reply, &page, &first) < 0 || make_head(request, &head) < 0)
                backend_refuse(request, &(ClientAnswer){ .error = -ENOMEM });
        else
                begin_stream(request, head, first, &page);
}

static void ask_first_page(Request *request)
{
        const Opening *opening = request->state;
        const ClientOption options[] = {
                { .name = "user", .type = 's', .s = opening->filter.user_id },
                { .name = "provider", .type = 's', .s = opening->filter.provider },
                { .name = "connector", .type = 's', .s = opening->filter.connector },
                { .name = "after", .type = 't', .t = opening->resumes ? opening->after : 0 },
                { .name = "limit", .type = 'u', .u = opening->resumes ? SSE_PAGE_EVENTS : (uint32_t) opening->replay },
                { .name = "bytes", .type = 't', .t = SSE_PAGE_BYTES },
                { .name = "newest", .type = 'b', .b = !opening->resumes },
        };

        backend_call(request,
                     &(ClientRequest){
                                     .member = "ListEvents",
                                     .dictionary = true,
                                     .options = options,
                                     .n_options = ELEMENTSOF(options),
                                     .repeatable = true,
                     },
                     on_first_page);
}

static void begin(Request *request)
{
        if (!admit(request))
                return;
        if (request->method == HTTP_HEAD) {
                request->answer.is_stream = true;
                request_answer_static(request, MHD_HTTP_OK, TYPE_EVENT_STREAM, "", 0);
        } else
                ask_first_page(request);
}

static void on_user_known(Request *request, const ClientAnswer *answer)
{
        if (answer->error < 0)
                backend_refuse(request, answer);
        else
                begin(request);
}

/* ListEvents tells nothing of users whom nobody named. */
static void check_user(Request *request)
{
        const Opening *opening = request->state;
        const ClientOption options[] = {
                { .name = "view", .type = 's', .s = "open-wearables" },
                { .name = "user", .type = 's', .s = opening->filter.user_id },
                { .name = "limit", .type = 'u', .u = 1 },
        };

        backend_call(request,
                     &(ClientRequest){
                                     .member = "DescribeEvents",
                                     .dictionary = true,
                                     .options = options,
                                     .n_options = ELEMENTSOF(options),
                                     .repeatable = true,
                     },
                     on_user_known);
}

void sse_open(Request *request, const SseFilter *filter)
{
        Opening *opening = opening_new(filter);

        if (!opening) {
                backend_refuse(request, &(ClientAnswer){ .error = -ENOMEM });
                return;
        }
        request->state = opening;
        if (!read_position(request, opening) || !read_heartbeat(request, opening) ||
            (filter->user_id && !surface_user(request, filter->user_id)))
                return;
        if (filter->user_id)
                check_user(request);
        else
                begin(request);
}
