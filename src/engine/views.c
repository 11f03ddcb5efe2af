/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "engine/views.h"

#include <stdlib.h>

#include "engine/describe.h"
#include "engine/engine-internal.h"
#include "model/view-open-wearables.h"
#include "model/view-repo.h"

static int list_young(Engine *engine, const EventFilter *filter, EventPage *ret)
{
        EventFilter young = *filter;
        uint64_t first;
        int r;

        r = engine_keep_young(engine, &young, &first);
        return r < 0 ? r : store_list_events(engine->store, &young, ret);
}

static void reverse(EventPage *page)
{
        for (size_t i = 0; i < page->n / 2; i++) {
                StoredEvent event = page->events[i];

                page->events[i] = page->events[page->n - 1 - i];
                page->events[page->n - 1 - i] = event;
        }
}

/* ---- Repo */

/* What most answers come to. */
#define REPO_RUNS_BYTES (8 * KIB)

static void tell_repo_run(const Run *run, void *userdata)
{
        JsonWriter *w = userdata;

        json_open_object(w, NULL);
        view_repo_run(w, run);
        json_close_object(w);
}

int engine_view_repo_runs(Engine *engine, const RunFilter *filter, char **ret_json)
{
        _cleanup_buffer_ Buffer buffer = {};
        JsonWriter w = JSON_WRITER_INIT(&buffer);
        _cleanup_free_ char *next = NULL;
        int r;

        (void) buffer_reserve(&buffer, REPO_RUNS_BYTES);
        json_open_object(&w, NULL);
        json_open_array(&w, "syncRuns");
        r = store_tell_runs(engine->store, filter, tell_repo_run, &w, &next);
        if (r < 0)
                return r;
        json_close_array(&w);
        json_write_string(&w, "nextCursor", next);
        json_close_object(&w);
        return buffer_take(&buffer, ret_json);
}

int engine_view_repo_run(Engine *engine, const Run *run, char **ret_json)
{
        const EventFilter filter = { .run_id = run->id, .newest_first = true, .limit = REPO_EVENTS_MAX };
        _cleanup_buffer_ Buffer buffer = {};
        JsonWriter w = JSON_WRITER_INIT(&buffer);
        _cleanup_event_page_ EventPage page = {};
        int r;

        r = list_young(engine, &filter, &page);
        if (r < 0)
                return r;
        reverse(&page);
        json_open_object(&w, NULL);
        json_open_object(&w, "syncRun");
        view_repo_run(&w, run);
        view_repo_accounts(&w, run);
        json_open_array(&w, "events");
        for (size_t i = 0; i < page.n; i++)
                json_write_raw(&w, NULL, page.events[i].json);
        json_close_array(&w);
        json_close_object(&w);
        json_close_object(&w);
        return buffer_take(&buffer, ret_json);
}

int engine_view_repo_started(Engine *engine, const char *run_id, bool already_active, char **ret_json)
{
        _cleanup_buffer_ Buffer buffer = {};
        JsonWriter w = JSON_WRITER_INIT(&buffer);
        _cleanup_(run_freep) Run *stored = NULL;
        const Run *run = engine_find_run(engine, run_id);
        int r;

        if (!run) {
                r = store_get_run(engine->store, run_id, false, &stored);
                if (r < 0)
                        return r;
                run = stored;
        }
        view_repo_started(&w, run, already_active);
        return buffer_take(&buffer, ret_json);
}

/* ---- Open Wearables */

int engine_view_wearables_events(Engine *engine, const EventFilter *filter, char **ret_json)
{
        _cleanup_buffer_ Buffer buffer = {};
        JsonWriter w = JSON_WRITER_INIT(&buffer);
        _cleanup_event_page_ EventPage page = {};
        int r;

        r = list_young(engine, filter, &page);
        if (r < 0)
                return r;
        json_open_array(&w, NULL);
        for (size_t i = 0; i < page.n; i++)
                json_write_raw(&w, NULL, page.events[i].json);
        json_close_array(&w);
        return buffer_take(&buffer, ret_json);
}

static bool tell_wearables_run(const Run *run, void *userdata)
{
        JsonWriter *w = userdata;

        view_wearables_run(w, run);
        return w->out->size < WEARABLES_RUNS_BYTES_MAX;
}

int engine_view_wearables_runs(Engine *engine, const NewsFilter *filter, char **ret_json)
{
        _cleanup_buffer_ Buffer buffer = {};
        JsonWriter w = JSON_WRITER_INIT(&buffer);
        NewsFilter young = *filter;
        EventFilter events = {};
        uint64_t first;
        int r;

        r = engine_keep_young(engine, &events, &first);
        if (r < 0)
                return r;
        young.since_usec = events.since_usec;
        json_open_array(&w, NULL);
        r = store_tell_news(engine->store, &young, tell_wearables_run, &w);
        if (r < 0)
                return r;
        json_close_array(&w);
        return buffer_take(&buffer, ret_json);
}

/* ---- Replay */

int engine_replay_events(Engine *engine, const EventFilter *filter, EventReplay *ret)
{
        EventReplay replay = { .last = engine->published_seq };
        bool seeks = filter->newest_first && (filter->provider || filter->connector);
        /* Whom it is about is the reader's business, unless it is to be sought: see views.h. */
        EventFilter young = {
                .of_newest_runs = seeks,
                .provider = seeks ? filter->provider : NULL,
                .connector = seeks ? filter->connector : NULL,
                .user_id = filter->user_id,
                .after_seq = filter->after_seq,
                .before_seq = replay.last + 1,
                .newest_first = filter->newest_first,
                .limit = filter->limit,
                .limit_bytes = filter->limit_bytes,
        };
        uint64_t first, lost;
        bool is_foreign;
        int r;

        r = store_has_given_seq(engine->store, filter->after_seq);
        if (r < 0)
                return r;
        /* It is below the numbers that are given here now: what came next to it came in another history. */
        is_foreign = r == 0 && filter->after_seq < engine->last_seq;
        r = engine_keep_young(engine, &young, &first);
        if (r >= 0)
                r = store_lost_seq(engine->store, filter, first, &lost);
        if (r >= 0)
                r = store_list_events(engine->store, &young, &replay.page);
        if (r < 0)
                return r;
        /* What is committed, but not told yet, will be told. */
        replay.whole_from = MIN(MAX(lost, replay.page.too_old), replay.last) + 1;
        if (is_foreign)
                replay.whole_from = MAX(replay.whole_from, filter->after_seq + 2);
        replay.next = replay.page.next > 0 && !young.newest_first ? replay.page.next : replay.last;
        if (young.newest_first)
                reverse(&replay.page);
        *ret = replay;
        return 0;
}
