/* SPDX-License-Identifier: MIT */
/*
 * seat.c - the connection, and the one channel from which the beat leads.
 *
 * Token and ticks go over the same channel: the broker hands the token on only after that
 * channel has ended, so nothing of ours can come after our successor has begun.
 */
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "beat/state.h"
#include "loop/driver.h"
#include "queue/broker.h"

#include <systemd/sd-daemon.h>

enum { COOKIE_INSPECT = 1, COOKIE_CONSUME = 2 }; /* those of act.c are far above */
enum {
    REOPEN_MS = 1000,
    REFUSED_REOPEN_MS = 10000 /* after a declaration was refused: somebody must act */
};

/* --- the channel
 * ------------------------------------------------------------------------------- */

static bool is_ours(const struct beat *b, struct amqp_channel ch)
{
    return b->channel.number != 0 && ch.number == b->channel.number &&
           ch.generation == b->channel.generation;
}

static void forget_channel(struct beat *b, const char *why)
{
    if (leader_state(b->leader) == LEADER_LEADING)
        log_info("no longer leading: %s  beat=%s epoch=%lld", why,
                b->plan->config->beat.name, (long long)leader_epoch(b->leader));
    leader_lost(b->leader);
    b->channel = (struct amqp_channel){.number = 0};
}

void seat_leave(struct beat *b, int64_t after_ms)
{
    (void)!session_channel_close(b->session, b->channel);
    forget_channel(b, "the channel is given up");
    b->reopen_ms = clock_mono_ms() + after_ms;
}

static void open_channel(struct beat *b)
{
    const struct queue_declare q = {.queue = b->token_queue, .passive = true};

    b->reopen_ms = CLOCK_NEVER;
    enum coney_rc rc = session_channel_open(b->session, &b->channel);
    if (rc == CONEY_OK)
        rc = session_confirm_select(b->session, b->channel);
    if (rc == CONEY_OK)
        rc = session_qos(b->session, b->channel, LEADER_PREFETCH);
    if (rc == CONEY_OK)
        rc = session_declare_queue(b->session, b->channel, &q, COOKIE_INSPECT);
    if (rc != CONEY_OK)
        seat_leave(b, REOPEN_MS);
}

static void consume(struct beat *b, const struct session_event *ev)
{
    const struct consume c = {.queue = b->token_queue, .consumer_tag = b->consumer_tag};

    b->is_empty = ev->message_count == 0 && ev->consumer_count == 0;
    if (session_consume(b->session, b->channel, &c, COOKIE_CONSUME) != CONEY_OK)
        seat_leave(b, REOPEN_MS);
}

static void stand_by(struct beat *b)
{
    const char *name = b->plan->config->beat.name;

    b->generation++;
    leader_opened(b->leader, b->is_empty, clock_mono_ms());
    leader_block(b->leader, session_is_blocked(b->session), clock_mono_ms());
    log_info("standing by  beat=%s entries=%zu", name, b->plan->config->entry_count);
    (void)sd_notifyf(0, "READY=1\nSTATUS=standing by, beat %s", name);
}

/* --- events
 * ------------------------------------------------------------------------------------ */

static void after_declaring(struct beat *b)
{
    enum declarer_state state = declarer_state(b->declarer);

    if (state == DECLARER_FAILED) {
        log_error("broker: %s; tried again in %d s", declarer_error(b->declarer)->text,
                REFUSED_REOPEN_MS / 1000);
        b->reopen_ms = clock_mono_ms() + REFUSED_REOPEN_MS;
    } else if (state == DECLARER_DONE && b->channel.number == 0 &&
               b->phase == BEAT_RUNNING) {
        open_channel(b);
    }
}

static void handle_down(struct beat *b, const struct session_event *ev)
{
    forget_channel(
            b, ev->retry_ms < 0 ? "the token is handed back" : "the connection is lost");
    b->reopen_ms = CLOCK_NEVER;
    if (ev->retry_ms < 0) {
        log_info("connection closed");
        beat_closed(b);
        return;
    }
    log_error("broker: %s; next attempt in %.1f s", ev->error.text,
            (double)ev->retry_ms / 1000);
    (void)sd_notify(0, "STATUS=connecting");
}

static void handle_channel_loss(struct beat *b, const struct session_event *ev)
{
    if (ev->type == SESSION_CANCELLED) {
        log_error("broker: the token's queue is gone; declared again  queue=%s",
                b->token_queue);
        (void)!session_channel_close(b->session, b->channel);
    } else {
        log_error("broker: %s; tried again", ev->error.text);
    }
    forget_channel(b, "the broker has ended the channel");
    b->reopen_ms = clock_mono_ms() + REOPEN_MS;
}

/* What concerns our channel. */
static void handle_channel(struct beat *b, const struct session_event *ev)
{
    switch (ev->type) {
    case SESSION_REPLY:
        if (ev->cookie == COOKIE_INSPECT)
            consume(b, ev);
        else if (ev->cookie == COOKIE_CONSUME)
            stand_by(b);
        break;
    case SESSION_DELIVERY:
        act_receive(b, &ev->delivery);
        break;
    case SESSION_CHANNEL_CLOSED:
    case SESSION_CANCELLED:
        handle_channel_loss(b, ev);
        break;
    case SESSION_PUBLISHED:
        act_published(b, ev->cookie, ev->outcome);
        break;
    case SESSION_UP:
    case SESSION_DOWN:
    case SESSION_BLOCKED:
    case SESSION_UNBLOCKED:
    case SESSION_RETURNED:
        break;
    }
}

static void handle_block(struct beat *b, const struct session_event *ev)
{
    bool is_blocked = ev->type == SESSION_BLOCKED;

    if (is_blocked)
        log_warning("broker alarm: %s; nothing is published until it is over",
                ev->error.text);
    else
        log_info("broker alarm is over");
    leader_block(b->leader, is_blocked, clock_mono_ms());
}

static void on_event(void *ctx, struct session_event *ev)
{
    struct beat *b = ctx;

    beat_wake(b);
    if (declarer_handle(b->declarer, b->session, ev)) {
        after_declaring(b);
    } else if (ev->type == SESSION_UP) {
        log_info("connected to %s %s", session_broker(b->session),
                session_peer(b->session));
        b->reopen_ms = clock_mono_ms();
    } else if (ev->type == SESSION_DOWN) {
        handle_down(b, ev);
    } else if (ev->type == SESSION_BLOCKED || ev->type == SESSION_UNBLOCKED) {
        handle_block(b, ev);
    } else if (is_ours(b, ev->channel)) {
        handle_channel(b, ev);
    }
}

/* --- the connection
 * ---------------------------------------------------------------------------- */

static enum coney_rc new_session(struct beat *b, const struct plan *plan,
        struct session **out, struct coney_error *err)
{
    const struct broker_identity id = {.role = "beat"};
    struct session_options options;
    struct arena *a = arena_new(0);
    enum coney_rc rc = a ? broker_options(plan->config, &id, a, &options) : CONEY_ENOMEM;

    if (rc == CONEY_OK) {
        options.body_max = TOKEN_SIZE_MAX;
        rc = session_new(&options, &b->rng, out, err);
    } else {
        error_set_nomem(err);
    }
    arena_free(a);
    return rc;
}

enum coney_rc seat_try(struct beat *b, const struct plan *plan, struct coney_error *err)
{
    struct session *s = NULL;
    enum coney_rc rc = new_session(b, plan, &s, err);
    session_free(s);
    return rc;
}

enum coney_rc seat_connect(struct beat *b, struct coney_error *err)
{
    const struct config *c = b->plan->config;
    const struct leader_options options = {
            .heartbeat_ms = (int64_t)c->broker.heartbeat_s * 1000,
            .writer = b->writer,
    };

    name_of_token(c->beat.name, c->broker.prefix, b->token_queue);
    b->channel = (struct amqp_channel){.number = 0};
    b->reopen_ms = CLOCK_NEVER;
    enum coney_rc rc = new_session(b, b->plan, &b->session, err);
    if (rc != CONEY_OK)
        return rc;
    b->leader = leader_new(&options, b->plan->agenda);
    b->declarer = declarer_new(b->plan->topology);
    b->driver = driver_new(&b->loop, b->session, on_event, b);
    if (!b->leader || !b->declarer || !b->driver)
        return error_set_nomem(err);
    return CONEY_OK;
}

void seat_disconnect(struct beat *b)
{
    driver_free(b->driver);
    session_free(b->session);
    declarer_free(b->declarer);
    leader_free(b->leader);
    b->driver = NULL;
    b->session = NULL;
    b->declarer = NULL;
    b->leader = NULL;
}

enum coney_rc seat_declare_plan(struct beat *b)
{
    struct declarer *d = declarer_new(b->plan->topology);
    if (!d)
        return CONEY_ENOMEM;
    declarer_free(b->declarer);
    b->declarer = d;
    if (session_is_up(b->session))
        b->reopen_ms = clock_mono_ms();
    return CONEY_OK;
}

void seat_look(struct beat *b)
{
    if (b->phase != BEAT_RUNNING || b->is_reconnecting ||
            clock_mono_ms() < b->reopen_ms || !session_is_up(b->session) ||
            declarer_state(b->declarer) == DECLARER_BUSY)
        return;
    b->reopen_ms = CLOCK_NEVER;
    if (declarer_start(b->declarer, b->session) != CONEY_OK)
        b->reopen_ms = clock_mono_ms() + REOPEN_MS;
}
