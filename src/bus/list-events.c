/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* ListEvents(): events again, as EventsCommitted told them, for readers that resume. */

#include "base/string-util.h"
#include "bus/bus-error.h"
#include "bus/describe-filter.h"
#include "bus/manager-describe.h"
#include "engine/views.h"

/* Bytes of JSON in one answer, but for one event in any case: the caller goes on after the last one. */
#define LIST_EVENTS_BYTES_MAX (4 * MIB)

#define LIST_EVENTS_DEFAULT 1000U

static const OptionRow options[] = {
        { "user", OPTION_STRING, offsetof(EventFilter, user_id) },
        { "provider", OPTION_STRING, offsetof(EventFilter, provider) },
        { "connector", OPTION_STRING, offsetof(EventFilter, connector) },
        { "after", OPTION_UINT64, offsetof(EventFilter, after_seq) },
        { "newest", OPTION_BOOL, offsetof(EventFilter, newest_first) },
        { "limit", OPTION_UNSIGNED, offsetof(EventFilter, limit) },
        { 0 },
};

static int append_events(sd_bus_message *reply, const EventReplay *replay)
{
        int r;

        r = sd_bus_message_open_container(reply, 'a', "(tsss)");
        for (size_t i = 0; r >= 0 && i < replay->page.n; i++) {
                const StoredEvent *event = &replay->page.events[i];

                r = sd_bus_message_append(reply, "(tsss)", event->seq, strempty(event->user_id), event->run_id,
                                          event->json);
        }
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        if (r >= 0)
                r = sd_bus_message_append(reply, "ttt", replay->whole_from, replay->next, replay->last);
        return r;
}

static int send_events(sd_bus_message *m, const EventReplay *replay)
{
        sd_bus_message *reply = NULL;
        int r;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = append_events(reply, replay);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        return r < 0 ? r : 1;
}

int method_list_events(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        static const LimitRange limits = { LIST_EVENTS_DEFAULT, EVENTS_PAGE_MAX };
        EventFilter filter = { .limit = LIMIT_USUAL, .limit_bytes = LIST_EVENTS_BYTES_MAX };
        char user[UUID_TEXT_MAX];
        EventReplay replay;
        Bus *bus = userdata;
        int r;

        r = options_read(m, options, &filter, NULL, error);
        if (r >= 0)
                r = filter_user(&filter.user_id, user, error);
        if (r >= 0)
                r = filter_limit("limit", &filter.limit, &limits, error);
        if (r < 0)
                return r;
        r = engine_replay_events(bus->engine, &filter, &replay);
        if (r < 0)
                return bus_refuse(error, r);
        r = send_events(m, &replay);
        event_page_done(&replay.page);
        return r < 0 ? bus_refuse(error, r) : 1;
}
