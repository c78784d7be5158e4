/* SPDX-License-Identifier: MIT */
/* plugin.c - dlopen(3), and a sorted array of what was found. */
#include "runner/plugin.h"

#include "base/error.h"
#include "base/utf8.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_BYTES = 255, TASKS_MAX = 65536 };

/* What the first version of this ABI had; no plugin can be shorter. */
enum {
    PLUGIN_SIZE_MIN = offsetof(struct coney_plugin, fini) +
                      sizeof(((struct coney_plugin *)0)->fini),
    TASK_SIZE_MIN = offsetof(struct coney_task_def, doc) +
                    sizeof(((struct coney_task_def *)0)->doc)
};

struct plugin {
    const char *path;          /* borrowed from the command line */
    struct coney_plugin offer; /* a copy; zero where the plugin is shorter */
    bool has_started;          /* its init hook has succeeded */
};

struct plugins {
    struct plugin *items; /* owned */
    size_t count;
    struct plugin_task *tasks; /* owned; sorted by name */
    size_t task_count;
};

/* --- one plugin --------------------------------------------------------------------- */

/* Why dlopen() failed; it mostly, but not always, begins with the path itself. */
static const char *load_error(const char *path)
{
    const char *why = dlerror();
    size_t len = strlen(path);
    if (strncmp(why, path, len) == 0 && strncmp(why + len, ": ", 2) == 0)
        why += len + 2;
    return why;
}

/* The exported object, or NULL. The handle stays open for good. */
static const struct coney_plugin *open_plugin(const char *path, struct coney_error *err)
{
    if (path[0] != '/') {
        error_set(err, CONEY_EINVAL, "%s: not an absolute path", path);
        return NULL;
    }
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        error_set(err, CONEY_EINVAL, "%s: %s", path, load_error(path));
        return NULL;
    }
    const struct coney_plugin *offer = dlsym(handle, "coney_plugin");
    if (!offer)
        error_set(err, CONEY_EINVAL, "%s: not a plugin: it has no coney_plugin", path);
    return offer;
}

static enum coney_rc copy_offer(
        struct plugin *p, const struct coney_plugin *offer, struct coney_error *err)
{
    if (offer->abi != CONEY_TASK_ABI)
        return error_set(err, CONEY_EINVAL,
                "%s: built for ABI %u of coney/task.h, this worker has %u", p->path,
                offer->abi, CONEY_TASK_ABI);
    if (offer->size < PLUGIN_SIZE_MIN || offer->task_size < TASK_SIZE_MIN)
        return error_set(err, CONEY_EINVAL, "%s: sizes of %u and %u are too small",
                p->path, offer->size, offer->task_size);

    size_t size = offer->size < sizeof(p->offer) ? offer->size : sizeof(p->offer);
    memcpy(&p->offer, offer, size);
    if (p->offer.task_count > TASKS_MAX || (p->offer.task_count > 0 && !p->offer.tasks))
        return error_set(err, CONEY_EINVAL, "%s: it can't offer %zu tasks", p->path,
                p->offer.task_count);
    return CONEY_OK;
}

static enum coney_rc check_task(
        const char *path, const struct coney_task_def *def, struct coney_error *err)
{
    size_t len = def->name ? strnlen(def->name, NAME_MAX_BYTES + 1) : 0;
    if (len == 0 || len > NAME_MAX_BYTES ||
            !utf8_is_valid((struct bytes){def->name, len}))
        return error_set(err, CONEY_EINVAL,
                "%s: a task name must be 1 to %d bytes of UTF-8", path, NAME_MAX_BYTES);
    if (!def->run)
        return error_set(
                err, CONEY_EINVAL, "%s: task %s has no function", path, def->name);
    if (def->soft_time_limit_ms < 0 || def->time_limit_ms < 0 ||
            def->max_retries < CONEY_NO_RETRIES)
        return error_set(
                err, CONEY_EINVAL, "%s: task %s has a negative limit", path, def->name);
    return CONEY_OK;
}

static enum coney_rc add_tasks(
        struct plugins *all, const struct plugin *p, struct coney_error *err)
{
    size_t stride = p->offer.task_size;
    struct coney_task_def def = {.name = NULL};
    size_t size = stride < sizeof(def) ? stride : sizeof(def);
    struct plugin_task *grown = realloc(
            all->tasks, (all->task_count + p->offer.task_count + 1) * sizeof(*grown));
    if (!grown)
        return error_set_nomem(err);
    all->tasks = grown;

    for (size_t i = 0; i < p->offer.task_count; i++) {
        memcpy(&def, (const char *)p->offer.tasks + i * stride, size);
        enum coney_rc rc = check_task(p->path, &def, err);
        if (rc != CONEY_OK)
            return rc;
        all->tasks[all->task_count++] = (struct plugin_task){.path = p->path, .def = def};
    }
    return CONEY_OK;
}

static enum coney_rc load_plugin(struct plugins *all, struct coney_error *err)
{
    struct plugin *p = &all->items[all->count];
    const struct coney_plugin *offer = open_plugin(p->path, err);
    if (!offer)
        return CONEY_EINVAL;
    enum coney_rc rc = copy_offer(p, offer, err);
    if (rc == CONEY_OK)
        rc = add_tasks(all, p, err);
    if (rc == CONEY_OK)
        all->count++;
    return rc;
}

/* --- all of them -------------------------------------------------------------------- */

static int compare_tasks(const void *left, const void *right)
{
    const struct plugin_task *a = left, *b = right;
    return strcmp(a->def.name, b->def.name);
}

static enum coney_rc sort_tasks(struct plugins *p, struct coney_error *err)
{
    if (p->task_count > 0)
        qsort(p->tasks, p->task_count, sizeof(*p->tasks), compare_tasks);
    for (size_t i = 1; i < p->task_count; i++) {
        const struct plugin_task *a = &p->tasks[i - 1], *b = &p->tasks[i];
        if (strcmp(a->def.name, b->def.name) != 0)
            continue;
        if (a->path == b->path)
            return error_set(
                    err, CONEY_EINVAL, "%s: offers task %s twice", a->path, a->def.name);
        return error_set(err, CONEY_EINVAL, "%s: task %s is already offered by %s",
                b->path, a->def.name, a->path);
    }
    return CONEY_OK;
}

enum coney_rc plugins_load(
        char *const *paths, size_t count, struct plugins **out, struct coney_error *err)
{
    enum coney_rc rc = CONEY_OK;
    *out = NULL;
    struct plugins *p = calloc(1, sizeof(*p));
    if (!p)
        return error_set_nomem(err);
    p->items = calloc(count + 1, sizeof(*p->items));
    if (!p->items) {
        rc = error_set_nomem(err);
        goto out;
    }
    for (size_t i = 0; i < count && rc == CONEY_OK; i++) {
        p->items[i].path = paths[i];
        rc = load_plugin(p, err);
    }
    if (rc == CONEY_OK)
        rc = sort_tasks(p, err);
    if (rc != CONEY_OK)
        goto out;
    *out = p;
    p = NULL;
out:
    plugins_free(p);
    return rc;
}

void plugins_free(struct plugins *p)
{
    if (!p)
        return;
    free(p->items);
    free(p->tasks);
    free(p);
}

enum coney_rc plugins_init(
        struct plugins *p, struct coney_runner *runner, struct coney_error *err)
{
    for (size_t i = 0; i < p->count; i++) {
        struct plugin *one = &p->items[i];
        int rc = one->offer.init ? one->offer.init(runner) : 0;
        if (rc != 0)
            return error_set(
                    err, CONEY_EINVAL, "%s: its init hook returned %d", one->path, rc);
        one->has_started = true;
    }
    return CONEY_OK;
}

void plugins_fini(struct plugins *p, struct coney_runner *runner)
{
    for (size_t i = p->count; i > 0; i--) {
        struct plugin *one = &p->items[i - 1];
        if (one->has_started && one->offer.fini)
            one->offer.fini(runner);
        one->has_started = false;
    }
}

const struct plugin_task *plugins_tasks(const struct plugins *p, size_t *count)
{
    *count = p->task_count;
    return p->tasks;
}

const struct plugin_task *plugins_find(const struct plugins *p, const char *name)
{
    struct plugin_task key = {.def = {.name = name}};
    return p->task_count == 0 ? NULL
                              : bsearch(&key, p->tasks, p->task_count, sizeof(*p->tasks),
                                        compare_tasks);
}
