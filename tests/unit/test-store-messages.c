/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Webhooks in the history: lists of messages and attempts, and what is kept. */

#include "unit/expect.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/string-util.h"
#include "unit/webhook-fixture.h"

/* ---- Lists */

static void check_messages(StoreFixture *f, const WebhookListFilter *filter, const char *expected, bool more)
{
        _cleanup_buffer_ Buffer text = {};
        StoredWebhookMessage *messages;
        bool is_more;
        size_t n;

        expect_ok(store_list_webhook_messages(f->store, filter, &messages, &n, &is_more));
        for (size_t i = 0; i < n; i++)
                buffer_append_format(&text, "%s%s", i > 0 ? " " : "", messages[i].message.id);
        assert_string_equal(strempty(text.data), expected);
        assert_int_equal(is_more, more);
        stored_webhook_messages_free(messages, n);
}

static void test_lists_of_messages(void **state)
{
        StoreFixture *f = *state;
        StoredWebhookMessage *messages;
        bool more;
        size_t n;

        put_endpoint(f, "ep_1", 1U << WEBHOOK_SYNC_FAILED, NULL, false);
        put_endpoint(f, "ep_2", 0, NULL, false);
        put_message(f, "msg_1", WEBHOOK_SYNC_FAILED, USER_1, "r1", A_TIME);
        put_message(f, "msg_2", WEBHOOK_SYNC_STARTED, NULL, "r2", A_TIME + 1);
        put_message(f, "msg_3", WEBHOOK_SYNC_FAILED, NULL, "r2", A_TIME + 2);
        store_fixture_commit(f);
        check_messages(f, &(WebhookListFilter){ .limit = 3 }, "msg_3 msg_2 msg_1", false);
        check_messages(f, &(WebhookListFilter){ .limit = 2 }, "msg_3 msg_2", true);
        check_messages(f, &(WebhookListFilter){ .limit = 2, .before = 2 }, "msg_1", false);
        check_messages(f, &(WebhookListFilter){ .limit = 1, .after = 1 }, "msg_2", true);
        check_messages(f, &(WebhookListFilter){ .limit = 9, .after = 1 }, "msg_3 msg_2", false);
        check_messages(f, &(WebhookListFilter){ .limit = 9, .message_id = "msg_2" }, "msg_2", false);
        check_messages(f, &(WebhookListFilter){ .limit = 9, .endpoint_id = "ep_1" }, "msg_3 msg_1", false);
        check_messages(f, &(WebhookListFilter){ .limit = 9, .endpoint_id = "ep_1", .after = 1 }, "msg_3", false);
        check_messages(f, &(WebhookListFilter){ .limit = 9, .endpoint_id = "ep_1", .message_id = "msg_2" }, "", false);
        check_messages(f, &(WebhookListFilter){ .limit = 9, .endpoint_id = "ep_none" }, "", false);
        check_messages(f, &(WebhookListFilter){ .limit = WEBHOOK_PAGE_MAX }, "msg_3 msg_2 msg_1", false);
        expect_errno(store_list_webhook_messages(f->store, &(WebhookListFilter){}, &messages, &n, &more), -EINVAL);
        expect_errno(store_list_webhook_messages(f->store, &(WebhookListFilter){ .limit = WEBHOOK_PAGE_MAX + 1 },
                                                 &messages, &n, &more),
                     -EINVAL);

        expect_ok(store_list_webhook_messages(f->store, &(WebhookListFilter){ .limit = 9, .endpoint_id = "ep_2" },
                                              &messages, &n, &more));
        assert_int_equal(n, 3);
        assert_int_equal(messages[0].state, DELIVERY_WAITING);
        assert_true(messages[0].due_usec == 0);
        assert_int_equal(messages[1].state, DELIVERY_PENDING);
        assert_true(messages[1].due_usec == A_TIME + 1);
        assert_string_equal(messages[2].message.user_id, USER_1);
        assert_string_equal(messages[2].message.run_id, "r1");
        assert_int_equal(messages[2].message.type, WEBHOOK_SYNC_FAILED);
        assert_string_equal(messages[2].message.body, "{\"id\":\"msg_1\"}");
        assert_true(messages[2].message.created_usec == A_TIME);
        stored_webhook_messages_free(messages, n);
}

static void check_attempts(StoreFixture *f, const WebhookListFilter *filter, const char *expected, bool more)
{
        _cleanup_buffer_ Buffer text = {};
        StoredWebhookAttempt *attempts;
        bool is_more;
        size_t n;

        expect_ok(store_list_webhook_attempts(f->store, filter, &attempts, &n, &is_more));
        for (size_t i = 0; i < n; i++)
                buffer_append_format(&text, "%s%s", i > 0 ? " " : "", attempts[i].attempt.id);
        assert_string_equal(strempty(text.data), expected);
        assert_int_equal(is_more, more);
        stored_webhook_attempts_free(attempts, n);
}

static void test_lists_of_attempts(void **state)
{
        StoreFixture *f = *state;
        StoredWebhookAttempt *attempts;
        bool more;
        size_t n;

        put_endpoint(f, "ep_1", 0, NULL, false);
        put_endpoint(f, "ep_2", 0, NULL, false);
        put_message(f, "msg_1", WEBHOOK_SYNC_STARTED, NULL, "r1", A_TIME);
        put_message(f, "msg_2", WEBHOOK_SYNC_STARTED, NULL, "r2", A_TIME + 1);
        attempt(f, "ep_1", "a1", DELIVERY_FAILED, 0);
        attempt(f, "ep_2", "a2", DELIVERY_PENDING, A_TIME);
        attempt(f, "ep_2", "a3", DELIVERY_SUCCEEDED, 0);
        attempt(f, "ep_1", "a4", DELIVERY_SUCCEEDED, 0);
        store_fixture_commit(f);
        check_attempts(f, &(WebhookListFilter){ .limit = 9 }, "a4 a3 a2 a1", false);
        check_attempts(f, &(WebhookListFilter){ .limit = 2, .before = 4 }, "a3 a2", true);
        check_attempts(f, &(WebhookListFilter){ .limit = 2, .after = 1 }, "a3 a2", true);
        check_attempts(f, &(WebhookListFilter){ .limit = 9, .endpoint_id = "ep_1" }, "a4 a1", false);
        check_attempts(f, &(WebhookListFilter){ .limit = 9, .message_id = "msg_1" }, "a3 a2 a1", false);
        check_attempts(f, &(WebhookListFilter){ .limit = 9, .message_id = "msg_1", .endpoint_id = "ep_2" }, "a3 a2",
                       false);
        expect_errno(store_list_webhook_attempts(f->store, &(WebhookListFilter){ .limit = WEBHOOK_PAGE_MAX + 1 },
                                                 &attempts, &n, &more),
                     -EINVAL);
        expect_ok(store_list_webhook_attempts(f->store, &(WebhookListFilter){ .limit = 1, .before = 2 }, &attempts, &n,
                                              &more));
        assert_string_equal(attempts[0].attempt.endpoint_id, "ep_1");
        assert_string_equal(attempts[0].attempt.message_id, "msg_1");
        assert_string_equal(attempts[0].attempt.url, "https://example.com/hook");
        assert_int_equal(attempts[0].attempt.http_status, 500);
        assert_false(attempts[0].attempt.succeeded);
        assert_true(attempts[0].attempt.started_usec == A_TIME && attempts[0].attempt.duration_usec == 1234);
        assert_string_equal(attempts[0].attempt.error, "no");
        assert_string_equal(attempts[0].attempt.answer, "so it is");
        stored_webhook_attempts_free(attempts, n);
        expect_ok(store_delete_webhook_endpoint(f->store, "ep_1"));
        store_fixture_commit(f);
        check_attempts(f, &(WebhookListFilter){ .limit = 9 }, "a3 a2", false);
}

static void test_attempts_are_trimmed(void **state)
{
        static const char sql[] = "SELECT count(*) FROM webhook_attempts";
        StoreFixture *f = *state;
        char id[32];

        put_endpoint(f, "ep_1", 0, NULL, false);
        put_message(f, "msg_1", WEBHOOK_SYNC_STARTED, NULL, "r1", A_TIME);
        for (unsigned i = 1; i <= WEBHOOK_ATTEMPTS_PER_DELIVERY_MAX; i++) {
                (void) snprintf(id, sizeof(id), "a%u", i);
                attempt(f, "ep_1", id, DELIVERY_PENDING, A_TIME + i);
        }
        store_fixture_commit(f);
        assert_int_equal(store_fixture_sql(f->path, sql), WEBHOOK_ATTEMPTS_PER_DELIVERY_MAX);
        attempt(f, "ep_1", "one more", DELIVERY_SUCCEEDED, 0);
        store_fixture_commit(f);
        assert_int_equal(store_fixture_sql(f->path, sql), WEBHOOK_ATTEMPTS_PER_DELIVERY_MAX);
        assert_int_equal(store_fixture_sql(f->path, "SELECT count(*) FROM webhook_attempts WHERE id = 'a1'"), 0);
}

/* ---- Retention */

static void retain(StoreFixture *f, usec_t max_age_usec, unsigned max, usec_t now_usec)
{
        const RetentionPolicy policy = { .webhook_messages_max_age_usec = max_age_usec, .webhook_messages_max = max };

        do {
                expect_ok(store_retain(f->store, &policy, now_usec));
                store_fixture_commit(f);
        } while (store_retain_more(f->store));
}

static void test_retention_by_age(void **state)
{
        StoreFixture *f = *state;

        put_endpoint(f, "ep_1", 0, NULL, false);
        put_message(f, "msg_1", WEBHOOK_SYNC_STARTED, NULL, "r1", A_TIME);
        put_message(f, "msg_2", WEBHOOK_SYNC_COMPLETED, NULL, "r1", A_TIME + 1);
        store_fixture_commit(f);
        retain(f, 10, 0, A_TIME + 10);
        check_due(f, "ep_1", "msg_1");
        retain(f, 10, 0, A_TIME + 11);
        check_due(f, "ep_1", "msg_2"); /* has waited for the one that is gone */
        retain(f, 0, 0, A_TIME + USEC_PER_DAY);
        check_due(f, "ep_1", "msg_2");
        retain(f, 10, 0, A_TIME + USEC_PER_DAY);
        assert_int_equal(store_fixture_sql(f->path, "SELECT count(*) FROM webhook_deliveries"), 0);
}

static uint64_t n_lost(StoreFixture *f)
{
        StoreStatistics statistics;

        store_statistics(f->store, &statistics);
        return statistics.messages_lost;
}

/* What goes before it was sent is counted: of each endpoint, in steps of any size, and nothing that was sent or has
 * failed. */
static void test_what_is_lost(void **state)
{
        static const WebhookType types[] = { WEBHOOK_SYNC_STARTED, WEBHOOK_SYNC_FAILED, WEBHOOK_SYNC_NEEDS_ATTENTION };
        StoreFixture *f = *state;

        put_endpoint(f, "ep_1", 0, NULL, false);
        for (unsigned i = 1; i <= 200; i++) {
                char id[32];

                (void) snprintf(id, sizeof(id), "msg_%u", i);
                put_message(f, id, i <= 3 ? types[i - 1] : WEBHOOK_SYNC_STARTED, NULL, i <= 3 ? "r1" : id, A_TIME);
        }
        store_fixture_commit(f);
        retain(f, 0, 200, A_TIME);
        assert_int_equal(n_lost(f), 0);
        attempt(f, "ep_1", "a1", DELIVERY_SUCCEEDED, 0);
        attempt(f, "ep_1", "a2", DELIVERY_FAILED, 0);
        store_fixture_commit(f);
        put_endpoint(f, "ep_2", 0, NULL, false);
        put_message(f, "msg_201", WEBHOOK_SYNC_STARTED, NULL, "both", A_TIME);
        store_fixture_commit(f);
        retain(f, 0, 198, A_TIME); /* three go: two have ended, one is waited for */
        assert_int_equal(n_lost(f), 1);
        expect_ok(store_put_webhook_hold(f->store, "ep_1"));
        store_fixture_commit(f);
        retain(f, 0, 1, A_TIME); /* what is held is lost, too */
        assert_int_equal(n_lost(f), 198);
        retain(f, 1, 0, A_TIME + USEC_PER_DAY);
        assert_int_equal(n_lost(f), 200);
}

static void test_retention_by_number(void **state)
{
        StoreFixture *f = *state;

        put_endpoint(f, "ep_1", 0, NULL, false);
        for (unsigned i = 1; i <= 200; i++) {
                char id[32];

                (void) snprintf(id, sizeof(id), "msg_%u", i);
                put_message(f, id, WEBHOOK_SYNC_STARTED, NULL, id, A_TIME);
        }
        store_fixture_commit(f);
        retain(f, 0, 200, A_TIME);
        assert_int_equal(store_fixture_sql(f->path, "SELECT count(*) FROM webhook_messages"), 200);
        retain(f, 0, 199, A_TIME);
        assert_int_equal(store_fixture_sql(f->path, "SELECT min(key) FROM webhook_messages"), 2);
        retain(f, 0, 10, A_TIME);
        assert_int_equal(store_fixture_sql(f->path, "SELECT min(key) FROM webhook_messages"), 191);
        assert_int_equal(store_fixture_sql(f->path, "SELECT count(*) FROM webhook_deliveries"), 10);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                STORE_TEST(test_lists_of_messages),    STORE_TEST(test_lists_of_attempts),
                STORE_TEST(test_attempts_are_trimmed), STORE_TEST(test_retention_by_age),
                STORE_TEST(test_what_is_lost),       STORE_TEST(test_retention_by_number),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
