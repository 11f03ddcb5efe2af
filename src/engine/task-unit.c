/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A oneshot unit is "activating" as long as its program runs, and its start job ends with it: JobRemoved says how
 * it went. What the program says of itself is its STATUS= of sd_notify(3), which PID 1 tells as StatusText before.
 * One that runs is taken up after the daemon's start by the job that it has. */

#include "engine/task-unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

#include "base/log.h"
#include "base/names.h"
#include "base/string-util.h"

struct UnitTask {
        UnitTasks *tasks;
        TaskKind kind;
        char *name;
        char *unit;
        char *path;
        char *job; /* NULL until PID 1 has named it */
        char status[TASK_STATUS_MAX];
        char result[32]; /* of the unit, as PID 1 says */
        QueuedCall *call, *stop;
        UnitTask *prev, *next;
};

static const char *const prefixes[_TASK_KIND_MAX] = {
        [TASK_RECONNECT] = SYNCRUN_RECONNECT_UNIT_PREFIX,
        [TASK_DELETE_ITEMS] = SYNCRUN_DELETE_UNIT_PREFIX,
};

static UnitTask *task_free(UnitTask *task)
{
        UnitTasks *tasks = task->tasks;

        DL_DELETE(tasks->list, task);
        queued_call_forget(task->call);
        queued_call_forget(task->stop);
        free(task->name);
        free(task->unit);
        free(task->path);
        free(task->job);
        free(task);
        if (!tasks->list) {
                tasks->properties_slot = sd_bus_slot_unref(tasks->properties_slot);
                tasks->job_slot = sd_bus_slot_unref(tasks->job_slot);
        }
        return NULL;
}

static UnitTask *task_find(UnitTasks *tasks, TaskKind kind, const char *name)
{
        UnitTask *task;

        DL_FOREACH(tasks->list, task)
                if (task->kind == kind && streq(task->name, name))
                        return task;
        return NULL;
}

/* Forgets it first: the callback may start it anew. */
static void task_announce(UnitTask *task, ReconnectResult result, const char *reason)
{
        Launcher *launcher = task->tasks->launcher;
        _cleanup_free_ char *name = TAKE_PTR(task->name), *status = strdup(task->status);
        TaskKind kind = task->kind;

        task_free(task);
        launcher->callbacks.task_ended(kind, name,
                                       &(TaskExit){ .result = result, .status = strempty(status), .reason = reason },
                                       launcher->userdata);
}

/* ---- Signals */

static int read_change(sd_bus_message *m, UnitTask *task)
{
        const char *name, *text;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = sd_bus_message_read_basic(m, 's', &name);
                if (r >= 0 && (streq(name, "StatusText") || streq(name, "Result"))) {
                        bool is_status = streq(name, "StatusText");

                        r = sd_bus_message_read(m, "v", "s", &text);
                        if (r >= 0)
                                (void) snprintf(is_status ? task->status : task->result,
                                                is_status ? sizeof(task->status) : sizeof(task->result), "%s", text);
                } else if (r >= 0)
                        r = sd_bus_message_skip(m, "v");
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return MIN(r, 0);
}

static int on_properties_changed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const char *path = sd_bus_message_get_path(m), *interface;
        UnitTasks *tasks = userdata;
        UnitTask *task;
        int r;

        DL_FOREACH(tasks->list, task)
                if (streq(task->path, path))
                        break;
        if (!task || sd_bus_message_read_basic(m, 's', &interface) < 0 || !streq(interface, SYSTEMD_IFACE_SERVICE))
                return 0;
        r = read_change(m, task);
        if (r < 0)
                log_debug_errno(r, "Could not read a change of %s: %m", task->unit);
        return 0;
}

static void job_ended(UnitTask *task, const char *result)
{
        char why[256];

        if (streq(result, "done")) {
                task_announce(task, RECONNECT_SUCCESS, "");
                return;
        }
        if (streq(result, "canceled")) {
                task_announce(task, RECONNECT_CANCELLED, "It was stopped.");
                return;
        }
        if (streq(result, "timeout") || streq(task->result, "timeout")) {
                task_announce(task, RECONNECT_TIMEOUT, "It took too long.");
                return;
        }
        (void) snprintf(why, sizeof(why), "%s ended with result \"%s\". 'journalctl -u %s' shows why.", task->unit,
                        isempty(task->result) ? result : task->result, task->unit);
        task_announce(task, RECONNECT_FAILED, why);
}

static int on_job_removed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const char *path, *name, *result;
        UnitTasks *tasks = userdata;
        UnitTask *task;
        uint32_t id;

        if (sd_bus_message_read(m, "uoss", &id, &path, &name, &result) < 0)
                return 0;
        DL_FOREACH(tasks->list, task)
                if (streq_null(task->job, path)) {
                        job_ended(task, result);
                        break;
                }
        return 0;
}

static int listen(UnitTasks *tasks)
{
        int r = 0;

        if (!tasks->properties_slot)
                r = sd_bus_add_match_async(tasks->pid1->bus, &tasks->properties_slot,
                                           "type='signal',sender='" SYSTEMD_NAME "',path_namespace='" SYSTEMD_PATH_UNIT
                                           "',interface='" PROPERTIES_IFACE "',member='PropertiesChanged'",
                                           on_properties_changed, NULL, tasks);
        if (r >= 0 && !tasks->job_slot)
                r = sd_bus_match_signal_async(tasks->pid1->bus, &tasks->job_slot, SYSTEMD_NAME, SYSTEMD_PATH,
                                              SYSTEMD_IFACE_MANAGER, "JobRemoved", on_job_removed, NULL, tasks);
        return r;
}

/* ---- Starting */

static void on_start_reply(int error, sd_bus_message *reply, void *userdata)
{
        UnitTask *task = userdata;
        const char *job;
        char why[512];

        task->call = NULL;
        if (error < 0) {
                pid1_explain_refusal(task->unit, error, reply, why, sizeof(why));
                task_announce(task, RECONNECT_FAILED, why);
                return;
        }
        error = sd_bus_message_read_basic(reply, 'o', &job);
        if (error >= 0)
                error = free_and_strdup(&task->job, job);
        if (error < 0)
                task_announce(task, RECONNECT_FAILED, strerror(-error));
}

static int call_start(UnitTask *task)
{
        return pid1_call_manager(task->tasks->pid1, "StartUnit", task->unit, "fail", on_start_reply, task,
                                 &task->call);
}

/* Of one that has ended unseen PID 1 knows only where it failed. To start one that runs would give its job, too, but
 * would begin it anew where it has ended meanwhile. */
static void on_adopt_reply(int error, sd_bus_message *reply, void *userdata)
{
        UnitProperties p = UNIT_PROPERTIES_INIT;
        UnitTask *task = userdata;
        int r;

        task->call = NULL;
        r = pid1_read_properties(error, reply, &p);
        if (r >= 0 && streq(p.active_state, "activating") && startswith(p.job, SYSTEMD_PATH_JOB)) {
                r = free_and_strdup(&task->job, p.job);
                if (r >= 0)
                        return;
        }
        if (r >= 0 && streq(p.active_state, "failed"))
                task_announce(task, RECONNECT_FAILED, "It failed while the service was away.");
        else
                task_announce(task, RECONNECT_INTERRUPTED, "The service was not there when it ended.");
}

int unit_task_start(Launcher *launcher, TaskKind kind, const char *name, bool adopt)
{
        UnitTasks *tasks = launcher->tasks;
        UnitTask *task;
        int r;

        if (task_find(tasks, kind, name))
                return -EEXIST;
        task = calloc(1, sizeof(UnitTask));
        if (!task)
                return -ENOMEM;
        task->tasks = tasks;
        task->kind = kind;
        DL_APPEND(tasks->list, task);
        task->name = strdup(name);
        task->unit = asprintf_or_null("%s%s" SYNCRUN_UNIT_SUFFIX, prefixes[kind], name);
        r = task->name && task->unit ? sd_bus_path_encode(SYSTEMD_PATH_UNIT, task->unit, &task->path) : -ENOMEM;
        if (r >= 0)
                r = listen(tasks);
        if (r >= 0)
                r = adopt ? pid1_get_all(tasks->pid1, task->path, "", on_adopt_reply, task, &task->call)
                          : call_start(task);
        if (r < 0)
                task_free(task);
        return MIN(r, 0);
}

/* ---- Stopping */

static void on_stop_reply(int error, sd_bus_message *reply, void *userdata)
{
        UnitTask *task = userdata;

        task->stop = NULL;
        if (error < 0)
                log_debug_errno(error, "PID 1 did not stop %s: %m", task->unit);
}

/* The start job ends as "canceled". */
int unit_task_stop(Launcher *launcher, TaskKind kind, const char *name)
{
        UnitTasks *tasks = launcher->tasks;
        UnitTask *task = task_find(tasks, kind, name);

        if (!task)
                return -ENOENT;
        if (task->stop)
                return 0;
        return pid1_call_manager(tasks->pid1, "StopUnit", task->unit, "replace", on_stop_reply, task, &task->stop);
}

void unit_tasks_done(UnitTasks *tasks)
{
        while (tasks->list)
                task_free(tasks->list);
}
