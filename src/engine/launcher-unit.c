/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Workers as syncrun@NAME.service, started and stopped through PID 1 as the polkit rule allows it. How a unit fares is
 * told by its PropertiesChanged and JobRemoved signals: one match for those of all units each, because dbus-daemon
 * allows a connection 512 in all, and only while there is a run, because PID 1 has much to say. Measured on systemd
 * 252: the last PropertiesChanged of the Service interface, with the result, comes directly before that of the Unit
 * interface which says "inactive" or "failed"; a unit that ended well is dropped at once, so nothing can be read of it
 * afterwards. UnitRemoved is no end: it comes with each daemon-reload. */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define uthash_nonfatal_oom(elt) ((elt)->lost = true)
#include <uthash.h>
#include <utlist.h>

#include "config.h"

#include "base/log.h"
#include "base/names.h"
#include "base/string-util.h"
#include "base/time-util.h"
#include "engine/launcher-impl.h"
#include "engine/task-unit.h"
#include "engine/unit-question.h"
#include "engine/unit-stop.h"

typedef enum UnitPhase {
        UNIT_STARTING, /* StartUnit() was called */
        UNIT_RUNNING,  /* started() was announced */
        UNIT_ADOPTING, /* to be asked how it stands, after the daemon's start */
} UnitPhase;

typedef struct UnitLauncher UnitLauncher;

typedef struct Unit {
        UnitLauncher *launcher;
        char *connector;
        char *name; /* syncrun@NAME.service */
        char *path;
        char *job;                            /* our start job; NULL until PID 1 has named it */
        char invocation[INVOCATION_TEXT_MAX]; /* of the run, as recorded; "" until known */
        UnitPhase phase;
        bool stop_requested;
        bool shutdown;         /* ... because the machine goes down */
        bool ended, ended_gone; /* told when PID 1 has said why it was stopped */
        bool start_when_ended; /* an older instance was still going away when we asked */
        bool lost;             /* could not be put into the table */
        UnitProperties properties;
        QueuedCall *call; /* to start or to adopt it */
        UnitStop stop;
        QueuedCall *why; /* it was stopped: by somebody, or with the machine */
        sd_event_source *again_source;
        usec_t again_usec;
        UT_hash_handle hh;
        UT_hash_handle hh_path;
} Unit;

struct UnitLauncher {
        Launcher base;
        Pid1 pid1;
        UnitQuestions questions;
        UnitTasks tasks;
        sd_bus_slot *properties_slot; /* with job_slot: while there are units */
        sd_bus_slot *job_slot;
        Unit *units;         /* by connector */
        Unit *units_by_path; /* the same */
};

static UnitLauncher *unit_launcher(Launcher *launcher)
{
        return container_of(launcher, UnitLauncher, base);
}

/* Unless there are units. */
static void launcher_listen_no_more(UnitLauncher *launcher)
{
        if (launcher->units)
                return;
        launcher->properties_slot = sd_bus_slot_unref(launcher->properties_slot);
        launcher->job_slot = sd_bus_slot_unref(launcher->job_slot);
}

/* Out of the tables: nothing is heard of it any more, and its connector may have another. */
static void unit_detach(Unit *unit)
{
        UnitLauncher *launcher = TAKE_PTR(unit->launcher);

        if (!launcher)
                return;
        HASH_DELETE(hh, launcher->units, unit);
        HASH_DELETE(hh_path, launcher->units_by_path, unit);
        launcher_listen_no_more(launcher);
        unit->call = queued_call_forget(unit->call);
        unit_stop_forget(&unit->stop);
        unit->why = queued_call_forget(unit->why);
}

static Unit *unit_free(Unit *unit)
{
        if (!unit)
                return NULL;
        unit_detach(unit);
        sd_event_source_disable_unref(unit->again_source);
        free(unit->connector);
        free(unit->name);
        free(unit->path);
        free(unit->job);
        free(unit);
        return NULL;
}
DEFINE_TRIVIAL_CLEANUP_FUNC(Unit *, unit_free);

static Unit *unit_find(UnitLauncher *launcher, const char *connector)
{
        Unit *unit = NULL;

        HASH_FIND_STR(launcher->units, connector, unit);
        return unit;
}

/* ---- Telling the engine. An end forgets the unit first: the callback may start it anew. */

static void unit_tell_end(Unit *unit, bool gone)
{
        _cleanup_(unit_freep) Unit *ended = unit;
        UnitLauncher *launcher = unit->launcher;
        const UnitProperties *p = &ended->properties;
        WorkerExit how = WORKER_EXIT_INIT;

        unit_detach(unit);
        how.stop_requested = ended->stop_requested;
        how.shutdown = ended->shutdown;
        how.gone = gone;
        if (!gone && p->exit_code != 0) {
                worker_exit_set(&how, p->exit_code, p->exit_status);
                unit_usage(p, &how);
        }
        if (!gone && !isempty(p->result) && !streq(p->result, "success")) {
                how.clean = false;
                if (!streq(p->result, "exit-code") && !streq(p->result, "signal") && !streq(p->result, "core-dump"))
                        (void) snprintf(how.reason, sizeof(how.reason), "%s ended with result \"%s\"", ended->name,
                                        p->result);
        }
        launcher->base.callbacks.ended(ended->connector, &how, launcher->base.userdata);
}

static void unit_announce_end(Unit *unit, bool gone)
{
        if (unit->why) {
                unit->ended = true;
                unit->ended_gone = gone;
        } else
                unit_tell_end(unit, gone);
}

static void unit_announce_start_failure(Unit *unit, const char *why)
{
        _cleanup_(unit_freep) Unit *failed = unit;
        UnitLauncher *launcher = unit->launcher;

        unit_detach(unit);
        launcher->base.callbacks.start_failed(failed->connector, why, launcher->base.userdata);
}

static void unit_announce_start(Unit *unit)
{
        Launcher *base = &unit->launcher->base;
        const char *invocation = unit->properties.invocation;

        unit->phase = UNIT_RUNNING;
        (void) snprintf(unit->invocation, sizeof(unit->invocation), "%s", invocation);
        base->callbacks.started(unit->connector, isempty(invocation) ? NULL : unit->invocation,
                                (int) unit->properties.main_pid, 0, base->userdata);
}

/* ---- Stopped by others. PID 1 says that the machine goes down before it stops the first unit for it. */

static void unit_tell_stopping(Unit *unit)
{
        const LauncherCallbacks *callbacks = &unit->launcher->base.callbacks;

        if (unit->ended)
                unit_tell_end(unit, unit->ended_gone);
        else if (unit->phase == UNIT_RUNNING)
                callbacks->stopping(unit->connector, unit->shutdown, unit->launcher->base.userdata);
}

static void on_system_state(int error, sd_bus_message *reply, void *userdata)
{
        Unit *unit = userdata;

        unit->why = NULL;
        unit->shutdown = pid1_is_stopping(error, reply);
        unit_tell_stopping(unit);
}

static void unit_stopped_by_others(Unit *unit)
{
        unit->stop_requested = true;
        if (pid1_get_system_state(&unit->launcher->pid1, on_system_state, unit, &unit->why) < 0)
                unit_tell_stopping(unit); /* for all we know, by somebody */
}

/* Left-over processes are killed in stop-sigkill without anybody's asking; stop-sigterm is a stop by someone. */
static void unit_look_for_stop(Unit *unit)
{
        const UnitProperties *p = &unit->properties;

        if (!unit->stop_requested && streq(p->active_state, "deactivating") && streq(p->sub_state, "stop-sigterm"))
                unit_stopped_by_others(unit);
}

/* ---- Signals */

static int unit_call_start(Unit *unit);

static void unit_changed(Unit *unit)
{
        const UnitProperties *p = &unit->properties;
        int r;

        if (unit_has_ended(p)) {
                if (unit->phase != UNIT_STARTING)
                        unit_announce_end(unit, false);
                else if (unit->start_when_ended && unit->stop_requested)
                        unit_announce_end(unit, true); /* ours has not even begun */
                else if (unit->start_when_ended) {
                        unit->start_when_ended = false;
                        r = unit_call_start(unit);
                        if (r < 0)
                                unit_announce_start_failure(unit, strerror(-r));
                }
                return;
        }
        unit_look_for_stop(unit);
}

static int on_properties_changed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        UnitLauncher *launcher = userdata;
        const char *path = sd_bus_message_get_path(m), *interface;
        Unit *unit = NULL;
        int r;

        HASH_FIND(hh_path, launcher->units_by_path, path, strlen(path), unit);
        if (!unit || sd_bus_message_read_basic(m, 's', &interface) < 0)
                return 0;
        r = unit_properties_read(m, &unit->properties);
        if (r < 0)
                log_debug_errno(r, "Could not read a change of %s: %m", unit->name);
        else if (streq(interface, SYSTEMD_IFACE_UNIT))
                unit_changed(unit);
        return 0;
}

static void start_job_ended(Unit *unit, const char *result)
{
        char why[256];

        unit->job = (free(unit->job), NULL);
        if (streq(result, "done")) {
                unit_announce_start(unit);
                /* A worker that was quick has ended before its job was told of. */
                if (unit_has_ended(&unit->properties))
                        unit_announce_end(unit, false);
        } else if (streq(result, "canceled")) {
                unit_announce_start(unit);
                unit_stopped_by_others(unit);
                if (unit_has_ended(&unit->properties))
                        unit_announce_end(unit, false);
        } else {
                pid1_explain_job(unit->name, unit->properties.exit_status, result, why, sizeof(why));
                unit_announce_start_failure(unit, why);
        }
}

static int on_job_removed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        UnitLauncher *launcher = userdata;
        const char *path, *name, *result, *connector;
        Unit *unit = NULL;
        uint32_t id;

        if (sd_bus_message_read(m, "uoss", &id, &path, &name, &result) < 0)
                return 0;
        connector = startswith(name, SYNCRUN_UNIT_PREFIX);
        if (connector && endswith(connector, SYNCRUN_UNIT_SUFFIX))
                HASH_FIND(hh, launcher->units, connector, strlen(connector) - strlen(SYNCRUN_UNIT_SUFFIX), unit);
        /* Other jobs of it, such as the stop of an instance before, are not ours. */
        if (unit && streq_null(path, unit->job))
                start_job_ended(unit, result);
        return 0;
}

/* ---- Starting */

static void take_start_job(Unit *unit, sd_bus_message *reply)
{
        const char *job;
        int r;

        /* JobRemoved, which comes after this, says how it went. */
        r = sd_bus_message_read_basic(reply, 'o', &job);
        if (r >= 0)
                r = free_and_strdup(&unit->job, job);
        if (r < 0)
                unit_announce_start_failure(unit, strerror(-r));
}

static void on_start_reply(int error, sd_bus_message *reply, void *userdata)
{
        Unit *unit = userdata;
        char why[512];

        unit->call = NULL;
        if (error >= 0) {
                take_start_job(unit, reply);
                return;
        }
        if (reply && sd_bus_message_is_method_error(reply, SYSTEMD_NAME ".TransactionIsDestructive")) {
                unit->start_when_ended = true;
                return;
        }
        pid1_explain_refusal(unit->name, error, reply, why, sizeof(why));
        unit_announce_start_failure(unit, why);
}

static int unit_call_start(Unit *unit)
{
        unit->properties = (UnitProperties) UNIT_PROPERTIES_INIT;
        return pid1_call_manager(&unit->launcher->pid1, "StartUnit", unit->name, "fail", on_start_reply, unit,
                                 &unit->call);
}

/* In order with the calls that follow on the same connection, so nothing is missed. */
static int launcher_listen(UnitLauncher *launcher)
{
        int r = 0;

        if (!launcher->properties_slot)
                r = sd_bus_add_match_async(launcher->pid1.bus, &launcher->properties_slot,
                                           "type='signal',sender='" SYSTEMD_NAME "',path_namespace='" SYSTEMD_PATH_UNIT
                                           "',interface='" PROPERTIES_IFACE "',member='PropertiesChanged'",
                                           on_properties_changed, NULL, launcher);
        if (r >= 0 && !launcher->job_slot)
                r = sd_bus_match_signal_async(launcher->pid1.bus, &launcher->job_slot, SYSTEMD_NAME, SYSTEMD_PATH,
                                              SYSTEMD_IFACE_MANAGER, "JobRemoved", on_job_removed, NULL, launcher);
        return r;
}

/* Whether the unit of our run is there, as GetAll() tells it. PID 1 answers for units that it does not have, too, with
 * an empty invocation id. A run whose start was not recorded yet has none either: then whatever runs under its name is
 * its worker. */
static bool is_ours(const Unit *unit, const UnitProperties *p)
{
        return !isempty(p->invocation) && (isempty(unit->invocation) || streq(unit->invocation, p->invocation));
}

static bool unit_look_for_end(int error, sd_bus_message *reply, void *userdata)
{
        Unit *unit = userdata;
        UnitProperties p = UNIT_PROPERTIES_INIT;

        /* It has not begun yet: its job is to be cancelled, and tells of it. */
        if (unit->phase == UNIT_STARTING && !unit->start_when_ended && !unit->stop.kill)
                return false;
        if (pid1_read_properties(error, reply, &p) < 0 ||
            !(unit_has_ended(&p) || (unit->phase == UNIT_RUNNING && !is_ours(unit, &p))))
                return false;
        unit->properties = p;
        unit_announce_end(unit, !is_ours(unit, &p));
        return true;
}

static int unit_enter_tables(UnitLauncher *launcher, Unit *unit)
{
        HASH_ADD_KEYPTR(hh, launcher->units, unit->connector, strlen(unit->connector), unit);
        if (unit->lost)
                return -ENOMEM;
        HASH_ADD_KEYPTR(hh_path, launcher->units_by_path, unit->path, strlen(unit->path), unit);
        if (unit->lost) {
                HASH_DELETE(hh, launcher->units, unit);
                return -ENOMEM;
        }
        unit->launcher = launcher;
        return 0;
}

static int unit_new(UnitLauncher *launcher, const char *connector, Unit **ret)
{
        _cleanup_(unit_freep) Unit *unit = calloc(1, sizeof(Unit));
        int r;

        if (!unit)
                return -ENOMEM;
        unit->properties = (UnitProperties) UNIT_PROPERTIES_INIT;
        unit->connector = strdup(connector);
        unit->name = asprintf_or_null(SYNCRUN_UNIT_PREFIX "%s" SYNCRUN_UNIT_SUFFIX, connector);
        if (!unit->connector || !unit->name)
                return -ENOMEM;
        r = sd_bus_path_encode(SYSTEMD_PATH_UNIT, unit->name, &unit->path);
        if (r < 0)
                return r;
        r = launcher_listen(launcher);
        if (r >= 0)
                r = unit_enter_tables(launcher, unit);
        if (r < 0) {
                launcher_listen_no_more(launcher);
                return r;
        }
        unit->stop = (UnitStop) {
                .pid1 = &launcher->pid1,
                .name = unit->name,
                .path = unit->path,
                .look = unit_look_for_end,
                .userdata = unit,
        };
        *ret = TAKE_PTR(unit);
        return 0;
}

static int unit_start(Launcher *base, const char *connector)
{
        UnitLauncher *launcher = unit_launcher(base);
        _cleanup_(unit_freep) Unit *unit = NULL;
        int r;

        if (unit_find(launcher, connector))
                return -EEXIST;
        r = unit_new(launcher, connector, &unit);
        if (r < 0)
                return r;
        unit->phase = UNIT_STARTING;
        r = unit_call_start(unit);
        if (r < 0)
                return r;
        TAKE_PTR(unit);
        return 0;
}

/* ---- Stopping */

static int unit_stop(Launcher *base, const char *connector, bool kill)
{
        Unit *unit = unit_find(unit_launcher(base), connector);
        bool again;

        if (!unit)
                return -ENOENT;
        again = unit->stop_requested && unit->phase != UNIT_ADOPTING;
        unit->stop_requested = true;
        return unit_stop_ask(&unit->stop, again, kill);
}

/* ---- After the daemon's start */

static int on_ask_again(sd_event_source *source, uint64_t usec, void *userdata);

/* No word of its end: it is taken to run until its signals tell otherwise, and asked for again. */
static void adopt_later(Unit *unit)
{
        sd_event *event = sd_bus_get_event(unit->launcher->pid1.bus);
        int r;

        unit->phase = UNIT_RUNNING;
        unit->again_usec = CLAMP(2 * unit->again_usec, UNIT_AGAIN_USEC, UNIT_AGAIN_MAX_USEC);
        unit->again_source = sd_event_source_disable_unref(unit->again_source);
        r = sd_event_add_time_relative(event, &unit->again_source, CLOCK_MONOTONIC, unit->again_usec, 0, on_ask_again,
                                       unit);
        if (r < 0)
                log_debug_errno(r, "Could not arm the timer for %s, its time limits remain: %m", unit->name);
}

static void on_adopt_reply(int error, sd_bus_message *reply, void *userdata)
{
        Unit *unit = userdata;
        UnitProperties p = UNIT_PROPERTIES_INIT;
        bool same;
        int r;

        unit->call = NULL;
        r = pid1_read_properties(error, reply, &p);
        if (r < 0) {
                log_debug_errno(r, "Could not ask PID 1 about %s: %m", unit->name);
                adopt_later(unit);
                return;
        }
        same = is_ours(unit, &p);
        unit->properties = p;
        if (same && !unit_has_ended(&p)) {
                unit_announce_start(unit);
                unit_look_for_stop(unit);
        } else
                unit_announce_end(unit, !same);
}

static int unit_call_adopt(Unit *unit)
{
        return pid1_get_all(&unit->launcher->pid1, unit->path, "", on_adopt_reply, unit, &unit->call);
}

static int on_ask_again(sd_event_source *source, uint64_t usec, void *userdata)
{
        Unit *unit = userdata;

        if (unit_call_adopt(unit) < 0)
                adopt_later(unit);
        return 0;
}

static int unit_adopt(Launcher *base, const Run *run)
{
        UnitLauncher *launcher = unit_launcher(base);
        _cleanup_(unit_freep) Unit *unit = NULL;
        int r;

        if (unit_find(launcher, run->connector))
                return -EEXIST;
        r = unit_new(launcher, run->connector, &unit);
        if (r < 0)
                return r;
        unit->phase = UNIT_ADOPTING;
        (void) snprintf(unit->invocation, sizeof(unit->invocation), "%s", strempty(run->invocation_id));
        r = unit_call_adopt(unit);
        if (r < 0)
                return r;
        TAKE_PTR(unit);
        return 0;
}

/* ---- Questions */

static int unit_verify(Launcher *base, const char *connector, uid_t uid, pid_t pid, LauncherVerifyCallback cb,
                       void *userdata)
{
        return unit_question_verify(&unit_launcher(base)->questions, connector, uid, cb, userdata);
}

static int unit_ask_usage(Launcher *base, const char *connector, LauncherUsageCallback cb, void *userdata)
{
        return unit_question_usage(&unit_launcher(base)->questions, connector, cb, userdata);
}

static void unit_launcher_free(Launcher *base)
{
        UnitLauncher *launcher = unit_launcher(base);
        Unit *unit, *next;

        HASH_ITER(hh, launcher->units, unit, next)
                unit_free(unit);
        unit_questions_done(&launcher->questions);
        unit_tasks_done(&launcher->tasks);
        pid1_done(&launcher->pid1);
        free(launcher);
}

static const LauncherVTable unit_vtable = {
        .free = unit_launcher_free,
        .start = unit_start,
        .stop = unit_stop,
        .adopt = unit_adopt,
        .verify = unit_verify,
        .usage = unit_ask_usage,
        .state_directory = unit_question_state_directory,
        .start_task = unit_task_start,
        .stop_task = unit_task_stop,
};

int launcher_unit_new(sd_bus *bus, const LauncherCallbacks *callbacks, void *userdata, Launcher **ret)
{
        UnitLauncher *launcher = calloc(1, sizeof(UnitLauncher));
        int r;

        if (!launcher)
                return -ENOMEM;
        launcher->base = (Launcher) { .vtable = &unit_vtable, .callbacks = *callbacks, .userdata = userdata };
        launcher->questions.pid1 = &launcher->pid1;
        launcher->tasks = (UnitTasks) { .launcher = &launcher->base, .pid1 = &launcher->pid1 };
        launcher->base.tasks = &launcher->tasks;
        r = pid1_init(&launcher->pid1, bus);
        if (r < 0) {
                unit_launcher_free(&launcher->base);
                return r;
        }
        *ret = &launcher->base;
        return 0;
}
