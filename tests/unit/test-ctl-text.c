/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the command line does to text and times: widths, cuts, tables, points in time. */

#include <limits.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/time-util.h"
#include "ctl/table.h"
#include "ctl/text.h"
#include "ctl/time-parse.h"
#include "unit/expect.h"

static const struct {
        const char *text;
        unsigned width;
} widths[] = {
        { "", 0 },
        { "abc", 3 },
        { "äöü", 3 },
        { "の", 2 },
        { "e\u0301", 1 },              /* with a combining accent */
        { "\x1b[1;31mred\x1b[0m", 3 }, /* colours take no room */
        { "\x1b[2J", 3 },              /* other sequences are text, and never get this far */
        { "\xff\xfe", 2 },
        { "a\xe3\x81", 3 }, /* cut in the middle of a character */
};

static void test_width(void **state)
{
        for (size_t i = 0; i < ELEMENTSOF(widths); i++)
                if (text_width(widths[i].text) != widths[i].width)
                        fail_msg("'%s': %u, not %u", widths[i].text, text_width(widths[i].text), widths[i].width);
}

static const struct {
        const char *text;
        unsigned width;
        const char *printed;
} cuts[] = {
        { "abcdef", UINT_MAX, "abcdef" },
        { "abcdef", 6, "abcdef" },
        { "abcdef", 5, "abcd…" },
        { "abcdef", 1, "…" },
        { "abcdef", 0, "" },
        { "", 0, "" },
        { "ののの", 6, "ののの" },
        { "ののの", 5, "のの…" },
        { "ののの", 4, "の…" },
        { "ae\u0301bcd", 3, "ae\u0301…" },
        { "abe\u0301cd", 2, "a…" },
        { "\x1b[1mabcdef\x1b[0m", 4, "\x1b[1mabc…\x1b[0m" },
        { "a\xff\xff\xff", 3, "a\xff…" },
};

static void test_cut(void **state)
{
        for (size_t i = 0; i < ELEMENTSOF(cuts); i++) {
                _cleanup_(freep) char *printed = NULL;
                size_t size;
                FILE *out = open_memstream(&printed, &size);
                unsigned used;

                assert_non_null(out);
                used = text_print(out, cuts[i].text, cuts[i].width);
                assert_int_equal(fclose(out), 0);
                assert_string_equal(printed, cuts[i].printed);
                assert_int_equal(used, text_width(cuts[i].printed));
        }
}

static void test_line(void **state)
{
        char *line = text_line("a\nb\tc\x1b[2Jd\xff\x7f");

        assert_string_equal(line, "a b c\ufffd[2Jd\ufffd\ufffd");
        free(line);
        line = text_line(NULL);
        assert_string_equal(line, "");
        free(line);
        for (size_t more = 0; more < 2; more++) { /* at the limit, and above it */
                char *text = malloc(LINE_BYTES_MAX + 2);

                assert_non_null(text);
                memset(text, 'x', LINE_BYTES_MAX + more);
                text[LINE_BYTES_MAX + more] = '\0';
                line = text_line(text);
                assert_int_equal(strlen(line), LINE_BYTES_MAX);
                free(line);
                free(text);
        }
}

/* What table_print() writes to standard output. */
static void expect_table(const Table *table, bool legend, const char *expected)
{
        char text[4096];
        FILE *file = tmpfile();
        int saved = dup(STDOUT_FILENO);
        size_t n;

        assert_non_null(file);
        (void) fflush(stdout);
        assert_true(dup2(fileno(file), STDOUT_FILENO) >= 0);
        assert_int_equal(table_print(table, legend), 0);
        (void) fflush(stdout);
        assert_true(dup2(saved, STDOUT_FILENO) >= 0);
        (void) close(saved);
        rewind(file);
        n = fread(text, 1, sizeof(text) - 1, file);
        text[n] = '\0';
        (void) fclose(file);
        assert_string_equal(text, expected);
}

static void test_table(void **state)
{
        static const char *const titles[] = { "NAME", "N", "TEXT", NULL };
        Table *table = table_new(titles);

        assert_non_null(table);
        table_align_right(table, 1);
        expect_table(table, true, "NAME N TEXT\n");
        expect_table(table, false, "");
        table_add(table, COLOUR_BOLD, "の");
        table_add_count(table, 5);
        table_add(table, COLOUR_RED, "one\nline");
        table_add(table, COLOUR_NORMAL, "long name");
        table_add_count(table, 12345);
        table_add(table, COLOUR_NORMAL, NULL);
        table_add_format(table, COLOUR_NORMAL, "%s", "");
        table_add_count(table, UINT64_MAX);
        table_add(table, COLOUR_NORMAL, "");
        assert_int_equal(table_rows(table), 3);
        expect_table(table, true,
                     "NAME          N TEXT\n"
                     "の            5 one line\n"
                     "long name 12345 -\n"
                     "-             - -\n");
        expect_table(table, false,
                     "の            5 one line\n"
                     "long name 12345 -\n"
                     "-             - -\n");
        table_free(table);
}

#define NOW (UINT64_C(1795305600) * USEC_PER_SEC + 7 * USEC_PER_HOUR) /* 2026-11-22 07:00 UTC */

static const struct {
        const char *text;
        usec_t seconds;
} times[] = {
        { "2026-11-22T08:00:00Z", 1795334400 },
        { "2026-11-22T08:00:00+02:00", 1795327200 },
        { "2026-11-22 08:00:00", 1795334400 },
        { "2026-11-22 08:00", 1795334400 },
        { "2026-11-22 08:00 UTC", 1795334400 },
        { "2026-11-22", 1795305600 },
        { "2026-11-22 UTC", 1795305600 },
        { "08:00", 1795334400 },
        { "08:00:01", 1795334401 },
        { "now", 1795330800 },
        { "today", 1795305600 },
        { "yesterday", 1795219200 },
        { "tomorrow", 1795392000 },
        { "@0", 0 },
        { "@1795334400", 1795334400 },
        { "2h", 1795323600 },
        { "2h ago", 1795323600 },
        { "-2h", 1795323600 },
        { "1h 30min ago", 1795325400 },
        { "+2h", 1795338000 },
        { "2h left", 1795338000 },
        { "1000 years ago", 0 },
};

static void test_time(void **state)
{
        for (size_t i = 0; i < ELEMENTSOF(times); i++) {
                usec_t usec = 4711;
                int r = time_parse(times[i].text, NOW, &usec);

                if (r < 0 || usec != times[i].seconds * USEC_PER_SEC)
                        fail_msg("'%s': result %i, %ju", times[i].text, r, (uintmax_t) usec);
        }
}

static void test_time_refused(void **state)
{
        static const char *const wrong[] = {
                "",
                "lately",
                "2026-02-30",
                "2026-13-01",
                "25:00",
                "08:00 UTC",
                "2026-11-22 08:00 CET",
                "-",
                "+",
                "2h later",
                "ago",
                "@",
                "@-1",
                "@1.5",
                "infinity x",
                "2026-11-22x",
                "--2h",
                "+-2h",
                "nowadays",
        };
        usec_t usec = 4711;

        for (size_t i = 0; i < ELEMENTSOF(wrong); i++)
                if (time_parse(wrong[i], NOW, &usec) != -EINVAL)
                        fail_msg("'%s' is taken for a time", wrong[i]);
        assert_int_equal(time_parse("@99999999999999999", NOW, &usec), -ERANGE);
        assert_int_equal(time_parse("infinity", NOW, &usec), -ERANGE);
        assert_int_equal(time_parse("+18446744073709551614us", NOW, &usec), -ERANGE);
        assert_int_equal(time_parse("1969-12-31", NOW, &usec), -ERANGE);
        assert_int_equal(usec, 4711);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_width), cmocka_unit_test(test_cut),  cmocka_unit_test(test_line),
                cmocka_unit_test(test_table), cmocka_unit_test(test_time), cmocka_unit_test(test_time_refused),
        };

        (void) setlocale(LC_CTYPE, "C.UTF-8");
        return cmocka_run_group_tests(tests, NULL, NULL);
}
