/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The queue between the store and everybody else. What is said in it stands with those who say it. */

#include "engine/publication.h"

#include <stdlib.h>

#include "base/log.h"

typedef struct EventPublication {
        Publication publication;
        CommittedEvent event;
        char *json;   /* of it; shared */
        char texts[]; /* of it, all others */
} EventPublication;

static EventPublication *event_publication_free(EventPublication *p)
{
        if (p)
                shared_text_free(p->json);
        free(p);
        return NULL;
}
DEFINE_TRIVIAL_CLEANUP_FUNC(EventPublication *, event_publication_free);

static void append(Publication **first, Publication **tail, Publication *p)
{
        p->next = NULL;
        if (*tail)
                (*tail)->next = p;
        else
                *first = p;
        *tail = p;
}

static Publication *take_first(Publication **first, Publication **tail)
{
        Publication *p = *first;

        *first = p->next;
        if (!*first)
                *tail = NULL;
        return p;
}

/* All events of a commit in one call. */
static void flush_events(Engine *engine)
{
        CommittedEvent *events;
        size_t n = 0;

        if (engine->n_events == 0)
                return;
        events = calloc(engine->n_events, sizeof(CommittedEvent));
        for (Publication *p = engine->events; p; p = p->next) {
                const CommittedEvent *event = &container_of(p, EventPublication, publication)->event;

                engine->published_seq = MAX(engine->published_seq, event->seq);
                if (events)
                        events[n++] = *event;
                else if (engine->observer.events_committed) /* no memory: one by one */
                        engine->observer.events_committed(event, 1, engine->observer.userdata);
        }
        if (events && engine->observer.events_committed)
                engine->observer.events_committed(events, n, engine->observer.userdata);
        free(events);
        engine->statistics.n_events += engine->n_events;
        while (engine->events) {
                Publication *p = take_first(&engine->events, &engine->events_tail);

                event_publication_free(container_of(p, EventPublication, publication));
        }
        engine->n_events = 0;
}

static void flush_status(Engine *engine)
{
        if (!engine->status_changed)
                return;
        engine->status_changed = false;
        if (engine->observer.status_changed)
                engine->observer.status_changed(engine->observer.userdata);
}

void publications_flush(Engine *engine, int error)
{
        if (engine->publishing)
                return;
        engine->publishing = true;
        while (engine->publications && (error < 0 || engine->publications->ticket <= engine->committed_ticket)) {
                Publication *p = take_first(&engine->publications, &engine->publications_tail);

                p->handler(engine, p, p->ticket <= engine->committed_ticket ? 0 : error);
        }
        flush_events(engine);
        flush_status(engine);
        engine->publishing = false;
}

static int on_publish(sd_event_source *source, void *userdata)
{
        Engine *engine = userdata;

        publications_flush(engine, engine->broken < 0 ? -EROFS : 0);
        return 0;
}

void publications_wake(Engine *engine)
{
        int r;

        if (engine->publish_source)
                r = sd_event_source_set_enabled(engine->publish_source, SD_EVENT_ONESHOT);
        else {
                r = sd_event_add_defer(engine->event, &engine->publish_source, on_publish, engine);
                if (r >= 0)
                        (void) sd_event_source_set_description(engine->publish_source, "publish");
        }
        if (r < 0)
                engine_break(engine, r);
}

void publication_queue(Engine *engine, Publication *p, PublicationHandler handler)
{
        p->handler = handler;
        /* Of what is said once something could not be put, not all is on its way to the disk. */
        p->ticket = engine->broken < 0 ? UINT64_MAX : store_ticket(engine->store);
        append(&engine->publications, &engine->publications_tail, p);
        if (engine->broken < 0 || p->ticket <= engine->committed_ticket)
                publications_wake(engine);
}

void publications_committed(Engine *engine, uint64_t ticket)
{
        engine->announced_ticket = ticket;
        /* Once a write could not be put, what was queued beside it is not known to be complete: it is refused. */
        if (engine->broken < 0)
                return;
        engine->committed_ticket = ticket;
        publications_flush(engine, 0);
}

/* ---- Events */

static void on_event_publication(Engine *engine, Publication *p, int error)
{
        if (error < 0) {
                event_publication_free(container_of(p, EventPublication, publication));
                return;
        }
        append(&engine->events, &engine->events_tail, p);
        engine->n_events++;
}

/* A copy with the byte that ends it. Return: where the next goes. */
static char *put_text(char *to, const char *text, const char **ret)
{
        *ret = to;
        return stpcpy(to, text) + 1;
}

/* Takes @json over, a shared text; NULL: there was no memory for it. */
static int event_publication_new(uint64_t seq, const char *user_id, const char *run_id, char *json,
                                 EventPublication **ret)
{
        EventPublication *p;
        char *to;

        user_id = strempty(user_id);
        p = json ? malloc(sizeof(EventPublication) + strlen(user_id) + strlen(run_id) + 2) : NULL;
        if (!p) {
                shared_text_free(json);
                return -ENOMEM;
        }
        p->event = (CommittedEvent) { .seq = seq, .json = json };
        p->json = json;
        to = put_text(p->texts, user_id, &p->event.user_id);
        (void) put_text(to, run_id, &p->event.run_id);
        *ret = p;
        return 0;
}

int publish_event(Engine *engine, const Run *run, Event *event)
{
        _cleanup_(event_publication_freep) EventPublication *p = NULL;
        int r;

        r = event_publication_new(event->seq, run->user_id, run->id, shared_text_share(event->json), &p);
        if (r >= 0)
                r = store_put_event(engine->store, run, event);
        if (r < 0)
                return r;
        publication_queue(engine, &TAKE_PTR(p)->publication, on_event_publication);
        return 0;
}

int publish_stored_event(Engine *engine, const StoredEvent *event)
{
        EventPublication *p;
        int r;

        r = event_publication_new(event->seq, event->user_id, event->run_id, shared_text_new(event->json), &p);
        if (r < 0)
                return r;
        publication_queue(engine, &p->publication, on_event_publication);
        return 0;
}

/* ---- Replies */

int engine_accepts(const Engine *engine)
{
        if (engine->broken < 0)
                return engine->broken == -ESHUTDOWN ? -ESHUTDOWN : -EROFS;
        return engine->n_replies < PENDING_REPLIES_MAX && !engine_is_congested(engine) ? 0 : -ENOBUFS;
}

bool engine_is_congested(const Engine *engine)
{
        return store_ticket(engine->store) - engine->announced_ticket >= BACKLOG_MAX;
}

int reply_new(Engine *engine, EngineReply reply, void *userdata, Reply **ret)
{
        int r = engine_accepts(engine);

        return r < 0 ? r : reply_new_always(reply, userdata, ret);
}

int reply_new_always(EngineReply reply, void *userdata, Reply **ret)
{
        Reply *p = calloc(1, sizeof(Reply));

        if (!p)
                return -ENOMEM;
        p->reply = reply;
        p->userdata = userdata;
        *ret = p;
        return 0;
}

Reply *reply_free(Reply *reply)
{
        free(reply);
        return NULL;
}

static void on_reply_publication(Engine *engine, Publication *p, int error)
{
        Reply *reply = container_of(p, Reply, publication);

        engine->n_replies--;
        reply->reply(reply->error < 0 ? reply->error : error, reply->userdata);
        reply_free(reply);
}

void reply_queue(Engine *engine, Reply *reply, int error)
{
        reply->error = error;
        engine->n_replies++;
        publication_queue(engine, &reply->publication, on_reply_publication);
}
