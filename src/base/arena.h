/* SPDX-License-Identifier: MIT */
/*
 * arena.h - memory that is released all at once.
 *
 * What belongs to one message (its strings, headers and body) comes from one arena, so
 * that it lives exactly as long and is freed in one call, in one place.
 */
#ifndef CONEY_BASE_ARENA_H
#define CONEY_BASE_ARENA_H

#include "base/buffer.h"

#include <stddef.h>

struct arena;

/* NULL when out of memory. Pages are at least @page_size bytes (0: a sensible size). */
struct arena *arena_new(size_t page_size);
/* Release everything that came from @a. NULL is ignored. */
void arena_free(struct arena *a);

/* @size zeroed bytes, aligned for any object; NULL when out of memory. */
void *arena_alloc(struct arena *a, size_t size);
/* A terminated copy; NULL when out of memory. */
char *arena_strdup(struct arena *a, const char *text);
/* A copy of @b with a terminating zero behind it that does not count; NULL data when out
 * of memory. */
struct bytes arena_copy(struct arena *a, struct bytes b);
/* As printf; NULL when out of memory. */
char *arena_printf(struct arena *a, const char *fmt, ...) CONEY_PRINTF(2, 3);

#endif /* CONEY_BASE_ARENA_H */
