/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Workers as child processes, played by a shell script: what does not end by itself is ended. */

#include "unit/expect.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd-util.h"
#include "base/string-util.h"
#include "engine/launcher.h"

#define STOP_TIMEOUT_USEC (10 * USEC_PER_MSEC)

typedef struct Fixture {
        sd_event *event;
        Launcher *launcher;
        char folder[32];
        char program[64];
        unsigned n_started, n_ended;
        WorkerExit how;
        char *status; /* of a task that has ended */
        unsigned n_tasks_ended;
} Fixture;

static void on_started(const char *connector, const char *invocation_id, int pid, uint64_t ticks, void *userdata)
{
        ((Fixture *) userdata)->n_started++;
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
        Fixture *f = userdata;

        f->n_ended++;
        f->how = *how;
}

static void on_task_ended(TaskKind kind, const char *name, const TaskExit *how, void *userdata)
{
        Fixture *f = userdata;

        f->n_tasks_ended++;
        expect_ok(free_and_strdup(&f->status, how->status));
}

static int set_up(void **state)
{
        static const LauncherCallbacks callbacks = {
                .started = on_started,
                .start_failed = on_start_failed,
                .stopping = on_stopping,
                .ended = on_ended,
                .task_ended = on_task_ended,
        };
        Fixture *f = calloc(1, sizeof(Fixture));

        assert_non_null(f);
        (void) snprintf(f->folder, sizeof(f->folder), "/tmp/test-launcher-XXXXXX");
        assert_non_null(mkdtemp(f->folder));
        (void) snprintf(f->program, sizeof(f->program), "%s/worker", f->folder);
        expect_ok(sd_event_new(&f->event));
        expect_ok(launcher_child_new(f->event, f->program, f->folder, STOP_TIMEOUT_USEC, &callbacks, f,
                                     &f->launcher));
        *state = f;
        return 0;
}

static int tear_down(void **state)
{
        Fixture *f = *state;
        char path[64];

        launcher_free(f->launcher);
        sd_event_unref(f->event);
        (void) unlink(f->program);
        (void) snprintf(path, sizeof(path), "%s/bank", f->folder);
        (void) rmdir(path);
        (void) rmdir(f->folder);
        free(f->status);
        free(f);
        return 0;
}

static void write_worker(Fixture *f, const char *keep, const char *settle)
{
        _cleanup_free_ char *text = asprintf_or_null("#!/bin/sh\ncase $1 in --keep) %s;; --settle) %s;; esac\n", keep,
                                                     settle);

        assert_non_null(text);
        expect_ok(write_file_atomic(f->program, text, strlen(text), 0700));
}

static void run_until(Fixture *f, const unsigned *number)
{
        while (*number == 0)
                expect_ok(sd_event_run(f->event, USEC_INFINITY));
}

static void test_an_end(void **state)
{
        Fixture *f = *state;

        write_worker(f, "exit 0", "exit 0");
        expect_ok(launcher_start(f->launcher, "bank"));
        run_until(f, &f->n_ended);
        assert_int_equal(f->n_started, 1);
        assert_true(f->how.clean);
}

/* What does not heed a stop is told to kill all. */
static void test_stop_is_not_heeded(void **state)
{
        _cleanup_free_ char *keep = NULL, *fifo = NULL;
        Fixture *f = *state;
        int fd;

        fifo = asprintf_or_null("%s/ready", f->folder);
        keep = asprintf_or_null("trap '' TERM; : >%s; exec sleep 1000", fifo);
        assert_return_code(mkfifo(fifo, 0600), errno);
        write_worker(f, keep, "exit 0");
        expect_ok(launcher_start(f->launcher, "bank"));
        fd = open(fifo, O_RDONLY | O_CLOEXEC); /* until it writes */
        assert_return_code(fd, errno);
        safe_close(fd);
        (void) unlink(fifo);
        expect_ok(launcher_stop(f->launcher, "bank", false));
        run_until(f, &f->n_ended);
        assert_int_equal(f->how.signal, SIGQUIT);
        assert_true(f->how.stop_requested);
}

/* One that hangs while it counts what a dead worker has left is not waited for for ever. */
static void test_settling_hangs(void **state)
{
        Fixture *f = *state;

        write_worker(f, "kill -KILL $$", "exec sleep 1000");
        expect_ok(launcher_start(f->launcher, "bank"));
        run_until(f, &f->n_ended);
        assert_int_equal(f->how.signal, SIGKILL);
        assert_false(f->how.stop_requested);
}

static void test_stop_while_settling_hangs(void **state)
{
        Fixture *f = *state;

        write_worker(f, "kill -KILL $$", "exec sleep 1000");
        expect_ok(launcher_start(f->launcher, "bank"));
        run_until(f, &f->n_started);
        expect_ok(launcher_stop(f->launcher, "bank", false));
        run_until(f, &f->n_ended);
        assert_true(f->how.stop_requested);
        assert_int_equal(launcher_stop(f->launcher, "bank", false), -ENOENT);
}

/* What a task says of itself: the limit has room for the byte that ends it. */
static void test_status_of_a_task(void **state)
{
        Fixture *f = *state;

        for (size_t more = 0; more < 2; more++) {
                size_t n = TASK_STATUS_MAX - 1 + more;
                _cleanup_free_ char *script =
                                asprintf_or_null("#!/bin/sh\nhead -c %zu /dev/zero | tr '\\0' x\necho\n", n);

                expect_ok(write_file_atomic(f->program, script, strlen(script), 0700));
                f->n_tasks_ended = 0;
                expect_ok(launcher_start_task(f->launcher, TASK_DELETE_ITEMS, "bank"));
                run_until(f, &f->n_tasks_ended);
                assert_int_equal(strlen(f->status), TASK_STATUS_MAX - 1);
        }
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_an_end, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_stop_is_not_heeded, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_settling_hangs, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_stop_while_settling_hangs, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_status_of_a_task, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
