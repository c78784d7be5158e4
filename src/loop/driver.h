/* SPDX-License-Identifier: MIT */
/*
 * driver.h - runs a session, or a connection to redis, on a libuv loop.
 *
 * The driver watches its socket and deadline and steps it; the owner gets each event as a
 * call. Whatever is called on it during a turn of the loop leaves in one write when the
 * turn ends, just before the loop would sleep.
 */
#ifndef CONEY_LOOP_DRIVER_H
#define CONEY_LOOP_DRIVER_H

#include "amqp/session.h"
#include "redis/redis.h"

#include <uv.h>

struct driver;

/*
 * One event. The driver calls session_event_fini() afterwards; to keep a delivery, copy
 * its envelope and clear the original's arena pointer. The callback may call anything on
 * the session, driver_free() and session_free() (in this order) included.
 */
typedef void driver_event_fn(void *ctx, struct session_event *ev);

/*
 * Begin to drive @s on @loop; connecting starts with the loop's next turn. @s is borrowed
 * until driver_free(). NULL when out of memory. A prepare handle of the owner's that is
 * started after this call runs before the driver's, so what it queues leaves in the same
 * turn; one started earlier runs later and should end with driver_flush().
 */
struct driver *driver_new(
        uv_loop_t *loop, struct session *s, driver_event_fn *on_event, void *ctx);
/* The same for redis: the driver calls redis_event_fini(), the callback may call
 * driver_free() and redis_free(). */
typedef void driver_redis_fn(void *ctx, struct redis_event *ev);
struct driver *driver_new_redis(
        uv_loop_t *loop, struct redis *r, driver_redis_fn *on_event, void *ctx);

/* Let go of what is driven at once. The handles close on later turns of the loop, which
 * has to run until then (or until uv_loop_close() succeeds). NULL is ignored. */
void driver_free(struct driver *d);
/* Step now instead of at the end of the turn. Does nothing inside the event callback. */
void driver_flush(struct driver *d);

#endif /* CONEY_LOOP_DRIVER_H */
