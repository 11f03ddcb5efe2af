/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/progress.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/names.h"
#include "base/string-util.h"
#include "base/time-util.h"
#include "client/heartbeat.h"
#include "ctl/sync-view.h"

#define BAR_WIDTH        24U /* gives way to the numbers where the terminal is narrow */
#define BAR_WIDTH_MIN    4U
#define PERCENT_WIDTH    5U
#define STAGE_WIDTH      10
#define EXIT_INTERRUPTED 130 /* as a shell says of a program that SIGINT ended */
#define REDRAW_USEC      USEC_PER_SEC
#define RATE_AFTER_USEC  (USEC_PER_SEC / 2) /* a rate of less time would jump */

typedef struct Entry {
        char *connector;
        char *run_id; /* NULL: what follows has no run yet */
        char *old_run_id;
        bool follows; /* what was asked for becomes the next run */
        bool full;    /* and that is a full resync */
        bool ended;
        SyncStatus status;
        SyncStage stage; /* the newest, for the bar, as the next three */
        double progress;
        uint64_t processed;
        uint64_t total;
        usec_t begun_usec;           /* CLOCK_MONOTONIC: when we began to look */
        uint64_t processed_at_begin; /* COUNT_UNKNOWN until the first count */
} Entry;

struct Progress {
        Ctl *ctl;
        Client *client;
        sd_event *loop;
        sd_bus_slot *events_slot;
        sd_bus_slot *owner_slot;
        ClientHeartbeat *heartbeat;
        bool live;
        bool silent; /* --quiet, or JSON at the end */
        bool interrupted;
        bool unanswered; /* the service hangs */
        unsigned n_drawn; /* lines of the live display that stand above the cursor */
        unsigned name_width;
        Entry *entries;
        size_t n_entries;
};

/* ---- The live display */

/* Items a second since we look, and from that the time left. */
static void write_rate(FILE *out, const Entry *entry)
{
        usec_t passed = usec_sub(now_usec(CLOCK_MONOTONIC), entry->begun_usec);
        char text[TIMESPAN_TEXT_MAX];
        double rate = 0;

        if (entry->processed != COUNT_UNKNOWN && passed >= RATE_AFTER_USEC &&
            entry->processed > entry->processed_at_begin)
                rate = (double) (entry->processed - entry->processed_at_begin) * (double) USEC_PER_SEC /
                       (double) passed;
        if (rate > 0)
                (void) fprintf(out, " %s %.0f/s", glyph(GLYPH_DOT), rate);
        if (rate > 0 && entry->total != COUNT_UNKNOWN && entry->total > entry->processed) {
                usec_t left = (usec_t) ((double) (entry->total - entry->processed) / rate * (double) USEC_PER_SEC);

                (void) fprintf(out, " %s %s left", glyph(GLYPH_DOT),
                               timespan_format(text, sizeof(text), left,
                                               left >= 2 * USEC_PER_DAY ? USEC_PER_DAY
                                               : left >= USEC_PER_HOUR  ? USEC_PER_MINUTE
                                                                        : USEC_PER_SEC));
        } else if (passed >= USEC_PER_SEC)
                (void) fprintf(out, " %s %s", glyph(GLYPH_DOT),
                               timespan_format(text, sizeof(text), passed, USEC_PER_SEC));
}

/* @width: of the bar alone, which is not drawn where little is left for it. */
static void write_bar(FILE *out, const Entry *entry, unsigned width)
{
        double fraction = entry->progress;
        unsigned full;

        if (fraction < 0 && entry->processed != COUNT_UNKNOWN && entry->total != COUNT_UNKNOWN && entry->total > 0)
                fraction = MIN((double) entry->processed / (double) entry->total, 1.0);
        if (fraction < 0)
                return;
        full = (unsigned) (fraction * width + 0.5);
        if (width >= BAR_WIDTH_MIN) {
                (void) fputs(colour(COLOUR_BLUE), out);
                for (unsigned i = 0; i < width; i++)
                        (void) fputs(glyph(i < full ? GLYPH_BAR_FULL : GLYPH_BAR_EMPTY), out);
                (void) fprintf(out, "%s ", colour(COLOUR_NORMAL));
        }
        (void) fprintf(out, "%3.0f%% ", fraction * 100);
}

/* What stands at the right of the bar; freed by the caller, NULL when out of memory. */
static char *numbers(const Entry *entry)
{
        char *text = NULL;
        size_t size;
        FILE *out = open_memstream(&text, &size);

        if (!out)
                return NULL;
        if (entry->processed != COUNT_UNKNOWN) {
                (void) fprintf(out, "%" PRIu64, entry->processed);
                if (entry->total != COUNT_UNKNOWN)
                        (void) fprintf(out, "/%" PRIu64, entry->total);
        }
        write_rate(out, entry);
        if (fclose(out) == 0)
                return text;
        free(text);
        return NULL;
}

/* One line, cut where the terminal ends, the bar before the numbers: a longer one would break, and could not be
 * written over. */
static void draw_entry(const Progress *p, const Entry *entry)
{
        _cleanup_free_ char *line = NULL, *tail = numbers(entry);
        unsigned width = terminal_width() - 1, others = p->name_width + STAGE_WIDTH + PERCENT_WIDTH + 3;
        size_t size;
        FILE *out = open_memstream(&line, &size);

        if (!out)
                return;
        others += text_width(strempty(tail));
        (void) fprintf(out, "%s%-*s%s %-*s ", colour(COLOUR_BOLD), (int) p->name_width, entry->connector,
                       colour(COLOUR_NORMAL), STAGE_WIDTH,
                       entry->run_id ? strempty(sync_stage_to_string(entry->stage)) : "queued");
        write_bar(out, entry, MIN(BAR_WIDTH, width > others ? width - others : 0));
        (void) fputs(strempty(tail), out);
        if (fclose(out) == 0)
                (void) text_print(stdout, line, width);
        (void) fputs("\x1b[K\n", stdout);
}

static void erase(Progress *p)
{
        if (p->n_drawn > 0)
                (void) printf("\x1b[%uA\r\x1b[J", p->n_drawn);
        p->n_drawn = 0;
}

static void draw(Progress *p)
{
        unsigned room = MAX(terminal_height(), 3U) - 2;
        size_t hidden = 0;

        if (!p->live)
                return;
        if (p->n_drawn > 0)
                (void) printf("\x1b[%uA\r", p->n_drawn);
        p->n_drawn = 0;
        for (size_t i = 0; i < p->n_entries; i++) {
                if (p->entries[i].ended)
                        continue;
                if (p->n_drawn >= room) {
                        hidden++;
                        continue;
                }
                draw_entry(p, &p->entries[i]);
                p->n_drawn++;
        }
        if (hidden > 0) {
                (void) printf("%sand %zu more%s\x1b[K\n", colour(COLOUR_GREY), hidden, colour(COLOUR_NORMAL));
                p->n_drawn++;
        }
        (void) printf("\x1b[J");
        (void) fflush(stdout);
}

/* A line that stays, above the live ones. */
static void print_view(Progress *p, const SyncView *view)
{
        if (p->silent)
                return;
        erase(p);
        sync_view_print(view);
        draw(p);
        (void) fflush(stdout);
}

/* ---- What happens to the runs */

static bool all_ended(const Progress *p)
{
        for (size_t i = 0; i < p->n_entries; i++)
                if (!p->entries[i].ended)
                        return false;
        return true;
}

/* A run that has no end yet is followed from here on. */
static int adopt(Entry *entry, const char *run_id)
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
        entry->begun_usec = now_usec(CLOCK_MONOTONIC);
        return 0;
}

/* What is new of an entry's run. Return: whether it has ended just now. */
static bool update(Progress *p, Entry *entry, const SyncView *view)
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
                print_view(p, view);
        else
                draw(p);
        return ended;
}

static void look(Progress *p, Entry *entry);

static bool is_what_follows(const Entry *entry, const char *run_id, bool full_resync)
{
        return (full_resync || !entry->full) && !streq_null(run_id, entry->old_run_id);
}

/* The run that was active has ended: what was asked for is the connector's newest run, or about to be. */
static void follow(Progress *p, Entry *entry)
{
        const ClientOption filter[] = { { "connector", 's', .s = entry->connector }, { "limit", 'u', .u = 1 } };
        _cleanup_json_ struct json_object *answer = NULL, *connector = NULL;
        struct json_object *run;

        entry->follows = false;
        free(entry->old_run_id);
        entry->old_run_id = TAKE_PTR(entry->run_id);
        if (ctl_ask(p->ctl, "DescribeRuns", filter, ELEMENTSOF(filter), &answer) != 0 ||
            ctl_ask_connector(p->ctl, entry->connector, &connector) != 0)
                entry->ended = true;
        run = json_element(answer, "runs", 0);
        if (run && is_what_follows(entry, json_text(run, "id"), json_flag(run, "full_resync"))) {
                if (adopt(entry, json_text(run, "id")) >= 0)
                        look(p, entry);
        } else if (entry->full ? !json_flag(connector, "full_resync_pending") : !json_member(connector, "follow_up")) {
                entry->ended = true; /* somebody changed their mind */
        }
}

static void apply(Progress *p, Entry *entry, const SyncView *view)
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
                Entry *entry = &p->entries[i];

                if (entry->ended)
                        continue;
                if (!entry->run_id && streq(view.name, entry->connector) &&
                    is_what_follows(entry, run_id, view.full_resync) && adopt(entry, run_id) < 0)
                        continue;
                if (streq_null(run_id, entry->run_id))
                        apply(p, entry, &view);
        }
}

/* The run as it is now: events before we listened, or while the daemon was away, are made up for. */
static void look(Progress *p, Entry *entry)
{
        _cleanup_json_ struct json_object *run = NULL;
        SyncView view;

        if (entry->ended || !entry->run_id || ctl_ask_run(p->ctl, entry->run_id, &run) != 0 || !run)
                return;
        view = sync_view_from_run(run);
        apply(p, entry, &view);
}

static int on_owner_changed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const char *name, *before, *now;
        Progress *p = userdata;

        if (sd_bus_message_read(m, "sss", &name, &before, &now) < 0 || !streq(name, SYNCRUN_BUS_NAME) ||
            now[0] == '\0')
                return 0;
        for (size_t i = 0; i < p->n_entries; i++)
                look(p, &p->entries[i]);
        return 0;
}

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata)
{
        int r;

        draw(userdata);
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
        }
        free(p->entries);
        sd_bus_slot_unref(p->events_slot);
        sd_bus_slot_unref(p->owner_slot);
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
        Entry *longer = reallocarray(p->entries, p->n_entries + 1, sizeof(Entry));
        Entry entry = {
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
