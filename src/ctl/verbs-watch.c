/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* watch: events as they are committed, behind as many of the past as --lines= wants. */

#include <signal.h>
#include <stdio.h>

#include "base/names.h"
#include "base/string-util.h"
#include "client/heartbeat.h"
#include "ctl/ctl.h"
#include "ctl/sync-view.h"

#define PAGE_EVENTS 1000U /* of those that were missed, asked for at once */

typedef struct Watch {
        Ctl *ctl;
        const char *connector;
        uint64_t seen_seq; /* events up to this one have been shown, or are not of interest */
        bool unanswered;   /* the service hangs */
} Watch;

static void print_event(const Watch *watch, struct json_object *event)
{
        SyncView view;

        if (watch->ctl->options.json != JSON_OFF) {
                ctl_print_json(watch->ctl, event);
        } else {
                view = sync_view_from_event(event);
                sync_view_print(&view);
        }
        (void) fflush(stdout);
}

static void on_event(uint64_t seq, const char *user_id, const char *run_id, const char *json, void *userdata)
{
        _cleanup_json_ struct json_object *event = NULL;
        Watch *watch = userdata;
        const CtlOptions *o = &watch->ctl->options;

        if (seq <= watch->seen_seq)
                return;
        watch->seen_seq = seq;
        if (json_parse(json, strlen(json), &event) < 0)
                return;
        if ((watch->connector && !streq(json_text(json_member(event, "metadata"), "connector"), watch->connector)) ||
            (o->provider && !streq(json_text(event, "provider"), o->provider)) ||
            (o->user && strcasecmp(user_id, o->user) != 0))
                return;
        print_event(watch, event);
}

/* Adds the newest events before *@before to @rows, which come newest first; 0: of all. Return: exit status. */
static int read_past(Watch *watch, unsigned limit, struct json_object *rows, uint64_t *before)
{
        const ClientOption filter[] = {
                { "connector", 's', .s = watch->connector },
                { "provider", 's', .s = watch->ctl->options.provider },
                { "user", 's', .s = watch->ctl->options.user },
                { "before", 't', .t = *before },
                { "newest_first", 'b', .b = true },
                { "limit", 'u', .u = limit },
        };
        _cleanup_json_ struct json_object *answer = NULL;
        struct json_object *events = NULL;
        uint64_t last;
        int status;

        status = ctl_ask(watch->ctl, "DescribeEvents", filter, ELEMENTSOF(filter), &answer);
        if (status != 0)
                return status;
        (void) json_get_array(answer, "events", &events);
        for (size_t i = 0; i < (events ? json_object_array_length(events) : 0); i++)
                json_object_array_add(rows, json_object_get(json_object_array_get_idx(events, i)));
        last = json_count(answer, "last");
        if (*before == 0)
                watch->seen_seq = last == UINT64_MAX ? 0 : last;
        *before = json_count(answer, "next");
        return 0;
}

/* The newest events that there are already. Asking also starts the service, if need be. */
static int show_past(Ctl *ctl, Watch *watch)
{
        _cleanup_json_ struct json_object *rows = json_object_new_array();
        unsigned limit = option_lines(&ctl->options, 1);
        uint64_t before = 0;
        int status;

        if (!rows)
                return ctl_fail_errno(-ENOMEM, "Could not show events");
        do {
                status = read_past(watch, limit - (unsigned) json_object_array_length(rows), rows, &before);
                if (status != 0)
                        return status;
        } while (option_given(&ctl->options, OPTION_LINES) && before != UINT64_MAX &&
                 json_object_array_length(rows) < limit);
        if (option_given(&ctl->options, OPTION_LINES))
                for (size_t i = json_object_array_length(rows); i > 0; i--)
                        print_event(watch, json_member(json_object_array_get_idx(rows, i - 1), "event"));
        return 0;
}

/* What was committed and not told of because the service ended in between. Return: whether there may be more. */
static bool show_missed(Watch *watch)
{
        const ClientOption filter[] = {
                { "connector", 's', .s = watch->connector },
                { "provider", 's', .s = watch->ctl->options.provider },
                { "user", 's', .s = watch->ctl->options.user },
                { "after", 't', .t = watch->seen_seq },
                { "limit", 'u', .u = PAGE_EVENTS },
        };
        _cleanup_json_ struct json_object *answer = NULL;
        struct json_object *events = NULL;
        uint64_t last;
        size_t n;

        if (ctl_ask(watch->ctl, "DescribeEvents", filter, ELEMENTSOF(filter), &answer) != 0)
                return false;
        (void) json_get_array(answer, "events", &events);
        n = events ? json_object_array_length(events) : 0;
        for (size_t i = 0; i < n; i++) {
                struct json_object *row = json_object_array_get_idx(events, i);

                print_event(watch, json_member(row, "event"));
                watch->seen_seq = json_count(row, "seq");
        }
        if (json_count(answer, "next") != UINT64_MAX) {
                watch->seen_seq = json_count(answer, "next");
                return true;
        }
        last = json_count(answer, "last");
        watch->seen_seq = last == UINT64_MAX ? 0 : last; /* less than before: it has begun a new history */
        return false;
}

static int on_owner_changed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const char *name, *before, *now;

        if (sd_bus_message_read(m, "sss", &name, &before, &now) >= 0 && streq(name, SYNCRUN_BUS_NAME) && !isempty(now))
                while (show_missed(userdata))
                        ;
        return 0;
}

static int check_connector(Ctl *ctl, const char *name)
{
        _cleanup_json_ struct json_object *connector = NULL;
        int status = ctl_ask_connector(ctl, name, &connector);

        if (status != 0 || connector)
                return status;
        return ctl_fail_status(EXIT_NO_SUCH, "There is no connector \"%s\". See 'syncrunctl list'.", name);
}

static int on_interrupt(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
        return sd_event_exit(sd_event_source_get_event(source), 0);
}

static void on_silence(void *userdata)
{
        Watch *watch = userdata;

        watch->unanswered = true;
        (void) sd_event_exit(sd_bus_get_event(client_bus(watch->ctl->client)), 0);
}

/* Return: 0 interrupted; 1 the bus has gone; negative errno. */
static int run_loop(Client *client, Watch *watch)
{
        _cleanup_(client_heartbeat_freep) ClientHeartbeat *heartbeat = NULL;
        _cleanup_(sd_event_unrefp) sd_event *loop = NULL;
        sd_bus *bus = client_bus(client);
        sigset_t mask;
        int r;

        (void) sigemptyset(&mask);
        (void) sigaddset(&mask, SIGINT);
        (void) sigaddset(&mask, SIGTERM);
        if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
                return -errno;
        if ((r = sd_event_new(&loop)) < 0 || (r = sd_event_add_signal(loop, NULL, SIGINT, on_interrupt, NULL)) < 0 ||
            (r = sd_event_add_signal(loop, NULL, SIGTERM, on_interrupt, NULL)) < 0 ||
            (r = client_heartbeat_new(client, loop, on_silence, watch, &heartbeat)) < 0 ||
            (r = sd_bus_set_exit_on_disconnect(bus, true)) < 0 ||
            (r = sd_bus_attach_event(bus, loop, SD_EVENT_PRIORITY_NORMAL)) < 0)
                return r;
        r = sd_event_loop(loop);
        (void) sd_bus_detach_event(bus);
        return r;
}

int verb_watch(Ctl *ctl, int argc, char **argv)
{
        _cleanup_(sd_bus_slot_unrefp) sd_bus_slot *slot = NULL, *owner_slot = NULL;
        _cleanup_client_error_ ClientError e = {};
        Watch watch = { .ctl = ctl, .connector = argc > 1 ? argv[1] : NULL };
        Client *client;
        int status, r;

        status = ctl_client(ctl, &client);
        if (status == 0 && watch.connector)
                status = check_connector(ctl, watch.connector);
        if (status != 0)
                return status;
        /* Listening first, then the past: none is missed, and the sequence numbers say which came twice. */
        if (client_watch_events(client, on_event, &watch, &slot, &e) < 0)
                return ctl_fail(&e, "Could not watch events");
        r = sd_bus_match_signal(client_bus(client), &owner_slot, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                "org.freedesktop.DBus", "NameOwnerChanged", on_owner_changed, &watch);
        if (r < 0)
                return ctl_fail_errno(r, "Could not watch the sync service");
        status = show_past(ctl, &watch);
        if (status != 0)
                return status;
        r = run_loop(client, &watch);
        if (watch.unanswered)
                return ctl_unanswered("Cannot watch any longer");
        if (r > 0)
                return ctl_fail_status(EXIT_UNAVAILABLE, "Lost the connection to the bus.");
        return r < 0 ? ctl_fail_errno(r, "Could not watch events") : 0;
}
