/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "http/gzip.h"

#include <stdlib.h>
#include <zlib.h>

#define WINDOW (15 + 16) /* the largest window, with gzip's head and tail */
#define MEMORY 8

int gzip_text(const char *data, size_t size, int level, char **ret, size_t *ret_size)
{
        z_stream z = {};
        size_t limit = size - size / 8;
        _cleanup_free_ char *text = malloc(limit + 1);
        int r;

        if (!text || deflateInit2(&z, level, Z_DEFLATED, WINDOW, MEMORY, Z_DEFAULT_STRATEGY) != Z_OK)
                return -ENOMEM;
        z.next_in = (unsigned char *) data;
        z.avail_in = (unsigned) size;
        z.next_out = (unsigned char *) text;
        z.avail_out = (unsigned) limit;
        r = deflate(&z, Z_FINISH);
        (void) deflateEnd(&z);
        if (r != Z_STREAM_END)
                return -E2BIG;
        *ret = TAKE_PTR(text);
        *ret_size = z.total_out;
        return 0;
}
