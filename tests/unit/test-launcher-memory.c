/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Both launchers with each allocation failing in turn: a worker that could not be started is not there, for PID 1
 * neither, and can be started then; nothing is told of it, and nothing watched. */

#include "unit/expect.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fd-util.h"
#include "base/log.h"
#include "engine/launcher.h"
#include "unit/failing-alloc.h"
#include "unit/pid1-fixture.h"

/* ---- As units */

static Pid1Fixture *f;

static void finish_unit(void)
{
        unsigned n_ended = f->n_ended;

        pid1_tell_job_removed(f, "syncrun@bank.service", "/job/1", "done");
        pid1_run_loop(f);
        pid1_tell_state(f, "inactive");
        pid1_run_loop(f);
        assert_int_equal(f->n_ended, n_ended + 1);
}

static int start_unit(void)
{
        unsigned n_starts = f->n_starts;
        int r;

        r = launcher_start(f->launcher, "bank");
        alloc_pause();
        pid1_run_loop(f);
        if (r < 0) {
                assert_int_equal(f->n_starts, n_starts);
                assert_int_equal(f->n_matches, 0);
                assert_int_equal(launcher_stop(f->launcher, "bank", false), -ENOENT);
        } else {
                assert_int_equal(f->n_starts, n_starts + 1);
                finish_unit();
        }
        alloc_resume();
        return r;
}

static int adopt_unit(void)
{
        const Run run = { .connector = (char *) "bank", .invocation_id = (char *) PID1_INVOCATION };
        unsigned n_started = f->n_started;
        int r;

        r = launcher_adopt(f->launcher, &run);
        alloc_pause();
        pid1_run_loop(f);
        assert_int_equal(f->n_started, n_started + (r >= 0));
        if (r < 0) {
                assert_int_equal(f->n_matches, 0);
        } else {
                pid1_tell_state(f, "inactive");
                pid1_run_loop(f);
        }
        alloc_resume();
        return r;
}

/* A stop that could not be asked for is asked for again. */
static int stop_unit(void)
{
        static bool runs;
        unsigned n_ended = f->n_ended;
        int r;

        alloc_pause();
        if (!runs) {
                pid1_adopt(f);
                runs = true;
        }
        alloc_resume();
        r = launcher_stop(f->launcher, "bank", false);
        alloc_pause();
        if (r >= 0) {
                pid1_run_loop(f);
                assert_true(f->n_stops > 0);
                pid1_tell_state(f, "inactive");
                pid1_run_loop(f);
                assert_int_equal(f->n_ended, n_ended + 1);
                runs = false;
        } else
                assert_int_equal(f->n_ended, n_ended);
        alloc_resume();
        return r;
}

static void on_usage(const WorkerExit *usage, void *userdata)
{
        ++*(unsigned *) userdata;
}

static void on_verified(int error, void *userdata)
{
        ++*(unsigned *) userdata;
}

/* An answer for each question that was taken, and none for others. */
static int ask(void)
{
        unsigned n_usages = 0, n_verified = 0;
        int usage, verified;

        alloc_pause();
        pid1_adopt(f);
        alloc_resume();
        usage = launcher_usage(f->launcher, "bank", on_usage, &n_usages);
        verified = launcher_verify(f->launcher, "bank", 4711, 1, on_verified, &n_verified);
        alloc_pause();
        pid1_run_loop(f);
        assert_int_equal(n_usages, usage >= 0);
        assert_int_equal(n_verified, verified >= 0);
        pid1_tell_state(f, "inactive");
        pid1_run_loop(f);
        alloc_resume();
        return MIN(usage, verified);
}

static int run_task(void)
{
        unsigned n_tasks_ended = f->n_tasks_ended;
        int r;

        r = launcher_start_task(f->launcher, TASK_DELETE_ITEMS, "bank");
        alloc_pause();
        pid1_run_loop(f);
        if (r >= 0) {
                pid1_tell_job_removed(f, "syncrun-delete@bank.service", "/job/1", "done");
                pid1_run_loop(f);
        }
        assert_int_equal(f->n_tasks_ended, n_tasks_ended + (r >= 0));
        alloc_resume();
        return r;
}

#define FOR_EACH_OF_UNITS(X) X(start_unit) X(adopt_unit) X(stop_unit) X(ask) X(run_task)

static int set_up(void **state)
{
        int r = pid1_fixture_setup(state);

        f = *state;
        return r;
}

/* ---- As children */

static char folder[] = "/tmp/test-launcher-memory-XXXXXX";
static char program[64];
static unsigned n_started, n_ended, n_tasks_ended;

static void on_started(const char *connector, const char *invocation_id, int pid, uint64_t ticks, void *userdata)
{
        n_started++;
}

static void on_start_failed(const char *connector, const char *why, void *userdata)
{
        fail_msg("%s", why);
}

static void on_stopping(const char *connector, bool shutdown, void *userdata)
{
}

static void on_ended(const char *connector, const WorkerExit *how, void *userdata)
{
        n_ended++;
}

static void on_task_ended(TaskKind kind, const char *name, const TaskExit *how, void *userdata)
{
        n_tasks_ended++;
}

static const LauncherCallbacks callbacks = {
        .started = on_started,
        .start_failed = on_start_failed,
        .stopping = on_stopping,
        .ended = on_ended,
        .task_ended = on_task_ended,
};

/* Started, and its counts settled; and a task beside it. */
static int start_child(void)
{
        Launcher *launcher = NULL;
        sd_event *event;
        int r, task = -ENOMEM;

        n_started = n_ended = n_tasks_ended = 0;
        expect_ok(sd_event_new(&event));
        r = launcher_child_new(event, program, folder, USEC_PER_MINUTE, &callbacks, NULL, &launcher);
        if (r >= 0) {
                r = launcher_start(launcher, "bank");
                task = launcher_start_task(launcher, TASK_DELETE_ITEMS, "bank");
        }
        if (r < 0)
                assert_true(!launcher || launcher_stop(launcher, "bank", false) == -ENOENT);
        else
                while (n_ended == 0)
                        expect_ok(sd_event_run(event, USEC_INFINITY));
        while (task >= 0 && n_tasks_ended == 0)
                expect_ok(sd_event_run(event, USEC_INFINITY));
        assert_int_equal(n_started, r >= 0);
        launcher_free(launcher);
        sd_event_unref(event);
        return MIN(r, task);
}

static int make_program(void **state)
{
        static const char text[] = "#!/bin/sh\n[ \"$1\" != --keep ]\n"; /* each worker dies, each settling ends well */

        assert_non_null(mkdtemp(folder));
        (void) snprintf(program, sizeof(program), "%s/worker", folder);
        return write_file_atomic(program, text, strlen(text), 0700);
}

static int remove_program(void **state)
{
        char command[96];

        (void) snprintf(command, sizeof(command), "rm -rf '%s'", folder);
        return system(command);
}

/* ---- */

#define EACH(f)                             \
        static void test_##f(void **state)  \
        {                                   \
                fail_allocations(#f, f, 1); \
        }

FOR_EACH_OF_UNITS(EACH)
EACH(start_child)

#define UNIT_TEST(f) cmocka_unit_test_setup_teardown(test_##f, set_up, pid1_fixture_teardown),

int main(void)
{
        const struct CMUnitTest tests[] = {
                FOR_EACH_OF_UNITS(UNIT_TEST)
                                cmocka_unit_test_setup_teardown(test_start_child, make_program, remove_program),
        };

        (void) setenv("SYNCRUN_LOG_TARGET", "null", true);
        log_open("test-launcher-memory");
        return cmocka_run_group_tests(tests, NULL, NULL);
}
