/* SPDX-License-Identifier: MIT */
/*
 * protocol1.c - from one object to headers and an array of three.
 *
 * The object is parsed for its small fields, which become headers. Arguments and
 * signatures are taken over as text, because Python writes numbers that C has no type
 * for, and the next to read them may be Python again.
 */
#include "message/protocol1.h"

#include "base/error.h"
#include "base/json_part.h"
#include "message/body.h"
#include "message/repr.h"

#include <string.h>

/* What brackets, commas and the keys of embed add at most. */
enum { BODY_EXTRA = 128 };

/* An object that json_read() has accepted, as a value and as the text of it. */
struct source {
    json_t *object;
    struct bytes text;
};

/* --- headers -------------------------------------------------------------------------
 */

static struct field scalar(const json_t *v)
{
    struct field f = {.type = FIELD_VOID};

    switch (json_typeof(v)) {
    case JSON_STRING:
        f.type = FIELD_STRING;
        f.value.text = (struct bytes){
                .data = json_string_value(v), .len = json_string_length(v)};
        break;
    case JSON_INTEGER:
        f.value.integer = json_integer_value(v);
        f.type = f.value.integer == (int32_t)f.value.integer ? FIELD_I32 : FIELD_I64;
        break;
    case JSON_REAL:
        f.type = FIELD_F64;
        f.value.number = json_real_value(v);
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        f.type = FIELD_BOOL;
        f.value.boolean = json_is_true(v);
        break;
    case JSON_OBJECT: /* wrong for every header: empty, it is refused with its name */
        f.type = FIELD_TABLE;
        break;
    case JSON_ARRAY:
        f.type = FIELD_ARRAY;
        break;
    case JSON_NULL:
        break;
    }
    return f;
}

/* Its texts are still @v's. */
static enum coney_rc field_of(const json_t *v, struct arena *a, struct field *f)
{
    *f = scalar(v);
    for (size_t i = 0; i < json_array_size(v); i++) {
        struct field element = scalar(json_array_get(v, i));
        if (table_append(&f->value.table, a, &element) != CONEY_OK)
            return CONEY_ENOMEM;
    }
    return CONEY_OK;
}

/* The headers of protocol 2, and which members they are made from. */
static enum coney_rc add_members(
        const struct source *s, struct table *headers, struct arena *a)
{
    static const char *const names[][2] = {{"task", "task"}, {"id", "id"}, {"eta", "eta"},
            {"expires", "expires"}, {"group", "group"}, {"taskset", "group"},
            {"group_index", "group_index"}, {"retries", "retries"},
            {"timelimit", "timelimit"}, {"root_id", "root_id"},
            {"parent_id", "parent_id"}, {"shadow", "shadow"}, {"origin", "origin"}};
    struct table members = {.fields = NULL};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const json_t *v = json_object_get(s->object, names[i][0]);
        struct field f;
        if (!v || (json_is_null(v) && table_find(&members, names[i][1])))
            continue;
        if (field_of(v, a, &f) != CONEY_OK)
            return CONEY_ENOMEM;
        f.key = (struct bytes){.data = names[i][1], .len = strlen(names[i][1])};
        if (table_set(&members, a, &f) != CONEY_OK)
            return CONEY_ENOMEM;
    }
    for (size_t i = 0; i < members.count; i++)
        if (table_append(headers, a, &members.fields[i]) != CONEY_OK)
            return CONEY_ENOMEM;
    return CONEY_OK;
}

/* What protocol 1 has no word for. */
static enum coney_rc add_absent(
        const struct source *s, struct table *headers, struct arena *a)
{
    static const char *const nulls[] = {"lang", "shadow", "eta", "expires", "group",
            "group_index", "parent_id", "origin", "ignore_result"};
    const char *args = repr_args(json_object_get(s->object, "args"), a);
    const char *kwargs = repr_kwargs(json_object_get(s->object, "kwargs"), a);
    struct bytes id = table_text(headers, "id");
    enum coney_rc rc = args && kwargs ? CONEY_OK : CONEY_ENOMEM;

    for (size_t i = 0; i < sizeof(nulls) / sizeof(nulls[0]) && rc == CONEY_OK; i++)
        if (!table_find(headers, nulls[i]))
            rc = table_set_void(headers, a, nulls[i]);
    if (rc == CONEY_OK && !table_find(headers, "retries"))
        rc = table_set_integer(headers, a, "retries", 0);
    if (rc == CONEY_OK && !table_find(headers, "root_id") && id.data)
        rc = table_set_text(headers, a, "root_id", id.data);
    if (rc == CONEY_OK && !table_find(headers, "argsrepr"))
        rc = table_set_text(headers, a, "argsrepr", args);
    if (rc == CONEY_OK && !table_find(headers, "kwargsrepr"))
        rc = table_set_text(headers, a, "kwargsrepr", kwargs);
    return rc;
}

/* A hybrid's own headers count for more than its body. */
static enum coney_rc make_headers(
        const struct envelope *e, const struct source *s, struct table *headers)
{
    struct table made = {.fields = NULL};
    enum coney_rc rc = add_members(s, &made, e->arena);

    for (size_t i = 0; i < e->headers.count && rc == CONEY_OK; i++) {
        const struct field *f = &e->headers.fields[i];
        rc = table_set(&made, e->arena, f);
    }
    if (rc == CONEY_OK)
        rc = add_absent(s, &made, e->arena);
    table_remove(&made, "compression"); /* the new body is plain */
    return rc == CONEY_OK ? table_copy_deep(headers, e->arena, &made) : rc;
}

/* --- body ----------------------------------------------------------------------------
 */

static enum coney_rc append_member(const struct source *s, const char *key,
        const char *absent, struct buffer *out, struct coney_error *err)
{
    struct bytes text = json_member(s->text, key);

    if (!text.data && json_object_get(s->object, key))
        return error_set(err, CONEY_ESYNTAX, "body: the name of %s is escaped", key);
    if (!text.data)
        text = (struct bytes){.data = absent, .len = strlen(absent)};
    if (buffer_append(out, text.data, text.len) != CONEY_OK)
        return error_set_nomem(err);
    return CONEY_OK;
}

static enum coney_rc write_body(
        const struct source *s, struct buffer *out, struct coney_error *err)
{
    static const char *const parts[][3] = {{"[", "args", "[]"}, {", ", "kwargs", "{}"},
            {", {\"callbacks\": ", "callbacks", "null"},
            {", \"errbacks\": ", "errbacks", "null"},
            {", \"chain\": null, \"chord\": ", "chord", "null"}};
    enum coney_rc rc = CONEY_OK;

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]) && rc == CONEY_OK; i++) {
        if (buffer_append(out, parts[i][0], strlen(parts[i][0])) != CONEY_OK)
            return error_set_nomem(err);
        rc = append_member(s, parts[i][1], parts[i][2], out, err);
    }
    if (rc == CONEY_OK && buffer_append(out, "}]", 2) != CONEY_OK)
        rc = error_set_nomem(err);
    return rc;
}

/* --- the whole -----------------------------------------------------------------------
 */

/* "utc": false is the sender's own zone, which the message does not name. */
static enum coney_rc check_zone(
        const json_t *object, const char *key, struct coney_error *err)
{
    const char *text = json_string_value(json_object_get(object, key));
    struct time_parts p;

    if (!json_is_false(json_object_get(object, "utc")) || !text ||
            !time_read_date(&text, &p) || *text == '\0')
        return CONEY_OK;
    text++;
    if (!time_read_clock(&text, &p) || p.offset != OFFSET_NONE)
        return CONEY_OK;
    return error_set(err, CONEY_ESYNTAX,
            "%s has no offset, and is not UTC by the message's own word", key);
}

static bool is_object_text(struct bytes body)
{
    const char *text = body.data;
    size_t at = 0;

    while (at < body.len && text[at] != '\0' && strchr(" \t\r\n", text[at]))
        at++;
    return at < body.len && text[at] == '{';
}

/* Only what has no task header is decompressed to see: a compressed hybrid is not worth
 * unpacking every compressed task twice. */
static bool may_be_old(const struct envelope *e)
{
    const struct field *packing = table_find(&e->headers, "compression");

    if (packing && packing->type != FIELD_VOID)
        return !table_find(&e->headers, "task");
    return is_object_text(e->body);
}

static enum coney_rc read_source(const struct envelope *e,
        const struct message_limits *limits, struct source *s, struct coney_error *err)
{
    const struct json_limits json_limits = message_json_limits(limits);

    enum coney_rc rc = body_text(e, limits, e->arena, &s->text, err);
    if (rc != CONEY_OK || !is_object_text(s->text))
        return rc;
    rc = json_read(s->text, &json_limits, &s->object, err);
    if (rc != CONEY_OK)
        error_prefix(err, "body");
    return rc;
}

static enum coney_rc rewrite(
        struct envelope *e, const struct source *s, struct coney_error *err)
{
    struct envelope made = *e;
    struct buffer text;

    made.headers = (struct table){.fields = NULL};
    buffer_init(&text, s->text.len + BODY_EXTRA);
    enum coney_rc rc = write_body(s, &text, err);
    if (rc != CONEY_OK)
        goto out;
    rc = make_headers(e, s, &made.headers);
    if (rc == CONEY_OK)
        rc = body_set(&made, &text);
    if (rc == CONEY_OK)
        *e = made;
    else
        error_set_nomem(err);
out:
    buffer_fini(&text);
    return rc;
}

enum coney_rc protocol1_upgrade(
        struct envelope *e, const struct message_limits *limits, struct coney_error *err)
{
    struct source s = {.object = NULL};

    if (!may_be_old(e))
        return CONEY_OK;
    enum coney_rc rc = read_source(e, limits, &s, err);
    if (rc != CONEY_OK || !s.object)
        goto out;
    rc = check_zone(s.object, "eta", err);
    if (rc == CONEY_OK)
        rc = check_zone(s.object, "expires", err);
    if (rc == CONEY_OK)
        rc = rewrite(e, &s, err);
out:
    json_decref(s.object);
    return rc;
}
