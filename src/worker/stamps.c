/* SPDX-License-Identifier: MIT */
/* stamps.c - from header fields and JSON to pairs of texts. */
#include "worker/stamps.h"

#include <stdio.h>
#include <string.h>

/* A copy of @from, terminated; false when it does not fit or has a zero in it. */
static bool take_text(struct bytes from, char text[STAMP_VALUE_SIZE])
{
    if (from.len >= STAMP_VALUE_SIZE || (from.len > 0 && memchr(from.data, 0, from.len)))
        return false;
    if (from.len > 0)
        memcpy(text, from.data, from.len);
    text[from.len] = '\0';
    return true;
}

static bool text_of_field(const struct field *f, char text[STAMP_VALUE_SIZE])
{
    switch (f->type) {
    case FIELD_STRING:
        return take_text(f->value.text, text);
    case FIELD_BOOL:
        snprintf(text, STAMP_VALUE_SIZE, "%s", f->value.boolean ? "true" : "false");
        return true;
    case FIELD_I8:
    case FIELD_U8:
    case FIELD_I16:
    case FIELD_U16:
    case FIELD_I32:
    case FIELD_U32:
    case FIELD_I64:
        snprintf(text, STAMP_VALUE_SIZE, "%lld", (long long)f->value.integer);
        return true;
    case FIELD_VOID:
    case FIELD_F32:
    case FIELD_F64:
    case FIELD_DECIMAL:
    case FIELD_BYTES:
    case FIELD_TIME:
    case FIELD_TABLE:
    case FIELD_ARRAY:
        break;
    }
    return false;
}

static bool text_of_json(const json_t *v, char text[STAMP_VALUE_SIZE])
{
    const struct bytes s = {.data = json_string_value(v), .len = json_string_length(v)};

    if (json_is_string(v))
        return take_text(s, text);
    if (json_is_integer(v))
        snprintf(text, STAMP_VALUE_SIZE, "%lld", (long long)json_integer_value(v));
    else if (json_is_boolean(v))
        snprintf(text, STAMP_VALUE_SIZE, "%s", json_is_true(v) ? "true" : "false");
    else
        return false;
    return true;
}

/* One value or a list of them. */
static bool each_value(const char *name, const struct field *f, stamp_fn *each, void *ctx)
{
    char value[STAMP_VALUE_SIZE];

    if (f->type != FIELD_ARRAY)
        return text_of_field(f, value) && each(ctx, name, value);
    for (size_t i = 0; i < f->value.table.count; i++)
        if (text_of_field(&f->value.table.fields[i], value) && each(ctx, name, value))
            return true;
    return false;
}

bool stamps_of_headers(const struct table *headers, stamp_fn *each, void *ctx)
{
    const struct field *stamps = table_find(headers, "stamps");
    char name[STAMP_VALUE_SIZE];

    if (!stamps || stamps->type != FIELD_TABLE)
        return false;
    for (size_t i = 0; i < stamps->value.table.count; i++) {
        const struct field *f = &stamps->value.table.fields[i];
        if (take_text(f->key, name) && each_value(name, f, each, ctx))
            return true;
    }
    return false;
}

bool stamps_of_json(json_t *stamps, stamp_fn *each, void *ctx)
{
    char text[STAMP_VALUE_SIZE];
    const char *name;
    json_t *values, *value;
    size_t i;

    json_object_foreach(stamps, name, values) json_array_foreach(values, i,
            value) if (text_of_json(value, text) && each(ctx, name, text)) return true;
    return false;
}
