/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/event.h"

#include "base/json-util.h"
#include "base/string-util.h"

void event_done(Event *event)
{
        shared_text_free(event->json);
        *event = (Event) {};
}

static void write_optional_count(JsonWriter *w, const char *key, uint64_t value)
{
        if (value == COUNT_UNKNOWN)
                json_write_null(w, key);
        else
                json_write_uint(w, key, value);
}

static uint64_t failed_accounts(const Run *run)
{
        uint64_t n = 0;

        for (size_t i = 0; i < run->n_accounts; i++)
                n += run->accounts[i].status == ACCOUNT_FAILED;
        return n;
}

/* A connector's run tells its counts there (C29); one from outside has the metadata that came with it. */
static void write_metadata(JsonWriter *w, const Run *run)
{
        uint64_t n_failed = failed_accounts(run);

        if (!run->connector) {
                json_write_raw(w, "metadata", isempty(run->metadata) ? "{}" : run->metadata);
                return;
        }
        json_open_object(w, "metadata");
        json_write_string(w, "connector", run->connector);
        json_write_string(w, "trigger", run_trigger_to_string(run->trigger));
        if (run->full_resync)
                json_write_bool(w, "full_resync", true);
        if (run->attempt > 1) {
                json_write_uint(w, "attempt", run->attempt);
                json_write_string(w, "retry_of", run->retry_of);
        }
        if (run->started_usec > 0) {
                json_write_uint(w, "discovered", run->counts.discovered);
                json_write_uint(w, "inserted", run->counts.added);
                json_write_uint(w, "updated", run->counts.updated);
                json_write_uint(w, "deduped", run->counts.deduped);
        }
        if (n_failed > 0)
                json_write_uint(w, "accounts_failed", n_failed);
        if (run->category >= 0)
                json_write_string(w, "category", attention_category_to_string(run->category));
        if (!isempty(run->metadata))
                json_write_raw(w, "extra", run->metadata);
        json_close_object(w);
}

static bool stage_is_last(SyncStage stage)
{
        return stage == SYNC_STAGE_COMPLETED || stage == SYNC_STAGE_FAILED || stage == SYNC_STAGE_CANCELLED;
}

SyncStatus event_status(const Run *run)
{
        return stage_is_last(run->stage) ? sync_status_from_outcome(run->outcome) : SYNC_STATUS_IN_PROGRESS;
}

void event_write_standing(JsonWriter *w, const Run *run)
{
        json_write_string_n(w, "run_id", run->id, run_told_id_size(run));
        json_write_string(w, "user_id", run->user_id);
        json_write_string(w, "provider", run->provider);
        json_write_string(w, "source", run_source_to_string(run->source));
        json_write_string(w, "stage", sync_stage_to_string(run->stage));
        json_write_string(w, "status", sync_status_to_string(event_status(run)));
        json_write_string(w, "message", run->message);
        if (run->stage == SYNC_STAGE_COMPLETED)
                json_write_double(w, "progress", 1.0);
        else if (run->stage == SYNC_STAGE_FAILED || run->progress < 0)
                json_write_null(w, "progress");
        else
                json_write_double(w, "progress", run->progress);
        write_optional_count(w, "items_processed", run->items_processed);
        write_optional_count(w, "items_total", run->items_total);
        json_write_string(w, "error", run->error);
        json_write_string(w, "primary_user_id", run->primary_user_id);
}

static void write_event(JsonWriter *w, const Run *run, const Event *event)
{
        json_open_object(w, NULL);
        json_write_string(w, "event_id", event->event_id);
        event_write_standing(w, run);
        write_metadata(w, run);
        json_write_timestamp(w, "started_at", run->stage == SYNC_STAGE_STARTED ? run->started_usec : 0);
        json_write_timestamp(w, "ended_at", stage_is_last(run->stage) ? run->finished_usec : 0);
        json_write_timestamp(w, "timestamp", event->timestamp_usec);
        json_close_object(w);
}

#define EVENT_JSON_USUAL 768U /* bytes that most take */

int event_make(const Run *run, uint64_t seq, usec_t now_usec, Event *ret_event)
{
        Event event = { .seq = seq, .timestamp_usec = now_usec };
        _cleanup_buffer_ Buffer buffer = {};
        JsonWriter w = JSON_WRITER_INIT(&buffer);
        int r;

        r = uuid_new_v4(event.event_id);
        if (r < 0)
                return r;
        (void) buffer_reserve(&buffer, EVENT_JSON_USUAL); /* says so itself where it fails */
        write_event(&w, run, &event);
        event.json = buffer.failed ? NULL : shared_text_new(buffer.data);
        if (!event.json)
                return -ENOMEM;
        *ret_event = event;
        return 0;
}
