/* SPDX-License-Identifier: MIT */
/*
 * sections.c - from the merged tree into the structs, section by section.
 *
 * Defaults that depend on something else are put into the tree as well, before it is
 * stored, so that what is printed is what is in force.
 */
#include "config/sections.h"

#include "config/mistakes.h"
#include "config/source.h"

#include <assert.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

/* --- processors --------------------------------------------------------------------- */

/* Those that we may run on, which is fewer than there are in a container. */
static unsigned count_processors(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) != 0)
        return 1;
    int count = CPU_COUNT(&set);
    return count > 0 ? (unsigned)count : 1;
}

/* --- plain sections ----------------------------------------------------------------- */

static enum coney_rc fill_plain(struct config *c, const char *name, void *into)
{
    const struct key *section = key_find(name);
    struct node *map = source_section(c->source, name);
    if (!map)
        return CONEY_ENOMEM;
    enum coney_rc rc = source_complete(c->source, section, map);
    return rc == CONEY_OK ? source_store(c->source, section, map, into) : rc;
}

/* --- classes ------------------------------------------------------------------------ */

long class_find(const struct config *c, const char *name)
{
    for (size_t i = 0; i < c->class_count; i++)
        if (strcmp(c->classes[i].name, name) == 0)
            return (long)i;
    return -1;
}

/* One runner can't be kept free: the others' jobs would never start. */
static enum coney_rc fit_default_classes(struct config *c, struct node *classes)
{
    struct node *high = node_get(classes, "high");
    assert(high);
    if (c->worker.concurrency > 1)
        return CONEY_OK;
    node_member(high, "reserve")->value =
            node_new_text(c->source->arena, "0", (struct place){0});
    if (!node_get(high, "reserve"))
        return CONEY_ENOMEM;
    node_get(high, "reserve")->plain = true;
    return CONEY_OK;
}

static enum coney_rc find_classes(struct config *c, struct node **classes)
{
    *classes = source_section(c->source, "classes");
    if (!*classes)
        return CONEY_ENOMEM;
    if ((*classes)->count > 0)
        return CONEY_OK;

    const struct node *three = source_fallback(c->source, key_find("classes"));
    enum coney_rc rc = node_merge(*classes, c->source->arena, three);
    return rc == CONEY_OK ? fit_default_classes(c, *classes) : rc;
}

static enum coney_rc fill_classes(struct config *c)
{
    const struct key *section = key_find("classes.*");
    struct node *classes;
    enum coney_rc rc = find_classes(c, &classes);
    if (rc != CONEY_OK)
        return rc;

    c->classes = arena_alloc(c->source->arena, classes->count * sizeof(*c->classes));
    if (!c->classes)
        return CONEY_ENOMEM;
    for (size_t i = 0; i < classes->count; i++) {
        struct class_config *class = &c->classes[c->class_count];
        class->name = arena_strdup(c->source->arena, classes->members[i].name);
        rc = class->name ? source_complete(c->source, section, classes->members[i].value)
                         : CONEY_ENOMEM;
        if (rc == CONEY_OK)
            rc = source_store(c->source, section, classes->members[i].value, class);
        if (rc != CONEY_OK)
            return rc;
        c->class_count++;
    }
    return CONEY_OK;
}

/* --- queues ------------------------------------------------------------------------- */

static bool is_ours(const struct config *c, const char *queue)
{
    size_t len = strlen(c->broker.prefix);
    return strncmp(queue, c->broker.prefix, len) == 0 && queue[len] == '.';
}

/* The queue of @class as the operator wrote it, named by the class or as in the broker;
 * else a new one. It is put into @to under the broker's name. */
static enum coney_rc place_class_queue(struct config *c, const char *class,
        const struct node *from, struct node *to, struct mistakes *mistakes)
{
    struct arena *a = c->source->arena;
    const char *name = arena_printf(a, "%s.%s", c->broker.prefix, class);
    if (!name)
        return CONEY_ENOMEM;

    const struct member *by_class = node_member(from, class);
    const struct member *by_name = node_member(from, name);
    if (by_class && by_name)
        return mistakes_add(mistakes, by_class->at,
                "queues: \"%s\" and \"%s\" (%s:%u) are the same queue", class, name,
                by_name->at.file, by_name->at.line);
    const struct member *m = by_class ? by_class : by_name;
    struct node *map = m ? m->value : node_new(a, NODE_MAP, (struct place){0});
    return map ? node_append(to, a, name, m ? m->at : map->at, map) : CONEY_ENOMEM;
}

/* The queues of the classes, in their order, then all others. */
static enum coney_rc arrange_queues(
        struct config *c, struct node *queues, struct mistakes *mistakes)
{
    const struct node written = *queues;
    struct arena *a = c->source->arena;
    enum coney_rc rc = CONEY_OK;

    *queues = (struct node){.kind = NODE_MAP, .at = written.at, .mended = written.mended};
    for (size_t i = 0; rc == CONEY_OK && i < c->class_count; i++)
        rc = place_class_queue(c, c->classes[i].name, &written, queues, mistakes);
    for (size_t i = 0; rc == CONEY_OK && i < written.count; i++) {
        const struct member *m = &written.members[i];
        if (class_find(c, m->name) < 0 && !node_get(queues, m->name))
            rc = node_append(queues, a, m->name, m->at, m->value);
    }
    return rc;
}

static enum coney_rc add_default(
        struct config *c, struct node *map, const char *key, const char *text)
{
    if (node_get(map, key))
        return CONEY_OK;
    struct node *value = node_new_text(c->source->arena, text, (struct place){0});
    if (!value)
        return CONEY_ENOMEM;
    value->plain = true;
    return node_append(map, c->source->arena, key, value->at, value);
}

/* The class that a queue belongs to when it does not say. */
static const char *default_class(const struct config *c, const char *queue)
{
    if (is_ours(c, queue)) {
        const char *rest = queue + strlen(c->broker.prefix) + 1;
        if (class_find(c, rest) >= 0)
            return rest;
    }
    return class_find(c, "default") >= 0 ? "default" : c->classes[0].name;
}

static enum coney_rc complete_queue(struct config *c, const struct member *m)
{
    bool passive = c->broker.declare == DECLARE_PASSIVE || !is_ours(c, m->name);
    bool classic = c->broker.queue_type == QUEUE_CLASSIC;
    enum coney_rc rc = add_default(c, m->value, "class", default_class(c, m->name));
    if (rc == CONEY_OK)
        rc = add_default(c, m->value, "declare", passive ? "passive" : "active");
    if (rc == CONEY_OK)
        rc = add_default(c, m->value, "type", classic ? "classic" : "quorum");
    if (rc == CONEY_OK)
        rc = source_complete(c->source, key_find("queues.*"), m->value);
    return rc;
}

static enum coney_rc find_class(struct config *c, const struct member *m,
        struct queue_config *queue, struct mistakes *mistakes)
{
    const struct node *class = node_get(m->value, "class");
    long index = class_find(c, class->text);
    if (index >= 0) {
        queue->class_index = (size_t)index;
        return CONEY_OK;
    }
    char hint[200];
    class_hint(c, class->text, hint, sizeof(hint));
    return mistakes_add(mistakes, class->at, "class: there is no class \"%.64s\"%s",
            class->text, hint);
}

static enum coney_rc fill_queue(struct config *c, const struct member *m,
        struct queue_config *queue, struct mistakes *mistakes)
{
    enum coney_rc rc = complete_queue(c, m);
    if (rc != CONEY_OK)
        return rc;
    queue->name = arena_strdup(c->source->arena, m->name);
    queue->foreign = !is_ours(c, m->name);
    if (!queue->name)
        return CONEY_ENOMEM;
    rc = source_store(c->source, key_find("queues.*"), m->value, queue);
    return rc == CONEY_OK ? find_class(c, m, queue, mistakes) : rc;
}

static enum coney_rc fill_queues(struct config *c, struct mistakes *mistakes)
{
    struct node *queues = source_section(c->source, "queues");
    enum coney_rc rc = queues ? arrange_queues(c, queues, mistakes) : CONEY_ENOMEM;
    if (rc != CONEY_OK)
        return rc;

    c->queues = arena_alloc(c->source->arena, queues->count * sizeof(*c->queues));
    if (!c->queues)
        return CONEY_ENOMEM;
    for (size_t i = 0; i < queues->count; i++) {
        rc = fill_queue(c, &queues->members[i], &c->queues[i], mistakes);
        if (rc != CONEY_OK)
            return rc;
        c->queue_count++;
    }
    return CONEY_OK;
}

const struct queue_config *config_queue(const struct config *c, const char *name)
{
    size_t len = strlen(c->broker.prefix);
    bool is_class = class_find(c, name) >= 0;
    for (size_t i = 0; i < c->queue_count; i++) {
        const char *queue = c->queues[i].name;
        if (strcmp(queue, name) == 0)
            return &c->queues[i];
        if (is_class && is_ours(c, queue) && strcmp(queue + len + 1, name) == 0)
            return &c->queues[i];
    }
    return NULL;
}

/* --- hints -------------------------------------------------------------------------- */

/* Names to choose from, and the one that is nearest so far. */
struct hint {
    const char *wanted;
    const char *nearest;
    unsigned distance;
    char names[160];
    size_t len;
};

static void consider(struct hint *h, const char *name)
{
    unsigned distance = edit_distance(h->wanted, name);
    if (is_near(h->wanted, distance) && (!h->nearest || distance < h->distance)) {
        h->nearest = name;
        h->distance = distance;
    }
    if (h->len < sizeof(h->names))
        h->len += (size_t)snprintf(h->names + h->len, sizeof(h->names) - h->len, "%s%s",
                h->len ? ", " : "", name);
}

static void write_hint(const struct hint *h, char *text, size_t size)
{
    if (h->nearest)
        snprintf(text, size, "; did you mean \"%s\"?", h->nearest);
    else
        snprintf(text, size, "; there are %s", h->names);
}

void class_hint(const struct config *c, const char *name, char *text, size_t size)
{
    struct hint h = {.wanted = name};
    for (size_t i = 0; i < c->class_count; i++)
        consider(&h, c->classes[i].name);
    write_hint(&h, text, size);
}

void queue_hint(const struct config *c, const char *name, char *text, size_t size)
{
    struct hint h = {.wanted = name};
    for (size_t i = 0; i < c->class_count; i++)
        consider(&h, c->classes[i].name);
    for (size_t i = 0; i < c->queue_count; i++)
        consider(&h, c->queues[i].name);
    write_hint(&h, text, size);
}

/* --- all of them -------------------------------------------------------------------- */

enum coney_rc sections_fill(struct config *c, struct mistakes *mistakes)
{
    enum coney_rc rc = fill_plain(c, "broker", &c->broker);
    if (rc == CONEY_OK)
        rc = fill_plain(c, "worker", &c->worker);
    if (c->worker.concurrency == 0)
        c->worker.concurrency = count_processors();
    if (rc == CONEY_OK)
        rc = fill_plain(c, "results", &c->results);
    if (rc == CONEY_OK)
        rc = fill_plain(c, "events", &c->events);
    if (rc == CONEY_OK)
        rc = fill_plain(c, "control", &c->control);
    if (rc == CONEY_OK)
        rc = fill_plain(c, "beat", &c->beat);
    if (rc == CONEY_OK)
        rc = fill_classes(c);
    return rc == CONEY_OK ? fill_queues(c, mistakes) : rc;
}
