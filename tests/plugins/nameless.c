/* SPDX-License-Identifier: MIT */
/* nameless.c - offers a task without a name. */
#include <coney/task.h>

static enum coney_outcome nothing(struct coney_task *task, json_t *args, json_t *kwargs)
{
    (void)task;
    (void)args;
    (void)kwargs;
    return CONEY_SUCCESS;
}

static const struct coney_task_def tasks[] = {{"", nothing, 0, 0, 0, NULL}};
CONEY_PLUGIN("nameless", tasks, NULL, NULL);
