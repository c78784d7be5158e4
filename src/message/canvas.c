/* SPDX-License-Identifier: MIT */
/*
 * canvas.c - Celery's apply_async() for every kind of signature, but into a plan.
 *
 * Everything here works on a copy in the one shape (canvas_shape.h), so it may be changed
 * on the way. That memory is short is noticed once, at the end: until then a plan that
 * lacks something is as good as any.
 */
#include "message/canvas.h"

#include "base/error.h"
#include "base/json.h"
#include "message/canvas_freeze.h"
#include "message/canvas_shape.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 8 };

struct maker {
    struct canvas_plan *plan;
    struct freezer freezer;
};

/* --- plans
 * ---------------------------------------------------------------------------------- */

void canvas_plan_init(struct canvas_plan *p)
{
    *p = (struct canvas_plan){.actions = NULL};
}

static void cut(struct canvas_plan *p, size_t count)
{
    while (p->count > count) {
        p->count--;
        json_decref(p->actions[p->count].value);
        free(p->actions[p->count].group);
    }
}

void canvas_plan_fini(struct canvas_plan *p)
{
    cut(p, 0);
    free(p->actions);
    json_decref(p->children);
    canvas_plan_init(p);
}

bool canvas_plan_has_chord(const struct canvas_plan *p)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->actions[i].kind != CANVAS_SEND)
            return true;
    return false;
}

static bool has_room(struct canvas_plan *p)
{
    if (p->count < p->capacity)
        return true;
    size_t capacity = p->capacity > 0 ? p->capacity * 2 : FIRST_CAPACITY;
    struct canvas_action *more = realloc(p->actions, capacity * sizeof(*more));
    if (!more)
        return false;
    p->actions = more;
    p->capacity = capacity;
    return true;
}

static void add_action(struct maker *m, enum canvas_kind kind, json_t *value,
        const char *group, size_t size)
{
    char *copy = group ? strdup(group) : NULL;

    if ((group && !copy) || !has_room(m->plan)) {
        m->freezer.rc = CONEY_ENOMEM;
        free(copy);
        return;
    }
    m->plan->actions[m->plan->count++] = (struct canvas_action){
            .kind = kind, .value = json_incref(value), .group = copy, .size = size};
}

/* --- arguments and options
 * ------------------------------------------------------------------ */

/* @args before the signature's own. */
static void prepend(struct maker *m, json_t *s, json_t *args)
{
    if (json_array_size(args) == 0 || signature_is_immutable(s))
        return;
    json_t *all = json_copy(args);
    if (json_array_extend(all, json_object_get(s, "args")) != 0 ||
            json_object_set(s, "args", all) != 0)
        m->freezer.rc = CONEY_ENOMEM;
    json_decref(all);
}

/* The signature's options with @more over them; its group stays its own. The caller's. */
static json_t *merged(struct maker *m, const json_t *s, json_t *more)
{
    json_t *options = json_copy(json_object_get(s, "options"));
    json_t *group = json_incref(json_object_get(options, "group_id"));
    const char *key;
    json_t *value;

    json_object_foreach(more, key,
            value) if (!json_is_null(value) && json_object_set(options, key, value) != 0)
            m->freezer.rc = CONEY_ENOMEM;
    if (group && json_object_set_new(options, "group_id", group) != 0)
        m->freezer.rc = CONEY_ENOMEM;
    if (!options)
        m->freezer.rc = CONEY_ENOMEM;
    return options;
}

static void drop(json_t *options, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        json_object_del(options, names[i]);
}

/* --- applying
 * ------------------------------------------------------------------------------- */

/* What a parent counts as its child for @s; the caller's. */
static json_t *apply(struct maker *m, json_t *s, json_t *args, json_t *more);

static json_t *apply_task(struct maker *m, json_t *s, json_t *args, json_t *more)
{
    json_t *options = merged(m, s, more);

    prepend(m, s, args);
    if (json_object_set_new(s, "options", options) != 0)
        m->freezer.rc = CONEY_ENOMEM;
    const char *id = canvas_id(&m->freezer, s);
    if (m->freezer.reply_to && !signature_option(s, "reply_to"))
        canvas_set_take(&m->freezer, s, "reply_to", json_string(m->freezer.reply_to));
    add_action(m, CANVAS_SEND, s, NULL, 0);
    return canvas_tuple_take(&m->freezer, id, NULL);
}

/* What the members of a group share. */
struct members {
    const char *group; /* its id */
    json_t *tasks;     /* flat and frozen */
    json_t *args;
    json_t *options; /* for each of them */
    json_t *body;    /* of the chord whose parts they are; NULL: none */
};

/* The size must be known before the last part can come in: it is set first. */
static void send_members(struct maker *m, const struct members *g)
{
    size_t count = json_array_size(g->tasks);
    size_t parts = 0;

    for (size_t i = 0; i < count; i++)
        parts += canvas_parts(json_array_get(g->tasks, i));
    if (g->body)
        add_action(m, CANVAS_SET_SIZE, g->body, g->group, parts);
    for (size_t i = 0; i < count; i++)
        json_decref(apply(m, json_array_get(g->tasks, i), g->args, g->options));
}

static json_t *apply_group(struct maker *m, json_t *s, json_t *args, json_t *more)
{
    static const char *const own[] = {"task_id", "group_index", "link", "link_error"};
    if (json_array_size(canvas_tasks(s)) == 0)
        return NULL;
    json_t *options = merged(m, s, more);
    struct place place = place_none();
    const char *given = json_text(options, "task_id");
    char *id = strdup(given ? given : canvas_id(&m->freezer, s));

    if (!id || json_object_set_new(options, "group_id", json_string(id)) != 0) {
        m->freezer.rc = CONEY_ENOMEM;
        json_decref(options);
        free(id);
        return NULL;
    }
    drop(options, own, sizeof(own) / sizeof(own[0]));
    canvas_flatten(&m->freezer, s);
    place.group = id;
    place.root_id = json_text(options, "root_id");
    json_t *results = canvas_freeze_members(&m->freezer, s, &place);
    const struct members members = {
            .group = id, .tasks = canvas_tasks(s), .args = args, .options = options};
    send_members(m, &members);
    json_t *tuple = canvas_tuple_take(&m->freezer, id, results);
    json_decref(options);
    free(id);
    return tuple;
}

/* What is left of a chain comes before what was to follow it anyway: lists are reversed.
 */
static void set_rest(struct maker *m, json_t *options, json_t *rest)
{
    json_t *after = json_object_get(options, "chain");

    if (!after && json_array_size(rest) == 0)
        return;
    json_t *chain = json_is_array(after) ? json_copy(after) : json_array();
    if (json_array_extend(chain, rest) != 0 ||
            json_object_set(options, "chain", chain) != 0)
        m->freezer.rc = CONEY_ENOMEM;
    json_decref(chain);
}

static void link_to(struct maker *m, json_t *s, json_t *callbacks)
{
    if (!json_is_array(callbacks) && callbacks)
        canvas_link(&m->freezer, s, "link", callbacks);
    for (size_t i = 0; i < json_array_size(callbacks); i++)
        canvas_link(&m->freezer, s, "link", json_array_get(callbacks, i));
}

static json_t *apply_steps(struct maker *m, json_t *s, json_t *args, json_t *options)
{
    static const char *const own[] = {
            "task_id", "group_id", "chord", "group_index", "link", "link_error"};
    json_t *errbacks = json_incref(json_object_get(options, "link_error"));
    json_t *trail = NULL;
    struct place last = {.id = json_text(options, "task_id"),
            .group = json_text(options, "group_id"),
            .root_id = json_text(options, "root_id"),
            .chord = json_object_get(options, "chord"),
            .index = -1};

    if (errbacks && !json_is_array(errbacks)) {
        json_t *list = json_pack("[o]", errbacks);
        errbacks = list;
    }
    struct frozen_steps frozen = canvas_freeze_steps(&m->freezer, s, &last, errbacks);
    json_t *steps = frozen.steps;
    size_t count = json_array_size(steps);
    if (count == 0 || m->freezer.rc != CONEY_OK)
        goto out;
    link_to(m, json_array_get(steps, 0), json_object_get(options, "link"));
    json_t *first = json_incref(json_array_get(steps, count - 1));
    json_array_remove(steps, count - 1);
    drop(options, own, sizeof(own) / sizeof(own[0]));
    set_rest(m, options, steps);
    trail = apply(m, first, args, options);
    json_decref(first);
out:
    json_decref(errbacks);
    json_decref(frozen.results);
    json_decref(steps);
    return trail;
}

static json_t *apply_chain(struct maker *m, json_t *s, json_t *args, json_t *more)
{
    json_t *options = merged(m, s, more);

    prepend(m, s, args);
    json_t *trail = apply_steps(m, s, json_object_get(s, "args"), options);
    json_decref(options);
    return trail;
}

/* --- chords
 * --------------------------------------------------------------------------------- */

static bool is_group_tuple(const json_t *tuple)
{
    return json_is_array(json_array_get(tuple, 1));
}

/* A body gets one flat list of results, unless the group's shape is kept. */
static void save_shape(struct maker *m, const char *group, json_t *results)
{
    for (size_t i = 0; i < json_array_size(results); i++)
        if (is_group_tuple(json_array_get(results, i))) {
            json_t *tuple = canvas_tuple_take(&m->freezer, group, json_incref(results));
            add_action(m, CANVAS_SAVE_GROUP, tuple, group, 0);
            json_decref(tuple);
            return;
        }
}

/* The body takes the chord's options, and @id if it has none of its own. */
static void freeze_body(
        struct maker *m, json_t *body, json_t *options, const char *id, const char *group)
{
    struct place place = place_none();
    json_t *own = merged(m, body, options);

    if (json_object_set_new(body, "options", own) != 0)
        m->freezer.rc = CONEY_ENOMEM;
    place.id = id;
    place.group = signature_text(body, "group_id");
    place.root_id = signature_text(body, "root_id");
    place.chord = signature_option(body, "chord");
    /* For a body that nothing else waits for, the group only shows in its result. */
    if (!place.group && !place.chord && signature_kind(body) == SIGNATURE_TASK)
        place.group = group;
    json_decref(canvas_freeze(&m->freezer, body, &place));
}

static json_t *apply_header(
        struct maker *m, json_t *s, json_t *options, const char *group)
{
    static const char *const not_for_header[] = {"chain", "chord", "task_id", "link",
            "link_error", "group_index", "countdown", "eta"};
    json_t *header = canvas_header(s);
    struct place place = place_none();

    drop(options, not_for_header, sizeof(not_for_header) / sizeof(not_for_header[0]));
    if (json_object_set_new(options, "group_id", json_string(group)) != 0 ||
            json_object_set(options, "chord", canvas_body(s)) != 0)
        m->freezer.rc = CONEY_ENOMEM;
    place.group = group;
    place.root_id = json_text(options, "root_id");
    place.chord = canvas_body(s);
    json_t *results = canvas_freeze_members(&m->freezer, header, &place);
    save_shape(m, group, results);
    const struct members members = {.group = group,
            .tasks = canvas_tasks(header),
            .args = json_object_get(s, "args"),
            .options = options,
            .body = canvas_body(s)};
    send_members(m, &members);
    return canvas_tuple_take(&m->freezer, group, results);
}

/* A header of nothing is complete at once. */
static json_t *apply_parts(
        struct maker *m, json_t *s, json_t *options, const char *id, const char *group)
{
    canvas_flatten(&m->freezer, canvas_header(s));
    if (json_array_size(canvas_tasks(canvas_header(s))) > 0) {
        freeze_body(m, canvas_body(s), options, id, group);
        return apply_header(m, s, options, group);
    }
    freeze_body(m, canvas_body(s), options, id, NULL);
    json_t *nothing = json_pack("[[]]");
    json_t *trail = apply(m, canvas_body(s), nothing, NULL);
    json_decref(nothing);
    return trail;
}

static json_t *apply_chord(struct maker *m, json_t *s, json_t *args, json_t *more)
{
    json_t *options = merged(m, s, more);
    json_t *id = json_incref(json_object_get(options, "task_id"));
    char *group = strdup(canvas_id(&m->freezer, canvas_header(s)));
    json_t *trail = NULL;

    if (!group) {
        m->freezer.rc = CONEY_ENOMEM;
        goto out;
    }
    prepend(m, s, args);
    json_object_del(options, "task_id");
    json_object_del(options, "group_index");
    trail = apply_parts(m, s, options, json_string_value(id), group);
out:
    json_decref(id);
    json_decref(options);
    free(group);
    return trail;
}

static json_t *apply(struct maker *m, json_t *s, json_t *args, json_t *more)
{
    if (m->freezer.rc != CONEY_OK)
        return NULL;
    switch (signature_kind(s)) {
    case SIGNATURE_CHAIN:
        return apply_chain(m, s, args, more);
    case SIGNATURE_GROUP:
    case SIGNATURE_CHUNKS:
        return apply_group(m, s, args, more);
    case SIGNATURE_CHORD:
        return apply_chord(m, s, args, more);
    case SIGNATURE_TASK:
        break;
    }
    return apply_task(m, s, args, more);
}

/* --- what others call
 * ----------------------------------------------------------------------- */

static json_t *with_context(const struct canvas_context *c, json_t *options)
{
    json_t *all = options ? json_copy(options) : json_object();

    if (c->parent_id)
        json_object_set_new(all, "parent_id", json_string(c->parent_id));
    if (c->root_id)
        json_object_set_new(all, "root_id", json_string(c->root_id));
    return all;
}

static void add_child_take(struct maker *m, json_t *trail)
{
    struct canvas_plan *p = m->plan;

    if (trail && !p->children)
        p->children = json_array();
    if (trail && json_array_append_new(p->children, trail) != 0)
        m->freezer.rc = CONEY_ENOMEM;
}

/* Apply @s, the shaped signature of @call, which may be changed. */
static enum coney_rc apply_shaped(struct canvas_plan *p, const struct canvas_context *c,
        json_t *s, const struct canvas_call *call, json_t **result)
{
    struct maker m = {.plan = p};
    struct place place = place_none();
    json_t *options = with_context(c, call->options);
    json_t *frozen = NULL;

    m.freezer = (struct freezer){.rng = c->rng, .reply_to = c->reply_to};
    place.root_id = c->root_id;
    if (result)
        frozen = canvas_freeze(&m.freezer, s, &place);
    add_child_take(&m, apply(&m, s, call->args, options));
    json_decref(options);
    if (m.freezer.rc == CONEY_OK && result)
        *result = json_incref(frozen);
    json_decref(frozen);
    return m.freezer.rc;
}

enum coney_rc canvas_apply(struct canvas_plan *p, const struct canvas_context *c,
        const struct canvas_call *call, json_t **result, struct coney_error *err)
{
    size_t actions = p->count;
    size_t tasks = p->tasks;
    size_t children = json_array_size(p->children);
    json_t *s = NULL;

    enum coney_rc rc =
            canvas_shape(call->signature, CANVAS_TASKS_MAX, &p->tasks, &s, err);
    if (rc == CONEY_OK)
        rc = apply_shaped(p, c, s, call, result);
    json_decref(s);
    if (rc == CONEY_OK)
        return CONEY_OK;
    cut(p, actions);
    p->tasks = tasks;
    while (json_array_size(p->children) > children)
        json_array_remove(p->children, children);
    return rc == CONEY_ENOMEM ? error_set_nomem(err) : rc;
}

/* What Celery applies in turn: the groups, then one group of all others. The caller's. */
static json_t *in_turn(const json_t *signatures)
{
    json_t *turns = json_array();
    json_t *others = json_array();

    for (size_t i = 0; i < json_array_size(signatures); i++) {
        json_t *s = json_array_get(signatures, i);
        json_array_append(signature_kind(s) == SIGNATURE_GROUP ? turns : others, s);
    }
    if (json_array_size(others) > 0)
        json_array_append_new(
                turns, json_pack("{s:s, s:{s:O}, s:s}", "task", "celery.group", "kwargs",
                               "tasks", others, "subtask_type", "group"));
    json_decref(others);
    return turns;
}

enum coney_rc canvas_apply_list(struct canvas_plan *p, const struct canvas_context *c,
        const json_t *signatures, json_t *args, struct coney_error *err)
{
    bool is_one = json_array_size(signatures) == 1;
    json_t *turns = is_one ? json_pack("[O]", json_array_get(signatures, 0))
                           : in_turn(signatures);
    enum coney_rc rc = CONEY_OK;

    for (size_t i = 0; i < json_array_size(turns) && rc == CONEY_OK; i++) {
        const struct canvas_call call = {
                .signature = json_array_get(turns, i), .args = args};
        rc = canvas_apply(p, c, &call, NULL, err);
    }
    json_decref(turns);
    return rc;
}

enum coney_rc canvas_apply_next(struct canvas_plan *p, const struct canvas_context *c,
        const json_t *chain, json_t *args, struct coney_error *err)
{
    size_t count = json_array_size(chain);

    if (count == 0)
        return CONEY_OK;
    json_t *rest = json_array();
    for (size_t i = 0; i + 1 < count; i++)
        json_array_append(rest, json_array_get(chain, i));
    const struct canvas_call call = {.signature = json_array_get(chain, count - 1),
            .args = args,
            .options = json_pack("{s:o}", "chain", rest)};
    enum coney_rc rc = canvas_apply(p, c, &call, NULL, err);
    json_decref(call.options);
    return rc;
}

enum coney_rc canvas_attach(json_t *signature, const char *option, json_t *what)
{
    struct freezer f = {.rng = NULL};

    canvas_link(&f, signature, option, what);
    return f.rc;
}
