/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the shim counts, in OpenMetrics. What the daemon counts is asked of it. */

#include "base/buffer.h"
#include "http/request.h"

typedef struct Metrics Metrics;

#define METRICS_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

int metrics_new(Metrics **ret) _must_check_;
Metrics *metrics_free(Metrics *metrics);

/* A request is at its end. */
void metrics_count(Metrics *metrics, const Request *request);

/* One number of the daemon, by the name of its property; without any, it did not answer. */
typedef struct MetricsGauge {
        const char *property;
        uint64_t value;
} MetricsGauge;

/* All of it, as text of OpenMetrics. */
void metrics_write(const Metrics *metrics, App *app, const MetricsGauge *gauges, size_t n_gauges, Buffer *out);
