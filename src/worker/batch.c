/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See batch.h. */

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/buffer.h"
#include "base/fd-util.h"
#include "base/string-util.h"
#include "worker/batch.h"

/* What zlib reads of a file at a time. */
#define GZIP_BUFFER_BYTES (128U * (unsigned) KIB)

struct Batch {
        Buffer manifest;
        const char *at; /* in manifest; NULL: at its beginning */
        char *folder;
        bool is_gzip;

        char *path; /* of the file that is read; the rest is its own as well */
        int fd;     /* while it is plain */
        gzFile gzip;
        LineReader *reader;
        uint64_t n_lines;

        char *error;
};

static int set_error(Batch *batch, int r, const char *words)
{
        free(batch->error);
        batch->error = asprintf_or_null("%s: %s", strna(batch->path), words);
        return batch->error ? r : -ENOMEM;
}

static bool word_is(JsonSlice slice, const char *word)
{
        char text[32];

        if (slice.size == 0 || slice.size > sizeof(text))
                return false;
        (void) json_string_decode(slice, text);
        return strcasecmp(text, word) == 0;
}

static int refuse(JsonSlice what, const char *format, char **ret_error)
{
        _cleanup_free_ char *text = NULL;
        int r = message_text(what, 100, &text);

        if (r < 0)
                return r;
        *ret_error = asprintf_or_null("a BATCH %s %s cannot be read, only jsonl, plain or with gzip; change the tap's "
                                      "batch_config",
                                      format, text ?: "that it does not name");
        return *ret_error ? -EOPNOTSUPP : -ENOMEM;
}

int batch_new(const Message *message, const char *folder, Batch **ret, char **ret_error)
{
        _cleanup_(batch_freep) Batch *batch = NULL;
        bool is_gzip = word_is(message->category, "gzip");

        if (!word_is(message->word, "jsonl"))
                return refuse(message->word, "in the format", ret_error);
        if (message->category.size > 0 && !is_gzip && !word_is(message->category, "none"))
                return refuse(message->category, "with the compression", ret_error);

        batch = calloc(1, sizeof(*batch));
        if (!batch)
                return -ENOMEM;
        batch->fd = -EBADF;
        batch->is_gzip = is_gzip;
        buffer_append(&batch->manifest, message->payload.data, message->payload.size);
        batch->folder = folder ? strdup(folder) : NULL;
        if (batch->manifest.failed || (folder && !batch->folder))
                return -ENOMEM;
        *ret = TAKE_PTR(batch);
        return 0;
}

static void close_file(Batch *batch)
{
        batch->reader = line_reader_free(batch->reader);
        if (batch->gzip)
                (void) gzclose_r(batch->gzip);
        batch->gzip = NULL;
        batch->fd = safe_close(batch->fd);
}

Batch *batch_free(Batch *batch)
{
        if (!batch)
                return NULL;
        close_file(batch);
        buffer_done(&batch->manifest);
        free(batch->folder);
        free(batch->path);
        free(batch->error);
        free(batch);
        return NULL;
}

/* ---- Paths */

static int hex_value(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        c |= 0x20;
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -EINVAL;
}

/* In place. */
static void decode_percent(char *text)
{
        char *out = text;

        for (; *text; text++) {
                int high = *text == '%' ? hex_value(text[1]) : -EINVAL;
                int low = high >= 0 ? hex_value(text[2]) : -EINVAL;

                if (low >= 0 && high + low > 0) {
                        *out++ = (char) (high << 4 | low);
                        text += 2;
                } else
                        *out++ = *text;
        }
        *out = 0;
}

/* The path of a manifest's entry. Return: 0; -EOPNOTSUPP; -ENOMEM. */
static int resolve(Batch *batch, const char *name)
{
        const char *after = startswith(name, "file://"), *path = name;

        free(batch->path);
        batch->path = NULL;
        if (after) {
                const char *on_this_machine = startswith(after, "localhost/");

                path = on_this_machine ? on_this_machine - 1 : after;
        }
        if (strstr(path, "://") || (after && path[0] != '/')) {
                batch->path = strdup(name);
                return batch->path ? set_error(batch, -EOPNOTSUPP, "is no file of this machine") : -ENOMEM;
        }
        batch->path = path[0] == '/' || !batch->folder ? strdup(path) : asprintf_or_null("%s/%s", batch->folder, path);
        if (!batch->path)
                return -ENOMEM;
        if (after)
                decode_percent(batch->path);
        return 0;
}

/* ---- Files */

static ssize_t read_gzip(void *userdata, void *buffer, size_t size)
{
        Batch *batch = userdata;
        int n = gzread(batch->gzip, buffer, (unsigned) MIN(size, (size_t) INT32_MAX)), code = Z_OK;

        if (n >= 0 && gzdirect(batch->gzip))
                return set_error(batch, -EBADMSG, "is not compressed with gzip");
        if (n > 0)
                return n;
        /* the end may have come too early */
        (void) gzerror(batch->gzip, &code);
        switch (code) {
        case Z_OK:
        case Z_STREAM_END:
                return n;
        case Z_ERRNO:
                return -errno;
        case Z_MEM_ERROR:
                return -ENOMEM;
        default:
                return set_error(batch, -EBADMSG, code == Z_BUF_ERROR ? "ends in the middle" : "is damaged");
        }
}

static int open_reader(Batch *batch)
{
        if (!batch->is_gzip)
                return line_reader_new(batch->fd, &batch->reader);
        batch->gzip = gzdopen(batch->fd, "rb");
        if (!batch->gzip)
                return -ENOMEM;
        batch->fd = -EBADF; /* zlib's now */
        (void) gzbuffer(batch->gzip, GZIP_BUFFER_BYTES);
        return line_reader_new_source(read_gzip, batch, &batch->reader);
}

/* Without waiting for whoever writes, should it be a FIFO. */
static int open_file(Batch *batch)
{
        struct stat status;

        batch->n_lines = 0;
        batch->fd = open(batch->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (batch->fd < 0 || fstat(batch->fd, &status) < 0)
                return -errno;
        if (!S_ISREG(status.st_mode))
                return set_error(batch, -EBADMSG, "is no regular file");
        return open_reader(batch);
}

/* Return: 1; 0 if the manifest has no more; negative errno. */
static int next_file(Batch *batch)
{
        _cleanup_free_ char *name = NULL;
        JsonSlice entry;
        int r;

        if (json_array_next((JsonSlice){ batch->manifest.data, batch->manifest.size }, &batch->at, &entry) <= 0)
                return 0;
        if (json_slice_kind(entry) != JSON_KIND_STRING)
                return set_error(batch, -EBADMSG, "the next entry of the manifest is no string");
        name = malloc(entry.size + 1);
        if (!name)
                return -ENOMEM;
        (void) json_string_decode(entry, name);
        r = resolve(batch, name);
        if (r >= 0)
                r = open_file(batch);
        return r < 0 ? r : 1;
}

static int next_line(Batch *batch, Line *ret_line)
{
        int r;

        for (;;) {
                if (!batch->reader) {
                        r = next_file(batch);
                        if (r <= 0)
                                return r;
                }
                if (line_reader_next(batch->reader, ret_line) > 0) {
                        batch->n_lines++;
                        return 1;
                }
                r = line_reader_fill(batch->reader);
                if (r < 0)
                        return r;
                /* the last line may lack its newline */
                if (r == 0 && line_reader_next(batch->reader, ret_line) > 0) {
                        batch->n_lines++;
                        return 1;
                }
                if (r == 0)
                        close_file(batch);
        }
}

int batch_next(Batch *batch, Line *ret_line)
{
        int r = next_line(batch, ret_line);

        if (r < 0 && r != -ENOMEM && !batch->error)
                return set_error(batch, r, strerror(-r));
        return r;
}

const char *batch_error(const Batch *batch)
{
        return batch->error;
}

const char *batch_file(const Batch *batch)
{
        return batch->path;
}

uint64_t batch_line(const Batch *batch)
{
        return batch->n_lines;
}
