/* SPDX-License-Identifier: MIT */
/* result_key.c - Celery's key names. */
#include "message/result_key.h"

#include <stdbool.h>
#include <string.h>

static char *join(struct arena *a, const char *prefix, const char *name, const char *id,
        const char *part)
{
    size_t len = prefix ? strlen(prefix) : 0;
    bool is_set_off = len == 0 || strchr(":_-.", prefix[len - 1]);
    return arena_printf(a, "%s%s%s%s%s", len > 0 ? prefix : "", is_set_off ? "" : "_",
            name, id, part);
}

char *result_key_task(struct arena *a, const char *prefix, const char *task_id)
{
    return join(a, prefix, "celery-task-meta-", task_id, "");
}

char *result_key_group(
        struct arena *a, const char *prefix, const char *group_id, const char *part)
{
    return join(a, prefix, "celery-taskset-meta-", group_id, part);
}
