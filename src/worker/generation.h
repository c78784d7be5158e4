/* SPDX-License-Identifier: MIT */
/*
 * generation.h - one generation of what the worker was told: configuration, broker
 * objects and the tasks its plugins offer. A reload makes a new generation; each job
 * keeps the one it was admitted under.
 */
#ifndef CONEY_WORKER_GENERATION_H
#define CONEY_WORKER_GENERATION_H

#include "base/buffer.h"
#include "config/config.h"
#include "message/task.h"
#include "queue/topology.h"
#include "worker/pool.h"

struct generation {
    unsigned refs;
    struct config *config;        /* owned */
    struct topology *topology;    /* owned */
    struct offered_tasks offered; /* owned; sorted by name */
    json_t *known; /* owned; an object: names that task servers have told; NULL: none */
};

/* What holds for one task after message, configuration and plugin have had their say. */
struct limits {
    int64_t soft_ms; /* CONFIG_NONE: none */
    int64_t hard_ms;
};

struct generation_source {
    const char *config_path; /* NULL: the usual places */
    const char *runner_path; /* to probe the plugins with */
    enum probe_time when;
};

/*
 * Load the configuration, probe the plugins and build the topology. With one reference,
 * the caller's. Mistakes are collected as by config_load().
 */
enum coney_rc generation_load(const struct generation_source *from,
        struct generation **out, struct mistakes *mistakes,
        struct coney_error *err) CONEY_MUST_CHECK;
struct generation *generation_ref(struct generation *s);
/* NULL is ignored. */
void generation_unref(struct generation *s);

/* Whether a worker with these settings can run @task under @policy. */
bool generation_can_run(
        const struct generation *s, const struct policy *policy, const char *task);
/*
 * The names of the tasks that it can run, as far as they are known: those that plugins
 * offer, those that the configuration names in full, and those that task servers have
 * told of. An array of borrowed names, the
 * caller's to free; not sorted, and a name may be there twice. 0: none, or no memory.
 */
size_t generation_tasks(const struct generation *s, const char ***names);
/* A task server has told that it knows @names (a JSON array, unchecked): those that the
 * configuration gives to a server are known from now on. */
void generation_learn(struct generation *s, struct bytes names);
/* All that @old knows, and that holds for @s. */
void generation_inherit(struct generation *s, const struct generation *old);
/* For @task under @policy. Message beats configuration beats plugin; a message's limit is
 * TASK_NONE when absent. */
struct limits generation_limits(const struct generation *s, const struct policy *policy,
        const char *task, const struct task_request *request);
/* The retry policy, with the plugin's count when the configuration has none. Its lists
 * are borrowed from @policy. */
struct retry_policy generation_retry(
        const struct generation *s, const struct policy *policy, const char *task);

#endif /* CONEY_WORKER_GENERATION_H */
