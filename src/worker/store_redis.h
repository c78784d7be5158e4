/* SPDX-License-Identifier: MIT */
/*
 * store_redis.h - a result store in redis, with the keys and the values of Celery's.
 *
 * A meta is written in two turns, GET and then MULTI, SETEX, PUBLISH, EXEC: one that says
 * SUCCESS is never overwritten. Many are on the way at once.
 */
#ifndef CONEY_WORKER_STORE_REDIS_H
#define CONEY_WORKER_STORE_REDIS_H

#include "base/rng.h"
#include "worker/store.h"

#include <uv.h>

struct store_redis_options {
    uv_loop_t *loop; /* borrowed for its life, like rng */
    struct rng *rng;
    const struct results_config *config; /* read during the call */
    const char *name;                    /* of the connection */
    /* Something was reported to the store: its deadline may be another. May be NULL. */
    void (*on_change)(void *ctx);
    void *ctx;
};

/* Give @store a backend in redis, whose reports it gets. CONEY_EINVAL (the URL, named
 * without its password), CONEY_EIO, CONEY_EREFUSED (certificates), CONEY_ENOMEM. */
enum coney_rc store_redis_open(const struct store_redis_options *options,
        struct store *store, struct coney_error *err) CONEY_MUST_CHECK;

#endif /* CONEY_WORKER_STORE_REDIS_H */
