/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "engine/page-select.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int page_select_init(PageSelect *select, size_t limit, PageCompare compare)
{
        *select = (PageSelect){ .wanted = limit + 1, .compare = compare };
        select->items = calloc(2 * select->wanted, sizeof(*select->items));
        return select->items ? 0 : -ENOMEM;
}

void page_select_done(PageSelect *select)
{
        free(select->items);
        *select = (PageSelect){ 0 };
}

size_t page_select_end(PageSelect *select)
{
        qsort(select->items, select->n, sizeof(*select->items), select->compare);
        if (select->n >= select->wanted) {
                select->n = select->wanted;
                select->last = select->items[select->n - 1];
        }
        return select->n;
}

void page_select_add(PageSelect *select, const void *item)
{
        if (select->last && select->compare(&item, &select->last) >= 0)
                return;
        select->items[select->n++] = item;
        if (select->n == 2 * select->wanted)
                (void) page_select_end(select);
}

int page_compare_names(const void *a, const void *b)
{
        const char *const *x = a, *const *y = b;

        return strcmp(*x, *y);
}
