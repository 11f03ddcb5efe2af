/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Text as gzip, in one piece or in slices. Whether a client takes it is not decided here. */

#include <sys/types.h>

#include "base/macros.h"

/* Below this a body fits into one packet anyway. */
#define GZIP_MIN_BYTES 1024U

/* JSON is made a fifth or less by any level; the first is three times as fast as the usual. */
#define GZIP_LEVEL_QUICK 1
#define GZIP_LEVEL_BEST  9

/**
 * gzip_text() - compress
 * @ret: set on success only; the caller's to free
 *
 * Return: 0; -E2BIG where not an eighth at least would be saved; -ENOMEM.
 */
int gzip_text(const char *data, size_t size, int level, char **ret, size_t *ret_size) _must_check_;

/* Larger texts are compressed slice by slice, as they are sent: others are served in between. */
#define GZIP_AT_ONCE_MAX (128 * KIB)
#define GZIP_SLICE_MAX   (32 * KIB)

/* What compressing in slices keeps in memory beside the text: zlib's state, and what comes of a slice. */
#define GZIP_SLICES_HELD_BYTES (272 * KIB + GZIP_SLICE_MAX)

typedef struct GzipSlices GzipSlices;

/**
 * gzip_slices_new() - begin to compress, quickly
 * @data: borrowed until gzip_slices_free()
 *
 * Return: 0; -ENOMEM.
 */
int gzip_slices_new(const char *data, size_t size, GzipSlices **ret) _must_check_;
GzipSlices *gzip_slices_free(GzipSlices *slices);

/**
 * gzip_slices_next() - what comes of the next GZIP_SLICE_MAX bytes, or of less where @size is small
 *
 * Return: how many bytes it wrote, 0 at the end; -EIO.
 */
ssize_t gzip_slices_next(GzipSlices *slices, char *buffer, size_t size) _must_check_;

/* Bytes of the text that are still to be compressed. */
size_t gzip_slices_left(const GzipSlices *slices);
