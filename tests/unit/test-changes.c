/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The page by which readers of the history see that something was committed. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd-util.h"
#include "model/changes.h"

static Changes *new_changes(void)
{
        Changes *changes = NULL;

        assert_return_code(changes_new(&changes), 0);
        return changes;
}

static ChangesReader *new_reader(const Changes *changes)
{
        ChangesReader *reader = NULL;

        assert_return_code(changes_reader_new(changes_page_fd(changes), changes_life_fd(changes), &reader), 0);
        return reader;
}

static void a_commit_makes_another_version(void **state)
{
        Changes *changes = new_changes();
        ChangesReader *reader = new_reader(changes);
        ChangesState before, after;

        assert_true(changes_read(reader, &before));
        changes_begin(changes);
        assert_false(changes_read(reader, &after));
        changes_end(changes);
        assert_true(changes_read(reader, &after));
        assert_true(after.version > before.version);
        assert_true(changes_read(reader, &before));
        assert_int_equal(after.version, before.version);
        changes_reader_free(reader);
        changes_free(changes);
}

static void the_age_is_told(void **state)
{
        Changes *changes = new_changes();
        ChangesReader *reader = new_reader(changes);
        ChangesState now;

        changes_set_events_max_age(changes, USEC_INFINITY);
        assert_true(changes_read(reader, &now));
        assert_true(now.events_max_age_usec == USEC_INFINITY);
        changes_set_events_max_age(changes, 7);
        assert_true(changes_read(reader, &now));
        assert_int_equal(now.events_max_age_usec, 7);
        changes_reader_free(reader);
        changes_free(changes);
}

static void nothing_is_said_for_a_daemon_that_has_gone(void **state)
{
        Changes *changes = new_changes();
        ChangesReader *reader = new_reader(changes);
        ChangesState now;

        changes_free(changes);
        assert_false(changes_read(reader, &now));
        changes_reader_free(reader);
}

static void readers_cannot_write(void **state)
{
        Changes *changes = new_changes();
        int fd = changes_page_fd(changes);

        assert_ptr_equal(mmap(NULL, 16, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
        assert_int_equal(errno, EPERM);
        assert_int_equal(pwrite(fd, "x", 1, 0), -1);
        assert_int_equal(errno, EPERM);
        assert_int_equal(ftruncate(fd, 0), -1);
        assert_int_equal(errno, EPERM);
        changes_free(changes);
}

static void another_file_is_refused(void **state)
{
        Changes *changes = new_changes();
        ChangesReader *reader = NULL;
        int fd = memfd_create("short", MFD_CLOEXEC);

        assert_true(fd >= 0);
        assert_int_equal(changes_reader_new(fd, changes_life_fd(changes), &reader), -EBADMSG);
        assert_int_equal(changes_reader_new(-EBADF, changes_life_fd(changes), &reader), -EBADF);
        assert_int_equal(changes_reader_new(changes_page_fd(changes), -EBADF, &reader), -EBADF);
        assert_null(reader);
        safe_close(fd);
        changes_free(changes);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_commit_makes_another_version),
                cmocka_unit_test(the_age_is_told),
                cmocka_unit_test(nothing_is_said_for_a_daemon_that_has_gone),
                cmocka_unit_test(readers_cannot_write),
                cmocka_unit_test(another_file_is_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
