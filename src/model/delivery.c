/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/delivery.h"

#include <stdlib.h>

#include "base/json-util.h"
#include "base/string-util.h"
#include "base/time-util.h"

#define REPORT_BYTES_MAX (4 * DELIVERIES_REPORT_MAX * 6U * DELIVERY_TEXT_MAX) /* all of it escaped */
#define HTTP_STATUS_MAX  999U

static const char *const delivery_kind_table[_DELIVERY_KIND_MAX] = {
        [DELIVERY_RECORDS] = "records",
        [DELIVERY_LIFECYCLE] = "lifecycle",
};
DEFINE_STRING_TABLE(delivery_kind, DeliveryKind, _DELIVERY_KIND_MAX);

void delivery_attempt_done(DeliveryAttempt *attempt)
{
        free(attempt->id);
        free(attempt->run_id);
        free(attempt->type);
        free(attempt->url);
        free(attempt->error);
        free(attempt->answer);
        *attempt = (DeliveryAttempt) {};
}

void delivery_attempts_free(DeliveryAttempt *attempts, size_t n)
{
        for (size_t i = 0; i < n; i++)
                delivery_attempt_done(&attempts[i]);
        free(attempts);
}

int delivery_attempt_copy(const DeliveryAttempt *attempt, DeliveryAttempt *ret)
{
        DeliveryAttempt copy = *attempt;

        copy.id = copy.run_id = copy.type = copy.url = copy.error = copy.answer = NULL;
        if (free_and_strdup(&copy.id, attempt->id) < 0 || free_and_strdup(&copy.run_id, attempt->run_id) < 0 ||
            free_and_strdup(&copy.type, attempt->type) < 0 || free_and_strdup(&copy.url, attempt->url) < 0 ||
            free_and_strdup(&copy.error, attempt->error) < 0 || free_and_strdup(&copy.answer, attempt->answer) < 0) {
                delivery_attempt_done(&copy);
                return -ENOMEM;
        }
        *ret = copy;
        return 0;
}

char *url_origin(const char *url)
{
        const char *host = url ? strstr(url, "://") : NULL;
        size_t n;

        if (!host)
                return NULL;
        host += strlen("://");
        n = strcspn(host, "/?#");
        return memchr(host, '@', n) ? NULL : strndup(url, (size_t) (host - url) + n);
}

/* ---- What a worker says */

void delivery_attempts_write(const DeliveryAttempt *attempts, size_t n, Buffer *out)
{
        JsonWriter w = JSON_WRITER_INIT(out);

        json_open_array(&w, NULL);
        for (size_t i = 0; i < n; i++) {
                const DeliveryAttempt *a = &attempts[i];

                json_open_object(&w, NULL);
                json_write_string(&w, "id", a->id);
                json_write_string(&w, "type", a->type);
                json_write_string(&w, "url", a->url);
                json_write_bool(&w, "succeeded", a->succeeded);
                json_write_uint(&w, "http_status", a->http_status);
                json_write_uint(&w, "started_usec", a->started_usec);
                json_write_uint(&w, "duration_usec", a->duration_usec);
                json_write_uint(&w, "retry", a->n_before);
                json_write_uint(&w, "records", a->n_records);
                json_write_string(&w, "error", a->error);
                json_write_string(&w, "answer", a->answer);
                json_close_object(&w);
        }
        json_close_array(&w);
}

/* @required: it is there, and no longer than @limit_bytes; else it is cut. */
static int get_text(struct json_object *object, const char *key, size_t limit_bytes, bool required, char **ret)
{
        const char *s;
        int r;

        r = json_get_string(object, key, &s);
        if (r <= 0)
                return r == -ENOMEM ? r : r < 0 || required ? -EBADMSG : 0;
        if (required && strlen(s) > limit_bytes)
                return -E2BIG;
        *ret = utf8_sanitize(s, strlen(s), limit_bytes);
        return *ret ? 0 : -ENOMEM;
}

static int get_number(struct json_object *object, const char *key, uint64_t max, uint64_t *ret)
{
        return json_get_uint(object, key, ret) > 0 && *ret <= max ? 0 : -EBADMSG;
}

static int parse_attempt(struct json_object *object, DeliveryAttempt *a)
{
        uint64_t status = 0, retry = 0;
        int r;

        if (!json_object_is_type(object, json_type_object) || json_get_bool(object, "succeeded", &a->succeeded) <= 0)
                return -EBADMSG;
        r = get_text(object, "id", DELIVERY_ID_MAX, true, &a->id);
        if (r >= 0)
                r = get_text(object, "type", DELIVERY_TYPE_MAX, true, &a->type);
        if (r >= 0)
                r = get_text(object, "url", DELIVERY_TEXT_MAX, true, &a->url);
        if (r >= 0)
                r = get_number(object, "http_status", HTTP_STATUS_MAX, &status);
        if (r >= 0)
                r = get_number(object, "started_usec", INT64_MAX, &a->started_usec);
        if (r >= 0)
                r = get_number(object, "duration_usec", INT64_MAX, &a->duration_usec);
        if (r >= 0)
                r = get_number(object, "retry", INT32_MAX, &retry);
        if (r >= 0)
                r = get_number(object, "records", INT64_MAX, &a->n_records);
        if (r >= 0)
                r = get_text(object, "error", DELIVERY_TEXT_MAX, false, &a->error);
        if (r >= 0)
                r = get_text(object, "answer", DELIVERY_TEXT_MAX, false, &a->answer);
        a->kind = DELIVERY_RECORDS;
        a->http_status = (unsigned) status;
        a->n_before = (unsigned) retry;
        return r;
}

int delivery_attempts_parse(const char *json, size_t n, DeliveryAttempt **ret, size_t *ret_n)
{
        _cleanup_json_ struct json_object *list = NULL;
        DeliveryAttempt *attempts;
        size_t n_attempts;
        int r;

        if (n > REPORT_BYTES_MAX)
                return -E2BIG;
        r = json_parse(json, n, &list);
        if (r < 0)
                return r;
        if (!json_object_is_type(list, json_type_array))
                return -EBADMSG;
        n_attempts = json_object_array_length(list);
        if (n_attempts > DELIVERIES_REPORT_MAX)
                return -E2BIG;
        attempts = calloc(MAX(n_attempts, (size_t) 1), sizeof(DeliveryAttempt));
        if (!attempts)
                return -ENOMEM;
        for (size_t i = 0; r >= 0 && i < n_attempts; i++)
                r = parse_attempt(json_object_array_get_idx(list, i), &attempts[i]);
        if (r < 0) {
                delivery_attempts_free(attempts, n_attempts);
                return r;
        }
        *ret = attempts;
        *ret_n = n_attempts;
        return 0;
}

/* ---- What is shown */

void view_delivery_attempt(JsonWriter *w, const char *key, const DeliveryAttempt *attempt)
{
        json_open_object(w, key);
        json_write_string(w, "id", attempt->id);
        json_write_string(w, "kind", delivery_kind_to_string(attempt->kind));
        json_write_string(w, "runId", attempt->run_id);
        json_write_string(w, "type", attempt->type);
        json_write_string(w, "url", attempt->url);
        json_write_timestamp(w, "attemptedAt", attempt->started_usec);
        json_write_bool(w, "succeeded", attempt->succeeded);
        if (attempt->http_status > 0)
                json_write_uint(w, "statusCode", attempt->http_status);
        else
                json_write_null(w, "statusCode");
        json_write_uint(w, "responseTimeMs", attempt->duration_usec / USEC_PER_MSEC);
        json_write_uint(w, "retryCount", attempt->n_before);
        if (attempt->kind == DELIVERY_RECORDS)
                json_write_uint(w, "records", attempt->n_records);
        else
                json_write_null(w, "records");
        json_write_string(w, "error", attempt->error);
        /* What an endpoint answers is for those who manage webhooks: DescribeWebhookAttempts has it. */
        json_write_string(w, "response", attempt->kind == DELIVERY_RECORDS ? attempt->answer : NULL);
        json_close_object(w);
}
