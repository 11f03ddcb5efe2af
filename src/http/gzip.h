/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Text as gzip, in one piece. Whether a client takes it is not decided here. */

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
