/* SPDX-License-Identifier: MIT */
/*
 * token.h - what is written on the token: who has led so often, and how far it got.
 *
 * The token is the one message whose holder leads. Its body is JSON:
 *
 *     {"version": 1, "epoch": 4, "seq": 17, "watermark_us": 1795184640000000,
 *      "entries": {"nightly": {"hash": "…", "seen_us": …, "mark_us": …}, …}}
 *
 * All ticks up to an entry's mark have been published and confirmed, or dropped by its
 * misfire policy. An entry without a mark of its own has the watermark for one: so at
 * rest a token says no more than the time.
 *
 * Of two tokens the one of the later epoch counts, within an epoch that of the greater
 * seq. Every take-over begins an epoch; a seed, made where no token was found, has 0.
 */
#ifndef CONEY_BEAT_TOKEN_H
#define CONEY_BEAT_TOKEN_H

#include "base/arena.h"
#include "base/rng.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    TOKEN_VERSION = 1,
    TOKEN_ENTRIES_MAX = 20000,
    TOKEN_SIZE_MAX = 8 * 1024 * 1024 /* of the body */
};

/* The entry has no mark of its own. */
#define TOKEN_NO_MARK INT64_MIN

struct token_rank {
    int64_t epoch;
    int64_t seq;
};

struct token_entry {
    const char *name;
    char hash[UUID_TEXT_SIZE]; /* schedule_entry_hash() */
    int64_t seen_us;           /* when a leader first met the entry with this hash */
    int64_t mark_us;           /* or TOKEN_NO_MARK */
};

struct token {
    struct arena *arena; /* owns the names, the entries and this struct */
    struct token_rank rank;
    int64_t watermark_us;
    struct token_entry *entries;
    size_t count;
};

/* A token with room for @count entries, which the caller fills in. CONEY_ENOMEM. */
enum coney_rc token_new(size_t count, struct token **out) CONEY_MUST_CHECK;
/* NULL is ignored. */
void token_free(struct token *t);

/* Append the body to @out. CONEY_ELIMIT: it would be over TOKEN_SIZE_MAX or
 * TOKEN_ENTRIES_MAX; CONEY_ENOMEM. */
enum coney_rc token_encode(const struct token *t, struct buffer *out) CONEY_MUST_CHECK;

/*
 * Read a body; the entries come sorted by name. On success *@out is the caller's.
 * CONEY_ESYNTAX, CONEY_ELIMIT: not a token, @err says why; CONEY_EREFUSED: one of a later
 * version, which may mean what we don't know; CONEY_ENOMEM.
 */
enum coney_rc token_decode(
        struct bytes body, struct token **out, struct coney_error *err) CONEY_MUST_CHECK;

/* Put the entries in the order that token_find() needs. */
void token_sort(struct token *t);
/* The entry @name of a sorted token, or NULL. */
const struct token_entry *token_find(const struct token *t, const char *name);

/* Below, at or above 0 as @a counts less than, as much as or more than @b. */
int token_rank_compare(struct token_rank a, struct token_rank b);

#endif /* CONEY_BEAT_TOKEN_H */
