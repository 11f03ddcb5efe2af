/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The webhook endpoints in memory, for the engine's files. As of everything else there is a working copy, which runs
 * ahead of the disk; what is seen from outside is read from the store. */

#include "delivery/delivery-loop.h"
#include "engine/engine-internal.h"
#include "engine/run-log.h"
#include "model/webhook.h"

typedef struct Delivery Delivery;

typedef struct WebhookEntry {
        Engine *engine;
        WebhookEndpoint endpoint; /* working copy */
        Delivery *deliveries;     /* being sent, or waiting for the commit of what came of it */
        unsigned n_deliveries;
        unsigned n_failures;      /* in a row, since the daemon began */
        usec_t paused_usec;       /* CLOCK_BOOTTIME until which it is left alone */
        usec_t hurried_usec;      /* CLOCK_BOOTTIME of the last time that somebody lifted a pause; 0: never */
        usec_t given_up_usec;     /* CLOCK_BOOTTIME when it was last told that a message was given up; 0: never */
        bool ready;               /* something may be due */
        sd_event_source *timer;
        struct WebhookEntry *prev, *next;
} WebhookEntry;

struct Webhooks {
        WebhookEntry *entries;
        unsigned n_entries;
        WebhookEntry *turn;      /* whose turn it is; NULL: the first's */
        DeliveryLoop *loop;
        sd_event_source *source; /* sends what is due, in the next turn of the loop */
        unsigned n_deliveries;   /* of all endpoints */
        unsigned n_clock_steps;  /* that the disk does not know of yet */
        bool stepping;           /* a step of what changes many deliveries is on its way to the disk */
};

/* Memory anew from the disk, at the start and after a commit that failed; what was being sent is sent again.
 * Return: 0; negative errno. Context: blocks for reading. */
int webhooks_read(Engine *engine) _must_check_;
void webhooks_free(Engine *engine);

WebhookEntry *webhook_find(Engine *engine, const char *id);

/* The endpoint goes to the disk; with @reason it is disabled, and what is on its way to it is held. Return: 0;
 * negative errno. */
int webhook_save(WebhookEntry *entry, bool with_secrets) _must_check_;
int webhook_disable(WebhookEntry *entry, WebhookDisabled reason) _must_check_;

/* Tells of the change when all that was put so far is committed. Return: 0; -ENOMEM. */
int webhook_publish(WebhookEntry *entry, WebhookChange change) _must_check_;

/* What was put of what is done in steps is gone on with until it is done. Return: 0; -ENOMEM. */
int webhooks_go_on(Engine *engine) _must_check_;

/* @endpoint is taken over. @ret: may be NULL. Return: 0; -ENOMEM. */
int webhook_entry_add(Engine *engine, WebhookEndpoint *endpoint, WebhookEntry **ret) _must_check_;
void webhook_entry_remove(WebhookEntry *entry);

/* The clock was set: by so much it stands elsewhere. */
void webhooks_clock_changed(Engine *engine, int64_t step_usec);

/* ... and nobody has told us yet: timers that count on it fire before that. */
bool webhooks_clock_has_stepped(Engine *engine);

/* ---- What is told (webhook-news.c). Put beside the event that it belongs to; sending is not waited for. Return: 0;
 * negative errno. */
int webhooks_tell_run(Engine *engine, const Run *run, RunLogEntry log) _must_check_;
int webhooks_tell_attention(Engine *engine, const Run *run, AttentionCategory before,
                            const Attention *now, const char *unconnected) _must_check_;
int webhooks_tell_consent(const ConnectorEntry *c, AttentionCategory before) _must_check_; /* its connection's */

/* A message to one endpoint, or (NULL) to those that want it, now. */
int webhooks_put(Engine *engine, const WebhookMessage *message, const char *endpoint_id) _must_check_;

/* ---- Sending (delivery-queue.c) */

/* Something may be due. */
void delivery_wake(WebhookEntry *entry);
void delivery_wake_all(Engine *engine);
int delivery_wake_when_committed(Engine *engine) _must_check_; /* of any endpoint; 0 or -ENOMEM */

/* It is not left alone any longer. */
void delivery_unpause(WebhookEntry *entry);

/* Somebody asked for a message: the same, of an endpoint that fails once a second at most. */
void delivery_hurry(WebhookEntry *entry);

/* What is being sent is broken off; what waits for its commit loses its endpoint. */
void delivery_forget(WebhookEntry *entry);
