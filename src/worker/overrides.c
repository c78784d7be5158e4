/* SPDX-License-Identifier: MIT */
/* overrides.c - a tree of libc's by task name. */
#include "worker/overrides.h"

#include "config/config.h"

#include <math.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

struct said {
    char *task; /* owned */
    struct override what;
};

struct overrides {
    void *tree; /* of struct said, owned */
    unsigned count;
};

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct said *)a)->task, ((const struct said *)b)->task);
}

static void free_said(void *node)
{
    struct said *said = node;
    free(said->task);
    free(said);
}

struct overrides *overrides_new(void)
{
    return calloc(1, sizeof(struct overrides));
}

void overrides_clear(struct overrides *o)
{
    tdestroy(o->tree, free_said);
    *o = (struct overrides){.tree = NULL};
}

void overrides_free(struct overrides *o)
{
    if (!o)
        return;
    overrides_clear(o);
    free(o);
}

static struct said *find(const struct overrides *o, const char *task)
{
    const union {
        const char *in;
        char *out;
    } name = {.in = task};
    const struct said key = {.task = name.out};
    void *const *node = tfind(&key, &o->tree, compare);
    return node ? *node : NULL;
}

const struct override *overrides_find(const struct overrides *o, const char *task)
{
    const struct said *said = o->count > 0 ? find(o, task) : NULL;
    return said ? &said->what : NULL;
}

struct override *overrides_of(struct overrides *o, const char *task)
{
    struct said *said = find(o, task);

    if (said)
        return &said->what;
    if (o->count >= OVERRIDES_MAX)
        return NULL;
    said = calloc(1, sizeof(*said));
    if (!said)
        return NULL;
    said->task = strdup(task);
    if (!said->task || !tsearch(said, &o->tree, compare)) {
        free_said(said);
        return NULL;
    }
    o->count++;
    return &said->what;
}

/* Hours in the unit behind the number; 0: no unit of ours. */
static double unit_factor(const char *unit)
{
    if (*unit == '\0' || strcmp(unit, "/s") == 0)
        return 3600;
    if (strcmp(unit, "/m") == 0)
        return 60;
    return strcmp(unit, "/h") == 0 ? 1 : 0;
}

enum coney_rc override_parse_rate(const char *text, int64_t *per_hour)
{
    char *end;
    double number = strtod(text, &end);
    double factor = end == text ? 0 : unit_factor(end);

    if (factor == 0 || !isfinite(number) || number < 0 || number > 1e9)
        return CONEY_EINVAL;
    if (number == 0)
        *per_hour = CONFIG_NONE;
    else
        *per_hour = number * factor < 1 ? 1 : (int64_t)(number * factor);
    return CONEY_OK;
}
