/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A message of a lifecycle webhook as an HTTP request: signed as the Standard Webhooks say. */

#include "delivery/delivery-request.h"
#include "model/webhook.h"

/**
 * delivery_message_request() - a request that is ready to be sent
 * @endpoint: has a URL that is allowed
 * @body:     taken over on success
 * @now_usec: CLOCK_REALTIME: the time that is signed; secrets that have expired by then do not sign
 *
 * Return: 0; -EINVAL (no secret signs); -EIO (libcurl lacks something); -ENOMEM.
 */
int delivery_message_request(const WebhookRules *rules, const WebhookEndpoint *endpoint, const char *message_id,
                             char *body, usec_t now_usec, DeliveryRequest **ret) _must_check_;
