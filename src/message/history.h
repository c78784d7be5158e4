/* SPDX-License-Identifier: MIT */
/*
 * history.h - the header coney-history: the last attempts, as tables in an array.
 *
 * Each has at (ISO 8601), node, outcome, error and duration-ms. The header came over the
 * wire, so it is not trusted: it is read entry by entry, what is not an attempt is left
 * out, texts are cut, and it is always written anew.
 */
#ifndef CONEY_MESSAGE_HISTORY_H
#define CONEY_MESSAGE_HISTORY_H

#include "message/dead_letter.h"

#define HISTORY_HEADER "coney-history"

struct history {
    struct attempt attempts[DEAD_HISTORY_MAX]; /* oldest first */
    size_t count;
};

/* The newest attempts in @headers; strings from @a. CONEY_ENOMEM. */
enum coney_rc history_read(const struct table *headers, struct arena *a,
        struct history *out) CONEY_MUST_CHECK;
/* Append @last, which is copied into @a; the oldest goes when there are too many. */
enum coney_rc history_add(
        struct history *h, struct arena *a, const struct attempt *last) CONEY_MUST_CHECK;
void history_drop_oldest(struct history *h);
/* The header's value, to be set under HISTORY_HEADER. CONEY_ENOMEM. */
enum coney_rc history_field(
        const struct history *h, struct arena *a, struct field *out) CONEY_MUST_CHECK;

#endif /* CONEY_MESSAGE_HISTORY_H */
