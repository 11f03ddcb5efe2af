/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Webhooks as JSON. Endpoints in syncrun's own view have every field but the secrets, in that of Open Wearables its
 * document's five (C32) and, behind them, whether it is enabled; messages and attempts have the one shape that Svix
 * gave them. */

#include "base/json-writer.h"
#include "model/webhook.h"

void view_webhook_endpoint(JsonWriter *w, const char *key, const WebhookEndpoint *endpoint);
void view_webhook_endpoint_of_document(JsonWriter *w, const char *key, const WebhookEndpoint *endpoint);

/* @state: of its way to an endpoint, with the time of the next attempt (0: none); _DELIVERY_STATE_INVALID: it is not
 * about one. */
void view_webhook_message(JsonWriter *w, const char *key, const WebhookMessage *message, DeliveryState state,
                          usec_t due_usec);

void view_webhook_attempt(JsonWriter *w, const char *key, const WebhookAttempt *attempt);

/* What an endpoint may choose among. */
void view_webhook_types(JsonWriter *w, const char *key);
