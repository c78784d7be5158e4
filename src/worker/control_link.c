/* SPDX-License-Identifier: MIT */
/* control_link.c - mailbox, replies and events, each on a channel of its own. */
#include "worker/control_link.h"

#include "base/error.h"
#include "loop/driver.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    REOPEN_MS = 1000,
    REFUSED_REOPEN_MS = 10000, /* somebody must act */
    CLOSE_TIMEOUT_MS = 2000,
    /* Bytes waiting in the session, from which on events and replies are dropped. */
    EVENTS_OUTPUT_MAX = 4 * 1024 * 1024,
    REPLIES_OUTPUT_MAX = 32 * 1024 * 1024,
    /* As kombu declares a mailbox. */
    MAILBOX_EXPIRES_MS = 10000,
    MAILBOX_TTL_MS = 300000,
    RESOURCE_LOCKED = 405,
    NOT_FOUND = 404
};

enum cookie { COOKIE_MADE = 1, COOKIE_MAILBOX, COOKIE_CONSUME };

struct control_link {
    struct session *session; /* owned */
    struct driver *driver;   /* owned */
    struct control_link_callbacks callbacks;
    struct amqp_channel channels[CONTROL_CHANNELS];
    char *node; /* owned, like the next three */
    char *exchange;
    char *events_exchange;
    char *consumer_tag;
    uv_timer_t *timer; /* open channels again; freed by its close callback */
    bool had_mailbox;
    bool ready;
    bool closing;
};

/* --- channels ----------------------------------------------------------------------- */

static enum coney_rc declare_exchange(
        struct control_link *l, struct amqp_channel ch, const struct exchange_declare *x)
{
    return session_declare_exchange(l->session, ch, x, COOKIE_MADE);
}

/* celery.pidbox and reply.celery.pidbox. */
static enum coney_rc declare_pidbox(struct control_link *l, struct amqp_channel ch)
{
    char requests[256], replies[256];
    const struct exchange_declare fanout = {.exchange = requests, .type = "fanout"};
    const struct exchange_declare direct = {.exchange = replies, .type = "direct"};

    snprintf(requests, sizeof(requests), "%s.pidbox", l->exchange);
    snprintf(replies, sizeof(replies), "reply.%s.pidbox", l->exchange);
    enum coney_rc rc = declare_exchange(l, ch, &fanout);
    return rc == CONEY_OK ? declare_exchange(l, ch, &direct) : rc;
}

static enum coney_rc declare_mailbox(
        struct control_link *l, struct amqp_channel ch, const char *queue)
{
    struct arena *a = arena_new(0);
    struct table arguments = {.count = 0};
    const struct queue_declare q = {
            .queue = queue,
            .exclusive = true,
            .auto_delete = true,
            .arguments = &arguments,
    };
    enum coney_rc rc = CONEY_ENOMEM;

    if (a)
        rc = table_set_integer(&arguments, a, "x-expires", MAILBOX_EXPIRES_MS);
    if (rc == CONEY_OK)
        rc = table_set_integer(&arguments, a, "x-message-ttl", MAILBOX_TTL_MS);
    if (rc == CONEY_OK)
        rc = session_declare_queue(l->session, ch, &q, COOKIE_MAILBOX);
    arena_free(a);
    return rc;
}

static enum coney_rc open_mailbox(struct control_link *l, struct amqp_channel ch)
{
    char queue[256], exchange[256];
    const struct binding b = {.to = queue, .from = exchange, .key = ""};
    const struct consume c = {
            .queue = queue, .consumer_tag = l->consumer_tag, .no_ack = true};

    snprintf(queue, sizeof(queue), "%s.%s.pidbox", l->node, l->exchange);
    snprintf(exchange, sizeof(exchange), "%s.pidbox", l->exchange);
    enum coney_rc rc = declare_pidbox(l, ch);
    if (rc == CONEY_OK)
        rc = declare_mailbox(l, ch, queue);
    if (rc == CONEY_OK)
        rc = session_bind_queue(l->session, ch, &b, COOKIE_MADE);
    if (rc == CONEY_OK)
        rc = session_consume(l->session, ch, &c, COOKIE_CONSUME);
    return rc;
}

static enum coney_rc set_up(struct control_link *l, enum control_channel which)
{
    struct amqp_channel ch = l->channels[which];
    const struct exchange_declare events = {
            .exchange = l->events_exchange, .type = "topic", .durable = true};

    switch (which) {
    case CONTROL_MAILBOX:
        return open_mailbox(l, ch);
    case CONTROL_EVENTS:
        return declare_exchange(l, ch, &events);
    case CONTROL_REPLIES:
    case CONTROL_CHANNELS:
        break;
    }
    return CONEY_OK;
}

static void open_later(struct control_link *l, unsigned delay_ms);

static void open_channels(struct control_link *l)
{
    for (int i = 0; i < CONTROL_CHANNELS; i++) {
        if (session_channel_is_open(l->session, l->channels[i]))
            continue;
        enum coney_rc rc = session_channel_open(l->session, &l->channels[i]);
        if (rc == CONEY_OK)
            rc = set_up(l, (enum control_channel)i);
        if (rc != CONEY_OK) {
            (void)!session_channel_close(l->session, l->channels[i]);
            l->channels[i] = (struct amqp_channel){.number = 0};
            open_later(l, REOPEN_MS);
        }
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct control_link *l = timer->data;
    if (session_is_up(l->session) && !l->closing)
        open_channels(l);
}

static void open_later(struct control_link *l, unsigned delay_ms)
{
    if (!l->closing)
        uv_timer_start(l->timer, on_timer, delay_ms, 0);
}

/* CONTROL_CHANNELS: none of ours. */
static enum control_channel find_channel(
        const struct control_link *l, struct amqp_channel ch)
{
    for (int i = 0; i < CONTROL_CHANNELS; i++)
        if (ch.number != 0 && ch.number == l->channels[i].number &&
                ch.generation == l->channels[i].generation)
            return (enum control_channel)i;
    return CONTROL_CHANNELS;
}

/* --- events ------------------------------------------------------------------------- */

static void handle_closed_channel(
        struct control_link *l, enum control_channel which, struct session_event *ev)
{
    l->channels[which] = (struct amqp_channel){.number = 0};
    if (which == CONTROL_MAILBOX)
        l->ready = false;
    if (which == CONTROL_MAILBOX && ev->code == RESOURCE_LOCKED) {
        open_later(l, REOPEN_MS);
        l->callbacks.on_name_taken(l->callbacks.ctx);
        return;
    }
    /* A client that has taken its exchange with it concerns nobody. */
    bool is_lost_reply = which == CONTROL_REPLIES && ev->code == NOT_FOUND;
    if (!is_lost_reply)
        l->callbacks.on_refused(l->callbacks.ctx, &ev->error);
    open_later(l, is_lost_reply ? 0 : REFUSED_REOPEN_MS);
}

static void handle_cancelled(struct control_link *l, enum control_channel which)
{
    (void)!session_channel_close(l->session, l->channels[which]);
    l->channels[which] = (struct amqp_channel){.number = 0};
    l->ready = false;
    open_later(l, REOPEN_MS);
}

static void handle_ours(
        struct control_link *l, enum control_channel which, struct session_event *ev)
{
    switch (ev->type) {
    case SESSION_REPLY:
        if (ev->cookie != COOKIE_CONSUME)
            break;
        l->had_mailbox = true;
        l->ready = true;
        l->callbacks.on_ready(l->callbacks.ctx);
        break;
    case SESSION_DELIVERY:
        if (ev->delivery.flaw == DELIVERY_WHOLE)
            l->callbacks.on_request(l->callbacks.ctx, &ev->delivery.envelope);
        break;
    case SESSION_CHANNEL_CLOSED:
        handle_closed_channel(l, which, ev);
        break;
    case SESSION_CANCELLED:
        handle_cancelled(l, which);
        break;
    case SESSION_UP:
    case SESSION_DOWN:
    case SESSION_BLOCKED:
    case SESSION_UNBLOCKED:
    case SESSION_PUBLISHED:
    case SESSION_RETURNED:
        break;
    }
}

static void handle_down(struct control_link *l, struct session_event *ev)
{
    l->ready = false;
    uv_timer_stop(l->timer);
    l->callbacks.on_other(l->callbacks.ctx, ev);
    if (l->closing)
        l->callbacks.on_closed(l->callbacks.ctx);
    else
        l->callbacks.on_down(l->callbacks.ctx, ev);
}

static void on_event(void *ctx, struct session_event *ev)
{
    struct control_link *l = ctx;

    if (ev->type == SESSION_DOWN) {
        handle_down(l, ev);
        return;
    }
    if (ev->type == SESSION_UP && !l->closing) {
        l->callbacks.on_up(l->callbacks.ctx, l->session);
        open_channels(l);
    }
    enum control_channel which = find_channel(l, ev->channel);
    if (which != CONTROL_CHANNELS)
        handle_ours(l, which, ev);
    else
        l->callbacks.on_other(l->callbacks.ctx, ev);
}

/* --- publishing --------------------------------------------------------------------- */

static enum coney_rc transmit(struct control_link *l, enum control_channel which,
        const struct publish *p, size_t output_max)
{
    /* A publish during an alarm would stop the whole connection, heartbeats included. */
    if (!session_channel_is_open(l->session, l->channels[which]) ||
            session_is_blocked(l->session))
        return CONEY_ECLOSED;
    if (session_output_len(l->session) > output_max)
        return CONEY_ELIMIT;
    return session_publish(l->session, l->channels[which], p, 0);
}

enum coney_rc control_link_reply(struct control_link *l, const char *exchange,
        const char *key, const struct envelope *e)
{
    const struct publish p = {.exchange = exchange, .routing_key = key, .envelope = e};
    return transmit(l, CONTROL_REPLIES, &p, REPLIES_OUTPUT_MAX);
}

enum coney_rc control_link_event(
        struct control_link *l, const char *key, const struct envelope *e)
{
    const struct publish p = {
            .exchange = l->events_exchange, .routing_key = key, .envelope = e};
    return transmit(l, CONTROL_EVENTS, &p, EVENTS_OUTPUT_MAX);
}

/* --- making and unmaking ------------------------------------------------------------ */

static void free_timer(uv_handle_t *handle)
{
    free(handle);
}

static enum coney_rc copy_names(
        struct control_link *l, const struct control_link_options *options)
{
    l->node = strdup(options->node);
    l->exchange = strdup(options->exchange);
    l->events_exchange = strdup(options->events_exchange);
    l->consumer_tag = strdup(options->consumer_tag);
    return l->node && l->exchange && l->events_exchange && l->consumer_tag ? CONEY_OK
                                                                           : CONEY_ENOMEM;
}

enum coney_rc control_link_new(const struct control_link_options *options,
        struct control_link **out, struct coney_error *err)
{
    struct control_link *l = calloc(1, sizeof(*l));
    if (!l)
        return error_set_nomem(err);
    l->callbacks = options->callbacks;
    enum coney_rc rc = session_new(options->session, options->rng, &l->session, err);
    if (rc != CONEY_OK)
        goto out;
    rc = copy_names(l, options);
    l->timer = calloc(1, sizeof(*l->timer));
    if (l->timer) {
        uv_timer_init(options->loop, l->timer);
        l->timer->data = l;
    }
    if (rc == CONEY_OK && l->timer)
        l->driver = driver_new(options->loop, l->session, on_event, l);
    if (!l->driver) {
        rc = error_set_nomem(err);
        goto out;
    }
    *out = l;
    return CONEY_OK;
out:
    control_link_free(l);
    return rc;
}

void control_link_free(struct control_link *l)
{
    if (!l)
        return;
    driver_free(l->driver);
    session_free(l->session);
    if (l->timer)
        uv_close((uv_handle_t *)l->timer, free_timer);
    free(l->node);
    free(l->exchange);
    free(l->events_exchange);
    free(l->consumer_tag);
    free(l);
}

void control_link_close(struct control_link *l)
{
    l->closing = true;
    uv_timer_stop(l->timer);
    session_close(l->session, CLOSE_TIMEOUT_MS);
}

enum coney_rc control_link_rename(struct control_link *l, const char *node)
{
    char *copy = strdup(node);
    if (!copy)
        return CONEY_ENOMEM;
    free(l->node);
    l->node = copy;
    open_later(l, 0);
    return CONEY_OK;
}

bool control_link_had_mailbox(const struct control_link *l)
{
    return l->had_mailbox;
}

bool control_link_is_ready(const struct control_link *l)
{
    return l->ready;
}

struct session *control_link_session(struct control_link *l)
{
    return l->session;
}
