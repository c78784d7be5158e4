/* SPDX-License-Identifier: MIT */
/*
 * newer.c - a plugin built with a later, compatible header: each structure has grown at
 * its end.
 */
#include <coney/task.h>

struct newer_task_def {
    struct coney_task_def def;
    const char *added[3];
};

struct newer_plugin {
    struct coney_plugin plugin;
    const void *added[2];
};

static enum coney_outcome nothing(struct coney_task *task, json_t *args, json_t *kwargs)
{
    (void)task;
    (void)args;
    (void)kwargs;
    return CONEY_SUCCESS;
}

static const struct newer_task_def tasks[] = {
        {{"newer.one", nothing, 1, 2, 3, "first"}, {"x", "y", "z"}},
        {{"newer.two", nothing, 4, 5, 6, "second"}, {"x", "y", "z"}}};

/* Under the agreed name, but longer than the header declares it. */
#pragma GCC visibility push(default)
extern const struct newer_plugin newer_plugin __asm__("coney_plugin");
const struct newer_plugin newer_plugin = {
        {CONEY_TASK_ABI, sizeof(struct newer_plugin), sizeof(struct newer_task_def), 0,
                "newer", &tasks[0].def, 2, NULL, NULL},
        {NULL, NULL}};
#pragma GCC visibility pop
