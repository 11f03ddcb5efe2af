/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Between message.c and message-trace.c; for nobody else. */

#include "worker/message.h"

/* Type words are short; anything longer is unknown. */
#define TYPE_WORD_MAX 32U

typedef struct Reading {
        const JsonIndex *index;
        Message *message;
        const char *why; /* with -EBADMSG */
} Reading;

/* What is wrong, static. Return: -EBADMSG. */
int message_refuse(Reading *reading, const char *why);

/* Finds a member that is not null. Return: 1, 0, or -EBADMSG if it is of another kind than @kind. */
int message_member(Reading *reading, uint32_t parent, const char *name, JsonKind kind, const char *why, JsonSlice *ret,
                   uint32_t *ret_member);

/* A member of a member: by the index where that reaches, else by scanning. */
int message_submember(Reading *reading, JsonSlice object, uint32_t parent, const char *name, JsonKind kind,
                      const char *why, JsonSlice *ret);

/* Makes of "not found" that it is missing. Return: @found or -EBADMSG. */
int message_require(Reading *reading, int found, const char *why);

/* The payload of the Airbyte messages that are one object under one key. */
int message_payload(Reading *reading, const char *name, uint32_t *ret_place);

int message_read_trace(Reading *reading);
