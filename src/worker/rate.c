/* SPDX-License-Identifier: MIT */
/* rate.c - the next free slot by task name, in a tree of libc's. */
#include "worker/rate.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

struct rate {
    char *task; /* owned */
    int64_t next_us;
};

struct rates {
    void *tree; /* of struct rate, owned, by task */
};

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct rate *)a)->task, ((const struct rate *)b)->task);
}

static void free_rate(void *node)
{
    struct rate *rate = node;
    free(rate->task);
    free(rate);
}

struct rates *rates_new(void)
{
    return calloc(1, sizeof(struct rates));
}

void rates_free(struct rates *r)
{
    if (!r)
        return;
    tdestroy(r->tree, free_rate);
    free(r);
}

static struct rate *find_or_add(struct rates *r, const char *task)
{
    struct rate *rate = calloc(1, sizeof(*rate));
    if (!rate)
        return NULL;
    rate->task = strdup(task);
    struct rate **found = rate->task ? tsearch(rate, &r->tree, compare) : NULL;
    if (!found || *found != rate)
        free_rate(rate);
    return found ? *found : NULL;
}

int64_t rates_reserve(struct rates *r, const char *task, int64_t per_hour, int64_t now_us)
{
    struct rate *rate = find_or_add(r, task);
    if (!rate)
        return now_us;
    int64_t slot = rate->next_us > now_us ? rate->next_us : now_us;
    rate->next_us = slot + INT64_C(3600000000) / per_hour;
    return slot;
}
