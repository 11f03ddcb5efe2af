/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Any bytes as the file of a BATCH, plain or with gzip, and any line as the message that names files: every line comes
 * out once, and what cannot be read says why. */

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/string-util.h"
#include "worker/batch.h"

#define LINES_MAX 100000U /* where a manifest names a file of this machine */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static JsonIndex json_index;

static void check(bool holds)
{
        if (!holds)
                abort();
}

/* Return: the lines that came; SIZE_MAX where the files could not be read to their end. */
static size_t read_batch(const char *line, size_t size)
{
        const char *why = NULL;
        char *error = NULL;
        Batch *batch = NULL;
        Message message;
        size_t n = 0;
        Line next;
        int r;

        r = message_parse((JsonSlice){ line, size }, &json_index, &why, &message);
        if (r < 0 || message.type != MESSAGE_BATCH)
                return SIZE_MAX;
        r = batch_new(&message, "/nonexistent", &batch, &error);
        check(r == 0 || (r == -EOPNOTSUPP && error));
        while (r >= 0 && n < LINES_MAX && (r = batch_next(batch, &next)) > 0)
                check(batch_line(batch) > 0 && batch_file(batch) && ++n);
        check(r >= 0 || error || batch_error(batch));
        batch_free(batch);
        free(error);
        return r < 0 ? SIZE_MAX : n;
}

static void read_file_of_batch(const uint8_t *data, size_t size, bool is_gzip)
{
        int fd = memfd_create("batch", MFD_CLOEXEC);
        size_t n_lines = 0, n;
        char line[256];

        check(fd >= 0 && write(fd, data, size) == (ssize_t) size);
        (void) snprintf(line, sizeof(line),
                        "{\"type\":\"BATCH\",\"stream\":\"s\",\"encoding\":{\"format\":\"jsonl\",\"compression\":\"%s\"},"
                        "\"manifest\":[\"file:///proc/self/fd/%d\"]}",
                        is_gzip ? "gzip" : "none", fd);
        n = read_batch(line, strlen(line));
        for (size_t i = 0; i < size; i++)
                n_lines += data[i] == '\n' || i + 1 == size;
        if (!is_gzip)
                check(n == MIN(n_lines, (size_t) LINES_MAX));
        (void) close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size == 0)
                return 0;
        if (data[0] == 'm')
                (void) read_batch((const char *) data + 1, size - 1);
        else
                read_file_of_batch(data + 1, size - 1, data[0] == 'z');
        return 0;
}
