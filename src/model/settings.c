/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/settings.h"

#include "base/names.h"
#include "base/string-util.h"
#include "base/time-util.h"
#include "config.h"

static const char *const launcher_type_table[] = {
        [LAUNCHER_AUTO] = "auto",
        [LAUNCHER_UNIT] = "unit",
        [LAUNCHER_CHILD] = "child",
};
DEFINE_STRING_TABLE(launcher_type, LauncherType, _LAUNCHER_TYPE_MAX);
DEFINE_CONF_PARSE_TABLE(parse_launcher, launcher_type, LauncherType, _LAUNCHER_TYPE_MAX);

#define RETRY_DELAY_MAX_USEC (30 * USEC_PER_DAY)

#define ITEM(section, key, parse, field)                                                                             \
        {                                                                                                            \
                section, key, parse, offsetof(Settings, field), DIAGNOSTIC_WARNING                                   \
        }

/* usec_t[WEBHOOK_RETRIES_MAX] and the size_t behind it. Nothing stands for no retries. */
static int parse_retries(const ConfAssignment *a, void *data, char **ret_why)
{
        Settings *settings = container_of(data, Settings, webhook_retries);
        _cleanup_strv_free_ char **words = NULL;
        usec_t delays[WEBHOOK_RETRIES_MAX];
        size_t n = 0;

        if (strv_split(a->value, WHITESPACE, &words) < 0)
                return -ENOMEM;
        STRV_FOREACH(word, words) {
                if (n == WEBHOOK_RETRIES_MAX) {
                        *ret_why = asprintf_or_null("There are at most %u delays.", WEBHOOK_RETRIES_MAX);
                        return *ret_why ? -E2BIG : -ENOMEM;
                }
                if (timespan_parse(*word, USEC_PER_SEC, &delays[n]) < 0 || delays[n] > RETRY_DELAY_MAX_USEC) {
                        *ret_why = asprintf_or_null("'%s' is not a time span of at most 30d.", *word);
                        return *ret_why ? -EINVAL : -ENOMEM;
                }
                n++;
        }
        (void) memcpy(settings->webhook_retries, delays, n * sizeof(usec_t));
        settings->n_webhook_retries = n;
        return 0;
}

/* Networks. What a boolean says is said of all. */
static int parse_networks(const ConfAssignment *a, void *data, char **ret_why)
{
        int r = parse_boolean(a->value);
        Networks *networks = data;

        if (r >= 0 || isempty(a->value))
                networks->n = 0;
        if (r == 0)
                return 0;
        return networks_add(networks, r > 0 ? NETWORKS_ALL : a->value, ret_why);
}

static const ConfItem items[] = {
        ITEM("Daemon", "MaxConcurrentRuns", conf_parse_count, max_concurrent_runs),
        ITEM("Daemon", "MaxConcurrentRunsPerProvider", conf_parse_count, max_concurrent_runs_per_provider),
        ITEM("Daemon", "MaxQueuedRuns", conf_parse_count, max_queued_runs),
        ITEM("Daemon", "AuthorizationTimeoutSec", conf_parse_timeout, authorization_timeout_usec),
        ITEM("Daemon", "Launcher", parse_launcher, launcher),
        ITEM("Daemon", "StateDirectory", conf_parse_path, state_directory),

        ITEM("History", "EventsMaxAgeSec", conf_parse_timeout, events_max_age_usec),
        ITEM("History", "EventsMaxPerUser", conf_parse_count, events_max_per_user),
        ITEM("History", "RunsMaxAgeSec", conf_parse_timeout, runs_max_age_usec),
        ITEM("History", "RunsMaxPerConnector", conf_parse_count, runs_max_per_connector),
        ITEM("History", "FailedRunsMaxAgeSec", conf_parse_timeout, failed_runs_max_age_usec),
        ITEM("History", "FailedRunsMaxPerConnector", conf_parse_count, failed_runs_max_per_connector),
        ITEM("History", "SkippedRunsMaxAgeSec", conf_parse_timeout, skipped_runs_max_age_usec),
        ITEM("History", "SkippedRunsMaxPerConnector", conf_parse_count, skipped_runs_max_per_connector),

        ITEM("Activity", "MaxRuns", conf_parse_count, activity_max_runs),
        ITEM("Activity", "MaxAccountRows", conf_parse_count, activity_max_account_rows),

        ITEM("Reports", "SilenceTimeoutSec", conf_parse_timeout, silence_timeout_usec),
        ITEM("Reports", "MaxOpenRuns", conf_parse_count, max_open_runs),
        ITEM("Reports", "MaxUsers", conf_parse_count, max_users),

        ITEM("Webhooks", "MaxRequests", conf_parse_count, webhook_max_requests),
        ITEM("Webhooks", "MaxRequestsPerEndpoint", conf_parse_count, webhook_max_requests_per_endpoint),
        ITEM("Webhooks", "TimeoutSec", conf_parse_seconds, webhook_rules.timeout_usec),
        ITEM("Webhooks", "RetrySec", parse_retries, webhook_retries),
        ITEM("Webhooks", "DisableAfterSec", conf_parse_timeout, webhook_disable_after_usec),
        ITEM("Webhooks", "AllowHTTP", conf_parse_bool, webhook_rules.allow_http),
        ITEM("Webhooks", "AllowAddressLiterals", conf_parse_bool, webhook_rules.allow_literals),
        ITEM("Webhooks", "AllowPrivateAddresses", parse_networks, webhook_rules.private_networks),
        ITEM("Webhooks", "CertificateAuthorityFile", conf_parse_path, webhook_rules.ca_file),
        ITEM("Webhooks", "MessagesMaxAgeSec", conf_parse_timeout, webhook_messages_max_age_usec),
        ITEM("Webhooks", "MessagesMax", conf_parse_count, webhook_messages_max),
        {},
};

void settings_init(Settings *settings)
{
        *settings = (Settings) {
                .max_concurrent_runs = 4,
                .max_concurrent_runs_per_provider = 2,
                .max_queued_runs = 10000,
                .authorization_timeout_usec = 2 * USEC_PER_MINUTE,
                .launcher = LAUNCHER_AUTO,
                .events_max_age_usec = USEC_PER_DAY,
                .events_max_per_user = 100000,
                .runs_max_age_usec = 90 * USEC_PER_DAY,
                .runs_max_per_connector = 10000,
                .failed_runs_max_age_usec = 365 * USEC_PER_DAY,
                .failed_runs_max_per_connector = 10000,
                .skipped_runs_max_age_usec = 7 * USEC_PER_DAY,
                .skipped_runs_max_per_connector = 10000,
                .activity_max_runs = 25,
                .activity_max_account_rows = 250,
                .silence_timeout_usec = USEC_PER_HOUR,
                .max_open_runs = 10000,
                .max_users = 100000,
                .webhook_max_requests = 64,
                .webhook_max_requests_per_endpoint = 4,
                .webhook_rules.timeout_usec = WEBHOOK_TIMEOUT_USEC,
                /* Svix's: eight attempts within 27 hours and a half. */
                .webhook_retries = { 5 * USEC_PER_SEC, 5 * USEC_PER_MINUTE, 30 * USEC_PER_MINUTE, 2 * USEC_PER_HOUR,
                                     5 * USEC_PER_HOUR, 10 * USEC_PER_HOUR, 10 * USEC_PER_HOUR },
                .n_webhook_retries = 7,
                .webhook_disable_after_usec = 5 * USEC_PER_DAY,
                .webhook_messages_max_age_usec = 14 * USEC_PER_DAY,
                .webhook_messages_max = 200000,
        };
}

void settings_done(Settings *settings)
{
        free(settings->state_directory);
        free(settings->webhook_rules.ca_file);
        settings_init(settings);
}

/* systemd may name several folders; the first is ours. */
static int choose_state_directory(Settings *settings)
{
        const char *given = getenv("STATE_DIRECTORY");

        if (isempty(given)) {
                if (settings->state_directory)
                        return 0;
                given = SYNCRUN_LOCALSTATEDIR "/lib/syncrun";
        }
        free(settings->state_directory);
        settings->state_directory = strndup(given, strcspn(given, ":"));
        return settings->state_directory ? 0 : -ENOMEM;
}

int settings_apply(const Conf *conf, Diagnostics *d, Settings *ret)
{
        _cleanup_settings_ Settings settings;
        int r;

        settings_init(&settings);
        r = conf_apply(conf, items, &settings, d);
        if (r >= 0)
                r = choose_state_directory(&settings);
        if (r < 0)
                return r;
        *ret = settings;
        settings_init(&settings);
        return 0;
}

int settings_load(char *const *dirs, Diagnostics *d, Settings *ret)
{
        static const char name[] = "syncrun.conf";
        _cleanup_conf_ Conf conf = {};
        int r;

        r = conf_load_object(&conf, dirs, name, d, NULL);
        if (r == 0)
                r = conf_load_dropins(&conf, dirs, name, d);
        if (r == -ENOMEM)
                return r;
        return settings_apply(&conf, d, ret);
}

int settings_dirs(char ***ret)
{
        static const char usual[] = SYNCRUN_SYSCONFDIR "/syncrun:/run/syncrun:" SYNCRUN_PKGLIBDIR;
        const char *given = getenv(SYNCRUN_ENV_CONFIG_DIRS);

        return strv_split(isempty(given) ? usual : given, ":", ret);
}

int settings_dirs_below(const char *name, char ***ret)
{
        _cleanup_strv_free_ char **bases = NULL, **dirs = NULL;
        int r;

        r = settings_dirs(&bases);
        if (r < 0)
                return r;
        STRV_FOREACH(base, bases) {
                r = strv_consume(&dirs, asprintf_or_null("%s/%s", *base, name));
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(dirs);
        return 0;
}
