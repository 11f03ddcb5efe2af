/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Time spans, timestamps and the arithmetic of dates. */

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/civil.h"
#include "base/time-util.h"
#include "unit/expect.h"

#define USEC_PER_YEAR  (31557600ULL * USEC_PER_SEC)
#define USEC_PER_MONTH (2629800ULL * USEC_PER_SEC)

static const struct {
        const char *text;
        usec_t usec;
} spans[] = {
        { "0", 0 },
        { "5", 5 * USEC_PER_SEC },
        { "+5", 5 * USEC_PER_SEC },
        { "5 5", 10 * USEC_PER_SEC },
        { " \t5\n", 5 * USEC_PER_SEC },
        { ".5", 500 * USEC_PER_MSEC },
        { "1.5", 1500 * USEC_PER_MSEC },
        { "1 .5s", 1500 * USEC_PER_MSEC },
        { "1.5h", 90 * USEC_PER_MINUTE },
        { "1h30", USEC_PER_HOUR + 30 * USEC_PER_SEC },
        { "1h 30min", 90 * USEC_PER_MINUTE },
        { "3 hours4 minutes", 3 * USEC_PER_HOUR + 4 * USEC_PER_MINUTE },
        { "1 h30\tmin 2s", 90 * USEC_PER_MINUTE + 2 * USEC_PER_SEC },
        { "2 years 5.25 s", 2 * USEC_PER_YEAR + 5250 * USEC_PER_MSEC },
        { "0.1M", USEC_PER_MONTH / 10 },
        { "1m", USEC_PER_MINUTE },
        { "1ms", USEC_PER_MSEC },
        { "1M", USEC_PER_MONTH },
        { "1.9999999s", USEC_PER_SEC + 999999 },
        { "0.9us", 0 },
        { "1\u00b5s", 1 },
        { "1\u03bcs", 1 },
        { "0.00000000000000000000000000000000001s", 0 },
        { "9223372036854775807us", INT64_MAX },
        { "9223372036854.775808s", UINT64_C(9223372036854775808) },
        { "18446744073709551614us", USEC_INFINITY - 1 },
        { "18446744073709551613us 1us", USEC_INFINITY - 1 },
        { "18446744073709.551614s", USEC_INFINITY - 1 },
        { "infinity", USEC_INFINITY },
        { " infinity ", USEC_INFINITY },
};

static void test_timespan_parse(void **state)
{
        for (size_t i = 0; i < ELEMENTSOF(spans); i++) {
                usec_t usec = 4711;
                int r = timespan_parse(spans[i].text, USEC_PER_SEC, &usec);

                if (r < 0 || usec != spans[i].usec)
                        fail_msg("'%s': result %i, %ju microseconds", spans[i].text, r, (uintmax_t) usec);
        }
}

static void test_timespan_units(void **state)
{
        static const struct {
                const char *names[6];
                usec_t usec;
        } units[] = {
                { { "usec", "us" }, 1 },
                { { "msec", "ms" }, USEC_PER_MSEC },
                { { "seconds", "second", "sec", "s" }, USEC_PER_SEC },
                { { "minutes", "minute", "min", "m" }, USEC_PER_MINUTE },
                { { "hours", "hour", "hr", "h" }, USEC_PER_HOUR },
                { { "days", "day", "d" }, USEC_PER_DAY },
                { { "weeks", "week", "w" }, 7 * USEC_PER_DAY },
                { { "months", "month", "M" }, USEC_PER_MONTH },
                { { "years", "year", "y" }, USEC_PER_YEAR },
        };

        for (size_t i = 0; i < ELEMENTSOF(units); i++)
                for (size_t k = 0; units[i].names[k]; k++) {
                        char text[32];
                        usec_t usec;

                        for (size_t spaces = 0; spaces <= 1; spaces++) {
                                (void) snprintf(text, sizeof text, "3%*s%s", (int) spaces, "", units[i].names[k]);
                                expect_ok(timespan_parse(text, USEC_PER_SEC, &usec));
                                assert_int_equal(usec, 3 * units[i].usec);
                        }
                }
}

static void test_timespan_default_unit(void **state)
{
        usec_t usec;

        expect_ok(timespan_parse("2", USEC_PER_HOUR, &usec));
        assert_int_equal(usec, 2 * USEC_PER_HOUR);
        expect_ok(timespan_parse("2 3min 4", 1, &usec));
        assert_int_equal(usec, 3 * USEC_PER_MINUTE + 6);
        expect_ok(timespan_parse("1.5", USEC_PER_MSEC, &usec));
        assert_int_equal(usec, 1500);
}

static void test_timespan_refused(void **state)
{
        static const char *const invalid[] = {
                "",     " ",       "s",   "x",   "1.",   "1.s",      "1. 5s",     ".",          "1.5.5",
                "1 x",  "1 Min",   "1S",  "1e3", "0x10", "1,5s",     "-5",        "5 -5",       "- 5",
                "+",    "+.5",     "+ 5", "++5", "1ns",  "1smaller", "infinity5", "1 infinity", "infinity infinity",
                "2.-5", "\u00b5s", "5-5", "5+5", "5 5.",
        };
        static const char *const too_large[] = {
                "18446744073709551615us",
                "18446744073709551616us",
                "18446744073709551614us 1us",
                "584543y",
                "99999999999999y",
                "18446744073709.551615s",
                "18446744073709.551616s",
                "99999999999999999999",
        };
        usec_t usec = 4711;

        for (size_t i = 0; i < ELEMENTSOF(invalid); i++)
                if (timespan_parse(invalid[i], USEC_PER_SEC, &usec) != -EINVAL)
                        fail_msg("'%s' was not refused with EINVAL", invalid[i]);
        for (size_t i = 0; i < ELEMENTSOF(too_large); i++)
                if (timespan_parse(too_large[i], USEC_PER_SEC, &usec) != -ERANGE)
                        fail_msg("'%s' was not refused with ERANGE", too_large[i]);
        assert_int_equal(usec, 4711);
}

static void test_timespan_format(void **state)
{
        static const struct {
                usec_t usec, accuracy;
                const char *text;
        } cases[] = {
                { 0, 1, "0" },
                { 1, 1, "1us" },
                { 1500, 1, "1.500ms" },
                { 500 * USEC_PER_MSEC, 1, "500ms" },
                { 1500 * USEC_PER_MSEC, 1, "1.500000s" },
                { 1500 * USEC_PER_MSEC, 0, "1.500000s" },
                { 1500 * USEC_PER_MSEC, USEC_PER_MSEC, "1.500s" },
                { 1500 * USEC_PER_MSEC, USEC_PER_SEC, "1s" },
                { 90 * USEC_PER_MINUTE, USEC_PER_SEC, "1h 30min" },
                { USEC_PER_HOUR + 1, 1, "1h 1us" },
                { USEC_PER_HOUR + 1, USEC_PER_SEC, "1h" },
                { USEC_PER_HOUR + 119 * USEC_PER_SEC, USEC_PER_MINUTE, "1h 1min" },
                { 5, USEC_PER_SEC, "5us" },
                { USEC_PER_YEAR + USEC_PER_MONTH + 15 * USEC_PER_DAY, 1, "1y 1month 2w 1d" },
                { INT64_MAX, 1, "292271y 1w 1d 10h 54.775807s" },
                { USEC_INFINITY, 1, "infinity" },
        };
        char buf[TIMESPAN_TEXT_MAX];

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                assert_string_equal(timespan_format(buf, sizeof buf, cases[i].usec, cases[i].accuracy), cases[i].text);
}

static void test_timespan_format_small_buffer(void **state)
{
        usec_t usec = USEC_INFINITY - 1;
        char full[TIMESPAN_TEXT_MAX], buf[TIMESPAN_TEXT_MAX];

        timespan_format(full, sizeof full, usec, 1);
        for (size_t size = 1; size <= strlen(full) + 1; size++) {
                memset(buf, 'x', sizeof buf);
                timespan_format(buf, size, usec, 1);
                assert_int_equal(strlen(buf), size - 1);
                assert_memory_equal(buf, full, size - 1);
                assert_int_equal(buf[size], 'x');
        }
}

/* What is written can be read back, at the edges of every unit and for many values of every size. */
static void test_timespan_round_trip(void **state)
{
        uint64_t seed = 1;

        for (unsigned i = 0; i < 100000; i++) {
                char buf[TIMESPAN_TEXT_MAX];
                usec_t usec, again;

                seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
                usec = seed >> (i % 64);
                if (i % 3 == 0)
                        usec -= usec % USEC_PER_MINUTE;
                expect_ok(timespan_parse(timespan_format(buf, sizeof buf, usec, 1), USEC_PER_SEC, &again));
                if (again != usec)
                        fail_msg("%s is not %ju", buf, (uintmax_t) usec);
        }
        for (usec_t usec = USEC_INFINITY; usec > USEC_INFINITY - 10; usec--) {
                char buf[TIMESPAN_TEXT_MAX];
                usec_t again;

                expect_ok(timespan_parse(timespan_format(buf, sizeof buf, usec, 1), USEC_PER_SEC, &again));
                assert_int_equal(again, usec);
        }
}

static void test_timespan_relative(void **state)
{
        static const usec_t now = 1779566400 * USEC_PER_SEC;
        static const struct {
                usec_t usec;
                const char *text;
        } cases[] = {
                { now, "now" },
                { now + USEC_PER_SEC - 1, "now" },
                { now - USEC_PER_SEC + 1, "now" },
                { now + USEC_PER_SEC, "in 1s" },
                { now - USEC_PER_SEC, "1s ago" },
                { now - 3 * USEC_PER_MINUTE, "3min ago" },
                { now - 3 * USEC_PER_MINUTE - 5 * USEC_PER_SEC, "3min 5s ago" },
                { now + 2 * USEC_PER_HOUR + 5 * USEC_PER_MINUTE + 7 * USEC_PER_SEC, "in 2h 5min" },
                { now + USEC_PER_DAY + 59 * USEC_PER_MINUTE, "in 1d" },
                { now - 15 * USEC_PER_DAY, "2w 1d ago" },
                { now - USEC_PER_MONTH - 14 * USEC_PER_DAY, "1month 14d ago" },
                { now - USEC_PER_YEAR - USEC_PER_MONTH, "1y 1month ago" },
                { 0, "56y 4month ago" },
                { USEC_INFINITY, "never" },
        };
        char buf[TIMESPAN_TEXT_MAX];

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                assert_string_equal(timespan_relative(buf, sizeof buf, cases[i].usec, now), cases[i].text);
}

static void test_usec_sums(void **state)
{
        assert_int_equal(usec_add(1, 2), 3);
        assert_true(usec_add(USEC_INFINITY, 1) == USEC_INFINITY);
        assert_true(usec_add(USEC_INFINITY - 1, 5) == USEC_INFINITY);
        assert_int_equal(usec_sub(5, 2), 3);
        assert_int_equal(usec_sub(2, 5), 0);
        assert_true(usec_sub(USEC_INFINITY, 5) == USEC_INFINITY);
}

static void test_timestamp_iso(void **state)
{
        static const struct {
                const char *text;
                usec_t usec;
                const char *written;
        } cases[] = {
                { "1970-01-01T00:00:00Z", 0, "1970-01-01T00:00:00Z" },
                { "2026-05-30T20:00:00.5Z", UINT64_C(1780171200500000), "2026-05-30T20:00:00.500000Z" },
                { "2026-05-30t20:00:00.500000z", UINT64_C(1780171200500000), "2026-05-30T20:00:00.500000Z" },
                { "2026-05-30 22:00:00+02:00", UINT64_C(1780171200000000), "2026-05-30T20:00:00Z" },
                { "2026-05-30T14:30:00-05:30", UINT64_C(1780171200000000), "2026-05-30T20:00:00Z" },
                { "2026-05-30T20:00:00.000001999Z", UINT64_C(1780171200000001), "2026-05-30T20:00:00.000001Z" },
                { "2024-02-29T00:00:00-00:00", UINT64_C(1709164800000000), "2024-02-29T00:00:00Z" },
                { "2016-12-31T23:59:60Z", UINT64_C(1483228800000000), "2017-01-01T00:00:00Z" },
                { "9999-12-31T23:59:59.999999Z", UINT64_C(253402300799999999), "9999-12-31T23:59:59.999999Z" },
                { "1969-12-31T23:00:00-01:00", 0, "1970-01-01T00:00:00Z" },
        };
        char buf[TIMESTAMP_TEXT_MAX];
        usec_t usec;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                expect_ok(timestamp_parse_iso(cases[i].text, &usec));
                assert_int_equal(usec, cases[i].usec);
                assert_string_equal(timestamp_format_iso(buf, sizeof buf, usec), cases[i].written);
        }
        assert_null(timestamp_format_iso(buf, sizeof buf, USEC_INFINITY));
        assert_null(timestamp_format_iso(buf, sizeof buf, UINT64_C(253402300800000000)));
}

static void test_timestamp_iso_refused(void **state)
{
        static const char *const invalid[] = {
                "",
                "now",
                "2026-05-30",
                "2026-05-30T20:00Z",
                "2026-05-30T20:00:00",
                "2026-05-30T20:00:00.Z",
                "2026-05-30T20:00:00.5",
                "2026-05-30T20:00:00,5Z",
                "2026-05-30T20:00:00Zx",
                "2026-05-30T20:00:00 Z",
                " 2026-05-30T20:00:00Z",
                "2026-05-30T20:00:00+2:00",
                "2026-05-30T20:00:00+0200",
                "2026-05-30T20:00:00+24:00",
                "2026-05-30T20:00:00+02:60",
                "2026-5-30T20:00:00Z",
                "+026-05-30T20:00:00Z",
                "2026-00-30T20:00:00Z",
                "2026-13-30T20:00:00Z",
                "2026-05-00T20:00:00Z",
                "2026-02-29T20:00:00Z",
                "2100-02-29T20:00:00Z",
                "2026-04-31T20:00:00Z",
                "2026-05-30T24:00:00Z",
                "2026-05-30T20:60:00Z",
                "2026-05-30T20:00:60Z",
                "2026-05-30T20:59:61Z",
                "20260530T200000Z",
        };
        usec_t usec = 4711;

        for (size_t i = 0; i < ELEMENTSOF(invalid); i++)
                if (timestamp_parse_iso(invalid[i], &usec) != -EINVAL)
                        fail_msg("'%s' was not refused with EINVAL", invalid[i]);
        expect_errno(timestamp_parse_iso("1969-12-31T23:59:59Z", &usec), -ERANGE);
        expect_errno(timestamp_parse_iso("1970-01-01T00:00:00+00:01", &usec), -ERANGE);
        expect_errno(timestamp_parse_iso("0000-01-01T00:00:00Z", &usec), -ERANGE);
        expect_errno(timestamp_parse_iso("9999-12-31T23:59:59-01:00", &usec), -ERANGE);
        assert_int_equal(usec, 4711);
}

static int restore_zone(void **state)
{
        assert_int_equal(setenv("TZ", "UTC", 1), 0);
        tzset();
        return 0;
}

static void test_timestamp_local(void **state)
{
        static const usec_t usec = UINT64_C(1795302375999999);
        char buf[TIMESTAMP_TEXT_MAX];

        assert_int_equal(setenv("TZ", "UTC", 1), 0);
        assert_string_equal(timestamp_format_local(buf, sizeof buf, usec), "Sat 2026-11-21 23:06:15 UTC");
        assert_int_equal(setenv("TZ", "Europe/Berlin", 1), 0);
        assert_string_equal(timestamp_format_local(buf, sizeof buf, usec), "Sun 2026-11-22 00:06:15 CET");
        assert_string_equal(timestamp_format_local(buf, sizeof buf, 0), "Thu 1970-01-01 01:00:00 CET");
        assert_int_equal(setenv("TZ", "America/Sao_Paulo", 1), 0);
        assert_string_equal(timestamp_format_local(buf, sizeof buf, usec), "Sat 2026-11-21 20:06:15 -03");
        assert_null(timestamp_format_local(buf, sizeof buf, USEC_INFINITY));
        assert_null(timestamp_format_local(buf, sizeof buf, UINT64_C(253402300800000000)));
        assert_int_equal(setenv("TZ", "Pacific/Kiritimati", 1), 0); /* already in year 10000 */
        assert_null(timestamp_format_local(buf, sizeof buf, UINT64_C(253402300799000000)));
}

/* Against the C library, on every day that has a second in 1970…2399 and on a few before. */
static void test_civil(void **state)
{
        CivilTime civil;
        struct tm tm;

        for (int64_t days = -800000; days < 160000; days++) {
                time_t seconds = days * SECONDS_PER_DAY + (days & 0x3fff);

                assert_non_null(gmtime_r(&seconds, &tm));
                civil_from_seconds(seconds, &civil);
                if (civil.year != tm.tm_year + 1900 || civil.month != tm.tm_mon + 1 || civil.day != tm.tm_mday ||
                    civil.hour != tm.tm_hour || civil.minute != tm.tm_min || civil.second != tm.tm_sec ||
                    civil_weekday(days) != (tm.tm_wday + 6) % 7 || civil_to_seconds(&civil) != seconds ||
                    civil_to_days(civil.year, civil.month, civil.day) != days)
                        fail_msg("day %jd is wrong", (intmax_t) days);
        }

        assert_int_equal(civil_month_days(2023, 2), 28);
        assert_int_equal(civil_month_days(2024, 2), 29);
        assert_int_equal(civil_month_days(2100, 2), 28);
        assert_int_equal(civil_month_days(2000, 2), 29);
        assert_int_equal(civil_month_days(2024, 12), 31);
}

static void test_now(void **state)
{
        usec_t before = now_usec(CLOCK_MONOTONIC), after = now_usec(CLOCK_MONOTONIC);

        assert_true(before > 0);
        assert_true(after >= before);

        /* time() tells of a new second a tick later. */
        usec_t earlier = (usec_t) time(NULL), now = now_usec(CLOCK_REALTIME) / USEC_PER_SEC, later = (usec_t) time(NULL);

        assert_true(earlier <= now && now <= later + 1);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_timespan_parse),
                cmocka_unit_test(test_timespan_units),
                cmocka_unit_test(test_timespan_default_unit),
                cmocka_unit_test(test_timespan_refused),
                cmocka_unit_test(test_timespan_format),
                cmocka_unit_test(test_timespan_format_small_buffer),
                cmocka_unit_test(test_timespan_round_trip),
                cmocka_unit_test(test_timespan_relative),
                cmocka_unit_test(test_usec_sums),
                cmocka_unit_test(test_timestamp_iso),
                cmocka_unit_test(test_timestamp_iso_refused),
                cmocka_unit_test_teardown(test_timestamp_local, restore_zone),
                cmocka_unit_test(test_civil),
                cmocka_unit_test(test_now),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
