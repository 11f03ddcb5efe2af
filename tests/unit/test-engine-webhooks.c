/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What webhooks are told, in whose transaction, and what the clock does to their times. Nothing is sent here: an
 * endpoint is disabled, or has a URL that is no longer allowed, so that each attempt fails without a network. */

#include "unit/expect.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/log.h"
#include "unit/engine-fixture.h"

#include "engine/describe.h"
#include "engine/engine-internal.h"
#include "engine/retention.h"
#include "engine/run-log.h"
#include "engine/webhook-table.h"
#include "engine/webhooks.h"

#define BEGIN ((usec_t) 1780171200 * USEC_PER_SEC)

typedef struct EndpointAnswer {
        unsigned n;
        int error;
        char id[WEBHOOK_ID_MAX];
} EndpointAnswer;

static void on_endpoint(int error, const WebhookEndpoint *endpoint, void *userdata)
{
        EndpointAnswer *a = userdata;

        a->n++;
        a->error = error;
        if (error >= 0)
                (void) memcpy(a->id, endpoint->id, strlen(endpoint->id) + 1);
}

static EndpointAnswer add_endpoint_at(EngineFixture *f, const char *url, int disabled)
{
        EndpointAnswer a = {};
        char *why = NULL;

        f->settings.webhook_rules.allow_http = true;
        expect_ok(engine_add_webhook(f->engine, &(WebhookWish) { .url = url, .disabled = disabled },
                                     on_endpoint, &a, &why));
        f->settings.webhook_rules.allow_http = false;
        assert_int_equal(a.n, 0);
        fixture_run_until(f, a.n > 0);
        expect_ok(a.error);
        return a;
}

static EndpointAnswer add_endpoint(EngineFixture *f, int disabled)
{
        return add_endpoint_at(f, "http://example.com/", disabled);
}

static void on_test(int error, const char *message_id, void *userdata)
{
        expect_ok(error);
        *(bool *) userdata = true;
}

static void test(EngineFixture *f, const EndpointAnswer *endpoint)
{
        bool told = false;

        expect_ok(engine_test_webhook(f->engine, endpoint->id, on_test, &told));
        fixture_run_until(f, told);
}

static void wait_attempts(EngineFixture *f, int64_t n)
{
        fixture_run_until(f, fixture_sql(f, "SELECT count(*) FROM webhook_attempts") >= n);
        fixture_settle(f);
}

static int64_t count_messages(EngineFixture *f, const char *type)
{
        _cleanup_free_ char *sql = asprintf_or_null("SELECT count(*) FROM webhook_messages WHERE type = '%s'", type);

        assert_non_null(sql);
        return fixture_sql(f, sql);
}

/* Each lifecycle event has its message as soon as it is on disk, with the very numbers of the event. */
static void test_messages_of_runs(void **state)
{
        EngineFixture *f = *state;
        RunReport success = report_success(), lost = report_category(ATTENTION_CONSENT_EXPIRED);
        char id[RUN_ID_MAX + 1];

        fixture_open(f);
        fixture_load_connector(f, "bank", CONNECTOR(""));
        fixture_whole_run(f, "bank", &success, id);
        assert_int_equal(fixture_sql(f, "SELECT count(*) FROM webhook_messages"), 0); /* nobody wants any */
        (void) add_endpoint(f, 1);
        fixture_whole_run(f, "bank", &lost, id);
        fixture_whole_run(f, "bank", &lost, id);
        fixture_whole_run(f, "bank", &success, id);
        assert_int_equal(count_messages(f, "sync.started"), 3);
        assert_int_equal(count_messages(f, "sync.failed"), 2);
        assert_int_equal(count_messages(f, "sync.completed"), 1);
        assert_int_equal(count_messages(f, "sync.needs_attention"), 1); /* of the same kind: said once */
        assert_int_equal(count_messages(f, "sync.recovered"), 1);
        assert_int_equal(fixture_sql(f, "SELECT count(*) FROM webhook_deliveries WHERE state = 'held'"), 8);
}

static void expect_advice(const char *json, bool reconnect)
{
        assert_int_equal(strstr(json, "\"advice\":\"Reconnect the connection") != NULL, reconnect);
        assert_int_equal(strstr(json, "\"advice\":\"See 'syncrunctl log") != NULL, !reconnect);
}

/* Where there is no connection nobody is told to reconnect it: by the run, the connector or the message. */
static void test_advice_is_the_same_everywhere(void **state)
{
        EngineFixture *f = *state;
        RunReport lost = report_category(ATTENTION_CONNECTION_LOST);

        fixture_open(f);
        fixture_load_connector(f, "bank", CONNECTOR(""));
        fixture_load_connector(f, "mail", CONNECTOR("[Connector]\nConnection=acme\n"));
        (void) add_endpoint(f, 1);
        for (int shared = 0; shared < 2; shared++) {
                _cleanup_free_ char *run = NULL, *runs = NULL, *connector = NULL;
                const char *name = shared ? "mail" : "bank";
                RunFilter filter = RUN_FILTER_INIT;
                char id[RUN_ID_MAX + 1];

                filter.connector = name;
                filter.limit = 1;
                fixture_whole_run(f, name, &lost, id);
                expect_ok(engine_describe_run(f->engine, id, &run));
                expect_advice(run, shared);
                expect_ok(engine_describe_runs(f->engine, &filter, &runs));
                expect_advice(runs, shared);
                expect_ok(engine_describe_connector(f->engine, name, &connector));
                expect_advice(connector, shared);
                assert_int_equal(count_messages(f, "sync.needs_attention"), 1 + shared);
                assert_int_equal(fixture_sql(f, "SELECT count(*) FROM webhook_messages WHERE type ="
                                                " 'sync.needs_attention' AND body LIKE '%\"See ''syncrunctl log%'"),
                                 1);
        }
}

/* What is not committed when the daemon is killed is neither an event nor a message. */
static void test_a_kill_takes_both_or_none(void **state)
{
        EngineFixture *f = *state;
        Answer a;

        fixture_open(f);
        fixture_load_connector(f, "bank", CONNECTOR(""));
        (void) add_endpoint(f, 1);
        a = fixture_start(f, "bank", false);
        fixture_worker_started(f, "bank");
        (void) fixture_attach(f, "bank");
        for (int i = 0; i < 3; i++) {
                assert_int_equal(fixture_sql(f,
                                             "SELECT (SELECT count(*) FROM events WHERE json ->> 'stage' = 'started')"
                                             " - (SELECT count(*) FROM webhook_messages)"),
                                 0);
                fixture_kill(f);
                fixture_open(f);
        }
        assert_int_equal(a.error, 0);
}

static void test_a_url_that_is_no_longer_allowed(void **state)
{
        EngineFixture *f = *state;
        EndpointAnswer endpoint;

        fixture_open(f);
        endpoint = add_endpoint(f, -1);
        test(f, &endpoint);
        wait_attempts(f, 1);
        assert_int_equal(fixture_sql(f, "SELECT instr(error, 'AllowHTTP=') > 0 AND http_status = 0 FROM "
                                        "webhook_attempts"),
                         1);
}

static usec_t due(EngineFixture *f)
{
        return (usec_t) fixture_sql(f, "SELECT due_usec FROM webhook_deliveries");
}

/* A wait is a span: it stays as long as it was, wherever the clock is set. */
static void test_clock_steps(void **state)
{
        static const usec_t steps[] = { BEGIN - 10 * USEC_PER_DAY, BEGIN + 300 * USEC_PER_DAY, BEGIN };
        EngineFixture *f = *state;
        EndpointAnswer endpoint;
        usec_t before, failing;

        fixture_open(f);
        fixture_stop_clock(BEGIN);
        engine_clock_changed(f->engine);
        f->settings.webhook_retries[0] = USEC_PER_HOUR;
        endpoint = add_endpoint(f, -1);
        test(f, &endpoint);
        wait_attempts(f, 1);
        assert_in_range(due(f), BEGIN + 48 * USEC_PER_MINUTE, BEGIN + 72 * USEC_PER_MINUTE);
        before = due(f) - fixture_now(CLOCK_REALTIME);
        for (size_t i = 0; i < ELEMENTSOF(steps); i++) {
                usec_t wait;

                fixture_stop_clock(steps[i]);
                engine_clock_changed(f->engine);
                fixture_settle(f);
                wait = due(f) - fixture_now(CLOCK_REALTIME);
                assert_in_range(wait, before - USEC_PER_SEC, before + USEC_PER_SEC);
                failing = (usec_t) fixture_sql(f, "SELECT failing_usec FROM webhook_endpoints");
                assert_in_range(failing, steps[i] - USEC_PER_SEC, steps[i] + USEC_PER_SEC);
        }
        assert_int_equal(fixture_sql(f, "SELECT count(*) FROM webhook_attempts"), 1);

        /* Nobody saw this one: what lies beyond any wait is due soon, also when the clock is right again. */
        fixture_close(f);
        fixture_stop_clock(BEGIN - 1000 * USEC_PER_DAY);
        fixture_open(f);
        fixture_settle(f);
        assert_in_range(due(f), fixture_now(CLOCK_REALTIME), fixture_now(CLOCK_REALTIME) + 5 * USEC_PER_MINUTE);
        fixture_stop_clock(BEGIN);
        engine_clock_changed(f->engine);
        fixture_settle(f);
        assert_in_range(due(f), BEGIN, BEGIN + 5 * USEC_PER_MINUTE);
}

/* ... and comes when its time comes. */
static void test_a_later_attempt(void **state)
{
        EngineFixture *f = *state;
        EndpointAnswer endpoint;

        fixture_stop_clock(BEGIN);
        fixture_open(f);
        f->settings.n_webhook_retries = 1;
        endpoint = add_endpoint(f, -1);
        test(f, &endpoint);
        wait_attempts(f, 1);
        assert_in_range(due(f), BEGIN + USEC_PER_SEC, BEGIN + USEC_PER_MINUTE);
        fixture_advance_clock(USEC_PER_MINUTE);
        fixture_kill(f); /* whoever looks anew finds it due */
        fixture_open(f);
        wait_attempts(f, 2);
        assert_int_equal(fixture_sql(f, "SELECT state = 'failed' FROM webhook_deliveries"), 1);
}

static void on_endpoint_changed(int error, const WebhookEndpoint *endpoint, void *userdata)
{
        expect_ok(error);
        *(bool *) userdata = true;
}

static void change(EngineFixture *f, const EndpointAnswer *endpoint, const WebhookWish *wish)
{
        bool changed = false;
        char *why = NULL;

        expect_ok(engine_update_webhook(f->engine, endpoint->id, wish, on_endpoint_changed, &changed, &why));
        fixture_run_until(f, changed);
}

/* A time without a message is none in which it fails; no more of it counts than an attempt may be away: two minutes
 * here. */
static void test_idle_is_not_failing(void **state)
{
        static const struct {
                usec_t failing, failed; /* so long ago */
                bool disabled;
        } cases[] = {
                { 7 * USEC_PER_DAY, 7 * USEC_PER_DAY, false },
                { 7 * USEC_PER_DAY + 2 * USEC_PER_MINUTE, 7 * USEC_PER_DAY, false },
                { 7 * USEC_PER_DAY + 4 * USEC_PER_MINUTE, 7 * USEC_PER_DAY, true },
                { 6 * USEC_PER_MINUTE, USEC_PER_MINUTE, true },
                { 4 * USEC_PER_MINUTE, USEC_PER_MINUTE, false },
        };
        EngineFixture *f = *state;
        EndpointAnswer endpoint;

        f->settings.n_webhook_retries = 0;
        f->settings.webhook_disable_after_usec = 5 * USEC_PER_MINUTE;
        fixture_open(f);
        endpoint = add_endpoint(f, -1);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                WebhookEndpoint *e = &f->engine->webhooks->entries->endpoint;
                usec_t now = fixture_now(CLOCK_REALTIME);

                change(f, &endpoint, &(WebhookWish) { .disabled = 0 });
                e->failing_usec = now - cases[i].failing;
                e->failed_usec = now - cases[i].failed;
                test(f, &endpoint);
                wait_attempts(f, (int64_t) i + 1);
                assert_int_equal(fixture_sql(f, "SELECT disabled IS NOT NULL FROM webhook_endpoints"), cases[i].disabled);
                assert_true(e->failed_usec >= now);
                assert_int_equal(fixture_sql(f, "SELECT failed_usec FROM webhook_endpoints"), e->failed_usec);
        }
}

/* Who switches it on again, or gives it another address, begins anew. */
static void test_a_fresh_beginning(void **state)
{
        static const struct {
                WebhookWish wish;
                bool anew;
        } changes[] = {
                { { .disabled = -1, .description = "mine" }, false },
                { { .disabled = 0 }, false },
                { { .disabled = 1 }, false },
                { { .disabled = 0 }, true },
                { { .disabled = -1, .url = "https://other.example/" }, true },
        };
        EngineFixture *f = *state;
        EndpointAnswer endpoint;

        fixture_open(f);
        endpoint = add_endpoint(f, -1);
        for (size_t i = 0; i < ELEMENTSOF(changes); i++) {
                WebhookEntry *entry = f->engine->webhooks->entries;

                entry->n_failures = 3;
                entry->endpoint.failing_usec = entry->endpoint.failed_usec = BEGIN;
                change(f, &endpoint, &changes[i].wish);
                assert_int_equal(entry->n_failures, changes[i].anew ? 0 : 3);
                if (changes[i].anew)
                        assert_true(entry->endpoint.failing_usec == 0 && entry->endpoint.failed_usec == 0);
        }
}

/* Who asks for a message has an endpoint asked that fails, but not more than once a second. */
static void test_who_asks_again_and_again(void **state)
{
        EngineFixture *f = *state;
        WebhookEntry *entry;

        fixture_stop_clock(BEGIN);
        fixture_open(f);
        (void) add_endpoint(f, -1);
        entry = f->engine->webhooks->entries;
        for (unsigned n_failures = 0; n_failures < 2; n_failures++) {
                entry->n_failures = n_failures;
                for (int i = 0; i < 4; i++) {
                        usec_t pause = fixture_now(CLOCK_BOOTTIME) + USEC_PER_HOUR;

                        entry->paused_usec = pause;
                        delivery_hurry(entry);
                        assert_true(entry->paused_usec == (n_failures > 0 && i % 2 ? pause : 0));
                        if (entry->hurried_usec > 0 && i % 2)
                                entry->hurried_usec -= USEC_PER_SEC; /* so long ago */
                }
        }
}

/* Told at once at first, and then once an hour: of all that was deleted meanwhile. */
static void test_what_is_lost_is_told(void **state)
{
        RunReport success = report_success();
        EngineFixture *f = *state;
        const Statistics *s;
        char id[RUN_ID_MAX + 1];

        fixture_stop_clock(BEGIN);
        fixture_open(f);
        fixture_load_connector(f, "bank", CONNECTOR(""));
        s = &f->engine->statistics;
        f->settings.webhook_messages_max = 1;
        (void) add_endpoint(f, 1);
        for (unsigned n = 1; n <= 3; n++) {
                if (n == 3)
                        fixture_let_pass(USEC_PER_HOUR);
                fixture_whole_run(f, "bank", &success, id);
                retention_start(f->engine);
                fixture_run_until(f, s->messages_lost == 2 * n - 1);
                fixture_settle(f);
                assert_int_equal(s->messages_lost_told, n < 3 ? 1 : 5);
        }
}

/* What would be in the journal: this stands before the library's. */
static char entries[64 * 1024];

int sd_journal_sendv(const struct iovec *iov, int n);
int sd_journal_sendv(const struct iovec *iov, int n)
{
        size_t end = strlen(entries);

        for (int i = 0; i < n; i++) {
                assert_true(end + iov[i].iov_len + 2 < sizeof(entries));
                (void) memcpy(entries + end, iov[i].iov_base, iov[i].iov_len);
                end += iov[i].iov_len;
                entries[end++] = '\n';
        }
        entries[end] = '\0';
        return 0;
}

/* A URL is often the whole credential, and the journal is read by many. */
static void test_the_journal_has_no_secret_path(void **state)
{
        static const char *const news[] = { "has begun to fail", "is given up", "is disabled", "works again" };
        EngineFixture *f = *state;
        WebhookEndpoint *e;
        EndpointAnswer endpoint;
        LogTarget target = log_get_target();
        int level = log_get_level();
        f->settings.n_webhook_retries = 0;
        fixture_open(f);
        log_set_target(LOG_TARGET_JOURNAL);
        log_set_level(LOG_DEBUG);
        endpoint = add_endpoint_at(f, "http://example.com:8080/T0/s3cret?key=s3cret", -1);
        e = &f->engine->webhooks->entries->endpoint;
        test(f, &endpoint);
        wait_attempts(f, 1);
        e->failing_usec = 1;
        e->failed_usec = fixture_now(CLOCK_REALTIME);
        test(f, &endpoint);
        wait_attempts(f, 2);
        webhook_log_attempt(&(WebhookAttempt) { .endpoint_id = e->id, .url = e->url, .succeeded = true },
                            WEBHOOK_NEWS_WORKS);
        log_set_target(target);
        log_set_level(level);
        for (size_t i = 0; i < ELEMENTSOF(news); i++)
                assert_non_null(strstr(entries, news[i]));
        assert_non_null(strstr(entries, "\nSYNCRUN_ENDPOINT_URL=http://example.com:8080\n"));
        assert_non_null(strstr(e->url, "s3cret"));
        assert_null(strstr(entries, "s3cret"));
}

/* Somebody who takes a connection and says nothing, until it is closed. */
static int listen_silently(char ret_url[static 64])
{
        struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t size = sizeof(address);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_true(fd >= 0);
        assert_int_equal(bind(fd, (struct sockaddr *) &address, size), 0);
        assert_int_equal(listen(fd, 8), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *) &address, &size), 0);
        (void) snprintf(ret_url, 64, "http://127.0.0.1:%u/", ntohs(address.sin_port));
        return fd;
}

/* The clock is set while a request is under way, and what came of it is there before anybody has told of the clock. */
static void test_clock_step_during_a_request(void **state)
{
        EngineFixture *f = *state;
        EndpointAnswer endpoint = {};
        char *why = NULL, url[64];
        int fd = listen_silently(url);
        usec_t wait;

        fixture_open(f);
        fixture_stop_clock(BEGIN);
        engine_clock_changed(f->engine);
        f->settings.webhook_retries[0] = USEC_PER_HOUR;
        f->settings.webhook_rules.allow_http = f->settings.webhook_rules.allow_literals = true;
        expect_ok(networks_add(&f->settings.webhook_rules.private_networks, "localhost", &why));
        expect_ok(engine_add_webhook(f->engine, &(WebhookWish) { .url = url, .disabled = -1 }, on_endpoint, &endpoint,
                                     &why));
        fixture_run_until(f, endpoint.n > 0);
        test(f, &endpoint);
        fixture_run_until(f, f->engine->webhooks->n_deliveries > 0);
        assert_int_equal(fixture_sql(f, "SELECT count(*) FROM webhook_attempts"), 0);
        fixture_stop_clock(BEGIN + 100 * USEC_PER_DAY);
        (void) close(fd);
        wait_attempts(f, 1);
        engine_clock_changed(f->engine);
        fixture_settle(f);
        wait = due(f) - fixture_now(CLOCK_REALTIME);
        assert_in_range(wait, 48 * USEC_PER_MINUTE, 72 * USEC_PER_MINUTE);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                ENGINE_TEST(test_messages_of_runs), ENGINE_TEST(test_advice_is_the_same_everywhere),
                ENGINE_TEST(test_a_kill_takes_both_or_none),
                ENGINE_TEST(test_a_url_that_is_no_longer_allowed), ENGINE_TEST(test_clock_steps),
                ENGINE_TEST(test_a_later_attempt),   ENGINE_TEST(test_clock_step_during_a_request),
                ENGINE_TEST(test_idle_is_not_failing), ENGINE_TEST(test_a_fresh_beginning),
                ENGINE_TEST(test_who_asks_again_and_again), ENGINE_TEST(test_what_is_lost_is_told),
                ENGINE_TEST(test_the_journal_has_no_secret_path),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
