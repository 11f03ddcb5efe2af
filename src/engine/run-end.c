/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "engine/run-end.h"

#include <inttypes.h>
#include <stdlib.h>

#include "engine/attention-rules.h"
#include "engine/connection-state.h"
#include "engine/connector-table.h"
#include "engine/deletion.h"
#include "engine/follow-up.h"
#include "engine/lifecycle.h"
#include "engine/publication.h"
#include "engine/run-queue.h"
#include "engine/run-record.h"
#include "engine/scheduler.h"
#include "engine/webhook-table.h"

/* ---- Retries */

static void clear_retry(ConnectorRecord *record)
{
        record->retry_at_usec = 0;
        record->retry_is_absolute = false;
        record->retry_attempt = 0;
        record->retry_of = (free(record->retry_of), NULL);
}

/* Its connector has not become another user's since it began: that one's past does not begin with this run. */
static bool is_of_record(const EngineRun *r)
{
        return streq_null(r->run->user_id, r->connector->record.user_id);
}

/* In the record at once, beside the outcome, so that it is not forgotten if the daemon ends before the worker does. */
static int decide_retry(EngineRun *r, const RunEnd *end)
{
        const ConnectorDefinition *definition = r->definition;
        ConnectorRecord *record = &r->connector->record;
        const Run *run = r->run;
        usec_t now, at;
        int k;

        if (!is_of_record(r))
                return 0;
        clear_retry(record);
        if (!end->retry || record->disabled_by_service || run->attempt > definition->retry_max ||
            (run->outcome != RUN_FAILED && run->outcome != RUN_PARTIAL))
                return 0;
        k = free_and_strdup(&record->retry_of, run->retry_of ?: run->id);
        if (k < 0)
                return k;
        now = engine_now(r->engine, CLOCK_REALTIME);
        at = usec_add(now, retry_delay(definition, run->attempt, engine_random()));
        if (end->retry_at_usec > usec_add(now, RETRY_AHEAD_MAX_USEC))
                run_log_far_retry(run, end->retry_at_usec - now);
        else if (end->retry_at_usec > at) {
                at = end->retry_at_usec;
                record->retry_is_absolute = true;
        }
        record->retry_at_usec = at;
        record->retry_attempt = run->attempt + 1;
        return 0;
}

typedef struct RetryPublication {
        Publication publication;
        EngineRun *run;
        ConnectorRecord record;
} RetryPublication;

static void on_retry_publication(Engine *engine, Publication *publication, int error)
{
        RetryPublication *p = container_of(publication, RetryPublication, publication);

        p->run->n_publications--;
        if (error >= 0)
                run_log_retry(p->run->published, &p->record, engine_now(engine, CLOCK_REALTIME));
        free(p);
}

static int publish_retry(EngineRun *r)
{
        RetryPublication *p = calloc(1, sizeof(RetryPublication));

        if (!p)
                return -ENOMEM;
        p->run = r;
        p->record.retry_at_usec = r->connector->record.retry_at_usec;
        p->record.retry_attempt = r->connector->record.retry_attempt;
        r->n_publications++;
        publication_queue(r->engine, &p->publication, on_retry_publication);
        return 0;
}

/* ---- The outcome */

/* What a success says (C29), and a partial one. */
static char *count_message(const Run *run)
{
        size_t n_failed = 0;

        for (size_t i = 0; i < run->n_accounts; i++)
                n_failed += run->accounts[i].status == ACCOUNT_FAILED;
        if (run->outcome == RUN_PARTIAL && n_failed > 0)
                return asprintf_or_null("Sync completed in part · %" PRIu64 " new, %" PRIu64
                                        " updated, %zu of %zu accounts failed",
                                        run->counts.added, run->counts.updated, n_failed, run->n_accounts);
        return asprintf_or_null("Sync completed%s · %" PRIu64 " new, %" PRIu64 " updated",
                                run->outcome == RUN_PARTIAL ? " in part" : "", run->counts.added, run->counts.updated);
}

static char *default_message(const Run *run)
{
        switch (run->outcome) {
        case RUN_SUCCEEDED:
        case RUN_PARTIAL:
                return count_message(run);
        case RUN_FAILED:
                return strdup("Sync failed");
        case RUN_CANCELLED:
                return strdup("Sync cancelled");
        default:
                return strdup("Sync skipped");
        }
}

/* Replaces the message by one that says that not all could be used: the run may well have succeeded. */
static int add_bad_lines(char **message, uint64_t n)
{
        _cleanup_free_ char *note = NULL, *head = NULL;
        char *text;

        note = asprintf_or_null(" · %" PRIu64 " %s could not be used", n, n == 1 ? "line" : "lines");
        if (!note)
                return -ENOMEM;
        head = utf8_sanitize(*message, strlen(*message), MESSAGE_TEXT_MAX - strlen(note));
        text = head ? asprintf_or_null("%s%s", head, note) : NULL;
        if (!text)
                return -ENOMEM;
        free(*message);
        *message = text;
        return 0;
}

static int set_end(Run *run, const RunEnd *end)
{
        _cleanup_free_ char *message = NULL;

        run->outcome = end->outcome;
        if (end->outcome == RUN_SUCCEEDED)
                run->category = _ATTENTION_INVALID;
        else if (end->category >= 0)
                run->category = end->category;
        if (end->error && free_and_strdup(&run->error, end->error) < 0)
                return -ENOMEM;
        message = end->message ? strdup(end->message) : default_message(run);
        if (!message || (end->n_bad_lines > 0 && add_bad_lines(&message, end->n_bad_lines) < 0))
                return -ENOMEM;
        free(run->message);
        run->message = TAKE_PTR(message);
        return 0;
}

/* A destination that takes nothing time after time is left alone until a person has looked at it: what was not
 * delivered is kept by the worker. */
static int judge_destination(EngineRun *r, const RunEnd *end)
{
        ConnectorEntry *c = r->connector;
        ConnectorRecord *record = &c->record;
        unsigned limit = r->definition->disable_after;
        char *error;

        if (!is_of_record(r))
                return 0;
        if (!end->destination_failed) {
                if (end->outcome == RUN_SUCCEEDED || end->outcome == RUN_PARTIAL)
                        record->destination_failures = 0;
                return 0;
        }
        if (record->destination_failures < UINT32_MAX)
                record->destination_failures++;
        if (limit > 0)
                r->lasting = _ATTENTION_INVALID; /* no connection that was lost, and told when it is switched off */
        if (limit == 0 || record->destination_failures < limit || !connector_is_active(c))
                return 0;
        record->active_override = c->definition->enabled ? 0 : -1;
        record->disabled_by_service = true;
        if (r->run->category < 0)
                r->run->category = ATTENTION_CONFIGURATION_ERROR;
        error = asprintf_or_null("%s The connector was switched off after %u runs in a row that could not deliver; "
                                 "'syncrunctl enable %s' switches it on.",
                                 strempty(r->run->error), record->destination_failures, c->name);
        if (!error)
                return -ENOMEM;
        free(r->run->error);
        r->run->error = error;
        return 0;
}

void run_conclude(EngineRun *r, const RunEnd *end)
{
        int k;

        if (r->run->outcome >= 0)
                return; /* set once */
        k = set_end(r->run, end);
        if (k >= 0 && r->connector)
                k = judge_destination(r, end);
        if (k >= 0 && r->connector)
                k = decide_retry(r, end);
        if (k < 0)
                engine_break(r->engine, k);
        else if (r->connector)
                connector_save(r->connector, 0);
}

void run_fail(EngineRun *r, const char *error, AttentionCategory lasting)
{
        if (r->run->outcome < 0)
                r->lasting = lasting;
        run_conclude(r, &(RunEnd) { .outcome = RUN_FAILED,
                                    .error = error,
                                    .category = _ATTENTION_INVALID,
                                    .retry = r->run->category < 0 });
}

void run_lose_to_shutdown(EngineRun *r)
{
        run_fail(r, "The run was lost: the machine was shut down", _ATTENTION_INVALID);
}

/* ---- The end */

AccountStatus run_end_of_account(const Run *run, const Counts *counts)
{
        if (run->outcome != RUN_SUCCEEDED && run->outcome != RUN_PARTIAL)
                return ACCOUNT_FAILED;
        return counts_ingested(counts) > 0 ? ACCOUNT_SUCCESS : ACCOUNT_NO_DATA;
}

/* Accounts that nothing more was heard of. Return: whether there were any. */
static bool end_accounts(Run *run)
{
        bool changed = false;

        for (size_t i = 0; i < run->n_accounts; i++) {
                Account *account = &run->accounts[i];

                if (account->status != ACCOUNT_RUNNING)
                        continue;
                account->status = run_end_of_account(run, &account->counts);
                account->finished_usec = run->finished_usec;
                changed = true;
        }
        return changed;
}

/* Only what succeeded in part is compared with what was wrong before. */
static int attention_follow(EngineRun *r, ConnectorRecord *record)
{
        _cleanup_(run_freep) Run *raised = NULL;
        int k;

        if (r->run->outcome == RUN_PARTIAL && record->attention.category >= 0 && record->attention.run_id) {
                k = store_get_run(r->engine->store, record->attention.run_id, true, &raised);
                if (k < 0 && k != -ESRCH)
                        return k;
        }
        return attention_apply(record, r->run, r->lasting, r->definition->notify_after, raised);
}

static int update_record(ConnectorEntry *c, EngineRun *r, ConnectorNews *ret_news)
{
        ConnectorRecord *record = &c->record;
        AttentionCategory before = record->attention.category;
        int k;

        record->last_finished_usec = r->run->finished_usec;
        k = resync_settle(record, r->run);
        if (k < 0 || !is_of_record(r))
                return k;
        record->last_outcome = r->run->outcome;
        k = free_and_strdup(&record->last_run_id, r->id);
        if (k < 0)
                return k;
        k = attention_follow(r, record);
        if (k < 0)
                return k;
        *ret_news = k > 0 ? CONNECTOR_NEWS_ATTENTION : 0;
        k = webhooks_tell_attention(r->engine, r->run, before, &record->attention,
                                    r->definition->connection ? NULL : record->name);
        if (k < 0)
                return k;
        return record->retry_at_usec > 0 ? publish_retry(r) : 0;
}

static void connector_run_ended(EngineRun *r)
{
        ConnectorEntry *c = r->connector;
        ConnectorNews news = 0;
        bool cleared;
        int k;

        c->run = NULL;
        k = update_record(c, r, &news);
        if (k >= 0) {
                scheduler_update(c, SCHEDULE_RUN_CHANGED);
                connector_save(c, news);
                cleared = (news & CONNECTOR_NEWS_ATTENTION) && c->record.attention.category < 0;
                k = is_of_record(r) ? connection_run_ended(c, r->run, cleared) : 0;
        }
        if (k >= 0)
                k = follow_up_begin(c, r->run);
        if (k < 0)
                engine_break(r->engine, k);
        deletion_begin(c);
        connector_release(c);
}

void run_finish(EngineRun *r, RunLogEntry log)
{
        Run *run = r->run;
        RunRecordFlags flags = RUN_RECORD_EVENT;

        if (!run_move(r, RUN_FINISHED))
                return;
        run->stage = sync_stage_from_outcome(run->outcome);
        run->clock_boot_id = (free(run->clock_boot_id), NULL);
        run->clock_usec = 0;
        if (run->finished_usec == 0)
                run->finished_usec = MAX(engine_now(r->engine, CLOCK_REALTIME), run->started_usec);
        if (run->stage == SYNC_STAGE_COMPLETED)
                run->progress = 1.0;
        if (end_accounts(run))
                flags |= RUN_RECORD_ACCOUNTS;
        run_record(r, flags, RUN_CHANGE_STATE, log);
        run_set_timer(r);
        run_queue_remove(r);
        if (r->connector)
                connector_run_ended(r);
        else
                r->engine->n_outside--;
        run_linger(r);
        lifecycle_dispatch(r->engine);
}

/* ---- Runs without a life */

int run_new_for_connector(ConnectorEntry *c, RunTrigger trigger, Run **ret)
{
        const ConnectorDefinition *definition = c->definition;
        _cleanup_(run_freep) Run *run = run_new();
        char id[UUID_TEXT_MAX];
        int k;

        if (!run)
                return -ENOMEM;
        run->created_usec = engine_now(c->published.engine, CLOCK_REALTIME);
        k = uuid_new_v7(run->created_usec, id);
        if (k < 0)
                return k;
        if (free_and_strdup(&run->id, id) < 0 || free_and_strdup(&run->connector, c->name) < 0 ||
            free_and_strdup(&run->connector_id, c->id) < 0 ||
            free_and_strdup(&run->provider, definition->provider) < 0 ||
            free_and_strdup(&run->user_id, definition->user_id) < 0)
                return -ENOMEM;
        run->source = definition->source;
        run->trigger = trigger;
        *ret = TAKE_PTR(run);
        return 0;
}

int run_skip(ConnectorEntry *c, RunTrigger trigger, const char *why)
{
        _cleanup_(run_freep) Run *run = NULL;
        EngineRun *r;
        int k;

        k = run_new_for_connector(c, trigger, &run);
        if (k >= 0)
                k = free_and_strdup(&run->message, why);
        if (k < 0)
                return k;
        run->state = RUN_FINISHED;
        run->outcome = RUN_SKIPPED;
        run->stage = SYNC_STAGE_COMPLETED;
        run->finished_usec = run->created_usec;
        k = engine_run_new(c->published.engine, run, &r);
        if (k < 0)
                return k;
        TAKE_PTR(run);
        r->connector = c;
        run_record(r, RUN_RECORD_EVENT, RUN_CHANGE_STATE, RUN_LOG_ENDED);
        run_linger(r);
        return 0;
}
