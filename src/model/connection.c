/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/connection.h"

#include <stdlib.h>

#include "base/string-util.h"
#include "base/time-util.h"
#include "base/word.h"
#include "model/conf-values.h"
#include "model/definition.h"
#include "model/settings.h"

static const char *const connection_state_table[] = {
        [CONNECTION_ACTIVE] = "active",
        [CONNECTION_EXPIRING] = "expiring",
        [CONNECTION_LOST] = "lost",
        [CONNECTION_EXPIRED] = "expired",
        [CONNECTION_WITHDRAWN] = "withdrawn",
};
DEFINE_STRING_TABLE(connection_state, ConnectionState, _CONNECTION_STATE_MAX);

static const char *const reconnect_result_table[] = {
        [RECONNECT_SUCCESS] = "success",
        [RECONNECT_FAILED] = "failed",
        [RECONNECT_TIMEOUT] = "timeout",
        [RECONNECT_CANCELLED] = "cancelled",
        [RECONNECT_INTERRUPTED] = "interrupted",
};
DEFINE_STRING_TABLE(reconnect_result, ReconnectResult, _RECONNECT_RESULT_MAX);

ConnectionState connection_state_by_category(AttentionCategory category)
{
        switch (category) {
        case ATTENTION_CONNECTION_LOST:
                return CONNECTION_LOST;
        case ATTENTION_CONSENT_EXPIRED:
                return CONNECTION_EXPIRED;
        case ATTENTION_CONSENT_WITHDRAWN:
                return CONNECTION_WITHDRAWN;
        default:
                return CONNECTION_ACTIVE;
        }
}

AttentionCategory connection_state_category(ConnectionState state)
{
        switch (state) {
        case CONNECTION_LOST:
                return ATTENTION_CONNECTION_LOST;
        case CONNECTION_EXPIRED:
                return ATTENTION_CONSENT_EXPIRED;
        case CONNECTION_WITHDRAWN:
                return ATTENTION_CONSENT_WITHDRAWN;
        default:
                return _ATTENTION_INVALID;
        }
}

/* ---- Points in time */

void point_in_time_done(PointInTime *point)
{
        calendar_spec_free(point->spec);
        *point = (PointInTime) POINT_IN_TIME_INIT;
}

usec_t point_in_time_usec(const PointInTime *point)
{
        usec_t usec;

        if (!point->spec)
                return point->usec;
        return calendar_spec_next(point->spec, 0, &usec) >= 0 ? usec : USEC_INFINITY;
}

int point_in_time_parse(const char *text, PointInTime *ret)
{
        _cleanup_(calendar_spec_freep) CalendarSpec *spec = NULL;
        usec_t usec, again;
        int r;

        r = timestamp_parse_iso(text, &usec);
        if (r >= 0) {
                *ret = (PointInTime) { .usec = usec };
                return 0;
        }
        r = calendar_spec_parse(text, &spec);
        if (r < 0)
                return r;
        if (calendar_spec_next(spec, 0, &usec) < 0 || calendar_spec_next(spec, usec, &again) >= 0)
                return -EINVAL;
        *ret = (PointInTime) { .spec = TAKE_PTR(spec) };
        return 0;
}

static int parse_point_in_time(const ConfAssignment *a, void *data, char **ret_why)
{
        PointInTime point = POINT_IN_TIME_INIT;
        int r = isempty(a->value) ? 0 : point_in_time_parse(a->value, &point);

        if (r == -ENOMEM)
                return r;
        if (r < 0) {
                *ret_why = asprintf_or_null(r == -ENOENT
                                                    ? "'%s' names a time zone that this machine does not know."
                                                    : "'%s' is no point in time: '2027-01-31', '2027-01-31 12:00' or "
                                                      "'2027-01-31T12:00:00Z' would be right.",
                                            a->value);
                return r;
        }
        point_in_time_done(data);
        *(PointInTime *) data = point;
        return 0;
}

/* ---- Values */

/* What is wrong with a word of Accounts=, NULL if it is good. */
static const char *check_account(const char *word)
{
        if (isempty(word))
                return "is empty";
        if (strlen(word) > ACCOUNT_NAME_MAX)
                return "is too long for an account";
        return utf8_is_valid(word, strlen(word)) ? NULL : "is not in UTF-8";
}

static int parse_accounts(const ConfAssignment *a, void *data, char **ret_why)
{
        char ***l = data, *word = NULL;
        const char *p = a->value;
        int r;

        if (isempty(p)) {
                *l = strv_free(*l);
                return 0;
        }
        while ((r = word_extract(&p, &word, NULL)) > 0) {
                const char *why = check_account(word);

                if (why && !*ret_why) {
                        *ret_why = asprintf_or_null("'%.*s' %s. It is ignored.", 64, word, why);
                        if (!*ret_why)
                                r = -ENOMEM;
                } else if (!why && !strv_contains(*l, word))
                        r = strv_length(*l) < CONNECTION_ACCOUNTS_MAX ? strv_consume(l, TAKE_PTR(word)) : -E2BIG;
                word = (free(word), NULL);
                if (r < 0)
                        break;
        }
        if (r == -E2BIG || r == -EINVAL) {
                free(*ret_why);
                *ret_why = r == -E2BIG ? asprintf_or_null("There are more than %u accounts.", CONNECTION_ACCOUNTS_MAX)
                                       : asprintf_or_null("A quote is left open in '%.*s'.", 64, p);
        }
        return r < 0 ? r : !!*ret_why;
}

#define ITEM(section, key, parse, field, severity)                                                                   \
        {                                                                                                            \
                section, key, parse, offsetof(ConnectionDefinition, field), DIAGNOSTIC_##severity                    \
        }

static const ConfItem items[] = {
        ITEM("Connection", "Description", conf_parse_string, description, WARNING),
        ITEM("Connection", "Provider", conf_parse_provider, provider, ERROR),
        ITEM("Connection", "User", conf_parse_user, user_id, ERROR),
        ITEM("Connection", "Accounts", parse_accounts, accounts, WARNING),
        ITEM("Connection", "ConsentExpires", parse_point_in_time, consent_expires, ERROR),
        ITEM("Connection", "ExpiryWarningSec", conf_parse_seconds, warning_usec, WARNING),

        ITEM("Reconnect", "ExecReconnect", conf_parse_command, exec_reconnect, ERROR),
        ITEM("Reconnect", "Environment", conf_parse_environment, environment, WARNING),
        ITEM("Reconnect", "TimeoutSec", conf_parse_timeout, timeout_usec, WARNING),
        {},
};

/* ---- Definitions */

static void definition_free(ConnectionDefinition *definition)
{
        free(definition->name);
        free(definition->load_error);
        conf_done(&definition->conf);
        free(definition->path);
        free(definition->description);
        free(definition->provider);
        free(definition->user_id);
        strv_free(definition->accounts);
        point_in_time_done(&definition->consent_expires);
        strv_free(definition->exec_reconnect);
        strv_free(definition->environment);
        free(definition);
}

ConnectionDefinition *connection_definition_ref(ConnectionDefinition *definition)
{
        definition->n_ref++;
        return definition;
}

ConnectionDefinition *connection_definition_unref(ConnectionDefinition *definition)
{
        if (definition && --definition->n_ref == 0)
                definition_free(definition);
        return NULL;
}

bool connection_definition_equal(const ConnectionDefinition *a, const ConnectionDefinition *b)
{
        if (!streq(a->name, b->name) || a->load_state != b->load_state || !conf_equal(&a->conf, &b->conf))
                return false;
        return !a->path || !b->path || (streq(a->path, b->path) && streq_null(a->load_error, b->load_error));
}

static int make(const char *name, Conf *conf, const char *path, Diagnostics *own, void *ret)
{
        _cleanup_(connection_definition_unrefp) ConnectionDefinition *definition =
                        calloc(1, sizeof(ConnectionDefinition));
        const Diagnostic *first;
        int r;

        if (!definition)
                return -ENOMEM;
        *definition = (ConnectionDefinition) {
                .n_ref = 1,
                .consent_expires = POINT_IN_TIME_INIT,
                .warning_usec = CONSENT_WARNING_DEFAULT_USEC,
                .timeout_usec = RECONNECT_TIMEOUT_DEFAULT_USEC,
        };
        if (free_and_strdup(&definition->name, name) < 0 || free_and_strdup(&definition->path, path) < 0)
                return -ENOMEM;
        r = conf_apply(conf, items, definition, own);
        if (r >= 0 && !definition->provider)
                r = free_and_strdup(&definition->provider, name);
        if (r < 0)
                return r;
        if (own->n_errors > 0) {
                first = diagnostics_first(own);
                definition->load_state = LOAD_BAD_SETTING;
                definition->load_error = first ? diagnostic_format(first) : NULL;
                if (!definition->load_error)
                        return -ENOMEM;
        }
        definition->conf = *conf;
        *conf = (Conf) {};
        *(ConnectionDefinition **) ret = TAKE_PTR(definition);
        return 0;
}

static const DefinitionType connection_type = { ".connection", make };

int connection_definition_parse(const char *name, Conf *conf, const char *path, Diagnostics *d,
                                ConnectionDefinition **ret)
{
        return definition_parse(&connection_type, name, conf, path, d, ret);
}

int connection_definition_load(char *const *dirs, const char *name, Diagnostics *d, ConnectionDefinition **ret)
{
        return definition_load(&connection_type, dirs, name, d, ret);
}

int connection_dirs(char ***ret)
{
        return settings_dirs_below("connections", ret);
}
