/* SPDX-License-Identifier: MIT */
/* settings.c - loading a generation, all or nothing. */
#include "worker/settings.h"

#include "base/error.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static int compare_offers(const void *a, const void *b)
{
    return strcmp(((const struct offered_task *)a)->name,
            ((const struct offered_task *)b)->name);
}

enum coney_rc settings_load(const char *path, const char *runner_path,
        struct settings **out, struct mistakes *mistakes, struct coney_error *err)
{
    enum coney_rc rc;
    struct settings *s = calloc(1, sizeof(*s));

    *out = NULL;
    if (!s)
        return error_set_nomem(err);
    s->refs = 1;
    rc = config_load(path, &s->config, mistakes, err);
    if (rc == CONEY_OK)
        rc = topology_new(s->config, TOPOLOGY_TASKS, &s->topology, err);
    if (rc == CONEY_OK)
        rc = pool_probe(runner_path, &s->config->worker.plugins, &s->offered, err);
    if (rc == CONEY_OK) {
        if (s->offered.count > 1)
            qsort(s->offered.items, s->offered.count, sizeof(*s->offered.items),
                    compare_offers);
        *out = s;
        s = NULL;
    }
    settings_unref(s);
    return rc;
}

struct settings *settings_ref(struct settings *s)
{
    s->refs++;
    return s;
}

void settings_unref(struct settings *s)
{
    if (!s)
        return;
    assert(s->refs > 0);
    s->refs--;
    if (s->refs > 0)
        return;
    offered_tasks_fini(&s->offered);
    topology_free(s->topology);
    config_free(s->config);
    free(s);
}

static const struct offered_task *find_offer(const struct settings *s, const char *task)
{
    size_t low = 0;
    size_t high = s->offered.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(task, s->offered.items[middle].name);
        if (order == 0)
            return &s->offered.items[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

bool settings_can_run(const struct settings *s, const struct policy *policy)
{
    switch (policy->handler) {
    case HANDLER_COMMAND:
        return true;
    case HANDLER_NATIVE:
        return find_offer(s, policy->task) != NULL;
    }
    return false;
}

static int64_t first_set(int64_t a, int64_t b, int64_t c)
{
    if (a != CONFIG_NONE)
        return a;
    return b != CONFIG_NONE ? b : c;
}

struct limits settings_limits(const struct settings *s, const struct policy *policy,
        int64_t message_soft_ms, int64_t message_hard_ms)
{
    const struct offered_task *offer =
            policy->handler == HANDLER_NATIVE ? find_offer(s, policy->task) : NULL;
    return (struct limits){
            .soft_ms = first_set(message_soft_ms, policy->soft_time_limit_ms,
                    offer ? offer->soft_time_limit_ms : CONFIG_NONE),
            .hard_ms = first_set(message_hard_ms, policy->time_limit_ms,
                    offer ? offer->time_limit_ms : CONFIG_NONE),
    };
}
