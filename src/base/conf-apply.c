/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Walks assignments through a table of keys, and the parsers for the values that many tables have. How the assignments
 * were read is not known here. */

#include "base/conf.h"

#include <stdlib.h>

#include "base/string-util.h"
#include "base/time-util.h"

static const ConfItem *find_item(const ConfItem *items, const char *section, const char *key)
{
        for (; items->section; items++)
                if ((!section || streq(items->section, section)) && (!key || streq(items->key, key)))
                        return items;
        return NULL;
}

static void tell_unknown(const ConfAssignment *a, const ConfItem *items, Diagnostics *d)
{
        const ConfItem *elsewhere;

        if (startswith(a->section, "X-") || startswith(a->key, "X-"))
                return;
        if (!find_item(items, a->section, NULL)) {
                diagnostics_add(d, DIAGNOSTIC_WARNING, a->file, a->line, a->key,
                                "There is no section [%s]; the setting is ignored.", a->section);
                return;
        }
        elsewhere = find_item(items, NULL, a->key);
        if (elsewhere)
                diagnostics_add(d, DIAGNOSTIC_WARNING, a->file, a->line, a->key,
                                "The setting is ignored in [%s]: it belongs into [%s].", a->section,
                                elsewhere->section);
        else
                diagnostics_add(d, DIAGNOSTIC_WARNING, a->file, a->line, a->key,
                                "There is no such setting in [%s]; it is ignored.", a->section);
}

int conf_apply(const Conf *conf, const ConfItem *items, void *object, Diagnostics *d)
{
        for (size_t i = 0; i < conf->n_items; i++) {
                const ConfAssignment *a = &conf->items[i];
                const ConfItem *item = find_item(items, a->section, a->key);
                _cleanup_free_ char *why = NULL;
                int r;

                if (!item) {
                        tell_unknown(a, items, d);
                        continue;
                }
                r = item->parse(a, (char *) object + item->offset, &why);
                if (r == -ENOMEM)
                        return r;
                if (r != 0)
                        diagnostics_add(d, r < 0 ? item->severity : DIAGNOSTIC_WARNING, a->file, a->line, a->key, "%s",
                                        why ? why : "The value is not valid.");
        }
        return 0;
}

const ConfAssignment *conf_find(const Conf *conf, const char *section, const char *key)
{
        for (size_t i = conf->n_items; i > 0; i--)
                if (streq(conf->items[i - 1].section, section) && streq(conf->items[i - 1].key, key))
                        return &conf->items[i - 1];
        return NULL;
}

int conf_parse_string(const ConfAssignment *a, void *data, char **ret_why)
{
        int r = free_and_strdup(data, isempty(a->value) ? NULL : a->value);

        return r < 0 ? r : 0;
}

int conf_parse_bool(const ConfAssignment *a, void *data, char **ret_why)
{
        int r = parse_boolean(a->value);

        if (r < 0) {
                *ret_why = asprintf_or_null("'%s' is neither yes nor no.", a->value);
                return r;
        }
        *(bool *) data = r;
        return 0;
}

int conf_parse_unsigned(const ConfAssignment *a, void *data, char **ret_why)
{
        uint64_t value;
        int r = parse_uint64(a->value, &value);

        if (r >= 0 && value > UINT32_MAX)
                r = -ERANGE;
        if (r < 0) {
                *ret_why = asprintf_or_null("'%s' is no whole number from 0 to %u.", a->value, UINT32_MAX);
                return r;
        }
        *(unsigned *) data = (unsigned) value;
        return 0;
}

int conf_parse_count(const ConfAssignment *a, void *data, char **ret_why)
{
        uint64_t value = UINT32_MAX;
        int r = streq(a->value, "infinity") ? 0 : parse_uint64(a->value, &value);

        if (r >= 0 && (value == 0 || value > UINT32_MAX))
                r = -ERANGE;
        if (r < 0) {
                *ret_why = asprintf_or_null("'%s' is neither a whole number from 1 nor 'infinity'.", a->value);
                return r;
        }
        *(unsigned *) data = (unsigned) value;
        return 0;
}

int conf_parse_seconds(const ConfAssignment *a, void *data, char **ret_why)
{
        usec_t usec;
        int r = timespan_parse(a->value, USEC_PER_SEC, &usec);

        if (r >= 0 && usec == USEC_INFINITY)
                r = -ERANGE;
        if (r < 0) {
                *ret_why = asprintf_or_null("'%s' is no time span: '90', '5min' or '1h 30min' would be right.",
                                            a->value);
                return r;
        }
        *(usec_t *) data = usec;
        return 0;
}

int conf_parse_timeout(const ConfAssignment *a, void *data, char **ret_why)
{
        usec_t usec;
        int r = timespan_parse(a->value, USEC_PER_SEC, &usec);

        if (r < 0) {
                *ret_why = asprintf_or_null("'%s' is no time span: '90', '5min' or 'infinity' would be right.",
                                            a->value);
                return r;
        }
        *(usec_t *) data = usec > 0 ? usec : USEC_INFINITY;
        return 0;
}

int conf_parse_path(const ConfAssignment *a, void *data, char **ret_why)
{
        if (!isempty(a->value) && a->value[0] != '/') {
                *ret_why = asprintf_or_null("'%s' is no absolute path: it begins with no '/'.", a->value);
                return -EINVAL;
        }
        return conf_parse_string(a, data, ret_why);
}

int conf_parse_strv(const ConfAssignment *a, void *data, char **ret_why)
{
        char ***l = data;

        if (isempty(a->value)) {
                *l = strv_free(*l);
                return 0;
        }
        return strv_extend(l, a->value);
}
