/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "engine/follow-up.h"

#include <stdlib.h>

#include "engine/account-set.h"
#include "engine/connection-state.h"
#include "engine/connector-table.h"
#include "engine/run-queue.h"

#define OWED_REASON "The full resync has not ended well yet"

void follow_up_forget(FollowUp *follow_up)
{
        free(follow_up->requested_by);
        free(follow_up->reason);
        free(follow_up->accounts);
        *follow_up = (FollowUp) { .trigger = _RUN_TRIGGER_INVALID };
}

static int set_words(FollowUp *follow_up, const RunRequest *request)
{
        if (free_and_strdup(&follow_up->requested_by, request->requested_by) < 0 ||
            free_and_strdup(&follow_up->reason, request->reason) < 0)
                return -ENOMEM;
        follow_up->trigger = request->trigger;
        return 0;
}

/* Whose the words are where two ask for a run: of those that nobody asks for by name the first one's. A reconnection's
 * is not wanted any more if the run before it goes well, and all others are. */
static int rank(RunTrigger trigger)
{
        if (trigger == RUN_TRIGGER_RECONNECT)
                return 0;
        return trigger == RUN_TRIGGER_SCHEDULE || trigger == RUN_TRIGGER_CATCH_UP ? 1 : 2;
}

static bool gives_way(RunTrigger trigger, RunTrigger before)
{
        return rank(trigger) <= MIN(rank(before), 1);
}

int follow_up_add(ConnectorEntry *c, const RunRequest *request)
{
        FollowUp *follow_up = request->full_resync ? &c->record.resync : &c->record.follow_up;
        _cleanup_free_ char *accounts = NULL;
        int r;

        if (follow_up->wanted)
                r = account_set_join(follow_up->accounts, request->only_accounts, &accounts);
        else
                r = free_and_strdup(&accounts, request->only_accounts);
        if (r >= 0 && !(follow_up->wanted && gives_way(request->trigger, follow_up->trigger)))
                r = set_words(follow_up, request);
        if (r < 0)
                return r;
        free(follow_up->accounts);
        follow_up->accounts = TAKE_PTR(accounts);
        follow_up->wanted = true;
        return 0;
}

typedef enum Next {
        NEXT_NOTHING,
        NEXT_RESYNC,
        NEXT_OWED,
        NEXT_OTHER,
} Next;

/* A debt is left to the runs that come anyway, where the one before did not go well. */
static bool owed_follows(const ConnectorRecord *record, const Run *after)
{
        return record->owes_resync && !after->full_resync &&
               (after->outcome < 0 || after->outcome == RUN_SUCCEEDED || after->outcome == RUN_PARTIAL);
}

static Next what_follows(const ConnectorRecord *record, const Run *after)
{
        if (record->resync.wanted)
                return NEXT_RESYNC;
        if (owed_follows(record, after))
                return NEXT_OWED;
        return record->follow_up.wanted ? NEXT_OTHER : NEXT_NOTHING;
}

/* Strings are borrowed. */
static RunRequest request_of(const FollowUp *follow_up, bool full_resync)
{
        return (RunRequest) {
                .trigger = follow_up->trigger,
                .full_resync = full_resync,
                .requested_by = follow_up->requested_by,
                .reason = follow_up->reason,
                .only_accounts = follow_up->accounts,
        };
}

static RunRequest request_of_owed(const ConnectorRecord *record)
{
        return (RunRequest) {
                .trigger = RUN_TRIGGER_RETRY,
                .reason = OWED_REASON,
                .only_accounts = record->owed_accounts,
        };
}

/* It is asked for no longer, and owed instead. */
static int owe_wanted(ConnectorRecord *record)
{
        const Run wish = {
                .full_resync = true,
                .outcome = RUN_FAILED,
                .only_accounts = record->resync.accounts,
        };
        int r;

        if (!record->resync.wanted)
                return 0;
        r = resync_settle(record, &wish);
        follow_up_forget(&record->resync);
        return r;
}

/* What a reconnection owes waits until the connector may run. */
static bool is_for_later(const FollowUp *follow_up)
{
        return follow_up->wanted && follow_up->trigger == RUN_TRIGGER_RECONNECT;
}

static int forget_all(ConnectorEntry *c)
{
        int k = owe_wanted(&c->record);

        if (!is_for_later(&c->record.follow_up))
                follow_up_forget(&c->record.follow_up);
        connector_save(c, 0);
        return k;
}

static FollowUp take(FollowUp *follow_up)
{
        FollowUp taken = *follow_up;

        *follow_up = (FollowUp) { .trigger = _RUN_TRIGGER_INVALID };
        return taken;
}

static int begin_wanted(ConnectorEntry *c, Next next)
{
        _cleanup_(follow_up_forget) FollowUp taken = { .trigger = _RUN_TRIGGER_INVALID };
        ConnectorRecord *record = &c->record;
        RunRequest request;
        EngineRun *r;
        int k;

        taken = take(next == NEXT_RESYNC ? &record->resync : &record->follow_up);
        if (next == NEXT_RESYNC && record->follow_up.wanted) {
                k = account_set_contains(taken.accounts, record->follow_up.accounts);
                if (k < 0)
                        return k;
                if (k > 0) /* it is in the full resync */
                        follow_up_forget(&record->follow_up);
        }
        request = request_of(&taken, next == NEXT_RESYNC);
        return run_begin(c, &request, &r);
}

int follow_up_begin(ConnectorEntry *c, const Run *after)
{
        Next next = what_follows(&c->record, after);
        RunRequest owed;
        EngineRun *r;

        if (next == NEXT_NOTHING)
                return 0;
        if (!connector_may_run(c))
                return forget_all(c);
        if (next != NEXT_OWED)
                return begin_wanted(c, next);
        owed = request_of_owed(&c->record);
        return run_begin(c, &owed, &r);
}

/* ---- Runs that there was no room for */

int follow_up_owe(ConnectorEntry *c, const RunRequest *request)
{
        int r;

        r = follow_up_add(c, request);
        if (r < 0)
                return r;
        c->published.engine->owes_runs = true;
        connector_save(c, 0);
        return 0;
}

void follow_up_meet(ConnectorEntry *c, const RunRequest *request)
{
        if (!c->run && !request->only_accounts)
                follow_up_forget(&c->record.follow_up);
}

static int begin_owed(ConnectorEntry *c)
{
        return connector_may_run(c) ? begin_wanted(c, c->record.resync.wanted ? NEXT_RESYNC : NEXT_OTHER)
                                    : forget_all(c);
}

/* Not where it could not run now, or only in vain. */
static bool is_due(const ConnectorEntry *c)
{
        const ConnectorRecord *record = &c->record;

        if (c->run)
                return false;
        if (record->resync.wanted || !is_for_later(&record->follow_up))
                return record->resync.wanted || record->follow_up.wanted;
        return connector_may_run(c) && !(c->connection && connection_is_lost_again(c->connection));
}

void follow_ups_dispatch(Engine *engine)
{
        ConnectorEntry *c, *next;
        bool left = false;

        if (!engine->owes_runs || engine->broken < 0 || run_queue_is_full(engine, NULL))
                return;
        engine->owes_runs = false;
        HASH_ITER(hh, engine->connectors, c, next) {
                int r = 0;

                if (!is_due(c))
                        continue;
                if (c->definition && run_queue_is_full(engine, c->definition->provider))
                        left = true;
                else
                        r = begin_owed(c);
                if (r < 0) {
                        engine_break(engine, r);
                        return;
                }
        }
        engine->owes_runs |= left;
}

/* ---- Full resyncs that are owed */

bool resync_is_owed(const ConnectorRecord *record, const char *accounts)
{
        return record->owes_resync && account_set_contains(record->owed_accounts, accounts) > 0;
}

static void clear_debt(ConnectorRecord *record)
{
        record->owes_resync = false;
        record->owed_accounts = (free(record->owed_accounts), NULL);
}

static int owe(ConnectorRecord *record, const char *accounts)
{
        _cleanup_free_ char *all = NULL;
        int r;

        if (record->owes_resync)
                r = account_set_join(record->owed_accounts, accounts, &all);
        else
                r = free_and_strdup(&all, accounts);
        if (r < 0)
                return r;
        free(record->owed_accounts);
        record->owed_accounts = TAKE_PTR(all);
        record->owes_resync = true;
        return 0;
}

int resync_settle(ConnectorRecord *record, const Run *run)
{
        char *left = NULL;
        int r;

        if (!run->full_resync)
                return 0;
        if (run->outcome == RUN_FAILED || run->outcome == RUN_PARTIAL)
                return owe(record, run->only_accounts);
        r = record->owes_resync ? account_set_remove(record->owed_accounts, run->only_accounts, &left) : 0;
        if (r < 0)
                return r;
        if (r > 0) {
                free(record->owed_accounts);
                record->owed_accounts = left;
                return 0;
        }
        clear_debt(record);
        record->resyncing = false;
        return 0;
}

bool connector_owes_resync(const Connector *connector, const char **ret_accounts)
{
        const ConnectorRecord *record = &connector->record;
        const Run *run = connector->run;

        if (record->resync.wanted) {
                *ret_accounts = record->resync.accounts;
                return true;
        }
        *ret_accounts = record->owed_accounts;
        return record->owes_resync && !(run && run->full_resync &&
                                        account_set_contains(run->only_accounts, record->owed_accounts) > 0);
}

bool connector_follow_up(const Connector *connector, NextRun *ret)
{
        const ConnectorRecord *record = &connector->record;
        Next next = connector->run ? what_follows(record, connector->run) : NEXT_NOTHING;
        RunRequest request;

        if (next == NEXT_NOTHING)
                return false;
        request = next == NEXT_OWED ? request_of_owed(record)
                                    : request_of(next == NEXT_RESYNC ? &record->resync : &record->follow_up, false);
        *ret = (NextRun) {
                .trigger = request.trigger,
                .full_resync = next != NEXT_OTHER || resync_is_owed(record, request.only_accounts),
                .requested_by = request.requested_by,
                .reason = request.reason,
                .accounts = request.only_accounts,
        };
        return true;
}
