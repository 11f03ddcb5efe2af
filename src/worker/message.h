/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a line of the pipeline says. Three dialects are told apart by shape and may be mixed: Singer (spec 0.3.0), the
 * Airbyte protocol (0.3.2) and our own PROGRESS, ACCOUNT and ATTENTION. Nothing is copied: a message borrows its line.
 * What is done about a message is not decided here. */

#include "model/run.h"
#include "worker/json-scan.h"

typedef enum MessageDialect {
        MESSAGE_DIALECT_SINGER,
        MESSAGE_DIALECT_AIRBYTE,
        MESSAGE_DIALECT_OWN,
        _MESSAGE_DIALECT_MAX,
        _MESSAGE_DIALECT_INVALID = -EINVAL,
} MessageDialect;
DECLARE_STRING_TABLE(message_dialect, MessageDialect);

typedef enum MessageType {
        MESSAGE_RECORD, /* Singer and Airbyte */
        MESSAGE_SCHEMA,
        MESSAGE_STATE, /* Singer and Airbyte */
        MESSAGE_ACTIVATE_VERSION,
        MESSAGE_BATCH,
        MESSAGE_LOG,
        MESSAGE_SPEC,
        MESSAGE_CONNECTION_STATUS,
        MESSAGE_CATALOG,
        MESSAGE_TRACE,
        MESSAGE_CONTROL,
        MESSAGE_DESTINATION_CATALOG,
        MESSAGE_PROGRESS,
        MESSAGE_ACCOUNT,
        MESSAGE_ATTENTION,
        MESSAGE_UNKNOWN, /* an object with another type, or none: counted and ignored */
        _MESSAGE_TYPE_MAX,
        _MESSAGE_TYPE_INVALID = -EINVAL,
} MessageType;
DECLARE_STRING_TABLE(message_type, MessageType);

typedef enum TraceType {
        TRACE_ERROR,
        TRACE_ESTIMATE,
        TRACE_STREAM_STATUS,
        TRACE_ANALYTICS,
        TRACE_OTHER,
        _TRACE_TYPE_MAX,
        _TRACE_TYPE_INVALID = -EINVAL,
} TraceType;
DECLARE_STRING_TABLE(trace_type, TraceType);

/** Message - one line; string slices have their quotes, and are empty (size 0) where the message has no such member */
typedef struct Message {
        MessageType type;
        MessageDialect dialect;

        JsonSlice stream;
        JsonSlice namespace_; /* Airbyte */
        JsonSlice account;    /* RECORD, ACCOUNT */
        JsonSlice payload; /* RECORD: the record; SCHEMA: the schema; STATE: Singer's value or Airbyte's state; BATCH:
                            * the manifest; CONTROL, CATALOG: their payload */
        uint32_t payload_member; /* its place in the index, or JSON_PARENT_NONE */
        JsonSlice keys;          /* SCHEMA: key_properties, an array */
        int64_t version;         /* RECORD, ACTIVATE_VERSION */
        bool has_version;

        JsonSlice text; /* message or error, for people */
        JsonSlice word; /* PROGRESS: stage; ACCOUNT: status; LOG: level; CONNECTION_STATUS and STREAM_STATUS: status;
                         * TRACE ERROR: failure_type; ESTIMATE: STREAM or SYNC; BATCH: format */
        JsonSlice category; /* ACCOUNT, ATTENTION; BATCH: compression */
        uint64_t processed; /* PROGRESS; COUNT_UNKNOWN */
        uint64_t total;     /* PROGRESS; ESTIMATE: rows; COUNT_UNKNOWN */
        Counts counts; /* PROGRESS of a destination program: what became of the records; added COUNT_UNKNOWN: not told
                        */
        TraceType trace;
        usec_t retry_at_usec; /* STREAM_STATUS with RATE_LIMITED: CLOCK_REALTIME; 0 */
} Message;

/**
 * message_parse() - read one line
 * @index: scratch, overwritten; goes with the message for questions about its payload
 * @ret_why: set where the return value is -EBADMSG: what is wrong, a few words, static
 * @ret:   set on success only; borrows @line
 *
 * Types are matched in any case. Members that a message must have must be there and of their type; other members are
 * ignored, and members that are null are taken as absent.
 *
 * Return: 0; -EBADMSG (not JSON, not an object, or not what its type requires).
 */
int message_parse(JsonSlice line, JsonIndex *index, const char **ret_why, Message *ret) _must_check_;

/**
 * message_text() - a string slice as text to show or compare: unescaped, NUL-terminated, cut
 * @slice: may be empty
 * @ret:   set on success only; NULL for an empty slice; caller frees
 *
 * Return: 0; -ENOMEM.
 */
int message_text(JsonSlice slice, size_t limit_bytes, char **ret) _must_check_;

/** json_slice_to_uint() - a checked number that is a whole one, 1e3 and 5.0 included; Return: 0; -EINVAL; -ERANGE
 * (negative, or more than COUNT_MAX) */
int json_slice_to_uint(JsonSlice value, uint64_t *ret);
