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

/* The member @m of the map or list @n, whose row is @row, as it may be shown. */
static enum coney_rc show_member(
        struct arena *a, const struct key *row, const struct member *m, struct node **out)
{
    bool is_variable = row && row->type == KEY_VARIABLES;
    if (row && row->type == KEY_URLS)
        *out = masked_url(a, m->value->text);
    else if (is_variable && is_secret_variable(m->name))
        *out = masked_text(a, "***");
    else if (row && key_is_section(row))
        return show(a, key_below(row, m->name), m->value, out);
    else
        *out = m->value;
    return *out ? CONEY_OK : CONEY_ENOMEM;
}

static enum coney_rc show(
        struct arena *a, const struct key *row, struct node *n, struct node **out)
{
    *out = n;
    if (n->kind == NODE_SCALAR)
        return CONEY_OK;

    struct node *copy = node_new(a, n->kind, n->at);
    if (!copy)
        return CONEY_ENOMEM;
    for (size_t i = 0; i < n->count; i++) {
        const struct member *m = &n->members[i];
        struct node *value;
        enum coney_rc rc = show_member(a, row, m, &value);
        if (rc == CONEY_OK)
            rc = node_append(copy, a, m->name, m->at, value);
        if (rc != CONEY_OK)
            return rc;
    }
    *out = copy;
    return CONEY_OK;
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
