/* SPDX-License-Identifier: MIT */
/* codec.c - views of our values for the encoder, copies of the decoder's for us. */
#include "amqp/codec.h"

#include <string.h>

enum {
    LENGTH_SIZE = 4,
};

amqp_bytes_t codec_text(const char *text)
{
    /* The library's bytes are not const; the encoder only reads them. */
    union {
        const char *from;
        void *to;
    } p = {.from = text};
    return (amqp_bytes_t){.len = text ? strlen(text) : 0, .bytes = p.to};
}

static amqp_bytes_t view_bytes(struct bytes b)
{
    union {
        const void *from;
        void *to;
    } p = {.from = b.data};
    return (amqp_bytes_t){.len = b.len, .bytes = p.to};
}

enum coney_rc codec_check_short(const char *text)
{
    return !text || strnlen(text, SHORT_STRING_MAX + 1) <= SHORT_STRING_MAX
                   ? CONEY_OK
                   : CONEY_EINVAL;
}

char *codec_copy_text(struct arena *a, amqp_bytes_t text)
{
    struct bytes copy =
            arena_copy(a, (struct bytes){.data = text.bytes, .len = text.len});
    union {
        const void *from;
        char *to;
    } p = {.from = copy.data};
    return p.to;
}

/* --- tables for the encoder -----------------------------------------------------------
 */

static enum coney_rc view_fields(const struct table *t, amqp_pool_t *pool, unsigned depth,
        amqp_table_t *view, size_t *size);

static void *pool_array(amqp_pool_t *pool, size_t count, size_t size)
{
    return amqp_pool_alloc(pool, (count > 0 ? count : 1) * size);
}

static enum coney_rc view_value(const struct field *f, amqp_pool_t *pool, unsigned depth,
        amqp_field_value_t *v, size_t *size);

static enum coney_rc view_elements(const struct table *t, amqp_pool_t *pool,
        unsigned depth, amqp_array_t *view, size_t *size)
{
    if (depth == 0 || t->count > INT32_MAX)
        return CONEY_EINVAL;
    view->num_entries = (int)t->count;
    view->entries = pool_array(pool, t->count, sizeof(*view->entries));
    if (!view->entries)
        return CONEY_ENOMEM;
    *size += LENGTH_SIZE;
    for (size_t i = 0; i < t->count; i++) {
        enum coney_rc rc =
                view_value(&t->fields[i], pool, depth - 1, &view->entries[i], size);
        if (rc != CONEY_OK)
            return rc;
    }
    return CONEY_OK;
}

static enum coney_rc view_integer(
        enum field_type type, int64_t integer, amqp_field_value_t *v)
{
    switch ((char)type) {
    case FIELD_I8:
        v->value.i8 = (int8_t)integer;
        return CONEY_OK;
    case FIELD_U8:
        v->value.u8 = (uint8_t)integer;
        return CONEY_OK;
    case FIELD_I16:
        v->value.i16 = (int16_t)integer;
        return CONEY_OK;
    case FIELD_U16:
        v->value.u16 = (uint16_t)integer;
        return CONEY_OK;
    case FIELD_I32:
        v->value.i32 = (int32_t)integer;
        return CONEY_OK;
    case FIELD_U32:
        v->value.u32 = (uint32_t)integer;
        return CONEY_OK;
    case FIELD_I64:
        /* As py-amqp writes it; it reads 'l' as unsigned, RabbitMQ takes either. */
        v->kind = AMQP_FIELD_KIND_U64;
        v->value.u64 = (uint64_t)integer;
        return CONEY_OK;
    case FIELD_TIME:
        v->value.u64 = (uint64_t)integer;
        return CONEY_OK;
    default:
        return CONEY_EINVAL; /* no type at all */
    }
}

static enum coney_rc view_text(struct bytes text, amqp_field_value_t *v, size_t *size)
{
    if (text.len > UINT32_MAX)
        return CONEY_EINVAL;
    v->value.bytes = view_bytes(text);
    *size += LENGTH_SIZE + text.len;
    return CONEY_OK;
}

static enum coney_rc view_scalar(
        const struct field *f, amqp_field_value_t *v, size_t *size)
{
    *size += scan_scalar_size((uint8_t)f->type);
    switch ((char)f->type) {
    case FIELD_VOID:
        return CONEY_OK;
    case FIELD_BOOL:
        v->value.boolean = f->value.boolean;
        return CONEY_OK;
    case FIELD_F32:
        v->value.f32 = (float)f->value.number;
        return CONEY_OK;
    case FIELD_F64:
        v->value.f64 = f->value.number;
        return CONEY_OK;
    case FIELD_DECIMAL:
        v->value.decimal.decimals = f->value.decimal.scale;
        v->value.decimal.value = f->value.decimal.digits;
        return CONEY_OK;
    default:
        return view_integer(f->type, f->value.integer, v);
    }
}

static enum coney_rc view_value(const struct field *f, amqp_pool_t *pool, unsigned depth,
        amqp_field_value_t *v, size_t *size)
{
    v->kind = (uint8_t)f->type;
    *size += 1;
    if (f->type == FIELD_TABLE)
        return view_fields(&f->value.table, pool, depth, &v->value.table, size);
    if (f->type == FIELD_ARRAY)
        return view_elements(&f->value.table, pool, depth, &v->value.array, size);
    if (f->type == FIELD_STRING || f->type == FIELD_BYTES)
        return view_text(f->value.text, v, size);
    return view_scalar(f, v, size);
}

static enum coney_rc view_fields(const struct table *t, amqp_pool_t *pool, unsigned depth,
        amqp_table_t *view, size_t *size)
{
    if (depth == 0 || t->count > INT32_MAX)
        return CONEY_EINVAL;
    view->num_entries = (int)t->count;
    view->entries = pool_array(pool, t->count, sizeof(*view->entries));
    if (!view->entries)
        return CONEY_ENOMEM;
    *size += LENGTH_SIZE;
    for (size_t i = 0; i < t->count; i++) {
        const struct field *f = &t->fields[i];
        if (f->key.len > SHORT_STRING_MAX)
            return CONEY_EINVAL;
        view->entries[i].key = view_bytes(f->key);
        *size += 1 + f->key.len;
        enum coney_rc rc = view_value(f, pool, depth - 1, &view->entries[i].value, size);
        if (rc != CONEY_OK)
            return rc;
    }
    return CONEY_OK;
}

enum coney_rc codec_view_table(
        const struct table *t, amqp_pool_t *pool, amqp_table_t *view, size_t *size)
{
    static const struct table empty;
    return view_fields(t ? t : &empty, pool, TABLE_DEPTH_MAX, view, size);
}

/* --- tables from the decoder
 * ------------------------------------------------------------
 */

static struct bytes view_to_bytes(amqp_bytes_t b)
{
    return (struct bytes){.data = b.bytes, .len = b.len};
}

static enum coney_rc copy_array(
        struct table *t, struct arena *a, const amqp_array_t *view);

static enum coney_rc copy_scalar(
        struct field *f, struct arena *a, const amqp_field_value_t *v)
{
    switch (v->kind) {
    case 't':
        f->value.boolean = v->value.boolean != 0;
        break;
    case 'b':
        f->value.integer = v->value.i8;
        break;
    case 'B':
        f->value.integer = v->value.u8;
        break;
    case 's':
        f->value.integer = v->value.i16;
        break;
    case 'u':
        f->value.integer = v->value.u16;
        break;
    case 'I':
        f->value.integer = v->value.i32;
        break;
    case 'i':
        f->value.integer = v->value.u32;
        break;
    case 'l':
        f->value.integer = v->value.i64;
        break;
    case 'T':
        f->value.integer = (int64_t)v->value.u64;
        break;
    case 'f':
        f->value.number = (double)v->value.f32;
        break;
    case 'd':
        f->value.number = v->value.f64;
        break;
    case 'D':
        f->value.decimal.scale = v->value.decimal.decimals;
        f->value.decimal.digits = v->value.decimal.value;
        break;
    case 'S':
    case 'x':
        f->value.text = arena_copy(a, view_to_bytes(v->value.bytes));
        return f->value.text.data ? CONEY_OK : CONEY_ENOMEM;
    default:
        f->type = FIELD_VOID;
        break;
    }
    return CONEY_OK;
}

static enum coney_rc copy_value(
        struct field *f, struct arena *a, const amqp_field_value_t *v)
{
    f->type = (enum field_type)v->kind;
    if (v->kind == 'F')
        return codec_copy_table(&f->value.table, a, &v->value.table);
    if (v->kind == 'A')
        return copy_array(&f->value.table, a, &v->value.array);
    if (v->kind == 'L') {
        /* RabbitMQ reads and writes it as a signed number. */
        f->type = FIELD_I64;
        f->value.integer = (int64_t)v->value.u64;
        return CONEY_OK;
    }
    return copy_scalar(f, a, v);
}

static enum coney_rc make_fields(struct table *t, struct arena *a, int count)
{
    *t = (struct table){.count = (size_t)count, .capacity = (size_t)count};
    if (count == 0)
        return CONEY_OK;
    t->fields = arena_alloc(a, t->count * sizeof(*t->fields));
    return t->fields ? CONEY_OK : CONEY_ENOMEM;
}

static enum coney_rc copy_array(
        struct table *t, struct arena *a, const amqp_array_t *view)
{
    enum coney_rc rc = make_fields(t, a, view->num_entries);
    for (size_t i = 0; rc == CONEY_OK && i < t->count; i++)
        rc = copy_value(&t->fields[i], a, &view->entries[i]);
    return rc;
}

enum coney_rc codec_copy_table(struct table *t, struct arena *a, const amqp_table_t *view)
{
    enum coney_rc rc = make_fields(t, a, view->num_entries);
    for (size_t i = 0; rc == CONEY_OK && i < t->count; i++) {
        t->fields[i].key = arena_copy(a, view_to_bytes(view->entries[i].key));
        rc = t->fields[i].key.data ? copy_value(&t->fields[i], a, &view->entries[i].value)
                                   : CONEY_ENOMEM;
    }
    return rc;
}
