/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What happens to the runs, and whether it is them that were asked for. */

#include "ctl/progress.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/names.h"
#include "base/string-util.h"
#include "base/time-util.h"
#include "ctl/progress-internal.h"

#define EXIT_INTERRUPTED 130 /* as a shell says of a program that SIGINT ended */
#define REDRAW_USEC      USEC_PER_SEC
#define STATES_MATCH                                                                    \
        "type='signal',sender='" SYNCRUN_BUS_NAME "',path_namespace='" SYNCRUN_PATH_RUN \
        "',interface='org.freedesktop.DBus.Properties',member='PropertiesChanged',arg0='" SYNCRUN_IFACE_RUN "'"
#define RUNS_SOUGHT 100U /* of the newest: what was asked for is one of the first after another's end */

/* ---- What happens to the runs */

static bool all_ended(const Progress *p)
{
        for (size_t i = 0; i < p->n_entries; i++)
                if (!p->entries[i].ended)
                        return false;
        return true;
}

/* A run that has no end yet is followed from here on. */
static int adopt(ProgressEntry *entry, const char *run_id)
{
        char *id = strdup(run_id);

        if (!id)
                return -ENOMEM;
        free(entry->run_id);
        entry->run_id = id;
        entry->status = SYNC_STATUS_IN_PROGRESS;
        entry->stage = _SYNC_STAGE_INVALID;
        entry->progress = PROGRESS_UNKNOWN;
        entry->processed = entry->total = entry->processed_at_begin = COUNT_UNKNOWN;
        entry->stopping = false;
        entry->begun_usec = now_usec(CLOCK_MONOTONIC);
        return 0;
}

/* What is new of an entry's run. Return: whether it has ended just now. */
static bool update(Progress *p, ProgressEntry *entry, const SyncView *view)
{
        bool ended = sync_status_is_terminal(view->status), new_stage = view->stage != entry->stage;

        entry->status = view->status;
        entry->stage = view->stage;
        entry->progress = view->progress;
        entry->processed = view->processed;
        entry->total = view->total;
        if (entry->processed_at_begin == COUNT_UNKNOWN)
                entry->processed_at_begin = view->processed;
        if (ended && !entry->follows)
                entry->ended = true;
        if (ended || (new_stage && !p->live))
                progress_print(p, view);
        else
                progress_draw(p);
        return ended;
}

static void look(Progress *p, ProgressEntry *entry);

/* A run that was skipped has done nothing, and one that is owed was begun for another's sake. */
static bool is_asked_for(const ProgressEntry *entry, struct json_object *run)
{
        return run && !streq_null(json_text(run, "id"), entry->old_run_id) &&
               run_trigger_from_string(json_text(run, "trigger")) != RUN_TRIGGER_RETRY &&
               run_outcome_from_string(json_text(run, "outcome")) != RUN_SKIPPED &&
               (!entry->full || json_flag(run, "full_resync"));
}

/* The first of them after the run that was active. @runs: newest first. Borrowed; NULL: none. */
static struct json_object *find_asked_for(const ProgressEntry *entry, struct json_object *connector,
                                          struct json_object *runs)
{
        struct json_object *found = json_member(connector, "active_run"), *run;

        if (!is_asked_for(entry, found))
                found = NULL;
        for (size_t i = 0; (run = json_element(runs, "runs", i)); i++) {
                if (streq_null(json_text(run, "id"), entry->old_run_id))
                        break;
                if (is_asked_for(entry, run))
                        found = run;
        }
        return found;
}

/* Somebody changed their mind. */
static void give_up(const Progress *p, ProgressEntry *entry)
{
        entry->ended = true;
        entry->status = SYNC_STATUS_CANCELLED;
        if (!p->ctl->options.quiet)
                (void) fprintf(stderr,
                               "What was asked for of %s was taken back meanwhile. See 'syncrunctl status %s'.\n",
                               entry->connector, entry->connector);
}

/* The connector is asked first: a run that is active no longer is then among the others. */
static void seek(Progress *p, ProgressEntry *entry)
{
        const ClientOption filter[] = { { "connector", 's', .s = entry->connector },
                                        { "limit", 'u', .u = RUNS_SOUGHT } };
        _cleanup_json_ struct json_object *connector = NULL, *runs = NULL;
        struct json_object *run;

        if (ctl_ask_connector(p->ctl, entry->connector, &connector) != 0 ||
            ctl_ask(p->ctl, "DescribeRuns", filter, ELEMENTSOF(filter), &runs) != 0) {
                entry->ended = true;
                entry->status = SYNC_STATUS_FAILED;
                return;
        }
        run = find_asked_for(entry, connector, runs);
        if (run) {
                if (adopt(entry, json_text(run, "id")) >= 0)
                        look(p, entry);
        } else if (json_member(connector, "follow_up")) {
                free(entry->passed_id);
                entry->passed_id = strdup(json_text(json_member(connector, "active_run"), "id"));
        } else
                give_up(p, entry);
}

/* The run that was active has ended: what was asked for comes next, or when what is owed has run. */
static void follow(Progress *p, ProgressEntry *entry)
{
        entry->follows = false;
        free(entry->old_run_id);
        entry->old_run_id = TAKE_PTR(entry->run_id);
        seek(p, entry);
}

static void apply(Progress *p, ProgressEntry *entry, const SyncView *view)
{
        bool follows = entry->follows;

        if (update(p, entry, view) && follows)
                follow(p, entry);
}

static void on_event(uint64_t seq, const char *user_id, const char *run_id, const char *json, void *userdata)
{
        _cleanup_json_ struct json_object *event = NULL;
        Progress *p = userdata;
        SyncView view;

        if (json_parse(json, strlen(json), &event) < 0)
                return;
        view = sync_view_from_event(event);
        for (size_t i = 0; i < p->n_entries; i++) {
                ProgressEntry *entry = &p->entries[i];

                if (entry->ended)
                        continue;
                if (streq_null(run_id, entry->run_id))
                        apply(p, entry, &view);
                else if (!entry->run_id && streq(view.name, entry->connector) &&
                         !streq_null(run_id, entry->old_run_id) &&
                         (sync_status_is_terminal(view.status) || !streq_null(run_id, entry->passed_id)))
                        seek(p, entry);
        }
}

/* The run as it is now: events before we listened, or while the daemon was away, are made up for. */
static void look(Progress *p, ProgressEntry *entry)
{
        _cleanup_json_ struct json_object *run = NULL;
        SyncView view;

        if (entry->ended || !entry->run_id || ctl_ask_run(p->ctl, entry->run_id, &run) != 0 || !run)
                return;
        view = sync_view_from_run(run);
        entry->stopping = view.stopping;
        apply(p, entry, &view);
}

static int on_owner_changed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const char *name, *before, *now;
        Progress *p = userdata;

        if (sd_bus_message_read(m, "sss", &name, &before, &now) < 0 || !streq(name, SYNCRUN_BUS_NAME) ||
            now[0] == '\0')
                return 0;
        for (size_t i = 0; i < p->n_entries; i++) {
                ProgressEntry *entry = &p->entries[i];

                if (!entry->ended && !entry->run_id)
                        seek(p, entry);
                else
                        look(p, entry);
        }
        return 0;
}

/* The state in @m, a dictionary of changed properties; borrowed from it. Return: 1; 0 it did not change; negative
 * errno. */
static int read_state(sd_bus_message *m, const char **ret)
{
        const char *interface, *key;
        int r;

        r = sd_bus_message_read(m, "s", &interface);
        if (r >= 0)
                r = sd_bus_message_enter_container(m, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = sd_bus_message_read(m, "s", &key);
                if (r >= 0 && streq(key, "State"))
                        return sd_bus_message_read(m, "v", "s", ret);
                if (r >= 0)
                        r = sd_bus_message_skip(m, "v");
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return r;
}

/* Events tell of stages alone: that a run is being stopped is a state. */
static int on_state_changed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        _cleanup_free_ char *run_id = NULL;
        Progress *p = userdata;
        const char *state;

        if (sd_bus_path_decode(sd_bus_message_get_path(m), SYNCRUN_PATH_RUN, &run_id) <= 0 ||
            read_state(m, &state) <= 0)
                return 0;
        for (size_t i = 0; i < p->n_entries; i++) {
                if (!streq_null(p->entries[i].run_id, run_id))
                        continue;
                p->entries[i].stopping |= run_state_from_string(state) == RUN_STOPPING;
                progress_draw(p);
        }
        return 0;
}

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata)
{
        int r;

        progress_draw(userdata);
        r = sd_event_source_set_time_relative(source, REDRAW_USEC);
        return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int on_interrupt(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
        Progress *p = userdata;

        p->interrupted = true;
        return 0;
}

static void on_silence(void *userdata)
{
        Progress *p = userdata;

        p->unanswered = true;
}

/* ---- Life */

Progress *progress_free(Progress *p)
{
        if (!p)
                return NULL;
        for (size_t i = 0; i < p->n_entries; i++) {
                free(p->entries[i].connector);
                free(p->entries[i].run_id);
                free(p->entries[i].old_run_id);
                free(p->entries[i].passed_id);
        }
        free(p->entries);
        sd_bus_slot_unref(p->events_slot);
        sd_bus_slot_unref(p->owner_slot);
        sd_bus_slot_unref(p->states_slot);
        client_heartbeat_free(p->heartbeat);
        sd_event_unref(p->loop);
        free(p);
        return NULL;
}

int progress_new(Ctl *ctl, Client *client, Progress **ret)
{
        _cleanup_(progress_freep) Progress *p = calloc(1, sizeof(Progress));
        _cleanup_client_error_ ClientError e = {};
        int r;

        if (!p)
                return ctl_oom();
        p->ctl = ctl;
        p->client = client;
        p->silent = ctl->options.quiet || ctl->options.json != JSON_OFF;
        p->live = terminal_can_redraw() && !p->silent;
        r = sd_event_new(&p->loop);
        if (r < 0)
                return ctl_fail_errno(r, "Could not make an event loop");
        if (p->live) {
                r = sd_bus_add_match(client_bus(client), &p->states_slot, STATES_MATCH, on_state_changed, p);
                if (r < 0)
                        return ctl_fail_errno(r, "Could not watch the sync service");
        }
        r = sd_bus_match_signal(client_bus(client), &p->owner_slot, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                "org.freedesktop.DBus", "NameOwnerChanged", on_owner_changed, p);
        if (r < 0)
                return ctl_fail_errno(r, "Could not watch the sync service");
        if (client_watch_events(client, on_event, p, &p->events_slot, &e) < 0)
                return ctl_fail(&e, "Could not watch the sync service");
        *ret = TAKE_PTR(p);
        return 0;
}

int progress_add(Progress *p, const char *connector, const ClientStarted *started)
{
        ProgressEntry *longer = reallocarray(p->entries, p->n_entries + 1, sizeof(ProgressEntry));
        ProgressEntry entry = {
                .connector = strdup(connector),
                .follows = started->follow_up_pending,
                .full = started->full_resync_pending,
        };

        if (longer)
                p->entries = longer;
        if (!longer || !entry.connector || adopt(&entry, started->run_id) < 0) {
                free(entry.connector);
                return -ENOMEM;
        }
        p->entries[p->n_entries++] = entry;
        p->name_width = MAX(p->name_width, text_width(connector));
        return 0;
}

static int attach(Progress *p)
{
        sigset_t mask;
        int r;

        (void) sigemptyset(&mask);
        (void) sigaddset(&mask, SIGINT);
        (void) sigaddset(&mask, SIGTERM);
        if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
                return -errno;
        r = sd_event_add_signal(p->loop, NULL, SIGINT, on_interrupt, p);
        if (r >= 0)
                r = sd_event_add_signal(p->loop, NULL, SIGTERM, on_interrupt, p);
        if (r >= 0 && p->live)
                r = sd_event_add_time_relative(p->loop, NULL, CLOCK_MONOTONIC, REDRAW_USEC, 0, on_tick, p);
        if (r >= 0)
                r = client_heartbeat_new(p->client, p->loop, on_silence, p, &p->heartbeat);
        if (r >= 0)
                r = sd_bus_set_exit_on_disconnect(client_bus(p->client), true);
        return r < 0 ? r : sd_bus_attach_event(client_bus(p->client), p->loop, SD_EVENT_PRIORITY_NORMAL);
}

/* No sd_event_exit() here: it would close the bus, which is still needed. */
static int run_loop(Progress *p)
{
        int r;

        r = attach(p);
        if (r < 0)
                return r;
        for (size_t i = 0; i < p->n_entries; i++)
                look(p, &p->entries[i]);
        while (r >= 0 && !p->interrupted && !p->unanswered && !all_ended(p)) {
                if (sd_event_get_state(p->loop) == SD_EVENT_FINISHED)
                        return -ECONNRESET;
                r = sd_event_run(p->loop, UINT64_MAX);
        }
        (void) sd_bus_detach_event(client_bus(p->client));
        return r;
}

static int exit_status(SyncStatus status)
{
        switch (status) {
        case SYNC_STATUS_SUCCESS:
                return 0;
        case SYNC_STATUS_PARTIAL:
                return 3;
        case SYNC_STATUS_CANCELLED:
                return 4;
        case SYNC_STATUS_SKIPPED:
                return 5;
        default:
                return 1;
        }
}

/* With --json: the runs as 'show' prints them. */
static int print_runs(Progress *p)
{
        int status;

        for (size_t i = 0; i < p->n_entries; i++) {
                _cleanup_json_ struct json_object *run = NULL;

                status = ctl_ask_run(p->ctl, p->entries[i].run_id ?: p->entries[i].old_run_id, &run);
                if (status != 0)
                        return status;
                if (run)
                        ctl_print_json(p->ctl, run);
        }
        return 0;
}

int progress_wait(Progress *p)
{
        int r, worst = 0, status;

        if (p->n_entries == 0)
                return 0;
        r = run_loop(p);
        if (r < 0)
                return ctl_fail_status(CLIENT_EXIT_UNREACHABLE,
                                       "Lost the connection to the bus (%s). What was running goes on: 'syncrunctl "
                                       "runs' tells "
                                       "how it fares.",
                                       strerror(-r));
        if (p->unanswered)
                return ctl_unanswered("Cannot wait any longer");
        if (p->interrupted) {
                if (!p->ctl->options.quiet)
                        (void) fprintf(stderr, "What is running goes on: 'syncrunctl cancel' would end it.\n");
                return EXIT_INTERRUPTED;
        }
        for (size_t i = 0; i < p->n_entries; i++) {
                status = exit_status(p->entries[i].status);
                worst = MAX(worst, status);
        }
        if (p->ctl->options.json != JSON_OFF) {
                status = print_runs(p);
                worst = MAX(worst, status);
        }
        return worst;
}
