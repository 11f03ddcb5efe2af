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
#include "engine/reconnect.h"
#include "engine/retry.h"
#include "engine/run-queue.h"
#include "engine/run-record.h"
#include "engine/scheduler.h"
#include "engine/webhook-table.h"

/* Its connector has not become another user's since it began: that one's past does not begin with this run. */
static bool is_of_record(const EngineRun *r)
{
        return streq_null(r->run->user_id, r->connector->record.user_id);
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

#define READ_ANEW_NOTE " · everything was read again: the destination was new or behind"

/* Replaces the message by one that says what else is to be known, though the run may well have succeeded. */
static int add_notes(char **message, const RunEnd *end)
{
        bool well = end->outcome == RUN_SUCCEEDED || end->outcome == RUN_PARTIAL;
        const char *anew = end->read_anew && well ? READ_ANEW_NOTE : "";
        _cleanup_free_ char *note = NULL, *head = NULL;
        char *text;

        if (end->n_bad_lines > 0)
                note = asprintf_or_null("%s · %" PRIu64 " %s could not be used", anew, end->n_bad_lines,
                                        end->n_bad_lines == 1 ? "line" : "lines");
        else
                note = strdup(anew);
        if (!note)
                return -ENOMEM;
        if (isempty(note))
                return 0;
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
        if (!message || add_notes(&message, end) < 0)
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

        if (!end->destination_failed) {
                if (end->outcome == RUN_SUCCEEDED || end->outcome == RUN_PARTIAL)
                        record->destination_failures = 0;
                return 0;
        }
        if (record->destination_failures < UINT32_MAX)
                record->destination_failures++;
        if (record->lasting >= 0)
                record->lasting = ATTENTION_CONFIGURATION_ERROR; /* it is not the provider's connection that is lost */
        if (limit == 0 || record->destination_failures < limit || !connector_is_active(c))
                return 0;
        record->active_override = c->definition->enabled ? 0 : -1;
        record->disabled_by_service = true;
        if (r->run->category < 0)
                r->run->category = ATTENTION_CONFIGURATION_ERROR;
        error = asprintf_or_null("%s The connector was switched off after %u runs in a row that could not deliver.",
                                 strempty(r->run->error), record->destination_failures);
        if (!error)
                return -ENOMEM;
        free(r->run->error);
        r->run->error = error;
        return 0;
}

/* In the record at once, beside the outcome: what follows is not forgotten if the daemon ends before the worker does.
 */
static int conclude_record(EngineRun *r, const RunEnd *end)
{
        ConnectorRecord *record = &r->connector->record;
        int k;

        if (!is_of_record(r))
                return 0;
        record->lasting = end->lasting;
        record->lost_with_machine = end->lost_with_machine;
        k = judge_destination(r, end);
        return k < 0 ? k : retry_decide(r, end);
}

void run_conclude(EngineRun *r, const RunEnd *end)
{
        int k;

        if (r->run->outcome >= 0)
                return; /* set once */
        k = set_end(r->run, end);
        if (k >= 0 && r->connector)
                k = conclude_record(r, end);
        if (k < 0)
                engine_break(r->engine, k);
        else if (r->connector)
                connector_save(r->connector, 0);
}

static void fail(EngineRun *r, const char *error, AttentionCategory lasting, bool with_machine)
{
        run_conclude(r, &(RunEnd) { .outcome = RUN_FAILED,
                                    .error = error,
                                    .category = _ATTENTION_INVALID,
                                    .lasting = lasting,
                                    .lost_with_machine = with_machine,
                                    .retry = r->run->category < 0 });
}

void run_fail(EngineRun *r, const char *error, AttentionCategory lasting)
{
        fail(r, error, lasting, false);
}

void run_lose_with_machine(EngineRun *r, const char *error)
{
        fail(r, error, ATTENTION_CONFIGURATION_ERROR, true);
}

void run_lose_to_shutdown(EngineRun *r)
{
        run_lose_with_machine(r, "The run was lost: the machine was shut down");
}

/* ---- The end */

AccountStatus run_end_of_account(const Run *run, const Counts *counts)
{
        if (run->outcome != RUN_SUCCEEDED && run->outcome != RUN_PARTIAL)
                return ACCOUNT_FAILED;
        return counts_ingested(counts) > 0 ? ACCOUNT_SUCCESS : ACCOUNT_NO_DATA;
}

/* The clock may have been set back since it was told, or nothing was told: no later than its run. Return: whether it
 * changed. */
static bool end_account_time(const Run *run, Account *account)
{
        usec_t finished_usec = account->finished_usec;

        if (finished_usec == 0 && account->started_usec > 0)
                finished_usec = run->finished_usec;
        finished_usec = MIN(finished_usec, run->finished_usec);
        if (finished_usec == account->finished_usec && account->started_usec <= run->finished_usec)
                return false;
        account->finished_usec = finished_usec;
        account->started_usec = MIN(account->started_usec, run->finished_usec);
        return true;
}

/* Accounts that nothing more was heard of, and times that do not fit. Return: whether there were any. */
static bool end_accounts(Run *run)
{
        bool changed = false;

        for (size_t i = 0; i < run->n_accounts; i++) {
                Account *account = &run->accounts[i];

                if (account->status == ACCOUNT_RUNNING) {
                        account->status = run_end_of_account(run, &account->counts);
                        account->finished_usec = run->finished_usec;
                        changed = true;
                }
                changed |= end_account_time(run, account);
        }
        return changed;
}

/* What the end of a run means for those who look at its connector. */
typedef struct Consequences {
        ConnectorNews news;
        bool met;    /* what was needed is needed no longer */
        char *raised; /* the run that it was needed for */
} Consequences;

static int update_record(ConnectorEntry *c, EngineRun *r, Consequences *ret)
{
        ConnectorRecord *record = &c->record;
        AttentionCategory before = record->attention.category;
        bool of_consent;
        int k, raised;

        record->last_finished_usec = r->run->finished_usec;
        k = resync_settle(record, r->run);
        if (k < 0 || !is_of_record(r))
                return k;
        record->last_outcome = r->run->outcome;
        if (free_and_strdup(&record->last_run_id, r->id) < 0 ||
            free_and_strdup(&ret->raised, record->attention.run_id) < 0)
                return -ENOMEM;
        of_consent = attention_is_of_consent(&record->attention);
        k = reconnect_outlived(r);
        if (k == 0)
                k = attention_apply(record, r->run, r->definition->notify_after);
        else if (k > 0)
                k = 0;
        raised = k < 0 ? k : connection_raise(c);
        if (raised < 0)
                return raised;
        if (!(of_consent && attention_is_of_consent(&record->attention)) && (k | raised) & ATTENTION_CHANGED)
                ret->news = CONNECTOR_NEWS_ATTENTION;
        ret->met = k & ATTENTION_MET;
        reconnect_met(r);
        record->lasting = _ATTENTION_INVALID;
        record->lost_with_machine = false;
        k = webhooks_tell_attention(r->engine, r->run, before, &record->attention,
                                    r->definition->connection ? NULL : record->name);
        return k < 0 ? k : retry_tell(r);
}

static void connector_run_ended(EngineRun *r)
{
        ConnectorEntry *c = r->connector;
        Consequences all = {};
        int k;

        c->run = NULL;
        k = update_record(c, r, &all);
        if (k >= 0) {
                scheduler_update(c, SCHEDULE_RUN_CHANGED);
                connector_save(c, all.news);
                if (is_of_record(r) && connection_is_of_run(r))
                        k = connection_run_ended(c, r->run, all.met ? strempty(all.raised) : NULL);
        }
        free(all.raised);
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
