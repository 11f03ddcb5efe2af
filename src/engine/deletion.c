/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "engine/deletion.h"

#include <stdlib.h>

#include "engine/connector-table.h"
#include "engine/follow-up.h"
#include "engine/lifecycle.h"
#include "engine/publication.h"
#include "engine/run-log.h"
#include "engine/scheduler.h"
#include "store/delivery-store.h"

typedef struct DeletionPublication {
        Publication publication;
        ConnectorEntry *connector;
} DeletionPublication;

static void on_deletion_publication(Engine *engine, Publication *publication, int error)
{
        DeletionPublication *p = container_of(publication, DeletionPublication, publication);
        ConnectorEntry *c = p->connector;
        int r;

        free(p);
        if (error < 0 || !c->record.deleting || c->run)
                return;
        r = launcher_start_task(engine->launcher, TASK_DELETE_ITEMS, c->name);
        if (r < 0 && r != -EEXIST)
                deletion_ended(engine, c->name,
                               &(TaskExit){ .result = RECONNECT_FAILED, .status = "", .reason = strerror(-r) });
}

void deletion_begin(ConnectorEntry *c)
{
        DeletionPublication *p;

        if (!c->record.deleting || c->run || c->published.engine->broken < 0)
                return;
        p = calloc(1, sizeof(DeletionPublication));
        if (!p) {
                engine_break(c->published.engine, -ENOMEM);
                return;
        }
        p->connector = c;
        publication_queue(c->published.engine, &p->publication, on_deletion_publication);
}

void deletions_resume(Engine *engine)
{
        ConnectorEntry *c, *next;

        HASH_ITER(hh, engine->connectors, c, next)
                deletion_begin(c);
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
        deletion_begin(userdata);
        return 0;
}

/* What is left of the items in the history goes first: where only that comes to the disk, all is done once more. */
static int record_deletion(ConnectorEntry *c)
{
        const RunRequest request = { .trigger = RUN_TRIGGER_RECONNECT };
        Engine *engine = c->published.engine;
        EngineRun *run;
        int r;

        r = store_put_cursor(engine->store, c->name, NULL);
        if (r >= 0)
                r = store_put_forget_answers(engine->store, c->name);
        if (r < 0)
                return r;
        c->record.deleting = false;
        scheduler_update(c, SCHEDULE_RUN_CHANGED);
        connector_save(c, 0);
        /* It is the withdrawal that kept it from running: somebody has reconnected meanwhile. */
        if (!connector_may_run(c))
                return 0;
        follow_up_meet(c, &request);
        return run_begin(c, &request, &run);
}

void deletion_ended(Engine *engine, const char *connector, const TaskExit *how)
{
        ConnectorEntry *c = NULL;
        int r;

        HASH_FIND_STR(engine->connectors, connector, c);
        if (!c || !c->record.deleting || engine->broken < 0)
                return;
        deletion_log(c->name, how->result == RECONNECT_SUCCESS ? NULL : how->reason);
        if (how->result == RECONNECT_SUCCESS)
                r = record_deletion(c);
        else
                r = engine_set_timer(engine, &c->deletion_timer, CLOCK_MONOTONIC,
                                     usec_add(engine_now(engine, CLOCK_MONOTONIC), DELETION_RETRY_USEC), USEC_PER_SEC,
                                     on_retry, c);
        if (r < 0)
                engine_break(engine, r);
}
