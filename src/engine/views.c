/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "engine/views.h"

#include <stdlib.h>

#include "engine/describe.h"
#include "engine/engine-internal.h"
#include "model/view-open-wearables.h"
#include "model/view-repo.h"

static int list_young(Engine *engine, const EventFilter *filter, StoredEvent **ret, size_t *ret_n)
{
        EventFilter young = *filter;
        uint64_t first;
        int r;

        r = engine_keep_young(engine, &young, &first);
        return r < 0 ? r : store_list_events(engine->store, &young, ret, ret_n);
}

static void reverse(StoredEvent *events, size_t n)
{
        for (size_t i = 0; i < n / 2; i++) {
                StoredEvent event = events[i];

                events[i] = events[n - 1 - i];
                events[n - 1 - i] = event;
        }
}

/* ---- Repo */

int engine_view_repo_runs(Engine *engine, const RunFilter *filter, char **ret_json)
{
        _cleanup_buffer_ Buffer buffer = {};
        JsonWriter w = JSON_WRITER_INIT(&buffer);
        _cleanup_free_ char *next = NULL;
        RunFilter brief = *filter;
        Run **runs;
        size_t n;
        int r;

        brief.brief = true;
        r = store_list_runs(engine->store, &brief, &runs, &n, &next);
        if (r < 0)
                return r;
        json_open_object(&w, NULL);
        json_open_array(&w, "syncRuns");
        for (size_t i = 0; i < n; i++) {
                json_open_object(&w, NULL);
                view_repo_run(&w, runs[i]);
                json_close_object(&w);
        }
        json_close_array(&w);
        json_write_string(&w, "nextCursor", next);
        json_close_object(&w);
        runs_free(runs, n);
        return buffer_take(&buffer, ret_json);
}

int engine_view_repo_run(Engine *engine, const Run *run, char **ret_json)
{
        const EventFilter filter = { .run_id = run->id, .newest_first = true, .limit = REPO_EVENTS_MAX };
        _cleanup_buffer_ Buffer buffer = {};
        JsonWriter w = JSON_WRITER_INIT(&buffer);
        StoredEvent *events;
        size_t n;
        int r;

        r = list_young(engine, &filter, &events, &n);
        if (r < 0)
                return r;
        reverse(events, n);
        json_open_object(&w, NULL);
        json_open_object(&w, "syncRun");
        view_repo_run(&w, run);
        view_repo_accounts(&w, run);
        json_open_array(&w, "events");
        for (size_t i = 0; i < n; i++)
                json_write_raw(&w, NULL, events[i].json);
        json_close_array(&w);
        json_close_object(&w);
        json_close_object(&w);
        stored_events_free(events, n);
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
        StoredEvent *events;
        size_t n;
        int r;

        r = list_young(engine, filter, &events, &n);
        if (r < 0)
                return r;
        json_open_array(&w, NULL);
        for (size_t i = 0; i < n; i++)
                json_write_raw(&w, NULL, events[i].json);
        json_close_array(&w);
        stored_events_free(events, n);
        return buffer_take(&buffer, ret_json);
}

int engine_view_wearables_runs(Engine *engine, const NewsFilter *filter, char **ret_json)
{
        _cleanup_buffer_ Buffer buffer = {};
        JsonWriter w = JSON_WRITER_INIT(&buffer);
        NewsFilter young = *filter;
        EventFilter events = {};
        uint64_t first;
        Run **runs;
        size_t n;
        int r;

        r = engine_keep_young(engine, &events, &first);
        if (r < 0)
                return r;
        young.since_usec = events.since_usec;
        young.after_seq = events.after_seq;
        r = store_list_news(engine->store, &young, &runs, &n);
        if (r < 0)
                return r;
        json_open_array(&w, NULL);
        for (size_t i = 0; i < n; i++)
                view_wearables_run(&w, runs[i]);
        json_close_array(&w);
        runs_free(runs, n);
        return buffer_take(&buffer, ret_json);
}

/* ---- Replay */

int engine_replay_events(Engine *engine, const EventFilter *filter, EventReplay *ret)
{
        EventReplay replay = { .last = engine->published_seq };
        EventFilter young = *filter;
        uint64_t first;
        int r;

        r = engine_keep_young(engine, &young, &first);
        if (r < 0)
                return r;
        if (filter->user_id) {
                r = store_first_seq_of_user(engine->store, filter->user_id, first, &first);
                if (r < 0)
                        return r;
        }
        replay.first_kept = MIN(first, replay.last + 1);
        young.before_seq = replay.last + 1;
        r = store_list_events(engine->store, &young, &replay.events, &replay.n);
        if (r < 0)
                return r;
        if (young.newest_first)
                reverse(replay.events, replay.n);
        *ret = replay;
        return 0;
}
