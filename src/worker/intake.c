/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See intake.h. One function a type of message, in a table. */

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/log.h"
#include "base/string-util.h"
#include "base/time-util.h"
#include "worker/intake.h"

/* So much of a bad line is shown in the log. */
#define BAD_LINE_SHOWN 200
#define BAD_FILE_SHOWN 200

static const char *const failure_type_table[_FAILURE_TYPE_MAX] = {
        [FAILURE_SYSTEM_ERROR] = "system_error",
        [FAILURE_CONFIG_ERROR] = "config_error",
        [FAILURE_TRANSIENT_ERROR] = "transient_error",
};
DEFINE_STRING_TABLE(failure_type, FailureType, _FAILURE_TYPE_MAX);

int intake_init(Intake *intake, const char *connector, char *const *key_properties)
{
        memset(intake, 0, offsetof(Intake, index));
        intake->index.known = (JsonSlice){};
        intake->connector = connector;
        ledger_init(&intake->ledger);
        intake->ledger.offset_usec = now_usec(CLOCK_REALTIME) - now_usec(CLOCK_MONOTONIC);
        intake->stage = _SYNC_STAGE_INVALID;
        intake->processed = intake->total = intake->estimate_sync = COUNT_UNKNOWN;
        intake->attention = _ATTENTION_INVALID;
        intake->failure = _FAILURE_TYPE_INVALID;
        return streams_init(&intake->streams, key_properties);
}

void intake_done(Intake *intake)
{
        ledger_done(&intake->ledger);
        streams_done(&intake->streams);
        cursor_done(&intake->seen);
        cursor_done(&intake->returned);
        state_trail_done(&intake->trail);
        free(intake->before_bad);
        free(intake->first_bad);
        free(intake->message);
        free(intake->attention_message);
        free(intake->trace_error);
        free(intake->stream_error);
        free(intake->fatal);
        intake->batch = batch_free(intake->batch);
        buffer_done(&intake->account_raw);
        buffer_done(&intake->text);
}

static void keep_cursor_before_bad(Intake *intake)
{
        Buffer text = {};

        cursor_append(&intake->seen, &text);
        if (buffer_take(&text, &intake->before_bad) < 0)
                log_debug("Without memory for the cursor, the next run begins further back.");
        else
                intake->before_bad_unsaved = intake->seen_changed;
}

void intake_bad_line(Intake *intake, JsonSlice head, const char *why)
{
        char text[BAD_LINE_SHOWN + BAD_FILE_SHOWN + 256], file[BAD_FILE_SHOWN + 8] = "";
        unsigned long long number = intake->n_lines;

        if (intake->batch) {
                (void) snprintf(file, sizeof(file), "%.*s: ", BAD_FILE_SHOWN, batch_file(intake->batch));
                number = batch_line(intake->batch);
        }
        if (intake->n_bad++ == 0)
                keep_cursor_before_bad(intake);
        if (!intake->first_bad)
                intake->first_bad = asprintf_or_null("%sline %llu: %s", file, number, why);
        (void) snprintf(text, sizeof(text), "%sLine %llu cannot be used (%s): %.*s", file, number, why,
                        (int) MIN(head.size, (size_t) BAD_LINE_SHOWN), head.data);
        log_relay_line(intake->relay, log_identifier(), 0, LOG_WARNING, text, strlen(text));
}

/* Replaces an owned text by a string slice, cut. Return: 0; -ENOMEM. */
static int set_text(char **text, JsonSlice slice, size_t limit_bytes)
{
        char *copy = NULL;
        int r = message_text(slice, limit_bytes, &copy);

        if (r < 0)
                return r;
        free(*text);
        *text = copy;
        return 0;
}

void intake_set_stage(Intake *intake, SyncStage stage)
{
        if (intake->stage == stage)
                return;
        intake->stage = stage;
        if (intake->n_untold == STAGES_UNTOLD_MAX)
                (void) intake_take_stage(intake);
        intake->untold[intake->n_untold++] = stage;
}

SyncStage intake_take_stage(Intake *intake)
{
        SyncStage stage = intake->untold[0];

        if (intake->n_untold == 0)
                return _SYNC_STAGE_INVALID;
        intake->n_untold--;
        memmove(intake->untold, intake->untold + 1, intake->n_untold * sizeof(*intake->untold));
        return stage;
}

/* A word of a table, matched in any case; _INVALID (-EINVAL) if it is none. */
static int word_of(JsonSlice slice, const char *(*to_string)(int value), int max)
{
        char word[64];

        if (slice.size == 0 || slice.size > sizeof(word))
                return -EINVAL;
        (void) json_string_decode(slice, word);
        for (int i = 0; i < max; i++)
                if (strcasecmp(word, to_string(i)) == 0)
                        return i;
        return -EINVAL;
}

static const char *stage_word(int value)
{
        return sync_stage_to_string(value);
}

static const char *category_word(int value)
{
        return attention_category_to_string(value);
}

static const char *failure_word(int value)
{
        return failure_type_to_string(value);
}

static bool word_is(JsonSlice slice, const char *word)
{
        char text[32];

        if (slice.size == 0 || slice.size > sizeof(text))
                return false;
        (void) json_string_decode(slice, text);
        return strcasecmp(text, word) == 0;
}

static int find_account(Intake *intake, JsonSlice name, LedgerAccount **ret)
{
        int r;

        if (name.size <= 2) {
                *ret = &intake->ledger.rest;
                return 0;
        }
        if (_likely_(intake->account && intake->account_raw.size == name.size &&
                     memcmp(intake->account_raw.data, name.data, name.size) == 0)) {
                *ret = intake->account;
                return 0;
        }
        buffer_reset(&intake->text);
        r = buffer_reserve(&intake->text, name.size);
        if (r < 0)
                return r;
        (void) json_string_decode(name, intake->text.data);
        r = ledger_account(&intake->ledger, intake->text.data, ret);
        if (r < 0)
                return r;
        buffer_reset(&intake->account_raw);
        buffer_append(&intake->account_raw, name.data, name.size);
        intake->account = intake->account_raw.failed ? NULL : *ret;
        return 0;
}

/* What is wrong with a message, for the caller to count; or what ends the run. */
static int refuse(Intake *intake, const char *why)
{
        return destination_error(intake->destination, -EBADMSG, "%s", why);
}

static int find_stream(Intake *intake, const Message *message, Stream **ret)
{
        int r = streams_get(&intake->streams, message->stream, message->namespace_, ret);

        return r == -E2BIG ? refuse(intake, "too many streams, or too long a name") : r;
}

static int handle_record(Intake *intake, const Message *message, JsonSlice line)
{
        DestinationRecord record = { .message = message, .index = &intake->index };
        int r;

        r = find_stream(intake, message, &record.stream);
        if (r >= 0)
                r = find_account(intake, message->account, &record.account);
        if (_unlikely_(r >= 0 && record.account != intake->ledger.heard && record.account->account.name))
                ledger_hear(&intake->ledger, record.account, now_usec(CLOCK_MONOTONIC));
        if (r >= 0)
                r = destination_line(intake->destination, line);
        return r < 0 ? r : destination_record(intake->destination, &record);
}

static int handle_schema(Intake *intake, const Message *message, JsonSlice line)
{
        Stream *stream;
        int r;

        r = find_stream(intake, message, &stream);
        if (r >= 0 && message->keys.size > 0) {
                r = stream_set_keys(stream, KEY_SOURCE_SCHEMA, message->keys);
                if (r == -EBADMSG || r == -E2BIG)
                        return refuse(intake, "key_properties is not a list of names, or too long a one");
        }
        if (r >= 0)
                r = destination_line(intake->destination, line);
        return r < 0 ? r : destination_schema(intake->destination, stream);
}

static int handle_state(Intake *intake, const Message *message, JsonSlice line)
{
        int r = cursor_apply(&intake->seen, message);

        if (r == -EBADMSG)
                return refuse(intake, "a state without what its type requires");
        if (r == -E2BIG) {
                intake->cursor_refused = true;
                return refuse(intake, "the state is larger than a cursor may be");
        }
        if (r < 0)
                return r;
        intake->seen_changed = true;
        if (intake->destination->ops->returns_states && message->dialect == MESSAGE_DIALECT_SINGER &&
            state_trail_add(&intake->trail, message->payload) < 0)
                return -ENOMEM;
        return destination_line(intake->destination, line);
}

static int handle_activate_version(Intake *intake, const Message *message, JsonSlice line)
{
        Stream *stream;
        int r;

        r = find_stream(intake, message, &stream);
        return r < 0 ? r : intake_activate_version(intake, stream, message->version, line);
}

static int handle_batch(Intake *intake, const Message *message, JsonSlice line)
{
        if (intake->destination->ops->line)
                return destination_line(intake->destination, line);
        return intake_begin_batch(intake, message);
}

static int handle_log(Intake *intake, const Message *message, JsonSlice line)
{
        static const struct {
                const char *word;
                int level;
        } levels[] = {
                { "FATAL", LOG_CRIT }, { "ERROR", LOG_ERR },   { "WARN", LOG_WARNING },
                { "INFO", LOG_INFO },  { "DEBUG", LOG_DEBUG }, { "TRACE", LOG_DEBUG },
        };
        _cleanup_free_ char *text = NULL;
        int level = LOG_INFO, r;

        r = message_text(message->text, LOG_LINE_MAX, &text);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(levels); i++)
                if (word_is(message->word, levels[i].word))
                        level = levels[i].level;
        log_relay_line(intake->relay, intake->connector, 0, level, text, strlen(text));
        if (level <= LOG_CRIT || (level == LOG_ERR && !intake->fatal_seen)) {
                intake->fatal_seen |= level <= LOG_CRIT;
                return set_text(&intake->fatal, message->text, ERROR_TEXT_MAX);
        }
        return 0;
}

static int handle_connection_status(Intake *intake, const Message *message, JsonSlice line)
{
        if (!word_is(message->word, "FAILED"))
                return 0;
        intake->failure = FAILURE_CONFIG_ERROR;
        if (message->text.size > 0)
                return set_text(&intake->trace_error, message->text, ERROR_TEXT_MAX);
        return free_and_strdup(&intake->trace_error, "the connection check has failed");
}

static int handle_catalog(Intake *intake, const Message *message, JsonSlice line)
{
        return streams_set_catalog(&intake->streams, message->payload);
}

static int handle_control(Intake *intake, const Message *message, JsonSlice line)
{
        JsonSlice value, config;
        JsonKind kind;

        if (!json_slice_find(message->payload, "type", NULL, &value) || !word_is(value, "CONNECTOR_CONFIG"))
                return 0;
        if (!json_slice_find(message->payload, "connectorConfig", NULL, &value) ||
            !json_slice_find(value, "config", &kind, &config) || kind != JSON_KIND_OBJECT)
                return refuse(intake, "connectorConfig.config is missing");
        intake->new_config = config;
        return 0;
}

static int handle_trace_error(Intake *intake, const Message *message)
{
        FailureType failure = word_of(message->word, failure_word, _FAILURE_TYPE_MAX);

        intake->failure = failure >= 0 ? failure : FAILURE_SYSTEM_ERROR;
        return set_text(message->stream.size > 0 ? &intake->stream_error : &intake->trace_error, message->text,
                        ERROR_TEXT_MAX);
}

static int handle_trace(Intake *intake, const Message *message, JsonSlice line)
{
        Stream *stream;
        int r;

        switch (message->trace) {
        case TRACE_ERROR:
                if (message->stream.size > 0) {
                        r = find_stream(intake, message, &stream);
                        if (r < 0)
                                return r;
                        stream->incomplete = true;
                }
                return handle_trace_error(intake, message);
        case TRACE_ESTIMATE:
                if (word_is(message->word, "SYNC"))
                        intake->estimate_sync = message->total;
                else if (message->stream.size > 0) {
                        r = find_stream(intake, message, &stream);
                        if (r < 0)
                                return r;
                        stream->estimate = message->total;
                }
                return 0;
        case TRACE_STREAM_STATUS:
                if (message->stream.size == 0) {
                        intake->retry_at_usec = MAX(intake->retry_at_usec, message->retry_at_usec);
                        return 0;
                }
                r = find_stream(intake, message, &stream);
                if (r < 0)
                        return r;
                stream->retry_at_usec = MAX(stream->retry_at_usec, message->retry_at_usec);
                if (word_is(message->word, "INCOMPLETE"))
                        stream->incomplete = true;
                else if (word_is(message->word, "COMPLETE")) {
                        stream->incomplete = false;
                        stream->retry_at_usec = 0; /* it has waited by itself */
                }
                return 0;
        default:
                return 0;
        }
}

static int handle_progress(Intake *intake, const Message *message, JsonSlice line)
{
        SyncStage stage = word_of(message->word, stage_word, _SYNC_STAGE_MAX);

        /* the other stages are the daemon's to give */
        if (stage == SYNC_STAGE_FETCHING || stage == SYNC_STAGE_PROCESSING || stage == SYNC_STAGE_SAVING)
                intake_set_stage(intake, stage);
        else if (message->word.size > 0)
                return refuse(intake, "stage is none of fetching, processing, saving");
        if (message->processed != COUNT_UNKNOWN)
                intake->processed = message->processed;
        if (message->total != COUNT_UNKNOWN)
                intake->total = message->total;
        return message->text.size > 0 ? set_text(&intake->message, message->text, MESSAGE_TEXT_MAX) : 0;
}

static int handle_account(Intake *intake, const Message *message, JsonSlice line)
{
        LedgerAccount *row;
        int r;

        r = find_account(intake, message->account, &row);
        if (r < 0)
                return r;
        if (!row->account.name)
                return refuse(intake, "too many accounts, or one without name");
        row->account.status = json_slice_is_string(message->word, "success")  ? ACCOUNT_SUCCESS
                              : json_slice_is_string(message->word, "failed") ? ACCOUNT_FAILED
                                                                              : ACCOUNT_NO_DATA;
        row->account.category = word_of(message->category, category_word, _ATTENTION_MAX);
        ledger_end(&intake->ledger, row, now_usec(CLOCK_MONOTONIC));
        r = set_text(&row->account.error, message->text, ERROR_TEXT_MAX);
        if (r >= 0 && message->category.size > 0 && row->account.category < 0)
                return refuse(intake, "there is no such category");
        return r;
}

static int handle_attention(Intake *intake, const Message *message, JsonSlice line)
{
        AttentionCategory category = word_of(message->category, category_word, _ATTENTION_MAX);

        if (category < 0)
                return refuse(intake, "there is no such category");
        intake->attention = category;
        return set_text(&intake->attention_message, message->text, ERROR_TEXT_MAX);
}

static int (*const handlers[_MESSAGE_TYPE_MAX])(Intake *intake, const Message *message, JsonSlice line) = {
        [MESSAGE_RECORD] = handle_record,
        [MESSAGE_SCHEMA] = handle_schema,
        [MESSAGE_STATE] = handle_state,
        [MESSAGE_ACTIVATE_VERSION] = handle_activate_version,
        [MESSAGE_BATCH] = handle_batch,
        [MESSAGE_LOG] = handle_log,
        [MESSAGE_CONNECTION_STATUS] = handle_connection_status,
        [MESSAGE_CATALOG] = handle_catalog,
        [MESSAGE_TRACE] = handle_trace,
        [MESSAGE_CONTROL] = handle_control,
        [MESSAGE_PROGRESS] = handle_progress,
        [MESSAGE_ACCOUNT] = handle_account,
        [MESSAGE_ATTENTION] = handle_attention,
        /* SPEC and DESTINATION_CATALOG describe, and say nothing about this run */
};

static bool is_blank(JsonSlice line)
{
        for (size_t i = 0; i < line.size; i++)
                if (line.data[i] != ' ' && line.data[i] != '\t' && line.data[i] != '\r')
                        return false;
        return true;
}

static int parse_line(Intake *intake, JsonSlice line, const char **ret_why, Message *ret)
{
        JsonSlice *known = &intake->index.known;
        int r;

        *known = destination_expected(intake->destination);
        r = message_parse(line, &intake->index, ret_why, ret);
        if (_unlikely_(r < 0 && known->size > 0)) {
                /* what is stored may have been edited by hand, and is no JSON then */
                *known = (JsonSlice){};
                r = message_parse(line, &intake->index, ret_why, ret);
        }
        *known = (JsonSlice){};
        return r;
}

int intake_line(Intake *intake, JsonSlice line)
{
        const char *why = NULL;
        Message message;
        int r;

        if (is_blank(line))
                return 0;
        intake->n_lines++;
        r = parse_line(intake, line, &why, &message);
        if (r < 0) {
                intake_bad_line(intake, line, why);
                intake_miss_items(intake, NULL);
                return 0;
        }
        intake->n_by_type[message.type]++;
        if (message.type == MESSAGE_UNKNOWN)
                intake->n_unknown++;
        if (!handlers[message.type])
                return 0;

        r = handlers[message.type](intake, &message, line);
        if (r == -EBADMSG) {
                intake_bad_line(intake, line, strna(intake->destination->error));
                intake_miss_items_of(intake, &message);
                (void) destination_error(intake->destination, 0, "%s", "");
                return 0;
        }
        return MIN(r, 0);
}

int intake_returned_state(Intake *intake, JsonSlice line)
{
        const char *why;
        Message message;
        int r;

        /* The pipeline's message that is being read, if one is, has been dealt with: its index is free. */
        r = message_parse(line, &intake->index, &why, &message);
        if (r >= 0 && message.type == MESSAGE_UNKNOWN) {
                r = state_trail_has(&intake->trail, line);
                if (r == 0)
                        return 0;
                message.dialect = MESSAGE_DIALECT_SINGER;
                message.payload = line;
        }
        if (r >= 0)
                r = cursor_apply(&intake->returned, &message);
        if (r < 0)
                return r == -EBADMSG ? 0 : r;
        intake->returned_changed = intake->has_returned = true;
        return 0;
}

int intake_told_counts(Intake *intake, const Message *message)
{
        LedgerAccount *row;
        int r;

        r = find_account(intake, message->account, &row);
        if (r < 0)
                return r;
        ledger_override(&intake->ledger, row, &message->counts);
        return 0;
}

int intake_take_cursor(Intake *intake, CursorScope scope, char **ret)
{
        bool confirmed = intake->destination->ops->returns_states, *changed;
        Buffer text = {};
        int r;

        if (confirmed && (scope & CURSOR_ALL_DURABLE)) {
                r = intake->has_returned ? cursor_equal(&intake->returned, &intake->seen) : 1;
                if (r < 0)
                        return r;
                confirmed = r == 0; /* the last word of a destination that has one */
        }
        changed = confirmed ? &intake->returned_changed : &intake->seen_changed;
        if (intake->n_bad > 0 && !(scope & CURSOR_OVER_BAD_LINES)) {
                /* Of what a destination confirms now, nobody knows on which side of the bad line it stood. */
                if (confirmed || !intake->before_bad_unsaved)
                        return 0;
                *ret = strdup(intake->before_bad);
                if (!*ret)
                        return -ENOMEM;
                intake->before_bad_unsaved = false;
                return 1;
        }
        if (!*changed)
                return 0;
        cursor_append(confirmed ? &intake->returned : &intake->seen, &text);
        r = buffer_take(&text, ret);
        if (r < 0)
                return r;
        *changed = false;
        return 1;
}

uint64_t intake_total(const Intake *intake)
{
        uint64_t sum = 0;
        bool any = false;

        if (intake->total != COUNT_UNKNOWN)
                return intake->total;
        if (intake->estimate_sync != COUNT_UNKNOWN)
                return intake->estimate_sync;
        for (const Stream *stream = intake->streams.by_name; stream; stream = stream->hh.next)
                if (stream->estimate != COUNT_UNKNOWN) {
                        sum = count_add(sum, stream->estimate);
                        any = true;
                }
        return any ? sum : COUNT_UNKNOWN;
}

usec_t intake_retry_at(const Intake *intake)
{
        usec_t usec = intake->retry_at_usec;

        for (const Stream *stream = intake->streams.by_name; stream; stream = stream->hh.next)
                usec = MAX(usec, stream->retry_at_usec);
        return usec;
}

size_t intake_incomplete(const Intake *intake, const char **ret_name)
{
        size_t n = 0;

        for (const Stream *stream = intake->streams.by_name; stream; stream = stream->hh.next)
                if (stream->incomplete) {
                        n++;
                        if (ret_name)
                                *ret_name = stream->name;
                }
        return n;
}
