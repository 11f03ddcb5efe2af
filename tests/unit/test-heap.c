/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The heap beside a plain look at everything, by steps that are drawn. */

#include "unit/expect.h"

#include <stdlib.h>

#include "base/heap.h"

#define NODES 64U
#define STEPS 20000U

typedef struct Thing {
        unsigned number;
        HeapNode node;
} Thing;

static uint64_t draw(uint64_t *seed, uint64_t n)
{
        *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        return (*seed >> 33) % n;
}

static void expect_first(const Heap *heap, const Thing *things)
{
        uint64_t smallest = UINT64_MAX;
        bool empty = true;

        for (unsigned i = 0; i < NODES; i++)
                if (things[i].node.in_heap) {
                        empty = false;
                        smallest = things[i].node.key < smallest ? things[i].node.key : smallest;
                }
        assert_true(empty == !heap->first);
        if (!empty)
                assert_int_equal(heap->first->key, smallest);
}

/* Few keys, so that many are equal, and enough steps for each shape of the tree. */
static void test_drawn_steps(void **state)
{
        Thing things[NODES] = {};
        Heap heap = {};
        uint64_t seed = 7;

        for (unsigned i = 0; i < STEPS; i++) {
                Thing *t = &things[draw(&seed, NODES)];

                if (draw(&seed, 5) < 2)
                        heap_remove(&heap, &t->node);
                else {
                        uint64_t key = draw(&seed, 40);

                        heap_put(&heap, &t->node, key);
                        assert_int_equal(t->node.key, key);
                }
                expect_first(&heap, things);
        }
        for (unsigned i = 0; i < NODES; i++)
                heap_remove(&heap, &things[i].node);
        assert_null(heap.first);
}

/* All come out, each once, in order, whatever order they went in by. */
static void test_order(void **state)
{
        enum { N = 10000 };
        _cleanup_free_ Thing *things = calloc(N, sizeof(Thing));
        static const unsigned strides[] = { 1, N - 1, 7919 };

        assert_non_null(things);
        for (size_t s = 0; s < ELEMENTSOF(strides); s++) {
                Heap heap = {};

                for (unsigned i = 0, at = 0; i < N; i++, at = (at + strides[s]) % N) {
                        things[at].number = at;
                        heap_put(&heap, &things[at].node, at / 2U);
                }
                for (unsigned i = 0; i < N; i++) {
                        HeapNode *first = heap.first;

                        assert_non_null(first);
                        assert_int_equal(first->key, i / 2U);
                        assert_int_equal(container_of(first, Thing, node)->number / 2U, i / 2U);
                        heap_remove(&heap, first);
                        assert_false(first->in_heap);
                        heap_remove(&heap, first); /* once more: nothing */
                }
                assert_null(heap.first);
        }
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_drawn_steps),
                cmocka_unit_test(test_order),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
