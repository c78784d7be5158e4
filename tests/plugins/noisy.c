/* SPDX-License-Identifier: MIT */
/* noisy.c - a plugin that prints while it is loaded. */
#include <coney/task.h>

__attribute__((constructor)) static void boast(void)
{
    printf("noisy is here\n");
}

static enum coney_outcome nothing(struct coney_task *task, json_t *args, json_t *kwargs)
{
    (void)task;
    (void)args;
    (void)kwargs;
    return CONEY_SUCCESS;
}

static const struct coney_task_def tasks[] = {{"noisy.nothing", nothing, 0, 0, 0, NULL}};
CONEY_PLUGIN("noisy", tasks, NULL, NULL);
