/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a worker reports, written and read again; and what of it is refused or cut. */

#include "unit/expect.h"

#include <stdlib.h>

#include "base/string-util.h"
#include "model/report.h"

static char *copy(const char *s)
{
        char *c = strdup(s);

        assert_non_null(c);
        return c;
}

static char *write_report(const RunReport *report)
{
        Buffer buffer = {};
        char *text;

        run_report_write(report, &buffer);
        expect_ok(buffer_take(&buffer, &text));
        return text;
}

static int parse(const char *text, RunReport *ret)
{
        return run_report_parse(text, strlen(text), ret);
}

static void test_empty(void **state)
{
        _cleanup_run_report_ RunReport report = RUN_REPORT_INIT, again = RUN_REPORT_INIT;
        _cleanup_free_ char *text = write_report(&report);

        assert_string_equal(text, "{}");
        expect_ok(parse(text, &again));
        assert_int_equal(again.stage, _SYNC_STAGE_INVALID);
        assert_int_equal(again.outcome, _RUN_OUTCOME_INVALID);
        assert_int_equal(again.attention, _ATTENTION_INVALID);
        assert_true(again.items_processed == COUNT_UNKNOWN && again.items_total == COUNT_UNKNOWN);
        assert_true(again.counts.discovered == COUNT_UNKNOWN);
        assert_true(again.cpu_usec == COUNT_UNKNOWN && again.memory_peak_bytes == COUNT_UNKNOWN);
        assert_true(!again.message && !again.error && !again.metadata && !again.attention_message && !again.retry);
        assert_int_equal(again.n_accounts, 0);
}

static RunReport full_report(void)
{
        RunReport report = {
                .stage = SYNC_STAGE_SAVING,
                .message = copy("Gr\xc3\xbc\xc3\x9f"
                                "e \"6\"\n"),
                .items_processed = 0,
                .items_total = INT64_MAX,
                .counts = { 10, 1, 2, 7 },
                .accounts = calloc(2, sizeof(Account)),
                .n_accounts = 2,
                .attention = ATTENTION_CONSENT_WITHDRAWN,
                .attention_message = copy("gone"),
                .metadata = copy("{\"a\":[1,2.5,\"/\"]}"),
                .outcome = RUN_PARTIAL,
                .error = copy("bad"),
                .retry = true,
                .retry_at_usec = 1780171200 * USEC_PER_SEC,
                .cpu_usec = 5,
                .memory_peak_bytes = 6,
                .n_bad_lines = 3,
        };

        assert_non_null(report.accounts);
        report.accounts[0] = (Account){
                .name = copy("checking"),
                .status = ACCOUNT_FAILED,
                .counts = { 4, 1, 1, 2 },
                .error = copy("no"),
                .category = ATTENTION_CONNECTION_LOST,
                .started_usec = 1,
                .finished_usec = 2,
        };
        report.accounts[1] = (Account){ .name = copy("savings"),
                                        .status = ACCOUNT_NO_DATA,
                                        .category = _ATTENTION_INVALID };
        return report;
}

static void test_everything_comes_back(void **state)
{
        _cleanup_run_report_ RunReport report = full_report(), again = RUN_REPORT_INIT;
        _cleanup_free_ char *text = write_report(&report), *text_again = NULL;

        expect_ok(parse(text, &again));
        text_again = write_report(&again);
        assert_string_equal(text_again, text);
        assert_int_equal(again.stage, SYNC_STAGE_SAVING);
        assert_string_equal(again.message, report.message);
        assert_true(again.items_processed == 0 && again.items_total == INT64_MAX);
        assert_true(again.counts.discovered == 10 && again.counts.deduped == 7);
        assert_int_equal(again.n_accounts, 2);
        assert_string_equal(again.accounts[0].error, "no");
        assert_int_equal(again.accounts[0].category, ATTENTION_CONNECTION_LOST);
        assert_true(again.accounts[0].counts.updated == 1 && again.accounts[0].finished_usec == 2);
        assert_int_equal(again.accounts[1].status, ACCOUNT_NO_DATA);
        assert_int_equal(again.accounts[1].category, _ATTENTION_INVALID);
        assert_null(again.accounts[1].error);
        assert_int_equal(again.attention, ATTENTION_CONSENT_WITHDRAWN);
        assert_string_equal(again.metadata, "{\"a\":[1,2.5,\"/\"]}");
        assert_int_equal(again.outcome, RUN_PARTIAL);
        assert_true(again.retry && again.retry_at_usec == report.retry_at_usec);
        assert_true(again.cpu_usec == 5 && again.memory_peak_bytes == 6 && again.n_bad_lines == 3);
}

static void test_refused(void **state)
{
        static const char *const wrong[] = {
                "",
                "null",
                "[]",
                "1",
                "{",
                "{} {}",
                "{\"stage\":1}",
                "{\"stage\":\"no such stage\"}",
                "{\"message\":1}",
                "{\"message\":\"a\\u0000b\"}",
                "{\"processed\":\"1\"}",
                "{\"discovered\":1,\"added\":true}",
                "{\"updated\":[]}",
                "{\"deduped\":{}}",
                "{\"accounts\":{}}",
                "{\"accounts\":[1]}",
                "{\"accounts\":[null]}",
                "{\"accounts\":[{}]}",
                "{\"accounts\":[{\"account\":\"\"}]}",
                "{\"accounts\":[{\"account\":1}]}",
                "{\"accounts\":[{\"account\":\"a\",\"status\":\"fine\"}]}",
                "{\"accounts\":[{\"account\":\"a\",\"error\":1}]}",
                "{\"accounts\":[{\"account\":\"a\",\"category\":\"none\"}]}",
                "{\"accounts\":[{\"account\":\"a\"},{\"account\":\"b\",\"finished_usec\":\"1\"}]}",
                "{\"attention\":\"none\"}",
                "{\"attention\":7}",
                "{\"attention_message\":7}",
                "{\"metadata\":[]}",
                "{\"metadata\":\"{}\"}",
                "{\"outcome\":\"success\"}",
                "{\"error\":{}}",
                "{\"retry\":1}",
                "{\"retry_at_usec\":\"now\"}",
        };
        RunReport report = RUN_REPORT_INIT;

        for (size_t i = 0; i < ELEMENTSOF(wrong); i++) {
                if (parse(wrong[i], &report) != -EBADMSG)
                        print_error("%s\n", wrong[i]);
                expect_errno(parse(wrong[i], &report), -EBADMSG);
        }
}

/* One number that is no count does not refuse what else a report says. */
static void test_absurd_counts(void **state)
{
        static const struct {
                const char *number;
                uint64_t count;
        } numbers[] = {
                { "9223372036854775806", COUNT_MAX - 1 }, { "9223372036854775807", COUNT_MAX },
                { "9223372036854775808", COUNT_MAX },     { "18446744073709551615", COUNT_MAX },
                { "1e300", COUNT_MAX },                   { "9223372036854775808.0", COUNT_MAX },
                { "-1", 0 },                              { "-9223372036854775808", 0 },
                { "-1e300", 0 },                          { "1.5", 1 },
        };

        for (size_t i = 0; i < ELEMENTSOF(numbers); i++) {
                _cleanup_run_report_ RunReport report = RUN_REPORT_INIT;
                const char *n = numbers[i].number;
                uint64_t count = numbers[i].count;
                _cleanup_free_ char *text = asprintf_or_null(
                                "{\"processed\":%s,\"total\":%s,\"discovered\":%s,\"added\":%s,\"updated\":%s,"
                                "\"deduped\":%s,\"accounts\":[{\"account\":\"a\",\"added\":%s}],\"message\":\"m\"}",
                                n, n, n, n, n, n, n);

                expect_ok(parse(text, &report));
                assert_string_equal(report.message, "m");
                assert_true(report.items_processed == count && report.items_total == count);
                assert_true(report.counts.discovered == count && report.counts.added == count);
                assert_true(report.counts.updated == count && report.counts.deduped == count);
                assert_true(report.accounts[0].counts.added == count);
                assert_true(counts_ingested(&report.counts) == MIN(2 * count, COUNT_MAX));
        }
}

static void test_null_and_unknown_are_as_absent(void **state)
{
        _cleanup_run_report_ RunReport report = RUN_REPORT_INIT;
        _cleanup_free_ char *text = NULL;

        expect_ok(parse("{\"stage\":null,\"message\":null,\"processed\":null,\"discovered\":null,\"accounts\":null,"
                        "\"attention\":null,\"metadata\":null,\"outcome\":null,\"retry\":null,\"cpu_usec\":null,"
                        "\"new\":[1]}",
                        &report));
        text = write_report(&report);
        assert_string_equal(text, "{}");
}

/* An account that tells no counts has had no records. */
static void test_account_without_counts(void **state)
{
        _cleanup_run_report_ RunReport report = RUN_REPORT_INIT;

        expect_ok(parse("{\"accounts\":[{\"account\":\"a\"}]}", &report));
        assert_int_equal(report.accounts[0].status, ACCOUNT_RUNNING);
        assert_true(report.accounts[0].counts.discovered == 0 && report.accounts[0].counts.added == 0);
}

/* A report with @n_bytes of text under @key, which is cut to @limit_bytes. */
static void check_cut(const char *key, size_t n_bytes, size_t limit_bytes, size_t offset)
{
        _cleanup_run_report_ RunReport report = RUN_REPORT_INIT;
        _cleanup_free_ char *text = NULL;
        Buffer buffer = {};
        const char *got;

        buffer_append_format(&buffer, "{\"%s\":\"", key);
        for (size_t i = 0; i < n_bytes; i++)
                buffer_append_char(&buffer, 'x');
        buffer_append_string(&buffer, "\"}");
        expect_ok(buffer_take(&buffer, &text));
        expect_ok(parse(text, &report));
        got = *(char **) ((char *) &report + offset);
        assert_int_equal(strlen(got), MIN(n_bytes, limit_bytes));
        assert_int_equal(endswith(got, "…"), n_bytes > limit_bytes);
}

static void test_long_texts_are_cut(void **state)
{
        static const struct {
                const char *key;
                size_t limit_bytes;
                size_t offset;
        } texts[] = {
                { "message", MESSAGE_TEXT_MAX, offsetof(RunReport, message) },
                { "error", ERROR_TEXT_MAX, offsetof(RunReport, error) },
                { "attention_message", ERROR_TEXT_MAX, offsetof(RunReport, attention_message) },
        };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                check_cut(texts[i].key, texts[i].limit_bytes, texts[i].limit_bytes, texts[i].offset);
                check_cut(texts[i].key, texts[i].limit_bytes + 1, texts[i].limit_bytes, texts[i].offset);
        }
}

static void test_accounts_past_the_limit_are_left_out(void **state)
{
        for (size_t n = ACCOUNTS_PER_RUN_MAX; n <= ACCOUNTS_PER_RUN_MAX + 1; n++) {
                _cleanup_run_report_ RunReport report = RUN_REPORT_INIT;
                _cleanup_free_ char *text = NULL;
                Buffer buffer = {};

                buffer_append_string(&buffer, "{\"accounts\":[");
                for (size_t i = 0; i < n; i++)
                        buffer_append_format(&buffer, "%s{\"account\":\"%zu\"}", i > 0 ? "," : "", i);
                buffer_append_string(&buffer, "]}");
                expect_ok(buffer_take(&buffer, &text));
                expect_ok(parse(text, &report));
                assert_int_equal(report.n_accounts, ACCOUNTS_PER_RUN_MAX);
        }
}

/* {"metadata":{"k":"xxx"}} of just so many bytes. */
static int parse_metadata(size_t n_bytes)
{
        _cleanup_run_report_ RunReport report = RUN_REPORT_INIT;
        _cleanup_free_ char *text = NULL;
        Buffer buffer = {};

        buffer_append_string(&buffer, "{\"metadata\": {\"k\" : \"");
        for (size_t i = strlen("{\"k\":\"\"}"); i < n_bytes; i++)
                buffer_append_char(&buffer, 'x');
        buffer_append_string(&buffer, "\"} }");
        expect_ok(buffer_take(&buffer, &text));
        return parse(text, &report);
}

static int parse_nested_metadata(unsigned depth)
{
        _cleanup_run_report_ RunReport report = RUN_REPORT_INIT;
        _cleanup_free_ char *text = NULL;
        Buffer buffer = {};

        buffer_append_string(&buffer, "{\"metadata\":");
        for (unsigned i = 0; i < depth; i++)
                buffer_append_string(&buffer, "{\"k\":");
        buffer_append_char(&buffer, '0');
        for (unsigned i = 0; i <= depth; i++)
                buffer_append_char(&buffer, '}');
        expect_ok(buffer_take(&buffer, &text));
        return parse(text, &report);
}

static void test_size_limits(void **state)
{
        RunReport report = RUN_REPORT_INIT;
        char *text = malloc(REPORT_JSON_MAX + 2);

        expect_ok(parse_nested_metadata(METADATA_DEPTH_MAX));
        expect_errno(parse_nested_metadata(METADATA_DEPTH_MAX + 1), -E2BIG);
        expect_ok(parse_metadata(METADATA_JSON_MAX));
        expect_errno(parse_metadata(METADATA_JSON_MAX + 1), -E2BIG);
        assert_non_null(text);
        memset(text, ' ', REPORT_JSON_MAX + 1);
        text[0] = '{';
        text[1] = '}';
        expect_ok(run_report_parse(text, REPORT_JSON_MAX, &report));
        expect_errno(run_report_parse(text, REPORT_JSON_MAX + 1, &report), -E2BIG);
        free(text);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_empty),
                cmocka_unit_test(test_everything_comes_back),
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_absurd_counts),
                cmocka_unit_test(test_null_and_unknown_are_as_absent),
                cmocka_unit_test(test_account_without_counts),
                cmocka_unit_test(test_long_texts_are_cut),
                cmocka_unit_test(test_accounts_past_the_limit_are_left_out),
                cmocka_unit_test(test_size_limits),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
