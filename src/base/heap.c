/* SPDX-License-Identifier: MIT */
/* heap.c - the usual array heap, with each node told where it stands. */
#include "base/heap.h"

#include <assert.h>
#include <stdlib.h>

enum { FIRST_CAPACITY = 16 };

void heap_fini(struct heap *h)
{
    free(h->nodes);
    *h = (struct heap){.nodes = NULL};
}

static void put(struct heap *h, size_t place, struct heap_node *node)
{
    h->nodes[place - 1] = node;
    node->place = place;
}

static void sift_up(struct heap *h, struct heap_node *node)
{
    size_t place = node->place;
    while (place > 1 && h->nodes[place / 2 - 1]->at > node->at) {
        put(h, place, h->nodes[place / 2 - 1]);
        place /= 2;
    }
    put(h, place, node);
}

static void sift_down(struct heap *h, struct heap_node *node)
{
    size_t place = node->place;
    for (;;) {
        size_t child = place * 2;
        if (child > h->count)
            break;
        if (child < h->count && h->nodes[child]->at < h->nodes[child - 1]->at)
            child++;
        if (h->nodes[child - 1]->at >= node->at)
            break;
        put(h, place, h->nodes[child - 1]);
        place = child;
    }
    put(h, place, node);
}

enum coney_rc heap_add(struct heap *h, struct heap_node *node, int64_t at)
{
    assert(node->place == 0);
    if (h->count == h->capacity) {
        size_t capacity = h->capacity > 0 ? h->capacity * 2 : FIRST_CAPACITY;
        struct heap_node **nodes =
                realloc(h->nodes, capacity * sizeof(struct heap_node *));
        if (!nodes)
            return CONEY_ENOMEM;
        h->nodes = nodes;
        h->capacity = capacity;
    }
    node->at = at;
    h->count++;
    put(h, h->count, node);
    sift_up(h, node);
    return CONEY_OK;
}

void heap_remove(struct heap *h, struct heap_node *node)
{
    if (node->place == 0)
        return;
    size_t place = node->place;
    assert(place <= h->count && h->nodes[place - 1] == node);
    struct heap_node *last = h->nodes[h->count - 1];
    h->count--;
    node->place = 0;
    if (last == node)
        return;
    put(h, place, last);
    sift_up(h, last);
    sift_down(h, last);
}

struct heap_node *heap_first(const struct heap *h)
{
    return h->count > 0 ? h->nodes[0] : NULL;
}

bool heap_has(const struct heap_node *node)
{
    return node->place != 0;
}
