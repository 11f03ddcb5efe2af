/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Stops of units: by us, by others, with the machine; of which PID 1 says nothing, or which it does not take. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/time-util.h"
#include "engine/pid1.h"
#include "unit/pid1-fixture.h"

static void test_an_end_that_is_told(void **state)
{
        Pid1Fixture *f = *state;

        pid1_adopt(f);
        assert_int_equal(f->n_started, 1);
        assert_return_code(launcher_stop(f->launcher, "bank", false), 0);
        pid1_run_loop(f);
        assert_int_equal(f->n_stops, 1);
        assert_int_equal(f->n_ended, 0);
        pid1_tell_state(f, "inactive");
        pid1_run_loop(f);
        assert_int_equal(f->n_ended, 1);
        assert_true(f->how.stop_requested);
        assert_int_equal(launcher_stop(f->launcher, "bank", false), -ENOENT);
}

/* A stop of what is not there tells nothing: it is looked for before it is asked for again. */
static void test_an_end_that_is_not_told(void **state)
{
        Pid1Fixture *f = *state;

        pid1_adopt(f);
        assert_return_code(launcher_stop(f->launcher, "bank", false), 0);
        pid1_run_loop(f);
        f->active_state = "deactivating";
        assert_return_code(launcher_stop(f->launcher, "bank", false), 0);
        pid1_run_loop(f);
        assert_int_equal(f->n_stops, 2);
        assert_int_equal(f->n_ended, 0);
        f->active_state = "inactive";
        f->loaded = false;
        assert_return_code(launcher_stop(f->launcher, "bank", false), 0);
        pid1_run_loop(f);
        assert_int_equal(f->n_stops, 2);
        assert_int_equal(f->n_ended, 1);
        assert_true(f->how.gone && f->how.stop_requested);
}

/* A stop that PID 1 does not take is asked for again, by itself, until it does. */
static void test_a_stop_that_is_refused(void **state)
{
        Pid1Fixture *f = *state;

        pid1_adopt(f);
        f->stop_error = SD_BUS_ERROR_TIMEOUT;
        assert_return_code(launcher_stop(f->launcher, "bank", false), 0);
        while (f->n_stops < 2)
                assert_return_code(sd_event_run(f->event, USEC_INFINITY), 0);
        assert_int_equal(f->n_ended, 0);
        f->stop_error = NULL;
        while (f->n_stops < 3)
                assert_return_code(sd_event_run(f->event, USEC_INFINITY), 0);
        pid1_run_loop(f);
        pid1_tell_state(f, "inactive");
        pid1_run_loop(f);
        assert_int_equal(f->n_stops, 3);
        assert_int_equal(f->n_ended, 1);
        assert_true(f->how.stop_requested);
}

/* One that ended while PID 1 was too busy to stop it, and that it does not know any more. */
static void test_an_end_while_a_stop_is_refused(void **state)
{
        Pid1Fixture *f = *state;

        pid1_adopt(f);
        f->stop_error = SD_BUS_ERROR_TIMEOUT;
        assert_return_code(launcher_stop(f->launcher, "bank", false), 0);
        f->active_state = "inactive";
        f->loaded = false;
        while (f->n_ended == 0)
                assert_return_code(sd_event_run(f->event, USEC_INFINITY), 0);
        assert_int_equal(f->n_stops, 1);
        assert_true(f->how.gone && f->how.stop_requested);
}

/* A worker whose start was not answered yet has not ended because its unit is still inactive. */
static void test_a_stop_that_is_refused_while_it_starts(void **state)
{
        Pid1Fixture *f = *state;

        f->active_state = "inactive";
        f->loaded = false;
        f->stop_error = SD_BUS_ERROR_TIMEOUT;
        assert_return_code(launcher_start(f->launcher, "bank"), 0);
        assert_return_code(launcher_stop(f->launcher, "bank", false), 0);
        while (f->n_stops < 2)
                assert_return_code(sd_event_run(f->event, USEC_INFINITY), 0);
        assert_int_equal(f->n_ended, 0);
        pid1_tell_job_removed(f, "syncrun@bank.service", "/job/1", "canceled");
        pid1_tell_state(f, "inactive");
        while (f->n_ended == 0)
                assert_return_code(sd_event_run(f->event, USEC_INFINITY), 0);
        assert_true(f->how.stop_requested);
}

static void test_kill(void **state)
{
        Pid1Fixture *f = *state;

        pid1_adopt(f);
        assert_return_code(launcher_stop(f->launcher, "bank", false), 0);
        pid1_run_loop(f);
        f->active_state = "deactivating";
        assert_return_code(launcher_stop(f->launcher, "bank", true), 0);
        pid1_run_loop(f);
        assert_int_equal(f->n_stops, 1);
        assert_int_equal(f->n_kills, 1);
        pid1_tell_state(f, "failed");
        pid1_run_loop(f);
        assert_int_equal(f->n_ended, 1);
}

/* One that waits for an older instance's end, and is cancelled meanwhile, is not started any more. */
static void test_stop_before_the_start(void **state)
{
        Pid1Fixture *f = *state;

        f->start_error = "org.freedesktop.systemd1.TransactionIsDestructive";
        assert_return_code(launcher_start(f->launcher, "bank"), 0);
        pid1_run_loop(f);
        assert_return_code(launcher_stop(f->launcher, "bank", false), 0);
        pid1_run_loop(f);
        pid1_tell_state(f, "inactive");
        pid1_run_loop(f);
        assert_int_equal(f->n_starts, 1);
        assert_int_equal(f->n_ended, 1);
        assert_true(f->how.stop_requested);
}

/* Stopped by systemctl or with the machine: PID 1 knows, also where the end comes before its answer. */
static void check_stop_by_others(Pid1Fixture *f, const char *system_state, bool ends_first)
{
        bool shutdown = system_state && strcmp(system_state, "stopping") == 0;

        f->system_state = system_state;
        pid1_adopt(f);
        f->hold = true;
        pid1_tell_state(f, "deactivating");
        pid1_run_loop(f);
        assert_int_equal(f->n_held, 1);
        assert_int_equal(f->n_stopping + f->n_ended, 0);
        if (ends_first)
                pid1_tell_state(f, "inactive");
        pid1_run_loop(f);
        assert_int_equal(f->n_ended, 0);
        f->hold = false;
        pid1_answer_held(f);
        pid1_run_loop(f);
        if (!ends_first) {
                assert_int_equal(f->n_stopping, 1);
                assert_int_equal(f->shutdown, shutdown);
                pid1_tell_state(f, "inactive");
                pid1_run_loop(f);
        }
        assert_int_equal(f->n_ended, 1);
        assert_true(f->how.stop_requested);
        assert_int_equal(f->how.shutdown, shutdown);
}

static void test_stopped_by_somebody(void **state)
{
        check_stop_by_others(*state, "running", false);
}

static void test_stopped_and_ended_at_once(void **state)
{
        check_stop_by_others(*state, "running", true);
}

static void test_stopped_with_the_machine(void **state)
{
        check_stop_by_others(*state, "stopping", false);
}

static void test_stopped_with_the_machine_at_once(void **state)
{
        check_stop_by_others(*state, "stopping", true);
}

static void test_stopped_without_an_answer(void **state)
{
        check_stop_by_others(*state, NULL, true);
}

/* The start itself is cancelled by the machine's going down. */
static void test_start_cancelled_by_shutdown(void **state)
{
        Pid1Fixture *f = *state;

        f->system_state = "stopping";
        assert_return_code(launcher_start(f->launcher, "bank"), 0);
        pid1_run_loop(f);
        pid1_tell_job_removed(f, "syncrun@bank.service", "/job/1", "canceled");
        pid1_run_loop(f);
        assert_int_equal(f->n_stopping, 1);
        assert_true(f->shutdown);
        pid1_tell_state(f, "inactive");
        pid1_run_loop(f);
        assert_true(f->how.stop_requested && f->how.shutdown);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_an_end_that_is_told, pid1_fixture_setup, pid1_fixture_teardown),
                cmocka_unit_test_setup_teardown(test_an_end_that_is_not_told, pid1_fixture_setup, pid1_fixture_teardown),
                cmocka_unit_test_setup_teardown(test_a_stop_that_is_refused, pid1_fixture_setup, pid1_fixture_teardown),
                cmocka_unit_test_setup_teardown(test_an_end_while_a_stop_is_refused, pid1_fixture_setup, pid1_fixture_teardown),
                cmocka_unit_test_setup_teardown(test_a_stop_that_is_refused_while_it_starts, pid1_fixture_setup, pid1_fixture_teardown),
                cmocka_unit_test_setup_teardown(test_kill, pid1_fixture_setup, pid1_fixture_teardown),
                cmocka_unit_test_setup_teardown(test_stop_before_the_start, pid1_fixture_setup, pid1_fixture_teardown),
                cmocka_unit_test_setup_teardown(test_stopped_by_somebody, pid1_fixture_setup, pid1_fixture_teardown),
                cmocka_unit_test_setup_teardown(test_stopped_and_ended_at_once, pid1_fixture_setup, pid1_fixture_teardown),
                cmocka_unit_test_setup_teardown(test_stopped_with_the_machine, pid1_fixture_setup, pid1_fixture_teardown),
                cmocka_unit_test_setup_teardown(test_stopped_with_the_machine_at_once, pid1_fixture_setup, pid1_fixture_teardown),
                cmocka_unit_test_setup_teardown(test_stopped_without_an_answer, pid1_fixture_setup, pid1_fixture_teardown),
                cmocka_unit_test_setup_teardown(test_start_cancelled_by_shutdown, pid1_fixture_setup, pid1_fixture_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
