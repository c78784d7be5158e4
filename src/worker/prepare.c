/* SPDX-License-Identifier: MIT */
/*
 * prepare.c - the steps that most settlements consist of: the message once more, its dead
 * letter, its result.
 */
#include "base/clock.h"
#include "base/json_part.h"
#include "base/log.h"
#include "queue/names.h"
#include "worker/state.h"

#include <string.h>

static const char *prefix_of(const struct worker *w)
{
    return w->generation->config->broker.prefix;
}

enum coney_rc prepare_address(
        struct step *s, const char *exchange, const char *routing_key)
{
    struct arena *a = s->out.envelope.arena;

    s->out.exchange = arena_strdup(a, exchange);
    s->out.routing_key = arena_strdup(a, routing_key);
    return s->out.exchange && s->out.routing_key ? CONEY_OK : CONEY_ENOMEM;
}

enum coney_rc prepare_address_delayed(
        const struct worker *w, struct step *s, const char *queue, int64_t until_us)
{
    struct delay_route route;
    int64_t delay_s =
            until_us == TASK_NO_TIME ? 0 : delay_seconds(clock_wall_us(), until_us);

    if (delay_s > 0 && delay_route(prefix_of(w), delay_s, queue, &route) == CONEY_OK)
        return prepare_address(s, route.exchange, route.routing_key);
    s->out.mandatory = true;
    return prepare_address(s, "", queue);
}

enum coney_rc prepare_again(
        const struct worker *w, struct job *j, const struct task_again *again)
{
    struct step *s = steps_add(j, STAGE_FOLLOW, STEP_SUCCESSOR);
    if (!s)
        return CONEY_ENOMEM;
    enum coney_rc rc =
            task_encode_again(&j->delivery.envelope, again, &s->out.envelope, NULL);
    if (rc == CONEY_OK)
        rc = prepare_address_delayed(w, s, j->queue, again->eta_us);
    if (rc != CONEY_OK)
        steps_remove(s);
    return rc;
}

enum coney_rc prepare_dead_letter(const struct worker *w, struct job *j,
        const struct envelope *e, const struct evidence *evidence)
{
    char exchange[AMQP_NAME_SIZE];
    char key[AMQP_NAME_SIZE];
    struct step *s = steps_add(j, STAGE_FOLLOW, STEP_SUCCESSOR);

    if (!s)
        return CONEY_ENOMEM;
    name_of(NAME_DEAD_EXCHANGE, prefix_of(w), exchange);
    struct bytes task = table_text(&e->headers, "task");
    dead_letter_key(j->queue, task.data ? task.data : "", key);
    enum coney_rc rc = dead_letter_encode(e, evidence, &s->out.envelope);
    if (rc == CONEY_OK)
        rc = prepare_address(s, exchange, key);
    if (rc != CONEY_OK)
        steps_remove(s);
    return rc;
}

bool prepare_wants_result(const struct worker *w, const struct job *j)
{
    if (!w->generation->config->results.url || !j->request)
        return false;
    if (!w->store && !j->request->reply_to)
        return false;
    switch (j->request->ignore_result) {
    case TASK_RESULT_KEEP:
        return true;
    case TASK_RESULT_IGNORE:
        return false;
    case TASK_RESULT_DEFAULT:
        break;
    }
    return !j->policy || !j->policy->ignore_result;
}

/* Into the form that @s wants. */
static enum coney_rc write_result(
        struct step *s, const struct result *r, struct coney_error *err)
{
    if (s->kind == STEP_PUBLISH)
        return result_encode(r, &s->out.envelope, err);
    buffer_clear(&s->store.meta);
    return result_write_meta(r, &s->store.meta, err);
}

/* A value that Celery's clients could not read (a type they do not know, too large)
 * becomes a failure that says so: the task has run, and is not worth losing or repeating
 * for it. */
static enum coney_rc encode_result(
        const struct job *j, struct step *s, const struct result *r)
{
    struct coney_error err;
    enum coney_rc rc = write_result(s, r, &err);

    if (rc != CONEY_EINVAL && rc != CONEY_ELIMIT)
        return rc;
    log_error("result can't be sent: %s; sent as a failure  task=%s id=%s", err.text,
            job_task(j), job_id(j));
    const struct result instead = result_unwritable(r, err.text);
    return write_result(s, &instead, NULL);
}

static bool is_final(enum result_status status)
{
    return status == RESULT_SUCCESS || status == RESULT_FAILURE ||
           status == RESULT_REVOKED;
}

static enum coney_rc add_result(const struct worker *w, struct job *j,
        const struct result_owner *owner, const struct result *r)
{
    struct step *s = w->store ? steps_add_store(j, STAGE_RESULT, STORE_META)
                              : steps_add(j, STAGE_RESULT, STEP_RESULT);
    enum coney_rc rc = s ? encode_result(j, s, r) : CONEY_ENOMEM;

    if (rc == CONEY_OK && w->store) {
        s->store.id = strdup(r->task_id);
        rc = s->store.id ? CONEY_OK : CONEY_ENOMEM;
    } else if (rc == CONEY_OK) {
        rc = prepare_address(s, "", owner->reply_to);
    }
    if (rc != CONEY_OK && s)
        steps_remove(s);
    return rc;
}

void prepare_result_for(const struct worker *w, struct job *j,
        const struct result_owner *owner, const struct result *r)
{
    struct result whole = *r;

    if (!w->generation->config->results.url || (!w->store && !owner->reply_to))
        return;
    whole.task_id = owner->task_id;
    whole.correlation_id = owner->correlation_id;
    whole.done_us = is_final(r->status) ? clock_wall_us() : 0;
    enum coney_rc rc = add_result(w, j, owner, &whole);
    if (rc != CONEY_OK)
        log_error("result lost: %s  task=%s id=%s", coney_rc_name(rc), job_task(j),
                owner->task_id);
}

void prepare_result(const struct worker *w, struct job *j, const struct result *r)
{
    struct result own = *r;

    if (!prepare_wants_result(w, j))
        return;
    const struct task_request *q = j->request;
    const struct field *stamps = table_find(&j->delivery.envelope.headers, "stamps");
    const struct result_request request = {.name = q->task,
            .args = json_element(q->body, 0),
            .kwargs = json_element(q->body, 1),
            .worker = w->node,
            .retries = q->retries,
            .queue = j->queue,
            .stamps = stamps && stamps->type == FIELD_TABLE ? stamps : NULL};
    own.group_id = q->group;
    own.parent_id = q->parent_id;
    if (w->generation->config->results.extended)
        own.request = &request;
    prepare_result_for(w, j,
            &(struct result_owner){.task_id = q->id,
                    .reply_to = q->reply_to,
                    .correlation_id = q->correlation_id},
            &own);
}
