/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What follows when a person has reconnected a connection (A12): the runs that waited for it, and no others. */

#include <stdlib.h>

#include "engine/attention-rules.h"
#include "engine/connection-state.h"
#include "engine/connector-table.h"
#include "engine/follow-up.h"
#include "engine/lifecycle.h"
#include "engine/publication.h"
#include "engine/reconnect.h"
#include "engine/run-queue.h"
#include "engine/scheduler.h"

typedef struct ReconnectPublication {
        Publication publication;
        EngineReconnectReply reply;
        void *userdata;
        bool reconnecting;
        size_t n_runs;
        ReconnectedRun runs[];
} ReconnectPublication;

static void on_reconnect_publication(Engine *engine, Publication *publication, int error)
{
        ReconnectPublication *p = container_of(publication, ReconnectPublication, publication);
        const ReconnectReply answer = { .reconnecting = p->reconnecting, .n_runs = p->n_runs, .runs = p->runs };

        engine->n_replies--;
        p->reply(error, error < 0 ? NULL : &answer, p->userdata);
        free(p);
}

/* Also where its active run says so, and has not ended yet. Who waits for a consent has attention for it. */
static bool is_affected(const ConnectorEntry *c)
{
        return connection_concerns(c->record.attention.category) ||
               (c->run && connection_concerns(c->run->run->category));
}

static bool is_of_user(const ConnectorEntry *c, const char *user_id)
{
        return !user_id || (c->definition->user_id && streq(c->definition->user_id, user_id));
}

static bool has_begun(const EngineRun *r)
{
        return r->run->state != RUN_QUEUED;
}

/* A run that has begun may have done so with what was of no use, and may end by it: another follows. One that waits
 * for its turn is the one that is wanted. */
static bool is_met_by(const EngineRun *r)
{
        return r && !has_begun(r) && !r->run->only_accounts;
}

/* Where there is no room in the queue, or it may not run now, the run is owed, and begins when it can. Not told of
 * where the active one is another user's, of before. @p NULL: nobody is told. */
static int run_reconnected(ConnectorEntry *c, const char *user_id, const char *requested_by, ReconnectPublication *p)
{
        const RunRequest request = { .trigger = RUN_TRIGGER_RECONNECT, .requested_by = requested_by };
        EngineRun *r = c->run;
        ReconnectedRun *run;
        bool active = r;
        int k = 0;

        if (is_met_by(r))
                ;
        else if (active || !connector_may_run(c) ||
                 run_queue_is_full(c->published.engine, c->definition->provider))
                k = follow_up_owe(c, &request);
        else {
                follow_up_meet(c, &request);
                k = run_begin(c, &request, &r);
        }
        if (k < 0 || !p || (r && user_id && !streq_null(r->run->user_id, user_id)))
                return k;
        run = &p->runs[p->n_runs++];
        *run = (ReconnectedRun) { .connector = c->name, .already_active = active };
        if (r)
                (void) memcpy(run->run_id, r->id, strlen(r->id) + 1);
        return 0;
}

/* It is active again for everybody who shares it; who asked is told of their own alone, and named in those. */
static int run_affected(ConnectionEntry *connection, const char *user_id, const char *requested_by,
                        ReconnectPublication *p)
{
        ConnectorEntry *c;
        int k;

        DL_FOREACH(connection->members, c) {
                bool own = is_of_user(c, user_id);

                if (!is_affected(c))
                        continue;
                k = run_reconnected(c, user_id, own ? requested_by : NULL, own ? p : NULL);
                if (k < 0)
                        return k;
        }
        return 0;
}

int reconnect_others(ConnectionEntry *connection, const ConnectorEntry *but)
{
        ConnectorEntry *c;
        int k;

        DL_FOREACH(connection->members, c) {
                if (c == but || c->recovered_in_vain || !is_affected(c))
                        continue;
                c->recovered_in_vain = true;
                k = run_reconnected(c, NULL, NULL, NULL);
                if (k < 0)
                        return k;
        }
        return 0;
}

/* What its active runs say from now on is about the time before. */
static void renew(ConnectionEntry *connection)
{
        ConnectorEntry *c;

        connection->record.renewed_usec = engine_now(connection->engine, CLOCK_REALTIME);
        DL_FOREACH(connection->members, c) {
                c->recovered_in_vain = false;
                if (c->run && has_begun(c->run))
                        c->run->outlived = true;
        }
}

int reconnect_waiting(ConnectionEntry *connection)
{
        const RunRequest request = { .trigger = RUN_TRIGGER_RECONNECT };
        ConnectorEntry *c;
        int k;

        renew(connection);
        DL_FOREACH(connection->members, c) {
                if (!is_affected(c) || is_met_by(c->run))
                        continue;
                k = follow_up_owe(c, &request);
                if (k < 0)
                        return k;
        }
        return 0;
}

int reconnect_admitted(ConnectorEntry *c)
{
        const RunRequest request = { .trigger = RUN_TRIGGER_RECONNECT };

        c->published.engine->owes_runs = true; /* perhaps, since it could not */
        if (!c->connection || c->connection->record.shown >= CONNECTION_LOST || c->run || !connector_may_run(c) ||
            !is_affected(c))
                return 0;
        return follow_up_owe(c, &request);
}

int reconnect_missed(ConnectorEntry *c)
{
        if (!c->connection || c->record.last_finished_usec >= c->connection->record.reconnected_usec)
                return 0;
        return reconnect_admitted(c);
}

/* Whether it says that a connection is of no use, in whole or of an account. */
static bool says_so(const Run *run)
{
        bool says = connection_concerns(run->category);

        for (size_t i = 0; i < run->n_accounts; i++)
                says |= run->accounts[i].status == ACCOUNT_FAILED && connection_concerns(run->accounts[i].category);
        return says && (run->outcome == RUN_FAILED || run->outcome == RUN_PARTIAL);
}

void reconnect_met(const EngineRun *r)
{
        ConnectorRecord *record = &r->connector->record;

        if (!record->follow_up.wanted || record->follow_up.trigger != RUN_TRIGGER_RECONNECT ||
            !connection_is_same_of_run(r) || r->run->only_accounts)
                return;
        if (r->run->outcome == RUN_SUCCEEDED ||
            (r->run->outcome == RUN_PARTIAL && !says_so(r->run) && !connection_concerns(record->attention.category)))
                follow_up_forget(&record->follow_up);
}

int reconnect_outlived(const EngineRun *r)
{
        const RunRequest request = { .trigger = RUN_TRIGGER_RECONNECT };
        int k;

        if (connection_is_of_run(r))
                return 0;
        if (!says_so(r->run)) {
                if (connection_concerns(r->connector->record.lasting))
                        r->connector->record.lasting = _ATTENTION_INVALID;
                return 0;
        }
        k = follow_up_owe(r->connector, &request);
        return k < 0 ? k : 1;
}

/* Its connectors may run again. */
static void readmit(ConnectionEntry *connection)
{
        ConnectorEntry *c;

        connection->record.withdrawn = false;
        DL_FOREACH(connection->members, c) {
                scheduler_pass_over(c);
                scheduler_update(c, SCHEDULE_RELOADED);
                connector_save(c, 0);
        }
}

/* Those that waited for it run, and then it is told that they need a person no longer. */
static int activate(ConnectionEntry *connection, const ReconnectWish *wish, ConnectionNews news,
                    ReconnectPublication *p)
{
        ConnectionRecord *record = &connection->record;
        usec_t now;
        int k;

        k = connection_set_state(connection, CONNECTION_ACTIVE, NULL, NULL);
        if (k < 0)
                return k;
        if (record->withdrawn)
                readmit(connection);
        now = engine_now(connection->engine, CLOCK_REALTIME);
        record->reconnected_usec = now;
        /* An end to come stands, as that of the file, until somebody says another. */
        if (wish->consent_expires_usec > 0 || record->consent_expires_usec <= now)
                record->consent_expires_usec = wish->consent_expires_usec;
        renew(connection);
        k = run_affected(connection, wish->user_id, wish->requested_by, p);
        if (k < 0)
                engine_break(connection->engine, k);
        connection_changed(connection, news);
        lifecycle_dispatch(connection->engine);
        return 0;
}

bool connection_has_part(const ConnectionEntry *connection, const char *user_id)
{
        ConnectorEntry *c;

        if (!user_id || (connection->definition && streq_null(connection->definition->user_id, user_id)))
                return true;
        DL_FOREACH(connection->members, c)
                if (is_of_user(c, user_id))
                        return true;
        return false;
}

static int publication_new(const ConnectionEntry *connection, EngineReconnectReply reply, void *userdata,
                           ReconnectPublication **ret)
{
        ReconnectPublication *p;
        ConnectorEntry *c;
        size_t n = 0;

        DL_FOREACH(connection->members, c)
                n++;
        p = calloc(1, sizeof(ReconnectPublication) + n * sizeof(ReconnectedRun));
        if (!p)
                return -ENOMEM;
        p->reply = reply;
        p->userdata = userdata;
        *ret = p;
        return 0;
}

/* Whether a program is to run. Return: 1; 0; a refusal. */
static int wants_program(Engine *engine, const ConnectionEntry *connection, const ReconnectWish *wish)
{
        const ConnectionDefinition *definition = connection->definition;
        Connection seen;

        if (wish->done || !definition)
                return 0;
        if (definition->load_state != LOAD_LOADED)
                return -ENOEXEC;
        if (!definition->exec_reconnect)
                return 0;
        /* It is not for one of several users to say that it runs. */
        return engine_find_connection_of(engine, connection->name, wish->user_id, &seen) < 0 || !seen.record ? -EACCES
                                                                                                             : 1;
}

/* Return: 0; a refusal. */
static int reconnect(ConnectionEntry *connection, const ReconnectWish *wish, ReconnectPublication *p)
{
        Engine *engine = connection->engine;
        int k;

        k = wants_program(engine, connection, wish);
        if (k > 0) {
                p->reconnecting = true;
                return reconnect_program_begin(connection, wish->requested_by);
        }
        return k < 0 ? k : activate(connection, wish, 0, p);
}

int engine_reconnect(Engine *engine, const char *name, const ReconnectWish *wish, EngineReconnectReply reply,
                     void *userdata)
{
        ConnectionEntry *connection = connection_table_find(engine, name);
        _cleanup_free_ ReconnectPublication *p = NULL;
        int k;

        if (!connection || !connection_has_part(connection, wish->user_id))
                return -ENOLINK;
        if (wish->consent_expires_usec > 0 && wish->consent_expires_usec <= engine_now(engine, CLOCK_REALTIME))
                return -EINVAL;
        k = engine_accepts(engine);
        if (k >= 0)
                k = publication_new(connection, reply, userdata, &p);
        if (k >= 0)
                k = reconnect(connection, wish, p);
        if (k < 0)
                return k;
        engine->n_replies++;
        publication_queue(engine, &TAKE_PTR(p)->publication, on_reconnect_publication);
        return 0;
}

int reconnect_succeeded(ConnectionEntry *connection, usec_t consent_expires_usec, const char *requested_by)
{
        ReconnectWish wish = { .requested_by = requested_by, .consent_expires_usec = consent_expires_usec };

        if (consent_expires_usec <= engine_now(connection->engine, CLOCK_REALTIME))
                wish.consent_expires_usec = 0;
        return activate(connection, &wish, CONNECTION_NEWS_RECONNECT, NULL);
}
