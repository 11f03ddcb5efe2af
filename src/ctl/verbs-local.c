/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Verbs that need no daemon: verify, calendar. */

#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/string-util.h"
#include "base/time-util.h"
#include "ctl/ctl.h"
#include "model/connector.h"

static void print_diagnostics(const Diagnostics *d)
{
        for (size_t i = 0; i < d->n_items; i++) {
                bool error = d->items[i].severity == DIAGNOSTIC_ERROR;
                _cleanup_free_ char *text = diagnostic_format(&d->items[i]);

                (void) printf("%s%s%s: %s\n", colour(error ? COLOUR_RED : COLOUR_YELLOW), error ? "error" : "warning",
                              colour(COLOUR_NORMAL), strempty(text));
        }
        if (d->n_dropped > 0)
                (void) printf("and %zu more\n", d->n_dropped);
}

/* NAME of ".../NAME.connector", or NULL; freed by the caller. */
static char *connector_name_of(const char *path)
{
        _cleanup_free_ char *copy = strdup(path);
        char *name, *dot;

        if (!copy)
                return NULL;
        name = basename(copy);
        dot = strrchr(name, '.');
        if (!dot || !streq(dot, ".connector"))
                return NULL;
        *dot = '\0';
        return connector_name_is_valid(name) ? strdup(name) : NULL;
}

/* A file is read as it stands there, with the drop-ins beside it. Return: 0, or 1 where the connector could not
 * run. */
static int verify_file(const char *path)
{
        _cleanup_(connector_definition_unrefp) ConnectorDefinition *definition = NULL;
        _cleanup_(diagnostics_done) Diagnostics d = {};
        _cleanup_free_ char *name = connector_name_of(path), *copy = strdup(path);
        char *dirs[2] = {};
        int r;

        if (!copy)
                return ctl_oom();
        if (!name) {
                (void) printf("%serror%s: %s: the name of a connector file is [a-z][a-z0-9_-]{0,27}.connector\n",
                              colour(COLOUR_RED), colour(COLOUR_NORMAL), path);
                return 1;
        }
        dirs[0] = dirname(copy);
        r = connector_definition_load(dirs, name, &d, &definition);
        if (r < 0) {
                (void) printf("%serror%s: %s: %s\n", colour(COLOUR_RED), colour(COLOUR_NORMAL), path,
                              r == -ENOENT ? "there is no such file, or it is empty" : strerror(-r));
                return 1;
        }
        print_diagnostics(&d);
        if (definition->load_state == LOAD_BAD_SETTING)
                return 1;
        (void) printf("%s%s: %s%s\n", colour(COLOUR_GREEN), path,
                      d.n_items > 0 ? "will run, but look at the warnings" : "good", colour(COLOUR_NORMAL));
        return 0;
}

int verb_verify(Ctl *ctl, int argc, char **argv)
{
        int status = 0;

        for (int i = 1; i < argc; i++)
                status = MAX(status, verify_file(argv[i]));
        return status;
}

static int show_calendar(const Ctl *ctl, const char *text)
{
        _cleanup_(calendar_spec_freep) CalendarSpec *spec = NULL;
        _cleanup_free_ char *normal = NULL;
        usec_t now = now_usec(CLOCK_REALTIME), next = ctl->options.base_set ? ctl->options.base_usec : now;
        int r;

        r = calendar_spec_parse(text, &spec);
        if (r < 0)
                return ctl_usage_error("\"%s\" is no calendar event: %s. See systemd.time(7), CALENDAR EVENTS.", text,
                                       r == -ENOENT   ? "there is no such time zone"
                                       : r == -ERANGE ? "a field is out of its range"
                                                      : strerror(-r));
        if (calendar_spec_format(spec, &normal) < 0)
                return ctl_oom();
        (void) printf("  Original form: %s\nNormalized form: %s%s%s\n", text, colour(COLOUR_BOLD), normal,
                      colour(COLOUR_NORMAL));
        for (uint64_t i = 0; i < ctl->options.iterations; i++) {
                char local[TIMESTAMP_TEXT_MAX], iso[TIMESTAMP_TEXT_MAX], span[TIMESPAN_TEXT_MAX];

                r = calendar_spec_next(spec, next, &next);
                if (r == -ENOENT) {
                        (void) printf("    Next elapse: never%s\n", i > 0 ? " again" : "");
                        break;
                }
                if (r < 0)
                        return ctl_oom();
                if (i == 0)
                        (void) printf("    Next elapse: ");
                else
                        (void) printf("  Iteration #%-3llu ", (unsigned long long) i + 1);
                (void) printf("%s%s%s\n         (in UTC: %s)\n       From now: %s\n", colour(COLOUR_BLUE),
                              strempty(timestamp_format_local(local, sizeof(local), next)), colour(COLOUR_NORMAL),
                              strempty(timestamp_format_iso(iso, sizeof(iso), next)),
                              timespan_relative(span, sizeof(span), next, now));
        }
        return 0;
}

int verb_calendar(Ctl *ctl, int argc, char **argv)
{
        for (int i = 1; i < argc; i++) {
                int status;

                if (i > 1)
                        (void) putchar('\n');
                status = show_calendar(ctl, argv[i]);
                if (status != 0)
                        return status;
        }
        return 0;
}
