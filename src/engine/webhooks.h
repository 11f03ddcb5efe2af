/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Webhooks, for the bus: endpoints are made, changed and removed here, and messages asked for once more. What engine.h
 * says of asking holds here, too. */

#include "engine/engine.h"
#include "model/webhook.h"
#include "store/webhook-store.h"

/* @endpoint: as it is from now on; borrowed; NULL with an error. */
typedef void (*EngineWebhookReply)(int error, const WebhookEndpoint *endpoint, void *userdata);

/* What is to be so; NULL and -1 leave a thing as it is, "" and an empty list clear it. */
typedef struct WebhookWish {
        const char *url;
        const char *description; /* at most WEBHOOK_DESCRIPTION_MAX bytes */
        char *const *types;      /* words; with @types_given */
        bool types_given;
        const char *user_id;
        int disabled;
} WebhookWish;

/* Refusals: -EINVAL (@ret_why says what is wrong), -E2BIG (WEBHOOK_ENDPOINTS_MAX), -EROFS, -ENOBUFS, -ENOMEM. */
int engine_add_webhook(Engine *engine, const WebhookWish *wish, EngineWebhookReply reply, void *userdata,
                       char **ret_why) _must_check_;

/* Further refusal, here and below: -EHOSTUNREACH (no such endpoint). Enabling does not send what was held: see
 * engine_recover_webhook(). */
int engine_update_webhook(Engine *engine, const char *id, const WebhookWish *wish, EngineWebhookReply reply,
                          void *userdata, char **ret_why) _must_check_;
int engine_remove_webhook(Engine *engine, const char *id, EngineReply reply, void *userdata) _must_check_;

/* A new secret; the one before signs for WEBHOOK_SECRET_OVERLAP_USEC beside it, or no more. */
int engine_rotate_webhook(Engine *engine, const char *id, bool at_once, EngineWebhookReply reply,
                          void *userdata) _must_check_;

/* @message_id: borrowed; NULL with an error. */
typedef void (*EngineWebhookTestReply)(int error, const char *message_id, void *userdata);

/* A message of its own, whatever the endpoint wants. Further refusal, here and below: -ENETDOWN (it is disabled). */
int engine_test_webhook(Engine *engine, const char *id, EngineWebhookTestReply reply, void *userdata) _must_check_;

/* Further refusal: -ENOMSG (no such message, or no longer). */
int engine_resend_webhook(Engine *engine, const char *id, const char *message_id, EngineReply reply,
                          void *userdata) _must_check_;

/* All that has failed or was held since then, in order. */
int engine_recover_webhook(Engine *engine, const char *id, usec_t since_usec, EngineReply reply,
                           void *userdata) _must_check_;

/* ---- Looking, at what is committed. JSON is freed by the caller. */

/* @ret: closed by webhook_endpoint_done(). Return: 0; -EHOSTUNREACH; negative errno of reading. */
int engine_get_webhook(Engine *engine, const char *id, WebhookEndpoint *ret) _must_check_;

typedef struct WebhookPage {
        const char *endpoint_id; /* NULL: any */
        const char *message_id;  /* NULL: any */
        unsigned limit;          /* 1..WEBHOOK_PAGE_MAX */
        const char *iterator;    /* of another page: its iterator or prevIterator; NULL: the newest */
} WebhookPage;

/* {"data":[...],"done":...,"iterator":...,"prevIterator":...}, oldest first, @of_document: see model/webhook-view.h.
 * With an endpoint_id the endpoint alone. Return: 0; -EINVAL (iterator); -EHOSTUNREACH; negative errno of reading. */
int engine_describe_webhooks(Engine *engine, const WebhookPage *page, bool of_document,
                             char **ret_json) _must_check_;
int engine_describe_webhook(const WebhookEndpoint *endpoint, bool of_document, char **ret_json) _must_check_;

/* The same of messages and of attempts, newest first. Return: 0; -EINVAL (limit, iterator); -EHOSTUNREACH; -ENOMSG;
 * negative errno of reading. */
int engine_describe_webhook_messages(Engine *engine, const WebhookPage *page, char **ret_json) _must_check_;
int engine_describe_webhook_attempts(Engine *engine, const WebhookPage *page, char **ret_json) _must_check_;
int engine_describe_webhook_types(char **ret_json) _must_check_;
