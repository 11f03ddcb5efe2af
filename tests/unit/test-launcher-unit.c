/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Workers as units, against a bus and a PID 1 that the test plays at the other end of a socket: what does not happen on
 * a system that is well, words that are lost and questions without an answer; and very many runs at once. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-id128.h>

#include <cmocka.h>

#include "base/time-util.h"
#include "engine/launcher.h"
#include "engine/pid1.h"

#define UNIT_PATH  "/org/freedesktop/systemd1/unit/syncrun_40bank_2eservice"
#define INVOCATION "0102030405060708090a0b0c0d0e0f10"
#define TURNS_MAX  20000
#define MANY       1000U
#define MATCHES    2U /* with so many rules all units are watched */

typedef struct Fixture {
        sd_event *event;
        sd_bus *bus;
        sd_bus *pid1;
        Launcher *launcher;
        const char *active_state; /* what GetAll() answers; NULL: an error */
        bool loaded;              /* has an invocation */
        const char *start_error;
        unsigned n_starts, n_stops, n_questions;
        unsigned n_matches;
        sd_bus_message *held[MANY]; /* calls that are not answered yet, where hold is set */
        bool hold;
        unsigned n_held;
        const char *system_state; /* of PID 1; NULL: an error */
        unsigned n_started, n_stopping, n_ended;
        bool shutdown; /* as on_stopping() was told */
        WorkerExit how;
} Fixture;

/* ---- PID 1 */

static int reply_properties(Fixture *f, sd_bus_message *m)
{
        static const uint8_t invocation[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };
        sd_bus_message *reply = NULL;

        assert_return_code(sd_bus_message_new_method_return(m, &reply), 0);
        assert_return_code(sd_bus_message_open_container(reply, 'a', "{sv}"), 0);
        assert_return_code(sd_bus_message_append(reply, "{sv}", "ActiveState", "s", f->active_state), 0);
        assert_return_code(sd_bus_message_open_container(reply, 'e', "sv"), 0);
        assert_return_code(sd_bus_message_append(reply, "s", "InvocationID"), 0);
        assert_return_code(sd_bus_message_open_container(reply, 'v', "ay"), 0);
        assert_return_code(sd_bus_message_append_array(reply, 'y', invocation, f->loaded ? sizeof(invocation) : 0), 0);
        assert_return_code(sd_bus_message_close_container(reply), 0);
        assert_return_code(sd_bus_message_close_container(reply), 0);
        assert_return_code(sd_bus_message_close_container(reply), 0);
        assert_return_code(sd_bus_send(f->pid1, reply, NULL), 0);
        sd_bus_message_unref(reply);
        return 1;
}

static int on_bus_call(Fixture *f, sd_bus_message *m)
{
        if (sd_bus_message_is_method_call(m, NULL, "Hello"))
                return sd_bus_reply_method_return(m, "s", ":1.1");
        if (sd_bus_message_is_method_call(m, NULL, "AddMatch"))
                f->n_matches++;
        else if (sd_bus_message_is_method_call(m, NULL, "RemoveMatch"))
                f->n_matches--;
        return sd_bus_reply_method_return(m, NULL);
}

static int answer(Fixture *f, sd_bus_message *m)
{
        if (sd_bus_message_is_method_call(m, NULL, "Get"))
                return f->system_state ? sd_bus_reply_method_return(m, "v", "s", f->system_state)
                                       : sd_bus_reply_method_errorf(m, SD_BUS_ERROR_NO_REPLY, "no");
        return f->active_state ? reply_properties(f, m) : sd_bus_reply_method_errorf(m, SD_BUS_ERROR_NO_REPLY, "no");
}

static void answer_held(Fixture *f)
{
        unsigned n = f->n_held;

        f->n_held = 0;
        for (unsigned i = 0; i < n; i++) {
                assert_return_code(answer(f, f->held[i]), 0);
                sd_bus_message_unref(f->held[i]);
        }
}

static int on_call(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Fixture *f = userdata;

        if (sd_bus_message_is_method_call(m, "org.freedesktop.DBus", NULL))
                return on_bus_call(f, m);
        if (sd_bus_message_is_method_call(m, NULL, "Subscribe"))
                return sd_bus_reply_method_return(m, NULL);
        if (sd_bus_message_is_method_call(m, NULL, "StartUnit")) {
                f->n_starts++;
                return f->start_error ? sd_bus_reply_method_errorf(m, f->start_error, "no")
                                      : sd_bus_reply_method_return(m, "o", "/job/1");
        }
        if (sd_bus_message_is_method_call(m, NULL, "StopUnit")) {
                f->n_stops++;
                return sd_bus_reply_method_return(m, "o", "/job/2");
        }
        if (!sd_bus_message_is_method_call(m, NULL, "GetAll") && !sd_bus_message_is_method_call(m, NULL, "Get"))
                return 0;
        f->n_questions++;
        if (!f->hold)
                return answer(f, m);
        f->held[f->n_held++] = sd_bus_message_ref(m);
        return 1;
}

static void tell_state_of(Fixture *f, const char *path, const char *state)
{
        sd_bus_message *m = NULL;

        assert_return_code(sd_bus_message_new_signal(f->pid1, &m, path, "org.freedesktop.DBus.Properties",
                                                     "PropertiesChanged"),
                           0);
        assert_return_code(sd_bus_message_set_sender(m, "org.freedesktop.systemd1"), 0);
        assert_return_code(sd_bus_message_append(m, "sa{sv}as", "org.freedesktop.systemd1.Unit", 2, "ActiveState", "s",
                                                 state, "SubState", "s",
                                                 strcmp(state, "deactivating") == 0 ? "stop-sigterm" : "", 0),
                           0);
        assert_return_code(sd_bus_send(f->pid1, m, NULL), 0);
        sd_bus_message_unref(m);
}

static void tell_state(Fixture *f, const char *state)
{
        tell_state_of(f, UNIT_PATH, state);
}

static void tell_job_removed(Fixture *f, const char *unit, const char *job, const char *result)
{
        sd_bus_message *m = NULL;

        assert_return_code(sd_bus_message_new_signal(f->pid1, &m, "/org/freedesktop/systemd1",
                                                     "org.freedesktop.systemd1.Manager", "JobRemoved"),
                           0);
        assert_return_code(sd_bus_message_set_sender(m, "org.freedesktop.systemd1"), 0);
        assert_return_code(sd_bus_message_append(m, "uoss", 1, job, unit, result), 0);
        assert_return_code(sd_bus_send(f->pid1, m, NULL), 0);
        sd_bus_message_unref(m);
}

/* ---- The engine */

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
        Fixture *f = userdata;

        f->n_stopping++;
        f->shutdown = shutdown;
}

static void on_ended(const char *connector, const WorkerExit *how, void *userdata)
{
        Fixture *f = userdata;

        f->n_ended++;
        f->how = *how;
}

static const LauncherCallbacks callbacks = {
        .started = on_started,
        .start_failed = on_start_failed,
        .stopping = on_stopping,
        .ended = on_ended,
};

/* Until nothing is left to be done. */
static void run_loop(Fixture *f)
{
        for (int i = 0; i < TURNS_MAX; i++)
                if (sd_event_run(f->event, 10 * USEC_PER_MSEC) == 0)
                        return;
        fail_msg("the loop does not come to rest");
}

static void begin_adopting(Fixture *f, const char *connector)
{
        const Run run = { .connector = (char *) connector, .invocation_id = (char *) INVOCATION };

        assert_return_code(launcher_adopt(f->launcher, &run), 0);
}

static void adopt(Fixture *f)
{
        begin_adopting(f, "bank");
        run_loop(f);
}

static int set_up(void **state)
{
        Fixture *f = calloc(1, sizeof(Fixture));
        sd_id128_t id = {};
        int fds[2];

        assert_non_null(f);
        assert_return_code(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
        assert_return_code(sd_event_new(&f->event), 0);
        assert_return_code(sd_id128_randomize(&id), 0);
        assert_return_code(sd_bus_new(&f->pid1), 0);
        assert_return_code(sd_bus_set_fd(f->pid1, fds[0], fds[0]), 0);
        assert_return_code(sd_bus_set_server(f->pid1, true, id), 0);
        assert_return_code(sd_bus_add_filter(f->pid1, NULL, on_call, f), 0);
        assert_return_code(sd_bus_start(f->pid1), 0);
        assert_return_code(sd_bus_attach_event(f->pid1, f->event, SD_EVENT_PRIORITY_NORMAL), 0);
        assert_return_code(sd_bus_new(&f->bus), 0);
        assert_return_code(sd_bus_set_fd(f->bus, fds[1], fds[1]), 0);
        assert_return_code(sd_bus_set_bus_client(f->bus, true), 0);
        assert_return_code(sd_bus_start(f->bus), 0);
        assert_return_code(sd_bus_attach_event(f->bus, f->event, SD_EVENT_PRIORITY_NORMAL), 0);
        assert_return_code(launcher_unit_new(f->bus, &callbacks, f, &f->launcher), 0);
        f->active_state = "active";
        f->loaded = true;
        run_loop(f);
        *state = f;
        return 0;
}

static int tear_down(void **state)
{
        Fixture *f = *state;

        launcher_free(f->launcher);
        while (f->n_held > 0)
                sd_bus_message_unref(f->held[--f->n_held]);
        sd_bus_close_unref(f->bus);
        sd_bus_close_unref(f->pid1);
        sd_event_unref(f->event);
        free(f);
        return 0;
}

static void test_an_end_that_is_told(void **state)
{
        Fixture *f = *state;

        adopt(f);
        assert_int_equal(f->n_started, 1);
        assert_return_code(launcher_stop(f->launcher, "bank"), 0);
        run_loop(f);
        assert_int_equal(f->n_stops, 1);
        assert_int_equal(f->n_ended, 0);
        tell_state(f, "inactive");
        run_loop(f);
        assert_int_equal(f->n_ended, 1);
        assert_true(f->how.stop_requested);
        assert_int_equal(launcher_stop(f->launcher, "bank"), -ENOENT);
}

/* A stop of what is not there tells nothing: it is looked for before it is asked for again. */
static void test_an_end_that_is_not_told(void **state)
{
        Fixture *f = *state;

        adopt(f);
        assert_return_code(launcher_stop(f->launcher, "bank"), 0);
        run_loop(f);
        f->active_state = "deactivating";
        assert_return_code(launcher_stop(f->launcher, "bank"), 0);
        run_loop(f);
        assert_int_equal(f->n_stops, 2);
        assert_int_equal(f->n_ended, 0);
        f->active_state = "inactive";
        f->loaded = false;
        assert_return_code(launcher_stop(f->launcher, "bank"), 0);
        run_loop(f);
        assert_int_equal(f->n_stops, 2);
        assert_int_equal(f->n_ended, 1);
        assert_true(f->how.gone && f->how.stop_requested);
}

/* No answer is no word of its end. */
static void test_adopting_without_an_answer(void **state)
{
        Fixture *f = *state;

        f->active_state = NULL;
        adopt(f);
        assert_true(f->n_questions > 0);
        assert_int_equal(f->n_started + f->n_ended, 0);
        tell_state(f, "inactive");
        run_loop(f);
        assert_int_equal(f->n_ended, 1);
}

/* It is asked again, until it is known. */
static void test_adopting_with_a_late_answer(void **state)
{
        Fixture *f = *state;

        f->active_state = NULL;
        adopt(f);
        while (f->n_questions < 2)
                assert_return_code(sd_event_run(f->event, USEC_INFINITY), 0);
        assert_int_equal(f->n_started, 0);
        f->active_state = "active";
        while (f->n_started == 0)
                assert_return_code(sd_event_run(f->event, USEC_INFINITY), 0);
        run_loop(f);
        assert_int_equal(f->n_questions, 3);
        assert_int_equal(f->n_started, 1);
        assert_int_equal(f->n_ended, 0);
}

/* An end that is told while the question waits for its turn is this one's. */
static void test_end_while_adopting(void **state)
{
        Fixture *f = *state;

        f->hold = true;
        adopt(f);
        tell_state(f, "inactive");
        run_loop(f);
        assert_int_equal(f->n_ended, 1);
        assert_false(f->how.gone);
        assert_int_equal(f->n_matches, 0);
        answer_held(f);
        run_loop(f);
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
        Fixture *f = *state;
        char name[16], path[128];
        unsigned n_answered = 0;

        f->hold = true;
        for (unsigned i = 0; i < MANY; i++) {
                (void) snprintf(name, sizeof(name), "c%u", i);
                begin_adopting(f, name);
        }
        while (n_answered < MANY) {
                run_loop(f);
                assert_true(f->n_held > 0 && f->n_held <= PID1_CALLS_AT_ONCE_MAX);
                assert_int_equal(f->n_matches, MATCHES);
                n_answered += f->n_held;
                answer_held(f);
        }
        run_loop(f);
        assert_int_equal(f->n_questions, MANY);
        assert_int_equal(f->n_started, MANY);
        for (unsigned i = 0; i < MANY; i++) {
                unit_path(i, path);
                tell_state_of(f, path, i % 2 == 0 ? "inactive" : "active");
        }
        tell_state(f, "inactive"); /* somebody else's */
        run_loop(f);
        assert_int_equal(f->n_ended, MANY / 2);
        for (unsigned i = 1; i < MANY; i += 2) {
                unit_path(i, path);
                tell_state_of(f, path, "failed");
        }
        run_loop(f);
        assert_int_equal(f->n_ended, MANY);
        assert_int_equal(f->n_matches, 0);
}

static void test_many_starts(void **state)
{
        Fixture *f = *state;
        char name[64];

        for (unsigned i = 0; i < MANY; i++) {
                (void) snprintf(name, sizeof(name), "c%u", i);
                assert_return_code(launcher_start(f->launcher, name), 0);
        }
        run_loop(f);
        assert_int_equal(f->n_starts, MANY);
        tell_job_removed(f, "other@c1.service", "/job/1", "done");
        tell_job_removed(f, "syncrun@c1.service", "/job/7", "done");
        run_loop(f);
        assert_int_equal(f->n_started, 0);
        for (unsigned i = 0; i < MANY; i++) {
                (void) snprintf(name, sizeof(name), "syncrun@c%u.service", i);
                tell_job_removed(f, name, "/job/1", "done");
        }
        run_loop(f);
        assert_int_equal(f->n_started, MANY);
}

/* One that waits for an older instance's end, and is cancelled meanwhile, is not started any more. */
static void test_stop_before_the_start(void **state)
{
        Fixture *f = *state;

        f->start_error = "org.freedesktop.systemd1.TransactionIsDestructive";
        assert_return_code(launcher_start(f->launcher, "bank"), 0);
        run_loop(f);
        assert_return_code(launcher_stop(f->launcher, "bank"), 0);
        run_loop(f);
        tell_state(f, "inactive");
        run_loop(f);
        assert_int_equal(f->n_starts, 1);
        assert_int_equal(f->n_ended, 1);
        assert_true(f->how.stop_requested);
}

/* Stopped by systemctl or with the machine: PID 1 knows, also where the end comes before its answer. */
static void check_stop_by_others(Fixture *f, const char *system_state, bool ends_first)
{
        bool shutdown = system_state && strcmp(system_state, "stopping") == 0;

        f->system_state = system_state;
        adopt(f);
        f->hold = true;
        tell_state(f, "deactivating");
        run_loop(f);
        assert_int_equal(f->n_held, 1);
        assert_int_equal(f->n_stopping + f->n_ended, 0);
        if (ends_first)
                tell_state(f, "inactive");
        run_loop(f);
        assert_int_equal(f->n_ended, 0);
        f->hold = false;
        answer_held(f);
        run_loop(f);
        if (!ends_first) {
                assert_int_equal(f->n_stopping, 1);
                assert_int_equal(f->shutdown, shutdown);
                tell_state(f, "inactive");
                run_loop(f);
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
        Fixture *f = *state;

        f->system_state = "stopping";
        assert_return_code(launcher_start(f->launcher, "bank"), 0);
        run_loop(f);
        tell_job_removed(f, "syncrun@bank.service", "/job/1", "canceled");
        run_loop(f);
        assert_int_equal(f->n_stopping, 1);
        assert_true(f->shutdown);
        tell_state(f, "inactive");
        run_loop(f);
        assert_true(f->how.stop_requested && f->how.shutdown);
}

static void on_usage(const WorkerExit *usage, void *userdata)
{
        *(WorkerExit *) userdata = *usage;
}

/* A worker says that it was stopped before PID 1 does. */
static void test_usage_says_why(void **state)
{
        static const char *const states[] = { "running", "stopping", "degraded", NULL };
        Fixture *f = *state;
        WorkerExit usage;

        adopt(f);
        for (size_t i = 0; i < ELEMENTSOF(states); i++) {
                usage = (WorkerExit) { .cpu_usec = 7 };
                f->system_state = states[i];
                assert_return_code(launcher_usage(f->launcher, "bank", on_usage, &usage), 0);
                run_loop(f);
                assert_true(usage.cpu_usec == COUNT_UNKNOWN);
                assert_int_equal(usage.shutdown, i == 1);
        }
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_an_end_that_is_told, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_an_end_that_is_not_told, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_adopting_without_an_answer, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_adopting_with_a_late_answer, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_end_while_adopting, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_many_at_once, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_many_starts, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_stop_before_the_start, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_stopped_by_somebody, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_stopped_and_ended_at_once, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_stopped_with_the_machine, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_stopped_with_the_machine_at_once, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_stopped_without_an_answer, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_start_cancelled_by_shutdown, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_usage_says_why, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
