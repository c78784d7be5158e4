/* SPDX-License-Identifier: MIT */
/*
 * dispatcher.c - choosing the next job.
 *
 * Each class keeps its jobs twice: per queue, with a ring of the queues that have some
 * (for round robin), and in order of arrival (for ageing, where only the oldest matters).
 */
#include "worker/dispatcher.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>

TAILQ_HEAD(ready_list, ready);

struct waiting_queue {
    TAILQ_ENTRY(waiting_queue) ring;
    struct ready_list jobs;
    unsigned class_index;
};

TAILQ_HEAD(queue_ring, waiting_queue);

struct waiting_class {
    struct queue_ring ring;     /* queues that have jobs; the next one to serve first */
    struct ready_list arrivals; /* the same jobs, oldest first */
    unsigned weight;
    unsigned reserve;     /* as configured */
    unsigned max_running; /* 0: no cap */
    int64_t ageing_ms;    /* CONFIG_NONE: off */
    unsigned running;
    int64_t credit; /* weighted: starts owed, in units of 1/total weight */
};

struct dispatcher {
    enum priority_mode mode;
    struct waiting_class *classes; /* owned */
    unsigned class_count;
    struct waiting_queue *queues; /* owned */
    unsigned queue_count;
    unsigned runners;
    size_t ready_count;
};

struct dispatcher *dispatcher_new(const struct config *c, unsigned runners)
{
    struct dispatcher *d = calloc(1, sizeof(*d));
    if (!d)
        return NULL;
    d->mode = c->worker.priority;
    d->runners = runners;
    d->classes = calloc(c->class_count, sizeof(*d->classes));
    d->queues = calloc(c->queue_count, sizeof(*d->queues));
    if (!d->classes || !d->queues) {
        dispatcher_free(d);
        return NULL;
    }
    d->class_count = (unsigned)c->class_count;
    d->queue_count = (unsigned)c->queue_count;
    for (unsigned i = 0; i < d->class_count; i++) {
        const struct class_config *from = &c->classes[i];
        struct waiting_class *to = &d->classes[i];
        TAILQ_INIT(&to->ring);
        TAILQ_INIT(&to->arrivals);
        to->weight = from->weight > 0 ? from->weight : 1;
        to->reserve = from->reserve;
        to->max_running = from->max_running;
        to->ageing_ms = from->ageing_ms;
    }
    for (unsigned i = 0; i < d->queue_count; i++) {
        TAILQ_INIT(&d->queues[i].jobs);
        d->queues[i].class_index = (unsigned)c->queues[i].class_index;
    }
    return d;
}

void dispatcher_free(struct dispatcher *d)
{
    if (!d)
        return;
    free(d->classes);
    free(d->queues);
    free(d);
}

void dispatcher_add(
        struct dispatcher *d, struct ready *r, unsigned queue_index, int64_t now_ms)
{
    assert(queue_index < d->queue_count);
    struct waiting_queue *q = &d->queues[queue_index];
    struct waiting_class *class = &d->classes[q->class_index];

    r->since_ms = now_ms;
    r->queue_index = queue_index;
    r->class_index = q->class_index;
    if (TAILQ_EMPTY(&q->jobs))
        TAILQ_INSERT_TAIL(&class->ring, q, ring);
    TAILQ_INSERT_TAIL(&q->jobs, r, of_queue);
    TAILQ_INSERT_TAIL(&class->arrivals, r, of_class);
    d->ready_count++;
}

void dispatcher_remove(struct dispatcher *d, struct ready *r)
{
    struct waiting_queue *q = &d->queues[r->queue_index];
    struct waiting_class *class = &d->classes[r->class_index];

    TAILQ_REMOVE(&q->jobs, r, of_queue);
    TAILQ_REMOVE(&class->arrivals, r, of_class);
    if (TAILQ_EMPTY(&q->jobs))
        TAILQ_REMOVE(&class->ring, q, ring);
    assert(d->ready_count > 0);
    d->ready_count--;
}

/* Runners that @class may count on: reserves are cut, lowest class first, so that one
 * runner stays open to all. */
static unsigned reserve_of(const struct dispatcher *d, unsigned class)
{
    unsigned left = d->runners > 0 ? d->runners - 1 : 0;
    for (unsigned i = 0; i < class; i++) {
        unsigned taken = d->classes[i].reserve < left ? d->classes[i].reserve : left;
        left -= taken;
    }
    return d->classes[class].reserve < left ? d->classes[class].reserve : left;
}

static bool may_start(const struct dispatcher *d, unsigned class, unsigned free)
{
    const struct waiting_class *c = &d->classes[class];
    if (c->max_running > 0 && c->running >= c->max_running)
        return false;

    unsigned kept = 0;
    for (unsigned i = 0; i < d->class_count; i++) {
        unsigned reserve = reserve_of(d, i);
        if (i != class && reserve > d->classes[i].running)
            kept += reserve - d->classes[i].running;
    }
    return free > kept;
}

/* The class that the oldest job of @class is served as, after its waiting time. */
static unsigned aged_class(const struct dispatcher *d, unsigned class, int64_t now_ms)
{
    const struct waiting_class *c = &d->classes[class];
    if (c->ageing_ms == CONFIG_NONE || TAILQ_EMPTY(&c->arrivals))
        return class;
    int64_t steps = (now_ms - TAILQ_FIRST(&c->arrivals)->since_ms) / c->ageing_ms;
    return steps >= class ? 0 : class - (unsigned)steps;
}

/* The job to serve as @class: the oldest that has aged into it, else its own next one. */
static struct ready *candidate(
        const struct dispatcher *d, unsigned class, unsigned free, int64_t now_ms)
{
    struct ready *best = NULL;

    for (unsigned i = class + 1; i < d->class_count; i++) {
        struct ready *oldest = TAILQ_FIRST(&d->classes[i].arrivals);
        if (!oldest || aged_class(d, i, now_ms) != class || !may_start(d, i, free))
            continue;
        if (!best || oldest->since_ms < best->since_ms)
            best = oldest;
    }
    if (best)
        return best;

    const struct waiting_class *c = &d->classes[class];
    if (TAILQ_EMPTY(&c->ring) || !may_start(d, class, free))
        return NULL;
    return TAILQ_FIRST(&TAILQ_FIRST(&c->ring)->jobs);
}

static struct ready *next_strict(struct dispatcher *d, unsigned free, int64_t now_ms)
{
    struct ready *r = NULL;
    for (unsigned i = 0; i < d->class_count && !r; i++)
        r = candidate(d, i, free, now_ms);
    return r;
}

/* Each class that has a job earns its weight; the richest is served and pays for all. */
static struct ready *next_weighted(struct dispatcher *d, unsigned free, int64_t now_ms)
{
    struct ready *chosen = NULL;
    struct waiting_class *payer = NULL;
    int64_t total = 0;

    for (unsigned i = 0; i < d->class_count; i++) {
        struct waiting_class *c = &d->classes[i];
        struct ready *r = candidate(d, i, free, now_ms);
        if (!r) {
            c->credit = 0; /* what is not used is not saved */
            continue;
        }
        c->credit += c->weight;
        total += c->weight;
        if (!payer || c->credit > payer->credit) {
            payer = c;
            chosen = r;
        }
    }
    if (payer)
        payer->credit -= total;
    return chosen;
}

/* The next turn in the ring belongs to another queue. */
static void turn_ring(struct dispatcher *d, struct waiting_queue *q)
{
    struct waiting_class *c = &d->classes[q->class_index];
    if (TAILQ_EMPTY(&q->jobs))
        return;
    TAILQ_REMOVE(&c->ring, q, ring);
    TAILQ_INSERT_TAIL(&c->ring, q, ring);
}

struct ready *dispatcher_next(struct dispatcher *d, unsigned free, int64_t now_ms)
{
    if (free == 0 || d->ready_count == 0)
        return NULL;

    struct ready *r = NULL;
    switch (d->mode) {
    case PRIORITY_STRICT:
        r = next_strict(d, free, now_ms);
        break;
    case PRIORITY_WEIGHTED:
        r = next_weighted(d, free, now_ms);
        break;
    }
    if (!r)
        return NULL;
    dispatcher_remove(d, r);
    turn_ring(d, &d->queues[r->queue_index]);
    d->classes[r->class_index].running++;
    return r;
}

void dispatcher_finished(struct dispatcher *d, unsigned class_index)
{
    assert(class_index < d->class_count && d->classes[class_index].running > 0);
    d->classes[class_index].running--;
}

void dispatcher_adopt(struct dispatcher *d, unsigned class_index)
{
    assert(class_index < d->class_count);
    d->classes[class_index].running++;
}

size_t dispatcher_ready_count(const struct dispatcher *d)
{
    return d->ready_count;
}

struct ready *dispatcher_any(struct dispatcher *d)
{
    for (unsigned i = 0; i < d->class_count; i++)
        if (!TAILQ_EMPTY(&d->classes[i].arrivals))
            return TAILQ_FIRST(&d->classes[i].arrivals);
    return NULL;
}
