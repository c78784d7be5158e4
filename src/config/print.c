/* SPDX-License-Identifier: MIT */
/* print.c - the configuration in force as YAML that loads again, secrets masked. */
#include "config/config.h"
#include "config/source.h"
#include "config/texts.h"
#include "config/yaml.h"

#include <string.h>

static enum coney_rc show(
        struct arena *a, const struct key *row, struct node *n, struct node **out);

static struct node *masked_text(struct arena *a, const char *text)
{
    return node_new_text(a, text, (struct place){0});
}

static struct node *masked_url(struct arena *a, const char *url)
{
    struct buffer masked;
    struct node *n = NULL;

    buffer_init(&masked, SIZE_MAX / 2);
    if (url_mask(&masked, url) == CONEY_OK && buffer_append(&masked, "", 1) == CONEY_OK)
        n = masked_text(a, (const char *)buffer_data(&masked));
    buffer_fini(&masked);
    return n;
}

/* The member @m of the map or list whose row is @row, as it may be shown, into @to. */
static enum coney_rc show_member(
        struct arena *a, const struct key *row, const struct member *m, struct node *to)
{
    struct node *value = m->value;
    enum coney_rc rc = CONEY_OK;
    const struct key *own = row ? key_below(row, m->name) : NULL;

    if ((row && row->type == KEY_URLS) || (own && own->type == KEY_BACKEND))
        value = masked_url(a, value->text);
    else if (row && row->type == KEY_VARIABLES && is_secret_variable(m->name))
        value = masked_text(a, "***");
    else if (row && key_is_section(row))
        rc = show(a, key_below(row, m->name), value, &value);
    if (rc == CONEY_OK)
        rc = value ? node_append(to, a, m->name, m->at, value) : CONEY_ENOMEM;
    return rc;
}

/* The keys of a section in the order of the table. */
static enum coney_rc show_section(
        struct arena *a, const struct key *row, const struct node *n, struct node *to)
{
    size_t count;
    const struct key *table = key_table(&count);
    enum coney_rc rc = CONEY_OK;

    for (size_t i = 0; rc == CONEY_OK && i < count; i++) {
        const struct member *m =
                key_is_below(&table[i], row) ? node_member(n, key_name(&table[i])) : NULL;
        if (m)
            rc = show_member(a, row, m, to);
    }
    return rc;
}

/* @n, whose row is @row, as it may be shown. */
static enum coney_rc show(
        struct arena *a, const struct key *row, struct node *n, struct node **out)
{
    enum coney_rc rc = CONEY_OK;
    bool is_shown_as_it_is = n->kind == NODE_SCALAR || !row;

    *out = is_shown_as_it_is ? n : node_new(a, n->kind, n->at);
    if (!*out)
        return CONEY_ENOMEM;
    if (is_shown_as_it_is)
        return CONEY_OK;
    if (row->type == KEY_MAP)
        return show_section(a, row, n, *out);
    for (size_t i = 0; rc == CONEY_OK && i < n->count; i++)
        rc = show_member(a, row, &n->members[i], *out);
    return rc;
}

static enum coney_rc print_section(const struct config *c, const struct key *row,
        struct arena *a, struct buffer *out)
{
    struct node *section = node_get(c->source->root, row->path);
    if (!section || section->count == 0)
        return CONEY_OK;

    enum coney_rc rc = show(a, row, section, &section);
    if (rc == CONEY_OK)
        rc = buffer_printf(out, "%s:\n", row->path);
    return rc == CONEY_OK ? yaml_write_block(out, section, 2) : rc;
}

enum coney_rc config_print(const struct config *c, struct buffer *out)
{
    size_t count;
    const struct key *table = key_table(&count);
    enum coney_rc rc = CONEY_OK;
    struct arena *a = arena_new(0);

    if (!a)
        return CONEY_ENOMEM;
    for (size_t i = 0; rc == CONEY_OK && i < count; i++)
        if (key_is_below(&table[i], NULL))
            rc = print_section(c, &table[i], a, out);
    arena_free(a);
    return rc;
}

json_t *config_json(const struct config *c)
{
    size_t count;
    const struct key *table = key_table(&count);
    enum coney_rc rc = CONEY_OK;
    struct arena *a = arena_new(0);
    json_t *all = json_object();

    for (size_t i = 0; a && rc == CONEY_OK && i < count; i++) {
        struct node *section = node_get(c->source->root, table[i].path);
        if (!key_is_below(&table[i], NULL) || !section || section->count == 0)
            continue;
        rc = show(a, &table[i], section, &section);
        if (rc == CONEY_OK && json_object_set_new(all, table[i].path, node_json(section)))
            rc = CONEY_ENOMEM;
    }
    if (!a || rc != CONEY_OK) {
        json_decref(all);
        all = NULL;
    }
    arena_free(a);
    return all;
}
