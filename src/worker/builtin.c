/* SPDX-License-Identifier: MIT */
/* builtin.c - a table of names and what each answers: a value, or signatures to send. */
#include "worker/builtin.h"

#include "base/json.h"

#include <string.h>

/* What a built-in comes to; JSON is owned. */
struct answer {
    json_t *value;
    json_t *publish;
    const char *error; /* what it wants, when it did not get that; NULL: fine */
};

static struct answer wrong(const char *what)
{
    return (struct answer){.error = what};
}

static struct answer accumulate(const struct task_request *r)
{
    const json_t *index = json_object_get(r->kwargs, "index");

    if (!index || json_is_null(index))
        return (struct answer){.value = json_incref(r->args)};
    /* As in Python, a negative one counts from the end. */
    json_int_t i = json_integer_value(index);
    json_int_t count = (json_int_t)json_array_size(r->args);
    json_t *item = json_array_get(r->args, (size_t)(i < 0 ? count + i : i));
    return item ? (struct answer){.value = json_incref(item)}
                : wrong("celery.accumulate: index out of range");
}

static struct answer clean_up(const struct task_request *r)
{
    (void)r;
    return (struct answer){.value = json_null()};
}

/* A parameter by its place or its name. */
static json_t *parameter(const struct task_request *r, size_t place, const char *name)
{
    json_t *v = json_array_get(r->args, place);

    return v ? v : json_object_get(r->kwargs, name);
}

static struct answer send_chunks(const struct task_request *r)
{
    json_t *task = parameter(r, 0, "task");
    json_t *it = parameter(r, 1, "it");
    json_t *n = parameter(r, 2, "n");

    if (!json_is_object(task) || !json_is_array(it) || json_integer_value(n) <= 0)
        return wrong("celery.chunks wants task, it and n");
    return (struct answer){
            .value = json_null(),
            .publish = json_pack("[{s:s, s:{s:O, s:O, s:O}, s:s}]", "task",
                    "celery.chunks", "kwargs", "task", task, "it", it, "n", n,
                    "subtask_type", "chunks"),
    };
}

/* Each of @tasks with @partial before its arguments; the caller's. */
static json_t *with_partial(json_t *tasks, json_t *partial)
{
    json_t *all = json_array();

    for (size_t i = 0; i < json_array_size(tasks); i++) {
        json_t *task = json_copy(json_array_get(tasks, i));
        json_t *args = json_is_array(partial) ? json_copy(partial) : json_array();
        json_array_extend(args, json_object_get(task, "args"));
        if (json_is_true(json_object_get(task, "immutable")))
            json_decref(args);
        else
            json_object_set_new(task, "args", args);
        json_array_append_new(all, task);
    }
    return all;
}

static struct answer send_group(const struct task_request *r)
{
    json_t *tasks = parameter(r, 0, "tasks");
    json_t *result = parameter(r, 1, "result");
    json_t *id = parameter(r, 2, "group_id");

    if (!json_is_array(tasks))
        return wrong("celery.group wants tasks");
    json_t *options = json_is_string(id) ? json_pack("{s:O}", "task_id", id) : NULL;
    return (struct answer){
            .value = result ? json_incref(result) : json_null(),
            .publish = json_pack("[{s:s, s:{s:o}, s:o, s:s}]", "task", "celery.group",
                    "kwargs", "tasks",
                    with_partial(tasks, parameter(r, 3, "partial_args")), "options",
                    options ? options : json_object(), "subtask_type", "group"),
    };
}

static struct answer send_chord(const struct task_request *r)
{
    json_t *header = parameter(r, 0, "header");
    json_t *body = parameter(r, 1, "body");
    json_t *partial = parameter(r, 2, "partial_args");

    if (!header || !json_is_object(body))
        return wrong("celery.chord wants header and body");
    return (struct answer){
            .value = json_null(),
            .publish = json_pack("[{s:s, s:o, s:{s:{}, s:O, s:O}, s:s}]", "task",
                    "celery.chord", "args",
                    json_is_array(partial) ? json_incref(partial) : json_array(),
                    "kwargs", "kwargs", "header", header, "body", body, "subtask_type",
                    "chord"),
    };
}

static struct answer refuse_chain(const struct task_request *r)
{
    (void)r;
    return wrong("chain is not a real task");
}

static const struct {
    const char *task;
    struct answer (*ask)(const struct task_request *r);
} table[] = {
        {"celery.accumulate", accumulate},
        {"celery.backend_cleanup", clean_up},
        {"celery.chunks", send_chunks},
        {"celery.group", send_group},
        {"celery.chord", send_chord},
        {"celery.chain", refuse_chain},
};
enum { COUNT = sizeof(table) / sizeof(table[0]) };

static size_t find(const char *task)
{
    size_t i = 0;

    while (i < COUNT && strcmp(table[i].task, task) != 0)
        i++;
    return i;
}

struct outcome outcome_none(void)
{
    return (struct outcome){.kind = OUTCOME_SUCCESS,
            .delay_ms = -1,
            .max_retries = -1,
            .exit_status = -1,
            .max_rss_kib = -1};
}

bool builtin_is(const char *task)
{
    return find(task) < COUNT;
}

static enum coney_rc write_text(const json_t *v, struct arena *a, struct bytes *out)
{
    struct buffer text;

    *out = (struct bytes){.data = NULL};
    if (!v)
        return CONEY_OK;
    buffer_init(&text, message_limits_default().body_max);
    enum coney_rc rc = json_write(v, &text);
    if (rc == CONEY_OK)
        *out = arena_copy(
                a, (struct bytes){.data = buffer_data(&text), .len = buffer_len(&text)});
    buffer_fini(&text);
    return rc == CONEY_OK && !out->data ? CONEY_ENOMEM : rc;
}

enum coney_rc builtin_answer(
        const struct task_request *r, struct arena *a, struct outcome *out)
{
    struct answer answer = table[find(r->task)].ask(r);

    *out = outcome_none();
    if (answer.error) {
        out->kind = OUTCOME_REJECT;
        out->error_type = "TypeError";
        out->error_module = "builtins";
        out->error_text = answer.error;
    }
    enum coney_rc rc = write_text(answer.value, a, &out->value);
    if (rc == CONEY_OK)
        rc = write_text(answer.publish, a, &out->publish);
    json_decref(answer.value);
    json_decref(answer.publish);
    return rc;
}
