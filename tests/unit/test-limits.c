/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Limits of the vocabulary that no other test is about: what has just that size, and what has one byte more. */

#include "unit/expect.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/log.h"
#include "base/string-util.h"
#include "model/connector.h"
#include "model/delivery.h"
#include "model/signature.h"

static char *letters(size_t n)
{
        char *text = malloc(n + 1);

        assert_non_null(text);
        memset(text, 'x', n);
        text[n] = '\0';
        return text;
}

/* ---- A worker's attempts */

static int parse_attempt(size_t n_id, size_t n_type, size_t n_url, size_t n_text, DeliveryAttempt **ret)
{
        _cleanup_free_ char *id = letters(n_id), *type = letters(n_type), *url = letters(n_url),
                            *text = letters(n_text);
        _cleanup_free_ char *json = asprintf_or_null(
                        "[{\"id\":\"%s\",\"type\":\"%s\",\"url\":\"%s\",\"succeeded\":false,\"http_status\":500,"
                        "\"started_usec\":1,"
                        "\"duration_usec\":1,\"retry\":0,\"records\":1,\"error\":\"%s\",\"answer\":\"%s\"}]",
                        id, type, url, text, text);
        size_t n = 0;

        assert_non_null(json);
        return delivery_attempts_parse(json, strlen(json), ret, &n);
}

static void test_attempt(void **state)
{
        static const struct {
                size_t n_id, n_type, n_url;
                int expected;
        } cases[] = {
                { DELIVERY_ID_MAX, DELIVERY_TYPE_MAX, DELIVERY_TEXT_MAX, 0 },
                { DELIVERY_ID_MAX + 1, DELIVERY_TYPE_MAX, DELIVERY_TEXT_MAX, -E2BIG },
                { DELIVERY_ID_MAX, DELIVERY_TYPE_MAX + 1, DELIVERY_TEXT_MAX, -E2BIG },
                { DELIVERY_ID_MAX, DELIVERY_TYPE_MAX, DELIVERY_TEXT_MAX + 1, -E2BIG },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                DeliveryAttempt *attempts = NULL;

                expect_errno(parse_attempt(cases[i].n_id, cases[i].n_type, cases[i].n_url, 1, &attempts),
                             cases[i].expected);
                if (cases[i].expected == 0)
                        delivery_attempts_free(attempts, 1);
                else
                        assert_null(attempts);
        }
}

/* What others say is cut. */
static void test_attempt_texts(void **state)
{
        for (size_t more = 0; more < 2; more++) {
                DeliveryAttempt *attempts = NULL;

                expect_ok(parse_attempt(1, 1, 1, DELIVERY_TEXT_MAX + more, &attempts));
                assert_int_equal(strlen(attempts[0].error), DELIVERY_TEXT_MAX);
                assert_int_equal(strlen(attempts[0].answer), DELIVERY_TEXT_MAX);
                delivery_attempts_free(attempts, 1);
        }
}

/* ---- Secrets */

/* `whsec_` and the base64 of @n zero bytes. */
static char *secret_of(size_t n)
{
        size_t n_letters = (n * 8 + 5) / 6, padded = (n + 2) / 3 * 4;
        char *text = letters(strlen("whsec_") + padded);

        memcpy(text, "whsec_", strlen("whsec_"));
        memset(text + strlen("whsec_"), 'A', n_letters);
        memset(text + strlen("whsec_") + n_letters, '=', padded - n_letters);
        return text;
}

static void test_secret(void **state)
{
        static const struct {
                size_t n;
                bool valid;
        } cases[] = {
                { SIGNATURE_SECRET_BYTES_MIN - 1, false }, { SIGNATURE_SECRET_BYTES_MIN, true },
                { SIGNATURE_SECRET_BYTES_MAX, true },      { SIGNATURE_SECRET_BYTES_MAX + 1, false },
                { SIGNATURE_SECRET_BYTES_MAX + 3, false },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *secret = secret_of(cases[i].n);

                if (signature_secret_is_valid(secret) != cases[i].valid)
                        fail_msg("of %zu bytes: %s", cases[i].n, cases[i].valid ? "refused" : "taken");
        }
}

/* ---- Names in a connector's file */

static LoadState load_with(const char *key, size_t n)
{
        _cleanup_free_ char *value = letters(n);
        _cleanup_free_ char *text =
                        asprintf_or_null("[Connector]\nProvider=acme\n[Pipeline]\nExecPull=/bin/true\n"
                                         "[Destination]\nType=webhook\nSecretFile=/a\nUrl=https://a\n%s=%s\n",
                                         key, value);
        ConnectorDefinition *definition = NULL;
        Diagnostics d = {};
        Conf conf = {};
        LoadState state;

        expect_ok(conf_parse_text(&conf, "f", text, strlen(text), &d));
        expect_ok(connector_definition_parse("bank", &conf, "f", &d, &definition));
        state = definition->load_state;
        connector_definition_unref(definition);
        diagnostics_done(&d);
        return state;
}

static void test_names(void **state)
{
        static const struct {
                const char *key;
                size_t max;
        } cases[] = {
                { "EventType", CONNECTOR_EVENT_TYPE_MAX },
                { "HeaderPrefix", CONNECTOR_HEADER_PREFIX_MAX },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                assert_int_equal(load_with(cases[i].key, cases[i].max), LOAD_LOADED);
                assert_int_equal(load_with(cases[i].key, cases[i].max + 1), LOAD_BAD_SETTING);
        }
}

/* ---- Lines of a log */

#define LOG_MESSAGE_MAX 4096U /* log.c */

static size_t logged_bytes(size_t n)
{
        _cleanup_free_ char *text = letters(n);
        char line[2 * LOG_MESSAGE_MAX];
        int ends[2], before;
        ssize_t got;

        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        before = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
        assert_true(before >= 0 && dup2(ends[1], STDERR_FILENO) >= 0);
        log_error("%s", text);
        assert_true(dup2(before, STDERR_FILENO) >= 0);
        (void) close(before);
        (void) close(ends[1]);
        got = read(ends[0], line, sizeof(line));
        (void) close(ends[0]);
        assert_true(got > 0 && line[got - 1] == '\n');
        return (size_t) got - strlen("syncrun: \n");
}

static void test_line_of_a_log(void **state)
{
        log_set_target(LOG_TARGET_CONSOLE);
        assert_int_equal(logged_bytes(LOG_MESSAGE_MAX), LOG_MESSAGE_MAX);
        assert_int_equal(logged_bytes(LOG_MESSAGE_MAX + 1), LOG_MESSAGE_MAX);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_attempt),
                cmocka_unit_test(test_attempt_texts),
                cmocka_unit_test(test_secret),
                cmocka_unit_test(test_names),
                cmocka_unit_test(test_line_of_a_log),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
