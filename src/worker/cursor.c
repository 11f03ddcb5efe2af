/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See cursor.h. */

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/json-util.h"
#include "base/json-writer.h"
#include "base/string-util.h"
#include "worker/cursor.h"
#include "worker/json-canonical.h"

static void clear_streams(Cursor *cursor)
{
        for (size_t i = 0; i < cursor->n_streams; i++) {
                free(cursor->streams[i].id);
                free(cursor->streams[i].text);
        }
        free(cursor->streams);
        cursor->streams = NULL;
        cursor->n_streams = 0;
        cursor->streams_bytes = 0;
}

void cursor_done(Cursor *cursor)
{
        clear_streams(cursor);
        free(cursor->text);
        *cursor = (Cursor){};
}

/* The cursor is one text now. As the bus carries it: U+FFFF and the like are in use as last keys. */
static int set_text(Cursor *cursor, const char *prefix, JsonSlice value, const char *suffix)
{
        _cleanup_buffer_ Buffer all = {};
        char *text;
        int r;

        if (value.size > CURSOR_BYTES_MAX)
                return -E2BIG;
        buffer_append_string(&all, prefix);
        json_append_portable(&all, value.data, value.size);
        if (all.size - strlen(prefix) > CURSOR_BYTES_MAX)
                return -E2BIG;
        buffer_append_string(&all, suffix);
        r = buffer_take(&all, &text);
        if (r < 0)
                return r;
        clear_streams(cursor);
        free(cursor->text);
        cursor->text = text;
        return 0;
}

/* What a stream takes in the list, beside its text. */
#define STREAM_PREFIX "{\"type\":\"STREAM\",\"stream\":"
#define STREAM_EXTRA  (sizeof(STREAM_PREFIX) - 1 + strlen("},"))

/* The stream that a state is of: its name and namespace, whatever else the descriptor has. */
static int stream_id(JsonSlice stream, char **ret)
{
        JsonSlice descriptor, name, namespace_ = {};
        Buffer id = {};
        JsonKind kind;

        if (!json_slice_find(stream, "stream_descriptor", NULL, &descriptor) ||
            !json_slice_find(descriptor, "name", &kind, &name) || kind != JSON_KIND_STRING)
                return -EBADMSG;
        json_canonical_append(&id, name);
        if (json_slice_find(descriptor, "namespace", &kind, &namespace_) && kind != JSON_KIND_NULL)
                json_canonical_append(&id, namespace_);
        return buffer_take(&id, ret);
}

static int set_stream(Cursor *cursor, JsonSlice stream)
{
        _cleanup_free_ char *id = NULL, *text = NULL;
        CursorStream *entry = NULL;
        _cleanup_buffer_ Buffer portable = {};
        size_t before = 0, size;
        int r;

        r = stream_id(stream, &id);
        if (r < 0)
                return r;
        for (size_t i = 0; i < cursor->n_streams && !entry; i++)
                if (streq(cursor->streams[i].id, id)) {
                        entry = cursor->streams + i;
                        before = strlen(entry->text) + STREAM_EXTRA;
                }
        if (!entry && cursor->n_streams >= CURSOR_STREAMS_MAX)
                return -E2BIG;
        json_append_portable(&portable, stream.data, stream.size);
        size = portable.size;
        if (cursor->streams_bytes - before + size + STREAM_EXTRA >= CURSOR_BYTES_MAX)
                return -E2BIG;
        r = buffer_take(&portable, &text);
        if (r < 0)
                return r;
        if (!entry) {
                CursorStream *streams = reallocarray(cursor->streams, cursor->n_streams + 1, sizeof(*streams));

                if (!streams)
                        return -ENOMEM;
                cursor->streams = streams;
                entry = streams + cursor->n_streams++;
                *entry = (CursorStream){ .id = TAKE_PTR(id) };
        }
        cursor->streams_bytes += size + STREAM_EXTRA - before;
        free(entry->text);
        entry->text = TAKE_PTR(text);
        free(cursor->text);
        cursor->text = NULL;
        return 0;
}

/* As of messages' own types, upper and lower case are alike. */
static bool is_type(JsonSlice value, const char *type)
{
        size_t size = strlen(type);

        return value.size == size + 2 && value.data[0] == '"' && strncasecmp(value.data + 1, type, size) == 0;
}

int cursor_apply(Cursor *cursor, const Message *message)
{
        JsonSlice state = message->payload, value;
        JsonKind kind;

        if (message->dialect == MESSAGE_DIALECT_SINGER)
                return set_text(cursor, "", state, "");
        if (json_slice_find(state, "type", NULL, &value)) {
                if (is_type(value, "STREAM")) {
                        if (!json_slice_find(state, "stream", &kind, &value) || kind != JSON_KIND_OBJECT)
                                return -EBADMSG;
                        return set_stream(cursor, value);
                }
                if (is_type(value, "GLOBAL")) {
                        if (!json_slice_find(state, "global", &kind, &value) || kind != JSON_KIND_OBJECT)
                                return -EBADMSG;
                        return set_text(cursor, "[{\"type\":\"GLOBAL\",\"global\":", value, "}]");
                }
                if (!is_type(value, "LEGACY"))
                        return -EBADMSG;
        }
        if (!json_slice_find(state, "data", NULL, &value))
                return -EBADMSG;
        return set_text(cursor, "", value, "");
}

/* A list that cursor_append() made of streams is taken apart again. Return: 1 if it is one; 0 if not; -ENOMEM. */
static int load_streams(Cursor *cursor, JsonSlice text)
{
        const char *at = NULL;
        JsonSlice state, value;
        bool any = false;
        int r;

        while (json_array_next(text, &at, &state)) {
                if (!json_slice_find(state, "type", NULL, &value) || !json_slice_is_string(value, "STREAM") ||
                    !json_slice_find(state, "stream", NULL, &value))
                        return 0;
                r = set_stream(cursor, value);
                if (r < 0)
                        return r == -ENOMEM ? r : 0;
                any = true;
        }
        return any;
}

int cursor_load(Cursor *cursor, const char *text)
{
        JsonSlice slice = { text, strlen(text) };
        int r;

        cursor_done(cursor);
        if (slice.size == 0)
                return 0;
        if (json_scan(slice, JSON_DEPTH_MAX, NULL, NULL, NULL) < 0)
                return -EBADMSG;
        r = load_streams(cursor, slice);
        if (r != 0)
                return MIN(r, 0);
        cursor_done(cursor);
        return set_text(cursor, "", slice, "");
}

void cursor_append(const Cursor *cursor, Buffer *out)
{
        if (cursor->text) {
                buffer_append_string(out, cursor->text);
                return;
        }
        if (cursor->n_streams == 0)
                return;
        for (size_t i = 0; i < cursor->n_streams; i++) {
                buffer_append_char(out, i == 0 ? '[' : ',');
                buffer_append_string(out, STREAM_PREFIX);
                buffer_append_string(out, cursor->streams[i].text);
                buffer_append_char(out, '}');
        }
        buffer_append_char(out, ']');
}

int cursor_equal(const Cursor *a, const Cursor *b)
{
        _cleanup_buffer_ Buffer text_a = {}, text_b = {};

        cursor_append(a, &text_a);
        cursor_append(b, &text_b);
        if (text_a.failed || text_b.failed)
                return -ENOMEM;
        return text_a.size == text_b.size && (text_a.size == 0 || memcmp(text_a.data, text_b.data, text_a.size) == 0);
}
