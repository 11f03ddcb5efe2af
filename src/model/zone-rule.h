/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* POSIX TZ rules ("CET-1CEST,M3.5.0,M10.5.0/3"): the last line of a zone file, which says how it goes on for ever, and
 * one of the forms of $TZ. Files are not here: see model/zone-data. */

#include "base/macros.h"

#define ZONE_ABBREVIATION_MAX 15U

/* A stretch of time in which a zone's clocks are not changed. */
typedef struct ZoneSegment {
        int64_t end_sec;    /* the first second after it since 1970 in UTC; INT64_MAX: it never ends */
        int32_t offset_sec; /* local time - UTC */
        bool is_dst;
        const char *abbreviation; /* borrowed from the zone */
} ZoneSegment;

typedef enum ZoneDayKind {
        ZONE_DAY_OF_YEAR,      /* Jn: 1…365, 29 February is never counted */
        ZONE_DAY_OF_YEAR_LEAP, /* n: 0…365, 29 February is counted */
        ZONE_DAY_OF_MONTH,     /* Mm.w.d */
        _ZONE_DAY_KIND_MAX,
        _ZONE_DAY_KIND_INVALID = -EINVAL,
} ZoneDayKind;

/* When in a year clocks are changed. */
typedef struct ZoneChange {
        ZoneDayKind kind;
        int month;        /* 1…12 */
        int week;         /* 1…5, 5 is the last one */
        int day;          /* day of the year, or 0 (Sunday) … 6 */
        int32_t time_sec; /* of the local time before the change; may lie outside of the day */
} ZoneChange;

typedef struct ZoneRule {
        char standard_name[ZONE_ABBREVIATION_MAX + 1];
        char dst_name[ZONE_ABBREVIATION_MAX +
                      1]; /* "": no daylight saving time, and nothing of what follows but the offset */
        int32_t standard_offset_sec;
        int32_t dst_offset_sec;
        ZoneChange dst_begin;
        ZoneChange dst_end;
} ZoneRule;

/**
 * zone_rule_parse() - read a POSIX TZ rule, with the times beyond a day of RFC 8536
 * @text:     names in angle brackets are understood; daylight saving time without its days follows those of the USA
 * @ret_rule: set on success only; unused bytes are zero
 *
 * Return: 0; -EINVAL.
 */
int zone_rule_parse(const char *text, ZoneRule *ret_rule) _must_check_;

/**
 * zone_rule_segment() - what a rule says of a second
 * @seconds:     since 1970-01-01T00:00:00 UTC, not after year 9999999
 * @ret_segment: always set
 */
void zone_rule_segment(const ZoneRule *rule, int64_t seconds, ZoneSegment *ret_segment);
