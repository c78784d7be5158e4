/* SPDX-License-Identifier: MIT */
/* mistakes.c - collecting what is wrong, instead of stopping at the first of it. */
#include "config/mistakes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_SIZE = 512 };

struct file_order {
    const char *const *files;
    size_t count;
};

enum coney_rc mistakes_add(struct mistakes *m, struct place at, const char *fmt, ...)
{
    char text[TEXT_SIZE];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);

    struct mistake *grown = realloc(m->items, (m->count + 1) * sizeof(*grown));
    if (!grown)
        return CONEY_ENOMEM;
    m->items = grown;

    struct mistake one = {.file = strdup(at.file ? at.file : "(default)"),
            .line = at.line,
            .column = at.column,
            .text = strdup(text)};
    if (!one.file || !one.text) {
        free(one.file);
        free(one.text);
        return CONEY_ENOMEM;
    }
    m->items[m->count++] = one;
    return CONEY_OK;
}

static size_t file_rank(const struct file_order *order, const char *file)
{
    size_t i = 0;
    while (i < order->count && strcmp(order->files[i], file) != 0)
        i++;
    return i;
}

static int compare_numbers(size_t a, size_t b)
{
    return (a > b) - (a < b);
}

static int compare(const void *left, const void *right, void *arg)
{
    const struct mistake *a = left;
    const struct mistake *b = right;
    int order = compare_numbers(file_rank(arg, a->file), file_rank(arg, b->file));
    if (order == 0)
        order = compare_numbers(a->line, b->line);
    if (order == 0)
        order = compare_numbers(a->column, b->column);
    return order ? order : strcmp(a->text, b->text);
}

void mistakes_sort(struct mistakes *m, const char *const *files, size_t file_count)
{
    struct file_order order = {.files = files, .count = file_count};
    if (m->count == 0)
        return;
    qsort_r(m->items, m->count, sizeof(*m->items), compare, &order);

    size_t kept = 1;
    for (size_t i = 1; i < m->count; i++) {
        if (compare(&m->items[kept - 1], &m->items[i], &order) != 0) {
            m->items[kept++] = m->items[i];
        } else {
            free(m->items[i].file);
            free(m->items[i].text);
        }
    }
    m->count = kept;
}

void mistakes_print(const struct mistakes *m, FILE *to)
{
    for (size_t i = 0; i < m->count; i++)
        fprintf(to, "%s:%u:%u: %s\n", m->items[i].file, m->items[i].line,
                m->items[i].column, m->items[i].text);
}

void mistakes_fini(struct mistakes *m)
{
    for (size_t i = 0; i < m->count; i++) {
        free(m->items[i].file);
        free(m->items[i].text);
    }
    free(m->items);
    *m = (struct mistakes){0};
}
