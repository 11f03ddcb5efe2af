/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The normal form that all ways to write a calendar event are brought to, and what cannot be. */

#include <stdlib.h>

#include "model/calendar-spec.h"

static int two_digit_year(int year)
{
        return year < 0 || year > 99 ? year : year < 70 ? year + 2000 : year + 1900;
}

static int range_compare(const void *a, const void *b)
{
        const CalendarRange *x = a, *y = b;

        if (x->first != y->first)
                return x->first < y->first ? -1 : 1;
        if (x->last != y->last)
                return x->last < y->last ? -1 : 1;
        return x->step < y->step ? -1 : x->step > y->step;
}

/* Two-digit years in full; ranges cut to what their steps reach, and single where they reach nothing. */
static void range_normalize(CalendarRange *range, CalendarField field)
{
        if (field == CALENDAR_YEAR) {
                range->first = two_digit_year(range->first);
                range->last = two_digit_year(range->last);
        }
        if (range->last > range->first)
                range->last -= (range->last - range->first) % range->step;
        if (range->last == range->first) {
                range->last = -1;
                range->step = 0;
        }
}

/* Where each second stands, no single ones need to: "0/1,7" is "*". But "0/1,0.5" is more. */
static void chain_absorb_seconds(CalendarChain *chain)
{
        bool found = false, kept = false;
        size_t n = 0;

        for (size_t i = 0; i < chain->n_ranges && !found; i++)
                found = calendar_range_is_each_second(&chain->ranges[i]);
        if (!found)
                return;

        for (size_t i = 0; i < chain->n_ranges; i++) {
                CalendarRange range = chain->ranges[i];
                bool each = calendar_range_is_each_second(&range);
                bool whole = range.first % (int32_t) USEC_PER_SEC == 0 && range.step % (int32_t) USEC_PER_SEC == 0;

                if (whole && (!each || kept))
                        continue;
                kept = kept || each;
                chain->ranges[n++] = range;
        }
        chain->n_ranges = n;
}

static void chain_sort(CalendarChain *chain)
{
        size_t n = 0;

        if (chain->n_ranges < 2)
                return;
        qsort(chain->ranges, chain->n_ranges, sizeof *chain->ranges, range_compare);
        for (size_t i = 0; i < chain->n_ranges; i++)
                if (n == 0 || range_compare(&chain->ranges[i], &chain->ranges[n - 1]) != 0)
                        chain->ranges[n++] = chain->ranges[i];
        chain->n_ranges = n;
}

static int range_check(const CalendarRange *range, int32_t min, int32_t max, bool backwards)
{
        if (range->first < min || range->first > max || range->last > max || (range->last >= 0 && range->last < min) ||
            range->step > max - min)
                return -ERANGE;

        if (range->last >= 0)
                return range->first + range->step > range->last ? -EINVAL : 0; /* "5..3" */
        if (backwards)
                return range->first - range->step < min ? -ERANGE : 0;
        return range->first + range->step > max ? -ERANGE : 0; /* a step that is never taken */
}

/* The values of a range that is sound; a set's first bit is for min. */
static void range_to_set(const CalendarRange *range, int32_t min, int32_t max, bool backwards, CalendarSet *set)
{
        int32_t step = backwards && range->last < 0 ? -range->step : range->step;
        int32_t last = range->last >= 0 ? range->last : range->step > 0 ? max : range->first;

        for (int32_t value = range->first; value >= min && value <= last; value += step) {
                set->words[(value - min) / 64] |= UINT64_C(1) << (value - min) % 64;
                if (step == 0)
                        break;
        }
}

/* Brings a field into its normal form, refuses what cannot be, and makes its set. */
static int field_finish(CalendarSpec *spec, CalendarField field)
{
        CalendarChain *chain = &spec->chains[field];
        bool backwards = field == CALENDAR_DAY && spec->from_month_end;
        int32_t min = calendar_limits[field].min, max = calendar_limits[field].max;
        int r;

        if (backwards)
                max = CALENDAR_DAYS_FROM_END_MAX;
        for (size_t i = 0; i < chain->n_ranges; i++) {
                range_normalize(&chain->ranges[i], field);
                r = range_check(&chain->ranges[i], field == CALENDAR_YEAR ? CALENDAR_YEAR_MIN : min, max, backwards);
                if (r < 0)
                        return r;
        }

        if (field == CALENDAR_SECOND)
                chain_absorb_seconds(chain);
        chain_sort(chain);
        if (field == CALENDAR_SECOND)
                return 0;

        for (size_t i = 0; i < chain->n_ranges; i++)
                range_to_set(&chain->ranges[i], min, max, backwards, &spec->sets[field]);
        if (chain->n_ranges == 0)
                range_to_set(&(CalendarRange){ min, max, 1 }, min, max, /* backwards= */ false, &spec->sets[field]);
        return 0;
}

int calendar_spec_normalize(CalendarSpec *spec)
{
        int r;

        if (spec->chains[CALENDAR_DAY].n_ranges == 0)
                spec->from_month_end = false;
        for (CalendarField field = 0; field < _CALENDAR_FIELD_MAX; field++) {
                r = field_finish(spec, field);
                if (r < 0)
                        return r;
        }
        return 0;
}
