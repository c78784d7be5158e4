/* SPDX-License-Identifier: MIT */
/* bad_init.c - a plugin whose init hook fails. */
#include <coney/task.h>

static enum coney_outcome nothing(struct coney_task *task, json_t *args, json_t *kwargs)
{
    (void)task;
    (void)args;
    (void)kwargs;
    return CONEY_SUCCESS;
}

static int init(struct coney_runner *runner)
{
    coney_runner_log(runner, CONEY_LEVEL_ERROR, "no database");
    return 3;
}

static void fini(struct coney_runner *runner)
{
    coney_runner_log(runner, CONEY_LEVEL_ERROR, "must not be called");
}

static const struct coney_task_def tasks[] = {
        {"bad_init.nothing", nothing, 0, 0, 0, NULL}};
CONEY_PLUGIN("bad_init", tasks, init, fini);
