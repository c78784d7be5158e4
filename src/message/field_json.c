/* SPDX-License-Identifier: MIT */
/* field_json.c - a walk over a field, bounded in depth. */
#include "message/field_json.h"

#include <math.h>

enum { DEPTH_MAX = 16 };

static json_t *value_of(const struct field *f, unsigned depth);

static json_t *array_of(const struct table *t, unsigned depth)
{
    json_t *array = json_array();
    for (size_t i = 0; array && i < t->count; i++) {
        if (json_array_append_new(array, value_of(&t->fields[i], depth)) == 0)
            continue;
        json_decref(array);
        array = NULL;
    }
    return array;
}

static json_t *object_of(const struct table *t, unsigned depth)
{
    json_t *object = json_object();
    for (size_t i = 0; object && i < t->count; i++) {
        char key[256]; /* no key is longer in AMQP */
        size_t len = t->fields[i].key.len < 255 ? t->fields[i].key.len : 255;
        for (size_t k = 0; k < len; k++)
            key[k] = ((const char *)t->fields[i].key.data)[k];
        key[len] = '\0';
        json_t *value = value_of(&t->fields[i], depth);
        if (value) {
            (void)json_object_set_new(object, key, value);
            continue;
        }
        json_decref(object);
        object = NULL;
    }
    return object;
}

static json_t *or_null(json_t *value)
{
    return value ? value : json_null();
}

/* NOLINTNEXTLINE(misc-no-recursion): bounded by @depth */
static json_t *value_of(const struct field *f, unsigned depth)
{
    switch (f->type) {
    case FIELD_BOOL:
        return json_boolean(f->value.boolean);
    case FIELD_I8:
    case FIELD_U8:
    case FIELD_I16:
    case FIELD_U16:
    case FIELD_I32:
    case FIELD_U32:
    case FIELD_I64:
        return json_integer(f->value.integer);
    case FIELD_F32:
    case FIELD_F64:
        return or_null(isfinite(f->value.number) ? json_real(f->value.number) : NULL);
    case FIELD_STRING:
        return or_null(json_stringn(f->value.text.data, f->value.text.len));
    case FIELD_TABLE:
        return depth < DEPTH_MAX ? object_of(&f->value.table, depth + 1) : NULL;
    case FIELD_ARRAY:
        return depth < DEPTH_MAX ? array_of(&f->value.table, depth + 1) : NULL;
    case FIELD_VOID:
    case FIELD_DECIMAL:
    case FIELD_BYTES:
    case FIELD_TIME:
        break;
    }
    return json_null();
}

json_t *field_json(const struct field *f)
{
    return value_of(f, 0);
}
