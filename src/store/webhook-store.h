/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Webhooks in the history: endpoints, messages, their way to each endpoint (deliveries), and attempts. The rules of
 * store.h hold: what is put in one turn of the loop is committed as a whole, so a message that is put beside its event
 * is there exactly when the event is. Every store_put_...() returns 0, -EROFS, -ENOBUFS or -ENOMEM. */

#include "model/webhook.h"
#include "store/store.h"

/* ---- Endpoints */

/* Insert, or update all but id and created_usec. @with_secrets: they are replaced by those of @endpoint. */
int store_put_webhook_endpoint(Store *store, const WebhookEndpoint *endpoint, bool with_secrets) _must_check_;

/* With its deliveries and attempts, in steps; it is seen no more at once. */
int store_delete_webhook_endpoint(Store *store, const char *endpoint_id) _must_check_;

/* All of them, oldest first. Context: blocks for reading. */
int store_load_webhook_endpoints(Store *store, WebhookEndpoint **ret, size_t *ret_n) _must_check_;
void webhook_endpoints_free(WebhookEndpoint *endpoints, size_t n);

/* ---- Messages */

/**
 * store_put_webhook_message() - a message, and its way to each endpoint that wants it
 * @message:     copied
 * @endpoint_id: to this one alone, whatever it wants; NULL: as the endpoints have it
 * @due_usec:    CLOCK_REALTIME of the first attempt
 *
 * It is due at once, or waits while an earlier message of its run is on its way to the same endpoint, or, where it
 * tells of a connector's attention, an earlier one that does, or is held where the endpoint is disabled. One of a type
 * that its run has made already is dropped.
 */
int store_put_webhook_message(Store *store, const WebhookMessage *message, const char *endpoint_id,
                              usec_t due_usec) _must_check_;

/* Deliveries that one step changes. What changes more is gone on with by store_put_webhook_step(). */
#define WEBHOOK_STEP_ROWS 500U

/* The endpoint is disabled: what is on its way is held, in steps; until that is done nothing of it is due. */
int store_put_webhook_hold(Store *store, const char *endpoint_id) _must_check_;

/* What has failed or was held, of messages made at @since_usec or later, is due at @now_usec, in order; in steps. */
int store_put_webhook_recovery(Store *store, const char *endpoint_id, usec_t since_usec, usec_t now_usec) _must_check_;

/* The next step of what is left to do of these three, for any endpoint. */
int store_put_webhook_step(Store *store, usec_t now_usec) _must_check_;

/* Whether there is one, as far as is committed. Return: 1; 0; negative errno. Context: blocks for reading. */
int store_webhook_steps_left(Store *store) _must_check_;

/* One message is due at @now_usec, whatever came of it before, and whether the endpoint wanted it or not. */
int store_put_webhook_resend(Store *store, const char *endpoint_id, const char *message_id,
                             usec_t now_usec) _must_check_;

/*
 * The clock was set: times move by @step_usec. What would be due after @latest_usec is due at @instead_usec: a clock
 * that nobody knows has said when.
 */
int store_put_webhook_clock_step(Store *store, int64_t step_usec, usec_t latest_usec,
                                 usec_t instead_usec) _must_check_;

/* ---- Deliveries */

typedef struct DueDelivery {
        int64_t key;
        char *message_id;
        WebhookType type;
        char *user_id; /* NULL */
        char *body;
        usec_t due_usec;
        unsigned n_attempts; /* before */
        bool manual;
        int64_t generation;
} DueDelivery;

void due_delivery_done(DueDelivery *delivery);
void due_deliveries_free(DueDelivery *deliveries, size_t n);

/* The pending ones of an endpoint, earliest first, also such as are not due yet. Context: blocks for reading. */
int store_list_due_deliveries(Store *store, const char *endpoint_id, unsigned limit, DueDelivery **ret,
                              size_t *ret_n) _must_check_;

/* Attempts that are kept of one delivery: the newest ones. */
#define WEBHOOK_ATTEMPTS_PER_DELIVERY_MAX 50U

/**
 * store_put_webhook_attempt() - what came of a delivery's attempt
 * @due:      whose; its key and generation count
 * @attempt:  copied; its endpoint_id and message_id are not needed
 * @state:    that the delivery has from now on
 * @due_usec: of the next attempt, where that is DELIVERY_PENDING
 *
 * One whose endpoint has gone meanwhile is dropped; one that is held by now stays so, unless it was taken; one that
 * somebody has asked for anew since it was listed stays as it is: the attempt does not count for it.
 */
int store_put_webhook_attempt(Store *store, const DueDelivery *due, const WebhookAttempt *attempt,
                              DeliveryState state, usec_t due_usec) _must_check_;

/* ---- Lists, newest first, by keyset */

#define WEBHOOK_PAGE_MAX 250U

typedef struct WebhookListFilter {
        const char *endpoint_id; /* NULL: of any */
        const char *message_id;  /* NULL: any */
        unsigned limit;          /* 1..WEBHOOK_PAGE_MAX */
        int64_t before;          /* only those with a lower key; 0: any */
        int64_t after;           /* only the next ones with a higher key; 0: any */
} WebhookListFilter;

typedef struct StoredWebhookMessage {
        int64_t key;
        WebhookMessage message;
        /* With endpoint_id. */
        DeliveryState state;
        usec_t due_usec; /* of the next attempt; 0: there is none */
} StoredWebhookMessage;

typedef struct StoredWebhookAttempt {
        int64_t key;
        WebhookAttempt attempt;
} StoredWebhookAttempt;

/* @ret_more: there are others further on. Return: 0; -EINVAL (limit); negative errno. Context: blocks for an indexed
 * read. */
int store_list_webhook_messages(Store *store, const WebhookListFilter *filter, StoredWebhookMessage **ret,
                                size_t *ret_n, bool *ret_more) _must_check_;
int store_list_webhook_attempts(Store *store, const WebhookListFilter *filter, StoredWebhookAttempt **ret,
                                size_t *ret_n, bool *ret_more) _must_check_;
void stored_webhook_messages_free(StoredWebhookMessage *messages, size_t n);
void stored_webhook_attempts_free(StoredWebhookAttempt *attempts, size_t n);

/* 1, 0 or negative errno. */
int store_webhook_message_exists(Store *store, const char *message_id);
