/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "unit/pid1-fixture.h"

#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-id128.h>

#include <cmocka.h>

#include "base/time-util.h"
#include "engine/pid1.h"

#define UNIT_PATH "/org/freedesktop/systemd1/unit/syncrun_40bank_2eservice"
#define TURNS_MAX 20000

/* ---- PID 1 */

static int reply_properties(Pid1Fixture *f, sd_bus_message *m)
{
        static const uint8_t invocation[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };
        sd_bus_message *reply = NULL;
        char job[64] = "/";

        if (f->job > 0)
                (void) snprintf(job, sizeof(job), SYSTEMD_PATH_JOB "%" PRIu32, f->job);
        assert_return_code(sd_bus_message_new_method_return(m, &reply), 0);
        assert_return_code(sd_bus_message_open_container(reply, 'a', "{sv}"), 0);
        assert_return_code(sd_bus_message_append(reply, "{sv}", "ActiveState", "s", f->active_state), 0);
        if (f->memory_peak_bytes > 0)
                assert_return_code(sd_bus_message_append(reply, "{sv}", "MemoryPeak", "t", f->memory_peak_bytes), 0);
        assert_return_code(sd_bus_message_append(reply, "{sv}", "Job", "(uo)", f->job, job), 0);
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

static int on_bus_call(Pid1Fixture *f, sd_bus_message *m)
{
        if (sd_bus_message_is_method_call(m, NULL, "Hello"))
                return sd_bus_reply_method_return(m, "s", ":1.1");
        if (sd_bus_message_is_method_call(m, NULL, "AddMatch"))
                f->n_matches++;
        else if (sd_bus_message_is_method_call(m, NULL, "RemoveMatch"))
                f->n_matches--;
        return sd_bus_reply_method_return(m, NULL);
}

static int answer(Pid1Fixture *f, sd_bus_message *m)
{
        if (sd_bus_message_is_method_call(m, NULL, "Get"))
                return f->system_state ? sd_bus_reply_method_return(m, "v", "s", f->system_state)
                                       : sd_bus_reply_method_errorf(m, SD_BUS_ERROR_NO_REPLY, "no");
        return f->active_state ? reply_properties(f, m) : sd_bus_reply_method_errorf(m, SD_BUS_ERROR_NO_REPLY, "no");
}

void pid1_answer_held(Pid1Fixture *f)
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
        Pid1Fixture *f = userdata;

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
                return f->stop_error ? sd_bus_reply_method_errorf(m, f->stop_error, "no")
                                     : sd_bus_reply_method_return(m, "o", "/job/2");
        }
        if (sd_bus_message_is_method_call(m, NULL, "KillUnit")) {
                const char *unit, *who;
                int32_t number;

                assert_return_code(sd_bus_message_read(m, "ssi", &unit, &who, &number), 0);
                assert_string_equal(unit, "syncrun@bank.service");
                assert_string_equal(who, "all");
                assert_int_equal(number, SIGKILL);
                f->n_kills++;
                return sd_bus_reply_method_return(m, NULL);
        }
        if (!sd_bus_message_is_method_call(m, NULL, "GetAll") && !sd_bus_message_is_method_call(m, NULL, "Get"))
                return 0;
        f->n_questions++;
        if (!f->hold)
                return answer(f, m);
        f->held[f->n_held++] = sd_bus_message_ref(m);
        return 1;
}

void pid1_tell_state_of(Pid1Fixture *f, const char *path, const char *state)
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

void pid1_tell_state(Pid1Fixture *f, const char *state)
{
        pid1_tell_state_of(f, UNIT_PATH, state);
}

void pid1_tell_job_removed(Pid1Fixture *f, const char *unit, const char *job, const char *result)
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
        ((Pid1Fixture *) userdata)->n_started++;
}

static void on_start_failed(const char *connector, const char *why, void *userdata)
{
        fail_msg("%s", why);
}

static void on_stopping(const char *connector, bool shutdown, void *userdata)
{
        Pid1Fixture *f = userdata;

        f->n_stopping++;
        f->shutdown = shutdown;
}

static void on_ended(const char *connector, const WorkerExit *how, void *userdata)
{
        Pid1Fixture *f = userdata;

        f->n_ended++;
        f->how = *how;
}

static void on_task_ended(TaskKind kind, const char *name, const TaskExit *how, void *userdata)
{
        Pid1Fixture *f = userdata;

        f->n_tasks_ended++;
        f->task_result = how->result;
}

static const LauncherCallbacks callbacks = {
        .started = on_started,
        .start_failed = on_start_failed,
        .stopping = on_stopping,
        .ended = on_ended,
        .task_ended = on_task_ended,
};

void pid1_run_loop(Pid1Fixture *f)
{
        for (int i = 0; i < TURNS_MAX; i++)
                if (sd_event_run(f->event, 10 * USEC_PER_MSEC) == 0)
                        return;
        fail_msg("the loop does not come to rest");
}

void pid1_begin_adopting(Pid1Fixture *f, const char *connector)
{
        const Run run = { .connector = (char *) connector, .invocation_id = (char *) PID1_INVOCATION };

        assert_return_code(launcher_adopt(f->launcher, &run), 0);
}

void pid1_adopt(Pid1Fixture *f)
{
        pid1_begin_adopting(f, "bank");
        pid1_run_loop(f);
}

int pid1_fixture_setup(void **state)
{
        Pid1Fixture *f = calloc(1, sizeof(Pid1Fixture));
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
        pid1_run_loop(f);
        *state = f;
        return 0;
}

int pid1_fixture_teardown(void **state)
{
        Pid1Fixture *f = *state;

        launcher_free(f->launcher);
        while (f->n_held > 0)
                sd_bus_message_unref(f->held[--f->n_held]);
        sd_bus_close_unref(f->bus);
        sd_bus_close_unref(f->pid1);
        sd_event_unref(f->event);
        free(f);
        return 0;
}
