/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a calendar event is made of: shared by the files of model/calendar, and by no one else. */

#include "base/macros.h"
#include "model/calendar.h"
#include "model/zone.h"

/* From coarse to fine; the last counts microseconds within a minute. */
typedef enum CalendarField {
        CALENDAR_YEAR,
        CALENDAR_MONTH,
        CALENDAR_DAY,
        CALENDAR_HOUR,
        CALENDAR_MINUTE,
        CALENDAR_SECOND,
        _CALENDAR_FIELD_MAX,
        _CALENDAR_FIELD_INVALID = -EINVAL,
} CalendarField;

#define CALENDAR_YEAR_MIN     1970 /* that can be written; "*" is 1969 too, which it was in the west when time began */
#define CALENDAR_YEAR_MAX     2199
#define CALENDAR_ALL_WEEKDAYS 0x7fU

static const struct {
        int32_t min, max;
} calendar_limits[_CALENDAR_FIELD_MAX] = {
        [CALENDAR_YEAR] = { CALENDAR_YEAR_MIN - 1, CALENDAR_YEAR_MAX },
        [CALENDAR_MONTH] = { 1, 12 },
        [CALENDAR_DAY] = { 1, 31 },
        [CALENDAR_HOUR] = { 0, 23 },
        [CALENDAR_MINUTE] = { 0, 59 },
        [CALENDAR_SECOND] = { 0, 60 * USEC_PER_SEC - 1 },
};

/* "first", "first..last", "first/step" or "first..last/step" */
typedef struct CalendarRange {
        int32_t first;
        int32_t last; /* -1: none written */
        int32_t step; /* 0: first alone */
} CalendarRange;

/* What stands in one field; empty is "*". Sorted, each once. */
typedef struct CalendarChain {
        CalendarRange *ranges;
        size_t n_ranges;
} CalendarChain;

/* The values of a field, bit 0 of the first word for its least one; wide enough for the years. */
typedef struct CalendarSet {
        uint64_t words[4];
} CalendarSet;

static_assert(CALENDAR_YEAR_MAX - (CALENDAR_YEAR_MIN - 1) < 4 * 64, "a bit for each year");

struct CalendarSpec {
        uint8_t weekdays;    /* bit 0 is Monday */
        bool from_month_end; /* days count backwards, 1 is the last one */
        CalendarChain chains[_CALENDAR_FIELD_MAX];
        CalendarSet sets[CALENDAR_SECOND]; /* the same, to search; too many seconds for it */
        Zone *zone;
        char *zone_text; /* as it is written, NULL for the local zone */
};

/* "*" where seconds stand. */
static inline bool calendar_range_is_each_second(const CalendarRange *range)
{
        return range->first == 0 && range->last < 0 && range->step == (int32_t) USEC_PER_SEC;
}

/* Sorts and simplifies what was parsed, and makes its sets. Return: 0; -EINVAL or -ERANGE as calendar_spec_parse(). */
int calendar_spec_normalize(CalendarSpec *spec) _must_check_;
