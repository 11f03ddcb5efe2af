/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Zone files and rules from anywhere: one stretch follows the other, and each has a name. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/zone-data.h"

#define LAST_SEC INT64_C(7258118400)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
        if (!holds)
                abort();
}

static void walk(const ZoneData *zone)
{
        ZoneSegment segment;

        for (int64_t seconds = -LAST_SEC; seconds < LAST_SEC; seconds = segment.end_sec) {
                zone_data_segment(zone, seconds, &segment);
                check(segment.end_sec > seconds);
                check(strlen(segment.abbreviation) <= ZONE_ABBREVIATION_MAX);
        }
        for (int is_dst = 0; is_dst <= 1; is_dst++)
                if (zone_data_latest(zone, is_dst, &segment) >= 0)
                        check(segment.is_dst == is_dst && strlen(segment.abbreviation) <= ZONE_ABBREVIATION_MAX);
        check(zone_data_equal(zone, zone));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(zone_data_freep) ZoneData *zone = NULL, *ruled = NULL;
        _cleanup_free_ char *text = strndup((const char *) data, size);
        ZoneRule rule;

        if (zone_data_parse(data, size, &zone) >= 0)
                walk(zone);
        if (text && zone_rule_parse(text, &rule) >= 0 && zone_data_from_rule(&rule, &ruled) >= 0)
                walk(ruled);
        return 0;
}
