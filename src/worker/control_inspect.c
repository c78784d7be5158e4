/* SPDX-License-Identifier: MIT */
/* control_inspect.c - commands that ask about tasks: running, waiting, known. */
#include "base/duration.h"
#include "message/inspect.h"
#include "worker/control_state.h"

#include <stdlib.h>
#include <string.h>

/* --- jobs --------------------------------------------------------------------------- */

enum job_kind { JOBS_NONE, JOBS_ACTIVE, JOBS_SCHEDULED, JOBS_RESERVED };

static enum job_kind kind_of(const struct job *j)
{
    if (!j->request)
        return JOBS_NONE;
    switch (j->state) {
    case JOB_RUNNING:
        return JOBS_ACTIVE;
    case JOB_HELD:
        return j->give_back ? JOBS_NONE : JOBS_SCHEDULED;
    case JOB_NEW:
    case JOB_READY:
        return JOBS_RESERVED;
    case JOB_SETTLING:
        break;
    }
    return JOBS_NONE;
}

static struct inspect_task describe(
        const struct worker *w, const struct job *j, bool is_safe)
{
    const struct task_request *r = j->request;
    bool runs = j->state == JOB_RUNNING;

    return (struct inspect_task){
            .id = r->id,
            .name = r->shadow,
            .type = r->task,
            .args = r->args,
            .kwargs = r->kwargs,
            .safe = is_safe,
            .hostname = w->node,
            .started_us = runs ? j->started_us : 0,
            .pid = runs ? pool_job_pid(w->pool, j) : 0,
            .exchange = j->delivery.exchange,
            .routing_key = j->delivery.routing_key,
            .priority = j->delivery.envelope.properties.priority,
            .redelivered = j->delivery.redelivered,
    };
}

static json_t *list_jobs(struct worker *w, enum job_kind kind, bool is_safe)
{
    json_t *list = json_array();
    const struct job *j;

    TAILQ_FOREACH(j, &w->jobs, entry)
    {
        if (kind_of(j) != kind)
            continue;
        const struct inspect_task t = describe(w, j, is_safe);
        (void)json_array_append_new(
                list, kind == JOBS_SCHEDULED ? inspect_scheduled(&t, j->held_until_us)
                                             : inspect_task(&t));
    }
    return list;
}

json_t *command_active(struct worker *w, struct call *call)
{
    return list_jobs(
            w, JOBS_ACTIVE, json_is_true(json_object_get(call->arguments, "safe")));
}

json_t *command_reserved(struct worker *w, struct call *call)
{
    (void)call;
    return list_jobs(w, JOBS_RESERVED, false);
}

json_t *command_scheduled(struct worker *w, struct call *call)
{
    (void)call;
    return list_jobs(w, JOBS_SCHEDULED, false);
}

/* --- query_task --------------------------------------------------------------------- */

static const struct job *find_job(const struct worker *w, const char *id)
{
    const struct job *j;
    TAILQ_FOREACH(j, &w->jobs, entry)
    if (j->request && strcmp(j->request->id, id) == 0 && kind_of(j) != JOBS_NONE)
        return j;
    return NULL;
}

static void answer_query(struct worker *w, const json_t *id, json_t *found)
{
    const struct job *j = json_is_string(id) ? find_job(w, json_string_value(id)) : NULL;
    if (!j)
        return;
    const struct inspect_task t = describe(w, j, false);
    (void)json_object_set_new(found, json_string_value(id),
            json_pack("[s,o]", kind_of(j) == JOBS_ACTIVE ? "active" : "reserved",
                    inspect_task(&t)));
}

json_t *command_query_task(struct worker *w, struct call *call)
{
    const json_t *ids = json_object_get(call->arguments, "ids");
    json_t *found = json_object();
    size_t i;
    json_t *id;

    answer_query(w, ids, found);
    json_array_foreach(ids, i, id) answer_query(w, id, found);
    return found;
}

/* --- registered --------------------------------------------------------------------- */

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* What is known of @item of the task that @policy is about; "" when it is not set. */
static const char *item_text(struct worker *w, const struct policy *policy,
        const char *task, const char *item, char text[DURATION_TEXT_SIZE])
{
    const struct retry_policy retry = generation_retry(w->generation, policy, task);

    text[0] = '\0';
    int64_t rate = control_rate(w, task, policy->rate_per_hour);
    if (strcmp(item, "rate_limit") == 0 && rate != CONFIG_NONE)
        rate_format(rate, text);
    else if (strcmp(item, "max_retries") == 0)
        snprintf(text, DURATION_TEXT_SIZE, "%u", retry.max);
    else if (strcmp(item, "serializer") == 0)
        snprintf(text, DURATION_TEXT_SIZE, "json");
    else if (strcmp(item, "ignore_result") == 0)
        snprintf(
                text, DURATION_TEXT_SIZE, "%s", policy->ignore_result ? "True" : "False");
    else if (strcmp(item, "time_limit") == 0 && policy->time_limit_ms != CONFIG_NONE)
        snprintf(text, DURATION_TEXT_SIZE, "%.3f", (double)policy->time_limit_ms / 1000);
    else if (strcmp(item, "soft_time_limit") == 0 &&
             policy->soft_time_limit_ms != CONFIG_NONE)
        snprintf(text, DURATION_TEXT_SIZE, "%.3f",
                (double)policy->soft_time_limit_ms / 1000);
    return text;
}

/* "name", or "name [rate_limit=100/m]". */
static json_t *describe_task(struct worker *w, const char *task, const json_t *items)
{
    const struct policy *policy = config_policy(w->generation->config, task);
    char text[1024], value[DURATION_TEXT_SIZE];
    size_t len = (size_t)snprintf(text, sizeof(text), "%.255s", task);
    const size_t bare = len;
    size_t i;
    json_t *item;

    json_array_foreach(items, i, item)
    {
        const char *name = json_string_value(item);
        if (!policy || !name || strlen(name) > 64 || len > sizeof(text) - 128)
            continue;
        if (*item_text(w, policy, task, name, value))
            len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s=%s",
                    len == bare ? " [" : " ", name, value);
    }
    snprintf(text + len, sizeof(text) - len, "%s", len > bare ? "]" : "");
    return json_string(text);
}

json_t *command_registered(struct worker *w, struct call *call)
{
    json_t *wanted = json_object_get(call->arguments, "taskinfoitems");
    json_t *items = json_array_size(wanted) > 0 ? json_incref(wanted)
                                                : json_pack("[s,s,s]", "exchange",
                                                          "routing_key", "rate_limit");
    const char **names = NULL;
    size_t count = generation_tasks(w->generation, &names);
    json_t *list = json_array();

    if (count > 1)
        qsort(names, count, sizeof(*names), compare_texts);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || strcmp(names[i], names[i - 1]) != 0)
            (void)json_array_append_new(list, describe_task(w, names[i], items));
    free(names);
    json_decref(items);
    return list;
}

/* --- queues ------------------------------------------------------------------------- */

json_t *command_active_queues(struct worker *w, struct call *call)
{
    const struct config *c = w->generation->config;
    json_t *list = json_array();

    (void)call;
    for (size_t i = 0; i < c->queue_count; i++) {
        const struct queue_config *q = &c->queues[i];
        const struct inspect_queue queue = {
                .name = q->name,
                .exchange = "",
                .exchange_type = "direct",
                .routing_key = q->name,
                .queue_type = q->type == QUEUE_QUORUM ? "quorum" : "classic",
                .max_priority = q->max_priority,
                .passive = q->declare == DECLARE_PASSIVE,
        };
        (void)json_array_append_new(list, inspect_queue(&queue));
    }
    return list;
}
