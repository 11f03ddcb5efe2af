/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The SQL that makes each version of the history from the one before. Included by migrate.c alone.
 *
 * Words are those of the model's string tables (a test compares them); NULL is "none" or "not yet"; times are
 * microseconds of CLOCK_REALTIME. Lists go by (created_usec, row): every index of runs that ends in created_usec has
 * the row after it. */

static const char schema_v1[] =
        "PRAGMA application_id = 0x73796e63;"

        /* last_seq: highest number of an event that was deleted. recoveries: writes that tried whether the disk works
         * again. */
        "CREATE TABLE meta ("
        "  name  TEXT PRIMARY KEY,"
        "  value INTEGER NOT NULL"
        ") STRICT, WITHOUT ROWID;"
        "INSERT INTO meta VALUES ('last_seq', 0), ('recoveries', 0);"

        /* n_ended and n_failed count the finished runs from outside that are kept: failed and partial, and all
         * others. */
        "CREATE TABLE users ("
        "  key             INTEGER PRIMARY KEY,"
        "  id              TEXT NOT NULL UNIQUE,"
        "  first_seen_usec INTEGER NOT NULL,"
        "  n_runs          INTEGER NOT NULL DEFAULT 0,"
        "  last_run_usec   INTEGER,"
        "  n_ended         INTEGER NOT NULL DEFAULT 0,"
        "  n_failed        INTEGER NOT NULL DEFAULT 0"
        ") STRICT;"

        /* n_ended and n_failed as above, of the connector's own runs. */
        "CREATE TABLE connectors ("
        "  key                  INTEGER PRIMARY KEY,"
        "  name                 TEXT NOT NULL UNIQUE,"
        "  id                   TEXT NOT NULL UNIQUE,"
        "  first_seen_usec      INTEGER,"
        "  active_override      INTEGER NOT NULL DEFAULT -1 CHECK (active_override IN (-1, 0, 1)),"
        "  last_elapse_usec     INTEGER,"
        "  last_finished_usec   INTEGER,"
        "  last_run_id          TEXT,"
        "  last_outcome         TEXT CHECK (last_outcome IN"
        "                         ('succeeded', 'partial', 'failed', 'cancelled', 'skipped')),"
        "  consecutive_failures INTEGER NOT NULL DEFAULT 0,"
        "  retry_at_usec        INTEGER,"
        "  retry_attempt        INTEGER NOT NULL DEFAULT 0,"
        "  retry_of             TEXT,"
        "  pending              INTEGER NOT NULL DEFAULT 0 CHECK (pending IN (0, 1)),"
        "  pending_full_resync  INTEGER NOT NULL DEFAULT 0 CHECK (pending_full_resync IN (0, 1)),"
        "  pending_trigger      TEXT CHECK (pending_trigger IN"
        "                         ('schedule', 'manual', 'retry', 'catch-up', 'reconnect', 'remote')),"
        "  pending_requested_by TEXT,"
        "  pending_reason       TEXT,"
        "  resyncing            INTEGER NOT NULL DEFAULT 0 CHECK (resyncing IN (0, 1)),"
        "  attention_category   TEXT CHECK (attention_category IN"
        "                         ('destination_auth_expired', 'connection_lost', 'consent_expired',"
        "                          'consent_withdrawn', 'configuration_error', 'destination_deleted', 'data_error')),"
        "  attention_message    TEXT,"
        "  attention_since_usec INTEGER,"
        "  attention_run_id     TEXT,"
        "  n_ended              INTEGER NOT NULL DEFAULT 0,"
        "  n_failed             INTEGER NOT NULL DEFAULT 0"
        ") STRICT;"

        "CREATE TABLE cursors ("
        "  connector INTEGER PRIMARY KEY REFERENCES connectors (key),"
        "  cursor    TEXT NOT NULL"
        ") STRICT;"

        "CREATE TABLE runs ("
        "  row               INTEGER PRIMARY KEY,"
        "  id                TEXT NOT NULL UNIQUE,"
        "  connector         INTEGER REFERENCES connectors (key),"
        "  user              INTEGER REFERENCES users (key),"
        "  provider          TEXT NOT NULL,"
        "  source            TEXT NOT NULL CHECK (source IN"
        "                      ('pull', 'webhook', 'sdk', 'backfill', 'xml_import', 'linked_account')),"
        "  trigger           TEXT NOT NULL CHECK (trigger IN"
        "                      ('schedule', 'manual', 'retry', 'catch-up', 'reconnect', 'remote')),"
        "  requested_by      TEXT,"
        "  reason            TEXT,"
        "  full_resync       INTEGER NOT NULL CHECK (full_resync IN (0, 1)),"
        "  only_accounts     TEXT,"
        "  attempt           INTEGER NOT NULL CHECK (attempt >= 1),"
        "  retry_of          TEXT,"
        "  created_usec      INTEGER NOT NULL,"
        "  state             TEXT NOT NULL CHECK (state IN ('queued', 'starting', 'running', 'stopping', 'finished')),"
        "  outcome           TEXT CHECK (outcome IN ('succeeded', 'partial', 'failed', 'cancelled', 'skipped')),"
        "  finished_usec     INTEGER,"
        "  stage             TEXT NOT NULL CHECK (stage IN ('queued', 'started', 'fetching', 'processing', 'saving',"
        "                                                   'completed', 'failed', 'cancelled')),"
        "  primary_user_id   TEXT,"
        "  message           TEXT,"
        "  progress          REAL CHECK (progress BETWEEN 0 AND 1),"
        "  items_processed   INTEGER,"
        "  items_total       INTEGER,"
        "  discovered        INTEGER NOT NULL,"
        "  added             INTEGER NOT NULL,"
        "  updated           INTEGER NOT NULL,"
        "  deduped           INTEGER NOT NULL,"
        "  error             TEXT,"
        "  category          TEXT CHECK (category IN"
        "                      ('destination_auth_expired', 'connection_lost', 'consent_expired',"
        "                       'consent_withdrawn', 'configuration_error', 'destination_deleted', 'data_error')),"
        "  metadata          TEXT,"
        "  started_usec      INTEGER,"
        "  updated_usec      INTEGER,"
        "  last_seq          INTEGER NOT NULL,"
        "  report_sequence   INTEGER NOT NULL,"
        "  invocation_id     TEXT,"
        "  worker_pid        INTEGER NOT NULL,"
        "  worker_start_ticks INTEGER NOT NULL,"
        "  cpu_usec          INTEGER,"
        "  memory_peak_bytes INTEGER,"
        "  io_read_bytes     INTEGER,"
        "  io_write_bytes    INTEGER,"
        /* An outcome comes with the way to stopping or finished, and a finished run has one and the time of its
         * end. */
        "  CHECK (CASE state WHEN 'finished' THEN outcome IS NOT NULL AND finished_usec IS NOT NULL"
        "                    WHEN 'stopping' THEN true"
        "                    ELSE outcome IS NULL END)"
        ") STRICT;"

        /* At most one active run of a connector (B10). Runs from outside have none, and NULLs differ. */
        "CREATE UNIQUE INDEX runs_one_active ON runs (connector) WHERE state <> 'finished';"
        "CREATE INDEX runs_active ON runs (created_usec) WHERE state <> 'finished';"
        "CREATE INDEX runs_by_time ON runs (created_usec);"
        "CREATE INDEX runs_by_connector ON runs (connector, created_usec);"
        "CREATE INDEX runs_by_user ON runs (user, created_usec);"
        "CREATE INDEX runs_by_provider ON runs (provider, created_usec);"
        "CREATE INDEX runs_by_source ON runs (source, created_usec);"
        "CREATE INDEX runs_by_outcome ON runs (outcome, created_usec);"

        /* run_transition_is_legal(), and an outcome is set once. */
        "CREATE TRIGGER runs_transition BEFORE UPDATE OF state ON runs"
        "  WHEN NEW.state <> OLD.state AND OLD.state || ' ' || NEW.state NOT IN"
        "    ('queued starting', 'queued running', 'queued finished', 'starting running', 'starting stopping',"
        "     'starting finished', 'running stopping', 'running finished', 'stopping finished')"
        "    OR OLD.outcome <> ifnull(NEW.outcome, '')"
        "  BEGIN SELECT raise(ABORT, 'not a legal transition'); END;"

        "CREATE TRIGGER runs_added AFTER INSERT ON runs BEGIN"
        "  UPDATE users SET n_runs = n_runs + 1,"
        "                   last_run_usec = max(ifnull(last_run_usec, 0), NEW.created_usec) WHERE key = NEW.user;"
        "  UPDATE connectors SET n_failed = n_failed + (NEW.outcome IN ('failed', 'partial')),"
        "                        n_ended = n_ended + (NEW.outcome NOT IN ('failed', 'partial'))"
        "    WHERE NEW.state = 'finished' AND key = NEW.connector;"
        "  UPDATE users SET n_failed = n_failed + (NEW.outcome IN ('failed', 'partial')),"
        "                   n_ended = n_ended + (NEW.outcome NOT IN ('failed', 'partial'))"
        "    WHERE NEW.state = 'finished' AND NEW.connector IS NULL AND key = NEW.user;"
        " END;"

        "CREATE TRIGGER runs_ended AFTER UPDATE OF state ON runs"
        "  WHEN NEW.state = 'finished' AND OLD.state <> 'finished' BEGIN"
        "  UPDATE connectors SET n_failed = n_failed + (NEW.outcome IN ('failed', 'partial')),"
        "                        n_ended = n_ended + (NEW.outcome NOT IN ('failed', 'partial'))"
        "    WHERE key = NEW.connector;"
        "  UPDATE users SET n_failed = n_failed + (NEW.outcome IN ('failed', 'partial')),"
        "                   n_ended = n_ended + (NEW.outcome NOT IN ('failed', 'partial'))"
        "    WHERE NEW.connector IS NULL AND key = NEW.user;"
        " END;"

        "CREATE TRIGGER runs_removed AFTER DELETE ON runs BEGIN"
        "  UPDATE users SET n_runs = n_runs - 1 WHERE key = OLD.user;"
        "  UPDATE connectors SET n_failed = n_failed - (OLD.outcome IN ('failed', 'partial')),"
        "                        n_ended = n_ended - (OLD.outcome NOT IN ('failed', 'partial'))"
        "    WHERE OLD.state = 'finished' AND key = OLD.connector;"
        "  UPDATE users SET n_failed = n_failed - (OLD.outcome IN ('failed', 'partial')),"
        "                   n_ended = n_ended - (OLD.outcome NOT IN ('failed', 'partial'))"
        "    WHERE OLD.state = 'finished' AND OLD.connector IS NULL AND key = OLD.user;"
        " END;"

        "CREATE TABLE accounts ("
        "  key           INTEGER PRIMARY KEY,"
        "  run           INTEGER NOT NULL REFERENCES runs (row) ON DELETE CASCADE,"
        "  name          TEXT NOT NULL,"
        "  status        TEXT NOT NULL CHECK (status IN ('running', 'success', 'failed', 'no_data')),"
        "  discovered    INTEGER NOT NULL,"
        "  added         INTEGER NOT NULL,"
        "  updated       INTEGER NOT NULL,"
        "  deduped       INTEGER NOT NULL,"
        "  error         TEXT,"
        "  category      TEXT CHECK (category IN"
        "                  ('destination_auth_expired', 'connection_lost', 'consent_expired',"
        "                   'consent_withdrawn', 'configuration_error', 'destination_deleted', 'data_error')),"
        "  started_usec  INTEGER,"
        "  finished_usec INTEGER,"
        "  UNIQUE (run, name)"
        ") STRICT;"

        /* A run's events are deleted before it. */
        "CREATE TABLE events ("
        "  seq       INTEGER PRIMARY KEY,"
        "  run       INTEGER NOT NULL REFERENCES runs (row),"
        "  user      INTEGER REFERENCES users (key),"
        "  time_usec INTEGER NOT NULL,"
        "  json      TEXT NOT NULL"
        ") STRICT;"
        "CREATE INDEX events_by_run ON events (run);"
        "CREATE INDEX events_by_user ON events (user);";

static const char schema_v2[] =
        /* Keys that hold; one that is revoked is deleted. One column for each scope; user NULL: sees all. */
        "CREATE TABLE api_keys ("
        "  key            INTEGER PRIMARY KEY,"
        "  name           TEXT NOT NULL UNIQUE,"
        "  hash           BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),"
        "  user           INTEGER REFERENCES users (key),"
        "  may_read       INTEGER NOT NULL CHECK (may_read IN (0, 1)),"
        "  may_write      INTEGER NOT NULL CHECK (may_write IN (0, 1)),"
        "  may_admin      INTEGER NOT NULL CHECK (may_admin IN (0, 1)),"
        "  created_usec   INTEGER NOT NULL,"
        "  created_by     TEXT,"
        "  last_used_usec INTEGER,"
        "  CHECK (may_read + may_write + may_admin > 0)"
        ") STRICT;";

static const char schema_v3[] =
        /* types: words with blanks between them, "" for all. disabled: why; NULL while it is enabled. */
        "CREATE TABLE webhook_endpoints ("
        "  key           INTEGER PRIMARY KEY,"
        "  id            TEXT NOT NULL UNIQUE,"
        "  url           TEXT NOT NULL,"
        "  description   TEXT,"
        "  types         TEXT NOT NULL,"
        "  user_id       TEXT,"
        "  disabled      TEXT CHECK (disabled IN ('by-hand', 'failing', 'gone')),"
        "  disabled_usec INTEGER,"
        "  failing_usec  INTEGER,"
        "  created_usec  INTEGER NOT NULL,"
        "  updated_usec  INTEGER NOT NULL"
        ") STRICT;"

        /* expires_usec: NULL for the current one. */
        "CREATE TABLE webhook_secrets ("
        "  key          INTEGER PRIMARY KEY,"
        "  endpoint     INTEGER NOT NULL REFERENCES webhook_endpoints (key) ON DELETE CASCADE,"
        "  secret       TEXT NOT NULL,"
        "  expires_usec INTEGER"
        ") STRICT;"
        "CREATE INDEX webhook_secrets_by_endpoint ON webhook_secrets (endpoint);"

        /* A run makes at most one message of each type. Messages are deleted oldest first, so that their keys have no
         * gaps. */
        "CREATE TABLE webhook_messages ("
        "  key          INTEGER PRIMARY KEY,"
        "  id           TEXT NOT NULL UNIQUE,"
        "  type         TEXT NOT NULL CHECK (type IN ('sync.started', 'sync.completed', 'sync.failed',"
        "                 'sync.cancelled', 'sync.needs_attention', 'sync.recovered', 'webhook.test')),"
        "  user_id      TEXT,"
        "  run_id       TEXT,"
        "  created_usec INTEGER NOT NULL,"
        "  body         TEXT NOT NULL,"
        "  UNIQUE (run_id, type)"
        ") STRICT;"

        /* A message on its way to an endpoint. Those of one lane (a run; NULL: none) go one after the other: at most
         * one is pending, the rest wait. n_attempts counts since it was asked for last. */
        "CREATE TABLE webhook_deliveries ("
        "  key        INTEGER PRIMARY KEY,"
        "  message    INTEGER NOT NULL REFERENCES webhook_messages (key) ON DELETE CASCADE,"
        "  endpoint   INTEGER NOT NULL REFERENCES webhook_endpoints (key) ON DELETE CASCADE,"
        "  lane       TEXT,"
        "  state      TEXT NOT NULL CHECK (state IN ('waiting', 'pending', 'succeeded', 'failed', 'held')),"
        "  due_usec   INTEGER,"
        "  n_attempts INTEGER NOT NULL DEFAULT 0,"
        "  manual     INTEGER NOT NULL DEFAULT 0 CHECK (manual IN (0, 1)),"
        "  UNIQUE (message, endpoint),"
        "  CHECK ((state = 'pending') = (due_usec IS NOT NULL))"
        ") STRICT;"
        "CREATE INDEX webhook_deliveries_due ON webhook_deliveries (endpoint, due_usec) WHERE state = 'pending';"
        "CREATE INDEX webhook_deliveries_by_lane ON webhook_deliveries (endpoint, lane)"
        "  WHERE state IN ('waiting', 'pending');"
        "CREATE INDEX webhook_deliveries_by_endpoint ON webhook_deliveries (endpoint, message);"

        /* The next of a lane, when the one before it has been sent, given up or deleted. */
        "CREATE TRIGGER webhook_deliveries_ended AFTER UPDATE OF state ON webhook_deliveries"
        "  WHEN OLD.state = 'pending' AND NEW.state <> 'pending' BEGIN"
        "  UPDATE webhook_deliveries SET state = 'pending', due_usec = OLD.due_usec WHERE key ="
        "    (SELECT min(key) FROM webhook_deliveries WHERE endpoint = OLD.endpoint AND lane = OLD.lane"
        "      AND state = 'waiting' AND state IN ('waiting', 'pending'))"
        "    AND NOT EXISTS (SELECT 1 FROM webhook_deliveries WHERE endpoint = OLD.endpoint AND lane = OLD.lane"
        "      AND state = 'pending' AND state IN ('waiting', 'pending'));"
        " END;"
        "CREATE TRIGGER webhook_deliveries_removed AFTER DELETE ON webhook_deliveries"
        "  WHEN OLD.state = 'pending' BEGIN"
        "  UPDATE webhook_deliveries SET state = 'pending', due_usec = OLD.due_usec WHERE key ="
        "    (SELECT min(key) FROM webhook_deliveries WHERE endpoint = OLD.endpoint AND lane = OLD.lane"
        "      AND state = 'waiting' AND state IN ('waiting', 'pending'))"
        "    AND NOT EXISTS (SELECT 1 FROM webhook_deliveries WHERE endpoint = OLD.endpoint AND lane = OLD.lane"
        "      AND state = 'pending' AND state IN ('waiting', 'pending'));"
        " END;"

        "CREATE TABLE webhook_attempts ("
        "  key           INTEGER PRIMARY KEY,"
        "  id            TEXT NOT NULL UNIQUE,"
        "  delivery      INTEGER NOT NULL REFERENCES webhook_deliveries (key) ON DELETE CASCADE,"
        "  endpoint      INTEGER NOT NULL,"
        "  url           TEXT NOT NULL,"
        "  succeeded     INTEGER NOT NULL CHECK (succeeded IN (0, 1)),"
        "  manual        INTEGER NOT NULL CHECK (manual IN (0, 1)),"
        "  http_status   INTEGER NOT NULL,"
        "  started_usec  INTEGER NOT NULL,"
        "  duration_usec INTEGER NOT NULL,"
        "  error         TEXT,"
        "  answer        TEXT"
        ") STRICT;"
        "CREATE INDEX webhook_attempts_by_delivery ON webhook_attempts (delivery);"
        "CREATE INDEX webhook_attempts_by_endpoint ON webhook_attempts (endpoint);";

static const char schema_v4[] = "ALTER TABLE connectors ADD COLUMN pending_accounts TEXT;";

/* Whose a connector's last run and attention are. */
static const char schema_v5[] =
        "ALTER TABLE connectors ADD COLUMN user_id TEXT;"
        "UPDATE connectors SET user_id = (SELECT users.id FROM runs JOIN users ON users.key = runs.user"
        "                                 WHERE runs.id = connectors.last_run_id);";

static const char schema_v6[] =
        /* disabled_by_service: after so many runs in a row whose destination took nothing (destination_failures). */
        "ALTER TABLE connectors ADD COLUMN destination_failures INTEGER NOT NULL DEFAULT 0;"
        "ALTER TABLE connectors ADD COLUMN disabled_by_service INTEGER NOT NULL DEFAULT 0"
        "  CHECK (disabled_by_service IN (0, 1));"

        /* What is done in steps, a transaction each: removed: to be deleted, and seen by nobody; holding: what is on
         * its way is to be held; recover_after: messages behind this key, made at recover_since_usec or later, are to
         * be sent again; NULL: none. */
        "ALTER TABLE webhook_endpoints ADD COLUMN removed INTEGER NOT NULL DEFAULT 0 CHECK (removed IN (0, 1));"
        "ALTER TABLE webhook_endpoints ADD COLUMN holding INTEGER NOT NULL DEFAULT 0 CHECK (holding IN (0, 1));"
        "ALTER TABLE webhook_endpoints ADD COLUMN recover_after INTEGER;"
        "ALTER TABLE webhook_endpoints ADD COLUMN recover_since_usec INTEGER;"

        /* A run makes at most one message of each type; ids of runs from outside may come again when the run that had
         * one is forgotten, and the time tells the two apart. */
        "CREATE TABLE webhook_messages_v6 ("
        "  key              INTEGER PRIMARY KEY,"
        "  id               TEXT NOT NULL UNIQUE,"
        "  type             TEXT NOT NULL CHECK (type IN ('sync.started', 'sync.completed', 'sync.failed',"
        "                     'sync.cancelled', 'sync.needs_attention', 'sync.recovered', 'webhook.test')),"
        "  user_id          TEXT,"
        "  run_id           TEXT,"
        "  run_created_usec INTEGER,"
        "  connector        INTEGER REFERENCES connectors (key),"
        "  created_usec     INTEGER NOT NULL,"
        "  body             TEXT NOT NULL,"
        "  UNIQUE (run_id, run_created_usec, type)"
        ") STRICT;"
        "INSERT INTO webhook_messages_v6 SELECT m.key, m.id, m.type, m.user_id, m.run_id, r.created_usec, r.connector,"
        "  m.created_usec, m.body FROM webhook_messages AS m LEFT JOIN runs AS r ON r.id = m.run_id;"

        /* Keys are never given twice: what comes of a request may be told when its delivery has gone. generation: how
         * often it was asked for anew; what comes of a request of an earlier one changes nothing. */
        "CREATE TABLE webhook_deliveries_v6 ("
        "  key        INTEGER PRIMARY KEY AUTOINCREMENT,"
        "  message    INTEGER NOT NULL REFERENCES webhook_messages_v6 (key) ON DELETE CASCADE,"
        "  endpoint   INTEGER NOT NULL REFERENCES webhook_endpoints (key) ON DELETE CASCADE,"
        "  lane       TEXT,"
        "  state      TEXT NOT NULL CHECK (state IN ('waiting', 'pending', 'succeeded', 'failed', 'held')),"
        "  due_usec   INTEGER,"
        "  n_attempts INTEGER NOT NULL DEFAULT 0,"
        "  manual     INTEGER NOT NULL DEFAULT 0 CHECK (manual IN (0, 1)),"
        "  generation INTEGER NOT NULL DEFAULT 0,"
        "  UNIQUE (message, endpoint),"
        "  CHECK ((state = 'pending') = (due_usec IS NOT NULL))"
        ") STRICT;"
        "INSERT INTO webhook_deliveries_v6 SELECT key, message, endpoint, lane, state, due_usec, n_attempts, manual, 0"
        "  FROM webhook_deliveries;"

        /* retry: how many attempts there were before it. */
        "CREATE TABLE webhook_attempts_v6 ("
        "  key           INTEGER PRIMARY KEY,"
        "  id            TEXT NOT NULL UNIQUE,"
        "  delivery      INTEGER NOT NULL REFERENCES webhook_deliveries_v6 (key) ON DELETE CASCADE,"
        "  endpoint      INTEGER NOT NULL,"
        "  connector     INTEGER,"
        "  url           TEXT NOT NULL,"
        "  succeeded     INTEGER NOT NULL CHECK (succeeded IN (0, 1)),"
        "  manual        INTEGER NOT NULL CHECK (manual IN (0, 1)),"
        "  http_status   INTEGER NOT NULL,"
        "  started_usec  INTEGER NOT NULL,"
        "  duration_usec INTEGER NOT NULL,"
        "  retry         INTEGER NOT NULL,"
        "  error         TEXT,"
        "  answer        TEXT"
        ") STRICT;"
        "INSERT INTO webhook_attempts_v6 SELECT a.key, a.id, a.delivery, a.endpoint, m.connector, a.url, a.succeeded,"
        "  a.manual, a.http_status, a.started_usec, a.duration_usec,"
        "  (SELECT count(*) FROM webhook_attempts AS b WHERE b.delivery = a.delivery AND b.key < a.key),"
        "  a.error, a.answer"
        "  FROM webhook_attempts AS a JOIN webhook_deliveries AS d ON d.key = a.delivery"
        "  JOIN webhook_messages_v6 AS m ON m.key = d.message;"

        "DROP TABLE webhook_attempts;"
        "DROP TABLE webhook_deliveries;"
        "DROP TABLE webhook_messages;"
        "ALTER TABLE webhook_messages_v6 RENAME TO webhook_messages;"
        "ALTER TABLE webhook_deliveries_v6 RENAME TO webhook_deliveries;"
        "ALTER TABLE webhook_attempts_v6 RENAME TO webhook_attempts;"

        "CREATE INDEX webhook_deliveries_due ON webhook_deliveries (endpoint, due_usec) WHERE state = 'pending';"
        "CREATE INDEX webhook_deliveries_by_lane ON webhook_deliveries (endpoint, lane)"
        "  WHERE state IN ('waiting', 'pending');"
        "CREATE INDEX webhook_deliveries_by_endpoint ON webhook_deliveries (endpoint, message);"
        "CREATE INDEX webhook_attempts_by_delivery ON webhook_attempts (delivery);"
        "CREATE INDEX webhook_attempts_by_endpoint ON webhook_attempts (endpoint);"
        "CREATE INDEX webhook_attempts_by_connector ON webhook_attempts (connector) WHERE connector IS NOT NULL;"

        /* The next of a lane, when the one before it has been sent, given up or deleted. */
        "CREATE TRIGGER webhook_deliveries_ended AFTER UPDATE OF state ON webhook_deliveries"
        "  WHEN OLD.state = 'pending' AND NEW.state <> 'pending' BEGIN"
        "  UPDATE webhook_deliveries SET state = 'pending', due_usec = OLD.due_usec WHERE key ="
        "    (SELECT min(key) FROM webhook_deliveries WHERE endpoint = OLD.endpoint AND lane = OLD.lane"
        "      AND state = 'waiting' AND state IN ('waiting', 'pending'))"
        "    AND NOT EXISTS (SELECT 1 FROM webhook_deliveries WHERE endpoint = OLD.endpoint AND lane = OLD.lane"
        "      AND state = 'pending' AND state IN ('waiting', 'pending'));"
        " END;"
        "CREATE TRIGGER webhook_deliveries_removed AFTER DELETE ON webhook_deliveries"
        "  WHEN OLD.state = 'pending' BEGIN"
        "  UPDATE webhook_deliveries SET state = 'pending', due_usec = OLD.due_usec WHERE key ="
        "    (SELECT min(key) FROM webhook_deliveries WHERE endpoint = OLD.endpoint AND lane = OLD.lane"
        "      AND state = 'waiting' AND state IN ('waiting', 'pending'))"
        "    AND NOT EXISTS (SELECT 1 FROM webhook_deliveries WHERE endpoint = OLD.endpoint AND lane = OLD.lane"
        "      AND state = 'pending' AND state IN ('waiting', 'pending'));"
        " END;"

        /* Requests by which connectors of Type=webhook have sent their records. */
        "CREATE TABLE record_attempts ("
        "  key           INTEGER PRIMARY KEY,"
        "  id            TEXT NOT NULL UNIQUE,"
        "  connector     INTEGER NOT NULL REFERENCES connectors (key),"
        "  run_id        TEXT NOT NULL,"
        "  type          TEXT NOT NULL,"
        "  url           TEXT NOT NULL,"
        "  succeeded     INTEGER NOT NULL CHECK (succeeded IN (0, 1)),"
        "  http_status   INTEGER NOT NULL,"
        "  started_usec  INTEGER NOT NULL,"
        "  duration_usec INTEGER NOT NULL,"
        "  retry         INTEGER NOT NULL,"
        "  records       INTEGER NOT NULL,"
        "  error         TEXT,"
        "  answer        TEXT"
        ") STRICT;"
        "CREATE INDEX record_attempts_by_connector ON record_attempts (connector);";

static const char schema_v7[] =
        /* A full resync that was asked for beside an active run is wanted for itself, with its accounts and words, and
         * what is owed of one is a debt of certain accounts (NULL: all). Of one that is owed already it is not known
         * whose it was. */
        "ALTER TABLE connectors ADD COLUMN resync_pending INTEGER NOT NULL DEFAULT 0"
        "  CHECK (resync_pending IN (0, 1));"
        "ALTER TABLE connectors ADD COLUMN resync_trigger TEXT CHECK (resync_trigger IN"
        "  ('schedule', 'manual', 'retry', 'catch-up', 'reconnect', 'remote'));"
        "ALTER TABLE connectors ADD COLUMN resync_requested_by TEXT;"
        "ALTER TABLE connectors ADD COLUMN resync_reason TEXT;"
        "ALTER TABLE connectors ADD COLUMN resync_accounts TEXT;"
        "ALTER TABLE connectors ADD COLUMN owes_resync INTEGER NOT NULL DEFAULT 0 CHECK (owes_resync IN (0, 1));"
        "ALTER TABLE connectors ADD COLUMN owed_accounts TEXT;"
        "UPDATE connectors SET owes_resync = 1 WHERE resyncing OR (pending_full_resync AND NOT pending);"
        "UPDATE connectors SET pending = 0, resync_pending = 1,"
        "    resync_trigger = pending_trigger, pending_trigger = NULL,"
        "    resync_requested_by = pending_requested_by, pending_requested_by = NULL,"
        "    resync_reason = pending_reason, pending_reason = NULL,"
        "    resync_accounts = pending_accounts, pending_accounts = NULL"
        "  WHERE pending AND pending_full_resync;"
        "ALTER TABLE connectors DROP COLUMN pending_full_resync;"

        /* When it is due next, with the random delay that was drawn. */
        "ALTER TABLE connectors ADD COLUMN planned_elapse_usec INTEGER;"
        "ALTER TABLE connectors ADD COLUMN planned_due_usec INTEGER;"
        "ALTER TABLE connectors ADD COLUMN planned_missed INTEGER NOT NULL DEFAULT 0 CHECK (planned_missed IN (0, 1));"

        /* Runs that were skipped are counted for themselves, no longer with those that ended well. */
        "ALTER TABLE connectors ADD COLUMN n_skipped INTEGER NOT NULL DEFAULT 0;"
        "ALTER TABLE users ADD COLUMN n_skipped INTEGER NOT NULL DEFAULT 0;"
        "UPDATE connectors SET n_skipped = skips.n, n_ended = n_ended - skips.n FROM"
        "    (SELECT connector, count(*) AS n FROM runs WHERE outcome = 'skipped' AND state = 'finished'"
        "     GROUP BY connector) AS skips"
        "  WHERE key = skips.connector;"
        "UPDATE users SET n_skipped = skips.n, n_ended = n_ended - skips.n FROM"
        "    (SELECT user, count(*) AS n FROM runs WHERE outcome = 'skipped' AND state = 'finished'"
        "     AND connector IS NULL GROUP BY user) AS skips"
        "  WHERE key = skips.user;"
        "DROP TRIGGER runs_added;"
        "DROP TRIGGER runs_ended;"
        "DROP TRIGGER runs_removed;"
        "CREATE TRIGGER runs_added AFTER INSERT ON runs BEGIN"
        "  UPDATE users SET n_runs = n_runs + 1,"
        "                   last_run_usec = max(ifnull(last_run_usec, 0), NEW.created_usec) WHERE key = NEW.user;"
        "  UPDATE connectors SET n_failed = n_failed + (NEW.outcome IN ('failed', 'partial')),"
        "                        n_skipped = n_skipped + (NEW.outcome = 'skipped'),"
        "                        n_ended = n_ended + (NEW.outcome NOT IN ('failed', 'partial', 'skipped'))"
        "    WHERE NEW.state = 'finished' AND key = NEW.connector;"
        "  UPDATE users SET n_failed = n_failed + (NEW.outcome IN ('failed', 'partial')),"
        "                   n_skipped = n_skipped + (NEW.outcome = 'skipped'),"
        "                   n_ended = n_ended + (NEW.outcome NOT IN ('failed', 'partial', 'skipped'))"
        "    WHERE NEW.state = 'finished' AND NEW.connector IS NULL AND key = NEW.user;"
        " END;"
        "CREATE TRIGGER runs_ended AFTER UPDATE OF state ON runs"
        "  WHEN NEW.state = 'finished' AND OLD.state <> 'finished' BEGIN"
        "  UPDATE connectors SET n_failed = n_failed + (NEW.outcome IN ('failed', 'partial')),"
        "                        n_skipped = n_skipped + (NEW.outcome = 'skipped'),"
        "                        n_ended = n_ended + (NEW.outcome NOT IN ('failed', 'partial', 'skipped'))"
        "    WHERE key = NEW.connector;"
        "  UPDATE users SET n_failed = n_failed + (NEW.outcome IN ('failed', 'partial')),"
        "                   n_skipped = n_skipped + (NEW.outcome = 'skipped'),"
        "                   n_ended = n_ended + (NEW.outcome NOT IN ('failed', 'partial', 'skipped'))"
        "    WHERE NEW.connector IS NULL AND key = NEW.user;"
        " END;"
        "CREATE TRIGGER runs_removed AFTER DELETE ON runs BEGIN"
        "  UPDATE users SET n_runs = n_runs - 1 WHERE key = OLD.user;"
        "  UPDATE connectors SET n_failed = n_failed - (OLD.outcome IN ('failed', 'partial')),"
        "                        n_skipped = n_skipped - (OLD.outcome = 'skipped'),"
        "                        n_ended = n_ended - (OLD.outcome NOT IN ('failed', 'partial', 'skipped'))"
        "    WHERE OLD.state = 'finished' AND key = OLD.connector;"
        "  UPDATE users SET n_failed = n_failed - (OLD.outcome IN ('failed', 'partial')),"
        "                   n_skipped = n_skipped - (OLD.outcome = 'skipped'),"
        "                   n_ended = n_ended - (OLD.outcome NOT IN ('failed', 'partial', 'skipped'))"
        "    WHERE OLD.state = 'finished' AND OLD.connector IS NULL AND key = OLD.user;"
        " END;";

/* state is what runs and people said last; shown is that, or what the consent's end makes of it, as told last. */
static const char schema_v8[] =
        "CREATE TABLE connections ("
        "  key                    INTEGER PRIMARY KEY,"
        "  name                   TEXT NOT NULL UNIQUE,"
        "  state                  TEXT NOT NULL CHECK (state IN ('active', 'lost', 'expired', 'withdrawn')),"
        "  shown                  TEXT NOT NULL CHECK (shown IN"
        "                           ('active', 'expiring', 'lost', 'expired', 'withdrawn')),"
        "  reason                 TEXT,"
        "  since_usec             INTEGER,"
        "  run_id                 TEXT,"
        "  consent_expires_usec   INTEGER,"
        "  reconnected_usec       INTEGER,"
        "  withdrawn              INTEGER NOT NULL CHECK (withdrawn IN (0, 1)),"
        "  reconnect_begun_usec   INTEGER,"
        "  reconnect_ended_usec   INTEGER,"
        "  reconnect_requested_by TEXT,"
        "  reconnect_result       TEXT CHECK (reconnect_result IN"
        "                           ('success', 'failed', 'timeout', 'cancelled', 'interrupted')),"
        "  reconnect_message      TEXT"
        ") STRICT;"
        "ALTER TABLE connectors ADD COLUMN deleting INTEGER NOT NULL DEFAULT 0 CHECK (deleting IN (0, 1));";

static const char schema_v9[] =
        /* The highest number of an event that was deleted, of each user (0: none), provider and connector ("": none;
         * by the event's metadata). lost_floor in meta: the highest of those of which it is not known whose they were,
         * because they were deleted before this table or there were too many kinds. */
        "CREATE TABLE lost_events ("
        "  user      INTEGER NOT NULL,"
        "  provider  TEXT NOT NULL,"
        "  connector TEXT NOT NULL,"
        "  seq       INTEGER NOT NULL,"
        "  PRIMARY KEY (user, provider, connector)"
        ") STRICT, WITHOUT ROWID;"
        "CREATE INDEX lost_events_by_provider ON lost_events (provider, seq);"
        "CREATE INDEX lost_events_by_connector ON lost_events (connector, seq);"
        "INSERT INTO meta SELECT 'lost_floor', value FROM meta WHERE name = 'last_seq';";

static const char schema_v10[] =
        /* hold_upto: deliveries with keys up to this are to be held; NULL: none. */
        "ALTER TABLE webhook_endpoints DROP COLUMN holding;"
        "ALTER TABLE webhook_endpoints ADD COLUMN hold_upto INTEGER;";

static const char schema_v11[] =
        /* Of the runs that have ended, for the limits of their kinds. */
        "CREATE INDEX runs_by_connector_kind ON runs (connector,"
        "    CASE outcome WHEN 'failed' THEN 1 WHEN 'partial' THEN 1 WHEN 'skipped' THEN 2 ELSE 0 END, created_usec)"
        "  WHERE state = 'finished' AND connector IS NOT NULL;"
        "CREATE INDEX runs_by_user_kind ON runs (user,"
        "    CASE outcome WHEN 'failed' THEN 1 WHEN 'partial' THEN 1 WHEN 'skipped' THEN 2 ELSE 0 END, created_usec)"
        "  WHERE state = 'finished' AND connector IS NULL;";

static const char schema_v12[] =
        /* history: which one this is, so that who has numbers of another's sees that they are. */
        "INSERT INTO meta VALUES ('history', random() & 9223372036854775807);";

/* Of the last failure since failing_usec. */
static const char schema_v13[] = "ALTER TABLE webhook_endpoints ADD COLUMN failed_usec INTEGER;";

static const char schema_v14[] =
        "ALTER TABLE connectors ADD COLUMN retry_is_absolute INTEGER NOT NULL DEFAULT 0"
        "  CHECK (retry_is_absolute IN (0, 1));";

static const char schema_v15[] =
        /* Of a run that is active: since when its time limit counts, on CLOCK_MONOTONIC of that boot. */
        "ALTER TABLE runs ADD COLUMN clock_boot_id TEXT;"
        "ALTER TABLE runs ADD COLUMN clock_usec INTEGER;";

static const char schema_v16[] =
        /* users: how many there are. */
        "INSERT INTO meta SELECT 'users', count(*) FROM users;"
        "CREATE TRIGGER users_added AFTER INSERT ON users"
        "  BEGIN UPDATE meta SET value = value + 1 WHERE name = 'users'; END;"
        "CREATE TRIGGER users_removed AFTER DELETE ON users"
        "  BEGIN UPDATE meta SET value = value - 1 WHERE name = 'users'; END;"
        "CREATE INDEX connectors_by_user ON connectors (user_id) WHERE user_id IS NOT NULL;"
        "CREATE INDEX api_keys_by_user ON api_keys (user) WHERE user IS NOT NULL;"
        "CREATE INDEX webhook_endpoints_by_user ON webhook_endpoints (user_id) WHERE user_id IS NOT NULL;";
