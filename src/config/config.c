/* SPDX-License-Identifier: MIT */
/*
 * config.c - from files to a struct config: the order in which the room's parts work.
 *
 * Read every file, check each by itself, merge them, complete and store the sections,
 * then look at what belongs together. Mistakes are collected all along; only text that is
 * no YAML stops it early, for there is nothing to go on with.
 */
#include "config/config.h"

#include "base/error.h"
#include "config/check.h"
#include "config/entries.h"
#include "config/files.h"
#include "config/mistakes.h"
#include "config/policy.h"
#include "config/rules.h"
#include "config/secret.h"
#include "config/sections.h"
#include "config/source.h"
#include "config/yaml.h"

#include <stdlib.h>
#include <string.h>

/* One file on its way into the tree. */
struct input {
    const char *path;
    struct file_text text;
    struct node *root;
};

/* --- life --------------------------------------------------------------------------- */

static struct config *new_config(void)
{
    struct config *c = calloc(1, sizeof(*c));
    struct arena *a = arena_new(16384);
    if (c && a)
        c->source = arena_alloc(a, sizeof(*c->source));
    if (!c || !c->source) {
        arena_free(a);
        free(c);
        return NULL;
    }
    c->source->arena = a;
    return c;
}

void config_free(struct config *c)
{
    if (!c)
        return;
    entries_free(c);
    arena_free(c->source->arena);
    free(c);
}

const char *config_path(const struct config *c)
{
    return c->source->files[0];
}

/* --- from inputs to structs --------------------------------------------------------- */

/* Read all of them as YAML, so that the syntax errors of all are told. */
static enum coney_rc read_inputs(struct config_source *s, struct input *inputs,
        size_t count, struct mistakes *mistakes)
{
    enum coney_rc verdict = CONEY_OK;
    for (size_t i = 0; i < count; i++) {
        enum coney_rc rc = yaml_read(
                inputs[i].text.text, inputs[i].path, s->arena, mistakes, &inputs[i].root);
        if (rc == CONEY_ENOMEM)
            return rc;
        verdict = rc == CONEY_OK ? verdict : rc;
    }
    return verdict;
}

static enum coney_rc merge_inputs(struct config_source *s, const struct input *inputs,
        size_t count, struct mistakes *mistakes)
{
    s->root = node_new(s->arena, NODE_MAP, (struct place){0});
    if (!s->root)
        return CONEY_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        enum coney_rc rc =
                check_tree(inputs[i].root, inputs[i].text.readers, s->arena, mistakes);
        if (rc == CONEY_OK)
            rc = node_merge(s->root, s->arena, inputs[i].root);
        if (rc != CONEY_OK)
            return rc;
    }
    return CONEY_OK;
}

static enum coney_rc fill(struct config *c, struct mistakes *mistakes)
{
    enum coney_rc rc = source_init_fallbacks(c->source);
    if (rc == CONEY_OK)
        rc = sections_fill(c, mistakes);
    if (rc == CONEY_OK)
        rc = policies_init(c);
    if (rc == CONEY_OK)
        rc = entries_fill(c, mistakes);
    if (rc == CONEY_OK)
        rc = rules_check(c, mistakes);
    return rc == CONEY_OK ? secret_read(c, mistakes) : rc;
}

static enum coney_rc name_files(
        struct config_source *s, const struct input *inputs, size_t count)
{
    s->files = arena_alloc(s->arena, (count + 1) * sizeof(*s->files));
    if (!s->files)
        return CONEY_ENOMEM;
    for (size_t i = 0; i < count; i++)
        s->files[s->file_count++] = inputs[i].path;
    return CONEY_OK;
}

/* The outcome of it all: CONEY_ESYNTAX, with the first mistake as the error, if any. */
static enum coney_rc conclude(const struct config_source *s, enum coney_rc rc,
        struct mistakes *mistakes, struct coney_error *err)
{
    if (rc == CONEY_ENOMEM)
        return error_set_nomem(err);
    if (mistakes->count == 0)
        return CONEY_OK;
    mistakes_sort(mistakes, s->files, s->file_count);
    const struct mistake *first = &mistakes->items[0];
    error_set(err, CONEY_ESYNTAX, "%s:%u:%u: %s", first->file, first->line, first->column,
            first->text);
    error_set_position(err, first->line, first->column);
    return CONEY_ESYNTAX;
}

static enum coney_rc build(struct config *c, struct input *inputs, size_t count,
        struct mistakes *mistakes, struct coney_error *err)
{
    enum coney_rc rc = name_files(c->source, inputs, count);
    if (rc == CONEY_OK)
        rc = read_inputs(c->source, inputs, count, mistakes);
    if (rc == CONEY_OK)
        rc = merge_inputs(c->source, inputs, count, mistakes);
    if (rc == CONEY_OK)
        rc = fill(c, mistakes);
    return conclude(c->source, rc, mistakes, err);
}

/* --- the two ways in ---------------------------------------------------------------- */

enum coney_rc config_parse(const char *text, const char *file, struct config **out,
        struct mistakes *mistakes, struct coney_error *err)
{
    struct config *c = new_config();

    *out = NULL;
    *mistakes = (struct mistakes){0};
    if (!c)
        return error_set_nomem(err);
    struct input input = {.path = arena_strdup(c->source->arena, file),
            .text = {.text = {text, strlen(text)}, .readers = READERS_TRUSTED}};
    enum coney_rc rc =
            input.path ? build(c, &input, 1, mistakes, err) : error_set_nomem(err);
    if (rc == CONEY_OK) {
        *out = c;
        c = NULL;
    }
    config_free(c);
    return rc;
}

static enum coney_rc find_inputs(const char *path, struct arena *a, struct input **inputs,
        size_t *count, struct coney_error *err)
{
    struct string_list extra;
    const char *main;

    enum coney_rc rc = files_find(path, a, &main, err);
    if (rc == CONEY_OK)
        rc = files_list(main, a, &extra, err);
    if (rc != CONEY_OK)
        return rc;
    *inputs = arena_alloc(a, (extra.count + 1) * sizeof(**inputs));
    if (!*inputs)
        return error_set_nomem(err);
    (*inputs)[0].path = main;
    for (size_t i = 0; i < extra.count; i++)
        (*inputs)[i + 1].path = extra.items[i];
    *count = extra.count + 1;
    for (size_t i = 0; i < *count; i++) {
        rc = file_read((*inputs)[i].path, CONFIG_FILE_MAX, a, &(*inputs)[i].text, err);
        if (rc != CONEY_OK)
            return rc;
    }
    return CONEY_OK;
}

enum coney_rc config_load(const char *path, struct config **out,
        struct mistakes *mistakes, struct coney_error *err)
{
    struct input *inputs = NULL;
    size_t count = 0;
    struct config *c = new_config();

    *out = NULL;
    *mistakes = (struct mistakes){0};
    if (!c)
        return error_set_nomem(err);
    enum coney_rc rc = find_inputs(path, c->source->arena, &inputs, &count, err);
    if (rc == CONEY_OK)
        rc = build(c, inputs, count, mistakes, err);
    if (rc == CONEY_OK) {
        *out = c;
        c = NULL;
    }
    config_free(c);
    return rc;
}
