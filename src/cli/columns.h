/* SPDX-License-Identifier: MIT */
/*
 * columns.h - a table for people: cells of text, aligned, a heading over each column.
 *
 * Cells come from strangers: what a terminal would act on is replaced, and a cell that is
 * too long is cut. Running out of memory is remembered and reported when the table is
 * written.
 */
#ifndef CONEY_CLI_COLUMNS_H
#define CONEY_CLI_COLUMNS_H

#include "base/arena.h"

enum { COLUMNS_MAX = 10, COLUMN_CELL_SIZE = 256 };

struct columns {
    struct arena *arena; /* owned */
    size_t count;
    size_t width[COLUMNS_MAX]; /* in characters */
    struct columns_row *first;
    struct columns_row *last;
    enum coney_rc rc;
};

/* @headings is a list that ends with NULL, of at most COLUMNS_MAX. */
void columns_init(struct columns *c, const char *const *headings);
void columns_fini(struct columns *c);

/* Add a row of as many cells as there are headings; NULL is shown as "-". */
void columns_add(struct columns *c, const char *const *cells);

/* Append all rows, each after @indent blanks. CONEY_ENOMEM, CONEY_ELIMIT. */
enum coney_rc columns_write(
        const struct columns *c, unsigned indent, struct buffer *out) CONEY_MUST_CHECK;

#endif /* CONEY_CLI_COLUMNS_H */
