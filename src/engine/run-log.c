/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "engine/run-log.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/log.h"
#include "base/names.h"
#include "model/delivery.h"

#define NUMBER_TEXT_MAX 24U
#define RUN_FIELDS_MAX  16U

typedef struct RunFields {
        LogField fields[RUN_FIELDS_MAX];
        size_t n;
        char discovered[NUMBER_TEXT_MAX];
        char added[NUMBER_TEXT_MAX];
        char updated[NUMBER_TEXT_MAX];
        char deduped[NUMBER_TEXT_MAX];
        char duration[NUMBER_TEXT_MAX];
} RunFields;

static void add(RunFields *f, const char *name, const char *value)
{
        if (value && f->n < RUN_FIELDS_MAX)
                f->fields[f->n++] = (LogField){ .name = name, .value = value };
}

static void add_number(RunFields *f, const char *name, uint64_t value, char buf[static NUMBER_TEXT_MAX])
{
        (void) snprintf(buf, NUMBER_TEXT_MAX, "%" PRIu64, value);
        add(f, name, buf);
}

static void describe_run(const Run *run, RunFields *f)
{
        f->n = 0;
        add(f, FIELD_RUN_ID, run->id);
        add(f, FIELD_CONNECTOR, run->connector);
        add(f, FIELD_PROVIDER, run->provider);
        add(f, FIELD_USER_ID, run->user_id);
        add(f, FIELD_SOURCE, run_source_to_string(run->source));
        add(f, FIELD_TRIGGER, run_trigger_to_string(run->trigger));
        add(f, FIELD_REQUESTED_BY, run->requested_by);
        add(f, FIELD_STAGE, sync_stage_to_string(run->stage));
        if (run->state != RUN_FINISHED)
                return;
        add(f, FIELD_OUTCOME, run_outcome_to_string(run->outcome));
        add(f, FIELD_CATEGORY, attention_category_to_string(run->category));
        add(f, FIELD_ERROR, run->error ?: run->outcome == RUN_PARTIAL ? run->message : NULL);
        add_number(f, FIELD_DISCOVERED, run->counts.discovered, f->discovered);
        add_number(f, FIELD_ADDED, run->counts.added, f->added);
        add_number(f, FIELD_UPDATED, run->counts.updated, f->updated);
        add_number(f, FIELD_DEDUPED, run->counts.deduped, f->deduped);
        if (run->started_usec > 0 && run->finished_usec >= run->started_usec)
                add_number(f, FIELD_DURATION, run->finished_usec - run->started_usec, f->duration);
}

/* Who a line is about: the connector, or the provider of a sync that runs elsewhere. */
static const char *subject(const Run *run)
{
        return run->connector ?: run->provider;
}

static void log_ended(const Run *run, RunLogEntry entry)
{
        static const struct {
                int level;
                const char *message_id;
        } by_outcome[_RUN_OUTCOME_MAX] = {
                [RUN_SUCCEEDED] = { LOG_INFO, MSG_RUN_SUCCEEDED }, [RUN_PARTIAL] = { LOG_WARNING, MSG_RUN_PARTIAL },
                [RUN_FAILED] = { LOG_ERR, MSG_RUN_FAILED },        [RUN_CANCELLED] = { LOG_INFO, MSG_RUN_CANCELLED },
                [RUN_SKIPPED] = { LOG_INFO, MSG_RUN_SKIPPED },
        };
        const char *text = run->outcome == RUN_FAILED && run->error ? run->error : strempty(run->message);
        RunFields f;

        if (run->outcome < 0 || run->outcome >= _RUN_OUTCOME_MAX)
                return;
        text = run->outcome == RUN_SKIPPED ? startswith(text, "Skipped: ") ?: text : text; /* it is said already */
        describe_run(run, &f);
        log_fields(by_outcome[run->outcome].level,
                   entry == RUN_LOG_LOST ? MSG_RUN_LOST : by_outcome[run->outcome].message_id, f.fields, f.n,
                   "%s: run %s %s%s%s", subject(run), run->id, run_outcome_to_string(run->outcome),
                   isempty(text) ? "" : ": ", text);
}

void run_log(const Run *run, RunLogEntry entry)
{
        RunFields f;

        switch (entry) {
        case RUN_LOG_QUEUED:
                describe_run(run, &f);
                log_fields(LOG_INFO, MSG_RUN_QUEUED, f.fields, f.n, "%s: run %s queued (%s%s)", subject(run), run->id,
                           run_trigger_to_string(run->trigger), run->full_resync ? ", full resync" : "");
                break;
        case RUN_LOG_STARTED:
                describe_run(run, &f);
                log_fields(LOG_INFO, MSG_RUN_STARTED, f.fields, f.n, "%s: run %s started", subject(run), run->id);
                break;
        case RUN_LOG_ENDED:
        case RUN_LOG_LOST:
                log_ended(run, entry);
                break;
        default:
                break;
        }
}

void run_log_far_retry(const Run *run, usec_t ahead_usec)
{
        char span[TIMESPAN_TEXT_MAX];
        RunFields f;

        describe_run(run, &f);
        log_fields(LOG_WARNING, NULL, f.fields, f.n,
                   "%s: run %s asks to be tried again only in %s, which is not believed: it is as its RetrySec= says",
                   subject(run), run->id, timespan_format(span, sizeof(span), ahead_usec, USEC_PER_HOUR));
}

void run_log_retry(const Run *run, const ConnectorRecord *record, usec_t now_usec)
{
        char span[TIMESPAN_TEXT_MAX];
        RunFields f;

        describe_run(run, &f);
        log_fields(LOG_INFO, MSG_RUN_RETRY, f.fields, f.n, "%s: run %s will be tried again in %s (attempt %u)",
                   subject(run), run->id,
                   timespan_format(span, sizeof(span), usec_sub(record->retry_at_usec, now_usec), 100 * USEC_PER_MSEC),
                   record->retry_attempt);
}

void run_log_retry_reviewed(const ConnectorDefinition *definition, const ConnectorRecord *record, usec_t now_usec)
{
        bool kept = record->retry_at_usec > 0;
        char span[TIMESPAN_TEXT_MAX];
        const LogField fields[] = {
                { FIELD_CONNECTOR, definition->name },
                { FIELD_RUN_ID, record->retry_of },
                { FIELD_PROVIDER, definition->provider },
                { FIELD_USER_ID, definition->user_id },
        };

        if (kept)
                log_fields(LOG_INFO, MSG_RUN_RETRY, fields, ELEMENTSOF(fields),
                           "%s: by its new settings run %s will be tried again in %s (attempt %u)", definition->name,
                           strempty(record->retry_of),
                           timespan_format(span, sizeof(span), usec_sub(record->retry_at_usec, now_usec),
                                           100 * USEC_PER_MSEC),
                           record->retry_attempt);
        else
                log_fields(LOG_NOTICE, MSG_RETRY_DROPPED, fields, ELEMENTSOF(fields),
                           "%s: run %s will not be tried again: RetryMax=%u leaves it no attempt", definition->name,
                           strempty(record->retry_of), definition->retry_max);
}

void attention_log(const Connector *connector)
{
        const Attention *attention = &connector->record.attention;
        const char *unconnected = connector->definition->connection ? NULL : connector->record.name;
        char advice[ATTENTION_ADVICE_MAX];
        const LogField fields[] = {
                { FIELD_CONNECTOR, connector->record.name },
                { FIELD_RUN_ID, attention->category >= 0 ? attention->run_id : connector->record.last_run_id },
                { FIELD_PROVIDER, connector->definition->provider },
                { FIELD_USER_ID, connector->definition->user_id },
                { FIELD_CATEGORY, attention_category_to_string(attention->category) },
                { FIELD_ERROR, attention->message },
        };

        if (attention->category >= 0)
                log_fields(LOG_WARNING, MSG_ATTENTION_RAISED, fields, ELEMENTSOF(fields), "%s needs attention: %s%s%s",
                           connector->record.name, attention_advice_for(advice, attention->category, unconnected),
                           isempty(attention->message) ? "" : " ", strempty(attention->message));
        else
                log_fields(LOG_INFO, MSG_ATTENTION_CLEARED, fields, ELEMENTSOF(fields), "%s no longer needs attention",
                           connector->record.name);
}

static void log_diagnostic(const char *field, const char *name, const Diagnostic *item)
{
        _cleanup_free_ char *text = diagnostic_format(item);
        char line[NUMBER_TEXT_MAX];
        const LogField fields[] = {
                { field, name },
                { FIELD_CONFIG_FILE, item->file },
                { FIELD_CONFIG_LINE, item->line > 0 ? line : NULL },
        };

        (void) snprintf(line, sizeof(line), "%u", item->line);
        if (text)
                log_fields(LOG_WARNING, MSG_CONFIG_WARNING, fields, ELEMENTSOF(fields), "%s", text);
}

void connector_log(const ConnectorDefinition *definition, const Diagnostics *d, bool is_news)
{
        const LogField fields[] = {
                { FIELD_CONNECTOR, definition->name },
                { FIELD_PROVIDER, definition->provider },
                { FIELD_USER_ID, definition->user_id },
                { FIELD_CONFIG_FILE, definition->path },
        };

        for (size_t i = 0; i < d->n_items; i++)
                if (d->items[i].severity == DIAGNOSTIC_WARNING)
                        log_diagnostic(FIELD_CONNECTOR, definition->name, &d->items[i]);
        if (definition->load_state == LOAD_LOADED) {
                if (is_news)
                        log_fields(LOG_INFO, MSG_CONNECTOR_LOADED, fields, ELEMENTSOF(fields), "%s: connector loaded",
                                   definition->name);
        } else
                log_fields(LOG_ERR, MSG_CONNECTOR_BAD, fields, ELEMENTSOF(fields), "%s: connector cannot run: %s",
                           definition->name, strempty(definition->load_error));
}

void connector_log_removed(const char *name)
{
        log_info("%s: connector removed", name);
}

void connection_log(const ConnectionDefinition *definition, const Diagnostics *d, bool is_news)
{
        const LogField fields[] = {
                { FIELD_CONNECTION, definition->name },
                { FIELD_PROVIDER, definition->provider },
                { FIELD_USER_ID, definition->user_id },
                { FIELD_CONFIG_FILE, definition->path },
        };

        for (size_t i = 0; i < d->n_items; i++)
                if (d->items[i].severity == DIAGNOSTIC_WARNING)
                        log_diagnostic(FIELD_CONNECTION, definition->name, &d->items[i]);
        if (definition->load_state != LOAD_LOADED)
                log_fields(LOG_ERR, MSG_CONNECTION_BAD, fields, ELEMENTSOF(fields),
                           "Connection %s: its file has an error: %s", definition->name,
                           strempty(definition->load_error));
        else if (is_news)
                log_fields(LOG_INFO, MSG_CONNECTION_LOADED, fields, ELEMENTSOF(fields), "Connection %s loaded",
                           definition->name);
}

void connection_log_state(Engine *engine, const char *name)
{
        Connection connection;

        if (engine_find_connection(engine, name, &connection) < 0)
                return;
        log_fields(connection.state == CONNECTION_ACTIVE ? LOG_INFO : LOG_WARNING, MSG_CONNECTION_STATE,
                   (const LogField[]){
                                   { FIELD_CONNECTION, name },
                                   { FIELD_CONNECTION_STATE, connection_state_to_string(connection.state) },
                                   { FIELD_RUN_ID, connection.record->run_id },
                                   { FIELD_ERROR, connection.reason },
                   },
                   4, "Connection %s is %s%s%s", name, connection_state_to_string(connection.state),
                   isempty(connection.reason) ? "" : ": ", strempty(connection.reason));
}

void connection_log_reconnect(const ConnectionRecord *record)
{
        const LogField fields[] = {
                { FIELD_CONNECTION, record->name },
                { FIELD_RESULT, reconnect_result_to_string(record->reconnect_result) },
                { FIELD_REQUESTED_BY, record->reconnect_requested_by },
                { FIELD_ERROR, record->reconnect_result == RECONNECT_SUCCESS ? NULL : record->reconnect_message },
        };

        log_fields(record->reconnect_result == RECONNECT_SUCCESS ? LOG_NOTICE : LOG_WARNING, MSG_RECONNECT_ENDED,
                   fields, ELEMENTSOF(fields), "Reconnecting %s: %s%s%s", record->name,
                   reconnect_result_to_string(record->reconnect_result),
                   isempty(record->reconnect_message) ? "" : ": ", strempty(record->reconnect_message));
}

void deletion_log(const char *connector, const char *why)
{
        const LogField fields[] = { { FIELD_CONNECTOR, connector }, { FIELD_ERROR, why } };

        if (why)
                log_fields(LOG_ERR, MSG_ITEMS_KEPT, fields, ELEMENTSOF(fields),
                           "%s: its items could not be deleted, and are tried again later: %s", connector, why);
        else
                log_fields(LOG_NOTICE, MSG_ITEMS_DELETED, fields, ELEMENTSOF(fields), "%s: its items were deleted",
                           connector);
}

void api_key_log(const ApiKey *key, const char *requested_by, bool added)
{
        const LogField fields[] = {
                { FIELD_KEY_NAME, key->name },
                { FIELD_USER_ID, key->user_id },
                { FIELD_REQUESTED_BY, requested_by },
        };

        log_fields(LOG_NOTICE, added ? MSG_KEY_ADDED : MSG_KEY_REVOKED, fields, ELEMENTSOF(fields),
                   "API key %s %s by %s", key->name, added ? "made" : "revoked", strna(requested_by));
}

/* Of its URL the origin alone: the rest may be a secret, and many may read the journal. */
void webhook_log_disabled(const WebhookEndpoint *endpoint)
{
        _cleanup_free_ char *origin = url_origin(endpoint->url);
        const LogField fields[] = {
                { FIELD_ENDPOINT, endpoint->id },
                { FIELD_ENDPOINT_URL, origin },
                { FIELD_USER_ID, endpoint->user_id },
        };

        log_fields(LOG_ERR, MSG_WEBHOOK_DISABLED, fields, ELEMENTSOF(fields), "Webhook endpoint %s is disabled: %s",
                   endpoint->id,
                   endpoint->disabled == WEBHOOK_DISABLED_GONE ? "it says that it is gone"
                                                               : "it has taken nothing for too long");
}

void webhook_log_attempt(const WebhookAttempt *attempt, WebhookAttemptNews news)
{
        _cleanup_free_ char *origin = url_origin(attempt->url);
        const LogField fields[] = {
                { FIELD_ENDPOINT, attempt->endpoint_id },
                { FIELD_ENDPOINT_URL, origin },
                { FIELD_ERROR, attempt->error },
        };
        const char *error = strempty(attempt->error);

        if (news & WEBHOOK_NEWS_FAILING)
                log_fields(LOG_WARNING, MSG_WEBHOOK_FAILING, fields, ELEMENTSOF(fields),
                           "Webhook endpoint %s has begun to fail: %s", attempt->endpoint_id, error);
        if (news & WEBHOOK_NEWS_WORKS)
                log_fields(LOG_NOTICE, MSG_WEBHOOK_WORKS, fields, ELEMENTSOF(fields),
                           "Webhook endpoint %s works again", attempt->endpoint_id);
        if (news & WEBHOOK_NEWS_GIVEN_UP)
                log_fields(LOG_WARNING, MSG_WEBHOOK_GIVEN_UP, fields, ELEMENTSOF(fields),
                           "Message %s to webhook endpoint %s is given up: %s", attempt->message_id,
                           attempt->endpoint_id, error);
        log_debug("Message %s to %s: %s", attempt->message_id, attempt->endpoint_id,
                  attempt->succeeded ? "taken" : attempt->error);
}

void webhook_log_lost(uint64_t n)
{
        char number[NUMBER_TEXT_MAX];
        const LogField fields[] = { { FIELD_LOST, number } };

        (void) snprintf(number, sizeof(number), "%" PRIu64, n);
        log_fields(LOG_WARNING, MSG_WEBHOOK_LOST, fields, ELEMENTSOF(fields),
                   "Webhook messages deleted before they were sent: %s. See MessagesMax= of syncrun.conf(5)", number);
}

static const char *advice(int error)
{
        switch (-error) {
        case ENOSPC:
                return "Make room on its disk; the service goes on by itself.";
        case EDQUOT:
                return "Make room on its disk, or raise the quota there; the service goes on by itself.";
        case EFBIG:
                return "Raise what limits a file's size, as LimitFSIZE=, or the disk does; the service goes on by "
                       "itself.";
        case EROFS:
                return "Mount its disk writable; the service goes on by itself.";
        case EUCLEAN:
                return "It is damaged: put a backup in its place, see BACKUP in syncrund(8).";
        case EIDRM:
                return "Nothing is recorded until it is back, or until a backup is put in its place, see BACKUP in "
                       "syncrund(8); 'systemctl restart syncrund' begins with an empty one.";
        case ESTALE:
                return "What was acknowledged is in the one that was there before. The service starts anew with the "
                       "one that is there now. See BACKUP in syncrund(8).";
        default:
                return "It is tried again every few seconds.";
        }
}

void files_log_unread(const char *folder, int error)
{
        static const char cure[] = " 'chmod o+rx' for it and those above it lets user " SYNCRUN_USER " read it.";

        log_fields(LOG_ERR, MSG_CONFIG_UNREAD, NULL, 0, "The configuration cannot be read: %s: %s.%s", folder,
                   strerror(-error), error == -EACCES ? cure : "");
}

void files_log_read_again(void)
{
        log_fields(LOG_NOTICE, MSG_CONFIG_READ, NULL, 0, "The configuration can be read again.");
}

void store_log_failed(int error)
{
        const char *id = error == -EIDRM || error == -ESTALE ? MSG_STORE_TAKEN : MSG_STORE_FAILED;

        log_fields(LOG_ERR, id, NULL, 0, "The history cannot be written: %s. %s", store_error_text(error),
                   advice(error));
}

void store_log_recovered(void)
{
        log_fields(LOG_NOTICE, MSG_STORE_RECOVERED, NULL, 0, "The history can be written again");
}

void store_log_new(const char *path)
{
        log_fields(LOG_NOTICE, MSG_STORE_NEW, NULL, 0, "There was no history: %s begins empty.", path);
}

/* ---- The clock */

void clock_log(int64_t step_usec, int64_t slept_usec)
{
        char span[TIMESPAN_TEXT_MAX];
        usec_t step = (usec_t) llabs(step_usec);

        if (slept_usec >= (int64_t) SCHEDULE_LATE_MAX_USEC) {
                (void) timespan_format(span, sizeof(span), (usec_t) slept_usec, USEC_PER_SEC);
                log_notice("The machine slept for %s: scheduled times that came meanwhile are made up for, where "
                           "Persistent=yes.",
                           span);
        }
        if (step < SCHEDULE_LATE_MAX_USEC)
                return;
        (void) timespan_format(span, sizeof(span), step, USEC_PER_SEC);
        if (step_usec < 0)
                log_notice("The clock was set back by %s: scheduled times that come once more are run once more.",
                           span);
        else
                log_notice("The clock was set forward by %s: scheduled times that it passed over are made up for, "
                           "where Persistent=yes.",
                           span);
}
