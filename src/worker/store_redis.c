/* SPDX-License-Identifier: MIT */
/* store_redis.c - requests as redis's commands, and what the answers mean. */
#include "worker/store_redis.h"

#include "base/clock.h"
#include "base/error.h"
#include "loop/driver.h"
#include "message/result.h"
#include "message/result_key.h"
#include "queue/result_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ANSWER_TIMEOUT_MIN_MS = 1000,
    ANSWER_TIMEOUT_MAX_MS = 10000,
    BACKOFF_BASE_MS = 200,
    BACKOFF_CAP_MS = 5000
};

/* Of a meta. */
enum { PHASE_NEW, PHASE_LOOKED, PHASE_WRITTEN };

struct store_redis {
    struct store_backend base;
    struct store *store;   /* borrowed */
    struct redis *redis;   /* owned */
    struct driver *driver; /* owned */
    char *prefix;          /* owned; NULL: none */
    int64_t expires_s;     /* 0: never */
    void (*on_change)(void *ctx);
    void *ctx;
};

/* --- commands ------------------------------------------------------------------------
 */

static enum coney_rc add_set(const struct store_redis *r, const char *key,
        const struct store_request *q, struct redis_commands *c)
{
    char expires[24];
    const struct bytes text = {buffer_data(&q->meta), buffer_len(&q->meta)};
    const struct bytes name = {key, strlen(key)};
    const struct bytes set[] = {{"SET", 3}, name, text};

    if (r->expires_s == 0)
        return redis_commands_add(c, 3, set);
    int len = snprintf(expires, sizeof(expires), "%lld", (long long)r->expires_s);
    const struct bytes setex[] = {{"SETEX", 5}, name, {expires, (size_t)len}, text};
    return redis_commands_add(c, 4, setex);
}

static enum coney_rc add_write(const struct store_redis *r, const char *key,
        const struct store_request *q, struct redis_commands *c)
{
    static const char *const multi[] = {"MULTI"};
    static const char *const exec[] = {"EXEC"};
    const struct bytes publish[] = {{"PUBLISH", 7}, {key, strlen(key)},
            {buffer_data(&q->meta), buffer_len(&q->meta)}};

    enum coney_rc rc = redis_commands_add_texts(c, 1, multi);
    if (rc == CONEY_OK)
        rc = add_set(r, key, q, c);
    if (rc == CONEY_OK)
        rc = redis_commands_add(c, 3, publish);
    return rc == CONEY_OK ? redis_commands_add_texts(c, 1, exec) : rc;
}

/* The next commands of a meta: look first, then write. */
static enum coney_rc add_commands(const struct store_redis *r,
        const struct store_request *q, struct redis_commands *c)
{
    struct arena *a = arena_new(256);
    char *key = a ? result_key_task(a, r->prefix, q->id) : NULL;
    const char *const get[] = {"GET", key};
    enum coney_rc rc = CONEY_ENOMEM;

    if (key)
        rc = q->phase == PHASE_NEW ? redis_commands_add_texts(c, 2, get)
                                   : add_write(r, key, q, c);
    arena_free(a);
    return rc;
}

static enum coney_rc send_commands(struct store_redis *r, struct store_request *q,
        const struct redis_commands *c, int64_t now_ms)
{
    return redis_send(r->redis, c, (uint64_t)(uintptr_t)q, now_ms);
}

static enum coney_rc send_meta(
        struct store_redis *r, struct store_request *q, int64_t now_ms)
{
    struct redis_commands c;
    redis_commands_init(&c);
    enum coney_rc rc = add_commands(r, q, &c);
    if (rc == CONEY_OK)
        rc = send_commands(r, q, &c, now_ms);
    redis_commands_fini(&c);
    if (rc == CONEY_OK)
        q->phase++;
    return rc;
}

static enum coney_rc send_request(
        struct store_backend *base, struct store_request *q, int64_t now_ms)
{
    struct store_redis *r = (struct store_redis *)(void *)base;
    if (!redis_is_up(r->redis))
        return CONEY_ECLOSED;
    return q->kind == STORE_META ? send_meta(r, q, now_ms)
                                 : send_commands(r, q, &q->commands, now_ms);
}

/* --- answers -------------------------------------------------------------------------
 */

/* The first error among @replies, the members of an EXEC's included. */
static const struct redis_reply *find_error(const struct redis_reply *replies)
{
    for (size_t i = 0; i < replies->count; i++) {
        const struct redis_reply *reply = replies->items[i];
        if (reply->type == REDIS_ERROR)
            return reply;
        for (size_t k = 0; k < reply->count; k++)
            if (reply->items[k]->type == REDIS_ERROR)
                return reply->items[k];
    }
    return NULL;
}

static enum store_verdict judge_error(
        struct store_redis *r, struct store_request *q, const struct redis_reply *error)
{
    struct coney_error why;
    if (redis_reply_is_ailing(error)) {
        error_set(&why, CONEY_EIO, "%.200s", redis_reply_text(error));
        redis_renounce(r->redis, &why);
        return VERDICT_LOST;
    }
    error_set(&q->error, CONEY_EREFUSED, "redis: %.200s", redis_reply_text(error));
    return VERDICT_REFUSED;
}

/* What can't be read is no success that is worth keeping. */
static bool is_success(const struct redis_reply *stored)
{
    struct result_message m;
    if (stored->type != REDIS_TEXT ||
            result_read_meta(stored->text, &m, NULL) != CONEY_OK)
        return false;
    bool is_one = strcmp(m.status, result_status_name(RESULT_SUCCESS)) == 0;
    result_message_fini(&m);
    return is_one;
}

/* False: not through yet, its next commands are on the way. */
static bool judge(struct store_redis *r, struct store_request *q, struct redis_event *ev,
        int64_t now_ms, enum store_verdict *verdict)
{
    const struct redis_reply *error = ev->reply ? find_error(ev->reply) : NULL;

    *verdict = VERDICT_LOST;
    if (!ev->reply)
        return true;
    if (error) {
        *verdict = judge_error(r, q, error);
        return true;
    }
    if (q->kind == STORE_META && q->phase == PHASE_LOOKED &&
            !is_success(ev->reply->items[0]))
        return send_meta(r, q, now_ms) != CONEY_OK;
    *verdict = VERDICT_DONE;
    if (q->kind == STORE_COMMANDS) {
        q->reply = ev->reply;
        ev->reply = NULL;
    }
    return true;
}

static void take_answer(struct store_redis *r, struct redis_event *ev, int64_t now_ms)
{
    struct store_request *q = (struct store_request *)(uintptr_t)ev->cookie;
    enum store_verdict verdict;
    if (judge(r, q, ev, now_ms, &verdict))
        store_answered(r->store, q, verdict, now_ms);
}

static void on_event(void *ctx, struct redis_event *ev)
{
    struct store_redis *r = ctx;
    int64_t now_ms = clock_mono_ms();
    switch (ev->type) {
    case REDIS_UP:
        store_is_up(r->store, redis_peer(r->redis), now_ms);
        break;
    case REDIS_DOWN:
        store_is_down(r->store, &ev->error, now_ms);
        break;
    case REDIS_ANSWERED:
        take_answer(r, ev, now_ms);
        break;
    case REDIS_MESSAGE: /* subscribed to nothing */
        break;
    }
    if (r->on_change)
        r->on_change(r->ctx);
}

/* --- making and unmaking -------------------------------------------------------------
 */

static void free_backend(struct store_backend *base)
{
    struct store_redis *r = (struct store_redis *)(void *)base;
    driver_free(r->driver);
    redis_free(r->redis);
    free(r->prefix);
    free(r);
}

/* A server that hangs is noticed in time for the policy to decide when it promises. */
static unsigned answer_timeout_ms(const struct results_config *c)
{
    int64_t ms = c->retry_for_ms / 2;
    if (ms < ANSWER_TIMEOUT_MIN_MS)
        return ANSWER_TIMEOUT_MIN_MS;
    return ms < ANSWER_TIMEOUT_MAX_MS ? (unsigned)ms : ANSWER_TIMEOUT_MAX_MS;
}

static enum coney_rc connect_redis(struct store_redis *r,
        const struct store_redis_options *o, struct coney_error *err)
{
    const struct results_config *c = o->config;
    struct redis_options options = result_store_options(c);

    options.name = o->name;
    options.answer_timeout_ms = answer_timeout_ms(c);
    options.backoff_base_ms = BACKOFF_BASE_MS;
    options.backoff_cap_ms = BACKOFF_CAP_MS;
    enum coney_rc rc = redis_new(&options, o->rng, &r->redis, err);
    if (rc != CONEY_OK) {
        error_prefix(err, "results");
        return rc;
    }
    r->driver = driver_new_redis(o->loop, r->redis, on_event, r);
    return r->driver ? CONEY_OK : error_set_nomem(err);
}

enum coney_rc store_redis_open(const struct store_redis_options *options,
        struct store *store, struct coney_error *err)
{
    static const struct store_backend_ops ops = {
            .send = send_request, .free = free_backend};
    const struct results_config *c = options->config;
    struct store_redis *r = calloc(1, sizeof(*r));

    if (!r)
        return error_set_nomem(err);
    r->base.ops = &ops;
    r->store = store;
    r->expires_s = result_store_expires_s(c);
    r->on_change = options->on_change;
    r->ctx = options->ctx;
    r->prefix = c->prefix ? strdup(c->prefix) : NULL;
    enum coney_rc rc = c->prefix && !r->prefix ? error_set_nomem(err)
                                               : connect_redis(r, options, err);
    if (rc != CONEY_OK) {
        free_backend(&r->base);
        return rc;
    }
    store_set_backend(store, &r->base);
    return CONEY_OK;
}
