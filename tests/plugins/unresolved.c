/* SPDX-License-Identifier: MIT */
/* unresolved.c - a plugin that can't be loaded: it calls what nobody has. */
#include <coney/task.h>

enum coney_outcome nobody_has_this(struct coney_task *task, json_t *args, json_t *kwargs);

static const struct coney_task_def tasks[] = {
        {"unresolved.call", nobody_has_this, 0, 0, 0, NULL}};
CONEY_PLUGIN("unresolved", tasks, NULL, NULL);
