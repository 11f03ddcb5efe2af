/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Time spans for a test that compares them with another implementation: one a line on stdin. For each a line:
 * microseconds and the normal form, with a tab between; or "!" and the errno. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/time-util.h"

int main(void)
{
        _cleanup_free_ char *line = NULL;
        size_t allocated = 0;
        ssize_t length;

        while ((length = getline(&line, &allocated, stdin)) >= 0) {
                char buf[TIMESPAN_TEXT_MAX];
                usec_t usec;
                int r;

                if (length > 0 && line[length - 1] == '\n')
                        line[length - 1] = '\0';
                r = timespan_parse(line, USEC_PER_SEC, &usec);
                if (r < 0)
                        printf("!%s\n", strerrorname_np(-r));
                else
                        printf("%" PRIu64 "\t%s\n", usec, timespan_format(buf, sizeof buf, usec, 1));
        }
        return EXIT_SUCCESS;
}
