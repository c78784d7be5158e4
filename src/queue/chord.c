/* SPDX-License-Identifier: MIT */
/* chord.c - the script that adds a part, and its answer. */
#include "queue/chord.h"

#include "base/error.h"
#include "base/json.h"
#include "message/repr.h"
#include "message/result_key.h"
#include "message/task.h"
#include "queue/result_store.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/*
 * KEYS: .j .s .t .c and the shape. ARGV: index, entry, task id, expiry in seconds or 0,
 * the size or "", the entry's beginning if the task may have run before or "", and how
 * many bytes of entries are wanted at the most.
 *
 * Answers whose part was the last; if it was this one, also the bytes of all entries, the
 * shape and the entries, unless they are too many.
 */
static const char script[] =
        "local before = redis.call('ZCARD', KEYS[1])\n"
        "local head = ARGV[6]\n"
        "if head ~= '' then\n"
        "  for _, e in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do\n"
        "    if e ~= ARGV[2] and string.sub(e, 1, #head) == head then\n"
        "      redis.call('ZREM', KEYS[1], e)\n"
        "    end\n"
        "  end\n"
        "end\n"
        "redis.call('ZADD', KEYS[1], ARGV[1], ARGV[2])\n"
        "local size = tonumber(redis.call('GET', KEYS[2]) or ARGV[5])\n"
        "if size then\n"
        "  size = size + (tonumber(redis.call('GET', KEYS[3]) or 0) or 0)\n"
        "  if before < size and redis.call('ZCARD', KEYS[1]) == size then\n"
        "    redis.call('SET', KEYS[4], ARGV[3])\n"
        "  end\n"
        "end\n"
        "if ARGV[4] ~= '0' then\n"
        "  for i = 1, 4 do redis.call('EXPIRE', KEYS[i], ARGV[4]) end\n"
        "end\n"
        "local last = redis.call('GET', KEYS[4])\n"
        "if last ~= ARGV[3] then return {last} end\n"
        "local entries, bytes = redis.call('ZRANGE', KEYS[1], 0, -1), 0\n"
        "for _, e in ipairs(entries) do bytes = bytes + #e end\n"
        "if bytes > tonumber(ARGV[7]) then entries = #entries end\n"
        "return {last, bytes, redis.call('GET', KEYS[5]), entries}\n";

enum { KEYS = 5, ARGUMENTS = 7, WORDS = 3 + KEYS + ARGUMENTS };

/* --- commands ------------------------------------------------------------------------
 */

struct chord_keys chord_keys_of(const struct results_config *c, const char *group)
{
    return (struct chord_keys){
            .prefix = c->prefix, .group = group, .expires_s = result_store_expires_s(c)};
}

static struct bytes text(const char *s)
{
    return (struct bytes){s, strlen(s)};
}

static struct bytes number(struct arena *a, int64_t n)
{
    char *s = arena_printf(a, "%" PRId64, n);
    return s ? text(s) : (struct bytes){NULL, 0};
}

static struct bytes key(struct arena *a, const struct chord_keys *k, const char *part)
{
    char *s = result_key_group(a, k->prefix, k->group, part);
    return s ? text(s) : (struct bytes){NULL, 0};
}

static enum coney_rc add(struct redis_commands *out, size_t count, const struct bytes *w)
{
    for (size_t i = 0; i < count; i++)
        if (!w[i].data)
            return CONEY_ENOMEM;
    return redis_commands_add(out, count, w);
}

/* '[1, "<id>", ': all entries of one task begin so, whoever has written them. */
static enum coney_rc write_head(const char *task_id, struct buffer *out)
{
    json_t *id = json_string(task_id);
    enum coney_rc rc = id ? buffer_append(out, "[1, ", 4) : CONEY_ENOMEM;

    if (rc == CONEY_OK)
        rc = json_write(id, out);
    json_decref(id);
    return rc == CONEY_OK ? buffer_append(out, ", ", 2) : rc;
}

static enum coney_rc add_script(struct arena *a, const struct chord_keys *k,
        const struct chord_part *p, struct buffer *entry, struct redis_commands *out)
{
    enum coney_rc rc = write_head(p->task_id, entry);
    size_t head = buffer_len(entry);

    if (rc == CONEY_OK)
        rc = buffer_printf(entry, "\"%s\", ", p->status);
    if (rc == CONEY_OK)
        rc = buffer_append(entry, p->result.data, p->result.len);
    if (rc == CONEY_OK)
        rc = buffer_append(entry, "]", 1);
    if (rc != CONEY_OK)
        return rc;
    const struct bytes words[WORDS] = {text("EVAL"), {script, sizeof(script) - 1},
            number(a, KEYS), key(a, k, ".j"), key(a, k, ".s"), key(a, k, ".t"),
            key(a, k, ".c"), key(a, k, ""),
            p->index == TASK_NONE ? text("+inf") : number(a, p->index),
            {buffer_data(entry), buffer_len(entry)}, text(p->task_id),
            number(a, k->expires_s), p->size == TASK_NONE ? text("") : number(a, p->size),
            {buffer_data(entry), p->again ? head : 0},
            number(a, (int64_t)message_limits_default().body_max)};
    return add(out, WORDS, words);
}

enum coney_rc chord_tell(const struct chord_keys *k, const struct chord_part *p,
        struct redis_commands *out)
{
    struct arena *a = arena_new(0);
    struct buffer entry;

    buffer_init(&entry, out->bytes.max);
    enum coney_rc rc = a ? add_script(a, k, p, &entry, out) : CONEY_ENOMEM;
    buffer_fini(&entry);
    arena_free(a);
    return rc;
}

static enum coney_rc set(struct arena *a, const struct chord_keys *k, const char *part,
        struct bytes value, struct redis_commands *out)
{
    const struct bytes plain[] = {text("SET"), key(a, k, part), value};
    if (k->expires_s == 0)
        return add(out, 3, plain);
    const struct bytes fleeting[] = {
            text("SETEX"), key(a, k, part), number(a, k->expires_s), value};
    return add(out, 4, fleeting);
}

enum coney_rc chord_set_size(
        const struct chord_keys *k, size_t size, struct redis_commands *out)
{
    struct arena *a = arena_new(0);
    enum coney_rc rc = a ? set(a, k, ".s", number(a, (int64_t)size), out) : CONEY_ENOMEM;

    arena_free(a);
    return rc;
}

enum coney_rc chord_save_shape(
        const struct chord_keys *k, const json_t *tuple, struct redis_commands *out)
{
    struct arena *a = arena_new(0);
    json_t *saved = json_pack("{s:O}", "result", tuple);
    struct buffer written;

    buffer_init(&written, out->bytes.max);
    enum coney_rc rc = a && saved ? json_write(saved, &written) : CONEY_ENOMEM;
    if (rc == CONEY_OK)
        rc = set(a, k, "", (struct bytes){buffer_data(&written), buffer_len(&written)},
                out);
    buffer_fini(&written);
    json_decref(saved);
    arena_free(a);
    return rc;
}

enum coney_rc chord_forget(const struct chord_keys *k, struct redis_commands *out)
{
    struct arena *a = arena_new(0);
    enum coney_rc rc = CONEY_ENOMEM;

    if (a) {
        const struct bytes words[] = {text("DEL"), key(a, k, ".j"), key(a, k, ".t"),
                key(a, k, ".s"), key(a, k, ".c")};
        rc = add(out, 5, words);
    }
    arena_free(a);
    return rc;
}

/* --- entries -------------------------------------------------------------------------
 */

/* Python's repr() of the exception, as far as it is known. */
static void describe(const char *id, const json_t *exception, struct coney_error *err)
{
    char shown[sizeof(err->text)] = "";
    struct arena *a = arena_new(0);
    const json_t *args = json_object_get(exception, "exc_message");
    const char *type = json_string_value(json_object_get(exception, "exc_type"));
    size_t count = json_is_array(args) ? json_array_size(args) : args ? 1 : 0;
    size_t len = 0;

    for (size_t i = 0; i < count && a && len < sizeof(shown); i++) {
        const json_t *arg = json_is_array(args) ? json_array_get(args, i) : args;
        const char *one = repr_value(arg, a);
        int n = snprintf(shown + len, sizeof(shown) - len, "%s%s", i > 0 ? ", " : "",
                one ? one : "?");
        len += n > 0 ? (size_t)n : 0;
    }
    arena_free(a);
    error_set(err, CONEY_EREFUSED, "Dependency %s raised %s(%s)", id,
            type ? type : "Exception", shown);
}

static bool has_failed(const char *status)
{
    return strcmp(status, "FAILURE") == 0 || strcmp(status, "REVOKED") == 0;
}

/* One entry into @results, and into @by_id for those that have a shape. */
static enum coney_rc take_entry(
        struct bytes entry, json_t *results, json_t *by_id, struct coney_error *err)
{
    const struct message_limits limits = message_limits_default();
    const struct json_limits json = message_json_limits(&limits);
    json_t *root = NULL;

    enum coney_rc rc = json_read(entry, &json, &root, err);
    const char *id = json_string_value(json_array_get(root, 1));
    const char *status = json_string_value(json_array_get(root, 2));
    json_t *value = json_array_get(root, 3);
    if (rc == CONEY_ENOMEM) {
        /* said */
    } else if (rc != CONEY_OK || !id || !status || !value) {
        rc = error_set(err, CONEY_EREFUSED, "Join error: a part that can't be read");
    } else if (has_failed(status)) {
        describe(id, value, err);
        rc = CONEY_EREFUSED;
    } else if (json_array_append(results, value) != 0 ||
               json_object_set(by_id, id, value) != 0) {
        rc = error_set_nomem(err);
    }
    json_decref(root);
    return rc;
}

/* The results in the shape of @tuple, the caller's; NULL: one is missing, or no memory.
 */
/* NOLINTNEXTLINE(misc-no-recursion): json_read() has bounded the depth */
static json_t *nested(const json_t *tuple, const json_t *by_id)
{
    const json_t *members = json_array_get(tuple, 1);
    const char *id = json_string_value(json_array_get(json_array_get(tuple, 0), 0));

    if (!json_is_array(members))
        return id ? json_incref(json_object_get(by_id, id)) : NULL;
    json_t *all = json_array();
    for (size_t i = 0; i < json_array_size(members); i++) {
        if (json_array_append_new(all, nested(json_array_get(members, i), by_id)) == 0)
            continue;
        json_decref(all);
        return NULL;
    }
    return all;
}

static enum coney_rc shape(struct bytes saved, const json_t *by_id, json_t **results,
        struct coney_error *err)
{
    const struct message_limits limits = message_limits_default();
    const struct json_limits json = message_json_limits(&limits);
    json_t *root = NULL;

    enum coney_rc rc = json_read(saved, &json, &root, err);
    json_t *all = rc == CONEY_OK ? nested(json_object_get(root, "result"), by_id) : NULL;
    json_decref(root);
    if (!all)
        return rc == CONEY_ENOMEM
                       ? rc
                       : error_set(err, CONEY_EREFUSED,
                                 "Join error: the results do not fit their shape");
    json_decref(*results);
    *results = all;
    return CONEY_OK;
}

static enum coney_rc join(const struct redis_reply *entries,
        const struct redis_reply *saved, json_t **results, struct coney_error *err)
{
    json_t *by_id = json_object();
    enum coney_rc rc = by_id && *results ? CONEY_OK : error_set_nomem(err);

    for (size_t i = 0; i < entries->count && rc == CONEY_OK; i++)
        rc = take_entry(entries->items[i]->text, *results, by_id, err);
    if (rc == CONEY_OK && saved->type == REDIS_TEXT)
        rc = shape(saved->text, by_id, results, err);
    json_decref(by_id);
    return rc;
}

enum coney_rc chord_read(const struct redis_reply *reply, const char *task_id,
        struct chord_end *end, struct coney_error *err)
{
    *end = (struct chord_end){.is_ours = false};
    if (reply->type != REDIS_ARRAY || reply->count < 4 ||
            strcmp(redis_reply_text(reply->items[0]), task_id) != 0)
        return CONEY_OK;
    const struct redis_reply *entries = reply->items[3];
    end->is_ours = true;
    end->parts = entries->type == REDIS_ARRAY ? entries->count : (size_t)entries->integer;
    if (entries->type != REDIS_ARRAY)
        return error_set(err, CONEY_EREFUSED,
                "Join error: the results of %zu parts come to %lld bytes; at most %zu "
                "fit into the body's message",
                end->parts, (long long)reply->items[1]->integer,
                message_limits_default().body_max);
    end->results = json_array();
    enum coney_rc rc = join(entries, reply->items[2], &end->results, err);
    if (rc != CONEY_OK) {
        json_decref(end->results);
        end->results = NULL;
    }
    return rc;
}
