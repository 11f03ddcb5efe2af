/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Calendar events: every way to write them, their normal form, and when they elapse, above all where clocks change.
 * test_calendar_peer.py compares with systemd; here stands what is right. */

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/time-util.h"
#include "model/calendar.h"
#include "model/zone.h"
#include "unit/expect.h"

static void set_zone(const char *name)
{
        assert_int_equal(setenv("TZ", name, 1), 0);
        expect_ok(zone_reload_all());
}

static int restore_zone(void **state)
{
        set_zone("UTC");
        return 0;
}

static usec_t at(const char *text)
{
        usec_t usec;

        expect_ok(timestamp_parse_iso(text, &usec));
        return usec;
}

static CalendarSpec *parse(const char *text)
{
        CalendarSpec *spec = NULL;
        int r = calendar_spec_parse(text, &spec);

        if (r < 0)
                fail_msg("'%s': %s", text, strerror(-r));
        return spec;
}

static void assert_normal(const char *text, const char *expected)
{
        CalendarSpec *spec = parse(text), *again;
        char *normal = NULL, *normal_again = NULL;

        expect_ok(calendar_spec_format(spec, &normal));
        if (strcmp(normal, expected) != 0)
                fail_msg("'%s' became '%s', expected '%s'", text, normal, expected);
        again = parse(normal);
        expect_ok(calendar_spec_format(again, &normal_again));
        assert_string_equal(normal_again, normal);

        free(normal);
        free(normal_again);
        calendar_spec_free(spec);
        calendar_spec_free(again);
}

static const struct {
        const char *text, *normal;
} normal_forms[] = {
        /* shorthands */
        { "minutely", "*-*-* *:*:00" },
        { "hourly", "*-*-* *:00:00" },
        { "daily", "*-*-* 00:00:00" },
        { "DAILY", "*-*-* 00:00:00" },
        { "weekly", "Mon *-*-* 00:00:00" },
        { "monthly", "*-*-01 00:00:00" },
        { "quarterly", "*-01,04,07,10-01 00:00:00" },
        { "semiannually", "*-01,07-01 00:00:00" },
        { "semi-annually", "*-01,07-01 00:00:00" },
        { "biannually", "*-01,07-01 00:00:00" },
        { "bi-annually", "*-01,07-01 00:00:00" },
        { "yearly", "*-01-01 00:00:00" },
        { "annually", "*-01-01 00:00:00" },
        { "anually", "*-01-01 00:00:00" },
        { "daily UTC", "*-*-* 00:00:00 UTC" },
        { "weekly Pacific/Auckland", "Mon *-*-* 00:00:00 Pacific/Auckland" },

        /* the examples of systemd.time(7) */
        { "Sat,Thu,Mon..Wed,Sat..Sun", "Mon..Thu,Sat,Sun *-*-* 00:00:00" },
        { "Mon,Sun 12-*-* 2,1:23", "Mon,Sun 2012-*-* 01,02:23:00" },
        { "Wed *-1", "Wed *-*-01 00:00:00" },
        { "Wed..Wed,Wed *-1", "Wed *-*-01 00:00:00" },
        { "Wed, 17:48", "Wed *-*-* 17:48:00" },
        { "Wed..Sat,Tue 12-10-15 1:2:3", "Tue..Sat 2012-10-15 01:02:03" },
        { "*-*-7 0:0:0", "*-*-07 00:00:00" },
        { "10-15", "*-10-15 00:00:00" },
        { "monday *-12-* 17:00", "Mon *-12-* 17:00:00" },
        { "Mon,Fri *-*-3,1,2 *:30:45", "Mon,Fri *-*-01,02,03 *:30:45" },
        { "12,14,13,12:20,10,30", "*-*-* 12,13,14:10,20,30:00" },
        { "12..14:10,20,30", "*-*-* 12..14:10,20,30:00" },
        { "mon,fri *-1/2-1,3 *:30:45", "Mon,Fri *-01/2-01,03 *:30:45" },
        { "03-05 08:05:40", "*-03-05 08:05:40" },
        { "08:05:40", "*-*-* 08:05:40" },
        { "05:40", "*-*-* 05:40:00" },
        { "Sat,Sun 12-05 08:05:40", "Sat,Sun *-12-05 08:05:40" },
        { "Sat,Sun 08:05:40", "Sat,Sun *-*-* 08:05:40" },
        { "2003-03-05 05:40", "2003-03-05 05:40:00" },
        { "05:40:23.4200004/3.1700005", "*-*-* 05:40:23.420000/3.170001" },
        { "2003-02..04-05", "2003-02..04-05 00:00:00" },
        { "2003-03-05 05:40 UTC", "2003-03-05 05:40:00 UTC" },
        { "2003-03-05", "2003-03-05 00:00:00" },
        { "03-05", "*-03-05 00:00:00" },
        { "*:2/3", "*-*-* *:02/3:00" },

        /* days of the week */
        { "Mon", "Mon *-*-* 00:00:00" },
        { "Mon..Sun", "*-*-* 00:00:00" },
        { "tuesday-THU *:*", "Tue..Thu *-*-* *:*:00" },
        { "Mon,Tue", "Mon,Tue *-*-* 00:00:00" },
        { "Mon,Tue,Wed,Fri,Sat", "Mon..Wed,Fri,Sat *-*-* 00:00:00" },
        { "Sat..Sat", "Sat *-*-* 00:00:00" },
        { "Mon,  *:0/5", "Mon *-*-* *:00/5:00" },

        /* the end of the month */
        { "*-02~03", "*-02~03 00:00:00" },
        { "02~28", "*-02~28 00:00:00" },
        { "Mon *-05~07/1", "Mon *-05~07/1 00:00:00" },
        { "*-*~1..7/2 12:00", "*-*~01..07/2 12:00:00" },
        { "*-*~*", "*-*-* 00:00:00" },

        /* ranges and repetitions are cut to what they reach, singled where they reach nothing */
        { "*-*-1..11/3", "*-*-01..10/3 00:00:00" },
        { "*-*-1..3/5", "*-*-01 00:00:00" },
        { "5..5:00", "*-*-* 05:00:00" },
        { "*:5..5/3", "*-*-* *:05:00" },
        { "*:0..0:0", "*-*-* *:00:00" },
        { "*:*:0..10", "*-*-* *:*:00..10" },
        { "*:*:0..10/1", "*-*-* *:*:00..10" },
        { "*:*:0..10/2.5", "*-*-* *:*:00..10/2.500000" },
        { "*:*:5..5/1", "*-*-* *:*:05" },
        { "*:*:*", "*-*-* *:*:*" },
        { "*:*:0/1", "*-*-* *:*:*" },
        { "*:*:7,0/1,8..20/2,0/1", "*-*-* *:*:*" },
        { "*:*:7,0.5,0/1", "*-*-* *:*:00/1,00.500000" },
        { "*:*:0/0.5", "*-*-* *:*:00/0.500000" },
        { "*:*:59.9999994", "*-*-* *:*:59.999999" },
        { "*:0/59", "*-*-* *:00/59:00" },

        /* years */
        { "70-1-1", "1970-01-01 00:00:00" },
        { "69-1-1", "2069-01-01 00:00:00" },
        { "99..2005-1-1", "1999..2005-01-01 00:00:00" },
        { "2199-12-31 23:59:59", "2199-12-31 23:59:59" },
        { "1970/229-1-1", "1970/229-01-01 00:00:00" },

        /* zones and seconds since 1970 */
        { "Mon 09:00 utc", "Mon *-*-* 09:00:00 UTC" },
        { "*:0 Etc/UTC", "*-*-* *:00:00 Etc/UTC" },
        { "*:0 EST5EDT", "*-*-* *:00:00 EST5EDT" },
        { "*:0 Etc/GMT+5", "*-*-* *:00:00 Etc/GMT+5" },
        { "@1395716396", "2014-03-25 02:59:56 UTC" },
        { "@0", "1970-01-01 00:00:00 UTC" },
        { "Tue @1395716396", "Tue 2014-03-25 02:59:56 UTC" },
        { "@1395716396 Europe/Berlin", "2014-03-25 02:59:56 UTC" },
        { "@7258118399", "2199-12-31 23:59:59 UTC" },
};

static void test_normal_forms(void **state)
{
        for (size_t i = 0; i < ELEMENTSOF(normal_forms); i++)
                assert_normal(normal_forms[i].text, normal_forms[i].normal);
}

static const struct {
        const char *text;
        int error;
} refused[] = {
        { "", -EINVAL },
        { " ", -EINVAL },
        { "test", -EINVAL },
        { " daily", -EINVAL },
        { "daily ", -EINVAL },
        { "daily  UTC", -EINVAL },
        { " UTC", -EINVAL },
        { "UTC", -EINVAL },
        { "Europe/Berlin", -EINVAL },
        { "5", -EINVAL },
        { "*", -EINVAL },
        { "7/", -EINVAL },
        { "2003-03-05 05:40 ", -EINVAL },
        { " 2003-03-05", -EINVAL },
        { "2003-03-05 05", -EINVAL },
        { "2003-03", -ERANGE },
        { "05:40:23:5", -EINVAL },
        { "05:40:", -EINVAL },
        { "05:", -EINVAL },
        { ":05", -EINVAL },
        { "05:40x", -EINVAL },
        { "*-*-*,5", -EINVAL },
        { "*5:00", -EINVAL },
        { "1,:00", -EINVAL },
        { "1,,2:00", -EINVAL },
        { "1..:00", -EINVAL },
        { "1...2:00", -EINVAL },
        { "1.5:00", -EINVAL },
        { "*:*:1.", -EINVAL },
        { "*:*:1.x", -EINVAL },
        { "+5:00", -EINVAL },
        { "-5:00", -EINVAL },
        { "*/5:00", -EINVAL },

        { "Mon..", -EINVAL },
        { "Mon-", -EINVAL },
        { "Mon.", -EINVAL },
        { "Mon.Tue", -EINVAL },
        { "Mon,,Tue", -EINVAL },
        { ",Mon", -EINVAL },
        { "Mon..Wed..Fri", -EINVAL },
        { "Wed..Mon", -EINVAL },
        { "Mondays", -EINVAL },
        { "Mon *-*-* Tue", -ENOENT },
        { "Mon12:00", -EINVAL },

        { "00:00:00/0.00000001", -ERANGE },
        { "00:00:00/0", -ERANGE },
        { "*:0/0", -ERANGE },
        { "*:*:0..0", -EINVAL },
        { "*:*:0..0.9", -EINVAL },
        { "*:*:5..3", -EINVAL },
        { "5..3:00", -EINVAL },
        { "*-7..2-1", -EINVAL },
        { "24:00", -ERANGE },
        { "23:60", -ERANGE },
        { "23:59:60", -ERANGE },
        { "*:*:59.9999995", -ERANGE },
        { "23/1:00", -ERANGE },
        { "*:*:0/1,60", -ERANGE },
        { "*:0/60", -ERANGE },
        { "*:*:0/60", -ERANGE },
        { "*-0-1", -ERANGE },
        { "*-13-1", -ERANGE },
        { "*-*-0", -ERANGE },
        { "*-*-32", -ERANGE },
        { "*-*~29", -ERANGE },
        { "*-*~0", -ERANGE },
        { "*-*~1/1", -ERANGE },
        { "2003~03-05", -EINVAL },
        { "*-*~3..1", -EINVAL },
        { "100-1-1", -ERANGE },
        { "1969-1-1", -ERANGE },
        { "2200-1-1", -ERANGE },
        { "20000000000-1-1", -ERANGE },
        { "99999999999999999999:00", -ERANGE },
        { "*:*:2148", -ERANGE },
        { "*:*:99999999999999999999", -ERANGE },

        { "@", -EINVAL },
        { "@-5", -EINVAL },
        { "@+5", -EINVAL },
        { "@ 5", -EINVAL },
        { "@5.5", -EINVAL },
        { "@5 ", -EINVAL },
        { "@5 00:00", -EINVAL },
        { "@7258118400", -ERANGE },
        { "@17179869181", -ERANGE },
        { "@18446744073709551615", -ERANGE },
        { "@99999999999999999999", -ERANGE },

        { "daily Europe/Nowhere", -ENOENT },
        { "Mon..Fri 09:00 Europe/Berlim", -ENOENT },
        { "09:00 europe/berlin", -ENOENT },
        { "daily CEST", -ENOENT }, /* the local zone is UTC */
        { "daily ../Europe/Berlin", -EINVAL },
        { "daily /etc/localtime", -EINVAL },
        { "daily Europe/Berlin/", -EINVAL },
        { "Europe/Berlin Europe/Berlin", -EINVAL },
        { "Tue 12:00 13:00", -EINVAL },
        { "daily UTC UTC", -EINVAL },
};

static void test_refused(void **state)
{
        CalendarSpec *spec = NULL;

        for (size_t i = 0; i < ELEMENTSOF(refused); i++) {
                int r = calendar_spec_parse(refused[i].text, &spec);

                if (r != refused[i].error)
                        fail_msg("'%s': %i, expected %s", refused[i].text, r, strerror(-refused[i].error));
        }
        assert_null(spec);
}

static void test_ranges_limit(void **state)
{
        char text[4 * (CALENDAR_RANGES_MAX + 1) + 8] = "*:";
        CalendarSpec *spec = NULL;

        for (unsigned i = 0; i < CALENDAR_RANGES_MAX; i++)
                (void) sprintf(text + strlen(text), "%s%u", i > 0 ? "," : "", i % 60);
        expect_ok(calendar_spec_parse(text, &spec));
        spec = calendar_spec_free(spec);
        strcat(text, ",5");
        expect_errno(calendar_spec_parse(text, &spec), -E2BIG);
        assert_null(spec);
}

/* The first of an event's elapses after a time, as many as are expected; "never" ends a list. */
static void assert_elapses(const char *zone, const char *text, const char *after, const char *const *expected)
{
        CalendarSpec *spec;
        usec_t usec = at(after);
        char buf[TIMESTAMP_TEXT_MAX];

        set_zone(zone);
        spec = parse(text);
        for (; *expected; expected++) {
                usec_t next = 4711;
                int r = calendar_spec_next(spec, usec, &next);

                if (strcmp(*expected, "never") == 0) {
                        expect_errno(r, -ENOENT);
                        assert_int_equal(next, 4711);
                        break;
                }
                expect_ok(r);
                assert_true(next > usec);
                if (next != at(*expected))
                        fail_msg("%s '%s': %s, expected %s", zone, text, timestamp_format_iso(buf, sizeof buf, next),
                                 *expected);
                usec = next;
        }
        calendar_spec_free(spec);
}

#define expect_elapses(zone, text, after, ...) \
        assert_elapses(zone, text, after, (const char *const[]){ __VA_ARGS__, NULL })

static void test_next(void **state)
{
        expect_elapses("UTC", "daily", "2026-05-30T20:00:00Z", "2026-05-31T00:00:00Z", "2026-06-01T00:00:00Z");
        expect_elapses("UTC", "daily", "2026-05-30T23:59:59.999999Z", "2026-05-31T00:00:00Z");
        expect_elapses("UTC", "daily", "2026-05-31T00:00:00Z", "2026-06-01T00:00:00Z");
        expect_elapses("UTC", "weekly", "2026-05-30T20:00:00Z", "2026-06-01T00:00:00Z", "2026-06-08T00:00:00Z");
        expect_elapses("UTC", "quarterly", "2026-05-30T20:00:00Z", "2026-07-01T00:00:00Z", "2026-10-01T00:00:00Z",
                       "2027-01-01T00:00:00Z");
        expect_elapses("UTC", "Mon..Fri 09:00", "2026-05-29T09:00:00Z", "2026-06-01T09:00:00Z");
        expect_elapses("UTC", "*:0/20", "2026-12-31T23:30:00Z", "2026-12-31T23:40:00Z", "2027-01-01T00:00:00Z",
                       "2027-01-01T00:20:00Z");
        expect_elapses("UTC", "*:*:0/0.4", "2026-12-31T23:59:59Z", "2026-12-31T23:59:59.2Z", "2026-12-31T23:59:59.6Z",
                       "2027-01-01T00:00:00Z", "2027-01-01T00:00:00.4Z");
        expect_elapses("UTC", "*:*:0.5,0/1", "2026-01-01T00:00:59Z", "2026-01-01T00:01:00Z", "2026-01-01T00:01:00.5Z",
                       "2026-01-01T00:01:01Z");
        expect_elapses("UTC", "*:*:29.999999", "2026-01-01T00:00:30Z", "2026-01-01T00:01:29.999999Z");
        expect_elapses("UTC", "2026-06-01 12:00", "2026-05-30T20:00:00Z", "2026-06-01T12:00:00Z", "never");
        expect_elapses("UTC", "2025-*-*", "2026-05-30T20:00:00Z", "never");
        expect_elapses("UTC", "@1780171200", "2026-05-30T19:59:59Z", "2026-05-30T20:00:00Z", "never");
        expect_elapses("UTC", "Mon @1780171200", "2026-05-30T19:59:59Z", "never"); /* it is a Saturday */
}

static void test_days(void **state)
{
        expect_elapses("UTC", "*-02-29", "2096-03-01T00:00:00Z", "2104-02-29T00:00:00Z");
        expect_elapses("UTC", "Mon *-02-29", "2026-01-01T00:00:00Z", "2044-02-29T00:00:00Z");
        expect_elapses("UTC", "*-*-31", "2026-01-31T00:00:00Z", "2026-03-31T00:00:00Z", "2026-05-31T00:00:00Z");
        expect_elapses("UTC", "*-*~1", "2027-12-31T00:00:00Z", "2028-01-31T00:00:00Z", "2028-02-29T00:00:00Z",
                       "2028-03-31T00:00:00Z", "2028-04-30T00:00:00Z");
        expect_elapses("UTC", "*-02~3", "2027-01-01T00:00:00Z", "2027-02-26T00:00:00Z", "2028-02-27T00:00:00Z");
        expect_elapses("UTC", "Mon *-05~7/1", "2026-01-01T00:00:00Z", "2026-05-25T00:00:00Z",
                       "2027-05-31T00:00:00Z"); /* the last Monday in May */
        expect_elapses("UTC", "*-02~1..5/2", "2027-02-01T00:00:00Z", "2027-02-24T00:00:00Z", "2027-02-26T00:00:00Z",
                       "2027-02-28T00:00:00Z", "2028-02-25T00:00:00Z");
        expect_elapses("UTC", "*-*-1/14", "2026-12-16T00:00:00Z", "2026-12-29T00:00:00Z", "2027-01-01T00:00:00Z");
        expect_elapses("UTC", "*-*~28", "2027-01-31T00:00:00Z", "2027-02-01T00:00:00Z", "2027-03-04T00:00:00Z");
}

/* What can never be is found out at once, not searched for. */
static void test_impossible(void **state)
{
        static const char *const never[] = {
                "*-02-30",    "*-02-30..31",    "*-4,6,9,11-31",           "*-02-30 *:*:0/0.000001",
                "2100-02-29", "Mon 2026-05-30", "2027-02-29 Europe/Berlin"
        };
        clock_t begin = clock();

        for (unsigned round = 0; round < 20; round++)
                for (size_t i = 0; i < ELEMENTSOF(never); i++)
                        expect_elapses("Africa/Casablanca", never[i], "1970-01-01T00:00:00Z", "never");
        assert_true(clock() - begin < 2 * CLOCKS_PER_SEC);
}

static void test_end_of_time(void **state)
{
        CalendarSpec *spec;
        usec_t usec = 4711;

        expect_elapses("UTC", "yearly", "2198-01-01T00:00:00Z", "2199-01-01T00:00:00Z", "never");
        expect_elapses("UTC", "*:*:*", "2199-12-31T23:59:58Z", "2199-12-31T23:59:59Z", "never");
        expect_elapses("Pacific/Kiritimati", "*:*:*", "2199-12-31T09:59:58Z", "2199-12-31T09:59:59Z", "never");
        expect_elapses("Pacific/Honolulu", "*:*:*", "2200-01-01T09:59:58Z", "2200-01-01T09:59:59Z", "never");
        expect_elapses("UTC", "daily", "9999-12-31T23:59:59Z", "never");
        expect_elapses("America/New_York", "daily", "1970-01-01T00:00:00Z", "1970-01-01T05:00:00Z");
        expect_elapses("America/New_York", "*:30", "1970-01-01T00:00:00Z", "1970-01-01T00:30:00Z"); /* in 1969 */
        expect_elapses("America/New_York", "70-*-* *:30", "1970-01-01T00:00:00Z", "1970-01-01T05:30:00Z");

        spec = parse("*:*:*");
        expect_errno(calendar_spec_next(spec, USEC_INFINITY, &usec), -ENOENT);
        expect_errno(calendar_spec_next(spec, USEC_INFINITY - 1, &usec), -ENOENT);
        expect_errno(calendar_spec_next(spec, INT64_MAX, &usec), -ENOENT);
        assert_int_equal(usec, 4711);
        calendar_spec_free(spec);
}

static void test_zones(void **state)
{
        expect_elapses("Asia/Tokyo", "12:00", "2026-05-30T00:00:00Z", "2026-05-30T03:00:00Z");
        expect_elapses("Asia/Tokyo", "12:00 UTC", "2026-05-30T00:00:00Z", "2026-05-30T12:00:00Z");
        expect_elapses("Asia/Tokyo", "12:00 Europe/Berlin", "2026-05-30T00:00:00Z", "2026-05-30T10:00:00Z");
        expect_elapses("Asia/Tokyo", "2026-05-30 12:00 Asia/Kathmandu", "2026-05-30T00:00:00Z", "2026-05-30T06:15:00Z",
                       "never");
        expect_elapses("Asia/Tokyo", "Sun 05:00", "2026-05-30T19:00:00Z", "2026-05-30T20:00:00Z"); /* Sunday there */

        /* The local zone's abbreviations mean their offset in summer and winter. */
        expect_elapses("Europe/Berlin", "12:00 CET", "2026-05-30T00:00:00Z", "2026-05-30T11:00:00Z");
        expect_elapses("Europe/Berlin", "12:00 cest", "2026-05-30T00:00:00Z", "2026-05-30T10:00:00Z");
        expect_elapses("Europe/Berlin", "12:00 CEST", "2026-12-30T00:00:00Z", "2026-12-30T10:00:00Z");
        expect_elapses("Europe/Berlin", "2:30 CET", "2026-10-24T10:00:00Z", "2026-10-25T01:30:00Z");
        expect_elapses("America/Sao_Paulo", "12:00 -03", "2026-05-30T00:00:00Z", "2026-05-30T15:00:00Z");
        set_zone("Europe/Berlin");
        assert_normal("12:00 cest", "*-*-* 12:00:00 CEST");
        set_zone("America/Sao_Paulo");
        assert_normal("12:00 -03", "*-*-* 12:00:00 -03");
}

static void test_clocks_forward(void **state)
{
        /* 2026-03-29 01:00 UTC: 02:00 → 03:00 */
        expect_elapses("Europe/Berlin", "*:0/30", "2026-03-29T00:29:00Z", "2026-03-29T00:30:00Z",
                       "2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z");
        expect_elapses("Europe/Berlin", "02:30", "2026-03-28T00:00:00Z", "2026-03-28T01:30:00Z",
                       "2026-03-30T00:30:00Z");
        expect_elapses("Europe/Berlin", "2026-03-29 02:30", "2026-03-28T00:00:00Z", "never");
        expect_elapses("Europe/Berlin", "2026-03-29 02:00", "2026-03-28T00:00:00Z", "never");
        expect_elapses("Europe/Berlin", "2026-03-29 03:00", "2026-03-28T00:00:00Z", "2026-03-29T01:00:00Z", "never");
        expect_elapses("UTC", "02:30 Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-30T00:30:00Z");
        /* midnight was left out */
        expect_elapses("America/Sao_Paulo", "daily", "2018-11-03T12:00:00Z", "2018-11-05T02:00:00Z");
        expect_elapses("America/Sao_Paulo", "*:30", "2018-11-04T02:31:00Z", "2018-11-04T03:30:00Z");
        /* half an hour */
        expect_elapses("Australia/Lord_Howe", "*:15", "2026-10-03T15:00:00Z", "2026-10-03T16:15:00Z");
        expect_elapses("Australia/Lord_Howe", "*:0/10", "2026-10-03T15:25:00Z", "2026-10-03T15:30:00Z",
                       "2026-10-03T15:40:00Z");
        /* a whole day */
        expect_elapses("Pacific/Apia", "daily", "2011-12-29T12:00:00Z", "2011-12-30T10:00:00Z",
                       "2011-12-31T10:00:00Z");
        expect_elapses("Pacific/Apia", "2011-12-30 12:00", "2011-12-01T12:00:00Z", "never");
        /* at the turn of the year, a quarter of an hour: there systemd gives up */
        expect_elapses("Asia/Kathmandu", "*-01-01,02", "1985-12-31T12:00:00Z", "1986-01-01T18:15:00Z",
                       "1986-12-31T18:15:00Z");
}

static void test_clocks_back(void **state)
{
        /* 2026-10-25 01:00 UTC: 03:00 → 02:00 */
        expect_elapses("Europe/Berlin", "*:0/30", "2026-10-24T23:59:00Z", "2026-10-25T00:00:00Z",
                       "2026-10-25T00:30:00Z", "2026-10-25T02:00:00Z");
        expect_elapses("Europe/Berlin", "02:30", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z",
                       "2026-10-26T01:30:00Z");
        /* asked in the second showing of the hour */
        expect_elapses("Europe/Berlin", "*:0/30", "2026-10-25T01:10:00Z", "2026-10-25T01:30:00Z",
                       "2026-10-25T02:00:00Z");
        expect_elapses("Europe/Berlin", "02:30", "2026-10-25T01:10:00Z", "2026-10-25T01:30:00Z",
                       "2026-10-26T01:30:00Z");
        /* asked in the first, after it */
        expect_elapses("Europe/Berlin", "02:30", "2026-10-25T00:40:00Z", "2026-10-26T01:30:00Z");
        /* the first showing from however far away; systemd's answer depends on what was computed before */
        expect_elapses("America/Havana", "*-11-01 00:30", "2026-01-28T00:00:00Z", "2026-11-01T04:30:00Z",
                       "2027-11-01T04:30:00Z");
        /* back over midnight, into the day before */
        expect_elapses("America/Sao_Paulo", "23:30", "2018-02-17T12:00:00Z", "2018-02-18T01:30:00Z",
                       "2018-02-19T02:30:00Z");
        expect_elapses("America/Sao_Paulo", "daily", "2018-02-17T12:00:00Z", "2018-02-18T03:00:00Z");
        expect_elapses("Australia/Lord_Howe", "*:45", "2026-04-04T14:00:00Z", "2026-04-04T14:45:00Z",
                       "2026-04-04T16:15:00Z");
}

static void test_reload(void **state)
{
        CalendarSpec *local, *named;
        usec_t usec, after = at("2026-05-30T20:00:00Z");

        set_zone("Europe/Berlin");
        local = parse("12:00");
        named = parse("12:00 Europe/Berlin");
        expect_ok(calendar_spec_next(local, after, &usec));
        assert_int_equal(usec, at("2026-05-31T10:00:00Z"));

        set_zone("Asia/Tokyo");
        expect_ok(calendar_spec_next(local, after, &usec));
        assert_int_equal(usec, at("2026-05-31T03:00:00Z"));
        expect_ok(calendar_spec_next(named, after, &usec));
        assert_int_equal(usec, at("2026-05-31T10:00:00Z"));
        calendar_spec_free(local);
        calendar_spec_free(named);
}

/* The process's own zone is left alone. */
static void test_environment(void **state)
{
        CalendarSpec *spec;
        usec_t usec;

        set_zone("Asia/Tokyo");
        tzset();
        spec = parse("12:00 Europe/Berlin");
        expect_ok(calendar_spec_next(spec, at("2026-05-30T20:00:00Z"), &usec));
        assert_string_equal(getenv("TZ"), "Asia/Tokyo");
        assert_string_equal(tzname[0], "JST");
        calendar_spec_free(spec);
        assert_null(calendar_spec_free(NULL));
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_teardown(test_normal_forms, restore_zone),
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_ranges_limit),
                cmocka_unit_test_teardown(test_next, restore_zone),
                cmocka_unit_test_teardown(test_days, restore_zone),
                cmocka_unit_test_teardown(test_impossible, restore_zone),
                cmocka_unit_test_teardown(test_end_of_time, restore_zone),
                cmocka_unit_test_teardown(test_zones, restore_zone),
                cmocka_unit_test_teardown(test_clocks_forward, restore_zone),
                cmocka_unit_test_teardown(test_clocks_back, restore_zone),
                cmocka_unit_test_teardown(test_reload, restore_zone),
                cmocka_unit_test_teardown(test_environment, restore_zone),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
