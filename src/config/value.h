/* SPDX-License-Identifier: MIT */
/* value.h - one value: from a node, by the type of its key, into its struct. */
#ifndef CONEY_CONFIG_VALUE_H
#define CONEY_CONFIG_VALUE_H

#include "config/config.h"
#include "config/keys.h"
#include "config/node.h"

/* Which of these is meant follows from the key's type. Everything is in the arena. */
struct value {
    int64_t integer; /* also: booleans, the index of a choice */
    double number;
    char *text; /* NULL: the word "none" */
    struct string_list texts;
    struct int_list integers;
    int64_t most; /* KEY_MISFIRE: of {all: 10} */
    bool is_word; /* "none", "auto" */
};

/*
 * Read @n, which belongs to @k (no section). CONEY_ESYNTAX: it is wrong, and @mistakes
 * says why. CONEY_ENOMEM.
 */
enum coney_rc value_read(const struct key *k, const struct node *n, struct arena *a,
        struct mistakes *mistakes, struct value *out) CONEY_MUST_CHECK;

/* Put @v where the table says below @section. */
void value_store(const struct key *k, const struct value *v, void *section);

#endif /* CONEY_CONFIG_VALUE_H */
