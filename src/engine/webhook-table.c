/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "engine/webhook-table.h"

#include <stdlib.h>

#include "engine/delivery-policy.h"
#include "engine/publication.h"
#include "store/webhook-store.h"

#define CLOCK_STEP_USEC    ((int64_t) USEC_PER_SEC) /* less than that changes nothing */
#define STRANGE_DELAY_USEC (5 * USEC_PER_MINUTE)    /* for what a clock that was wrong has put off */

static void entry_free(WebhookEntry *entry)
{
        delivery_forget(entry);
        sd_event_source_disable_unref(entry->timer);
        webhook_endpoint_done(&entry->endpoint);
        free(entry);
}

WebhookEntry *webhook_find(Engine *engine, const char *id)
{
        WebhookEntry *entry;

        DL_FOREACH(engine->webhooks->entries, entry)
                if (streq(entry->endpoint.id, id))
                        return entry;
        return NULL;
}

int webhook_entry_add(Engine *engine, WebhookEndpoint *endpoint, WebhookEntry **ret)
{
        WebhookEntry *entry = calloc(1, sizeof(WebhookEntry));

        if (!entry)
                return -ENOMEM;
        entry->engine = engine;
        entry->endpoint = *endpoint;
        *endpoint = (WebhookEndpoint){ .disabled = _WEBHOOK_DISABLED_INVALID };
        DL_APPEND(engine->webhooks->entries, entry);
        engine->webhooks->n_entries++;
        if (ret)
                *ret = entry;
        return 0;
}

void webhook_entry_remove(WebhookEntry *entry)
{
        Webhooks *webhooks = entry->engine->webhooks;

        if (webhooks->turn == entry)
                webhooks->turn = entry->next;
        DL_DELETE(webhooks->entries, entry);
        webhooks->n_entries--;
        entry_free(entry);
}

static void forget_all(Engine *engine)
{
        while (engine->webhooks->entries)
                webhook_entry_remove(engine->webhooks->entries);
}

/*
 * What would be due later than anything may be is so by a clock that was wrong, then or now, and perhaps was due long
 * ago. It is not due at once: if it is the clock of now that is wrong, certificates seem not valid yet.
 */
static int put_clock_step(Engine *engine, int64_t step_usec)
{
        usec_t now = engine_now(engine, CLOCK_REALTIME);

        return store_put_webhook_clock_step(engine->store, step_usec,
                                            usec_add(now, delivery_longest_delay(engine->settings)),
                                            usec_add(now, STRANGE_DELAY_USEC));
}

int webhooks_read(Engine *engine)
{
        WebhookEndpoint *endpoints;
        size_t n;
        int r;

        if (!engine->webhooks)
                engine->webhooks = calloc(1, sizeof(Webhooks));
        if (!engine->webhooks)
                return -ENOMEM;
        r = store_load_webhook_endpoints(engine->store, &endpoints, &n);
        if (r < 0)
                return r;
        forget_all(engine);
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = webhook_entry_add(engine, &endpoints[i], NULL);
        webhook_endpoints_free(endpoints, n);
        /* The clock may have been set while nobody looked. */
        if (r >= 0 && n > 0)
                r = put_clock_step(engine, 0);
        if (r >= 0)
                r = webhooks_go_on(engine);
        if (r < 0)
                return r;
        delivery_wake_all(engine);
        return 0;
}

void webhooks_free(Engine *engine)
{
        if (!engine->webhooks)
                return;
        forget_all(engine);
        delivery_loop_free(engine->webhooks->loop);
        sd_event_source_disable_unref(engine->webhooks->source);
        free(engine->webhooks);
        engine->webhooks = NULL;
}

static int step_on(Engine *engine, bool put);

static void on_step_publication(Engine *engine, Publication *publication, int error)
{
        int r;

        free(publication);
        engine->webhooks->stepping = false;
        if (error < 0)
                return; /* read anew from the disk, where the rest is noted */
        delivery_wake_all(engine);
        r = store_webhook_steps_left(engine->store);
        if (r > 0)
                r = step_on(engine, true);
        if (r < 0)
                engine_break(engine, r);
}

static int step_on(Engine *engine, bool put)
{
        Publication *p;
        int r;

        if (engine->webhooks->stepping)
                return 0;
        p = calloc(1, sizeof(Publication));
        if (!p)
                return -ENOMEM;
        r = put ? store_put_webhook_step(engine->store, engine_now(engine, CLOCK_REALTIME)) : 0;
        if (r < 0) {
                free(p);
                return r;
        }
        engine->webhooks->stepping = true;
        publication_queue(engine, p, on_step_publication);
        return 0;
}

int webhooks_go_on(Engine *engine)
{
        return step_on(engine, false);
}

static void on_clock_publication(Engine *engine, Publication *publication, int error)
{
        free(publication);
        engine->webhooks->n_clock_steps--;
        if (error >= 0)
                delivery_wake_all(engine);
}

/* Until the times on the disk have moved, nothing is sent by them. */
static int wait_for_clock(Engine *engine)
{
        Publication *p = calloc(1, sizeof(Publication));

        if (!p)
                return -ENOMEM;
        engine->webhooks->n_clock_steps++;
        publication_queue(engine, p, on_clock_publication);
        return 0;
}

bool webhooks_clock_has_stepped(Engine *engine)
{
        int64_t offset = (int64_t) (engine_now(engine, CLOCK_REALTIME) - engine_now(engine, CLOCK_BOOTTIME));

        return llabs(offset - engine->clock_offset_usec) >= CLOCK_STEP_USEC;
}

void webhooks_clock_changed(Engine *engine, int64_t step_usec)
{
        WebhookEntry *entry;
        int r = 0;

        if (!engine->webhooks || engine->webhooks->n_entries == 0 || llabs(step_usec) < CLOCK_STEP_USEC)
                return;
        DL_FOREACH(engine->webhooks->entries, entry) {
                WebhookEndpoint *endpoint = &entry->endpoint;

                if (endpoint->failing_usec == 0 || r < 0)
                        continue;
                endpoint->failing_usec = (usec_t) MAX((int64_t) endpoint->failing_usec + step_usec, (int64_t) 1);
                if (endpoint->failed_usec > 0)
                        endpoint->failed_usec = (usec_t) MAX((int64_t) endpoint->failed_usec + step_usec, (int64_t) 1);
                r = webhook_save(entry, false);
        }
        if (r >= 0)
                r = put_clock_step(engine, step_usec);
        if (r >= 0)
                r = wait_for_clock(engine);
        if (r < 0)
                engine_break(engine, r);
}

/* ---- Changes */

int webhook_save(WebhookEntry *entry, bool with_secrets)
{
        return store_put_webhook_endpoint(entry->engine->store, &entry->endpoint, with_secrets);
}

int webhook_disable(WebhookEntry *entry, WebhookDisabled reason)
{
        int r;

        entry->endpoint.disabled = reason;
        entry->endpoint.disabled_usec = engine_now(entry->engine, CLOCK_REALTIME);
        r = webhook_save(entry, false);
        if (r >= 0)
                r = store_put_webhook_hold(entry->engine->store, entry->endpoint.id);
        return r < 0 ? r : webhooks_go_on(entry->engine);
}

typedef struct ChangePublication {
        Publication publication;
        WebhookEndpoint endpoint;
        WebhookChange change;
} ChangePublication;

static void on_change_publication(Engine *engine, Publication *publication, int error)
{
        ChangePublication *p = container_of(publication, ChangePublication, publication);

        if (error >= 0) {
                if (p->change == WEBHOOK_CHANGE_DISABLED)
                        webhook_log_disabled(&p->endpoint);
                if (engine->observer.webhook_changed)
                        engine->observer.webhook_changed(&p->endpoint, p->change, engine->observer.userdata);
        }
        webhook_endpoint_done(&p->endpoint);
        free(p);
}

int webhook_publish(WebhookEntry *entry, WebhookChange change)
{
        ChangePublication *p = calloc(1, sizeof(ChangePublication));

        if (!p)
                return -ENOMEM;
        if (webhook_endpoint_copy(&entry->endpoint, &p->endpoint) < 0) {
                free(p);
                return -ENOMEM;
        }
        p->change = change;
        publication_queue(entry->engine, &p->publication, on_change_publication);
        return 0;
}
