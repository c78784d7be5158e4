/* SPDX-License-Identifier: MIT */
/* arena.c - a list of pages, the newest one filled from its start. */
#include "base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_PAGE = 2048 - 32 };

struct page {
    struct page *next; /* owned */
    size_t used;
    size_t size;
    alignas(max_align_t) unsigned char data[];
};

struct arena {
    struct page *pages; /* owned; the first one is being filled */
    size_t page_size;
};

struct arena *arena_new(size_t page_size)
{
    struct arena *a = calloc(1, sizeof(*a));
    if (a)
        a->page_size = page_size > 0 ? page_size : DEFAULT_PAGE;
    return a;
}

void arena_free(struct arena *a)
{
    if (!a)
        return;
    while (a->pages) {
        struct page *next = a->pages->next;
        free(a->pages);
        a->pages = next;
    }
    free(a);
}

static struct page *add_page(struct arena *a, size_t size)
{
    if (size < a->page_size)
        size = a->page_size;
    if (size > SIZE_MAX - sizeof(struct page))
        return NULL;
    struct page *p = malloc(sizeof(*p) + size);
    if (!p)
        return NULL;
    p->next = a->pages;
    p->used = 0;
    p->size = size;
    a->pages = p;
    return p;
}

void *arena_alloc(struct arena *a, size_t size)
{
    const size_t align = alignof(max_align_t);

    if (size > SIZE_MAX - align)
        return NULL;
    size = (size + align - 1) / align * align;

    struct page *p = a->pages;
    if (!p || size > p->size - p->used)
        p = add_page(a, size);
    if (!p)
        return NULL;
    void *block = p->data + p->used;
    p->used += size;
    return memset(block, 0, size);
}

struct bytes arena_copy(struct arena *a, struct bytes b)
{
    char *copy = b.len < SIZE_MAX ? arena_alloc(a, b.len + 1) : NULL;
    if (!copy)
        return (struct bytes){.data = NULL};
    if (b.len > 0)
        memcpy(copy, b.data, b.len);
    return (struct bytes){.data = copy, .len = b.len};
}

char *arena_strdup(struct arena *a, const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = arena_alloc(a, size);
    return copy ? memcpy(copy, text, size) : NULL;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    va_list again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int len = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);

    char *text = len >= 0 ? arena_alloc(a, (size_t)len + 1) : NULL;
    if (text)
        vsnprintf(text, (size_t)len + 1, fmt, again);
    va_end(again);
    return text;
}
