/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Calendar events for a test that compares them with another implementation: BASE-USEC N, events on stdin, one a line.
 * For each a line: its normal form, then up to N elapses in microseconds, with tabs between; or "!" and the errno. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/calendar.h"

static int print_event(const char *text, usec_t base, unsigned n)
{
        _cleanup_(calendar_spec_freep) CalendarSpec *spec = NULL;
        _cleanup_free_ char *normal = NULL;
        int r;

        r = calendar_spec_parse(text, &spec);
        if (r < 0) {
                printf("!%s\n", strerrorname_np(-r));
                return 0;
        }
        r = calendar_spec_format(spec, &normal);
        if (r < 0)
                return r;

        fputs(normal, stdout);
        for (unsigned i = 0; i < n; i++) {
                r = calendar_spec_next(spec, base, &base);
                if (r == -ENOENT)
                        break;
                if (r < 0)
                        return r;
                printf("\t%" PRIu64, base);
        }
        putchar('\n');
        return 0;
}

int main(int argc, char *argv[])
{
        _cleanup_free_ char *line = NULL;
        size_t allocated = 0;
        ssize_t length;

        if (argc != 3) {
                fprintf(stderr, "Usage: %s BASE-USEC N <EVENTS\n", argv[0]);
                return EXIT_FAILURE;
        }

        while ((length = getline(&line, &allocated, stdin)) >= 0) {
                int r;

                if (length > 0 && line[length - 1] == '\n')
                        line[length - 1] = '\0';
                r = print_event(line, strtoull(argv[1], NULL, 10), (unsigned) strtoul(argv[2], NULL, 10));
                if (r < 0) {
                        fprintf(stderr, "%s: %s\n", line, strerror(-r));
                        return EXIT_FAILURE;
                }
        }
        return EXIT_SUCCESS;
}
