/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "base/heap.h"

/* Of two trees, each without siblings, the later one becomes the first child of the other. */
static HeapNode *merge(HeapNode *a, HeapNode *b)
{
        HeapNode *parent, *child;

        if (!a || !b)
                return a ?: b;
        parent = b->key < a->key ? b : a;
        child = parent == a ? b : a;
        child->prev = parent;
        child->next = parent->child;
        if (parent->child)
                parent->child->prev = child;
        parent->child = child;
        return parent;
}

static HeapNode *take_first(HeapNode **siblings)
{
        HeapNode *node = *siblings;

        if (!node)
                return NULL;
        *siblings = node->next;
        node->next = node->prev = NULL;
        return node;
}

/* In pairs from the first to the last, then all pairs from the last to the first: that is what keeps the tree flat. */
static HeapNode *merge_siblings(HeapNode *siblings)
{
        HeapNode *pairs = NULL, *whole = NULL;

        while (siblings) {
                HeapNode *a = take_first(&siblings), *b = take_first(&siblings), *pair = merge(a, b);

                pair->next = pairs;
                pairs = pair;
        }
        while (pairs)
                whole = merge(whole, take_first(&pairs));
        return whole;
}

void heap_remove(Heap *heap, HeapNode *node)
{
        HeapNode *below;

        if (!node->in_heap)
                return;
        below = merge_siblings(node->child);
        if (node == heap->first)
                heap->first = below;
        else {
                if (node->prev->child == node)
                        node->prev->child = node->next;
                else
                        node->prev->next = node->next;
                if (node->next)
                        node->next->prev = node->prev;
                heap->first = merge(heap->first, below);
        }
        node->child = node->next = node->prev = NULL;
        node->in_heap = false;
}

void heap_put(Heap *heap, HeapNode *node, uint64_t key)
{
        heap_remove(heap, node);
        node->key = key;
        node->in_heap = true;
        heap->first = merge(heap->first, node);
}
