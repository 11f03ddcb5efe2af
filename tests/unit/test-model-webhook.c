/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the messages say byte for byte, who wants them, and secrets that take turns. */

#include "unit/expect.h"

#include <stdlib.h>

#include "base/string-util.h"
#include "model/signature.h"
#include "model/webhook.h"

#define A_TIME ((usec_t) 1780171200 * USEC_PER_SEC) /* 2026-05-30T20:00:00Z */
#define USER   "11111111-1111-4111-8111-111111111111"

static char *copy(const char *s)
{
        char *c = strdup(s);

        assert_non_null(c);
        return c;
}

static Run *make_run(void)
{
        Run *run = run_new();

        assert_non_null(run);
        run->id = copy("01973000-0000-7000-8000-000000000000");
        run->connector = copy("bank");
        run->connector_id = copy("c0000000-0000-4000-8000-000000000000");
        run->provider = copy("giro");
        run->user_id = copy(USER);
        run->created_usec = A_TIME;
        run->started_usec = A_TIME + USEC_PER_SEC;
        return run;
}

static Run *make_ended_run(RunOutcome outcome)
{
        Run *run = make_run();

        run->state = RUN_FINISHED;
        run->outcome = outcome;
        run->finished_usec = A_TIME + 5 * USEC_PER_SEC;
        run->message = copy("how it went");
        run->counts = (Counts){ .discovered = 10, .added = 3, .updated = 2, .deduped = 5 };
        return run;
}

#define HEAD(type) "{\"type\":\"" type "\",\"timestamp\":\"2026-05-30T20:00:06Z\",\"data\":{"
#define WHO                                                                           \
        "\"user_id\":\"" USER "\",\"provider\":\"giro\",\"source\":\"pull\","         \
        "\"run_id\":\"01973000-0000-7000-8000-000000000000\",\"connector\":\"bank\"," \
        "\"connector_id\":\"c0000000-0000-4000-8000-000000000000\""
#define COUNTS "\"items_processed\":null,\"discovered\":10,\"inserted\":3,\"updated\":2,\"deduped\":5,"
#define TIMES  "\"started_at\":\"2026-05-30T20:00:01Z\",\"ended_at\":\"2026-05-30T20:00:05Z\","

static void check_run(WebhookType type, Run *run, const char *expected)
{
        WebhookMessage message;

        expect_ok(webhook_message_of_run(type, run, A_TIME + 6 * USEC_PER_SEC, &message));
        assert_string_equal(message.body, expected);
        assert_int_equal(message.type, type);
        assert_string_equal(message.run_id, run->id);
        assert_string_equal(message.user_id, run->user_id);
        assert_true(startswith(message.id, "msg_"));
        assert_int_equal(strlen(message.id), 36);
        assert_int_equal(strspn(message.id + 4, "0123456789abcdef"), 32);
        webhook_message_done(&message);
        run_free(run);
}

static void test_runs(void **state)
{
        Run *failed = make_ended_run(RUN_FAILED), *partial = make_ended_run(RUN_PARTIAL);

        check_run(WEBHOOK_SYNC_STARTED, make_run(),
                  HEAD("sync.started") WHO ",\"trigger\":\"schedule\",\"status\":\"in_progress\",\"message\":null,"
                                           "\"started_at\":\"2026-05-30T20:00:01Z\",\"ended_at\":null,"
                                           "\"metadata\":{}}}");
        partial->metadata = copy("{\"a\":1}");
        partial->items_processed = 7;
        check_run(WEBHOOK_SYNC_COMPLETED, partial,
                  HEAD("sync.completed") WHO ",\"trigger\":\"schedule\",\"status\":\"partial\","
                                             "\"message\":\"how it went\",\"items_processed\":7,\"discovered\":10,"
                                             "\"inserted\":3,\"updated\":2,\"deduped\":5," TIMES
                                             "\"metadata\":{\"a\":1}}}");
        failed->error = copy("HTTP 500: \"no\"");
        check_run(WEBHOOK_SYNC_FAILED, failed,
                  HEAD("sync.failed") WHO
                  ",\"trigger\":\"schedule\",\"status\":\"failed\","
                  "\"message\":\"how it went\",\"error\":\"HTTP 500: \\\"no\\\"\"," COUNTS TIMES "\"metadata\":{}}}");
        check_run(WEBHOOK_SYNC_FAILED, make_ended_run(RUN_FAILED),
                  HEAD("sync.failed") WHO ",\"trigger\":\"schedule\",\"status\":\"failed\","
                                          "\"message\":\"how it went\",\"error\":\"unknown\"," COUNTS TIMES
                                          "\"metadata\":{}}}");
        check_run(WEBHOOK_SYNC_CANCELLED, make_ended_run(RUN_CANCELLED),
                  HEAD("sync.cancelled") WHO ",\"trigger\":\"schedule\",\"status\":\"cancelled\","
                                             "\"message\":\"how it went\"," COUNTS TIMES "\"metadata\":{}}}");
}

static void test_attention(void **state)
{
        Run *run = make_ended_run(RUN_FAILED);
        Attention attention = { .category = ATTENTION_CONSENT_EXPIRED,
                                .message = copy("expired yesterday"),
                                .since_usec = A_TIME };
        WebhookMessage message;

        expect_ok(webhook_message_of_attention(WEBHOOK_SYNC_NEEDS_ATTENTION, run, &attention, "Do this.",
                                               A_TIME + 6 * USEC_PER_SEC, &message));
        assert_string_equal(
                        message.body, HEAD("sync.needs_attention") WHO
                        ",\"category\":\"consent_expired\",\"message\":\"expired yesterday\",\"advice\":\"Do this.\","
                        "\"since\":\"2026-05-30T20:00:00Z\"}}");
        webhook_message_done(&message);
        attention_done(&attention);
        expect_ok(webhook_message_of_attention(WEBHOOK_SYNC_RECOVERED, run, &attention, NULL,
                                               A_TIME + 6 * USEC_PER_SEC, &message));
        assert_string_equal(message.body, HEAD("sync.recovered") WHO ",\"message\":\"The sync works again.\"}}");
        webhook_message_done(&message);
        run_free(run);
}

/* Metadata that makes a message too large is left out, and nothing else is. */
static void test_size(void **state)
{
        for (int over = 0; over < 2; over++) {
                Run *run = make_ended_run(RUN_SUCCEEDED);
                WebhookMessage message;
                size_t n_else;
                char *text;

                expect_ok(webhook_message_of_run(WEBHOOK_SYNC_COMPLETED, run, A_TIME, &message));
                n_else = strlen(message.body) - strlen("{}");
                webhook_message_done(&message);
                text = calloc(1, WEBHOOK_BODY_MAX);
                assert_non_null(text);
                (void) memset(text, 'x', WEBHOOK_BODY_MAX - n_else - strlen("{\"a\":\"\"}") + (size_t) over);
                run->metadata = asprintf_or_null("{\"a\":\"%s\"}", text);
                assert_non_null(run->metadata);
                free(text);
                expect_ok(webhook_message_of_run(WEBHOOK_SYNC_COMPLETED, run, A_TIME, &message));
                assert_int_equal(strlen(message.body), over ? n_else + strlen("{}") : WEBHOOK_BODY_MAX);
                webhook_message_done(&message);
                run_free(run);
        }
}

static void test_test(void **state)
{
        WebhookMessage message;

        expect_ok(webhook_message_of_test("ep_1", A_TIME + 6 * USEC_PER_SEC, &message));
        assert_string_equal(message.body, HEAD("webhook.test") "\"endpoint_id\":\"ep_1\",\"message\":\"Somebody tries "
                                                               "the endpoint out.\"}}");
        assert_null(message.run_id);
        assert_null(message.user_id);
        webhook_message_done(&message);
}

static void check_types(const char *text, unsigned expected)
{
        unsigned types = 99;
        char *again = NULL;

        expect_ok(webhook_types_from_text(text, &types));
        assert_int_equal(types, expected);
        expect_ok(webhook_types_to_text(types, &again));
        assert_string_equal(again, text);
        free(again);
}

static void test_types(void **state)
{
        unsigned types = 99;

        check_types("", 0);
        check_types("sync.started", 1U << WEBHOOK_SYNC_STARTED);
        check_types("sync.failed sync.recovered", 1U << WEBHOOK_SYNC_FAILED | 1U << WEBHOOK_SYNC_RECOVERED);
        expect_errno(webhook_types_from_text("sync.failed sync.done", &types), -EINVAL);
        expect_errno(webhook_types_from_text("webhook.test", &types), -EINVAL);
        assert_int_equal(types, 99);
        for (int i = 0; i < _WEBHOOK_TYPE_MAX; i++)
                assert_non_null(webhook_type_describe(i));
        assert_null(webhook_type_describe(_WEBHOOK_TYPE_MAX));
}

static void test_wants(void **state)
{
        WebhookEndpoint all = {}, some = { .types = 1U << WEBHOOK_SYNC_FAILED, .user_id = copy(USER) };

        assert_true(webhook_endpoint_wants(&all, WEBHOOK_SYNC_STARTED, NULL));
        assert_true(webhook_endpoint_wants(&all, WEBHOOK_SYNC_STARTED, USER));
        assert_true(webhook_endpoint_wants(&some, WEBHOOK_SYNC_FAILED, USER));
        assert_false(webhook_endpoint_wants(&some, WEBHOOK_SYNC_FAILED, NULL));
        assert_false(webhook_endpoint_wants(&some, WEBHOOK_SYNC_FAILED, "22222222-2222-4222-8222-222222222222"));
        assert_false(webhook_endpoint_wants(&some, WEBHOOK_SYNC_STARTED, USER));
        webhook_endpoint_done(&some);
}

/* Each new secret comes first; the oldest go by their time or number. */
static void test_rotation(void **state)
{
        WebhookEndpoint endpoint = {}, other = {};
        char *first;

        expect_ok(webhook_endpoint_rotate(&endpoint, A_TIME, A_TIME + WEBHOOK_SECRET_OVERLAP_USEC));
        assert_int_equal(endpoint.n_secrets, 1);
        assert_true(endpoint.secrets[0].expires_usec == 0);
        assert_true(signature_secret_is_valid(endpoint.secrets[0].text));
        first = copy(endpoint.secrets[0].text);
        expect_ok(webhook_endpoint_rotate(&endpoint, A_TIME + 1, A_TIME + 10));
        assert_int_equal(endpoint.n_secrets, 2);
        assert_string_equal(endpoint.secrets[1].text, first);
        assert_true(endpoint.secrets[1].expires_usec == A_TIME + 10);
        assert_string_not_equal(endpoint.secrets[0].text, first);

        /* One that has a time keeps it. */
        expect_ok(webhook_endpoint_rotate(&endpoint, A_TIME + 2, A_TIME + 20));
        expect_ok(webhook_endpoint_rotate(&endpoint, A_TIME + 3, A_TIME + 30));
        assert_int_equal(endpoint.n_secrets, WEBHOOK_SECRETS_MAX);
        assert_string_equal(endpoint.secrets[3].text, first);
        assert_true(endpoint.secrets[3].expires_usec == A_TIME + 10);
        expect_ok(webhook_endpoint_rotate(&endpoint, A_TIME + 4, A_TIME + 40));
        assert_int_equal(endpoint.n_secrets, WEBHOOK_SECRETS_MAX);
        for (size_t i = 0; i < WEBHOOK_SECRETS_MAX; i++)
                assert_string_not_equal(endpoint.secrets[i].text, first);
        expect_ok(webhook_endpoint_rotate(&endpoint, A_TIME + 25, A_TIME + 50));
        assert_int_equal(endpoint.n_secrets, 4); /* that of +20 has expired */
        assert_true(endpoint.secrets[3].expires_usec == A_TIME + 30);

        expect_ok(webhook_endpoint_copy(&endpoint, &other));
        assert_string_equal(other.secrets[3].text, endpoint.secrets[3].text);
        /* At once: no older one signs any more. */
        expect_ok(webhook_endpoint_rotate(&endpoint, A_TIME + 26, 0));
        assert_int_equal(endpoint.n_secrets, 1);
        free(first);
        webhook_endpoint_done(&endpoint);
        webhook_endpoint_done(&other);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_runs),     cmocka_unit_test(test_attention), cmocka_unit_test(test_size),
                cmocka_unit_test(test_test),     cmocka_unit_test(test_types),     cmocka_unit_test(test_wants),
                cmocka_unit_test(test_rotation),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
