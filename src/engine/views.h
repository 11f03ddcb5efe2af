/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Bulk reads in the words of the three documents, each one the whole body of an HTTP answer: the shim passes the bytes
 * on. How a thing looks stands in model/view-*. Also events for readers that resume.
 *
 * Context and Return as in engine/describe.h. */

#include "engine/engine.h"

/* ---- Repo */

/* {"syncRuns":[...],"nextCursor":"..."|null} (B2) */
int engine_view_repo_runs(Engine *engine, const RunFilter *filter, char **ret_json) _must_check_;

/* {"syncRun":{...,"accounts":[...],"events":[...]}}: @run has its accounts; its newest events, oldest first. */
int engine_view_repo_run(Engine *engine, const Run *run, char **ret_json) _must_check_;

/* The answer to a POST (B8). Also -ESRCH. */
int engine_view_repo_started(Engine *engine, const char *run_id, bool already_active, char **ret_json) _must_check_;

/* ---- Open Wearables. Events past their age are left out, whether they were deleted already or not (C26). */

/* [...]: events as they were told (C11). */
int engine_view_wearables_events(Engine *engine, const EventFilter *filter, char **ret_json) _must_check_;

/* [...]: runs after their newest event, that of the newest first (C27). */
int engine_view_wearables_runs(Engine *engine, const NewsFilter *filter, char **ret_json) _must_check_;

/* ---- Replay */

typedef struct EventReplay {
        EventPage page;
        uint64_t whole_from; /* from here on nothing is lost of what the filter's reader would be given */
        uint64_t next; /* all up to here are in the page: go on after it, or with what is told where it is last */
        uint64_t last; /* told by the observer before this; what comes after it is told later */
} EventReplay;

/**
 * engine_replay_events() - events that have been told, oldest first, each as it was told
 * @filter: newest_first means the newest ones (in the same order) of the runs of provider and connector (as the
 * events' metadata name it); else those two are what whole_from is about, and narrow nothing; before_seq is not looked
 * at
 * @ret:    the page is freed by event_page_done()
 */
int engine_replay_events(Engine *engine, const EventFilter *filter, EventReplay *ret) _must_check_;
