/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The daemon's words about itself, and the watches that the bus tests cannot reach: the time zone's. */

#include "unit/expect.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/clock-watch.h"
#include "daemon/config-watch.h"
#include "daemon/status.h"

static void test_status_in_words(void **state)
{
        static const struct {
                EngineStatus status;
                const char *text;
        } cases[] = {
                { { 0 }, "Idle, 0 connectors" },
                { { .n_connectors = 1 }, "Idle, 1 connector" },
                { { .n_connectors = 12, .n_active_runs = 3, .n_attention = 1 }, "3 runs active, 1 needs attention" },
                { { .n_active_runs = 1, .n_queued_runs = 2, .n_attention = 2 }, "1 run active, 2 queued, 2 need attention" },
                { { .n_active_runs = 1, .storage_error = -ENOSPC },
                  "History cannot be written: No space left on device, 1 run active" },
                { { .files_error = -EACCES, .n_connectors = 2 },
                  "Configuration cannot be read: Permission denied" },
                { { .storage_error = -EROFS, .files_error = -EACCES, .n_attention = 2 },
                  "History cannot be written: Read-only file system, Configuration cannot be read: Permission denied, "
                  "2 need attention" },
        };
        char buf[STATUS_TEXT_MAX];

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                assert_string_equal(status_format(&cases[i].status, buf), cases[i].text);
}

/* ---- Watches */

typedef struct Fixture {
        sd_event *event;
        ClockWatch *clock_watch;
        ConfigWatch *config_watch;
        char folder[64];
        char path[128];
        unsigned n_clock, n_zone, n_config;
} Fixture;

static void on_clock_set(void *userdata)
{
        ((Fixture *) userdata)->n_clock++;
}

static void on_zone_changed(void *userdata)
{
        ((Fixture *) userdata)->n_zone++;
}

static void on_config_changed(void *userdata)
{
        ((Fixture *) userdata)->n_config++;
}

static const char *in_folder(Fixture *f, const char *name)
{
        (void) snprintf(f->path, sizeof(f->path), "%s/%s", f->folder, name);
        return f->path;
}

static int make_fixture(void **state)
{
        Fixture *f = calloc(1, sizeof(*f));

        (void) snprintf(f->folder, sizeof(f->folder), "/tmp/syncrun-daemon-XXXXXX");
        *state = f;
        return !mkdtemp(f->folder) || sd_event_new(&f->event) < 0 ? -1 : 0;
}

static int free_fixture(void **state)
{
        static const char *const names[] = { "localtime", "localtime.new", "connectors/a.connector",
                                             "connectors", "two/a.connector", "one", "two" };
        Fixture *f = *state;

        clock_watch_free(f->clock_watch);
        config_watch_free(f->config_watch);
        sd_event_unref(f->event);
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                (void) remove(in_folder(f, names[i]));
        (void) rmdir(f->folder);
        free(f);
        return 0;
}

/* Runs the loop until something of the kind has been told, at most two minutes for each thing. */
static void wait_told(Fixture *f, const unsigned *n, unsigned wanted)
{
        while (*n < wanted)
                if (sd_event_run(f->event, 2 * USEC_PER_MINUTE) <= 0)
                        fail_msg("nothing was told");
}

static void replace_link(Fixture *f, const char *target)
{
        char fresh[128];

        (void) snprintf(fresh, sizeof(fresh), "%s", in_folder(f, "localtime.new"));
        expect_ok(symlink(target, fresh));
        expect_ok(rename(fresh, in_folder(f, "localtime")));
}

static void watch_clock(Fixture *f)
{
        const ClockWatchCallbacks callbacks = { .clock_set = on_clock_set, .zone_changed = on_zone_changed };

        expect_ok(clock_watch_new(f->event, in_folder(f, "localtime"), &callbacks, f, &f->clock_watch));
}

static void test_zone_that_is_replaced(void **state)
{
        Fixture *f = *state;

        replace_link(f, "/usr/share/zoneinfo/UTC");
        watch_clock(f);
        replace_link(f, "/usr/share/zoneinfo/Europe/Berlin");
        wait_told(f, &f->n_zone, 1);
        f->n_zone = 0;
        replace_link(f, "/usr/share/zoneinfo/UTC");
        wait_told(f, &f->n_zone, 1);
        f->n_zone = 0;
        expect_ok(unlink(in_folder(f, "localtime")));
        wait_told(f, &f->n_zone, 1);
        assert_int_equal(f->n_clock, 0);
}

static void test_zone_that_appears(void **state)
{
        Fixture *f = *state;

        watch_clock(f);
        replace_link(f, "/usr/share/zoneinfo/UTC");
        wait_told(f, &f->n_zone, 1);
}

static void write_file(const char *path)
{
        FILE *file = fopen(path, "w");

        assert_non_null(file);
        (void) fputs("[Connector]\n", file);
        (void) fclose(file);
}

static void test_folders_appear_one_below_the_other(void **state)
{
        Fixture *f = *state;
        char dir[128];
        char *dirs[] = { dir, NULL };

        (void) snprintf(dir, sizeof(dir), "%s", in_folder(f, "connectors"));
        expect_ok(config_watch_new(f->event, dirs, on_config_changed, f, &f->config_watch));
        expect_ok(mkdir(dir, 0700));
        wait_told(f, &f->n_config, 1);
        expect_ok(config_watch_refresh(f->config_watch));
        write_file(in_folder(f, "connectors/a.connector"));
        wait_told(f, &f->n_config, 2);
        expect_ok(unlink(in_folder(f, "connectors/a.connector")));
        wait_told(f, &f->n_config, 3);
        expect_ok(rmdir(dir));
        wait_told(f, &f->n_config, 4);
}

static void replace_folder_link(Fixture *f, const char *target)
{
        char fresh[128];

        (void) snprintf(fresh, sizeof(fresh), "%s", in_folder(f, "localtime.new"));
        expect_ok(symlink(target, fresh));
        expect_ok(rename(fresh, in_folder(f, "connectors")));
}

/* As tools that install a whole version at once do it; and a link that leads nowhere, for a folder that cannot be
 * read. */
static void test_folder_behind_a_link(void **state)
{
        Fixture *f = *state;
        char dir[128];
        char *dirs[] = { dir, NULL };

        (void) snprintf(dir, sizeof(dir), "%s", in_folder(f, "connectors"));
        expect_ok(mkdir(in_folder(f, "one"), 0700));
        expect_ok(mkdir(in_folder(f, "two"), 0700));
        replace_folder_link(f, "one");
        expect_ok(config_watch_new(f->event, dirs, on_config_changed, f, &f->config_watch));
        replace_folder_link(f, "connectors");
        wait_told(f, &f->n_config, 1);
        expect_ok(config_watch_refresh(f->config_watch));
        replace_folder_link(f, "two");
        wait_told(f, &f->n_config, 2);
        expect_ok(config_watch_refresh(f->config_watch));
        write_file(in_folder(f, "two/a.connector"));
        wait_told(f, &f->n_config, 3);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_status_in_words),
                cmocka_unit_test_setup_teardown(test_zone_that_is_replaced, make_fixture, free_fixture),
                cmocka_unit_test_setup_teardown(test_zone_that_appears, make_fixture, free_fixture),
                cmocka_unit_test_setup_teardown(test_folders_appear_one_below_the_other, make_fixture, free_fixture),
                cmocka_unit_test_setup_teardown(test_folder_behind_a_link, make_fixture, free_fixture),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
