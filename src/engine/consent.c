/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Withdrawing a consent: its connectors run no more, and where that is asked for, what they stored is deleted. */

#include <stdlib.h>

#include "base/log.h"
#include "engine/connection-state.h"
#include "engine/connector-table.h"
#include "engine/deletion.h"
#include "engine/follow-up.h"
#include "engine/lifecycle.h"
#include "engine/publication.h"
#include "engine/reconnect.h"
#include "engine/retry.h"
#include "engine/scheduler.h"

/* Nothing of it goes on, and nothing that waited comes. */
static void withdraw_connector(ConnectorEntry *c, const WithdrawWish *wish)
{
        ConnectorRecord *record = &c->record;

        retry_forget(record);
        follow_up_forget(&record->follow_up);
        follow_up_forget(&record->resync);
        /* Whatever the destination is now: it may have been a file of ours before. What a program has stored is the
         * program's. */
        if (wish->delete_items && c->definition->exec_pull)
                record->deleting = true;
        if (c->run && run_cancel(c->run, wish->requested_by) < 0)
                log_debug("Run %s of %s ends by itself.", c->run->id, c->name);
        scheduler_update(c, SCHEDULE_RUN_CHANGED);
        connector_save(c, 0);
        deletion_begin(c);
}

static int withdraw(ConnectionEntry *connection, const WithdrawWish *wish)
{
        _cleanup_free_ char *reason = asprintf_or_null("Withdrawn by %s.", strna(wish->requested_by));
        int r;

        if (!reason)
                return -ENOMEM;
        r = connection_set_state(connection, CONNECTION_WITHDRAWN, reason, NULL);
        if (r < 0)
                return r;
        connection->record.withdrawn = true;
        connection->record.consent_expires_usec = 0;
        return reconnect_program_abandon(connection);
}

int engine_withdraw_consent(Engine *engine, const char *name, const WithdrawWish *wish, EngineReply reply,
                            void *userdata)
{
        ConnectionEntry *connection = connection_table_find(engine, name);
        _cleanup_(reply_freep) Reply *answer = NULL;
        Connection seen;
        ConnectorEntry *c;
        int r;

        if (!connection || !connection_has_part(connection, wish->user_id))
                return -ENOLINK;
        r = engine_find_connection_of(engine, name, wish->user_id, &seen);
        if (r >= 0 && !seen.record)
                r = -EACCES;
        if (r >= 0)
                r = reply_new(engine, reply, userdata, &answer);
        if (r >= 0)
                r = withdraw(connection, wish);
        if (r < 0)
                return r;
        DL_FOREACH(connection->members, c)
                withdraw_connector(c, wish);
        reply_queue(engine, TAKE_PTR(answer), 0);
        return 0;
}
