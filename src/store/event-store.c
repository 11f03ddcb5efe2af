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
        const RunKeys *keys; /* of the run's write before it; NULL: to be found by its id */
        char *run_id;
        uint64_t seq;
        usec_t time_usec;
        char *json; /* shared */
} EventWrite;

static int insert_event(Db *db, const EventWrite *e, const RunKeys *keys)
{
        static const char sql[] = "INSERT INTO events (seq, run, user, time_usec, json) VALUES (?, ?, ?, ?, ?)";
        _cleanup_query_ Query query = query_begin(db, sql);

        query_bind_uint(&query, e->seq);
        query_bind_int(&query, keys->row);
        if (keys->user > 0)
                query_bind_int(&query, keys->user);
        else
                query_bind_null(&query);
        query_bind_uint(&query, e->time_usec);
        query_bind_text(&query, e->json);
        return query_run(&query);
}

/* Two plain statements: one that selects what it inserts, and returns a part of it, takes twice their time. */
static int find_run(Db *db, const char *run_id, RunKeys *ret)
{
        static const char sql[] = "SELECT row, user FROM runs WHERE id = ?";
        _cleanup_query_ Query query = query_begin(db, sql);
        int r;

        query_bind_text(&query, run_id);
        r = query_step(&query);
        if (r <= 0)
                return r < 0 ? r : -ENOENT;
        ret->row = query_get_int(&query);
        ret->user = query_get_int(&query);
        return 0;
}

static int apply_event(Write *write, Db *db, Retention *retention)
{
        const EventWrite *e = container_of(write, EventWrite, write);
        RunKeys keys = {};
        int r = 0;

        if (e->keys)
                keys = *e->keys;
        else
                r = find_run(db, e->run_id, &keys);
        if (r >= 0)
                r = insert_event(db, e, &keys);
        if (r >= 0)
                retention_event_added(retention, keys.user);
        return r;
}

static void free_event(Write *write)
{
        EventWrite *e = container_of(write, EventWrite, write);

        free(e->run_id);
        shared_text_free(e->json);
}

static const WriteType event_write = { apply_event, free_event, .keeps_runs = true };

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
        e->keys = store_turn_run_keys(store, run->id);
        if (!e->keys && free_and_strdup(&e->run_id, run->id) < 0) {
                store_write_free(&e->write);
                return -ENOMEM;
        }
        e->json = TAKE_PTR(event->json);
        r = store_put(store, &e->write);
        if (r >= 0)
                store->last_seq = event->seq;
        return r;
}

static void stored_event_done(StoredEvent *event)
{
        free(event->user_id);
        free(event->run_id);
        free(event->json);
}

void event_page_done(EventPage *page)
{
        for (size_t i = 0; i < page->n; i++)
                stored_event_done(&page->events[i]);
        free(page->events);
        *page = (EventPage){ 0 };
}

#define LIST_SQL(by, where, order)                                                                            \
        "SELECT events.seq, events.time_usec, connectors.name, runs.provider, users.id, runs.id, events.json" \
        " FROM events " by " JOIN runs ON runs.row = events.run"                                              \
        " LEFT JOIN connectors ON connectors.key = runs.connector LEFT JOIN users ON users.key = events.user" \
        " WHERE events.seq > ?1 AND events.seq < ?2" where " ORDER BY events.seq " order

static const char *const lead_sql[_EVENT_LEAD_MAX][2] = {
        [EVENT_LEAD_RUN] = {
                LIST_SQL("INDEXED BY events_by_run", " AND events.run = ?3", "ASC"),
                LIST_SQL("INDEXED BY events_by_run", " AND events.run = ?3", "DESC"),
        },
        [EVENT_LEAD_USER] = {
                LIST_SQL("INDEXED BY events_by_user", " AND events.user = ?3", "ASC"),
                LIST_SQL("INDEXED BY events_by_user", " AND events.user = ?3", "DESC"),
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

/* Of a connector's newest runs: the event that comes first in the order that is wanted. */
#define HEADS_SQL(order)                                                                      \
        "SELECT newest.row, (SELECT seq FROM events INDEXED BY events_by_run"                 \
        "   WHERE run = newest.row AND seq > ?1 AND seq < ?2 ORDER BY seq " order " LIMIT 1)" \
        " FROM runs AS newest INDEXED BY runs_by_connector WHERE newest.connector = ?3"       \
        " ORDER BY newest.created_usec DESC, newest.row DESC LIMIT ?4"

static const char *const heads_sql[2] = { HEADS_SQL("ASC"), HEADS_SQL("DESC") };

const char *event_heads_sql(bool newest_first)
{
        return heads_sql[newest_first];
}

typedef struct Listing {
        const EventFilter *filter;
        EventPage page;
        size_t allocated;
        size_t n_bytes;
        size_t n_examined;
        uint64_t position; /* the last one that was looked at and dealt with */
        bool is_cut;       /* ... behind which there are more */
} Listing;

/* Return: 1; 0 (does not match); negative errno. */
static int read_event(Query *query, Listing *listing, StoredEvent *event)
{
        uint64_t seq = query_get_uint(query), time_usec = query_get_uint(query);
        const char *connector = query_get_borrowed(query), *provider = query_get_borrowed(query),
                   *user = query_get_borrowed(query);
        const EventFilter *filter = listing->filter;

        event->seq = seq;
        if (query_error(query) < 0)
                return query_error(query);
        if ((filter->connector && !streq_null(filter->connector, connector)) ||
            (filter->provider && !streq_null(filter->provider, provider)) ||
            (filter->user_id && !streq_null(filter->user_id, user)))
                return 0;
        if (time_usec < filter->since_usec) {
                listing->page.too_old = MAX(listing->page.too_old, seq);
                return 0;
        }
        event->run_id = query_get_text(query);
        event->json = query_get_text(query);
        if (query_error(query) < 0 || free_and_strdup(&event->user_id, user) < 0)
                return -ENOMEM;
        return 1;
}

/* Takes an event over, or says that the page is full. Return: 1; 0; -ENOMEM. */
static int add_event(Listing *listing, const StoredEvent *event)
{
        size_t limit_bytes = listing->filter->limit_bytes;
        EventPage *page = &listing->page;
        int r;

        listing->n_bytes += strlen(event->json);
        if (limit_bytes > 0 && page->n > 0 && listing->n_bytes > limit_bytes)
                return 0;
        r = store_array_grow((void **) &page->events, &listing->allocated, page->n, sizeof(StoredEvent));
        if (r < 0)
                return r;
        page->events[page->n++] = *event;
        return 1;
}

/* Up to the filter's limit more events. */
static int read_events(Query *query, Listing *listing)
{
        size_t end = listing->page.n + listing->filter->limit;
        int r;

        listing->is_cut = false;
        while ((r = query_step(query)) > 0) {
                StoredEvent event = {};

                listing->is_cut = listing->page.n == end || listing->n_examined == EVENTS_EXAMINED_MAX;
                if (listing->is_cut)
                        return 0;
                listing->n_examined++;
                r = read_event(query, listing, &event);
                if (r > 0) {
                        r = add_event(listing, &event);
                        listing->is_cut = r == 0;
                        if (r <= 0) {
                                stored_event_done(&event);
                                return r;
                        }
                } else if (r < 0) {
                        stored_event_done(&event);
                        return r;
                }
                listing->position = event.seq;
        }
        return r;
}

static int list_by_lead(Db *db, EventLead lead, int64_t key, Listing *listing)
{
        const EventFilter *filter = listing->filter;
        _cleanup_query_ Query query = query_begin(db, event_lead_sql(lead, filter->newest_first));
        int r;

        query_bind_uint(&query, filter->after_seq);
        query_bind_uint(&query, filter->before_seq > 0 ? filter->before_seq : INT64_MAX);
        if (lead != EVENT_LEAD_SEQ)
                query_bind_int(&query, key);
        r = read_events(&query, listing);
        listing->page.next = listing->is_cut ? listing->position : 0;
        return r;
}

/* ---- Of a connector: its runs rarely overlap, and are read one after the other as long as they come into the page */

typedef struct RunHead {
        int64_t run;
        uint64_t seq;
} RunHead;

static int compare_heads(const void *a, const void *b)
{
        const RunHead *x = a, *y = b;

        return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static int compare_heads_newest_first(const void *a, const void *b)
{
        return compare_heads(b, a);
}

static int compare_events(const void *a, const void *b)
{
        const StoredEvent *x = a, *y = b;

        return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static int compare_events_newest_first(const void *a, const void *b)
{
        return compare_events(b, a);
}

static int read_heads(Db *db, int64_t connector, const EventFilter *filter, RunHead *heads, size_t *ret_n)
{
        _cleanup_query_ Query query = query_begin(db, event_heads_sql(filter->newest_first));
        size_t n = 0;
        int r;

        query_bind_uint(&query, filter->after_seq);
        query_bind_uint(&query, filter->before_seq > 0 ? filter->before_seq : INT64_MAX);
        query_bind_int(&query, connector);
        query_bind_uint(&query, EVENTS_RUNS_MAX);
        while ((r = query_step(&query)) > 0) {
                heads[n].run = query_get_int(&query);
                heads[n].seq = query_get_uint(&query); /* NULL, which is 0: none */
                n += heads[n].seq > 0;
        }
        if (r < 0)
                return r;
        qsort(heads, n, sizeof(RunHead), filter->newest_first ? compare_heads_newest_first : compare_heads);
        *ret_n = n;
        return 0;
}

static bool comes_before(uint64_t a, uint64_t b, bool newest_first)
{
        return newest_first ? a > b : a < b;
}

/* Nothing behind @seq is known to be complete. */
static void end_page_at(Listing *listing, uint64_t seq)
{
        EventPage *page = &listing->page;

        if (page->next == 0 || comes_before(seq, page->next, listing->filter->newest_first))
                page->next = seq;
}

static void drop_last(EventPage *page)
{
        stored_event_done(&page->events[--page->n]);
}

/* What was read of another run, from @begin on, is put where it belongs. */
static void merge(Listing *listing, size_t begin)
{
        bool newest_first = listing->filter->newest_first;
        EventPage *page = &listing->page;

        if (begin > 0 && begin < page->n &&
            comes_before(page->events[begin].seq, page->events[begin - 1].seq, newest_first))
                qsort(page->events, page->n, sizeof(StoredEvent),
                      newest_first ? compare_events_newest_first : compare_events);
        if (page->n <= listing->filter->limit)
                return;
        while (page->n > listing->filter->limit)
                drop_last(page);
        end_page_at(listing, page->events[page->n - 1].seq);
}

/* The runs that are left begin with this one. Return: whether the page ends before it. */
static bool ends_before(Listing *listing, const RunHead *head)
{
        const EventPage *page = &listing->page;

        if (listing->n_examined < EVENTS_EXAMINED_MAX &&
            (page->n < listing->filter->limit ||
             !comes_before(page->events[page->n - 1].seq, head->seq, listing->filter->newest_first)))
                return false;
        end_page_at(listing, listing->filter->newest_first ? head->seq + 1 : head->seq - 1);
        return true;
}

static int list_of_runs(Db *db, const RunHead *heads, size_t n, Listing *listing)
{
        bool newest_first = listing->filter->newest_first;
        EventPage *page = &listing->page;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < n && !ends_before(listing, &heads[i]); i++) {
                uint64_t next = page->next;
                size_t begin = page->n;

                listing->position = newest_first ? heads[i].seq + 1 : heads[i].seq - 1;
                r = list_by_lead(db, EVENT_LEAD_RUN, heads[i].run, listing);
                if (next > 0)
                        page->next = next;
                if (listing->is_cut)
                        end_page_at(listing, listing->position);
                if (r >= 0)
                        merge(listing, begin);
        }
        while (page->next > 0 && page->n > 0 && comes_before(page->next, page->events[page->n - 1].seq, newest_first))
                drop_last(page);
        return r;
}

static int list_of_connector(Db *db, int64_t connector, Listing *listing)
{
        RunHead heads[EVENTS_RUNS_MAX];
        size_t n;
        int r;

        r = read_heads(db, connector, listing->filter, heads, &n);
        return r < 0 ? r : list_of_runs(db, heads, n, listing);
}

/* ---- Of the runs with the newest events */

/* The newest N events are of the N runs whose last event is newest; those of some runs may have been deleted. */
#define RUNS_PER_EVENT 4U

static int list_of_newest_runs(Db *db, Listing *listing)
{
        const EventFilter *filter = listing->filter;
        const NewsFilter wanted = {
                .user_id = filter->user_id,
                .provider = filter->provider,
                .connector = filter->connector,
                .source = _RUN_SOURCE_INVALID,
                .status = _SYNC_STATUS_INVALID,
                .since_usec = filter->since_usec,
                .limit = MIN(filter->limit * RUNS_PER_EVENT, RUNS_PAGE_MAX),
        };
        /* All of theirs are wanted. */
        const EventFilter any = {
                .after_seq = filter->after_seq,
                .before_seq = filter->before_seq,
                .since_usec = filter->since_usec,
                .newest_first = true,
                .limit = filter->limit,
                .limit_bytes = filter->limit_bytes,
        };
        _cleanup_free_ NewsRun *runs = NULL;
        _cleanup_free_ RunHead *heads = NULL;
        size_t n;
        int r;

        r = news_find_runs(db, &wanted, &runs, &n);
        if (r < 0 || n == 0)
                return r;
        heads = calloc(n, sizeof(RunHead));
        if (!heads)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                heads[i] = (RunHead){ .run = runs[i].row, .seq = runs[i].seq };
        qsort(heads, n, sizeof(RunHead), compare_heads_newest_first);
        listing->filter = &any;
        r = list_of_runs(db, heads, n, listing);
        listing->filter = filter;
        return r;
}

/* ---- All */

static int list(Db *db, Listing *listing)
{
        static const char run[] = "SELECT row FROM runs WHERE id = ?", user[] = "SELECT key FROM users WHERE id = ?";
        static const char connector[] = "SELECT key FROM connectors WHERE name = ?";
        const EventFilter *filter = listing->filter;
        EventLead lead = filter->run_id ? EVENT_LEAD_RUN : EVENT_LEAD_USER;
        int64_t key;

        if (filter->of_newest_runs)
                return list_of_newest_runs(db, listing);
        if (filter->run_id || filter->user_id) {
                key = filter->run_id ? store_find_key(db, run, filter->run_id)
                                     : store_find_key(db, user, filter->user_id);
                return key <= 0 ? (int) key : list_by_lead(db, lead, key, listing);
        }
        if (filter->connector) {
                key = store_find_key(db, connector, filter->connector);
                return key <= 0 ? (int) key : list_of_connector(db, key, listing);
        }
        return list_by_lead(db, EVENT_LEAD_SEQ, 0, listing);
}

int store_list_events(Store *store, const EventFilter *filter, EventPage *ret)
{
        EventFilter narrow = *filter;
        Listing listing = { .filter = &narrow };
        uint64_t first;
        int r = 0;

        if (filter->limit == 0 || filter->limit > EVENTS_PAGE_MAX)
                return -EINVAL;
        if (filter->since_usec > 0) {
                r = store_first_seq_since(store, filter->since_usec, &first);
                if (r >= 0)
                        narrow.after_seq = MAX(filter->after_seq, first - 1);
        }
        if (r >= 0)
                r = list(store->reader, &listing);
        if (r < 0) {
                event_page_done(&listing.page);
                return r;
        }
        *ret = listing.page;
        return 0;
}
