/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One HTTP request that sends something out: how it is made, where it may go, and what is kept of the answer. What it
 * says, how that is signed and when it is made is the business of those who send. */

#include <curl/curl.h>

#include "model/settings.h"

/* Bytes of an answer, headers included, that are read at all; whatever comes after them is not waited for. */
#define DELIVERY_ANSWER_READ_MAX (64 * KIB)

typedef struct DeliveryHeader {
        const char *name;
        const char *value;
} DeliveryHeader;

typedef struct DeliveryRequest DeliveryRequest;

/**
 * delivery_request_new() - a request that is ready to be sent
 * @rules:   only for the call
 * @url:     one that is allowed
 * @headers: beside Content-Type, without line breaks
 * @body:    JSON; taken over on success
 *
 * Return: 0; -EIO (libcurl lacks something); -ENOMEM.
 */
int delivery_request_new(const WebhookRules *rules, const char *url, const DeliveryHeader *headers, size_t n_headers,
                         char *body, DeliveryRequest **ret) _must_check_;

/* It is in no loop any more. */
DeliveryRequest *delivery_request_free(DeliveryRequest *request);
DEFINE_TRIVIAL_CLEANUP_FUNC(DeliveryRequest *, delivery_request_free);

CURL *delivery_request_handle(DeliveryRequest *request);

/* How a request went. */
typedef struct DeliveryOutcome {
        unsigned http_status; /* 0: no answer */
        bool complete;        /* the answer came to its end, or as far as we read */
        bool timed_out;
        bool refused;            /* by us: it leads to an address that may not be connected to */
        bool abort;              /* the receiver does not want this message ever */
        usec_t retry_after_usec; /* it asks for so much time; 0: it does not */
        usec_t duration_usec;
        char *error;  /* why there is no complete answer; NULL */
        char *answer; /* its beginning; NULL */
} DeliveryOutcome;

void delivery_outcome_done(DeliveryOutcome *outcome);

/* It was taken: 2xx. */
bool delivery_outcome_is_good(const DeliveryOutcome *outcome) _pure_;

/* What came of it. @ret: closed by delivery_outcome_done(). Return: 0; -ENOMEM. */
int delivery_request_outcome(DeliveryRequest *request, CURLcode code, usec_t now_usec,
                             DeliveryOutcome *ret) _must_check_;

/* The value of Retry-After: seconds or a date. 0 where it is neither. */
usec_t delivery_parse_retry_after(const char *value, usec_t now_usec);
