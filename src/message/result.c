/* SPDX-License-Identifier: MIT */
/* result.c - results written and read: the rpc backend's messages, a store's metas. */
#include "message/result.h"

#include "base/error.h"
#include "base/json.h"
#include "base/utf8.h"
#include "message/body.h"
#include "message/field_json.h"
#include "message/task.h"
#include "message/typed.h"

#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_LEN = 255 };

const char *result_status_name(enum result_status status)
{
    switch (status) {
    case RESULT_SUCCESS:
        return "SUCCESS";
    case RESULT_FAILURE:
        return "FAILURE";
    case RESULT_RETRY:
        return "RETRY";
    case RESULT_REVOKED:
        return "REVOKED";
    case RESULT_STARTED:
        return "STARTED";
    }
    return "FAILURE";
}

static bool is_exception(enum result_status status)
{
    return status == RESULT_FAILURE || status == RESULT_RETRY || status == RESULT_REVOKED;
}

/* --- writing -------------------------------------------------------------------------
 */

/* Append @text, repaired, as a JSON string; NULL is null. */
static enum coney_rc write_text(const char *text, struct arena *a, struct buffer *out)
{
    if (!text)
        return buffer_append(out, "null", 4);
    struct bytes fine = utf8_repair(a, (struct bytes){.data = text, .len = strlen(text)});
    json_t *s = fine.data ? json_stringn(fine.data, fine.len) : NULL;
    enum coney_rc rc = s ? json_write(s, out) : CONEY_ENOMEM;
    json_decref(s);
    return rc;
}

static enum coney_rc write_key(const char *key, struct buffer *out)
{
    return buffer_printf(out, ", \"%s\": ", key);
}

static enum coney_rc write_arguments(
        const struct result *r, struct arena *a, struct buffer *out)
{
    if (json_is_array(r->exc_message))
        return json_write(r->exc_message, out);
    enum coney_rc rc = buffer_append(out, "[", 1);
    if (rc == CONEY_OK && r->exc_text)
        rc = write_text(r->exc_text, a, out);
    return rc == CONEY_OK ? buffer_append(out, "]", 1) : rc;
}

static const char *text_or(const char *text, const char *otherwise)
{
    return text && *text ? text : otherwise;
}

static enum coney_rc write_exception(
        const struct result *r, struct arena *a, struct buffer *out)
{
    enum coney_rc rc = buffer_printf(out, "{\"exc_type\": ");

    if (rc == CONEY_OK)
        rc = write_text(text_or(r->exc_type, "TaskError"), a, out);
    if (rc == CONEY_OK)
        rc = write_key("exc_message", out);
    if (rc == CONEY_OK)
        rc = write_arguments(r, a, out);
    if (rc == CONEY_OK)
        rc = write_key("exc_module", out);
    if (rc == CONEY_OK)
        rc = write_text(text_or(r->exc_module, "coney"), a, out);
    return rc == CONEY_OK ? buffer_append(out, "}", 1) : rc;
}

static enum coney_rc write_value(
        const struct result *r, struct arena *a, struct buffer *out)
{
    if (is_exception(r->status))
        return write_exception(r, a, out);
    if (r->value_text.len > 0)
        return buffer_append(out, r->value_text.data, r->value_text.len);
    return r->value ? json_write(r->value, out) : buffer_append(out, "null", 4);
}

static enum coney_rc write_common(
        const struct result *r, struct arena *a, struct buffer *out)
{
    enum coney_rc rc =
            buffer_printf(out, "\"status\": \"%s\"", result_status_name(r->status));
    if (rc == CONEY_OK)
        rc = write_key("result", out);
    if (rc == CONEY_OK)
        rc = write_value(r, a, out);
    if (rc == CONEY_OK)
        rc = write_key("traceback", out);
    if (rc == CONEY_OK)
        rc = write_text(r->traceback, a, out);
    if (rc == CONEY_OK)
        rc = write_key("children", out);
    if (rc != CONEY_OK)
        return rc;
    return r->children ? json_write(r->children, out) : buffer_append(out, "[]", 2);
}

static enum coney_rc write_result(
        const struct result *r, struct arena *a, struct buffer *out)
{
    enum coney_rc rc = buffer_printf(out, "{\"task_id\": ");

    if (rc == CONEY_OK)
        rc = write_text(r->task_id, a, out);
    if (rc == CONEY_OK)
        rc = buffer_append(out, ", ", 2);
    if (rc == CONEY_OK)
        rc = write_common(r, a, out);
    return rc == CONEY_OK ? buffer_append(out, "}", 1) : rc;
}

static enum coney_rc write_named_text(
        const char *key, const char *text, struct arena *a, struct buffer *out)
{
    enum coney_rc rc = write_key(key, out);
    return rc == CONEY_OK ? write_text(text, a, out) : rc;
}

static enum coney_rc write_json(const char *key, struct bytes text, struct buffer *out)
{
    enum coney_rc rc = write_key(key, out);
    if (rc != CONEY_OK)
        return rc;
    return text.len > 0 ? buffer_append(out, text.data, text.len)
                        : buffer_append(out, "null", 4);
}

/* The members of the result's own object that a stamp must not repeat. */
static bool is_taken(const char *name)
{
    static const char *const names[] = {"status", "result", "traceback", "children",
            "date_done", "group_id", "parent_id", "name", "args", "kwargs", "worker",
            "retries", "queue", "stamped_headers", "task_id"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static json_t *names_of(json_t *stamps)
{
    json_t *names = json_array();
    for (void *at = json_object_iter(stamps); at && names;
            at = json_object_iter_next(stamps, at)) {
        if (json_array_append_new(names, json_string(json_object_iter_key(at))) == 0)
            continue;
        json_decref(names);
        names = NULL;
    }
    return names;
}

static enum coney_rc write_stamp(
        const char *name, const json_t *value, struct arena *a, struct buffer *out)
{
    if (is_taken(name))
        return CONEY_OK;
    enum coney_rc rc = buffer_append(out, ", ", 2);
    if (rc == CONEY_OK)
        rc = write_text(name, a, out);
    if (rc == CONEY_OK)
        rc = buffer_append(out, ": ", 2);
    return rc == CONEY_OK ? json_write(value, out) : rc;
}

/* As Celery does: the names in a list, then each as a member of its own. */
static enum coney_rc write_stamps(
        const struct field *stamps, struct arena *a, struct buffer *out)
{
    json_t *values = field_json(stamps);
    json_t *names = values ? names_of(values) : NULL;
    enum coney_rc rc = names ? CONEY_OK : CONEY_ENOMEM;

    if (json_array_size(names) == 0)
        goto out;
    rc = write_key("stamped_headers", out);
    if (rc == CONEY_OK)
        rc = json_write(names, out);
    for (void *at = json_object_iter(values); at && rc == CONEY_OK;
            at = json_object_iter_next(values, at))
        rc = write_stamp(json_object_iter_key(at), json_object_iter_value(at), a, out);
out:
    json_decref(names);
    json_decref(values);
    return rc;
}

static enum coney_rc write_request(
        const struct result_request *q, struct arena *a, struct buffer *out)
{
    enum coney_rc rc = write_named_text("name", q->name, a, out);
    if (rc == CONEY_OK)
        rc = write_json("args", q->args, out);
    if (rc == CONEY_OK)
        rc = write_json("kwargs", q->kwargs, out);
    if (rc == CONEY_OK)
        rc = write_named_text("worker", q->worker, a, out);
    if (rc == CONEY_OK)
        rc = buffer_printf(out, ", \"retries\": %lld", (long long)q->retries);
    if (rc == CONEY_OK)
        rc = write_named_text("queue", q->queue, a, out);
    return rc == CONEY_OK && q->stamps ? write_stamps(q->stamps, a, out) : rc;
}

static enum coney_rc write_meta(
        const struct result *r, struct arena *a, struct buffer *out)
{
    char done[TIME_TEXT_SIZE];
    enum coney_rc rc = buffer_append(out, "{", 1);

    if (r->done_us != 0)
        time_format(r->done_us, done);
    if (rc == CONEY_OK)
        rc = write_common(r, a, out);
    if (rc == CONEY_OK)
        rc = write_named_text("date_done", r->done_us != 0 ? done : NULL, a, out);
    if (rc == CONEY_OK && r->group_id)
        rc = write_named_text("group_id", r->group_id, a, out);
    if (rc == CONEY_OK && r->parent_id)
        rc = write_named_text("parent_id", r->parent_id, a, out);
    if (rc == CONEY_OK && r->request)
        rc = write_request(r->request, a, out);
    if (rc == CONEY_OK)
        rc = write_named_text("task_id", r->task_id, a, out);
    return rc == CONEY_OK ? buffer_append(out, "}", 1) : rc;
}

/* A tag that no client knows would make it lose the result without a word. */
static enum coney_rc check_values(const struct result *r, struct coney_error *err)
{
    const json_t *v = is_exception(r->status) ? r->exc_message : r->value;
    enum coney_rc rc =
            v ? typed_check(v, message_limits_default().depth_max, err) : CONEY_OK;

    if (rc != CONEY_OK)
        error_prefix(err, "result");
    return rc;
}

static enum coney_rc set_properties(
        const struct result *r, struct envelope *e, struct coney_error *err)
{
    struct properties *p = &e->properties;
    const char *id = text_or(r->correlation_id, r->task_id);
    struct bytes fine =
            utf8_repair(e->arena, (struct bytes){.data = id, .len = strlen(id)});

    if (!fine.data)
        return error_set_nomem(err);
    if (fine.len > NAME_MAX_LEN)
        return error_set(err, CONEY_ELIMIT, "correlation id of %zu bytes", fine.len);
    body_set_type(p);
    p->correlation_id = fine.data;
    p->delivery_mode = DELIVERY_TRANSIENT;
    p->priority = 0;
    return CONEY_OK;
}

enum coney_rc result_encode(
        const struct result *r, struct envelope *out, struct coney_error *err)
{
    struct buffer text;

    buffer_init(&text, message_limits_default().body_max);
    enum coney_rc rc = envelope_init(out);
    if (rc == CONEY_OK)
        rc = check_values(r, err);
    if (rc == CONEY_OK)
        rc = set_properties(r, out, err);
    if (rc != CONEY_OK)
        goto out;
    rc = write_result(r, out->arena, &text);
    if (rc == CONEY_ELIMIT)
        error_set(err, rc, "result has more than %zu bytes", text.max);
    else if (rc == CONEY_EINVAL)
        error_set(err, rc, "result can't be written as JSON");
    else if (rc == CONEY_OK)
        rc = body_set(out, &text);
out:
    if (rc == CONEY_ENOMEM)
        error_set_nomem(err);
    if (rc != CONEY_OK)
        envelope_fini(out);
    buffer_fini(&text);
    return rc;
}

typedef enum coney_rc write_fn(
        const struct result *r, struct arena *a, struct buffer *out);

static enum coney_rc write_checked(write_fn *write, const struct result *r,
        struct buffer *out, struct coney_error *err)
{
    struct arena *a = arena_new(0);
    enum coney_rc rc = a ? check_values(r, err) : CONEY_ENOMEM;

    if (rc == CONEY_OK) {
        rc = write(r, a, out);
        if (rc == CONEY_ELIMIT)
            error_set(err, rc, "result has more than %zu bytes", out->max);
        else if (rc == CONEY_EINVAL)
            error_set(err, rc, "result can't be written as JSON");
    }
    if (rc == CONEY_ENOMEM)
        error_set_nomem(err);
    arena_free(a);
    return rc;
}

enum coney_rc result_write_meta(
        const struct result *r, struct buffer *out, struct coney_error *err)
{
    return write_checked(write_meta, r, out, err);
}

enum coney_rc result_write_value(
        const struct result *r, struct buffer *out, struct coney_error *err)
{
    return write_checked(write_value, r, out, err);
}

struct result result_unwritable(const struct result *r, const char *why)
{
    struct result instead = *r;

    instead.status = RESULT_FAILURE;
    instead.value = NULL;
    instead.value_text = (struct bytes){.data = NULL};
    instead.exc_type = "EncodeError";
    instead.exc_module = "kombu.exceptions";
    instead.exc_message = NULL;
    instead.exc_text = why;
    instead.traceback = NULL;
    instead.children = NULL;
    return instead;
}

/* --- reading -------------------------------------------------------------------------
 */

static enum coney_rc read_text(
        const json_t *root, const char *key, char **out, struct coney_error *err)
{
    const json_t *v = json_object_get(root, key);
    const char *text = json_string_value(v);

    if (!text || strlen(text) != json_string_length(v))
        return error_set(err, CONEY_ESYNTAX, "result: %s is not a text", key);
    *out = strdup(text);
    return *out ? CONEY_OK : error_set_nomem(err);
}

static enum coney_rc take_members(
        json_t *root, struct result_message *m, struct coney_error *err)
{
    const json_t *traceback = json_object_get(root, "traceback");

    if (!json_is_object(root))
        return error_set(err, CONEY_ESYNTAX, "result: the body is not an object");
    enum coney_rc rc = read_text(root, "task_id", &m->task_id, err);
    if (rc == CONEY_OK)
        rc = read_text(root, "status", &m->status, err);
    if (rc == CONEY_OK && traceback && !json_is_null(traceback))
        rc = read_text(root, "traceback", &m->traceback, err);
    if (rc != CONEY_OK)
        return rc;
    m->root = json_incref(root);
    m->value = json_incref(json_object_get(root, "result"));
    return m->value ? CONEY_OK
                    : error_set(err, CONEY_ESYNTAX, "result: result is missing");
}

/* @out, from @root, which is given away, if it could be read (@rc). */
static enum coney_rc finish(enum coney_rc rc, json_t *root, struct result_message *out,
        struct coney_error *err)
{
    if (rc == CONEY_OK)
        rc = take_members(root, out, err);
    if (rc != CONEY_OK)
        result_message_fini(out);
    json_decref(root);
    return rc;
}

enum coney_rc result_decode(
        const struct envelope *e, struct result_message *out, struct coney_error *err)
{
    const struct message_limits limits = message_limits_default();
    json_t *root = NULL;

    *out = (struct result_message){.task_id = NULL};
    enum coney_rc rc = body_json(e, &limits, &root, err);
    return finish(rc, root, out, err);
}

enum coney_rc result_read_meta(
        struct bytes text, struct result_message *out, struct coney_error *err)
{
    const struct message_limits l = message_limits_default();
    const struct json_limits json = message_json_limits(&l);
    json_t *root = NULL;

    *out = (struct result_message){.task_id = NULL};
    enum coney_rc rc = json_read(text, &json, &root, err);
    return finish(rc, root, out, err);
}

void result_message_fini(struct result_message *m)
{
    free(m->task_id);
    free(m->status);
    free(m->traceback);
    json_decref(m->value);
    json_decref(m->root);
    *m = (struct result_message){.task_id = NULL};
}
