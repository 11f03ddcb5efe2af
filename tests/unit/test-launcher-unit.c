/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Workers as units: questions without an answer, words that are lost; and very many runs at once. */

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

#define MATCHES 2U /* with so many rules all units are watched */

/* No answer is no word of its end. */
static void test_adopting_without_an_answer(void **state)
{
        Pid1Fixture *f = *state;

        f->active_state = NULL;
        pid1_adopt(f);
        assert_true(f->n_questions > 0);
        assert_int_equal(f->n_started + f->n_ended, 0);
        pid1_tell_state(f, "inactive");
        pid1_run_loop(f);
        assert_int_equal(f->n_ended, 1);
}

/* It is asked again, until it is known. */
static void test_adopting_with_a_late_answer(void **state)
{
        Pid1Fixture *f = *state;

        f->active_state = NULL;
        pid1_adopt(f);
        while (f->n_questions < 2)
                assert_return_code(sd_event_run(f->event, USEC_INFINITY), 0);
        assert_int_equal(f->n_started, 0);
        f->active_state = "active";
        while (f->n_started == 0)
                assert_return_code(sd_event_run(f->event, USEC_INFINITY), 0);
        pid1_run_loop(f);
        assert_int_equal(f->n_questions, 3);
        assert_int_equal(f->n_started, 1);
        assert_int_equal(f->n_ended, 0);
}

/* An end that is told while the question waits for its turn is this one's. */
static void test_end_while_adopting(void **state)
{
        Pid1Fixture *f = *state;

        f->hold = true;
        pid1_adopt(f);
        pid1_tell_state(f, "inactive");
        pid1_run_loop(f);
        assert_int_equal(f->n_ended, 1);
        assert_false(f->how.gone);
        assert_int_equal(f->n_matches, 0);
        pid1_answer_held(f);
        pid1_run_loop(f);
        assert_int_equal(f->n_started, 0);
        assert_int_equal(f->n_ended, 1);
}

static void unit_path(unsigned i, char ret[static 128])
{
        (void) snprintf(ret, 128, "/org/freedesktop/systemd1/unit/syncrun_40c%u_2eservice", i);
}

/* Neither the bus's limit of unanswered calls of a connection (128) nor that of its match rules (512) is met, and each
 * unit's words come to its own run. */
static void test_many_at_once(void **state)
{
        Pid1Fixture *f = *state;
        char name[16], path[128];
        unsigned n_answered = 0;

        f->hold = true;
        for (unsigned i = 0; i < PID1_MANY; i++) {
                (void) snprintf(name, sizeof(name), "c%u", i);
                pid1_begin_adopting(f, name);
        }
        while (n_answered < PID1_MANY) {
                pid1_run_loop(f);
                assert_true(f->n_held > 0 && f->n_held <= PID1_CALLS_AT_ONCE_MAX);
                assert_int_equal(f->n_matches, MATCHES);
                n_answered += f->n_held;
                pid1_answer_held(f);
        }
        pid1_run_loop(f);
        assert_int_equal(f->n_questions, PID1_MANY);
        assert_int_equal(f->n_started, PID1_MANY);
        for (unsigned i = 0; i < PID1_MANY; i++) {
                unit_path(i, path);
                pid1_tell_state_of(f, path, i % 2 == 0 ? "inactive" : "active");
        }
        pid1_tell_state(f, "inactive"); /* somebody else's */
        pid1_run_loop(f);
        assert_int_equal(f->n_ended, PID1_MANY / 2);
        for (unsigned i = 1; i < PID1_MANY; i += 2) {
                unit_path(i, path);
                pid1_tell_state_of(f, path, "failed");
        }
        pid1_run_loop(f);
        assert_int_equal(f->n_ended, PID1_MANY);
        assert_int_equal(f->n_matches, 0);
}

static void test_many_starts(void **state)
{
        Pid1Fixture *f = *state;
        char name[64];

        for (unsigned i = 0; i < PID1_MANY; i++) {
                (void) snprintf(name, sizeof(name), "c%u", i);
                assert_return_code(launcher_start(f->launcher, name), 0);
        }
        pid1_run_loop(f);
        assert_int_equal(f->n_starts, PID1_MANY);
        pid1_tell_job_removed(f, "other@c1.service", "/job/1", "done");
        pid1_tell_job_removed(f, "syncrun@c1.service", "/job/7", "done");
        pid1_run_loop(f);
        assert_int_equal(f->n_started, 0);
        for (unsigned i = 0; i < PID1_MANY; i++) {
                (void) snprintf(name, sizeof(name), "syncrun@c%u.service", i);
                pid1_tell_job_removed(f, name, "/job/1", "done");
        }
        pid1_run_loop(f);
        assert_int_equal(f->n_started, PID1_MANY);
}

static void on_usage(const WorkerExit *usage, void *userdata)
{
        *(WorkerExit *) userdata = *usage;
}

/* A worker says that it was stopped before PID 1 does. */
static void test_usage_says_why(void **state)
{
        static const char *const states[] = { "running", "stopping", "degraded", NULL };
        Pid1Fixture *f = *state;
        WorkerExit usage;

        pid1_adopt(f);
        for (size_t i = 0; i < ELEMENTSOF(states); i++) {
                usage = (WorkerExit) { .cpu_usec = 7 };
                f->system_state = states[i];
                assert_return_code(launcher_usage(f->launcher, "bank", on_usage, &usage), 0);
                pid1_run_loop(f);
                assert_true(usage.cpu_usec == COUNT_UNKNOWN);
                assert_int_equal(usage.shutdown, i == 1);
        }
}

/* Before systemd 255 there is no such property; later it may be there without a value. */
static void test_memory_peak(void **state)
{
        static const uint64_t told[] = { 0, 123456, UINT64_MAX };
        Pid1Fixture *f = *state;
        WorkerExit usage;

        pid1_adopt(f);
        for (size_t i = 0; i < ELEMENTSOF(told); i++) {
                f->memory_peak_bytes = told[i];
                assert_return_code(launcher_usage(f->launcher, "bank", on_usage, &usage), 0);
                pid1_run_loop(f);
                assert_true(usage.memory_peak_bytes == (i == 1 ? 123456 : COUNT_UNKNOWN));
        }
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_memory_peak, pid1_fixture_setup, pid1_fixture_teardown),
                cmocka_unit_test_setup_teardown(test_adopting_without_an_answer, pid1_fixture_setup, pid1_fixture_teardown),
                cmocka_unit_test_setup_teardown(test_adopting_with_a_late_answer, pid1_fixture_setup, pid1_fixture_teardown),
                cmocka_unit_test_setup_teardown(test_end_while_adopting, pid1_fixture_setup, pid1_fixture_teardown),
                cmocka_unit_test_setup_teardown(test_many_at_once, pid1_fixture_setup, pid1_fixture_teardown),
                cmocka_unit_test_setup_teardown(test_many_starts, pid1_fixture_setup, pid1_fixture_teardown),
                cmocka_unit_test_setup_teardown(test_usage_says_why, pid1_fixture_setup, pid1_fixture_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
