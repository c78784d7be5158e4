/* SPDX-License-Identifier: MIT */
/* json_field.c - a walk over a JSON value, bounded in depth. */
#include "message/json_field.h"

#include <string.h>

enum { DEPTH_MAX = 16 };

static enum coney_rc convert(
        json_t *v, struct arena *a, unsigned depth, struct field *out);

static enum coney_rc append(
        const char *key, json_t *v, struct arena *a, unsigned depth, struct table *out)
{
    struct field member;

    if (depth == 0)
        return CONEY_ELIMIT;
    enum coney_rc rc = convert(v, a, depth - 1, &member);
    if (rc != CONEY_OK)
        return rc;
    member.key = arena_copy(a, (struct bytes){.data = key, .len = strlen(key)});
    return member.key.data ? table_append(out, a, &member) : CONEY_ENOMEM;
}

static enum coney_rc convert_object(
        json_t *v, struct arena *a, unsigned depth, struct table *out)
{
    const char *key;
    json_t *member;
    enum coney_rc rc = CONEY_OK;

    json_object_foreach(v, key, member)
    {
        rc = append(key, member, a, depth, out);
        if (rc != CONEY_OK)
            break;
    }
    return rc;
}

static enum coney_rc convert_array(
        json_t *v, struct arena *a, unsigned depth, struct table *out)
{
    enum coney_rc rc = CONEY_OK;

    for (size_t i = 0; i < json_array_size(v) && rc == CONEY_OK; i++)
        rc = append("", json_array_get(v, i), a, depth, out);
    return rc;
}

static enum coney_rc convert_text(json_t *v, struct arena *a, struct field *out)
{
    out->type = FIELD_STRING;
    out->value.text = arena_copy(a,
            (struct bytes){.data = json_string_value(v), .len = json_string_length(v)});
    return out->value.text.data ? CONEY_OK : CONEY_ENOMEM;
}

static void convert_integer(json_t *v, struct field *out)
{
    out->value.integer = json_integer_value(v);
    out->type = out->value.integer >= INT32_MIN && out->value.integer <= INT32_MAX
                        ? FIELD_I32
                        : FIELD_I64;
}

static enum coney_rc convert(
        json_t *v, struct arena *a, unsigned depth, struct field *out)
{
    *out = (struct field){.type = FIELD_VOID};
    switch (json_typeof(v)) {
    case JSON_NULL:
        return CONEY_OK;
    case JSON_TRUE:
    case JSON_FALSE:
        out->type = FIELD_BOOL;
        out->value.boolean = json_is_true(v);
        return CONEY_OK;
    case JSON_INTEGER:
        convert_integer(v, out);
        return CONEY_OK;
    case JSON_REAL:
        out->type = FIELD_F64;
        out->value.number = json_real_value(v);
        return CONEY_OK;
    case JSON_STRING:
        return convert_text(v, a, out);
    case JSON_ARRAY:
        out->type = FIELD_ARRAY;
        out->value.table = (struct table){.fields = NULL};
        return convert_array(v, a, depth, &out->value.table);
    case JSON_OBJECT:
        out->type = FIELD_TABLE;
        out->value.table = (struct table){.fields = NULL};
        return convert_object(v, a, depth, &out->value.table);
    }
    return CONEY_OK;
}

enum coney_rc json_field(json_t *v, struct arena *a, struct field *out)
{
    return convert(v, a, DEPTH_MAX, out);
}

enum coney_rc json_fields(json_t *v, struct arena *a, struct table *out)
{
    return convert_object(v, a, DEPTH_MAX, out);
}
