/* SPDX-License-Identifier: MIT */
/*
 * settings.h - one generation of what the worker was told: configuration, broker objects
 * and the tasks its plugins offer. A reload makes a new generation; each job keeps the
 * one it was admitted under.
 */
#ifndef CONEY_WORKER_SETTINGS_H
#define CONEY_WORKER_SETTINGS_H

#include "config/config.h"
#include "message/task.h"
#include "queue/topology.h"
#include "worker/pool.h"

struct settings {
    unsigned refs;
    struct config *config;        /* owned */
    struct topology *topology;    /* owned */
    struct offered_tasks offered; /* owned; sorted by name */
};

/* What holds for one task after message, configuration and plugin have had their say. */
struct limits {
    int64_t soft_ms; /* CONFIG_NONE: none */
    int64_t hard_ms;
};

struct settings_source {
    const char *config_path; /* NULL: the usual places */
    const char *runner_path; /* to probe the plugins with */
    enum probe_time when;
};

/*
 * Load the configuration, probe the plugins and build the topology. With one reference,
 * the caller's. Mistakes are collected as by config_load().
 */
enum coney_rc settings_load(const struct settings_source *from, struct settings **out,
        struct mistakes *mistakes, struct coney_error *err) CONEY_MUST_CHECK;
struct settings *settings_ref(struct settings *s);
/* NULL is ignored. */
void settings_unref(struct settings *s);

/* Whether a worker with these settings can run @task under @policy. */
bool settings_can_run(
        const struct settings *s, const struct policy *policy, const char *task);
/* Message beats configuration beats plugin; a message's limit is TASK_NONE when absent.
 */
struct limits settings_limits(const struct settings *s, const struct policy *policy,
        const struct task_request *request);
/* The retry policy, with the plugin's count when the configuration has none. Its lists
 * are borrowed from @policy. */
struct retry_policy settings_retry(
        const struct settings *s, const struct policy *policy, const char *task);

#endif /* CONEY_WORKER_SETTINGS_H */
