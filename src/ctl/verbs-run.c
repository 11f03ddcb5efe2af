/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Verbs that change something, and watch. */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/string-util.h"
#include "base/uuid.h"
#include "ctl/ctl.h"
#include "ctl/progress.h"

static int start_one(Ctl *ctl, Client *client, const char *connector)
{
        _cleanup_(client_started_done) ClientStarted started = {};
        _cleanup_client_error_ ClientError e = {};
        _cleanup_strv_free_ char **accounts = NULL;
        ClientOption options[3];

        if (ctl->options.accounts && strv_split(ctl->options.accounts, ",", &accounts) < 0)
                return ctl_oom();
        options[0] = (ClientOption) { "full_resync", 'b', .b = ctl->options.full };
        options[1] = (ClientOption) { "reason", 's', .s = ctl->options.reason };
        options[2] = (ClientOption) { "accounts", 'a', .as = accounts };
        if (client_start_run(client, connector, options, ELEMENTSOF(options), &started, &e) < 0)
                return ctl_fail(&e, "Could not start %s", connector);
        if (started.full_resync_pending && !ctl->options.quiet)
                (void) fprintf(stderr,
                               "%s is running already (%s). The full resync is remembered and becomes its next run.\n",
                               connector, started.run_id);
        else if (started.already_active && !ctl->options.quiet)
                (void) fprintf(stderr, "%s is running already.\n", connector);
        if (ctl->options.wait)
                return progress_wait(ctl, client, started.run_id, connector);
        if (!ctl->options.quiet)
                (void) puts(started.run_id);
        return 0;
}

int verb_start(Ctl *ctl, int argc, char **argv)
{
        Client *client;
        int status, worst;

        worst = ctl_client(ctl, &client);
        for (int i = 1; worst == 0 && i < argc; i++) {
                status = start_one(ctl, client, argv[i]);
                worst = MAX(worst, status);
        }
        return worst;
}

/* The id of a connector's active run, freed by the caller; NULL where there is none. */
static int find_active_run(Ctl *ctl, Client *client, const char *connector, char **ret)
{
        const ClientOption filter[] = {
                { "connector", 's', .s = connector },
                { "active", 'b', .b = true },
                { "limit", 'u', .u = 1 },
        };
        _cleanup_json_ struct json_object *answer = NULL;
        _cleanup_client_error_ ClientError e = {};
        _cleanup_free_ char *json = NULL;
        struct json_object *runs = NULL;

        if (client_describe(client, "DescribeRuns", filter, ELEMENTSOF(filter), &json, &e) < 0)
                return ctl_fail(&e, "Could not look for runs of %s", connector);
        if (json_parse(json, strlen(json), &answer) < 0 || json_get_array(answer, "runs", &runs) <= 0 ||
            json_object_array_length(runs) == 0)
                return ctl_usage_error("%s has no active run.", connector);
        *ret = strdup(json_text(json_object_array_get_idx(runs, 0), "id"));
        return *ret ? 0 : ctl_oom();
}

int verb_cancel(Ctl *ctl, int argc, char **argv)
{
        Client *client;
        int status;

        status = ctl_client(ctl, &client);
        for (int i = 1; status == 0 && i < argc; i++) {
                _cleanup_client_error_ ClientError e = {};
                _cleanup_free_ char *id = NULL;

                if (connector_name_is_valid(argv[i]) && !uuid_is_valid(argv[i])) {
                        status = find_active_run(ctl, client, argv[i], &id);
                        if (status != 0)
                                break;
                }
                if (client_cancel_run(client, id ?: argv[i], &e) < 0)
                        status = ctl_fail(&e, "Could not cancel %s", argv[i]);
        }
        return status;
}

int verb_set_active(Ctl *ctl, int argc, char **argv)
{
        bool active = streq(argv[0], "enable");
        Client *client;
        int status;

        status = ctl_client(ctl, &client);
        for (int i = 1; status == 0 && i < argc; i++) {
                _cleanup_client_error_ ClientError e = {};

                if (client_set_active(client, argv[i], active, &e) < 0)
                        status = ctl_fail(&e, "Could not %s %s", argv[0], argv[i]);
        }
        return status;
}

int verb_reconnect(Ctl *ctl, int argc, char **argv)
{
        Client *client;
        int status;

        status = ctl_client(ctl, &client);
        for (int i = 1; status == 0 && i < argc; i++) {
                _cleanup_client_error_ ClientError e = {};

                if (client_reconnect(client, argv[i], &e) < 0)
                        status = ctl_fail(&e, "Could not reconnect %s", argv[i]);
        }
        return status;
}

int verb_reload(Ctl *ctl, int argc, char **argv)
{
        _cleanup_client_error_ ClientError e = {};
        Client *client;
        int status;

        status = ctl_client(ctl, &client);
        if (status != 0)
                return status;
        return client_reload(client, &e) < 0 ? ctl_fail(&e, "Could not reload") : 0;
}

typedef struct Watch {
        const Ctl *ctl;
        const char *connector;
} Watch;

static void on_watched_event(uint64_t seq, const char *user_id, const char *run_id, const char *json, void *userdata)
{
        _cleanup_json_ struct json_object *event = NULL;
        struct json_object *metadata = NULL;
        Watch *watch = userdata;

        if (json_parse(json, strlen(json), &event) < 0)
                return;
        (void) json_get_object(event, "metadata", &metadata);
        if ((watch->connector && !streq(json_text(metadata, "connector"), watch->connector)) ||
            (watch->ctl->options.provider && !streq(json_text(event, "provider"), watch->ctl->options.provider)) ||
            (watch->ctl->options.user && !streq(user_id, watch->ctl->options.user)))
                return;
        if (watch->ctl->options.json == JSON_OFF) {
                progress_print_event(event);
                return;
        }
        ctl_print_json(watch->ctl, event);
        (void) fflush(stdout);
}

static int on_interrupt(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
        return sd_event_exit(sd_event_source_get_event(source), 0);
}

int verb_watch(Ctl *ctl, int argc, char **argv)
{
        _cleanup_(sd_event_unrefp) sd_event *loop = NULL;
        _cleanup_(sd_bus_slot_unrefp) sd_bus_slot *slot = NULL;
        _cleanup_client_error_ ClientError e = {};
        Watch watch = { .ctl = ctl, .connector = argc > 1 ? argv[1] : NULL };
        Client *client;
        sigset_t mask;
        int status, r;

        status = ctl_client(ctl, &client);
        if (status != 0)
                return status;
        if (client_watch_events(client, on_watched_event, &watch, &slot, &e) < 0)
                return ctl_fail(&e, "Could not watch events");
        (void) sigemptyset(&mask);
        (void) sigaddset(&mask, SIGINT);
        (void) sigaddset(&mask, SIGTERM);
        if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0 || (r = sd_event_new(&loop)) < 0 ||
            (r = sd_event_add_signal(loop, NULL, SIGINT, on_interrupt, NULL)) < 0 ||
            (r = sd_event_add_signal(loop, NULL, SIGTERM, on_interrupt, NULL)) < 0 ||
            (r = sd_bus_set_exit_on_disconnect(client_bus(client), true)) < 0 ||
            (r = sd_bus_attach_event(client_bus(client), loop, SD_EVENT_PRIORITY_NORMAL)) < 0)
                return ctl_usage_error("Could not make an event loop: %m");
        r = sd_event_loop(loop);
        (void) sd_bus_detach_event(client_bus(client));
        return r < 0 ? ctl_usage_error("Lost the connection to the bus: %s", strerror(-r)) : 0;
}
