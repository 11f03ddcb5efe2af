/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where a page of runs ended, as text that a caller hands back unread: the place in the order (created_usec, row),
 * with a checksum, so that a text that is not ours is refused instead of read as some place. */

#include "base/macros.h"

#define PAGE_TOKEN_TEXT_MAX 41U /* with the closing NUL */

typedef struct PagePlace {
        uint64_t created_usec;
        uint64_t row;
} PagePlace;

char *page_token_format(char buf[static PAGE_TOKEN_TEXT_MAX], const PagePlace *place);

/* Return: 0; -EINVAL. */
int page_token_parse(const char *text, PagePlace *ret) _must_check_;
