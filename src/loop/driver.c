/* SPDX-License-Identifier: MIT */
/*
 * driver.c - a connection between libuv's poll, timer and prepare handles.
 *
 * The prepare handle is the heart: it runs once a turn, after every callback, and steps
 * the connection if it wants to be stepped. The timer only wakes the loop; the poll
 * handle only says that the socket is ready.
 */
#include "loop/driver.h"

#include "base/clock.h"

#include <poll.h>
#include <stdlib.h>

/* A poll handle cannot change its descriptor, and closes later than the socket does. */
struct watch {
    uv_poll_t poll;
    struct driver *driver; /* borrowed; NULL once the watch is abandoned */
    int fd;
    int wanted; /* UV_READABLE and so on, as armed */
};

/* What a session and a connection to redis have in common. */
struct driven_ops {
    int (*fd)(const void *driven);
    short (*wants)(const void *driven);
    int64_t (*deadline_ms)(const void *driven);
    void (*step)(void *driven, short revents, int64_t now_ms);
    /* Hand one event up, or return false. */
    bool (*hand_up)(struct driver *d);
};

struct driver {
    uv_timer_t timer;
    uv_prepare_t prepare;
    const struct driven_ops *ops;
    void *driven;        /* borrowed; NULL after driver_free() */
    struct watch *watch; /* owned; NULL while there is no descriptor */
    union {
        driver_event_fn *session;
        driver_redis_fn *redis;
    } on_event;
    void *ctx;
    int handles; /* timer and prepare that are not closed yet */
    bool is_stepping;
};

static void watch_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void close_watch(struct driver *d)
{
    if (!d->watch)
        return;
    d->watch->driver = NULL;
    uv_close((uv_handle_t *)&d->watch->poll, watch_closed);
    d->watch = NULL;
}

static void step(struct driver *d, short revents);

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct watch *w = poll->data;
    if (!w->driver)
        return;

    int revents = 0;
    if (status < 0) {
        /* libuv has stopped the handle. It need not be the socket's own error: a child
         * that is still between fork and exec keeps the socket alive that had this number
         * before, and epoll goes on reporting it. */
        w->wanted = 0;
        revents = POLLERR;
    }
    if (events & (UV_READABLE | UV_DISCONNECT))
        revents |= POLLIN;
    if (events & UV_WRITABLE)
        revents |= POLLOUT;
    step(w->driver, (short)revents);
}

/* On failure the connection's own deadline for the attempt decides. */
static void open_watch(struct driver *d, int fd)
{
    struct watch *w = calloc(1, sizeof(*w));
    if (!w)
        return;
    if (uv_poll_init(d->timer.loop, &w->poll, fd) != 0) {
        free(w);
        return;
    }
    w->poll.data = w;
    w->driver = d;
    w->fd = fd;
    d->watch = w;
}

static void arm_watch(struct driver *d)
{
    int fd = d->ops->fd(d->driven);
    if (d->watch && d->watch->fd != fd)
        close_watch(d);
    if (!d->watch && fd >= 0)
        open_watch(d, fd);
    if (!d->watch)
        return;

    short wants = d->ops->wants(d->driven);
    int wanted = (wants & POLLIN ? UV_READABLE : 0) | (wants & POLLOUT ? UV_WRITABLE : 0);
    if (wanted == d->watch->wanted)
        return;
    d->watch->wanted = wanted;
    if (wanted == 0)
        uv_poll_stop(&d->watch->poll);
    else
        uv_poll_start(&d->watch->poll, wanted, on_ready);
}

static void on_timer(uv_timer_t *timer)
{
    (void)timer; /* the prepare handle looks at the deadline anyway */
}

/* The loop's own idea of now is older than ours, so the timer may fire a little early;
 * it is then set again. */
static void arm_timer(struct driver *d)
{
    int64_t deadline = d->ops->deadline_ms(d->driven);
    if (deadline == CLOCK_NEVER) {
        uv_timer_stop(&d->timer);
        return;
    }
    int64_t wait_ms = deadline - clock_mono_ms();
    uv_timer_start(&d->timer, on_timer, wait_ms > 0 ? (uint64_t)wait_ms : 0, 0);
}

static void step(struct driver *d, short revents)
{
    d->is_stepping = true;
    d->ops->step(d->driven, revents, clock_mono_ms());
    while (d->driven && d->ops->hand_up(d))
        ;
    d->is_stepping = false;
    /* Now, and not at the end of the turn: another callback may open a descriptor that
     * gets the number of the one that has just been closed. */
    if (d->driven)
        arm_watch(d);
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct driver *d = prepare->data;

    if (d->ops->deadline_ms(d->driven) <= clock_mono_ms())
        step(d, 0);
    if (!d->driven)
        return;
    arm_watch(d);
    arm_timer(d);
}

static struct driver *start(
        uv_loop_t *loop, const struct driven_ops *ops, void *driven, void *ctx)
{
    struct driver *d = calloc(1, sizeof(*d));
    if (!d)
        return NULL;
    d->ops = ops;
    d->driven = driven;
    d->ctx = ctx;
    d->handles = 2;
    uv_timer_init(loop, &d->timer);
    d->timer.data = d;
    uv_prepare_init(loop, &d->prepare);
    d->prepare.data = d;
    uv_prepare_start(&d->prepare, on_prepare);
    return d;
}

/* --- a session ----------------------------------------------------------------------
 */

static int fd_of_session(const void *driven)
{
    return session_fd(driven);
}

static short wants_of_session(const void *driven)
{
    return session_wants(driven);
}

static int64_t deadline_of_session(const void *driven)
{
    return session_deadline_ms(driven);
}

static void step_session(void *driven, short revents, int64_t now_ms)
{
    session_step(driven, revents, now_ms);
}

static bool hand_up_of_session(struct driver *d)
{
    struct session_event ev;
    if (!session_next_event(d->driven, &ev))
        return false;
    d->on_event.session(d->ctx, &ev);
    session_event_fini(&ev);
    return true;
}

struct driver *driver_new(
        uv_loop_t *loop, struct session *s, driver_event_fn *on_event, void *ctx)
{
    static const struct driven_ops ops = {fd_of_session, wants_of_session,
            deadline_of_session, step_session, hand_up_of_session};
    struct driver *d = start(loop, &ops, s, ctx);
    if (d)
        d->on_event.session = on_event;
    return d;
}

/* --- redis ---------------------------------------------------------------------------
 */

static int fd_of_redis(const void *driven)
{
    return redis_fd(driven);
}

static short wants_of_redis(const void *driven)
{
    return redis_wants(driven);
}

static int64_t deadline_of_redis(const void *driven)
{
    return redis_deadline_ms(driven);
}

static void step_redis(void *driven, short revents, int64_t now_ms)
{
    redis_step(driven, revents, now_ms);
}

static bool hand_up_of_redis(struct driver *d)
{
    struct redis_event ev;
    if (!redis_next_event(d->driven, &ev))
        return false;
    d->on_event.redis(d->ctx, &ev);
    redis_event_fini(&ev);
    return true;
}

struct driver *driver_new_redis(
        uv_loop_t *loop, struct redis *r, driver_redis_fn *on_event, void *ctx)
{
    static const struct driven_ops ops = {
            fd_of_redis, wants_of_redis, deadline_of_redis, step_redis, hand_up_of_redis};
    struct driver *d = start(loop, &ops, r, ctx);
    if (d)
        d->on_event.redis = on_event;
    return d;
}

/* --- the end -------------------------------------------------------------------------
 */

static void handle_closed(uv_handle_t *handle)
{
    struct driver *d = handle->data;
    if (--d->handles == 0)
        free(d);
}

void driver_free(struct driver *d)
{
    if (!d)
        return;
    d->driven = NULL;
    close_watch(d);
    uv_close((uv_handle_t *)&d->timer, handle_closed);
    uv_close((uv_handle_t *)&d->prepare, handle_closed);
}

void driver_flush(struct driver *d)
{
    if (!d->is_stepping)
        step(d, 0);
}
