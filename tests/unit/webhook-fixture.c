/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "unit/expect.h"

#include "unit/webhook-fixture.h"

#include <stdlib.h>

#include "base/string-util.h"

char *copy_text(const char *s)
{
        char *c = s ? strdup(s) : NULL;

        assert_true(c || !s);
        return c;
}

void put_endpoint(StoreFixture *f, const char *id, unsigned types, const char *user_id, bool disabled)
{
        WebhookEndpoint endpoint = { .id = copy_text(id),
                                     .url = copy_text("https://example.com/hook"),
                                     .types = types,
                                     .user_id = copy_text(user_id),
                                     .disabled = disabled ? WEBHOOK_DISABLED_BY_HAND : _WEBHOOK_DISABLED_INVALID,
                                     .created_usec = A_TIME,
                                     .updated_usec = A_TIME };

        expect_ok(webhook_endpoint_rotate(&endpoint, A_TIME, 0));
        expect_ok(store_put_webhook_endpoint(f->store, &endpoint, true));
        webhook_endpoint_done(&endpoint);
}

static void put(StoreFixture *f, const char *id, WebhookType type, const char *user_id, const char *connector,
                const char *run_id, usec_t time_usec)
{
        WebhookMessage message = { .id = copy_text(id),
                                   .type = type,
                                   .user_id = copy_text(user_id),
                                   .connector = copy_text(connector),
                                   .run_id = copy_text(run_id),
                                   .created_usec = time_usec,
                                   .body = asprintf_or_null("{\"id\":\"%s\"}", id) };

        expect_ok(store_put_webhook_message(f->store, &message, NULL, time_usec));
        webhook_message_done(&message);
}

void put_message(StoreFixture *f, const char *id, WebhookType type, const char *user_id, const char *run_id,
                 usec_t time_usec)
{
        put(f, id, type, user_id, NULL, run_id, time_usec);
}

void put_message_of(StoreFixture *f, const char *id, WebhookType type, const char *connector, const char *run_id,
                    usec_t time_usec)
{
        put(f, id, type, NULL, connector, run_id, time_usec);
}

void check_due(StoreFixture *f, const char *endpoint_id, const char *expected)
{
        _cleanup_buffer_ Buffer text = {};
        DueDelivery *due;
        size_t n;

        store_fixture_commit(f);
        expect_ok(store_list_due_deliveries(f->store, endpoint_id, 100, &due, &n));
        buffer_append_string(&text, "");
        for (size_t i = 0; i < n; i++)
                buffer_append_format(&text, "%s%s", i > 0 ? " " : "", due[i].message_id);
        assert_string_equal(strempty(text.data), expected);
        due_deliveries_free(due, n);
}

void attempt(StoreFixture *f, const char *endpoint_id, const char *id, DeliveryState state, usec_t due_usec)
{
        WebhookAttempt a = { .id = copy_text(id),
                             .url = copy_text("https://example.com/hook"),
                             .succeeded = state == DELIVERY_SUCCEEDED,
                             .http_status = state == DELIVERY_SUCCEEDED ? 200 : 500,
                             .started_usec = A_TIME,
                             .duration_usec = 1234,
                             .error = state == DELIVERY_SUCCEEDED ? NULL : copy_text("no"),
                             .answer = copy_text("so it is") };
        DueDelivery *due;
        size_t n;

        store_fixture_commit(f);
        expect_ok(store_list_due_deliveries(f->store, endpoint_id, 1, &due, &n));
        assert_int_equal(n, 1);
        a.manual = due[0].manual;
        expect_ok(store_put_webhook_attempt(f->store, &due[0], &a, state, due_usec));
        due_deliveries_free(due, n);
        webhook_attempt_done(&a);
}
