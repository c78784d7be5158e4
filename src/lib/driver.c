/* SPDX-License-Identifier: MIT */
/*
 * driver.c - the thread that owns a client's connection.
 *
 * It polls, steps the session, hands events on and publishes what the outbox gives it,
 * with the client's lock held all the time but while it waits. It blocks every signal, so
 * that none of the program's handlers ever runs here; a write to a dead socket raises its
 * SIGPIPE into the void.
 */
#include "base/clock.h"
#include "base/error.h"
#include "lib/client_impl.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { GOODBYE_MS = 1000, REPLY_RETRY_MS = 500, OUTPUT_HIGH = 1024 * 1024 };
enum { AMQP_NOT_FOUND = 404, AMQP_RESOURCE_LOCKED = 405 };
enum { COOKIE_CONSUMING = 1 }; /* of calls on the reply channel */

static bool is_same(struct amqp_channel a, struct amqp_channel b)
{
    return a.number == b.number && a.generation == b.generation;
}

/* --- the two channels ------------------------------------------------------------- */

/* When a call fails the connection is as good as lost: SESSION_DOWN follows, or the next
 * turn tries again. */
static void open_publish_channel(struct coney_client *c)
{
    if (session_channel_open(c->session, &c->publish_channel) != CONEY_OK ||
            session_confirm_select(c->session, c->publish_channel) != CONEY_OK)
        c->publish_channel = (struct amqp_channel){.number = 0};
}

/* Exclusive: it is gone with the connection, and nobody else reads our results. */
static void open_reply_channel(struct coney_client *c, int64_t now_ms)
{
    struct queue_declare q = {
            .queue = c->reply_queue, .exclusive = true, .auto_delete = true};
    struct consume consume = {
            .queue = c->reply_queue, .consumer_tag = "", .no_ack = true};
    c->reply_state = REPLY_ASKED_FOR;
    if (session_channel_open(c->session, &c->reply_channel) != CONEY_OK ||
            session_declare_queue(c->session, c->reply_channel, &q, 0) != CONEY_OK ||
            session_consume(c->session, c->reply_channel, &consume, COOKIE_CONSUMING) !=
                    CONEY_OK) {
        c->reply_state = REPLY_ABSENT;
        c->reply_retry_ms = now_ms + REPLY_RETRY_MS;
    }
}

static void lose_replies(struct coney_client *c, int64_t retry_ms)
{
    c->reply_channel = (struct amqp_channel){.number = 0};
    c->reply_state = REPLY_ABSENT;
    c->reply_retry_ms = retry_ms;
    c->reply_error = (struct coney_error){.rc = CONEY_OK};
}

/* --- events ----------------------------------------------------------------------- */

static void take_up(struct coney_client *c)
{
    c->refusals = 0;
    c->why = (struct coney_error){.rc = CONEY_OK};
    open_publish_channel(c);
    lose_replies(c, 0);
}

/* A refused login is final once every broker of the list has said so. */
static void take_down(struct coney_client *c, const struct session_event *ev)
{
    c->publish_channel = (struct amqp_channel){.number = 0};
    lose_replies(c, 0);
    c->refusals = ev->error.rc == CONEY_EREFUSED ? c->refusals + 1 : 0;
    error_set(&c->why, ev->error.rc == CONEY_EREFUSED ? CONEY_EREFUSED : CONEY_ECLOSED,
            "not sent: %.220s", ev->error.text);
    if (c->refusals >= c->url_count)
        outbox_fail(&c->outbox, OUTBOX_ALL, &c->why);
}

static void take_refused_publish(struct coney_client *c, const struct session_event *ev)
{
    struct coney_error why;
    if (ev->code == AMQP_NOT_FOUND)
        error_set(&why, CONEY_ENOTFOUND,
                "the delay levels do not exist, a worker has to declare them first: "
                "%.150s",
                ev->error.text);
    else
        error_set(&why, ev->error.rc, "the broker refused it: %.200s", ev->error.text);
    outbox_refused(&c->outbox, ev->channel.generation, &why);
    open_publish_channel(c);
}

/* Locked: a connection of ours that the broker still takes for alive holds the name. */
static void take_refused_reply(
        struct coney_client *c, const struct session_event *ev, int64_t now_ms)
{
    lose_replies(c, now_ms + REPLY_RETRY_MS);
    if (ev->code == AMQP_RESOURCE_LOCKED)
        return;
    error_set(&c->reply_error, ev->error.rc, "no queue for results: %.200s",
            ev->error.text);
    outbox_fail(&c->outbox, OUTBOX_REPLIES, &c->reply_error);
}

/* What can't be read is nobody's result: there is nothing better to do than to drop it.
 */
static void take_delivery(struct coney_client *c, const struct session_event *ev)
{
    struct result_message m;
    if (ev->delivery.flaw != DELIVERY_WHOLE)
        return;
    if (result_decode(&ev->delivery.envelope, &m, NULL) != CONEY_OK)
        return;
    (void)!replies_put(&c->replies, &m);
    result_message_fini(&m);
}

static void take_event(
        struct coney_client *c, const struct session_event *ev, int64_t now_ms)
{
    bool is_reply = is_same(ev->channel, c->reply_channel);
    switch (ev->type) {
    case SESSION_UP:
        take_up(c);
        return;
    case SESSION_DOWN:
        take_down(c, ev);
        return;
    case SESSION_BLOCKED:
        error_set(&c->why, CONEY_ENACKED, "not sent: the broker takes nothing: %.200s",
                ev->error.text);
        return;
    case SESSION_UNBLOCKED:
        c->why = (struct coney_error){.rc = CONEY_OK};
        return;
    case SESSION_REPLY:
        if (is_reply && ev->cookie == COOKIE_CONSUMING)
            c->reply_state = REPLY_READY;
        return;
    case SESSION_CHANNEL_CLOSED:
        if (is_reply)
            take_refused_reply(c, ev, now_ms);
        else if (is_same(ev->channel, c->publish_channel))
            take_refused_publish(c, ev);
        return;
    case SESSION_DELIVERY:
        take_delivery(c, ev);
        return;
    case SESSION_CANCELLED: /* somebody has deleted the queue */
        (void)!session_channel_close(c->session, c->reply_channel);
        lose_replies(c, now_ms + REPLY_RETRY_MS);
        return;
    case SESSION_PUBLISHED:
        outbox_outcome(&c->outbox, ev->cookie, ev->outcome, now_ms, &c->rng);
        return;
    case SESSION_RETURNED: /* its outcome follows */
        return;
    }
}

static void take_events(struct coney_client *c, int64_t now_ms)
{
    struct session_event ev;
    while (session_next_event(c->session, &ev)) {
        take_event(c, &ev, now_ms);
        session_event_fini(&ev);
    }
}

/* --- publishing ------------------------------------------------------------------- */

/* Where it goes depends on when: the delay is counted from now, however often it is
 * published. */
static enum coney_rc publish(struct coney_client *c, struct outgoing *o)
{
    struct publish p = {.exchange = "",
            .routing_key = o->queue,
            .mandatory = true,
            .envelope = &o->envelope};
    struct delay_route route;
    int64_t delay_s = delay_seconds(clock_wall_us(), o->eta_us);
    if (delay_s > 0) {
        const char *prefix = c->config->broker.prefix;
        enum coney_rc rc = delay_route(prefix, delay_s, o->queue, &route);
        if (rc != CONEY_OK)
            return rc;
        p.exchange = route.exchange;
        p.routing_key = route.routing_key;
    }
    return session_publish(c->session, c->publish_channel, &p, o->cookie);
}

static bool can_publish(const struct coney_client *c)
{
    return c->publish_channel.number != 0 && !session_is_blocked(c->session) &&
           session_output_len(c->session) < OUTPUT_HIGH;
}

/* Returns whether there is something to write now. */
static bool publish_all(struct coney_client *c, int64_t now_ms)
{
    bool has_published = false;
    while (can_publish(c)) {
        struct outgoing *o =
                outbox_next(&c->outbox, now_ms, c->reply_state == REPLY_READY);
        if (!o)
            break;
        enum coney_rc rc = publish(c, o);
        if (rc == CONEY_ECLOSED || rc == CONEY_ELIMIT)
            break; /* not for long: SESSION_DOWN, or room after the next write */
        if (rc != CONEY_OK) {
            struct coney_error why;
            error_set(&why, rc, "can't be published: %s", coney_rc_name(rc));
            outbox_reject(&c->outbox, o, &why);
            continue;
        }
        outbox_sent(&c->outbox, o, c->publish_channel.generation);
        has_published = true;
    }
    return has_published;
}

static void tend_replies(struct coney_client *c, int64_t now_ms)
{
    if (!c->wants_replies || !session_is_up(c->session))
        return;
    if (c->reply_state != REPLY_ABSENT)
        return;
    if (now_ms >= c->reply_retry_ms)
        open_reply_channel(c, now_ms);
    else if (c->reply_error.rc != CONEY_OK)
        outbox_fail(&c->outbox, OUTBOX_REPLIES, &c->reply_error);
}

/* --- the loop --------------------------------------------------------------------- */

static void expire(struct coney_client *c, int64_t now_ms)
{
    struct coney_error why = c->why;
    if (outbox_deadline_ms(&c->outbox) > now_ms)
        return;
    if (why.rc == CONEY_OK && !session_is_up(c->session))
        error_set(&why, CONEY_ECLOSED, "not sent: no connection yet (%.200s)",
                session_peer(c->session));
    outbox_expire(&c->outbox, now_ms, why.rc != CONEY_OK ? &why : NULL);
}

/* Everything that can be done without waiting. */
static void turn(struct coney_client *c, short revents)
{
    bool again;
    do {
        int64_t now_ms = clock_mono_ms();
        session_step(c->session, revents, now_ms);
        take_events(c, now_ms);
        expire(c, now_ms);
        bool had_replies = c->reply_state != REPLY_ABSENT;
        tend_replies(c, now_ms);
        again = publish_all(c, now_ms);
        again |= !had_replies && c->reply_state != REPLY_ABSENT;
        revents = 0;
    } while (again);
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int timeout_ms(const struct coney_client *c)
{
    int64_t deadline = session_deadline_ms(c->session);
    deadline = earlier(deadline, outbox_deadline_ms(&c->outbox));
    if (can_publish(c))
        deadline = earlier(deadline, outbox_wake_ms(&c->outbox));
    if (c->wants_replies && session_is_up(c->session) && c->reply_state == REPLY_ABSENT)
        deadline = earlier(deadline, c->reply_retry_ms);
    if (deadline == CLOCK_NEVER)
        return -1;
    int64_t now_ms = clock_mono_ms();
    if (deadline <= now_ms)
        return 0;
    return deadline - now_ms > INT32_MAX ? INT32_MAX : (int)(deadline - now_ms);
}

static short wait_for_something(struct coney_client *c)
{
    struct pollfd fds[2] = {{.fd = c->wake_fd, .events = POLLIN},
            {.fd = session_fd(c->session), .events = session_wants(c->session)}};
    int timeout = timeout_ms(c);
    uint64_t count;
    pthread_mutex_unlock(&c->lock);
    int ready = poll(fds, 2, timeout);
    pthread_mutex_lock(&c->lock);
    c->is_woken = false;
    if (ready <= 0)
        return 0;
    if (fds[0].revents != 0)
        (void)!read(c->wake_fd, &count, sizeof(count));
    return fds[1].revents;
}

/* Turns until the broker has answered the goodbye or its time is up. */
static void say_goodbye(struct coney_client *c)
{
    int64_t end_ms = clock_mono_ms() + GOODBYE_MS;
    struct session_event ev;
    bool is_over = !session_is_up(c->session);
    session_close(c->session, GOODBYE_MS);
    while (!is_over && clock_mono_ms() < end_ms) {
        session_step(c->session, 0, clock_mono_ms());
        short revents = wait_for_something(c);
        session_step(c->session, revents, clock_mono_ms());
        while (session_next_event(c->session, &ev)) {
            is_over |= ev.type == SESSION_DOWN;
            session_event_fini(&ev);
        }
    }
}

static void *drive(void *argument)
{
    struct coney_client *c = argument;
    short revents = 0;
    pthread_mutex_lock(&c->lock);
    while (!c->is_stopping) {
        turn(c, revents);
        pthread_cond_broadcast(&c->changed);
        revents = wait_for_something(c);
    }
    say_goodbye(c);
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

/* --- from outside ----------------------------------------------------------------- */

static enum coney_rc create_thread(struct coney_client *c, struct coney_error *err)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    errno = pthread_create(&c->thread, NULL, drive, c);
    int failed = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = failed;
    return failed == 0 ? CONEY_OK : error_set_errno(err, "can't start a thread");
}

enum coney_rc driver_start(struct coney_client *c, struct coney_error *err)
{
    if (c->is_running)
        return CONEY_OK;
    c->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (c->wake_fd < 0)
        return error_set_errno(err, "eventfd");
    enum coney_rc rc = create_thread(c, err);
    if (rc != CONEY_OK) {
        close(c->wake_fd);
        c->wake_fd = -1;
        return rc;
    }
    c->owner = getpid();
    c->is_running = true;
    return CONEY_OK;
}

void driver_wake(struct coney_client *c)
{
    uint64_t one = 1;
    if (c->is_woken)
        return;
    c->is_woken = true;
    (void)!write(c->wake_fd, &one, sizeof(one));
}

void driver_stop(struct coney_client *c)
{
    if (!c->is_running)
        return;
    c->is_stopping = true;
    driver_wake(c);
    pthread_mutex_unlock(&c->lock);
    pthread_join(c->thread, NULL);
    pthread_mutex_lock(&c->lock);
    c->is_running = false;
}
