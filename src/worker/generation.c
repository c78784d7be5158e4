/* SPDX-License-Identifier: MIT */
/* generation.c - loading a generation, all or nothing. */
#include "worker/generation.h"

#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "config/texts.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { KNOWN_MAX = 10000 };

static int compare_offers(const void *a, const void *b)
{
    return strcmp(((const struct offered_task *)a)->name,
            ((const struct offered_task *)b)->name);
}

enum coney_rc generation_load(const struct generation_source *from,
        struct generation **out, struct mistakes *mistakes, struct coney_error *err)
{
    enum coney_rc rc;
    struct generation *s = calloc(1, sizeof(*s));

    *out = NULL;
    if (!s)
        return error_set_nomem(err);
    s->refs = 1;
    rc = config_load(from->config_path, &s->config, mistakes, err);
    if (rc == CONEY_OK)
        rc = topology_new(s->config, TOPOLOGY_TASKS, &s->topology, err);
    if (rc == CONEY_OK)
        rc = pool_probe(from->runner_path, &s->config->worker.plugins, from->when,
                &s->offered, err);
    if (rc == CONEY_OK) {
        if (s->offered.count > 1)
            qsort(s->offered.items, s->offered.count, sizeof(*s->offered.items),
                    compare_offers);
        *out = s;
        s = NULL;
    }
    generation_unref(s);
    return rc;
}

struct generation *generation_ref(struct generation *s)
{
    s->refs++;
    return s;
}

void generation_unref(struct generation *s)
{
    if (!s)
        return;
    assert(s->refs > 0);
    s->refs--;
    if (s->refs > 0)
        return;
    offered_tasks_fini(&s->offered);
    json_decref(s->known);
    topology_free(s->topology);
    config_free(s->config);
    free(s);
}

static const struct offered_task *find_offer(const struct generation *s, const char *task)
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

/* What the plugins say of @task; NULL when its handler is none of theirs. */
static const struct offered_task *offer_for(
        const struct generation *s, const struct policy *policy, const char *task)
{
    return policy->handler == HANDLER_NATIVE ? find_offer(s, task) : NULL;
}

bool generation_can_run(
        const struct generation *s, const struct policy *policy, const char *task)
{
    return policy->handler != HANDLER_NATIVE || offer_for(s, policy, task) != NULL;
}

size_t generation_tasks(const struct generation *s, const char ***names)
{
    const struct string_list *patterns = &s->config->task_patterns;
    const char **list =
            calloc(s->offered.count + patterns->count + json_object_size(s->known) + 1,
                    sizeof(*list));
    size_t count = 0;
    const char *known;
    json_t *value;

    *names = list;
    if (!list)
        return 0;
    for (size_t i = 0; i < s->offered.count; i++)
        list[count++] = s->offered.items[i].name;
    for (size_t i = 0; i < patterns->count; i++) {
        const char *name = patterns->items[i];
        const struct policy *policy =
                strpbrk(name, "*?") ? NULL : config_policy(s->config, name);
        if (policy && generation_can_run(s, policy, name))
            list[count++] = name;
    }
    json_object_foreach(s->known, known, value) list[count++] = known;
    return count;
}

/* Celery's own tasks run here (builtin.c), not in a server. */
static void learn(struct generation *s, const char *name)
{
    const struct policy *policy = config_policy(s->config, name);

    if (!policy || strncmp(name, "celery.", strlen("celery.")) == 0 ||
            policy->handler != HANDLER_SERVER || json_object_size(s->known) >= KNOWN_MAX)
        return;
    if (!s->known)
        s->known = json_object();
    (void)json_object_set_new(s->known, name, json_true());
}

void generation_learn(struct generation *s, struct bytes names)
{
    const struct json_limits limits = {
            .text_max = names.len, .values_max = KNOWN_MAX + 1, .depth_max = 2};
    struct coney_error err;
    json_t *list = NULL;

    if (json_read(names, &limits, &list, &err) != CONEY_OK) {
        log_warning("a task server's list of tasks can't be read: %s", err.text);
        return;
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        const char *name = json_string_value(one);
        if (name && strlen(name) == json_string_length(one) &&
                text_check_task(name, NULL) == CONEY_OK)
            learn(s, name);
    }
    json_decref(list);
}

void generation_inherit(struct generation *s, const struct generation *old)
{
    const char *name;
    json_t *value;

    json_object_foreach(old->known, name, value) learn(s, name);
}

static int64_t first_set(int64_t a, int64_t b, int64_t c)
{
    if (a != CONFIG_NONE)
        return a;
    return b != CONFIG_NONE ? b : c;
}

struct limits generation_limits(const struct generation *s, const struct policy *policy,
        const char *task, const struct task_request *request)
{
    const struct offered_task *offer = offer_for(s, policy, task);
    return (struct limits){
            .soft_ms = first_set(request->soft_time_limit_ms, policy->soft_time_limit_ms,
                    offer ? offer->soft_time_limit_ms : CONFIG_NONE),
            .hard_ms = first_set(request->time_limit_ms, policy->time_limit_ms,
                    offer ? offer->time_limit_ms : CONFIG_NONE),
    };
}

struct retry_policy generation_retry(
        const struct generation *s, const struct policy *policy, const char *task)
{
    struct retry_policy retry = policy->retry;
    const struct offered_task *offer = offer_for(s, policy, task);

    if (offer && offer->max_retries != CONFIG_NONE && !policy_says(policy, "retry.max"))
        retry.max =
                offer->max_retries < UINT_MAX ? (unsigned)offer->max_retries : UINT_MAX;
    return retry;
}
