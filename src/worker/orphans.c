/* SPDX-License-Identifier: MIT */
/* orphans.c - a tree of libc's by key, and the finished ones in order. */
#include "worker/orphans.h"

#include "base/clock.h"
#include "worker/job.h"

#include <assert.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

struct orphan {
    TAILQ_ENTRY(orphan) entry; /* when finished */
    struct job *job;           /* NULL in a search key */
    const char *id;            /* these belong to the job */
    const char *queue;
    int64_t retries;
    int64_t until_ms;
    bool finished;
};

struct orphans {
    void *tree; /* of struct orphan, owned */
    TAILQ_HEAD(, orphan) finished;
    size_t finished_count;
    size_t count;
};

static int compare(const void *x, const void *y)
{
    const struct orphan *a = x;
    const struct orphan *b = y;
    int order = strcmp(a->id, b->id);
    if (order == 0)
        order = strcmp(a->queue, b->queue);
    if (order == 0 && a->retries != b->retries)
        order = a->retries < b->retries ? -1 : 1;
    return order;
}

struct orphans *orphans_new(void)
{
    struct orphans *o = calloc(1, sizeof(*o));
    if (o)
        TAILQ_INIT(&o->finished);
    return o;
}

void orphans_free(struct orphans *o)
{
    if (!o)
        return;
    assert(o->count == 0);
    free(o);
}

enum coney_rc orphans_add(struct orphans *o, struct job *job)
{
    struct orphan *orphan = calloc(1, sizeof(*orphan));
    if (!orphan)
        return CONEY_ENOMEM;
    *orphan = (struct orphan){
            .job = job,
            .id = job->request->id,
            .queue = job->queue,
            .retries = job->request->retries,
            .until_ms = CLOCK_NEVER,
    };
    struct orphan **found = tsearch(orphan, &o->tree, compare);
    if (!found || *found != orphan) {
        free(orphan);
        return found ? CONEY_EINVAL : CONEY_ENOMEM;
    }
    job->orphan = orphan;
    o->count++;
    return CONEY_OK;
}

void orphans_finished(struct orphans *o, struct job *job, int64_t until_ms)
{
    struct orphan *orphan = job->orphan;
    if (orphan->finished)
        return;
    orphan->finished = true;
    orphan->until_ms = until_ms;
    TAILQ_INSERT_TAIL(&o->finished, orphan, entry);
    o->finished_count++;
}

struct job *orphans_find(
        const struct orphans *o, const char *id, int64_t retries, const char *queue)
{
    struct orphan key = {.id = id, .queue = queue, .retries = retries};
    struct orphan *const *found = tfind(&key, &o->tree, compare);
    return found ? (*found)->job : NULL;
}

void orphans_remove(struct orphans *o, struct job *job)
{
    struct orphan *orphan = job->orphan;
    if (!orphan)
        return;
    tdelete(orphan, &o->tree, compare);
    if (orphan->finished) {
        TAILQ_REMOVE(&o->finished, orphan, entry);
        o->finished_count--;
    }
    o->count--;
    job->orphan = NULL;
    free(orphan);
}

struct job *orphans_overdue(const struct orphans *o, int64_t now_ms, size_t max)
{
    const struct orphan *first = TAILQ_FIRST(&o->finished);
    if (!first || (first->until_ms > now_ms && o->finished_count <= max))
        return NULL;
    return first->job;
}

int64_t orphans_deadline_ms(const struct orphans *o)
{
    const struct orphan *first = TAILQ_FIRST(&o->finished);
    return first ? first->until_ms : CLOCK_NEVER;
}

size_t orphans_count(const struct orphans *o)
{
    return o->count;
}
