/* SPDX-License-Identifier: MIT */
/* test_heap.c - random adds and removals against a plain minimum. */
#include "base/heap.h"
#include "base/rng.h"
#include "test.h"

static void nodes_come_out_in_order_whatever_was_removed(void **state)
{
    (void)state;
    enum { NODES = 300, STEPS = 20000 };
    static struct heap_node nodes[NODES];
    struct heap heap = {.nodes = NULL};
    struct rng rng;
    rng_seed(&rng, 7);

    for (int step = 0; step < STEPS; step++) {
        struct heap_node *n = &nodes[rng_below(&rng, NODES)];
        if (heap_has(n))
            heap_remove(&heap, n);
        else
            assert_int_equal(heap_add(&heap, n, (int64_t)rng_below(&rng, 50)), CONEY_OK);

        const struct heap_node *least = NULL;
        size_t count = 0;
        for (size_t i = 0; i < NODES; i++) {
            if (!heap_has(&nodes[i]))
                continue;
            count++;
            if (!least || nodes[i].at < least->at)
                least = &nodes[i];
        }
        assert_int_equal(heap.count, count);
        const struct heap_node *first = heap_first(&heap);
        assert_true((first == NULL) == (least == NULL));
        if (least)
            assert_int_equal(first->at, least->at);
    }
    heap_fini(&heap);
}

static void removing_a_stranger_does_nothing(void **state)
{
    (void)state;
    struct heap heap = {.nodes = NULL};
    struct heap_node node = {.at = 1};
    heap_remove(&heap, &node);
    assert_null(heap_first(&heap));
    heap_fini(&heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(nodes_come_out_in_order_whatever_was_removed),
            cmocka_unit_test(removing_a_stranger_does_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
