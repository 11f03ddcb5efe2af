/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/options.h"

#include <getopt.h>

#include "base/string-util.h"
#include "base/time-util.h"
#include "ctl/ctl.h"
#include "ctl/time-parse.h"
#include "model/api-key.h"
#include "model/run.h"
#include "model/webhook.h"

/* The first ones are a CtlOption + ARG_FIRST. */
enum {
        ARG_FIRST = 0x100,
        ARG_VERSION = ARG_FIRST + _CTL_OPTION_MAX,
        ARG_JSON,
        ARG_NO_PAGER,
        ARG_NO_LEGEND,
};

static const struct option long_options[] = {
        /* The first _CTL_OPTION_MAX rows, so that an option's name can be told. */
        [OPTION_HOST] = { "host", required_argument, NULL, 'H' },
        [OPTION_FULL] = { "full", no_argument, NULL, ARG_FIRST + OPTION_FULL },
        [OPTION_WAIT] = { "wait", no_argument, NULL, ARG_FIRST + OPTION_WAIT },
        [OPTION_REASON] = { "reason", required_argument, NULL, ARG_FIRST + OPTION_REASON },
        [OPTION_ACCOUNTS] = { "accounts", required_argument, NULL, ARG_FIRST + OPTION_ACCOUNTS },
        [OPTION_PROVIDER] = { "provider", required_argument, NULL, ARG_FIRST + OPTION_PROVIDER },
        [OPTION_USER] = { "user", required_argument, NULL, ARG_FIRST + OPTION_USER },
        [OPTION_SOURCE] = { "source", required_argument, NULL, ARG_FIRST + OPTION_SOURCE },
        [OPTION_OUTCOME] = { "outcome", required_argument, NULL, ARG_FIRST + OPTION_OUTCOME },
        [OPTION_ACTIVE] = { "active", no_argument, NULL, ARG_FIRST + OPTION_ACTIVE },
        [OPTION_ATTENTION] = { "attention", no_argument, NULL, ARG_FIRST + OPTION_ATTENTION },
        [OPTION_SINCE] = { "since", required_argument, NULL, ARG_FIRST + OPTION_SINCE },
        [OPTION_UNTIL] = { "until", required_argument, NULL, ARG_FIRST + OPTION_UNTIL },
        [OPTION_LINES] = { "lines", required_argument, NULL, 'n' },
        [OPTION_FOLLOW] = { "follow", no_argument, NULL, 'f' },
        [OPTION_PAGE] = { "page", required_argument, NULL, ARG_FIRST + OPTION_PAGE },
        [OPTION_BASE_TIME] = { "base-time", required_argument, NULL, ARG_FIRST + OPTION_BASE_TIME },
        [OPTION_ITERATIONS] = { "iterations", required_argument, NULL, ARG_FIRST + OPTION_ITERATIONS },
        [OPTION_SCOPE] = { "scope", required_argument, NULL, ARG_FIRST + OPTION_SCOPE },
        [OPTION_URL] = { "url", required_argument, NULL, ARG_FIRST + OPTION_URL },
        [OPTION_DESCRIPTION] = { "description", required_argument, NULL, ARG_FIRST + OPTION_DESCRIPTION },
        [OPTION_TYPES] = { "types", required_argument, NULL, ARG_FIRST + OPTION_TYPES },
        [OPTION_ENABLE] = { "enable", no_argument, NULL, ARG_FIRST + OPTION_ENABLE },
        [OPTION_DISABLE] = { "disable", no_argument, NULL, ARG_FIRST + OPTION_DISABLE },
        [OPTION_AT_ONCE] = { "at-once", no_argument, NULL, ARG_FIRST + OPTION_AT_ONCE },
        [OPTION_DONE] = { "done", no_argument, NULL, ARG_FIRST + OPTION_DONE },
        [OPTION_EXPIRES] = { "expires", required_argument, NULL, ARG_FIRST + OPTION_EXPIRES },
        [OPTION_DELETE_ITEMS] = { "delete-items", no_argument, NULL, ARG_FIRST + OPTION_DELETE_ITEMS },
        { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, ARG_VERSION },
        { "json", required_argument, NULL, ARG_JSON },
        { "no-pager", no_argument, NULL, ARG_NO_PAGER },
        { "no-legend", no_argument, NULL, ARG_NO_LEGEND },
        { "quiet", no_argument, NULL, 'q' },
        {},
};

static const char short_options[] = "hH:qn:f";

static int parse_json_mode(const char *word, JsonMode *ret)
{
        static const char *const modes[_JSON_MODE_MAX] = { "off", "short", "pretty" };

        for (int i = 0; i < _JSON_MODE_MAX; i++)
                if (streq(modes[i], word)) {
                        *ret = (JsonMode) i;
                        return 0;
                }
        return ctl_usage_error("--json= takes short, pretty or off, not \"%s\".", word);
}

static int parse_count(const char *option, const char *text, uint32_t max, uint32_t *ret)
{
        uint64_t value;

        if (parse_uint64(text, &value) < 0 || value < 1 || value > max)
                return ctl_usage_error("--%s= takes a number from 1 to %u, not \"%s\".", option, max, text);
        *ret = (uint32_t) value;
        return 0;
}

static int parse_time(const char *option, const char *text, usec_t *ret)
{
        int r = time_parse(text, now_usec(CLOCK_REALTIME), ret);

        if (r == -ERANGE)
                return ctl_usage_error("--%s=%s is out of range: from 1970 on.", option, text);
        if (r < 0)
                return ctl_usage_error("--%s= takes a time such as \"2026-11-21 08:00\", \"yesterday\" or \"2h ago\", "
                                       "not \"%s\".",
                                       option, text);
        return 0;
}

static int parse_outcome(const char *word, const char **ret)
{
        if (run_outcome_from_string(word) < 0)
                return ctl_usage_error(
                                "--outcome= takes succeeded, partial, failed, cancelled or skipped, not \"%s\".",
                                word);
        *ret = word;
        return 0;
}

static int parse_source(const char *word, const char **ret)
{
        if (run_source_from_string(word) < 0)
                return ctl_usage_error(
                                "--source= takes pull, webhook, sdk, backfill, xml_import or linked_account, not "
                                "\"%s\".",
                                word);
        *ret = word;
        return 0;
}

static int parse_user(const char *text, const char **ret)
{
        if (!uuid_is_valid(text) && !isempty(text))
                return ctl_usage_error("--user= takes a UUID, not \"%s\". See 'syncrunctl users'.", text);
        *ret = text;
        return 0;
}

static int parse_provider(const char *text, const char **ret)
{
        if (!provider_slug_is_valid(text))
                return ctl_usage_error("--provider= takes a slug of a-z, 0-9, - and _, not \"%s\".", text);
        *ret = text;
        return 0;
}

static int parse_scope(const char *text, const char **ret)
{
        _cleanup_strv_free_ char **words = NULL;
        unsigned scopes;

        if (strv_split(text, ",", &words) < 0)
                return ctl_oom();
        if (api_scopes_from_words(words, NULL, &scopes) < 0)
                return ctl_usage_error("--scope= takes sync:read, sync:write and sync:admin, with commas between "
                                       "them, not \"%s\".",
                                       text);
        *ret = text;
        return 0;
}

static int parse_types(const char *text, const char **ret)
{
        _cleanup_strv_free_ char **words = NULL;
        unsigned types;

        if (strv_split(text, ",", &words) < 0)
                return ctl_oom();
        if (!streq(text, "all") && (!words || webhook_types_from_words(words, &types) < 0))
                return ctl_usage_error("--types= takes all, or sync.started, sync.completed, sync.failed, "
                                       "sync.cancelled, sync.needs_attention and sync.recovered, with commas between "
                                       "them, not \"%s\".",
                                       text);
        *ret = text;
        return 0;
}

static int parse_some(CtlOptions *o, CtlOption option, const char *value)
{
        const char *name = long_options[option].name;

        o->given |= 1U << option;
        switch (option) {
        case OPTION_HOST:
                if (isempty(value))
                        return ctl_usage_error("--host= takes [USER@]HOST, another machine that ssh reaches.");
                o->host = value;
                return 0;
        case OPTION_REASON:
                o->reason = value;
                return 0;
        case OPTION_ACCOUNTS:
                o->accounts = value;
                return 0;
        case OPTION_PROVIDER:
                return parse_provider(value, &o->provider);
        case OPTION_USER:
                return parse_user(value, &o->user);
        case OPTION_SOURCE:
                return parse_source(value, &o->source);
        case OPTION_OUTCOME:
                return parse_outcome(value, &o->outcome);
        case OPTION_SINCE:
                return parse_time(name, value, &o->since_usec);
        case OPTION_EXPIRES:
                return parse_time(name, value, &o->expires_usec);
        case OPTION_UNTIL:
                return parse_time(name, value, &o->until_usec);
        case OPTION_LINES:
                return parse_count(name, value, LINES_MAX, &o->lines);
        case OPTION_PAGE:
                o->page = value;
                return 0;
        case OPTION_SCOPE:
                return parse_scope(value, &o->scope);
        case OPTION_URL:
                o->url = value;
                return 0;
        case OPTION_DESCRIPTION:
                o->description = value;
                return 0;
        case OPTION_TYPES:
                return parse_types(value, &o->types);
        case OPTION_BASE_TIME:
                return parse_time(name, value, &o->base_usec);
        case OPTION_ITERATIONS:
                return parse_count(name, value, ITERATIONS_MAX, &o->iterations);
        default:
                return 0; /* a switch: the bit says it */
        }
}

static int parse_one(CtlOptions *o, int c, const char *value)
{
        switch (c) {
        case 'h':
                o->help = true;
                return 0;
        case 'H':
                return parse_some(o, OPTION_HOST, value);
        case 'f':
                return parse_some(o, OPTION_FOLLOW, value);
        case 'n':
                return parse_some(o, OPTION_LINES, value);
        case 'q':
                o->quiet = true;
                return 0;
        case ARG_VERSION:
                o->version = true;
                return 0;
        case ARG_JSON:
                return parse_json_mode(value, &o->json);
        case ARG_NO_PAGER:
                o->pager = false;
                return 0;
        case ARG_NO_LEGEND:
                o->legend = false;
                return 0;
        case '?':
                return ctl_usage_error("See 'syncrunctl --help'.");
        default:
                return parse_some(o, (CtlOption) (c - ARG_FIRST), value);
        }
}

int options_parse(int argc, char **argv, CtlOptions *ret, int *ret_first)
{
        CtlOptions options = { .pager = true, .legend = true, .iterations = 1 };
        int c, status;

        static_assert(_CTL_OPTION_MAX <= 32, "a bit for each option");
        while ((c = getopt_long(argc, argv, short_options, long_options, NULL)) >= 0) {
                status = parse_one(&options, c, optarg);
                if (status != 0)
                        return status;
        }
        *ret = options;
        *ret_first = optind;
        return 0;
}

static const char *option_name(int c)
{
        for (const struct option *o = long_options; o->name; o++)
                if (o->val == c)
                        return o->name;
        return NULL;
}

int options_of_host(int argc, char **argv, char ***ret)
{
        _cleanup_strv_free_ char **words = NULL;
        int c, r;

        optind = 0; /* from the beginning */
        while ((c = getopt_long(argc, argv, short_options, long_options, NULL)) >= 0) {
                const char *name = option_name(c);

                if (c == 'H' || !name)
                        continue;
                r = strv_consume(&words, asprintf_or_null("--%s%s%s", name, optarg ? "=" : "", strempty(optarg)));
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(words);
        return 0;
}

int options_check(const CtlOptions *options, const char *verb, uint32_t taken)
{
        for (int i = 0; i < _CTL_OPTION_MAX; i++) {
                if (!option_given(options, (CtlOption) i) || (taken & (1U << i)))
                        continue;
                if (i == OPTION_HOST)
                        return ctl_usage_error("'%s' does not take --host. It looks at files or programs of this "
                                               "machine, not at the service: try 'ssh %s syncrunctl %s'.",
                                               verb, options->host, verb);
                return ctl_usage_error("'%s' does not take --%s. See 'syncrunctl --help'.", verb,
                                       long_options[i].name);
        }
        /* It clears what was said, where there is something that can change. */
        if (options->user && isempty(options->user) && !(taken & (1U << OPTION_URL)))
                return ctl_usage_error("--user= takes a UUID here. See 'syncrunctl users'.");
        return 0;
}
