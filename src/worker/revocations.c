/* SPDX-License-Identifier: MIT */
/* revocations.c - a tree of libc's by key, and a line by age. */
#include "worker/revocations.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

struct known {
    TAILQ_ENTRY(known) age;
    int64_t since_ms;
    int64_t until_ms;
    int64_t kept_ms;
    /* An id, whose stamp is NULL, or a stamp and its value; these point into text, or,
     * in a search key, elsewhere. */
    struct revoked what;
    char text[];
};

TAILQ_HEAD(known_line, known);

struct revocations {
    void *tree; /* of struct known, owned */
    struct known_line ages;
    size_t count;
    size_t stamps;
    size_t max;
};

static int compare_texts(const char *a, const char *b)
{
    if (!a || !b)
        return (a != NULL) - (b != NULL);
    return strcmp(a, b);
}

static int compare(const void *x, const void *y)
{
    const struct revoked *a = &((const struct known *)x)->what;
    const struct revoked *b = &((const struct known *)y)->what;
    int order = compare_texts(a->id, b->id);
    if (order == 0)
        order = compare_texts(a->stamp, b->stamp);
    return order != 0 ? order : compare_texts(a->value, b->value);
}

struct revocations *revocations_new(size_t max)
{
    struct revocations *r = calloc(1, sizeof(*r));
    if (!r)
        return NULL;
    TAILQ_INIT(&r->ages);
    r->max = max;
    return r;
}

static void drop(struct revocations *r, struct known *e)
{
    (void)tdelete(e, &r->tree, compare);
    TAILQ_REMOVE(&r->ages, e, age);
    r->count--;
    if (e->what.stamp)
        r->stamps--;
    free(e);
}

void revocations_free(struct revocations *r)
{
    if (!r)
        return;
    while (!TAILQ_EMPTY(&r->ages))
        drop(r, TAILQ_FIRST(&r->ages));
    free(r);
}

void revocations_set_max(struct revocations *r, size_t max)
{
    r->max = max;
}

static struct known *find(const struct revocations *r, const struct revoked *what)
{
    const struct known key = {.what = *what};
    void *const *node = tfind(&key, &r->tree, compare);
    return node ? *node : NULL;
}

static size_t text_size(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

/* Copy @text to *@to, which moves behind it. */
static const char *keep_text(char **to, const char *text)
{
    if (!text)
        return NULL;
    const char *at = *to;
    memcpy(*to, text, strlen(text) + 1);
    *to += strlen(text) + 1;
    return at;
}

static struct known *new_entry(const struct revoked *what)
{
    struct known *e = calloc(1, sizeof(*e) + text_size(what->id) +
                                        text_size(what->stamp) + text_size(what->value));
    if (!e)
        return NULL;
    char *to = e->text;
    e->what.id = keep_text(&to, what->id);
    e->what.stamp = keep_text(&to, what->stamp);
    e->what.value = keep_text(&to, what->value);
    return e;
}

static enum coney_rc insert(struct revocations *r, const struct revoked *what,
        int64_t now_ms, struct known **out)
{
    struct known *e = new_entry(what);
    if (!e)
        return CONEY_ENOMEM;
    if (!tsearch(e, &r->tree, compare)) {
        free(e);
        return CONEY_ENOMEM;
    }
    TAILQ_INSERT_TAIL(&r->ages, e, age);
    e->since_ms = now_ms;
    e->kept_ms = REVOKED_NOT_KEPT;
    r->count++;
    r->stamps += e->what.stamp != NULL;
    *out = e;
    return CONEY_OK;
}

enum coney_rc revocations_add(struct revocations *r, const struct revoked *what,
        const struct revoked_times *times)
{
    struct known *e = find(r, what);

    if (!e) {
        enum coney_rc rc = insert(r, what, times->now_ms, &e);
        if (rc != CONEY_OK)
            return rc;
    }
    if (times->kept_ms > e->kept_ms)
        e->kept_ms = times->kept_ms;
    if (times->until_ms > e->until_ms)
        e->until_ms = times->until_ms;
    while (r->count > r->max)
        drop(r, TAILQ_FIRST(&r->ages));
    return CONEY_OK;
}

bool revocations_has(
        const struct revocations *r, const struct revoked *what, int64_t now_ms)
{
    const struct known *e = r->count > 0 ? find(r, what) : NULL;
    return e && now_ms < e->until_ms;
}

bool revocations_is_kept(
        const struct revocations *r, const struct revoked *what, int64_t since_ms)
{
    const struct known *e = find(r, what);
    return e && e->kept_ms >= since_ms;
}

bool revocations_have_stamps(const struct revocations *r)
{
    return r->stamps > 0;
}

void revocations_each_id(
        const struct revocations *r, int64_t now_ms, revocation_fn *each, void *ctx)
{
    const struct known *e;
    TAILQ_FOREACH(e, &r->ages, age)
    if (e->what.id && now_ms < e->until_ms)
        each(ctx, e->what.id, e->since_ms);
}
