/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Time zones: rules, files whole and broken, and every zone of the database against the C library. */

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/fd-util.h"
#include "base/string-util.h"
#include "model/zone-data.h"
#include "model/zone.h"
#include "unit/expect.h"

#define YEAR_2200_SEC INT64_C(7258118400)

static int restore_zone(void **state)
{
        assert_int_equal(setenv("TZ", "UTC", 1), 0);
        tzset();
        return 0;
}

static void assert_segment(const ZoneSegment *segment, int64_t end_sec, int32_t offset_sec, bool is_dst,
                           const char *abbreviation)
{
        assert_int_equal(segment->end_sec, end_sec);
        assert_int_equal(segment->offset_sec, offset_sec);
        assert_int_equal(segment->is_dst, is_dst);
        assert_string_equal(segment->abbreviation, abbreviation);
}

static void test_rule_refused(void **state)
{
        static const char *const invalid[] = {
                "",
                "CET",
                "CE-1",
                "CET-",
                "CET-1:60",
                "CET-25",
                "<+0>-1",
                "<+01-1",
                "+01-1",
                "AAAAAAAAAAAAAAAA0",
                "CET-1CEST,M3.5.0",
                "CET-1CEST,M3.5.0,M10.5.0x",
                "CET-1CEST,M0.5.0,M10.5.0",
                "CET-1CEST,M13.5.0,M10.5.0",
                "CET-1CEST,M3.0.0,M10.5.0",
                "CET-1CEST,M3.6.0,M10.5.0",
                "CET-1CEST,M3.5.7,M10.5.0",
                "CET-1CEST,M3.5,M10.5.0",
                "CET-1CEST,J0,J300",
                "CET-1CEST,J366,J300",
                "CET-1CEST,366,300",
                "CET-1CEST,M3.5.0/168,M10.5.0",
                "CET-1CEST,M3.5.0/,M10.5.0",
                "CET-1CEST M3.5.0,M10.5.0",
                "99999999999999999999",
                "CET-99999999999999999999",
        };
        ZoneRule rule;

        for (size_t i = 0; i < ELEMENTSOF(invalid); i++)
                if (zone_rule_parse(invalid[i], &rule) != -EINVAL)
                        fail_msg("'%s' was not refused", invalid[i]);
        expect_ok(zone_rule_parse("AAAAAAAAAAAAAAA0", &rule)); /* ZONE_ABBREVIATION_MAX letters */
}

/* Each in $TZ too: what the C library makes of it must be the same at every change and between them. */
static void compare_with_libc(const char *what, void (*segment_of)(const void *, int64_t, ZoneSegment *),
                              const void *zone)
{
        int64_t seconds = 0;

        while (seconds < YEAR_2200_SEC) {
                ZoneSegment segment;

                segment_of(zone, seconds, &segment);
                assert_true(segment.end_sec > seconds);
                for (int64_t i = 0; i < 2; i++) {
                        time_t t = i == 0 ? seconds : MIN(segment.end_sec, YEAR_2200_SEC) - 1;
                        struct tm tm;

                        assert_non_null(localtime_r(&t, &tm));
                        if (tm.tm_gmtoff != segment.offset_sec || (tm.tm_isdst > 0) != segment.is_dst ||
                            !streq(tm.tm_zone, segment.abbreviation))
                                fail_msg("%s at %jd: %d %d %s, the C library says %ld %d %s", what, (intmax_t) t,
                                         segment.offset_sec, segment.is_dst, segment.abbreviation, tm.tm_gmtoff,
                                         tm.tm_isdst, tm.tm_zone);
                }
                seconds = segment.end_sec;
        }
}

static void segment_of_rule(const void *rule, int64_t seconds, ZoneSegment *ret_segment)
{
        zone_rule_segment(rule, seconds, ret_segment);
}

static void segment_of_zone(const void *zone, int64_t seconds, ZoneSegment *ret_segment)
{
        zone_segment(zone, seconds, ret_segment);
}

static void test_rule_like_libc(void **state)
{
        static const char *const rules[] = {
                "UTC0",
                "CET-1CEST,M3.5.0,M10.5.0/3",
                "EST5EDT,M3.2.0,M11.1.0",
                "AEST-10AEDT,M10.1.0,M4.1.0/3",
                "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",
                "<-03>3<-02>,M3.5.0/-2,M10.5.0/-1",
                "<+00>0<+02>-2,M3.5.0/1,M10.5.0/3",
                "NST3:30NDT,M3.2.0,M11.1.0",
                "XST1:02:03YDT,J60/0,J300",
                "XST-1YDT,59,300/12:34:56",
                "EET-2EEST,M3.4.4/50,M10.4.4/50",
                "IST-1GMT0,M10.5.0,M3.5.0/1",
        };

        for (size_t i = 0; i < ELEMENTSOF(rules); i++) {
                ZoneRule rule;

                expect_ok(zone_rule_parse(rules[i], &rule));
                assert_int_equal(setenv("TZ", rules[i], 1), 0);
                tzset();
                compare_with_libc(rules[i], segment_of_rule, &rule);
        }
}

static void test_rule_segments(void **state)
{
        ZoneSegment segment;
        ZoneRule rule;

        expect_ok(zone_rule_parse("CET-1CEST,M3.5.0,M10.5.0/3", &rule));
        zone_rule_segment(&rule, 1774745999, &segment); /* 2026-03-29T00:59:59Z */
        assert_segment(&segment, 1774746000, 3600, false, "CET");
        zone_rule_segment(&rule, 1774746000, &segment);
        assert_segment(&segment, 1792890000, 7200, true, "CEST");

        /* RFC 8536: daylight saving time all year, as an end that is the next beginning */
        expect_ok(zone_rule_parse("XXX3EDT4,0/0,J365/23", &rule));
        for (int64_t seconds = 0; seconds < YEAR_2200_SEC; seconds += INT64_C(86400) * 365 / 2) {
                zone_rule_segment(&rule, seconds, &segment);
                assert_int_equal(segment.offset_sec, -4 * 3600);
                assert_true(segment.is_dst);
        }

        /* without days, those of the USA */
        expect_ok(zone_rule_parse("XST5XDT", &rule));
        zone_rule_segment(&rule, 1772953200, &segment); /* 2026-03-08T07:00:00Z */
        assert_segment(&segment, 1793512800, -4 * 3600, true, "XDT");

        expect_ok(zone_rule_parse("UTC0", &rule));
        zone_rule_segment(&rule, 0, &segment);
        assert_segment(&segment, INT64_MAX, 0, false, "UTC");
}

static unsigned n_zones_compared;

static int compare_zone(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        const char *name = path + strlen(ZONE_FOLDER) + 1;
        Zone *zone = NULL;
        int r;

        /* The same zones again, or ones that count leap seconds. */
        if (type != FTW_F || startswith(name, "posix/") || startswith(name, "right/") || !zone_name_is_valid(name))
                return 0;

        r = zone_open(name, &zone);
        if (r == -ENOENT) /* one of the tables beside the zones */
                return 0;
        expect_ok(r);
        assert_int_equal(setenv("TZ", name, 1), 0);
        tzset();
        compare_with_libc(name, segment_of_zone, zone);
        zone_unref(zone);
        n_zones_compared++;
        return 0;
}

static void test_all_zones_like_libc(void **state)
{
        assert_int_equal(nftw(ZONE_FOLDER, compare_zone, 16, FTW_PHYS), 0);
        assert_true(n_zones_compared > 300);
}

static void test_names(void **state)
{
        static const char *const invalid[] = {
                "",
                "/etc/localtime",
                "..",
                "../localtime",
                "Europe/../Europe/Berlin",
                "Europe//Berlin",
                "Europe/",
                ".",
                "Europe/Berlin ",
                "Europe/Ber lin",
                "Europe/Berl\xc3\xadn",
                "tzdata.zi",
                "*",
                "Europe/Berlin\n",
        };
        char long_name[ZONE_NAME_MAX + 2] = {};
        Zone *zone = NULL;

        for (size_t i = 0; i < ELEMENTSOF(invalid); i++)
                expect_errno(zone_open(invalid[i], &zone), -EINVAL);
        memset(long_name, 'a', ZONE_NAME_MAX);
        expect_errno(zone_open(long_name, &zone), -ENOENT);
        long_name[ZONE_NAME_MAX] = 'a';
        expect_errno(zone_open(long_name, &zone), -EINVAL);

        expect_errno(zone_open("Europe/Nowhere", &zone), -ENOENT);
        expect_errno(zone_open("Europe", &zone), -ENOENT);
        expect_errno(zone_open("Europe/Berlin/Mitte", &zone), -ENOENT);
        expect_errno(zone_open("europe/berlin", &zone), -ENOENT);
        assert_null(zone);
}

static void test_fixed(void **state)
{
        ZoneSegment segment;
        Zone *zone = NULL;

        expect_ok(zone_open_fixed("<3>", -5400, &zone));
        zone_segment(zone, 1774746000, &segment);
        assert_segment(&segment, INT64_MAX, -5400, false, "<3>");
        expect_ok(zone_latest(zone, false, &segment));
        assert_int_equal(segment.offset_sec, -5400);
        expect_errno(zone_latest(zone, true, &segment), -ENOENT);
        zone = zone_unref(zone);
        assert_null(zone);

        expect_errno(zone_open_fixed("AB", 0, &zone), -EINVAL);
        expect_errno(zone_open_fixed("AAAAAAAAAAAAAAAA", 0, &zone), -EINVAL);
}

static void assert_latest(const char *name, const char *standard, int32_t standard_sec, const char *dst,
                          int32_t dst_sec)
{
        ZoneSegment segment;
        Zone *zone = NULL;

        expect_ok(zone_open(name, &zone));
        expect_ok(zone_latest(zone, false, &segment));
        assert_segment(&segment, INT64_MAX, standard_sec, false, standard);
        if (dst) {
                expect_ok(zone_latest(zone, true, &segment));
                assert_segment(&segment, INT64_MAX, dst_sec, true, dst);
        } else
                expect_errno(zone_latest(zone, true, &segment), -ENOENT);
        zone_unref(zone);
}

static void test_latest(void **state)
{
        assert_latest("Europe/Berlin", "CET", 3600, "CEST", 7200);
        assert_latest("America/Sao_Paulo", "-03", -3 * 3600, "-02", -2 * 3600); /* without since 2019 */
        assert_latest("Asia/Kathmandu", "+0545", 20700, NULL, 0);
        assert_latest("Etc/GMT+5", "-05", -5 * 3600, NULL, 0);
}

/* A version 1 file: one change, two types, two names; big-endian. */
#define V1_HEADER  "TZif\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define V1_COUNTS  "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\2\0\0\0\10"
#define V1_CHANGES "\0\0\0\144\1"
#define V1_TYPES   "\0\0\0\0\0\0\0\0\16\20\1\4"
#define V1_NAMES   "GMT\0BST\0"

static const char version_1[] = V1_HEADER V1_COUNTS V1_CHANGES V1_TYPES V1_NAMES;

static void test_version_1(void **state)
{
        ZoneData *data = NULL;
        ZoneSegment segment;

        expect_ok(zone_data_parse(version_1, sizeof version_1 - 1, &data));
        zone_data_segment(data, 99, &segment);
        assert_segment(&segment, 100, 0, false, "GMT");
        zone_data_segment(data, 100, &segment);
        assert_segment(&segment, INT64_MAX, 3600, true, "BST");
        zone_data_free(data);
}

static void assert_broken(const char *bytes, size_t offset, char byte, int error)
{
        char copy[sizeof version_1];
        ZoneData *data = NULL;

        memcpy(copy, bytes, sizeof copy);
        copy[offset] = byte;
        expect_errno(zone_data_parse(copy, sizeof copy - 1, &data), error);
        assert_null(data);
}

static void test_broken_files(void **state)
{
        static const char leap[] =
                        V1_HEADER "\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\1\0\0\0\2\0\0\0\10" V1_CHANGES V1_TYPES V1_NAMES
                                  "\0\0\0\0\0\0\0\1";
        static const char long_name[] = V1_HEADER "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\21"
                                                  "\0\0\0\0\0\0ABCDEFGHIJKLMNOP";
        static const char descending[] = V1_HEADER "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\2\0\0\0\2\0\0\0\10"
                                                   "\0\0\0\144\0\0\0\144\1\0" V1_TYPES V1_NAMES;
        size_t types = strlen("TZif") + 16 + 24 + 5;
        ZoneData *data = NULL;

        assert_broken(version_1, 0, 't', -EBADMSG);
        assert_broken(version_1, 4, '2', -EBADMSG);                    /* and no second block */
        assert_broken(version_1, 28 + 3 - 8, 1, -EBADMSG);             /* more flags than bytes */
        assert_broken(version_1, 39, 0, -EBADMSG);                     /* no type */
        assert_broken(version_1, 36, '\xff', -EBADMSG);                /* very many types */
        assert_broken(version_1, 43, 0, -EBADMSG);                     /* no names */
        assert_broken(version_1, 48, 2, -EBADMSG);                     /* a change to a type that is not there */
        assert_broken(version_1, types, '\x7f', -EBADMSG);             /* an offset of years */
        assert_broken(version_1, types, '\x80', -EBADMSG);             /* … westwards */
        assert_broken(version_1, types + 5, 8, -EBADMSG);              /* a name after the last */
        assert_broken(version_1, sizeof version_1 - 2, 'X', -EBADMSG); /* names without an end */
        expect_errno(zone_data_parse(leap, sizeof leap - 1, &data), -EOPNOTSUPP);
        expect_errno(zone_data_parse(long_name, sizeof long_name, &data), -EBADMSG); /* ZONE_ABBREVIATION_MAX + 1 */
        expect_errno(zone_data_parse(descending, sizeof descending - 1, &data), -EBADMSG);
        assert_null(data);
}

/* A real file, cut anywhere, is refused; with any byte another it may be read, but nothing may break. */
static void test_damaged_files(void **state)
{
        char *bytes = NULL;
        ZoneData *data = NULL;
        ZoneSegment segment;
        size_t size;

        expect_ok(read_file(ZONE_FOLDER "/Europe/Berlin", ZONE_FILE_LIMIT_BYTES, &bytes, &size));
        for (size_t cut = 0; cut < size; cut++) {
                char *exact = malloc(MAX(cut, (size_t) 1)); /* for ASan to see a read past the end */

                assert_non_null(exact);
                memcpy(exact, bytes, cut);
                expect_errno(zone_data_parse(exact, cut, &data), -EBADMSG);
                free(exact);
        }
        for (size_t i = 0; i < size; i++) {
                bytes[i] ^= (char) 0xff;
                if (zone_data_parse(bytes, size, &data) >= 0) {
                        for (int64_t seconds = 0; seconds < YEAR_2200_SEC; seconds = segment.end_sec) {
                                zone_data_segment(data, seconds, &segment);
                                assert_true(segment.end_sec > seconds);
                        }
                        data = zone_data_free(data);
                }
                bytes[i] ^= (char) 0xff;
        }
        free(bytes);
}

static void test_size_limit(void **state)
{
        char *bytes = calloc(1, ZONE_FILE_LIMIT_BYTES + 1);
        ZoneData *data = NULL;

        assert_non_null(bytes);
        memcpy(bytes, version_1, sizeof version_1);
        expect_ok(zone_data_parse(bytes, ZONE_FILE_LIMIT_BYTES, &data));
        data = zone_data_free(data);
        expect_errno(zone_data_parse(bytes, ZONE_FILE_LIMIT_BYTES + 1, &data), -EFBIG);
        free(bytes);
}

static int32_t local_offset(const Zone *zone, int64_t seconds)
{
        ZoneSegment segment;

        zone_segment(zone, seconds, &segment);
        return segment.offset_sec;
}

static void test_local(void **state)
{
        static const struct {
                const char *tz;
                int32_t offset_sec;
        } cases[] = {
                { "Europe/Berlin", 7200 },
                { ":Europe/Berlin", 7200 },
                { "", 0 },
                { ":", 0 },
                { "Europe/Nowhere", 0 },
                { "/no/such/file", 0 },
                { "../zoneinfo/Asia/Tokyo", 0 },
                { ZONE_FOLDER "/Asia/Tokyo", 9 * 3600 },
                { "AAA-3", 3 * 3600 },
                { "<+01>-1<+04>-4,M3.5.0,M10.5.0/3", 4 * 3600 },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Zone *zone = NULL;

                assert_int_equal(setenv("TZ", cases[i].tz, 1), 0);
                expect_ok(zone_open_local(&zone));
                assert_int_equal(local_offset(zone, 1779566400), cases[i].offset_sec);
                zone_unref(zone);
        }
}

/* Without $TZ it is /etc/localtime, or UTC where that is not. */
static void test_local_file(void **state)
{
        Zone *zone = NULL;
        time_t t = 1779566400;
        struct tm tm;

        assert_int_equal(unsetenv("TZ"), 0);
        tzset();
        assert_non_null(localtime_r(&t, &tm));
        expect_ok(zone_open_local(&zone));
        assert_int_equal(local_offset(zone, t), tm.tm_gmtoff);
        zone_unref(zone);
}

static void test_reload(void **state)
{
        Zone *local = NULL, *again = NULL, *named = NULL;

        assert_int_equal(setenv("TZ", "Europe/Berlin", 1), 0);
        expect_ok(zone_open_local(&local));
        expect_ok(zone_open("Asia/Tokyo", &named));
        assert_int_equal(zone_reload_all(), 0);

        assert_int_equal(setenv("TZ", "Asia/Kathmandu", 1), 0);
        expect_ok(zone_open_local(&again)); /* the one in use, until it is read again */
        assert_ptr_equal(again, local);
        assert_int_equal(local_offset(local, 1779566400), 7200);
        assert_int_equal(zone_reload_all(), 1);
        assert_int_equal(local_offset(local, 1779566400), 20700);
        assert_int_equal(local_offset(named, 1779566400), 9 * 3600);
        assert_int_equal(zone_reload_all(), 0);

        zone_unref(again);
        assert_int_equal(local_offset(local, 1779566400), 20700); /* still held */
        zone_unref(local);
        zone_unref(named);

        assert_int_equal(zone_reload_all(), 0); /* none in use */
        assert_null(zone_unref(NULL));
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_rule_refused),
                cmocka_unit_test_teardown(test_rule_like_libc, restore_zone),
                cmocka_unit_test(test_rule_segments),
                cmocka_unit_test_teardown(test_all_zones_like_libc, restore_zone),
                cmocka_unit_test(test_names),
                cmocka_unit_test(test_fixed),
                cmocka_unit_test(test_latest),
                cmocka_unit_test(test_version_1),
                cmocka_unit_test(test_broken_files),
                cmocka_unit_test(test_damaged_files),
                cmocka_unit_test(test_size_limit),
                cmocka_unit_test_teardown(test_local, restore_zone),
                cmocka_unit_test_teardown(test_local_file, restore_zone),
                cmocka_unit_test_teardown(test_reload, restore_zone),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
