/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What people and programs ask for: start, cancel, make active. */

#include <stdlib.h>

#include "base/json-writer.h"
#include "engine/account-set.h"
#include "engine/connection-state.h"
#include "engine/connector-table.h"
#include "engine/follow-up.h"
#include "engine/lifecycle.h"
#include "engine/publication.h"
#include "engine/reconnect.h"
#include "engine/run-queue.h"
#include "engine/run-record.h"
#include "engine/scheduler.h"

/* ---- Start */

typedef struct StartPublication {
        Publication publication;
        EngineStartReply reply;
        void *userdata;
        StartReply value;
} StartPublication;

static void on_start_publication(Engine *engine, Publication *publication, int error)
{
        StartPublication *p = container_of(publication, StartPublication, publication);

        engine->n_replies--;
        p->reply(error, error < 0 ? NULL : &p->value, p->userdata);
        free(p);
}

static int write_accounts(char *const *accounts, char **ret)
{
        _cleanup_buffer_ Buffer buffer = {};
        JsonWriter w = JSON_WRITER_INIT(&buffer);
        size_t n = 0, n_bytes = 0;

        if (strv_length(accounts) == 0)
                return 0;
        json_open_array(&w, NULL);
        STRV_FOREACH(account, accounts) {
                n_bytes += strlen(*account) + 1;
                if (n++ == ACCOUNTS_PER_RUN_MAX || n_bytes > ACCOUNTS_BYTES_MAX)
                        return -E2BIG;
                json_write_string(&w, NULL, *account);
        }
        json_close_array(&w);
        return buffer_take(&buffer, ret);
}

static int copy_reason(const char *reason, char **ret)
{
        if (isempty(reason))
                return 0;
        *ret = utf8_sanitize(reason, strlen(reason), MESSAGE_TEXT_MAX);
        return *ret ? 0 : -ENOMEM;
}

/* The active run is the full resync that is asked for. */
static bool is_that_resync(const EngineRun *r, const RunRequest *request)
{
        return r->run->full_resync &&
               (!r->run->only_accounts || streq_null(r->run->only_accounts, request->only_accounts));
}

/* It is about to end, or being stopped: it does nothing more of what is asked for now. */
static bool is_over(const EngineRun *r)
{
        return r->run->outcome >= 0 || r->finishing;
}

/* Whether the active run does what is asked for. Return: 1; 0; -ENOMEM. */
static int is_met(const EngineRun *r, const StartOptions *options, const RunRequest *request)
{
        if (is_over(r) || (options->from_start && r->run->state >= RUN_RUNNING))
                return 0;
        if (request->full_resync)
                return is_that_resync(r, request);
        return account_set_contains(r->run->only_accounts, request->only_accounts);
}

/* What the active run does not do becomes the next run: a full resync, accounts that it leaves out, or all of it. */
static int start_beside(EngineRun *r, const StartOptions *options, const RunRequest *request, StartReply *ret)
{
        ConnectorEntry *c = r->connector;
        int k;

        ret->already_active = true;
        k = is_met(r, options, request);
        if (k != 0)
                return MIN(k, 0);
        k = follow_up_add(c, request);
        if (k < 0)
                return k;
        connector_save(c, 0);
        ret->follow_up_pending = true;
        ret->full_resync_pending = request->full_resync;
        return 0;
}

static bool is_owed_besides(const ConnectorRecord *record, const Run *run)
{
        return record->owes_resync &&
               !(run->full_resync && account_set_contains(run->only_accounts, record->owed_accounts) > 0);
}

static int start(ConnectorEntry *c, const StartOptions *options, StartReply *ret)
{
        _cleanup_free_ char *reason = NULL, *accounts = NULL;
        RunRequest request = {
                .trigger = options->trigger,
                .full_resync = options->full_resync,
                .requested_by = options->requested_by,
        };
        EngineRun *r = c->run;
        int k;

        k = copy_reason(options->reason, &reason);
        if (k >= 0)
                k = write_accounts(options->accounts, &accounts);
        if (k < 0)
                return k;
        request.reason = reason;
        request.only_accounts = accounts;
        /* A user learns nothing of a run that began before the connector was that user's. */
        if (r && options->user_id && !streq_null(r->run->user_id, options->user_id))
                k = -ENOBUFS;
        else if (r)
                k = start_beside(r, options, &request, ret);
        else if (run_queue_is_full(c->published.engine, c->definition->provider))
                k = -ENOBUFS;
        else {
                follow_up_meet(c, &request);
                k = run_begin(c, &request, &r);
        }
        if (k < 0)
                return k;
        (void) memcpy(ret->run_id, r->id, strlen(r->id) + 1);
        ret->full_resync = r->run->full_resync;
        ret->full_resync_owed = is_owed_besides(&c->record, r->run);
        return 0;
}

int engine_start_run(Engine *engine, const char *connector, const StartOptions *options, EngineStartReply reply,
                     void *userdata)
{
        ConnectorEntry *c = connector_table_find(engine, connector);
        _cleanup_free_ StartPublication *p = NULL;
        int k;

        if (!c)
                return -ENXIO;
        if (!connector_is_active(c))
                return -EHOSTDOWN;
        k = connector_can_run(c);
        if (k >= 0)
                k = engine_accepts(engine);
        if (k < 0)
                return k;
        p = calloc(1, sizeof(StartPublication));
        if (!p)
                return -ENOMEM;
        k = start(c, options, &p->value);
        if (k < 0)
                return k;
        p->reply = reply;
        p->userdata = userdata;
        engine->n_replies++;
        publication_queue(engine, &TAKE_PTR(p)->publication, on_start_publication);
        return 0;
}

/* ---- Cancel */

int engine_cancel_run(Engine *engine, const char *run_id, const char *requested_by, EngineReply reply, void *userdata)
{
        EngineRun *r = engine_run_find(engine, run_id);
        _cleanup_(run_freep) Run *stored = NULL;
        _cleanup_(reply_freep) Reply *answer = NULL;
        int k;

        k = reply_new(engine, reply, userdata, &answer);
        if (k < 0)
                return k;
        if (!r) {
                k = store_get_run(engine->store, run_id, false, &stored);
                return k < 0 ? k : -EALREADY;
        }
        if (!run_is_active(r->run))
                return -EALREADY;
        if (!r->connector)
                return -EOPNOTSUPP;
        k = run_cancel(r, requested_by);
        if (k < 0)
                return k;
        reply_queue(engine, TAKE_PTR(answer), 0);
        return 0;
}

/* ---- Active */

int engine_set_active(Engine *engine, const char *connector, bool active, EngineReply reply, void *userdata)
{
        ConnectorEntry *c = connector_table_find(engine, connector);
        _cleanup_(reply_freep) Reply *answer = NULL;
        bool was;
        int k;

        if (!c)
                return -ENXIO;
        k = reply_new(engine, reply, userdata, &answer);
        if (k < 0)
                return k;
        was = connector_is_active(c);
        /* What the file says anyway is not remembered, so that a later change of the file counts. */
        c->record.active_override = active == c->definition->enabled ? -1 : active;
        c->record.disabled_by_service = false;
        c->record.destination_failures = 0;
        if (active && !was)
                scheduler_pass_over(c);
        scheduler_update(c, SCHEDULE_RUN_CHANGED);
        connector_save(c, 0);
        k = connection_tell(c);
        if (k >= 0 && active && !was)
                k = reconnect_admitted(c);
        if (k < 0)
                engine_break(engine, k);
        else
                lifecycle_dispatch(engine);
        reply_queue(engine, TAKE_PTR(answer), 0);
        return 0;
}

int engine_sync(Engine *engine, EngineReply reply, void *userdata)
{
        Reply *answer;
        int r;

        if (engine->broken < 0)
                return -EROFS;
        /* Also where much waits for the disk: what was loaded may be that. */
        r = reply_new_always(reply, userdata, &answer);
        if (r < 0)
                return r;
        reply_queue(engine, answer, 0);
        return 0;
}
