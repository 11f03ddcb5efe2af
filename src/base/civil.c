/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Days and dates. The sums run over years that begin in March, so that the leap day is a year's last, and over eras of
 * 400 years, after which the Gregorian calendar repeats. */

#include "base/civil.h"

#define DAYS_PER_ERA    146097
#define YEARS_PER_ERA   400
#define MARCH_0000_DAYS 719468 /* from 0000-03-01 to 1970-01-01 */

static int64_t floor_div(int64_t a, int64_t b)
{
        return a / b - (a % b < 0);
}

static bool is_leap_year(int64_t year)
{
        return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* Days before a month, counted from March (0): 31, 30, 31, 30, 31 and again. */
static int days_before_month(int march_month)
{
        return (153 * march_month + 2) / 5;
}

int64_t civil_to_days(int64_t year, int month, int day)
{
        int64_t y = month > 2 ? year : year - 1;
        int64_t era = floor_div(y, YEARS_PER_ERA);
        int64_t year_of_era = y - era * YEARS_PER_ERA;
        int64_t leap_days = year_of_era / 4 - year_of_era / 100;

        return era * DAYS_PER_ERA + year_of_era * 365 + leap_days + days_before_month((month + 9) % 12) + (day - 1) -
               MARCH_0000_DAYS;
}

int64_t civil_to_seconds(const CivilTime *civil)
{
        return civil_to_days(civil->year, civil->month, civil->day) * SECONDS_PER_DAY + civil->hour * INT64_C(3600) +
               civil->minute * INT64_C(60) + civil->second;
}

void civil_from_seconds(int64_t seconds, CivilTime *ret_civil)
{
        int64_t days = floor_div(seconds, SECONDS_PER_DAY);
        int second_of_day = (int) (seconds - days * SECONDS_PER_DAY);
        int64_t march_days = days + MARCH_0000_DAYS;
        int64_t era = floor_div(march_days, DAYS_PER_ERA);
        int day_of_era = (int) (march_days - era * DAYS_PER_ERA);

        /* Take out the leap days before dividing: every 4 years (1460 days), not every 100 (36524), yes every 400. */
        int year_of_era =
                        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / (DAYS_PER_ERA - 1)) / 365;
        int day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        int march_month = (5 * day_of_year + 2) / 153;
        int month = march_month < 10 ? march_month + 3 : march_month - 9;

        *ret_civil = (CivilTime){
                .year = era * YEARS_PER_ERA + year_of_era + (month <= 2),
                .month = month,
                .day = day_of_year - days_before_month(march_month) + 1,
                .hour = second_of_day / 3600,
                .minute = second_of_day / 60 % 60,
                .second = second_of_day % 60,
        };
}

int civil_month_days(int64_t year, int month)
{
        static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

        return days[month - 1] + (month == 2 && is_leap_year(year));
}

int civil_weekday(int64_t days)
{
        int64_t since_monday = days + 3; /* 1970-01-01 was a Thursday */

        return (int) (since_monday - floor_div(since_monday, 7) * 7);
}
