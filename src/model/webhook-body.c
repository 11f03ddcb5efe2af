/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the messages say: {"type":...,"timestamp":...,"data":{...}}, compact, the very bytes that are signed. */

#include "base/json-writer.h"
#include "base/string-util.h"
#include "model/webhook.h"

static void write_run(JsonWriter *w, const Run *run)
{
        json_write_string(w, "user_id", run->user_id);
        json_write_string(w, "provider", run->provider);
        json_write_string(w, "source", run_source_to_string(run->source));
        if (run->id)
                json_write_string_n(w, "run_id", run->id, run_told_id_size(run));
        else
                json_write_null(w, "run_id");
        json_write_string(w, "connector", run->connector);
        json_write_string(w, "connector_id", run->connector_id);
}

static void write_counts(JsonWriter *w, const Run *run)
{
        if (run->items_processed == COUNT_UNKNOWN)
                json_write_null(w, "items_processed");
        else
                json_write_uint(w, "items_processed", run->items_processed);
        /* The counts of a sync that runs elsewhere are in its metadata, if anywhere. */
        if (!run->connector)
                return;
        json_write_uint(w, "discovered", run->counts.discovered);
        json_write_uint(w, "inserted", run->counts.added);
        json_write_uint(w, "updated", run->counts.updated);
        json_write_uint(w, "deduped", run->counts.deduped);
}

static void write_data_of_run(JsonWriter *w, WebhookType type, const Run *run, bool with_metadata)
{
        SyncStatus status = type == WEBHOOK_SYNC_STARTED ? SYNC_STATUS_IN_PROGRESS
                                                         : sync_status_from_outcome(run->outcome);

        write_run(w, run);
        json_write_string(w, "trigger", run_trigger_to_string(run->trigger));
        json_write_string(w, "status", sync_status_to_string(status));
        json_write_string(w, "message", run->message);
        if (type == WEBHOOK_SYNC_FAILED)
                json_write_string(w, "error", run->error ?: "unknown");
        if (type != WEBHOOK_SYNC_STARTED)
                write_counts(w, run);
        json_write_timestamp(w, "started_at", run->started_usec);
        json_write_timestamp(w, "ended_at", type == WEBHOOK_SYNC_STARTED ? 0 : run->finished_usec);
        json_write_raw(w, "metadata", with_metadata && !isempty(run->metadata) ? run->metadata : "{}");
}

static void begin_body(JsonWriter *w, WebhookType type, usec_t now_usec)
{
        json_open_object(w, NULL);
        json_write_string(w, "type", webhook_type_to_string(type));
        json_write_timestamp(w, "timestamp", now_usec);
        json_open_object(w, "data");
}

static void end_body(JsonWriter *w)
{
        json_close_object(w);
        json_close_object(w);
}

/* Takes the body over. @run: NULL: it is about none. */
static int make_message(WebhookType type, const Run *run, usec_t now_usec, Buffer *body, WebhookMessage *ret)
{
        WebhookMessage message = { .type = type,
                                   .created_usec = now_usec,
                                   .run_created_usec = run ? run->created_usec : 0 };
        char id[WEBHOOK_ID_MAX];
        int r;

        r = webhook_id_new("msg_", now_usec, id);
        if (r >= 0)
                r = free_and_strdup(&message.id, id);
        if (r >= 0)
                r = free_and_strdup(&message.user_id, run ? run->user_id : NULL);
        if (r >= 0)
                r = free_and_strdup(&message.run_id, run ? run->id : NULL);
        if (r >= 0)
                r = free_and_strdup(&message.connector, run && !run->id ? run->connector : NULL);
        if (r >= 0)
                r = buffer_take(body, &message.body);
        if (r < 0) {
                webhook_message_done(&message);
                return r;
        }
        *ret = message;
        return 0;
}

int webhook_message_of_run(WebhookType type, const Run *run, usec_t now_usec, WebhookMessage *ret)
{
        _cleanup_buffer_ Buffer body = {};

        for (bool with_metadata = true;; with_metadata = false) {
                JsonWriter w = JSON_WRITER_INIT(&body);

                begin_body(&w, type, now_usec);
                write_data_of_run(&w, type, run, with_metadata);
                end_body(&w);
                if (body.failed)
                        return -ENOMEM;
                if (body.size <= WEBHOOK_BODY_MAX || !with_metadata)
                        return make_message(type, run, now_usec, &body, ret);
                buffer_reset(&body);
        }
}

int webhook_message_of_attention(WebhookType type, const Run *run, const Attention *attention, const char *advice,
                                 usec_t now_usec, WebhookMessage *ret)
{
        _cleanup_buffer_ Buffer body = {};
        JsonWriter w = JSON_WRITER_INIT(&body);

        begin_body(&w, type, now_usec);
        write_run(&w, run);
        if (type == WEBHOOK_SYNC_NEEDS_ATTENTION) {
                json_write_string(&w, "category", attention_category_to_string(attention->category));
                json_write_string(&w, "message", attention->message);
                json_write_string(&w, "advice", advice);
                json_write_timestamp(&w, "since", attention->since_usec);
        } else
                json_write_string(&w, "message", "The sync works again.");
        end_body(&w);
        return make_message(type, run, now_usec, &body, ret);
}

int webhook_message_of_test(const char *endpoint_id, usec_t now_usec, WebhookMessage *ret)
{
        _cleanup_buffer_ Buffer body = {};
        JsonWriter w = JSON_WRITER_INIT(&body);

        begin_body(&w, WEBHOOK_TEST, now_usec);
        json_write_string(&w, "endpoint_id", endpoint_id);
        json_write_string(&w, "message", webhook_type_describe(WEBHOOK_TEST));
        end_body(&w);
        return make_message(WEBHOOK_TEST, NULL, now_usec, &body, ret);
}
