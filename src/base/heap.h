/* SPDX-License-Identifier: MIT */
/*
 * heap.h - what is due first: a binary heap of nodes embedded in their owners.
 *
 * A node knows its place, so that any node can be taken out in O(log n). Nodes of the
 * same time come out in any order.
 */
#ifndef CONEY_BASE_HEAP_H
#define CONEY_BASE_HEAP_H

#include <coney/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_node {
    int64_t at;
    size_t place; /* 1-based; 0: in no heap */
};

struct heap {
    struct heap_node **nodes; /* owned array of borrowed nodes */
    size_t count;
    size_t capacity;
};

/* A zeroed struct heap is empty. Frees the array; nodes are not touched. */
void heap_fini(struct heap *h);
/* CONEY_ENOMEM. @node must be in no heap. */
enum coney_rc heap_add(
        struct heap *h, struct heap_node *node, int64_t at) CONEY_MUST_CHECK;
/* Take @node out; nothing happens when it is in no heap. */
void heap_remove(struct heap *h, struct heap_node *node);
/* The node with the least time, or NULL. It stays in the heap. */
struct heap_node *heap_first(const struct heap *h);
bool heap_has(const struct heap_node *node);

#endif /* CONEY_BASE_HEAP_H */
