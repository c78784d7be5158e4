/* SPDX-License-Identifier: MIT */
/* text.h - comparing texts, where one may be absent. */
#ifndef CONEY_BASE_TEXT_H
#define CONEY_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Whether both are absent (NULL), or both say the same. */
bool text_is_same(const char *a, const char *b);

/* The same of two lists of texts, of @a_count and @b_count: in order, none absent. */
bool texts_are_same(
        const char *const *a, size_t a_count, const char *const *b, size_t b_count);

/* Whether @text ends with @end. */
bool text_ends_with(const char *text, const char *end);

#endif /* CONEY_BASE_TEXT_H */
