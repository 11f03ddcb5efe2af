/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where the connector may go on next time: one JSON text, which is at once what the daemon keeps and what the
 * connector finds in its state file. A Singer STATE's value, or an Airbyte LEGACY state's data, is the text itself;
 * Airbyte's STREAM states are merged by stream and namespace into a list of state messages, and a GLOBAL one is a list
 * of one. */

#include "base/buffer.h"
#include "worker/message.h"

/* Bytes of a cursor. A state that would make it larger is refused, and the run fails. */
#define CURSOR_BYTES_MAX (4U * MIB)

/* Streams of Airbyte's STREAM states. */
#define CURSOR_STREAMS_MAX 10000U

typedef struct CursorStream {
        char *id;   /* canonical text of the stream's descriptor */
        char *text; /* the state message's "stream" */
} CursorStream;

typedef struct Cursor {
        char *text; /* a value that is opaque to us; NULL if the streams count */
        CursorStream *streams;
        size_t n_streams;
        size_t streams_bytes; /* of the list that they make */
} Cursor;

/**
 * cursor_load() - take what was saved
 * @text: "" for none; what is no list of Airbyte's STREAM states is kept as it is
 *
 * Return: 0; -EBADMSG (not JSON); -ENOMEM.
 */
int cursor_load(Cursor *cursor, const char *text) _must_check_;
void cursor_done(Cursor *cursor);

/**
 * cursor_apply() - take a STATE message of either dialect
 *
 * Return: 0; -EBADMSG (a state that is not what the protocol says); -E2BIG (CURSOR_STREAMS_MAX, or CURSOR_BYTES_MAX);
 * -ENOMEM. The cursor is as it was on failure, but for -ENOMEM.
 */
int cursor_apply(Cursor *cursor, const Message *message) _must_check_;

/** cursor_equal() - whether they have one text. Return: 1; 0; -ENOMEM. */
int cursor_equal(const Cursor *a, const Cursor *b) _must_check_;

/** cursor_append() - append the text; nothing if there is no cursor yet */
void cursor_append(const Cursor *cursor, Buffer *out);
