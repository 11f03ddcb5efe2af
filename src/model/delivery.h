/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Attempts to deliver something of a connector over HTTP (A8): its records, by a destination of Type=webhook, or news
 * of its runs, by a webhook endpoint. Also how a worker tells of its own, as JSON both ways, and how both look. */

#include "base/json-writer.h"
#include "base/string-table.h"

typedef enum DeliveryKind {
        DELIVERY_RECORDS,
        DELIVERY_LIFECYCLE,
        _DELIVERY_KIND_MAX,
        _DELIVERY_KIND_INVALID = -EINVAL,
} DeliveryKind;
DECLARE_STRING_TABLE(delivery_kind, DeliveryKind);

#define DELIVERY_TEXT_MAX     1024U /* bytes of an error, and of an answer, that are kept */
#define DELIVERY_TYPE_MAX     64U   /* bytes of a type of event */
#define DELIVERY_ID_MAX       64U   /* bytes of the id of an attempt */
#define DELIVERIES_REPORT_MAX 32U   /* attempts in one call of a worker; its texts stay below REPORT_JSON_MAX */

typedef struct DeliveryAttempt {
        char *id;
        DeliveryKind kind;
        char *run_id; /* NULL: of no run, or a worker's call says it */
        char *type;
        char *url; /* scheme, host and port: the rest may be a secret */
        bool succeeded;
        unsigned http_status; /* 0: no answer */
        usec_t started_usec;  /* CLOCK_REALTIME */
        usec_t duration_usec;
        unsigned n_before;  /* attempts at the same before this one */
        uint64_t n_records; /* 0 of DELIVERY_LIFECYCLE */
        char *error;        /* NULL */
        char *answer;       /* the beginning; NULL */
} DeliveryAttempt;

void delivery_attempt_done(DeliveryAttempt *attempt);
void delivery_attempts_free(DeliveryAttempt *attempts, size_t n);

/* Deep. Return: 0; -ENOMEM. */
int delivery_attempt_copy(const DeliveryAttempt *attempt, DeliveryAttempt *ret) _must_check_;

/* "https://host:port" of a URL; NULL where it has none or says who asks, and without memory. Caller frees. */
char *url_origin(const char *url) _must_check_;

/* A worker's attempts, appended to @out. Out of memory is remembered by the buffer. */
void delivery_attempts_write(const DeliveryAttempt *attempts, size_t n, Buffer *out);

/**
 * delivery_attempts_parse() - read and check what a worker sent
 * @ret: set on success only; freed by delivery_attempts_free(); all DELIVERY_RECORDS
 *
 * Texts over their limits are cut; a wrong type refuses the whole.
 *
 * Return: 0; -EBADMSG (not a JSON list of such objects); -E2BIG (DELIVERIES_REPORT_MAX, DELIVERY_ID_MAX,
 * DELIVERY_TYPE_MAX, or four times what they may need in all); -ENOMEM.
 */
int delivery_attempts_parse(const char *json, size_t n, DeliveryAttempt **ret, size_t *ret_n) _must_check_;

/* One object, in camelCase as Redbark's pages are shown. */
void view_delivery_attempt(JsonWriter *w, const char *key, const DeliveryAttempt *attempt);
