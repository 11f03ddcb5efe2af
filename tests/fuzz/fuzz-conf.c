/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Any text as a connector file and as syncrun.conf: a definition comes of it, one that can run has what a run needs, and
 * its assignments alone make an equal one. */

#include <stdint.h>
#include <stdlib.h>

#include "base/string-util.h"
#include "model/command-line.h"
#include "model/connector.h"
#include "model/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
        if (!holds)
                abort();
}

static void check_words(char *const *words)
{
        static const Specifiers specifiers = { .connector = "a", .state_directory = "/s", .credentials_directory = "/d" };
        char **expanded = NULL;

        check(specifiers_expand_strv(words, &specifiers, &expanded) == 0);
        check(strv_length(expanded) == strv_length(words));
        strv_free(expanded);
}

static void check_definition(const ConnectorDefinition *c)
{
        check(provider_slug_is_valid(c->provider));
        check((c->load_state == LOAD_BAD_SETTING) == !!c->load_error);
        check(c->source >= 0 && c->overlap >= 0 && c->destination >= 0);
        check_words(c->exec_pull);
        check_words(c->exec_store);
        check_words(c->environment);
        for (size_t i = 0; i < c->n_transforms; i++)
                check_words(c->exec_transforms[i]);
        if (c->load_state == LOAD_BAD_SETTING)
                return;
        check(c->exec_pull || c->source != RUN_SOURCE_PULL);
        check(c->every_usec == 0 || c->every_usec >= EVERY_MIN_USEC);
        check(c->timeout_usec > 0 && c->stall_timeout_usec > 0 && c->notify_after > 0);
        check(specifier_path_is_absolute(c->working_directory));
        if (c->exec_pull) {
                check(c->destination != DESTINATION_SQLITE || specifier_path_is_absolute(c->destination_path));
                check(c->destination != DESTINATION_EXEC || c->exec_store);
                check(c->destination != DESTINATION_WEBHOOK || c->url);
        }
}

static void check_copy(const ConnectorDefinition *c)
{
        ConnectorDefinition *copy;
        Conf conf = {};

        for (size_t i = 0; i < c->conf.n_items; i++)
                check(conf_append(&conf, NULL, 0, c->conf.items[i].section, c->conf.items[i].key, c->conf.items[i].value) == 0);
        check(connector_definition_parse(c->name, &conf, NULL, NULL, &copy) == 0);
        check(connector_definition_equal(c, copy));
        check(copy->timeout_usec == c->timeout_usec && copy->n_calendars == c->n_calendars);
        check(strv_length(copy->environment) == strv_length(c->environment));
        connector_definition_unref(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        ConnectorDefinition *definition;
        Diagnostics d = {};
        Settings settings;
        Conf conf = {};

        if (conf_parse_text(&conf, "f", (const char *) data, size, &d) < 0)
                check(d.n_errors > 0);
        for (size_t i = 0; i < conf.n_items; i++) {
                check(conf.items[i].line > 0 && conf.items[i].key[0] != '\0');
                check(utf8_is_valid(conf.items[i].value, strlen(conf.items[i].value)));
        }
        check(settings_apply(&conf, NULL, &settings) == 0);
        check(settings.max_concurrent_runs > 0 && settings.state_directory[0] == '/');
        settings_done(&settings);

        check(connector_definition_parse("bank", &conf, "f", &d, &definition) == 0);
        check_definition(definition);
        check_copy(definition);
        for (size_t i = 0; i < d.n_items; i++) {
                char *text = diagnostic_format(&d.items[i]);

                check(text && utf8_is_valid(text, strlen(text)));
                free(text);
        }
        connector_definition_unref(definition);
        diagnostics_done(&d);
        return 0;
}
