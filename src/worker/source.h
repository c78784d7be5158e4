/* SPDX-License-Identifier: MIT */
/* source.h - the queues an intake consumes from, with their prefetch. */
#ifndef CONEY_WORKER_SOURCE_H
#define CONEY_WORKER_SOURCE_H

#include "config/config.h"

struct lane;

struct source {
    char *queue; /* owned; the broker's name */
    bool foreign;
    unsigned prefetch;
    char *class_name;     /* owned; for the consumer tag */
    struct lane *current; /* NULL: to be opened; the intake's business */
};

/* One for each queue of @c, in its order; @extra_prefetch is added for held jobs. NULL
 * when out of memory. */
struct source *sources_new(const struct config *c, unsigned extra_prefetch);
/* NULL is ignored. */
void sources_free(struct source *sources, size_t count);

#endif /* CONEY_WORKER_SOURCE_H */
