/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* As schema.h, from version 17 on. */

static const char schema_v17[] =
        /* Accounts are as of runs.only_accounts: what a retry that is promised is of, what attention is needed for,
         * and what has failed in each of consecutive_failures. */
        "ALTER TABLE connectors ADD COLUMN retry_accounts TEXT;"
        "ALTER TABLE connectors ADD COLUMN failing_accounts TEXT;"
        "ALTER TABLE connectors ADD COLUMN attention_accounts TEXT;"
        "UPDATE connectors SET retry_accounts = (SELECT only_accounts FROM runs WHERE id = connectors.retry_of)"
        "  WHERE retry_of IS NOT NULL;"
        "UPDATE connectors SET attention_accounts ="
        "    ifnull((SELECT json_group_array(accounts.name) FROM accounts JOIN runs ON runs.row = accounts.run"
        "            WHERE runs.id = attention_run_id AND accounts.status = 'failed' AND accounts.category IS NOT NULL"
        "            GROUP BY accounts.run),"
        "           (SELECT only_accounts FROM runs WHERE id = attention_run_id))"
        "  WHERE attention_category IS NOT NULL;"

        /* Of the run whose end is recorded while its worker has not ended yet: what it is, if it lasts, and whether it
         * was the machine that ended it. */
        "ALTER TABLE connectors ADD COLUMN lasting TEXT CHECK (lasting IN"
        "  ('destination_auth_expired', 'connection_lost', 'consent_expired', 'consent_withdrawn',"
        "   'configuration_error', 'destination_deleted', 'data_error'));"
        "ALTER TABLE connectors ADD COLUMN lost_with_machine INTEGER NOT NULL DEFAULT 0"
        "  CHECK (lost_with_machine IN (0, 1));"
        "UPDATE connectors SET lasting = 'connection_lost'"
        "  WHERE key IN (SELECT connector FROM runs WHERE state = 'stopping');";

static const char schema_v18[] =
        /* Runs that have ended, by their last event: written once, when they end. All that lists of them filter by is
         * in the index. */
        "CREATE INDEX runs_ended"
        "  ON runs (updated_usec, last_seq, connector, provider, source, outcome, state)"
        "  WHERE state = 'finished';"
        "CREATE INDEX runs_ended_by_user"
        "  ON runs (user, updated_usec, last_seq, connector, provider, source, outcome, state)"
        "  WHERE state = 'finished';";

static const char schema_v19[] =
        /* What tells of a connector's attention is of its lane, besides that of its run: what it was told last has to
         * be how it is. */
        "ALTER TABLE webhook_deliveries ADD COLUMN attention_lane INTEGER;"
        "UPDATE webhook_deliveries SET attention_lane = (SELECT connector FROM webhook_messages AS m"
        "    WHERE m.key = message AND m.type IN ('sync.needs_attention', 'sync.recovered'));";

/* When a delivery has been sent, given up, held or deleted: the next one of its lane, and of its attention_lane, where
 * nothing else of either is before it or has been let go. What is to be held is not let go any more. Of an
 * attention_lane there may be very many: each look at one is a single search. */
#define LET_NEXT_GO                                                                                                  \
        "  UPDATE webhook_deliveries SET state = 'pending', due_usec = ifnull(OLD.due_usec, 1)"                      \
        "    WHERE key IN ("                                                                                         \
        "      (SELECT min(key) FROM webhook_deliveries WHERE endpoint = OLD.endpoint"                               \
        "        AND lane = OLD.lane AND state = 'waiting' AND state IN ('waiting', 'pending')),"                    \
        "      (SELECT min(key) FROM webhook_deliveries WHERE endpoint = OLD.endpoint"                               \
        "        AND attention_lane = OLD.attention_lane"                                                            \
        "        AND state = 'waiting' AND state IN ('waiting', 'pending')))"                                        \
        "    AND key > (SELECT ifnull(hold_upto, 0) FROM webhook_endpoints AS e WHERE e.key = OLD.endpoint)"         \
        "    AND NOT EXISTS (SELECT 1 FROM webhook_deliveries AS other WHERE other.endpoint = OLD.endpoint"          \
        "      AND other.lane = webhook_deliveries.lane AND other.state IN ('waiting', 'pending')"                   \
        "      AND (other.key < webhook_deliveries.key OR other.state = 'pending'))"                                 \
        "    AND NOT EXISTS (SELECT 1 FROM webhook_deliveries AS other WHERE other.endpoint = OLD.endpoint"          \
        "      AND other.attention_lane = webhook_deliveries.attention_lane"                                         \
        "      AND other.state = 'pending' AND other.state IN ('waiting', 'pending'))"                               \
        "    AND NOT EXISTS (SELECT 1 FROM webhook_deliveries AS other WHERE other.endpoint = OLD.endpoint"          \
        "      AND other.attention_lane = webhook_deliveries.attention_lane"                                         \
        "      AND other.state = 'waiting' AND other.state IN ('waiting', 'pending')"                                \
        "      AND other.key < webhook_deliveries.key);"                                                             \
        " END;"

static const char schema_v20[] =
        /* Of attention lanes what is on its way, and what may be sent again. (Some histories of version 19 have an
         * index of all, and triggers that walk it.) */
        "DROP INDEX IF EXISTS webhook_deliveries_by_attention_lane;"
        "CREATE INDEX webhook_deliveries_by_attention_lane ON webhook_deliveries (endpoint, attention_lane, state)"
        "  WHERE attention_lane IS NOT NULL AND state IN ('waiting', 'pending');"
        "CREATE INDEX webhook_deliveries_kept_by_attention_lane ON webhook_deliveries"
        "    (endpoint, attention_lane, message)"
        "  WHERE attention_lane IS NOT NULL AND state IN ('failed', 'held');"
        "DROP TRIGGER webhook_deliveries_ended;"
        "DROP TRIGGER webhook_deliveries_removed;"
        "CREATE TRIGGER webhook_deliveries_ended AFTER UPDATE OF state ON webhook_deliveries"
        "  WHEN OLD.state IN ('waiting', 'pending') AND NEW.state NOT IN ('waiting', 'pending') BEGIN"
        LET_NEXT_GO
        "CREATE TRIGGER webhook_deliveries_removed AFTER DELETE ON webhook_deliveries"
        "  WHEN OLD.state IN ('waiting', 'pending') BEGIN"
        LET_NEXT_GO

        /* When it was last of use again, by whatever: what a run says that began before is of the time before. */
        "ALTER TABLE connections ADD COLUMN renewed_usec INTEGER;"
        "UPDATE connections SET renewed_usec = reconnected_usec;";
