/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "engine/reconcile.h"

#include "base/log.h"
#include "engine/api-keys.h"
#include "engine/connection-table.h"
#include "engine/connector-table.h"
#include "engine/deletion.h"
#include "engine/lifecycle.h"
#include "engine/outside-runs.h"
#include "engine/publication.h"
#include "engine/reconnect.h"
#include "engine/retry.h"
#include "engine/run-end.h"
#include "engine/run-log.h"
#include "engine/run-queue.h"
#include "engine/run-record.h"
#include "engine/scheduler.h"
#include "engine/webhook-table.h"

#define FILE_IS_GONE   "The connector's file is gone"
#define FILE_IS_UNREAD "The configuration cannot be read"

#define EVENTS_STEP 1000U /* read at once of those that were committed and not told */

/* ---- Forgetting */

/* What never was published is forgotten; of the rest the published copy stays, and waits for its working copy. */
static void forget_working_copies(Engine *engine)
{
        EngineRun *r, *next_run;
        ConnectorEntry *c, *next_connector;

        run_queue_done(engine);
        engine->n_outside = 0;
        HASH_ITER(hh, engine->connectors, c, next_connector)
                c->run = NULL;
        HASH_ITER(hh, engine->runs, r, next_run) {
                r->provider = NULL;
                r->waiting = false;
                r->timer = sd_event_source_disable_unref(r->timer);
                r->event_timer = sd_event_source_disable_unref(r->event_timer);
                r->owes_event = false;
                if (!r->published)
                        engine_run_free(r);
                else if (run_is_active(r->published)) {
                        run_unlinger(r);
                        r->run = run_free(r->run);
                }
        }
}

/* ---- Reading */

static int take_run(Engine *engine, Run **run)
{
        EngineRun *r = engine_run_find(engine, (*run)->id);
        int k;

        if (r) {
                run_free(r->run);
                r->run = TAKE_PTR(*run);
        } else {
                k = engine_run_new(engine, *run, &r);
                if (k < 0)
                        return k;
                TAKE_PTR(*run);
        }
        r->read = true;
        return 0;
}

static int read_active_runs(Engine *engine)
{
        Run **runs;
        size_t n;
        int k;

        k = store_load_active_runs(engine->store, &runs, &n);
        if (k < 0)
                return k;
        for (size_t i = 0; k >= 0 && i < n; i++)
                k = take_run(engine, &runs[i]);
        runs_free(runs, n);
        return k;
}

/* Published as active, but not among the active of the store: its end was committed and not told of. */
static int read_ended_runs(Engine *engine)
{
        EngineRun *r, *next;
        Run *run;
        int k;

        HASH_ITER(hh, engine->runs, r, next) {
                if (r->run)
                        continue;
                k = store_get_run(engine->store, r->id, true, &run);
                if (k == -ESRCH) {
                        engine_run_free(r);
                        continue;
                }
                if (k < 0)
                        return k;
                r->run = run;
                r->read = true;
                run_linger(r);
        }
        return 0;
}

static int publish_missed_events(Engine *engine)
{
        EventFilter filter = { .after_seq = engine->published_seq, .limit = EVENTS_STEP };
        int k;

        do {
                _cleanup_event_page_ EventPage page = {};

                k = store_list_events(engine->store, &filter, &page);
                for (size_t i = 0; k >= 0 && i < page.n; i++)
                        k = publish_stored_event(engine, &page.events[i]);
                filter.after_seq = page.next;
        } while (k >= 0 && filter.after_seq > 0);
        return k;
}

/* ---- Taking up */

/* Silence counts from the newest event, also over a time that the daemon was away. */
static void take_up_outside_run(EngineRun *r)
{
        r->engine->n_outside++;
        r->heard_usec = run_counted_from(r, MAX(r->run->updated_usec, r->run->created_usec));
        outside_run_watch(r);
}

/* The file of a connector went while we were away, or cannot be read: what its run knows, and the defaults' time
 * limits. */
static int stand_in(const Run *run, const char *why, ConnectorDefinition **ret)
{
        _cleanup_(connector_definition_unrefp) ConnectorDefinition *definition = NULL;
        const char *const settings[][2] = {
                { "Provider", run->provider },
                { "Source", run_source_to_string(run->source) },
                { "User", run->user_id },
        };
        _cleanup_conf_ Conf conf = {};
        int k = 0;

        for (size_t i = 0; k >= 0 && i < ELEMENTSOF(settings); i++)
                if (settings[i][1])
                        k = conf_append(&conf, NULL, 0, "Connector", settings[i][0], settings[i][1]);
        if (k >= 0)
                k = connector_definition_parse(run->connector, &conf, NULL, NULL, &definition);
        if (k >= 0)
                k = free_and_strdup(&definition->load_error, why);
        if (k < 0)
                return k;
        definition->load_state = LOAD_BAD_SETTING;
        *ret = TAKE_PTR(definition);
        return 0;
}

static int find_definition(EngineRun *r, ConnectorEntry *c)
{
        int k = 0;

        r->definition = connector_definition_unref(r->definition);
        if (c->definition)
                r->definition = connector_definition_ref(c->definition);
        else
                k = stand_in(r->run, r->engine->files_read ? FILE_IS_GONE : FILE_IS_UNREAD, &r->definition);
        /* Its worker finds the connector, which goes when the run has ended. */
        if (k >= 0 && !c->definition && r->run->state != RUN_QUEUED)
                c->definition = c->published.definition = connector_definition_ref(r->definition);
        return k;
}

static void end_orphan(EngineRun *r, const char *error)
{
        run_conclude(r, &(RunEnd){ .outcome = RUN_FAILED,
                                   .error = error,
                                   .category = _ATTENTION_INVALID,
                                   .lasting = _ATTENTION_INVALID });
        run_finish(r, RUN_LOG_LOST);
}

static int take_up_launched(EngineRun *r)
{
        int k;

        k = run_queue_occupy(r);
        if (k < 0)
                return k;
        run_resume_time_limits(r);
        r->adopting = true;
        k = launcher_adopt(r->engine->launcher, r->run);
        /* -EEXIST: the launcher knows it, and tells of its end. Where the launcher cannot say anything now, the time
         * limits end the run. */
        if (k < 0)
                r->adopting = false;
        if (k < 0 && k != -EEXIST)
                log_debug_errno(k, "Could not look for the worker of run %s: %m", r->id);
        /* Whether the worker was asked to stop before the daemon ended is not known. One that said itself how it went
         * is about to end. */
        if (r->run->state == RUN_STOPPING && (r->run->outcome == RUN_CANCELLED || r->run->outcome == RUN_FAILED))
                run_order_stop(r);
        return 0;
}

static int take_up_queued(EngineRun *r)
{
        if (r->connector->has_file)
                return run_queue_add(r);
        if (r->engine->files_read)
                end_orphan(r, FILE_IS_GONE);
        return 0; /* else it waits for its file */
}

static int take_up_run(EngineRun *r)
{
        Engine *engine = r->engine;
        ConnectorEntry *c = NULL;
        int k;

        if (r->run->connector)
                HASH_FIND_STR(engine->connectors, r->run->connector, c);
        r->connector = c;
        if (!c) {
                take_up_outside_run(r);
                if (r->run->connector)
                        end_orphan(r, "The run was lost: its connector is not known");
                return 0;
        }
        k = find_definition(r, c);
        if (k < 0)
                return k;
        c->run = r;
        r->outlived = c->connection && r->run->state != RUN_QUEUED &&
                      (r->run->started_usec ?: r->run->created_usec) < c->connection->record.renewed_usec;
        scheduler_update(c, engine->started ? SCHEDULE_RESUMED : SCHEDULE_STARTING);
        if (c->definition)
                connector_publish(c, 0);
        if (r->run->state != RUN_QUEUED)
                return take_up_launched(r);
        return take_up_queued(r);
}

static bool is_news(const EngineRun *r)
{
        return !r->published || r->published->state != r->run->state || r->published->last_seq != r->run->last_seq ||
               r->published->report_sequence != r->run->report_sequence;
}

static int take_up_runs(Engine *engine)
{
        EngineRun *r, *next;
        int k;

        HASH_ITER(hh, engine->runs, r, next) {
                if (!r->read)
                        continue; /* began because another has ended */
                r->read = false;
                if (is_news(r)) {
                        k = run_publish(r, RUN_CHANGE_PROGRESS | RUN_CHANGE_STATE, RUN_LOG_NONE);
                        if (k < 0)
                                return k;
                }
                if (!run_is_active(r->run))
                        continue;
                k = take_up_run(r);
                if (k < 0)
                        return k;
        }
        return 0;
}

/* Of the files that were read before, schedules follow the records that were read anew. */
static int update_connectors(Engine *engine)
{
        ConnectorEntry *c, *next;
        int k;

        HASH_ITER(hh, engine->connectors, c, next) {
                if (!c->has_file)
                        continue;
                k = connector_remember(c, c->definition);
                if (k < 0)
                        return k;
                c->unsaved |= retry_review(c);
                scheduler_update(c, SCHEDULE_RESUMED);
                connector_publish(c, CONNECTOR_NEWS_ATTENTION * (c->published.record.attention.category !=
                                                                 c->record.attention.category));
        }
        return 0;
}

static int find_missed(Engine *engine)
{
        ConnectorEntry *c, *next;
        int k = 0;

        HASH_ITER(hh, engine->connectors, c, next)
                if (k >= 0)
                        k = reconnect_missed(c);
        return k;
}

/* ---- Files */

static void note_files(Engine *engine, int error, const char *folder)
{
        if (error == engine->status.files_error)
                return;
        if (error < 0)
                files_log_unread(folder, error);
        else
                files_log_read_again();
        engine->status.files_error = error;
        engine->status_changed = true;
}

/* Runs that were taken up when no file could be read. */
static int take_up_waiting(Engine *engine)
{
        EngineRun *r, *next;
        int k = 0;

        HASH_ITER(hh, engine->runs, r, next) {
                ConnectorEntry *c = r->connector;

                if (k < 0)
                        break;
                if (!c || c->run != r || !run_is_active(r->run))
                        continue;
                if (c->has_file && r->definition != c->definition) {
                        connector_definition_unref(r->definition);
                        r->definition = connector_definition_ref(c->definition);
                        if (r->run->state != RUN_QUEUED)
                                run_resume_time_limits(r);
                }
                if (r->run->state == RUN_QUEUED && !r->provider)
                        k = take_up_queued(r);
        }
        return k < 0 ? k : find_missed(engine);
}

int engine_load_files(Engine *engine)
{
        bool is_late = engine->started && !engine->files_read;
        const char *folder;
        int k;

        k = conf_check_folders(engine->config_dirs, &folder);
        if (k >= 0)
                k = conf_check_folders(engine->connection_dirs, &folder);
        note_files(engine, k, k < 0 ? folder : NULL);
        if (k >= 0)
                k = connector_table_load(engine);
        if (k >= 0)
                k = connection_table_load(engine);
        if (k < 0)
                return k;
        engine->files_read = true;
        return is_late ? take_up_waiting(engine) : 0;
}

/* ---- All of it */

int engine_reconcile(Engine *engine)
{
        int k;

        forget_working_copies(engine);
        engine->last_seq = MAX(store_last_seq(engine->store), engine->events_after_seq);
        if (!engine->started)
                engine->published_seq = store_last_seq(engine->store);
        k = api_keys_read(engine);
        if (k >= 0)
                k = webhooks_read(engine);
        if (k >= 0)
                k = connector_table_read_records(engine);
        if (k >= 0)
                k = connection_table_read_records(engine);
        if (k >= 0)
                k = read_active_runs(engine);
        if (k >= 0)
                k = read_ended_runs(engine);
        if (k < 0)
                return k;
        /* It was set while nothing could be written. */
        if (engine->started && webhooks_clock_has_stepped(engine))
                engine_take_clock_step(engine);
        if (engine->started)
                k = update_connectors(engine);
        if (k >= 0)
                k = engine_load_files(engine); /* also what was changed while nothing could be written */
        if (k < 0 && k == engine->status.files_error)
                k = 0;
        if (k >= 0)
                reconnect_programs_resume(engine);
        if (k >= 0)
                k = publish_missed_events(engine);
        if (k >= 0)
                k = take_up_runs(engine);
        if (k >= 0)
                k = find_missed(engine);
        if (k >= 0) {
                deletions_resume(engine);
                engine->owes_runs = true; /* perhaps */
                lifecycle_dispatch(engine);
        }
        return k;
}
