/* SPDX-License-Identifier: MIT */
/*
 * declarer.c - one channel, all declarations on their way at once, answers counted.
 *
 * A cookie is an item's place in the list plus one, so an answer or a refusal leads back
 * to the object it is about. What a refusal means is refusal.h's to say.
 */
#include "queue/declarer.h"

#include "base/error.h"
#include "queue/refusal.h"

#include <stdlib.h>
#include <string.h>

struct declarer {
    const struct topology *topology; /* borrowed */
    enum declarer_state state;
    struct amqp_channel channel;
    size_t answered;
    int64_t *ready; /* owned; per item, -1 unknown */
    struct coney_error error;
};

static void forget(struct declarer *d)
{
    for (size_t i = 0; i < d->topology->count; i++)
        d->ready[i] = -1;
    d->answered = 0;
    d->channel = (struct amqp_channel){.number = 0};
    d->error = (struct coney_error){.rc = CONEY_OK};
    d->state = DECLARER_IDLE;
}

struct declarer *declarer_new(const struct topology *topology)
{
    struct declarer *d = calloc(1, sizeof(*d));
    if (!d)
        return NULL;
    d->topology = topology;
    d->ready = calloc(topology->count + 1, sizeof(*d->ready));
    if (!d->ready) {
        free(d);
        return NULL;
    }
    forget(d);
    return d;
}

void declarer_free(struct declarer *d)
{
    if (!d)
        return;
    free(d->ready);
    free(d);
}

static enum coney_rc send_queue(struct session *s, struct amqp_channel ch,
        const struct declaration *item, uint64_t cookie)
{
    struct queue_declare q = {.queue = item->name, .durable = true};
    q.passive = item->mode == DECLARE_PASSIVE;
    q.arguments = q.passive ? NULL : &item->arguments;
    return session_declare_queue(s, ch, &q, cookie);
}

static enum coney_rc send_exchange(struct session *s, struct amqp_channel ch,
        const struct declaration *item, uint64_t cookie)
{
    struct exchange_declare x = {
            .exchange = item->name, .type = item->type, .durable = true};
    x.passive = item->mode == DECLARE_PASSIVE;
    x.arguments = x.passive ? NULL : &item->arguments;
    return session_declare_exchange(s, ch, &x, cookie);
}

static enum coney_rc send_item(struct session *s, struct amqp_channel ch,
        const struct declaration *item, uint64_t cookie)
{
    const struct binding b = {.to = item->name, .from = item->source, .key = item->key};

    switch (item->kind) {
    case DECLARE_QUEUE:
        return send_queue(s, ch, item, cookie);
    case DECLARE_EXCHANGE:
        return send_exchange(s, ch, item, cookie);
    case BIND_QUEUE:
        return session_bind_queue(s, ch, &b, cookie);
    case BIND_EXCHANGE:
        return session_bind_exchange(s, ch, &b, cookie);
    }
    return CONEY_EINVAL;
}

/* The channel has done its work or is of no use; that it may be gone already is fine. */
static void leave(struct declarer *d, struct session *s, enum declarer_state state)
{
    (void)!session_channel_close(s, d->channel);
    d->channel = (struct amqp_channel){.number = 0};
    d->state = state;
}

enum coney_rc declarer_start(struct declarer *d, struct session *s)
{
    if (d->state == DECLARER_BUSY)
        leave(d, s, DECLARER_IDLE);
    forget(d);
    enum coney_rc rc = session_channel_open(s, &d->channel);
    for (size_t i = 0; rc == CONEY_OK && i < d->topology->count; i++)
        rc = send_item(s, d->channel, &d->topology->items[i], i + 1);
    if (rc != CONEY_OK) {
        leave(d, s, DECLARER_FAILED);
        return error_set(&d->error, rc, "declarations could not be sent");
    }
    d->state = DECLARER_BUSY;
    if (d->topology->count == 0)
        leave(d, s, DECLARER_DONE);
    return CONEY_OK;
}

static bool is_mine(const struct declarer *d, const struct session_event *ev)
{
    return d->state == DECLARER_BUSY && ev->channel.number == d->channel.number &&
           ev->channel.generation == d->channel.generation;
}

static void take_reply(
        struct declarer *d, struct session *s, const struct session_event *ev)
{
    size_t index = (size_t)ev->cookie - 1;
    if (index >= d->topology->count)
        return;
    if (d->topology->items[index].kind == DECLARE_QUEUE)
        d->ready[index] = ev->message_count;
    d->answered++;
    if (d->answered == d->topology->count)
        leave(d, s, DECLARER_DONE);
}

static void take_refusal(struct declarer *d, const struct session_event *ev)
{
    size_t index = (size_t)ev->cookie - 1;
    const struct declaration *item = NULL;
    if (index < d->topology->count)
        item = &d->topology->items[index];
    refusal_explain(item, ev->code, ev->error.text, &d->error);
    d->channel = (struct amqp_channel){.number = 0};
    d->state = DECLARER_FAILED;
}

bool declarer_handle(
        struct declarer *d, struct session *s, const struct session_event *ev)
{
    /* The channel went with the connection. Others want to hear of it too. */
    if (ev->type == SESSION_DOWN && d->state == DECLARER_BUSY)
        forget(d);
    if (!is_mine(d, ev))
        return false;
    if (ev->type == SESSION_REPLY)
        take_reply(d, s, ev);
    else if (ev->type == SESSION_CHANNEL_CLOSED)
        take_refusal(d, ev);
    return true;
}

enum declarer_state declarer_state(const struct declarer *d)
{
    return d->state;
}

const struct coney_error *declarer_error(const struct declarer *d)
{
    return &d->error;
}

int64_t declarer_ready_count(const struct declarer *d, const char *queue)
{
    for (size_t i = 0; i < d->topology->count; i++) {
        const struct declaration *item = &d->topology->items[i];
        if (item->kind == DECLARE_QUEUE && strcmp(item->name, queue) == 0)
            return d->ready[i];
    }
    return -1;
}
