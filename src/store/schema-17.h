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
