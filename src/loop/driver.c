/* SPDX-License-Identifier: MIT */
/*
 * driver.c - a session between libuv's poll, timer and prepare handles.
 *
 * The prepare handle is the heart: it runs once a turn, after every callback, and steps
 * the session if it wants to be stepped. The timer only wakes the loop; the poll handle
 * only says that the socket is ready.
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

struct driver {
    uv_timer_t timer;
    uv_prepare_t prepare;
    struct session *session; /* borrowed; NULL after driver_free() */
    struct watch *watch;     /* owned; NULL while the session has no descriptor */
    driver_event_fn *on_event;
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

/* On failure the session's own deadline for the attempt decides. */
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
    int fd = session_fd(d->session);
    if (d->watch && d->watch->fd != fd)
        close_watch(d);
    if (!d->watch && fd >= 0)
        open_watch(d, fd);
    if (!d->watch)
        return;

    short wants = session_wants(d->session);
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
    int64_t deadline = session_deadline_ms(d->session);
    if (deadline == CLOCK_NEVER) {
        uv_timer_stop(&d->timer);
        return;
    }
    int64_t wait_ms = deadline - clock_mono_ms();
    uv_timer_start(&d->timer, on_timer, wait_ms > 0 ? (uint64_t)wait_ms : 0, 0);
}

static void step(struct driver *d, short revents)
{
    struct session_event ev;

    d->is_stepping = true;
    session_step(d->session, revents, clock_mono_ms());
    while (d->session && session_next_event(d->session, &ev)) {
        d->on_event(d->ctx, &ev);
        session_event_fini(&ev);
    }
    d->is_stepping = false;
    /* Now, and not at the end of the turn: another callback may open a descriptor that
     * gets the number of the one the session has just closed. */
    if (d->session)
        arm_watch(d);
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct driver *d = prepare->data;

    if (session_deadline_ms(d->session) <= clock_mono_ms())
        step(d, 0);
    if (!d->session)
        return;
    arm_watch(d);
    arm_timer(d);
}

struct driver *driver_new(
        uv_loop_t *loop, struct session *s, driver_event_fn *on_event, void *ctx)
{
    struct driver *d = calloc(1, sizeof(*d));
    if (!d)
        return NULL;
    d->session = s;
    d->on_event = on_event;
    d->ctx = ctx;
    d->handles = 2;
    uv_timer_init(loop, &d->timer);
    d->timer.data = d;
    uv_prepare_init(loop, &d->prepare);
    d->prepare.data = d;
    uv_prepare_start(&d->prepare, on_prepare);
    return d;
}

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
    d->session = NULL;
    close_watch(d);
    uv_close((uv_handle_t *)&d->timer, handle_closed);
    uv_close((uv_handle_t *)&d->prepare, handle_closed);
}

void driver_flush(struct driver *d)
{
    if (!d->is_stepping)
        step(d, 0);
}
