/* SPDX-License-Identifier: MIT */
/* source.c - from the configuration's queues to what is consumed from. */
#include "worker/source.h"

#include <stdlib.h>
#include <string.h>

enum { PREFETCH_MIN = 4 };

/* AMQP has 16 bits for it. */
static unsigned prefetch_of(
        const struct config *c, const struct queue_config *q, unsigned extra)
{
    unsigned prefetch = q->prefetch > 0 ? q->prefetch : c->worker.prefetch;
    if (prefetch == 0)
        prefetch = 2 * c->worker.concurrency;
    if (prefetch < PREFETCH_MIN)
        prefetch = PREFETCH_MIN;
    return prefetch < UINT16_MAX - extra ? prefetch + extra : UINT16_MAX;
}

struct source *sources_new(const struct config *c, unsigned extra_prefetch)
{
    struct source *sources = calloc(c->queue_count, sizeof(*sources));
    if (extra_prefetch > UINT16_MAX)
        extra_prefetch = UINT16_MAX;

    for (size_t i = 0; sources && i < c->queue_count; i++) {
        const struct queue_config *q = &c->queues[i];
        sources[i] = (struct source){
                .queue = strdup(q->name),
                .foreign = q->foreign,
                .prefetch = prefetch_of(c, q, extra_prefetch),
                .class_name = strdup(c->classes[q->class_index].name),
        };
        if (!sources[i].queue || !sources[i].class_name) {
            sources_free(sources, c->queue_count);
            return NULL;
        }
    }
    return sources;
}

void sources_free(struct source *sources, size_t count)
{
    for (size_t i = 0; sources && i < count; i++) {
        free(sources[i].queue);
        free(sources[i].class_name);
    }
    free(sources);
}
