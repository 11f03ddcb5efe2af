/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See message.h. One row a type; a row's function reads the members of its dialects. */

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/json-util.h"
#include "base/string-util.h"
#include "worker/message-internal.h"

static const char *const message_dialect_table[_MESSAGE_DIALECT_MAX] = {
        [MESSAGE_DIALECT_SINGER] = "singer",
        [MESSAGE_DIALECT_AIRBYTE] = "airbyte",
        [MESSAGE_DIALECT_OWN] = "syncrun",
};
DEFINE_STRING_TABLE(message_dialect, MessageDialect, _MESSAGE_DIALECT_MAX);

static const char *const message_type_table[_MESSAGE_TYPE_MAX] = {
        [MESSAGE_RECORD] = "RECORD",       [MESSAGE_SCHEMA] = "SCHEMA",
        [MESSAGE_STATE] = "STATE",         [MESSAGE_ACTIVATE_VERSION] = "ACTIVATE_VERSION",
        [MESSAGE_BATCH] = "BATCH",         [MESSAGE_LOG] = "LOG",
        [MESSAGE_SPEC] = "SPEC",           [MESSAGE_CONNECTION_STATUS] = "CONNECTION_STATUS",
        [MESSAGE_CATALOG] = "CATALOG",     [MESSAGE_TRACE] = "TRACE",
        [MESSAGE_CONTROL] = "CONTROL",     [MESSAGE_DESTINATION_CATALOG] = "DESTINATION_CATALOG",
        [MESSAGE_PROGRESS] = "PROGRESS",   [MESSAGE_ACCOUNT] = "ACCOUNT",
        [MESSAGE_ATTENTION] = "ATTENTION", [MESSAGE_UNKNOWN] = "UNKNOWN",
};
DEFINE_STRING_TABLE(message_type, MessageType, _MESSAGE_TYPE_MAX);

int message_refuse(Reading *reading, const char *why)
{
        reading->why = why;
        return -EBADMSG;
}

int message_member(Reading *reading, uint32_t parent, const char *name, JsonKind kind, const char *why, JsonSlice *ret,
                   uint32_t *ret_member)
{
        JsonKind found;
        JsonSlice value;

        if (!json_index_find(reading->index, parent, name, &found, &value, ret_member) || found == JSON_KIND_NULL)
                return 0;
        if (found != kind)
                return message_refuse(reading, why);
        *ret = value;
        return 1;
}

int message_submember(Reading *reading, JsonSlice object, uint32_t parent, const char *name, JsonKind kind,
                      const char *why, JsonSlice *ret)
{
        JsonKind found;
        JsonSlice value;

        if (parent != JSON_PARENT_NONE)
                return message_member(reading, parent, name, kind, why, ret, NULL);
        if (!json_slice_find(object, name, &found, &value) || found == JSON_KIND_NULL)
                return 0;
        if (found != kind)
                return message_refuse(reading, why);
        *ret = value;
        return 1;
}

int message_require(Reading *reading, int found, const char *why)
{
        return found == 0 ? message_refuse(reading, why) : found;
}

int json_slice_to_uint(JsonSlice value, uint64_t *ret)
{
        char text[64], *end;
        uint64_t whole;
        double number;

        if (value.size == 0 || value.size >= sizeof(text) || json_slice_kind(value) != JSON_KIND_NUMBER)
                return -EINVAL;
        memcpy(text, value.data, value.size);
        text[value.size] = 0;
        if (text[0] == '-')
                return -ERANGE;
        if (parse_uint64(text, &whole) >= 0) {
                if (whole > COUNT_MAX)
                        return -ERANGE;
                *ret = whole;
                return 0;
        }

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
        int r = message_member(reading, JSON_PARENT_NONE, "version", JSON_KIND_NUMBER, "version is no number", &value,
                               NULL);

        if (r < 0)
                return r;
        if (r == 0)
                return required ? message_refuse(reading, "version is missing") : 0;
        if (value.size >= sizeof(text))
                return message_refuse(reading, "version is out of range");
        memcpy(text, value.data, value.size);
        text[value.size] = 0;
        errno = 0;
        reading->message->version = strtoll(text, &end, 10);
        if (*end || errno != 0)
                return message_refuse(reading, "version is not a whole number in range");
        reading->message->has_version = true;
        return 1;
}

static int read_stream(Reading *reading)
{
        int r = message_member(reading, JSON_PARENT_NONE, "stream", JSON_KIND_STRING, "stream is no string",
                               &reading->message->stream, NULL);

        return message_require(reading, r, "stream is missing");
}

static int read_airbyte_record(Reading *reading, uint32_t record)
{
        Message *m = reading->message;
        int r;

        m->dialect = MESSAGE_DIALECT_AIRBYTE;
        JsonSlice object = m->payload;
        r = message_submember(reading, object, record, "stream", JSON_KIND_STRING, "record.stream is no string",
                              &m->stream);
        r = message_require(reading, r, "record.stream is missing");
        if (r < 0)
                return r;
        r = message_submember(reading, object, record, "namespace", JSON_KIND_STRING, "record.namespace is no string",
                              &m->namespace_);
        if (r < 0)
                return r;
        if (record != JSON_PARENT_NONE)
                r = message_member(reading, record, "data", JSON_KIND_OBJECT, "record.data is no object", &m->payload,
                                   &m->payload_member);
        else {
                m->payload_member = JSON_PARENT_NONE;
                r = message_submember(reading, object, record, "data", JSON_KIND_OBJECT, "record.data is no object",
                                      &m->payload);
        }
        return message_require(reading, r, "record.data is missing");
}

static int read_record(Reading *reading)
{
        Message *m = reading->message;
        uint32_t record = JSON_PARENT_NONE;
        int r;

        r = message_member(reading, JSON_PARENT_NONE, "record", JSON_KIND_OBJECT, "record is no object", &m->payload,
                           &record);
        r = message_require(reading, r, "record is missing");
        if (r < 0)
                return r;
        r = message_member(reading, JSON_PARENT_NONE, "account", JSON_KIND_STRING, "account is no string", &m->account,
                           NULL);
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
        r = message_member(reading, JSON_PARENT_NONE, "schema", JSON_KIND_OBJECT, "schema is no object", &m->payload,
                           NULL);
        r = message_require(reading, r, "schema is missing");
        if (r < 0)
                return r;
        /* required by the specification, left out by many taps that have no keys */
        return message_member(reading, JSON_PARENT_NONE, "key_properties", JSON_KIND_ARRAY,
                              "key_properties is no list", &m->keys, NULL);
}

static int read_state(Reading *reading)
{
        Message *m = reading->message;
        int r;

        if (json_index_find(reading->index, JSON_PARENT_NONE, "value", NULL, &m->payload, NULL))
                return 1;
        m->dialect = MESSAGE_DIALECT_AIRBYTE;
        r = message_member(reading, JSON_PARENT_NONE, "state", JSON_KIND_OBJECT, "state is no object", &m->payload,
                           &m->payload_member);
        return message_require(reading, r, "neither value nor state is there");
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
        r = message_member(reading, JSON_PARENT_NONE, "manifest", JSON_KIND_ARRAY, "manifest is no list", &m->payload,
                           NULL);
        r = message_require(reading, r, "manifest is missing");
        if (r < 0)
                return r;
        r = message_member(reading, JSON_PARENT_NONE, "encoding", JSON_KIND_OBJECT, "encoding is no object", &encoding,
                           &place);
        r = message_require(reading, r, "encoding is missing");
        if (r < 0)
                return r;
        r = message_submember(reading, encoding, place, "format", JSON_KIND_STRING, "format is no string", &m->word);
        if (r < 0)
                return r;
        return message_submember(reading, encoding, place, "compression", JSON_KIND_STRING, "compression is no string",
                                 &m->category);
}

int message_payload(Reading *reading, const char *name, uint32_t *ret_place)
{
        int r = message_member(reading, JSON_PARENT_NONE, name, JSON_KIND_OBJECT, "the payload is no object",
                               &reading->message->payload, ret_place);

        reading->message->payload_member = *ret_place;
        return message_require(reading, r, "the payload is missing");
}

static int read_log(Reading *reading)
{
        Message *m = reading->message;
        uint32_t place = JSON_PARENT_NONE;
        int r = message_payload(reading, "log", &place);

        if (r < 0)
                return r;
        r = message_submember(reading, m->payload, place, "level", JSON_KIND_STRING, "log.level is no string",
                              &m->word);
        if (r < 0)
                return r;
        r = message_submember(reading, m->payload, place, "message", JSON_KIND_STRING, "log.message is no string",
                              &m->text);
        return message_require(reading, r, "log.message is missing");
}

static int read_connection_status(Reading *reading)
{
        Message *m = reading->message;
        uint32_t place = JSON_PARENT_NONE;
        int r = message_payload(reading, "connectionStatus", &place);

        if (r < 0)
                return r;
        r = message_submember(reading, m->payload, place, "status", JSON_KIND_STRING, "status is no string", &m->word);
        r = message_require(reading, r, "status is missing");
        if (r < 0)
                return r;
        return message_submember(reading, m->payload, place, "message", JSON_KIND_STRING, "message is no string",
                                 &m->text);
}

static int read_count(Reading *reading, const char *name, uint64_t *ret)
{
        JsonSlice value = {};
        int r = message_member(reading, JSON_PARENT_NONE, name, JSON_KIND_NUMBER, "a count is no number", &value,
                               NULL);

        if (r > 0 && json_slice_to_uint(value, ret) < 0)
                return message_refuse(reading, "a count is not a whole number from 0 to 2^63 - 1");
        return r;
}

static int read_progress(Reading *reading)
{
        Message *m = reading->message;
        const struct {
                const char *name;
                uint64_t *count;
        } counts[] = {
                { "processed", &m->processed },    { "total", &m->total },
                { "added", &m->counts.added },     { "updated", &m->counts.updated },
                { "deduped", &m->counts.deduped },
        };
        int r;

        r = message_member(reading, JSON_PARENT_NONE, "stage", JSON_KIND_STRING, "stage is no string", &m->word, NULL);
        if (r < 0)
                return r;
        r = message_member(reading, JSON_PARENT_NONE, "message", JSON_KIND_STRING, "message is no string", &m->text,
                           NULL);
        if (r < 0)
                return r;
        r = message_member(reading, JSON_PARENT_NONE, "account", JSON_KIND_STRING, "account is no string", &m->account,
                           NULL);
        for (size_t i = 0; i < ELEMENTSOF(counts) && r >= 0; i++)
                r = read_count(reading, counts[i].name, counts[i].count);
        return r;
}

static int read_account(Reading *reading)
{
        Message *m = reading->message;
        int r;

        r = message_member(reading, JSON_PARENT_NONE, "account", JSON_KIND_STRING, "account is no string", &m->account,
                           NULL);
        r = message_require(reading, r, "account is missing");
        if (r < 0)
                return r;
        r = message_member(reading, JSON_PARENT_NONE, "status", JSON_KIND_STRING, "status is no string", &m->word,
                           NULL);
        r = message_require(reading, r, "status is missing");
        if (r < 0)
                return r;
        if (!json_slice_is_string(m->word, "success") && !json_slice_is_string(m->word, "failed") &&
            !json_slice_is_string(m->word, "no_data"))
                return message_refuse(reading, "status is none of success, failed, no_data");
        r = message_member(reading, JSON_PARENT_NONE, "error", JSON_KIND_STRING, "error is no string", &m->text, NULL);
        if (r < 0)
                return r;
        return message_member(reading, JSON_PARENT_NONE, "category", JSON_KIND_STRING, "category is no string",
                              &m->category, NULL);
}

static int read_attention(Reading *reading)
{
        Message *m = reading->message;
        int r;

        r = message_member(reading, JSON_PARENT_NONE, "category", JSON_KIND_STRING, "category is no string",
                           &m->category, NULL);
        r = message_require(reading, r, "category is missing");
        if (r < 0)
                return r;
        return message_member(reading, JSON_PARENT_NONE, "message", JSON_KIND_STRING, "message is no string", &m->text,
                              NULL);
}

/* The dialect is that of a type which only one has; RECORD and STATE correct it. */
static const struct {
        MessageDialect dialect;
        int (*read)(Reading *reading);
        const char *payload; /* instead: its payload is an object under this key, and nothing else is of interest */
} readers[_MESSAGE_TYPE_MAX] = {
        [MESSAGE_RECORD] = { MESSAGE_DIALECT_SINGER, read_record },
        [MESSAGE_SCHEMA] = { MESSAGE_DIALECT_SINGER, read_schema },
        [MESSAGE_STATE] = { MESSAGE_DIALECT_SINGER, read_state },
        [MESSAGE_ACTIVATE_VERSION] = { MESSAGE_DIALECT_SINGER, read_activate_version },
        [MESSAGE_BATCH] = { MESSAGE_DIALECT_SINGER, read_batch },
        [MESSAGE_LOG] = { MESSAGE_DIALECT_AIRBYTE, read_log },
        [MESSAGE_SPEC] = { MESSAGE_DIALECT_AIRBYTE, .payload = "spec" },
        [MESSAGE_CONNECTION_STATUS] = { MESSAGE_DIALECT_AIRBYTE, read_connection_status },
        [MESSAGE_CATALOG] = { MESSAGE_DIALECT_AIRBYTE, .payload = "catalog" },
        [MESSAGE_TRACE] = { MESSAGE_DIALECT_AIRBYTE, message_read_trace },
        [MESSAGE_CONTROL] = { MESSAGE_DIALECT_AIRBYTE, .payload = "control" },
        [MESSAGE_DESTINATION_CATALOG] = { MESSAGE_DIALECT_AIRBYTE, .payload = "destination_catalog" },
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

static int read_type(Reading *reading)
{
        Message *m = reading->message;
        uint32_t place = JSON_PARENT_NONE;

        m->dialect = readers[m->type].dialect;
        if (readers[m->type].read)
                return readers[m->type].read(reading);
        if (readers[m->type].payload)
                return message_payload(reading, readers[m->type].payload, &place);
        m->dialect = _MESSAGE_DIALECT_INVALID;
        return 0;
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
        r = message_member(&reading, JSON_PARENT_NONE, "type", JSON_KIND_STRING, "type is no string", &type, NULL);
        if (r > 0) {
                message.type = type_of(type);
                r = read_type(&reading);
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
