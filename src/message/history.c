/* SPDX-License-Identifier: MIT */
/* history.c - attempts to and from a field table. */
#include "message/history.h"

#include "base/utf8.h"
#include "message/time.h"

#include <string.h>

enum { ERROR_MAX = 300, NODE_MAX = 255, OUTCOME_MAX = 32 };

/* A terminated copy of @text, UTF-8 and at most @max bytes long; NULL: out of memory. */
static const char *clean(struct arena *a, struct bytes text, size_t max)
{
    if (text.len > max)
        text.len = utf8_cut(text, max);
    struct bytes fine = utf8_repair(a, text);
    if (fine.data && fine.len > max)
        fine = arena_copy(
                a, (struct bytes){.data = fine.data, .len = utf8_cut(fine, max)});
    return fine.data;
}

static enum coney_rc clean_text(
        struct arena *a, const char *text, size_t max, const char **out)
{
    *out = NULL;
    if (!text)
        return CONEY_OK;
    *out = clean(a, (struct bytes){.data = text, .len = strlen(text)}, max);
    return *out ? CONEY_OK : CONEY_ENOMEM;
}

enum coney_rc history_add(struct history *h, struct arena *a, const struct attempt *last)
{
    struct attempt copy = *last;

    enum coney_rc rc = clean_text(a, last->node, NODE_MAX, &copy.node);
    if (rc == CONEY_OK)
        rc = clean_text(a, last->outcome, OUTCOME_MAX, &copy.outcome);
    if (rc == CONEY_OK)
        rc = clean_text(a, last->error, ERROR_MAX, &copy.error);
    if (rc != CONEY_OK)
        return rc;
    if (h->count == DEAD_HISTORY_MAX)
        history_drop_oldest(h);
    h->attempts[h->count++] = copy;
    return CONEY_OK;
}

void history_drop_oldest(struct history *h)
{
    h->count--;
    memmove(h->attempts, h->attempts + 1, h->count * sizeof(h->attempts[0]));
}

/* The text named @key, up to its first zero byte, as a C string in @a; NULL: none. */
static enum coney_rc read_text(
        const struct table *t, struct arena *a, const char *key, const char **out)
{
    struct bytes text = table_text(t, key);

    *out = NULL;
    if (!text.data)
        return CONEY_OK;
    *out = arena_copy(a, text).data;
    return *out ? CONEY_OK : CONEY_ENOMEM;
}

/* Append what @f says, unless it is no attempt. */
static enum coney_rc read_attempt(
        const struct field *f, struct arena *a, struct history *h)
{
    const struct table *t = &f->value.table;
    struct attempt attempt = {.duration_ms = 0};
    const char *at;

    if (f->type != FIELD_TABLE)
        return CONEY_OK;
    enum coney_rc rc = read_text(t, a, "at", &at);
    if (rc == CONEY_OK)
        rc = read_text(t, a, "node", &attempt.node);
    if (rc == CONEY_OK)
        rc = read_text(t, a, "outcome", &attempt.outcome);
    if (rc == CONEY_OK)
        rc = read_text(t, a, "error", &attempt.error);
    if (rc != CONEY_OK || !at || time_parse(at, &attempt.at_us) != CONEY_OK)
        return rc;
    if (!table_integer(t, "duration-ms", &attempt.duration_ms))
        attempt.duration_ms = 0;
    return history_add(h, a, &attempt);
}

enum coney_rc history_read(
        const struct table *headers, struct arena *a, struct history *out)
{
    const struct field *f = table_find(headers, HISTORY_HEADER);
    enum coney_rc rc = CONEY_OK;

    out->count = 0;
    if (!f || f->type != FIELD_ARRAY)
        return CONEY_OK;
    const struct table *t = &f->value.table;
    size_t i = t->count > DEAD_HISTORY_MAX ? t->count - DEAD_HISTORY_MAX : 0;
    for (; i < t->count && rc == CONEY_OK; i++)
        rc = read_attempt(&t->fields[i], a, out);
    return rc;
}

static enum coney_rc set_text(
        struct table *t, struct arena *a, const char *key, const char *text)
{
    return text ? table_set_text(t, a, key, text) : CONEY_OK;
}

static enum coney_rc write_attempt(
        const struct attempt *attempt, struct arena *a, struct field *out)
{
    struct table *t = &out->value.table;
    char at[TIME_TEXT_SIZE];

    *out = (struct field){.type = FIELD_TABLE};
    time_format(attempt->at_us, at);
    const char *at_copy = arena_strdup(a, at);
    enum coney_rc rc = at_copy ? set_text(t, a, "at", at_copy) : CONEY_ENOMEM;
    if (rc == CONEY_OK)
        rc = set_text(t, a, "node", attempt->node);
    if (rc == CONEY_OK)
        rc = set_text(t, a, "outcome", attempt->outcome);
    if (rc == CONEY_OK)
        rc = set_text(t, a, "error", attempt->error);
    if (rc == CONEY_OK)
        rc = table_set_integer(t, a, "duration-ms", attempt->duration_ms);
    return rc;
}

enum coney_rc history_field(const struct history *h, struct arena *a, struct field *out)
{
    enum coney_rc rc = CONEY_OK;

    *out = (struct field){.type = FIELD_ARRAY,
            .key = {.data = HISTORY_HEADER, .len = strlen(HISTORY_HEADER)}};
    for (size_t i = 0; i < h->count && rc == CONEY_OK; i++) {
        struct field attempt;
        rc = write_attempt(&h->attempts[i], a, &attempt);
        if (rc == CONEY_OK)
            rc = table_append(&out->value.table, a, &attempt);
    }
    return rc;
}

enum coney_rc history_append(
        struct table *headers, struct arena *a, const struct attempt *last)
{
    struct history h;
    struct field f;

    enum coney_rc rc = history_read(headers, a, &h);
    if (rc == CONEY_OK)
        rc = history_add(&h, a, last);
    if (rc == CONEY_OK)
        rc = history_field(&h, a, &f);
    return rc == CONEY_OK ? table_set(headers, a, &f) : rc;
}
