/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the settings of a connector file mean: one table, the parsers of its values, and the checks of the whole. */

#include "model/connector-parse.h"

#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

#include "base/string-util.h"
#include "base/time-util.h"
#include "model/command-line.h"
#include "model/conf-values.h"

DEFINE_CONF_PARSE_TABLE(parse_source, run_source, RunSource, _RUN_SOURCE_MAX);
DEFINE_CONF_PARSE_TABLE(parse_overlap, overlap_policy, OverlapPolicy, _OVERLAP_MAX);
DEFINE_CONF_PARSE_TABLE(parse_destination, destination_type, DestinationType, _DESTINATION_MAX);

static int parse_connection(const ConfAssignment *a, void *data, char **ret_why)
{
        if (!isempty(a->value) && !connector_name_is_valid(a->value)) {
                *ret_why = asprintf_or_null("'%s' is no connection: up to %u of a-z, 0-9, '_', '-', first a letter, "
                                            "would be right.", a->value, CONNECTOR_NAME_MAX);
                return -EINVAL;
        }
        return conf_parse_string(a, data, ret_why);
}

void connector_clear_calendars(ConnectorDefinition *definition)
{
        for (size_t i = 0; i < definition->n_calendars; i++) {
                free(definition->calendars[i].text);
                calendar_spec_free(definition->calendars[i].spec);
        }
        free(definition->calendars);
        definition->calendars = NULL;
        definition->n_calendars = 0;
}

static char *why_no_calendar(const char *value, int error)
{
        switch (error) {
        case -ERANGE:
                return asprintf_or_null("'%s' has a number that is out of its range.", value);
        case -ENOENT:
                return asprintf_or_null("'%s' names a time zone that this machine does not know.", value);
        default:
                return asprintf_or_null("'%s' is no calendar event: 'daily', 'Mon..Fri 09:00' or '*:0/15' would be "
                                        "right.", value);
        }
}

static int parse_calendar(const ConfAssignment *a, void *data, char **ret_why)
{
        _cleanup_(calendar_spec_freep) CalendarSpec *spec = NULL;
        ConnectorDefinition *definition = data;
        CalendarItem *longer;
        char *text;
        int r;

        if (isempty(a->value)) {
                connector_clear_calendars(definition);
                return 0;
        }
        r = calendar_spec_parse(a->value, &spec);
        if (r == -ENOMEM)
                return r;
        if (r < 0) {
                *ret_why = why_no_calendar(a->value, r);
                return r;
        }
        if (definition->n_calendars >= CALENDAR_SPECS_MAX) {
                *ret_why = asprintf_or_null("There are more than %u calendar events.", CALENDAR_SPECS_MAX);
                return -E2BIG;
        }
        longer = reallocarray(definition->calendars, definition->n_calendars + 1, sizeof(CalendarItem));
        if (!longer)
                return -ENOMEM;
        definition->calendars = longer;
        text = strdup(a->value);
        if (!text)
                return -ENOMEM;
        definition->calendars[definition->n_calendars++] = (CalendarItem) { text, TAKE_PTR(spec) };
        return 0;
}

static int parse_every(const ConfAssignment *a, void *data, char **ret_why)
{
        usec_t usec = 0;
        int r = isempty(a->value) ? 0 : conf_parse_seconds(a, &usec, ret_why);

        if (r < 0)
                return r;
        if (!isempty(a->value) && usec < EVERY_MIN_USEC) {
                *ret_why = asprintf_or_null("'%s' is less than a second.", a->value);
                return -ERANGE;
        }
        *(usec_t *) data = usec;
        return 0;
}

void connector_clear_transforms(ConnectorDefinition *definition)
{
        for (size_t i = 0; i < definition->n_transforms; i++)
                strv_free(definition->exec_transforms[i]);
        free(definition->exec_transforms);
        definition->exec_transforms = NULL;
        definition->n_transforms = 0;
}

static int parse_transform(const ConfAssignment *a, void *data, char **ret_why)
{
        _cleanup_strv_free_ char **words = NULL;
        ConnectorDefinition *definition = data;
        char ***longer;
        int r;

        r = conf_split_command(a->value, &words, ret_why);
        if (r < 0)
                return r;
        if (!words) {
                connector_clear_transforms(definition);
                return 0;
        }
        if (definition->n_transforms >= TRANSFORMS_MAX) {
                free(*ret_why);
                *ret_why = asprintf_or_null("There are more than %u filters.", TRANSFORMS_MAX);
                return -E2BIG;
        }
        longer = reallocarray(definition->exec_transforms, definition->n_transforms + 1, sizeof(char **));
        if (!longer)
                return -ENOMEM;
        definition->exec_transforms = longer;
        longer[definition->n_transforms++] = TAKE_PTR(words);
        return r;
}

/* A path that is absolute once its specifiers are expanded. */
static int parse_path(const ConfAssignment *a, void *data, char **ret_why)
{
        const char *bad = specifiers_check(a->value);

        if (bad) {
                *ret_why = why_unknown_specifier(bad);
                return -EINVAL;
        }
        if (!isempty(a->value) && !specifier_path_is_absolute(a->value)) {
                *ret_why = asprintf_or_null("'%s' is no absolute path: it begins with none of '/', '%%S/' and '%%d/'.",
                                            a->value);
                return -EINVAL;
        }
        return conf_parse_string(a, data, ret_why);
}

/* http[s]://HOST[:PORT][/...], by its letters alone; what the host resolves to is seen when it is called. */
static bool url_is_http(const char *url)
{
        const char *host = strstr(url, "://"), *port;
        size_t n;

        if (!host || (strncasecmp(url, "https://", strlen("https://")) != 0 &&
                      strncasecmp(url, "http://", strlen("http://")) != 0))
                return false;
        for (const char *c = url; *c; c++)
                if ((unsigned char) *c <= ' ' || (unsigned char) *c >= 0x7f || strchr("\"<>\\^`{|}", *c))
                        return false;
        host += strlen("://");
        if (*host == '[') {
                n = strspn(host + 1, "0123456789abcdefABCDEF:.");
                if (n < 2 || host[n + 1] != ']')
                        return false;
                port = host + n + 2;
        } else {
                n = strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-");
                if (n == 0 || n > 253 || *host == '.' || *host == '-')
                        return false;
                port = host + n;
        }
        if (*port == ':') {
                char *end;
                unsigned long number = strtoul(port + 1, &end, 10);

                if (!isdigit((unsigned char) port[1]) || end - port > 6 || number == 0 || number > 65535)
                        return false;
                port = end;
        }
        return *port == '\0' || *port == '/' || *port == '?' || *port == '#';
}

/* Everybody may read what is wrong with a connector: the value, which may have a password in it, is not repeated. */
static int parse_url(const ConfAssignment *a, void *data, char **ret_why)
{
        if (!isempty(a->value) && !url_is_http(a->value)) {
                *ret_why = asprintf_or_null("This is no address that begins with https:// and a host, without a user "
                                            "name and a password.");
                return -EINVAL;
        }
        return conf_parse_string(a, data, ret_why);
}

/* Letters, digits and @others, which stand between them. */
static int parse_name(const ConfAssignment *a, const char *others, size_t max, void *data, char **ret_why)
{
        bool good = strlen(a->value) <= max;

        for (const char *c = a->value; *c; c++)
                good = good && (isalnum((unsigned char) *c) ||
                                (strchr(others, *c) && c > a->value && isalnum((unsigned char) c[1])));
        if (!good) {
                *ret_why = asprintf_or_null("'%.*s' is no name: up to %zu letters and digits, with %s between them.",
                                            64, a->value, max, streq(others, "-") ? "'-'" : "'.', '_' or '-'");
                return -EINVAL;
        }
        return conf_parse_string(a, data, ret_why);
}

static int parse_header_prefix(const ConfAssignment *a, void *data, char **ret_why)
{
        return parse_name(a, "-", CONNECTOR_HEADER_PREFIX_MAX, data, ret_why);
}

static int parse_event_type(const ConfAssignment *a, void *data, char **ret_why)
{
        return parse_name(a, "._-", CONNECTOR_EVENT_TYPE_MAX, data, ret_why);
}

/* "stream:field,field" without the blanks; NULL in *ret where it is none. */
static int normalize_key(const char *value, char **ret)
{
        _cleanup_buffer_ Buffer key = {};
        _cleanup_free_ char *copy = strdup(value);
        char *fields, *field, *stream;
        size_t n_fields = 0;

        if (!copy)
                return -ENOMEM;
        *ret = NULL;
        fields = strchr(copy, ':');
        if (!fields)
                return 0;
        *fields++ = '\0';
        stream = strstrip(copy);
        if (isempty(stream))
                return 0;
        buffer_append_string(&key, stream);
        while ((field = strsep(&fields, ","))) {
                field = strstrip(field);
                if (isempty(field) || ++n_fields > KEY_FIELDS_MAX)
                        return 0;
                buffer_append_char(&key, n_fields == 1 ? ':' : ',');
                buffer_append_string(&key, field);
        }
        return buffer_take(&key, ret);
}

static int parse_key_properties(const ConfAssignment *a, void *data, char **ret_why)
{
        char ***l = data, *key = NULL;
        int r;

        if (isempty(a->value)) {
                *l = strv_free(*l);
                return 0;
        }
        r = normalize_key(a->value, &key);
        if (r < 0)
                return r;
        if (!key) {
                *ret_why = asprintf_or_null("'%s' is no key: 'stream:field,field', up to %u fields, would be right.",
                                            a->value, KEY_FIELDS_MAX);
                return -EINVAL;
        }
        r = conf_put_entry(l, key, ':', KEY_STREAMS_MAX);
        if (r == -E2BIG)
                *ret_why = asprintf_or_null("There are more than %u streams.", KEY_STREAMS_MAX);
        return r;
}

#define ITEM(section, key, parse, field, severity)                                                                   \
        {                                                                                                            \
                section, key, parse, offsetof(ConnectorDefinition, field), DIAGNOSTIC_##severity                     \
        }
#define WHOLE(section, key, parse)                                                                                   \
        {                                                                                                            \
                section, key, parse, 0, DIAGNOSTIC_ERROR                                                             \
        }

static const ConfItem items[] = {
        ITEM("Connector", "Description", conf_parse_string, description, WARNING),
        ITEM("Connector", "Provider", conf_parse_provider, provider, ERROR),
        ITEM("Connector", "Source", parse_source, source, ERROR),
        ITEM("Connector", "User", conf_parse_user, user_id, ERROR),
        ITEM("Connector", "Connection", parse_connection, connection, WARNING),
        ITEM("Connector", "Enabled", conf_parse_bool, enabled, ERROR),

        WHOLE("Schedule", "OnCalendar", parse_calendar),
        ITEM("Schedule", "Every", parse_every, every_usec, ERROR),
        ITEM("Schedule", "RandomizedDelaySec", conf_parse_seconds, randomized_delay_usec, WARNING),
        ITEM("Schedule", "Persistent", conf_parse_bool, persistent, WARNING),
        ITEM("Schedule", "Overlap", parse_overlap, overlap, WARNING),

        ITEM("Run", "TimeoutSec", conf_parse_timeout, timeout_usec, WARNING),
        ITEM("Run", "StallTimeoutSec", conf_parse_timeout, stall_timeout_usec, WARNING),
        ITEM("Run", "RetryMax", conf_parse_unsigned, retry_max, WARNING),
        ITEM("Run", "RetrySec", conf_parse_seconds, retry_usec, WARNING),
        ITEM("Run", "RetryMaxSec", conf_parse_seconds, retry_max_usec, WARNING),
        ITEM("Run", "NotifyAfter", conf_parse_count, notify_after, WARNING),

        ITEM("Pipeline", "ExecPull", conf_parse_command, exec_pull, ERROR),
        WHOLE("Pipeline", "ExecTransform", parse_transform),
        ITEM("Pipeline", "Environment", conf_parse_environment, environment, WARNING),
        ITEM("Pipeline", "WorkingDirectory", parse_path, working_directory, ERROR),
        ITEM("Pipeline", "Config", parse_path, config_file, ERROR),

        ITEM("Destination", "Type", parse_destination, destination, ERROR),
        ITEM("Destination", "Path", parse_path, destination_path, ERROR),
        ITEM("Destination", "ExecStore", conf_parse_command, exec_store, ERROR),
        ITEM("Destination", "Url", parse_url, url, ERROR),
        ITEM("Destination", "SecretFile", parse_path, secret_file, ERROR),
        ITEM("Destination", "HeaderPrefix", parse_header_prefix, header_prefix, ERROR),
        ITEM("Destination", "EventType", parse_event_type, event_type, ERROR),
        ITEM("Destination", "DisableAfter", conf_parse_unsigned, disable_after, WARNING),
        ITEM("Destination", "KeyProperties", parse_key_properties, key_properties, ERROR),
        {},
};

/* Tells at the place of a key that is there, of the file where it is missing. */
#define TELL(definition, severity, section, key, ...)                                                              \
        do {                                                                                                       \
                const ConfAssignment *_a = conf_find(&(definition)->conf, section, key);                           \
                diagnostics_add(own, DIAGNOSTIC_##severity, _a ? _a->file : (definition)->path, _a ? _a->line : 0, \
                                key, __VA_ARGS__);                                                                 \
        } while (false)

static void check_destination(const ConnectorDefinition *definition, Diagnostics *own)
{
        static const struct {
                const char *key;
                DestinationType type;
                size_t offset;
                bool required;
        } keys[] = {
                { "ExecStore", DESTINATION_EXEC, offsetof(ConnectorDefinition, exec_store), true },
                { "Url", DESTINATION_WEBHOOK, offsetof(ConnectorDefinition, url), true },
                { "SecretFile", DESTINATION_WEBHOOK, offsetof(ConnectorDefinition, secret_file), false },
                { "HeaderPrefix", DESTINATION_WEBHOOK, offsetof(ConnectorDefinition, header_prefix), false },
                { "EventType", DESTINATION_WEBHOOK, offsetof(ConnectorDefinition, event_type), false },
        };

        for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
                bool set = *(void *const *) ((const char *) definition + keys[i].offset);
                const char *type = destination_type_to_string(keys[i].type);

                if (set && keys[i].type != definition->destination)
                        TELL(definition, WARNING, "Destination", keys[i].key,
                             "The setting is for Type=%s and ignored here.", type);
                else if (!set && keys[i].required && keys[i].type == definition->destination)
                        TELL(definition, ERROR, "Destination", keys[i].key,
                             "The setting is missing: Type=%s needs it.", type);
        }
        if (definition->destination_path && definition->destination == DESTINATION_EXEC)
                TELL(definition, WARNING, "Destination", "Path",
                     "The setting is for Type=sqlite and Type=webhook, and ignored here.");
        if (definition->destination == DESTINATION_WEBHOOK && definition->url &&
            strncasecmp(definition->url, "http:", strlen("http:")) == 0)
                TELL(definition, WARNING, "Destination", "Url",
                     "Anybody on the way can read what is sent; it is sent only where AllowHTTP= of syncrun.conf is "
                     "on.");
        if (definition->destination == DESTINATION_WEBHOOK && !definition->secret_file)
                TELL(definition, WARNING, "Destination", "SecretFile",
                     "The setting is missing: deliveries will not be signed.");
}

/* What one value alone does not show. */
static void check_whole(const ConnectorDefinition *definition, Diagnostics *own)
{
        if (definition->retry_max > 0 && definition->retry_max_usec < definition->retry_usec)
                TELL(definition, WARNING, "Run", "RetryMaxSec",
                     "The longest wait is shorter than the first one, RetrySec=; it holds for all.");
        if (definition->exec_pull) {
                check_destination(definition, own);
                return;
        }
        if (definition->source == RUN_SOURCE_PULL)
                TELL(definition, ERROR, "Pipeline", "ExecPull",
                     "The setting is missing: it names the program that pulls.");
        else if (definition->n_calendars > 0 || definition->every_usec > 0)
                TELL(definition, WARNING, "Pipeline", "ExecPull",
                     "The setting is missing, so there is nothing to run on schedule.");
}

static int set_defaults(ConnectorDefinition *definition)
{
        if (!definition->provider && free_and_strdup(&definition->provider, definition->name) < 0)
                return -ENOMEM;
        if (!definition->working_directory &&
            free_and_strdup(&definition->working_directory, CONNECTOR_WORKING_DIRECTORY_DEFAULT) < 0)
                return -ENOMEM;
        if (!definition->destination_path && definition->destination != DESTINATION_EXEC &&
            free_and_strdup(&definition->destination_path, CONNECTOR_PATH_DEFAULT) < 0)
                return -ENOMEM;
        return 0;
}

int connector_definition_make(const char *name, Conf *conf, const char *path, Diagnostics *own,
                              ConnectorDefinition **ret)
{
        _cleanup_(connector_definition_unrefp) ConnectorDefinition *definition =
                        calloc(1, sizeof(ConnectorDefinition));
        const Diagnostic *first;
        int r;

        if (!definition)
                return -ENOMEM;
        *definition = (ConnectorDefinition){
                .n_ref = 1,
                .source = RUN_SOURCE_PULL,
                .enabled = true,
                .persistent = true,
                .overlap = OVERLAP_SKIP,
                .timeout_usec = USEC_PER_HOUR,
                .stall_timeout_usec = 10 * USEC_PER_MINUTE,
                .retry_max = 3,
                .retry_usec = 30 * USEC_PER_SEC,
                .retry_max_usec = USEC_PER_HOUR,
                .notify_after = 1,
                .disable_after = CONNECTOR_DISABLE_AFTER_DEFAULT,
                .destination = DESTINATION_SQLITE,
        };
        if (free_and_strdup(&definition->name, name) < 0 || free_and_strdup(&definition->path, path) < 0)
                return -ENOMEM;
        r = conf_apply(conf, items, definition, own);
        if (r < 0)
                return r;
        definition->conf = *conf; /* given back below where this fails */
        if (own->n_errors == 0)
                check_whole(definition, own);
        r = set_defaults(definition);
        first = diagnostics_first(own);
        if (r >= 0 && own->n_errors > 0) {
                definition->load_state = LOAD_BAD_SETTING;
                definition->load_error = first ? diagnostic_format(first) : NULL;
                if (!definition->load_error)
                        r = -ENOMEM;
        }
        if (r < 0) {
                definition->conf = (Conf) {};
                return r;
        }
        *conf = (Conf) {};
        *ret = TAKE_PTR(definition);
        return 0;
}
