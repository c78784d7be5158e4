/* SPDX-License-Identifier: MIT */
/* tick.c - from an entry and a time to a task message. */
#include "beat/tick.h"

#include "base/error.h"

enum coney_rc tick_expires(const struct tick_context *context,
        const struct schedule_entry *entry, int64_t due_us, int64_t *expires_us)
{
    int64_t after_ms = entry->expires_ms;

    if (after_ms == 0) {
        const struct policy *policy = config_policy(context->config, entry->task);
        if (!policy)
            return CONEY_ENOMEM;
        after_ms = policy->expires_ms;
    }
    *expires_us = after_ms > 0 ? due_us + after_ms * 1000 : TASK_NO_TIME;
    return CONEY_OK;
}

/* Which entry it was, as Django's beat says it; Python's result stores keep it. */
static enum coney_rc name_entry(
        struct table *headers, struct arena *a, const struct schedule_entry *entry)
{
    return a ? table_set_text(headers, a, "periodic_task_name", entry->name)
             : CONEY_ENOMEM;
}

enum coney_rc tick_encode(const struct tick_context *context,
        const struct schedule_entry *entry, int64_t due_us, struct tick_message *out,
        struct coney_error *err)
{
    char id[UUID_TEXT_SIZE];
    struct table headers = {.count = 0};
    struct arena *a = arena_new(0);
    struct task_spec spec = task_spec_none();
    const struct policy *policy = config_policy(context->config, entry->task);
    enum coney_rc rc = policy ? name_entry(&headers, a, entry) : CONEY_ENOMEM;

    if (rc == CONEY_OK)
        rc = tick_expires(context, entry, due_us, &spec.expires_us);
    if (rc != CONEY_OK) {
        error_set_nomem(err);
        goto out;
    }
    schedule_entry_id(entry, context->config->beat.name, due_us, id);
    out->queue = entry->queue ? entry->queue : policy->queue;
    spec.id = id;
    spec.task = entry->task;
    spec.args = entry->args;
    spec.kwargs = entry->kwargs;
    spec.origin = context->origin;
    spec.app_id = "coney-beat";
    spec.priority = entry->priority >= 0 ? entry->priority : policy->priority;
    spec.headers = &headers;
    rc = task_encode(&spec, context->now_us, context->rng, &out->envelope, err);
    /* A queue's broker would dead-letter the expired; a worker knows that they are not
     * failures. */
    if (rc == CONEY_OK)
        out->envelope.properties.expiration = NULL;
out:
    arena_free(a);
    return rc;
}
