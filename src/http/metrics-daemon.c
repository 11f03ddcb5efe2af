/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "http/metrics-daemon.h"

#include <string.h>

#include "base/json-util.h"
#include "base/time-util.h"

/* ---- Families */

void metrics_write_head(Buffer *out, const char *name, const char *type, const char *help)
{
        buffer_append_format(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void metrics_write_counter(Buffer *out, const char *name, const char *help, uint64_t value)
{
        metrics_write_head(out, name, "counter", help);
        buffer_append_format(out, "%s_total %llu\n", name, (unsigned long long) value);
}

void metrics_write_gauge(Buffer *out, const char *name, const char *help, uint64_t value)
{
        metrics_write_head(out, name, "gauge", help);
        buffer_append_format(out, "%s %llu\n", name, (unsigned long long) value);
}

/* ---- What the daemon says */

static uint64_t get_number(struct json_object *object, const char *key)
{
        uint64_t value;

        return json_get_uint(object, key, &value) > 0 ? value : 0;
}

static void write_gauges(struct json_object *all, Buffer *out)
{
        static const struct {
                const char *key, *name, *help;
        } rows[] = {
                { "connectors", "syncrun_connectors", "Connectors that are loaded." },
                { "active_runs", "syncrun_active_runs", "Runs that are active." },
                { "queued_runs", "syncrun_queued_runs", "Runs that wait." },
                { "attention", "syncrun_attention", "Connectors that need attention." },
                { "last_sequence", "syncrun_last_event", "Sequence number of the newest event." },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                metrics_write_gauge(out, rows[i].name, rows[i].help, get_number(all, rows[i].key));
}

/* A counter for each member of an object, told apart by a label. */
static void write_members(struct json_object *all, const char *key, const char *name, const char *label,
                          const char *help, Buffer *out)
{
        struct json_object *members;

        if (json_get_object(all, key, &members) <= 0)
                return;
        metrics_write_head(out, name, "counter", help);
        json_object_object_foreach(members, member, value)
                        buffer_append_format(out, "%s_total{%s=\"%s\"} %llu\n", name, label, member,
                                             (unsigned long long) json_object_get_uint64(value));
}

static uint64_t get_element(struct json_object *array, size_t i)
{
        return json_object_get_uint64(json_object_array_get_idx(array, i));
}

static void write_durations(struct json_object *all, Buffer *out)
{
        static const char name[] = "syncrun_run_seconds";
        struct json_object *durations, *bounds, *runs;
        uint64_t sum = 0;

        if (json_get_object(all, "durations", &durations) <= 0 ||
            json_get_array(durations, "bounds_sec", &bounds) <= 0 || json_get_array(durations, "runs", &runs) <= 0)
                return;
        metrics_write_head(out, name, "histogram", "How long runs took that were started and have ended.");
        for (size_t i = 0; i < json_object_array_length(bounds); i++) {
                sum += get_element(runs, i);
                buffer_append_format(out, "%s_bucket{le=\"%llu\"} %llu\n", name,
                                     (unsigned long long) get_element(bounds, i), (unsigned long long) sum);
        }
        sum += get_element(runs, json_object_array_length(bounds));
        buffer_append_format(out, "%s_bucket{le=\"+Inf\"} %llu\n%s_sum %.6f\n%s_count %llu\n", name,
                             (unsigned long long) sum, name,
                             (double) get_number(durations, "sum_usec") / (double) USEC_PER_SEC, name,
                             (unsigned long long) sum);
}

static void write_deliveries(struct json_object *all, Buffer *out)
{
        static const char name[] = "syncrun_webhook_requests";
        struct json_object *kinds;

        if (json_get_object(all, "deliveries", &kinds) <= 0)
                return;
        metrics_write_head(out, name, "counter", "Requests of webhooks, by what they carried and how they ended.");
        json_object_object_foreach(kinds, kind, results)
        {
                json_object_object_foreach(results, result, value)
                                buffer_append_format(out, "%s_total{kind=\"%s\",result=\"%s\"} %llu\n", name, kind,
                                                     result, (unsigned long long) json_object_get_uint64(value));
        }
}

int metrics_write_daemon(const char *statistics, Buffer *out)
{
        _cleanup_json_ struct json_object *all = NULL;
        int r;

        metrics_write_gauge(out, "syncrun_up", "Whether the sync service answers.", statistics != NULL);
        if (!statistics)
                return 0;
        r = json_parse(statistics, strlen(statistics), &all);
        if (r < 0)
                return r;
        write_gauges(all, out);
        write_members(all, "runs", "syncrun_runs", "outcome", "Runs that have ended, by outcome.", out);
        write_durations(all, out);
        write_members(all, "items", "syncrun_items", "result", "Items of runs that have ended.", out);
        metrics_write_counter(out, "syncrun_events", "Events that were recorded.", get_number(all, "events"));
        write_deliveries(all, out);
        metrics_write_counter(out, "syncrun_webhook_messages_lost",
                              "Webhook messages that were deleted before they were sent, for each endpoint.",
                              get_number(all, "messages_lost"));
        return 0;
}
