/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* log: a run's lines in the journal, and with --follow those that are still to come, until its end. */

#include <signal.h>
#include <stdio.h>

#include "base/names.h"
#include "base/string-util.h"
#include "client/heartbeat.h"
#include "ctl/journal.h"
#include "ctl/log-view.h"
#include "model/run.h"

/* The last lines of a run come to the journal at about the time of its end: so long after the last one that came. */
#define LAST_LINES_USEC USEC_PER_SEC

typedef struct Follow {
        Ctl *ctl;
        LogView view;
        const char *run_id;
        sd_event *loop;
        sd_event_source *last_source; /* NULL until the run has ended */
        bool unanswered;
} Follow;

static int on_last(sd_event_source *source, uint64_t usec, void *userdata)
{
        return sd_event_exit(sd_event_source_get_event(source), 0);
}

static void end_soon(Follow *follow)
{
        int r;

        if (!follow->last_source)
                r = sd_event_add_time_relative(follow->loop, &follow->last_source, CLOCK_MONOTONIC, LAST_LINES_USEC, 0,
                                               on_last, NULL);
        else
                r = sd_event_source_set_time_relative(follow->last_source, LAST_LINES_USEC);
        if (r < 0)
                (void) sd_event_exit(follow->loop, r);
}

static void on_line(struct json_object *entry, void *userdata)
{
        Follow *follow = userdata;

        log_view_entry(entry, &follow->view);
        (void) fflush(stdout);
        if (follow->last_source)
                end_soon(follow);
}

static void on_event(uint64_t seq, const char *user_id, const char *run_id, const char *json, void *userdata)
{
        _cleanup_json_ struct json_object *event = NULL;
        Follow *follow = userdata;

        if (streq(run_id, follow->run_id) && json_parse(json, strlen(json), &event) >= 0 &&
            sync_status_from_string(json_text(event, "status")) != SYNC_STATUS_IN_PROGRESS)
                end_soon(follow);
}

/* Its end may have been told while nobody listened. */
static void look(Follow *follow)
{
        _cleanup_json_ struct json_object *run = NULL;

        if (ctl_ask_run(follow->ctl, follow->run_id, &run) == 0 &&
            (!run || streq(json_text(run, "state"), "finished")))
                end_soon(follow);
}

static int on_owner_changed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const char *name, *before, *now;

        if (sd_bus_message_read(m, "sss", &name, &before, &now) >= 0 && streq(name, SYNCRUN_BUS_NAME) && !isempty(now))
                look(userdata);
        return 0;
}

static void on_silence(void *userdata)
{
        Follow *follow = userdata;

        follow->unanswered = true;
        (void) sd_event_exit(follow->loop, 0);
}

static int on_interrupt(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
        return sd_event_exit(sd_event_source_get_event(source), 0);
}

static int make_loop(Follow *follow, Client *client, ClientHeartbeat **ret_heartbeat)
{
        sigset_t mask;
        int r;

        (void) sigemptyset(&mask);
        (void) sigaddset(&mask, SIGINT);
        (void) sigaddset(&mask, SIGTERM);
        if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
                return -errno;
        r = sd_event_new(&follow->loop);
        if (r >= 0)
                r = sd_event_add_signal(follow->loop, NULL, SIGINT, on_interrupt, NULL);
        if (r >= 0)
                r = sd_event_add_signal(follow->loop, NULL, SIGTERM, on_interrupt, NULL);
        if (r >= 0)
                r = client_heartbeat_new(client, follow->loop, on_silence, follow, ret_heartbeat);
        if (r >= 0)
                r = sd_bus_set_exit_on_disconnect(client_bus(client), true);
        return r < 0 ? r : sd_bus_attach_event(client_bus(client), follow->loop, SD_EVENT_PRIORITY_NORMAL);
}

static void follow_done(Follow *follow)
{
        sd_event_source_disable_unref(follow->last_source);
        sd_event_unref(follow->loop);
}

/* Of a run that has not ended yet, as far as is known. */
static int follow_run(Ctl *ctl, struct json_object *run, uint64_t lines)
{
        _cleanup_(sd_bus_slot_unrefp) sd_bus_slot *events_slot = NULL, *owner_slot = NULL;
        _cleanup_(client_heartbeat_freep) ClientHeartbeat *heartbeat = NULL;
        _cleanup_(journal_follower_freep) JournalFollower *follower = NULL;
        _cleanup_(follow_done) Follow follow = { .ctl = ctl, .view.ctl = ctl, .run_id = json_text(run, "id") };
        _cleanup_client_error_ ClientError e = {};
        LogMatch match;
        Client *client;
        int status, r;

        status = ctl_client(ctl, &client);
        if (status != 0)
                return status;
        match = log_view_match(ctl, follow.run_id, NULL, run);
        if (client_watch_events(client, on_event, &follow, &events_slot, &e) < 0)
                return ctl_fail(&e, "Could not watch the run");
        r = sd_bus_match_signal(client_bus(client), &owner_slot, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                "org.freedesktop.DBus", "NameOwnerChanged", on_owner_changed, &follow);
        if (r >= 0)
                r = make_loop(&follow, client, &heartbeat);
        if (r < 0)
                return ctl_fail_errno(r, "Could not watch the run");
        look(&follow);
        r = journal_follow_run(follow.loop, &match, lines, on_line, &follow, &follower);
        if (r >= 0)
                r = sd_event_loop(follow.loop);
        (void) sd_bus_detach_event(client_bus(client));
        if (follow.unanswered)
                return ctl_unanswered("Cannot tell when the run ends");
        if (r > 0)
                return ctl_fail_status(EXIT_UNAVAILABLE, "Lost the connection to the bus.");
        return r < 0 ? ctl_fail_errno(r, "Could not read the journal") : 0;
}

int verb_log(Ctl *ctl, int argc, char **argv)
{
        _cleanup_json_ struct json_object *connector = NULL, *run = NULL;
        uint64_t lines = option_given(&ctl->options, OPTION_LINES) ? ctl->options.lines : UINT64_MAX;
        _cleanup_free_ char *name = NULL;
        LogView view = { .ctl = ctl };
        const char *id = argv[1];
        LogMatch match;
        int status, n = 0;

        status = ctl_find_run(ctl, argv[1], &connector, &run);
        if (status == 0 && connector && !run)
                return ctl_fail_status(EXIT_NO_SUCH, "%s has not run yet.", argv[1]);
        if (run)
                id = json_text(run, "id");
        else if (status != 0 && connector_name_is_valid(argv[1]))
                return status;
        if (run && option_given(&ctl->options, OPTION_FOLLOW) && !streq(json_text(run, "state"), "finished"))
                return follow_run(ctl, run, lines);
        /* A run that the history has forgotten, or a service that is down: the journal may know more. */
        ctl_begin(ctl);
        if (!run)
                n = journal_find_connector(id, &name);
        match = log_view_match(ctl, id, name, run);
        if (n >= 0)
                n = journal_read_run(&match, lines, log_view_entry, &view);
        if (n < 0)
                return ctl_fail_errno(n, "Could not read the journal");
        if (n > 0)
                return 0;
        if (!run)
                return status != 0 ? status : ctl_no_such(ctl, argv[1]);
        return ctl_fail_status(EXIT_FAILURE, "The journal has no line of run %s that you may see. %s", id,
                               log_view_why_none(run));
}
