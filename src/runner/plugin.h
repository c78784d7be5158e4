/* SPDX-License-Identifier: MIT */
/*
 * plugin.h - the plugins of a runner: loaded, checked, and their tasks by name.
 *
 * What <coney/task.h> promises about versions is kept here: a plugin may be older than
 * the runner, its structures shorter, its array elements closer together.
 */
#ifndef CONEY_RUNNER_PLUGIN_H
#define CONEY_RUNNER_PLUGIN_H

#include <coney/error.h>
#include <coney/task.h>

#include <stddef.h>

struct plugins;

/* A task that a plugin offers. */
struct plugin_task {
    const char *path; /* of the plugin */
    struct coney_task_def def;
};

/*
 * Load the plugins at @paths, in order: absolute, without repetition. Constructors run,
 * hooks do not. CONEY_EINVAL: one of them doesn't load or isn't a plugin, or two of them
 * offer the same task; the text begins with its path. CONEY_ENOMEM. On failure *@out is
 * NULL; what has been loaded stays mapped.
 */
enum coney_rc plugins_load(char *const *paths, size_t count, struct plugins **out,
        struct coney_error *err) CONEY_MUST_CHECK;
/* Forget them. They stay mapped: code of theirs may still be registered somewhere
 * (thread, exit handler). NULL is ignored. */
void plugins_free(struct plugins *p);

/* Call every init hook, in order. CONEY_EINVAL: one returned anything but 0; the text
 * begins with its path, and the hooks after it have not been called. */
enum coney_rc plugins_init(struct plugins *p, struct coney_runner *runner,
        struct coney_error *err) CONEY_MUST_CHECK;
/* Call the fini hook of each plugin whose init has succeeded, in reverse order. */
void plugins_fini(struct plugins *p, struct coney_runner *runner);

/* All tasks in order of their names; borrowed until plugins_free(). */
const struct plugin_task *plugins_tasks(const struct plugins *p, size_t *count);
/* The task @name, or NULL. */
const struct plugin_task *plugins_find(const struct plugins *p, const char *name);

#endif /* CONEY_RUNNER_PLUGIN_H */
