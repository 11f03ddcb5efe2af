/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What follows from an attempt, and where webhooks may go. */

#include "unit/expect.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "base/string-util.h"
#include "delivery/delivery-address.h"
#include "engine/delivery-policy.h"

#define A_TIME ((usec_t) 1780171200 * USEC_PER_SEC) /* 2026-05-30T20:00:00Z */
#define SEC    USEC_PER_SEC

static Settings settings(void)
{
        Settings s;

        settings_init(&s);
        return s;
}

static DeliveryVerdict judge(const DeliveryOutcome *outcome, unsigned n_before, double random)
{
        Settings s = settings();

        return delivery_judge(&s, outcome, n_before, random);
}

static DeliveryVerdict judge_status(unsigned status, unsigned n_before)
{
        return judge(&(DeliveryOutcome) { .http_status = status, .complete = true }, n_before, 0.5);
}

static void test_what_is_taken(void **state)
{
        static const unsigned good[] = { 200, 201, 202, 204, 299 }, bad[] = { 100, 199, 300, 302, 400, 404, 409, 500 };

        for (size_t i = 0; i < ELEMENTSOF(good); i++)
                assert_int_equal(judge_status(good[i], 0).state, DELIVERY_SUCCEEDED);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_int_equal(judge_status(bad[i], 0).state, DELIVERY_PENDING);
        assert_int_equal(judge(&(DeliveryOutcome) { .http_status = 200 }, 0, 0).state, DELIVERY_PENDING);
        assert_int_equal(judge(&(DeliveryOutcome) {}, 0, 0).state, DELIVERY_PENDING);
}

/* Svix's: 0, 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 10 h. */
static void test_schedule(void **state)
{
        static const usec_t delays[] = { 5 * SEC, 300 * SEC, 1800 * SEC, 7200 * SEC, 18000 * SEC, 36000 * SEC, 36000 * SEC };
        usec_t all = 0;

        for (unsigned i = 0; i < ELEMENTSOF(delays); i++) {
                DeliveryVerdict verdict = judge_status(500, i);

                assert_int_equal(verdict.state, DELIVERY_PENDING);
                assert_true(verdict.delay_usec == delays[i]);
                assert_true(verdict.pause_usec == 0);
                all += verdict.delay_usec;
        }
        assert_int_equal(judge_status(500, ELEMENTSOF(delays)).state, DELIVERY_FAILED);
        assert_true(all == 27 * USEC_PER_HOUR + 35 * USEC_PER_MINUTE + 5 * SEC);
}

static void test_jitter(void **state)
{
        DeliveryOutcome failed = { .http_status = 500, .complete = true };
        usec_t low = judge(&failed, 1, 0).delay_usec, high = judge(&failed, 1, 0.999999).delay_usec;

        assert_true(low == 240 * SEC);
        assert_true(high > 359 * SEC && high < 360 * SEC);
}

static void test_throttling(void **state)
{
        static const unsigned statuses[] = { 429, 502, 504 };

        for (size_t i = 0; i < ELEMENTSOF(statuses); i++) {
                assert_true(judge_status(statuses[i], 0).delay_usec == 60 * SEC);
                assert_true(judge_status(statuses[i], 1).delay_usec == 300 * SEC);
        }
        assert_true(judge(&(DeliveryOutcome) { .timed_out = true }, 0, 0.5).delay_usec == 60 * SEC);
}

static void test_retry_after(void **state)
{
        static const struct {
                unsigned status, n_before;
                usec_t wish, delay;
        } cases[] = {
                { 503, 0, 1 * SEC, 5 * SEC },     { 503, 0, 7 * SEC, 7 * SEC },   { 503, 0, 11 * SEC, 10 * SEC },
                { 429, 0, 61 * SEC, 61 * SEC },   { 429, 0, 3 * SEC, 60 * SEC },  { 429, 0, 900 * SEC, 120 * SEC },
                { 503, 1, 400 * SEC, 400 * SEC },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                DeliveryOutcome outcome = { .http_status = cases[i].status,
                                            .complete = true,
                                            .retry_after_usec = cases[i].wish };
                DeliveryVerdict verdict = judge(&outcome, cases[i].n_before, 0);

                assert_true(verdict.delay_usec == cases[i].delay);
                assert_true(verdict.pause_usec == cases[i].delay);
        }
        /* Of the last attempt, too: it is the endpoint that asks for time. */
        assert_true(judge(&(DeliveryOutcome) { .http_status = 429, .complete = true, .retry_after_usec = 90 * SEC }, 7, 0)
                                    .pause_usec == 90 * SEC);
        assert_true(delivery_parse_retry_after("120", A_TIME) == 120 * SEC);
        assert_true(delivery_parse_retry_after("0", A_TIME) == 0);
        assert_true(delivery_parse_retry_after("18446744073709551615", A_TIME) == USEC_PER_DAY);
        assert_true(delivery_parse_retry_after("Sat, 30 May 2026 20:01:40 GMT", A_TIME) == 100 * SEC);
        assert_true(delivery_parse_retry_after("Sat, 30 May 2026 19:00:00 GMT", A_TIME) == 0);
        assert_true(delivery_parse_retry_after("soon", A_TIME) == 0);
        assert_true(delivery_parse_retry_after("-5", A_TIME) == 0);
        assert_true(delivery_parse_retry_after("", A_TIME) == 0);
}

static void test_the_end_of_it(void **state)
{
        DeliveryVerdict gone = judge_status(410, 0);

        assert_int_equal(gone.state, DELIVERY_FAILED);
        assert_true(gone.gone);
        assert_false(judge_status(404, 9).gone);
        assert_int_equal(judge(&(DeliveryOutcome) { .http_status = 500, .complete = true, .abort = true }, 0, 0).state,
                         DELIVERY_FAILED);
}

static void test_pauses(void **state)
{
        assert_true(delivery_pause(0) == 0 && delivery_pause(1) == 0);
        assert_true(delivery_pause(2) == SEC && delivery_pause(3) == 2 * SEC && delivery_pause(4) == 4 * SEC);
        assert_true(delivery_pause(7) == 32 * SEC && delivery_pause(8) == 60 * SEC);
        assert_true(delivery_pause(UINT32_MAX) == 60 * SEC);
}

static void test_longest_delay(void **state)
{
        Settings s = settings();

        assert_true(delivery_longest_delay(&s) == 20 * USEC_PER_HOUR);
        s.n_webhook_retries = 0;
        assert_true(delivery_longest_delay(&s) == 120 * SEC);
}

/* ---- Addresses */

static const Networks *private(const char *text)
{
        static Networks networks;
        char *why = NULL;

        networks.n = 0;
        expect_ok(networks_add(&networks, text, &why));
        return &networks;
}

static const struct sockaddr *read_address(const char *text)
{
        static union {
                struct sockaddr any;
                struct sockaddr_in ipv4;
                struct sockaddr_in6 ipv6;
        } address;

        address.any.sa_family = strchr(text, ':') ? AF_INET6 : AF_INET;
        assert_int_equal(strchr(text, ':') ? inet_pton(AF_INET6, text, &address.ipv6.sin6_addr)
                                           : inet_pton(AF_INET, text, &address.ipv4.sin_addr),
                         1);
        return &address.any;
}

static void check_address(const char *text, bool public)
{
        const struct sockaddr *address = read_address(text);

        if (address_is_public(address) != public)
                fail_msg("%s must%s be public", text, public ? "" : " not");
        assert_int_equal(delivery_address_is_allowed(&(Networks) {}, address), public);
        assert_true(delivery_address_is_allowed(private(NETWORKS_ALL), address));
}

static void test_addresses(void **state)
{
        static const char *const public[] = {
                "1.1.1.1",       "8.8.8.8",         "9.255.255.255", "11.0.0.0",         "100.63.255.255",
                "100.128.0.0",   "126.255.255.255", "128.0.0.0",     "169.253.255.255",  "169.255.0.0",
                "172.15.255.255", "172.32.0.0",     "192.0.1.0",     "192.167.255.255",  "192.169.0.0",
                "198.17.255.255", "198.20.0.0",     "223.255.255.255", "2606:4700::1111", "2a00:1450::1",
                "3ffe::1",       "::ffff:8.8.8.8",  "64:ff9b::8.8.8.8",
        };
        static const char *const others[] = {
                "0.0.0.0",        "0.255.255.255",   "10.0.0.0",        "10.255.255.255",  "100.64.0.1",
                "100.127.255.255", "127.0.0.1",      "127.255.255.255", "169.254.169.254", "172.16.0.1",
                "172.31.255.255", "192.0.0.1",       "192.0.2.1",       "192.168.0.1",     "198.18.0.1",
                "198.19.255.255", "198.51.100.1",    "203.0.113.9",     "224.0.0.1",       "239.255.255.255",
                "240.0.0.1",      "255.255.255.255", "::",              "::1",             "::ffff:127.0.0.1",
                "::ffff:10.1.2.3", "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1",
                "100::1",         "2001::1",         "2001:db8::1",     "2002:7f00:1::",   "3fff::1",
                "fc00::1",        "fd12:3456::1",    "fe80::1",         "fec0::1",         "ff02::1",
                "4000::1",
        };

        for (size_t i = 0; i < ELEMENTSOF(public); i++)
                check_address(public[i], true);
        for (size_t i = 0; i < ELEMENTSOF(others); i++)
                check_address(others[i], false);
}

static void test_other_families(void **state)
{
        struct sockaddr address = { .sa_family = AF_UNIX };

        assert_false(delivery_address_is_allowed(&(Networks) {}, &address));
        assert_false(delivery_address_is_allowed(private(NETWORKS_ALL), &address));
}

/* What is named is allowed, and nothing beside it: the last address of a network, and the next one. */
static void test_named_networks(void **state)
{
        static const struct {
                const char *networks, *address;
                bool allowed;
        } cases[] = {
                { "10.0.0.0/8", "10.0.0.0", true },
                { "10.0.0.0/8", "10.255.255.255", true },
                { "10.0.0.0/8", "192.168.0.1", false },
                { "10.0.0.0/8", "127.0.0.1", false },
                { "10.0.0.0/8", "0.0.0.0", false },
                { "10.0.0.0/8", "::ffff:10.1.2.3", true },
                { "10.0.0.0/8", "::ffff:11.0.0.0", true }, /* public */
                { "10.0.0.0/8", "::ffff:127.0.0.1", false },
                { "10.0.0.0/8", "64:ff9b::10.0.0.1", false },
                { "10.0.0.0/8", "fd00::1", false },
                { "10.0.0.0/8", "8.8.8.8", true },
                { "172.16.4.0/22", "172.16.7.255", true },
                { "172.16.4.0/22", "172.16.8.0", false },
                { "172.16.4.0/22", "172.16.3.255", false },
                { "192.168.1.20", "192.168.1.20", true },
                { "192.168.1.20", "192.168.1.21", false },
                { "fd00::/8", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true },
                { "fd00::/8", "fc00::1", false },
                { "fd00::/8", "10.0.0.1", false },
                { "::/0", "10.0.0.1", false },
                { "::/0", "::1", true },
                { "0.0.0.0/0", "10.0.0.1", true },
                { "0.0.0.0/0", "::1", false },
                { "fd00::1 192.168.0.0/16", "192.168.9.9", true },
                { "localhost", "127.255.255.255", true },
                { "localhost", "::1", true },
                { "localhost", "::2", false },
                { "localhost", "10.0.0.1", false },
                { "link-local", "169.254.169.254", true },
                { "link-local", "fe80::1", true },
                { "link-local", "127.0.0.1", false },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                if (delivery_address_is_allowed(private(cases[i].networks), read_address(cases[i].address)) !=
                    cases[i].allowed)
                        fail_msg("%s of %s", cases[i].address, cases[i].networks);
}

static void check_url(const Settings *s, const char *url, bool good)
{
        char *why = NULL;
        int r = delivery_check_url(&s->webhook_rules, url, &why);

        if ((r >= 0) != good)
                fail_msg("%s: %s", url, strna(why));
        assert_int_equal(r, good ? 0 : -EINVAL);
        assert_true(!why == good);
        free(why);
        assert_int_equal(delivery_check_url(&s->webhook_rules, url, NULL), r);
}

static void test_urls(void **state)
{
        static const char *const good[] = { "https://example.com", "https://example.com:8443/a/b?c=d%20e",
                                            "HTTPS://EXAMPLE.com/", "https://xn--bcher-kva.example/x",
                                            "https://example.com./", "https://example.com?a=%2e..", "https://e.example/.." };
        static const char *const never[] = {
                "", "example.com", "/hook", "ftp://example.com/", "file:///etc/passwd", "https://",
                "gopher://example.com/", "https://user@example.com/", "https://user:word@example.com/",
                "https://:word@example.com/", "https://example.com/#there", "https://example.com/a b",
                "https://example.com/\n", "https://b\xc3\xbc" "cher.example/", "https://example.com:99999/",
                "javascript:alert(1)", "https:/x", "https:x", "https:///x", "https:\\\\x/", "https://a\\b/",
                "https://x..example/", "https://.example/", "https://./", "https://example../", "https://example.com%2e/",
                "https://127.0.0.1./", "https://1.2.3.4.", "https://127.1./", "https://0x7f000001.:8/",
                "https://127.0.0.1%2e/", "https://%31.2.3.4/", "https://[fe80::1%25eth0]/",
        };
        static const char *const literals[] = { "https://127.0.0.1/",  "https://8.8.8.8/",  "https://[::1]/",
                                                "https://127.1/",      "https://0x7f000001/", "https://2130706433/",
                                                "https://017700000001/", "https://[::ffff:127.0.0.1]:8/" };
        Settings s = settings();

        for (size_t i = 0; i < ELEMENTSOF(good); i++)
                check_url(&s, good[i], true);
        check_url(&s, "http://example.com/", false);
        for (size_t i = 0; i < ELEMENTSOF(literals); i++)
                check_url(&s, literals[i], false);
        s.webhook_rules.allow_http = s.webhook_rules.allow_literals = true;
        check_url(&s, "http://example.com/", true);
        for (size_t i = 0; i < ELEMENTSOF(literals); i++)
                check_url(&s, literals[i], true);
        for (size_t i = 0; i < ELEMENTSOF(never); i++)
                check_url(&s, never[i], false);
}

static void test_length_of_a_url(void **state)
{
        Settings s = settings();

        for (size_t n = WEBHOOK_URL_MAX; n <= WEBHOOK_URL_MAX + 1; n++) {
                char *url = calloc(1, n + 1);

                assert_non_null(url);
                (void) snprintf(url, n + 1, "https://example.com/");
                (void) memset(url + strlen(url), 'a', n - strlen(url));
                check_url(&s, url, n == WEBHOOK_URL_MAX);
                free(url);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_what_is_taken), cmocka_unit_test(test_schedule),
                cmocka_unit_test(test_jitter),        cmocka_unit_test(test_throttling),
                cmocka_unit_test(test_retry_after),   cmocka_unit_test(test_the_end_of_it),
                cmocka_unit_test(test_pauses),        cmocka_unit_test(test_longest_delay),
                cmocka_unit_test(test_addresses),     cmocka_unit_test(test_other_families),
                cmocka_unit_test(test_named_networks),
                cmocka_unit_test(test_urls),          cmocka_unit_test(test_length_of_a_url),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
