/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The Gregorian calendar as arithmetic, carried back before its invention: days since 1970-01-01 and dates.
 * Time zones are not here: see model/zone. */

#include "base/macros.h"

enum {
        SECONDS_PER_DAY = 24 * 60 * 60,
};

/* A wall clock's face: where it hangs is not said. */
typedef struct CivilTime {
        int64_t year;
        int month;  /* 1…12 */
        int day;    /* 1…31 */
        int hour;   /* 0…23 */
        int minute; /* 0…59 */
        int second; /* 0…59 */
} CivilTime;

/**
 * civil_to_days() - which day since 1970-01-01 a date is
 * @year:  -5000000000000…5000000000000, so that no sum overflows
 * @month: 1…12
 * @day:   any small number: day 0 is the one before the first
 *
 * Return: days, negative before 1970.
 */
int64_t civil_to_days(int64_t year, int month, int day) _const_;

/**
 * civil_to_seconds() - seconds since 1970-01-01T00:00:00, had the wall clock hung in UTC
 * @civil: year within the bounds of civil_to_days(); the day, hour, minute and second may be out of range and carry
 * over
 *
 * Return: seconds, negative before 1970.
 */
int64_t civil_to_seconds(const CivilTime *civil) _pure_;

/**
 * civil_from_seconds() - what a wall clock in UTC shows
 * @seconds:   since 1970-01-01T00:00:00
 * @ret_civil: always set
 */
void civil_from_seconds(int64_t seconds, CivilTime *ret_civil);

/**
 * civil_month_days() - days of a month, 28…31
 * @month: 1…12
 */
int civil_month_days(int64_t year, int month) _const_;

/**
 * civil_weekday() - the day of the week of a day since 1970-01-01
 *
 * Return: 0 (Monday) … 6 (Sunday).
 */
int civil_weekday(int64_t days) _const_;
