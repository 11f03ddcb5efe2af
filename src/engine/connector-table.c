/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "engine/connector-table.h"

#include <stdlib.h>

#include "base/log.h"
#include "engine/connection-state.h"
#include "engine/connection-table.h"
#include "engine/follow-up.h"
#include "engine/publication.h"
#include "engine/reconnect.h"
#include "engine/retry.h"
#include "engine/run-log.h"
#include "engine/scheduler.h"

typedef struct ConnectorPublication {
        Publication publication;
        ConnectorEntry *connector;
        ConnectorRecord record;
        usec_t next_elapse_usec;
        bool active;
        bool attached_to_file;
        ConnectorNews news;
} ConnectorPublication;

bool connector_is_wanted(const ConnectorEntry *c)
{
        return c->record.active_override >= 0 ? c->record.active_override > 0
                                              : c->definition && c->definition->enabled;
}

bool connector_is_active(const ConnectorEntry *c)
{
        if (c->record.deleting || (c->connection && c->connection->record.withdrawn))
                return false;
        return connector_is_wanted(c);
}

int connector_can_run(const ConnectorEntry *c)
{
        if (c->definition->load_state != LOAD_LOADED)
                return -ENOEXEC;
        return c->definition->exec_pull ? 0 : -EOPNOTSUPP;
}

bool connector_may_run(const ConnectorEntry *c)
{
        return c->has_file && connector_is_active(c) && connector_can_run(c) == 0;
}

/* ---- Publishing */

static void count_attention(Engine *engine, const ConnectorEntry *c, int sign)
{
        if (c->announced && c->published.record.attention.category >= 0) {
                engine->status.n_attention += (unsigned) sign;
                engine->status_changed = true;
        }
}

static void publish(Engine *engine, ConnectorPublication *p)
{
        ConnectorEntry *c = p->connector;
        const EngineObserver *observer = &engine->observer;
        bool is_new = !c->announced;

        count_attention(engine, c, -1);
        connector_record_done(&c->published.record);
        c->published.record = p->record;
        p->record = (ConnectorRecord) { .attention.category = _ATTENTION_INVALID };
        c->published.next_elapse_usec = p->next_elapse_usec;
        c->published.active = p->active;
        c->published.attached_to_file = p->attached_to_file;
        c->announced = true;
        count_attention(engine, c, 1);
        if (is_new) {
                engine->status.n_connectors++;
                engine->status_changed = true;
                if (observer->connector_added)
                        observer->connector_added(&c->published, observer->userdata);
        } else if (observer->connector_changed)
                observer->connector_changed(&c->published, observer->userdata);
        if (p->news & CONNECTOR_NEWS_ATTENTION) {
                attention_log(&c->published);
                if (observer->attention_changed)
                        observer->attention_changed(&c->published, observer->userdata);
        }
}

static void on_connector_publication(Engine *engine, Publication *publication, int error)
{
        ConnectorPublication *p = container_of(publication, ConnectorPublication, publication);

        /* At the start, on a disk that cannot be written: what the history has can be seen nevertheless. */
        if (error == -EROFS && p->connector->was_read && !p->connector->announced) {
                p->news = 0;
                error = 0;
        }
        if (error >= 0 && p->connector->definition)
                publish(engine, p);
        connector_record_done(&p->record);
        free(p);
}

static int queue_publication(ConnectorEntry *c, ConnectorNews news)
{
        ConnectorPublication *p = calloc(1, sizeof(ConnectorPublication));
        int r;

        if (!p)
                return -ENOMEM;
        r = connector_record_copy(&c->record, &p->record);
        if (r < 0) {
                free(p);
                return r;
        }
        p->connector = c;
        p->next_elapse_usec = c->next_elapse_usec;
        p->active = connector_is_active(c);
        p->attached_to_file = c->has_file;
        p->news = news;
        publication_queue(c->published.engine, &p->publication, on_connector_publication);
        return 0;
}

static void put_off(ConnectorEntry *c, ConnectorNews news)
{
        Engine *engine = c->published.engine;

        if (!c->save_waits)
                DL_APPEND2(engine->waiting_saves, c, save_prev, save_next);
        c->save_waits = true;
        c->waiting_news |= news;
}

/* Return: what was put off was to tell. */
static ConnectorNews take_waiting(ConnectorEntry *c)
{
        ConnectorNews news = c->waiting_news;

        if (c->save_waits)
                DL_DELETE2(c->published.engine->waiting_saves, c, save_prev, save_next);
        c->save_waits = false;
        c->waiting_news = 0;
        return news;
}

void connector_save_waiting(Engine *engine)
{
        while (engine->waiting_saves) {
                ConnectorEntry *c = engine->waiting_saves;

                connector_save(c, take_waiting(c));
        }
}

void connector_publish(ConnectorEntry *c, ConnectorNews news)
{
        Engine *engine = c->published.engine;
        int r;

        if ((c->unsaved && c->stored) || c->save_waits) {
                connector_save(c, news);
                return;
        }
        if (engine->broken < 0)
                return;
        r = queue_publication(c, news);
        if (r < 0)
                engine_break(engine, r);
}

void connector_save(ConnectorEntry *c, ConnectorNews news)
{
        Engine *engine = c->published.engine;
        int r;

        if (engine->broken < 0)
                return;
        if (engine->serving_due) {
                put_off(c, news);
                return;
        }
        c->unsaved = false;
        r = store_put_connector(engine->store, &c->record);
        if (r >= 0)
                r = queue_publication(c, news);
        if (r < 0)
                engine_break(engine, r);
}

/* ---- The table */

static ConnectorEntry *find_entry(Engine *engine, const char *name)
{
        ConnectorEntry *c = NULL;

        HASH_FIND_STR(engine->connectors, name, c);
        return c;
}

ConnectorEntry *connector_table_find(Engine *engine, const char *name)
{
        ConnectorEntry *c = find_entry(engine, name);

        return c && c->has_file ? c : NULL;
}

static void entry_free(ConnectorEntry *c)
{
        (void) take_waiting(c);
        scheduler_forget(c);
        sd_event_source_disable_unref(c->deletion_timer);
        connection_table_remove(c);
        connector_definition_unref(c->definition);
        connector_record_done(&c->record);
        connector_record_done(&c->published.record);
        free(c->name);
        free(c->id);
        free(c);
}

static int entry_new(Engine *engine, const char *name, const char *id, ConnectorEntry **ret)
{
        ConnectorEntry *c = calloc(1, sizeof(ConnectorEntry));

        if (!c)
                return -ENOMEM;
        c->record.attention.category = c->published.record.attention.category = _ATTENTION_INVALID;
        c->published.engine = engine;
        c->published.next_elapse_usec = c->next_elapse_usec = USEC_INFINITY;
        c->schedule = (ScheduleNext) { .elapse_usec = USEC_INFINITY, .due_usec = USEC_INFINITY };
        c->random_fraction = -1;
        c->name = strdup(name);
        c->id = strdup(id);
        if (c->name && c->id) {
                HASH_ADD_KEYPTR(hh, engine->connectors, c->name, strlen(c->name), c);
                if (!c->lost) {
                        HASH_ADD_KEYPTR(hh_id, engine->connectors_by_id, c->id, strlen(c->id), c);
                        if (!c->lost) {
                                *ret = c;
                                return 0;
                        }
                        HASH_DEL(engine->connectors, c);
                }
        }
        entry_free(c);
        return -ENOMEM;
}

void connector_table_free(Engine *engine)
{
        ConnectorEntry *c, *next;

        HASH_CLEAR(hh_id, engine->connectors_by_id);
        HASH_ITER(hh, engine->connectors, c, next) {
                HASH_DEL(engine->connectors, c);
                entry_free(c);
        }
}

int connector_table_read_records(Engine *engine)
{
        ConnectorRecord *records;
        ConnectorEntry *c, *next;
        size_t n;
        int r;

        r = store_load_connectors(engine->store, &records, &n);
        if (r < 0)
                return r;
        HASH_ITER(hh, engine->connectors, c, next)
                c->stored = c->was_read = false;
        for (size_t i = 0; r >= 0 && i < n; i++) {
                c = find_entry(engine, records[i].name);
                if (!c)
                        r = entry_new(engine, records[i].name, records[i].id, &c);
                if (r >= 0) {
                        c->stored = c->was_read = true;
                        c->unsaved = false;
                        connector_record_done(&c->record);
                        c->record = records[i];
                        records[i] = (ConnectorRecord) { .attention.category = _ATTENTION_INVALID };
                }
        }
        connector_records_free(records, n);
        return r;
}

/* ---- Files */

static int entry_new_with_id(Engine *engine, const char *name, ConnectorEntry **ret)
{
        char id[UUID_TEXT_MAX];
        int r;

        r = uuid_new_v4(id);
        return r < 0 ? r : entry_new(engine, name, id, ret);
}

/* At first sight, and again where that never came to the disk. */
static int begin_record(ConnectorEntry *c, const char *user_id)
{
        Engine *engine = c->published.engine;
        ConnectorRecord *record = &c->record;
        int r;

        connector_record_done(record);
        *record = (ConnectorRecord) CONNECTOR_RECORD_INIT;
        record->first_seen_usec = engine_now(engine, CLOCK_REALTIME);
        r = free_and_strdup(&record->name, c->name);
        if (r >= 0)
                r = free_and_strdup(&record->id, c->id);
        if (r >= 0)
                r = free_and_strdup(&record->user_id, user_id);
        if (r >= 0)
                r = store_put_connector(engine->store, record);
        if (r < 0)
                return r;
        c->stored = true;
        return 0;
}

/* Another's from now on: nothing is told of what happened before, nor done that was asked for before. What schedules
 * and cursors go by stays. Return: 1 (attention was cleared); 0; negative errno. */
static int change_user(ConnectorEntry *c, const char *user_id)
{
        ConnectorRecord *record = &c->record;
        bool had_attention = record->attention.category >= 0;
        int r;

        r = free_and_strdup(&record->user_id, user_id);
        if (r < 0)
                return r;
        record->last_run_id = (free(record->last_run_id), NULL);
        record->last_outcome = _RUN_OUTCOME_INVALID;
        record->consecutive_failures = 0;
        record->failing_accounts = (free(record->failing_accounts), NULL);
        retry_forget(record);
        follow_up_forget(&record->follow_up);
        follow_up_forget(&record->resync);
        record->owed_accounts = (free(record->owed_accounts), NULL); /* of all, so that no name of before is told */
        attention_done(&record->attention);
        record->attention.category = _ATTENTION_INVALID;
        r = store_put_connector(c->published.engine->store, record);
        return r < 0 ? r : had_attention;
}

int connector_remember(ConnectorEntry *c, const ConnectorDefinition *definition)
{
        Engine *engine = c->published.engine;
        int r = 0, k;

        if (!c->stored)
                r = begin_record(c, definition->user_id);
        else if (!streq_null(c->record.user_id, definition->user_id))
                r = change_user(c, definition->user_id);
        if (r < 0 || !definition->user_id)
                return r;
        k = store_put_user(engine->store, definition->user_id, engine_now(engine, CLOCK_REALTIME));
        return k < 0 ? k : r;
}

/* @definition is taken over. */
static int take_definition(ConnectorEntry *c, ConnectorDefinition *definition, ConnectorNews news)
{
        Engine *engine = c->published.engine;
        bool was_wanted = connector_may_run(c);
        bool other_schedule = c->definition && !scheduler_same_schedule(c->definition, definition);
        bool is_watched = engine->started && engine->files_read, pass_over, leaves;
        int r;

        connector_definition_unref(c->definition);
        c->definition = c->published.definition = definition;
        c->has_file = true;
        leaves = c->connection && !streq_null(c->connection->name, definition->connection);
        r = connection_table_update(c);
        if (r >= 0 && leaves)
                r = connection_left(c);
        if (r < 0)
                return r;
        /* A new schedule does not make up for times that it would have had, nor one that nobody wanted until now. */
        c->unsaved |= retry_review(c);
        pass_over = is_watched && (other_schedule || !was_wanted) && connector_may_run(c);
        if (pass_over)
                scheduler_pass_over(c);
        scheduler_update(c, !is_watched ? SCHEDULE_STARTING
                            : pass_over ? SCHEDULE_RELOADED
                                        : SCHEDULE_RUN_CHANGED);
        if (pass_over)
                connector_save(c, news);
        else
                connector_publish(c, news);
        return is_watched && !was_wanted ? reconnect_admitted(c) : 0;
}

static int load_connector(Engine *engine, const char *name)
{
        _cleanup_(connector_definition_unrefp) ConnectorDefinition *definition = NULL;
        ConnectorEntry *c = find_entry(engine, name);
        /* Not so what is as it was when the daemon ended, for all we know. */
        bool is_news = (engine->started && engine->files_read) || !c;
        Diagnostics d = {};
        int r;

        r = connector_definition_load(engine->config_dirs, name, &d, &definition);
        if (r >= 0 && !c)
                r = entry_new_with_id(engine, name, &c);
        if (r >= 0 && !(c->has_file && connector_definition_equal(c->definition, definition))) {
                r = connector_remember(c, definition);
                if (r >= 0) {
                        connector_log(definition, &d, is_news);
                        r = take_definition(c, TAKE_PTR(definition), r > 0 ? CONNECTOR_NEWS_ATTENTION : 0);
                }
        }
        if (r >= 0)
                c->in_files = true;
        diagnostics_done(&d);
        return r == -ENOENT ? 0 : r; /* masked */
}

typedef struct RemovalPublication {
        Publication publication;
        ConnectorEntry *connector;
} RemovalPublication;

static void on_removal_publication(Engine *engine, Publication *publication, int error)
{
        RemovalPublication *p = container_of(publication, RemovalPublication, publication);
        ConnectorEntry *c = p->connector;

        free(p);
        if (c->has_file || c->run)
                return;
        count_attention(engine, c, -1);
        c->definition = c->published.definition = connector_definition_unref(c->definition);
        if (!c->announced)
                return;
        c->announced = false;
        engine->status.n_connectors--;
        engine->status_changed = true;
        connector_log_removed(c->name);
        if (engine->observer.connector_removed)
                engine->observer.connector_removed(c->name, engine->observer.userdata);
}

void connector_release(ConnectorEntry *c)
{
        RemovalPublication *p;

        if (c->has_file || !c->definition)
                return;
        p = calloc(1, sizeof(RemovalPublication));
        if (!p) {
                engine_break(c->published.engine, -ENOMEM);
                return;
        }
        p->connector = c;
        publication_queue(c->published.engine, &p->publication, on_removal_publication);
}

static void lose_file(ConnectorEntry *c)
{
        c->has_file = false;
        connection_table_remove(c);
        scheduler_update(c, SCHEDULE_RELOADED);
        if (c->run)
                connector_publish(c, 0);
        else
                connector_release(c);
}

int connector_table_load(Engine *engine)
{
        _cleanup_strv_free_ char **names = NULL;
        ConnectorEntry *c, *next;
        size_t n = 0;
        int r;

        r = conf_list_objects(engine->config_dirs, ".connector", SIZE_MAX, &names);
        if (r < 0)
                return r;
        HASH_ITER(hh, engine->connectors, c, next)
                c->in_files = false;
        STRV_FOREACH(name, names) {
                if (!connector_name_is_valid(*name)) {
                        log_warning("%s.connector is not read: a connector's name matches [a-z][a-z0-9_-]{0,27}.",
                                    *name);
                        continue;
                }
                if (n++ == CONNECTORS_MAX) {
                        log_error("There are more than %u connector files; %s and all behind it are not read.",
                                  CONNECTORS_MAX, *name);
                        break;
                }
                r = load_connector(engine, *name);
                if (r < 0)
                        return r;
        }
        HASH_ITER(hh, engine->connectors, c, next)
                if (c->has_file && !c->in_files)
                        lose_file(c);
        return 0;
}
