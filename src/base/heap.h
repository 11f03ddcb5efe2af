/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What has the smallest key first, of things that hold their place in it themselves: a pairing heap, which needs no
 * memory of its own and so cannot fail. Whatever is to be ordered has a HeapNode as a member. */

#include "base/macros.h"

typedef struct HeapNode HeapNode;

struct HeapNode {
        uint64_t key;
        HeapNode *child, *next;
        HeapNode *prev; /* the parent, of the first child; NULL of the first of all */
        bool in_heap;
};

typedef struct Heap {
        HeapNode *first; /* with the smallest key; of equal ones any. NULL: empty */
} Heap;

/* Put @node in, or move it where it is in already. O(1), a move as below. */
void heap_put(Heap *heap, HeapNode *node, uint64_t key);

/* Take @node out; nothing happens where it is not in. O(log n) in the long run. */
void heap_remove(Heap *heap, HeapNode *node);
