/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* line-reader: lines however they come in pieces, and the limit. */

#include "unit/expect.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "worker/line-reader.h"

typedef struct Fixture {
        int read_fd, write_fd;
        LineReader *reader;
} Fixture;

static int set_up(void **state)
{
        Fixture *f = calloc(1, sizeof(*f));
        int ends[2];

        if (!f || pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
                return -1;
        f->read_fd = ends[0];
        f->write_fd = ends[1];
        *state = f;
        return line_reader_new(f->read_fd, &f->reader);
}

static int tear_down(void **state)
{
        Fixture *f = *state;

        line_reader_free(f->reader);
        (void) close(f->read_fd);
        if (f->write_fd >= 0)
                (void) close(f->write_fd);
        free(f);
        return 0;
}

static void put(Fixture *f, const char *data, size_t size)
{
        assert_int_equal(write(f->write_fd, data, size), size);
        expect_ok(line_reader_fill(f->reader));
}

static void end(Fixture *f)
{
        (void) close(f->write_fd);
        f->write_fd = -1;
        assert_int_equal(line_reader_fill(f->reader), 0);
        assert_true(line_reader_ended(f->reader));
}

static void expect_line(Fixture *f, const char *data, size_t size)
{
        Line line;
        int r = line_reader_next(f->reader, &line);

        if (r == 0) { /* the buffer had no room for it at once */
                expect_ok(line_reader_fill(f->reader));
                r = line_reader_next(f->reader, &line);
        }
        assert_int_equal(r, 1);
        assert_false(line.too_long);
        assert_int_equal(line.size, size);
        assert_memory_equal(line.data, data, size);
}

static void expect_none(Fixture *f)
{
        Line line;

        assert_int_equal(line_reader_next(f->reader, &line), 0);
}

static void test_pieces(void **state)
{
        Fixture *f = *state;

        put(f, "on", 2);
        expect_none(f);
        put(f, "e\ntw", 4);
        expect_line(f, "one", 3);
        expect_none(f);
        put(f, "o\r\n\n\r\n", 6);
        expect_line(f, "two", 3);
        expect_line(f, "", 0);
        expect_line(f, "", 0);
        put(f, "a\0b\rc\n", 6);
        expect_line(f, "a\0b\rc", 5);
        expect_none(f);
        assert_int_equal(line_reader_bytes(f->reader), 18);
        assert_int_equal(line_reader_fill(f->reader), -EAGAIN);
}

static void test_last_line_without_newline(void **state)
{
        Fixture *f = *state;

        put(f, "one\ntwo", 7);
        expect_line(f, "one", 3);
        expect_none(f);
        end(f);
        expect_line(f, "two", 3);
        expect_none(f);
        assert_int_equal(line_reader_fill(f->reader), 0);
}

static void test_nothing(void **state)
{
        end(*state);
        expect_none(*state);
}

/* Puts @size times x, which is no whole line. */
static void put_long(Fixture *f, size_t size)
{
        static char block[64 * KIB];
        int r;

        memset(block, 'x', sizeof(block));
        for (size_t n; size > 0; size -= n) {
                n = MIN(size, sizeof(block));
                assert_int_equal(write(f->write_fd, block, n), n);
                while ((r = line_reader_fill(f->reader)) > 0)
                        expect_none(f);
                assert_int_equal(r, -EAGAIN);
        }
}

static void test_limit(void **state)
{
        Fixture *f = *state;
        Line line;

        put_long(f, LINE_MAX_BYTES);
        put(f, "\r\nnext\n", 7);
        assert_int_equal(line_reader_next(f->reader, &line), 1);
        assert_false(line.too_long);
        assert_int_equal(line.size, LINE_MAX_BYTES);
        expect_line(f, "next", 4);

        put_long(f, LINE_MAX_BYTES + 1);
        put(f, "\nnext\n", 6);
        assert_int_equal(line_reader_next(f->reader, &line), 1);
        assert_true(line.too_long);
        assert_int_equal(line.size, LINE_HEAD_BYTES);
        expect_line(f, "next", 4);

        put_long(f, 2 * LINE_MAX_BYTES);
        expect_none(f);
        end(f);
        assert_int_equal(line_reader_next(f->reader, &line), 1);
        assert_true(line.too_long);
        expect_none(f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_pieces, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_last_line_without_newline, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_nothing, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_limit, set_up, tear_down),
        };

        return cmocka_run_group_tests_name("worker-lines", tests, NULL, NULL);
}
