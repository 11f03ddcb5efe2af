/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One signed HTTP request of a webhook: how it is made, where it may go, and what is kept of the answer. When it is
 * made stands in delivery-queue.c. */

#include <curl/curl.h>

#include "engine/delivery-policy.h"

/* Bytes of an answer, headers included, that are read at all; whatever comes after them is not waited for. */
#define DELIVERY_ANSWER_READ_MAX (64 * KIB)

typedef struct DeliveryRequest DeliveryRequest;

/**
 * delivery_request_new() - a request that is ready to be sent
 * @endpoint: has a URL that is allowed
 * @body:     taken over on success
 * @now_usec: CLOCK_REALTIME: the time that is signed; secrets that have expired by then do not sign
 *
 * Return: 0; -EINVAL (no secret signs); -EIO (libcurl lacks something); -ENOMEM.
 */
int delivery_request_new(const Settings *settings, const WebhookEndpoint *endpoint, const char *message_id, char *body,
                         usec_t now_usec, DeliveryRequest **ret) _must_check_;

/* It is in no loop any more. */
DeliveryRequest *delivery_request_free(DeliveryRequest *request);
DEFINE_TRIVIAL_CLEANUP_FUNC(DeliveryRequest *, delivery_request_free);

CURL *delivery_request_handle(DeliveryRequest *request);

/* What came of it. @ret: closed by delivery_outcome_done(). Return: 0; -ENOMEM. */
int delivery_request_outcome(DeliveryRequest *request, CURLcode code, usec_t now_usec,
                             DeliveryOutcome *ret) _must_check_;
