/* SPDX-License-Identifier: MIT */
/* columns.c - rows kept until the widest cell of each column is known. */
#include "cli/columns.h"

#include "base/utf8.h"

#include <assert.h>
#include <string.h>

enum { GAP = 2 };

struct columns_row {
    struct columns_row *next;
    const char *cells[COLUMNS_MAX];
};

/* Characters, taking each to be one cell wide: nothing here has names in Chinese often
 * enough to carry a table of widths around. */
static size_t width_of(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static void add_row(struct columns *c, const char *const *cells)
{
    char text[COLUMN_CELL_SIZE];
    struct columns_row *row = c->arena ? arena_alloc(c->arena, sizeof(*row)) : NULL;

    for (size_t i = 0; row && i < c->count; i++) {
        const char *cell = cells[i] && *cells[i] ? cells[i] : "-";
        utf8_printable(
                text, sizeof(text), (struct bytes){.data = cell, .len = strlen(cell)});
        row->cells[i] = arena_strdup(c->arena, text);
        if (!row->cells[i])
            row = NULL;
        else if (width_of(text) > c->width[i])
            c->width[i] = width_of(text);
    }
    if (!row) {
        c->rc = CONEY_ENOMEM;
        return;
    }
    if (c->last)
        c->last->next = row;
    else
        c->first = row;
    c->last = row;
}

void columns_init(struct columns *c, const char *const *headings)
{
    *c = (struct columns){.arena = arena_new(0)};
    while (headings[c->count])
        c->count++;
    assert(c->count > 0 && c->count <= COLUMNS_MAX);
    add_row(c, headings);
}

void columns_fini(struct columns *c)
{
    arena_free(c->arena);
}

void columns_add(struct columns *c, const char *const *cells)
{
    if (c->rc == CONEY_OK)
        add_row(c, cells);
}

/* The last cell of a row is not filled up: no blanks at the end of a line. */
static enum coney_rc write_row(const struct columns *c, const struct columns_row *row,
        unsigned indent, struct buffer *out)
{
    enum coney_rc rc = buffer_printf(out, "%*s", (int)indent, "");
    for (size_t i = 0; i < c->count && rc == CONEY_OK; i++) {
        bool is_last = i + 1 == c->count;
        size_t fill = is_last ? 0 : c->width[i] + GAP - width_of(row->cells[i]);
        rc = buffer_printf(out, "%s%*s", row->cells[i], (int)fill, "");
    }
    return rc == CONEY_OK ? buffer_append(out, "\n", 1) : rc;
}

enum coney_rc columns_write(const struct columns *c, unsigned indent, struct buffer *out)
{
    enum coney_rc rc = c->rc;
    for (const struct columns_row *row = c->first; row && rc == CONEY_OK; row = row->next)
        rc = write_row(c, row, indent, out);
    return rc;
}
