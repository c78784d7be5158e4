/* SPDX-License-Identifier: MIT */
/*
 * utf8.h - text from strangers: is it UTF-8, and how to make it so.
 *
 * Well-formed means RFC 3629: no surrogates, no overlong forms, nothing above U+10FFFF.
 * The byte zero is a character like any other here; who builds C strings looks for it.
 */
#ifndef CONEY_BASE_UTF8_H
#define CONEY_BASE_UTF8_H

#include "base/arena.h"

#include <stdbool.h>
#include <stddef.h>

bool utf8_is_valid(struct bytes text);

/* The largest length of at most @max bytes at which @text can be cut without splitting a
 * character. */
size_t utf8_cut(struct bytes text, size_t max);

/* A terminated copy of @text in which U+FFFD stands for every byte that is not part of a
 * well-formed character; NULL data when out of memory. */
struct bytes utf8_repair(struct arena *a, struct bytes text);

/*
 * Write @text for a log line or an error into @out, terminated: on one line, without
 * control characters ('?' instead), well-formed, and with "..." at the end when it had to
 * be cut. @size is at least 4.
 */
void utf8_printable(char *out, size_t size, struct bytes text);

#endif /* CONEY_BASE_UTF8_H */
