/* SPDX-License-Identifier: MIT */
/*
 * task_encode.c - new tasks and tasks that go round again.
 *
 * Everything is checked before the first byte is written: what a Python worker would die
 * of, drop or fail never gets into an envelope (celery-protocol's poison matrix is a test
 * of this file). Wire types are the eight that all peers read alike: S I l d t V A F.
 */
#include "base/error.h"
#include "base/json.h"
#include "base/utf8.h"
#include "message/body.h"
#include "message/embed.h"
#include "message/repr.h"
#include "message/task.h"
#include "message/task_headers.h"
#include "message/typed.h"
#include "message/user_header.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { NAME_MAX_LEN = 255, PRIORITY_MAX = 255 };

/* Ten years of 365 days: for one millisecond more RabbitMQ closes the channel (406). */
#define EXPIRATION_MAX_MS INT64_C(315360000000)

struct task_spec task_spec_none(void)
{
    return (struct task_spec){.eta_us = TASK_NO_TIME,
            .expires_us = TASK_NO_TIME,
            .time_limit_ms = TASK_NONE,
            .soft_time_limit_ms = TASK_NONE,
            .group_index = TASK_NONE,
            .priority = -1};
}

/* --- checks --------------------------------------------------------------------------
 */

static enum coney_rc check_name(
        const char *field, const char *name, struct coney_error *err)
{
    if (!name)
        return CONEY_OK;
    struct bytes text = {.data = name, .len = strlen(name)};
    if (text.len > NAME_MAX_LEN)
        return error_set(err, CONEY_EINVAL, "%s has %zu bytes, more than %d", field,
                text.len, NAME_MAX_LEN);
    if (!utf8_is_valid(text))
        return error_set(err, CONEY_EINVAL, "%s is not UTF-8", field);
    return CONEY_OK;
}

static enum coney_rc check_names(const struct task_spec *s, struct coney_error *err)
{
    const struct {
        const char *field;
        const char *name;
    } names[] = {{"id", s->id}, {"task", s->task}, {"group", s->group},
            {"root_id", s->root_id}, {"parent_id", s->parent_id}, {"shadow", s->shadow},
            {"reply_to", s->reply_to}, {"origin", s->origin}, {"app_id", s->app_id}};

    if (!s->task || s->task[0] == '\0')
        return error_set(err, CONEY_EINVAL, "task has no name");
    if (s->id && s->id[0] == '\0')
        return error_set(err, CONEY_EINVAL, "id is empty");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        enum coney_rc rc = check_name(names[i].field, names[i].name, err);
        if (rc != CONEY_OK)
            return rc;
    }
    return CONEY_OK;
}

static bool is_time(int64_t wall_us)
{
    return wall_us == TASK_NO_TIME || (wall_us >= TIME_MIN_US && wall_us <= TIME_MAX_US);
}

static bool is_limit(int64_t limit_ms)
{
    return limit_ms == TASK_NONE || (limit_ms > 0 && limit_ms <= TASK_TIME_LIMIT_MAX_MS);
}

static enum coney_rc check_numbers(const struct task_spec *s, struct coney_error *err)
{
    const char *field = NULL;

    if (!is_time(s->eta_us))
        field = "eta";
    else if (!is_time(s->expires_us))
        field = "expires";
    else if (!is_limit(s->time_limit_ms))
        field = "time_limit";
    else if (!is_limit(s->soft_time_limit_ms))
        field = "soft_time_limit";
    else if (s->group_index < TASK_NONE || s->group_index > INT32_MAX)
        field = "group_index";
    else if (s->retries < 0 || s->retries > INT32_MAX)
        field = "retries";
    else if (s->replaced_nesting < 0 || s->replaced_nesting > INT32_MAX)
        field = "replaced_task_nesting";
    else if (s->priority < -1 || s->priority > PRIORITY_MAX)
        field = "priority";
    else if (s->ignore_result < TASK_RESULT_DEFAULT ||
             s->ignore_result > TASK_RESULT_IGNORE)
        field = "ignore_result";
    return field ? error_set(err, CONEY_EINVAL, "%s is out of range", field) : CONEY_OK;
}

static enum coney_rc check_json(
        const char *field, const json_t *v, unsigned depth_max, struct coney_error *err)
{
    enum coney_rc rc = v ? typed_check(v, depth_max, err) : CONEY_OK;

    if (rc != CONEY_OK)
        error_prefix(err, "%s", field);
    return rc;
}

/* The body's own array takes one of the levels that our decoder allows. */
static enum coney_rc check_body(const struct task_spec *s, struct coney_error *err)
{
    unsigned depth_max = message_limits_default().depth_max - 1;

    if (s->args && !json_is_array(s->args))
        return error_set(err, CONEY_EINVAL, "args is not an array");
    if (s->kwargs && !json_is_object(s->kwargs))
        return error_set(err, CONEY_EINVAL, "kwargs is not an object");
    enum coney_rc rc = check_json("args", s->args, depth_max, err);
    if (rc == CONEY_OK)
        rc = check_json("kwargs", s->kwargs, depth_max, err);
    if (rc == CONEY_OK)
        rc = check_json("embed", s->embed, depth_max, err);
    return rc == CONEY_OK ? embed_check_write(s->embed, err) : rc;
}

static enum coney_rc check_spec(const struct task_spec *s, struct coney_error *err)
{
    enum coney_rc rc = check_names(s, err);

    if (rc == CONEY_OK)
        rc = check_numbers(s, err);
    return rc == CONEY_OK ? check_body(s, err) : rc;
}

/* --- building ------------------------------------------------------------------------
 */

/* Appends headers until memory is short; the first failure stays in rc. */
struct builder {
    struct envelope *e;
    enum coney_rc rc;
};

static void set_field(struct builder *b, const char *key, struct field *f)
{
    f->key = (struct bytes){.data = key, .len = strlen(key)};
    if (b->rc == CONEY_OK)
        b->rc = table_set(&b->e->headers, b->e->arena, f);
}

static void set_text(struct builder *b, const char *key, const char *text)
{
    struct field f = {.type = text ? FIELD_STRING : FIELD_VOID};

    if (text) {
        f.value.text = arena_copy(
                b->e->arena, (struct bytes){.data = text, .len = strlen(text)});
        if (!f.value.text.data)
            b->rc = CONEY_ENOMEM;
    }
    set_field(b, key, &f);
}

static void set_integer(struct builder *b, const char *key, int64_t value)
{
    struct field f = {.type = value <= INT32_MAX ? FIELD_I32 : FIELD_I64};

    f.value.integer = value;
    set_field(b, key, &f);
}

static void set_time(struct builder *b, const char *key, int64_t wall_us)
{
    char text[TIME_TEXT_SIZE];

    if (wall_us != TASK_NO_TIME)
        time_format(wall_us, text);
    set_text(b, key, wall_us != TASK_NO_TIME ? text : NULL);
}

static struct field limit_field(int64_t limit_ms)
{
    struct field f = {.type = FIELD_VOID};

    if (limit_ms == TASK_NONE)
        return f;
    if (limit_ms % 1000 == 0) {
        f.type = FIELD_I32; /* TASK_TIME_LIMIT_MAX_MS is 10^9 s */
        f.value.integer = limit_ms / 1000;
    } else {
        f.type = FIELD_F64;
        f.value.number = (double)limit_ms / 1000;
    }
    return f;
}

/* Hard, then soft; always both (the protocol's own page has them the other way round). */
static void set_limits(struct builder *b, const struct task_spec *s)
{
    struct field pair = {.type = FIELD_ARRAY};
    struct field hard = limit_field(s->time_limit_ms);
    struct field soft = limit_field(s->soft_time_limit_ms);

    if (b->rc == CONEY_OK)
        b->rc = table_append(&pair.value.table, b->e->arena, &hard);
    if (b->rc == CONEY_OK)
        b->rc = table_append(&pair.value.table, b->e->arena, &soft);
    set_field(b, "timelimit", &pair);
}

static void set_ignore_result(struct builder *b, enum task_ignore_result ignore)
{
    struct field f = {.type = ignore == TASK_RESULT_DEFAULT ? FIELD_VOID : FIELD_BOOL};

    f.value.boolean = ignore == TASK_RESULT_IGNORE;
    set_field(b, "ignore_result", &f);
}

static void set_group_index(struct builder *b, int64_t index)
{
    if (index == TASK_NONE)
        set_text(b, "group_index", NULL);
    else
        set_integer(b, "group_index", index);
}

/* In Celery's order, which makes captures easy to compare. */
static enum coney_rc set_headers(
        const struct task_spec *s, const char *id, struct envelope *e)
{
    struct builder b = {.e = e, .rc = CONEY_OK};
    const char *args = repr_args(s->args, e->arena);
    const char *kwargs = repr_kwargs(s->kwargs, e->arena);

    if (!args || !kwargs)
        return CONEY_ENOMEM;
    set_text(&b, "lang", "c");
    set_text(&b, "task", s->task);
    set_text(&b, "id", id);
    set_text(&b, "shadow", s->shadow);
    set_time(&b, "eta", s->eta_us);
    set_time(&b, "expires", s->expires_us);
    set_text(&b, "group", s->group);
    set_group_index(&b, s->group_index);
    set_integer(&b, "retries", s->retries);
    set_limits(&b, s);
    set_text(&b, "root_id", s->root_id ? s->root_id : id);
    set_text(&b, "parent_id", s->parent_id);
    set_text(&b, "argsrepr", args);
    set_text(&b, "kwargsrepr", kwargs);
    set_text(&b, "origin", s->origin);
    set_ignore_result(&b, s->ignore_result);
    set_integer(&b, "replaced_task_nesting", s->replaced_nesting);
    return b.rc;
}

/* Until it expires, never negative. Both times are within Python's years. */
static int64_t left_ms(int64_t expires_us, int64_t now_us)
{
    /* Whole seconds, as Celery: the broker never drops a message before its time. */
    return expires_us > now_us ? (expires_us - now_us) / 1000000 * 1000 : 0;
}

static enum coney_rc set_expiration(
        const struct task_spec *s, int64_t now_us, struct envelope *e)
{
    if (s->expires_us == TASK_NO_TIME || now_us < TIME_MIN_US || now_us > TIME_MAX_US)
        return CONEY_OK;
    int64_t ms = left_ms(s->expires_us, now_us);
    if (ms > EXPIRATION_MAX_MS)
        return CONEY_OK;
    e->properties.expiration = arena_printf(e->arena, "%" PRId64, ms);
    return e->properties.expiration ? CONEY_OK : CONEY_ENOMEM;
}

static enum coney_rc set_properties(
        const struct task_spec *s, const char *id, int64_t now_us, struct envelope *e)
{
    struct properties *p = &e->properties;
    struct arena *a = e->arena;

    body_set_type(p);
    p->delivery_mode = DELIVERY_PERSISTENT;
    p->priority = s->priority;
    p->correlation_id = id;
    p->message_id = id;
    p->reply_to = arena_strdup(a, s->reply_to ? s->reply_to : "");
    p->type = arena_strdup(a, s->task);
    p->app_id = arena_strdup(a, s->app_id ? s->app_id : "coney");
    /* A clock that is ages off is better not written down. */
    if (now_us >= 0 && now_us <= TIME_MAX_US)
        p->timestamp_s = now_us / 1000000;
    if (!p->reply_to || !p->type || !p->app_id)
        return CONEY_ENOMEM;
    return set_expiration(s, now_us, e);
}

static enum coney_rc write_body(const struct task_spec *s, struct buffer *text)
{
    enum coney_rc rc = buffer_append(text, "[", 1);

    if (rc == CONEY_OK)
        rc = s->args ? json_write(s->args, text) : buffer_append(text, "[]", 2);
    if (rc == CONEY_OK)
        rc = buffer_append(text, ", ", 2);
    if (rc == CONEY_OK)
        rc = s->kwargs ? json_write(s->kwargs, text) : buffer_append(text, "{}", 2);
    if (rc == CONEY_OK)
        rc = buffer_append(text, ", ", 2);
    if (rc == CONEY_OK)
        rc = embed_write(s->embed, text);
    return rc == CONEY_OK ? buffer_append(text, "]", 1) : rc;
}

static enum coney_rc set_body(
        const struct task_spec *s, struct envelope *e, struct coney_error *err)
{
    struct buffer text;

    buffer_init(&text, message_limits_default().body_max);
    enum coney_rc rc = write_body(s, &text);
    if (rc == CONEY_ELIMIT)
        error_set(err, rc, "body has more than %zu bytes", text.max);
    else if (rc == CONEY_EINVAL)
        error_set(err, rc, "args, kwargs or embed can't be written as JSON");
    else if (rc == CONEY_OK)
        rc = body_set(e, &text);
    buffer_fini(&text);
    return rc == CONEY_ENOMEM ? error_set_nomem(err) : rc;
}

static const char *new_id(const struct task_spec *s, struct rng *rng, struct arena *a)
{
    char uuid[UUID_TEXT_SIZE];

    if (!s->id)
        rng_uuid(rng, uuid);
    return arena_strdup(a, s->id ? s->id : uuid);
}

static struct field names_of(const struct table *t, struct builder *b)
{
    struct field names = {.type = FIELD_ARRAY};

    for (size_t i = 0; i < t->count && b->rc == CONEY_OK; i++) {
        struct field name = {.type = FIELD_STRING, .value.text = t->fields[i].key};
        b->rc = table_append(&names.value.table, b->e->arena, &name);
    }
    return names;
}

static enum coney_rc add_stamps(
        const struct table *stamps, struct envelope *out, struct coney_error *err)
{
    struct builder b = {.e = out, .rc = CONEY_OK};
    struct field given = {.type = FIELD_TABLE};
    struct field values = given;

    if (!stamps || stamps->count == 0) {
        set_text(&b, "stamped_headers", NULL);
        set_field(&b, "stamps", &given);
        return b.rc == CONEY_OK ? CONEY_OK : error_set_nomem(err);
    }
    given.value.table = *stamps;
    enum coney_rc rc = user_header_copy(&given, out->arena, &values, err);
    if (rc != CONEY_OK) {
        error_prefix(err, "stamps");
        return rc;
    }
    struct field names = names_of(&values.value.table, &b);
    set_field(&b, "stamped_headers", &names);
    set_field(&b, "stamps", &values);
    return b.rc == CONEY_OK ? CONEY_OK : error_set_nomem(err);
}

static enum coney_rc add_user_headers(
        const struct table *user, struct envelope *out, struct coney_error *err)
{
    char shown[64];
    size_t count = user ? user->count : 0;

    for (size_t i = 0; i < count; i++) {
        const struct field *f = &user->fields[i];
        struct field copy;
        utf8_printable(shown, sizeof(shown), f->key);
        if (f->key.len == 0 || task_headers_is_reserved(f->key))
            return error_set(err, CONEY_EINVAL,
                    "header \"%s\" is not free for use: Celery or the broker has it",
                    shown);
        enum coney_rc rc = user_header_copy(f, out->arena, &copy, err);
        if (rc != CONEY_OK) {
            error_prefix(err, "header \"%s\"", shown);
            return rc;
        }
        if (table_set(&out->headers, out->arena, &copy) != CONEY_OK)
            return error_set_nomem(err);
    }
    return CONEY_OK;
}

enum coney_rc task_encode(const struct task_spec *spec, int64_t now_us, struct rng *rng,
        struct envelope *out, struct coney_error *err)
{
    enum coney_rc rc = envelope_init(out);

    if (rc != CONEY_OK)
        return error_set_nomem(err);
    rc = check_spec(spec, err);
    if (rc != CONEY_OK)
        goto out;
    const char *id = new_id(spec, rng, out->arena);
    rc = id ? set_headers(spec, id, out) : CONEY_ENOMEM;
    if (rc == CONEY_OK)
        rc = set_properties(spec, id, now_us, out);
    if (rc != CONEY_OK) {
        error_set_nomem(err);
        goto out;
    }
    rc = add_stamps(spec->stamps, out, err);
    if (rc == CONEY_OK)
        rc = add_user_headers(spec->headers, out, err);
    if (rc == CONEY_OK)
        rc = set_body(spec, out, err);
out:
    if (rc != CONEY_OK)
        envelope_fini(out);
    return rc;
}
