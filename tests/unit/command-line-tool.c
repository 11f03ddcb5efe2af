/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A unit file on stdin as our own code reads it, for a test that compares it with systemd. For each ExecStart= a line
 * "c" with its words, or "c!" where it is refused; at the end a line "e" with what Environment= makes in all. Words are in
 * hexadecimal digits, each after a blank. */

#include <stdio.h>
#include <stdlib.h>

#include "base/string-util.h"
#include "model/command-line.h"
#include "model/connector.h"

static void print_words(char kind, char *const *words)
{
        putchar(kind);
        STRV_FOREACH(word, words) {
                putchar(' ');
                for (const char *c = *word; *c; c++)
                        printf("%02x", (unsigned char) *c);
        }
        putchar('\n');
}

static int print_environment(const Conf *conf)
{
        _cleanup_(connector_definition_unrefp) ConnectorDefinition *definition = NULL;
        _cleanup_conf_ Conf own = {};
        int r;

        for (size_t i = 0; i < conf->n_items; i++)
                if (streq(conf->items[i].key, "Environment")) {
                        r = conf_append(&own, NULL, 0, "Pipeline", "Environment", conf->items[i].value);
                        if (r < 0)
                                return r;
                }
        r = connector_definition_parse("tool", &own, NULL, NULL, &definition);
        if (r < 0)
                return r;
        print_words('e', definition->environment);
        return 0;
}

int main(int argc, char *argv[])
{
        _cleanup_conf_ Conf conf = {};
        static char text[CONF_FILE_MAX];
        size_t size = fread(text, 1, sizeof(text), stdin);
        int r;

        r = conf_parse_text(&conf, "stdin", text, size, NULL);
        for (size_t i = 0; r >= 0 && i < conf.n_items; i++) {
                _cleanup_strv_free_ char **words = NULL;

                if (!streq(conf.items[i].key, "ExecStart"))
                        continue;
                r = command_line_split(conf.items[i].value, &words, NULL);
                if (r == -EINVAL) {
                        puts("c!");
                        r = 0;
                } else if (r >= 0)
                        print_words('c', words);
        }
        if (r >= 0)
                r = print_environment(&conf);
        if (r < 0) {
                fprintf(stderr, "%s\n", strerror(-r));
                return EXIT_FAILURE;
        }
        return EXIT_SUCCESS;
}
