/* SPDX-License-Identifier: MIT */
/* token.c - the token's body, to and from JSON. */
#include "beat/token.h"

#include "base/error.h"
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

enum { VALUES_PER_ENTRY = 8, VALUES_BESIDE = 64, DEPTH_MAX = 3 };

/* Instants from 1970 to the year 5138: sums of them with any span can't overflow. */
#define INSTANT_MAX_US INT64_C(100000000000000000)

enum coney_rc token_new(size_t count, struct token **out)
{
    struct arena *a = arena_new(0);

    *out = NULL;
    if (!a)
        return CONEY_ENOMEM;
    struct token *t = arena_alloc(a, sizeof(*t));
    struct token_entry *entries = arena_alloc(a, (count + 1) * sizeof(*entries));
    if (!t || !entries) {
        arena_free(a);
        return CONEY_ENOMEM;
    }
    *t = (struct token){.arena = a, .entries = entries, .count = count};
    *out = t;
    return CONEY_OK;
}

void token_free(struct token *t)
{
    if (t)
        arena_free(t->arena);
}

int token_rank_compare(struct token_rank a, struct token_rank b)
{
    if (a.epoch != b.epoch)
        return a.epoch < b.epoch ? -1 : 1;
    return (a.seq > b.seq) - (a.seq < b.seq);
}

static int compare_entries(const void *a, const void *b)
{
    return strcmp(
            ((const struct token_entry *)a)->name, ((const struct token_entry *)b)->name);
}

void token_sort(struct token *t)
{
    qsort(t->entries, t->count, sizeof(*t->entries), compare_entries);
}

/* --- writing
 * ----------------------------------------------------------------------------------- */

static json_t *entry_json(const struct token_entry *e)
{
    json_t *o =
            json_pack("{s:s, s:I}", "hash", e->hash, "seen_us", (json_int_t)e->seen_us);
    if (o && e->mark_us != TOKEN_NO_MARK &&
            json_object_set_new(o, "mark_us", json_integer(e->mark_us)) != 0) {
        json_decref(o);
        return NULL;
    }
    return o;
}

static json_t *entries_json(const struct token *t)
{
    json_t *all = json_object();

    for (size_t i = 0; all && i < t->count; i++)
        if (json_object_set_new(all, t->entries[i].name, entry_json(&t->entries[i])) !=
                0) {
            json_decref(all);
            return NULL;
        }
    return all;
}

enum coney_rc token_encode(const struct token *t, struct buffer *out)
{
    if (t->count > TOKEN_ENTRIES_MAX)
        return CONEY_ELIMIT;
    size_t before = buffer_len(out);
    json_t *body = json_pack("{s:i, s:I, s:I, s:I, s:o?}", "version", TOKEN_VERSION,
            "epoch", (json_int_t)t->rank.epoch, "seq", (json_int_t)t->rank.seq,
            "watermark_us", (json_int_t)t->watermark_us, "entries", entries_json(t));
    if (!body)
        return CONEY_ENOMEM;
    enum coney_rc rc = json_write(body, out);
    json_decref(body);
    if (rc == CONEY_OK && buffer_len(out) - before > TOKEN_SIZE_MAX)
        rc = CONEY_ELIMIT;
    return rc;
}

/* --- reading
 * ----------------------------------------------------------------------------------- */

static enum coney_rc read_integer(const json_t *object, const char *key, int64_t max,
        int64_t *value, struct coney_error *err)
{
    const json_t *v = json_object_get(object, key);
    if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > max)
        return error_set(err, CONEY_ESYNTAX,
                "not a token: %s is no integer from 0 to %lld", key, (long long)max);
    *value = json_integer_value(v);
    return CONEY_OK;
}

static enum coney_rc read_entry(struct token *t, struct token_entry *e, const char *name,
        const json_t *v, struct coney_error *err)
{
    const char *hash = json_string_value(json_object_get(v, "hash"));

    if (!hash || strlen(hash) != UUID_TEXT_SIZE - 1)
        return error_set(err, CONEY_ESYNTAX,
                "not a token: entry '%.64s' is no object with a hash", name);
    memcpy(e->hash, hash, UUID_TEXT_SIZE);
    e->name = arena_strdup(t->arena, name);
    e->mark_us = TOKEN_NO_MARK;
    if (!e->name)
        return error_set_nomem(err);
    enum coney_rc rc = read_integer(v, "seen_us", INSTANT_MAX_US, &e->seen_us, err);
    if (rc == CONEY_OK && json_object_get(v, "mark_us"))
        rc = read_integer(v, "mark_us", INSTANT_MAX_US, &e->mark_us, err);
    return rc;
}

static enum coney_rc read_entries(
        struct token *t, json_t *entries, struct coney_error *err)
{
    const char *name;
    json_t *v;
    size_t i = 0;

    json_object_foreach(entries, name, v)
    {
        enum coney_rc rc = read_entry(t, &t->entries[i++], name, v, err);
        if (rc != CONEY_OK)
            return rc;
    }
    token_sort(t);
    return CONEY_OK;
}

static enum coney_rc read_version(const json_t *body, struct coney_error *err)
{
    int64_t version = 0;
    enum coney_rc rc = read_integer(body, "version", INT32_MAX, &version, err);
    if (rc == CONEY_OK && version > TOKEN_VERSION)
        return error_set(err, CONEY_EREFUSED,
                "the token was written by a later release (version %lld, here %d)",
                (long long)version, TOKEN_VERSION);
    if (rc == CONEY_OK && version < TOKEN_VERSION)
        return error_set(err, CONEY_ESYNTAX, "not a token: there is no version 0");
    return rc;
}

static enum coney_rc read_body(
        const json_t *body, struct token **out, struct coney_error *err)
{
    json_t *entries = json_object_get(body, "entries");

    if (!json_is_object(entries) || json_object_size(entries) > TOKEN_ENTRIES_MAX)
        return error_set(err, CONEY_ESYNTAX,
                "not a token: entries is no object of at most %d", TOKEN_ENTRIES_MAX);
    if (token_new(json_object_size(entries), out) != CONEY_OK)
        return error_set_nomem(err);
    struct token *t = *out;
    enum coney_rc rc = read_integer(body, "epoch", INT64_MAX / 2, &t->rank.epoch, err);
    if (rc == CONEY_OK)
        rc = read_integer(body, "seq", INT64_MAX / 2, &t->rank.seq, err);
    if (rc == CONEY_OK)
        rc = read_integer(body, "watermark_us", INSTANT_MAX_US, &t->watermark_us, err);
    if (rc == CONEY_OK)
        rc = read_entries(t, entries, err);
    return rc;
}

enum coney_rc token_decode(struct bytes body, struct token **out, struct coney_error *err)
{
    static const struct json_limits limits = {
            .text_max = TOKEN_SIZE_MAX,
            .values_max = (size_t)TOKEN_ENTRIES_MAX * VALUES_PER_ENTRY + VALUES_BESIDE,
            .depth_max = DEPTH_MAX,
    };
    struct token *t = NULL;
    json_t *json = NULL;

    *out = NULL;
    enum coney_rc rc = json_read(body, &limits, &json, err);
    if (rc == CONEY_OK)
        rc = read_version(json, err);
    if (rc == CONEY_OK)
        rc = read_body(json, &t, err);
    if (rc == CONEY_OK) {
        *out = t;
        t = NULL;
    }
    token_free(t);
    json_decref(json);
    return rc;
}

const struct token_entry *token_find(const struct token *t, const char *name)
{
    const struct token_entry key = {.name = name};
    return bsearch(&key, t->entries, t->count, sizeof(*t->entries), compare_entries);
}
