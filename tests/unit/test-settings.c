/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The daemon's own settings. */

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/string-util.h"
#include "model/settings.h"
#include "unit/expect.h"

static void apply(const char *text, Diagnostics *d, Settings *ret)
{
        Conf conf = {};

        expect_ok(conf_parse_text(&conf, "f", text, strlen(text), d));
        expect_ok(settings_apply(&conf, d, ret));
        conf_done(&conf);
}

static void test_defaults(void **state)
{
        Settings s;

        apply("", NULL, &s);
        assert_int_equal(s.max_concurrent_runs, 4);
        assert_int_equal(s.max_concurrent_runs_per_provider, 2);
        assert_int_equal(s.max_queued_runs, 10000);
        assert_int_equal(s.launcher, LAUNCHER_AUTO);
        assert_string_equal(s.state_directory, "/var/lib/syncrun");
        assert_int_equal(s.events_max_age_usec, 24 * USEC_PER_HOUR);
        assert_int_equal(s.events_max_per_user, 100000);
        assert_int_equal(s.runs_max_age_usec, 90 * USEC_PER_DAY);
        assert_int_equal(s.runs_max_per_connector, 10000);
        assert_int_equal(s.failed_runs_max_age_usec, 365 * USEC_PER_DAY);
        assert_int_equal(s.failed_runs_max_per_connector, 10000);
        assert_int_equal(s.skipped_runs_max_age_usec, 7 * USEC_PER_DAY);
        assert_int_equal(s.skipped_runs_max_per_connector, 10000);
        assert_int_equal(s.activity_max_runs, 25);
        assert_int_equal(s.activity_max_account_rows, 250);
        assert_int_equal(s.silence_timeout_usec, USEC_PER_HOUR);
        assert_int_equal(s.max_open_runs, 10000);
        assert_int_equal(s.max_users, 100000);
        assert_int_equal(s.authorization_timeout_usec, 2 * USEC_PER_MINUTE);
        settings_done(&s);
        assert_null(s.state_directory);
        settings_done(&s);
}

static void test_everything(void **state)
{
        Diagnostics d = {};
        Settings s;

        apply("[Daemon]\nMaxConcurrentRuns=infinity\nMaxConcurrentRunsPerProvider=1\nMaxQueuedRuns=7\nLauncher=child\n"
              "AuthorizationTimeoutSec=30\nStateDirectory=/srv/state\n"
              "[History]\nEventsMaxAgeSec=1d\nEventsMaxPerUser=200\nRunsMaxAgeSec=0\nRunsMaxPerConnector=3\n"
              "FailedRunsMaxAgeSec=2w\nFailedRunsMaxPerConnector=infinity\n"
              "SkippedRunsMaxAgeSec=1h\nSkippedRunsMaxPerConnector=9\n"
              "[Activity]\nMaxRuns=5\nMaxAccountRows=infinity\n"
              "[Reports]\nSilenceTimeoutSec=infinity\nMaxOpenRuns=5\nMaxUsers=6\n", &d, &s);
        assert_int_equal(d.n_items, 0);
        assert_int_equal(s.max_concurrent_runs, UINT_MAX);
        assert_int_equal(s.max_concurrent_runs_per_provider, 1);
        assert_int_equal(s.max_queued_runs, 7);
        assert_int_equal(s.authorization_timeout_usec, 30 * USEC_PER_SEC);
        assert_int_equal(s.launcher, LAUNCHER_CHILD);
        assert_string_equal(s.state_directory, "/srv/state");
        assert_int_equal(s.events_max_age_usec, USEC_PER_DAY);
        assert_int_equal(s.events_max_per_user, 200);
        assert_true(s.runs_max_age_usec == USEC_INFINITY);
        assert_int_equal(s.runs_max_per_connector, 3);
        assert_int_equal(s.failed_runs_max_age_usec, 14 * USEC_PER_DAY);
        assert_int_equal(s.failed_runs_max_per_connector, UINT_MAX);
        assert_int_equal(s.skipped_runs_max_age_usec, USEC_PER_HOUR);
        assert_int_equal(s.skipped_runs_max_per_connector, 9);
        assert_int_equal(s.activity_max_runs, 5);
        assert_int_equal(s.activity_max_account_rows, UINT_MAX);
        assert_true(s.silence_timeout_usec == USEC_INFINITY);
        assert_int_equal(s.max_open_runs, 5);
        assert_int_equal(s.max_users, 6);
        settings_done(&s);
}

static void test_retries(void **state)
{
        Diagnostics d = {};
        Settings s;

        apply("", NULL, &s);
        assert_int_equal(s.n_webhook_retries, 7);
        assert_true(s.webhook_retries[0] == 5 * USEC_PER_SEC && s.webhook_retries[6] == 10 * USEC_PER_HOUR);
        settings_done(&s);
        apply("[Webhooks]\nRetrySec=1 2min  3h\n", &d, &s);
        assert_int_equal(s.n_webhook_retries, 3);
        assert_true(s.webhook_retries[0] == USEC_PER_SEC && s.webhook_retries[2] == 3 * USEC_PER_HOUR);
        settings_done(&s);
        apply("[Webhooks]\nRetrySec=\n", &d, &s);
        assert_int_equal(s.n_webhook_retries, 0);
        settings_done(&s);
        apply("[Webhooks]\nRetrySec=1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 30d\n", &d, &s);
        assert_int_equal(s.n_webhook_retries, WEBHOOK_RETRIES_MAX);
        settings_done(&s);
        assert_int_equal(d.n_items, 0);
        apply("[Webhooks]\nRetrySec=1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1\nRetrySec=31d\nRetrySec=5s soon\n"
              "RetrySec=infinity\n", &d, &s);
        assert_int_equal(d.n_items, 4);
        assert_int_equal(s.n_webhook_retries, 7);
        settings_done(&s);
        diagnostics_done(&d);
}

static void check_networks(const Settings *s, const char *expected)
{
        _cleanup_free_ char *text = NULL;

        expect_ok(networks_to_text(&s->webhook_rules.private_networks, &text));
        assert_string_equal(text, expected);
}

static void test_webhooks(void **state)
{
        Diagnostics d = {};
        Settings s;

        apply("", NULL, &s);
        assert_int_equal(s.webhook_max_requests, 64);
        assert_int_equal(s.webhook_max_requests_per_endpoint, 4);
        assert_true(s.webhook_rules.timeout_usec == 15 * USEC_PER_SEC);
        assert_true(s.webhook_disable_after_usec == 5 * USEC_PER_DAY);
        assert_false(s.webhook_rules.allow_http || s.webhook_rules.allow_literals || s.webhook_rules.private_networks.n > 0);
        assert_null(s.webhook_rules.ca_file);
        assert_true(s.webhook_messages_max_age_usec == 14 * USEC_PER_DAY);
        assert_int_equal(s.webhook_messages_max, 200000);
        settings_done(&s);
        apply("[Webhooks]\nMaxRequests=1\nMaxRequestsPerEndpoint=2\nTimeoutSec=3\nDisableAfterSec=0\nAllowHTTP=yes\n"
              "AllowAddressLiterals=yes\nAllowPrivateAddresses=yes\nCertificateAuthorityFile=/srv/ca.pem\n"
              "MessagesMaxAgeSec=1h\nMessagesMax=infinity\n", &d, &s);
        assert_int_equal(d.n_items, 0);
        assert_int_equal(s.webhook_max_requests, 1);
        assert_int_equal(s.webhook_max_requests_per_endpoint, 2);
        assert_true(s.webhook_rules.timeout_usec == 3 * USEC_PER_SEC);
        assert_true(s.webhook_disable_after_usec == USEC_INFINITY);
        assert_true(s.webhook_rules.allow_http && s.webhook_rules.allow_literals);
        check_networks(&s, NETWORKS_ALL);
        assert_string_equal(s.webhook_rules.ca_file, "/srv/ca.pem");
        assert_true(s.webhook_messages_max_age_usec == USEC_PER_HOUR);
        assert_int_equal(s.webhook_messages_max, UINT_MAX);
        settings_done(&s);
}

static void apply_private(const char *lines, Diagnostics *d, Settings *ret)
{
        _cleanup_free_ char *text = asprintf_or_null("[Webhooks]\n%s\n", lines);

        apply(text, d, ret);
}

static void check_private(const char *lines, unsigned n_wrong, const char *networks)
{
        Diagnostics d = {};
        Settings s;

        apply_private(lines, &d, &s);
        assert_int_equal(d.n_items, n_wrong);
        check_networks(&s, networks);
        diagnostics_done(&d);
        settings_done(&s);
}

#define P "AllowPrivateAddresses="

static void test_private_networks(void **state)
{
        _cleanup_free_ char *all = NULL, *beyond = NULL;
        _cleanup_buffer_ Buffer most = {};
        Diagnostics d = {};
        Settings s;

        check_private("", 0, "");
        check_private(P "no", 0, "");
        check_private(P "1", 0, NETWORKS_ALL);
        check_private(P "10.9.8.7/8\tfd00:1::1/8 192.168.1.20 ::1 ::ffff:10.0.0.0/104", 0,
                      "10.0.0.0/8 fd00::/8 192.168.1.20/32 ::1/128 10.0.0.0/8");
        check_private(P "localhost link-local", 0, "127.0.0.0/8 ::1/128 169.254.0.0/16 fe80::/10");
        check_private(P "10.0.0.0/8\n" P "fd00::/8", 0, "10.0.0.0/8 fd00::/8");
        check_private(P "10.0.0.0/8\n" P "\n" P "fd00::/8", 0, "fd00::/8");
        check_private(P "10.0.0.0/8\n" P "no", 0, "");
        check_private(P "10.0.0.0/8\n" P "yes", 0, NETWORKS_ALL);
        /* A wrong word leaves all as it was. */
        check_private(P "localhost\n" P "10.0.0.0/8 fd00::/129", 1, "127.0.0.0/8 ::1/128");
        check_private(P "10.0.0.0/33\n" P "10.0.0/8\n" P "10.0.0.0/\n" P "/8\n" P "10.0.0.0/-1\n" P "yes localhost\n"
                      P "example.com\n" P "10.0.0.0,::1", 8, "");
        buffer_append_string(&most, P);
        for (unsigned i = 0; i < NETWORKS_MAX; i++)
                buffer_append_string(&most, " 10.0.0.1");
        expect_ok(buffer_take(&most, &all));
        beyond = asprintf_or_null("%s\n" P "::1", all);
        apply_private(all, &d, &s);
        assert_int_equal(d.n_items, 0);
        assert_int_equal(s.webhook_rules.private_networks.n, NETWORKS_MAX);
        settings_done(&s);
        apply_private(beyond, &d, &s);
        assert_int_equal(d.n_items, 1);
        assert_int_equal(s.webhook_rules.private_networks.n, NETWORKS_MAX);
        settings_done(&s);
        diagnostics_done(&d);
}

static void test_wrong(void **state)
{
        static const char *const wrong[] = {
                "[Daemon]\nMaxConcurrentRuns=0\n", "[Daemon]\nMaxConcurrentRuns=-1\n", "[Daemon]\nLauncher=docker\n",
                "[Daemon]\nStateDirectory=state\n", "[History]\nRunsMaxAgeSec=old\n", "[History]\nLauncher=unit\n",
                "[Daemon]\nNothing=1\n", "[Nowhere]\nLauncher=unit\n",
        };

        for (size_t i = 0; i < ELEMENTSOF(wrong); i++) {
                Diagnostics d = {};
                Settings s;

                apply(wrong[i], &d, &s);
                assert_int_equal(d.n_items, 1);
                assert_int_equal(d.items[0].severity, DIAGNOSTIC_WARNING);
                assert_int_equal(d.items[0].line, 2);
                assert_int_equal(s.max_concurrent_runs, 4);
                assert_int_equal(s.launcher, LAUNCHER_AUTO);
                assert_string_equal(s.state_directory, "/var/lib/syncrun");
                settings_done(&s);
                diagnostics_done(&d);
        }
}

static void test_state_directory(void **state)
{
        static const char text[] = "[Daemon]\nStateDirectory=/srv/state\n";
        Settings s;

        assert_int_equal(setenv("STATE_DIRECTORY", "/var/lib/private/x:/var/lib/y", 1), 0);
        apply(text, NULL, &s);
        assert_string_equal(s.state_directory, "/var/lib/private/x");
        settings_done(&s);
        assert_int_equal(setenv("STATE_DIRECTORY", "", 1), 0);
        apply(text, NULL, &s);
        assert_string_equal(s.state_directory, "/srv/state");
        settings_done(&s);
        assert_int_equal(unsetenv("STATE_DIRECTORY"), 0);
}

static void put(const char *name, const char *text)
{
        char *command = asprintf_or_null("mkdir -p \"$(dirname '%s')\" && printf '%%s' '%s' > '%s'", name, text, name);

        assert_int_equal(system(command), 0);
        free(command);
}

static void test_load(void **state)
{
        char base[] = "/tmp/test-settings-XXXXXX", *command, **dirs = NULL;
        Diagnostics d = {};
        Settings s;

        assert_non_null(mkdtemp(base));
        assert_int_equal(chdir(base), 0);
        assert_int_equal(setenv("SYNCRUN_CONFIG_DIRS", "etc:usr", 1), 0);
        expect_ok(settings_dirs(&dirs));
        assert_int_equal(unsetenv("SYNCRUN_CONFIG_DIRS"), 0);

        expect_ok(settings_load(dirs, &d, &s));
        assert_int_equal(s.max_concurrent_runs, 4);
        settings_done(&s);

        /* Drop-ins count without a main file too. */
        put("usr/syncrun.conf.d/10-vendor.conf", "[Daemon]\nMaxConcurrentRuns=9\nMaxQueuedRuns=9\n");
        expect_ok(settings_load(dirs, &d, &s));
        assert_int_equal(s.max_concurrent_runs, 9);
        settings_done(&s);

        put("etc/syncrun.conf", "[Daemon]\nMaxConcurrentRuns=5\nLauncher=unit\n");
        put("etc/syncrun.conf.d/20-admin.conf", "[Daemon]\nMaxQueuedRuns=6\n");
        expect_ok(settings_load(dirs, &d, &s));
        assert_int_equal(s.max_concurrent_runs, 9);
        assert_int_equal(s.max_queued_runs, 6);
        assert_int_equal(s.launcher, LAUNCHER_UNIT);
        assert_int_equal(d.n_items, 0);
        settings_done(&s);

        /* What cannot be read is told; the rest counts. */
        assert_int_equal(symlink("/", "etc/syncrun.conf.d/15-broken.conf"), 0);
        expect_ok(settings_load(dirs, &d, &s));
        assert_int_equal(s.max_concurrent_runs, 9);
        assert_int_equal(d.n_errors, 1);
        settings_done(&s);
        diagnostics_done(&d);

        command = asprintf_or_null("rm -rf '%s'", base);
        assert_int_equal(system(command), 0);
        free(command);
        strv_free(dirs);
}

static void test_dirs(void **state)
{
        char **dirs = NULL, *joined;

        expect_ok(settings_dirs(&dirs));
        joined = strv_join(dirs, " ");
        assert_string_equal(joined, "/etc/syncrun /run/syncrun /usr/lib/syncrun");
        free(joined);
        strv_free(dirs);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_defaults), cmocka_unit_test(test_everything), cmocka_unit_test(test_retries), cmocka_unit_test(test_webhooks), cmocka_unit_test(test_private_networks),
                cmocka_unit_test(test_wrong),
                cmocka_unit_test(test_state_directory), cmocka_unit_test(test_load), cmocka_unit_test(test_dirs),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
