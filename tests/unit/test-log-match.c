/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which lines are a run's: every group has a field that journald alone writes. */

#include "unit/expect.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/string-util.h"
#include "model/log-match.h"

#define NOBODY ((uid_t) -1)

static void expect_match(LogMatch match, const char *expected)
{
        _cleanup_strv_free_ char **words = NULL;
        _cleanup_free_ char *text = NULL;

        expect_ok(log_match_words(&match, &words));
        text = strv_join(words, " ");
        assert_non_null(text);
        assert_string_equal(text, expected);
}

static void test_words(void **state)
{
        expect_match((LogMatch){ .run_id = "r", .daemon_uid = NOBODY, .worker_uid = 7 },
                     "SYNCRUN_RUN_ID=r _SYSTEMD_UNIT=syncrund.service");
        expect_match((LogMatch){ .run_id = "r",
                                 .connector = "",
                                 .invocation_id = "",
                                 .daemon_uid = 0,
                                 .worker_uid = 7 },
                     "SYNCRUN_RUN_ID=r _SYSTEMD_UNIT=syncrund.service + SYNCRUN_RUN_ID=r _UID=0");
        expect_match((LogMatch){ .run_id = "r", .connector = "bank", .daemon_uid = NOBODY, .worker_uid = NOBODY },
                     "SYNCRUN_RUN_ID=r _SYSTEMD_UNIT=syncrund.service _SYSTEMD_UNIT=syncrun@bank.service");
        expect_match((LogMatch){ .run_id = "r",
                                 .connector = "bank",
                                 .invocation_id = "i",
                                 .daemon_uid = 990,
                                 .worker_uid = 4000000000U },
                     "SYNCRUN_RUN_ID=r _SYSTEMD_UNIT=syncrund.service _SYSTEMD_UNIT=syncrun@bank.service"
                     " + SYNCRUN_RUN_ID=r _UID=4000000000 _UID=990"
                     " + _SYSTEMD_INVOCATION_ID=i + INVOCATION_ID=i _PID=1");
}

static void write_record(const char *directory, const char *text)
{
        _cleanup_free_ char *path = asprintf_or_null("%s/sr-bank.user", directory);
        FILE *file = fopen(path, "w");

        assert_non_null(file);
        assert_true(fputs(text, file) >= 0);
        assert_int_equal(fclose(file), 0);
}

static void test_worker_uid(void **state)
{
        static const char record[] = "{\"userName\":\"sr-bank\",\"uid\":61234,\"gid\":61234}\n";
        char directory[] = "/tmp/test-log-match-XXXXXX", path[64], longest[USER_RECORD_LIMIT_BYTES + 2];

        assert_non_null(mkdtemp(directory));
        (void) snprintf(path, sizeof(path), "%s/sr-bank.user", directory);
        assert_true(log_match_worker_uid(directory, "bank") == NOBODY);
        write_record(directory, record);
        assert_true(log_match_worker_uid(directory, "bank") == 61234);
        assert_true(log_match_worker_uid(directory, "mail") == NOBODY);
        /* The number went to another, of whom the record under it is. */
        write_record(directory, "{\"userName\":\"sr-mail\",\"uid\":61234}\n");
        assert_true(log_match_worker_uid(directory, "bank") == NOBODY);
        write_record(directory, "{\"userName\":\"sr-bank\"}");
        assert_true(log_match_worker_uid(directory, "bank") == NOBODY);
        write_record(directory, "{\"userName\":\"sr-bank\",\"uid\":4294967295}");
        assert_true(log_match_worker_uid(directory, "bank") == NOBODY);
        (void) memset(longest, ' ', sizeof(longest));
        (void) memcpy(longest, record, strlen(record));
        longest[USER_RECORD_LIMIT_BYTES] = '\0';
        write_record(directory, longest);
        assert_true(log_match_worker_uid(directory, "bank") == 61234);
        longest[USER_RECORD_LIMIT_BYTES] = ' ';
        longest[USER_RECORD_LIMIT_BYTES + 1] = '\0';
        write_record(directory, longest);
        assert_true(log_match_worker_uid(directory, "bank") == NOBODY);
        write_record(directory, "[");
        assert_true(log_match_worker_uid(directory, "bank") == NOBODY);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(rmdir(directory), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_words),
                cmocka_unit_test(test_worker_uid),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
