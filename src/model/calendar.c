/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The normal form of calendar events as text, and when they elapse.
 *
 * An event is a pattern of wall clock times. A wall clock runs evenly but where its zone changes it; between two
 * changes lies a segment (model/zone). So the search is for the next wall clock time that fits, and then for the
 * segment that shows it. As in systemd, the wall clock is only followed forwards: a time that a change jumps over does
 * not elapse, and one that a change repeats elapses the first time it is shown, or the second time if that is where
 * the search began. */

#include <stdlib.h>

#include "base/buffer.h"
#include "base/civil.h"
#include "base/time-util.h"
#include "model/calendar-spec.h"

CalendarSpec *calendar_spec_free(CalendarSpec *spec)
{
        if (!spec)
                return NULL;
        for (CalendarField field = 0; field < _CALENDAR_FIELD_MAX; field++)
                free(spec->chains[field].ranges);
        zone_unref(spec->zone);
        free(spec->zone_text);
        free(spec);
        return NULL;
}

/* "Mon,Wed..Fri "; two neighbours are a list, three a range. */
static void weekdays_format(Buffer *buffer, uint8_t weekdays)
{
        static const char names[][4] = { "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun" };
        const char *separator = "";

        if (weekdays == CALENDAR_ALL_WEEKDAYS)
                return;
        for (unsigned first = 0, last; first < ELEMENTSOF(names); first = last + 1) {
                last = first;
                if ((weekdays & 1U << first) == 0)
                        continue;
                while (weekdays & 1U << (last + 1))
                        last++;

                buffer_append_format(buffer, "%s%s", separator, names[first]);
                if (last > first)
                        buffer_append_format(buffer, "%s%s", last > first + 1 ? ".." : ",", names[last]);
                separator = ",";
        }
        buffer_append_char(buffer, ' ');
}

static void number_format(Buffer *buffer, int32_t value, int width, int32_t unit)
{
        buffer_append_format(buffer, "%0*d", width, value / unit);
        if (value % unit > 0)
                buffer_append_format(buffer, ".%06d", value % unit);
}

static void field_format(Buffer *buffer, const CalendarSpec *spec, CalendarField field)
{
        const CalendarChain *chain = &spec->chains[field];
        int32_t unit = field == CALENDAR_SECOND ? (int32_t) USEC_PER_SEC : 1;
        int width = field == CALENDAR_YEAR ? 4 : 2;

        if (chain->n_ranges == 0 ||
            (field == CALENDAR_SECOND && chain->n_ranges == 1 && calendar_range_is_each_second(chain->ranges))) {
                buffer_append_char(buffer, '*');
                return;
        }
        for (size_t i = 0; i < chain->n_ranges; i++) {
                const CalendarRange *range = &chain->ranges[i];

                if (i > 0)
                        buffer_append_char(buffer, ',');
                number_format(buffer, range->first, width, unit);
                if (range->last >= 0) {
                        buffer_append_string(buffer, "..");
                        number_format(buffer, range->last, width, unit);
                }
                if (range->step > 0 && (range->last < 0 || range->step != unit)) {
                        buffer_append_char(buffer, '/');
                        number_format(buffer, range->step, 1, unit);
                }
        }
}

int calendar_spec_format(const CalendarSpec *spec, char **ret_text)
{
        _cleanup_buffer_ Buffer buffer = {};
        const char separators[_CALENDAR_FIELD_MAX] = {
                [CALENDAR_YEAR] = '-',   [CALENDAR_MONTH] = spec->from_month_end ? '~' : '-',
                [CALENDAR_DAY] = ' ',    [CALENDAR_HOUR] = ':',
                [CALENDAR_MINUTE] = ':',
        };

        weekdays_format(&buffer, spec->weekdays);
        for (CalendarField field = 0; field < _CALENDAR_FIELD_MAX; field++) {
                field_format(&buffer, spec, field);
                if (separators[field] != '\0')
                        buffer_append_char(&buffer, separators[field]);
        }
        if (spec->zone_text)
                buffer_append_format(&buffer, " %s", spec->zone_text);
        return buffer_take(&buffer, ret_text);
}

/* A value for each field. While it is searched one may stand just beyond its limit, which then counts up the coarser
 * one. */
typedef struct WallTime {
        int32_t values[_CALENDAR_FIELD_MAX];
} WallTime;

static void wall_from_seconds(int64_t seconds, uint32_t usec, WallTime *ret_wall)
{
        CivilTime civil;

        civil_from_seconds(seconds, &civil);
        *ret_wall = (WallTime){ {
                        [CALENDAR_YEAR] = (int32_t) civil.year,
                        [CALENDAR_MONTH] = civil.month,
                        [CALENDAR_DAY] = civil.day,
                        [CALENDAR_HOUR] = civil.hour,
                        [CALENDAR_MINUTE] = civil.minute,
                        [CALENDAR_SECOND] = (int32_t) ((uint32_t) civil.second * USEC_PER_SEC + usec),
        } };
}

static int64_t wall_to_seconds(const WallTime *wall)
{
        return civil_to_seconds(&(CivilTime){
                        .year = wall->values[CALENDAR_YEAR],
                        .month = wall->values[CALENDAR_MONTH],
                        .day = wall->values[CALENDAR_DAY],
                        .hour = wall->values[CALENDAR_HOUR],
                        .minute = wall->values[CALENDAR_MINUTE],
                        .second = wall->values[CALENDAR_SECOND] / (int32_t) USEC_PER_SEC,
        });
}

/* All fields finer than one to their least values. */
static void wall_reset_below(WallTime *wall, CalendarField field)
{
        for (CalendarField finer = field + 1; finer < _CALENDAR_FIELD_MAX; finer++)
                wall->values[finer] = calendar_limits[finer].min;
}

static bool set_contains(const CalendarSet *set, int32_t bit)
{
        return (set->words[bit / 64] >> bit % 64 & 1) != 0;
}

static int32_t next_in_set(const CalendarSpec *spec, CalendarField field, int32_t from)
{
        int32_t min = calendar_limits[field].min, n = calendar_limits[field].max - min + 1;
        int32_t bit = MAX(from, min) - min;

        /* A word of the set at a time: of years there are many. */
        while (bit < n) {
                uint64_t rest = spec->sets[field].words[bit / 64] >> bit % 64;

                if (rest != 0) {
                        bit += __builtin_ctzll(rest);
                        return bit < n ? min + bit : -ENOENT;
                }
                bit = (bit / 64 + 1) * 64;
        }
        return -ENOENT;
}

static int32_t next_day(const CalendarSpec *spec, const WallTime *wall)
{
        int32_t year = wall->values[CALENDAR_YEAR], month = wall->values[CALENDAR_MONTH];
        int32_t n_days = civil_month_days(year, month);
        int weekday = civil_weekday(civil_to_days(year, month, wall->values[CALENDAR_DAY]));

        for (int32_t day = wall->values[CALENDAR_DAY]; day <= n_days; day++, weekday = (weekday + 1) % 7) {
                int32_t bit = spec->from_month_end ? n_days - day : day - 1;

                if ((spec->weekdays & 1U << weekday) != 0 && set_contains(&spec->sets[CALENDAR_DAY], bit))
                        return day;
        }
        return -ENOENT;
}

static int32_t next_second(const CalendarSpec *spec, int32_t from)
{
        const CalendarChain *chain = &spec->chains[CALENDAR_SECOND];
        int64_t best = INT64_MAX;

        for (size_t i = 0; i < chain->n_ranges; i++) {
                const CalendarRange *range = &chain->ranges[i];
                int64_t value = range->first, last = range->last;

                if (value < from && range->step > 0)
                        value += ((int64_t) from - value + range->step - 1) / range->step * range->step;
                if (last < 0)
                        last = calendar_limits[CALENDAR_SECOND].max;
                if (value >= from && value <= last)
                        best = MIN(best, value);
        }
        return best == INT64_MAX ? -ENOENT : (int32_t) best;
}

static int32_t next_value(const CalendarSpec *spec, CalendarField field, const WallTime *wall)
{
        switch (field) {
        case CALENDAR_DAY:
                return next_day(spec, wall);
        case CALENDAR_SECOND:
                return next_second(spec, wall->values[field]);
        default:
                return next_in_set(spec, field, wall->values[field]);
        }
}

/* Moves on to the first wall clock time, from this one, that fits. It only counts up and the years end, so it ends
 * too: at worst after a look at every month there is. Return: 0; -ENOENT. */
static int wall_advance(const CalendarSpec *spec, WallTime *wall)
{
        CalendarField field = CALENDAR_YEAR;

        while (field < _CALENDAR_FIELD_MAX) {
                int32_t value = next_value(spec, field, wall);

                if (value < 0) {
                        if (field == CALENDAR_YEAR)
                                return -ENOENT;
                        wall->values[--field]++;
                        wall_reset_below(wall, field);
                        continue;
                }
                if (value != wall->values[field]) {
                        wall->values[field] = value;
                        wall_reset_below(wall, field);
                }
                field++;
        }
        return 0;
}

int calendar_spec_next(const CalendarSpec *spec, usec_t after_usec, usec_t *ret_usec)
{
        static const CivilTime past_the_end = { .year = CALENDAR_YEAR_MAX + 2, .month = 1, .day = 1 };
        int64_t begin_sec, wall_sec, reached_sec = INT64_MIN;
        ZoneSegment segment;
        WallTime wall;
        usec_t from;
        int r;

        from = usec_add(after_usec, 1);
        if (from / USEC_PER_SEC >= (usec_t) civil_to_seconds(&past_the_end))
                return -ENOENT;
        begin_sec = (int64_t) (from / USEC_PER_SEC);

        zone_segment(spec->zone, begin_sec, &segment);
        wall_from_seconds(begin_sec + segment.offset_sec, (uint32_t) (from % USEC_PER_SEC), &wall);
        r = wall_advance(spec, &wall);
        if (r < 0)
                return r;

        for (;;) {
                wall_sec = wall_to_seconds(&wall);
                if (segment.end_sec == INT64_MAX || wall_sec < segment.end_sec + segment.offset_sec)
                        break;

                /* Not in this segment. What the next one jumps over is gone, what it repeats has been. */
                begin_sec = segment.end_sec;
                reached_sec = MAX(reached_sec, begin_sec + segment.offset_sec);
                zone_segment(spec->zone, begin_sec, &segment);
                reached_sec = MAX(reached_sec, begin_sec + segment.offset_sec);
                if (wall_sec < reached_sec) {
                        wall_from_seconds(reached_sec, 0, &wall);
                        r = wall_advance(spec, &wall);
                        if (r < 0)
                                return r;
                }
        }

        *ret_usec = (usec_t) (wall_sec - segment.offset_sec) * USEC_PER_SEC +
                    (usec_t) wall.values[CALENDAR_SECOND] % USEC_PER_SEC;
        return 0;
}
