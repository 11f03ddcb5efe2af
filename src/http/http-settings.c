/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "http/http-settings.h"

#include <stdlib.h>
#include <string.h>

#include "base/string-util.h"
#include "http/peer.h"

/* Below this, what browsers and proxies send by themselves would be refused. */
#define HEAD_MIN_BYTES 1024U

#define DIGITS "0123456789"
#define LOWER  "abcdefghijklmnopqrstuvwxyz"

static int parse_bytes(const ConfAssignment *a, void *data, char **ret_why)
{
        unsigned value;
        int r = conf_parse_unsigned(a, &value, ret_why);

        if (r < 0)
                return r;
        if (value < HEAD_MIN_BYTES) {
                *ret_why = asprintf_or_null("It takes %u bytes at least.", HEAD_MIN_BYTES);
                return *ret_why ? -ERANGE : -ENOMEM;
        }
        *(unsigned *) data = value;
        return 0;
}

static int refuse(const char *words, char **ret_why)
{
        *ret_why = strdup(words);
        return *ret_why ? -EINVAL : -ENOMEM;
}

static int parse_proxy(const ConfAssignment *a, void *data, char **ret_why)
{
        Peer peer;

        if (!isempty(a->value) && !streq(a->value, "unix") && peer_from_text(a->value, &peer) < 0)
                return refuse("It takes an IPv4 or IPv6 address, or \"unix\", one a line.", ret_why);
        return conf_parse_strv(a, data, ret_why);
}

/* As browsers write it: lower case, and nothing behind the host but a port. */
static bool is_origin(const char *text)
{
        size_t scheme = strspn(text, LOWER DIGITS "+-."), host;
        const char *rest = text + scheme;

        if (scheme == 0 || !startswith(rest, "://"))
                return false;
        rest += strlen("://");
        host = *rest == '[' ? strspn(rest, "[" DIGITS "abcdef:.") : strspn(rest, LOWER DIGITS "-._");
        if (host == 0 || (*rest == '[' && rest[host++] != ']'))
                return false;
        rest += host;
        if (*rest == ':' && rest[1])
                rest += 1 + strspn(rest + 1, DIGITS);
        return *rest == '\0';
}

static int parse_origin(const ConfAssignment *a, void *data, char **ret_why)
{
        if (!isempty(a->value) && !streq(a->value, "*") && !streq(a->value, "null") && !is_origin(a->value))
                return refuse("It takes \"*\" or an origin as browsers send it: SCHEME://HOST or SCHEME://HOST:PORT "
                              "in lower case and without a path, one a line.",
                              ret_why);
        return conf_parse_strv(a, data, ret_why);
}

#define ITEM(section, key, parse, field)                                               \
        {                                                                              \
                section, key, parse, offsetof(HttpSettings, field), DIAGNOSTIC_WARNING \
        }

static const ConfItem items[] = {
        ITEM("Server", "IdleExitSec", conf_parse_timeout, idle_exit_usec),
        ITEM("Server", "KeepAliveSec", conf_parse_timeout, keep_alive_usec),
        ITEM("Server", "AllowOrigin", parse_origin, allow_origin),
        ITEM("Server", "TrustedProxy", parse_proxy, trusted_proxy),
        ITEM("Server", "MetricsWithoutKey", conf_parse_bool, metrics_without_key),

        ITEM("Tokens", "KeysDirectory", conf_parse_path, token_keys_folder),
        ITEM("Tokens", "Issuer", conf_parse_strv, token_issuer),
        ITEM("Tokens", "Audience", conf_parse_strv, token_audience),
        ITEM("Tokens", "UserClaim", conf_parse_string, token_user_claim),
        ITEM("Tokens", "LeewaySec", conf_parse_seconds, token_leeway_usec),

        ITEM("Limits", "ConnectionsMax", conf_parse_count, connections_max),
        ITEM("Limits", "ConnectionsPerAddressMax", conf_parse_count, connections_per_address_max),
        ITEM("Limits", "HeadTimeoutSec", conf_parse_timeout, head_timeout_usec),
        ITEM("Limits", "BodyTimeoutSec", conf_parse_timeout, body_timeout_usec),
        ITEM("Limits", "SendTimeoutSec", conf_parse_timeout, send_timeout_usec),
        ITEM("Limits", "AnswerTimeoutSec", conf_parse_timeout, answer_timeout_usec),
        ITEM("Limits", "HeadMaxBytes", parse_bytes, head_max_bytes),
        ITEM("Limits", "BodyMaxBytes", parse_bytes, body_max_bytes),
        ITEM("Limits", "AnswersMaxBytes", parse_bytes, answers_max_bytes),
        ITEM("Limits", "RequestsPerMinute", conf_parse_count, requests_per_minute),
        ITEM("Limits", "FailuresPerMinute", conf_parse_count, failures_per_minute),

        ITEM("Streams", "StreamsMax", conf_parse_count, streams_max),
        ITEM("Streams", "StreamsPerKeyMax", conf_parse_count, streams_per_key_max),
        ITEM("Streams", "BacklogMaxBytes", parse_bytes, backlog_max_bytes),
        ITEM("Streams", "BacklogsMaxBytes", parse_bytes, backlogs_max_bytes),
        {},
};

void http_settings_init(HttpSettings *settings)
{
        *settings = (HttpSettings){
                .idle_exit_usec = 2 * USEC_PER_MINUTE,
                .keep_alive_usec = USEC_PER_MINUTE,
                .token_leeway_usec = 30 * USEC_PER_SEC,
                .connections_max = 16384,
                .connections_per_address_max = 1024,
                .head_timeout_usec = 10 * USEC_PER_SEC,
                .body_timeout_usec = USEC_PER_MINUTE,
                .send_timeout_usec = USEC_PER_MINUTE,
                .answer_timeout_usec = 10 * USEC_PER_MINUTE,
                .head_max_bytes = 4 * KIB,
                .body_max_bytes = 4 * MIB,
                .answers_max_bytes = 256 * MIB,
                .requests_per_minute = 6000,
                .failures_per_minute = 30,
                .streams_max = 16384,
                .streams_per_key_max = 4096,
                .backlog_max_bytes = 256 * KIB,
                .backlogs_max_bytes = 256 * MIB,
        };
}

void http_settings_done(HttpSettings *settings)
{
        strv_free(settings->allow_origin);
        strv_free(settings->trusted_proxy);
        free(settings->token_keys_folder);
        strv_free(settings->token_issuer);
        strv_free(settings->token_audience);
        free(settings->token_user_claim);
        http_settings_init(settings);
}

int http_settings_load(char *const *dirs, Diagnostics *d, HttpSettings *ret)
{
        static const char name[] = "syncrun-http.conf";
        _cleanup_http_settings_ HttpSettings settings;
        _cleanup_conf_ Conf conf = {};
        int r;

        http_settings_init(&settings);
        r = conf_load_object(&conf, dirs, name, d, NULL);
        if (r == 0)
                r = conf_load_dropins(&conf, dirs, name, d);
        if (r == -ENOMEM)
                return r;
        r = conf_apply(&conf, items, &settings, d);
        if (r < 0)
                return r;
        *ret = settings;
        http_settings_init(&settings);
        return 0;
}
