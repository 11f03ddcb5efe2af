/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the shim counts, in OpenMetrics. What the daemon counts is asked of it. */

#include "base/buffer.h"
#include "base/string-table.h"
#include "http/request.h"

typedef struct Metrics Metrics;

#define METRICS_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

/* Why a request was not let in to its route. */
typedef enum RefusalReason {
        REFUSAL_MISSING,   /* no key */
        REFUSAL_UNKNOWN,   /* one that is not valid */
        REFUSAL_TOKEN,     /* the same */
        REFUSAL_EXPIRED,   /* a session or a token that has ended */
        REFUSAL_TOO_MANY,  /* its address guesses */
        REFUSAL_RATE,      /* its key asks too often */
        REFUSAL_SCOPE,     /* its key may not do that */
        REFUSAL_FOREIGN,   /* another site's page sent it */
        REFUSAL_STREAMS,   /* there are too many streams, of its key or in all */
        REFUSAL_AMBIGUOUS, /* it has more than one key */
        _REFUSAL_REASON_MAX,
        _REFUSAL_REASON_INVALID = -EINVAL,
} RefusalReason;
DECLARE_STRING_TABLE(refusal_reason, RefusalReason);

int metrics_new(Metrics **ret) _must_check_;
Metrics *metrics_free(Metrics *metrics);

/* A request is at its end. */
void metrics_count(Metrics *metrics, const Request *request);

void metrics_count_refusal(Metrics *metrics, RefusalReason reason);

/* All of it, as text of OpenMetrics. @statistics: as of metrics_write_daemon(). */
int metrics_write(const Metrics *metrics, App *app, const char *statistics, Buffer *out) _must_check_;
