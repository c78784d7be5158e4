/* SPDX-License-Identifier: MIT */
/* exchange.c - frames written by hand around what is passed on, and read with jansson. */
#include "runner/exchange.h"

#include "base/error.h"
#include "base/json.h"
#include "base/json_part.h"
#include "base/utf8.h"

#include <endian.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    DEPTH_MAX = 512,
    TYPE_MAX = 255,
    TEXT_MAX = 16 * 1024,
    TRACEBACK_MAX = 24 * 1024,
    SHOWN_SIZE = 64
};
#define DELAY_MAX_S (10.0 * 365 * 86400)

/* --- writing ------------------------------------------------------------------------ */

/* The head of a frame whose length is not known yet; *@at is for end_frame(). */
static enum coney_rc begin_frame(struct buffer *out, size_t *at)
{
    static const uint8_t head[EXCHANGE_HEAD_SIZE] = {0};
    *at = buffer_len(out);
    return buffer_append(out, head, sizeof(head));
}

static void end_frame(struct buffer *out, size_t at)
{
    uint32_t len = htobe32((uint32_t)(buffer_len(out) - at - EXCHANGE_HEAD_SIZE));
    memcpy(buffer_data(out) + at, &len, sizeof(len));
}

/* A frame of one value, which is taken; NULL: out of memory. */
static enum coney_rc write_frame(json_t *value_take, struct buffer *out)
{
    size_t at;
    if (!value_take)
        return CONEY_ENOMEM;
    enum coney_rc rc = begin_frame(out, &at);
    if (rc == CONEY_OK)
        rc = json_write(value_take, out);
    if (rc == CONEY_OK)
        end_frame(out, at);
    json_decref(value_take);
    return rc;
}

enum coney_rc exchange_hello(const char *node, size_t frame_max, struct buffer *out)
{
    return write_frame(json_pack("{s:s, s:i, s:s, s:I}", "type", "hello", "protocol",
                               (int)EXCHANGE_PROTOCOL, "node", node, "frame_max",
                               (json_int_t)frame_max),
            out);
}

enum coney_rc exchange_soft_limit(const char *id, struct buffer *out)
{
    return write_frame(json_pack("{s:s, s:s}", "type", "soft_limit", "id", id), out);
}

/* What of a job is ours to spell. */
static json_t *describe(const struct attempt *a)
{
    const struct record_job *job = a->job;
    int64_t deadline_us;
    json_t *deadline = attempt_deadline(a, &deadline_us)
                               ? json_real((double)deadline_us / 1e6)
                               : json_null();
    return json_pack("{s:s, s:s, s:s, s:I, s:b, s:s?, s:s?, s:s?, s:o}", "type", "task",
            "id", job->id, "task", job->task, "retries", (json_int_t)job->retries,
            "redelivered", job->redelivered ? 1 : 0, "queue", job->queue, "root_id",
            job->root_id, "parent_id", job->parent_id, "deadline", deadline);
}

static enum coney_rc write_member(struct buffer *out, const char *key, struct bytes json)
{
    enum coney_rc rc = buffer_printf(out, ", \"%s\": ", key);
    return rc == CONEY_OK ? buffer_append(out, json.data, json.len) : rc;
}

/* The object @head without its closing brace. */
static enum coney_rc write_open(const json_t *head, struct buffer *out)
{
    struct buffer text;
    buffer_init(&text, SIZE_MAX / 2);
    enum coney_rc rc = json_write(head, &text);
    if (rc == CONEY_OK)
        rc = buffer_append(out, buffer_data(&text), buffer_len(&text) - 1);
    buffer_fini(&text);
    return rc;
}

enum coney_rc exchange_task(const struct attempt *a, struct buffer *out)
{
    size_t at;
    struct bytes message = a->job->context;
    struct bytes args = json_element(a->job->body, 0);
    struct bytes kwargs = json_element(a->job->body, 1);
    struct bytes embed = json_element(a->job->body, 2);
    if (!args.data || !kwargs.data)
        return CONEY_EINVAL;
    if (!embed.data)
        embed = (struct bytes){"null", 4};
    if (message.len == 0)
        message = (struct bytes){"{}", 2};
    json_t *head = describe(a);
    if (!head)
        return CONEY_ENOMEM;

    enum coney_rc rc = begin_frame(out, &at);
    if (rc == CONEY_OK)
        rc = write_open(head, out);
    if (rc == CONEY_OK)
        rc = write_member(out, "message", message);
    if (rc == CONEY_OK)
        rc = write_member(out, "args", args);
    if (rc == CONEY_OK)
        rc = write_member(out, "kwargs", kwargs);
    if (rc == CONEY_OK)
        rc = write_member(out, "embed", embed);
    if (rc == CONEY_OK)
        rc = buffer_append(out, "}", 1);
    if (rc == CONEY_OK)
        end_frame(out, at);
    json_decref(head);
    return rc;
}

/* --- frames ------------------------------------------------------------------------- */

enum coney_rc exchange_peek(
        const struct buffer *in, size_t max, struct bytes *text, struct coney_error *err)
{
    uint32_t len;
    if (buffer_len(in) < sizeof(len))
        return CONEY_ENOTFOUND;
    memcpy(&len, buffer_data(in), sizeof(len));
    len = be32toh(len);
    if (len > max)
        return error_set(
                err, CONEY_ELIMIT, "a frame of %u bytes, more than %zu", len, max);
    if (buffer_len(in) - sizeof(len) < len)
        return CONEY_ENOTFOUND;
    *text = (struct bytes){buffer_data(in) + sizeof(len), len};
    return CONEY_OK;
}

void exchange_drop(struct buffer *in, struct bytes text)
{
    buffer_take(in, EXCHANGE_HEAD_SIZE + text.len);
}

/* --- reading ------------------------------------------------------------------------ */

/* A frame being read: the parsed object, its text, and the first thing wrong with it. */
struct reading {
    const json_t *root;
    struct bytes text;
    struct arena *arena;
    struct coney_error *err;
    enum coney_rc rc;
};

static CONEY_PRINTF(2, 3) void complain(struct reading *r, const char *fmt, ...)
{
    char text[160];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (r->rc == CONEY_OK)
        r->rc = error_set(r->err, CONEY_ESYNTAX, "%s", text);
}

/* A member that is there and not null. */
static const json_t *find(const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);
    return json_is_null(v) ? NULL : v;
}

/* The text of a member, its last @max bytes; NULL when it is not there. */
static const char *take_text(
        struct reading *r, const json_t *object, const char *key, size_t max)
{
    const json_t *v = find(object, key);
    const char *text = json_string_value(v);
    if (v && !text)
        complain(r, "%s is not a text", key);
    if (!text)
        return NULL;
    size_t len = strlen(text);
    if (len > max) {
        text += len - max;
        while ((*text & 0xc0) == 0x80) /* inside a character */
            text++;
    }
    const char *copy = arena_strdup(r->arena, text);
    if (!copy && r->rc == CONEY_OK)
        r->rc = error_set_nomem(r->err);
    return copy;
}

/* The spelling of a member of the frame that is there and not null. */
static struct bytes take_json(struct reading *r, const char *key, json_type type)
{
    const json_t *v = find(r->root, key);
    if (!v)
        return (struct bytes){"", 0};
    if (json_typeof(v) != type)
        complain(r, "%s is not %s", key, type == JSON_ARRAY ? "an array" : "an object");
    struct bytes part = json_member(r->text, key);
    if (!part.data)
        complain(r, "%s is spelled with escapes", key);
    return part;
}

static void take_delay(struct reading *r, struct record_outcome *o)
{
    const json_t *v = find(r->root, "delay");
    o->delay_ms = RECORD_NONE;
    if (!v)
        return;
    double seconds = json_number_value(v);
    if (!json_is_number(v) || !(seconds >= 0 && seconds <= DELAY_MAX_S))
        complain(r, "delay is no number of seconds");
    else
        o->delay_ms = (int64_t)(seconds * 1000 + 0.999); /* late, never early */
}

/* null means without end, and not there: the policy's. */
static void take_max_retries(struct reading *r, struct record_outcome *o)
{
    const json_t *v = json_object_get(r->root, "max_retries");
    o->max_retries = RECORD_NONE;
    if (json_is_null(v))
        o->max_retries = INT32_MAX;
    else if (json_is_integer(v) && json_integer_value(v) >= 0)
        o->max_retries = json_integer_value(v);
    else if (v)
        complain(r, "max_retries is no number of retries");
}

static struct bytes take_error_args(struct reading *r, const json_t *exception)
{
    if (!find(exception, "args"))
        return (struct bytes){"", 0};
    if (!json_is_array(find(exception, "args")))
        complain(r, "exception: args is not an array");
    struct bytes part = json_member(json_member(r->text, "exception"), "args");
    if (!part.data)
        complain(r, "exception: args is spelled with escapes");
    return part;
}

static void take_exception(struct reading *r, struct record_outcome *o)
{
    const json_t *e = find(r->root, "exception");
    if (e && !json_is_object(e))
        complain(r, "exception is not an object");
    o->error_type = take_text(r, e, "type", TYPE_MAX);
    o->error_module = take_text(r, e, "module", TYPE_MAX);
    o->error_text = take_text(r, e, "text", TEXT_MAX);
    o->traceback = take_text(r, e, "traceback", TRACEBACK_MAX);
    o->error_args = take_error_args(r, e);
    if (!o->error_type)
        o->error_type = "TaskError";
    if (!o->error_text)
        o->error_text = "the task gave no reason";
}

/* New arguments come together, for it would be a guess which old ones to keep. */
static void take_again(struct reading *r, struct record_outcome *o)
{
    struct bytes args = take_json(r, "args", JSON_ARRAY);
    struct bytes kwargs = take_json(r, "kwargs", JSON_OBJECT);
    if ((args.len > 0) != (kwargs.len > 0))
        complain(r, "args and kwargs of a retry come together");
    if (args.len == 0 || kwargs.len == 0)
        return;
    size_t len = args.len + kwargs.len + 4; /* [ , ] and a blank */
    char *text = arena_alloc(r->arena, len + 1);
    if (!text) {
        r->rc = error_set_nomem(r->err);
        return;
    }
    snprintf(text, len + 1, "[%.*s, %.*s]", (int)args.len, (const char *)args.data,
            (int)kwargs.len, (const char *)kwargs.data);
    o->again = (struct bytes){text, len};
}

static enum record_kind take_kind(struct reading *r)
{
    static const struct {
        const char *name;
        enum record_kind kind;
    } kinds[] = {{"success", RECORD_SUCCESS}, {"retry", RECORD_RETRY},
            {"fail", RECORD_FAIL}, {"reject", RECORD_REJECT}, {"ignore", RECORD_IGNORE},
            {"unknown", RECORD_UNKNOWN}};
    char shown[SHOWN_SIZE] = "nothing";
    const char *name = json_string_value(find(r->root, "outcome"));
    for (size_t i = 0; name && i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(kinds[i].name, name) == 0)
            return kinds[i].kind;
    if (name)
        utf8_printable(shown, sizeof(shown), (struct bytes){name, strlen(name)});
    complain(r, "outcome is %s", shown);
    return RECORD_FAIL;
}

static void take_outcome(struct reading *r, struct exchange_message *m)
{
    struct record_outcome *o = &m->outcome;
    m->id = take_text(r, r->root, "id", TYPE_MAX);
    if (!m->id)
        complain(r, "an outcome without an id");
    o->kind = take_kind(r);
    if (o->kind == RECORD_REJECT && json_is_true(json_object_get(r->root, "requeue")))
        o->kind = RECORD_REQUEUE;
    if (o->kind == RECORD_SUCCESS && find(r->root, "value"))
        o->value = json_member(r->text, "value");
    if (o->kind == RECORD_RETRY)
        take_again(r, o);
    take_exception(r, o);
    take_delay(r, o);
    take_max_retries(r, o);
    o->children = take_json(r, "children", JSON_ARRAY);
    o->publish = take_json(r, "publish", JSON_ARRAY);
    o->no_result = json_is_true(json_object_get(r->root, "ignore_result"));
}

static void take_log(struct reading *r, struct exchange_message *m)
{
    static const char *const names[] = {[LOG_LEVEL_ERROR] = "error",
            [LOG_LEVEL_WARNING] = "warning",
            [LOG_LEVEL_INFO] = "info",
            [LOG_LEVEL_DEBUG] = "debug"};
    const char *level = json_string_value(find(r->root, "level"));
    m->level = LOG_LEVEL_INFO;
    for (size_t i = 0; level && i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(names[i], level) == 0)
            m->level = (enum log_level)i;
    m->text = take_text(r, r->root, "text", TEXT_MAX);
    if (!m->text)
        complain(r, "a log line without a text");
}

static void take_ready(struct reading *r, struct exchange_message *m)
{
    const json_t *v = find(r->root, "protocol");
    const char *notice = json_string_value(find(r->root, "soft_limit"));
    if (json_integer_value(v) != EXCHANGE_PROTOCOL)
        complain(r, "it speaks protocol %lld, not %d", (long long)json_integer_value(v),
                (int)EXCHANGE_PROTOCOL);
    m->wants_signal = notice && strcmp(notice, "signal") == 0;
    m->name = take_text(r, r->root, "name", TYPE_MAX);
    m->tasks = take_json(r, "tasks", JSON_ARRAY);
}

static void take_message(struct reading *r, struct exchange_message *m)
{
    char shown[SHOWN_SIZE] = "nothing";
    const char *type = json_string_value(json_object_get(r->root, "type"));
    if (type && strcmp(type, "ready") == 0) {
        m->kind = EXCHANGE_READY;
        take_ready(r, m);
    } else if (type && strcmp(type, "log") == 0) {
        m->kind = EXCHANGE_LOG;
        take_log(r, m);
    } else if (type && strcmp(type, "outcome") == 0) {
        m->kind = EXCHANGE_OUTCOME;
        take_outcome(r, m);
    } else {
        if (type)
            utf8_printable(shown, sizeof(shown), (struct bytes){type, strlen(type)});
        complain(r, "a frame of type %s", shown);
    }
}

enum coney_rc exchange_read(struct bytes text, struct arena *arena,
        struct exchange_message *out, struct coney_error *err)
{
    const struct json_limits limits = {
            .text_max = SIZE_MAX, .values_max = SIZE_MAX, .depth_max = DEPTH_MAX};
    struct reading r = {.text = text, .arena = arena, .err = err};
    json_t *root = NULL;
    *out = (struct exchange_message){.outcome = {.value = {"", 0}}};
    enum coney_rc rc = json_read(text, &limits, &root, err);
    if (rc != CONEY_OK)
        return rc == CONEY_ENOMEM ? rc : CONEY_ESYNTAX;
    r.root = root;
    take_message(&r, out);
    json_decref(root);
    return r.rc;
}
