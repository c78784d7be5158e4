/* SPDX-License-Identifier: MIT */
/* twice.c - offers the same task twice. */
#include <coney/task.h>

static enum coney_outcome nothing(struct coney_task *task, json_t *args, json_t *kwargs)
{
    (void)task;
    (void)args;
    (void)kwargs;
    return CONEY_SUCCESS;
}

static const struct coney_task_def tasks[] = {{"twice.nothing", nothing, 0, 0, 0, NULL},
        {"twice.nothing", nothing, 0, 0, 0, NULL}};
CONEY_PLUGIN("twice", tasks, NULL, NULL);
