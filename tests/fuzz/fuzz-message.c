/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Lines of a pipeline, any bytes, through everything that looks into a message: nothing may be read outside of the
 * line, and a cursor that was made of states can be loaded and says the same. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "worker/cursor.h"
#include "worker/stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static JsonIndex json_index;

static char *text_of(const Cursor *cursor)
{
        Buffer out = {};
        char *text = NULL;

        cursor_append(cursor, &out);
        if (buffer_take(&out, &text) < 0)
                abort();
        return text;
}

static void check_cursor(const Cursor *cursor)
{
        Cursor loaded = {};
        char *before = text_of(cursor), *after;

        if (cursor_load(&loaded, before) < 0)
                abort();
        after = text_of(&loaded);
        if (strcmp(before, after) != 0)
                abort();
        cursor_done(&loaded);
        free(before);
        free(after);
}

static void use(const Message *message, Streams *streams, Cursor *cursor, Buffer *key)
{
        const JsonSlice texts[] = { message->stream, message->namespace_, message->account,
                                    message->text,   message->word,       message->category };
        Stream *stream;
        char *text;

        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                if (message_text(texts[i], 100, &text) < 0)
                        abort();
                if (text && strlen(text) > 100)
                        abort();
                free(text);
        }
        if (message->type == MESSAGE_STATE && cursor_apply(cursor, message) >= 0)
                check_cursor(cursor);
        if (message->type == MESSAGE_CATALOG && streams_set_catalog(streams, message->payload) < 0)
                abort();
        if (message->stream.size == 0 || streams_get(streams, message->stream, message->namespace_, &stream) < 0)
                return;
        if (message->keys.size > 0 && stream_set_keys(stream, KEY_SOURCE_SCHEMA, message->keys) > 0 &&
            stream->n_key_fields == 0 && stream->key_source != KEY_SOURCE_CONTENT)
                abort();
        if (message->type == MESSAGE_RECORD &&
            stream_key(streams, stream, &json_index, message->payload_member, message->payload, key) >= 0 &&
            key->size == 0)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        Streams streams;
        Cursor cursor = {};
        Buffer key = {};

        if (streams_init(&streams, NULL) < 0)
                abort();
        /* each line in memory of its own, so that a step beyond it is seen */
        for (size_t i = 0; i < size;) {
                const uint8_t *newline = memchr(data + i, '\n', size - i);
                size_t n = newline ? (size_t) (newline - (data + i)) : size - i;
                char *line = malloc(n + 1);
                const char *why;
                Message message;

                memcpy(line, data + i, n);
                line[n] = 'x';
                if (message_parse((JsonSlice){ line, n }, &json_index, &why, &message) >= 0)
                        use(&message, &streams, &cursor, &key);
                free(line);
                i += n + 1;
        }
        buffer_done(&key);
        cursor_done(&cursor);
        streams_done(&streams);
        return 0;
}
