/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/sync-view.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/string-util.h"
#include "base/time-util.h"

static double progress_of(struct json_object *object)
{
        double progress = PROGRESS_UNKNOWN;

        (void) json_get_double(object, "progress", &progress);
        return progress >= 0 && progress <= 1 ? progress : PROGRESS_UNKNOWN;
}

SyncView sync_view_from_event(struct json_object *event)
{
        struct json_object *metadata = json_member(event, "metadata");
        const char *connector = json_text(metadata, "connector");
        SyncView view = {
                .run_id = json_text(event, "run_id"),
                .name = isempty(connector) ? json_text(event, "provider") : connector,
                .stage = sync_stage_from_string(json_text(event, "stage")),
                .status = sync_status_from_string(json_text(event, "status")),
                .progress = progress_of(event),
                .processed = json_count(event, "items_processed"),
                .total = json_count(event, "items_total"),
                .counts = json_count(metadata, "inserted") == COUNT_UNKNOWN ? NULL : metadata,
                .added_key = "inserted",
                .message = json_text(event, "message"),
                .error = json_text(event, "error"),
                .time_usec = json_time(event, "timestamp"),
        };

        if (view.status < 0)
                view.status = SYNC_STATUS_IN_PROGRESS;
        return view;
}

SyncView sync_view_from_run(struct json_object *run)
{
        bool finished = streq(json_text(run, "state"), "finished");
        RunOutcome outcome = run_outcome_from_string(json_text(run, "outcome"));

        return (SyncView){
                .run_id = json_text(run, "id"),
                .name = run_name(run),
                .stage = sync_stage_from_string(json_text(run, "stage")),
                .status = finished && outcome >= 0 ? sync_status_from_outcome(outcome) : SYNC_STATUS_IN_PROGRESS,
                .progress = progress_of(run),
                .processed = json_count(run, "items_processed"),
                .total = json_count(run, "items_total"),
                .counts = json_time(run, "started_at") > 0 ? json_member(run, "counts") : NULL,
                .added_key = "added",
                .message = json_text(run, "message"),
                .error = json_text(run, "error"),
                .time_usec = json_time(run, "updated_at"),
                .stopping = run_state_from_string(json_text(run, "state")) == RUN_STOPPING,
        };
}

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
        case SYNC_STATUS_SKIPPED:
                return COLOUR_GREY;
        default:
                return COLOUR_BLUE;
        }
}

static void print_counts(const SyncView *view)
{
        if (view->processed != COUNT_UNKNOWN) {
                (void) printf(" %" PRIu64, view->processed);
                if (view->total != COUNT_UNKNOWN)
                        (void) printf("/%" PRIu64, view->total);
        }
        if (view->counts && sync_status_is_terminal(view->status))
                (void) printf(" %s %" PRIu64 " added, %" PRIu64 " updated, %" PRIu64 " deduped", glyph(GLYPH_DOT),
                              json_count(view->counts, view->added_key), json_count(view->counts, "updated"),
                              json_count(view->counts, "deduped"));
}

void sync_view_print(const SyncView *view)
{
        bool ended = sync_status_is_terminal(view->status);
        _cleanup_free_ char *words = text_line(isempty(view->error) ? view->message : view->error),
                            *name = text_line(view->name);
        char time_text[TIMESTAMP_TEXT_MAX];

        if (!words || !name)
                (void) ctl_oom();
        (void) printf("%s%s%s %s%s%s %s%s%s", colour(COLOUR_GREY),
                      strempty(timestamp_format_local(time_text, sizeof(time_text), view->time_usec)),
                      colour(COLOUR_NORMAL), colour(COLOUR_BOLD), strempty(name), colour(COLOUR_NORMAL),
                      colour(status_colour(view->status)),
                      ended            ? sync_status_to_string(view->status)
                      : view->stopping ? "stopping"
                                       : strempty(sync_stage_to_string(view->stage)),
                      colour(COLOUR_NORMAL));
        print_counts(view);
        if (!isempty(words))
                (void) printf(" %s %s", glyph(GLYPH_DOT), words);
        (void) putchar('\n');
}
