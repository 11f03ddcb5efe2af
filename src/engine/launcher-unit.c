/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Workers as syncrun@NAME.service, started and stopped through PID 1 as the polkit rule allows it. How a unit fares is
 * told by its PropertiesChanged and JobRemoved signals: matches stand for one unit each, and only while it has a run,
 * because PID 1 has much to say. Measured on systemd 252: the last PropertiesChanged of the Service interface, with
 * the result, comes directly before that of the Unit interface which says "inactive" or "failed"; a unit that ended
 * well is dropped at once, so nothing can be read of it afterwards. UnitRemoved is no end: it comes with each
 * daemon-reload. */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define uthash_nonfatal_oom(elt) ((elt)->lost = true)
#include <uthash.h>
#include <utlist.h>

#include "base/log.h"
#include "base/names.h"
#include "base/string-util.h"
#include "engine/launcher-impl.h"
#include "engine/unit-properties.h"

#define SYSTEMD_NAME          "org.freedesktop.systemd1"
#define SYSTEMD_PATH          "/org/freedesktop/systemd1"
#define SYSTEMD_IFACE_MANAGER "org.freedesktop.systemd1.Manager"
#define SYSTEMD_IFACE_UNIT    "org.freedesktop.systemd1.Unit"
#define SYSTEMD_IFACE_SERVICE "org.freedesktop.systemd1.Service"
#define PROPERTIES_IFACE      "org.freedesktop.DBus.Properties"

typedef enum UnitPhase {
        UNIT_STARTING, /* StartUnit() was called */
        UNIT_RUNNING,  /* started() was announced */
        UNIT_ADOPTING, /* asked how it stands, after the daemon's start */
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
        bool start_when_ended; /* an older instance was still going away when we asked */
        bool lost;             /* could not be put into the table */
        UnitProperties properties;
        sd_bus_slot *properties_slot;
        sd_bus_slot *job_slot;
        sd_bus_slot *call_slot;
        sd_bus_slot *stop_slot;
        UT_hash_handle hh;
} Unit;

/* A question to PID 1 that somebody waits for. */
typedef struct Question {
        UnitLauncher *launcher;
        sd_bus_slot *slot;
        LauncherVerifyCallback verify_cb;
        LauncherUsageCallback usage_cb;
        uid_t uid;
        void *userdata;
        struct Question *prev, *next;
} Question;

struct UnitLauncher {
        Launcher base;
        sd_bus *bus;
        sd_bus_slot *subscribe_slot;
        Unit *units; /* by connector */
        Question *questions;
};

static UnitLauncher *unit_launcher(Launcher *launcher)
{
        return container_of(launcher, UnitLauncher, base);
}

static Unit *unit_free(Unit *unit)
{
        if (!unit)
                return NULL;
        if (unit->launcher)
                HASH_DEL(unit->launcher->units, unit);
        sd_bus_slot_unref(unit->properties_slot);
        sd_bus_slot_unref(unit->job_slot);
        sd_bus_slot_unref(unit->call_slot);
        sd_bus_slot_unref(unit->stop_slot);
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

static void fill_usage(const UnitProperties *p, WorkerExit *how)
{
        how->cpu_usec = p->cpu_nsec == UINT64_MAX ? COUNT_UNKNOWN : p->cpu_nsec / NSEC_PER_USEC;
        how->io_read_bytes = p->io_read_bytes;
        how->io_write_bytes = p->io_write_bytes;
}

/* ---- Telling the engine. Each forgets the unit first: the callback may start it anew. */

static void unit_announce_end(Unit *unit, bool gone)
{
        _cleanup_(unit_freep) Unit *ended = unit;
        UnitLauncher *launcher = unit->launcher;
        const UnitProperties *p = &ended->properties;
        WorkerExit how = WORKER_EXIT_INIT;

        HASH_DEL(launcher->units, unit);
        ended->launcher = NULL;
        how.stop_requested = ended->stop_requested;
        how.gone = gone;
        if (!gone && p->exit_code != 0) {
                worker_exit_set(&how, p->exit_code, p->exit_status);
                fill_usage(p, &how);
        }
        if (!gone && !isempty(p->result) && !streq(p->result, "success")) {
                how.clean = false;
                if (!streq(p->result, "exit-code") && !streq(p->result, "signal") && !streq(p->result, "core-dump"))
                        (void) snprintf(how.reason, sizeof(how.reason), "%s ended with result \"%s\"", ended->name,
                                        p->result);
        }
        launcher->base.callbacks.ended(ended->connector, &how, launcher->base.userdata);
}

static void unit_announce_start_failure(Unit *unit, const char *why)
{
        _cleanup_(unit_freep) Unit *failed = unit;
        UnitLauncher *launcher = unit->launcher;

        HASH_DEL(launcher->units, unit);
        failed->launcher = NULL;
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

/* ---- Signals */

static int unit_call_start(Unit *unit);

static int on_properties_changed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Unit *unit = userdata;
        UnitProperties *p = &unit->properties;
        const char *interface;
        bool stopping;
        int r;

        if (sd_bus_message_read_basic(m, 's', &interface) < 0)
                return 0;
        r = unit_properties_read(m, p);
        if (r < 0) {
                log_debug_errno(r, "Could not read a change of %s: %m", unit->name);
                return 0;
        }
        if (!streq(interface, SYSTEMD_IFACE_UNIT))
                return 0;
        if (unit_has_ended(p)) {
                if (unit->phase == UNIT_RUNNING)
                        unit_announce_end(unit, false);
                else if (unit->phase == UNIT_STARTING && unit->start_when_ended && unit->stop_requested)
                        unit_announce_end(unit, true); /* ours has not even begun */
                else if (unit->phase == UNIT_STARTING && unit->start_when_ended) {
                        unit->start_when_ended = false;
                        r = unit_call_start(unit);
                        if (r < 0)
                                unit_announce_start_failure(unit, strerror(-r));
                }
                return 0;
        }
        /* Left-over processes are killed in stop-sigkill without anybody's asking; stop-sigterm is a stop by
         * someone. */
        stopping = streq(p->active_state, "deactivating") && streq(p->sub_state, "stop-sigterm");
        if (stopping && !unit->stop_requested) {
                unit->stop_requested = true;
                if (unit->phase == UNIT_RUNNING)
                        unit->launcher->base.callbacks.stopping(unit->connector, unit->launcher->base.userdata);
        }
        return 0;
}

/* Why PID 1 could not run the worker at all, for the statuses that it gives itself. */
static void describe_launch_failure(const Unit *unit, const char *result, char *ret, size_t size)
{
        static const struct {
                int status;
                const char *what;
        } statuses[] = {
                { 203, "its program could not be executed" },
                { 217, "its user could not be made" },
                { 226, "its mount namespace could not be set up" },
                { 238, "its state directory could not be made" },
                { 243, "its credentials could not be loaded" },
        };
        const char *what = NULL;

        for (size_t i = 0; i < ELEMENTSOF(statuses); i++)
                if (unit->properties.exit_status == statuses[i].status)
                        what = statuses[i].what;
        if (what)
                (void) snprintf(ret, size, "%s could not be started: %s. See 'systemctl status %s'.", unit->name, what,
                                unit->name);
        else
                (void) snprintf(ret, size, "%s could not be started (job result \"%s\"). See 'systemctl status %s'.",
                                unit->name, result, unit->name);
}

static int on_job_removed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Unit *unit = userdata;
        const char *path, *name, *result;
        char why[256];
        uint32_t id;

        /* Jobs of other units, and other jobs of this one, such as the stop of an instance before, are not ours. */
        if (sd_bus_message_read(m, "uoss", &id, &path, &name, &result) < 0 || !streq_null(path, unit->job))
                return 0;
        unit->job = (free(unit->job), NULL);
        if (streq(result, "done")) {
                unit_announce_start(unit);
                /* A worker that was quick has ended before its job was told of. */
                if (unit_has_ended(&unit->properties))
                        unit_announce_end(unit, false);
        } else if (streq(result, "canceled")) {
                unit->stop_requested = true;
                unit_announce_start(unit);
                if (unit_has_ended(&unit->properties))
                        unit_announce_end(unit, false);
        } else {
                describe_launch_failure(unit, result, why, sizeof(why));
                unit_announce_start_failure(unit, why);
        }
        return 0;
}

/* ---- Starting */

static int on_start_reply(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Unit *unit = userdata;
        const sd_bus_error *e = sd_bus_message_get_error(m);
        const char *job;
        char why[512];
        int r;

        if (!e) {
                /* JobRemoved, which comes after this, says how it went. */
                r = sd_bus_message_read_basic(m, 'o', &job);
                if (r >= 0)
                        r = free_and_strdup(&unit->job, job);
                if (r < 0)
                        unit_announce_start_failure(unit, strerror(-r));
                return 0;
        }
        if (sd_bus_error_has_name(e, SYSTEMD_NAME ".TransactionIsDestructive")) {
                unit->start_when_ended = true;
                return 0;
        }
        if (sd_bus_error_has_name(e, SYSTEMD_NAME ".UnitMasked"))
                (void) snprintf(why, sizeof(why), "%s is masked. 'systemctl unmask %s' lets it run again.", unit->name,
                                unit->name);
        else if (sd_bus_error_has_name(e, SD_BUS_ERROR_ACCESS_DENIED))
                (void) snprintf(why, sizeof(why),
                                "PID 1 does not let syncrund start %s: is polkit running, and is syncrun's rule "
                                "installed?",
                                unit->name);
        else
                (void) snprintf(why, sizeof(why), "%s could not be started: %s", unit->name, e->message);
        unit_announce_start_failure(unit, why);
        return 0;
}

static int unit_call_start(Unit *unit)
{
        unit->call_slot = sd_bus_slot_unref(unit->call_slot);
        unit->properties = (UnitProperties) UNIT_PROPERTIES_INIT;
        return sd_bus_call_method_async(unit->launcher->bus, &unit->call_slot, SYSTEMD_NAME, SYSTEMD_PATH,
                                        SYSTEMD_IFACE_MANAGER, "StartUnit", on_start_reply, unit, "ss", unit->name,
                                        "fail");
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
        r = sd_bus_path_encode(SYSTEMD_PATH "/unit", unit->name, &unit->path);
        if (r < 0)
                return r;
        /* In order with the calls that follow on the same connection, so nothing is missed. */
        r = sd_bus_match_signal_async(launcher->bus, &unit->properties_slot, SYSTEMD_NAME, unit->path,
                                      PROPERTIES_IFACE, "PropertiesChanged", on_properties_changed, NULL, unit);
        if (r >= 0)
                /* Of all units: sd-bus does not match an argument that comes after one which is no string. */
                r = sd_bus_match_signal_async(launcher->bus, &unit->job_slot, SYSTEMD_NAME, SYSTEMD_PATH,
                                              SYSTEMD_IFACE_MANAGER, "JobRemoved", on_job_removed, NULL, unit);
        if (r < 0)
                return r;
        HASH_ADD_KEYPTR(hh, launcher->units, unit->connector, strlen(unit->connector), unit);
        if (unit->lost)
                return -ENOMEM;
        unit->launcher = launcher;
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

static int on_stop_reply(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Unit *unit = userdata;
        const sd_bus_error *e = sd_bus_message_get_error(m);

        unit->stop_slot = sd_bus_slot_unref(unit->stop_slot);
        if (e)
                log_debug("PID 1 did not stop %s: %s", unit->name, e->message);
        return 0;
}

static int unit_call_stop(Unit *unit)
{
        return sd_bus_call_method_async(unit->launcher->bus, &unit->stop_slot, SYSTEMD_NAME, SYSTEMD_PATH,
                                        SYSTEMD_IFACE_MANAGER, "StopUnit", on_stop_reply, unit, "ss", unit->name,
                                        "replace");
}

/* Whether the unit of our run is there, as GetAll() tells it. PID 1 answers for units that it does not have, too, with
 * an empty invocation id. A run whose start was not recorded yet has none either: then whatever runs under its name is
 * its worker. */
static bool is_ours(const Unit *unit, const UnitProperties *p)
{
        return !isempty(p->invocation) && (isempty(unit->invocation) || streq(unit->invocation, p->invocation));
}

static int on_stop_check_reply(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Unit *unit = userdata;
        UnitProperties p = UNIT_PROPERTIES_INIT;
        bool known = !sd_bus_message_is_method_error(m, NULL) && unit_properties_read(m, &p) >= 0;
        int r;

        unit->stop_slot = sd_bus_slot_unref(unit->stop_slot);
        if (known && (unit_has_ended(&p) || (unit->phase == UNIT_RUNNING && !is_ours(unit, &p)))) {
                known = is_ours(unit, &p);
                unit->properties = p;
                unit_announce_end(unit, !known);
                return 0;
        }
        r = unit_call_stop(unit);
        if (r < 0)
                log_debug_errno(r, "Could not stop %s again: %m", unit->name);
        return 0;
}

/* One that should have ended by now: PID 1's word of its end may have been lost, and a stop of what is not there tells
 * nothing. */
static int unit_stop_again(Unit *unit)
{
        return sd_bus_call_method_async(unit->launcher->bus, &unit->stop_slot, SYSTEMD_NAME, unit->path,
                                        PROPERTIES_IFACE, "GetAll", on_stop_check_reply, unit, "s", "");
}

static int unit_stop(Launcher *base, const char *connector)
{
        Unit *unit = unit_find(unit_launcher(base), connector);
        bool again;

        if (!unit)
                return -ENOENT;
        again = unit->stop_requested;
        unit->stop_requested = true;
        if (unit->stop_slot)
                return 0;
        return again && unit->phase != UNIT_ADOPTING ? unit_stop_again(unit) : unit_call_stop(unit);
}

/* ---- After the daemon's start */

static int on_adopt_reply(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Unit *unit = userdata;
        UnitProperties p = UNIT_PROPERTIES_INIT;
        bool same;
        int r;

        unit->call_slot = sd_bus_slot_unref(unit->call_slot);
        r = sd_bus_message_is_method_error(m, NULL) ? -sd_bus_message_get_errno(m) : unit_properties_read(m, &p);
        if (r < 0) {
                /* No word of its end: it is taken to run until its signals or the time limits tell otherwise. */
                log_debug_errno(r, "Could not ask PID 1 about %s: %m", unit->name);
                unit->phase = UNIT_RUNNING;
                return 0;
        }
        same = is_ours(unit, &p);
        unit->properties = p;
        if (same && !unit_has_ended(&p))
                unit_announce_start(unit);
        else
                unit_announce_end(unit, !same);
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
        r = sd_bus_call_method_async(launcher->bus, &unit->call_slot, SYSTEMD_NAME, unit->path, PROPERTIES_IFACE,
                                     "GetAll", on_adopt_reply, unit, "s", "");
        if (r < 0)
                return r;
        TAKE_PTR(unit);
        return 0;
}

/* ---- Questions */

static void question_free(Question *question)
{
        DL_DELETE(question->launcher->questions, question);
        sd_bus_slot_unref(question->slot);
        free(question);
}

static int on_question_reply(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Question *question = userdata;
        UnitProperties p = UNIT_PROPERTIES_INIT;
        WorkerExit usage = WORKER_EXIT_INIT;
        int r;

        r = sd_bus_message_is_method_error(m, NULL) ? -sd_bus_message_get_errno(m) : unit_properties_read(m, &p);
        if (question->usage_cb) {
                if (r >= 0)
                        fill_usage(&p, &usage);
                question->usage_cb(&usage, question->userdata);
        } else {
                if (r >= 0 && (p.uid == UINT32_MAX || p.uid != question->uid))
                        r = -EACCES;
                question->verify_cb(MIN(r, 0), question->userdata);
        }
        question_free(question);
        return 0;
}

static int unit_ask(UnitLauncher *launcher, const char *connector, const Question *question)
{
        _cleanup_free_ char *name = asprintf_or_null(SYNCRUN_UNIT_PREFIX "%s" SYNCRUN_UNIT_SUFFIX, connector);
        _cleanup_free_ Question *copy = malloc(sizeof(Question));
        _cleanup_free_ char *path = NULL;
        int r;

        if (!name || !copy)
                return -ENOMEM;
        *copy = *question;
        copy->launcher = launcher;
        r = sd_bus_path_encode(SYSTEMD_PATH "/unit", name, &path);
        if (r < 0)
                return r;
        r = sd_bus_call_method_async(launcher->bus, &copy->slot, SYSTEMD_NAME, path, PROPERTIES_IFACE, "GetAll",
                                     on_question_reply, copy, "s", SYSTEMD_IFACE_SERVICE);
        if (r < 0)
                return r;
        DL_APPEND(launcher->questions, copy);
        TAKE_PTR(copy);
        return 0;
}

static int unit_verify(Launcher *base, const char *connector, uid_t uid, pid_t pid, LauncherVerifyCallback cb,
                       void *userdata)
{
        return unit_ask(unit_launcher(base), connector,
                        &(Question){ .verify_cb = cb, .uid = uid, .userdata = userdata });
}

static int unit_usage(Launcher *base, const char *connector, LauncherUsageCallback cb, void *userdata)
{
        return unit_ask(unit_launcher(base), connector, &(Question) { .usage_cb = cb, .userdata = userdata });
}

static void unit_launcher_free(Launcher *base)
{
        UnitLauncher *launcher = unit_launcher(base);
        Unit *unit, *next;

        HASH_ITER(hh, launcher->units, unit, next)
                unit_free(unit);
        while (launcher->questions)
                question_free(launcher->questions);
        sd_bus_slot_unref(launcher->subscribe_slot);
        sd_bus_unref(launcher->bus);
        free(launcher);
}

static const LauncherVTable unit_vtable = {
        .free = unit_launcher_free,
        .start = unit_start,
        .stop = unit_stop,
        .adopt = unit_adopt,
        .verify = unit_verify,
        .usage = unit_usage,
};

static int on_subscribed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const sd_bus_error *e = sd_bus_message_get_error(m);

        if (e)
                log_debug("Could not subscribe to PID 1's signals: %s", e->message);
        return 0;
}

int launcher_unit_new(sd_bus *bus, const LauncherCallbacks *callbacks, void *userdata, Launcher **ret)
{
        UnitLauncher *launcher = calloc(1, sizeof(UnitLauncher));
        int r;

        if (!launcher)
                return -ENOMEM;
        launcher->base = (Launcher) { .vtable = &unit_vtable, .callbacks = *callbacks, .userdata = userdata };
        launcher->bus = sd_bus_ref(bus);
        r = sd_bus_call_method_async(bus, &launcher->subscribe_slot, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_IFACE_MANAGER,
                                     "Subscribe", on_subscribed, launcher, NULL);
        if (r < 0) {
                unit_launcher_free(&launcher->base);
                return r;
        }
        *ret = &launcher->base;
        return 0;
}
