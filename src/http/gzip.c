/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "http/gzip.h"

#include <limits.h>
#include <stdlib.h>
#include <zlib.h>

#define WINDOW (15 + 16) /* the largest window, with gzip's head and tail */
#define MEMORY 8

struct GzipSlices {
        z_stream z;
        size_t left; /* of the text */
};

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

int gzip_slices_new(const char *data, size_t size, GzipSlices **ret)
{
        _cleanup_free_ GzipSlices *slices = calloc(1, sizeof(*slices));

        if (!slices ||
            deflateInit2(&slices->z, GZIP_LEVEL_QUICK, Z_DEFLATED, WINDOW, MEMORY, Z_DEFAULT_STRATEGY) != Z_OK)
                return -ENOMEM;
        slices->z.next_in = (unsigned char *) data;
        slices->left = size;
        *ret = TAKE_PTR(slices);
        return 0;
}

GzipSlices *gzip_slices_free(GzipSlices *slices)
{
        if (!slices)
                return NULL;
        (void) deflateEnd(&slices->z);
        free(slices);
        return NULL;
}

size_t gzip_slices_left(const GzipSlices *slices)
{
        return slices->left;
}

/* Flushed, lest a slice comes to nothing and looks like the end. */
ssize_t gzip_slices_next(GzipSlices *slices, char *buffer, size_t size)
{
        size_t slice = MIN(slices->left, GZIP_SLICE_MAX);
        z_stream *z = &slices->z;
        int r;

        z->next_out = (unsigned char *) buffer;
        z->avail_out = (unsigned) MIN(size, UINT_MAX);
        z->avail_in = (unsigned) slice;
        r = deflate(z, slice == slices->left ? Z_FINISH : Z_SYNC_FLUSH);
        slices->left -= slice - z->avail_in;
        if (r != Z_OK && r != Z_STREAM_END)
                return -EIO;
        return (char *) z->next_out - buffer;
}
