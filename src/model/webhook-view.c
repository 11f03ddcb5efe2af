/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/webhook-view.h"

#include "base/string-util.h"

/* Svix's numbers. */
enum {
        STATUS_SUCCESS = 0,
        STATUS_PENDING = 1,
        STATUS_FAIL = 2,
        TRIGGER_SCHEDULED = 0,
        TRIGGER_MANUAL = 1,
};

static void write_types(JsonWriter *w, unsigned types)
{
        if (types == 0) {
                json_write_null(w, "filter_types");
                return;
        }
        json_open_array(w, "filter_types");
        for (unsigned i = 0; i < WEBHOOK_TYPES_OF_SYNCS; i++)
                if (types & 1U << i)
                        json_write_string(w, NULL, webhook_type_to_string(i));
        json_close_array(w);
}

static void write_fields_of_document(JsonWriter *w, const WebhookEndpoint *endpoint)
{
        json_write_string(w, "id", endpoint->id);
        json_write_string(w, "url", endpoint->url);
        json_write_string(w, "description", strempty(endpoint->description));
        write_types(w, endpoint->types);
        json_write_string(w, "user_id", endpoint->user_id);
        json_write_bool(w, "disabled", endpoint->disabled >= 0);
        json_write_string(w, "disabled_reason", webhook_disabled_to_string(endpoint->disabled));
        json_write_timestamp(w, "disabled_at", endpoint->disabled_usec);
        json_write_timestamp(w, "failing_since", endpoint->failing_usec);
}

void view_webhook_endpoint_of_document(JsonWriter *w, const char *key, const WebhookEndpoint *endpoint)
{
        json_open_object(w, key);
        write_fields_of_document(w, endpoint);
        json_close_object(w);
}

void view_webhook_endpoint(JsonWriter *w, const char *key, const WebhookEndpoint *endpoint)
{
        json_open_object(w, key);
        write_fields_of_document(w, endpoint);
        json_write_timestamp(w, "created_at", endpoint->created_usec);
        json_write_timestamp(w, "updated_at", endpoint->updated_usec);
        json_close_object(w);
}

static int status_of(DeliveryState state)
{
        switch (state) {
        case DELIVERY_SUCCEEDED:
                return STATUS_SUCCESS;
        case DELIVERY_WAITING:
        case DELIVERY_PENDING:
                return STATUS_PENDING;
        default:
                return STATUS_FAIL;
        }
}

void view_webhook_message(JsonWriter *w, const char *key, const WebhookMessage *message, DeliveryState state,
                          usec_t due_usec)
{
        _cleanup_free_ char *event_id = NULL, *channel = NULL;

        if (message->run_id)
                event_id = asprintf_or_null("%s.%s", webhook_type_to_string(message->type), message->run_id);
        if (message->user_id)
                channel = asprintf_or_null("user.%s", message->user_id);
        json_open_object(w, key);
        json_write_string(w, "id", message->id);
        json_write_string(w, "eventType", webhook_type_to_string(message->type));
        json_write_string(w, "eventId", event_id);
        json_write_raw(w, "payload", message->body);
        if (channel) {
                json_open_array(w, "channels");
                json_write_string(w, NULL, channel);
                json_close_array(w);
        } else
                json_write_null(w, "channels");
        json_write_timestamp(w, "timestamp", message->created_usec);
        if (state >= 0) {
                json_write_int(w, "status", status_of(state));
                json_write_string(w, "statusText", delivery_state_to_string(state));
                json_write_timestamp(w, "nextAttempt", due_usec);
        }
        json_close_object(w);
}

void view_webhook_attempt(JsonWriter *w, const char *key, const WebhookAttempt *attempt)
{
        json_open_object(w, key);
        json_write_string(w, "id", attempt->id);
        json_write_string(w, "endpointId", attempt->endpoint_id);
        json_write_string(w, "msgId", attempt->message_id);
        json_write_string(w, "url", attempt->url);
        json_write_string(w, "response", strempty(attempt->answer));
        json_write_uint(w, "responseStatusCode", attempt->http_status);
        json_write_uint(w, "responseDurationMs", attempt->duration_usec / USEC_PER_MSEC);
        json_write_int(w, "status", attempt->succeeded ? STATUS_SUCCESS : STATUS_FAIL);
        json_write_string(w, "statusText", attempt->succeeded ? "success" : strempty(attempt->error));
        json_write_int(w, "triggerType", attempt->manual ? TRIGGER_MANUAL : TRIGGER_SCHEDULED);
        json_write_timestamp(w, "timestamp", attempt->started_usec);
        json_write_null(w, "msg");
        json_close_object(w);
}

void view_webhook_types(JsonWriter *w, const char *key)
{
        json_open_array(w, key);
        for (unsigned i = 0; i < WEBHOOK_TYPES_OF_SYNCS; i++) {
                json_open_object(w, NULL);
                json_write_string(w, "name", webhook_type_to_string(i));
                json_write_string(w, "description", webhook_type_describe(i));
                json_close_object(w);
        }
        json_close_array(w);
}
