/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The daemon's own parts with each allocation failing in turn: what was watched before is watched still. */

#include "unit/expect.h"

#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/arguments.h"
#include "daemon/clock-watch.h"
#include "daemon/config-watch.h"
#include "daemon/status.h"
#include "unit/failing-alloc.h"

static char folder[] = "/tmp/test-daemon-memory-XXXXXX";
static char connectors[64], dropins[96], absent[64];
static char *dirs[] = { connectors, absent, NULL };
static sd_event *event;
static unsigned n_changes;

static void on_changed(void *userdata)
{
        n_changes++;
}

static void change(void)
{
        char path[128];
        int fd;

        (void) snprintf(path, sizeof(path), "%s/a.conf", dropins);
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        assert_int_equal(close(fd), 0);
}

static void await_change(void)
{
        unsigned before = n_changes;

        while (n_changes == before)
                if (sd_event_run(event, USEC_PER_MINUTE) <= 0)
                        fail_msg("nothing was told");
}

/* A reload that fails leaves the daemon with eyes: the last change of each is noticed in one go, as they come
 * together. */
static int refresh(void)
{
        static ConfigWatch *watch;
        int r;

        if (!watch) {
                alloc_pause();
                expect_ok(config_watch_new(event, dirs, on_changed, NULL, &watch));
                alloc_resume();
        }
        r = config_watch_refresh(watch);
        alloc_pause();
        change();
        await_change();
        alloc_resume();
        if (r >= 0)
                watch = config_watch_free(watch);
        return r;
}

static int watch_anew(void)
{
        ConfigWatch *watch;
        int r = config_watch_new(event, dirs, on_changed, NULL, &watch);

        if (r >= 0)
                config_watch_free(watch);
        return r;
}

static void on_clock(void *userdata)
{
}

static int watch_clock(void)
{
        static const ClockWatchCallbacks callbacks = { .clock_set = on_clock, .zone_changed = on_clock };
        ClockWatch *watch;
        int r = clock_watch_new(event, "/etc/localtime", &callbacks, NULL, &watch);

        if (r >= 0)
                clock_watch_free(watch);
        return r;
}

static int tell_status(void)
{
        static const EngineStatus status = { .n_active_runs = 3 };
        StatusNotifier *notifier;
        int r = status_notifier_new(event, &notifier);

        if (r < 0)
                return r;
        status_notifier_update(notifier, &status);
        status_notifier_free(notifier);
        return 0;
}

static int read_arguments(void)
{
        char *argv[] = { (char *) "syncrund", (char *) "--config-dir=/a", (char *) "--config-dir=/b", NULL };
        Arguments arguments;
        int r;

        optind = 0;
        r = arguments_parse(3, argv, &arguments);

        if (r >= 0)
                arguments_done(&arguments);
        return r;
}

static int make_files(void **state)
{
        assert_non_null(mkdtemp(folder));
        (void) snprintf(connectors, sizeof(connectors), "%s/connectors", folder);
        (void) snprintf(dropins, sizeof(dropins), "%s/bank.connector.d", connectors);
        (void) snprintf(absent, sizeof(absent), "%s/connections", folder);
        assert_int_equal(mkdir(connectors, 0700), 0);
        assert_int_equal(mkdir(dropins, 0700), 0);
        return sd_event_new(&event);
}

static int remove_files(void **state)
{
        char command[96];

        sd_event_unref(event);
        (void) snprintf(command, sizeof(command), "rm -rf '%s'", folder);
        return system(command);
}

#define FOR_EACH_FUNCTION(X) X(refresh) X(watch_anew) X(watch_clock) X(tell_status) X(read_arguments)

#define EACH(f)                             \
        static void test_##f(void **state)  \
        {                                   \
                fail_allocations(#f, f, 1); \
        }

FOR_EACH_FUNCTION(EACH)

#define UNIT_TEST(f) cmocka_unit_test(test_##f),

int main(void)
{
        const struct CMUnitTest tests[] = { FOR_EACH_FUNCTION(UNIT_TEST) };

        (void) setenv("SYNCRUN_LOG_TARGET", "null", true);
        log_open("test-daemon-memory");
        return cmocka_run_group_tests(tests, make_files, remove_files);
}
