/* SPDX-License-Identifier: MIT */
/* duplicate.c - offers a task that demo offers, too; loads fine alone. */
#include <coney/task.h>

static enum coney_outcome add(struct coney_task *task, json_t *args, json_t *kwargs)
{
    (void)args;
    (void)kwargs;
    return coney_fail(task, "WrongPlugin", "the other one");
}

static const struct coney_task_def tasks[] = {{"demo.add", add, 0, 0, 0, NULL}};
CONEY_PLUGIN("duplicate", tasks, NULL, NULL);
