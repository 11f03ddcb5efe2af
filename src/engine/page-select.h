/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One page of a table that is in no order: the first so many by name, found without sorting all of it. */

#include <stddef.h>

#include "base/macros.h"

typedef int (*PageCompare)(const void *a, const void *b); /* as of qsort(): of two elements of items */

typedef struct PageSelect {
        const void **items;
        size_t n;
        size_t wanted; /* one more than the page has: whether there is another page */
        PageCompare compare;
        const void *last; /* what comes after it is not wanted; NULL: nothing was left out so far */
} PageSelect;

/* @limit: of the page. Return: 0; -ENOMEM. */
int page_select_init(PageSelect *select, size_t limit, PageCompare compare) _must_check_;
void page_select_done(PageSelect *select);
#define _cleanup_page_select_ _cleanup_(page_select_done)

/* @item: borrowed. */
void page_select_add(PageSelect *select, const void *item);

/* Sorts what was added. Return: how many there are, at most the limit and one, by which one knows that there are more.
 */
size_t page_select_end(PageSelect *select);

/* By text. */
int page_compare_names(const void *a, const void *b);
