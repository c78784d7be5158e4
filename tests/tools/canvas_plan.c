/* SPDX-License-Identifier: MIT */
/*
 * canvas_plan.c - our canvas, one JSON request and one answer per line, for
 * canvas_agrees.py.
 *
 *     {"signature": S, "args": [...], "chain": [...], "callbacks": [...]}
 *
 * plans S, or what follows a success, for the parent "parent" of the root "root". The
 * answer is a list of what is to be done: {"send": {headers, body}}, {"size": [group,
 * n]},
 * {"save": tuple}; and at last {"children": [tuple, ...]}. {"error": "..."}: refused.
 */
#include "message/canvas.h"
#include "message/task.h"

#include <stdio.h>
#include <stdlib.h>

#define NOW_US INT64_C(1795179833003744)

static json_t *field_to_json(const struct field *f)
{
    json_t *out;

    switch ((char)f->type) {
    case 'S':
        return json_stringn(f->value.text.data, f->value.text.len);
    case 't':
        return json_boolean(f->value.boolean);
    case 'd':
        return json_real(f->value.number);
    case 'V':
        return json_null();
    case 'A':
        out = json_array();
        for (size_t i = 0; i < f->value.table.count; i++)
            json_array_append_new(out, field_to_json(&f->value.table.fields[i]));
        return out;
    case 'F':
        out = json_object();
        for (size_t i = 0; i < f->value.table.count; i++) {
            const struct field *m = &f->value.table.fields[i];
            json_object_setn_new(out, m->key.data, m->key.len, field_to_json(m));
        }
        return out;
    default:
        return json_integer(f->value.integer);
    }
}

static json_t *message_of(const json_t *signature, struct rng *rng)
{
    const struct signature_sender sender = {
            .origin = "gen1@here", .now_us = NOW_US, .rng = rng};
    struct signature_route route;
    struct coney_error err = {.text = ""};
    struct envelope e;

    enum coney_rc rc = signature_encode(signature, &sender, &e, &route, &err);
    if (rc != CONEY_OK)
        return json_pack("{s:s}", "error", err.text);
    struct field headers = {.type = FIELD_TABLE, .value.table = e.headers};
    json_t *body = json_loadb(e.body.data, e.body.len, 0, NULL);
    json_t *out = json_pack("{s:{s:o, s:o, s:s, s:s?, s:s?, s:s?, s:i}}", "send",
            "headers", field_to_json(&headers), "body", body, "reply_to",
            e.properties.reply_to, "queue", route.queue, "exchange", route.exchange,
            "routing_key", route.routing_key, "priority", e.properties.priority);
    envelope_fini(&e);
    return out;
}

static json_t *action_of(const struct canvas_action *a, struct rng *rng)
{
    switch (a->kind) {
    case CANVAS_SEND:
        return message_of(a->value, rng);
    case CANVAS_SET_SIZE:
        return json_pack("{s:[s, i]}", "size", a->group, (int)a->size);
    case CANVAS_SAVE_GROUP:
        return json_pack("{s:O}", "save", a->value);
    }
    return NULL;
}

static json_t *answer_to(json_t *q, struct rng *rng)
{
    const struct canvas_context c = {
            .parent_id = "parent", .root_id = "root", .rng = rng};
    struct coney_error err = {.text = ""};
    struct canvas_plan p;
    json_t *args = json_object_get(q, "args");
    json_t *s = json_object_get(q, "signature");
    json_t *out = json_array();

    canvas_plan_init(&p);
    enum coney_rc rc =
            canvas_apply_list(&p, &c, json_object_get(q, "callbacks"), args, &err);
    if (rc == CONEY_OK)
        rc = canvas_apply_next(&p, &c, json_object_get(q, "chain"), args, &err);
    if (rc == CONEY_OK && s)
        rc = canvas_apply(
                &p, &c, &(struct canvas_call){.signature = s, .args = args}, NULL, &err);
    for (size_t i = 0; i < p.count; i++)
        json_array_append_new(out, action_of(&p.actions[i], rng));
    if (rc == CONEY_OK)
        json_array_append_new(out,
                json_pack("{s:O}", "children", p.children ? p.children : json_null()));
    else
        json_array_append_new(out, json_pack("{s:s}", "error", err.text));
    canvas_plan_fini(&p);
    return out;
}

int main(void)
{
    char *line = NULL;
    size_t size = 0;
    struct rng rng;

    rng_seed_random(&rng);
    while (getline(&line, &size, stdin) > 0) {
        json_t *q = json_loads(line, 0, NULL);
        json_t *answer = q ? answer_to(q, &rng) : json_string("not JSON");
        json_dumpf(answer, stdout, JSON_ENCODE_ANY);
        putchar('\n');
        fflush(stdout);
        json_decref(answer);
        json_decref(q);
    }
    free(line);
    return 0;
}
