/* SPDX-License-Identifier: MIT */
/* listing.c - plugin_task by plugin_task, through jansson. */
#include "runner/listing.h"

#include "base/error.h"
#include "base/json.h"

#include <jansson.h>
#include <string.h>

/* 0: the plugin says nothing. */
static json_t *limit(int64_t ms)
{
    return ms > 0 ? json_integer(ms) : json_null();
}

static json_t *retries(int max)
{
    if (max == CONEY_NO_RETRIES)
        return json_integer(0);
    return max > 0 ? json_integer(max) : json_null();
}

/* A new reference, or NULL. */
static json_t *describe(const struct plugin_task *t)
{
    return json_pack("{s:s, s:s, s:s?, s:o, s:o, s:o}", "name", t->def.name, "plugin",
            t->path, "doc", t->def.doc, "soft_time_limit_ms",
            limit(t->def.soft_time_limit_ms), "time_limit_ms",
            limit(t->def.time_limit_ms), "max_retries", retries(t->def.max_retries));
}

enum coney_rc listing_write(
        const struct plugins *p, struct buffer *out, struct coney_error *err)
{
    enum coney_rc rc = CONEY_OK;
    size_t count;
    const struct plugin_task *tasks = plugins_tasks(p, &count);
    json_t *list = json_array();
    json_t *whole = json_pack("{s:i, s:O}", "abi", (int)CONEY_TASK_ABI, "tasks", list);
    if (!whole)
        rc = error_set_nomem(err);
    for (size_t i = 0; i < count && rc == CONEY_OK; i++)
        if (json_array_append_new(list, describe(&tasks[i])) != 0)
            rc = error_set(err, CONEY_EINVAL,
                    "%s: the description of task %s is not valid UTF-8", tasks[i].path,
                    tasks[i].def.name);
    if (rc == CONEY_OK)
        rc = json_write(whole, out);
    if (rc == CONEY_OK)
        rc = buffer_append(out, "\n", 1);
    json_decref(list);
    json_decref(whole);
    return rc;
}
