/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "engine/statistics.h"

#include "base/json-writer.h"
#include "engine/engine-internal.h"

static const unsigned bounds_sec[] = {
        1, 5, 15, 60, 5 * 60, 15 * 60, 60 * 60, 3 * 60 * 60, 12 * 60 * 60, 24 * 60 * 60
};
static_assert(ELEMENTSOF(bounds_sec) == STATISTICS_BOUNDS, "one bound for each bucket");

void statistics_count_run(Statistics *s, const Run *run)
{
        usec_t usec = run->started_usec > 0 ? usec_sub(run->finished_usec, run->started_usec) : 0;
        size_t i = 0;

        if (run->outcome < 0)
                return;
        s->runs[run->outcome]++;
        s->items.discovered += run->counts.discovered;
        s->items.added += run->counts.added;
        s->items.updated += run->counts.updated;
        s->items.deduped += run->counts.deduped;
        if (run->started_usec == 0)
                return;
        while (i < STATISTICS_BOUNDS && usec > bounds_sec[i] * USEC_PER_SEC)
                i++;
        s->durations[i]++;
        s->duration_usec = usec_add(s->duration_usec, usec);
}

void statistics_count_records(Statistics *s, const DeliveryAttempt *attempts, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (attempts[i].succeeded)
                        s->records_delivered++;
                else
                        s->records_refused++;
}

static void write_durations(JsonWriter *w, const Statistics *s)
{
        json_open_object(w, "durations");
        json_open_array(w, "bounds_sec");
        for (size_t i = 0; i < STATISTICS_BOUNDS; i++)
                json_write_uint(w, NULL, bounds_sec[i]);
        json_close_array(w);
        json_open_array(w, "runs");
        for (size_t i = 0; i < ELEMENTSOF(s->durations); i++)
                json_write_uint(w, NULL, s->durations[i]);
        json_close_array(w);
        json_write_uint(w, "sum_usec", s->duration_usec);
        json_close_object(w);
}

static void write_requests(JsonWriter *w, const char *key, uint64_t n_delivered, uint64_t n_refused)
{
        json_open_object(w, key);
        json_write_uint(w, "delivered", n_delivered);
        json_write_uint(w, "refused", n_refused);
        json_close_object(w);
}

static void write_items(JsonWriter *w, const Counts *items)
{
        json_open_object(w, "items");
        json_write_uint(w, "discovered", items->discovered);
        json_write_uint(w, "added", items->added);
        json_write_uint(w, "updated", items->updated);
        json_write_uint(w, "deduped", items->deduped);
        json_close_object(w);
}

int engine_describe_statistics(const Engine *engine, char **ret_json)
{
        const Statistics *s = &engine->statistics;
        _cleanup_buffer_ Buffer buffer = {};
        JsonWriter w = JSON_WRITER_INIT(&buffer);

        json_open_object(&w, NULL);
        json_write_timestamp(&w, "since", s->since_usec);
        json_write_uint(&w, "connectors", engine->status.n_connectors);
        json_write_uint(&w, "active_runs", engine->status.n_active_runs);
        json_write_uint(&w, "queued_runs", engine->status.n_queued_runs);
        json_write_uint(&w, "attention", engine->status.n_attention);
        json_write_uint(&w, "last_sequence", engine->published_seq);
        json_write_uint(&w, "events", s->n_events);
        json_open_object(&w, "runs");
        for (RunOutcome outcome = 0; outcome < _RUN_OUTCOME_MAX; outcome++)
                json_write_uint(&w, run_outcome_to_string(outcome), s->runs[outcome]);
        json_close_object(&w);
        write_durations(&w, s);
        write_items(&w, &s->items);
        json_open_object(&w, "deliveries");
        write_requests(&w, "lifecycle", s->messages_delivered, s->messages_refused);
        write_requests(&w, "records", s->records_delivered, s->records_refused);
        json_close_object(&w);
        json_write_uint(&w, "messages_lost", s->messages_lost);
        json_close_object(&w);
        return buffer_take(&buffer, ret_json);
}
