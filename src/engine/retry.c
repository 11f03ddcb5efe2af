/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "engine/retry.h"

#include <stdlib.h>

#include "engine/account-set.h"
#include "engine/publication.h"
#include "engine/run-log.h"

void retry_forget(ConnectorRecord *record)
{
        record->retry_at_usec = 0;
        record->retry_is_absolute = false;
        record->retry_attempt = 0;
        record->retry_of = (free(record->retry_of), NULL);
        record->retry_accounts = (free(record->retry_accounts), NULL);
}

void retry_meet(ConnectorRecord *record, const char *accounts)
{
        if (record->retry_at_usec > 0 && account_set_contains(accounts, record->retry_accounts) > 0)
                retry_forget(record);
}

bool retry_covers(const ConnectorRecord *record, const char *accounts)
{
        return record->retry_at_usec > 0 && account_set_contains(record->retry_accounts, accounts) > 0;
}

/* ---- The decision */

typedef struct Promise {
        usec_t at_usec;
        bool is_absolute; /* the provider's word */
        unsigned attempt;
        const char *of;
        const char *accounts;
} Promise;

static usec_t not_before(const Promise *promise)
{
        return promise->is_absolute ? promise->at_usec : 0;
}

/* @promise becomes that and what the record has promised. @ret_accounts: owns the accounts of both. */
static int join(const ConnectorRecord *record, Promise *promise, char **ret_accounts)
{
        const Promise before = {
                .at_usec = record->retry_at_usec,
                .is_absolute = record->retry_is_absolute,
                .attempt = record->retry_attempt,
                .of = record->retry_of,
        };
        usec_t earliest = MAX(not_before(&before), not_before(promise));
        int r;

        r = account_set_join(record->retry_accounts, promise->accounts, ret_accounts);
        if (r < 0)
                return r;
        promise->accounts = *ret_accounts;
        promise->at_usec = MAX(earliest, MIN(before.at_usec, promise->at_usec));
        promise->is_absolute = promise->at_usec == earliest;
        if (before.attempt <= promise->attempt) {
                promise->attempt = before.attempt;
                promise->of = before.of;
        }
        return 0;
}

static int write_promise(ConnectorRecord *record, const Promise *promise)
{
        _cleanup_free_ char *of = NULL, *accounts = NULL;

        if (free_and_strdup(&of, promise->of) < 0 || free_and_strdup(&accounts, promise->accounts) < 0)
                return -ENOMEM;
        retry_forget(record);
        record->retry_at_usec = promise->at_usec;
        record->retry_is_absolute = promise->is_absolute;
        record->retry_attempt = promise->attempt;
        record->retry_of = TAKE_PTR(of);
        record->retry_accounts = TAKE_PTR(accounts);
        return 0;
}

/* As the connector's file says now: it is about runs to come. */
static const ConnectorDefinition *settings_of(const EngineRun *r)
{
        const ConnectorEntry *c = r->connector;

        return c->has_file && c->definition->load_state == LOAD_LOADED ? c->definition : r->definition;
}

static Promise promise_of(const EngineRun *r, const RunEnd *end)
{
        const Run *run = r->run;
        usec_t now = engine_now(r->engine, CLOCK_REALTIME);
        Promise promise = {
                .at_usec = usec_add(now, retry_delay(settings_of(r), run->attempt, engine_random())),
                .attempt = run->attempt + 1,
                .of = run->retry_of ?: run->id,
                .accounts = run->only_accounts,
        };

        if (end->retry_at_usec > usec_add(now, RETRY_AHEAD_MAX_USEC))
                run_log_far_retry(run, end->retry_at_usec - now);
        else if (end->retry_at_usec > promise.at_usec) {
                promise.at_usec = end->retry_at_usec;
                promise.is_absolute = true;
        }
        return promise;
}

int retry_decide(EngineRun *r, const RunEnd *end)
{
        ConnectorRecord *record = &r->connector->record;
        _cleanup_free_ char *accounts = NULL;
        const Run *run = r->run;
        Promise promise;
        int k;

        if (record->disabled_by_service)
                retry_forget(record);
        if (!end->retry || record->disabled_by_service || run->attempt > settings_of(r)->retry_max ||
            (run->outcome != RUN_FAILED && run->outcome != RUN_PARTIAL))
                return 0;
        promise = promise_of(r, end);
        if (promise.is_absolute)
                record->lasting = _ATTENTION_INVALID; /* of this run, whatever others were promised: it needs nobody */
        if (record->retry_at_usec > 0) {
                k = join(record, &promise, &accounts);
                if (k < 0)
                        return k;
        }
        return write_promise(record, &promise);
}

bool retry_review(ConnectorEntry *c)
{
        const ConnectorDefinition *definition = c->definition;
        ConnectorRecord *record = &c->record;
        usec_t now = engine_now(c->published.engine, CLOCK_REALTIME), latest = record->retry_at_usec;
        bool dropped;

        if (record->retry_at_usec == 0 || record->retry_attempt == 0 || definition->load_state != LOAD_LOADED)
                return false;
        dropped = record->retry_attempt - 1 > definition->retry_max;
        if (!record->retry_is_absolute)
                latest = usec_add(now, retry_delay_max(definition, record->retry_attempt - 1));
        if (!dropped && record->retry_at_usec <= latest)
                return false;
        record->retry_at_usec = dropped ? 0 : latest;
        run_log_retry_reviewed(definition, record, now);
        if (dropped)
                retry_forget(record);
        return true;
}

/* ---- The journal */

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

int retry_tell(EngineRun *r)
{
        const ConnectorRecord *record = &r->connector->record;
        RetryPublication *p;

        /* Without its file none comes, unless the file does. */
        if (!r->connector->has_file || (r->run->outcome != RUN_FAILED && r->run->outcome != RUN_PARTIAL) ||
            !retry_covers(record, r->run->only_accounts))
                return 0;
        p = calloc(1, sizeof(RetryPublication));
        if (!p)
                return -ENOMEM;
        p->run = r;
        p->record.retry_at_usec = record->retry_at_usec;
        p->record.retry_attempt = record->retry_attempt;
        r->n_publications++;
        publication_queue(r->engine, &p->publication, on_retry_publication);
        return 0;
}
