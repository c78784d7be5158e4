/* SPDX-License-Identifier: MIT */
/* mistakes.h - collecting what is wrong, instead of stopping at the first of it. */
#ifndef CONEY_CONFIG_MISTAKES_H
#define CONEY_CONFIG_MISTAKES_H

#include "config/config.h"
#include "config/node.h"

/* Note one; a text of more than 500 bytes is cut. CONEY_ENOMEM. */
enum coney_rc mistakes_add(struct mistakes *m, struct place at, const char *fmt, ...)
        CONEY_PRINTF(3, 4) CONEY_MUST_CHECK;
/* In the order of @files, then by line and column; the same one twice only once. */
void mistakes_sort(struct mistakes *m, const char *const *files, size_t file_count);

#endif /* CONEY_CONFIG_MISTAKES_H */
