/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* POSIX TZ rules: their text, and the changes of clocks that follow from them in a year. */

#include <ctype.h>
#include <string.h>

#include "base/civil.h"
#include "model/zone-rule.h"

#define ABBREVIATION_MIN   3U
#define OFFSET_HOURS_MAX   24
#define CHANGE_HOURS_MAX   167 /* RFC 8536: a change may be said to be up to a week away from its day */
#define CHANGE_DEFAULT_SEC (2 * 3600)
#define USA_CHANGES        ",M3.2.0,M11.1.0"

static int number_parse(const char **text, int max, int *ret_value)
{
        const char *p = *text;
        int value = 0;

        if (!isdigit((unsigned char) *p))
                return -EINVAL;
        for (; isdigit((unsigned char) *p); p++) {
                value = value * 10 + (*p - '0');
                if (value > max)
                        return -EINVAL;
        }

        *text = p;
        *ret_value = value;
        return 0;
}

/* "CET", "<+03>" */
static int abbreviation_parse(const char **text, char name[static ZONE_ABBREVIATION_MAX + 1])
{
        const char *p = *text;
        bool quoted = *p == '<';
        size_t n = 0;

        p += quoted;
        while (isalpha((unsigned char) p[n]) ||
               (quoted && (isdigit((unsigned char) p[n]) || p[n] == '+' || p[n] == '-')))
                n++;
        if (n < ABBREVIATION_MIN || n > ZONE_ABBREVIATION_MAX || (quoted && p[n] != '>'))
                return -EINVAL;

        memcpy(name, p, n);
        *text = p + n + quoted;
        return 0;
}

/* "[+-]hh[:mm[:ss]]" in seconds */
static int time_parse(const char **text, int max_hours, int32_t *ret_sec)
{
        const char *p = *text;
        int sign = *p == '-' ? -1 : 1, hours, minutes = 0, seconds = 0;

        p += *p == '-' || *p == '+';
        if (number_parse(&p, max_hours, &hours) < 0)
                return -EINVAL;
        if (*p == ':') {
                p++;
                if (number_parse(&p, 59, &minutes) < 0)
                        return -EINVAL;
        }
        if (*p == ':') {
                p++;
                if (number_parse(&p, 59, &seconds) < 0)
                        return -EINVAL;
        }

        *text = p;
        *ret_sec = sign * (hours * 3600 + minutes * 60 + seconds);
        return 0;
}

/* "M3.5.0", the letter already gone */
static int month_day_parse(const char **text, ZoneChange *change)
{
        const char *p = *text;

        if (number_parse(&p, 12, &change->month) < 0 || change->month == 0 || *p++ != '.' ||
            number_parse(&p, 5, &change->week) < 0 || change->week == 0 || *p++ != '.' ||
            number_parse(&p, 6, &change->day) < 0)
                return -EINVAL;

        change->kind = ZONE_DAY_OF_MONTH;
        *text = p;
        return 0;
}

/* ",M10.5.0/3" */
static int change_parse(const char **text, ZoneChange *change)
{
        const char *p = *text;
        int r;

        if (*p++ != ',')
                return -EINVAL;
        if (*p == 'M') {
                p++;
                r = month_day_parse(&p, change);
        } else {
                change->kind = *p == 'J' ? ZONE_DAY_OF_YEAR : ZONE_DAY_OF_YEAR_LEAP;
                p += *p == 'J';
                r = number_parse(&p, 365, &change->day);
                if (r >= 0 && change->kind == ZONE_DAY_OF_YEAR && change->day == 0)
                        return -EINVAL;
        }
        if (r < 0)
                return r;

        change->time_sec = CHANGE_DEFAULT_SEC;
        if (*p == '/') {
                p++;
                r = time_parse(&p, CHANGE_HOURS_MAX, &change->time_sec);
                if (r < 0)
                        return r;
        }

        *text = p;
        return 0;
}

int zone_rule_parse(const char *text, ZoneRule *ret_rule)
{
        ZoneRule rule = {};
        const char *p = text;
        int32_t west_sec; /* POSIX counts westwards */

        if (abbreviation_parse(&p, rule.standard_name) < 0 || time_parse(&p, OFFSET_HOURS_MAX, &west_sec) < 0)
                return -EINVAL;
        rule.standard_offset_sec = -west_sec;

        if (*p != '\0') {
                if (abbreviation_parse(&p, rule.dst_name) < 0)
                        return -EINVAL;
                rule.dst_offset_sec = rule.standard_offset_sec + 3600;
                if (*p != '\0' && *p != ',') {
                        if (time_parse(&p, OFFSET_HOURS_MAX, &west_sec) < 0)
                                return -EINVAL;
                        rule.dst_offset_sec = -west_sec;
                }
                if (*p == '\0')
                        p = USA_CHANGES;
                if (change_parse(&p, &rule.dst_begin) < 0 || change_parse(&p, &rule.dst_end) < 0 || *p != '\0')
                        return -EINVAL;
        }

        *ret_rule = rule;
        return 0;
}

/* The second, in the local time before it, at which clocks are changed in a year. */
static int64_t change_local_seconds(const ZoneChange *change, int64_t year)
{
        int64_t days = civil_to_days(year, 1, 1);

        switch (change->kind) {
        case ZONE_DAY_OF_YEAR:
                days += change->day - 1;
                if (change->day > 31 + 28 && civil_month_days(year, 2) == 29)
                        days++;
                break;
        case ZONE_DAY_OF_YEAR_LEAP:
                days += change->day;
                break;
        default: {
                int64_t first = civil_to_days(year, change->month, 1);
                int sunday_based = (civil_weekday(first) + 1) % 7;
                int day = 1 + (change->day - sunday_based + 7) % 7 + (change->week - 1) * 7;

                if (day > civil_month_days(year, change->month)) /* there is no fifth one: the last is meant */
                        day -= 7;
                days = first + day - 1;
                break;
        }
        }
        return days * SECONDS_PER_DAY + change->time_sec;
}

void zone_rule_segment(const ZoneRule *rule, int64_t seconds, ZoneSegment *ret_segment)
{
        int64_t last_begin = INT64_MIN, last_end = INT64_MIN, next = INT64_MAX;
        CivilTime civil;
        bool is_dst = false;

        if (rule->dst_name[0] != '\0') {
                civil_from_seconds(seconds + rule->standard_offset_sec, &civil);

                /* A change may lie a week outside of its year. */
                for (int64_t year = civil.year - 2; year <= civil.year + 2; year++) {
                        int64_t begin = change_local_seconds(&rule->dst_begin, year) - rule->standard_offset_sec;
                        int64_t end = change_local_seconds(&rule->dst_end, year) - rule->dst_offset_sec;

                        if (begin <= seconds)
                                last_begin = MAX(last_begin, begin);
                        else
                                next = MIN(next, begin);
                        if (end <= seconds)
                                last_end = MAX(last_end, end);
                        else
                                next = MIN(next, end);
                }
                /* Where one ends in the second in which the next begins, daylight saving time never ends. */
                is_dst = last_begin >= last_end;
        }

        *ret_segment = (ZoneSegment){
                .end_sec = next,
                .offset_sec = is_dst ? rule->dst_offset_sec : rule->standard_offset_sec,
                .is_dst = is_dst,
                .abbreviation = is_dst ? rule->dst_name : rule->standard_name,
        };
}
