/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* ListEvents(): events again, as EventsCommitted told them, for readers that resume. */

#include "base/string-util.h"
#include "bus/bus-error.h"
#include "bus/describe-filter.h"
#include "bus/manager-describe.h"
#include "bus/reads.h"
#include "engine/views.h"

/* Bytes of JSON in one answer, but for one event in any case: the caller goes on after the last one. */
#define LIST_EVENTS_BYTES_MAX (4 * MIB)

#define LIST_EVENTS_DEFAULT 1000U

typedef struct ListRequest {
        EventFilter filter;
        uint64_t bytes;
} ListRequest;

static const OptionRow options[] = {
        { "user", OPTION_STRING, offsetof(ListRequest, filter.user_id) },
        { "provider", OPTION_STRING, offsetof(ListRequest, filter.provider) },
        { "connector", OPTION_STRING, offsetof(ListRequest, filter.connector) },
        { "after", OPTION_UINT64, offsetof(ListRequest, filter.after_seq) },
        { "newest", OPTION_BOOL, offsetof(ListRequest, filter.newest_first) },
        { "limit", OPTION_UNSIGNED, offsetof(ListRequest, filter.limit) },
        { "bytes", OPTION_UINT64, offsetof(ListRequest, bytes) },
        { 0 },
};

/* Of the newest events, too, the oldest come first, and the caller goes on after them. */
static int append_events(sd_bus_message *reply, const EventReplay *replay, uint64_t limit_bytes)
{
        uint64_t n_bytes = 0, next = replay->next;
        int r;

        r = sd_bus_message_open_container(reply, 'a', "(tsss)");
        for (size_t i = 0; r >= 0 && i < replay->page.n; i++) {
                const StoredEvent *event = &replay->page.events[i];

                n_bytes += strlen(event->json);
                if (i > 0 && n_bytes > limit_bytes) {
                        next = event[-1].seq;
                        break;
                }
                r = event_append(reply, event->seq, event->user_id, event->run_id, event->json);
        }
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        if (r >= 0)
                r = sd_bus_message_append(reply, "ttt", replay->whole_from, next, replay->last);
        return r;
}

static int send_events(sd_bus_message *m, const EventReplay *replay, uint64_t limit_bytes)
{
        sd_bus_message *reply = NULL;
        int r;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = append_events(reply, replay, limit_bytes);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        return r < 0 ? r : 1;
}

int method_list_events(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        static const LimitRange limits = { LIST_EVENTS_DEFAULT, EVENTS_PAGE_MAX };
        ListRequest request = { .filter.limit = LIMIT_USUAL, .bytes = LIST_EVENTS_BYTES_MAX };
        EventFilter *filter = &request.filter;
        char user[UUID_TEXT_MAX];
        EventReplay replay;
        Bus *bus = userdata;
        int r;

        r = options_read(m, options, &request, NULL, error);
        if (r >= 0)
                r = filter_user(&filter->user_id, user, error);
        if (r >= 0)
                r = filter_limit("limit", &filter->limit, &limits, error);
        if (r < 0)
                return r;
        if (request.bytes == 0 || request.bytes > LIST_EVENTS_BYTES_MAX)
                return bus_refuse_text(error, -EINVAL, "bytes: 1 to %llu.", LIST_EVENTS_BYTES_MAX);
        r = filter->limit > READ_LARGE_EVENTS ? read_waits(bus, m, error) : 0;
        if (r != 0)
                return r;
        filter->limit_bytes = filter->newest_first ? LIST_EVENTS_BYTES_MAX : request.bytes;
        r = engine_replay_events(bus->engine, filter, &replay);
        if (r < 0)
                return bus_refuse(error, r);
        r = send_events(m, &replay, request.bytes);
        event_page_done(&replay.page);
        return r < 0 ? bus_refuse(error, r) : 1;
}
