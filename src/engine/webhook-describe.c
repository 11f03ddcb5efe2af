/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Lists of webhooks as JSON, in pages. An iterator names a page's last row, a prevIterator is "-" and the name of its
 * first: of endpoints by their ids, as Svix does it, of the rest by the keys of their rows. */

#include <inttypes.h>
#include <stdlib.h>

#include "engine/engine-internal.h"
#include "engine/webhooks.h"
#include "model/webhook-view.h"

int engine_get_webhook(Engine *engine, const char *id, WebhookEndpoint *ret)
{
        WebhookEndpoint *endpoints;
        int r, k;
        size_t n;

        r = store_load_webhook_endpoints(engine->store, &endpoints, &n);
        if (r < 0)
                return r;
        k = -EHOSTUNREACH;
        for (size_t i = 0; i < n; i++)
                if (streq(endpoints[i].id, id))
                        k = webhook_endpoint_copy(&endpoints[i], ret);
        webhook_endpoints_free(endpoints, n);
        return k;
}

static void view_endpoint(JsonWriter *w, const WebhookEndpoint *endpoint, bool of_document)
{
        if (of_document)
                view_webhook_endpoint_of_document(w, NULL, endpoint);
        else
                view_webhook_endpoint(w, NULL, endpoint);
}

int engine_describe_webhook(const WebhookEndpoint *endpoint, bool of_document, char **ret_json)
{
        _cleanup_buffer_ Buffer buffer = {};
        JsonWriter w = JSON_WRITER_INIT(&buffer);

        view_endpoint(&w, endpoint, of_document);
        return buffer_take(&buffer, ret_json);
}

/* ---- Pages */

static void open_page(JsonWriter *w)
{
        json_open_object(w, NULL);
        json_open_array(w, "data");
}

#define ITERATOR_MAX (WEBHOOK_ID_MAX + 1U)

/* @first, @last: what names the page's rows; NULL: it has none. */
static void close_page(JsonWriter *w, bool done, const char *first, const char *last)
{
        char previous[ITERATOR_MAX];

        json_close_array(w);
        json_write_bool(w, "done", done);
        json_write_string(w, "iterator", last);
        (void) snprintf(previous, sizeof(previous), "-%s", strempty(first));
        json_write_string(w, "prevIterator", first ? previous : NULL);
        json_close_object(w);
}

/* The same by the keys of rows. */
static void close_page_of_rows(JsonWriter *w, bool done, int64_t first, int64_t last)
{
        char first_text[ITERATOR_MAX], last_text[ITERATOR_MAX];

        (void) snprintf(first_text, sizeof(first_text), "%" PRId64, first);
        (void) snprintf(last_text, sizeof(last_text), "%" PRId64, last);
        close_page(w, done, first > 0 ? first_text : NULL, last > 0 ? last_text : NULL);
}

static int page_filter(Engine *engine, const WebhookPage *page, WebhookListFilter *ret)
{
        WebhookListFilter filter = { .endpoint_id = page->endpoint_id,
                                     .message_id = page->message_id,
                                     .limit = page->limit };
        _cleanup_(webhook_endpoint_done) WebhookEndpoint endpoint = {};
        const char *number = page->iterator;
        uint64_t key;
        int r;

        if (number) {
                bool newer = number[0] == '-';

                if (parse_uint64(number + newer, &key) < 0 || key == 0 || key > INT64_MAX)
                        return -EINVAL;
                *(newer ? &filter.after : &filter.before) = (int64_t) key;
        }
        if (page->endpoint_id) {
                r = engine_get_webhook(engine, page->endpoint_id, &endpoint);
                if (r < 0)
                        return r;
        }
        if (page->message_id) {
                r = store_webhook_message_exists(engine->store, page->message_id);
                if (r <= 0)
                        return r < 0 ? r : -ENOMSG;
        }
        *ret = filter;
        return 0;
}

/* Where the endpoint of this id stands, or, when it is gone, the one after it: ids are in the order of time. */
static size_t find_place(const WebhookEndpoint *endpoints, size_t n, const char *id, bool *ret_found)
{
        size_t i;

        *ret_found = true;
        for (i = 0; i < n; i++)
                if (streq(endpoints[i].id, id))
                        return i;
        *ret_found = false;
        for (i = 0; i < n && strcmp(endpoints[i].id, id) < 0; i++)
                ;
        return i;
}

/* Endpoints are so few that a page is cut out of all. Return: 0; -EINVAL (iterator). */
static int cut_page(const WebhookEndpoint *endpoints, size_t n, const WebhookPage *page, size_t *ret_first,
                    size_t *ret_end, bool *ret_done)
{
        bool back = page->iterator && page->iterator[0] == '-', found;
        size_t first = 0, end;

        if (page->iterator) {
                if (!startswith(page->iterator + back, WEBHOOK_ENDPOINT_PREFIX))
                        return -EINVAL;
                first = find_place(endpoints, n, page->iterator + back, &found);
                if (found && !back)
                        first++;
        }
        end = back ? first : MIN(n, first + page->limit);
        if (back)
                first = end - MIN(end, (size_t) page->limit);
        *ret_first = first;
        *ret_end = end;
        *ret_done = back ? first == 0 : end == n;
        return 0;
}

static int describe_endpoints(const WebhookEndpoint *endpoints, size_t n, const WebhookPage *page, bool of_document,
                              char **ret_json)
{
        _cleanup_buffer_ Buffer buffer = {};
        JsonWriter w = JSON_WRITER_INIT(&buffer);
        const char *first_id = NULL, *last_id = NULL;
        size_t first, end;
        bool done;
        int r;

        r = cut_page(endpoints, n, page, &first, &end, &done);
        if (r < 0)
                return r;
        open_page(&w);
        for (size_t i = first; i < end; i++)
                view_endpoint(&w, &endpoints[i], of_document);
        if (first < end) {
                first_id = endpoints[first].id;
                last_id = endpoints[end - 1].id;
        }
        close_page(&w, done, first_id, last_id);
        return buffer_take(&buffer, ret_json);
}

int engine_describe_webhooks(Engine *engine, const WebhookPage *page, bool of_document, char **ret_json)
{
        WebhookEndpoint *endpoints;
        size_t n;
        int r;

        if (page->endpoint_id) {
                _cleanup_(webhook_endpoint_done) WebhookEndpoint endpoint = {};

                r = engine_get_webhook(engine, page->endpoint_id, &endpoint);
                return r < 0 ? r : engine_describe_webhook(&endpoint, of_document, ret_json);
        }
        r = store_load_webhook_endpoints(engine->store, &endpoints, &n);
        if (r < 0)
                return r;
        r = describe_endpoints(endpoints, n, page, of_document, ret_json);
        webhook_endpoints_free(endpoints, n);
        return r;
}

int engine_describe_webhook_messages(Engine *engine, const WebhookPage *page, char **ret_json)
{
        _cleanup_buffer_ Buffer buffer = {};
        JsonWriter w = JSON_WRITER_INIT(&buffer);
        StoredWebhookMessage *messages;
        WebhookListFilter filter;
        bool more;
        size_t n;
        int r;

        r = page_filter(engine, page, &filter);
        if (r >= 0)
                r = store_list_webhook_messages(engine->store, &filter, &messages, &n, &more);
        if (r < 0)
                return r;
        open_page(&w);
        for (size_t i = 0; i < n; i++)
                view_webhook_message(&w, NULL, &messages[i].message, messages[i].state, messages[i].due_usec);
        close_page_of_rows(&w, !more, n > 0 ? messages[0].key : 0, n > 0 ? messages[n - 1].key : 0);
        stored_webhook_messages_free(messages, n);
        return buffer_take(&buffer, ret_json);
}

int engine_describe_webhook_attempts(Engine *engine, const WebhookPage *page, char **ret_json)
{
        _cleanup_buffer_ Buffer buffer = {};
        JsonWriter w = JSON_WRITER_INIT(&buffer);
        StoredWebhookAttempt *attempts;
        WebhookListFilter filter;
        bool more;
        size_t n;
        int r;

        r = page_filter(engine, page, &filter);
        if (r >= 0)
                r = store_list_webhook_attempts(engine->store, &filter, &attempts, &n, &more);
        if (r < 0)
                return r;
        open_page(&w);
        for (size_t i = 0; i < n; i++)
                view_webhook_attempt(&w, NULL, &attempts[i].attempt);
        close_page_of_rows(&w, !more, n > 0 ? attempts[0].key : 0, n > 0 ? attempts[n - 1].key : 0);
        stored_webhook_attempts_free(attempts, n);
        return buffer_take(&buffer, ret_json);
}

int engine_describe_webhook_types(char **ret_json)
{
        _cleanup_buffer_ Buffer buffer = {};
        JsonWriter w = JSON_WRITER_INIT(&buffer);

        json_open_object(&w, NULL);
        view_webhook_types(&w, "data");
        json_write_bool(&w, "done", true);
        json_write_null(&w, "iterator");
        json_write_null(&w, "prevIterator");
        json_close_object(&w);
        return buffer_take(&buffer, ret_json);
}
