/* SPDX-License-Identifier: MIT */
/* result_store.h - how the configuration's result store is reached: by workers, who
 * write, and by clients, who read. */
#ifndef CONEY_QUEUE_RESULT_STORE_H
#define CONEY_QUEUE_RESULT_STORE_H

#include "config/config.h"
#include "redis/redis.h"

/* Whether results go to a store at all, rather than to queues or nowhere. */
bool result_store_is_used(const struct results_config *c);
/* The options of a connection to it, but for name and times; borrowed from @c. */
struct redis_options result_store_options(const struct results_config *c);

/* How long a result is kept there, in seconds; 0: for ever. */
int64_t result_store_expires_s(const struct results_config *c);

#endif /* CONEY_QUEUE_RESULT_STORE_H */
