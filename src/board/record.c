/* SPDX-License-Identifier: MIT */
/*
 * record.c - jobs, outcomes and log lines as bytes.
 *
 * A writer and a reader carry their first failure with them, so that encoding and
 * decoding are plain lists of fields, checked once at the end.
 */
#include "board/record.h"

#include "base/error.h"

#include <assert.h>
#include <endian.h>
#include <limits.h>
#include <string.h>

/* The length of a text that is not there. */
#define NO_TEXT UINT32_MAX

enum { MODE_MAX = 0777, STATUS_MAX = 255, SIGNAL_MAX = 127 };
enum presence { OPTIONAL, REQUIRED };

/* --- writing ------------------------------------------------------------------------ */

struct writer {
    struct buffer *out;
    struct coney_error *err;
    enum coney_rc rc;
};

static void put_bytes(struct writer *w, const void *data, size_t len)
{
    if (w->rc != CONEY_OK)
        return;
    w->rc = buffer_append(w->out, data, len);
    if (w->rc == CONEY_ELIMIT)
        error_set(w->err, w->rc, "the record is larger than %zu bytes", w->out->max);
    else if (w->rc != CONEY_OK)
        error_set_nomem(w->err);
}

static void put_u32(struct writer *w, uint32_t value)
{
    value = htole32(value);
    put_bytes(w, &value, sizeof(value));
}

static void put_i64(struct writer *w, int64_t value)
{
    uint64_t bits = htole64((uint64_t)value);
    put_bytes(w, &bits, sizeof(bits));
}

static void put_range(struct writer *w, int64_t value, int64_t min, int64_t max)
{
    if ((value < min || value > max) && w->rc == CONEY_OK)
        w->rc = error_set(w->err, CONEY_EINVAL, "%jd is not between %jd and %jd",
                (intmax_t)value, (intmax_t)min, (intmax_t)max);
    put_i64(w, value);
}

static void put_blob(struct writer *w, struct bytes blob)
{
    if (blob.len >= NO_TEXT) {
        w->rc = error_set(w->err, CONEY_ELIMIT, "a field of %zu bytes", blob.len);
        return;
    }
    put_u32(w, (uint32_t)blob.len);
    put_bytes(w, blob.data, blob.len);
    put_bytes(w, "", 1);
}

static void put_text(struct writer *w, const char *text, enum presence presence)
{
    if (text)
        put_blob(w, (struct bytes){text, strlen(text)});
    else if (presence == OPTIONAL)
        put_u32(w, NO_TEXT);
    else if (w->rc == CONEY_OK)
        w->rc = error_set(w->err, CONEY_EINVAL, "a required text is missing");
}

static void put_count(struct writer *w, size_t count)
{
    if (count > RECORD_LIST_MAX && w->rc == CONEY_OK)
        w->rc = error_set(w->err, CONEY_EINVAL, "a list of %zu elements is above %d",
                count, RECORD_LIST_MAX);
    put_u32(w, (uint32_t)count);
}

static void put_texts(struct writer *w, const struct record_texts *list)
{
    put_count(w, list->count);
    for (size_t i = 0; i < list->count && w->rc == CONEY_OK; i++)
        put_text(w, list->items[i], REQUIRED);
}

static void put_numbers(struct writer *w, const struct record_numbers *list)
{
    put_count(w, list->count);
    for (size_t i = 0; i < list->count && w->rc == CONEY_OK; i++)
        put_i64(w, list->items[i]);
}

static void put_command(struct writer *w, const struct record_command *c)
{
    put_texts(w, &c->argv);
    put_text(w, c->directory, OPTIONAL);
    put_texts(w, &c->environment);
    put_numbers(w, &c->ok_exit);
    put_numbers(w, &c->retry_exit);
    put_numbers(w, &c->reject_exit);
    put_i64(w, c->max_output > INT64_MAX ? INT64_MAX : (int64_t)c->max_output);
    put_range(w, c->start_ms, 0, INT64_MAX);
    put_range(w, c->umask, 0, MODE_MAX);
}

enum coney_rc record_job_encode(
        const struct record_job *job, struct buffer *out, struct coney_error *err)
{
    struct writer w = {.out = out, .err = err};
    if (job->handler != RECORD_NATIVE && job->command.argv.count == 0)
        return error_set(err, CONEY_EINVAL, "a command without a program");

    put_text(&w, job->id, REQUIRED);
    put_text(&w, job->task, REQUIRED);
    put_text(&w, job->root_id, OPTIONAL);
    put_text(&w, job->parent_id, OPTIONAL);
    put_text(&w, job->queue, OPTIONAL);
    put_i64(&w, job->retries);
    put_u32(&w, job->redelivered ? 1 : 0);
    put_u32(&w, job->wants_rss ? 1 : 0);
    put_range(&w, job->soft_ms, RECORD_NONE, INT64_MAX);
    put_range(&w, job->hard_ms, RECORD_NONE, INT64_MAX);
    put_u32(&w, (uint32_t)job->handler);
    if (job->handler != RECORD_NATIVE)
        put_command(&w, &job->command);
    put_blob(&w, job->context);
    put_blob(&w, job->body);
    return w.rc;
}

static bool has_error(enum record_kind kind)
{
    return kind == RECORD_RETRY || kind == RECORD_FAIL || kind == RECORD_REJECT ||
           kind == RECORD_CRASHED;
}

enum coney_rc record_outcome_encode(
        const struct record_outcome *o, struct buffer *out, struct coney_error *err)
{
    struct writer w = {.out = out, .err = err};
    enum presence error = has_error(o->kind) ? REQUIRED : OPTIONAL;
    if (o->stderr_tail.len > RECORD_STDERR_MAX)
        return error_set(err, CONEY_EINVAL, "a stderr tail of %zu bytes is above %d",
                o->stderr_tail.len, RECORD_STDERR_MAX);

    put_u32(&w, (uint32_t)o->kind);
    put_blob(&w, o->value);
    put_text(&w, o->error_type, error);
    put_text(&w, o->error_text, error);
    put_text(&w, o->error_module, OPTIONAL);
    put_blob(&w, o->error_args);
    put_text(&w, o->traceback, OPTIONAL);
    put_blob(&w, o->children);
    put_u32(&w, o->no_result ? 1 : 0);
    put_blob(&w, o->publish);
    put_blob(&w, o->tasks);
    put_blob(&w, o->again);
    put_range(&w, o->delay_ms, RECORD_NONE, INT64_MAX);
    put_range(&w, o->max_retries, RECORD_NONE, INT64_MAX);
    put_range(&w, o->started_us, 0, INT64_MAX);
    put_range(&w, o->duration_ms, 0, INT64_MAX);
    put_range(&w, o->rss_kib, RECORD_NONE, INT64_MAX);
    put_range(&w, o->max_rss_kib, RECORD_NONE, INT64_MAX);
    put_range(&w, o->exit_status, -1, STATUS_MAX);
    put_range(&w, o->signal, 0, SIGNAL_MAX);
    put_blob(&w, o->stderr_tail);
    return w.rc;
}

enum coney_rc record_log_encode(
        const struct record_log *l, struct buffer *out, struct coney_error *err)
{
    struct writer w = {.out = out, .err = err};
    put_u32(&w, (uint32_t)l->level);
    put_blob(&w, (struct bytes){l->text, strnlen(l->text, RECORD_LOG_MAX)});
    return w.rc;
}

/* --- reading ------------------------------------------------------------------------ */

struct reader {
    const uint8_t *next;
    size_t left;
    bool broken;
    bool no_memory;
    struct arena *arena; /* borrowed; for lists */
};

static const void *take_bytes(struct reader *r, size_t len)
{
    if (r->broken || len > r->left) {
        r->broken = true;
        return NULL;
    }
    const void *at = r->next;
    r->next += len;
    r->left -= len;
    return at;
}

static uint32_t take_u32(struct reader *r)
{
    uint32_t value = 0;
    const void *at = take_bytes(r, sizeof(value));
    if (at)
        memcpy(&value, at, sizeof(value));
    return le32toh(value);
}

static int64_t take_i64(struct reader *r)
{
    uint64_t bits = 0;
    const void *at = take_bytes(r, sizeof(bits));
    if (at)
        memcpy(&bits, at, sizeof(bits));
    return (int64_t)le64toh(bits);
}

static int64_t take_range(struct reader *r, int64_t min, int64_t max)
{
    int64_t value = take_i64(r);
    if (value < min || value > max) {
        r->broken = true;
        return min;
    }
    return value;
}

static uint32_t take_choice(struct reader *r, uint32_t count)
{
    uint32_t value = take_u32(r);
    if (value >= count) {
        r->broken = true;
        return 0;
    }
    return value;
}

static struct bytes take_rest_of_blob(struct reader *r, uint32_t len)
{
    struct bytes none = {"", 0};
    const char *data = take_bytes(r, len);
    const char *end = take_bytes(r, 1);
    if (!data || !end || *end != '\0') {
        r->broken = true;
        return none;
    }
    return (struct bytes){data, len};
}

static struct bytes take_blob(struct reader *r)
{
    return take_rest_of_blob(r, take_u32(r));
}

/* A terminated text without zeros in it. */
static const char *take_text(struct reader *r, enum presence presence)
{
    uint32_t len = take_u32(r);
    if (len == NO_TEXT) {
        r->broken = r->broken || presence == REQUIRED;
        return NULL;
    }
    struct bytes text = take_rest_of_blob(r, len);
    if (memchr(text.data, '\0', text.len))
        r->broken = true;
    return text.data;
}

static size_t take_count(struct reader *r)
{
    uint32_t count = take_u32(r);
    if (count > RECORD_LIST_MAX)
        r->broken = true;
    return r->broken ? 0 : count;
}

static void *list_of(struct reader *r, size_t count, size_t element_size)
{
    void *items = arena_alloc(r->arena, (count + 1) * element_size);
    r->no_memory = r->no_memory || !items;
    r->broken = r->broken || !items;
    return items;
}

static struct record_texts take_texts(struct reader *r)
{
    size_t count = take_count(r);
    const char **items = list_of(r, count, sizeof(*items));
    for (size_t i = 0; i < count && !r->broken; i++)
        items[i] = take_text(r, REQUIRED);
    /* exec(3) and the config's lists want char *const *; nobody writes to them. */
    union {
        const char **made;
        char *const *wanted;
    } list = {.made = items};
    return (struct record_texts){list.wanted, r->broken ? 0 : count};
}

static struct record_numbers take_numbers(struct reader *r)
{
    size_t count = take_count(r);
    int *items = list_of(r, count, sizeof(*items));
    for (size_t i = 0; i < count && !r->broken; i++)
        items[i] = (int)take_range(r, INT_MIN, INT_MAX);
    return (struct record_numbers){items, r->broken ? 0 : count};
}

static void take_command(struct reader *r, struct record_command *c)
{
    c->argv = take_texts(r);
    if (c->argv.count == 0)
        r->broken = true;
    c->directory = take_text(r, OPTIONAL);
    c->environment = take_texts(r);
    c->ok_exit = take_numbers(r);
    c->retry_exit = take_numbers(r);
    c->reject_exit = take_numbers(r);
    c->max_output = (size_t)take_range(r, 0, INT64_MAX);
    c->start_ms = take_range(r, 0, INT64_MAX);
    c->umask = (int)take_range(r, 0, MODE_MAX);
}

static enum coney_rc finish(
        const struct reader *r, const char *what, struct coney_error *err)
{
    if (r->no_memory)
        return error_set_nomem(err);
    if (r->broken)
        return error_set(err, CONEY_ESYNTAX, "%s is malformed", what);
    if (r->left > 0)
        return error_set(err, CONEY_ESYNTAX, "%s has %zu bytes too many", what, r->left);
    return CONEY_OK;
}

enum coney_rc record_job_decode(struct bytes in, struct arena *arena,
        struct record_job *job, struct coney_error *err)
{
    struct reader r = {.next = in.data, .left = in.len, .arena = arena};
    memset(job, 0, sizeof(*job));
    job->id = take_text(&r, REQUIRED);
    job->task = take_text(&r, REQUIRED);
    job->root_id = take_text(&r, OPTIONAL);
    job->parent_id = take_text(&r, OPTIONAL);
    job->queue = take_text(&r, OPTIONAL);
    job->retries = take_i64(&r);
    job->redelivered = take_choice(&r, 2) == 1;
    job->wants_rss = take_choice(&r, 2) == 1;
    job->soft_ms = take_range(&r, RECORD_NONE, INT64_MAX);
    job->hard_ms = take_range(&r, RECORD_NONE, INT64_MAX);
    job->handler = (enum record_handler)take_choice(&r, RECORD_SERVER + 1);
    if (job->handler != RECORD_NATIVE)
        take_command(&r, &job->command);
    job->context = take_blob(&r);
    job->body = take_blob(&r);
    return finish(&r, "a job", err);
}

enum coney_rc record_outcome_decode(
        struct bytes in, struct record_outcome *o, struct coney_error *err)
{
    struct reader r = {.next = in.data, .left = in.len};
    memset(o, 0, sizeof(*o));
    o->kind = (enum record_kind)take_choice(&r, RECORD_UNKNOWN + 1);
    enum presence error = has_error(o->kind) ? REQUIRED : OPTIONAL;
    o->value = take_blob(&r);
    o->error_type = take_text(&r, error);
    o->error_text = take_text(&r, error);
    o->error_module = take_text(&r, OPTIONAL);
    o->error_args = take_blob(&r);
    o->traceback = take_text(&r, OPTIONAL);
    o->children = take_blob(&r);
    o->no_result = take_choice(&r, 2) == 1;
    o->publish = take_blob(&r);
    o->tasks = take_blob(&r);
    o->again = take_blob(&r);
    o->delay_ms = take_range(&r, RECORD_NONE, INT64_MAX);
    o->max_retries = take_range(&r, RECORD_NONE, INT64_MAX);
    o->started_us = take_range(&r, 0, INT64_MAX);
    o->duration_ms = take_range(&r, 0, INT64_MAX);
    o->rss_kib = take_range(&r, RECORD_NONE, INT64_MAX);
    o->max_rss_kib = take_range(&r, RECORD_NONE, INT64_MAX);
    o->exit_status = (int)take_range(&r, -1, STATUS_MAX);
    o->signal = (int)take_range(&r, 0, SIGNAL_MAX);
    o->stderr_tail = take_blob(&r);
    if (o->stderr_tail.len > RECORD_STDERR_MAX)
        r.broken = true;
    return finish(&r, "an outcome", err);
}

enum coney_rc record_log_decode(
        struct bytes in, struct record_log *l, struct coney_error *err)
{
    struct reader r = {.next = in.data, .left = in.len};
    l->level = (enum log_level)take_choice(&r, LOG_LEVEL_DEBUG + 1);
    l->text = take_text(&r, REQUIRED);
    return finish(&r, "a log line", err);
}
