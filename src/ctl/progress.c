/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/progress.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/names.h"
#include "base/string-util.h"
#include "base/time-util.h"
#include "model/run.h"

#define BAR_WIDTH 24U

typedef struct Progress {
        Client *client;
        const char *run_id;
        const char *connector;
        sd_event *event;
        bool live; /* one line that is written over */
        bool quiet;
        usec_t begun_usec;
        uint64_t processed_at_begin; /* COUNT_UNKNOWN until the first count */
        SyncStage last_stage;
        SyncStatus status; /* in_progress until the end */
} Progress;

static Colour status_colour(SyncStatus status)
{
        switch (status) {
        case SYNC_STATUS_SUCCESS:
                return COLOUR_GREEN;
        case SYNC_STATUS_FAILED:
                return COLOUR_RED;
        case SYNC_STATUS_PARTIAL:
        case SYNC_STATUS_CANCELLED:
                return COLOUR_YELLOW;
        default:
                return COLOUR_NORMAL;
        }
}

static void print_counts(struct json_object *event)
{
        struct json_object *metadata = NULL;

        if (json_get_object(event, "metadata", &metadata) <= 0 || json_count(metadata, "inserted") == COUNT_UNKNOWN)
                return;
        (void) printf(" · %" PRIu64 " added, %" PRIu64 " updated, %" PRIu64 " deduped",
                      json_count(metadata, "inserted"), json_count(metadata, "updated"),
                      json_count(metadata, "deduped"));
}

static const char *event_name(struct json_object *event)
{
        struct json_object *metadata = NULL;

        (void) json_get_object(event, "metadata", &metadata);
        return isempty(json_text(metadata, "connector")) ? json_text(event, "provider")
                                                         : json_text(metadata, "connector");
}

void progress_print_event(struct json_object *event)
{
        SyncStatus status = sync_status_from_string(json_text(event, "status"));
        const char *error = json_text(event, "error"), *message = json_text(event, "message");
        uint64_t processed = json_count(event, "items_processed"), total = json_count(event, "items_total");
        char time_text[TIMESTAMP_TEXT_MAX];

        (void) printf("%s%s%s %s%s%s %s%s%s", colour(COLOUR_GREY),
                      strempty(timestamp_format_local(time_text, sizeof(time_text), json_time(event, "timestamp"))),
                      colour(COLOUR_NORMAL), colour(COLOUR_BOLD), event_name(event), colour(COLOUR_NORMAL),
                      colour(status_colour(status)),
                      status == SYNC_STATUS_IN_PROGRESS ? json_text(event, "stage") : json_text(event, "status"),
                      colour(COLOUR_NORMAL));
        if (processed != COUNT_UNKNOWN) {
                (void) printf(" %" PRIu64, processed);
                if (total != COUNT_UNKNOWN)
                        (void) printf("/%" PRIu64, total);
        }
        if (sync_status_is_terminal(status))
                print_counts(event);
        if (!isempty(error))
                (void) printf(" · %s", error);
        else if (!isempty(message))
                (void) printf(" · %s", message);
        (void) putchar('\n');
        (void) fflush(stdout);
}

/* Items a second since we look, and from that the time left. */
static void print_rate(Progress *p, uint64_t processed, uint64_t total)
{
        usec_t passed = usec_sub(now_usec(CLOCK_MONOTONIC), p->begun_usec);
        char text[TIMESPAN_TEXT_MAX];
        double rate;

        if (p->processed_at_begin == COUNT_UNKNOWN)
                p->processed_at_begin = processed;
        if (passed < USEC_PER_SEC / 2 || processed <= p->processed_at_begin)
                return;
        rate = (double) (processed - p->processed_at_begin) * (double) USEC_PER_SEC / (double) passed;
        (void) printf(" · %.0f/s", rate);
        if (total != COUNT_UNKNOWN && total > processed)
                (void) printf(" · %s left",
                              timespan_format(text, sizeof(text),
                                              (usec_t) ((double) (total - processed) / rate * (double) USEC_PER_SEC),
                                              USEC_PER_SEC));
}

static void print_bar(Progress *p, struct json_object *event)
{
        uint64_t processed = json_count(event, "items_processed"), total = json_count(event, "items_total");
        double fraction = -1;

        (void) json_get_double(event, "progress", &fraction);
        if (fraction < 0 && processed != COUNT_UNKNOWN && total != COUNT_UNKNOWN && total > 0)
                fraction = MIN((double) processed / (double) total, 1.0);
        (void) printf("\r\x1b[K%s%s%s %-10s ", colour(COLOUR_BOLD), p->connector, colour(COLOUR_NORMAL),
                      json_text(event, "stage"));
        if (fraction >= 0) {
                unsigned full = (unsigned) (fraction * BAR_WIDTH + 0.5);

                (void) printf("%s", colour(COLOUR_BLUE));
                for (unsigned i = 0; i < BAR_WIDTH; i++)
                        (void) fputs(i < full ? "█" : "░", stdout);
                (void) printf("%s %3.0f%%", colour(COLOUR_NORMAL), fraction * 100);
        }
        if (processed != COUNT_UNKNOWN) {
                (void) printf(" %" PRIu64, processed);
                if (total != COUNT_UNKNOWN)
                        (void) printf("/%" PRIu64, total);
                print_rate(p, processed, total);
        }
        (void) fflush(stdout);
}

static void on_event(uint64_t seq, const char *user_id, const char *run_id, const char *json, void *userdata)
{
        _cleanup_json_ struct json_object *event = NULL;
        Progress *p = userdata;
        SyncStage stage;

        if (!streq(run_id, p->run_id) || json_parse(json, strlen(json), &event) < 0)
                return;
        stage = sync_stage_from_string(json_text(event, "stage"));
        p->status = sync_status_from_string(json_text(event, "status"));
        if (sync_status_is_terminal(p->status)) {
                if (p->live)
                        (void) printf("\r\x1b[K");
                if (!p->quiet)
                        progress_print_event(event);
                (void) sd_event_exit(p->event, 0);
        } else if (p->live) {
                print_bar(p, event);
        } else if (!p->quiet && stage != p->last_stage) {
                progress_print_event(event);
        }
        p->last_stage = stage;
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

/* The run may have ended before we began to watch: its newest event says so. */
static int look_once(Client *client, Progress *p, ClientError *e)
{
        const ClientOption filter[] = {
                { "run", 's', .s = p->run_id },
                { "newest_first", 'b', .b = true },
                { "limit", 'u', .u = 1 },
        };
        _cleanup_json_ struct json_object *answer = NULL;
        struct json_object *events = NULL, *event = NULL;
        _cleanup_free_ char *json = NULL;
        int r;

        r = client_describe(client, "DescribeEvents", filter, ELEMENTSOF(filter), &json, e);
        if (r < 0)
                return r;
        if (json_parse(json, strlen(json), &answer) >= 0 && json_get_array(answer, "events", &events) > 0 &&
            json_object_array_length(events) > 0 &&
            json_get_object(json_object_array_get_idx(events, 0), "event", &event) > 0)
                on_event(0, "", p->run_id, json_object_to_json_string(event), p);
        return 0;
}

/* The daemon is back on the bus: what it committed just before it went may not have been told to us. */
static int on_owner_changed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        _cleanup_client_error_ ClientError e = {};
        const char *name, *before, *now;
        Progress *p = userdata;

        if (sd_bus_message_read(m, "sss", &name, &before, &now) >= 0 &&
            streq(name, SYNCRUN_BUS_NAME) && now[0] != '\0')
                (void) look_once(p->client, p, &e);
        return 0;
}

int progress_wait(Ctl *ctl, Client *client, const char *run_id, const char *connector)
{
        _cleanup_(sd_event_unrefp) sd_event *loop = NULL;
        _cleanup_(sd_bus_slot_unrefp) sd_bus_slot *slot = NULL, *owner_slot = NULL;
        _cleanup_client_error_ ClientError e = {};
        Progress p = {
                .client = client,
                .run_id = run_id,
                .connector = connector,
                .live = terminal_on() && !ctl->options.quiet,
                .quiet = ctl->options.quiet,
                .begun_usec = now_usec(CLOCK_MONOTONIC),
                .processed_at_begin = COUNT_UNKNOWN,
                .last_stage = _SYNC_STAGE_INVALID,
        };
        int r;

        r = sd_event_new(&loop);
        if (r < 0)
                return ctl_usage_error("Could not make an event loop: %s", strerror(-r));
        p.event = loop;
        r = sd_bus_match_signal(client_bus(client), &owner_slot, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                "org.freedesktop.DBus", "NameOwnerChanged", on_owner_changed, &p);
        if (r < 0)
                return ctl_usage_error("Could not watch the sync service: %s", strerror(-r));
        if (client_watch_events(client, on_event, &p, &slot, &e) < 0 || look_once(client, &p, &e) < 0)
                return ctl_fail(&e, "Could not follow run %s", run_id);
        r = sd_bus_attach_event(client_bus(client), loop, SD_EVENT_PRIORITY_NORMAL);
        if (r >= 0)
                r = sd_bus_set_exit_on_disconnect(client_bus(client), true);
        if (r >= 0 && !sync_status_is_terminal(p.status))
                r = sd_event_loop(loop);
        (void) sd_bus_detach_event(client_bus(client));
        if (!sync_status_is_terminal(p.status))
                return ctl_usage_error("Lost the connection to the bus while run %s was active; it goes on. "
                                       "'syncrunctl show %s' tells how it fares.",
                                       run_id, run_id);
        return exit_status(p.status);
}
