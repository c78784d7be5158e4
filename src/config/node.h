/* SPDX-License-Identifier: MIT */
/*
 * node.h - a configuration as a tree of values that remember where they were written.
 *
 * Everything lives in one arena and is released with it. The tree knows nothing about
 * which keys exist.
 */
#ifndef CONEY_CONFIG_NODE_H
#define CONEY_CONFIG_NODE_H

#include "base/arena.h"

#include <jansson.h>
#include <stdbool.h>

/* Where something was written; file NULL: a default. */
struct place {
    const char *file;
    unsigned line;
    unsigned column;
};

enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAP };

struct member {
    const char *name; /* NULL in a list */
    struct place at;  /* of the name */
    struct node *value;
};

struct node {
    enum node_kind kind;
    struct place at;
    const char *text; /* of a scalar */
    bool plain;       /* a scalar without quotes: a number, true or null may be meant */
    bool mended;      /* a mistake was taken out of this map: it is not complete */
    struct member *members;
    size_t count;
    size_t capacity;
};

/* NULL when out of memory. */
struct node *node_new(struct arena *a, enum node_kind kind, struct place at);
struct node *node_new_text(struct arena *a, const char *text, struct place at);
/* Append to a map or (@name NULL) a list, without looking for the same name. @name and
 * @value are borrowed for the arena's life. CONEY_ENOMEM. */
enum coney_rc node_append(struct node *n, struct arena *a, const char *name,
        struct place at, struct node *value) CONEY_MUST_CHECK;
/* Take the member at @index out; the map counts as mended. */
void node_remove(struct node *map, size_t index);

/* The member @name of a map, or NULL. */
struct member *node_member(const struct node *map, const char *name);
/* Its value, or NULL. @map may be NULL. */
struct node *node_get(const struct node *map, const char *name);
/* The value at a dotted path below @map ("retry.max"), or NULL. */
struct node *node_find(const struct node *map, const char *path);

/* A plain scalar that says nothing: empty, "~" or "null". */
bool node_is_null(const struct node *n);
/* A plain scalar that is just @word. */
bool node_is_word(const struct node *n, const char *word);
/* "a map", "a list", "a text" for messages. */
const char *node_kind_name(const struct node *n);

/*
 * Put @over on @base, both maps: maps are merged key by key, everything else is replaced.
 * Nodes of @over are borrowed for the arena's life. CONEY_ENOMEM.
 */
enum coney_rc node_merge(
        struct node *base, struct arena *a, const struct node *over) CONEY_MUST_CHECK;

/* The first plain scalar in @n that is a number with no room in 64 bits, or NULL. */
const struct node *node_too_large(const struct node *n);
/* As JSON, when no number is too large: plain scalars by the core schema of
 * YAML 1.2 (§10.3.2). The caller's reference; NULL when out of memory. */
json_t *node_json(const struct node *n);

#endif /* CONEY_CONFIG_NODE_H */
