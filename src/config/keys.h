/* SPDX-License-Identifier: MIT */
/*
 * keys.h - the one table of every key there is.
 *
 * It drives reading, checking, printing and explaining, and is where the manual page and
 * the completion come from. A key is named by its path; "*" stands for a name that the
 * operator chooses ("tasks.*.retry.max").
 */
#ifndef CONEY_CONFIG_KEYS_H
#define CONEY_CONFIG_KEYS_H

#include "base/buffer.h"
#include <coney/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum key_type {
    KEY_MAP,   /* the keys below it are in the table */
    KEY_NAMES, /* a map of names that the operator chooses */
    KEY_TEXT,
    KEY_WORD, /* letters, digits, "-", "_" and "." */
    KEY_QUEUE,
    KEY_PATH,
    KEY_ZONE,
    KEY_BOOL,
    KEY_INTEGER,
    KEY_NUMBER,
    KEY_MODE, /* octal */
    KEY_CHOICE,
    KEY_DURATION,
    KEY_SECONDS, /* a duration, stored in seconds */
    KEY_SIZE,
    KEY_RATE,
    KEY_TEXTS,
    KEY_URLS,
    KEY_BACKEND, /* where results go */
    KEY_PATHS,
    KEY_COMMAND, /* an absolute path, then arguments */
    KEY_CODES,   /* a list of exit codes */
    KEY_VARIABLES,
    KEY_CRONTAB,
    KEY_MISFIRE,
    KEY_ARRAY, /* any JSON array */
    KEY_OBJECT /* any JSON object */
};

/* How the value lies in its struct; keys.c derives it from the member's type. */
enum key_store {
    STORE_NONE, /* read by hand */
    STORE_TEXT,
    STORE_BOOL,
    STORE_INT,
    STORE_UNSIGNED, /* enums as well */
    STORE_INT64,
    STORE_SIZE,
    STORE_DOUBLE,
    STORE_TEXTS,
    STORE_INTS
};

struct key {
    const char *path;
    enum key_type type;
    /* Default, as it would be written. NULL: there is none. In parentheses: it depends on
     * something else, and is worked out by code. */
    const char *fallback;
    int64_t min, max; /* KEY_INTEGER, KEY_NUMBER, KEY_CODES; milliseconds; both 0: any */
    const char *choices; /* KEY_CHOICE: "a|b|c", stored as the index */
    const char *word; /* a word allowed instead, "none" or "auto"; NULL: there is none */
    size_t offset;    /* in the struct of its section */
    enum key_store store;
    const char *doc; /* one line */
};

/* The whole table, in the order in which to print it. */
const struct key *key_table(size_t *count);
/* The row @path ("tasks.*.retry"), or NULL. */
const struct key *key_find(const char *path);
/* The row of the member @name below the row @parent (NULL: the top), or NULL. */
const struct key *key_below(const struct key *parent, const char *name);
/* Whether the row @k is directly below @parent (NULL: the top). */
bool key_is_below(const struct key *k, const struct key *parent);
/* The last part of its path. */
const char *key_name(const struct key *k);
bool key_is_section(const struct key *k);
/* The default that stands in the table, rather than in code, or NULL. */
const char *key_fallback(const struct key *k);

/* What may be written, for a sentence: "a duration such as 10s, or none". */
void key_allowed(const struct key *k, char *text, size_t size);

/*
 * What the operator may have meant by @name below @parent: " - did you mean "retry"?",
 * else where else there is such a key, else which keys there are.
 */
void key_hint(const struct key *parent, const char *name, char *text, size_t size);
/* The edits between two words (insert, delete, replace, swap neighbours), at most
 * 64 bytes each. */
unsigned edit_distance(const char *a, const char *b);
/* Whether a name that far off is close enough to be suggested. */
bool is_near(const char *name, unsigned distance);

/* The table for people: path, what is allowed, default and meaning, a line each. */
enum coney_rc keys_print(struct buffer *out) CONEY_MUST_CHECK;

#endif /* CONEY_CONFIG_KEYS_H */
