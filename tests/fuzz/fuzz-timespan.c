/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is read as a time span or a timestamp is the same after it was written and read again. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/time-util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
        if (!holds)
                abort();
}

static void check_span(const char *text, usec_t default_unit)
{
        char buf[TIMESPAN_TEXT_MAX];
        usec_t usec, again;

        if (timespan_parse(text, default_unit, &usec) < 0)
                return;
        check(timespan_parse(timespan_format(buf, sizeof buf, usec, 1), default_unit, &again) >= 0);
        check(again == usec);
        (void) timespan_format(buf, sizeof buf, usec, USEC_PER_MSEC);
        (void) timespan_relative(buf, sizeof buf, usec, UINT64_C(1774745000000000));
        (void) timespan_relative(buf, sizeof buf, 0, usec);
}

static void check_timestamp(const char *text)
{
        char buf[TIMESTAMP_TEXT_MAX];
        usec_t usec, again;

        if (timestamp_parse_iso(text, &usec) < 0)
                return;
        check(timestamp_format_iso(buf, sizeof buf, usec));
        check(timestamp_parse_iso(buf, &again) >= 0);
        check(again == usec);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_free_ char *text = strndup((const char *) data, size);

        if (!text)
                return 0;
        check_span(text, USEC_PER_SEC);
        check_span(text, USEC_PER_HOUR);
        check_timestamp(text);
        return 0;
}
