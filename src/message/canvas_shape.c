/* SPDX-License-Identifier: MIT */
/* canvas_shape.c - one walk down a signature that checks, mends and counts. */
#include "message/canvas_shape.h"

#include "base/error.h"
#include "message/canvas.h"

#include <string.h>

struct walk {
    size_t tasks_max;
    size_t *tasks;
    unsigned depth;
    struct coney_error *err;
};

static enum coney_rc shape(struct walk *w, json_t *s);

/* --- looking
 * -------------------------------------------------------------------------------- */

static json_t *kwarg(const json_t *signature, const char *key)
{
    return json_object_get(json_object_get(signature, "kwargs"), key);
}

json_t *canvas_tasks(const json_t *signature)
{
    return kwarg(signature, "tasks");
}

json_t *canvas_header(const json_t *chord)
{
    return kwarg(chord, "header");
}

json_t *canvas_body(const json_t *chord)
{
    return kwarg(chord, "body");
}

static size_t parts_of_last(const json_t *tasks)
{
    size_t parts = 0;

    for (size_t i = json_array_size(tasks); i > 0 && parts == 0; i--)
        parts = canvas_parts(json_array_get(tasks, i - 1));
    return parts;
}

size_t canvas_parts(const json_t *signature)
{
    const json_t *tasks = canvas_tasks(signature);
    size_t parts = 0;

    switch (signature_kind(signature)) {
    case SIGNATURE_CHAIN:
        return parts_of_last(tasks);
    case SIGNATURE_GROUP:
        for (size_t i = 0; i < json_array_size(tasks); i++)
            parts += canvas_parts(json_array_get(tasks, i));
        return parts;
    case SIGNATURE_CHORD:
        return canvas_parts(canvas_body(signature));
    case SIGNATURE_TASK:
    case SIGNATURE_CHUNKS:
        break;
    }
    return 1;
}

/* --- mending
 * -------------------------------------------------------------------------------- */

static enum coney_rc set(struct walk *w, json_t *object, const char *key, json_t *value)
{
    return json_object_set_new(object, key, value) == 0 ? CONEY_OK
                                                        : error_set_nomem(w->err);
}

static enum coney_rc mend(struct walk *w, json_t *s, const char *key, json_type type)
{
    const json_t *v = json_object_get(s, key);

    if (v && json_typeof(v) == type)
        return CONEY_OK;
    if (v && !json_is_null(v))
        return error_set(w->err, CONEY_EINVAL, "signature with wrong %s", key);
    return set(w, s, key, type == JSON_ARRAY ? json_array() : json_object());
}

static void drop_nulls(json_t *options)
{
    const char *key;
    json_t *value;
    void *next;

    json_object_foreach_safe(options, next, key, value)
    {
        if (json_is_null(value))
            json_object_del(options, key);
    }
}

/* A group of @tasks, which are taken. */
static json_t *new_group_take(json_t *tasks)
{
    return json_pack("{s:s, s:[], s:{s:o}, s:{}, s:s, s:b}", "task", "celery.group",
            "args", "kwargs", "tasks", tasks, "options", "subtask_type", "group",
            "immutable", 0);
}

static json_t *starmap_of(json_t *task, const json_t *it, size_t from, size_t count)
{
    json_t *part = json_array();

    for (size_t i = from; i < from + count && i < json_array_size(it); i++)
        json_array_append(part, json_array_get(it, i));
    return json_pack("{s:s, s:[], s:{s:O, s:o}, s:{}, s:s, s:b}", "task",
            "celery.starmap", "args", "kwargs", "task", task, "it", part, "options",
            "subtask_type", "xstarmap", "immutable", 1);
}

static enum coney_rc split_chunks(struct walk *w, json_t *s)
{
    json_t *task = kwarg(s, "task");
    const json_t *it = kwarg(s, "it");
    json_int_t n = json_integer_value(kwarg(s, "n"));

    if (!json_is_object(task) || !json_is_array(it) || n <= 0)
        return error_set(w->err, CONEY_EINVAL, "chunks without task, it or n");
    if (json_array_size(it) / (size_t)n >= w->tasks_max)
        return error_set(
                w->err, CONEY_ELIMIT, "more than %zu tasks at once", w->tasks_max);
    json_t *tasks = json_array();
    for (size_t i = 0; i < json_array_size(it); i += (size_t)n)
        json_array_append_new(tasks, starmap_of(task, it, i, (size_t)n));
    enum coney_rc rc = set(w, s, "kwargs", json_pack("{s:o}", "tasks", tasks));
    if (rc == CONEY_OK)
        rc = set(w, s, "task", json_string("celery.group"));
    return rc == CONEY_OK ? set(w, s, "subtask_type", json_string("group")) : rc;
}

/* --- walking
 * -------------------------------------------------------------------------------- */

static enum coney_rc shape_list(struct walk *w, json_t *tasks)
{
    enum coney_rc rc = CONEY_OK;

    if (!json_is_array(tasks))
        return error_set(w->err, CONEY_EINVAL, "chain or group without its tasks");
    for (size_t i = 0; i < json_array_size(tasks) && rc == CONEY_OK; i++)
        rc = shape(w, json_array_get(tasks, i));
    return rc;
}

static enum coney_rc shape_chord(struct walk *w, json_t *s)
{
    json_t *header = canvas_header(s);
    enum coney_rc rc = CONEY_OK;

    if (!json_is_object(canvas_body(s)))
        return error_set(w->err, CONEY_EINVAL, "chord without a body");
    if (json_is_array(header)) {
        header = new_group_take(json_incref(header));
        rc = set(w, json_object_get(s, "kwargs"), "header", header);
    } else if (json_is_object(header) && signature_kind(header) != SIGNATURE_GROUP &&
               signature_kind(header) != SIGNATURE_CHUNKS) {
        header = new_group_take(json_pack("[O]", header));
        rc = set(w, json_object_get(s, "kwargs"), "header", header);
    }
    if (rc == CONEY_OK)
        rc = shape(w, header);
    return rc == CONEY_OK ? shape(w, canvas_body(s)) : rc;
}

static enum coney_rc shape_inside(struct walk *w, json_t *s)
{
    enum coney_rc rc = CONEY_OK;

    if (w->depth == CANVAS_DEPTH_MAX)
        return error_set(w->err, CONEY_ELIMIT,
                "signatures inside one another deeper than %d", CANVAS_DEPTH_MAX);
    w->depth++;
    switch (signature_kind(s)) {
    case SIGNATURE_CHUNKS:
        rc = split_chunks(w, s);
        if (rc == CONEY_OK)
            rc = shape_list(w, canvas_tasks(s));
        break;
    case SIGNATURE_CHAIN:
    case SIGNATURE_GROUP:
        rc = shape_list(w, canvas_tasks(s));
        break;
    case SIGNATURE_CHORD:
        rc = shape_chord(w, s);
        break;
    case SIGNATURE_TASK:
        break;
    }
    w->depth--;
    return rc;
}

static enum coney_rc shape(struct walk *w, json_t *s)
{
    if (!json_is_object(s) || json_string_length(json_object_get(s, "task")) == 0)
        return error_set(w->err, CONEY_EINVAL, "not a signature: names no task");
    enum coney_rc rc = mend(w, s, "args", JSON_ARRAY);
    if (rc == CONEY_OK)
        rc = mend(w, s, "kwargs", JSON_OBJECT);
    if (rc == CONEY_OK)
        rc = mend(w, s, "options", JSON_OBJECT);
    if (rc != CONEY_OK)
        return rc;
    drop_nulls(json_object_get(s, "options"));
    if (signature_kind(s) != SIGNATURE_TASK)
        return shape_inside(w, s);
    if (*w->tasks >= w->tasks_max)
        return error_set(
                w->err, CONEY_ELIMIT, "more than %zu tasks at once", w->tasks_max);
    ++*w->tasks;
    return CONEY_OK;
}

enum coney_rc canvas_shape(const json_t *signature, size_t tasks_max, size_t *tasks,
        json_t **out, struct coney_error *err)
{
    struct walk w = {.tasks_max = tasks_max, .tasks = tasks, .err = err};
    json_t *copy = json_deep_copy(signature);

    *out = NULL;
    enum coney_rc rc = copy ? shape(&w, copy) : error_set_nomem(err);
    if (rc == CONEY_OK)
        *out = copy;
    else
        json_decref(copy);
    return rc;
}
