/* SPDX-License-Identifier: MIT */
/* codec.c - hiredis's formatter and parser, making our replies. */
#include "redis/codec.h"

#include "base/error.h"

#include <assert.h>
#include <hiredis/hiredis.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum {
    COMMANDS_MAX = 64 * 1024 * 1024,
    WORDS_MAX = 8,
    /* A set of results has as many as a chord has tasks. */
    ITEMS_MAX = 1024 * 1024
};

/* What changed its type with hiredis 1.0. */
#if HIREDIS_MAJOR >= 1
typedef size_t item_count;
#else
typedef int item_count;
#endif

struct redis_reader {
    redisReader *parser;              /* owned */
    redisReplyObjectFunctions makers; /* hiredis wants it writable */
    size_t reply_max;
};

/* --- commands --------------------------------------------------------------------- */

void redis_commands_init(struct redis_commands *c)
{
    *c = (struct redis_commands){.count = 0};
    buffer_init(&c->bytes, COMMANDS_MAX);
}

void redis_commands_fini(struct redis_commands *c)
{
    buffer_fini(&c->bytes);
    c->count = 0;
}

static enum coney_rc format(
        struct redis_commands *c, size_t argc, const char **words, const size_t *lengths)
{
    char *text = NULL;
    long long len = redisFormatCommandArgv(&text, (int)argc, words, lengths);
    if (len < 0)
        return CONEY_ENOMEM;
    enum coney_rc rc = buffer_append(&c->bytes, text, (size_t)len);
    redisFreeCommand(text);
    if (rc == CONEY_OK)
        c->count++;
    return rc;
}

enum coney_rc redis_commands_add(
        struct redis_commands *c, size_t argc, const struct bytes *words)
{
    assert(argc > 0 && argc < INT_MAX);
    const char **texts = calloc(argc, sizeof(*texts));
    size_t *lengths = calloc(argc, sizeof(*lengths));
    enum coney_rc rc = CONEY_ENOMEM;

    if (!texts || !lengths)
        goto out;
    for (size_t i = 0; i < argc; i++) {
        texts[i] = words[i].data ? words[i].data : "";
        lengths[i] = words[i].len;
    }
    rc = format(c, argc, texts, lengths);
out:
    free(texts);
    free(lengths);
    return rc;
}

enum coney_rc redis_commands_add_texts(
        struct redis_commands *c, size_t argc, const char *const *words)
{
    const char *texts[WORDS_MAX];
    size_t lengths[WORDS_MAX];

    assert(argc > 0 && argc <= WORDS_MAX);
    for (size_t i = 0; i < argc; i++) {
        texts[i] = words[i];
        lengths[i] = strlen(words[i]);
    }
    return format(c, argc, texts, lengths);
}

/* --- replies ---------------------------------------------------------------------- */

/* Put a new reply into the array it belongs to. */
static void *place(const redisReadTask *task, struct redis_reply *r)
{
    if (r && task->parent) {
        struct redis_reply *array = task->parent->obj;
        array->items[task->idx] = r;
    }
    return r;
}

static struct redis_reply *reply_new(enum redis_type type, size_t text_len)
{
    struct redis_reply *r = calloc(1, sizeof(*r) + text_len);
    if (r)
        r->type = type;
    return r;
}

static void *make_text(const redisReadTask *task, char *text, size_t len)
{
    enum redis_type type = task->type == REDIS_REPLY_STATUS  ? REDIS_STATUS
                           : task->type == REDIS_REPLY_ERROR ? REDIS_ERROR
                                                             : REDIS_TEXT;
    struct redis_reply *r = reply_new(type, len + 1);
    if (!r)
        return NULL;
    char *copy = (char *)(r + 1);
    memcpy(copy, text, len);
    r->text = (struct bytes){.data = copy, .len = len};
    return place(task, r);
}

static void *make_array(const redisReadTask *task, item_count count)
{
    if (count > ITEMS_MAX)
        return NULL;
    struct redis_reply *r = reply_new(REDIS_ARRAY, 0);
    if (!r)
        return NULL;
    r->items = calloc(count > 0 ? (size_t)count : 1, sizeof(struct redis_reply *));
    if (!r->items) {
        free(r);
        return NULL;
    }
    r->count = (size_t)count;
    return place(task, r);
}

static void *make_integer(const redisReadTask *task, long long value)
{
    struct redis_reply *r = reply_new(REDIS_INTEGER, 0);
    if (r)
        r->integer = value;
    return place(task, r);
}

static void *make_nil(const redisReadTask *task)
{
    return place(task, reply_new(REDIS_NIL, 0));
}

static void free_reply(void *reply)
{
    redis_reply_free(reply);
}

#if HIREDIS_MAJOR >= 1
/* Of RESP 3, which we never ask for. */
static void *make_double(const redisReadTask *task, double value, char *text, size_t len)
{
    (void)value;
    return make_text(task, text, len);
}

static void *make_bool(const redisReadTask *task, int value)
{
    return make_integer(task, value);
}
#endif

static const redisReplyObjectFunctions reply_makers = {
        .createString = make_text,
        .createArray = make_array,
        .createInteger = make_integer,
        .createNil = make_nil,
        .freeObject = free_reply,
#if HIREDIS_MAJOR >= 1
        .createDouble = make_double,
        .createBool = make_bool,
#endif
};

struct redis_reader *redis_reader_new(size_t reply_max)
{
    struct redis_reader *r = calloc(1, sizeof(*r));
    if (!r)
        return NULL;
    r->reply_max = reply_max;
    r->makers = reply_makers;
    r->parser = redisReaderCreateWithFunctions(&r->makers);
    if (!r->parser) {
        free(r);
        return NULL;
    }
    return r;
}

void redis_reader_free(struct redis_reader *r)
{
    if (!r)
        return;
    redisReaderFree(r->parser);
    free(r);
}

enum coney_rc redis_reader_feed(struct redis_reader *r, const void *data, size_t len)
{
    return redisReaderFeed(r->parser, data, len) == REDIS_OK ? CONEY_OK : CONEY_ENOMEM;
}

enum coney_rc redis_reader_next(
        struct redis_reader *r, struct redis_reply **out, struct coney_error *err)
{
    void *reply = NULL;

    *out = NULL;
    if (redisReaderGetReply(r->parser, &reply) != REDIS_OK) {
        if (r->parser->err == REDIS_ERR_OOM)
            return error_set_nomem(err);
        return error_set(
                err, CONEY_ESYNTAX, "not redis's protocol: %.120s", r->parser->errstr);
    }
    if (!reply && r->parser->len - r->parser->pos > r->reply_max)
        return error_set(
                err, CONEY_ELIMIT, "a reply of more than %zu bytes", r->reply_max);
    *out = reply;
    return CONEY_OK;
}
