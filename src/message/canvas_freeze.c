/* SPDX-License-Identifier: MIT */
/*
 * canvas_freeze.c - identifiers, from the last step of a canvas to the first.
 *
 * A chord's body is shared, not copied, between the header's tasks: whatever it is told
 * before the first message is written stands in all of them.
 */
#include "message/canvas_freeze.h"

#include "message/canvas_shape.h"

#include <string.h>

struct place place_none(void)
{
    return (struct place){.index = -1};
}

/* --- small things
 * --------------------------------------------------------------------------- */

static json_t *checked(struct freezer *f, json_t *v)
{
    if (!v)
        f->rc = CONEY_ENOMEM;
    return v;
}

static void append_take(struct freezer *f, json_t *array, json_t *v)
{
    if (json_array_append_new(array, v) != 0)
        f->rc = CONEY_ENOMEM;
}

void canvas_set_take(struct freezer *f, json_t *s, const char *option, json_t *value)
{
    if (json_object_set_new(json_object_get(s, "options"), option, value) != 0)
        f->rc = CONEY_ENOMEM;
}

static void set_text(struct freezer *f, json_t *s, const char *option, const char *text)
{
    canvas_set_take(f, s, option, json_string(text));
}

const char *canvas_id(struct freezer *f, json_t *s)
{
    char uuid[UUID_TEXT_SIZE];

    if (!signature_text(s, "task_id")) {
        rng_uuid(f->rng, uuid);
        set_text(f, s, "task_id", uuid);
    }
    const char *id = signature_text(s, "task_id");
    return id ? id : "";
}

json_t *canvas_tuple_take(struct freezer *f, const char *id, json_t *members)
{
    json_t *none = members ? members : json_null();

    return checked(f, json_pack("[[s, n], o]", id, none));
}

static json_t *parent_of(const json_t *tuple)
{
    return json_array_get(json_array_get(tuple, 0), 1);
}

/* Unless it has one: then what is at the beginning of its line. */
static void set_parent(struct freezer *f, json_t *tuple, json_t *parent)
{
    if (json_is_null(parent_of(tuple)) &&
            json_array_set(json_array_get(tuple, 0), 1, parent) != 0)
        f->rc = CONEY_ENOMEM;
}

static json_t *eldest_of(json_t *tuple)
{
    while (json_is_array(parent_of(tuple)))
        tuple = parent_of(tuple);
    return tuple;
}

/* --- links
 * ---------------------------------------------------------------------------------- */

static void append_link(
        struct freezer *f, json_t *s, const char *option, json_t *callback)
{
    json_t *list = signature_option(s, option);

    if (!json_is_array(list)) {
        list = list ? json_pack("[O]", list) : json_array();
        canvas_set_take(f, s, option, list);
    }
    for (size_t i = 0; i < json_array_size(list); i++)
        if (json_equal(json_array_get(list, i), callback))
            return;
    if (json_array_append(list, callback) != 0)
        f->rc = CONEY_ENOMEM;
}

static void link_all(
        struct freezer *f, json_t *tasks, const char *option, json_t *callback)
{
    for (size_t i = 0; i < json_array_size(tasks); i++)
        canvas_link(f, json_array_get(tasks, i), option, callback);
}

void canvas_link(struct freezer *f, json_t *s, const char *option, json_t *callback)
{
    switch (signature_kind(s)) {
    case SIGNATURE_CHORD:
        canvas_link(f, canvas_body(s), option, callback);
        break;
    case SIGNATURE_GROUP:
        link_all(f, canvas_tasks(s), option, callback);
        break;
    case SIGNATURE_TASK:
    case SIGNATURE_CHAIN:
    case SIGNATURE_CHUNKS:
        append_link(f, s, option, callback);
        break;
    }
}

/* --- groups
 * --------------------------------------------------------------------------------- */

static void flatten_into(struct freezer *f, json_t *tasks, json_t *flat)
{
    for (size_t i = 0; i < json_array_size(tasks); i++) {
        json_t *task = json_array_get(tasks, i);
        if (signature_kind(task) == SIGNATURE_GROUP)
            flatten_into(f, canvas_tasks(task), flat);
        else if (json_array_append(flat, task) != 0)
            f->rc = CONEY_ENOMEM;
    }
}

void canvas_flatten(struct freezer *f, json_t *group)
{
    json_t *flat = checked(f, json_array());

    flatten_into(f, canvas_tasks(group), flat);
    if (json_object_set_new(json_object_get(group, "kwargs"), "tasks", flat) != 0)
        f->rc = CONEY_ENOMEM;
}

json_t *canvas_freeze_members(struct freezer *f, json_t *group, const struct place *place)
{
    json_t *tasks = canvas_tasks(group);
    json_t *results = checked(f, json_array());
    struct place member = *place;

    member.id = NULL;
    for (size_t i = 0; i < json_array_size(tasks); i++) {
        member.index = (int64_t)i;
        append_take(f, results, canvas_freeze(f, json_array_get(tasks, i), &member));
    }
    return results;
}

static void set_place(struct freezer *f, json_t *s, const struct place *place)
{
    if (place->root_id)
        set_text(f, s, "root_id", place->root_id);
    if (place->group && !signature_text(s, "group_id"))
        set_text(f, s, "group_id", place->group);
    if (place->chord)
        canvas_set_take(f, s, "chord", json_incref(place->chord));
    if (place->index >= 0)
        canvas_set_take(f, s, "group_index", json_integer(place->index));
}

static json_t *freeze_group(struct freezer *f, json_t *s, const struct place *place)
{
    const char *id = canvas_id(f, s);

    set_place(f, s, place);
    canvas_flatten(f, s);
    return canvas_tuple_take(f, id, canvas_freeze_members(f, s, place));
}

/* --- tasks, chains, chords
 * ------------------------------------------------------------------- */

static json_t *freeze_task(struct freezer *f, json_t *s, const struct place *place)
{
    if (place->id && !signature_text(s, "task_id"))
        set_text(f, s, "task_id", place->id);
    const char *id = canvas_id(f, s);
    set_place(f, s, place);
    if (f->reply_to && !signature_option(s, "reply_to"))
        set_text(f, s, "reply_to", f->reply_to);
    return canvas_tuple_take(f, id, NULL);
}

static json_t *freeze_chord(struct freezer *f, json_t *s, const struct place *place)
{
    json_t *header = canvas_header(s);
    json_t *body = canvas_body(s);
    struct place of_header = place_none();

    of_header.root_id = place->root_id;
    of_header.chord = body;
    const char *group = canvas_id(f, header);
    canvas_flatten(f, header);
    json_t *parent =
            canvas_tuple_take(f, group, canvas_freeze_members(f, header, &of_header));
    json_t *result = canvas_freeze(f, body, place);
    set_parent(f, eldest_of(result), parent);
    json_decref(parent);
    set_text(f, s, "task_id", group);
    return result;
}

static const char *id_of(const json_t *tuple)
{
    return json_string_value(json_array_get(json_array_get(tuple, 0), 0));
}

/* A chain goes by the name of its last: when it is the body of a chord that fails, Celery
 * looks there for whom to tell. */
static json_t *freeze_chain(struct freezer *f, json_t *s, const struct place *place)
{
    struct frozen_steps frozen = canvas_freeze_steps(f, s, place, NULL);
    json_t *last = json_incref(json_array_get(frozen.results, 0));

    if (last && !signature_text(s, "task_id"))
        set_text(f, s, "task_id", id_of(last));
    json_decref(frozen.steps);
    json_decref(frozen.results);
    /* A chain of nothing has a result that never comes. */
    return last ? last : canvas_tuple_take(f, canvas_id(f, s), NULL);
}

json_t *canvas_freeze(struct freezer *f, json_t *s, const struct place *place)
{
    switch (signature_kind(s)) {
    case SIGNATURE_CHAIN:
        return freeze_chain(f, s, place);
    case SIGNATURE_GROUP:
    case SIGNATURE_CHUNKS:
        return freeze_group(f, s, place);
    case SIGNATURE_CHORD:
        return freeze_chord(f, s, place);
    case SIGNATURE_TASK:
        break;
    }
    return freeze_task(f, s, place);
}

/* --- the steps of a chain
 * -------------------------------------------------------------------- */

/* All steps in order, chains within the chain and groups of one opened. */
static void open_steps(struct freezer *f, json_t *tasks, json_t *steps)
{
    for (size_t i = 0; i < json_array_size(tasks); i++) {
        json_t *task = json_array_get(tasks, i);
        json_t *inner = canvas_tasks(task);
        enum signature_kind kind = signature_kind(task);
        if (kind == SIGNATURE_CHAIN ||
                (kind == SIGNATURE_GROUP && json_array_size(inner) == 1))
            open_steps(f, inner, steps);
        else if (json_array_append(steps, task) != 0)
            f->rc = CONEY_ENOMEM;
    }
}

static json_t *chord_of(struct freezer *f, json_t *group, json_t *body)
{
    return checked(f, json_pack("{s:s, s:O, s:{s:{}, s:O, s:O}, s:{}, s:s, s:b}", "task",
                              "celery.chord", "args", json_object_get(group, "args"),
                              "kwargs", "kwargs", "header", group, "body", body,
                              "options", "subtask_type", "chord", "immutable", 0));
}

struct line {
    json_t *steps;   /* reversed */
    json_t *results; /* reversed */
    json_t *eldest;  /* the result that the next step's becomes the parent of; borrowed */
};

/* Take the last of @array out of it; the caller's. */
static json_t *pop(json_t *array)
{
    size_t count = json_array_size(array);
    json_t *last = json_incref(json_array_get(array, count - 1));

    json_array_remove(array, count - 1);
    return last;
}

/* @group and the step after it become a chord, whose result takes that step's place. */
static void add_group(
        struct freezer *f, struct line *l, json_t *group, const struct place *place)
{
    json_t *body = pop(l->steps);
    json_t *before = pop(l->results);
    json_t *chord = chord_of(f, group, body);
    json_t *result = canvas_freeze(f, chord, place);

    l->eldest = eldest_of(result);
    set_parent(f, eldest_of(before), l->eldest);
    append_take(f, l->steps, chord);
    append_take(f, l->results, result);
    json_decref(before);
    json_decref(body);
}

static void add_other(
        struct freezer *f, struct line *l, json_t *step, const struct place *place)
{
    json_t *result = canvas_freeze(f, step, place);

    if (l->eldest)
        set_parent(f, l->eldest, result);
    l->eldest = eldest_of(result);
    append_take(f, l->steps, json_incref(step));
    append_take(f, l->results, result);
}

/* One more step in front of those in @l. */
static void add_step(struct freezer *f, struct line *l, json_t *step,
        const struct place *last, json_t *errbacks)
{
    size_t after = json_array_size(l->steps);
    struct place inner = place_none();

    inner.root_id = last->root_id;
    for (size_t i = 0; i < json_array_size(errbacks); i++)
        canvas_link(f, step, "link_error", json_array_get(errbacks, i));
    if (after > 0 && signature_kind(step) == SIGNATURE_GROUP)
        add_group(f, l, step, after > 1 ? &inner : last);
    else
        add_other(f, l, step, after > 0 ? &inner : last);
}

struct frozen_steps canvas_freeze_steps(
        struct freezer *f, json_t *chain, const struct place *place, json_t *errbacks)
{
    json_t *all = checked(f, json_array());
    struct line l = {
            .steps = checked(f, json_array()), .results = checked(f, json_array())};

    open_steps(f, canvas_tasks(chain), all);
    for (size_t i = json_array_size(all); i > 0 && f->rc == CONEY_OK; i--)
        add_step(f, &l, json_array_get(all, i - 1), place, errbacks);
    json_decref(all);
    return (struct frozen_steps){.steps = l.steps, .results = l.results};
}
