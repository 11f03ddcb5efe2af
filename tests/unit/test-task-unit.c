/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Programs that run as units of their own, over restarts of the daemon; PID 1 is played. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/pid1.h"
#include "unit/pid1-fixture.h"

#define HOME_UNIT "syncrun-reconnect@home.service"

static void test_begun_and_ended(void **state)
{
        Pid1Fixture *f = *state;

        assert_return_code(launcher_start_task(f->launcher, TASK_RECONNECT, "home"), 0);
        pid1_run_loop(f);
        assert_int_equal(f->n_starts, 1);
        pid1_tell_job_removed(f, HOME_UNIT, "/job/1", "done");
        pid1_run_loop(f);
        assert_int_equal(f->n_tasks_ended, 1);
        assert_int_equal(f->task_result, RECONNECT_SUCCESS);
}

/* It is not begun a second time where it ends before PID 1 reads what the daemon asks next. */
static void test_taken_up_while_it_ends(void **state)
{
        Pid1Fixture *f = *state;

        f->active_state = "activating";
        f->job = 7;
        f->hold = true;
        assert_return_code(launcher_adopt_task(f->launcher, TASK_RECONNECT, "home"), 0);
        pid1_run_loop(f);
        assert_int_equal(f->n_held, 1);
        pid1_answer_held(f);
        pid1_tell_job_removed(f, HOME_UNIT, SYSTEMD_PATH_JOB "7", "done");
        pid1_run_loop(f);
        assert_int_equal(f->n_starts, 0);
        assert_int_equal(f->n_tasks_ended, 1);
        assert_int_equal(f->task_result, RECONNECT_SUCCESS);
}

static void test_taken_up_and_stopped(void **state)
{
        Pid1Fixture *f = *state;

        f->active_state = "activating";
        f->job = 7;
        assert_return_code(launcher_adopt_task(f->launcher, TASK_RECONNECT, "home"), 0);
        pid1_run_loop(f);
        assert_return_code(launcher_stop_task(f->launcher, TASK_RECONNECT, "home"), 0);
        pid1_run_loop(f);
        assert_int_equal(f->n_stops, 1);
        pid1_tell_job_removed(f, HOME_UNIT, SYSTEMD_PATH_JOB "7", "canceled");
        pid1_run_loop(f);
        assert_int_equal(f->n_tasks_ended, 1);
        assert_int_equal(f->task_result, RECONNECT_CANCELLED);
}

static void check_away(Pid1Fixture *f, const char *active_state, ReconnectResult result)
{
        unsigned n = f->n_tasks_ended;

        f->active_state = active_state;
        assert_return_code(launcher_adopt_task(f->launcher, TASK_RECONNECT, "home"), 0);
        pid1_run_loop(f);
        assert_int_equal(f->n_starts, 0);
        assert_int_equal(f->n_tasks_ended, n + 1);
        assert_int_equal(f->task_result, result);
}

static void test_ended_while_away(void **state)
{
        check_away(*state, "inactive", RECONNECT_INTERRUPTED);
        check_away(*state, "failed", RECONNECT_FAILED);
        check_away(*state, "activating", RECONNECT_INTERRUPTED); /* by itself again, with no job any more */
        check_away(*state, NULL, RECONNECT_INTERRUPTED);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_begun_and_ended, pid1_fixture_setup, pid1_fixture_teardown),
                cmocka_unit_test_setup_teardown(test_taken_up_while_it_ends, pid1_fixture_setup, pid1_fixture_teardown),
                cmocka_unit_test_setup_teardown(test_taken_up_and_stopped, pid1_fixture_setup, pid1_fixture_teardown),
                cmocka_unit_test_setup_teardown(test_ended_while_away, pid1_fixture_setup, pid1_fixture_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
