/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is read as a calendar event can be written, read again as an equal one, and only elapses later. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/calendar.h"

#define N_ELAPSES 4U

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
        if (!holds)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        /* Some elapses lie just before a change of clocks in a zone or other, and the last of all. */
        static const usec_t starts[] = { 0, UINT64_C(1774745000000000), UINT64_C(1792889000000000),
                                         UINT64_C(7258118398999999), USEC_INFINITY };
        _cleanup_(calendar_spec_freep) CalendarSpec *spec = NULL, *again = NULL;
        _cleanup_free_ char *text = strndup((const char *) data, size), *normal = NULL, *normal_again = NULL;

        if (!text || calendar_spec_parse(text, &spec) < 0)
                return 0;
        check(calendar_spec_format(spec, &normal) >= 0);
        check(calendar_spec_parse(normal, &again) >= 0);
        check(calendar_spec_format(again, &normal_again) >= 0);
        check(strcmp(normal, normal_again) == 0);

        for (size_t i = 0; i < ELEMENTSOF(starts); i++) {
                usec_t after = starts[i];

                for (unsigned k = 0; k < N_ELAPSES; k++) {
                        usec_t usec, usec_again;
                        int r = calendar_spec_next(spec, after, &usec);

                        check(calendar_spec_next(again, after, &usec_again) == r);
                        if (r < 0)
                                break;
                        check(usec == usec_again && usec > after);
                        after = usec;
                }
        }
        return 0;
}
