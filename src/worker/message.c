/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See message.h. One row a type; a row's function reads the members of its dialects. */

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/json-util.h"
#include "base/string-util.h"
#include "worker/message.h"

/* Type words are short; anything longer is unknown. */
#define TYPE_WORD_MAX 32U

typedef struct Reading {
        const JsonIndex *index;
        Message *message;
        const char *why;
} Reading;

static const char *const message_dialect_table[_MESSAGE_DIALECT_MAX] = {
        [MESSAGE_DIALECT_SINGER] = "singer",
        [MESSAGE_DIALECT_AIRBYTE] = "airbyte",
        [MESSAGE_DIALECT_OWN] = "syncrun",
};
DEFINE_STRING_TABLE(message_dialect, MessageDialect, _MESSAGE_DIALECT_MAX);

static const char *const message_type_table[_MESSAGE_TYPE_MAX] = {
        [MESSAGE_RECORD] = "RECORD",
        [MESSAGE_SCHEMA] = "SCHEMA",
        [MESSAGE_STATE] = "STATE",
        [MESSAGE_ACTIVATE_VERSION] = "ACTIVATE_VERSION",
        [MESSAGE_BATCH] = "BATCH",
        [MESSAGE_LOG] = "LOG",
        [MESSAGE_SPEC] = "SPEC",
        [MESSAGE_CONNECTION_STATUS] = "CONNECTION_STATUS",
        [MESSAGE_CATALOG] = "CATALOG",
        [MESSAGE_TRACE] = "TRACE",
        [MESSAGE_CONTROL] = "CONTROL",
        [MESSAGE_DESTINATION_CATALOG] = "DESTINATION_CATALOG",
        [MESSAGE_PROGRESS] = "PROGRESS",
        [MESSAGE_ACCOUNT] = "ACCOUNT",
        [MESSAGE_ATTENTION] = "ATTENTION",
        [MESSAGE_UNKNOWN] = "UNKNOWN",
};
DEFINE_STRING_TABLE(message_type, MessageType, _MESSAGE_TYPE_MAX);

static const char *const trace_type_table[_TRACE_TYPE_MAX] = {
        [TRACE_ERROR] = "ERROR",
        [TRACE_ESTIMATE] = "ESTIMATE",
        [TRACE_STREAM_STATUS] = "STREAM_STATUS",
        [TRACE_ANALYTICS] = "ANALYTICS",
        [TRACE_OTHER] = "OTHER",
};
DEFINE_STRING_TABLE(trace_type, TraceType, _TRACE_TYPE_MAX);

static int refuse(Reading *reading, const char *why)
{
        reading->why = why;
        return -EBADMSG;
}

/* Finds a member that is not null. Return: 1, 0, or -EBADMSG if it is of another kind than @kind. */
static int member(Reading *reading, uint32_t parent, const char *name, JsonKind kind, const char *why, JsonSlice *ret,
                  uint32_t *ret_member)
{
        JsonKind found;
        JsonSlice value;

        if (!json_index_find(reading->index, parent, name, &found, &value, ret_member) || found == JSON_KIND_NULL)
                return 0;
        if (found != kind)
                return refuse(reading, why);
        *ret = value;
        return 1;
}

/* A member of a member: by the index where that reaches, else by scanning. */
static int submember(Reading *reading, JsonSlice object, uint32_t parent, const char *name, JsonKind kind,
                     const char *why, JsonSlice *ret)
{
        JsonKind found;
        JsonSlice value;

        if (parent != JSON_PARENT_NONE)
                return member(reading, parent, name, kind, why, ret, NULL);
        if (!json_slice_find(object, name, &found, &value) || found == JSON_KIND_NULL)
                return 0;
        if (found != kind)
                return refuse(reading, why);
        *ret = value;
        return 1;
}

static int require(Reading *reading, int found, const char *why)
{
        return found == 0 ? refuse(reading, why) : found;
}

int json_slice_to_uint(JsonSlice value, uint64_t *ret)
{
        char text[64], *end;
        double number;

        if (value.size == 0 || value.size >= sizeof(text) || json_slice_kind(value) != JSON_KIND_NUMBER)
                return -EINVAL;
        memcpy(text, value.data, value.size);
        text[value.size] = 0;
        if (text[0] == '-')
                return -ERANGE;
        if (parse_uint64(text, ret) >= 0)
                return 0;

        number = strtod(text, &end);
        if (*end || !isfinite(number) || number != floor(number))
                return -EINVAL;
        if (number >= 9007199254740992.0) /* past 2^53 a double is no count */
                return -ERANGE;
        *ret = (uint64_t) number;
        return 0;
}

static int read_version(Reading *reading, bool required)
{
        JsonSlice value = {};
        char text[24], *end;
        int r = member(reading, JSON_PARENT_NONE, "version", JSON_KIND_NUMBER, "version is no number", &value, NULL);

        if (r < 0)
                return r;
        if (r == 0)
                return required ? refuse(reading, "version is missing") : 0;
        if (value.size >= sizeof(text))
                return refuse(reading, "version is out of range");
        memcpy(text, value.data, value.size);
        text[value.size] = 0;
        errno = 0;
        reading->message->version = strtoll(text, &end, 10);
        if (*end || errno != 0)
                return refuse(reading, "version is not a whole number in range");
        reading->message->has_version = true;
        return 1;
}

static int read_stream(Reading *reading)
{
        int r = member(reading, JSON_PARENT_NONE, "stream", JSON_KIND_STRING, "stream is no string",
                       &reading->message->stream, NULL);

        return require(reading, r, "stream is missing");
}

static int read_airbyte_record(Reading *reading, uint32_t record)
{
        Message *m = reading->message;
        int r;

        m->dialect = MESSAGE_DIALECT_AIRBYTE;
        JsonSlice object = m->payload;
        r = submember(reading, object, record, "stream", JSON_KIND_STRING, "record.stream is no string", &m->stream);
        r = require(reading, r, "record.stream is missing");
        if (r < 0)
                return r;
        r = submember(reading, object, record, "namespace", JSON_KIND_STRING, "record.namespace is no string",
                      &m->namespace_);
        if (r < 0)
                return r;
        if (record != JSON_PARENT_NONE)
                r = member(reading, record, "data", JSON_KIND_OBJECT, "record.data is no object", &m->payload,
                           &m->payload_member);
        else {
                m->payload_member = JSON_PARENT_NONE;
                r = submember(reading, object, record, "data", JSON_KIND_OBJECT, "record.data is no object", &m->payload);
        }
        return require(reading, r, "record.data is missing");
}

static int read_record(Reading *reading)
{
        Message *m = reading->message;
        uint32_t record = JSON_PARENT_NONE;
        int r;

        r = member(reading, JSON_PARENT_NONE, "record", JSON_KIND_OBJECT, "record is no object", &m->payload, &record);
        r = require(reading, r, "record is missing");
        if (r < 0)
                return r;
        r = member(reading, JSON_PARENT_NONE, "account", JSON_KIND_STRING, "account is no string", &m->account, NULL);
        if (r < 0)
                return r;
        if (!json_index_find(reading->index, JSON_PARENT_NONE, "stream", NULL, NULL, NULL))
                return read_airbyte_record(reading, record);

        m->payload_member = record;
        r = read_stream(reading);
        if (r < 0)
                return r;
        return read_version(reading, false);
}

static int read_schema(Reading *reading)
{
        Message *m = reading->message;
        int r;

        r = read_stream(reading);
        if (r < 0)
                return r;
        r = member(reading, JSON_PARENT_NONE, "schema", JSON_KIND_OBJECT, "schema is no object", &m->payload, NULL);
        r = require(reading, r, "schema is missing");
        if (r < 0)
                return r;
        /* required by the specification, left out by many taps that have no keys */
        return member(reading, JSON_PARENT_NONE, "key_properties", JSON_KIND_ARRAY, "key_properties is no list", &m->keys,
                      NULL);
}

static int read_state(Reading *reading)
{
        Message *m = reading->message;
        int r;

        if (json_index_find(reading->index, JSON_PARENT_NONE, "value", NULL, &m->payload, NULL))
                return 1;
        m->dialect = MESSAGE_DIALECT_AIRBYTE;
        r = member(reading, JSON_PARENT_NONE, "state", JSON_KIND_OBJECT, "state is no object", &m->payload,
                   &m->payload_member);
        return require(reading, r, "neither value nor state is there");
}

static int read_activate_version(Reading *reading)
{
        int r = read_stream(reading);

        return r < 0 ? r : read_version(reading, true);
}

static int read_batch(Reading *reading)
{
        Message *m = reading->message;
        JsonSlice encoding = {};
        uint32_t place = JSON_PARENT_NONE;
        int r;

        r = read_stream(reading);
        if (r < 0)
                return r;
        r = member(reading, JSON_PARENT_NONE, "manifest", JSON_KIND_ARRAY, "manifest is no list", &m->payload, NULL);
        r = require(reading, r, "manifest is missing");
        if (r < 0)
                return r;
        r = member(reading, JSON_PARENT_NONE, "encoding", JSON_KIND_OBJECT, "encoding is no object", &encoding, &place);
        r = require(reading, r, "encoding is missing");
        if (r < 0)
                return r;
        r = submember(reading, encoding, place, "format", JSON_KIND_STRING, "format is no string", &m->word);
        if (r < 0)
                return r;
        return submember(reading, encoding, place, "compression", JSON_KIND_STRING, "compression is no string",
                         &m->category);
}

/* The payload of the Airbyte messages that are one object under one key. */
static int read_payload(Reading *reading, const char *name, uint32_t *ret_place)
{
        int r = member(reading, JSON_PARENT_NONE, name, JSON_KIND_OBJECT, "the payload is no object",
                       &reading->message->payload, ret_place);

        reading->message->payload_member = *ret_place;
        return require(reading, r, "the payload is missing");
}

static int read_log(Reading *reading)
{
        Message *m = reading->message;
        uint32_t place = JSON_PARENT_NONE;
        int r = read_payload(reading, "log", &place);

        if (r < 0)
                return r;
        r = submember(reading, m->payload, place, "level", JSON_KIND_STRING, "log.level is no string", &m->word);
        if (r < 0)
                return r;
        r = submember(reading, m->payload, place, "message", JSON_KIND_STRING, "log.message is no string", &m->text);
        return require(reading, r, "log.message is missing");
}

static int read_connection_status(Reading *reading)
{
        Message *m = reading->message;
        uint32_t place = JSON_PARENT_NONE;
        int r = read_payload(reading, "connectionStatus", &place);

        if (r < 0)
                return r;
        r = submember(reading, m->payload, place, "status", JSON_KIND_STRING, "status is no string", &m->word);
        r = require(reading, r, "status is missing");
        if (r < 0)
                return r;
        return submember(reading, m->payload, place, "message", JSON_KIND_STRING, "message is no string", &m->text);
}

static int read_spec(Reading *reading)
{
        uint32_t place = JSON_PARENT_NONE;

        return read_payload(reading, "spec", &place);
}

static int read_catalog(Reading *reading)
{
        uint32_t place = JSON_PARENT_NONE;

        return read_payload(reading, "catalog", &place);
}

static int read_control(Reading *reading)
{
        uint32_t place = JSON_PARENT_NONE;

        return read_payload(reading, "control", &place);
}

static int read_destination_catalog(Reading *reading)
{
        uint32_t place = JSON_PARENT_NONE;

        return read_payload(reading, "destination_catalog", &place);
}

/* The stream that a trace is about; not all are about one. */
static int read_descriptor(Reading *reading, JsonSlice trace)
{
        Message *m = reading->message;
        JsonSlice descriptor = {};
        int r = submember(reading, trace, JSON_PARENT_NONE, "stream_descriptor", JSON_KIND_OBJECT,
                          "stream_descriptor is no object", &descriptor);

        if (r <= 0)
                return r;
        r = submember(reading, descriptor, JSON_PARENT_NONE, "name", JSON_KIND_STRING, "its name is no string",
                      &m->stream);
        if (r < 0)
                return r;
        return submember(reading, descriptor, JSON_PARENT_NONE, "namespace", JSON_KIND_STRING,
                         "its namespace is no string", &m->namespace_);
}

static int read_trace_error(Reading *reading, JsonSlice trace)
{
        Message *m = reading->message;
        int r;

        r = submember(reading, trace, JSON_PARENT_NONE, "message", JSON_KIND_STRING, "error.message is no string", &m->text);
        r = require(reading, r, "error.message is missing");
        if (r < 0)
                return r;
        r = submember(reading, trace, JSON_PARENT_NONE, "failure_type", JSON_KIND_STRING, "failure_type is no string",
                      &m->word);
        return r < 0 ? r : read_descriptor(reading, trace);
}

static int read_trace_estimate(Reading *reading, JsonSlice trace)
{
        Message *m = reading->message;
        JsonSlice rows = {};
        int r;

        r = submember(reading, trace, JSON_PARENT_NONE, "name", JSON_KIND_STRING, "estimate.name is no string", &m->stream);
        if (r < 0)
                return r;
        r = submember(reading, trace, JSON_PARENT_NONE, "namespace", JSON_KIND_STRING, "estimate.namespace is no string",
                      &m->namespace_);
        if (r < 0)
                return r;
        r = submember(reading, trace, JSON_PARENT_NONE, "type", JSON_KIND_STRING, "estimate.type is no string", &m->word);
        r = require(reading, r, "estimate.type is missing");
        if (r < 0)
                return r;
        r = submember(reading, trace, JSON_PARENT_NONE, "row_estimate", JSON_KIND_NUMBER, "row_estimate is no number", &rows);
        if (r > 0 && json_slice_to_uint(rows, &m->total) < 0)
                return refuse(reading, "row_estimate is no count");
        return r;
}

/* Which of the reasons is RATE_LIMITED and until when; the list is short and rare, so json-c reads it. */
static usec_t read_quota_reset(JsonSlice reasons)
{
        _cleanup_json_ struct json_object *list = NULL;
        usec_t latest = 0;

        if (json_parse(reasons.data, reasons.size, &list) < 0 || !json_object_is_type(list, json_type_array))
                return 0;
        for (size_t i = 0; i < json_object_array_length(list); i++) {
                struct json_object *reason = json_object_array_get_idx(list, i), *limit;
                uint64_t msec;
                const char *type;

                if (json_object_is_type(reason, json_type_object) && json_get_string(reason, "type", &type) > 0 &&
                    strcasecmp(type, "RATE_LIMITED") == 0 && json_get_object(reason, "rate_limited", &limit) > 0 &&
                    json_get_uint(limit, "quota_reset", &msec) > 0 && msec < UINT64_MAX / USEC_PER_MSEC / 2)
                        latest = MAX(latest, msec * USEC_PER_MSEC);
        }
        return latest;
}

static int read_trace_status(Reading *reading, JsonSlice trace)
{
        Message *m = reading->message;
        JsonSlice reasons = {};
        int r;

        r = submember(reading, trace, JSON_PARENT_NONE, "status", JSON_KIND_STRING, "stream_status.status is no string",
                      &m->word);
        r = require(reading, r, "stream_status.status is missing");
        if (r < 0)
                return r;
        r = submember(reading, trace, JSON_PARENT_NONE, "reasons", JSON_KIND_ARRAY, "reasons is no list", &reasons);
        if (r < 0)
                return r;
        if (r > 0)
                m->retry_at_usec = read_quota_reset(reasons);
        return read_descriptor(reading, trace);
}

static int read_trace(Reading *reading)
{
        static const struct {
                TraceType type;
                const char *name;
                int (*read)(Reading *reading, JsonSlice trace);
        } kinds[] = {
                { TRACE_ERROR, "error", read_trace_error },
                { TRACE_ESTIMATE, "estimate", read_trace_estimate },
                { TRACE_STREAM_STATUS, "stream_status", read_trace_status },
        };
        Message *m = reading->message;
        JsonSlice type = {}, trace = {};
        char word[TYPE_WORD_MAX + 1];
        uint32_t place = JSON_PARENT_NONE;
        int r = read_payload(reading, "trace", &place);

        if (r < 0)
                return r;
        r = submember(reading, m->payload, place, "type", JSON_KIND_STRING, "trace.type is no string", &type);
        r = require(reading, r, "trace.type is missing");
        if (r < 0)
                return r;

        m->trace = TRACE_OTHER;
        if (type.size > TYPE_WORD_MAX)
                return 0;
        (void) json_string_decode(type, word);
        if (strcasecmp(word, "ANALYTICS") == 0)
                m->trace = TRACE_ANALYTICS;
        for (size_t i = 0; i < ELEMENTSOF(kinds); i++)
                if (strcasecmp(word, trace_type_to_string(kinds[i].type)) == 0) {
                        m->trace = kinds[i].type;
                        r = submember(reading, m->payload, place, kinds[i].name, JSON_KIND_OBJECT,
                                      "the trace is no object", &trace);
                        r = require(reading, r, "the trace is missing");
                        return r < 0 ? r : kinds[i].read(reading, trace);
                }
        return 0;
}

static int read_count(Reading *reading, const char *name, uint64_t *ret)
{
        JsonSlice value = {};
        int r = member(reading, JSON_PARENT_NONE, name, JSON_KIND_NUMBER, "a count is no number", &value, NULL);

        if (r > 0 && json_slice_to_uint(value, ret) < 0)
                return refuse(reading, "a count is not a whole number from 0 on");
        return r;
}

static int read_progress(Reading *reading)
{
        Message *m = reading->message;
        const struct {
                const char *name;
                uint64_t *count;
        } counts[] = {
                { "processed", &m->processed }, { "total", &m->total },          { "added", &m->counts.added },
                { "updated", &m->counts.updated }, { "deduped", &m->counts.deduped },
        };
        int r;

        r = member(reading, JSON_PARENT_NONE, "stage", JSON_KIND_STRING, "stage is no string", &m->word, NULL);
        if (r < 0)
                return r;
        r = member(reading, JSON_PARENT_NONE, "message", JSON_KIND_STRING, "message is no string", &m->text, NULL);
        if (r < 0)
                return r;
        r = member(reading, JSON_PARENT_NONE, "account", JSON_KIND_STRING, "account is no string", &m->account, NULL);
        for (size_t i = 0; i < ELEMENTSOF(counts) && r >= 0; i++)
                r = read_count(reading, counts[i].name, counts[i].count);
        return r;
}

static int read_account(Reading *reading)
{
        Message *m = reading->message;
        int r;

        r = member(reading, JSON_PARENT_NONE, "account", JSON_KIND_STRING, "account is no string", &m->account, NULL);
        r = require(reading, r, "account is missing");
        if (r < 0)
                return r;
        r = member(reading, JSON_PARENT_NONE, "status", JSON_KIND_STRING, "status is no string", &m->word, NULL);
        r = require(reading, r, "status is missing");
        if (r < 0)
                return r;
        if (!json_slice_is_string(m->word, "success") && !json_slice_is_string(m->word, "failed") &&
            !json_slice_is_string(m->word, "no_data"))
                return refuse(reading, "status is none of success, failed, no_data");
        r = member(reading, JSON_PARENT_NONE, "error", JSON_KIND_STRING, "error is no string", &m->text, NULL);
        if (r < 0)
                return r;
        return member(reading, JSON_PARENT_NONE, "category", JSON_KIND_STRING, "category is no string", &m->category,
                      NULL);
}

static int read_attention(Reading *reading)
{
        Message *m = reading->message;
        int r;

        r = member(reading, JSON_PARENT_NONE, "category", JSON_KIND_STRING, "category is no string", &m->category, NULL);
        r = require(reading, r, "category is missing");
        if (r < 0)
                return r;
        return member(reading, JSON_PARENT_NONE, "message", JSON_KIND_STRING, "message is no string", &m->text, NULL);
}

/* The dialect is that of a type which only one has; RECORD and STATE correct it. */
static const struct {
        MessageDialect dialect;
        int (*read)(Reading *reading);
} readers[_MESSAGE_TYPE_MAX] = {
        [MESSAGE_RECORD] = { MESSAGE_DIALECT_SINGER, read_record },
        [MESSAGE_SCHEMA] = { MESSAGE_DIALECT_SINGER, read_schema },
        [MESSAGE_STATE] = { MESSAGE_DIALECT_SINGER, read_state },
        [MESSAGE_ACTIVATE_VERSION] = { MESSAGE_DIALECT_SINGER, read_activate_version },
        [MESSAGE_BATCH] = { MESSAGE_DIALECT_SINGER, read_batch },
        [MESSAGE_LOG] = { MESSAGE_DIALECT_AIRBYTE, read_log },
        [MESSAGE_SPEC] = { MESSAGE_DIALECT_AIRBYTE, read_spec },
        [MESSAGE_CONNECTION_STATUS] = { MESSAGE_DIALECT_AIRBYTE, read_connection_status },
        [MESSAGE_CATALOG] = { MESSAGE_DIALECT_AIRBYTE, read_catalog },
        [MESSAGE_TRACE] = { MESSAGE_DIALECT_AIRBYTE, read_trace },
        [MESSAGE_CONTROL] = { MESSAGE_DIALECT_AIRBYTE, read_control },
        [MESSAGE_DESTINATION_CATALOG] = { MESSAGE_DIALECT_AIRBYTE, read_destination_catalog },
        [MESSAGE_PROGRESS] = { MESSAGE_DIALECT_OWN, read_progress },
        [MESSAGE_ACCOUNT] = { MESSAGE_DIALECT_OWN, read_account },
        [MESSAGE_ATTENTION] = { MESSAGE_DIALECT_OWN, read_attention },
};

static MessageType type_of(JsonSlice value)
{
        char word[TYPE_WORD_MAX + 1];

        if (json_slice_is_string(value, "RECORD"))
                return MESSAGE_RECORD;
        if (value.size > TYPE_WORD_MAX)
                return MESSAGE_UNKNOWN;
        (void) json_string_decode(value, word);
        for (MessageType type = 0; type < MESSAGE_UNKNOWN; type++)
                if (strcasecmp(word, message_type_table[type]) == 0)
                        return type;
        return MESSAGE_UNKNOWN;
}

int message_parse(JsonSlice line, JsonIndex *index, const char **ret_why, Message *ret)
{
        Message message = {
                .type = MESSAGE_UNKNOWN,
                .dialect = _MESSAGE_DIALECT_INVALID,
                .payload_member = JSON_PARENT_NONE,
                .processed = COUNT_UNKNOWN,
                .total = COUNT_UNKNOWN,
                .counts = { .added = COUNT_UNKNOWN, .updated = COUNT_UNKNOWN, .deduped = COUNT_UNKNOWN },
                .trace = _TRACE_TYPE_INVALID,
        };
        Reading reading = { .index = index, .message = &message };
        JsonSlice type = {};
        JsonFault fault;
        int r;

        if (json_scan(line, JSON_DEPTH_MAX, index, &fault, NULL) < 0) {
                *ret_why = json_fault_to_string(fault);
                return -EBADMSG;
        }
        if (index->kind != JSON_KIND_OBJECT) {
                *ret_why = "not an object";
                return -EBADMSG;
        }
        r = member(&reading, JSON_PARENT_NONE, "type", JSON_KIND_STRING, "type is no string", &type, NULL);
        if (r > 0) {
                message.type = type_of(type);
                message.dialect = readers[message.type].dialect;
                if (readers[message.type].read)
                        r = readers[message.type].read(&reading);
                else
                        message.dialect = _MESSAGE_DIALECT_INVALID;
        }
        if (r < 0) {
                *ret_why = reading.why;
                return r;
        }
        *ret = message;
        return 0;
}

int message_text(JsonSlice slice, size_t limit_bytes, char **ret)
{
        char *decoded, *text;
        size_t size;

        if (slice.size == 0) {
                *ret = NULL;
                return 0;
        }
        decoded = malloc(slice.size + 1);
        if (!decoded)
                return -ENOMEM;
        size = json_string_decode(slice, decoded);
        text = utf8_sanitize(decoded, size, limit_bytes);
        free(decoded);
        if (!text)
                return -ENOMEM;
        *ret = text;
        return 0;
}
