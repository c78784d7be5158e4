/* SPDX-License-Identifier: MIT */
/*
 * follow.c - the tasks that follow one: what it published, its callbacks, the next link
 * of its chain, a chord's body, or errbacks; and word to those who wait for tasks that
 * now never run.
 *
 * What follows is planned by message/canvas.h and becomes steps of the job. Where a
 * message wants something sent that its sender has no business with, or that can't be
 * sent, it ends as a dead letter, and as failed for whoever waits for it; the task that
 * came before it is not blamed.
 */
#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "message/canvas.h"
#include "queue/names.h"
#include "worker/admission.h"
#include "worker/state.h"

#include <stdio.h>
#include <string.h>

enum { TARGET_TEXT_SIZE = 600, BYTES_MAX = 256 * 1024 * 1024 };

struct follow {
    struct worker *w;
    struct job *j;
    struct canvas_context context;
    json_t *children; /* result tuples so far; owned */
    size_t bytes;     /* of all bodies */
    bool refused;     /* something could not be sent, and the dead letter says so */
};

static void fail_rest(struct worker *w, struct job *j, const struct task_request *r,
        const struct result *why);

/* --- one message
 * ---------------------------------------------------------------------------- */

static struct evidence evidence_of(const struct job *j, const char *error)
{
    return (struct evidence){
            .reason = DEAD_FORBIDDEN,
            .error = error,
            .queue = j->queue,
            .attempts = j->request->retries + 1,
            .dead_at_us = clock_wall_us(),
            .exit_status = -1,
            .max_rss_kib = -1,
    };
}

static struct result refusal(const char *why)
{
    return (struct result){.status = RESULT_FAILURE, .exc_text = why};
}

/* The message of @s will not be sent: it becomes a dead letter, and who waits for its
 * task or for one behind it is told; its chord, if it is to be. */
static void bury(struct worker *w, struct step *s, const char *why, bool tells_chord)
{
    const struct message_limits limits = message_limits_default();
    const struct evidence evidence = evidence_of(s->job, why);
    const struct result result = refusal(why);
    struct task_request *request = NULL;

    log_error("follow-up refused: %s  task=%s id=%s parent=%s", why,
            s->out.envelope.properties.type, s->out.envelope.properties.message_id,
            job_id(s->job));
    if (prepare_dead_letter(w, s->job, &s->out.envelope, &evidence) != CONEY_OK)
        log_error("follow-up lost: out of memory  id=%s",
                s->out.envelope.properties.message_id);
    if (task_decode(&s->out.envelope, &limits, &request, NULL) != CONEY_OK)
        return;
    prepare_result_for(w, s->job,
            &(struct result_owner){.task_id = request->id,
                    .reply_to = request->reply_to,
                    .correlation_id = request->correlation_id},
            &result);
    fail_rest(w, s->job, request, &result);
    if (tells_chord)
        join_part(w, s->job, request, &result);
    task_request_free(request);
}

static void give_up(struct worker *w, struct step *s, const char *why)
{
    bury(w, s, why, true);
}

static void on_published(struct worker *w, struct step *s, enum publish_outcome outcome)
{
    char why[TARGET_TEXT_SIZE];

    if (outcome != PUBLISH_RETURNED)
        return;
    snprintf(why, sizeof(why), "no queue takes it: exchange \"%s\", routing key \"%s\"",
            s->out.exchange, s->out.routing_key);
    give_up(w, s, why);
}

static bool has_queue(const struct config *c, const char *name)
{
    for (size_t i = 0; i < c->queue_count; i++)
        if (strcmp(c->queues[i].name, name) == 0)
            return true;
    return false;
}

/* The task that decides where @signature goes: its own, or the one that it maps. */
static const char *name_of_route(const json_t *signature)
{
    const char *task = json_string_value(json_object_get(signature, "task"));
    const json_t *mapped = json_object_get(json_object_get(signature, "kwargs"), "task");
    const char *name = json_string_value(json_object_get(mapped, "task"));
    bool maps = strcmp(task, "celery.map") == 0 || strcmp(task, "celery.starmap") == 0;

    return maps && name ? name : task;
}

/* A task that we or the configuration know has its queue; one that we don't was known to
 * whoever sent this one, as likely as not for the same queue. */
static const char *queue_for(
        struct worker *w, const struct job *j, const json_t *signature)
{
    const struct generation *g = w->generation;
    const char *task = name_of_route(signature);
    const struct policy *p = config_policy(g->config, task);

    if (p && (generation_can_run(g, p, task) || policy_says(p, "queue")))
        return p->queue;
    return j->queue;
}

static enum coney_rc address_queue(
        struct worker *w, struct step *s, const char *queue, int64_t eta_us)
{
    const struct config *c = w->generation->config;

    if (has_queue(c, queue))
        return prepare_address_delayed(w, s, queue, eta_us);
    s->out.mandatory = true;
    return prepare_address(s, "", queue);
}

/* Where @route leads, if it may; else *@forbidden names what it would have been. */
static enum coney_rc address(struct worker *w, struct step *s, const json_t *signature,
        const struct signature_route *route, const char **forbidden)
{
    const struct config *c = w->generation->config;

    *forbidden = NULL;
    if (route->exchange) {
        const char *key = route->routing_key ? route->routing_key : route->exchange;
        if (!config_allows_target(c, route->exchange))
            *forbidden = route->exchange;
        s->out.mandatory = true;
        return prepare_address(s, route->exchange, key);
    }
    if (!route->queue)
        return address_queue(w, s, queue_for(w, s->job, signature), route->eta_us);
    if (!config_allows_target(c, route->queue) &&
            strcmp(route->queue, s->job->queue) != 0)
        *forbidden = route->queue;
    return address_queue(w, s, route->queue, route->eta_us);
}

static enum coney_rc add_message(struct follow *f, const json_t *signature,
        struct step *needs, struct coney_error *err)
{
    const struct signature_sender sender = {
            .origin = f->w->node, .now_us = clock_wall_us(), .rng = &f->w->rng};
    struct signature_route route;
    const char *forbidden = NULL;
    char why[TARGET_TEXT_SIZE];
    struct step *s = steps_add(f->j, STAGE_FOLLOW, STEP_FOLLOW_UP);

    if (!s)
        return error_set_nomem(err);
    s->needs = needs;
    enum coney_rc rc =
            signature_encode(signature, &sender, &s->out.envelope, &route, err);
    if (rc != CONEY_OK)
        goto out;
    f->bytes += s->out.envelope.body.len;
    if (f->bytes > BYTES_MAX) {
        rc = error_set(err, CONEY_ELIMIT, "more than %d bytes in all", BYTES_MAX);
        goto out;
    }
    /* Whoever gets it looks at the header; the broker would drop it without a word. */
    s->out.envelope.properties.expiration = NULL;
    s->on_done = on_published;
    rc = address(f->w, s, signature, &route, &forbidden);
    if (rc != CONEY_OK)
        error_set_nomem(err);
out:
    if (rc != CONEY_OK) {
        steps_remove(s);
    } else if (forbidden) {
        snprintf(why, sizeof(why),
                "\"%s\" is none of our queues, and not in worker.foreign", forbidden);
        give_up(f->w, s, why);
        steps_remove(s);
    }
    return rc;
}

/* --- a plan
 * --------------------------------------------------------------------------------- */

/* A chord that the store does not know can't be completed: of the whole plan nothing is
 * sent, and its bodies have failed. */
static void on_sized(struct worker *w, struct step *s, enum publish_outcome outcome)
{
    const struct step *first = s->needs ? s->needs : s;
    struct step *next;

    if (outcome == PUBLISH_ACKED)
        return;
    for (struct step *t = TAILQ_FIRST(&s->job->steps); t; t = next) {
        next = TAILQ_NEXT(t, entry);
        if ((t != first && t->needs != first) || (t->done && t != s))
            continue;
        t->done = true;
        if (t->kind == STEP_PUBLISH)
            bury(w, t, "the result store did not take its chord's size", false);
        else if (t->about && !signature_option(t->about, "chord"))
            follow_body_failed(w, s->job, t->about,
                    "Join error: the result store did not take the size");
        json_decref(t->about);
        t->about = NULL;
    }
}

static enum coney_rc add_to_store(struct follow *f, const struct canvas_action *a,
        struct step **needs, struct coney_error *err)
{
    const struct chord_keys keys =
            chord_keys_of(&f->w->generation->config->results, a->group);
    struct step *s = steps_add_store(f->j, STAGE_SIZE, STORE_COMMANDS);

    if (!s)
        return error_set_nomem(err);
    s->needs = *needs;
    s->on_done = on_sized;
    enum coney_rc rc = a->kind == CANVAS_SET_SIZE
                               ? chord_set_size(&keys, a->size, &s->store.commands)
                               : chord_save_shape(&keys, a->value, &s->store.commands);
    if (a->kind == CANVAS_SET_SIZE)
        s->about = json_incref(a->value);
    if (!*needs)
        *needs = s;
    return rc == CONEY_OK ? rc : error_set(err, rc, "%s", coney_rc_name(rc));
}

static enum coney_rc carry_out(
        struct follow *f, const struct canvas_plan *p, struct coney_error *err)
{
    struct step *needs = NULL;
    enum coney_rc rc = CONEY_OK;

    if (canvas_plan_has_chord(p) && !f->w->store)
        return error_set(err, CONEY_EINVAL, "chords need a result store that is redis");
    for (size_t i = 0; i < p->count && rc == CONEY_OK; i++)
        rc = p->actions[i].kind == CANVAS_SEND
                     ? add_message(f, p->actions[i].value, needs, err)
                     : add_to_store(f, &p->actions[i], &needs, err);
    if (rc == CONEY_OK && p->children && json_array_extend(f->children, p->children) != 0)
        rc = error_set_nomem(err);
    return rc;
}

static struct step *last_step(const struct job *j)
{
    return TAILQ_LAST(&j->steps, step_list);
}

static void remove_steps_after(struct job *j, const struct step *last)
{
    while (last_step(j) != last)
        steps_remove(last_step(j));
}

struct told {
    struct worker *w;
    struct job *j;
    const struct result *why;
};

static void tell_end(void *ctx, const struct canvas_end *end)
{
    const struct told *t = ctx;

    if (!end->ignore_result)
        prepare_result_for(t->w, t->j,
                &(struct result_owner){.task_id = end->id, .reply_to = end->reply_to},
                t->why);
    join_end(t->w, t->j, end, t->why);
}

/* @signatures of the message (@part of it) make no sense, or too much of it. */
static void refuse(struct follow *f, const char *part, const json_t *signatures,
        struct coney_error *err)
{
    const struct result why = refusal(err->text);
    struct told told = {.w = f->w, .j = f->j, .why = &why};

    error_prefix(err, "%s", part);
    log_error("what follows can't be sent: %s  task=%s id=%s", err->text, job_task(f->j),
            job_id(f->j));
    const struct evidence evidence = evidence_of(f->j, err->text);
    if (!f->refused && prepare_dead_letter(f->w, f->j, &f->j->delivery.envelope,
                               &evidence) == CONEY_OK)
        f->refused = true;
    canvas_ends(signatures, tell_end, &told);
}

typedef enum coney_rc apply_fn(struct canvas_plan *p, const struct canvas_context *c,
        const json_t *signatures, json_t *args, struct coney_error *err);

/* All of @part follows, or nothing of it. */
static void follow(struct follow *f, apply_fn *apply, const char *part,
        const json_t *signatures, json_t *args)
{
    const struct step *last = last_step(f->j);
    struct coney_error err = {.text = ""};
    struct canvas_plan plan;

    if (json_array_size(signatures) == 0)
        return;
    canvas_plan_init(&plan);
    enum coney_rc rc = apply(&plan, &f->context, signatures, args, &err);
    if (rc == CONEY_OK)
        rc = carry_out(f, &plan, &err);
    if (rc != CONEY_OK) {
        remove_steps_after(f->j, last);
        refuse(f, part, signatures, &err);
    }
    canvas_plan_fini(&plan);
}

static struct follow begin(struct worker *w, struct job *j, const struct task_request *r)
{
    return (struct follow){.w = w,
            .j = j,
            .context = {.parent_id = r->id,
                    .root_id = r->root_id ? r->root_id : r->id,
                    .rng = &w->rng},
            .children = json_array()};
}

/* --- success
 * -------------------------------------------------------------------------------- */

static enum coney_rc apply_each(struct canvas_plan *p, const struct canvas_context *c,
        const json_t *signatures, json_t *args, struct coney_error *err)
{
    enum coney_rc rc = CONEY_OK;

    for (size_t i = 0; i < json_array_size(signatures) && rc == CONEY_OK; i++) {
        const struct canvas_call call = {
                .signature = json_array_get(signatures, i), .args = args};
        rc = canvas_apply(p, c, &call, NULL, err);
    }
    return rc;
}

/* JSON that a task has written; NULL: there is none, or none that can be read. */
static json_t *read_list(const struct job *j, const char *what, struct bytes text)
{
    const struct message_limits limits = message_limits_default();
    const struct json_limits json = message_json_limits(&limits);
    struct coney_error err = {.text = ""};
    json_t *list = NULL;

    if (text.len == 0)
        return NULL;
    enum coney_rc rc = json_read(text, &json, &list, &err);
    if (rc == CONEY_OK && !json_is_array(list))
        rc = error_set(&err, CONEY_ESYNTAX, "not a list");
    if (rc == CONEY_OK)
        return list;
    log_error("%s of the task can't be read: %s  task=%s id=%s", what, err.text,
            job_task(j), job_id(j));
    json_decref(list);
    return NULL;
}

static void publish(struct follow *f, const struct outcome *o)
{
    json_t *sent = read_list(f->j, "children", o->children);
    json_t *asked = read_list(f->j, "publish", o->publish);

    json_array_extend(f->children, sent);
    follow(f, apply_each, "publish", asked, NULL);
    json_decref(asked);
    json_decref(sent);
}

json_t *follow_publish(struct worker *w, struct job *j, const struct outcome *o)
{
    struct follow f = begin(w, j, j->request);

    publish(&f, o);
    return f.children;
}

json_t *follow_success(
        struct worker *w, struct job *j, const struct outcome *o, json_t *value)
{
    const struct task_request *r = j->request;
    struct follow f = begin(w, j, r);
    json_t *args = json_pack("[O]", value);

    publish(&f, o);
    follow(&f, canvas_apply_list, "callbacks", json_object_get(r->embed, "callbacks"),
            args);
    follow(&f, canvas_apply_next, "chain", json_object_get(r->embed, "chain"), args);
    json_decref(args);
    return f.children;
}

bool follow_needs_value(const struct job *j)
{
    const json_t *embed = j->request->embed;

    return json_array_size(json_object_get(embed, "callbacks")) > 0 ||
           json_array_size(json_object_get(embed, "chain")) > 0 ||
           json_is_object(json_object_get(embed, "chord"));
}

/* --- failure
 * -------------------------------------------------------------------------------- */

/* They get @id, of what has failed. */
static void call_errbacks(struct follow *f, const json_t *errbacks, const char *id)
{
    json_t *args = json_pack("[s]", id);

    follow(f, canvas_apply_list, "errbacks", errbacks, args);
    json_decref(args);
    json_decref(f->children);
}

static void fail_rest(struct worker *w, struct job *j, const struct task_request *r,
        const struct result *why)
{
    struct told told = {.w = w, .j = j, .why = why};

    canvas_ends(json_object_get(r->embed, "chain"), tell_end, &told);
    if (why->status != RESULT_FAILURE)
        return;
    struct follow f = begin(w, j, r);
    call_errbacks(&f, json_object_get(r->embed, "errbacks"), r->id);
}

void follow_failure(struct worker *w, struct job *j, const struct result *why)
{
    if (!j->request)
        return;
    fail_rest(w, j, j->request, why);
    join_part(w, j, j->request, why);
}

/* --- the body of a chord
 * --------------------------------------------------------------------------- */

void follow_body(struct worker *w, struct job *j, json_t *body, json_t *results)
{
    struct follow f = begin(w, j, j->request);
    json_t *bodies = json_pack("[O]", body);
    json_t *args = json_pack("[O]", results);

    follow(&f, apply_each, "chord", bodies, args);
    json_decref(args);
    json_decref(bodies);
    json_decref(f.children);
}

void follow_body_failed(
        struct worker *w, struct job *j, const json_t *body, const char *text)
{
    const struct result why = {.status = RESULT_FAILURE,
            .exc_type = "ChordError",
            .exc_module = "celery.exceptions",
            .exc_text = text};
    struct told told = {.w = w, .j = j, .why = &why};
    json_t *option = signature_option(body, "link_error");
    const char *id = signature_text(body, "task_id");
    const char *root = signature_text(body, "root_id");
    json_t *bodies = json_pack("[O]", body);

    log_error("chord failed: %s  body=%s task=%s id=%s", text, id ? id : "-", job_task(j),
            job_id(j));
    canvas_ends(bodies, tell_end, &told);
    canvas_ends(signature_option(body, "chain"), tell_end, &told);
    if (option && id) {
        struct follow f = begin(w, j, j->request);
        json_t *errbacks =
                json_is_array(option) ? json_incref(option) : json_pack("[O]", option);
        f.context.parent_id = id;
        f.context.root_id = root ? root : f.context.root_id;
        call_errbacks(&f, errbacks, id);
        json_decref(errbacks);
    }
    json_decref(bodies);
}
