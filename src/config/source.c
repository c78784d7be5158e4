/* SPDX-License-Identifier: MIT */
/* source.c - defaults put in, values taken out: how the table and the tree meet. */
#include "config/source.h"

#include "config/value.h"
#include "config/yaml.h"

#include <assert.h>
#include <string.h>

/* A default stands in our own table: if it is wrong, so is the program. */
static enum coney_rc assert_right(enum coney_rc rc, struct mistakes *mistakes)
{
    assert(mistakes->count == 0);
    assert(rc == CONEY_OK || rc == CONEY_ENOMEM);
    return rc;
}

static void forget_places(struct node *n)
{
    n->at = (struct place){0};
    for (size_t i = 0; i < n->count; i++) {
        n->members[i].at = n->at;
        forget_places(n->members[i].value);
    }
}

enum coney_rc source_init_fallbacks(struct config_source *s)
{
    size_t count;
    const struct key *table = key_table(&count);

    s->fallbacks = arena_alloc(s->arena, count * sizeof(struct node *));
    if (!s->fallbacks)
        return CONEY_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        const char *text = key_fallback(&table[i]);
        if (!text)
            continue;
        struct mistakes mistakes = {0};
        enum coney_rc rc = yaml_read((struct bytes){text, strlen(text)}, NULL, s->arena,
                &mistakes, &s->fallbacks[i]);
        rc = assert_right(rc, &mistakes);
        if (rc != CONEY_OK)
            return rc;
        forget_places(s->fallbacks[i]);
    }
    return CONEY_OK;
}

struct node *source_fallback(const struct config_source *s, const struct key *k)
{
    size_t count;
    const struct key *table = key_table(&count);
    return s->fallbacks[k - table];
}

struct node *source_section(struct config_source *s, const char *name)
{
    struct node *section = node_get(s->root, name);
    if (section)
        return section;
    section = node_new(s->arena, NODE_MAP, (struct place){0});
    if (!section || node_append(s->root, s->arena, name, section->at, section))
        return NULL;
    return section;
}

enum coney_rc source_complete(
        struct config_source *s, const struct key *section, struct node *map)
{
    size_t count;
    const struct key *table = key_table(&count);
    const struct place nowhere = {0};

    for (size_t i = 0; i < count; i++) {
        const struct key *k = &table[i];
        if (!key_is_below(k, section))
            continue;
        struct node *value = node_get(map, key_name(k));
        enum coney_rc rc = CONEY_OK;
        if (!value) {
            value = k->type == KEY_MAP ? node_new(s->arena, NODE_MAP, nowhere)
                                       : s->fallbacks[i];
            if (!value && k->type != KEY_MAP)
                continue;
            rc = value ? node_append(map, s->arena, key_name(k), nowhere, value)
                       : CONEY_ENOMEM;
        }
        if (rc == CONEY_OK && k->type == KEY_MAP)
            rc = source_complete(s, k, value);
        if (rc != CONEY_OK)
            return rc;
    }
    return CONEY_OK;
}

enum coney_rc source_store(struct config_source *s, const struct key *section,
        const struct node *map, void *into)
{
    size_t count;
    const struct key *table = key_table(&count);
    size_t len = strlen(section->path);

    for (size_t i = 0; i < count; i++) {
        const struct key *k = &table[i];
        if (k->store == STORE_NONE || strncmp(k->path, section->path, len) != 0 ||
                k->path[len] != '.')
            continue;
        const struct node *value = node_find(map, k->path + len + 1);
        if (!value)
            continue;
        struct value v;
        struct mistakes mistakes = {0};
        enum coney_rc rc = value_read(k, value, s->arena, &mistakes, &v);
        rc = assert_right(rc, &mistakes);
        if (rc != CONEY_OK)
            return rc;
        value_store(k, &v, into);
    }
    return CONEY_OK;
}

bool is_sound(const struct node *map)
{
    if (!map)
        return true;
    bool sound = !map->mended;
    for (size_t i = 0; sound && i < map->count; i++)
        sound = is_sound(map->members[i].value);
    return sound;
}
