/* SPDX-License-Identifier: MIT */
/*
 * task_dump.c - our encoders and decoders, one JSON request and one answer per line, for
 * celery_reads_our_messages.py.
 *
 *     {"op": "encode", "now_us": N, ...fields of a task_spec}    -> a message
 *     {"op": "again", "retries": N, "eta_us": N, "message": M}   -> a message
 *     {"op": "result", ...fields of a result}                    -> a message
 *     {"op": "decode", "message": M}                             -> fields of a request
 *
 * A message is {"properties": {...}, "headers": {...}, "body": HEX}. What is refused is
 * answered by {"error": "..."}.
 */
#include "message/result.h"
#include "message/task.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void give_up(const char *why)
{
    fprintf(stderr, "task_dump: %s\n", why);
    exit(1);
}

static void *checked(void *p)
{
    if (!p)
        give_up("out of memory");
    return p;
}

static void must(enum coney_rc rc)
{
    if (rc != CONEY_OK)
        give_up(coney_rc_name(rc));
}

/* --- tables to and from JSON ----------------------------------------------------------
 */

static json_t *table_to_json(const struct table *t);

static json_t *field_to_json(const struct field *f)
{
    json_t *array;

    switch ((char)f->type) {
    case 'S':
        return json_stringn(f->value.text.data, f->value.text.len);
    case 't':
        return json_boolean(f->value.boolean);
    case 'I':
    case 'l':
        return json_integer(f->value.integer);
    case 'd':
        return json_real(f->value.number);
    case 'V':
        return json_null();
    case 'F':
        return table_to_json(&f->value.table);
    case 'A':
        array = json_array();
        for (size_t i = 0; i < f->value.table.count; i++)
            json_array_append_new(array, field_to_json(&f->value.table.fields[i]));
        return array;
    default:
        give_up("a field type that must not be written");
    }
}

static json_t *table_to_json(const struct table *t)
{
    json_t *object = json_object();

    for (size_t i = 0; i < t->count; i++) {
        const struct field *f = &t->fields[i];
        json_object_setn_new(object, f->key.data, f->key.len, field_to_json(f));
    }
    return object;
}

static struct table table_from_json(json_t *object, struct arena *a);

static struct field field_from_json(json_t *v, struct arena *a)
{
    struct field f = {.type = FIELD_VOID};
    json_t *element;
    size_t i;

    switch (json_typeof(v)) {
    case JSON_STRING:
        f.type = FIELD_STRING;
        f.value.text = (struct bytes){
                .data = json_string_value(v), .len = json_string_length(v)};
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        f.type = FIELD_BOOL;
        f.value.boolean = json_is_true(v);
        break;
    case JSON_INTEGER:
        f.type = FIELD_I64;
        f.value.integer = json_integer_value(v);
        break;
    case JSON_REAL:
        f.type = FIELD_F64;
        f.value.number = json_real_value(v);
        break;
    case JSON_OBJECT:
        f.type = FIELD_TABLE;
        f.value.table = table_from_json(v, a);
        break;
    case JSON_ARRAY:
        f.type = FIELD_ARRAY;
        json_array_foreach(v, i, element)
        {
            struct field inner = field_from_json(element, a);
            must(table_append(&f.value.table, a, &inner));
        }
        break;
    case JSON_NULL:
        break;
    }
    return f;
}

static struct table table_from_json(json_t *object, struct arena *a)
{
    struct table t = {.fields = NULL};
    const char *key;
    json_t *v;

    json_object_foreach(object, key, v)
    {
        struct field f = field_from_json(v, a);
        f.key = (struct bytes){.data = key, .len = strlen(key)};
        must(table_append(&t, a, &f));
    }
    return t;
}

/* --- messages to and from JSON --------------------------------------------------------
 */

static void set_text(json_t *object, const char *key, const char *text)
{
    if (text)
        json_object_set_new(object, key, checked(json_string(text)));
}

static void set_number(json_t *object, const char *key, int64_t number)
{
    if (number >= 0)
        json_object_set_new(object, key, json_integer(number));
}

static json_t *properties_to_json(const struct properties *p)
{
    json_t *out = json_object();

    set_text(out, "content_type", p->content_type);
    set_text(out, "content_encoding", p->content_encoding);
    set_text(out, "correlation_id", p->correlation_id);
    set_text(out, "reply_to", p->reply_to);
    set_text(out, "expiration", p->expiration);
    set_text(out, "message_id", p->message_id);
    set_text(out, "type", p->type);
    set_text(out, "user_id", p->user_id);
    set_text(out, "app_id", p->app_id);
    set_number(out, "timestamp", p->timestamp_s);
    set_number(out, "delivery_mode", p->delivery_mode);
    set_number(out, "priority", p->priority);
    return out;
}

static json_t *envelope_to_json(const struct envelope *e)
{
    char *hex = checked(malloc(e->body.len * 2 + 1));

    hex[0] = '\0';
    for (size_t i = 0; i < e->body.len; i++)
        snprintf(hex + i * 2, 3, "%02x", ((const unsigned char *)e->body.data)[i]);
    json_t *out =
            json_pack("{s:o,s:o,s:s}", "properties", properties_to_json(&e->properties),
                    "headers", table_to_json(&e->headers), "body", hex);
    free(hex);
    return checked(out);
}

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static int64_t number_of(const json_t *object, const char *key, int64_t absent)
{
    const json_t *v = json_object_get(object, key);
    return json_is_integer(v) ? json_integer_value(v) : absent;
}

static struct bytes from_hex(const char *hex, struct arena *a)
{
    size_t len = strlen(hex) / 2;
    unsigned char *data = checked(arena_alloc(a, len + 1));

    for (size_t i = 0; i < len; i++) {
        char digits[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
        data[i] = (unsigned char)strtoul(digits, NULL, 16);
    }
    return (struct bytes){.data = data, .len = len};
}

static struct envelope envelope_from_json(json_t *m)
{
    const json_t *p = json_object_get(m, "properties");
    struct envelope e;

    must(envelope_init(&e));
    e.properties.content_type = text_of(p, "content_type");
    e.properties.content_encoding = text_of(p, "content_encoding");
    e.properties.correlation_id = text_of(p, "correlation_id");
    e.properties.reply_to = text_of(p, "reply_to");
    e.properties.expiration = text_of(p, "expiration");
    e.properties.priority = (int)number_of(p, "priority", -1);
    e.properties.delivery_mode = (int)number_of(p, "delivery_mode", -1);
    e.headers = table_from_json(json_object_get(m, "headers"), e.arena);
    e.body = from_hex(text_of(m, "body"), e.arena);
    return e;
}

/* --- the four operations ---------------------------------------------------------------
 */

static json_t *refusal(const struct coney_error *err)
{
    return checked(json_pack("{s:s}", "error", err->text));
}

static json_t *answer(enum coney_rc rc, struct envelope *e, const struct coney_error *err)
{
    json_t *out = rc == CONEY_OK ? envelope_to_json(e) : refusal(err);

    envelope_fini(e);
    return out;
}

static json_t *do_encode(json_t *q)
{
    struct task_spec s = task_spec_none();
    struct envelope e;
    struct coney_error err;
    struct rng rng;
    struct arena *a = checked(arena_new(0));
    struct table headers = table_from_json(json_object_get(q, "headers"), a);

    s.id = text_of(q, "id");
    s.task = text_of(q, "task");
    s.args = json_object_get(q, "args");
    s.kwargs = json_object_get(q, "kwargs");
    s.embed = json_object_get(q, "embed");
    s.eta_us = number_of(q, "eta_us", TASK_NO_TIME);
    s.expires_us = number_of(q, "expires_us", TASK_NO_TIME);
    s.time_limit_ms = number_of(q, "time_limit_ms", TASK_NONE);
    s.soft_time_limit_ms = number_of(q, "soft_time_limit_ms", TASK_NONE);
    s.group_index = number_of(q, "group_index", TASK_NONE);
    s.group = text_of(q, "group");
    s.root_id = text_of(q, "root_id");
    s.parent_id = text_of(q, "parent_id");
    s.shadow = text_of(q, "shadow");
    s.reply_to = text_of(q, "reply_to");
    s.origin = text_of(q, "origin");
    s.priority = (int)number_of(q, "priority", -1);
    s.ignore_result = (enum task_ignore_result)number_of(q, "ignore_result", 0);
    s.headers = &headers;
    rng_seed_random(&rng);
    enum coney_rc rc = task_encode(&s, number_of(q, "now_us", 0), &rng, &e, &err);
    json_t *out = answer(rc, &e, &err);
    arena_free(a);
    return out;
}

static json_t *do_again(json_t *q)
{
    struct envelope e = envelope_from_json(json_object_get(q, "message"));
    struct task_again how = {.retries = number_of(q, "retries", 0),
            .eta_us = number_of(q, "eta_us", TASK_NO_TIME),
            .parent_id = text_of(q, "parent_id")};
    struct envelope out;
    struct coney_error err;

    enum coney_rc rc = task_encode_again(&e, &how, &out, &err);
    envelope_fini(&e);
    return answer(rc, &out, &err);
}

static json_t *do_result(json_t *q)
{
    struct result r = {.task_id = text_of(q, "task_id"),
            .status = (enum result_status)number_of(q, "status", 0),
            .value = json_object_get(q, "value"),
            .exc_type = text_of(q, "exc_type"),
            .exc_module = text_of(q, "exc_module"),
            .exc_text = text_of(q, "exc_text"),
            .exc_message = json_object_get(q, "exc_message"),
            .traceback = text_of(q, "traceback")};
    struct envelope e;
    struct coney_error err;

    enum coney_rc rc = result_encode(&r, &e, &err);
    return answer(rc, &e, &err);
}

static json_t *request_to_json(const struct task_request *r)
{
    json_t *out = json_pack("{s:O,s:O,s:O,s:s%}", "args", r->args, "kwargs", r->kwargs,
            "embed", r->embed, "body", r->body.data, r->body.len);

    set_text(checked(out), "id", r->id);
    set_text(out, "task", r->task);
    set_text(out, "shadow", r->shadow);
    set_text(out, "root_id", r->root_id);
    set_text(out, "parent_id", r->parent_id);
    set_text(out, "group", r->group);
    set_text(out, "origin", r->origin);
    set_text(out, "reply_to", r->reply_to);
    set_text(out, "correlation_id", r->correlation_id);
    set_number(out, "group_index", r->group_index);
    set_number(out, "retries", r->retries);
    set_number(out, "eta_us", r->eta_us);
    set_number(out, "expires_us", r->expires_us);
    set_number(out, "time_limit_ms", r->time_limit_ms);
    set_number(out, "soft_time_limit_ms", r->soft_time_limit_ms);
    set_number(out, "ignore_result", r->ignore_result);
    return out;
}

static json_t *do_decode(json_t *q)
{
    struct envelope e = envelope_from_json(json_object_get(q, "message"));
    struct message_limits limits = message_limits_default();
    struct task_request *r;
    struct coney_error err;

    enum coney_rc rc = task_receive(&e, &limits, &r, &err);
    json_t *out = rc == CONEY_OK ? request_to_json(r) : refusal(&err);
    task_request_free(r);
    envelope_fini(&e);
    return out;
}

static json_t *serve(json_t *q)
{
    static const struct {
        const char *name;
        json_t *(*serve)(json_t *q);
    } ops[] = {{"encode", do_encode}, {"again", do_again}, {"result", do_result},
            {"decode", do_decode}};
    const char *op = text_of(q, "op");

    for (size_t i = 0; op && i < sizeof(ops) / sizeof(ops[0]); i++)
        if (strcmp(op, ops[i].name) == 0)
            return ops[i].serve(q);
    give_up("unknown op");
}

int main(void)
{
    char *line = NULL;
    size_t size = 0;

    while (getline(&line, &size, stdin) > 0) {
        json_error_t e;
        json_t *q = json_loads(line, JSON_ALLOW_NUL, &e);
        if (!q)
            give_up(e.text);
        json_t *out = serve(q);
        json_dumpf(out, stdout, JSON_COMPACT);
        printf("\n");
        fflush(stdout);
        json_decref(out);
        json_decref(q);
    }
    free(line);
    return 0;
}
