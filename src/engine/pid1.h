/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Calls to PID 1, and what its refusals mean to a person; for launcher-unit.c and unit-question.c. */

#include "engine/call-queue.h"
#include "engine/unit-properties.h"

#define SYSTEMD_NAME          "org.freedesktop.systemd1"
#define SYSTEMD_PATH          "/org/freedesktop/systemd1"
#define SYSTEMD_PATH_UNIT     SYSTEMD_PATH "/unit"
#define SYSTEMD_PATH_JOB      SYSTEMD_PATH "/job/"
#define SYSTEMD_IFACE_MANAGER "org.freedesktop.systemd1.Manager"
#define SYSTEMD_IFACE_UNIT    "org.freedesktop.systemd1.Unit"
#define SYSTEMD_IFACE_SERVICE "org.freedesktop.systemd1.Service"
#define PROPERTIES_IFACE      "org.freedesktop.DBus.Properties"

/* Unanswered calls. Of the 128 that dbus-daemon allows a connection, the bus room needs up to 96. */
#define PID1_CALLS_AT_ONCE_MAX 24U

typedef struct Pid1 {
        sd_bus *bus;
        CallQueue calls;
        sd_bus_slot *subscribe_slot;
} Pid1;

/* PID 1 is asked to send its signals. Return: 0; errno of sending. */
int pid1_init(Pid1 *pid1, sd_bus *bus) _must_check_;
void pid1_done(Pid1 *pid1);

/* StartUnit() or StopUnit(). Return: as call_queue_add(). */
int pid1_call_manager(Pid1 *pid1, const char *member, const char *unit, const char *mode, CallHandler handler,
                      void *userdata, QueuedCall **ret) _must_check_;

/* KILL to all of a unit's processes. Return: as call_queue_add(). */
int pid1_kill_unit(Pid1 *pid1, const char *unit, CallHandler handler, void *userdata, QueuedCall **ret) _must_check_;

/* GetAll() of a unit's properties; @interface "" for all. Return: as call_queue_add(). */
int pid1_get_all(Pid1 *pid1, const char *path, const char *interface, CallHandler handler, void *userdata,
                 QueuedCall **ret) _must_check_;

/* Whether the machine goes down. From when PID 1 decides on it, before it stops the first unit. Return: as
 * call_queue_add(). */
int pid1_get_system_state(Pid1 *pid1, CallHandler handler, void *userdata, QueuedCall **ret) _must_check_;

/* The answer to it, as its handler was given it; false where there is none. */
bool pid1_is_stopping(int error, sd_bus_message *reply);

/* The answer to pid1_get_all(), as its handler was given it. Return: 0; negative errno. */
int pid1_read_properties(int error, sd_bus_message *reply, UnitProperties *p) _must_check_;

/* Why StartUnit() was refused, and what to do about it. */
void pid1_explain_refusal(const char *unit, int error, sd_bus_message *reply, char *ret, size_t size);

/* Why a start job failed; @exit_status is that of the unit, as PID 1 gives some itself. */
void pid1_explain_job(const char *unit, int exit_status, const char *result, char *ret, size_t size);
