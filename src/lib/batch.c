/* SPDX-License-Identifier: MIT */
/* batch.c - from a canvas to the messages that begin it. */
#include "base/clock.h"
#include "base/error.h"
#include "lib/canvas.h"
#include "message/canvas.h"
#include "queue/chord.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct packer {
    struct coney_client *client;
    enum coney_reply reply;
    struct rng rng;
    struct batch *out;
};

void batch_fini(struct batch *l)
{
    for (size_t i = 0; i < l->count; i++)
        outgoing_free(l->messages[i]);
    free(l->messages);
    json_decref(l->results);
    redis_commands_fini(&l->stored);
    *l = (struct batch){.count = 0};
}

/* --- queues ----------------------------------------------------------------------- */

static void resolve(const struct coney_client *c, json_t *s);

static void resolve_all(const struct coney_client *c, json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        resolve(c, json_array_get(list, i));
}

/* Whoever sends a later part of it calls queues as the broker does. */
/* NOLINTNEXTLINE(misc-no-recursion): as deep as what the program has built */
static void resolve(const struct coney_client *c, json_t *s)
{
    json_t *options = json_object_get(s, "options");
    json_t *kwargs = json_object_get(s, "kwargs");
    const char *queue = json_string_value(json_object_get(options, "queue"));

    if (queue)
        json_object_set_new(options, "queue", json_string(compose_queue(c, queue)));
    resolve_all(c, json_object_get(options, "link"));
    resolve_all(c, json_object_get(options, "link_error"));
    if (signature_kind(s) == SIGNATURE_TASK)
        return;
    resolve_all(c, json_object_get(kwargs, "tasks"));
    resolve_all(c, json_object_get(kwargs, "header"));
    resolve(c, json_object_get(kwargs, "body"));
}

/* --- messages --------------------------------------------------------------------- */

/* What the configuration says about every task of that name. */
static void set_defaults(json_t *signature, const struct defaults *d)
{
    json_t *options = json_object_get(signature, "options");

    if (!signature_option(signature, "priority") && d->priority >= 0)
        json_object_set_new(options, "priority", json_integer(d->priority));
    if (!signature_option(signature, "expires") && d->expires_ms != CONFIG_NONE)
        json_object_set_new(options, "expires", json_real((double)d->expires_ms / 1000));
}

static enum coney_rc make_message(
        struct packer *l, json_t *signature, struct coney_error *err)
{
    char origin[sizeof(l->client->host) + 32];
    struct coney_message m;
    struct defaults defaults = {.queue = NULL};
    struct signature_route route;
    struct envelope e = {.arena = NULL};

    coney_message_init(&m, json_string_value(json_object_get(signature, "task")));
    m.queue = signature_text(signature, "queue");
    m.reply = l->reply;
    enum coney_rc rc = compose_defaults(l->client, &m, &defaults, err);
    if (rc != CONEY_OK)
        return rc;
    set_defaults(signature, &defaults);
    snprintf(origin, sizeof(origin), "gen%d@%s", (int)getpid(), l->client->host);
    const struct signature_sender sender = {
            .origin = origin, .now_us = clock_wall_us(), .rng = &l->rng};
    rc = signature_encode(signature, &sender, &e, &route, err);
    if (rc != CONEY_OK)
        return rc;
    struct outgoing **at = &l->out->messages[l->out->count];
    rc = compose_wrap(&e, &defaults, &m, at, err);
    if (rc != CONEY_OK)
        return rc;
    (*at)->owner = OUTGOING_AWAITED;
    (*at)->eta_us = route.eta_us;
    l->out->count++;
    return CONEY_OK;
}

/* --- the plan --------------------------------------------------------------------- */

static enum coney_rc note_chord(
        struct packer *l, const struct canvas_action *a, struct coney_error *err)
{
    const struct chord_keys keys = chord_keys_of(&l->client->config->results, a->group);
    enum coney_rc rc = a->kind == CANVAS_SET_SIZE
                               ? chord_set_size(&keys, a->size, &l->out->stored)
                               : chord_save_shape(&keys, a->value, &l->out->stored);

    return rc == CONEY_OK ? rc : error_set(err, rc, "chord: %s", coney_rc_name(rc));
}

static enum coney_rc carry_out(
        struct packer *l, const struct canvas_plan *p, struct coney_error *err)
{
    enum coney_rc rc = CONEY_OK;

    if (canvas_plan_has_chord(p) && !stored_is_used(l->client))
        return error_set(err, CONEY_EINVAL,
                "a chord needs results in redis: let results.url name one");
    l->out->messages = calloc(p->count + 1, sizeof(struct outgoing *));
    if (!l->out->messages)
        return error_set_nomem(err);
    for (size_t i = 0; i < p->count && rc == CONEY_OK; i++)
        rc = p->actions[i].kind == CANVAS_SEND ? make_message(l, p->actions[i].value, err)
                                               : note_chord(l, &p->actions[i], err);
    return rc;
}

enum coney_rc batch_prepare(struct coney_client *c, const struct coney_canvas *canvas,
        enum coney_reply reply, struct batch *out, struct coney_error *err)
{
    struct packer l = {.client = c, .reply = reply, .out = out};
    json_t *signature = json_deep_copy(canvas->signature);
    struct canvas_plan plan;

    *out = (struct batch){.count = 0};
    redis_commands_init(&out->stored);
    if (!signature)
        return error_set_nomem(err);
    resolve(c, signature);
    compose_seed(c, &l.rng);
    const struct canvas_context context = {
            .reply_to = reply == CONEY_REPLY_WANTED ? c->reply_queue : NULL,
            .rng = &l.rng};
    const struct canvas_call call = {.signature = signature};
    canvas_plan_init(&plan);
    enum coney_rc rc = canvas_apply(&plan, &context, &call, &out->results, err);
    if (rc == CONEY_OK)
        rc = carry_out(&l, &plan, err);
    canvas_plan_fini(&plan);
    json_decref(signature);
    return rc;
}
