/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "http/metrics.h"

#include <stdlib.h>

#define uthash_nonfatal_oom(element) ((element)->lost = true)
#include <uthash.h>

#include "base/string-util.h"
#include "base/time-util.h"
#include "http/answers.h"
#include "http/app.h"
#include "http/metrics-daemon.h"
#include "http/route.h"
#include "http/server.h"
#include "http/sse-hub.h"

typedef struct CountKey {
        const Route *route; /* NULL: none was found */
        HttpMethod method;
        unsigned status;
} CountKey;

typedef struct Count {
        CountKey key;
        uint64_t n;
        bool lost;
        UT_hash_handle hh;
} Count;

static const char *const refusal_reason_table[] = {
        [REFUSAL_MISSING] = "no-key",
        [REFUSAL_UNKNOWN] = "unknown-key",
        [REFUSAL_TOKEN] = "bad-token",
        [REFUSAL_EXPIRED] = "expired",
        [REFUSAL_TOO_MANY] = "too-many-failures",
        [REFUSAL_RATE] = "rate",
        [REFUSAL_SCOPE] = "scope",
        [REFUSAL_FOREIGN] = "foreign-page",
        [REFUSAL_STREAMS] = "streams",
        [REFUSAL_AMBIGUOUS] = "several-keys",
};
DEFINE_STRING_TABLE(refusal_reason, RefusalReason, _REFUSAL_REASON_MAX);

/* Bounds of the histogram of how long requests take. */
static const double bounds_sec[] = { 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10 };

struct Metrics {
        Count *counts; /* bounded: routes, methods and statuses are few */
        uint64_t buckets[ELEMENTSOF(bounds_sec) + 1];
        double seconds;
        uint64_t refusals[_REFUSAL_REASON_MAX];
        usec_t created_usec;
};

int metrics_new(Metrics **ret)
{
        Metrics *metrics = calloc(1, sizeof(*metrics));

        if (!metrics)
                return -ENOMEM;
        metrics->created_usec = now_usec(CLOCK_REALTIME);
        *ret = metrics;
        return 0;
}

Metrics *metrics_free(Metrics *metrics)
{
        Count *count, *next;

        if (!metrics)
                return NULL;
        HASH_ITER(hh, metrics->counts, count, next) {
                HASH_DELETE(hh, metrics->counts, count);
                free(count);
        }
        free(metrics);
        return NULL;
}

static Count *get_count(Metrics *metrics, const CountKey *key)
{
        Count *count;

        HASH_FIND(hh, metrics->counts, key, sizeof(*key), count);
        if (count)
                return count;
        count = calloc(1, sizeof(*count));
        if (!count)
                return NULL;
        memcpy(&count->key, key, sizeof(*key));
        HASH_ADD(hh, metrics->counts, key, sizeof(*key), count);
        if (!count->lost)
                return count;
        free(count);
        return NULL;
}

void metrics_count(Metrics *metrics, const Request *request)
{
        double sec = (double) (now_usec(CLOCK_MONOTONIC) - request->begun_usec) / (double) USEC_PER_SEC;
        CountKey key;
        size_t i = 0;
        Count *count;

        if (request->answer.status == 0) /* the client went before there was one */
                return;
        memset(&key, 0, sizeof(key)); /* with what lies between its members */
        key.route = request->route;
        key.method = request->method;
        key.status = request->answer.status;
        count = get_count(metrics, &key);
        if (count)
                count->n++;
        if (request->taken)
                return;
        while (i < ELEMENTSOF(bounds_sec) && sec > bounds_sec[i])
                i++;
        metrics->buckets[i]++;
        metrics->seconds += sec;
}

void metrics_count_refusal(Metrics *metrics, RefusalReason reason)
{
        metrics->refusals[reason]++;
}

/* ---- Text */

static void write_requests(const Metrics *metrics, Buffer *out)
{
        static const char name[] = "syncrun_http_request_seconds";
        uint64_t sum = 0;
        Count *count, *next;

        metrics_write_head(out, "syncrun_http_requests", "counter", "Requests by route, method and status.");
        HASH_ITER(hh, metrics->counts, count, next) {
                const char *method = http_method_to_string(count->key.method);

                buffer_append_format(out,
                                     "syncrun_http_requests_total{route=\"%s\",method=\"%s\",status=\"%u\"} %llu\n",
                                     count->key.route ? count->key.route->pattern : "", method ?: "other",
                                     count->key.status, (unsigned long long) count->n);
        }
        metrics_write_head(out, name, "histogram", "How long requests took, streams not among them.");
        for (size_t i = 0; i < ELEMENTSOF(metrics->buckets); i++) {
                sum += metrics->buckets[i];
                if (i < ELEMENTSOF(bounds_sec))
                        buffer_append_format(out, "%s_bucket{le=\"%g\"} %llu\n", name, bounds_sec[i],
                                             (unsigned long long) sum);
                else
                        buffer_append_format(out, "%s_bucket{le=\"+Inf\"} %llu\n", name, (unsigned long long) sum);
        }
        buffer_append_format(out, "%s_sum %.6f\n%s_count %llu\n", name, metrics->seconds, name,
                             (unsigned long long) sum);
}

static void write_refusals(const Metrics *metrics, Buffer *out)
{
        metrics_write_head(out, "syncrun_http_refusals", "counter", "Requests that were not let in, by reason.");
        for (RefusalReason reason = 0; reason < _REFUSAL_REASON_MAX; reason++)
                buffer_append_format(out, "syncrun_http_refusals_total{reason=\"%s\"} %llu\n",
                                     refusal_reason_to_string(reason), (unsigned long long) metrics->refusals[reason]);
}

int metrics_write(const Metrics *metrics, App *app, const char *statistics, Buffer *out)
{
        ServerStatus server;
        SseStatus sse;
        int r;

        server_status(app->server, &server);
        sse_hub_status(app->hub, &sse);
        r = metrics_write_daemon(statistics, out);
        if (r < 0)
                return r;
        write_requests(metrics, out);
        write_refusals(metrics, out);
        metrics_write_gauge(out, "syncrun_http_connections", "Connections, streams not among them.",
                            server.n_connections);
        metrics_write_counter(out, "syncrun_http_accepted", "Connections that were taken.", server.n_accepted);
        metrics_write_counter(out, "syncrun_http_refused", "Connections over a limit.", server.n_refused);
        metrics_write_counter(out, "syncrun_http_timeouts", "Connections that took too long.", server.n_timeouts);
        metrics_write_counter(out, "syncrun_http_kept_answers", "Requests that were answered with what is kept.",
                              answers_given(app->answers));
        metrics_write_gauge(out, "syncrun_http_streams", "Streams that are open.", sse.n_streams);
        metrics_write_counter(out, "syncrun_http_streams_opened", "Streams that were opened.", sse.n_opened);
        metrics_write_counter(out, "syncrun_http_streams_cut", "Streams whose client did not read.", sse.n_cut);
        metrics_write_counter(out, "syncrun_http_events", "Events that were told while streams were open.",
                              sse.n_events);
        metrics_write_counter(out, "syncrun_http_deliveries", "Events that were sent to streams.", sse.n_delivered);
        metrics_write_head(out, "syncrun_http_start_seconds", "gauge", "When this process began to serve.");
        buffer_append_format(out, "syncrun_http_start_seconds %llu.%06llu\n# EOF\n",
                             (unsigned long long) (metrics->created_usec / USEC_PER_SEC),
                             (unsigned long long) (metrics->created_usec % USEC_PER_SEC));
        return 0;
}
