/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A launcher of units on a bus of which the other end, PID 1 and the bus itself, is played: what does not happen on a
 * system that is well can be had. What the launcher tells is counted. */

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "engine/launcher.h"

#define PID1_INVOCATION "0102030405060708090a0b0c0d0e0f10"
#define PID1_MANY       1000U

typedef struct Pid1Fixture {
        sd_event *event;
        sd_bus *bus;
        sd_bus *pid1;
        Launcher *launcher;
        const char *active_state; /* what GetAll() answers; NULL: an error */
        bool loaded;              /* has an invocation */
        uint64_t memory_peak_bytes; /* of the unit, as GetAll() tells it; 0: not, as before systemd 255 */
        uint32_t job;             /* of the unit, as GetAll() tells it; 0: none */
        const char *start_error;
        const char *stop_error;
        unsigned n_starts, n_stops, n_kills, n_questions;
        unsigned n_matches;
        sd_bus_message *held[PID1_MANY]; /* calls that are not answered yet, where hold is set */
        bool hold;
        unsigned n_held;
        const char *system_state; /* of PID 1; NULL: an error */
        unsigned n_started, n_stopping, n_ended, n_tasks_ended;
        ReconnectResult task_result; /* of the last that ended */
        bool shutdown; /* as on_stopping() was told */
        WorkerExit how;
} Pid1Fixture;

void pid1_answer_held(Pid1Fixture *f); /* Questions that were held back. */
void pid1_tell_state_of(Pid1Fixture *f, const char *path, const char *state); /* PropertiesChanged of a unit */
void pid1_tell_state(Pid1Fixture *f, const char *state); /* ... of syncrun@bank.service */
void pid1_tell_job_removed(Pid1Fixture *f, const char *unit, const char *job, const char *result); /* JobRemoved */
void pid1_run_loop(Pid1Fixture *f); /* Until nothing is left to be done. */
void pid1_begin_adopting(Pid1Fixture *f, const char *connector); /* launcher_adopt() of a run with PID1_INVOCATION */
void pid1_adopt(Pid1Fixture *f); /* ... of bank, to its end */
int pid1_fixture_setup(void **state);
int pid1_fixture_teardown(void **state);
