/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Airbyte's TRACE messages, which are four kinds; see message.h. */

#include <strings.h>

#include "base/json-util.h"
#include "worker/message-internal.h"

static const char *const trace_type_table[_TRACE_TYPE_MAX] = {
        [TRACE_ERROR] = "ERROR",         [TRACE_ESTIMATE] = "ESTIMATE", [TRACE_STREAM_STATUS] = "STREAM_STATUS",
        [TRACE_ANALYTICS] = "ANALYTICS", [TRACE_OTHER] = "OTHER",
};
DEFINE_STRING_TABLE(trace_type, TraceType, _TRACE_TYPE_MAX);

/* The stream that a trace is about; not all are about one. */
static int read_descriptor(Reading *reading, JsonSlice trace)
{
        Message *m = reading->message;
        JsonSlice descriptor = {};
        int r = message_submember(reading, trace, JSON_PARENT_NONE, "stream_descriptor", JSON_KIND_OBJECT,
                                  "stream_descriptor is no object", &descriptor);

        if (r <= 0)
                return r;
        r = message_submember(reading, descriptor, JSON_PARENT_NONE, "name", JSON_KIND_STRING, "its name is no string",
                              &m->stream);
        if (r < 0)
                return r;
        return message_submember(reading, descriptor, JSON_PARENT_NONE, "namespace", JSON_KIND_STRING,
                                 "its namespace is no string", &m->namespace_);
}

static int read_trace_error(Reading *reading, JsonSlice trace)
{
        Message *m = reading->message;
        int r;

        r = message_submember(reading, trace, JSON_PARENT_NONE, "message", JSON_KIND_STRING,
                              "error.message is no string", &m->text);
        r = message_require(reading, r, "error.message is missing");
        if (r < 0)
                return r;
        r = message_submember(reading, trace, JSON_PARENT_NONE, "failure_type", JSON_KIND_STRING,
                              "failure_type is no string", &m->word);
        return r < 0 ? r : read_descriptor(reading, trace);
}

static int read_trace_estimate(Reading *reading, JsonSlice trace)
{
        Message *m = reading->message;
        JsonSlice rows = {};
        int r;

        r = message_submember(reading, trace, JSON_PARENT_NONE, "name", JSON_KIND_STRING, "estimate.name is no string",
                              &m->stream);
        if (r < 0)
                return r;
        r = message_submember(reading, trace, JSON_PARENT_NONE, "namespace", JSON_KIND_STRING,
                              "estimate.namespace is no string", &m->namespace_);
        if (r < 0)
                return r;
        r = message_submember(reading, trace, JSON_PARENT_NONE, "type", JSON_KIND_STRING, "estimate.type is no string",
                              &m->word);
        r = message_require(reading, r, "estimate.type is missing");
        if (r < 0)
                return r;
        r = message_submember(reading, trace, JSON_PARENT_NONE, "row_estimate", JSON_KIND_NUMBER,
                              "row_estimate is no number", &rows);
        if (r > 0 && json_slice_to_uint(rows, &m->total) < 0)
                return message_refuse(reading, "row_estimate is not a whole number from 0 to 2^63 - 1");
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

        r = message_submember(reading, trace, JSON_PARENT_NONE, "status", JSON_KIND_STRING,
                              "stream_status.status is no string", &m->word);
        r = message_require(reading, r, "stream_status.status is missing");
        if (r < 0)
                return r;
        r = message_submember(reading, trace, JSON_PARENT_NONE, "reasons", JSON_KIND_ARRAY, "reasons is no list",
                              &reasons);
        if (r < 0)
                return r;
        if (r > 0)
                m->retry_at_usec = read_quota_reset(reasons);
        return read_descriptor(reading, trace);
}

int message_read_trace(Reading *reading)
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
        int r = message_payload(reading, "trace", &place);

        if (r < 0)
                return r;
        r = message_submember(reading, m->payload, place, "type", JSON_KIND_STRING, "trace.type is no string", &type);
        r = message_require(reading, r, "trace.type is missing");
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
                        r = message_submember(reading, m->payload, place, kinds[i].name, JSON_KIND_OBJECT,
                                              "the trace is no object", &trace);
                        r = message_require(reading, r, "the trace is missing");
                        return r < 0 ? r : kinds[i].read(reading, trace);
                }
        return 0;
}
