/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Events, by their sequence number. Where a reader may begin stands in event-seq.c. */

#include "store/event-list.h"

#include <stdlib.h>
#include <string.h>

#include "base/string-util.h"
#include "store/retain.h"
#include "store/store-private.h"

typedef struct EventWrite {
        Write write;
        char *run_id;
        uint64_t seq;
        usec_t time_usec;
        char *json;
} EventWrite;

static int apply_event(Write *write, Db *db, Retention *retention)
{
        static const char sql[] = "INSERT INTO events (seq, run, user, time_usec, json)"
                                  " SELECT ?1, row, user, ?2, ?3 FROM runs WHERE id = ?4 RETURNING user";
        EventWrite *e = container_of(write, EventWrite, write);
        _cleanup_query_ Query query = query_begin(db, sql);
        int r;

        query_bind_uint(&query, e->seq);
        query_bind_uint(&query, e->time_usec);
        query_bind_text(&query, e->json);
        query_bind_text(&query, e->run_id);
        r = query_step(&query);
        if (r <= 0)
                return r < 0 ? r : -ENOENT;
        retention_event_added(retention, query_get_int(&query));
        return query_step(&query);
}

static void free_event(Write *write)
{
        EventWrite *e = container_of(write, EventWrite, write);

        free(e->run_id);
        free(e->json);
}

static const WriteType event_write = { apply_event, free_event };

int store_put_event(Store *store, const Run *run, Event *event)
{
        EventWrite *e;
        int r;

        if (event->seq <= store->last_seq || !event->json)
                return -EINVAL;
        r = store_may_put(store);
        if (r < 0)
                return r;
        e = store_write_new(EventWrite, &event_write);
        if (!e)
                return -ENOMEM;
        e->seq = event->seq;
        e->time_usec = event->timestamp_usec;
        if (free_and_strdup(&e->run_id, run->id) < 0) {
                store_write_free(&e->write);
                return -ENOMEM;
        }
        e->json = TAKE_PTR(event->json);
        r = store_put(store, &e->write);
        if (r >= 0)
                store->last_seq = event->seq;
        return r;
}

void stored_events_free(StoredEvent *events, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                free(events[i].user_id);
                free(events[i].run_id);
                free(events[i].json);
        }
        free(events);
}

#define LIST_SQL(by, where, order)                                                                          \
        "SELECT connectors.name, runs.provider, users.id, events.seq, runs.id, events.json FROM events " by \
        " JOIN runs ON runs.row = events.run LEFT JOIN connectors ON connectors.key = runs.connector"       \
        " LEFT JOIN users ON users.key = events.user"                                                       \
        " WHERE events.seq > ?1 AND events.seq < ?2 AND events.time_usec >= ?3" where " ORDER BY events.seq " order

#define OF_NEWEST_RUNS                                                                           \
        " AND events.run IN (SELECT newest.row FROM runs AS newest INDEXED BY runs_by_connector" \
        " WHERE newest.connector = ?4 ORDER BY newest.created_usec DESC, newest.row DESC LIMIT ?5)"

static const char *const lead_sql[_EVENT_LEAD_MAX][2] = {
        [EVENT_LEAD_RUN] = {
                LIST_SQL("INDEXED BY events_by_run", " AND events.run = ?4", "ASC"),
                LIST_SQL("INDEXED BY events_by_run", " AND events.run = ?4", "DESC"),
        },
        [EVENT_LEAD_USER] = {
                LIST_SQL("INDEXED BY events_by_user", " AND events.user = ?4", "ASC"),
                LIST_SQL("INDEXED BY events_by_user", " AND events.user = ?4", "DESC"),
        },
        [EVENT_LEAD_CONNECTOR] = {
                LIST_SQL("INDEXED BY events_by_run", OF_NEWEST_RUNS, "ASC"),
                LIST_SQL("INDEXED BY events_by_run", OF_NEWEST_RUNS, "DESC"),
        },
        [EVENT_LEAD_SEQ] = {
                LIST_SQL("NOT INDEXED", "", "ASC"),
                LIST_SQL("NOT INDEXED", "", "DESC"),
        },
};

const char *event_lead_sql(EventLead lead, bool newest_first)
{
        return lead_sql[lead][newest_first];
}

static EventLead choose_lead(const EventFilter *filter)
{
        if (filter->run_id)
                return EVENT_LEAD_RUN;
        if (filter->user_id)
                return EVENT_LEAD_USER;
        return filter->connector ? EVENT_LEAD_CONNECTOR : EVENT_LEAD_SEQ;
}

/* Return: 1; 0 (nothing can match); negative errno. */
static int bind_lead(Query *query, Db *db, EventLead lead, const EventFilter *filter)
{
        static const char run[] = "SELECT row FROM runs WHERE id = ?", user[] = "SELECT key FROM users WHERE id = ?";
        static const char connector[] = "SELECT key FROM connectors WHERE name = ?";
        int64_t key;

        switch (lead) {
        case EVENT_LEAD_RUN:
                key = store_find_key(db, run, filter->run_id);
                break;
        case EVENT_LEAD_USER:
                key = store_find_key(db, user, filter->user_id);
                break;
        case EVENT_LEAD_CONNECTOR:
                key = store_find_key(db, connector, filter->connector);
                break;
        default:
                return 1;
        }
        if (key <= 0)
                return (int) key;
        query_bind_int(query, key);
        if (lead == EVENT_LEAD_CONNECTOR)
                query_bind_uint(query, EVENTS_RUNS_MAX);
        return 1;
}

/* Return: 1; 0 (does not match); negative errno. */
static int read_event(Query *query, const EventFilter *filter, StoredEvent *event)
{
        const char *connector = query_get_borrowed(query), *provider = query_get_borrowed(query),
                   *user = query_get_borrowed(query);

        if (query_error(query) < 0)
                return query_error(query);
        if ((filter->connector && !streq_null(filter->connector, connector)) ||
            (filter->provider && !streq_null(filter->provider, provider)) ||
            (filter->user_id && !streq_null(filter->user_id, user)))
                return 0;
        event->seq = query_get_uint(query);
        event->run_id = query_get_text(query);
        event->json = query_get_text(query);
        if (query_error(query) < 0 || free_and_strdup(&event->user_id, user) < 0)
                return -ENOMEM;
        return 1;
}

static int read_events(Query *query, const EventFilter *filter, StoredEvent **events, size_t *n)
{
        size_t allocated = 0, n_examined = 0, n_bytes = 0;
        bool full = false;
        int r = 0;

        while (!full && *n < filter->limit && n_examined++ < EVENTS_EXAMINED_MAX && (r = query_step(query)) > 0) {
                StoredEvent event = {};

                r = read_event(query, filter, &event);
                if (r > 0 && filter->limit_bytes > 0) {
                        n_bytes += strlen(event.json);
                        full = *n > 0 && n_bytes > filter->limit_bytes;
                }
                if (r > 0 && !full)
                        r = store_array_grow((void **) events, &allocated, *n, sizeof(StoredEvent)) < 0 ? -ENOMEM : 1;
                if (r > 0 && !full) {
                        (*events)[(*n)++] = event;
                        continue;
                }
                free(event.user_id);
                free(event.run_id);
                free(event.json);
                if (r < 0)
                        return r;
        }
        return r;
}

int store_list_events(Store *store, const EventFilter *filter, StoredEvent **ret, size_t *ret_n)
{
        EventLead lead = choose_lead(filter);
        _cleanup_query_ Query query = {};
        StoredEvent *events = NULL;
        size_t n = 0;
        int r;

        if (filter->limit == 0 || filter->limit > EVENTS_PAGE_MAX)
                return -EINVAL;
        query = query_begin(store->reader, event_lead_sql(lead, filter->newest_first));
        query_bind_uint(&query, filter->after_seq);
        query_bind_uint(&query, filter->before_seq > 0 ? filter->before_seq : INT64_MAX);
        query_bind_uint(&query, filter->since_usec);
        r = bind_lead(&query, store->reader, lead, filter);
        if (r > 0)
                r = read_events(&query, filter, &events, &n);
        if (r < 0) {
                stored_events_free(events, n);
                return r;
        }
        *ret = events;
        *ret_n = n;
        return 0;
}
