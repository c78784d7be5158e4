/* SPDX-License-Identifier: MIT */
/* context.c - field by field into jansson. */
#include "message/context.h"

#include "base/json.h"
#include "base/utf8.h"

#include <string.h>

/* Deeper tables than the amqp room lets in. */
enum { DEPTH_MAX = 64 };

static json_t *table_to_json(const struct table *t, struct arena *a, unsigned depth);

/* A new reference or NULL, here and below. */
static json_t *text_to_json(struct bytes text, struct arena *a)
{
    struct bytes fine = utf8_repair(a, text);
    return fine.data ? json_stringn(fine.data, fine.len) : NULL;
}

static json_t *string_to_json(const char *text, struct arena *a)
{
    return text ? text_to_json((struct bytes){text, strlen(text)}, a) : json_null();
}

/* NaN and the infinities are not JSON. */
static json_t *number_to_json(double number)
{
    json_t *v = json_real(number);
    return v ? v : json_null();
}

static json_t *decimal_to_json(uint8_t scale, uint32_t digits)
{
    double number = digits;
    for (; scale > 0; scale--)
        number /= 10;
    return json_real(number);
}

static json_t *array_to_json(const struct table *t, struct arena *a, unsigned depth);

static json_t *field_to_json(const struct field *f, struct arena *a, unsigned depth)
{
    switch (f->type) {
    case FIELD_VOID:
        return json_null();
    case FIELD_BOOL:
        return json_boolean(f->value.boolean);
    case FIELD_I8:
    case FIELD_U8:
    case FIELD_I16:
    case FIELD_U16:
    case FIELD_I32:
    case FIELD_U32:
    case FIELD_I64:
    case FIELD_TIME:
        return json_integer(f->value.integer);
    case FIELD_F32:
    case FIELD_F64:
        return number_to_json(f->value.number);
    case FIELD_DECIMAL:
        return decimal_to_json(f->value.decimal.scale, f->value.decimal.digits);
    case FIELD_STRING:
    case FIELD_BYTES:
        return text_to_json(f->value.text, a);
    case FIELD_TABLE:
        return table_to_json(&f->value.table, a, depth);
    case FIELD_ARRAY:
        return array_to_json(&f->value.table, a, depth);
    }
    return json_null();
}

static json_t *array_to_json(const struct table *t, struct arena *a, unsigned depth)
{
    json_t *list = depth > 0 ? json_array() : NULL;
    for (size_t i = 0; list && i < t->count; i++) {
        if (json_array_append_new(list, field_to_json(&t->fields[i], a, depth - 1)) == 0)
            continue;
        json_decref(list);
        return NULL;
    }
    return list;
}

static json_t *table_to_json(const struct table *t, struct arena *a, unsigned depth)
{
    json_t *map = depth > 0 ? json_object() : NULL;
    for (size_t i = 0; map && i < t->count; i++) {
        struct bytes key = utf8_repair(a, t->fields[i].key);
        json_t *value = field_to_json(&t->fields[i], a, depth - 1);
        if (key.data && json_object_set_new(map, key.data, value) == 0)
            continue;
        if (!key.data)
            json_decref(value);
        json_decref(map);
        return NULL;
    }
    return map;
}

static json_t *number_or_null(int64_t number)
{
    return number >= 0 ? json_integer(number) : json_null();
}

static json_t *properties_to_json(const struct properties *p, struct arena *a)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
            "content_type", string_to_json(p->content_type, a), "content_encoding",
            string_to_json(p->content_encoding, a), "correlation_id",
            string_to_json(p->correlation_id, a), "reply_to",
            string_to_json(p->reply_to, a), "expiration",
            string_to_json(p->expiration, a), "message_id",
            string_to_json(p->message_id, a), "type", string_to_json(p->type, a),
            "user_id", string_to_json(p->user_id, a), "app_id",
            string_to_json(p->app_id, a), "timestamp", number_or_null(p->timestamp_s),
            "delivery_mode", number_or_null(p->delivery_mode), "priority",
            number_or_null(p->priority));
}

enum coney_rc context_encode(const struct context *c, struct buffer *out)
{
    const struct envelope *e = c->envelope;
    struct arena *a = arena_new(0);
    if (!a)
        return CONEY_ENOMEM;
    json_t *whole = json_pack("{s:o, s:o, s:{s:o, s:o, s:o, s:b}, s:o}", "headers",
            table_to_json(&e->headers, a, DEPTH_MAX), "properties",
            properties_to_json(&e->properties, a), "delivery_info", "exchange",
            string_to_json(c->exchange, a), "routing_key",
            string_to_json(c->routing_key, a), "priority",
            number_or_null(e->properties.priority), "redelivered", c->redelivered ? 1 : 0,
            "hostname", string_to_json(c->hostname, a));
    enum coney_rc rc = whole ? json_write(whole, out) : CONEY_ENOMEM;
    json_decref(whole);
    arena_free(a);
    return rc;
}
