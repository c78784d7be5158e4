/* SPDX-License-Identifier: MIT */
/*
 * dispatcher.h - which ready job starts next: a function of classes, counts and time.
 *
 * Ready jobs wait in their class, first come first served within a queue and round robin
 * between the queues of a class. The dispatcher knows how many jobs of each class run and
 * picks by mode, reserve, max_running and ageing; it starts nothing itself and reads no
 * clock. Every operation costs the same however many jobs and queues there are.
 */
#ifndef CONEY_WORKER_DISPATCHER_H
#define CONEY_WORKER_DISPATCHER_H

#include "config/config.h"

#include <stdint.h>
#include <sys/queue.h>

/* The part of a job that the dispatcher sees; embedded in it. */
struct ready {
    TAILQ_ENTRY(ready) of_queue;
    TAILQ_ENTRY(ready) of_class;
    int64_t since_ms;
    unsigned class_index;
    unsigned queue_index;
};

struct dispatcher;

/*
 * Classes in order of priority, highest first, and the class of each queue; both are
 * copied. @runners bounds the reserves: at least one runner stays open to every class.
 * NULL when out of memory.
 */
struct dispatcher *dispatcher_new(const struct config *c, unsigned runners);
/* Ready jobs are forgotten, not freed. */
void dispatcher_free(struct dispatcher *d);

/* @r waits from @now_ms on, in queue @queue_index of the configuration. */
void dispatcher_add(
        struct dispatcher *d, struct ready *r, unsigned queue_index, int64_t now_ms);
/* @r waits no longer. */
void dispatcher_remove(struct dispatcher *d, struct ready *r);

/*
 * Take the job to start on one of @free runners, or NULL when none may. It counts as
 * running in its class until dispatcher_finished().
 *
 * strict: the highest class that has one. weighted: each class gets starts in proportion
 * to its weight while it has jobs (smooth weighted round robin: the deficits of deficit
 * round robin with the starts spread evenly). A job that has waited n times its class's
 * ageing is served as n classes higher.
 */
struct ready *dispatcher_next(struct dispatcher *d, unsigned free, int64_t now_ms);
/* A job of @class_index that dispatcher_next() gave, or that was adopted, is over. */
void dispatcher_finished(struct dispatcher *d, unsigned class_index);
/* A job of @class_index runs that was started by an earlier dispatcher. */
void dispatcher_adopt(struct dispatcher *d, unsigned class_index);

size_t dispatcher_ready_count(const struct dispatcher *d);
/* A ready job, any: for emptying the dispatcher. NULL: none. */
struct ready *dispatcher_any(struct dispatcher *d);

#endif /* CONEY_WORKER_DISPATCHER_H */
