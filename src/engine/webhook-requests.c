/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What people ask of webhooks: endpoints made, changed, removed; secrets renewed; messages sent once more. */

#include <stdlib.h>

#include "delivery/delivery-address.h"
#include "engine/publication.h"
#include "engine/webhook-table.h"
#include "engine/webhooks.h"

/* ---- Replies */

typedef struct EndpointReply {
        Publication publication;
        WebhookEndpoint endpoint;
        EngineWebhookReply reply;
        void *userdata;
} EndpointReply;

static EndpointReply *endpoint_reply_free(EndpointReply *p)
{
        if (!p)
                return NULL;
        webhook_endpoint_done(&p->endpoint);
        free(p);
        return NULL;
}
DEFINE_TRIVIAL_CLEANUP_FUNC(EndpointReply *, endpoint_reply_free);

static void on_endpoint_reply(Engine *engine, Publication *publication, int error)
{
        _cleanup_(endpoint_reply_freep) EndpointReply *p = container_of(publication, EndpointReply, publication);

        engine->n_replies--;
        p->reply(error, error < 0 ? NULL : &p->endpoint, p->userdata);
}

/* Made before anything is changed, so that lack of memory is a refusal. */
static int endpoint_reply_new(Engine *engine, const WebhookEndpoint *endpoint, EngineWebhookReply reply,
                              void *userdata, EndpointReply **ret)
{
        _cleanup_(endpoint_reply_freep) EndpointReply *p = NULL;
        int r;

        r = engine_accepts(engine);
        if (r < 0)
                return r;
        p = calloc(1, sizeof(EndpointReply));
        if (!p)
                return -ENOMEM;
        r = webhook_endpoint_copy(endpoint, &p->endpoint);
        if (r < 0)
                return r;
        p->reply = reply;
        p->userdata = userdata;
        *ret = TAKE_PTR(p);
        return 0;
}

static void endpoint_reply_queue(Engine *engine, EndpointReply *p)
{
        engine->n_replies++;
        publication_queue(engine, &p->publication, on_endpoint_reply);
}

/* What was put is not known to be complete. The answer, which is queued already or will be, is a refusal. */
static void break_if(Engine *engine, int r)
{
        if (r < 0)
                engine_break(engine, r);
}

/* ---- Wishes */

static int refuse(char **ret_why, char *why)
{
        if (!why)
                return -ENOMEM;
        *ret_why = why;
        return -EINVAL;
}

static int apply_user(const char *user_id, WebhookEndpoint *endpoint, char **ret_why)
{
        char id[UUID_TEXT_MAX] = "";

        if (!isempty(user_id) && uuid_normalize(user_id, id) < 0)
                return refuse(ret_why, asprintf_or_null("user: '%s' is not a UUID.", user_id));
        return free_and_strdup(&endpoint->user_id, isempty(id) ? NULL : id);
}

static int apply_url(const Settings *settings, const char *url, WebhookEndpoint *endpoint, char **ret_why)
{
        int r = delivery_check_url(&settings->webhook_rules, url, ret_why);

        if (r >= 0)
                r = free_and_strdup(&endpoint->url, url);
        if (r > 0) /* another one: nothing is known of it */
                endpoint->failing_usec = endpoint->failed_usec = 0;
        return MIN(r, 0);
}

static int apply_wish(Engine *engine, const WebhookWish *wish, WebhookEndpoint *endpoint, char **ret_why)
{
        usec_t now = engine_now(engine, CLOCK_REALTIME);
        int r = 0;

        if (wish->url)
                r = apply_url(engine->settings, wish->url, endpoint, ret_why);
        if (r >= 0 && wish->description && strlen(wish->description) > WEBHOOK_DESCRIPTION_MAX)
                return refuse(ret_why, asprintf_or_null("description: at most %u bytes.", WEBHOOK_DESCRIPTION_MAX));
        if (r >= 0 && wish->description)
                r = free_and_strdup(&endpoint->description, isempty(wish->description) ? NULL : wish->description);
        if (r >= 0 && wish->types_given && webhook_types_from_words(wish->types, &endpoint->types) < 0)
                return refuse(ret_why, strdup("types: one of these is no type of event; see "
                                              "DescribeWebhookEventTypes()."));
        if (r >= 0 && wish->user_id)
                r = apply_user(wish->user_id, endpoint, ret_why);
        if (r < 0)
                return r;
        if (wish->disabled > 0 && endpoint->disabled < 0) {
                endpoint->disabled = WEBHOOK_DISABLED_BY_HAND;
                endpoint->disabled_usec = now;
        } else if (wish->disabled == 0) {
                endpoint->disabled = _WEBHOOK_DISABLED_INVALID;
                endpoint->disabled_usec = endpoint->failing_usec = endpoint->failed_usec = 0;
        }
        endpoint->updated_usec = now;
        return 0;
}

/* ---- Endpoints */

static int make_endpoint(Engine *engine, const WebhookWish *wish, WebhookEndpoint *endpoint, char **ret_why)
{
        usec_t now = engine_now(engine, CLOCK_REALTIME);
        char id[WEBHOOK_ID_MAX];
        int r;

        r = webhook_id_new(WEBHOOK_ENDPOINT_PREFIX, now, id);
        if (r >= 0)
                r = free_and_strdup(&endpoint->id, id);
        if (r >= 0)
                r = apply_wish(engine, wish, endpoint, ret_why);
        if (r >= 0)
                r = webhook_endpoint_rotate(endpoint, now, 0);
        endpoint->created_usec = now;
        return r;
}

int engine_add_webhook(Engine *engine, const WebhookWish *wish, EngineWebhookReply reply, void *userdata,
                       char **ret_why)
{
        _cleanup_(webhook_endpoint_done) WebhookEndpoint endpoint = { .disabled = _WEBHOOK_DISABLED_INVALID };
        _cleanup_(endpoint_reply_freep) EndpointReply *answer = NULL;
        WebhookEntry *entry;
        int r;

        if (engine->webhooks->n_entries >= WEBHOOK_ENDPOINTS_MAX)
                return -E2BIG;
        r = make_endpoint(engine, wish, &endpoint, ret_why);
        if (r >= 0)
                r = endpoint_reply_new(engine, &endpoint, reply, userdata, &answer);
        if (r >= 0)
                r = store_put_webhook_endpoint(engine->store, &endpoint, true);
        if (r < 0)
                return r;
        r = webhook_entry_add(engine, &endpoint, &entry);
        if (r >= 0)
                r = webhook_publish(entry, WEBHOOK_CHANGE_ADDED);
        break_if(engine, r);
        endpoint_reply_queue(engine, TAKE_PTR(answer));
        return 0;
}

static void take_endpoint(WebhookEntry *entry, WebhookEndpoint *endpoint)
{
        webhook_endpoint_done(&entry->endpoint);
        entry->endpoint = *endpoint;
        *endpoint = (WebhookEndpoint) { .disabled = _WEBHOOK_DISABLED_INVALID };
}

int engine_update_webhook(Engine *engine, const char *id, const WebhookWish *wish, EngineWebhookReply reply,
                          void *userdata, char **ret_why)
{
        _cleanup_(webhook_endpoint_done) WebhookEndpoint endpoint = { .disabled = _WEBHOOK_DISABLED_INVALID };
        _cleanup_(endpoint_reply_freep) EndpointReply *answer = NULL;
        WebhookEntry *entry = webhook_find(engine, id);
        bool hold;
        int r;

        if (!entry)
                return -EHOSTUNREACH;
        r = webhook_endpoint_copy(&entry->endpoint, &endpoint);
        if (r >= 0)
                r = apply_wish(engine, wish, &endpoint, ret_why);
        if (r >= 0)
                r = endpoint_reply_new(engine, &endpoint, reply, userdata, &answer);
        if (r < 0)
                return r;
        hold = endpoint.disabled >= 0 && entry->endpoint.disabled < 0;
        if (!streq(endpoint.url, entry->endpoint.url) || (endpoint.disabled < 0 && entry->endpoint.disabled >= 0))
                entry->n_failures = 0;
        take_endpoint(entry, &endpoint);
        r = webhook_save(entry, false);
        if (r >= 0 && hold)
                r = store_put_webhook_hold(engine->store, id);
        if (r >= 0 && hold)
                r = webhooks_go_on(engine);
        if (r >= 0)
                r = webhook_publish(entry, WEBHOOK_CHANGE_UPDATED);
        break_if(engine, r);
        delivery_unpause(entry);
        endpoint_reply_queue(engine, TAKE_PTR(answer));
        return 0;
}

int engine_remove_webhook(Engine *engine, const char *id, EngineReply reply, void *userdata)
{
        WebhookEntry *entry = webhook_find(engine, id);
        _cleanup_(reply_freep) Reply *answer = NULL;
        int r;

        if (!entry)
                return -EHOSTUNREACH;
        r = reply_new(engine, reply, userdata, &answer);
        if (r >= 0)
                r = store_delete_webhook_endpoint(engine->store, id);
        if (r < 0)
                return r;
        break_if(engine, webhook_publish(entry, WEBHOOK_CHANGE_REMOVED));
        break_if(engine, webhooks_go_on(engine));
        webhook_entry_remove(entry);
        reply_queue(engine, TAKE_PTR(answer), 0);
        return 0;
}

int engine_rotate_webhook(Engine *engine, const char *id, bool at_once, EngineWebhookReply reply, void *userdata)
{
        _cleanup_(webhook_endpoint_done) WebhookEndpoint endpoint = { .disabled = _WEBHOOK_DISABLED_INVALID };
        _cleanup_(endpoint_reply_freep) EndpointReply *answer = NULL;
        usec_t now = engine_now(engine, CLOCK_REALTIME);
        WebhookEntry *entry = webhook_find(engine, id);
        int r;

        if (!entry)
                return -EHOSTUNREACH;
        r = webhook_endpoint_copy(&entry->endpoint, &endpoint);
        if (r >= 0)
                r = webhook_endpoint_rotate(&endpoint, now, at_once ? 0 : now + WEBHOOK_SECRET_OVERLAP_USEC);
        if (r >= 0)
                r = endpoint_reply_new(engine, &endpoint, reply, userdata, &answer);
        if (r < 0)
                return r;
        endpoint.updated_usec = now;
        take_endpoint(entry, &endpoint);
        r = webhook_save(entry, true);
        if (r >= 0)
                r = webhook_publish(entry, WEBHOOK_CHANGE_UPDATED);
        break_if(engine, r);
        endpoint_reply_queue(engine, TAKE_PTR(answer));
        return 0;
}

/* ---- Messages */

/* Return: 0; -EHOSTUNREACH; -ENETDOWN. */
static int find_enabled(Engine *engine, const char *id, WebhookEntry **ret)
{
        WebhookEntry *entry = webhook_find(engine, id);

        if (!entry)
                return -EHOSTUNREACH;
        if (entry->endpoint.disabled >= 0)
                return -ENETDOWN;
        *ret = entry;
        return 0;
}

typedef struct TestReply {
        Publication publication;
        EngineWebhookTestReply reply;
        void *userdata;
        char message_id[WEBHOOK_ID_MAX];
} TestReply;

static void on_test_reply(Engine *engine, Publication *publication, int error)
{
        TestReply *p = container_of(publication, TestReply, publication);

        engine->n_replies--;
        p->reply(error, error < 0 ? NULL : p->message_id, p->userdata);
        free(p);
}

int engine_test_webhook(Engine *engine, const char *id, EngineWebhookTestReply reply, void *userdata)
{
        _cleanup_(webhook_message_done) WebhookMessage message = {};
        _cleanup_free_ TestReply *p = NULL;
        WebhookEntry *entry;
        int r;

        r = find_enabled(engine, id, &entry);
        if (r >= 0)
                r = engine_accepts(engine);
        if (r >= 0)
                r = webhook_message_of_test(id, engine_now(engine, CLOCK_REALTIME), &message);
        if (r < 0)
                return r;
        p = calloc(1, sizeof(TestReply));
        if (!p)
                return -ENOMEM;
        r = webhooks_put(engine, &message, id);
        if (r < 0)
                return r;
        p->reply = reply;
        p->userdata = userdata;
        (void) memcpy(p->message_id, message.id, strlen(message.id) + 1);
        delivery_hurry(entry);
        engine->n_replies++;
        publication_queue(engine, &TAKE_PTR(p)->publication, on_test_reply);
        return 0;
}

int engine_resend_webhook(Engine *engine, const char *id, const char *message_id, EngineReply reply, void *userdata)
{
        _cleanup_(reply_freep) Reply *answer = NULL;
        WebhookEntry *entry;
        int r;

        r = find_enabled(engine, id, &entry);
        if (r < 0)
                return r;
        r = store_webhook_message_exists(engine->store, message_id);
        if (r <= 0)
                return r < 0 ? r : -ENOMSG;
        r = reply_new(engine, reply, userdata, &answer);
        if (r >= 0)
                r = store_put_webhook_resend(engine->store, id, message_id, engine_now(engine, CLOCK_REALTIME));
        if (r < 0)
                return r;
        break_if(engine, delivery_wake_when_committed(engine));
        delivery_hurry(entry);
        reply_queue(engine, TAKE_PTR(answer), 0);
        return 0;
}

int engine_recover_webhook(Engine *engine, const char *id, usec_t since_usec, EngineReply reply, void *userdata)
{
        _cleanup_(reply_freep) Reply *answer = NULL;
        WebhookEntry *entry;
        int r;

        r = find_enabled(engine, id, &entry);
        if (r >= 0)
                r = reply_new(engine, reply, userdata, &answer);
        if (r >= 0)
                r = store_put_webhook_recovery(engine->store, id, since_usec, engine_now(engine, CLOCK_REALTIME));
        if (r < 0)
                return r;
        break_if(engine, webhooks_go_on(engine));
        break_if(engine, delivery_wake_when_committed(engine));
        delivery_hurry(entry);
        reply_queue(engine, TAKE_PTR(answer), 0);
        return 0;
}
