/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/daemon.h"

#include <signal.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>

#include "base/bus-guard.h"
#include "base/diagnostics.h"
#include "base/log.h"
#include "base/names.h"
#include "base/string-util.h"
#include "base/time-util.h"
#include "bus/bus.h"
#include "config.h"
#include "daemon/clock-watch.h"
#include "daemon/config-watch.h"
#include "daemon/status.h"
#include "model/zone.h"

typedef struct Daemon {
        const Arguments *arguments;
        sd_event *event;
        sd_bus *bus;
        sd_bus_slot *disconnect_slot;
        bool private_bus;
        char **settings_dirs;
        char **connector_dirs;
        char **connection_dirs;
        Settings *settings;
        char *database;
        char *worker_state_dir;
        Bus *face;
        Engine *engine;
        ConfigWatch *config_watch;
        ClockWatch *clock_watch;
        StatusNotifier *status;
        sd_event_source *open_timer;
        int refusal; /* for which the history could not be opened last; 0: it is open, or was not tried yet */
        int exit_status;
} Daemon;

/* Until a history that could not be opened for lack of room is tried again. */
#define OPEN_RETRY_USEC (5 * USEC_PER_SEC)

static Settings *settings_free(Settings *settings)
{
        if (settings)
                settings_done(settings);
        free(settings);
        return NULL;
}
DEFINE_TRIVIAL_CLEANUP_FUNC(Settings *, settings_free);

static void daemon_done(Daemon *d)
{
        sd_event_source_disable_unref(d->open_timer);
        config_watch_free(d->config_watch);
        clock_watch_free(d->clock_watch);
        engine_free(d->engine);
        bus_free(d->face);
        status_notifier_free(d->status);
        sd_bus_slot_unref(d->disconnect_slot);
        sd_bus_flush_close_unref(d->bus);
        settings_free(d->settings);
        strv_free(d->settings_dirs);
        strv_free(d->connector_dirs);
        strv_free(d->connection_dirs);
        free(d->database);
        free(d->worker_state_dir);
        sd_event_unref(d->event);
}

/* ---- Configuration */

static int load_settings(Daemon *d, Settings **ret)
{
        _cleanup_(settings_freep) Settings *settings = calloc(1, sizeof(*settings));
        Diagnostics diagnostics = { 0 };
        int r;

        if (!settings)
                return -ENOMEM;
        r = settings_load(d->settings_dirs, &diagnostics, settings);
        diagnostics_log(&diagnostics);
        diagnostics_done(&diagnostics);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(settings);
        return 0;
}

static void on_status_changed(void *userdata)
{
        EngineStatus status;
        Daemon *d = userdata;

        engine_status(d->engine, &status);
        status_notifier_update(d->status, &status);
}

static void notify_ready(Daemon *d)
{
        (void) sd_notify(false, "READY=1");
        on_status_changed(d);
}

/* The engine says it when it begins, with the folder's name; the status has it as long as it lasts. */
static bool tells_of_files(const Daemon *d, int error)
{
        EngineStatus status;

        engine_status(d->engine, &status);
        return status.files_error == error;
}

static int daemon_reload(Daemon *d)
{
        _cleanup_(settings_freep) Settings *settings = NULL;
        int r;

        (void) sd_notifyf(false, "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long) now_usec(CLOCK_MONOTONIC));
        /* First the watch, so that what changes while the files are read is noticed. */
        r = config_watch_refresh(d->config_watch);
        if (r >= 0)
                r = load_settings(d, &settings);
        if (r >= 0)
                r = engine_reload(d->engine, settings);
        if (r >= 0) {
                Settings *before = TAKE_PTR(d->settings);

                d->settings = TAKE_PTR(settings);
                settings_free(before);
        } else if (!tells_of_files(d, r))
                (void) log_error_errno(r, "Cannot read the configuration anew; what was read before holds: %m");
        notify_ready(d);
        return r;
}

static int on_reload_call(void *userdata)
{
        return daemon_reload(userdata);
}

static void on_config_changed(void *userdata)
{
        log_debug("Configuration files have changed.");
        (void) daemon_reload(userdata);
}

/* ---- The world around */

static int on_hangup(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata)
{
        Daemon *d = userdata;

        if (d->config_watch) /* else nothing was read but the settings */
                (void) daemon_reload(d);
        return 0;
}

static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Daemon *d = userdata;

        log_error("The connection to the bus is lost. Runs go on; the daemon starts anew.");
        return sd_event_exit(d->event, -ENOTCONN);
}

static void on_clock_set(void *userdata)
{
        Daemon *d = userdata;

        log_fields(LOG_INFO, MSG_CLOCK_CHANGED, NULL, 0,
                   "The clock was set, or the machine slept: schedules are computed anew.");
        engine_clock_changed(d->engine);
}

static void on_zone_changed(void *userdata)
{
        Daemon *d = userdata;

        if (zone_reload_all() == 0)
                return;
        log_fields(LOG_INFO, MSG_CLOCK_CHANGED, NULL, 0, "The time zone was changed: schedules are computed anew.");
        engine_clock_changed(d->engine);
}

static int add_signals(Daemon *d)
{
        static const int signals[] = { SIGTERM, SIGINT, SIGHUP, -1 };
        sigset_t mask;
        int r;

        (void) sigemptyset(&mask);
        for (const int *signal = signals; *signal > 0; signal++)
                (void) sigaddset(&mask, *signal);
        if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
                return -errno;
        r = sd_event_add_signal(d->event, NULL, SIGTERM, NULL, NULL);
        if (r >= 0)
                r = sd_event_add_signal(d->event, NULL, SIGINT, NULL, NULL);
        if (r >= 0)
                r = sd_event_add_signal(d->event, NULL, SIGHUP, on_hangup, d);
        return r;
}

static int open_bus(Daemon *d)
{
        const char *address = getenv(SYNCRUN_ENV_BUS_ADDRESS);
        int r;

        d->private_bus = !isempty(address);
        if (!d->private_bus) {
                r = sd_bus_open_system_with_description(&d->bus, "syncrund");
        } else {
                r = sd_bus_new(&d->bus);
                if (r >= 0)
                        r = sd_bus_set_address(d->bus, address);
                if (r >= 0)
                        r = sd_bus_set_bus_client(d->bus, true);
                if (r >= 0)
                        r = sd_bus_start(d->bus);
        }
        if (r >= 0)
                r = bus_guard(d->bus);
        if (r >= 0)
                r = sd_bus_attach_event(d->bus, d->event, SD_EVENT_PRIORITY_NORMAL);
        if (r >= 0)
                r = sd_bus_match_signal(d->bus, &d->disconnect_slot, "org.freedesktop.DBus.Local",
                                        "/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local", "Disconnected",
                                        on_disconnected, d);
        if (r < 0)
                return log_error_errno(r, "Cannot connect to the %s bus: %m", d->private_bus ? "given" : "system");
        return 0;
}

/* ---- Bringing up */

static int find_configuration(Daemon *d)
{
        _cleanup_free_ char *joined = NULL;
        int r;

        if (d->arguments->config_dirs) {
                joined = strv_join(d->arguments->config_dirs, ":");
                if (!joined || setenv(SYNCRUN_ENV_CONFIG_DIRS, joined, true) < 0)
                        return -ENOMEM;
        }
        r = settings_dirs(&d->settings_dirs);
        if (r >= 0)
                r = connector_dirs(&d->connector_dirs);
        if (r >= 0)
                r = connection_dirs(&d->connection_dirs);
        return r < 0 ? r : load_settings(d, &d->settings);
}

static bool launches_children(const Daemon *d)
{
        if (d->settings->launcher != LAUNCHER_AUTO)
                return d->settings->launcher == LAUNCHER_CHILD;
        return d->private_bus || sd_booted() <= 0;
}

/* ---- The history may be none that can be used (ever, or now) */

/* A disk that is full or read-only: it is waited for. */
static bool may_pass(int error)
{
        return error == -ENOSPC || error == -EDQUOT || error == -EFBIG || error == -EROFS;
}

/* Somebody has to do something: trying again by itself would be of no use, and is not done. */
static bool is_final(int error)
{
        return error == -EUCLEAN || error == -EPROTONOSUPPORT || error == -EOPNOTSUPP || error == -ENOENT ||
               error == -ENOTDIR || error == -EACCES || error == -EPERM;
}

static void tell_refusal(Daemon *d, int error, const char *why)
{
        if (d->refusal != error)
                log_fields(LOG_ERR, MSG_STORE_REFUSED, NULL, 0, "%s", why);
        d->refusal = error;
        (void) sd_notifyf(false, "STATUS=%s\nERRNO=%d", why, -error);
        if (is_final(error))
                d->exit_status = DAEMON_EXIT_REFUSED;
}

static int begin(Daemon *d);

static int on_open_again(sd_event_source *source, uint64_t usec, void *userdata)
{
        Daemon *d = userdata;
        int r;

        r = begin(d);
        return r < 0 ? sd_event_exit(d->event, r) : 0;
}

/* The start is over, so that nobody waits for it; there is no name on the bus before there is a history. */
static int wait_for_room(Daemon *d)
{
        (void) sd_notify(false, "READY=1");
        d->open_timer = sd_event_source_disable_unref(d->open_timer);
        return sd_event_add_time_relative(d->event, &d->open_timer, CLOCK_MONOTONIC, OPEN_RETRY_USEC, USEC_PER_SEC,
                                          on_open_again, d);
}

/* ---- The engine */

static int find_places(Daemon *d)
{
        d->database = asprintf_or_null("%s/history.db", d->settings->state_directory);
        d->worker_state_dir = asprintf_or_null("%s/connectors", d->settings->state_directory);
        return d->database && d->worker_state_dir ? 0 : log_oom();
}

static int make_face(Daemon *d)
{
        const BusOptions face = {
                .event = d->event,
                .bus = d->bus,
                .reload = on_reload_call,
                .status_changed = on_status_changed,
                .userdata = d,
        };

        return d->face ? 0 : bus_new(&face, &d->face);
}

static int start_engine(Daemon *d)
{
        bool children = launches_children(d);
        const EngineOptions options = {
                .event = d->event,
                .settings = d->settings,
                .config_dirs = d->connector_dirs,
                .connection_dirs = d->connection_dirs,
                .database = d->database,
                .events_after_seq = now_usec(CLOCK_REALTIME),
                .bus = children ? NULL : d->bus,
                .launch_children = children,
                .worker_path = d->arguments->worker_path,
                .worker_state_dir = d->worker_state_dir,
        };
        _cleanup_free_ char *why = NULL;
        int r;

        r = make_face(d);
        if (r >= 0)
                r = engine_new(&options, bus_observer(d->face), &why, &d->engine);
        if (r < 0 && why)
                tell_refusal(d, r, why);
        else if (r < 0)
                (void) log_error_errno(r, "Cannot begin: %m");
        return r;
}

static int publish(Daemon *d)
{
        int r;

        r = bus_publish(d->face, d->engine);
        if (r < 0)
                return log_error_errno(r, "Cannot put objects on the bus: %m");
        r = bus_request_name(d->face);
        if (r == -EEXIST)
                return log_error_errno(r, "Another syncrund is on the bus already.");
        if (r < 0)
                return log_error_errno(r, "Cannot get the name " SYNCRUN_BUS_NAME " on the bus: %m");
        log_fields(LOG_INFO, MSG_DAEMON_STARTED, NULL, 0, "syncrund " SYNCRUN_VERSION " is ready.");
        notify_ready(d);
        return 0;
}

/* What was loaded is on disk. Where it cannot be written the daemon is of use nevertheless: it says so, and shows the
 * history. */
static void on_loaded(int error, void *userdata)
{
        Daemon *d = userdata;
        int r;

        if (error == -ESHUTDOWN)
                return;
        r = publish(d);
        if (r < 0)
                (void) sd_event_exit(d->event, r);
}

static int load(Daemon *d)
{
        int r;

        r = engine_start(d->engine);
        if (r == -EUCLEAN) {
                _cleanup_free_ char *why = store_refusal(d->database, r);

                tell_refusal(d, r, why ?: "The history is damaged.");
                return r;
        }
        if (r < 0)
                return log_error_errno(r, "Cannot load the connectors: %m");
        r = engine_sync(d->engine, on_loaded, d);
        return r == -EROFS ? publish(d) : r;
}

static int add_watches(Daemon *d)
{
        static const ClockWatchCallbacks callbacks = { .clock_set = on_clock_set, .zone_changed = on_zone_changed };
        _cleanup_strv_free_ char **dirs = NULL;
        int r;

        r = strv_copy(d->settings_dirs, &dirs);
        STRV_FOREACH(dir, d->connector_dirs)
                if (r >= 0)
                        r = strv_extend(&dirs, *dir);
        STRV_FOREACH(dir, d->connection_dirs)
                if (r >= 0)
                        r = strv_extend(&dirs, *dir);
        if (r >= 0)
                r = config_watch_new(d->event, dirs, on_config_changed, d, &d->config_watch);
        if (r >= 0)
                r = clock_watch_new(d->event, "/etc/localtime", &callbacks, d, &d->clock_watch);
        return r < 0 ? log_error_errno(r, "Cannot watch the configuration and the clock: %m") : 0;
}

static int begin(Daemon *d)
{
        int r;

        r = start_engine(d);
        if (may_pass(r))
                return wait_for_room(d);
        if (r >= 0)
                r = add_watches(d);
        return r < 0 ? r : load(d);
}

static int daemon_start(Daemon *d)
{
        int r;

        r = sd_event_default(&d->event);
        if (r >= 0)
                r = sd_event_set_watchdog(d->event, true);
        if (r >= 0)
                r = add_signals(d);
        if (r >= 0)
                r = status_notifier_new(d->event, &d->status);
        if (r >= 0)
                r = find_configuration(d);
        if (r < 0)
                return log_error_errno(r, "Cannot set up: %m");
        r = open_bus(d);
        if (r >= 0)
                r = find_places(d);
        return r < 0 ? r : begin(d);
}

int daemon_run(const Arguments *arguments)
{
        _cleanup_(daemon_done) Daemon d = { .arguments = arguments, .exit_status = EXIT_FAILURE };
        int r;

        r = daemon_start(&d);
        if (r < 0)
                return d.exit_status;
        r = sd_event_loop(d.event);
        (void) sd_notify(false, "STOPPING=1");
        log_fields(LOG_INFO, MSG_DAEMON_STOPPED, NULL, 0, "syncrund ends; runs go on.");
        return r < 0 ? d.exit_status : EXIT_SUCCESS;
}
