/* SPDX-License-Identifier: MIT */
/* change.c - queues added to a configuration in force, and taken out. */
#include "config/change.h"

#include "base/error.h"
#include "config/sections.h"
#include "config/source.h"
#include "config/texts.h"

#include <string.h>

enum coney_rc config_add_queue(
        struct config *c, const char *name, struct coney_error *err)
{
    struct arena *a = c->source->arena;
    size_t prefix = strlen(c->broker.prefix);
    long class = class_find(c, "default");
    enum coney_rc rc = text_check_queue(name, err);

    if (rc != CONEY_OK)
        return rc;
    struct queue_config *queues = arena_alloc(a, (c->queue_count + 1) * sizeof(*queues));
    char *copy = arena_strdup(a, name);
    if (!queues || !copy)
        return error_set_nomem(err);
    if (c->queue_count > 0)
        memcpy(queues, c->queues, c->queue_count * sizeof(*queues));
    queues[c->queue_count] = (struct queue_config){
            .name = copy,
            .class_index = class > 0 ? (size_t) class : 0,
            .declare = DECLARE_PASSIVE,
            .type = QUEUE_CLASSIC,
            .foreign =
                    strncmp(name, c->broker.prefix, prefix) != 0 || name[prefix] != '.',
    };
    c->queues = queues;
    c->queue_count++;
    return CONEY_OK;
}

bool config_remove_queue(struct config *c, const char *name)
{
    for (size_t i = 0; i < c->queue_count; i++) {
        if (strcmp(c->queues[i].name, name) != 0)
            continue;
        c->queue_count--;
        memmove(&c->queues[i], &c->queues[i + 1],
                (c->queue_count - i) * sizeof(*c->queues));
        return true;
    }
    return false;
}
