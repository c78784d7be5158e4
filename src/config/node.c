/* SPDX-License-Identifier: MIT */
/* node.c - a configuration as a tree of values that remember where they were written. */
#include "config/node.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct node *node_new(struct arena *a, enum node_kind kind, struct place at)
{
    struct node *n = arena_alloc(a, sizeof(*n));
    if (!n)
        return NULL;
    n->kind = kind;
    n->at = at;
    return n;
}

struct node *node_new_text(struct arena *a, const char *text, struct place at)
{
    struct node *n = node_new(a, NODE_SCALAR, at);
    if (!n)
        return NULL;
    n->text = arena_strdup(a, text);
    return n->text ? n : NULL;
}

enum coney_rc node_append(struct node *n, struct arena *a, const char *name,
        struct place at, struct node *value)
{
    assert(n->kind != NODE_SCALAR);
    if (n->count == n->capacity) {
        size_t capacity = n->capacity ? 2 * n->capacity : 8;
        struct member *grown = arena_alloc(a, capacity * sizeof(*grown));
        if (!grown)
            return CONEY_ENOMEM;
        if (n->count)
            memcpy(grown, n->members, n->count * sizeof(*grown));
        n->members = grown;
        n->capacity = capacity;
    }
    n->members[n->count++] = (struct member){.name = name, .at = at, .value = value};
    return CONEY_OK;
}

void node_remove(struct node *map, size_t index)
{
    assert(index < map->count);
    map->count--;
    memmove(&map->members[index], &map->members[index + 1],
            (map->count - index) * sizeof(*map->members));
    map->mended = true;
}

struct member *node_member(const struct node *map, const char *name)
{
    if (!map || map->kind != NODE_MAP)
        return NULL;
    for (size_t i = 0; i < map->count; i++)
        if (strcmp(map->members[i].name, name) == 0)
            return &map->members[i];
    return NULL;
}

struct node *node_get(const struct node *map, const char *name)
{
    const struct member *m = node_member(map, name);
    return m ? m->value : NULL;
}

struct node *node_find(const struct node *map, const char *path)
{
    const char *dot = strchr(path, '.');
    char name[64];

    if (!dot)
        return node_get(map, path);
    size_t len = (size_t)(dot - path);
    assert(len < sizeof(name));
    memcpy(name, path, len);
    name[len] = '\0';
    return node_find(node_get(map, name), dot + 1);
}

bool node_is_null(const struct node *n)
{
    return n->kind == NODE_SCALAR && n->plain &&
           (!*n->text || strcmp(n->text, "~") == 0 || strcmp(n->text, "null") == 0);
}

bool node_is_word(const struct node *n, const char *word)
{
    return n->kind == NODE_SCALAR && n->plain && strcmp(n->text, word) == 0;
}

const char *node_kind_name(const struct node *n)
{
    switch (n->kind) {
    case NODE_SCALAR:
        return node_is_null(n) ? "nothing" : "a single value";
    case NODE_LIST:
        return "a list";
    case NODE_MAP:
        return "a map";
    }
    return "nothing";
}

enum coney_rc node_merge(struct node *base, struct arena *a, const struct node *over)
{
    base->mended |= over->mended;
    for (size_t i = 0; i < over->count; i++) {
        const struct member *m = &over->members[i];
        struct member *known = node_member(base, m->name);
        enum coney_rc rc = CONEY_OK;
        if (!known)
            rc = node_append(base, a, m->name, m->at, m->value);
        else if (known->value->kind == NODE_MAP && m->value->kind == NODE_MAP)
            rc = node_merge(known->value, a, m->value);
        else
            *known = *m;
        if (rc != CONEY_OK)
            return rc;
    }
    return CONEY_OK;
}

/* --- JSON --------------------------------------------------------------------------- */

static bool is_decimal(const char *s)
{
    s += *s == '-' || *s == '+';
    return *s && s[strspn(s, "0123456789")] == '\0';
}

/* [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )? */
static bool is_float(const char *s)
{
    s += *s == '-' || *s == '+';
    size_t whole = strspn(s, "0123456789");
    s += whole;
    if (*s == '.') {
        size_t fraction = strspn(s + 1, "0123456789");
        if (whole + fraction == 0)
            return false;
        s += 1 + fraction;
    } else if (whole == 0) {
        return false;
    }
    if (*s == 'e' || *s == 'E') {
        s += 1 + (s[1] == '-' || s[1] == '+');
        return *s && s[strspn(s, "0123456789")] == '\0';
    }
    return *s == '\0';
}

static json_t *plain_json(const char *text)
{
    if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
        return json_boolean(*text == 't');
    if (is_decimal(text))
        return json_integer(strtoll(text, NULL, 10));
    if (is_float(text))
        return json_real(strtod(text, NULL));
    return json_string(text);
}

/* Whether JSON, as we read it, has room for the number that @text may be. */
static bool fits(const char *text)
{
    if (is_decimal(text)) {
        errno = 0;
        (void)strtoll(text, NULL, 10);
        return errno == 0;
    }
    return !is_float(text) || isfinite(strtod(text, NULL));
}

const struct node *node_too_large(const struct node *n)
{
    if (n->kind == NODE_SCALAR)
        return n->plain && !fits(n->text) ? n : NULL;
    for (size_t i = 0; i < n->count; i++) {
        const struct node *found = node_too_large(n->members[i].value);
        if (found)
            return found;
    }
    return NULL;
}

json_t *node_json(const struct node *n)
{
    if (n->kind == NODE_SCALAR)
        return node_is_null(n) ? json_null()
               : n->plain      ? plain_json(n->text)
                               : json_string(n->text);

    json_t *json = n->kind == NODE_MAP ? json_object() : json_array();
    for (size_t i = 0; json && i < n->count; i++) {
        const struct member *m = &n->members[i];
        json_t *value = node_json(m->value);
        int failed = n->kind == NODE_MAP ? json_object_set_new(json, m->name, value)
                                         : json_array_append_new(json, value);
        if (failed) {
            json_decref(json);
            json = NULL;
        }
    }
    return json;
}
