/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "engine/worker-calls.h"

#include <stdlib.h>

#include "engine/connector-table.h"
#include "engine/lifecycle.h"
#include "engine/publication.h"
#include "engine/run-end.h"
#include "engine/run-record.h"

/* ---- Whose call it is */

static EngineRun *attached_run(Engine *engine, const char *connector)
{
        ConnectorEntry *c = NULL;

        HASH_FIND_STR(engine->connectors, connector, c);
        return c && c->run && c->run->run->state != RUN_QUEUED ? c->run : NULL;
}

/* A call of a run that has ended: answered if it was recorded then, and only its answer was lost.
 * Return: 0 recorded; -EALREADY it was not; -ESRCH; errno of reading. */
static int check_ended(Engine *engine, const char *connector, const char *run_id, uint64_t sequence)
{
        EngineRun *r = engine_run_find(engine, run_id);
        _cleanup_(run_freep) Run *stored = NULL;
        const Run *run = r ? r->run : NULL;
        int k;

        if (!run) {
                k = store_get_run(engine->store, run_id, false, &stored);
                if (k < 0)
                        return k;
                run = stored;
        }
        if (!streq_null(run->connector, connector))
                return -ESRCH;
        return sequence <= run->report_sequence ? 0 : -EALREADY;
}

int worker_calls_take(Engine *engine, const char *connector, const char *run_id, uint64_t sequence,
                      EngineRun **ret_run)
{
        EngineRun *r = attached_run(engine, connector);
        int k;

        *ret_run = NULL;
        if (sequence > INT64_MAX)
                return -EINVAL; /* the history keeps it as a signed number */
        if (!r || !streq(r->id, run_id)) {
                k = check_ended(engine, connector, run_id, sequence);
                return k;
        }
        run_heard(r);
        if (sequence > r->run->report_sequence)
                *ret_run = r;
        return 0;
}

/* ---- Attach */

typedef struct AttachPublication {
        Publication publication;
        EngineAttachReply reply;
        void *userdata;
        Run *run;
        ConnectorDefinition *definition;
        char *cursor;
} AttachPublication;

static void on_attach_publication(Engine *engine, Publication *publication, int error)
{
        AttachPublication *p = container_of(publication, AttachPublication, publication);
        const AttachReply reply = {
                .run = p->run,
                .sequence = p->run->report_sequence,
                .settings = &p->definition->conf,
                .rules = p->definition->destination == DESTINATION_WEBHOOK ? &engine->settings->webhook_rules : NULL,
                .cursor = strempty(p->cursor),
        };

        engine->n_replies--;
        p->reply(error, error < 0 ? NULL : &reply, p->userdata);
        run_free(p->run);
        connector_definition_unref(p->definition);
        free(p->cursor);
        free(p);
}

/* The first attach of a run: it has begun. A fresh full resync discards the cursor (B7) in the same commit. */
static int begin_running(EngineRun *r)
{
        ConnectorEntry *c = r->connector;
        int k;

        if (!run_move(r, RUN_RUNNING))
                return 0;
        r->run->started_usec = engine_now(r->engine, CLOCK_REALTIME);
        r->run->stage = SYNC_STAGE_STARTED;
        if (r->run->full_resync && !c->record.resyncing) {
                k = store_put_cursor(r->engine->store, c->name, NULL);
                if (k < 0) {
                        engine_break(r->engine, k);
                        return k;
                }
                c->record.resyncing = true;
                connector_save(c, 0);
        }
        run_record(r, RUN_RECORD_EVENT, RUN_CHANGE_STATE, RUN_LOG_STARTED);
        run_set_timer(r);
        return 0;
}

/* "" where a full resync begins: what the store has is about to be discarded. */
static int read_cursor(EngineRun *r, char **ret)
{
        if (r->run->full_resync && !r->connector->record.resyncing)
                return 0;
        return MIN(store_get_cursor(r->engine->store, r->connector->name, ret), 0);
}

int engine_worker_attach(Engine *engine, const char *connector, EngineAttachReply reply, void *userdata)
{
        EngineRun *r = attached_run(engine, connector);
        AttachPublication *p;
        int k;

        k = engine_accepts(engine);
        if (k < 0)
                return k;
        if (!r)
                return -ESRCH;
        p = calloc(1, sizeof(AttachPublication));
        if (!p)
                return -ENOMEM;
        run_heard(r);
        k = read_cursor(r, &p->cursor);
        if (k >= 0 && r->run->state == RUN_STARTING)
                k = begin_running(r);
        if (k >= 0)
                k = run_copy(r->run, false, &p->run);
        if (k < 0) {
                free(p->cursor);
                free(p);
                return k;
        }
        p->reply = reply;
        p->userdata = userdata;
        p->definition = connector_definition_ref(r->definition);
        engine->n_replies++;
        publication_queue(engine, &p->publication, on_attach_publication);
        return 0;
}

/* ---- What a report says */

/* Times are within the run, and what was known of them stays where nothing is said; one that runs has no end. */
static void set_account_times(const EngineRun *r, Account *account, const Account *before)
{
        usec_t now = MAX(engine_now(r->engine, CLOCK_REALTIME), r->run->started_usec);

        if (account->started_usec == 0)
                account->started_usec = before->started_usec;
        else
                account->started_usec = CLAMP(account->started_usec, r->run->started_usec, now);
        if (account->status == ACCOUNT_RUNNING)
                account->finished_usec = 0;
        else if (account->finished_usec == 0)
                account->finished_usec = before->finished_usec;
        else
                account->finished_usec =
                                CLAMP(account->finished_usec, MAX(account->started_usec, r->run->started_usec), now);
}

static int apply_account(EngineRun *r, const Account *account, ReportNews *news)
{
        Account copy, *mine;
        int k;

        k = run_find_account(r->run, account->name, true, &mine);
        if (k == -E2BIG)
                return 0; /* counted in the run's totals */
        if (k >= 0)
                k = account_copy(account, &copy);
        if (k < 0)
                return k;
        set_account_times(r, &copy, mine);
        if (copy.status != mine->status)
                *news |= REPORT_NEWS_PROGRESS;
        account_done(mine);
        *mine = copy;
        return 0;
}

static int replace(char **text, const char *with, ReportNews *news)
{
        int k = with ? free_and_strdup(text, with) : 0;

        if (k > 0)
                *news |= REPORT_NEWS_PROGRESS;
        return MIN(k, 0);
}

static void replace_count(uint64_t *count, uint64_t with, ReportNews *news)
{
        if (with == COUNT_UNKNOWN || *count == with)
                return;
        *count = with;
        *news |= REPORT_NEWS_PROGRESS;
}

static void apply_counts(Run *run, const Counts *counts, ReportNews *news)
{
        if (counts->discovered == COUNT_UNKNOWN || memcmp(&run->counts, counts, sizeof(Counts)) == 0)
                return;
        run->counts = *counts;
        *news |= REPORT_NEWS_PROGRESS;
}

int worker_calls_apply(EngineRun *r, const RunReport *report, ReportNews *ret_news)
{
        Run *run = r->run;
        ReportNews news = 0;
        int k = 0;

        if (report->stage >= SYNC_STAGE_FETCHING && report->stage <= SYNC_STAGE_SAVING &&
            run->stage != report->stage && run->outcome < 0) {
                run->stage = report->stage;
                news |= REPORT_NEWS_STAGE;
        }
        replace_count(&run->items_processed, report->items_processed, &news);
        replace_count(&run->items_total, report->items_total, &news);
        if (run->items_total != COUNT_UNKNOWN && run->items_total > 0 && run->items_processed != COUNT_UNKNOWN)
                run->progress = MIN((double) run->items_processed / (double) run->items_total, 1.0);
        apply_counts(run, &report->counts, &news);
        if (report->attention >= 0 && run->outcome < 0) {
                run->category = report->attention;
                k = replace(&run->error, report->attention_message, &news);
        }
        if (k >= 0)
                k = replace(&run->metadata, report->metadata, &news);
        if (k >= 0 && run->outcome < 0)
                k = replace(&run->message, report->message, &news);
        for (size_t i = 0; k >= 0 && i < report->n_accounts; i++)
                k = apply_account(r, &report->accounts[i], &news);
        *ret_news = news;
        return k;
}

int worker_calls_put_accounts(EngineRun *r, const RunReport *report)
{
        Account *account;
        int k;

        for (size_t i = 0; i < report->n_accounts; i++) {
                k = run_find_account(r->run, report->accounts[i].name, false, &account);
                if (k == -ENOENT)
                        continue;
                if (k >= 0)
                        k = store_put_account(r->engine->store, r->id, account);
                if (k < 0)
                        return k;
        }
        return 0;
}

static bool may_tell_progress(const EngineRun *r)
{
        return run_is_active(r->run) && r->run->outcome < 0;
}

static int on_event_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        EngineRun *r = userdata;

        if (r->owes_event && may_tell_progress(r))
                run_record(r, RUN_RECORD_EVENT, 0, RUN_LOG_NONE);
        return 0;
}

/* Where nothing more comes: the newest progress is told at the end of the interval. */
static int owe_event(EngineRun *r)
{
        if (r->owes_event)
                return 0;
        r->owes_event = true;
        return engine_set_timer(r->engine, &r->event_timer, CLOCK_MONOTONIC,
                                usec_add(r->event_usec, PROGRESS_INTERVAL_USEC), TIMER_ACCURACY_USEC, on_event_timer,
                                r);
}

/* Return: 1 an event tells of it now; 0 none, or a later one does; negative errno. */
static int tell_now(EngineRun *r, ReportNews news)
{
        if (news & REPORT_NEWS_STAGE)
                return 1;
        if (!news || !may_tell_progress(r))
                return 0;
        if (engine_now(r->engine, CLOCK_MONOTONIC) >= usec_add(r->event_usec, PROGRESS_INTERVAL_USEC))
                return 1;
        return owe_event(r);
}

int engine_worker_report(Engine *engine, const char *connector, const char *run_id, uint64_t sequence,
                         const RunReport *report, EngineReply reply, void *userdata)
{
        _cleanup_(reply_freep) Reply *answer = NULL;
        ReportNews news = 0;
        EngineRun *r;
        int k;

        k = reply_new(engine, reply, userdata, &answer);
        if (k >= 0)
                k = worker_calls_take(engine, connector, run_id, sequence, &r);
        if (k < 0)
                return k;
        if (r) {
                k = worker_calls_apply(r, report, &news);
                if (k >= 0)
                        k = tell_now(r, news);
                r->run->report_sequence = sequence;
                run_record(r, k > 0 ? RUN_RECORD_EVENT : 0,
                           RUN_CHANGE_PROGRESS | (news & REPORT_NEWS_STAGE ? RUN_CHANGE_STATE : 0), RUN_LOG_NONE);
                if (k >= 0)
                        k = worker_calls_put_accounts(r, report);
                if (k < 0)
                        engine_break(engine, k);
        }
        reply_queue(engine, TAKE_PTR(answer), 0);
        return 0;
}

/* ---- SaveCursor */

int engine_worker_save_cursor(Engine *engine, const char *connector, const char *run_id, uint64_t sequence,
                              const char *cursor, EngineReply reply, void *userdata)
{
        _cleanup_(reply_freep) Reply *answer = NULL;
        EngineRun *r;
        int k;

        if (strlen(cursor) > CURSOR_MAX)
                return -E2BIG;
        k = reply_new(engine, reply, userdata, &answer);
        if (k >= 0)
                k = worker_calls_take(engine, connector, run_id, sequence, &r);
        if (k < 0)
                return k;
        if (r) {
                r->run->report_sequence = sequence;
                k = store_put_cursor(engine->store, connector, cursor);
                if (k < 0)
                        engine_break(engine, k);
                run_record(r, 0, 0, RUN_LOG_NONE);
        }
        reply_queue(engine, TAKE_PTR(answer), 0);
        return 0;
}

/* ---- Settle */

/* What was said of how an account fared stays; one that was not heard of ends, or runs, with its run. */
static int settle_account(Engine *engine, Run *run, const Account *told)
{
        Account account = {
                .name = told->name,
                .status = run_is_active(run) ? ACCOUNT_RUNNING : run_end_of_account(run, &told->counts),
                .counts = told->counts,
                .category = _ATTENTION_INVALID,
                .finished_usec = run->finished_usec,
        };
        Account *mine;
        int k;

        k = run_find_account(run, told->name, run_is_active(run), &mine);
        if (k == -E2BIG)
                return 0; /* counted in the run's totals */
        if (k >= 0)
                mine->counts = told->counts;
        else if (k != -ENOENT) /* of a run that has ended the history has them */
                return k;
        return store_correct_account(engine->store, run->id, &account);
}

/* The counts alone are set right, no event follows. */
static int settle(Engine *engine, Run *run, const RunReport *report)
{
        ReportNews news = 0;
        int k;

        apply_counts(run, &report->counts, &news);
        k = store_put_run(engine->store, run, false);
        for (size_t i = 0; k >= 0 && i < report->n_accounts; i++)
                k = settle_account(engine, run, &report->accounts[i]);
        return k;
}

static bool has_ended_well(const Run *run)
{
        return run->outcome == RUN_SUCCEEDED || run->outcome == RUN_PARTIAL;
}

static int settle_run(Engine *engine, const char *connector, const char *run_id, const RunReport *report)
{
        EngineRun *r = engine_run_find(engine, run_id);
        _cleanup_(run_freep) Run *stored = NULL;
        int k = 0;

        if (!r)
                k = store_get_run(engine->store, run_id, false, &stored);
        if (k < 0)
                return k;
        if (!streq_null((r ? r->run : stored)->connector, connector))
                return -ESRCH;
        if (has_ended_well(r ? r->run : stored) || (r && r->finishing))
                return 0;
        k = settle(engine, r ? r->run : stored, report);
        if (k >= 0 && r)
                k = run_publish(r, RUN_CHANGE_PROGRESS, RUN_LOG_NONE);
        if (k < 0)
                engine_break(engine, k);
        return 0;
}

int engine_worker_settle(Engine *engine, const char *connector, const char *run_id, const RunReport *report,
                         EngineReply reply, void *userdata)
{
        _cleanup_(reply_freep) Reply *answer = NULL;
        int k;

        k = reply_new(engine, reply, userdata, &answer);
        if (k >= 0)
                k = settle_run(engine, connector, run_id, report);
        if (k < 0)
                return k;
        reply_queue(engine, TAKE_PTR(answer), 0);
        return 0;
}
