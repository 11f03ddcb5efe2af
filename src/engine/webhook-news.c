/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What webhooks are told: messages, put into the history in the turn of the event that they belong to, and so in its
 * transaction. */

#include "engine/webhook-table.h"
#include "store/webhook-store.h"

static bool anybody_wants(const Engine *engine, WebhookType type, const char *user_id)
{
        WebhookEntry *entry;

        DL_FOREACH(engine->webhooks->entries, entry)
                if (webhook_endpoint_wants(&entry->endpoint, type, user_id))
                        return true;
        return false;
}

int webhooks_put(Engine *engine, const WebhookMessage *message, const char *endpoint_id)
{
        int r;

        r = store_put_webhook_message(engine->store, message, endpoint_id, message->created_usec);
        return r < 0 ? r : delivery_wake_when_committed(engine);
}

static WebhookType type_of_run(const Run *run, RunLogEntry log)
{
        if (run->state != RUN_FINISHED)
                return log == RUN_LOG_STARTED ? WEBHOOK_SYNC_STARTED : _WEBHOOK_TYPE_INVALID;
        switch (run->stage) {
        case SYNC_STAGE_FAILED:
                return WEBHOOK_SYNC_FAILED;
        case SYNC_STAGE_CANCELLED:
                return WEBHOOK_SYNC_CANCELLED;
        default:
                return WEBHOOK_SYNC_COMPLETED;
        }
}

int webhooks_tell_run(Engine *engine, const Run *run, RunLogEntry log)
{
        _cleanup_(webhook_message_done) WebhookMessage message = {};
        WebhookType type = type_of_run(run, log);
        int r;

        if (type < 0 || !anybody_wants(engine, type, run->user_id))
                return 0;
        r = webhook_message_of_run(type, run, engine_now(engine, CLOCK_REALTIME), &message);
        return r < 0 ? r : webhooks_put(engine, &message, NULL);
}

int webhooks_tell_attention(Engine *engine, const Run *run, AttentionCategory before, const Attention *now,
                            const char *unconnected)
{
        char advice[ATTENTION_ADVICE_MAX];
        _cleanup_(webhook_message_done) WebhookMessage message = {};
        WebhookType type = now->category >= 0 ? WEBHOOK_SYNC_NEEDS_ATTENTION : WEBHOOK_SYNC_RECOVERED;
        int r;

        if (now->category == before || !anybody_wants(engine, type, run->user_id))
                return 0;
        r = webhook_message_of_attention(type, run, now, attention_advice_for(advice, now->category, unconnected),
                                         engine_now(engine, CLOCK_REALTIME), &message);
        return r < 0 ? r : webhooks_put(engine, &message, NULL);
}

int webhooks_tell_consent(const ConnectorEntry *c, AttentionCategory before)
{
        const Run none = {
                .connector = c->name,
                .connector_id = c->id,
                .provider = c->definition->provider,
                .user_id = c->definition->user_id,
                .source = c->definition->source,
        };

        return webhooks_tell_attention(c->published.engine, &none, before, &c->record.attention, NULL);
}
