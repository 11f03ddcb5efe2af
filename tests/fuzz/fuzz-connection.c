/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Any text as a connection file: a definition comes of it whose values are within their limits, its assignments alone
 * make an equal one, and each thing that is said can be printed. */

#include <stdint.h>
#include <stdlib.h>

#include "base/string-util.h"
#include "model/command-line.h"
#include "model/connection.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
        if (!holds)
                abort();
}

static void check_definition(const ConnectionDefinition *c)
{
        static const Specifiers specifiers = { .connector = "a", .state_directory = "/s", .credentials_directory = "/d" };
        char **expanded = NULL;

        check(provider_slug_is_valid(c->provider));
        check((c->load_state == LOAD_BAD_SETTING) == !!c->load_error);
        check(strv_length(c->accounts) <= CONNECTION_ACCOUNTS_MAX && strv_length(c->environment) <= ENVIRONMENT_MAX);
        check(c->timeout_usec > 0 && c->warning_usec < USEC_INFINITY);
        check(!c->consent_expires.spec || point_in_time_usec(&c->consent_expires) < USEC_INFINITY);
        STRV_FOREACH(account, c->accounts)
                check((*account)[0] && strlen(*account) <= ACCOUNT_NAME_MAX && utf8_is_valid(*account, strlen(*account)));
        check(specifiers_expand_strv(c->exec_reconnect, &specifiers, &expanded) == 0);
        strv_free(expanded);
}

static void check_copy(const ConnectionDefinition *c)
{
        ConnectionDefinition *copy;
        Conf conf = {};

        for (size_t i = 0; i < c->conf.n_items; i++)
                check(conf_append(&conf, NULL, 0, c->conf.items[i].section, c->conf.items[i].key, c->conf.items[i].value) == 0);
        check(connection_definition_parse(c->name, &conf, NULL, NULL, &copy) == 0);
        check(connection_definition_equal(c, copy));
        check(point_in_time_usec(&copy->consent_expires) == point_in_time_usec(&c->consent_expires));
        check(copy->timeout_usec == c->timeout_usec && strv_length(copy->accounts) == strv_length(c->accounts));
        connection_definition_unref(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        ConnectionDefinition *definition;
        Diagnostics d = {};
        Conf conf = {};

        if (conf_parse_text(&conf, "f", (const char *) data, size, &d) < 0)
                check(d.n_errors > 0);
        check(connection_definition_parse("bank", &conf, "f", &d, &definition) == 0);
        check_definition(definition);
        check_copy(definition);
        for (size_t i = 0; i < d.n_items; i++) {
                char *text = diagnostic_format(&d.items[i]);

                check(text && utf8_is_valid(text, strlen(text)));
                free(text);
        }
        connection_definition_unref(definition);
        diagnostics_done(&d);
        return 0;
}
