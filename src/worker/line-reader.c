/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See line-reader.h. */

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "worker/line-reader.h"

#define BUFFER_BYTES     (256U * KIB)
#define BUFFER_BYTES_MAX (LINE_MAX_BYTES + 2U) /* with CR LF */

struct LineReader {
        LineSource source;
        void *userdata;
        int fd; /* of read_fd() */
        char *buffer;
        size_t size;
        size_t begin;    /* of the first line that was not handed out */
        size_t searched; /* up to here there is no newline */
        size_t end;
        uint64_t n_bytes;
        bool ended;
        bool skipping; /* inside a line that is too long, whose beginning is in head */
        char head[LINE_HEAD_BYTES];
};

static ssize_t read_fd(void *userdata, void *buffer, size_t size)
{
        const LineReader *reader = userdata;
        ssize_t n;

        do
                n = read(reader->fd, buffer, size);
        while (n < 0 && errno == EINTR);
        return n < 0 ? -errno : n;
}

int line_reader_new_source(LineSource source, void *userdata, LineReader **ret_reader)
{
        LineReader *reader = calloc(1, sizeof(*reader));

        if (!reader)
                return -ENOMEM;
        reader->source = source;
        reader->userdata = userdata;
        reader->size = BUFFER_BYTES;
        reader->buffer = malloc(reader->size);
        if (!reader->buffer) {
                free(reader);
                return -ENOMEM;
        }
        *ret_reader = reader;
        return 0;
}

int line_reader_new(int fd, LineReader **ret_reader)
{
        LineReader *reader;
        int r = line_reader_new_source(read_fd, NULL, &reader);

        if (r < 0)
                return r;
        reader->userdata = reader;
        reader->fd = fd;
        *ret_reader = reader;
        return 0;
}

LineReader *line_reader_free(LineReader *reader)
{
        if (!reader)
                return NULL;
        free(reader->buffer);
        free(reader);
        return NULL;
}

/* Leaves at least one free byte behind reader->end. */
static int make_room(LineReader *reader)
{
        if (reader->begin == reader->end) {
                reader->begin = reader->searched = reader->end = 0;
                if (reader->size > BUFFER_BYTES) {
                        /* the long line is gone: give its memory back */
                        char *smaller = realloc(reader->buffer, BUFFER_BYTES);
                        if (smaller) {
                                reader->buffer = smaller;
                                reader->size = BUFFER_BYTES;
                        }
                }
                return 0;
        }
        if (reader->end < reader->size)
                return 0;
        if (reader->begin > 0) {
                memmove(reader->buffer, reader->buffer + reader->begin, reader->end - reader->begin);
                reader->end -= reader->begin;
                reader->searched -= reader->begin;
                reader->begin = 0;
                return 0;
        }

        size_t size = MIN(reader->size * 2, (size_t) BUFFER_BYTES_MAX);
        char *larger = realloc(reader->buffer, size);
        if (!larger)
                return -ENOMEM;
        reader->buffer = larger;
        reader->size = size;
        return 0;
}

int line_reader_fill(LineReader *reader)
{
        ssize_t n;
        int r;

        if (reader->ended)
                return 0;
        r = make_room(reader);
        if (r < 0)
                return r;
        n = reader->source(reader->userdata, reader->buffer + reader->end, reader->size - reader->end);
        if (n < 0)
                return (int) n;
        if (n == 0) {
                reader->ended = true;
                return 0;
        }
        reader->end += (size_t) n;
        reader->n_bytes += (uint64_t) n;
        return 1;
}

/* Hands out what stands before @line_end, or the head of it if it is too long. */
static int take_line(LineReader *reader, size_t line_end, size_t next, Line *ret_line)
{
        const char *data = reader->buffer + reader->begin;
        size_t size = line_end - reader->begin;

        reader->begin = reader->searched = next;
        if (reader->skipping) {
                reader->skipping = false;
                *ret_line = (Line){ reader->head, sizeof(reader->head), true };
                return 1;
        }
        if (size > 0 && data[size - 1] == '\r')
                size--;
        if (size > LINE_MAX_BYTES)
                *ret_line = (Line){ data, LINE_HEAD_BYTES, true };
        else
                *ret_line = (Line){ data, size, false };
        return 1;
}

int line_reader_next(LineReader *reader, Line *ret_line)
{
        const char *newline = memchr(reader->buffer + reader->searched, '\n', reader->end - reader->searched);

        if (newline) {
                size_t at = newline - reader->buffer;

                return take_line(reader, at, at + 1, ret_line);
        }

        reader->searched = reader->end;
        if (reader->end - reader->begin >= BUFFER_BYTES_MAX && !reader->skipping) {
                memcpy(reader->head, reader->buffer + reader->begin, sizeof(reader->head));
                reader->skipping = true;
        }
        if (reader->skipping)
                reader->begin = reader->end;
        if (reader->ended && (reader->end > reader->begin || reader->skipping))
                return take_line(reader, reader->end, reader->end, ret_line);
        return 0;
}

bool line_reader_ended(const LineReader *reader)
{
        return reader->ended;
}

uint64_t line_reader_bytes(const LineReader *reader)
{
        return reader->n_bytes;
}
